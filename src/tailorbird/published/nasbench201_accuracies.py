"""Accuracies of NAS-Bench-201 from a user's CSV: the published ones lie in a pickle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from tailorbird.errors import RecipeError
from tailorbird.published import typed_table
from tailorbird.published.tables import PublishedTable
from tailorbird.storage.foreign import csv_sheet
from tailorbird.storage.foreign.csv_sheet import Row, Sheet

NAME = "nasbench201"
"""Name of the only table that accuracies can be added to."""

_KEYS = ("arch", "arch_str", "index")
_N_CELLS = 15_625
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_ACCURACY = re.compile(r"(c10|c100|in16)_\w+")
_FIRST_LATENCY = "lat_ms_"


@dataclass(frozen=True, slots=True, eq=False)
class Accuracies:
    """Checked rows of a CSV with accuracies.

    Attributes:
        sheet: that they stand in.
        key: the column that tells cells apart: `arch` or `arch_str`, by its text, or `index`.
        columns: of accuracies, in per cent.
        lines: number of the line of each cell, by its key.
    """

    sheet: Sheet
    key: str
    columns: tuple[str, ...]
    lines: Mapping[str, int]

    def added(self, table: PublishedTable, folder: Path) -> PublishedTable:
        """Returns a published table that is made with these accuracies.

        Args:
            table: without them.
            folder: of the data; if the table is there, nothing is fetched.
        """
        if table.is_in(folder):
            read = partial(_without_accuracies, folder / table.file)
            table = replace(table, originals=(), convert=lambda files: read(), packages=())

        def convert(files: Mapping[str, Path]) -> pd.DataFrame:
            return self._joined(table.convert(files))

        return replace(table, convert=convert, remark="")

    def _joined(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Adds columns of accuracies to a table; cells that the CSV lacks have NaN.

        Raises:
            RecipeError: if there is no such cell as the CSV names.
        """
        names = cells["index" if self.key == "index" else "arch_str"].astype(str)
        place = {name: row for row, name in enumerate(names)}
        values = np.full((len(cells), len(self.columns)), np.nan, dtype=np.float32)
        for name, line in self.lines.items():
            if name not in place:
                raise self.sheet.refusal(line, f"there is no cell with the {self.key} {name!r}")
            row = self.sheet.rows[line]
            values[place[name]] = [float(row[column]) for column in self.columns]
        latencies = (i for i, name in enumerate(cells) if str(name).startswith(_FIRST_LATENCY))
        first = next(latencies, cells.shape[1])
        for i, column in enumerate(self.columns):
            cells.insert(first + i, column, values[:, i])
        return cells


def read(path: Path) -> Accuracies:
    """Reads a CSV with the column `arch`, `arch_str` or `index`, and such as `c10_test_12ep`.

    Raises:
        RecipeError: naming the first line that is wrong.
    """
    sheet = csv_sheet.read(path)
    if not sheet.columns:
        raise RecipeError(f"The file {str(path)!r} is empty.")
    keys = [name for name in sheet.columns if name in _KEYS]
    columns = tuple(name for name in sheet.columns if _ACCURACY.fullmatch(name))
    others = [name for name in sheet.columns if name not in (*keys, *columns)]
    if len(keys) != 1 or not columns or others or len(set(columns)) < len(columns):
        raise sheet.refusal(
            1,
            "the columns must be arch or index, and accuracies such as c10_test_12ep, "
            f"c100_val_12ep or in16_test_12ep, each once, but are {', '.join(sheet.columns)}",
        )
    indices = {str(index) for index in range(_N_CELLS)}
    lines: dict[str, int] = {}
    for line, row in sheet.rows.items():
        for column in columns:
            _check(sheet, line, row, column)
        name = row[keys[0]].strip()
        if keys[0] == "index" and name not in indices:
            raise sheet.refusal(
                line, f"index must be a whole number from 0 to {_N_CELLS - 1}, but is {name!r}"
            )
        if (first := lines.setdefault(name, line)) != line:
            raise sheet.refusal(line, f"{keys[0]} {name!r} stands in line {first}, too")
    if not lines:
        raise RecipeError(f"The file {str(path)!r} has a header, but no accuracies.")
    for column in columns:
        if all(float(row[column]) <= 1 for row in sheet.rows.values()):
            raise sheet.refusal(
                1, f"{column} must be in per cent, but no value in it is above 1, as of fractions"
            )
    return Accuracies(sheet, keys[0], columns, lines)


def _without_accuracies(file: Path) -> pd.DataFrame:
    """Reads a table that is there; refuses one with accuracies, which would be lost."""
    table = typed_table.PublishedTable.of_parquet(file, NAME)
    table.require(("index", "arch_str"))
    cells = table.rows
    if held := [name for name in map(str, cells) if _ACCURACY.fullmatch(name)]:
        raise RecipeError(
            f"{str(file)!r} holds accuracies already ({', '.join(held)}). Delete it to make it "
            "anew with those of your file."
        )
    return cells


def _check(found: Sheet, line: int, row: Row, column: str) -> None:
    text = row[column].strip()
    if not _NUMBER.fullmatch(text) or float(text) > 100:
        raise found.refusal(
            line,
            f"{column} must be a plain number from 0 to 100 per cent, but is {row[column]!r}",
        )
