"""Writer of converted tables, as Parquet or CSV."""

import gzip
import io
from pathlib import Path

import pandas as pd

from tailorbird.published.whole_file import whole_file


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes a table to a file, whole or not at all.

    Args:
        table: without a meaningful index.
        path: ends in .parquet or .csv.gz.

    Raises:
        FetchError: if it cannot be written.
    """
    content = _parquet(table) if path.suffix == ".parquet" else _packed(table)
    with whole_file(path) as file:
        file.write(content)


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, compression="zstd", index=False, write_page_checksum=True)
    return buffer.getvalue()


def _packed(table: pd.DataFrame) -> bytes:
    text = table.to_csv(index=False, lineterminator="\n")
    return gzip.compress(text.encode(), mtime=0)  # the same bytes at any time
