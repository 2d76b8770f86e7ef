"""Converted tables as files."""

import gzip
import io
import os
from contextlib import suppress
from pathlib import Path

import pandas as pd

from tailorbird.published.fetching import not_written


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes under a new name and then renames, so that no file is ever half-written.

    Args:
        table: without a meaningful index.
        path: ends in .parquet or .csv.gz.

    Raises:
        FetchError: if it cannot be written.
    """
    content = _parquet(table) if path.suffix == ".parquet" else _packed(table)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise not_written(path, error) from None


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, compression="zstd", index=False)
    return buffer.getvalue()


def _packed(table: pd.DataFrame) -> bytes:
    text = table.to_csv(index=False, lineterminator="\n")
    return gzip.compress(text.encode(), mtime=0)  # the same bytes at any time
