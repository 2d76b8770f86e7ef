"""Loops that threads share: right at odd shapes, only where they pay, and absent for one thread."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
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
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import lower
from tailorbird.latency_tables.runtimes.tvm.target import llvm_target, vector_unit

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

HOST = find("local", threads=1).target
WIDE = Target.parse("icelake-server")  # what is worth sharing depends on the size of registers


def code(module: nn.Module, *shapes: tuple[int, ...], threads: int, target: Target = WIDE) -> str:
    """The kernels of a module, as TVM prints them."""
    inputs = tuple(torch.randn(shape) for shape in shapes)
    unit = vector_unit(target)
    program = pack_weights(import_module(module.eval(), inputs), unit)
    program, unscheduled = lower(program, llvm_target(target), unit, threads)
    assert unscheduled == []
    return str(program.script(show_meta=False))


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = x.reshape(3, 67, 3, 5, 16).permute(2, 0, 3, 1, 4).unbind(0)
        return nn.functional.scaled_dot_product_attention(q, k, v)


MODULES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense, prime everywhere": (nn.Linear(131, 257), (3, 67, 131)),
    "dense, one row": (nn.Linear(513, 1009), (1, 513)),
    "convolution, one image": (nn.Conv2d(19, 37, 3, stride=2, padding=1), (1, 19, 53, 31)),
    "convolution, three images": (nn.Conv2d(19, 37, (3, 5)), (3, 19, 29, 31)),
    "convolution, grouped": (nn.Conv2d(48, 96, 3, groups=3), (1, 48, 29, 29)),
    "depthwise": (nn.Conv2d(67, 67, 5, stride=2, padding=2, groups=67), (1, 67, 61, 63)),
    "pooling": (nn.MaxPool2d(3, 2, padding=1), (1, 48, 53, 51)),
    "mean of pixels": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (1, 352, 53, 51)),
    "norm": (nn.LayerNorm(353), (3, 67, 353)),
    "gelu": (nn.GELU(), (1, 67, 1037)),
    "softmax": (nn.Softmax(-1), (5, 67, 197)),
    "attention": (Attention(), (3, 67, 240)),
}


@pytest.fixture(scope="module", autouse=True)
def _threads() -> None:
    tvm.get_global_func("runtime.config_threadpool")(1, 2)


@pytest.mark.parametrize("threads", [2, pytest.param(7, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", MODULES)
def test_what_threads_share_agrees_with_torch(name: str, threads: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, shape = MODULES[name]
    assert "T.parallel(" in code(module, shape, threads=threads, target=HOST)
    x, path = torch.randn(shape), tmp_path / "program.so"
    assert build_library(module.eval(), (x,), HOST, threads, path) == []
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    stored = load_file(path.with_suffix(".safetensors"))
    weights = [tvm.runtime.tensor(stored[str(i)]) for i in range(len(stored))]
    last = x.permute(NCHW_TO_NHWC).contiguous() if x.dim() == 4 else x
    with torch.inference_mode():
        expected = module(x).numpy()
    for _ in range(5):  # a race would not show every time
        y = machine["main"](tvm.runtime.tensor(last.numpy()), *weights).numpy()
        y = np.moveaxis(y, -1, 1) if y.ndim == 4 else y
        assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(32, 48), (1, 17, 32)),
        (nn.Conv2d(4, 16, 3), (1, 4, 9, 9)),
        (nn.Conv2d(48, 48, 3, padding=1, groups=48), (1, 48, 30, 30)),  # its padding is not
        (nn.LayerNorm(64), (1, 9, 64)),
        (nn.ReLU(), (1, 100, 48)),
        (nn.Softmax(-1), (3, 33)),
    ],
)
def test_what_is_too_small_stays_as_for_one_thread(
    module: nn.Module, shape: tuple[int, ...]
) -> None:
    assert code(module, shape, threads=2) == code(module, shape, threads=1)


def test_work_is_shared_from_some_size_on() -> None:
    def shares(rows: int, threads: int) -> bool:
        return "T.parallel(" in code(nn.Linear(64, 64), (1, rows, 64), threads=threads)

    shared = [shares(rows, threads=2) for rows in (14, 28, 56, 112, 448)]
    assert shared == sorted(shared)
    assert not shared[0]
    assert shared[-1]


def test_code_for_one_thread_shares_nothing() -> None:
    for workload in spaces.get("deit-ti-s-b").workloads[::4]:
        assert "T.parallel(" not in code(workload.build(), *workload.inputs, threads=1)


def test_threads_get_equal_shares_where_loops_can_be_fused() -> None:
    # Three images are two for one thread and one for the other; their rows are shared evenly.
    printed = code(nn.Linear(131, 257), (3, 67, 131), threads=2)
    lengths = [int(length) for length in re.findall(r"T\.parallel\(T\.int64\((\d+)\)\)", printed)]
    assert lengths
    for length in lengths:
        assert math.ceil(length / 2) * 2 <= 1.05 * length
