"""Published measurements of whole networks, by the encoding of a space."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailorbird.errors import RecipeError, nearest
from tailorbird.published.typed_table import MS, PER_CENT, Law, PublishedTable
from tailorbird.spaces.space import IntArray, SearchSpace, Variable


@dataclass(frozen=True, slots=True)
class _File:
    """File of a published table, and how its rows encode networks.

    Attributes:
        name: of the file.
        data: by which it is fetched.
        holds: what stands in the column of a variable: the index of a choice, or its text.
        unique: columns that tell the rows apart.
        settings: that a space must have, as in its name.
    """

    name: str
    data: str
    holds: Literal["index", "text"]
    unique: tuple[str, ...]
    settings: tuple[str, ...] = ()


_LAYERS = tuple(f"l{layer:02}" for layer in range(22))
_FILES = {
    "fbnet": _File("fbnet_help.parquet", "fbnet", "index", _LAYERS),
    "macro-mobilenetv2": _File("nasbench_macro.parquet", "nasbench-macro", "index", ("arch",)),
    "nasbench201": _File("nb201_help_mini.parquet", "nasbench201", "index", ("index",)),
    "ofa-mobilenetv3": _File(
        "ofa_mbv3_dynast_acc.parquet",
        "ofa-accuracies",
        "text",
        ("run", "step"),
        ("width_mult=1.0", "resolution=224"),
    ),
}
_BOOKKEEPING = ("index", "step")  # numbers, but not measured
_DEVICE = "lat_ms_"
_ACCURACY = ("acc", "mean_acc", "top1", "c10_", "c100_", "in16_")


@dataclass(frozen=True, slots=True, eq=False)
class PublishedRows:
    """Distinct architectures of a space with their published measurements.

    Published rows of one architecture are averaged. In NAS-Bench-201 they differ in dead edges,
    which by the numbers ran when its networks were timed: depending on the device, a mean latency
    is 16 to 36 % above that of the row without dead edges (median over architectures of several
    rows). `n_rows == 1` picks the architectures that are free of this.

    Attributes:
        space: name of the space.
        source: name of the file.
        X: canonical rows, each once, (n, d).
        values: what was measured, n rows, a column each; `lat_ms_*` in milliseconds.
        n_rows: published rows behind each architecture, (n,).
        first_missing: number of the first row of the file that has no value, by column; the first
            row is 1.
    """

    space: str
    source: str
    X: IntArray
    values: pd.DataFrame
    n_rows: IntArray
    first_missing: Mapping[str, int]

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the columns of latencies."""
        return tuple(name for name in map(str, self.values) if name.startswith(_DEVICE))

    @property
    def accuracies(self) -> tuple[str, ...]:
        """Names of the columns of accuracies, which are in per cent."""
        return tuple(name for name in map(str, self.values) if name.startswith(_ACCURACY))

    def column(self, name: str) -> NDArray[np.float64]:
        """Returns a measurement of each architecture, (n,).

        Raises:
            RecipeError: if it was not measured, or not of every architecture.
        """
        if name not in self.values:
            hint = nearest(name, map(str, self.values))
            raise RecipeError(f"There is no column {name!r} in {self.source!r}; {hint}")
        values = self.values[name].to_numpy(np.float64)
        n_missing = int((~np.isfinite(values)).sum())
        if n_missing:
            raise RecipeError(
                f"Column {name!r} of {self.source!r} must have a number for each architecture, but "
                f"{n_missing} of {len(values)} have none (first: row {self.first_missing[name]} of "
                "the file). Choose another column, or take these architectures out of the file."
            )
        return values


def published_rows(space: SearchSpace, folder: Path) -> PublishedRows:
    """Reads the architectures of a space that others measured.

    Args:
        space: one whose variables are named like the columns of the table.
        folder: of the tables.

    Raises:
        RecipeError: if there is no such table, or it does not fit the space.
    """
    family, _, settings = space.name.rstrip(")").partition("(")
    if family not in _FILES:
        raise RecipeError(f"Nothing is published for {family!r}; {nearest(family, _FILES)}")
    file = _FILES[family]
    if not {*file.settings} <= {*settings.split(",")}:
        raise RecipeError(
            f"{file.name!r} was published for {family} with {' and '.join(file.settings)}, but "
            f"this space is {space.name}. Use a space with those settings."
        )
    path = folder / file.name
    table = PublishedTable.of_parquet(path, file.data)
    columns = [_choices(table, variable, file) for variable in space.variables]
    names = [variable.name for variable in space.variables]
    laws = {name: law for name in map(str, table.rows) if (law := _law(name)) is not None}
    table.checked(laws, [name for name in file.unique if name in table.rows])
    measured = table.rows.drop(columns=[*names, *_BOOKKEEPING], errors="ignore")
    measured = measured.select_dtypes("number")
    X, architecture, n_rows = np.unique(
        space.repair(np.column_stack(columns)), axis=0, return_inverse=True, return_counts=True
    )
    values = measured.to_numpy(np.float64, na_value=np.nan)
    sums = np.zeros((len(X), measured.shape[1]))
    np.add.at(sums, architecture.reshape(-1), values)  # NaN stays NaN
    means = pd.DataFrame(sums / n_rows[:, None], columns=measured.columns)
    first_missing = {
        str(name): int(missing.argmax()) + 1
        for name, missing in zip(measured, ~np.isfinite(values).T, strict=True)
        if missing.any()
    }
    return PublishedRows(space.name, file.name, X, means, n_rows, first_missing)


def _law(column: str) -> Law | None:
    """Law of a column of measurements, which some networks may lack until it is asked for."""
    if column.startswith(_DEVICE):
        return replace(MS, may_be_missing=True)
    if column.startswith(_ACCURACY):
        return replace(PER_CENT, may_be_missing=True)
    return None


def _choices(table: PublishedTable, variable: Variable, file: _File) -> IntArray:
    """Index of the choice of a variable in each row, (n,)."""
    name, choices = variable.name, variable.choices
    known = [str(index) for index in range(len(choices))] if file.holds == "index" else choices
    law = f"one of {', '.join(known)}"
    table.require([name])
    whole = Law(law, -np.inf, np.inf, is_whole=True)
    numbers = table.checked({name: whole}).numbers(name)
    index = {float(value): i for i, value in enumerate(known)}
    indices = np.array([index.get(value, -1) for value in numbers.tolist()], dtype=np.int64)
    if (indices < 0).any():
        raise table.refusal(int(np.argmax(indices < 0)), name, law)
    return indices
