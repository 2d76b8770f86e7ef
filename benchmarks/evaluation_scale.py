"""Evaluations by several processes: how many a second, and what the coordinator costs.

An evaluator that takes 20 ms for each network, and does nothing, evaluates networks that a study
asks for, on SQLite. Workers are processes that share the store, as `tailorbird evaluate` does, one
of which is whoever asks; and actors of Ray. Then a study asks an evaluator that takes no time for
10,000 networks, and for a hundred more, five at a time, as a guided search does.

Exits with 1 if two and four workers of either kind are not 1.8 and 3.4 times as fast as one, or if
the coordinator takes more than 5 ms for an evaluation. Five minutes on two quiet cores.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # nodes are at 127.0.0.1 then
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.latency_tables import Store
from tailorbird.progress import NoProgress
from tailorbird.search.evaluation.executors import Evaluator, InProcess
from tailorbird.search.evaluation.study import Study
from tailorbird.search.evaluation.worker_pool import Workers
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

GOALS = {2: 1.8, 4: 3.4}
MOST_MS = 5.0
SECONDS = 0.02
N_ASKED = 1_000
N_TRIALS, N_BATCHES, BATCH = 10_000, 20, 5


def space() -> SearchSpace:
    """Networks enough."""
    return spaces.get("cifar-elastic", batch=1)


def value(X: IntArray) -> FloatArray:
    """Some number for each row, at once."""
    return np.asarray(X.sum(axis=1) / 1e3)


def slow(X: IntArray) -> FloatArray:
    """As `value`, after 20 ms for each row."""
    time.sleep(SECONDS * len(X))
    return value(X)


class Slow:
    """Makes the slow evaluator in another process."""

    def __call__(self) -> Evaluator:
        """The evaluator."""
        return slow


def take_part(url: str, number: int) -> None:
    """Evaluates what is asked for until the study is complete, one network at a time."""
    study = Study(url, "scale", space(), owner=f"helper {number}")
    (Path(url.removeprefix("sqlite:///")).parent / f"ready-{number}").touch()
    while not study.is_complete:
        if not sum(study.take_part(InProcess(slow, 1), NoProgress())):
            time.sleep(0.01)


def shared(n: int, X: IntArray, folder: Path) -> float:
    """Evaluations a second by so many processes that share a store, whoever asks among them."""
    url = f"sqlite:///{folder}/shared-{n}.sqlite"
    Store(url)
    study = Study(url, "scale", space(), owner="coordinator")
    context = multiprocessing.get_context("spawn")
    helpers = [context.Process(target=take_part, args=(url, i)) for i in range(n - 1)]
    for helper in helpers:
        helper.start()
    while not all((folder / f"ready-{i}").exists() for i in range(n - 1)):
        time.sleep(0.05)
    begun = time.perf_counter()
    y = study.evaluate(X, InProcess(slow, 1), NoProgress())
    seconds = time.perf_counter() - begun
    study.complete()
    for helper in helpers:
        helper.join()
    np.testing.assert_array_equal(y, value(X))
    return len(X) / seconds


def by_ray(n: int, X: IntArray, folder: Path) -> float:
    """Evaluations a second by so many actors."""
    import ray

    from tailorbird.search.evaluation.ray_actors import RayCluster

    if not ray.is_initialized():
        ray.init(num_cpus=max(GOALS), include_dashboard=False, log_to_driver=False)
    url = f"sqlite:///{folder}/ray-{n}.sqlite"
    Store(url)
    study = Study(url, "scale", space(), owner="coordinator")
    with Workers(Slow(), n, chunk=1, place=RayCluster()) as actors:
        study.evaluate(X[:n], actors, NoProgress())  # they start
        begun = time.perf_counter()
        y = study.evaluate(X, actors, NoProgress())
        seconds = time.perf_counter() - begun
    np.testing.assert_array_equal(y, value(X))
    return (len(X) - n) / seconds


def coordinator_ms(X: IntArray, folder: Path) -> dict[str, float]:
    """Milliseconds for an evaluation that takes no time, all at once and beside all of them."""
    url = f"sqlite:///{folder}/many.sqlite"
    Store(url)
    study = Study(url, "scale", space(), owner="coordinator")
    executor = InProcess(value, 1)
    begun = time.perf_counter()
    study.evaluate(X[:N_TRIALS], executor, NoProgress())
    together = (time.perf_counter() - begun) / N_TRIALS
    begun = time.perf_counter()
    for batch in np.split(X[N_TRIALS : N_TRIALS + N_BATCHES * BATCH], N_BATCHES):
        study.evaluate(batch, executor, NoProgress())
    beside = (time.perf_counter() - begun) / (N_BATCHES * BATCH)
    return {"10,000 at once": 1e3 * together, "5 at a time, beside 10,000": 1e3 * beside}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--kinds", nargs="*", default=["shared", "ray"])
    arguments = parser.parse_args()
    kinds: dict[str, Callable[[int, IntArray, Path], float]] = {"shared": shared, "ray": by_ray}
    of, missed = space(), list[str]()
    X = np.unique(of.sample(4 * N_TRIALS, np.random.default_rng(0)), axis=0)
    np.random.default_rng(0).shuffle(X)
    result: dict[str, object] = {"goals": GOALS, "goal_ms": MOST_MS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in arguments.kinds:
            speeds = {n: kinds[kind](n, X[:N_ASKED], folder) for n in (1, *GOALS)}
            result[kind] = speeds
            print(f"{kind}: {speeds[1]:.1f} evaluations a second by one worker", flush=True)
            for n, goal in GOALS.items():
                ratio = speeds[n] / speeds[1]
                print(f"{kind}: {n} workers {speeds[n]:.1f}, {ratio:.2f} times, goal {goal:g}")
                if not ratio >= goal:
                    missed.append(f"{kind}, {n} workers: {ratio:.2f} times, goal {goal:g}")
        result["coordinator_ms"] = costs = coordinator_ms(X, folder)
        for what, cost in costs.items():
            print(f"coordinator, {what}: {cost:.2f} ms for an evaluation, goal at most {MOST_MS:g}")
            if not cost <= MOST_MS:
                missed.append(f"coordinator, {what}: {cost:.2f} ms, goal at most {MOST_MS:g}")
    write_result(arguments.json, result)
    for line in missed:
        print(f"MISSED {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
