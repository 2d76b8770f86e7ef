"""Files of weights for anchors: saved in other ways, with other tensors, damaged, or none."""

import argparse
import collections
import io
import json
import os
import pickle
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from fuzz import special, values
from fuzz.case import Case, Ran
from fuzz.command import run
from fuzz.damage import HTML, damaged
from fuzz.images import images

State = dict[str, Tensor]

_DEPTHS = {"r20": 3, "r32": 5, "r44": 7, "r56": 9}
_CHANGED = "r20"
_HEAD = ("linear.weight", "linear.bias")
_RECIPE = """
name = "w"
[space]
name = "cifar-resnet"
[accuracy]
module = "images:load"
train_epochs = 0
stitch_epochs = 0
stitch_images = 0
[accuracy.anchors]
"""


@dataclass(frozen=True, slots=True)
class _File:
    """A file of weights.

    Attributes:
        content: of the file.
        change: what was done.
        holds: the weights that a reader should find, by name; None if nobody should.
        is_right: whether they must be found.
        suffix: of the file.
    """

    content: bytes
    change: str
    holds: Mapping[str, Tensor] | None = None
    is_right: bool = False
    suffix: str = ".pth"


class Weights:
    """Weights for the smallest of four residual networks; the others have theirs."""

    def __init__(self, folder: Path) -> None:
        warnings.filterwarnings("ignore", module=__name__)
        self._folder = folder
        for name, depth in _DEPTHS.items():
            save_file(_state(depth), folder / f"{name}.safetensors")
        self._state = load_file(folder / f"{_CHANGED}.safetensors")
        whole = folder / "whole"
        whole.mkdir()
        self._write(whole, ".pth", _saved(self._state))
        ran = run(("train", "r.toml"), whole, {})
        assert ran.code == 0, ran.err
        kept = load_file(whole / f"runs/w/weights/anchor-{_CHANGED}.safetensors")
        self._places = {
            name: place
            for place, loaded in kept.items()
            for name, tensor in self._state.items()
            if loaded.shape == tensor.shape and torch.equal(loaded, tensor)
        }
        assert self._places.keys() == self._state.keys()

    def original(self, number: int, folder: Path) -> Case:
        if number == 0:
            file = _File(_saved(self._state), "nothing", self._state, True)
        else:
            file = _File(save(self._state), "nothing", self._state, True, ".safetensors")
        return self._case(file, folder)

    def case(self, rng: random.Random, folder: Path) -> Case:
        if rng.random() < 0.06:
            suffix = rng.choice((".pth", ".safetensors"))
            self._write(folder, suffix, b"")
            path = folder / f"{_CHANGED}{suffix}"
            path.unlink()
            return Case(f"{special.put(rng, path)} in the place of {path.name}", _TRAIN, _never)
        return self._case(rng.choice(_CHANGES)(rng, dict(self._state)), folder)

    def _case(self, file: _File, folder: Path) -> Case:
        self._write(folder, file.suffix, file.content)

        def reason(ran: Sequence[Ran]) -> str | None:
            if file.holds is None:
                return None
            loaded = load_file(folder / f"runs/w/weights/anchor-{_CHANGED}.safetensors")
            for name, tensor in file.holds.items():
                assert torch.isfinite(tensor.float()).all(), f"{name} is not finite"
                assert not name.endswith("running_var") or (tensor >= 0).all(), f"{name} is < 0"
                found = loaded[self._places[name]]
                assert torch.equal(found, tensor.float()), f"{name} is not what the file holds"
            if not all(name in file.holds for name in _HEAD):
                assert "head" in ran[0].err + ran[0].out, "a new head is not told"
                return "blocks are those of the file, and a new head is told"
            return "each weight that was loaded is that of the file"

        return Case(f"{file.suffix}: {file.change}", _TRAIN, reason, file.is_right)

    def _write(self, folder: Path, suffix: str, content: bytes) -> None:
        (folder / "images.py").write_text(images(3, 32))
        (folder / f"{_CHANGED}{suffix}").write_bytes(content)
        lines = [f"{_CHANGED} = '{_CHANGED}{suffix}'\n"]
        for file in (f"{name}.safetensors" for name in _DEPTHS if name != _CHANGED):
            os.link(self._folder / file, folder / file)
            lines.append(f"{file.partition('.')[0]} = '{file}'\n")
        (folder / "r.toml").write_text(_RECIPE + "".join(lines))


_TRAIN = (("train", "r.toml"),)


def _never(ran: Sequence[Ran]) -> str | None:
    return None


def _state(depth: int) -> State:
    """A state dict of a residual network, in which no two tensors are alike."""
    draw = torch.Generator().manual_seed(depth)
    state: State = {}

    def tensor(name: str, *shape: int, around: float = 0.0, by: float = 0.05) -> None:
        state[name] = around + by * torch.rand(*shape, generator=draw)

    def norm(name: str, width: int) -> None:
        for part, around in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            tensor(f"{name}.{part}", width, around=around)

    tensor("conv1.weight", 16, 3, 3, 3)
    norm("bn1", 16)
    before = 16
    for stage, width in enumerate((16, 32, 64), start=1):
        for block in range(depth):
            name = f"layer{stage}.{block}"
            tensor(f"{name}.conv1.weight", width, before, 3, 3)
            norm(f"{name}.bn1", width)
            tensor(f"{name}.conv2.weight", width, width, 3, 3)
            norm(f"{name}.bn2", width)
            before = width
    tensor("linear.weight", 10, 64)
    tensor("linear.bias", 10)
    return state


def _saved(state: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    torch.save(state, sink, **options)
    return sink.getvalue()


def _wrapped(rng: random.Random, state: State) -> _File:
    names = ("state_dict", "model", "model_state", "model_state_dict", "net", "network", "module")
    name = rng.choice(names)
    beside = rng.choice(({}, {"epoch": 5, "optimizer_state_dict": {"state": {}}, "loss": 0.4}))
    within = rng.choice(((), (), ("checkpoint",), ("model",)))
    whole: dict[str, Any] = {**beside, name: state}
    for outer in within:
        whole = {outer: whole}
    is_right = name in ("state_dict", "model", "model_state_dict", "net") and not within
    return _File(_saved(whole), f"under {'.'.join((*within, name))}", state, is_right)


def _prefixed(rng: random.Random, state: State) -> _File:
    parts = rng.choices(("module.", "_orig_mod.", "model."), k=rng.choice((1, 1, 2, 3)))
    prefix, share = "".join(parts), rng.choice((1, 1, 1, 0.5))
    named = {(prefix if rng.random() < share else "") + name: t for name, t in state.items()}
    change = f"{prefix} before {share:.0%} of names"
    if rng.random() < 0.3:
        return _File(save(named), change, state, share == 1, ".safetensors")
    return _File(_saved(named), change, state, share == 1)


def _averaged(rng: random.Random, state: State) -> _File:
    zeros = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    prefix = rng.choice(("", "module."))
    averaged = {prefix + name: tensor for name, tensor in state.items()}
    both: dict[str, Any] = {"state_dict": zeros, "state_dict_ema": averaged, "epoch": 3}
    if rng.random() < 0.5:
        both = dict(reversed(both.items()))
    return _File(_saved(both), "an average beside zeros", state, True)


def _with_more(rng: random.Random, state: State) -> _File:
    more: dict[str, Any] = rng.choice(
        (
            {"total_ops": torch.zeros(1, dtype=torch.float64)},
            {"layer1.total_params": torch.zeros(1), "total_ops": torch.zeros(1)},
            {"bn1.num_batches_tracked": torch.tensor(5)},
        )
    )
    if rng.random() < 0.5:
        return _File(_saved({**state, **more}), f"with {[*more]}", state, True)
    name, value = rng.choice(
        (
            ("args", argparse.Namespace(lr=0.1)),
            ("layer9.weight", torch.zeros(3)),
            (values.text(rng), torch.zeros(3)),
            ("epoch", 3),
            ("conv1.note", "a text"),
            (3, torch.zeros(1)),
            (("a", "b"), torch.zeros(1)),
            ("conv1.bias", None),
            ("extra", np.zeros(3)),
        )
    )
    change = f"with {name!r}, {type(value).__name__}"[:200]
    is_weight = isinstance(value, Tensor | np.ndarray | argparse.Namespace)
    return _File(_saved({**state, name: value}), change, None if is_weight else state)


def _cast(rng: random.Random, state: State) -> _File:
    kind = rng.choice(
        (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64)
    )
    some = rng.choice(([*state], rng.sample([*state], 1)))
    made = {name: t.to(kind) if name in some else t for name, t in state.items()}
    holds = made if kind.is_floating_point else None
    return _File(_saved(made), f"{len(some)} tensors as {kind}", holds)


def _one_tensor(rng: random.Random, state: State) -> _File:
    name = rng.choice([*state])
    old = state[name]
    new, change = rng.choice(_TENSORS)(rng, old)
    if new is None:
        del state[name]
    else:
        state[name] = new
    holds: State | None = state
    if new is None or new.shape != old.shape or not _is_plain(new):
        holds = None
    if name in _HEAD and holds is None:
        holds = {name: tensor for name, tensor in state.items() if name not in _HEAD}
    return _File(_saved(state), f"{name} {change}", holds)


def _is_plain(tensor: Tensor) -> bool:
    is_odd = tensor.is_meta or tensor.is_quantized or tensor.is_complex()
    return tensor.layout == torch.strided and not is_odd


def _entry(number: float) -> Callable[[random.Random, Tensor], tuple[Tensor, str]]:
    def changed(rng: random.Random, old: Tensor) -> tuple[Tensor, str]:
        new = old.clone()
        new.view(-1)[rng.randrange(new.numel())] = number
        return new, f"holds {number}"

    return changed


_Tensors = Callable[[random.Random, Tensor], tuple[Tensor | None, str]]
_TENSORS: tuple[_Tensors, ...] = (
    lambda rng, old: (None, "is missing"),
    _entry(float("nan")),
    _entry(float("inf")),
    _entry(3e38),
    _entry(-1.0),
    lambda rng, old: (torch.full_like(old, 1e300, dtype=torch.float64), "is 1e300, as float64"),
    lambda rng, old: (old.unsqueeze(0), "has an axis more"),
    lambda rng, old: (old[:-1], "is shorter"),
    lambda rng, old: (torch.cat([old, old]), "is longer"),
    lambda rng, old: (old.transpose(0, -1), "is transposed"),
    lambda rng, old: (old.flatten(), "is flat"),
    lambda rng, old: (old[:0], "is empty"),
    lambda rng, old: (old.to_sparse(), "is sparse"),
    lambda rng, old: (old.to("meta"), "is on no device"),
    lambda rng, old: (torch.quantize_per_tensor(old, 0.1, 0, torch.qint8), "is quantised"),
    lambda rng, old: (torch.complex(old, old), "is complex"),
    lambda rng, old: (nn.Parameter(old), "is a parameter"),
    lambda rng, old: (old.clone().requires_grad_(), "wants a gradient"),
    lambda rng, old: (torch.zeros(1).expand(10**6, 10**6), "seems to have 10^12 entries"),
    lambda rng, old: (torch.zeros(1).expand(old.shape), "repeats one entry"),
    lambda rng, old: (torch.stack([old, old])[1], "is part of another"),
)


def _headed(rng: random.Random, state: State) -> _File:
    n = rng.choice((0, 1, 3, 11, 1_000))
    change = f"a head for {n} classes"
    for name in _HEAD:
        del state[name]
    blocks = dict(state)
    if n:
        state |= {"linear.weight": torch.ones(n, 64), "linear.bias": torch.ones(n)}
    return _File(_saved(state), change, blocks)


def _no_state(rng: random.Random, state: State) -> _File:
    things: tuple[tuple[Any, str], ...] = (
        (state["conv1.weight"], "a tensor"),
        ([*state.values()], "a list of tensors"),
        ([*state.items()], "a list of pairs"),
        ({}, "an empty dict"),
        ({"state_dict": {}}, "an empty dict under state_dict"),
        ({"state_dict": None, "epoch": 1}, "None under state_dict"),
        ({"a": {"b": {"c": state}}}, "deep down under other names"),
        (None, "None"),
        (3, "a number"),
        ({"optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}, "an optimizer only"),
        ({"model": state, "args": argparse.Namespace(lr=0.1)}, "a namespace beside"),
        (nn.Linear(2, 2), "a module"),
        ({"state_dict": [state]}, "a list under state_dict"),
        ({"generator": state, "discriminator": state}, "two networks"),
        ({values.text(rng): state}, "under an odd name"),
        ({f"k{i}": torch.zeros(1) for i in range(3_000)}, "3,000 other names"),
        (collections.OrderedDict(state), "an ordered dict"),
    )
    thing, change = rng.choice(things)
    is_right = isinstance(thing, collections.OrderedDict)
    within = isinstance(thing, dict) and any(
        isinstance(v, dict) and v == {} for v in thing.values()
    )
    holds = state if is_right or (change.startswith(("under", "deep")) and not within) else None
    return _File(_saved(thing), change, holds, is_right)


@dataclass
class _Runs:
    """Runs a program when it is unpickled."""

    command: str = field(default="touch ran")

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def _other_file(rng: random.Random, state: State) -> _File:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("config.json", "{}")
    arrays = io.BytesIO()
    np.savez(arrays, state["conv1.weight"].numpy())
    right = _saved(state)
    return rng.choice(
        (
            _File(HTML, "a page of HTML"),
            _File(HTML, "a page of HTML", suffix=".safetensors"),
            _File(archive.getvalue(), "another archive"),
            _File(arrays.getvalue(), "arrays of numpy"),
            _File(pickle.dumps({"a": 1}), "a pickle"),
            _File(pickle.dumps(_Runs()), "a pickle that runs a program"),
            _File(_saved(_Runs()), "a program to be run"),
            _File(_saved({**state, "conv1.weight": _Runs()}), "a program among the tensors"),
            _File(save(state), "safetensors under .pth", state),
            _File(right, "torch's format under .safetensors", state, suffix=".safetensors"),
            _File(right, "called .bin", state, suffix=".bin"),
            _File(right, "without ending", state, suffix=""),
            _File(
                _saved(state, _use_new_zipfile_serialization=False), "the old format", state, True
            ),
            _File(
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer"
            ),
        )
    )


def _damaged(rng: random.Random, state: State) -> _File:
    """What is found in a damaged file cannot be told; it must be finite and fit, or be refused."""
    suffix = rng.choice((".pth", ".safetensors"))
    content, change = damaged(rng, _saved(state) if suffix == ".pth" else save(state))
    holds = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = torch.load(io.BytesIO(content)) if suffix == ".pth" else _load(content)
        if read.keys() == state.keys():
            holds = read
    except Exception:  # noqa: BLE001  # whatever libraries raise about damage
        holds = None
    return _File(content, change, holds, suffix=suffix)


def _load(content: bytes) -> State:
    from safetensors.torch import load

    return load(content)


def _odd_header(rng: random.Random, state: State) -> _File:
    """Safetensors begin with the length of a header, which is JSON."""
    content = save(state)
    (length,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    name = rng.choice([*state])
    entry = header[name]
    n = rng.choice((0, 2**40, 2**63, 2**64 - 1))
    match rng.randrange(10):
        case 0:
            return _File(struct.pack("<Q", n) + content[8:], f"a header of {n} bytes", None, False,
                         ".safetensors")  # fmt: skip
        case 1:
            entry["shape"] = rng.choice(([10**12], [-1], [0], [2**63, 2**63], [1.5], "a", None))
        case 2:
            entry["dtype"] = rng.choice(("F64", "F16", "BF16", "I64", "F8_E4M3", "X", None, 3))
        case 3:
            entry["data_offsets"] = rng.choice(([0, 10**12], [-4, 0], [5, 1], [0], None, [0, 4]))
        case 4:
            del header[name]
        case 5:
            header[values.text(rng)] = header.pop(name)
        case 6:
            header["__metadata__"] = rng.choice(({"a": "\x1b[2J"}, {"a": 1}, [], None))
        case 7:
            header = rng.choice(([], {}, None, "a"))
        case 8:
            header[name] = values.anything(rng)
        case 9:
            header = {"__metadata__": {"a": "b" * 10**6}, **header}
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + body
    holds = None
    try:
        read = _load(content)
        holds = read if read.keys() == state.keys() else None
    except Exception:  # noqa: BLE001  # whatever libraries raise about such a header
        holds = None
    return _File(content, f"an odd header ({values.told(entry)})", holds, suffix=".safetensors")


_CHANGES: tuple[Callable[[random.Random, State], _File], ...] = (
    *(_wrapped, _prefixed, _averaged, _with_more, _cast, _one_tensor, _one_tensor, _headed),
    *(_no_state, _other_file, _damaged, _odd_header),
)
