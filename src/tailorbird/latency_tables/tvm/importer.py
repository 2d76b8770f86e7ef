"""From a torch module to a Relax program whose convolutions are channels-last.

Compiled programs take and give 4-d tensors channels-last (NHWC), as their convolutions work: a
block timed alone then pays for no transpose that it would not pay for inside a network.
"""

import copy
from itertools import pairwise

import numpy as np
import torch
import tvm
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

NCHW_TO_NHWC = (0, 2, 3, 1)
NHWC_TO_NCHW = (0, 3, 1, 2)

_UNARY = ("relax.nn.relu", "relax.nn.gelu", "relax.nn.silu", "relax.sigmoid", "relax.clip")
_BINARY = ("relax.add", "relax.subtract", "relax.multiply", "relax.divide")


class _ChannelsLast(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        y: Tensor = self.module(*(x.permute(NHWC_TO_NCHW) if x.dim() == 4 else x for x in inputs))
        return y.permute(NCHW_TO_NHWC) if y.dim() == 4 else y


def import_module(module: nn.Module, inputs: tuple[Tensor, ...]) -> tvm.IRModule:
    """The Relax program of a module in evaluation mode, prepared for scheduling.

    Args:
        module: is not changed.
        inputs: examples as torch takes them; 4-d ones are NCHW here and NHWC in the program.
    """
    wrapped = _ChannelsLast(_fold_batch_norm(copy.deepcopy(module).eval()))
    last = tuple(x.permute(NCHW_TO_NHWC).contiguous() if x.dim() == 4 else x for x in inputs)
    with torch.no_grad():
        exported = torch.export.export(wrapped, last)
    # Without decomposition a linear layer stays one matmul and one addition, which fuse.
    program = from_exported_program(
        exported, unwrap_unit_return_tuple=True, run_ep_decomposition=False
    )
    passes = relax.transform
    program = tvm.transform.Sequential(
        [
            passes.DecomposeOpsForInference(),
            passes.CanonicalizeBindings(),
            passes.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]}),
        ]
    )(program)
    program["main"] = _TransposeSinker().visit_expr(program["main"])
    return tvm.transform.Sequential([passes.DeadCodeElimination(), passes.FoldConstant()])(program)


def _fold_batch_norm(module: nn.Module) -> nn.Module:
    """Folds batch norm into the convolution before it; TVM's importer reads it wrongly."""
    for parent in list(module.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
    return module


@relax.expr_functor.mutator
class _TransposeSinker(relax.PyExprMutator):  # type: ignore[misc]  # tvm is untyped
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
        if name == "relax.reshape" and (constant := self._constant(call.args[0])) is not None:
            return relax.const(constant.reshape([int(extent) for extent in call.ty.shape]))
        if first is None:
            return call
        x, axes = first
        if name in _UNARY:
            moved = self.builder_.emit(relax.Call(call.op, [x, *call.args[1:]], call.attrs))
            return relax.op.permute_dims(moved, axes)
        if name in _BINARY:
            second = self._transposed(call.args[1])
            if second is not None and second[1] == axes:
                moved = self.builder_.emit(relax.Call(call.op, [x, second[0]], call.attrs))
                return relax.op.permute_dims(moved, axes)
        if name == "relax.mean" and not call.attrs.keepdims and call.attrs.axis is not None:
            gone = [axes[int(axis)] for axis in call.attrs.axis]
            kept = [axis for axis in axes if axis not in gone]
            if kept == sorted(kept):
                return relax.op.mean(x, gone)
        return call

    def _compose(self, call: relax.Call, inner: tuple[relax.Expr, list[int]] | None) -> relax.Expr:
        x, axes = call.args[0], _axes(call)
        if inner is not None:
            x, axes = inner[0], [inner[1][axis] for axis in axes]
        if (constant := self._constant(x)) is not None:
            return relax.const(np.ascontiguousarray(constant.transpose(axes)))
        return x if axes == sorted(axes) else relax.op.permute_dims(x, axes)

    def _constant(self, expr: relax.Expr) -> np.ndarray | None:
        bound = self.lookup_binding(expr) if isinstance(expr, relax.Var) else expr
        return bound.value.numpy() if isinstance(bound, tvm.ir.GenericConst) else None

    def _transposed(self, expr: relax.Expr) -> tuple[relax.Expr, list[int]] | None:
        bound = self.lookup_binding(expr) if isinstance(expr, relax.Var) else None
        if isinstance(bound, relax.Call) and getattr(bound.op, "name", "") == "relax.permute_dims":
            return bound.args[0], _axes(bound)
        return None


def _axes(call: relax.Call) -> list[int]:
    if call.attrs.axes is None:
        return list(reversed(range(len(call.args[0].ty.shape))))
    return [int(axis) for axis in call.attrs.axes]
