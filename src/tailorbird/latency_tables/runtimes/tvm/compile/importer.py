"""Import of torch modules as Relax programs whose convolutions are channels-last."""

import copy

import torch
import tvm
from torch import Tensor, nn
from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

from tailorbird.latency_tables.runtimes.tvm.compile.converters import CONVERTERS
from tailorbird.latency_tables.runtimes.tvm.compile.folding import ConstantFolder
from tailorbird.latency_tables.runtimes.tvm.compile.layout import (
    NCHW_TO_NHWC,
    NHWC_TO_NCHW,
    TransposeSinker,
)


class _ChannelsLast(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        y: Tensor = self.module(*(x.permute(NHWC_TO_NCHW) if x.dim() == 4 else x for x in inputs))
        return y.permute(NCHW_TO_NHWC) if y.dim() == 4 else y


def import_module(module: nn.Module, inputs: tuple[Tensor, ...]) -> tvm.IRModule:
    """The Relax program of a module in evaluation mode; its weights are constants.

    Args:
        module: is not changed.
        inputs: examples as torch takes them; 4-d ones are NCHW here and NHWC in the program.
    """
    wrapped = _ChannelsLast(copy.deepcopy(module).eval())
    last = tuple(x.permute(NCHW_TO_NHWC).contiguous() if x.dim() == 4 else x for x in inputs)
    with torch.no_grad():
        exported = torch.export.export(wrapped, last)
    # Without decomposition a linear layer stays one matmul and one addition, which fuse.
    program = from_exported_program(
        exported,
        unwrap_unit_return_tuple=True,
        run_ep_decomposition=False,
        custom_convert_map=CONVERTERS,
    )
    passes = relax.transform
    program = passes.CanonicalizeBindings()(program)
    program["main"] = ConstantFolder().visit_expr(program["main"])
    program = passes.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]})(program)
    program["main"] = TransposeSinker().visit_expr(program["main"])
    return passes.DeadCodeElimination()(program)
