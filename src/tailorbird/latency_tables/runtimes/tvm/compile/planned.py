"""Kernels of one contraction, and programs whose kernels are scheduled by their plans."""

from collections.abc import Iterator, Mapping
from typing import Any

import tvm
from tvm import tirx
from tvm.s_tir.meta_schedule.utils import shash2hex
from tvm.s_tir.schedule import Schedule

from tailorbird.latency_tables.runtimes.tvm.compile.packing import pack_sites
from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import blocks, is_contraction
from tailorbird.latency_tables.runtimes.tvm.schedule.packed_kernels import TILE
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import PLAN, Plan
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import Kernels, fuse, schedule_kernels
from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile, best_tiles, choose_tile
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

N_TILES = 8
"""How many tiles of a task tuning tries: the best ones by the model of cycles."""

_SITE = "tailorbird.site"  # annotation: number of a product in its program


def scheduled(
    imported: tvm.IRModule,
    target: Any,
    unit: VectorUnit,
    threads: int,
    plans: Mapping[str, Plan],
) -> tuple[tvm.IRModule, Kernels]:
    """Schedules each kernel of a program by its plan, or else by the static rule.

    Args:
        imported: with weights as constants, not packed.
        target: TVM's.
        unit: vector registers of the target.
        threads: that share loops.
        plans: by the key of their task.
    """
    first = kernels_of(fuse(pack_sites(imported, rank_chooser(0, unit)), target))
    keys = {site: structure_hash(kernel) for site, kernel in first if site is not None}
    chosen = {site: plans[key] for site, key in keys.items() if key in plans}

    def choose(site: int, m: int, n: int) -> tuple[Tile, dict[str, str | int]]:
        if site in chosen:
            return chosen[site].tile, {PLAN: str(chosen[site])}
        return choose_tile(m, n, unit), {}

    program = fuse(pack_sites(imported, choose), target)
    for variable, kernel in program.functions.items():
        key = _unpacked_key(kernel) if isinstance(kernel, tirx.PrimFunc) else None
        if key is not None and key in plans:
            program.update_func(variable, planned(kernel, plans[key]))
    return schedule_kernels(program, target, unit, threads)


def planned(kernel: tirx.PrimFunc, plan: Plan) -> tirx.PrimFunc:
    """Returns a kernel with the plan annotated on its contraction."""
    s = Schedule(tvm.IRModule({"main": kernel}))
    annotate(s, plan)
    return s.mod["main"]


def annotate(s: Any, plan: Plan) -> None:
    """Writes a plan on the contraction of a kernel that is not scheduled yet."""
    block = contraction(s)
    if PLAN in s.get(block).annotations:  # TVM would keep the first
        s.unannotate(block, PLAN)
    s.annotate(block, PLAN, str(plan))


def contraction(s: Any) -> Any:
    """The one contraction of a kernel."""
    (block,) = _contractions(s)
    return block


def _contractions(s: Any) -> list[Any]:
    return [block for block in blocks(s) if is_contraction(s, block)]


def rank_chooser(rank: int, unit: VectorUnit) -> Any:
    """Returns what `pack_sites` takes: the tile of this rank by the model, annotated by site."""

    def choose(site: int, m: int, n: int) -> tuple[Tile, dict[str, str | int]]:
        tiles = best_tiles(m, n, unit, N_TILES)
        return tiles[min(rank, len(tiles) - 1)], {_SITE: site}

    return choose


def kernels_of(program: tvm.IRModule) -> list[tuple[int | None, tirx.PrimFunc]]:
    """Kernels with one contraction, and the number of their product if its weights are packed."""
    return [kernel for function in program.functions.values() for kernel in _numbered(function)]


def _numbered(function: Any) -> Iterator[tuple[int | None, tirx.PrimFunc]]:
    if not isinstance(function, tirx.PrimFunc):
        return
    s = Schedule(tvm.IRModule({"main": function}))
    contractions = _contractions(s)
    if len(contractions) != 1:
        return
    site = s.get(contractions[0]).annotations.get(_SITE)
    if site is None:
        yield None, function
    else:
        s.unannotate(contractions[0], _SITE)
        yield int(site), s.mod["main"]


def _unpacked_key(kernel: tirx.PrimFunc) -> str | None:
    s = Schedule(tvm.IRModule({"main": kernel}))
    contractions = _contractions(s)
    if len(contractions) != 1 or TILE in s.get(contractions[0]).annotations:
        return None
    return structure_hash(kernel)


def structure_hash(kernel: tirx.PrimFunc) -> str:
    """Hash of a kernel's structure, whatever its names."""
    return str(shash2hex(tvm.IRModule({"main": kernel.with_attr("global_symbol", "main")})))[2:]
