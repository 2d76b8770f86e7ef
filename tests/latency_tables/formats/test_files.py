"""Files of records: lossless, whole, and refused if they are anything else."""

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailorbird.errors import RecipeError, WriteError
from tailorbird.latency_tables import Configuration, Record, Samples, Store
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.formats.plain_rows import to_rows
from tailorbird.latency_tables.tables.record import Round, Session, Status
from tailorbird.spaces.footprint import Footprint

SUFFIXES = (".parquet", ".csv", ".json")
CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")
KINDS: list[tuple[Configuration, tuple[Status, ...]]] = [
    (CONFIGURATION, ("measured", "discarded", "failed")),
    (Configuration.imported("a board", 1, 16), ("imported",)),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return tmp_path / "made"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
keys = st.sampled_from(["conv", 'an "odd", key', "# of Ünïcode", "\\ -1", "null"])
times = st.floats(min_value=1e-9, max_value=1e9)
sessions = {
    "s0": Session("2026-01-01T00:00:00+00:00", {"kernel": "6"}),
    "s1": Session("2026-01-02T00:00:00+00:00", {}),
}


@st.composite
def rounds(draw: st.DrawFn, uid: str, statuses: tuple[Status, ...]) -> Round:
    common: dict[str, Any] = {
        "uid": uid,
        "taken": "2026-01-01T00:00:00.000001+00:00",
        "key": draw(keys),
        "session": draw(st.sampled_from(sorted(sessions))),
    }
    status = draw(st.sampled_from(statuses))
    if status == "imported":
        ms = draw(times)
        spreads = st.floats(0, 9).map(lambda relative: repr(relative * ms))
        stated = draw(st.dictionaries(st.just("std_ms"), spreads))
        return Round(**common, status=status, number=0, reference_ms=None, reason=None,
                     samples=Samples(np.array([ms]), np.array([])),
                     provenance={"file": draw(texts), **stated})  # fmt: skip
    if status == "failed":
        return Round(**common, status="failed", number=None, samples=None, reference_ms=None,
                     reason=draw(texts), provenance={})  # fmt: skip
    taken_ms = draw(st.lists(times, min_size=1, max_size=5))
    hot_ms = draw(st.lists(times, max_size=5))
    return Round(
        **common,
        status=status,
        number=draw(st.integers(0, 9)),
        samples=Samples(np.array(taken_ms), np.array(hot_ms)),
        reference_ms=draw(times),
        reason=None,
        provenance=draw(st.dictionaries(texts, texts, max_size=2)),
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    configuration, statuses = draw(st.sampled_from(KINDS))
    taken = tuple(draw(rounds(f"u{i}", statuses)) for i in range(draw(st.integers(0, 6))))
    if configuration.is_imported:  # one value each
        taken = tuple({one.key: one for one in taken}.values())
    counted = {one.key for one in taken if draw(st.booleans())}
    costs = st.builds(Footprint, *[st.integers(0, 2**62)] * 4)
    used = {one.session: sessions[one.session] for one in taken}
    return Record("a board", "tiny(batch=1)", configuration, used, taken,
                  {key: draw(costs) for key in counted})  # fmt: skip


def assert_equal(one: Record, other: Record) -> None:
    assert to_rows(one) == to_rows(other)
    for a, b in zip(one.rounds, other.rounds, strict=True):
        if a.samples and b.samples:
            assert a.samples.ms.dtype == b.samples.ms.dtype == np.float64


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(record=records())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_what_was_written_is_read(folder: Path, suffix: str, record: Record) -> None:
    path = folder / f"table{suffix}"
    files.write(record, path)
    assert_equal(files.read(path), record)
    assert [p.name for p in folder.iterdir()] == [path.name]


@given(record=records())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_importing_gives_what_was_exported_and_twice_adds_nothing(
    urls: Callable[[str], str], record: Record
) -> None:
    store = Store(urls(uuid.uuid4().hex))
    assert store.take_in(record) == len(record.rounds)
    for _ in range(2):
        assert_equal(store.record(record.configuration, record.device, record.space), record)
        assert store.take_in(record) == 0
    both = store.table(record.configuration, "a board", 1), record.table(1)
    assert both[0] == both[1]


def test_what_is_new_in_a_later_export_is_added(tmp_path: Path, urls: Callable[[str], str]) -> None:
    here, there = (Store(urls(name)) for name in "ab")
    session = there.begin({"kernel": "6"})
    for n_rounds in (1, 2, 3):
        taken = Samples(np.array([float(n_rounds)]), np.array([]))
        there.add("conv", CONFIGURATION, session, n_rounds, taken, 1.0, {})
        files.write(there.record(CONFIGURATION, "there", "tiny"), tmp_path / "t.csv")
        assert here.take_in(files.read(tmp_path / "t.csv")) == 1
    assert here.table(CONFIGURATION, "here", 3).entries["conv"].round_ms == (1.0, 2.0, 3.0)
    assert here.record(CONFIGURATION).provenance["kernel"] == "6"


def test_an_old_failure_that_is_imported_voids_nothing_newer(urls: Callable[[str], str]) -> None:
    here, there = (Store(urls(name)) for name in "ab")
    there.fail("conv", CONFIGURATION, there.begin({}), "no linker")
    samples = Samples(np.array([1.0]), np.array([]))
    here.add("conv", CONFIGURATION, here.begin({}), 0, samples, 1.0, {})
    assert here.take_in(there.record(CONFIGURATION, "there", "tiny")) == 1
    table = here.table(CONFIGURATION, "here", 1)
    assert set(table.entries) == {"conv"}
    assert not table.failures


def some() -> Record:
    samples = Samples(np.linspace(1, 2, 20), np.linspace(1, 2, 5))
    taken = tuple(
        Round(
            str(i),
            "2026-01-01T00:00:00+00:00",
            f"conv {i}",
            "s0",
            "measured",
            0,
            samples,
            1.0,
            None,
            {},
        )
        for i in range(20)
    )
    costs = {one.key: Footprint(123456, 2345, 345678, 4567) for one in taken}
    return Record("a board", "tiny", CONFIGURATION, {"s0": sessions["s0"]}, taken, costs)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_torn_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    files.write(some(), path)
    whole = path.read_bytes()
    torn = [whole[:n] for n in range(0, len(whole) - 1, len(whole) // 97)] + [whole[:-2]]
    torn += [whole.replace(b"345678", b"345679"), whole.replace(b"2345", b"2346")]
    if suffix == ".csv":  # lines are whole
        torn += [b"".join(whole.splitlines(keepends=True)[:n]) for n in (-1, -5)]
    for content in torn:
        if content != whole:
            path.write_bytes(content)
            with pytest.raises(RecipeError, match="torn, or no table") as caught:
                files.read(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2]", b"a,b\n1,2\n", b"\xff\0" * 99, b"# 3"])
def test_a_foreign_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="torn, or no table"):
        files.read(path)


def test_another_programs_parquet_is_refused(tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(RecipeError, match="torn, or no table"):
        files.read(tmp_path / "a.parquet")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    files.write(some(), path)
    document = json.loads(path.read_text())
    document["table"]["format"] = 2
    path.write_text(json.dumps(document))
    with pytest.raises(RecipeError, match="has format 2; this tailorbird reads 1"):
        files.read(path)


@pytest.mark.parametrize("name", ["t", "t.xlsx", "t.parqet"])
def test_an_unknown_suffix_is_refused_with_those_that_are_known(folder: Path, name: str) -> None:
    for act in (files.read, lambda path: files.write(some(), path)):
        with pytest.raises(RecipeError, match=r"\.parquet, \.csv, \.json"):
            act(folder / name)
    assert not list(folder.iterdir())


def test_a_place_that_cannot_be_written_is_refused_and_left_as_it_was(folder: Path) -> None:
    (folder / "t.csv").mkdir()
    with pytest.raises(WriteError, match="cannot be written: Is a directory"):
        files.write(some(), folder / "t.csv")
    assert [path.name for path in folder.iterdir()] == ["t.csv"]


def test_configurations_say_in_what_they_differ() -> None:
    other = replace(CONFIGURATION, threads=4, cpu="another")
    assert CONFIGURATION.differences(CONFIGURATION) == {}
    assert other.differences(CONFIGURATION) == {
        "cpu": ("another", "a processor"),
        "threads": (4, 1),
    }
