"""Reader of published tables, each column of its type and within its limits."""

import csv
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tailorbird.errors import PublishedTableError, nearest, shown
from tailorbird.storage.foreign import bounded_file, bounded_parquet


@dataclass(frozen=True, slots=True)
class Law:
    """Law that each value of a column must obey.

    Attributes:
        says: the law in words that follow "must be".
        least: smallest value.
        most: largest value.
        is_whole: whether fractions are refused.
        may_be_missing: whether a row may have none.
    """

    says: str
    least: float
    most: float
    is_whole: bool = False
    may_be_missing: bool = False


PER_CENT = Law("per cent, 0 to 100", 0.0, 100.0)
MS = Law("a latency, 1e-09 to 1e+09 ms", 1e-9, 1e9)
COUNT = Law("a whole number, 0 to 2^53", 0.0, 2.0**53, is_whole=True)


@dataclass(frozen=True, slots=True, eq=False)
class PublishedTable:
    """Rows of a published table among the data.

    Attributes:
        path: of the file.
        name: by which it is fetched.
        rows: of the file, in its order; the first is called row 1.
    """

    path: Path
    name: str
    rows: pd.DataFrame

    @classmethod
    def of_parquet(cls, path: Path, name: str) -> "PublishedTable":
        """Reads all columns of a file in Parquet.

        Raises:
            PublishedTableError: if it is not there, torn, too large or empty.
        """
        try:
            rows = bounded_parquet.read(
                _content(path, name), bounded_file.LARGEST_BYTES
            ).to_pandas()
        except PublishedTableError:
            raise
        except (OSError, ValueError, MemoryError, ArithmeticError, pa.ArrowException) as error:
            raise PublishedTableError.of(path, name, error) from None
        return cls(path, name, rows)._filled()

    @classmethod
    def of_csv(
        cls, path: Path, name: str, texts: Sequence[str], laws: Mapping[str, Law]
    ) -> "PublishedTable":
        """Reads columns of a file in CSV that gzip compressed.

        Args:
            path: of the file.
            name: by which it is fetched.
            texts: columns of text; empty where nothing stands.
            laws: columns of numbers.

        Raises:
            PublishedTableError: if it is not there, torn, too large or empty, lacks a column, or a
                value is against the law.
        """
        try:
            rows = _texts(bounded_file.gunzipped(_content(path, name)).decode())
        except PublishedTableError:
            raise
        except bounded_file.OversizeError:
            raise _too_large(path, name) from None
        except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
            raise PublishedTableError.of(path, name, error) from None
        table = cls(path, name, rows)._filled()
        table.require([*texts, *laws])
        numbers = {column: table._parsed(column, law) for column, law in laws.items()}
        return cls(path, name, rows[[*texts]].assign(**numbers)).checked(laws)

    def require(self, columns: Sequence[str]) -> None:
        """Refuses a table that lacks a column.

        Raises:
            PublishedTableError: naming the first.
        """
        names = list(map(str, self.rows))
        for column in columns:
            if column not in names:
                raise self._torn(f"the column {column} is missing; {nearest(column, names)}")

    def checked(self, laws: Mapping[str, Law], unique: Sequence[str] = ()) -> "PublishedTable":
        """Returns the table, if its values obey these laws.

        Args:
            laws: by column.
            unique: columns that tell the rows apart.

        Raises:
            PublishedTableError: naming the first row and column that is against the law.
        """
        for column, law in laws.items():
            self._check(column, law)
        if unique:
            again = self.rows.duplicated([*unique]).to_numpy()
            if again.any():
                second = int(again.argmax())
                same = (self.rows[[*unique]] == self.rows[[*unique]].iloc[second]).all(axis=1)
                first = int(same.to_numpy().argmax())
                raise self._torn(
                    f"row {second + 1} is row {first + 1} again; each must be there once"
                )
        return self

    def refusal(self, row: int, column: str, law: str) -> PublishedTableError:
        """Returns the error of a row, counted from 0, whose value is against the law."""
        value = self.rows[column].iloc[row]
        is_missing = value is None or value is pd.NA or value != value or value == ""
        plain = value.item() if isinstance(value, np.generic) else value
        found = "is missing" if is_missing else f"is {shown(plain)}"
        return self._torn(f"row {row + 1}, {column}: must be {law}, but {found}")

    def numbers(self, column: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Returns the values of a column of numbers, (n,); NaN where one is missing."""
        return np.asarray(self.rows[column].to_numpy(np.float64, na_value=np.nan))

    def _filled(self) -> "PublishedTable":
        if self.rows.empty:
            raise self._torn("There is no network in it")
        names = list(map(str, self.rows))
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise self._torn(f"the column {twice[0]} is there twice")
        return self

    def _parsed(self, column: str, law: Law) -> pd.Series:
        """Parses the numbers of a column of texts; NaN where one is empty."""
        texts = self.rows[column].str.strip()
        numbers = pd.to_numeric(texts, errors="coerce").astype(np.float64)
        wrong = (numbers.isna() & (texts != "")).to_numpy()
        if wrong.any():
            raise self.refusal(int(wrong.argmax()), column, law.says)
        return numbers

    def _check(self, column: str, law: Law) -> None:
        values = self.rows[column]
        if not pd.api.types.is_numeric_dtype(values.dtype) or values.dtype == bool:
            filled = values.notna().to_numpy()
            unreadable = filled & pd.to_numeric(values, errors="coerce").isna().to_numpy()
            wrong = unreadable if unreadable.any() else filled
            if wrong.any() or not law.may_be_missing:
                raise self.refusal(int(wrong.argmax()), column, law.says)
            return
        numbers = self.numbers(column)
        missing = np.isnan(numbers)
        wrong = ~missing & ~((numbers >= law.least) & (numbers <= law.most))
        if law.is_whole:
            wrong |= ~missing & (numbers != np.floor(numbers))
        if not law.may_be_missing:
            wrong |= missing
        if wrong.any():
            raise self.refusal(int(wrong.argmax()), column, law.says)

    def _torn(self, reason: str) -> PublishedTableError:
        return PublishedTableError.torn(self.path, self.name, reason)


def _texts(content: str) -> pd.DataFrame:
    """Parses CSV to cells of text.

    Raises:
        ValueError: if a row has more or fewer cells than the header.
        csv.Error: if it is none.
    """
    lines = csv.reader(io.StringIO(content, newline=""), strict=True)
    columns, rows = next(lines, []), [cells for cells in lines if cells]
    for number, cells in enumerate(rows, 1):
        if len(cells) != len(columns):
            raise ValueError(f"row {number} has {len(cells)} cells, but there are {len(columns)}")
    return pd.DataFrame(rows, columns=columns, dtype=str)


def _content(path: Path, name: str) -> bytes:
    """Reads a file of the data, as far as it can be a table."""
    try:
        return bounded_file.content(path)
    except bounded_file.NotPlainError:
        raise PublishedTableError.torn(path, name, f"it is {bounded_file.NOT_PLAIN}") from None
    except bounded_file.OversizeError:
        raise _too_large(path, name) from None


def _too_large(path: Path, name: str) -> PublishedTableError:
    reason = (
        f"it is larger than {bounded_file.LARGEST_BYTES / 2**20:g} MiB, which no published table is"
    )
    return PublishedTableError.torn(path, name, reason)
