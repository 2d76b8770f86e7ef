"""Programs that our schedules make, run in this process and compared with torch."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import tvm
from safetensors.numpy import load_file
from torch import Tensor, nn
from tvm import relax

from tailorbird import spaces
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.runtimes.tvm.compile.build import build_library
from tailorbird.latency_tables.runtimes.tvm.compile.importer import import_module
from tailorbird.latency_tables.runtimes.tvm.compile.layout import NCHW_TO_NHWC
from tailorbird.latency_tables.runtimes.tvm.compile.packing import pack_weights
from tailorbird.latency_tables.runtimes.tvm.schedule.packed_kernels import pack
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import lower
from tailorbird.latency_tables.runtimes.tvm.target import vector_unit

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

HOST = find("local", threads=1).target
SMALLER = [
    Target.parse(cpu)
    for cpu in ("x86-64", "x86-64-v3")
    if vector_unit(Target.parse(cpu)).lanes < vector_unit(HOST).lanes
]


def with_statistics(module: nn.Module) -> nn.Module:
    """Batch norms that do something, so that folding them wrongly shows."""
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for tensor in (norm.running_mean, norm.bias):
            nn.init.normal_(tensor)
        for tensor in (norm.running_var, norm.weight):
            nn.init.uniform_(tensor, 0.5, 2.0)
    return module.eval()


def compare(module: nn.Module, shape: tuple[int, ...], target: Target, folder: Path) -> list[str]:
    """Holds a program to torch's output; returns its scalar kernels."""
    torch.manual_seed(0)
    module, x = with_statistics(module), torch.randn(shape)
    path = Path(tempfile.mkdtemp(dir=folder)) / "program.so"  # a library is known by its path
    unscheduled = build_library(module, (x,), target, 1, path)
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    stored = load_file(path.with_suffix(".safetensors"))
    weights = [tvm.runtime.tensor(stored[str(i)]) for i in range(len(stored))]
    last = x.permute(NCHW_TO_NHWC).contiguous() if x.dim() == 4 else x
    y = machine["main"](tvm.runtime.tensor(last.numpy()), *weights).numpy()
    with torch.inference_mode():
        expected = module(x).numpy()
    y = np.moveaxis(y, -1, 1) if y.ndim == 4 else y
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()
    return unscheduled


class NormWithActivation(nn.BatchNorm2d):
    """Like timm's, which a fold that replaces modules would lose the activation of."""

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(super().forward(x))


class Attention(nn.Module):
    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.randn(1, 2, 19, 19)) if masked else None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = x.reshape(2, 19, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask, scale=0.3)


class Uniform(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, scale=0.0)


class Selected(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, -2] + x.select(2, 1).sum()


class Squeezed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2).squeeze(-2).unsqueeze(0).squeeze((0, -1)) * 2.0


class Shapes(nn.Module):
    """Transposes, means and sums that the importer must not mix up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.register_buffer("shift", torch.randn(1, 5, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x) * 2.0 - self.get_buffer("shift")
        z = torch.sigmoid(y) * y + y.mean(dim=(2, 3), keepdim=True)
        return torch.relu(z.transpose(2, 3) - z.mean(dim=1, keepdim=True).transpose(2, 3))


MODULES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense, prime everywhere": (nn.Linear(31, 53), (2, 17, 31)),
    "dense, one row": (nn.Linear(70, 101), (1, 70)),
    "dense, gelu": (nn.Sequential(nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 24)), (1, 23, 24)),
    "convolution, odd": (nn.Conv2d(3, 7, (3, 5), stride=(2, 1), padding=(0, 2)), (2, 3, 11, 13)),
    "convolution, as many groups as inputs": (nn.Conv2d(3, 6, 1, groups=3), (2, 3, 8, 6)),
    "convolution, dilated": (nn.Conv2d(4, 8, 3, dilation=2), (1, 4, 9, 9)),
    "convolution, grouped": (nn.Conv2d(6, 12, 3, groups=3, padding=1), (1, 6, 9, 9)),
    "depthwise, odd": (nn.Conv2d(13, 13, 5, stride=2, padding=2, groups=13), (1, 13, 15, 15)),
    "squeeze of axes counted from the end": (Squeezed(), (3, 4, 5)),
    "attention of torch": (
        nn.TransformerEncoderLayer(32, 2, 48, batch_first=True),
        (2, 16, 32),
    ),
    "batch norm after convolution": (
        nn.Sequential(nn.Conv2d(3, 9, 3, bias=False), NormWithActivation(9)),
        (1, 3, 8, 8),
    ),
    "batch norm after bias": (
        nn.Sequential(nn.Conv2d(3, 9, 3), nn.BatchNorm2d(9)),
        (1, 3, 8, 8),
    ),
    "batch norm before": (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 9, 3)), (1, 3, 8, 8)),
    "batch norm of features": (nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)), (4, 5)),
    "pooling": (
        nn.Sequential(
            nn.Conv2d(3, 12, 3),
            nn.MaxPool2d(3, 2, padding=1),
            nn.AvgPool2d(2, ceil_mode=True),
            nn.AdaptiveAvgPool2d(1),
        ),
        (1, 3, 14, 14),
    ),
    "norm": (nn.LayerNorm(33), (2, 5, 33)),
    "attention": (Attention(masked=False), (2, 19, 48)),
    "attention with a bias": (Attention(masked=True), (2, 19, 48)),
    "attention to all alike": (Uniform(), (1, 2, 5, 8)),
    "softmax": (nn.Softmax(-1), (3, 197)),
    "silu": (nn.SiLU(), (3, 50)),
    "selected": (Selected(), (2, 5, 7)),
    "shapes": (Shapes(), (2, 3, 8, 6)),
}


@pytest.mark.parametrize(
    "target", [HOST, *(pytest.param(other, marks=pytest.mark.long) for other in SMALLER)], ids=str
)
@pytest.mark.parametrize("name", MODULES)
def test_programs_agree_with_torch(name: str, target: Target, tmp_path: Path) -> None:
    module, shape = MODULES[name]
    compare(module, shape, target, tmp_path)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("digits-resnet", {}),
        ("deit-ti-s-b", {}),
        pytest.param("elastic-vit", {}, marks=pytest.mark.slow),
        pytest.param("mobile-elastic", {"resolution": 64}, marks=pytest.mark.slow),
        pytest.param("regnet", {"resolution": 64}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.long
def test_no_workload_of_a_shipped_space_runs_scalar_code(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    for workload in spaces.get(name, **settings).workloads:
        assert compare(workload.build(), workload.inputs[0], HOST, tmp_path) == [], workload.key


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.long)])
def test_whole_networks_agree_with_torch(tmp_path: Path, batch: int) -> None:
    space = spaces.get("digits-resnet", batch=batch)
    (row,) = space.sample(1, np.random.default_rng(0))
    assert compare(space.build(row), space.input_shape, HOST, tmp_path) == []


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "text", ["x86-64", "x86-64-v3", "icelake-server", "aarch64-linux-gnu/cortex-a72"]
)
def test_other_vector_units_run_no_scalar_code_either(text: str, threads: int) -> None:
    target = tvm.target.Target("llvm")
    unit = vector_unit(Target.parse(text))
    for workload in spaces.get("deit-ti-s-b").workloads:
        if workload.params[0] == ("width", 192):
            x = torch.randn(workload.inputs[0])
            program = pack_weights(import_module(workload.build(), (x,)), unit)
            assert lower(program, target, unit, threads)[1] == [], workload.key


def test_scalar_code_is_reported(tmp_path: Path) -> None:
    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(dim=1)

    assert compare(Narrow(), (4, 100, 3), HOST, tmp_path) != []


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(16, 17, 3, dilation=2), (1, 16, 12, 12)),
        (nn.Conv2d(15, 15, 3, groups=3), (1, 15, 12, 12)),
        (nn.Conv1d(16, 16, 3), (1, 16, 99)),
        (nn.GELU("tanh"), (4, 64)),
        (nn.Softplus(), (4, 64)),
    ],
)
def test_narrow_tiles_and_calls_for_every_value_are_reported(
    module: nn.Module, shape: tuple[int, ...], tmp_path: Path
) -> None:
    assert compare(module, shape, HOST, tmp_path) != []


def test_attention_that_is_not_imported_is_refused(tmp_path: Path) -> None:
    class Causal(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x, is_causal=True)

    with pytest.raises(NotImplementedError, match="causal"):
        compare(Causal(), (1, 2, 5, 8), HOST, tmp_path)


def test_a_block_pays_for_no_transposes_between_pixels() -> None:
    for workload in spaces.get("digits-resnet", batch=2).workloads:
        inputs = tuple(torch.randn(shape) for shape in workload.inputs)
        assert "permute_dims" not in str(import_module(workload.build(), inputs)), workload.key


def test_packed_weights_hold_every_weight_once_and_zeros() -> None:
    weights = np.arange(1.0, 3 * 7 + 1).reshape(3, 7)
    panels = pack(weights, 4)
    assert panels.shape == (2, 3, 4)
    np.testing.assert_array_equal(panels[0], weights[:, :4])
    np.testing.assert_array_equal(panels[1], np.c_[weights[:, 4:], np.zeros(3)])


def test_weights_are_arguments_and_not_part_of_the_library(tmp_path: Path) -> None:
    module = nn.Linear(512, 512).eval()
    build_library(module, (torch.randn(1, 512),), HOST, 1, tmp_path / "program.so")
    assert (tmp_path / "program.so").stat().st_size < module.weight.nbytes / 4
    stored = load_file(tmp_path / "program.safetensors")
    assert sum(array.nbytes for array in stored.values()) >= module.weight.nbytes


def test_a_missing_linker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(RuntimeError, match="no linker; install gcc"):
        compare(nn.Identity(), (1, 2), HOST, tmp_path)
