"""The library beside compiled programs: copies of tensors, placements, and what it refuses."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tvm
from torch import Tensor, nn
from tvm import relax

from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.runtimes.tvm.compile.build import build_library
from tailorbird.latency_tables.runtimes.tvm.compile.stopwatch import NAME, build
from tailorbird.latency_tables.runtimes.tvm.library import Library
from tailorbird.latency_tables.runtimes.tvm.timer import _Here

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

DEVICE = find("local", threads=1)
SLOTS = 64


class Sum(nn.Module):
    """Of two inputs, without weights."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(DEVICE.target.triple, tmp_path_factory.mktemp("programs")).parent


@pytest.fixture
def watch(folder: Path) -> Any:
    watch = tvm.runtime.load_module(str(folder / NAME))
    watch["forget"]()
    return watch


def compiled(folder: Path, module: nn.Module, *inputs: np.ndarray) -> Path:
    path = folder / f"{type(module).__name__}.so"
    build_library(module.eval(), tuple(map(torch.from_numpy, inputs)), DEVICE.target, 1, path)
    return path


def machine_of(path: Path) -> Any:
    return relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize(
    ("module", "inputs"),
    [(nn.Linear(8, 4), (draw(3, 8),)), (Sum(), (draw(3, 8), draw(3, 8)))],
    ids=["weights", "none"],
)
def test_every_copy_in_every_placement_runs(
    folder: Path, module: nn.Module, inputs: Sequence[np.ndarray]
) -> None:
    library = Library(_Here(), compiled(folder, module, *inputs), 5)
    places = [library.place(tuple(inputs)) for _ in range(3)]
    for place in places:
        assert place.n_copies == 5
        assert place.elapsed_ns(first=3, n_calls=20, n_turns=5) > 0
        with pytest.raises(RuntimeError, match="no such placement, or copy"):
            place.elapsed_ns(first=0, n_calls=1, n_turns=6)
    with torch.no_grad():
        expected = module(*map(torch.from_numpy, inputs)).numpy()
    np.testing.assert_allclose(library.run(tuple(inputs))[0], expected, atol=1e-5)


def test_copies_do_not_share_memory_with_what_they_are_of(folder: Path, watch: Any) -> None:
    path = compiled(folder, Sum(), draw(3, 8), draw(3, 8))
    x, y = (tvm.runtime.tensor(draw(3, 8)) for _ in "xy")
    machine = machine_of(path)
    watch["hold"](1)
    watch["place"](machine.module, x, y)
    x.copyfrom(np.zeros((3, 8), dtype=np.float32))
    np.testing.assert_array_equal(machine["copy_0"]().numpy(), 2 * draw(3, 8))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4, 5)])
def test_tensors_of_any_shape_are_held(watch: Any, shape: tuple[int, ...]) -> None:
    for dtype in (np.float32, np.int64, np.uint8, np.bool_):
        watch["hold"](3, tvm.runtime.tensor(np.zeros(shape, dtype)))


def test_what_it_cannot_do_is_refused_and_leaves_it_in_order(folder: Path, watch: Any) -> None:
    x = tvm.runtime.tensor(draw(3, 8))
    machine = machine_of(compiled(folder, Sum(), draw(3, 8), draw(3, 8)))
    for arguments in ((), (0,), (-1, x)):
        with pytest.raises(RuntimeError, match="needs a copy of its weights"):
            watch["hold"](*arguments)
    with pytest.raises(RuntimeError, match="must be tensors"):
        watch["hold"](2, x, 7)
    with pytest.raises(RuntimeError, match="must be compact"):
        watch["hold"](1, torch.zeros(4, 6)[:, ::2])
    watch["forget"]()
    with pytest.raises(RuntimeError, match="needs weights"):
        watch["place"](machine.module, x, x)
    watch["hold"](2)
    with pytest.raises(RuntimeError, match="needs a machine"):
        watch["place"]()
    for _ in range(SLOTS + 1):  # a refusal takes no slot
        with pytest.raises(RuntimeError, match="must be tensors"):
            watch["place"](machine.module, x, "x")
    for number in range(SLOTS):
        assert watch["place"](machine.module, x, x) == number
    with pytest.raises(RuntimeError, match="too many placements"):
        watch["place"](machine.module, x, x)


def test_memory_is_given_back(watch: Any) -> None:
    weights = tvm.runtime.tensor(np.zeros(1 << 20, dtype=np.uint8))
    trim = ctypes.CDLL(None).malloc_trim

    def resident_mib() -> float:
        trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    watch["hold"](20, weights)
    before = resident_mib()
    for _ in range(20):
        watch["hold"](20, weights)
    assert resident_mib() < before + 10
    watch["forget"]()
    assert resident_mib() < before - 10
