"""TVM against torch, on real programs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tailorbird.latency_tables import Device, Program, Timing
from tailorbird.latency_tables.device import find
from tailorbird.latency_tables.tvm import TvmRuntime
from tailorbird.spaces import CALL
from tailorbird.spaces.stitching import StitchSpace

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def local() -> Device:
    return find("local", threads=1)


@pytest.fixture
def tvm_runtime(tmp_path: Path) -> Iterator[TvmRuntime]:
    runtime = TvmRuntime(tmp_path / "compiled", Timing(limit_s=30))
    yield runtime
    runtime.close()


def with_statistics(module: nn.Module) -> nn.Module:
    """Batch norms that do something, so that folding them wrongly shows."""
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for tensor in (norm.running_mean, norm.bias):
            nn.init.normal_(tensor)
        for tensor in (norm.running_var, norm.weight):
            nn.init.uniform_(tensor, 0.5, 2.0)
    return module.eval()


def test_all_workloads_and_a_network_agree_with_torch_and_none_runs_scalar_code(
    tvm_runtime: TvmRuntime, local: Device, digits_space: StitchSpace
) -> None:
    torch.manual_seed(0)
    programs = [Program.of(w) for w in (*digits_space.workloads, CALL)]
    row = digits_space.sample(1, np.random.default_rng(0))[0]
    programs.append(Program("net", lambda: digits_space.build(row), (digits_space.input_shape,)))
    for program in programs:
        module = with_statistics(program.build())
        inputs = tuple(torch.randn(shape) for shape in program.inputs)
        arrays = tuple(x.numpy() for x in inputs)
        artifact = tvm_runtime.compile(module, arrays, local)
        assert artifact.provenance["unscheduled_kernels"] == "", program.key
        with torch.inference_mode():
            expected = module(*inputs).numpy()
        (output,) = tvm_runtime.run(artifact, arrays, local)
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


class Shapes(nn.Module):
    """Transposes, means and sums that the importer must not mix up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        z = torch.sigmoid(y) * y + y.mean(dim=(2, 3), keepdim=True)
        return torch.relu(z.transpose(2, 3) - z.mean(dim=1, keepdim=True).transpose(2, 3))


@pytest.mark.parametrize("module", [Shapes(), nn.Conv2d(3, 6, 1, groups=3), nn.AvgPool2d(2)])
def test_modules_with_other_layouts_agree_with_torch(
    tvm_runtime: TvmRuntime, local: Device, module: nn.Module
) -> None:
    x = torch.randn(2, 3, 8, 6)
    artifact = tvm_runtime.compile(module.eval(), (x.numpy(),), local)
    (output,) = tvm_runtime.run(artifact, (x.numpy(),), local)
    with torch.inference_mode():
        expected = module(x).numpy()
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


def test_a_block_pays_for_no_transposes(local: Device, digits_space: StitchSpace) -> None:
    from tailorbird.latency_tables.tvm.importer import import_module

    for workload in digits_space.workloads:
        inputs = tuple(torch.randn(shape) for shape in workload.inputs)
        assert "permute_dims" not in str(import_module(workload.build(), inputs)), workload.key


def test_compiling_leaves_the_module_alone(
    tvm_runtime: TvmRuntime, local: Device, digits_space: StitchSpace
) -> None:
    module = digits_space.workloads[5].build().train()
    names = [type(m).__name__ for m in module.modules()]
    tvm_runtime.compile(module, (np.zeros(digits_space.workloads[5].inputs[0], "f4"),), local)
    assert module.training
    assert [type(m).__name__ for m in module.modules()] == names
