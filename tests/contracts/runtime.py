"""What a profiler relies on in whatever compiles and times."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables import Artifact, Device, Runtime
from tailorbird.latency_tables.devices.device import find


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


def only_output(
    runtime: Runtime, artifact: Artifact, inputs: tuple[np.ndarray, ...], device: Device
) -> np.ndarray:
    """The one output of a program, of a runtime that gives outputs."""
    outputs = runtime.run(artifact, inputs, device)
    assert outputs is not None
    (output,) = outputs
    return output


CONV = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())


class RuntimeContract:
    """Needs a fixture `runtime`; what is tested runs on this machine."""

    @pytest.fixture
    def runtime(self) -> Runtime:
        raise NotImplementedError

    @pytest.fixture
    def local(self) -> Device:
        return find("local", threads=1)

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
        self,
        runtime: Runtime,
        local: Device,
        module: nn.Module,
        shapes: tuple[tuple[int, ...], ...],
    ) -> None:
        inputs = draw(*shapes)
        artifact = runtime.compile(module.eval(), inputs, local)
        for given in (inputs, tuple(-x for x in inputs)):
            output = only_output(runtime, artifact, given, local)
            np.testing.assert_allclose(output, expect(module, given), rtol=1e-5, atol=1e-6)

    gives_hot_times = True
    """Whether it takes turns with copies of weights, and times one of them again and again."""

    def test_times_are_positive_and_hot_ones_need_copies(
        self, runtime: Runtime, local: Device
    ) -> None:
        inputs = draw((4, 32))
        artifact = runtime.compile(nn.Linear(32, 32), inputs, local)
        once = runtime.measure(artifact, inputs, local, n_copies=1)
        turns = runtime.measure(artifact, inputs, local, n_copies=3)
        for samples in (once, turns):
            assert len(samples.ms)
            assert (samples.ms > 0).all()
        assert not len(once.hot_ms)
        assert bool(len(turns.hot_ms)) == self.gives_hot_times

    def test_two_programs_do_not_mix(self, runtime: Runtime, local: Device) -> None:
        inputs = draw((1, 4))
        modules = [nn.Linear(4, 4), nn.Linear(4, 4)]
        artifacts = [runtime.compile(module, inputs, local) for module in modules]
        for module, artifact in [*zip(modules, artifacts, strict=True)][::-1]:
            runtime.measure(artifact, inputs, local, n_copies=2)
            output = only_output(runtime, artifact, inputs, local)
            np.testing.assert_allclose(output, expect(module, inputs), rtol=1e-5, atol=1e-6)

    def test_what_does_not_run_is_a_measurement_error(
        self, runtime: Runtime, local: Device
    ) -> None:
        with pytest.raises(MeasurementError, match=r"not today|could not"):
            runtime.compile(Unrunnable(), draw((1, 2)), local)

    def test_compiling_leaves_the_module_alone(self, runtime: Runtime, local: Device) -> None:
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).train()
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        runtime.compile(module.eval(), draw((2, 3, 6, 4)), local)
        assert [type(child) for child in module] == [nn.Conv2d, nn.BatchNorm2d]
        assert all((before[name] == tensor).all() for name, tensor in module.state_dict().items())

    def test_a_device_that_was_never_lost_has_no_losses(self, runtime: Runtime) -> None:
        assert list(runtime.losses) == []

    def test_configurations_tell_devices_and_batches_apart(
        self, runtime: Runtime, local: Device
    ) -> None:
        other = find("local", threads=1)
        assert runtime.configuration(local, 1) == runtime.configuration(other, 1)
        assert runtime.configuration(local, 1).key != runtime.configuration(local, 2).key
        assert runtime.configuration(local, 1).batch == 1
        two = replace(local, threads=2)
        assert runtime.configuration(two, 1).key != runtime.configuration(local, 1).key

    @pytest.mark.long
    def test_more_work_takes_longer(self, runtime: Runtime, local: Device) -> None:
        inputs = draw((32, 256))
        medians = []
        for width in (1, 4096):
            artifact = runtime.compile(nn.Linear(256, width).eval(), inputs, local)
            medians.append(np.median(runtime.measure(artifact, inputs, local, n_copies=1).ms))
        assert medians[1] > 1.5 * medians[0]

    @pytest.mark.long
    def test_it_can_be_closed_and_goes_on(self, runtime: Runtime, local: Device) -> None:
        runtime.close()
        inputs = draw((1, 4))
        artifact = runtime.compile(nn.Linear(4, 4), inputs, local)
        assert only_output(runtime, artifact, inputs, local).shape == (1, 4)
