"""Networks as files: weights, plain Python, ONNX and a card, which need no search or tables."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import WeightsError, require
from tailorbird.export.about import About
from tailorbird.export.card import card
from tailorbird.export.destination import Destination, Exported, is_exported
from tailorbird.spaces import SearchSpace
from tailorbird.storage import tensors
from tailorbird.storage.atomic import refusal, written
from tailorbird.storage.marks import MARK, mark_of, torn

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOG = logging.getLogger("tailorbird")

Compare = Callable[[Mapping[str, Path], int | None], Mapping[str, float]]
"""Relative errors of files by format, given their paths, and how many images they take at a time,
None if any number; raises if an error is too large."""


def save(
    network: "nn.Module",
    about: About,
    destination: Destination,
    compare: Compare = lambda files, fixed_batch: {},
    library: tuple[Path, Path] | None = None,
) -> Exported:
    """Writes a network in evaluation mode: all files, or none.

    The same network gives the same bytes. Files say how pictures become inputs, if that is known.

    Args:
        network: that is written.
        about: facts of it.
        destination: of its files.
        compare: looks at the files before they take their places.
        library: that TVM compiled, and its weights; copied if its format is asked for.

    Raises:
        RecipeError: if what writes ONNX is not installed, or a text stands there that is not ours.
        WriteError: if a file cannot be written.
        ExportError: if the network cannot be written in a format.
    """
    require("torch")
    from safetensors.torch import load_file

    from tailorbird.export.program import programmed  # loads torch

    destination.check()
    state = network.state_dict()
    texts = sorted(about.metadata.items())
    mark = mark_of((str(texts), str(about.takes_pixels), *_content(state)))
    bear_marks = [path for form, path in destination.files.items() if form != "tvm"]
    if reason := torn([path for path in bear_marks if path.exists()]):
        _LOG.warning("The network is torn (%s): it is written again.", reason)
    first = destination.paths[0]
    with destination.room() as made_in:
        made = {f: Path(made_in) / path.name for f, path in destination.files.items()}
        program = programmed(network, about.space.input_shape)
        try:
            program.write(made, about, mark)
            if library is not None and "tvm" in made:
                shutil.copyfile(library[0], made["tvm"])
                tensors.fill(made["tvm weights"], load_file(library[1]), {MARK: mark})
        except OSError as error:
            raise refusal(first, error) from None
        errors = compare(made, program.fixed_batch)
        names = {f: path.name for f, path in destination.files.items()}
        text = card(about, names, errors, mark, program.n_classes, program.fixed_batch)
        with written(*destination.paths) as parts:
            for path, part in zip(made.values(), parts, strict=False):
                shutil.copyfile(path, part)
            if destination.card is not None:
                parts[-1].write_text(text, encoding="utf-8")
        for path in [*filter(is_exported, destination.unwanted)]:
            path.unlink()
    return destination.exported(about)


def _content(state: "Mapping[str, Tensor]") -> Iterator[str | bytes]:
    import torch

    for name, tensor in state.items():
        yield name
        yield tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def load(path: Path, space: SearchSpace) -> "nn.Module":
    """Reads a network that `save` wrote, in evaluation mode.

    Args:
        path: of its safetensors.
        space: that it is of, as `spaces.get` gives it, or one's own.

    Raises:
        WeightsError: if the file cannot be read, or is of another space.
    """
    require("torch")
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The network in {str(path)!r} cannot be read: {error}.") from None
    if metadata.get("space") != space.name:
        raise WeightsError(
            f"The network in {str(path)!r} is of {metadata.get('space')}, not of {space.name}. "
            "Load it with that space."
        )
    network = space.build(np.array(json.loads(metadata["encoding"]), dtype=np.int64)).eval()
    own = network.state_dict().keys()
    constants = json.loads(metadata.get("constants", "[]"))  # which modules make themselves
    network.load_state_dict({n: t for n, t in state.items() if n in own or n not in constants})
    return network
