import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ONNXRUNTIME
from fake_runtime import FakeRuntime
from own_code import Simulator

from contracts.runtime import RuntimeContract, Two, draw
from tailorbird.latency_tables import Device, Runtime, Timing
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.runtimes.command import CommandRuntime
from tailorbird.latency_tables.runtimes.command.command_line import CommandLine
from tailorbird.registry.python_paths import load
from tailorbird.registry.runtimes import COMMAND, RUNTIMES

TIMING = Timing(warmup_ms=1, sample_ms=1, least_samples=5, most_samples=5, limit_s=20)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module", params=[name for name in RUNTIMES if name != COMMAND])
def named(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runtime]:
    """One for all tests, so that its worker starts once."""
    kind, device = load(RUNTIMES[request.param].path), find("local", threads=1)
    runtime: Runtime = kind.on(device, tmp_path_factory.mktemp(request.param) / "c", TIMING, None)
    yield runtime
    runtime.close()


class TestNamedRuntimes(RuntimeContract):
    @pytest.fixture
    def runtime(self, named: Runtime) -> Runtime:
        return named

    def test_its_name_is_that_of_recipes(self, runtime: Runtime) -> None:
        name = runtime.configuration(find("local", threads=1), 1).runtime
        assert load(RUNTIMES[name].path).name == name


class TestFakeRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return FakeRuntime()


class TestOwnRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Runtime:
        return Simulator(tmp_path, TIMING)


@pytest.mark.long
class TestCommandRuntime(RuntimeContract):
    """A script of a user's, around onnxruntime in a process of its own."""

    gives_hot_times = False

    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Runtime:
        (tmp_path / "bench.py").write_text(ONNXRUNTIME)
        command = f"{sys.executable} bench.py {{onnx}} {{inputs}} {{outputs}}"
        return CommandRuntime(CommandLine.parse(command), tmp_path, tmp_path / "c", 60.0)

    def test_its_name_is_that_of_recipes(self, runtime: Runtime) -> None:
        assert runtime.configuration(find("local", threads=1), 1).runtime == COMMAND
        assert load(RUNTIMES[COMMAND].path) is type(runtime)

    def test_it_is_timed_without_inputs_and_outputs_as_well(
        self, local: Device, tmp_path: Path
    ) -> None:
        (tmp_path / "bench.py").write_text(ONNXRUNTIME)
        command = CommandLine.parse(f"{sys.executable} bench.py {{onnx}}")
        runtime = CommandRuntime(command, tmp_path, tmp_path / "c", 60.0)
        inputs = draw((2, 3), (2, 3))
        artifact = runtime.compile(Two(), inputs, local)
        assert runtime.run(artifact, inputs, local) is None
        assert len(runtime.measure(artifact, inputs, local, n_copies=1).ms) == 20
