"""Packing of constant weights for the tiles that read them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tailorbird.latency_tables.runtimes.tvm.compile.folding import constant_of
from tailorbird.latency_tables.runtimes.tvm.schedule.packed_kernels import (
    depthwise_conv,
    pack,
    packed_conv,
    packed_dense,
)
from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile, choose_tile
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

_FUSES_WITH_WHAT_FOLLOWS = 4  # kOutEWiseFusable in TVM


def pack_weights(program: tvm.IRModule, unit: VectorUnit) -> tvm.IRModule:
    """Replaces products with constant weights by kernels that read them packed."""
    return pack_sites(program, lambda _, m, n: (choose_tile(m, n, unit), {}))


Choose = Callable[[int, int, int], tuple[Tile, Mapping[str, str | int]]]
"""The tile of a product, and further annotations, from its number in the program and its size."""


def pack_sites(program: tvm.IRModule, choose: Choose) -> tvm.IRModule:
    """Packs as `pack_weights` does, with tiles and annotations chosen product by product."""
    packer = _Packer(program, choose)
    main = packer.visit_expr(program["main"])
    packer.builder_.update_func(program.get_global_var("main"), main)
    return packer.builder_.get()


@relax.expr_functor.mutator
class _Packer(relax.PyExprMutator):  # type: ignore[misc]  # tvm is untyped
    def __init__(self, program: tvm.IRModule, choose: Choose) -> None:
        super().__init__(program)
        self.choose = choose
        self.n_sites = 0

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        """Rewrites one call whose arguments have been rewritten."""
        call = self.visit_expr_post_order(call)
        name = getattr(call.op, "name", "")
        if name not in ("relax.matmul", "relax.nn.conv2d"):
            return call
        weights = constant_of(self, call.args[1])
        if weights is None:
            return call
        if name == "relax.matmul":
            return self._dense(call, weights)
        return self._conv(call, weights)

    def _dense(self, call: relax.Call, weights: np.ndarray) -> relax.Expr:
        x = call.args[0]
        if weights.ndim != 2 or len(x.ty.shape) < 2:
            return call
        n = weights.shape[1]
        tile, notes = self._site(int(x.ty.shape[-2]), n)
        kernel = partial(packed_dense, n=n, tile=tile, notes=notes)
        return self._call(kernel, x, pack(weights, tile.columns), "dense")

    def _conv(self, call: relax.Call, weights: np.ndarray) -> relax.Expr:
        x, attrs = call.args[0], call.attrs
        strides = [int(v) for v in attrs.strides]
        padding = [int(v) for v in attrs.padding]
        groups, n = int(attrs.groups), weights.shape[-1]
        channels, out_width = int(x.ty.shape[-1]), int(call.ty.shape[2])
        if str(attrs.data_layout) != "NHWC" or any(int(v) != 1 for v in attrs.dilation):
            return call
        if groups == 1:
            tile, notes = self._site(out_width, n)
            kernel = partial(
                packed_conv, n=n, strides=strides, padding=padding, tile=tile, notes=notes
            )
            return self._call(kernel, x, pack(weights, tile.columns), "conv2d")
        if groups == channels == n:
            tile, notes = self._site(out_width, n)
            kernel = partial(
                depthwise_conv, n=n, strides=strides, padding=padding, tile=tile, notes=notes
            )
            columns = np.pad(weights[:, :, 0], ((0, 0), (0, 0), (0, -n % tile.columns)))
            return self._call(kernel, x, columns, "depthwise_conv2d")
        return call

    def _site(self, m: int, n: int) -> tuple[Tile, Mapping[str, str | int]]:
        self.n_sites += 1
        return self.choose(self.n_sites - 1, m, n)

    def _call(
        self, kernel: Callable[..., Any], x: relax.Expr, weights: np.ndarray, name: str
    ) -> relax.Expr:
        return self.builder_.call_te(
            kernel,
            x,
            relax.const(np.ascontiguousarray(weights)),
            primfunc_name_hint=name,
            primfunc_attrs={"op_pattern": _FUSES_WITH_WHAT_FOLLOWS},
        )
