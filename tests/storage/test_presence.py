"""What SQLite does not notice of a file that it has open."""

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from tailorbird.errors import StoreError
from tailorbird.storage.databases.presence import watch


def test_a_file_that_is_emptied_while_it_is_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    engine = sa.create_engine(f"sqlite:///{path}")
    watch(engine, str(path))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept (n integer)"))
    with engine.begin() as connection:  # it was empty once, which is no fault
        connection.execute(sa.text("INSERT INTO kept VALUES (1)"))
        os.truncate(path, 0)
        with pytest.raises(StoreError, match=r"was emptied. Bring it back, or run again"):
            connection.commit()
        connection.rollback()
    engine.dispose()
