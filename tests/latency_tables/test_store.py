import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tailorbird.errors import MissingWorkloadError, RecipeError
from tailorbird.latency_tables import Configuration, Latency, Store

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1")


def test_what_was_added_is_read_back_after_reopening(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    store = Store(url)
    session = store.begin({"kernel": "6"})
    store.add("conv", CONFIGURATION, session, 0, np.array([1.0, 2.0, 3.0]))
    store.add("conv", CONFIGURATION, session, 1, np.array([5.0]))
    latency = Store(url).table(CONFIGURATION, "local", 1).entries["conv"]
    assert latency == Latency(2.5, 1.75, 1.0, 4, (2.0, 5.0))
    assert latency.std_ms == pytest.approx(np.std([2.0, 5.0], ddof=1))


def test_rows_of_other_configurations_do_not_mix(store: Store) -> None:
    session = store.begin({})
    store.add("conv", CONFIGURATION, session, 0, np.array([1.0]))
    two_threads = Configuration("a processor", "x86-64-v3", 2, 16, "tvm", "0.27", "static-1")
    assert not store.table(two_threads, "local", 1).entries


def test_a_failure_stands_until_it_is_measured(store: Store) -> None:
    session = store.begin({})
    store.fail("conv", CONFIGURATION, session, "it hung")
    assert store.table(CONFIGURATION, "local", 1).failures == {"conv": "it hung"}
    store.add("conv", CONFIGURATION, session, 0, np.array([1.0]))
    assert store.table(CONFIGURATION, "local", 1).failures == {}


def test_what_failed_at_its_last_try_or_lacks_rounds_is_missing(store: Store) -> None:
    session = store.begin({})
    for key in ("failed", "half", "whole"):
        store.add(key, CONFIGURATION, session, 0, np.array([1.0]))
    store.fail("failed", CONFIGURATION, session, "it hung")
    for key in ("failed", "whole"):
        store.add(key, CONFIGURATION, session, 1, np.array([1.0]))
    store.fail("failed", CONFIGURATION, session, "it hung again")
    assert set(store.table(CONFIGURATION, "local", 2).entries) == {"whole"}
    assert set(store.table(CONFIGURATION, "local", 1).entries) == {"half", "whole"}


def test_the_state_of_the_machine_is_that_of_the_last_measurement(store: Store) -> None:
    assert store.provenance(CONFIGURATION) == {}
    for kernel in ("6.1", "6.2"):
        store.add("conv", CONFIGURATION, store.begin({"kernel": kernel}), 0, np.array([1.0]))
    store.begin({"kernel": "6.3"})  # measured nothing
    assert store.provenance(CONFIGURATION)["kernel"] == "6.2"


def test_a_missing_workload_is_named_with_the_way_out(store: Store) -> None:
    store.add("conv", CONFIGURATION, store.begin({}), 0, np.array([1.0]))
    table = store.table(CONFIGURATION, "my board", 1)
    with pytest.raises(MissingWorkloadError) as caught:
        table.select(["conv", "dense", "pool"])
    assert caught.value.missing == ("dense", "pool")
    assert str(caught.value) == (
        "2 of 3 workloads are not in the table of 'my board' (first: dense). "
        "Measure them with `tailorbird profile RECIPE`."
    )


def test_a_torn_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"SQLite format 3\0 and then nothing that makes sense" * 100)
    before = path.read_bytes()
    with pytest.raises(RecipeError, match="cannot be opened"):
        Store(f"sqlite:///{path}")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "url", ["nonsense://x", "sqlite:////no/such/folder/s.sqlite", "sqlite://h:9x/a"]
)
def test_a_store_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(RecipeError, match="cannot be opened"):
        Store(url)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as other:
        other.execute("create table sample (id integer, colour text)")
    with pytest.raises(RecipeError, match="cannot be opened"):
        Store(f"sqlite:///{tmp_path / 's.sqlite'}")


@pytest.mark.parametrize("ms", [0.0, -1.0, float("nan")])
def test_a_latency_is_finite_and_positive(ms: float) -> None:
    with pytest.raises(ValueError, match="finite and positive"):
        Latency.of_rounds([np.array([ms])])
