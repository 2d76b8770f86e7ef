"""What our runtimes promise beyond the contract: workers that may be killed, torn programs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tailorbird.errors import MeasurementError, MissingPackageError
from tailorbird.latency_tables import Artifact, Device, Runtime, Timing
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.runtimes.onnxruntime import OnnxRuntime
from tailorbird.latency_tables.runtimes.openvino import OpenVinoRuntime
from tailorbird.latency_tables.runtimes.torch_eager import EagerRuntime
from tailorbird.latency_tables.runtimes.tvm import TvmRuntime

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TIMING = Timing(warmup_ms=1, sample_ms=1, least_samples=5, most_samples=5, limit_s=20)
IN_A_WORKER: dict[str, Callable[[Path, Timing], Runtime]] = {
    "tvm": TvmRuntime,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVinoRuntime,
    "torch": EagerRuntime,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Runtime]]:
    """One of each, so that each worker starts once; a test that breaks one must not break all."""
    runtimes = {
        name: make(tmp_path_factory.mktemp(name) / "compiled", TIMING)
        for name, make in IN_A_WORKER.items()
    }
    yield runtimes
    for runtime in runtimes.values():
        runtime.close()


@pytest.fixture(params=IN_A_WORKER)
def with_worker(request: pytest.FixtureRequest, made: dict[str, Runtime]) -> Runtime:
    return made[request.param]


@pytest.fixture
def local() -> Device:
    return find("local", threads=1)


def draw(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return (np.random.default_rng(1).standard_normal(shape, dtype=np.float32),)


def test_configurations_tell_devices_batches_and_runtimes_apart(
    made: dict[str, Runtime], local: Device, device: Device
) -> None:
    keys = {
        runtime.configuration(d, batch).key
        for runtime in made.values()
        for d in (local, device)
        for batch in (1, 2)
    }
    assert len(keys) == 4 * len(made)


@pytest.mark.long
@pytest.mark.parametrize(
    "with_worker",
    [
        "tvm",
        "onnxruntime",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("openvino", "torch")),
    ],
    indirect=True,
)
def test_closed_runtimes_work_again_and_a_killed_worker_costs_one_request(
    with_worker: Runtime, local: Device
) -> None:
    inputs = draw((256, 512))
    several = replace(local, threads=min(2, len(os.sched_getaffinity(0))))
    artifact = with_worker.compile(nn.Linear(512, 512), inputs, several)
    with_worker.measure(artifact, inputs, several, n_copies=1)
    with_worker.close()
    with_worker.close()
    others = workers()
    with_worker.run(artifact, inputs, several)
    (worker,) = workers() - others
    cores = set()
    with ThreadPoolExecutor(1) as pool:
        measured = pool.submit(with_worker.measure, artifact, inputs, several, n_copies=1)
        while not measured.done():
            cores |= busy_cores(worker)
            time.sleep(0.001)
    assert len(measured.result().ms)
    assert cores == set(sorted(os.sched_getaffinity(0))[-several.threads :])
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(MeasurementError, match="status -9"):
        with_worker.measure(artifact, inputs, several, n_copies=1)
    assert len(with_worker.measure(artifact, inputs, several, n_copies=1).ms)


@pytest.mark.long
def test_a_torn_program_fails_and_the_next_works(
    with_worker: Runtime, local: Device, tmp_path: Path
) -> None:
    inputs = draw((1, 4))
    whole = with_worker.compile(nn.Linear(4, 4), inputs, local)
    torn = tmp_path / whole.path.name
    torn.write_bytes(whole.path.read_bytes()[:100])
    with pytest.raises(MeasurementError):
        with_worker.run(Artifact(torn), inputs, local)
    with pytest.raises(MeasurementError):
        with_worker.measure(Artifact(torn), inputs, local, n_copies=1)
    assert len(with_worker.measure(whole, inputs, local, n_copies=1).ms)


@pytest.mark.long
def test_deleting_a_program_leaves_nothing_of_it(with_worker: Runtime, local: Device) -> None:
    inputs = draw((1, 4))
    first, second = (with_worker.compile(nn.Linear(4, 4), inputs, local) for _ in range(2))
    with_worker.run(first, inputs, local)
    first.delete()
    left = {path.stem for path in first.path.parent.iterdir()}
    assert first.path.stem not in left
    assert second.path.stem in left


@pytest.mark.parametrize(
    ("runtime", "package"),
    [(OnnxRuntime, "onnxruntime"), (OpenVinoRuntime, "openvino"), (OpenVinoRuntime, "onnxscript")],
)
def test_what_is_not_installed_is_named_with_the_way_to_install_it(
    runtime: Callable[[Path, Timing], Runtime],
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    extra = "onnxruntime" if runtime is OnnxRuntime else "openvino"
    with pytest.raises(MissingPackageError, match=rf"'{package}', which .*'tailorbird\[{extra}\]'"):
        runtime(tmp_path, TIMING)


def test_openvino_reports_to_nobody() -> None:
    code = (
        "import sys; from tailorbird.latency_tables.runtimes.openvino import timer; "
        "sys.exit(any(name.startswith('openvino_telemetry.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def workers() -> set[int]:
    """Children of this process that time programs."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(pid) for pid in children if "timer" in Path(f"/proc/{pid}/cmdline").read_text()}


def busy_cores(process: int) -> set[int]:
    """Cores that a thread of a process is pinned to, alone, and worked on for a millisecond."""
    found = set()
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            worked_ns = int((thread / "schedstat").read_text().split()[0])
            cores = os.sched_getaffinity(int(thread.name))
            found |= cores if worked_ns > 1e6 and len(cores) == 1 else set()
    return found
