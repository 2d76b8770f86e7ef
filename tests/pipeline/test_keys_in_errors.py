"""Errors of what a recipe names bear its key, however far below they were raised."""

from pathlib import Path

import pytest

from tailorbird.cli.app import _told
from tailorbird.errors import (
    DamagedStoreError,
    ReadOnlyStoreError,
    RecipeError,
    StoreError,
    UnfitStoreError,
)
from tailorbird.latency_tables import Configuration
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.opening import open_recipe


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ('[device]\ntarget = "a b"', r"^\[device\]: A target must be LLVM's name of a CPU.*'a b'"),
        ("[device]\nthreads = 9999", r"^\[device\]: `1 <= threads <= \d+` must hold"),
        (
            '[device]\nname = "nowhere"',
            r"no device named 'nowhere'; .* stands in \[device\] and \[latency\]",
        ),
        (
            '[device]\nname = "epyc-avx512"\nbatch = 3',
            r"table / recipe: .*batch: \d+ / 3.* stands in \[device\] and \[latency\]",
        ),
        (
            '[latency]\nadapt_from = ["nowhere"]',
            r"^\[latency\] adapt_from: There is no device named 'nowhere'",
        ),
        (
            '[device]\nname = "local"\n[latency]\nruntime = "imported"',
            r"^With \[latency\] runtime = 'imported', \[device\] name must say of which device",
        ),
    ],
)
def test_what_is_no_device_is_told_with_its_key(tmp_path: Path, tables: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'name = "a"\n[space]\nname = "deit-ti-s-b"\n{tables}\n')
    with pytest.raises(RecipeError, match=message):
        open_recipe(path)


def test_a_store_that_does_not_fit_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^\[latency\] store: A store must be a file"):
        RunDatabase(str(tmp_path), tmp_path).store()
    database = RunDatabase(str(tmp_path / "store.sqlite"), tmp_path)
    configuration = Configuration.imported("a board", 1, 1)
    one, other = (
        record_of([Stated("a", ms, None, 1)], {}, configuration, "tiny") for ms in (1.0, 2.0)
    )
    assert database.take_in(one) == 1
    with pytest.raises(RecipeError, match=r"^\[latency\] store: a has 1.0 ms in the store"):
        database.take_in(other)


@pytest.mark.parametrize(
    ("error", "code"),
    [(StoreError("Full."), 1), (ReadOnlyStoreError("Kept."), 2), (UnfitStoreError("None."), 2)],
)
def test_a_store_that_fails_later_is_told_with_its_key(error: StoreError, code: int) -> None:
    assert _told(error, None) == (code, f"{error} Another can be named in [latency] store.")
    assert _told(DamagedStoreError("Torn."), None) == (2, "Torn.")
