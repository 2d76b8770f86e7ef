"""Exported latency tables with the right checksum and wrong insides, and damaged ones."""

import copy
import json
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from fuzz import published, special
from fuzz.case import Case, Ran
from fuzz.damage import damaged
from fuzz.mutation import mutated
from fuzz.odd_parquet import built
from fuzz.stores import filled
from fuzz.table_files import COSTS, SUFFIXES, Exported, is_whole, read, shipped, write
from fuzz.table_laws import medians_ms, violations

_STORE = "runs/imports/store.sqlite"
_ROUNDS, _SAMPLES = 2, 3  # that are kept of each program
_NEAR = 1e-9  # relative

SEARCH = f"""
name = "searched"
[space]
name = "{published.SPACE}"
[device]
name = "NAME"
[latency]
runtime = "RUNTIME"
[accuracy]
published = "snnet"
predictor = "additive"
[search]
algorithm = "exact"
"""

IMPORT = """
name = "imports"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
batch = 16
[latency]
runtime = "torch"
[accuracy]
train_epochs = 1
"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A right table, and the commands that it is for."""

    table: Exported
    commands: tuple[str, ...]


_TWICE = ("import twice",)


class Tables:
    """Tables of four kinds, each in three formats."""

    def __init__(self, folder: Path) -> None:
        self._environment = published.prepare(folder / "data")
        digits = _thinned(shipped("epyc-avx512.digits-resnet.tvm"))
        deit = _thinned(shipped("epyc-avx512.deit-ti-s-b.tvm"))
        here = Exported({**digits.head, "configuration": _configuration(folder)}, digits.rows)
        self._kinds = (
            _Kind(_with_failures(digits), ("show", "diff")),
            _Kind(deit, ("show", "search")),
            _Kind(deit, ("show", "compare")),
            _Kind(_with_failures(here), ("show", "import")),
            _Kind(_stated(deit), ("show", "search")),
            _Kind(_with_failures(here), _TWICE),
        )
        self._folder = folder
        (folder / "right.json").write_bytes(write(self._kinds[-1].table, ".json")[0])
        self._store = filled(folder / "r.toml", "right.json", _STORE, {})

    def original(self, number: int, folder: Path) -> Case:
        kind = self._kinds[number // len(SUFFIXES)]
        content, seen = write(kind.table, SUFFIXES[number % len(SUFFIXES)])
        return self._case(kind, content, SUFFIXES[number % len(SUFFIXES)], "nothing", folder, seen)

    def case(self, rng: random.Random, folder: Path) -> Case:
        kind, suffix, draw = rng.choice(self._kinds), rng.choice(SUFFIXES), rng.random()
        if draw < 0.03:
            path = folder / f"t{suffix}"
            change = f"{special.put(rng, path)} in the place of {path.name}"
            commands = self._commands(kind, path, folder)
            return Case(change, commands, lambda ran: None, False, self._environment)
        if draw < 0.06:
            content, change = built(rng, kind.table)
            return self._case(kind, content, ".parquet", change, folder, None)
        if draw < 0.2:
            content, change = damaged(rng, write(kind.table, suffix)[0])
            return self._case(kind, content, suffix, change, folder, None)
        while True:
            table, change = _wrong(rng, kind.table)
            try:
                content, seen = write(table, suffix)
            except (ValueError, TypeError, LookupError, AttributeError, pa.ArrowException):
                continue  # no file of this format can hold it
            return self._case(kind, content, suffix, change, folder, seen)

    def _case(
        self,
        kind: _Kind,
        content: bytes,
        suffix: str,
        change: str,
        folder: Path,
        seen: Exported | None,
    ) -> Case:
        path = folder / f"t{suffix}"
        path.write_bytes(content)
        right, _ = write(kind.table, suffix)

        def reason(ran: Sequence[Ran]) -> str | None:
            table = seen
            if table is None:
                table = _read_anew(content, suffix)
            if wrong := next(violations(table), None):
                raise AssertionError(wrong)
            _agrees(table, kind.table.rows if kind.commands == _TWICE else [], ran)
            if _same(table, read(right, suffix)):
                return "its values are those of the right table"
            return "each value is one that it may have, and what is shown follows from them"

        is_right = content == right
        commands = self._commands(kind, path, folder)
        return Case(f"{suffix}: {change}", commands, reason, is_right, self._environment)

    def _commands(self, kind: _Kind, path: Path, folder: Path) -> tuple[tuple[str, ...], ...]:
        found: list[tuple[str, ...]] = []
        for command in kind.commands:
            match command:
                case "show":
                    found.append(("table", "show", path.name, "--json"))
                    found.append(("table", "show", path.name))
                case "diff":
                    shutil.copy(self._right(kind), folder)
                    found.append(("table", "diff", path.name, "right.json", "--json"))
                case "import twice":
                    (folder / "r.toml").write_text(IMPORT)
                    (folder / _STORE).parent.mkdir(parents=True)
                    (folder / _STORE).write_bytes(self._store)
                    found.append(("table", "import", "r.toml", path.name))
                case "import":
                    (folder / "r.toml").write_text(IMPORT)
                    found.append(("table", "import", "r.toml", path.name))
                case "compare":
                    text = SEARCH.replace("NAME", "epyc-avx512").replace("RUNTIME", "tvm")
                    text = text.replace("[search]", f'[search]\ndevices = ["{path.name}"]')
                    (folder / "r.toml").write_text(text)
                    found.append(("search", "r.toml", "--json"))
                case "search":
                    runtime = kind.table.head["configuration"]["runtime"]
                    text = SEARCH.replace("NAME", path.name).replace("RUNTIME", runtime)
                    (folder / "r.toml").write_text(text)
                    found.append(("search", "r.toml", "--json"))
        return tuple(found)

    def _right(self, kind: _Kind) -> Path:
        path = self._folder / str(self._kinds.index(kind)) / "right.json"
        if not path.exists():
            path.parent.mkdir()
            path.write_bytes(write(kind.table, ".json")[0])
        return path


def _configuration(folder: Path) -> dict[str, Any]:
    """What a table must say to be imported on this machine."""
    from dataclasses import asdict

    from tailorbird.pipeline.opening import open_recipe

    recipe = folder / "r.toml"
    recipe.write_text(IMPORT)
    return asdict(open_recipe(recipe).latency.configuration())


def _thinned(table: Exported) -> Exported:
    """Fewer rounds and samples, so that a case takes milliseconds."""
    kept, seen = [], Counter[tuple[str, str]]()
    for row in table.rows:
        seen[row["key"], row["status"]] += 1
        if seen[row["key"], row["status"]] <= _ROUNDS:
            kept.append({**row, "ms": row["ms"][:_SAMPLES], "hot_ms": row["hot_ms"][:_SAMPLES]})
    return Exported(table.head, kept)


def _with_failures(table: Exported) -> Exported:
    """A program that failed at last, and one that did at first."""
    rows = copy.deepcopy(table.rows)
    failure = dict.fromkeys(("round", "ms", "hot_ms", "reference_ms"))
    first = {**rows[0], **failure, "uid": "f0", "status": "failed", "reason": "it crashed"}
    last = {**rows[-1], **failure, "uid": "f1", "status": "failed", "reason": "no answer in 60 s"}
    return Exported(table.head, [first, *rows, last])


def _stated(table: Exported) -> Exported:
    """The same as others would have stated it."""
    medians, rows = medians_ms(table), []
    for number, (key, ms) in enumerate(medians.items()):
        said = {"file": "a.csv", "line": str(number + 2), "std_ms": repr(ms / 50)}
        old = next(row for row in table.rows if row["key"] == key)
        rows.append(
            {
                **old,
                "status": "imported",
                "round": 0,
                "ms": [ms],
                "hot_ms": [],
                "reference_ms": None,
            }
            | {"provenance": said}
        )
    unknown = dict.fromkeys(("target", "runtime_version", "timing"), "not stated")
    stated = {"cpu": "a board", "runtime": "imported", "schedule": "imported", **unknown}
    configuration = {**table.head["configuration"], **stated}
    return Exported({**table.head, "configuration": configuration}, rows)


def _wrong(rng: random.Random, table: Exported) -> tuple[Exported, str]:
    """A table in which one to three values are something else."""
    head, rows, changes = table.head, table.rows, []
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not isinstance(rows, list) or not rows or rng.random() < 0.3:
            head, change = mutated(rng, head)
            changes.append(change)
        elif rng.random() < 0.02:
            rows, change = mutated(rng, {"rounds": rows})
            rows = rows.get("rounds")
            changes.append(change)
        elif rng.random() < 0.2:
            rows, change = _rearranged(rng, rows)
            changes.append(change)
        else:
            number = rng.randrange(len(rows))
            row, change = mutated(rng, rows[number])
            rows = [*rows[:number], row, *rows[number + 1 :]]
            changes.append(f"row {number + 1}{change}")
    return Exported(head, rows), "; ".join(changes)


def _rearranged(rng: random.Random, rows: list[Any]) -> tuple[list[Any], str]:
    """Other rows, or a whole column of other values."""
    number = rng.randrange(len(rows))
    match rng.randrange(6):
        case 0:
            return [*rows, rows[number]], f"row {number + 1} is there twice"
        case 1:
            return rows[:number] + rows[number + 1 :], f"without row {number + 1}"
        case 2:
            return rng.sample(rows, len(rows)), "rows in another order"
        case 3:
            return [], "no rows"
    names = [name for row in rows if isinstance(row, dict) for name in row]
    if not names:
        return rows, "nothing"
    name = rng.choice(names)
    rows = copy.deepcopy(rows)
    change, numbers = rng.choice(("other", "missing", "text", "one")), count()
    for row in rows:
        if isinstance(row, dict) and name in row:
            if change == "missing":
                del row[name]
            else:
                row[name] = {
                    "other": rng.random(), "text": json.dumps(row[name]), "one": next(numbers)
                }[change]  # fmt: skip
    return rows, f"column {name} is {change} everywhere"


def _read_anew(content: bytes, suffix: str) -> Exported:
    """What a damaged file still holds."""
    try:
        table = read(content, suffix)
        whole = is_whole(table)
    except Exception as error:  # noqa: BLE001  # whatever libraries raise about damage
        raise AssertionError(f"it cannot be read: {type(error).__name__}: {error}") from None
    assert whole, "its checksum is not right"
    return table


def _same(left: Exported, right: Exported) -> bool:
    return json.dumps([left.head, left.rows], sort_keys=True) == json.dumps(
        [right.head, right.rows], sort_keys=True
    )


def _agrees(table: Exported, held: Sequence[dict[str, Any]], ran: Sequence[Ran]) -> None:
    """What commands showed is what the values say, and what the store held stays."""
    there = {row["uid"]: row for row in held}
    for one in ran:
        if one.code == 0 and one.arguments[:2] == ("table", "show") and "--json" in one.arguments:
            shown = {row["workload"]: row["median_ms"] for row in json.loads(one.out)["rows"]}
            ours = medians_ms(table)
            assert shown.keys() == ours.keys(), f"it shows {sorted(shown.keys() ^ ours.keys())[:3]}"
            far = [key for key, ms in ours.items() if abs(shown[key] - ms) > _NEAR * ms]
            assert not far, f"it shows {shown[far[0]]} ms of {far[0]}, not {ours[far[0]]}"
        if one.code == 0 and one.arguments[0] == "search":
            wrong = [row for row in json.loads(one.out) if not 0 < row["latency_ms"] < 1e10]
            assert not wrong, f"it finds {wrong[0]}"
        if one.code == 0 and one.arguments[:2] == ("table", "import"):
            n_new = sum(row["uid"] not in there for row in table.rows)
            said = f"{n_new} of {len(table.rows)} rounds"
            assert said in one.out, f"it imports {one.out}, not {said}"
            again = [row for row in table.rows if row["uid"] in there]
            other = [row for row in again if _round(row) != _round(there[row["uid"]])]
            assert not other, f"a round of the store is another: {other[0]}"


def _round(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what its program costs, which the store knows already."""
    return {name: value for name, value in row.items() if name not in COSTS}
