"""Functions that LLVM would call one value at a time, as polynomials that it can vectorise."""

from typing import Any

from tvm import relax, te, tirx, topi


def _gelu(bb: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    def gelu(x: Any) -> Any:
        erf = topi.fast_erf(topi.multiply(x, tirx.const(0.5**0.5, x.dtype)))
        half, one = tirx.const(0.5, x.dtype), tirx.const(1.0, x.dtype)
        return te.compute(x.shape, lambda *i: x(*i) * half * (erf(*i) + one), name="gelu")

    return bb.call_te(gelu, call.args[0])


def _sigmoid(x: Any) -> Any:
    exp = topi.fast_exp(topi.negative(x))
    one = tirx.const(1.0, x.dtype)
    return te.compute(x.shape, lambda *i: one / (one + exp(*i)), name="sigmoid")


def _legalize_sigmoid(bb: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    return bb.call_te(_sigmoid, call.args[0], primfunc_name_hint="sigmoid")


def _silu(bb: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    return bb.call_te(
        lambda x: topi.multiply(x, _sigmoid(x)), call.args[0], primfunc_name_hint="silu"
    )


LEGALIZED = {
    "relax.nn.gelu": _gelu,
    "relax.sigmoid": _legalize_sigmoid,
    "relax.nn.silu": _silu,
}
