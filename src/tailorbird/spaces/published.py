"""What others measured of whole networks, by the encoding of a space."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tailorbird.errors import PublishedTableError, RecipeError, nearest
from tailorbird.spaces.space import IntArray, SearchSpace, Variable


@dataclass(frozen=True, slots=True)
class _File:
    """A published table.

    Attributes:
        name: of the file.
        data: by which it is fetched.
        holds: what stands in the column of a variable: the index of a choice, or its text.
        settings: that a space must have, as in its name.
    """

    name: str
    data: str
    holds: Literal["index", "text"]
    settings: tuple[str, ...] = ()


_FILES = {
    "fbnet": _File("fbnet_help.parquet", "fbnet", "index"),
    "macro-mobilenetv2": _File("nasbench_macro.parquet", "nasbench-macro", "index"),
    "nasbench201": _File("nb201_help_mini.parquet", "nasbench201", "index"),
    "ofa-mobilenetv3": _File(
        "ofa_mbv3_dynast_acc.parquet",
        "ofa-accuracies",
        "text",
        ("width_mult=1.0", "resolution=224"),
    ),
}
_BOOKKEEPING = ("index", "step")  # numbers, but not measured
_DEVICE = "lat_ms_"
_ACCURACY = ("acc", "mean_acc", "top1", "c10_", "c100_", "in16_")


@dataclass(frozen=True, slots=True, eq=False)
class PublishedRows:
    """Distinct architectures with what was published of them.

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
    """

    space: str
    source: str
    X: IntArray
    values: pd.DataFrame
    n_rows: IntArray

    @property
    def devices(self) -> tuple[str, ...]:
        """Columns of latencies."""
        return tuple(name for name in map(str, self.values) if name.startswith(_DEVICE))

    @property
    def accuracies(self) -> tuple[str, ...]:
        """Columns of accuracies, in per cent."""
        return tuple(name for name in map(str, self.values) if name.startswith(_ACCURACY))

    def column(self, name: str) -> NDArray[np.float64]:
        """One measured quantity of each architecture, (n,).

        Raises:
            RecipeError: if it was not measured, or not of every architecture.
        """
        if name not in self.values:
            hint = nearest(name, map(str, self.values))
            raise RecipeError(f"There is no column {name!r} in {self.source!r}; {hint}")
        values = self.values[name].to_numpy(np.float64)
        missing = ~np.isfinite(values)
        if missing.any():
            raise RecipeError(
                f"Column {name!r} of {self.source!r} must have a number for each architecture, but "
                f"{missing.sum()} of {len(values)} have none (first: "
                f"{self.X[np.argmax(missing)].tolist()}). Choose another column, or take these "
                "architectures out of the file."
            )
        return values


def published_rows(space: SearchSpace, folder: Path) -> PublishedRows:
    """The architectures of a space that others measured.

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
    table = read_table(folder / file.name, file.data)
    columns = [_choices(table, variable, file) for variable in space.variables]
    names = [variable.name for variable in space.variables]
    measured = table.drop(columns=[*names, *_BOOKKEEPING], errors="ignore").select_dtypes("number")
    X, architecture, n_rows = np.unique(
        space.repair(np.column_stack(columns)), axis=0, return_inverse=True, return_counts=True
    )
    sums = np.zeros((len(X), measured.shape[1]))
    np.add.at(sums, architecture.reshape(-1), measured.to_numpy(np.float64))  # NaN stays NaN
    means = pd.DataFrame(sums / n_rows[:, None], columns=measured.columns)
    return PublishedRows(space.name, file.name, X, means, n_rows)


def read_table(path: Path, name: str) -> pd.DataFrame:
    """A published table as it was converted.

    Args:
        path: of a file in Parquet.
        name: by which it is fetched.

    Raises:
        PublishedTableError: if it is not there, torn or empty.
    """
    try:
        with path.open("rb") as file:  # pyarrow would read all files of a folder
            table = pd.read_parquet(file, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise PublishedTableError.of(path, name, error) from None
    if table.empty:
        raise PublishedTableError.torn(path, name, "There is no network in it")
    return table


def _choices(table: pd.DataFrame, variable: Variable, file: _File) -> IntArray:
    """Index of the choice of a variable in each row, (n,)."""
    name, choices = variable.name, variable.choices
    if name not in table:
        raise RecipeError(
            f"{file.name!r} must have a column for each variable of the space, but {name!r} is "
            f"missing; {nearest(name, map(str, table))}"
        )
    values = table[name]
    if not pd.api.types.is_integer_dtype(values.dtype) or values.isna().any():
        raise RecipeError(
            f"Column {name!r} of {file.name!r} must hold whole numbers, but its type is "
            f"{values.dtype}, with {values.isna().sum()} missing. Put the published table there."
        )
    known = range(len(choices)) if file.holds == "index" else choices
    index = {str(value): i for i, value in enumerate(known)}
    found = np.array([index.get(str(value), -1) for value in values], dtype=np.int64)
    if (found < 0).any():
        row = int(np.argmax(found < 0))
        raise RecipeError(
            f"{name!r} must be one of {', '.join(index)} in {file.name!r}, but row {row} has "
            f"{values.iloc[row]}. Take that row out, or use a space that has this choice."
        )
    return found
