"""Guard against database files that are deleted, replaced or emptied while SQLite uses them."""

import os

import sqlalchemy as sa

from tailorbird.errors import StoreError


def watch(engine: sa.Engine, path: str) -> None:
    """Lets transactions of an SQLite file fail once its path no longer leads to what it held.

    The open file would take all that is written, and vanish with the process.

    Args:
        engine: of the file.
        path: of the file; the first transaction tells which one it is.
    """
    identity: tuple[int, int] | None = None
    was_empty = True

    def check(connection: sa.Connection) -> None:
        nonlocal identity, was_empty
        try:
            status = os.stat(path)  # noqa: PTH116  # as cheap as can be: it is done often
            found, is_empty = (status.st_dev, status.st_ino), not status.st_size
        except OSError:
            found, is_empty = None, True
        if identity is None:
            identity = found
        what = None
        if found != identity:
            what = "deleted or moved" if found is None else "replaced by another file"
        elif is_empty and not was_empty:
            what = "emptied"
        if what is not None:
            raise StoreError(
                f"The store {path!r} must stay as it is while a command uses it, but was {what}. "
                "Bring it back, or run again to begin anew: what was kept meanwhile is in no file."
            )
        was_empty = is_empty

    sa.event.listen(engine, "begin", check)
    sa.event.listen(engine, "commit", check)
