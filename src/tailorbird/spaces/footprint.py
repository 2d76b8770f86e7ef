"""Arithmetic and memory of modules and networks: counted, and so the same on every device."""

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import require
from tailorbird.spaces.kept_counts import kept
from tailorbird.spaces.space import IntArray, SearchSpace
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import fx, nn


@dataclass(frozen=True, slots=True)
class Footprint:
    """Arithmetic and memory of one module, for inputs of given shapes in float32.

    Attributes:
        n_macs: multiply-adds of its convolutions and matrix products, for the whole batch.
        n_params: parameters; running statistics of a batch norm are none.
        weight_bytes: of its parameters and buffers.
        peak_activation_bytes: the most that its live tensors, weights apart, ever hold at once.
    """

    n_macs: int
    n_params: int
    weight_bytes: int
    peak_activation_bytes: int


def footprint(module: "nn.Module", inputs: Sequence[tuple[int, ...]]) -> Footprint:
    """Counts a module without running it. Imports torch.

    Operators run in the order of the exported graph, none in place; a view shares the memory of
    what it looks at, and a tensor lives until its last reader has run.

    Args:
        module: is not changed.
        inputs: shape of each input, as torch takes them.
    """
    require("torch")
    import torch

    shadow = _without_values(copy.deepcopy(module))
    # Within the context, since modules may make tensors on the way.
    with torch.no_grad(), torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that a recurrent layer keeps twice
        examples = tuple(torch.empty(shape) for shape in inputs)
        graph = torch.export.export(shadow, examples).graph
        macs = n_macs(shadow, inputs)
    return Footprint(
        n_macs=macs,
        n_params=sum(p.numel() for p in module.parameters()),
        weight_bytes=weight_bytes(module),
        peak_activation_bytes=_peak_bytes(graph, len(examples)),
    )


def built_on_meta(build: Callable[[], "nn.Module"]) -> "nn.Module":
    """The module that is built, in evaluation mode, on torch's meta device. Imports torch."""
    require("torch")
    import torch

    with torch.device("meta"):
        module = build()
    return _without_values(module)


def _without_values(module: "nn.Module") -> "nn.Module":
    """The module on the meta device, with tensors that are no buffers or that NumPy made."""
    from torch import Tensor

    for part in module.to("meta").modules():
        for name, value in vars(part).items():
            if isinstance(value, Tensor):
                setattr(part, name, value.to("meta"))
    return module.eval()


def n_macs(module: "nn.Module", inputs: Sequence[tuple[int, ...]]) -> int:
    """Multiply-adds of a module's convolutions and matrix products, for the whole batch.

    Args:
        module: on any device; it is run there.
        inputs: shape of each input, batch first.
    """
    require("torch")
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    device = next((t.device for t in module.state_dict().values()), torch.device("meta"))
    examples = tuple(torch.empty(shape, device=device) for shape in inputs)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*examples)
    return int(counter.get_total_flops()) // 2


def count_macs(space: SearchSpace, X: IntArray) -> IntArray:
    """Multiply-adds of canonical rows (n, d) for a whole batch, (n,)."""
    return network_costs(space, X)[:, 0]


def network_costs(space: SearchSpace, X: IntArray) -> IntArray:
    """Multiply-adds for a whole batch, and parameters, of canonical rows (n, d), (n, 2).

    They are sums over workloads, and no network is built, unless the space does not know its
    workloads. Imports torch for what is not kept.
    """
    if not space.workloads:
        return np.array([_network_costs(space, row) for row in X], dtype=np.int64).reshape(-1, 2)
    counts = space.count_workloads(X)
    used = np.unique(counts.indices)
    return np.asarray(counts[:, used] @ costs([space.workloads[i] for i in used]))


def count_costs(space: SearchSpace) -> IntArray:
    """Multiply-adds and parameters of each workload of a space, (n_workloads, 2)."""
    return costs(space.workloads)


def require_counts(space: SearchSpace) -> None:
    """Refuses to count networks of a space without torch, unless its counts are kept.

    Raises:
        MissingPackageError: if torch is needed, and not installed.
    """
    if not space.workloads or not all(map(kept, space.workloads)):
        require("torch")


def costs(workloads: Sequence[Workload]) -> IntArray:
    """Multiply-adds and parameters of any workloads, (n, 2).

    Imports torch for those whose counts are not kept, and takes some milliseconds for each that is
    new to this process.
    """
    return np.array([_costs(workload) for workload in workloads], dtype=np.int64).reshape(-1, 2)


@lru_cache(maxsize=4096)
def _costs(workload: Workload) -> tuple[int, int]:
    if counts := kept(workload):
        return counts[0], counts[1]
    return _built_costs(workload.build, workload.inputs)


def _network_costs(space: SearchSpace, row: IntArray) -> tuple[int, int]:
    return _built_costs(partial(space.build, row), (space.input_shape,))


def _built_costs(
    build: Callable[[], "nn.Module"], inputs: Sequence[tuple[int, ...]]
) -> tuple[int, int]:
    module = built_on_meta(build)
    return n_macs(module, inputs), sum(p.numel() for p in module.parameters())


def workload_weight_bytes(workloads: Sequence[Workload]) -> IntArray:
    """Bytes of the parameters and buffers of each workload, (n,).

    Imports torch for what is not kept.
    """
    return np.array([_weight_bytes(workload) for workload in workloads], dtype=np.int64)


def workload_peak_bytes(workloads: Sequence[Workload]) -> IntArray:
    """Peak activation bytes of each workload alone, (n,).

    Imports torch for those whose counts are not kept, and takes some 60 milliseconds for each that
    is new to this process.
    """
    return np.array([_peak(workload) for workload in workloads], dtype=np.int64)


@lru_cache(maxsize=4096)
def _weight_bytes(workload: Workload) -> int:
    if counts := kept(workload):
        return counts[2]
    return weight_bytes(built_on_meta(workload.build))


@lru_cache(maxsize=4096)
def _peak(workload: Workload) -> int:
    if counts := kept(workload):
        return counts[3]
    module = built_on_meta(workload.build)
    return footprint(module, workload.inputs).peak_activation_bytes


def weight_bytes(module: "nn.Module") -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in module.state_dict().values())


def _peak_bytes(graph: "fx.Graph", n_inputs: int) -> int:
    """The largest sum of live storages, in bytes; the last `n_inputs` placeholders are inputs."""
    weights = [node for node in graph.nodes if node.op == "placeholder"][:-n_inputs]
    ignored = {storage for node in weights for storage in _storages(node)}
    last_use: dict[int, int] = {}
    for step, node in enumerate(graph.nodes):
        for read in (node, *node.all_input_nodes):
            last_use.update(dict.fromkeys(_storages(read), step))
    live: dict[int, int] = {}
    peak = 0
    for step, node in enumerate(graph.nodes):
        live |= {s: n for s, n in _storages(node).items() if s not in ignored}
        peak = max(peak, sum(live.values()))
        live = {s: n for s, n in live.items() if last_use[s] > step}
    return peak


def _storages(node: "fx.Node") -> dict[int, int]:
    """Bytes of each storage behind a node's values; equal keys share memory."""
    from torch import Tensor

    value = node.meta.get("val")
    tensors = value if isinstance(value, list | tuple) else [value]
    storages = [t.untyped_storage() for t in tensors if isinstance(t, Tensor)]
    return {storage._cdata: storage.nbytes() for storage in storages}
