"""What every runtime promises, FakeRuntime of the other tests included."""

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
import torch
from torch import nn

from tailorbird.errors import MeasurementError, RecipeError
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


@pytest.fixture(params=["fake", *IN_A_WORKER])
def any_runtime(
    request: pytest.FixtureRequest, made: dict[str, Runtime], runtime: Runtime
) -> Runtime:
    return made.get(request.param, runtime)


@pytest.fixture(params=IN_A_WORKER)
def with_worker(request: pytest.FixtureRequest, made: dict[str, Runtime]) -> Runtime:
    return made[request.param]


@pytest.fixture
def local() -> Device:
    return find("local", threads=1)


class Two(nn.Module):
    """Two inputs whose order matters, and no weights."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x - 2 * y


class Unrunnable(nn.Module):
    """Fails when it is exported, and when it is run."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("not today")


def draw(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)


def expect(module: nn.Module, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(module.eval()(*map(torch.from_numpy, inputs)).numpy())


CONV = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (nn.Identity(), ((1,),)),
        (nn.Linear(8, 16), ((2, 5, 8),)),
        (CONV, ((2, 3, 6, 4),)),
        (nn.Sequential(CONV, nn.Flatten(), nn.Linear(192, 3)), ((2, 3, 6, 4),)),
        (Two(), ((2, 3), (2, 3))),
        (Two(), ((2, 3, 4, 5), (2, 3, 4, 5))),
    ],
    ids=["identity", "linear", "convolution", "4d to 2d", "two inputs", "two 4d inputs"],
)
def test_programs_compute_what_torch_computes(
    any_runtime: Runtime, local: Device, module: nn.Module, shapes: tuple[tuple[int, ...], ...]
) -> None:
    inputs = draw(*shapes)
    artifact = any_runtime.compile(module.eval(), inputs, local)
    for given in (inputs, tuple(-x for x in inputs)):
        (output,) = any_runtime.run(artifact, given, local)
        np.testing.assert_allclose(output, expect(module, given), rtol=1e-5, atol=1e-6)


def test_times_are_positive_and_hot_ones_need_copies(any_runtime: Runtime, local: Device) -> None:
    inputs = draw((4, 32))
    artifact = any_runtime.compile(nn.Linear(32, 32), inputs, local)
    once = any_runtime.measure(artifact, inputs, local, n_copies=1)
    turns = any_runtime.measure(artifact, inputs, local, n_copies=3)
    for samples in (once, turns):
        assert len(samples.ms)
        assert (samples.ms > 0).all()
    assert not len(once.hot_ms)
    assert len(turns.hot_ms)


def test_two_programs_do_not_mix(any_runtime: Runtime, local: Device) -> None:
    inputs = draw((1, 4))
    modules = [nn.Linear(4, 4), nn.Linear(4, 4)]
    artifacts = [any_runtime.compile(module, inputs, local) for module in modules]
    for module, artifact in [*zip(modules, artifacts, strict=True)][::-1]:
        any_runtime.measure(artifact, inputs, local, n_copies=2)
        (output,) = any_runtime.run(artifact, inputs, local)
        np.testing.assert_allclose(output, expect(module, inputs), rtol=1e-5, atol=1e-6)


def test_what_does_not_run_is_a_measurement_error(any_runtime: Runtime, local: Device) -> None:
    with pytest.raises(MeasurementError, match=r"not today|could not"):
        any_runtime.compile(Unrunnable(), draw((1, 2)), local)


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


def test_compiling_leaves_the_module_alone(any_runtime: Runtime, local: Device) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    any_runtime.compile(module.eval(), draw((2, 3, 6, 4)), local)
    assert [type(child) for child in module] == [nn.Conv2d, nn.BatchNorm2d]
    assert all((before[name] == tensor).all() for name, tensor in module.state_dict().items())


@pytest.mark.long
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
    with pytest.raises(RecipeError, match=rf"'{package}', which .*'tailorbird\[{extra}\]'"):
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
