"""What a store of 1,000 to 200,000 rounds costs: a group of programs, a row, a table, an export.

Each program has five rounds of thirty samples. What is kept for a group of sixteen programs is
read, claimed and given back as a profiler does between two groups; a start is what it reads before
the first. Milliseconds are medians. SQLite; a server of PostgreSQL as well where
`TAILORBIRD_TEST_POSTGRES` names one (`python3 tests/postgres.py python benchmarks/store_scale.py`).

Exits with 1 if at 200,000 rounds a group takes 20 ms, a table 2 s, or reading it 500 MiB.
"""

import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sqlalchemy as sa
from scripts import command_line, write_result

from tailorbird.latency_tables import Configuration, Samples, Store
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.store.schema import SAMPLE
from tailorbird.storage.databases.connection import stamp

SIZES = (1_000, 10_000, 50_000, 200_000)
ROUNDS, SAMPLES, GROUP = 5, 30, 16
GOALS = {"group_ms": 20.0, "table_s": 2.0, "table_mib": 500.0}
CONFIGURATION = Configuration("made up", "none", 1, 1, "fake", "1", "none", "fake-1")
SERVER = "TAILORBIRD_TEST_POSTGRES"


def filled(url: str, n: int) -> Store:
    """A store of n rounds, which are put there at once."""
    store, rng = Store(url), np.random.default_rng(0)
    session = store.begin({"kernel": "6"})
    taken = stamp(datetime.now(UTC))
    rows = [
        {
            "uid": uuid.uuid4().hex,
            "taken": taken,
            "key": key_of(i // ROUNDS),
            "configuration": CONFIGURATION.key,
            "session": session,
            "round": i % ROUNDS,
            "ms": rng.lognormal(0, 0.02, SAMPLES).tolist(),
            "hot_ms": rng.lognormal(0, 0.02, SAMPLES // 3).tolist(),
            "status": "measured",
            "reason": None,
            "reference_ms": 1.0 + 0.01 * rng.random(),
            "provenance": {"n_copies": "3"},
        }
        for i in range(n)
    ]
    with store._database.writing() as connection:
        for first in range(0, n, 10_000):
            connection.execute(sa.insert(SAMPLE), rows[first : first + 10_000])
    return store


def key_of(program: int) -> str:
    return f"block(width={program})[1x64x56x56]f32"


def median_ms(work: Callable[[int], object], n: int) -> float:
    taken = []
    for i in range(n):
        start = time.perf_counter()
        work(i)
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def figures(url: str, n: int) -> dict[str, float]:
    """What a store of n rounds costs; the store is there already."""
    store, n_programs = Store(url), n // ROUNDS
    session = store.begin({})

    def group(i: int) -> None:
        keys = [key_of((GROUP * i + k) % n_programs) for k in range(GROUP)]
        store.claim(keys, CONFIGURATION, "owner", 60.0)
        store.taken(CONFIGURATION, ROUNDS, keys)
        store.release(keys, CONFIGURATION, "owner")

    def start() -> None:
        store.references(CONFIGURATION)
        store.taken(CONFIGURATION, ROUNDS)
        store.failed(CONFIGURATION)

    ms = Samples(np.ones(SAMPLES), np.ones(SAMPLES // 3))

    def add(i: int) -> None:
        store.add(key_of(i), CONFIGURATION, session, ROUNDS, ms, 1.0, {"n_copies": "3"})

    return {
        "group_ms": median_ms(group, 20),
        "start_s": seconds(start),
        "add_ms": median_ms(add, 20),
    }


def table(url: str, n: int) -> dict[str, float]:
    """Seconds and MiB that reading a table takes."""
    store, before = Store(url), _peak_mib()
    taken = seconds(lambda: store.table(CONFIGURATION, "made up", ROUNDS))
    return {"table_s": taken, "table_mib": _peak_mib() - before}


def export(url: str, n: int) -> dict[str, float]:
    """Seconds that an export takes, with all samples."""
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "table.parquet"
        return {"export_s": seconds(lambda: files.write(Store(url).record(CONFIGURATION), to))}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(url: str, n: int) -> dict[str, float]:
    """All figures, each kind in a process of its own, whose memory counts from its start."""
    filled(url, n)
    found: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    for kind in (figures, table, export):
        with context.Pool(1) as pool:
            found |= pool.apply(kind, (url, n))
    return found


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    result: dict[str, dict[str, float]] = {}
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[int], str]] = {
            "sqlite": lambda n: f"sqlite:///{Path(folder) / f'{n}.sqlite'}"
        }
        if SERVER in os.environ:
            kinds["postgresql"] = lambda n: database(os.environ[SERVER])
        for kind, url in kinds.items():
            for n in SIZES:
                found = result[f"{kind} {n}"] = measured(url(n), n)
                cells = "  ".join(f"{name} {value:.3g}" for name, value in found.items())
                print(f"{kind:<11}{n:>8,} rounds  {cells}", flush=True)
            missed += [
                f"{kind}: {name} is {found[name]:.3g} at {n:,} rounds, goal {most:g}"
                for name, most in GOALS.items()
                if found[name] >= most
            ]
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    write_result(arguments.json, {**result, "goals": GOALS, "missed": missed})
    sys.exit(bool(missed))


def database(server: str) -> str:
    """URL of a database of its own on a server."""
    name = f"scale_{uuid.uuid4().hex[:8]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
