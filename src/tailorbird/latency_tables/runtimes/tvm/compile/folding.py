"""Constant folding: arithmetic on constants is done when a program is compiled.

TVM's own FoldConstant compiles a kernel for every constant that it folds; numpy does not.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax

_ARITHMETIC: dict[str, Callable[..., np.ndarray]] = {
    "relax.add": np.add,
    "relax.subtract": np.subtract,
    "relax.multiply": np.multiply,
    "relax.divide": np.divide,
    "relax.negative": np.negative,
    "relax.sqrt": np.sqrt,
    "relax.rsqrt": lambda x: 1 / np.sqrt(x),
}
_SHAPING = ("relax.reshape", "relax.expand_dims", "relax.squeeze")


def constant_of(mutator: relax.PyExprMutator, expr: relax.Expr) -> np.ndarray | None:
    """Value of an expression that is bound to a constant; None for any other."""
    bound = mutator.lookup_binding(expr) if isinstance(expr, relax.Var) else expr
    return bound.value.numpy() if isinstance(bound, tvm.ir.GenericConst) else None


def call_of(mutator: relax.PyExprMutator, expr: relax.Expr, *names: str) -> relax.Call | None:
    """Call that an expression is bound to, if it is of one of these operators; else None."""
    bound = mutator.lookup_binding(expr) if isinstance(expr, relax.Var) else expr
    is_one = isinstance(bound, relax.Call) and getattr(bound.op, "name", "") in names
    return bound if is_one else None


@relax.expr_functor.mutator
class ConstantFolder(relax.PyExprMutator):  # type: ignore[misc]  # tvm is untyped
    """Folds arithmetic on constants, and what scales a convolution into its weights."""

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        """Rewrites one call whose arguments have been rewritten."""
        call = self.visit_expr_post_order(call)
        name = getattr(call.op, "name", "")
        if name in _ARITHMETIC:
            values = [constant_of(self, argument) for argument in call.args]
            if all(value is not None for value in values):
                return relax.const(np.asarray(_ARITHMETIC[name](*values), dtype=np.float32))
        if name in _SHAPING and (value := constant_of(self, call.args[0])) is not None:
            return relax.const(value.reshape([int(extent) for extent in call.ty.shape]))
        if name == "relax.multiply" and (factor := constant_of(self, call.args[1])) is not None:
            scaled = self._scaled(call.args[0], factor)
            return call if scaled is None else scaled
        return call

    def _scaled(self, expr: relax.Expr, factor: np.ndarray) -> relax.Expr | None:
        """Scales the channels of a convolution in its weights; None where that cannot be done."""
        if factor.ndim != 4 or factor.size != factor.shape[1]:
            return None
        shifted = call_of(self, expr, "relax.add")
        convolved = call_of(self, expr if shifted is None else shifted.args[0], "relax.nn.conv2d")
        if convolved is None or (weights := constant_of(self, convolved.args[1])) is None:
            return None
        scaled: Any = self.builder_.emit(
            relax.Call(
                convolved.op,
                [convolved.args[0], relax.const(weights * factor.reshape(-1, 1, 1, 1))],
                convolved.attrs,
            )
        )
        if shifted is None:
            return scaled
        shift = constant_of(self, shifted.args[1])
        return None if shift is None else relax.op.add(scaled, relax.const(shift * factor))
