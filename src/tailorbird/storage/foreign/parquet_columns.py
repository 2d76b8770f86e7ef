"""Columns of Parquet files that others wrote, each of the type that it must have."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailorbird.errors import RecipeError, nearest, plain
from tailorbird.storage.foreign import bounded_parquet
from tailorbird.storage.foreign.bounded_file import LARGEST_BYTES
from tailorbird.storage.foreign.csv_sheet import MOST_ROWS, too_many_rows

if TYPE_CHECKING:
    import pyarrow as pa

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of values that a column must hold.

    Attributes:
        words: for messages.
        tests: names of tests in `pyarrow.types`, one of which its type must pass.
    """

    words: str
    tests: tuple[str, ...]

    def allows(self, found: "pa.DataType") -> bool:
        """True if a column may have an Arrow type; a dictionary counts as its values' type."""
        import pyarrow.types as types

        return any(getattr(types, test)(_of_values(found)) for test in self.tests)


TEXT = Kind("text", ("is_string", "is_large_string"))
WHOLE = Kind("whole numbers", ("is_integer",))
NUMBER = Kind("numbers", ("is_integer", "is_floating"))


def schema(content: bytes, path: Path) -> "pa.Schema":
    """Reads names and types of all columns, with metadata.

    Raises:
        RecipeError: if it is no Parquet.
    """
    from pyarrow import parquet

    return _told(lambda: parquet.read_schema(io.BytesIO(content)), path)


def read(content: bytes, path: Path, kinds: Mapping[str, Kind]) -> "pa.Table":
    """Reads columns of a file, in the order of `kinds`.

    Args:
        content: of the file.
        path: of the file, for messages.
        kinds: of the columns, by name.

    Raises:
        RecipeError: if it is no Parquet, a column is missing, twice there or of another kind, or
            it is too large.
    """
    import pyarrow as pa
    from pyarrow import parquet

    names = list(kinds)
    _check(schema(content, path), path, kinds)

    def unpacked() -> "pa.Table":
        if parquet.read_metadata(io.BytesIO(content)).num_rows > MOST_ROWS:
            raise too_many_rows(path)
        table = bounded_parquet.read(content, LARGEST_BYTES, names).select(names)
        types = [
            pa.string() if kind is TEXT else _of_values(table[name].type)
            for name, kind in kinds.items()
        ]
        return table.cast(pa.schema(zip(names, types, strict=True)))

    return _told(unpacked, path)


def _of_values(found: "pa.DataType") -> "pa.DataType":
    import pyarrow.types as types

    return found.value_type if types.is_dictionary(found) else found


def _check(found: "pa.Schema", path: Path, kinds: Mapping[str, Kind]) -> None:
    for name, kind in kinds.items():
        n_columns = found.names.count(name)
        if n_columns == 0:
            raise missing(name, found.names, path)
        if n_columns > 1:
            raise RecipeError(
                f"Each column needs a name of its own, but {str(path)!r} has {n_columns} that are "
                f"{name!r}. Drop all but one."
            )
        if not kind.allows(found.field(name).type):
            raise RecipeError(
                f"Column {name!r} of {str(path)!r} must hold {kind.words}, but its type is "
                f"{plain(str(found.field(name).type))}."
            )


def missing(name: str, there: Sequence[str], path: Path) -> RecipeError:
    """Returns the error of a column that is missing."""
    return RecipeError(f"{str(path)!r} has no column {name!r}; {nearest(name, there)}")


def _told(call: Callable[[], Any], path: Path) -> Any:
    """Calls pyarrow, whose errors about a file become one sentence."""
    import pyarrow as pa

    try:
        return call()
    except RecipeError:
        raise
    except bounded_parquet.TooLargeError as error:
        raise RecipeError(
            f"The file {str(path)!r} is too large: {error}. Leave out rows that are not needed."
        ) from None
    # What it raises about bytes that are none of Parquet's.
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecipeError(
            f"The file {str(path)!r} is torn, or no Parquet ({plain(reason.rstrip('.'))}). "
            "Write it anew, or give CSV."
        ) from None
