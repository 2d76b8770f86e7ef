"""Small real doubles that several rooms' tests share."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side

import hypothesis
import numpy as np
import pytest

from tailorbird import spaces
from tailorbird.errors import MeasurementError
from tailorbird.latency_tables import Configuration, Device, Profiler, Samples, Store
from tailorbird.latency_tables.runtime import Artifact, Tensors
from tailorbird.latency_tables.target import Target
from tailorbird.spaces import Workload
from tailorbird.spaces.stitching import Part, StitchSpace, Windows

if TYPE_CHECKING:
    from torch import nn

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ci")


@dataclass(frozen=True)
class TinyFamily:
    """Anchors whose parts are told apart by their workloads; nothing can be built."""

    n_anchors: int
    depth: int
    name: str = "tiny"
    input_shape: tuple[int, ...] = (1, 1, 1)
    n_classes: int = 2

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        return ((self.depth,),) * self.n_anchors

    @property
    def anchors(self) -> tuple[str, ...]:
        return tuple(f"a{i}" for i in range(self.n_anchors))

    def workload(self, part: Part) -> Workload:
        return Workload(
            part.kind, (("anchor", part.anchor),), ((1, 1, 1 + part.anchor),), "torch.nn:Identity"
        )


REFERENCE_SHAPE = (64, 256)


@dataclass
class FakeRuntime:
    """Runs the module in torch; a program takes as long as `ms` says of its number.

    Numbers go by order of compilation; the profiler's reference workload has none.
    """

    ms: Callable[[int], float] = lambda n: 1.0 + n
    reference_ms: Callable[[], float] = lambda: 1.0
    broken: frozenset[int] = frozenset()
    wrong: frozenset[int] = frozenset()
    undefined: frozenset[int] = frozenset()
    modules: "list[nn.Module]" = field(default_factory=list)
    references: "list[nn.Module]" = field(default_factory=list)
    n_measured: int = 0

    def configuration(self, device: Device, batch: int) -> Configuration:
        return Configuration(
            device.cpu, "fake", device.threads, batch, "fake", "1", "none", "fake-1"
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        import torch

        try:
            with torch.inference_mode():
                module(*map(torch.from_numpy, inputs))
        except Exception as error:
            raise MeasurementError.of("it does not run", error) from error
        if inputs[0].shape == REFERENCE_SHAPE:
            self.references.append(module)
            return Artifact(Path("reference"))
        self.modules.append(module)
        return Artifact(Path(str(len(self.modules) - 1)))

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        import torch

        number = int(str(artifact.path))
        with torch.inference_mode():
            output = self.modules[number](*map(torch.from_numpy, inputs)).numpy()
        if number in self.undefined:
            return (np.full_like(output, np.nan),)
        return (output + (number in self.wrong),)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        if artifact.path.name == "reference":
            return Samples(np.full(5, self.reference_ms()), np.array([]))
        number = int(str(artifact.path))
        self.n_measured += 1
        if number in self.broken:
            raise MeasurementError("it is broken")
        ms = self.ms(number)
        return Samples(np.full(5, ms), np.full(3 if n_copies > 1 else 0, ms))

    def close(self) -> None:
        pass


@pytest.fixture
def locks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of the machine lie in its temporary folder.

    Tests that time real programs share them, so that they do not disturb one another.
    """
    folder = tmp_path / "machine"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def digits_space() -> StitchSpace:
    space = spaces.get("digits-resnet", batch=2)
    assert isinstance(space, StitchSpace)
    return space


@pytest.fixture
def tiny_space() -> StitchSpace:
    return StitchSpace(TinyFamily(3, 3), Windows(2, 1), max_stitches=2)


@pytest.fixture
def deit_like_space() -> StitchSpace:
    return StitchSpace(TinyFamily(3, 12), Windows(2, 1), max_stitches=1)


@pytest.fixture
def device() -> Device:
    return Device("local", "a processor", Target("x86_64-linux-gnu", "x86-64"), 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'store.sqlite'}")


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def profiler(runtime: FakeRuntime, device: Device, store: Store) -> Profiler:
    return Profiler(runtime, device, 2, store)
