"""Parquet that others wrote, unpacked up to a limit."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_MIB = 2**20
_CELL_BYTES = 8


class TooLargeError(ValueError):
    """Content that unpacks to more than it may."""


def read(content: bytes, most_bytes: int, columns: Iterable[str] | None = None) -> "pa.Table":
    """Reads the table in the content of a file; dictionaries become plain texts.

    Pages are compressed, and a dictionary holds a text once, however many rows have it: a small
    file may unpack to any size. So sizes are looked at before pages, and texts stay dictionaries
    until it is known how long they are.

    Args:
        content: of the file.
        most_bytes: that what is read may take.
        columns: that are read, in any order; all if None.

    Raises:
        TooLargeError: if there is more.
        ValueError: if columns hold more than texts and numbers.
        pyarrow.ArrowException, OSError: if it is torn, or no Parquet.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    schema = parquet.read_schema(io.BytesIO(content))
    names = schema.names if columns is None else [name for name in schema.names if name in columns]
    texts = [name for name in names if _is_text(schema.field(name).type)]
    file = parquet.ParquetFile(
        io.BytesIO(content), read_dictionary=texts, page_checksum_verification=True
    )
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    n_bytes = sum(group.total_byte_size for group in groups)
    _check(max(n_bytes, _CELL_BYTES * file.metadata.num_rows), most_bytes)
    # Faults of a chunk's metadata are errors here; where pyarrow only tells them, it would abort.
    file.scan_contents(columns=names)
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    scanned = [i for i, path in enumerate(paths) if path.partition(".")[0] in names]
    chunks = [group.column(i) for group in groups for i in scanned]
    n_bytes = sum(max(one.total_uncompressed_size, _CELL_BYTES * one.num_values) for one in chunks)
    _check(n_bytes, most_bytes)
    table = file.read(columns=names).select(names)
    for name in texts:
        codes = [chunk for chunk in table[name].chunks if pa.types.is_dictionary(chunk.type)]
        lengths = [pc.take(pc.binary_length(one.dictionary), one.indices) for one in codes]
        n_bytes += sum(pc.sum(one).as_py() or 0 for one in lengths)
    _check(n_bytes, most_bytes)
    return table.cast(pa.schema([schema.field(name) for name in names], schema.metadata))


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return any(is_of(kind) for is_of in (types.is_string, types.is_large_string, types.is_binary))


def _check(n_bytes: int, most_bytes: int) -> None:
    if n_bytes > most_bytes:
        raise TooLargeError(
            f"it unpacks to {n_bytes / _MIB:,.0f} MiB, but a table may have {most_bytes / _MIB:g}"
        )
