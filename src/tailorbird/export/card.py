"""Model cards: what a network is, how it is fed, and where it is from."""

import re
from collections.abc import Mapping
from importlib.resources import files as resources
from keyword import iskeyword

import jinja2

from tailorbird.export.about import About
from tailorbird.storage.marks import MARK

_KINDS = {
    "safetensors": "weights",
    "python": "the network, in plain torch",
    "onnx": "the network with its weights, for any runtime that reads ONNX",
    "tvm": "the network compiled for the device by TVM",
    "tvm weights": "its weights, as it takes them",
}


def card(
    about: About,
    files: Mapping[str, str],
    errors: Mapping[str, float],
    mark: str,
    n_classes: int,
    fixed_batch: int | None = None,
) -> str:
    """Markdown on a network.

    Args:
        about: facts of it.
        files: names of its other files, by format.
        errors: how far what they compute is from what torch does, by format.
        mark: of all files that are written together.
        n_classes: logits that it gives for an image.
        fixed_batch: images that its graph takes at a time; None if any number.
    """
    environment = jinja2.Environment(  # it is Markdown; names are code, or escaped
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"code": _code, "cell": _cell}
    text = resources(__package__).joinpath("card.md.j2").read_text(encoding="utf-8")
    p, sizes = about.preprocessing, about.space.input_shape[1:]
    module = files.get("python", "").removesuffix(".py")
    scale, offset = p.scale_and_offset if p is not None else ((), ())
    return environment.from_string(text).render(
        about=about,
        mark_name=MARK,
        mark=mark,
        shape=", ".join(map(str, (fixed_batch or "n", *sizes))),
        example=(fixed_batch or 1, *sizes),
        pixels=(fixed_batch or 1, *sizes[1:], *sizes[:1]),
        n_classes=n_classes,
        fixed_batch=fixed_batch,
        class_names=about.class_names if len(about.class_names) == n_classes else (),
        preprocessing=str(p) if p is not None else "",
        p=p,
        is_fed=p is not None and fixed_batch in (None, 1),
        scale=[*scale],
        offset=[*offset],
        files=files,
        module=module,
        is_importable=module.isidentifier() and not iskeyword(module),
        kinds=_KINDS,
        batch=about.space.input_shape[0],
        channels_last=(about.space.input_shape[0], *sizes[1:], *sizes[:1]),
        errors={name: f"{error:.1e}" for name, error in errors.items()},
    )


def _code(text: str) -> str:
    """A text as code in Markdown, in one line, that it cannot end."""
    ticks = max(map(len, re.findall("`+", text)), default=0)
    fence, pad = "`" * (ticks + 1), " " if ticks else ""
    return f"{fence}{pad}{_in_a_line(text)}{pad}{fence}"


def _cell(text: str) -> str:
    """A text in a cell of a table, where nothing of it is markup."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", _in_a_line(text))


def _in_a_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text.encode(errors="replace").decode())
