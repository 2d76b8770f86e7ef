"""Properties of the blocks of a kernel, read from its schedule."""

from typing import Any

from tvm import tirx
from tvm.s_tir.dlight.analysis.common_analysis import collect_vars_used_in_prim_expr


def blocks(s: Any) -> list[Any]:
    """The blocks of a kernel, in the order in which they run."""
    return list(s.get_child_blocks(s.get_sblock("root")))


def name_of(s: Any, block: Any) -> str:
    """Name of a block, unique in its kernel."""
    return str(s.get(block).name_hint)


def extent(s: Any, loop: Any) -> int:
    """Iterations of a loop."""
    return int(s.get(loop).extent)


def reduces(iter_var: Any) -> bool:
    """True if a block sums over a variable."""
    return bool(iter_var.iter_type == tirx.IterVar.CommReduce)


def is_reduction(s: Any, block: Any) -> bool:
    """True if a block sums over anything."""
    return any(reduces(v) for v in s.get(block).iter_vars)


def uses(axis: Any, iter_var: Any) -> bool:
    """True if a range or a region depends on a variable of its block."""
    ranges = axis.region if hasattr(axis, "region") else [axis]
    return any(
        used.same_as(iter_var.var)
        for range_ in ranges
        for used in collect_vars_used_in_prim_expr(range_.min)
    )


def operands(s: Any, block: Any) -> list[Any]:
    """Regions that a block reads, without what it accumulates into."""
    realised = s.get(block)
    written = {region.source for region in realised.writes}
    return [region for region in realised.reads if region.source not in written]


def is_contraction(s: Any, block: Any) -> bool:
    """True if a block sums products of two operands over an axis that both have."""
    realised = s.get(block)
    reduced = [v for v in realised.iter_vars if reduces(v)]
    read = operands(s, block)
    return (
        bool(reduced)
        and len(realised.writes) == 1
        and len(read) == 2
        and all(any(uses(region, v) for v in reduced) for region in read)
    )


def computes(s: Any, block: Any, *functions: str) -> bool:
    """True if a block calls one of these functions."""
    text = str(s.get(block).body)
    return any(f".{function}(" in text for function in functions)
