import gc
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from patience import PATIENCE_S
from sqlalchemy.dialects.postgresql.base import PGDialect

from tailorbird.errors import (
    DamagedStoreError,
    MeasurementError,
    MissingWorkloadError,
    StoreError,
    UnfitStoreError,
)
from tailorbird.latency_tables import Configuration, Record, Samples, Store
from tailorbird.latency_tables.store import claims
from tailorbird.latency_tables.store import store as store_module
from tailorbird.latency_tables.store.schema import METADATA
from tailorbird.latency_tables.tables.listing import listing, text
from tailorbird.latency_tables.tables.record import Round, Session
from tailorbird.spaces.footprint import Footprint
from tailorbird.storage.databases import connection
from tailorbird.storage.databases.url import masked

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")


def samples(*ms: float, hot: tuple[float, ...] = ()) -> Samples:
    return Samples(np.array(ms), np.array(hot))


def add(store: Store, key: str, *ms: float, session: int | None = None, number: int = 0) -> None:
    session = store.begin({}) if session is None else session
    store.add(key, CONFIGURATION, session, number, samples(*ms), 1.0, {})


def test_what_was_added_is_read_back_after_reopening(url: str) -> None:
    store = Store(url)
    session = store.begin({"kernel": "6"})
    first, second = samples(1.0, 2.0, 3.0, hot=(0.5, 0.7)), samples(5.0, hot=(0.9,))
    store.add("conv", CONFIGURATION, session, 0, first, 1.0, {"n_copies": "3"})
    store.discard("conv", CONFIGURATION, session, 1, samples(99.0), 2.5)
    store.add("conv", CONFIGURATION, session, 1, second, 1.2, {"n_copies": "3"})
    store.keep_footprint("conv", Footprint(10, 20, 80, 40))
    table = Store(url).table(CONFIGURATION, "local", 2)
    latency = table.entries["conv"]
    assert latency.round_ms == (2.0, 5.0)
    assert (latency.n_samples, latency.min_ms) == (4, 1.0)
    assert latency.drift == pytest.approx(1.2 / np.percentile([1.0, 2.5, 1.2], 10))
    assert latency.hot_ms == pytest.approx((0.6 + 0.9) / 2)
    assert table.footprints == {"conv": Footprint(10, 20, 80, 40)}
    assert table.provenance == {"conv": {"n_copies": "3"}}
    taken = Store(url).record(CONFIGURATION).accepted["conv"]
    assert [one.samples.ms.tolist() for one in taken if one.samples] == [[1.0, 2.0, 3.0], [5.0]]
    kept = Store(url).record(CONFIGURATION, "local", "space").rounds
    assert [one.status for one in kept] == ["measured", "discarded", "measured"]


def test_a_footprint_is_kept_once_and_the_last_one_stands(store: Store) -> None:
    add(store, "conv", 1.0)
    for n_macs in (1, 2**40, 2**40):
        store.keep_footprint("conv", Footprint(n_macs, 2, 3, 4))
    assert store.table(CONFIGURATION, "local", 1).footprints["conv"].n_macs == 2**40


@pytest.mark.parametrize(
    "other", [replace(CONFIGURATION, threads=2), replace(CONFIGURATION, timing="2")]
)
def test_rows_of_other_configurations_do_not_mix(store: Store, other: Configuration) -> None:
    add(store, "conv", 1.0)
    assert not store.table(other, "local", 1).entries
    assert not store.record(other).accepted
    assert not store.table(other, "local", 1).footprints


def test_a_failure_stands_until_it_is_measured(store: Store) -> None:
    session = store.begin({})
    store.fail("conv", CONFIGURATION, session, "it hung")
    assert store.table(CONFIGURATION, "local", 1).failures == {"conv": "it hung"}
    store.discard("conv", CONFIGURATION, session, 0, samples(1.0), 3.0)
    assert store.table(CONFIGURATION, "local", 1).failures == {"conv": "it hung"}
    add(store, "conv", 1.0, session=session)
    assert store.table(CONFIGURATION, "local", 1).failures == {}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('an "odd" %s :x \\ reason', 'an "odd" %s :x \\ reason'),
        ("two\nlines → 🐦", "two\nlines → 🐦"),
        ("core dumped\0\0", r"core dumped\0\0"),
        (b"torn \xff".decode(errors="surrogateescape"), r"torn \udcff"),
    ],
)
def test_whatever_a_program_said_before_it_died_is_kept(store: Store, said: str, kept: str) -> None:
    key = said.partition("\0")[0].encode("ascii", "replace").decode()
    store.fail(key, CONFIGURATION, store.begin({key: key}), said)
    assert store.table(CONFIGURATION, "local", 1).failures == {key: kept}
    assert store.claim([key], CONFIGURATION, key, 60) == {key}
    add(store, key, 1.0)
    assert set(store.record(CONFIGURATION).accepted) == {key}


def test_what_profilers_see_as_done_is_what_tables_show(store: Store) -> None:
    """A failure voids earlier rounds for both, so that what is refused is also tried again."""
    session = store.begin({})
    rng = np.random.default_rng(0)
    for _ in range(60):
        key = str(rng.integers(5))
        if rng.random() < 0.3:
            store.fail(key, CONFIGURATION, session, "it hung")
        else:
            add(store, key, 1.0, session=session)
        taken = store.record(CONFIGURATION).accepted
        for rounds in (1, 2, 3):
            table = store.table(CONFIGURATION, "local", rounds)
            assert set(table.entries) == {k for k, of in taken.items() if len(of) >= rounds}
            assert not table.failures.keys() & taken.keys()


def test_the_state_of_the_machine_is_that_of_the_last_measurement(store: Store) -> None:
    assert store.record(CONFIGURATION).provenance == {}
    for kernel in ("6.1", "6.2"):
        add(store, "conv", 1.0, session=store.begin({"kernel": kernel}))
    store.begin({"kernel": "6.3"})  # measured nothing
    assert store.record(CONFIGURATION).provenance["kernel"] == "6.2"


def test_a_missing_workload_is_named_with_the_way_out(store: Store) -> None:
    add(store, "conv", 1.0)
    table = store.table(CONFIGURATION, "my board", 1)
    with pytest.raises(MissingWorkloadError) as caught:
        table.select(["conv", "dense", "pool"])
    assert caught.value.missing == ("dense", "pool")
    assert str(caught.value) == (
        "2 of 3 workloads are not in the table of 'my board' (first: dense). "
        "Measure them with `tailorbird profile RECIPE`."
    )


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_time_is_not_kept(store: Store, bad: float) -> None:
    session = store.begin({})
    refused = r"finite and positive|must have samples|no samples"
    for ms, hot, reference_ms in (
        ((1.0, bad), (), 1.0),
        ((1.0,), (bad,), 1.0),
        ((1.0,), (), bad),
        ((), (), 1.0),
    ):
        with pytest.raises((ValueError, MeasurementError), match=refused):
            store.add("conv", CONFIGURATION, session, 0, samples(*ms, hot=hot), reference_ms, {})
    assert not store.record(CONFIGURATION).rounds


class TestClaims:
    def claim(self, store: Store, owner: str, lease_s: float = 60, keys: str = "abc") -> set[str]:
        return store.claim(list(keys), CONFIGURATION, owner, lease_s)

    def test_a_key_has_one_owner_until_it_is_released(self, store: Store) -> None:
        assert self.claim(store, "me", keys="ab") == {"a", "b"}
        assert self.claim(store, "you") == {"c"}
        assert self.claim(store, "me", keys="abb") == {"a", "b"}
        store.release(["a", "c"], CONFIGURATION, "me")  # of c there is nothing to give back
        assert self.claim(store, "you") == {"a", "c"}
        assert store.claim(["b"], replace(CONFIGURATION, batch=1), "you", 60) == {"b"}
        assert self.claim(store, "me", keys="") == set()

    def test_what_a_dead_owner_held_comes_free_and_a_living_one_renews(self, store: Store) -> None:
        assert self.claim(store, "dead", lease_s=0.2, keys="ab") == {"a", "b"}
        self.claim(store, "dead", lease_s=60, keys="a")
        time.sleep(0.25)
        assert self.claim(store, "heir") == {"b", "c"}
        assert self.claim(store, "dead") == {"a"}

    @pytest.mark.long
    def test_processes_that_claim_at_once_share_without_overlap(self, url: str) -> None:
        """They also open, and make, the store at once."""
        command = [sys.executable, "-c", CLAIM_ONE_BY_ONE, url]
        started = [
            subprocess.Popen([*command, owner], stdout=subprocess.PIPE, text=True)
            for owner in ("a", "b", "c")
        ]
        claimed = [process.communicate(timeout=PATIENCE_S)[0].split() for process in started]
        assert sorted(key for keys in claimed for key in keys) == sorted(map(str, range(60)))


CLAIM_ONE_BY_ONE = """
import sys
import numpy as np
from tailorbird.latency_tables import Configuration, Samples, Store
url, owner = sys.argv[1:]
configuration = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")
store = Store(url)
session = store.begin({})
for key in map(str, range(60)):
    if store.claim([key], configuration, owner, 60):
        store.add(key, configuration, session, 0, Samples(np.ones(5), np.ones(2)), 1.0, {})
        print(key)
"""


def test_a_store_can_be_made_on_postgresql_as_well() -> None:
    dialect: sa.Dialect = PGDialect()  # type: ignore[no-untyped-call]
    for table in METADATA.sorted_tables:
        statement = str(sa.schema.CreateTable(table).compile(dialect=dialect))
        assert "CREATE TYPE" not in statement
        assert table.name in statement


# What is refused.


def refused(path: Path, match: str) -> None:
    before = path.read_bytes()
    with pytest.raises(StoreError, match=match) as caught:
        Store(f"sqlite:///{path}")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def filled(path: Path) -> Path:
    store = Store(f"sqlite:///{path}")
    session = store.begin({})
    for i in range(300):
        add(store, f"conv {i}", *np.linspace(1, 2, 20).tolist(), session=session)
    store._database._engine.dispose()
    return path


def test_a_torn_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"SQLite format 3\0 and then nothing that makes sense" * 100)
    refused(path, "cannot be opened .*SQLite's integrity check .*was damaged")


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9])
def test_a_file_torn_anywhere_is_refused_and_left_alone(tmp_path: Path, where: float) -> None:
    path = filled(tmp_path / "s.sqlite")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(where * len(whole))])
    refused(path, "cannot be opened .*SQLite's integrity check .*was damaged")
    hole = int(where * len(whole)) // 4096 * 4096
    path.write_bytes(whole[:hole] + b"torn" * 1024 + whole[hole + 4096 :])
    refused(path, "cannot be opened .*SQLite's integrity check .*was damaged")


@pytest.mark.parametrize("table", ["sample", "session", "version", "colours"])
def test_another_programs_database_is_refused(tmp_path: Path, table: str) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as other:
        other.execute(f"create table {table} (id integer, colour text)")
    refused(tmp_path / "s.sqlite", "belongs to another program")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("update version set schema = 3", "newer tailorbird .schema 3; this one reads 2.. Update"),
        ("delete from version", "another program"),
        ("alter table sample add column colour text", "another program"),
        ("drop table claim", "another program"),
    ],
)
def test_a_store_of_another_version_is_refused(tmp_path: Path, change: str, match: str) -> None:
    path = filled(tmp_path / "s.sqlite")
    with sqlite3.connect(path) as other:
        other.execute(change)
    other.close()
    refused(path, match)


def test_a_store_of_the_first_version_is_to_be_moved_away(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as old:
        old.execute("create table session (id integer primary key, started text, provenance json)")
        old.execute(
            "create table sample (id integer primary key, key text, configuration text, "
            "session integer, round integer, ms float, status text, reason text)"
        )
    refused(tmp_path / "s.sqlite", r"older tailorbird \(schema 1; this one reads 2\). Move it away")


def test_a_store_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, match in ((tmp_path, "is a folder"), (tmp_path / "pipe", "is a pipe")):
        with pytest.raises(UnfitStoreError, match=f"A store must be a file, but '.*' {match}"):
            Store(f"sqlite:///{path}")


def test_any_flipped_bit_is_told_or_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = Store(f"sqlite:///{path}")
    session = store.begin({"kernel": "6"})
    for i in range(20):
        add(store, f"conv {i}", *np.linspace(1, 2, 20).tolist(), session=session)
    del store
    gc.collect()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    said = []
    for place in rng.choice(np.flatnonzero(np.frombuffer(whole, np.uint8)), 60, replace=False):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        for name in ("s.sqlite", "s.sqlite-wal", "s.sqlite-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        path.write_bytes(flipped)
        try:
            Store(f"sqlite:///{path}").record(CONFIGURATION).table(1)
        except StoreError as error:
            said.append(str(error))
    assert len(said) > 10
    assert not [sentence for sentence in said if "\n" in sentence]


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://x",
        "sqlite:////no/such/folder/s.sqlite",
        "sqlite://h:9x/a",
        "",
        "://",
        "sqlite:///s.sqlite?mode=ro",
    ],
)
def test_a_store_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(UnfitStoreError, match="cannot be opened"):
        Store(url)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite:///file:x?mode=memory&uri=1"],
)
def test_a_store_that_would_not_stay_is_refused(url: str) -> None:
    with pytest.raises(UnfitStoreError, match="must be a file that stays"):
        Store(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:1/x",
        "postgresql://me@127.0.0.1:1/x?password=hunter2",
        "mysql://me:hunter2@h/x",
        "oops://me:hunter2@h/x",
    ],
)
def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(UnfitStoreError) as caught:
        Store(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in masked(url)


# What goes wrong later.


def test_a_full_disk_is_told_and_leaves_whole_rounds(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 's.sqlite'}")

    def limit(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA max_page_count=40")

    sa.event.listen(store._database._engine, "connect", limit)
    store._database._engine.dispose()
    session = store.begin({})
    done: list[int] = []

    def fill() -> None:
        while True:
            add(store, "conv", *np.linspace(1, 2, 40).tolist(), session=session)
            done.append(1)

    with pytest.raises(StoreError, match=r"database or disk is full.*Make room"):
        fill()
    taken = store.record(CONFIGURATION).accepted["conv"]
    assert {len(one.samples.ms) for one in taken if one.samples} == {40}
    assert len(taken) == len(done) > 10
    record = store.record(CONFIGURATION)
    big = [replace(one, uid=f"{one.uid}{i}") for one in record.rounds for i in range(9)]
    with pytest.raises(StoreError, match="full"):
        store.take_in(replace(record, rounds=tuple(big)))
    assert len(store.record(CONFIGURATION).accepted["conv"]) == len(done)


def test_a_file_that_may_not_grow_is_told_and_opens_again(tmp_path: Path) -> None:
    """The kernel refuses the writes, in a process of its own."""
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    Store(url)
    program = (
        "import resource, sys; sys.path[:0] = sys.argv[2:]\n"
        "import test_store as t\n"
        "from tailorbird.errors import StoreError\n"
        "store = t.Store(sys.argv[1]); session = store.begin({})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try:\n"
        "    while True: t.add(store, 'conv', *[1.0] * 40, session=session)\n"
        "except StoreError as error: print(error)\n"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", program, url, str(here), str(here.parents[1])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "What was kept" in done.stdout or "run again" in done.stdout
    taken = Store(url).record(CONFIGURATION).accepted["conv"]
    assert {len(one.samples.ms) for one in taken if one.samples} == {40}


def test_a_store_that_another_program_holds_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.1)
    path = tmp_path / "s.sqlite"
    store = Store(f"sqlite:///{path}")
    add(store, "conv", 1.0)
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked.*Another program holds it"):
        store.begin({})
    assert store.record(CONFIGURATION).accepted  # reading goes on
    other.close()
    store.begin({})


def test_a_store_that_turns_read_only_is_told(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 's.sqlite'}")

    def limit(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA query_only=1")

    sa.event.listen(store._database._engine, "connect", limit)
    store._database._engine.dispose()
    with pytest.raises(StoreError, match=r"readonly.*writable"):
        store.begin({})


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_deleted_or_replaced_while_it_is_open_is_told(
    tmp_path: Path, is_replaced: bool
) -> None:
    path = tmp_path / "s.sqlite"
    store = Store(f"sqlite:///{filled(path)}")
    before = store.record(CONFIGURATION).accepted
    moved = path.rename(tmp_path / "moved.sqlite")
    if is_replaced:
        filled(path)
    what = "replaced by another file" if is_replaced else "deleted or moved"
    for act in (lambda: store.record(CONFIGURATION).accepted, lambda: store.begin({})):
        with pytest.raises(StoreError, match=f"was {what}. Bring it back, or run again"):
            act()
    assert path.exists() == is_replaced  # none is made in its place
    moved.replace(path)
    assert store.record(CONFIGURATION).accepted.keys() == before.keys()  # it is back


def test_a_file_that_is_torn_while_it_is_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = Store(f"sqlite:///{filled(path)}")
    path.write_bytes(b"torn" * 10_000)
    store._database._engine.dispose()
    with pytest.raises(StoreError, match=r"not a database.*move it away"):
        store.record(CONFIGURATION)


@pytest.mark.parametrize(
    "damage",
    [
        *(f"ms = '{cell}'" for cell in ("[1.0", "[null]", "[-1.0]", '"x"', "7")),
        *(f"provenance = '{cell}'" for cell in ("3", "[]", '{"a": 1}', '{"a": "b"')),
        *("status = 'meazured'", "session = 99", "taken = x'ff'", "uid = x'00ff'"),
        *("taken = cast(x'32ff' as text)", "reference_ms = 'x'", "round = null"),
    ],
)
def test_a_damaged_cell_is_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.sqlite"
    store = Store(f"sqlite:///{path}")
    add(store, "conv", 1.0)
    record = store.record(CONFIGURATION)
    with sqlite3.connect(path) as connection:
        connection.execute(f"update sample set {damage}")
    told = r"integrity check finds nothing else\)\. (Move it|It was damaged: move it) away"
    with pytest.raises(DamagedStoreError, match=told):
        store.take_in(record)
    with pytest.raises(DamagedStoreError, match=told):
        store.table(CONFIGURATION, "local", 1)


class Clock:
    """Of the host, set by hand; PostgreSQL's own is not asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        for module in (store_module, claims):
            monkeypatch.setattr(module, "clock", lambda _: datetime.now(UTC) + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("days", [365, -20_000])
def test_wherever_the_clock_stood_the_order_of_the_store_counts(
    store: Store, clock: Clock, days: int
) -> None:
    session = store.begin({})
    add(store, "good", 1.0, session=session)
    add(store, "bad", 1.0, session=session)
    clock.ahead = timedelta(days=days)
    store.fail("good", CONFIGURATION, session, "board was unplugged")
    add(store, "bad", 1.0, session=session)
    clock.ahead = timedelta(0)
    for number in range(3):
        add(store, "good", 2.0, session=session, number=number)
    store.fail("bad", CONFIGURATION, session, "it hung")
    table = store.table(CONFIGURATION, "local", 1)
    assert table.entries["good"].round_ms == (2.0, 2.0, 2.0)
    assert table.failures == {"bad": "it hung"}
    assert {key: len(of) for key, of in store.record(CONFIGURATION).accepted.items()} == {"good": 3}


def test_stamps_that_are_yet_to_come_are_marked(store: Store, clock: Clock) -> None:
    session = store.begin({})
    clock.ahead = timedelta(days=365)
    year = (datetime.now(UTC) + clock.ahead).year
    add(store, "early", 1.0, session=session)
    store.fail("hung", CONFIGURATION, session, "it hung")
    store.fail("mended", CONFIGURATION, session, "it hung")
    clock.ahead = timedelta(minutes=5)  # as clocks of two machines differ
    add(store, "now", 1.0, session=session)
    add(store, "mended", 1.0, session=session)
    record = store.record(CONFIGURATION, "local")
    found: Any = listing(record, 1)
    doubts = {row["workload"]: row["doubts"] for row in found["rows"]}
    assert any(f"stamped {year}-" in doubt for doubt in doubts["early"])
    assert any(f"stamped {year}-" in doubt for doubt in doubts["mended"])
    assert not any("stamped" in doubt for doubt in doubts["now"])
    assert f"it hung; stamped {year}-" in found["failures"]["hung"]
    shown = text(record, 1)
    assert shown.count(f"stamped {year}-") == 3


def test_a_lease_from_when_the_clock_was_ahead_holds_nobody_up(store: Store, clock: Clock) -> None:
    clock.ahead = timedelta(days=365)
    assert store.claim(["conv", "dense"], CONFIGURATION, "dead", 60) == {"conv", "dense"}
    clock.ahead = timedelta(0)
    assert store.claim(["conv"], CONFIGURATION, "heir", 60) == {"conv"}
    assert store.claim(["conv"], CONFIGURATION, "other", 60) == set()


def failed(key: str, uid: str, taken: str = "9999-01-01T00:00:00.000000+00:00") -> Round:
    return Round(uid, taken, key, "theirs", "failed", None, None, None, "it hung", {})


def measured(key: str, uid: str, ms: float, reference_ms: float = 1.0) -> Round:
    taken = "2026-01-01T00:00:00.000000+00:00"
    return Round(uid, taken, key, "theirs", "measured", 0, samples(ms), reference_ms, None, {})


def theirs(*rounds: Round) -> Record:
    sessions = {"theirs": Session("2026-01-01T00:00:00+00:00", {})}
    return Record("another", "tiny", CONFIGURATION, sessions, rounds, {})


def test_an_import_never_voids_what_was_measured_here(store: Store) -> None:
    add(store, "conv", 1.0)
    add(store, "dense", 1.0)
    store.fail("pool", CONFIGURATION, store.begin({}), "it hung here")
    before = store.table(CONFIGURATION, "local", 1)
    for at in ("9999-01-01T00:00:00.000000+00:00", "1999-01-01T00:00:00.000000+00:00"):
        tries = [
            failed("conv", f"a{at}", at), measured("conv", f"b{at}", 2.0),
            failed("dense", f"c{at}", at), measured("pool", f"d{at}", 3.0),
            *(measured("conv", f"{i}{at}", 1e-6, reference_ms=1e-9) for i in range(9)),
            failed("new", f"e{at}", at), measured("other", f"f{at}", 4.0),
        ]  # fmt: skip
        assert store.take_in(theirs(*tries)) == len(tries)
        assert store.take_in(theirs(*tries)) == 0
    table = store.table(CONFIGURATION, "local", 1)
    for key in ("conv", "dense"):
        assert table.entries[key] == before.entries[key]
        assert table.entries[key].drift == 1.0
    assert table.failures == {"pool": "it hung here", "new": "it hung"}
    assert table.entries["other"].round_ms == (4.0, 4.0)
    assert store.references(CONFIGURATION) == [1.0, 1.0]
    store.fail("conv", CONFIGURATION, store.begin({}), "it hangs here, too")
    assert "conv" not in store.table(CONFIGURATION, "local", 1).entries
    add(store, "other", 5.0)  # from now on, what is measured here decides
    assert store.table(CONFIGURATION, "local", 1).entries["other"].round_ms == (5.0,)


def test_failures_of_a_file_void_its_own_rounds_and_no_others(store: Store) -> None:
    tries = [measured("conv", f"a{i}", 1.0) for i in range(3)]
    tries += [failed("conv", "b"), *(measured("conv", f"c{i}", 3.0) for i in range(2))]
    store.take_in(theirs(*tries))
    assert store.table(CONFIGURATION, "d", 1).entries["conv"].round_ms == (3.0, 3.0)
    assert store.take_in(theirs(*tries, failed("conv", "d"))) == 1
    assert store.take_in(theirs(failed("conv", "e"), measured("conv", "f", 4.0))) == 2
    table = store.table(CONFIGURATION, "d", 1)
    assert sorted(table.entries["conv"].round_ms) == [3.0, 3.0]  # d comes after f, and both first
    assert not table.failures
    assert store.take_in(store.record(CONFIGURATION, "another", "tiny")) == 0


def test_what_is_exported_is_imported_in_its_order(
    store: Store, urls: Callable[[str], str]
) -> None:
    session = store.begin({"kernel": "6"})
    add(store, "conv", 1.0, session=session)
    store.fail("conv", CONFIGURATION, session, "it hung")
    add(store, "conv", 2.0, session=session)
    there = Store(urls("there"))
    record = store.record(CONFIGURATION, "another", "tiny")
    assert there.take_in(record) == 3
    assert there.table(CONFIGURATION, "d", 1).entries == record.table(1).entries
    again = there.record(CONFIGURATION, "another", "tiny")
    assert again.sessions == record.sessions  # the mark of an import does not travel
    assert again.imported == set(again.sessions)
    assert not record.imported


def test_rounds_from_a_file_are_gone_on_from_where_they_are_enough(store: Store) -> None:
    store.take_in(theirs(*(measured("conv", f"a{i}", 1.0) for i in range(2))))
    assert {key: len(of) for key, of in store.taken(CONFIGURATION, 2).items()} == {"conv": 2}
    assert store.taken(CONFIGURATION, 3) == {}
    add(store, "conv", 2.0)
    assert {key: len(of) for key, of in store.taken(CONFIGURATION, 3).items()} == {"conv": 1}


def test_what_is_taken_is_what_a_record_accepts(store: Store) -> None:
    """The fast path, without samples, against that by whole records."""
    rng = np.random.default_rng(0)
    keys = [f"program {i}" for i in range(6)]
    session = store.begin({"kernel": "6"})
    for number in range(60):
        key, fate = keys[rng.integers(6)], rng.random()
        if fate < 0.2:
            store.fail(key, CONFIGURATION, session, "it hung")
        elif fate < 0.4:
            store.discard(key, CONFIGURATION, session, number, samples(9.0), 3.0)
        elif fate < 0.6:
            store.take_in(theirs(measured(key, f"a{number}", 1.0), failed(key, f"b{number}")))
        else:
            add(store, key, 1.0, session=session, number=number)
    record = store.record(CONFIGURATION)
    wanted = {
        key: [one.number for one in of]
        for key, of in record.accepted.items()
        if len(of) >= 3 or of[0].session not in record.imported
    }
    assert store.taken(CONFIGURATION, 3) == wanted
    some = {key: of for key, of in wanted.items() if key in keys[:3]}
    assert store.taken(CONFIGURATION, 3, keys[:3]) == some
    assert store.failed(CONFIGURATION) == {*record.table(1).failures}
    references = [one.reference_ms for one in record.rounds if one.session not in record.imported]
    assert store.references(CONFIGURATION) == [ms for ms in references if ms is not None]
