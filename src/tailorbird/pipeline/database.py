"""The database of a run: measurements, and studies of evaluations beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from tailorbird.errors import RecipeError, UnfitStoreError
from tailorbird.latency_tables import Record, Store


@dataclass(frozen=True)
class RunDatabase:
    """The database that a recipe names, or SQLite in the folder of its run.

    Attributes:
        named: path or URL in the recipe; None for that of the run's own folder.
        folder: of the run.
    """

    named: str | None
    folder: Path

    @property
    def url(self) -> str:
        """URL for SQLAlchemy."""
        store = self.named or str(self.folder / "store.sqlite")
        if "://" in store:
            return store
        return sa.URL.create("sqlite", database=store).render_as_string()

    def may_exist(self) -> bool:
        """True if there may be a database; none is made for the question."""
        return self.named is not None or (self.folder / "store.sqlite").exists()

    def store(self) -> Store:
        """Tables of measurements in the database, the same object each time.

        Raises:
            StoreError: if it is damaged, or its disk is full.
            RecipeError: if it cannot be opened, or is another program's.
        """
        return self._store

    def take_in(self, record: Record) -> int:
        """Adds a record to its tables; returns how many rounds and failures are new.

        Raises:
            RecipeError: if it does not agree with what is held; else as `store` and `take_in`.
        """
        with _named_in_recipe():
            return self.store().take_in(record)

    def checked_url(self) -> str:
        """URL of a database that is fit for use; errors are those of `store`."""
        self.store()
        return self.url

    @cached_property
    def _store(self) -> Store:
        with _named_in_recipe():
            return Store(self.url)


@contextmanager
def _named_in_recipe() -> Iterator[None]:
    """Says by which key of a recipe another store can be named."""
    try:
        yield
    except UnfitStoreError as error:
        raise RecipeError(f"[latency] store: {error}") from None
