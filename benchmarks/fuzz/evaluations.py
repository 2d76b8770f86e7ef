"""Evaluations of earlier searches, in CSV, Parquet and studies, that are not what they must be."""

import csv
import gzip
import io
import json
import math
import random
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz import special, values
from fuzz.case import Case, Ran
from fuzz.cells import Sheet, changed, odd_gzip
from fuzz.damage import damaged
from fuzz.recipes import TINY

RECIPE = """
name = "later"
[space]
name = "digits-resnet"
max_stitches = 1
[accuracy]
module = "tiny:load"
train_epochs = 1
stitch_epochs = 0
stitch_images = 5
evaluations = 10
earlier = "FILE"
"""
_COMMANDS = (("train", "r.toml"),)
_LARGEST = 64 * 2**20
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Evaluations:
    """Accuracies of networks of a small space, by the indices of their choices."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        from tailorbird import spaces

        space = spaces.get("digits-resnet", max_stitches=1)
        X = np.unique(space.sample(12, np.random.default_rng(0)), axis=0)
        self._names = tuple(variable.name for variable in space.variables)
        self._most = tuple(len(variable.choices) - 1 for variable in space.variables)
        rows = [(*map(str, row), repr(0.5 + i / 100)) for i, row in enumerate(X.tolist())]
        self._sheet = Sheet((*self._names, "accuracy"), tuple(rows))
        self._study = folder / "study.db"
        _write_study(self._study, X.tolist())

    def original(self, number: int, folder: Path) -> Case:
        name = ("e.csv", "E.CSV", "e.csv.gz", "e.parquet", "e.db")[number]
        content = self._sheet.text().encode()
        if name.endswith(".gz"):
            content = gzip.compress(content, mtime=0)
        if name.endswith(".parquet"):
            content = _parquet(self._columns())
        if name.endswith(".db"):
            content = self._study.read_bytes()
        return self._case(name, content, "nothing", folder, True)

    def case(self, rng: random.Random, folder: Path) -> Case:
        draw = rng.random()
        if draw < 0.05:
            name = rng.choice(("e.csv", "e.csv.gz", "e.parquet", "e.db"))
            case = self._case(name, b"", "", folder, False)
            (folder / name).unlink()
            change = f"{special.put(rng, folder / name)} in the place of {name}"
            return Case(change, case.commands, lambda ran: None)
        if draw < 0.15:
            return self._case("e.csv.gz", *odd_gzip(rng, self._sheet.text()), folder, False)
        if draw < 0.25:
            content, change = damaged(rng, self._sheet.text().encode())
            return self._case("e.csv", content, change, folder, False)
        if draw < 0.4:
            return self._case("e.parquet", *self._odd_parquet(rng), folder, False)
        if draw < 0.6:
            path = folder / "e.db"
            path.write_bytes(self._study.read_bytes())
            change = _odd_study(rng, path)
            return self._case("e.db", path.read_bytes(), change, folder, False)
        text, change, is_right = changed(rng, self._sheet)
        return self._case("e.csv", text.encode("utf-8", "replace"), change, folder, is_right)

    def _case(self, name: str, content: bytes, change: str, folder: Path, is_right: bool) -> Case:
        (folder / name).write_bytes(content)
        (folder / "tiny.py").write_text(TINY)
        where = f"sqlite:///{name}#mine" if name.endswith(".db") else name
        (folder / "r.toml").write_text(RECIPE.replace("FILE", where))

        def reason(ran: Sequence[Ran]) -> str | None:
            found: dict[tuple[int, ...], float] = {}
            for encoding, accuracy in self._read_anew(folder / name, content):
                assert 0 <= accuracy <= 1, f"an accuracy is {accuracy}"
                assert len(encoding) == len(self._most), f"an encoding is {encoding}"
                inside = (0 <= i <= most for i, most in zip(encoding, self._most, strict=True))
                assert all(inside), f"an encoding is {encoding}"
                assert found.setdefault(encoding, accuracy) == accuracy, f"{encoding} differs"
            assert found, "there are none"
            return "each is a network of the space, with one accuracy from 0 to 1"

        return Case(f"{name}: {change}", _COMMANDS, reason, is_right)

    def _read_anew(self, path: Path, content: bytes) -> list[tuple[tuple[int, ...], float]]:
        if path.suffix == ".db":
            return _of_study(path)
        if path.suffix == ".parquet":
            table = pq.read_table(pa.BufferReader(content)).to_pylist()
            rows = [[row[name] for name in self._sheet.header] for row in table]
            kinds = {type(v) for *choices, _ in rows for v in choices}
            assert kinds <= {int}, f"choices are {kinds}"
            assert all(type(row[-1]) in (int, float) for row in rows), "accuracies are no numbers"
            return [(tuple(choices), float(y)) for *choices, y in rows]
        if path.suffix == ".gz":
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(_LARGEST + 1)
            assert len(content) <= _LARGEST, "it unpacks to more than a table has"
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        header, *lines = [cells for cells in csv.reader(text, strict=True) if cells]
        header = [cell.strip() for cell in header]
        assert set(self._sheet.header) <= set(header), f"its columns are {header}"
        assert len(set(header)) == len(header), f"its columns are {header}"
        found = []
        for cells in lines:
            assert len(cells) == len(header), f"a row has {len(cells)} cells"
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            for name in self._names:
                assert _WHOLE.fullmatch(row[name]), f"{name} is {row[name]!r}"
            assert _NUMBER.fullmatch(row["accuracy"]), f"an accuracy is {row['accuracy']!r}"
            found.append((tuple(int(row[n]) for n in self._names), float(row["accuracy"])))
        return found

    def _columns(self) -> dict[str, list[Any]]:
        columns = zip(*self._sheet.rows, strict=True)
        named = dict(zip(self._sheet.header, columns, strict=True))
        return {n: [*map(float if n == "accuracy" else int, cells)] for n, cells in named.items()}

    def _odd_parquet(self, rng: random.Random) -> tuple[bytes, str]:
        columns = self._columns()
        name = rng.choice([*columns])
        match rng.randrange(5):
            case 0:
                return damaged(rng, _parquet(columns))
            case 1:
                del columns[name]
                return _parquet(columns), f"without {name}"
            case 2:
                columns[name] = [*map(str, columns[name])]
                return _parquet(columns), f"{name} as text"
            case 3:
                one = rng.choice((None, -1, 10**6, 2**40, 82.04, math.nan, math.inf, True))
                kept = [float(v) if type(one) is float else v for v in columns[name][1:]]
                columns[name] = [one, *([*map(bool, kept)] if one is True else kept)]
                return _parquet(columns), f"{name} is {one} in row 1"
        columns[name] = [[v] for v in columns[name]]
        return _parquet(columns), f"{name} are lists"


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _write_study(path: Path, X: list[list[int]]) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{path}", study_name="mine", direction="maximize"
    )
    for i, row in enumerate(X):
        trial = optuna.trial.create_trial(value=0.5 + i / 100, user_attrs={"encoding": row})
        study.add_trial(trial)


_TABLES = ("studies", "study_directions", "trials", "trial_values", "trial_user_attributes")
_CHANGES = (
    *("update study_directions set direction = 'MINIMIZE'", "delete from study_directions"),
    *("update studies set study_name = 'yours'", "update trials set state = 'FAIL'"),
    *("update alembic_version set version_num = 'v1.3.0.a'", "delete from alembic_version"),
    *("update version_info set schema_version = 1", "update version_info set schema_version = 99"),
    *("update trial_values set value = 82.04", "update trial_values set value = -1"),
    *("update trial_values set value = 'much'", "update trial_values set value_type = 'INF_POS'"),
    *("delete from trial_values", "update trial_values set value = null"),
    *("update trial_user_attributes set key = 'row'", "delete from trial_user_attributes"),
    *("insert into study_directions (direction, study_id, objective) values ('MAXIMIZE', 1, 1)",),
    *("update trials set number = 0", "update trials set study_id = 99"),
    *("update trial_values set trial_value_id = trial_value_id + 1000",),
    *(f"drop table {table}" for table in _TABLES),
)


def _odd_study(rng: random.Random, path: Path) -> str:
    """Changes a database in place."""
    draw = rng.random()
    if draw < 0.2:
        content, change = damaged(rng, path.read_bytes())
        path.write_bytes(content)
        return change
    statement = rng.choice(_CHANGES)
    parameters: tuple[str, ...] = ()
    if draw < 0.5:
        value = values.other(rng, [0, 1])
        try:
            parameters = (json.dumps(value),)
        except ValueError:  # of thousands of digits
            parameters = ("[" + "9" * 5_000 + ", 0]",)
        statement = "update trial_user_attributes set value_json = ? where trial_id = 3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, parameters)
        connection.commit()
    return f"{statement} {values.told(parameters)}"


def _of_study(path: Path) -> list[tuple[tuple[int, ...], float]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        directions = connection.execute(
            "select direction from study_directions join studies using (study_id) "
            "where study_name = 'mine'"
        ).fetchall()
        rows = connection.execute(
            "select value_json, value from trials join studies using (study_id) "
            "join trial_user_attributes using (trial_id) join trial_values using (trial_id) "
            "where study_name = 'mine' and state = 'COMPLETE' and key = 'encoding'"
        ).fetchall()
    assert directions == [("MAXIMIZE",)], f"directions are {directions}"
    found = []
    for text, value in rows:
        encoding = json.loads(text)
        assert isinstance(encoding, list), f"an encoding is {text}"
        assert all(type(i) is int for i in encoding), f"an encoding is {text}"
        assert isinstance(value, int | float), f"an accuracy is {value!r}"
        found.append((tuple(encoding), float(value)))
    return found
