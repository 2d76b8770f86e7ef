"""Weights as arguments, so that several copies of them can take turns in one program."""

import numpy as np
import tvm
from tvm import relax


def lift_weights(program: tvm.IRModule) -> tuple[tvm.IRModule, list[np.ndarray]]:
    """Turns constants into arguments that follow the inputs.

    Returns:
        The program, and the values of the added arguments in their order.
    """
    lifter = _Lifter()
    main = lifter.visit_expr(program["main"])
    arguments = [*main.params, *lifter.arguments]
    program["main"] = relax.Function(arguments, main.body, main.ret_ty, main.is_pure, main.attrs)
    return program, lifter.values


@relax.expr_functor.mutator
class _Lifter(relax.PyExprMutator):  # type: ignore[misc]  # tvm is untyped
    def __init__(self) -> None:
        super().__init__()
        self.arguments: list[relax.Var] = []
        self.values: list[np.ndarray] = []

    def visit_generic_const_(self, constant: tvm.ir.GenericConst) -> relax.Expr:
        """A constant of more than one value becomes an argument."""
        value = constant.value.numpy()
        if value.size == 1:
            return constant
        argument = relax.Var(f"weight_{len(self.values)}", constant.ty)
        self.arguments.append(argument)
        self.values.append(value)
        return argument
