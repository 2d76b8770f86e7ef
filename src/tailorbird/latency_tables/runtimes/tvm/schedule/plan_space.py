"""The plans that one kernel can have, and which of them tuning tries next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile

_PARENTS = 4  # plans, the fastest so far, that new ones are made from
_RANDOM = 0.15  # fraction of new plans that are no changes to earlier ones
_TRIES = 200  # draws before a space counts as exhausted
_K_BLOCKS = (48, 512)  # steps: shorter ones are all overhead, longer ones leave the cache
_MOST_K_BLOCKS = 4
_UNROLLED = (1, 2, 3, 4, 8)


@dataclass(frozen=True, slots=True)
class TuningSpace:
    """Values of each part of a plan; the first of each is the static rule's.

    Attributes:
        n_steps: of the last summed axis.
        has_batch: true if loops go round the panels of weights under the static rule already.
    """

    n_steps: int
    has_batch: bool
    tile: tuple[Tile, ...]
    outside: tuple[int, ...] = (0,)
    k_block: tuple[int, ...] = (0,)
    unroll: tuple[int, ...] = (1,)
    padding: tuple[str, ...] = ("first",)
    epilogue: tuple[str, ...] = ("tile",)
    packing: tuple[str, ...] = ("vectors",)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Makes a space of its fields in the types of JSON."""
        tiles = tuple(Tile(*tile) for tile in given["tile"])
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }
        return cls(**(values | {"tile": tiles}))

    @property
    def fields(self) -> dict[str, Any]:
        """Fields in the types of JSON, as `of` takes them."""
        return asdict(self) | {"tile": [[t.rows, t.columns, t.lanes] for t in self.tile]}

    @property
    def static(self) -> Plan:
        """The static rule's plan."""
        return Plan(self.tile[0])

    def next(self, seconds: Mapping[Plan, float], rng: np.random.Generator) -> Plan | None:
        """A plan that was not tried: the static one, each tile, then changes to the fastest.

        Args:
            seconds: of each plan that was tried; infinite where it failed.
            rng: source of random choices.

        Returns:
            None if none was found.
        """
        for tile in self.tile:
            if Plan(tile) not in seconds:
                return Plan(tile)
        fastest = sorted((p for p in seconds if seconds[p] < math.inf), key=lambda p: seconds[p])
        for _ in range(_TRIES):
            if fastest and rng.random() >= _RANDOM:
                # The fastest have most children.
                parent = fastest[min(rng.geometric(0.5) - 1, _PARENTS - 1, len(fastest) - 1)]
                n_changes = min(rng.geometric(0.6), len(_PARTS))
                changed = rng.choice(_PARTS, size=n_changes, replace=False)
            else:
                parent, changed = self.static, np.array(_PARTS)
            changes = {str(p): _draw(getattr(self, p), rng) for p in changed}
            plan = self._canonical(replace(parent, **changes))
            if plan is not None and plan not in seconds:
                return plan
        return None

    def _canonical(self, plan: Plan) -> Plan | None:
        """The one plan that stands for all of the same schedule; None if parts do not fit."""
        if plan.k_block and plan.outside == self.outside[-1] != 0:
            plan = replace(plan, k_block=0)  # no rows are left inside to have their turn
        if (plan.k_block or self.n_steps) % plan.unroll:
            return None
        if not self.has_batch and not plan.outside:
            plan = replace(plan, padding="first")
        if plan.k_block and plan.epilogue == "tile":
            plan = replace(plan, epilogue="panel")
        return plan


_PARTS = [field.name for field in fields(Plan)]


def k_blocks(n_steps: int) -> tuple[int, ...]:
    """Lengths of blocks that divide a sum, evenly chosen; 0 first."""
    low, high = _K_BLOCKS
    dividing = [d for d in range(low, min(high, n_steps - 1) + 1) if n_steps % d == 0]
    return (0, *thinned(dividing, _MOST_K_BLOCKS))


def unrolled(n_steps: int) -> tuple[int, ...]:
    """Numbers of steps that can be unrolled."""
    return tuple(n for n in _UNROLLED if n_steps % n == 0)


def thinned(values: Sequence[int], count: int) -> tuple[int, ...]:
    """Returns `count` of the values or fewer, evenly chosen, first and last among them."""
    if len(values) <= count:
        return tuple(values)
    at = np.linspace(0, len(values) - 1, count).round().astype(int)
    return tuple(values[i] for i in at)


def _draw(values: Sequence[Any], rng: np.random.Generator) -> Any:
    return values[int(rng.integers(len(values)))]
