"""State dicts in files of others: which of several is taken, and from under which keys."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tailorbird.errors import WeightsError, WeightsKeyError, nearest
from tailorbird.training.weights import weight_file

_DEPTH = 8  # of tables in tables; one may hold itself
_SHOWN = 8

_USUAL = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "net_state_dict",
    "weights",
    "params",
    "module",
)
"""Keys under which weights usually lie, the likeliest first."""

_AVERAGED = frozenset({"ema", "averaged", "average", "swa", "polyak"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_Table = Mapping[object, object]


@dataclass(frozen=True, slots=True)
class StateDict:
    """Tensors of a file, and where in it they lay.

    Attributes:
        path: of the file.
        tensors: by their names in the file, without the key.
        key: under which they lay, dotted if tables lie in tables; empty if under none.
        others: keys of what could have been taken instead.
        is_averaged: whether weights averaged over training were preferred to others.
    """

    path: Path
    tensors: dict[str, Tensor]
    key: str
    others: tuple[str, ...]
    is_averaged: bool

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know of the choice, if there was one."""
        if not self.others:
            return ()
        return (
            f"Of the weights in {str(self.path)!r} those under {_quoted(self.key)} are taken, not "
            f"{listed(self.others)}; a `key` beside the `file` chooses others.",
        )

    def beginnings(self) -> Iterator[tuple[str, Collection[str]]]:
        """Yields what names begin with, up to each of their first dots, and the rest of these.

        Each is a key of the file for these tensors alone.
        """
        for depth in range(1, _DEPTH):
            groups: dict[str, list[str]] = {}
            for name in self.tensors:
                parts = name.split(".", depth)
                if len(parts) > depth:
                    groups.setdefault(".".join(parts[:depth]), []).append(parts[depth])
            for first, rest in groups.items():
                yield ".".join(filter(None, (self.key, first))), rest


def read(path: Path, key: str | None = None) -> StateDict:
    """The state dict in a file of safetensors, or of torch's own format; no code in it is run.

    Weights that were averaged over training are preferred to the last ones, as timm does.

    Args:
        path: of the file.
        key: where in it the state dict lies, dotted if tables lie in tables, or what the names of
            its tensors begin with; found out if None.

    Raises:
        WeightsError: if there is no state dict, or several of which none is the likeliest.
    """
    content = weight_file.load(path)
    if not isinstance(content, Mapping):
        kind = "one tensor" if isinstance(content, Tensor) else f"a {type(content).__name__}"
        raise WeightsError(
            f"{str(path)!r} must hold a state dict, a tensor under each name, but holds {kind}."
        )
    if key is None:
        return _descend(path, content, [])
    table = _under(content, key)
    if table is None or not _holds_tensors(table):
        known = [plain(name) for name, group in _groups(content).items() if _holds_tensors(group)]
        raise WeightsError(
            f"There are no tensors under the key {_quoted(key)} in {str(path)!r}; "
            f"{nearest(key, known[:_SHOWN]) if known else 'it has no keys: leave it out.'}"
        )
    return _descend(path, table, [key])


def digest(path: Path, key: str | None = None) -> str:
    """Digest of a file; with the key, where it is not that under which weights usually lie.

    So weights that were made when `state_dict` was always taken stay valid where it still is.

    Args:
        path: of the file.
        key: where in it the weights lie; found out if None.

    Raises:
        WeightsError: if it cannot be read.
    """
    content = weight_file.digest(path)
    if key is None:
        state = read(path)
        key = state.key if state.is_averaged else None
    return content if key is None else f"{content}#{key}"


def _descend(path: Path, table: _Table, keys: list[str]) -> StateDict:
    """Goes down the likeliest keys, to where the tensors lie."""
    others: list[str] = []
    is_averaged = False
    while len(keys) < _DEPTH:
        below = _wrapped(table)
        tensors = _tensors(table)
        averaged = [name for name in below if _is_averaged(name)]
        if tensors and not averaged and len(tensors) >= max(map(len, below.values()), default=0):
            _check_names(path, table)
            return StateDict(path, tensors, ".".join(keys), tuple(others), is_averaged)
        if not below:
            break
        name = _likeliest(averaged or list(below))
        if name is None:
            key = plain(next(iter(below)))
            raise WeightsKeyError(
                f"{str(path)!r} must hold one state dict, but holds several, under "
                f"{listed(below)}. Choose one by its key, such as {key!r}.",
                path,
                key,
            )
        passed = [n for n in table if isinstance(n, str) and _is_averaged(n) and _lists(table[n])]
        others += [".".join([*keys, other]) for other in (*below, *passed) if other != name]
        is_averaged = is_averaged or (bool(averaged) and len(below) > 1)
        table, keys = below[name], [*keys, name]
    inside = [f"{_quoted(n)} ({type(v).__name__})" for n, v in [*table.items()][:_SHOWN]]
    where = f" under {_quoted('.'.join(keys))}" if keys else ""
    raise WeightsError(
        f"{str(path)!r} must hold a state dict, a tensor under each name, but holds{where} "
        f"{', '.join(inside) or 'nothing'}."
    )


def _check_names(path: Path, table: _Table) -> None:
    """Refuses tensors beside the others that no module could have named."""
    for name, value in table.items():
        if isinstance(value, Tensor) and not isinstance(name, str):
            raise WeightsError(
                f"{str(path)!r} must hold a tensor under each name, but one lies under "
                f"{_quoted(name)}, a {type(name).__name__}. Save the module's own state dict."
            )


def _likeliest(names: list[str]) -> str | None:
    """The only name, or the most usual one; None if none of several is usual."""
    order = {name: _rank(name) for name in names}
    best = min(names, key=lambda name: order[name])
    return best if len(names) == 1 or order[best] < len(_USUAL) else None


def _rank(name: str) -> int:
    """How usual a key is, less the word that says that weights were averaged; 0 is best."""
    bare = "_".join(word for word in _words(name) if word not in _AVERAGED)
    if not bare:
        return 0
    return _USUAL.index(bare) if bare in _USUAL else len(_USUAL)


def _wrapped(table: _Table) -> dict[str, _Table]:
    """Tables below that hold tensors by name.

    Where there are none, tensors may tell by how their names begin that they are averaged ones.
    """
    groups = _groups(table)
    below = {
        name: group
        for name, group in groups.items()
        if isinstance(table.get(name), Mapping) and _holds_tensors(group)
    }
    if not below and any(map(_is_averaged, groups)) and all(_rank(n) < len(_USUAL) for n in groups):
        return groups
    return below


def _groups(table: _Table) -> dict[str, _Table]:
    """Tables by key, and tensors by the first part of their names."""
    groups: dict[str, dict[object, object]] = {}
    for name, value in table.items():
        if not isinstance(name, str):
            continue
        first, _, rest = name.partition(".")
        if isinstance(value, Mapping):
            groups.setdefault(name, {}).update(value)
        elif isinstance(value, Tensor) and rest:
            groups.setdefault(first, {})[rest] = value
    return {**groups}


def _under(table: _Table, key: str) -> _Table | None:
    """What lies under a dotted key: a table, or the tensors whose names begin with it."""
    groups = _groups(table)
    if key in groups:
        return groups[key]
    for name, group in groups.items():
        if key.startswith(f"{name}.") and (below := _under(group, key[len(name) + 1 :])):
            return below
    return None


def _holds_tensors(table: _Table) -> bool:
    """True if there are tensors by name, however deep; states of optimizers are by number."""
    seen: set[int] = set()
    todo = [table]
    while todo:
        here = todo.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if _tensors(here):
            return True
        todo += [v for n, v in here.items() if isinstance(n, str) and isinstance(v, Mapping)]
    return False


def _tensors(table: _Table) -> dict[str, Tensor]:
    return {n: t for n, t in table.items() if isinstance(n, str) and isinstance(t, Tensor)}


def _lists(value: object) -> bool:
    """True for a list, or a table that has one: averaged weights without their names."""
    return isinstance(value, list) or (
        isinstance(value, Mapping) and any(isinstance(v, list) for v in value.values())
    )


def _is_averaged(name: str) -> bool:
    return not _AVERAGED.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def listed(names: Iterable[str]) -> str:
    """The first few names, quoted."""
    quoted = [_quoted(name) for name in names]
    return ", ".join(quoted[:_SHOWN]) + (", …" if len(quoted) > _SHOWN else "")


def _quoted(name: object) -> str:
    return repr(plain(str(name)))


def plain(name: str) -> str:
    """A name as a terminal can show it: short, and without control characters."""
    return "".join(c if c.isprintable() else "?" for c in name[:80])
