"""Kernels that can be tuned: those that hold one contraction, known by their structure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import tvm
from tvm import tirx
from tvm.ir import save_json
from tvm.s_tir.schedule import Schedule

from tailorbird.latency_tables.runtimes.tvm.compile.packing import pack_sites
from tailorbird.latency_tables.runtimes.tvm.compile.planned import (
    N_TILES,
    contraction,
    kernels_of,
    rank_chooser,
    structure_hash,
)
from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import blocks, name_of, reduces
from tailorbird.latency_tables.runtimes.tvm.schedule.contraction import (
    is_plain,
    rows_and_columns,
    tuning_space,
)
from tailorbird.latency_tables.runtimes.tvm.schedule.packed_kernels import CROPPED, TILE
from tailorbird.latency_tables.runtimes.tvm.schedule.plan_space import TuningSpace
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import fuse
from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile, best_exact_tiles, best_tiles
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit


@dataclass(frozen=True, slots=True)
class Task:
    """A kernel to tune.

    Attributes:
        key: hash of the structure that it has under the static rule; the same wherever the same
            blocks are fused for the same shapes, in whatever network.
        name: of its blocks, and the shapes of its arguments.
        n_macs: multiply-adds that it is asked for, without what tiles add at the edges.
        columns: of its matrices, likewise.
        space: the plans that it can have.
        kernels: the kernel for each tile of the space.
    """

    key: str
    name: str
    n_macs: int
    columns: int
    space: TuningSpace
    kernels: Mapping[Tile, tirx.PrimFunc]

    @property
    def fields(self) -> dict[str, Any]:
        """All that tuning must know, as the task's folder in the database keeps it."""
        distinct = list({id(kernel): kernel for kernel in self.kernels.values()}.values())
        names = {id(kernel): f"kernel_{i}" for i, kernel in enumerate(distinct)}
        module = tvm.IRModule(
            {names[id(k)]: k.with_attr("global_symbol", names[id(k)]) for k in distinct}
        )
        return {
            "name": self.name,
            "n_macs": self.n_macs,
            "columns": self.columns,
            "space": self.space.fields,
            "kernels": [names[id(kernel)] for kernel in self.kernels.values()],
            "module": save_json(module),
        }


def tasks_of(imported: tvm.IRModule, target: Any, unit: VectorUnit) -> list[Task]:
    """Tasks of a program, each once, however often the program has its kernel."""
    ranked = [
        kernels_of(fuse(pack_sites(imported, rank_chooser(rank, unit)), target))
        for rank in range(N_TILES)
    ]
    tasks: dict[str, Task] = {}
    for site, kernel in ranked[0]:
        key = structure_hash(kernel)
        if key in tasks:
            continue
        if site is None:
            kernels = dict.fromkeys(_tiles_of(kernel, unit), kernel)
        else:
            kernels = {}
            for others in ranked:
                variant = next(k for s, k in others if s == site)
                kernels.setdefault(_annotated_tile(variant), variant)
        s = Schedule(tvm.IRModule({"main": kernel}))
        space = tuning_space(s, contraction(s), tuple(kernels))
        n_macs, columns = _macs_and_columns(s)
        tasks[key] = Task(key, _name(kernel), n_macs, columns, space, kernels)
    return list(tasks.values())


def _name(kernel: tirx.PrimFunc) -> str:
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    s = Schedule(tvm.IRModule({"main": kernel}))
    shapes = ("x".join(str(int(v)) for v in a.shape) for a in ArgInfo.from_prim_func(kernel))
    return f"{'+'.join(name_of(s, block) for block in blocks(s))}({', '.join(shapes)})"


def _annotated_tile(kernel: tirx.PrimFunc) -> Tile:
    s = Schedule(tvm.IRModule({"main": kernel}))
    return Tile(*(int(v) for v in s.get(contraction(s)).annotations[TILE]))


def _tiles_of(kernel: tirx.PrimFunc, unit: VectorUnit) -> list[Tile]:
    """The candidates of a contraction whose weights are not packed before."""
    s = Schedule(tvm.IRModule({"main": kernel}))
    block = contraction(s)
    m, n = rows_and_columns(s, block)
    best = best_tiles if is_plain(s, block) else best_exact_tiles
    return best(m, n, unit, N_TILES)


def _macs_and_columns(s: Any) -> tuple[int, int]:
    """Multiply-adds and columns of a contraction, cropped to what is read after it."""
    block = contraction(s)
    steps = prod(int(v.dom.extent) for v in s.get(block).iter_vars if reduces(v))
    cropped = [c for c in s.get_consumers(block) if name_of(s, c) == CROPPED]
    outputs = s.get(cropped[0] if cropped else block)
    extents = [int(v.dom.extent) for v in outputs.iter_vars if not reduces(v)]
    return steps * prod(extents), extents[-1]
