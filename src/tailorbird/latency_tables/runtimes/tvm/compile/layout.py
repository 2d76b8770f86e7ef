"""Removal of the transposes that channels-last convolutions leave in a program.

Compiled programs take and give 4-d tensors channels-last (NHWC), as their convolutions work: a
block timed alone then pays for no transpose that it would not pay for inside a network.
"""

import numpy as np
from tvm import relax

from tailorbird.latency_tables.runtimes.tvm.compile.folding import call_of, constant_of

NCHW_TO_NHWC = (0, 2, 3, 1)
NHWC_TO_NCHW = (0, 3, 1, 2)

_UNARY = (
    "relax.clip",
    "relax.nn.gelu",
    "relax.nn.relu",
    "relax.nn.silu",
    "relax.sigmoid",
)
_POOLING = {
    "relax.nn.adaptive_avg_pool2d": relax.op.nn.adaptive_avg_pool2d,
    "relax.nn.avg_pool2d": relax.op.nn.avg_pool2d,
    "relax.nn.max_pool2d": relax.op.nn.max_pool2d,
}
_BINARY = ("relax.add", "relax.subtract", "relax.multiply", "relax.divide")


@relax.expr_functor.mutator
class TransposeSinker(relax.PyExprMutator):  # type: ignore[misc]  # tvm is untyped
    """Moves transposes towards the outputs, where pairs of them cancel, in one pass.

    Constants are transposed here: FoldConstant would compile a kernel for each of them.
    """

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        """Rewrites one call whose arguments have been rewritten."""
        call = self.visit_expr_post_order(call)
        name = getattr(call.op, "name", "")
        first = self._transposed(call.args[0]) if call.args else None
        if name == "relax.permute_dims":
            return self._compose(call, first)
        if name == "relax.reshape" and (constant := constant_of(self, call.args[0])) is not None:
            return relax.const(constant.reshape([int(extent) for extent in call.ty.shape]))
        if first is None:
            return call
        x, axes = first
        if name in _UNARY:
            moved = self.builder_.emit(relax.Call(call.op, [x, *call.args[1:]], call.attrs))
            return relax.op.permute_dims(moved, axes)
        if name in _BINARY and (second := self._like(call.args[1], axes)) is not None:
            moved = self.builder_.emit(relax.Call(call.op, [x, second], call.attrs))
            return relax.op.permute_dims(moved, axes)
        if name in _POOLING and tuple(axes) == NHWC_TO_NCHW:
            moved = self.builder_.emit(_pooled(call, x))
            return relax.op.permute_dims(moved, axes)
        if name == "relax.mean" and call.attrs.axis is not None:
            reduced = [axes[int(axis)] for axis in call.attrs.axis]
            if call.attrs.keepdims:
                moved = self.builder_.emit(relax.op.mean(x, reduced, keepdims=True))
                return relax.op.permute_dims(moved, axes)
            left = [axis for axis in axes if axis not in reduced]
            if left == sorted(left):
                return relax.op.mean(x, reduced)
        return call

    def _compose(self, call: relax.Call, inner: tuple[relax.Expr, list[int]] | None) -> relax.Expr:
        x, axes = call.args[0], _axes(call)
        if inner is not None:
            x, axes = inner[0], [inner[1][axis] for axis in axes]
        if (constant := constant_of(self, x)) is not None:
            return relax.const(np.ascontiguousarray(constant.transpose(axes)))
        return x if axes == sorted(axes) else relax.op.permute_dims(x, axes)

    def _like(self, expr: relax.Expr, axes: list[int]) -> relax.Expr | None:
        """Second operand in the layout of the first before its transpose; None if that costs."""
        if (transposed := self._transposed(expr)) is not None:
            return transposed[0] if transposed[1] == axes else None
        constant = constant_of(self, expr)
        if constant is None or constant.ndim not in (0, len(axes)):
            return None
        back = np.argsort(axes)
        return relax.const(
            np.ascontiguousarray(constant.transpose(back)) if constant.ndim else constant
        )

    def _transposed(self, expr: relax.Expr) -> tuple[relax.Expr, list[int]] | None:
        call = call_of(self, expr, "relax.permute_dims") if isinstance(expr, relax.Var) else None
        return (call.args[0], _axes(call)) if call is not None else None


def _pooled(call: relax.Call, x: relax.Expr) -> relax.Expr:
    """The same pooling of a channels-last tensor."""
    pool, attrs = _POOLING[call.op.name], call.attrs
    if pool is relax.op.nn.adaptive_avg_pool2d:
        return pool(x, attrs.output_size, layout="NHWC")
    return pool(
        x,
        attrs.pool_size,
        attrs.strides,
        attrs.padding,
        attrs.dilation,
        attrs.ceil_mode,
        attrs.count_include_pad,
        layout="NHWC",
    )


def _axes(call: relax.Call) -> list[int]:
    if call.attrs.axes is None:
        return list(reversed(range(len(call.args[0].ty.shape))))
    return [int(axis) for axis in call.attrs.axes]
