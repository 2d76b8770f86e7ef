"""Actors on two nodes of a cluster of Ray, of which one is killed; all on this machine."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listed_work import Listed

from tailorbird.errors import EvaluationError
from tailorbird.search.evaluation import ray_actors
from tailorbird.search.evaluation.executors import InProcess, Row
from tailorbird.search.evaluation.ray_actors import RayCluster
from tailorbird.search.evaluation.worker_pool import Workers

# Before Ray is imported: nodes are at 127.0.0.1 then, as they are on macOS.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

TOY = """
import os
import time

import numpy as np


class Factory:
    def __init__(self, folder, pause_s=0.0):
        self.folder, self.pause_s = folder, pause_s

    def __call__(self):
        return self.evaluate

    def evaluate(self, X):
        for row in X.tolist():
            if row[1] == 1:
                raise RuntimeError("no such network")
            if row[1] == 2:
                os._exit(3)
            if row[1] == 3:
                time.sleep(600)
            with (self.folder / "log").open("a") as log:
                log.write(f"{os.getpid()} {row[0]}\\n")
            time.sleep(self.pause_s)
        return X[:, 0] / 7


class Broken(Factory):
    def __call__(self):
        raise OSError("no weights")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "ray_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    import ray_toy  # type: ignore[import-not-found]  # written just now

    yield ray_toy
    sys.modules.pop("ray_toy")


@pytest.fixture
def cluster(toy: Any) -> Iterator[Any]:
    """Two nodes with a processor each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    asked: dict[str, Any] = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
    nodes: Any = Cluster(initialize_head=True, head_node_args={**asked, "include_dashboard": False})
    try:
        nodes.second = nodes.add_node(**asked)
        ray.init(nodes.address, log_to_driver=False, logging_level="ERROR")
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def logged(folder: Path) -> list[tuple[int, int]]:
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(pid), int(row)) for pid, row in map(str.split, lines)]


def test_a_node_dies_and_its_rows_go_to_others(cluster: Any, toy: Any, tmp_path: Path) -> None:
    rows: list[Row] = [(i, 0) for i in range(40)]
    taken: list[Row] = []
    with Workers(toy.Factory(tmp_path, 0.2), 2, chunk=4, place=RayCluster()) as workers:
        outcomes = []
        for outcome in workers.run(Listed(rows, taken)):
            outcomes.append(outcome)
            if len({pid for pid, _ in logged(tmp_path)}) == 2 and cluster.second is not None:
                cluster.remove_node(cluster.second, allow_graceful=False)
                cluster.second = None
    assert cluster.second is None
    assert taken == rows
    assert sorted(outcome.row for outcome in outcomes) == rows
    assert {outcome.reason for outcome in outcomes} == {None}
    np.testing.assert_array_equal([o.value for o in outcomes], [o.row[0] / 7 for o in outcomes])
    times = Counter(row for _, row in logged(tmp_path))
    assert set(times) == set(range(40))
    assert sum(n > 1 for n in times.values()) <= 4  # those in hand


def test_only_the_guilty_row_fails(cluster: Any, toy: Any, tmp_path: Path) -> None:
    rows: list[Row] = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 0)]
    place = RayCluster()
    with Workers(toy.Factory(tmp_path), 2, timeout_s=4.0, chunk=2, place=place) as workers:
        outcomes = sorted(workers.run(Listed(rows, [])), key=lambda outcome: outcome.row)
    assert [outcome.row for outcome in outcomes] == rows
    fine, raised, died, hung, last = (outcome.reason for outcome in outcomes)
    assert fine is None
    assert last is None
    assert raised == "RuntimeError: no such network"
    assert died is not None
    assert died.startswith("its worker died")
    assert hung == "no value within 4 s"


def test_what_cannot_be_is_refused(cluster: Any, toy: Any, tmp_path: Path) -> None:
    with (
        Workers(toy.Broken(tmp_path), 1, place=RayCluster()) as workers,
        pytest.raises(EvaluationError, match="OSError: no weights"),
    ):
        list(workers.run(Listed([(0, 0)], [])))
    with (
        Workers(toy.Factory(tmp_path), 1, place=RayCluster(n_gpus=1)) as workers,
        pytest.raises(EvaluationError, match="no node of the cluster has more than 0"),
    ):
        list(workers.run(Listed([(0, 0)], [])))


def test_a_cluster_without_a_free_processor_is_told_and_waited_for(
    cluster: Any,
    toy: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import ray

    monkeypatch.setattr(ray_actors, "_NO_ROOM_S", 2.0)

    @ray.remote(num_cpus=1)
    def occupy() -> None:
        while not told.exists():
            time.sleep(0.1)

    told = tmp_path / "told"
    occupied = [occupy.remote() for _ in range(2)]

    def listened(*arguments: Any) -> Any:
        if "No worker on the cluster is ready after 2 s" in caplog.text:
            told.touch()
        return listen(*arguments)

    place = RayCluster()
    listen = place.listen
    monkeypatch.setattr(place, "listen", listened)
    with Workers(toy.Factory(tmp_path), 2, place=place) as workers:
        assert len(list(workers.run(Listed([(i, 0) for i in range(4)], [])))) == 4
    assert caplog.text.count("No worker on the cluster") == 1
    ray.get(occupied)


def test_a_cluster_that_has_no_processor_yet_is_waited_for(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    asked: dict[str, Any] = {"num_cpus": 0, "node_ip_address": "127.0.0.1"}
    nodes: Any = Cluster(initialize_head=True, head_node_args={**asked, "include_dashboard": False})
    try:
        ray.init(nodes.address, log_to_driver=False, logging_level="ERROR")
        expected = list(InProcess(toy.Factory(tmp_path).evaluate).run(Listed([(0, 0)], [])))
        place = RayCluster()
        listen = place.listen

        def grown(*arguments: Any) -> Any:
            if len(nodes.list_all_nodes()) == 1:
                nodes.add_node(**{**asked, "num_cpus": 1})
            return listen(*arguments)

        monkeypatch.setattr(place, "listen", grown)
        with Workers(toy.Factory(tmp_path), 1, place=place) as workers:
            assert list(workers.run(Listed([(0, 0)], []))) == expected
    finally:
        ray.shutdown()
        nodes.shutdown()


def test_actors_give_what_this_process_gives(cluster: Any, toy: Any, tmp_path: Path) -> None:
    rows: list[Row] = [(i, 0) for i in range(30)]
    expected = list(InProcess(toy.Factory(tmp_path).evaluate).run(Listed(rows, [])))
    with Workers(toy.Factory(tmp_path), 2, place=RayCluster()) as workers:
        for _ in range(2):  # actors stay
            assert sorted(workers.run(Listed(rows, [])), key=lambda o: o.row) == expected
    assert len({pid for pid, _ in logged(tmp_path)}) in (2, 3)  # this one as well


def test_there_must_be_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    begun = time.monotonic()
    with pytest.raises(EvaluationError, match=r"A cluster of Ray must run at '127\.0\.0\.1:1'"):
        RayCluster("127.0.0.1:1")
    assert time.monotonic() - begun < 120
