"""What only a server does: it dies, refuses, and lets many write at once."""

import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState
from patience import PATIENCE_S
from small_recipe import small

from tailorbird import spaces
from tailorbird.errors import EncodingError, StoreError, UnfitStoreError
from tailorbird.latency_tables import Configuration, Record, Samples, Store
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.latency_tables.store import claims, record_sql
from tailorbird.latency_tables.tables.record import Round, Session
from tailorbird.progress import NoProgress
from tailorbird.search.evaluation import prior_evaluations
from tailorbird.search.evaluation.executors import CHUNK, InProcess
from tailorbird.search.evaluation.optuna_storage import existing
from tailorbird.search.evaluation.study import Study
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.footprint import Footprint
from tailorbird.storage.databases import connection

pytestmark = pytest.mark.postgresql

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")
ONE = Samples(np.array([1.0]), np.array([]))


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """One of our own, which asks for passwords and may be killed."""
    script = Path(__file__).parents[2] / "postgres.py"
    with runpy.run_path(str(script))["Server"]() as started:
        yield started


@pytest.fixture
def url(server: Any) -> Iterator[str]:
    """Of a database of its own."""
    with administration(server) as administrator:
        administrator.execute(sa.text("CREATE DATABASE kept"))
    yield sa.make_url(server.url).set(database="kept").render_as_string(hide_password=False)
    with administration(server) as administrator:
        administrator.execute(sa.text("DROP DATABASE kept WITH (FORCE)"))


def administration(server: Any) -> sa.Connection:
    engine = sa.create_engine(server.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    return engine.connect()


def execute(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as plain:
        for statement in statements:
            plain.execute(sa.text(statement))


def add(store: Store, key: str, session: int, number: int = 0) -> None:
    store.add(key, CONFIGURATION, session, number, ONE, 1.0, {})


def assert_is_a_sentence(error: BaseException) -> None:
    assert "\n" not in str(error)
    assert "secret" not in str(error)
    assert "hunter2" not in str(error)


# What cannot be opened.


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"password": "hunter2"}, "password authentication failed.*Mend the user and the password"),
        ({"username": "nobody"}, "password authentication failed.*Mend the user"),
        ({"database": "none"}, 'database "none" does not exist.*Make it on the server'),
        ({"port": 1}, "Connection refused.*Start the server, or mend host and port"),
        ({"host": "none.invalid"}, "failed to resolve host.*Start the server, or mend host"),
        ({"host": "ter2@h", "password": "hun"}, "two @. Write %40"),
        ({"drivername": "postgresql+psycopg2"}, r"install 'tailorbird\[postgresql\]', and a URL"),
        ({"drivername": "mysql"}, "SQLite or PostgreSQL, but got 'mysql'"),
        ({"query": {"colour": "red"}}, 'invalid connection option "colour"'),
        ({"query": {"options": "-ccolour=red"}}, "unrecognized configuration parameter"),
        ({"query": {"options": "-csearch_path=x"}}, "no schema has been.*CREATE SCHEMA"),
    ],
)
def test_what_cannot_be_opened_is_told_with_the_way_out(
    server: Any, url: str, changed: dict[str, Any], match: str
) -> None:
    with pytest.raises(UnfitStoreError, match=rf"cannot be opened.*{match}") as caught:
        Store(sa.make_url(url).set(**changed).render_as_string(hide_password=False))
    assert_is_a_sentence(caught.value)


def test_every_address_of_a_server_is_tried_and_one_failure_told(url: str) -> None:
    parsed = sa.make_url(url).set(host=None, port=None)
    nowhere = parsed.update_query_dict({"host": ("127.0.0.1:1", "127.0.0.1:2")})
    with pytest.raises(UnfitStoreError, match=r"\(.*port 2 failed: Connection refused\)\. Start"):
        Store(nowhere.render_as_string(hide_password=False))


def test_a_port_where_nobody_speaks_is_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SILENCE_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = sa.make_url(url).set(port=mute.getsockname()[1])
        begin = time.monotonic()
        with pytest.raises(UnfitStoreError, match=r"timeout expired.*Start the server"):
            Store(silent.render_as_string(hide_password=False))
        assert time.monotonic() - begin < 10


def test_a_user_who_may_not_make_tables_is_told_how_to_let_them(server: Any, url: str) -> None:
    execute(url, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'secret'")
    guest = sa.make_url(url).set(username="guest").render_as_string(hide_password=False)
    with pytest.raises(
        UnfitStoreError, match=r"permission denied for schema.*GRANT CREATE"
    ) as caught:
        Store(guest)
    assert_is_a_sentence(caught.value)
    Store(url)
    with pytest.raises(UnfitStoreError, match="permission denied for table version"):
        Store(guest)
    execute(url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
    with pytest.raises(StoreError, match=r"permission denied for table session.*GRANT"):
        Store(guest).begin({})


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        (
            "CREATE TABLE colours (id integer)",
            "belongs to another program, or was damaged .it holds 'colours'",
        ),
        ("CREATE TABLE session (id integer)", "belongs to another program"),
        ("ALTER TABLE sample ADD COLUMN colour text", "belongs to another program"),
        ("DROP TABLE claim", "belongs to another program"),
        ("UPDATE version SET schema = 3", "newer tailorbird .schema 3; this one reads 2"),
    ],
)
def test_another_programs_database_is_refused_and_left_alone(
    url: str, statement: str, match: str
) -> None:
    if not statement.startswith("CREATE"):
        Store(url)
    execute(url, statement)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    before = sa.inspect(engine).get_multi_columns()
    with pytest.raises(UnfitStoreError, match=match) as caught:
        Store(url)
    assert_is_a_sentence(caught.value)
    assert str(sa.inspect(engine).get_multi_columns()) == str(before)


@pytest.mark.parametrize(
    ("encoding", "key"), [("SQL_ASCII", "Ünïcode → %s :x"), ("LATIN1", "Ünïcode %s :x")]
)
def test_text_is_kept_in_a_database_of_another_encoding(
    server: Any, encoding: str, key: str
) -> None:
    with administration(server) as administrator:
        administrator.execute(sa.text("DROP DATABASE IF EXISTS other"))
        administrator.execute(
            sa.text(f"CREATE DATABASE other ENCODING '{encoding}' TEMPLATE template0")
        )
    url = sa.make_url(server.url).set(database="other").render_as_string(hide_password=False)
    store = Store(url)
    session = store.begin({"Ünï": "→"})
    add(store, key, session)
    assert store.claim([key], CONFIGURATION, "me", 60) == {key}
    assert set(store.record(CONFIGURATION).accepted) == {key}
    assert store.record(CONFIGURATION).provenance["Ünï"] == "→"
    if encoding == "LATIN1":
        with pytest.raises(StoreError, match="has no equivalent in encoding") as caught:
            add(store, "→", session)
        assert_is_a_sentence(caught.value)


# What goes wrong later.


def test_a_server_that_dies_in_mid_transaction_leaves_nothing_half(server: Any, url: str) -> None:
    store = Store(url)
    session = store.begin({})
    add(store, "before", session)
    one = Round("u", "2026", "half", "", "measured", 0, ONE, 1.0, None, {})

    def write_while_it_dies() -> None:
        with store._database.writing() as half:
            claims.take(half, ["half"], CONFIGURATION.key, "dead", 3600)
            record_sql.insert(half, one, CONFIGURATION, session)
            server.stop(signal.SIGKILL)
            record_sql.insert(half, replace(one, uid="v"), CONFIGURATION, session)

    try:
        with pytest.raises(StoreError, match=r"failed \(.*\)\. .*run again") as caught:
            write_while_it_dies()
        assert_is_a_sentence(caught.value)
        with pytest.raises(StoreError, match=r"refused.*Start the server.*run again") as caught:
            add(store, "meanwhile", session)
        assert_is_a_sentence(caught.value)
    finally:
        server.start()
    assert set(store.record(CONFIGURATION).accepted) == {"before"}
    assert store.claim(["half"], CONFIGURATION, "heir", 60) == {"half"}
    add(store, "after", session)
    assert set(Store(url).record(CONFIGURATION).accepted) == {"before", "after"}


def test_a_server_that_was_restarted_between_calls_is_not_noticed(server: Any, url: str) -> None:
    store = Store(url)
    session = store.begin({})
    server.stop(signal.SIGQUIT)
    server.start()
    add(store, "conv", session)
    assert set(store.record(CONFIGURATION).accepted) == {"conv"}


def test_a_server_that_wants_no_more_connections_is_told(server: Any, url: str) -> None:
    execute(url, "DROP ROLE IF EXISTS few")
    execute(url, "CREATE ROLE few LOGIN PASSWORD 'secret' CONNECTION LIMIT 0")
    few = sa.make_url(url).set(username="few").render_as_string(hide_password=False)
    with pytest.raises(UnfitStoreError, match=r"too many connections.*Let others end"):
        Store(few)


def test_a_store_that_another_program_holds_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_S", 0.1)
    store = Store(url)
    session = store.begin({})
    add(store, "conv", session)
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as other:
        other.execute(sa.text("LOCK TABLE sample IN EXCLUSIVE MODE"))
        with pytest.raises(StoreError, match=r"lock timeout.*Another program holds it"):
            add(store, "conv", session)
        assert store.record(CONFIGURATION).accepted  # reading goes on
    add(store, "conv", session)


def test_a_machine_that_freezes_in_a_transaction_does_not_hold_up_the_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = Store(url)
    monkeypatch.setattr(connection, "_IDLE_S", 1)
    frozen = Store(url)

    def claim_and_freeze() -> None:
        with frozen._database.writing() as half:
            claims.take(half, ["conv"], CONFIGURATION.key, "frozen", 3600)
            assert others.claim(["conv"], CONFIGURATION, "other", 60) == {"conv"}
            claims.take(half, ["dense"], CONFIGURATION.key, "frozen", 3600)

    with pytest.raises(StoreError, match="idle-in-transaction timeout") as caught:
        claim_and_freeze()
    assert_is_a_sentence(caught.value)
    assert frozen.claim(["conv", "dense"], CONFIGURATION, "frozen", 60) == {"dense"}


CLAIM_AND_HOLD = """
import sys
from tailorbird.latency_tables import Configuration, Store
from tailorbird.latency_tables.store import claims
url = sys.argv[1]
store = Store(url)
configuration = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")
store.claim(["kept"], configuration, "dead", 2)
with store._database.writing() as half:
    claims.take(half, ["half"], configuration.key, "dead", 3600)
    print("held", flush=True)
    input()
"""


def test_what_a_killed_profiler_held_comes_free(url: str) -> None:
    """At once if it was writing, and with its lease if not."""
    dead = subprocess.Popen(
        [sys.executable, "-c", CLAIM_AND_HOLD, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with dead:
        assert dead.stdout is not None
        assert dead.stdout.readline() == "held\n"
        dead.kill()
    store, end = Store(url), time.monotonic() + 10
    assert store.claim(["half"], CONFIGURATION, "heir", 60) == {"half"}
    while not store.claim(["kept"], CONFIGURATION, "heir", 60):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_machine_whose_clock_is_wrong_takes_nothing_from_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(url)
    session = store.begin({})
    assert store.claim(["conv"], CONFIGURATION, "me", 60) == {"conv"}
    for wrong in (timedelta(days=400), timedelta(days=-400)):

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: Any = None, shift: timedelta = wrong) -> Any:
                return datetime.now(tz) + shift

        with monkeypatch.context() as patch:
            patch.setattr(connection, "datetime", Wrong)
            board = Store(url)
            assert not board.claim(["conv"], CONFIGURATION, "board", 60)
            board.fail("conv", CONFIGURATION, session, "it hung")
        add(store, "conv", session)  # is newer
        assert set(store.record(CONFIGURATION).accepted) == {"conv"}
    (taken,) = store.record(CONFIGURATION).accepted["conv"]
    assert abs(datetime.fromisoformat(taken.taken) - datetime.now(UTC)) < timedelta(minutes=1)


def test_who_reads_sees_one_moment_and_writes_nothing(url: str) -> None:
    store = Store(url)
    session = store.begin({})
    add(store, "conv", session)
    count = sa.text("SELECT count(*) FROM sample")
    with store._database.reading() as reader:
        assert reader.scalar(count) == 1
        add(Store(url), "dense", session)
        assert reader.scalar(count) == 1
    assert len(store.record(CONFIGURATION).accepted) == 2
    with pytest.raises(StoreError, match="read-only"), store._database.reading() as reader:
        claims.take(reader, ["conv"], CONFIGURATION.key, "me", 60)


def test_a_copy_that_takes_no_writes_is_told(server: Any, url: str) -> None:
    Store(url)
    copies = server.folder / "data/standby.signal"
    server.stop(signal.SIGINT)
    copies.touch()
    server.start()
    try:
        store = Store(url)
        assert not store.record(CONFIGURATION).accepted
        with pytest.raises(StoreError, match=r"recovery.*Name the server that takes writes"):
            store.begin({})
    finally:
        server.stop(signal.SIGINT)
        copies.unlink()
        server.start()
    store.begin({})


# Many at once.


def at_once(n: int, do: Callable[[int], Any]) -> list[Any]:
    """What is given to each of threads that start together."""
    barrier, given = threading.Barrier(n), [None] * n
    raised: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            given[number] = do(number)
        except Exception as error:  # noqa: BLE001 - told below
            raised.append(error)

    threads = [threading.Thread(target=partial(run, number)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not raised
    return given


@pytest.mark.parametrize("level", ["read committed", "serializable"])
def test_claims_of_many_in_any_order_neither_overlap_nor_deadlock(url: str, level: str) -> None:
    """Whatever the server is set to."""
    execute(url, f"ALTER DATABASE kept SET default_transaction_isolation = '{level}'")
    keys = [f"conv {i}" for i in range(40)]

    def claim(number: int) -> set[str]:
        store, rng, owner = Store(url), np.random.default_rng(number), str(number)
        for _ in range(15):
            ours = store.claim(rng.permutation(keys).tolist(), CONFIGURATION, owner, 60)
            store.renew(rng.permutation(keys).tolist(), CONFIGURATION, owner, 60)
            freed = rng.permutation(sorted(ours)).tolist()[: len(ours) // 2]
            store.release(freed, CONFIGURATION, owner)
        return store.claim(keys, CONFIGURATION, owner, 60)

    owned = [key for ours in at_once(6, claim) for key in ours]
    assert sorted(owned) == sorted(keys)


def test_what_a_program_costs_is_kept_by_profilers_of_many_devices_at_once(url: str) -> None:
    def keep(number: int) -> None:
        store = Store(url)
        for n_macs in range(20):
            store.keep_footprint(f"conv {n_macs}", Footprint(n_macs, 2, 3, 4))

    at_once(6, keep)


def test_machines_that_start_at_once_make_one_store_and_one_study(url: str) -> None:
    space = spaces.get("digits-resnet")

    def make(number: int) -> None:
        Store(url)
        Study(url, "a", space)
        Store(url)

    at_once(6, make)
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as plain:
        for table in ("studies", "version", "version_info", "alembic_version"):
            assert plain.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 1


def test_importers_at_once_take_in_everything_once(url: str) -> None:
    there = Record("a board", "tiny", CONFIGURATION, *of_rounds(200))
    taken = at_once(6, lambda number: Store(url).take_in(there))
    assert sorted(taken) == [0] * 5 + [200]
    kept = Store(url).record(CONFIGURATION)
    assert [one.uid for one in kept.rounds] == [one.uid for one in there.rounds]


def of_rounds(n: int) -> tuple[dict[str, Session], tuple[Round, ...], dict[str, Footprint]]:
    rounds = tuple(
        Round(f"u{i}", "2026", f"conv {i}", "s", "measured", 0, ONE, 1.0, None, {})
        for i in range(n)
    )
    costs = {one.key: Footprint(1, 2, 3, 4) for one in rounds}
    return {"s": Session("2026", {})}, rounds, costs


def test_of_importers_that_contradict_each_other_one_is_refused(url: str) -> None:
    """Which of the two values is right, nobody can tell."""
    configuration = Configuration.imported("their board", 1, 1)
    keys = [f"conv {i}" for i in range(50)]

    def take_in(number: int) -> str:
        stated = [Stated(key, 1.0 + number, None, 1) for key in keys]
        try:
            Store(url).take_in(record_of(stated, {"from": str(number)}, configuration, "tiny"))
        except UnfitStoreError as error:
            return str(error)
        return ""

    told = at_once(4, take_in)
    assert sum(not of for of in told) == 1
    assert sum("does not change what it holds" in of for of in told) == 3
    assert len(Store(url).record(configuration).rounds) == len(keys)


# Evaluations.

SPACE = spaces.get("digits-resnet", batch=1)
X = np.vstack(list(SPACE.enumerate()))[:40]


def value(rows: IntArray) -> FloatArray:
    return np.asarray((rows @ np.arange(1, rows.shape[1] + 1)) / 1e4)


def test_machines_share_a_study_and_know_what_the_others_completed(url: str) -> None:
    def evaluate(number: int) -> FloatArray:
        study = Study(url, "a", SPACE, owner=str(number))
        return study.evaluate(X[5 * number : 5 * number + 20], InProcess(value), NoProgress())

    for number, y in enumerate(at_once(3, evaluate)):
        np.testing.assert_array_equal(y, value(X[5 * number : 5 * number + 20]))
    study = optuna.load_study(storage=existing(url), study_name="a")
    numbers = [trial.number for trial in study.trials]
    assert numbers == list(range(len(numbers)))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    rows, y = prior_evaluations.read_study(url, "a", SPACE)
    assert len(rows) == 30
    np.testing.assert_array_equal(y, value(rows))


def test_a_study_whose_server_dies_goes_on_where_it_was(server: Any, url: str) -> None:
    study = Study(url, "a", SPACE)
    n_asked = 0
    is_killed = False

    def evaluator(rows: IntArray) -> FloatArray:
        nonlocal n_asked, is_killed
        n_asked += len(rows)
        if n_asked >= 3 * CHUNK and not is_killed:
            is_killed = True
            server.stop(signal.SIGKILL)
        return value(rows)

    try:
        with pytest.raises(StoreError, match=r"failed \(.*run again") as caught:
            study.evaluate(X, InProcess(evaluator), NoProgress())
        assert_is_a_sentence(caught.value)
    finally:
        server.start()
    y = study.evaluate(X, InProcess(evaluator), NoProgress())
    np.testing.assert_array_equal(y, value(X))
    assert len(X) <= n_asked <= len(X) + 2 * CHUNK
    trials = optuna.load_study(storage=existing(url), study_name="a").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * len(X)


def test_a_study_that_is_not_there_is_told_without_the_password(url: str) -> None:
    with pytest.raises(
        EncodingError, match="no studies of Optuna where the study 'a' in postgresql"
    ) as caught:
        prior_evaluations.read_study(url, "a", SPACE)
    assert_is_a_sentence(caught.value)


@pytest.mark.slow
def test_the_main_job_keeps_its_table_and_its_study_on_a_server(url: str, tmp_path: Path) -> None:
    def tailorbird(*arguments: str) -> str:
        command = [sys.executable, "-W", "error", "-m", "tailorbird", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for name, store in (("first", url), ("second", url), ("there", f"{tmp_path}/s.sqlite")):
        (tmp_path / f"{name}.toml").write_text(small(name, latency=f'store = "{store}"'))
    tailorbird("run", "first.toml")
    n_rounds = len(tailorbird("table", "show", "first.toml").splitlines())
    tailorbird("run", "second.toml")  # measures nothing but the networks that it reports
    assert "secret" not in "".join(
        path.read_text(errors="replace") for path in (tmp_path / "runs").rglob("*.*")
    )
    assert len(tailorbird("table", "show", "second.toml").splitlines()) >= n_rounds
    tailorbird("table", "export", "first.toml", "t.parquet")
    assert " 0 of " not in tailorbird("table", "import", "there.toml", "t.parquet")
    assert tailorbird("table", "import", "second.toml", "t.parquet").startswith("0 of ")
    assert "mean" in tailorbird("table", "diff", "there.toml", "first.toml")
    assert Store(url).begin({}) > 0
