"""Database files that are deleted or replaced while they are used, which SQLite does not notice."""

import os

import sqlalchemy as sa

from tailorbird.errors import StoreError


def watch(engine: sa.Engine, path: str) -> None:
    """Lets transactions of an SQLite file fail once its path no longer leads to it.

    The open file would take all that is written, and vanish with the process.

    Args:
        engine: of the file.
        path: of the file; the first transaction tells which one it is.
    """
    identity: tuple[int, int] | None = None

    def check(connection: sa.Connection) -> None:
        nonlocal identity
        try:
            status = os.stat(path)  # noqa: PTH116  # as cheap as can be: it is done often
            found = (status.st_dev, status.st_ino)
        except OSError:
            found = None
        if identity is None:
            identity = found
        elif found != identity:
            raise StoreError(
                f"The store {path!r} must stay where it is while a command uses it, but was "
                f"{'deleted or moved' if found is None else 'replaced by another file'}. Bring it "
                "back, or run again to begin anew: what was kept meanwhile is in no file."
            )

    sa.event.listen(engine, "begin", check)
    sa.event.listen(engine, "commit", check)
