"""TVM under our static schedule against onnxruntime and eager torch, per workload, one thread.

All three take turns in one process on one core, with hot weights. Blocks are those of DeiT, Swin,
ResNet-50 and MobileNetV3-Large, and three whole networks; timm makes what the package does not.
Convolutional blocks take and give NCHW in onnxruntime, which converts at their borders, and NHWC in
TVM: there the whole networks are the fair comparison. Exit code 1 if any output is wrong.
"""

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", TVM_NUM_THREADS="1")  # before torch and TVM are loaded

import numpy as np
import onnxruntime
import timm
import torch
import tvm
from safetensors.numpy import load_file
from scripts import command_line, write_result
from timm.models.resnet import Bottleneck
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn
from tvm import relax

from tailorbird import spaces
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.runtimes.tvm.compile.build import build_library
from tailorbird.latency_tables.runtimes.tvm.compile.layout import NCHW_TO_NHWC

ROUNDS = 7
SAMPLE_S = 0.02
LARGEST_ERROR = 1e-5


class SwinTokens(nn.Module):
    """A Swin block between tokens, as its neighbours see it."""

    def __init__(self, width: int, side: int, heads: int, shift: int) -> None:
        super().__init__()
        self.side = side
        self.block = SwinTransformerBlock(
            width, (side, side), heads, window_size=7, shift_size=shift
        )

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = self.block(x.reshape(len(x), self.side, self.side, -1))
        return image.flatten(1, 2)


def cases() -> Iterator[tuple[str, nn.Module, Tensor]]:
    for workload in spaces.get("deit-ti-s-b").workloads:
        yield workload.key, workload.build(), torch.randn(workload.inputs[0])
    for width, side, heads, shift in (
        (96, 56, 3, 0),
        (96, 56, 3, 3),
        (192, 28, 6, 0),
        (192, 28, 6, 3),
        (384, 14, 12, 0),
        (384, 14, 12, 3),
        (768, 7, 24, 0),
    ):
        name = f"swin_block(width={width},shift={shift})"
        yield name, SwinTokens(width, side, heads, shift), torch.randn(1, side * side, width)
    for width, side in ((64, 56), (128, 28), (256, 14), (512, 7)):
        name = f"resnet_bottleneck(width={width})"
        yield name, Bottleneck(4 * width, width), torch.randn(1, 4 * width, side, side)
    mobile = timm.create_model("mobilenetv3_large_100", pretrained=False).eval()
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        x = mobile.get_submodule("bn1")(mobile.get_submodule("conv_stem")(image))
        for i, stage in enumerate(list(mobile.get_submodule("blocks").children())[:-1]):
            for j, block in enumerate(stage.children()):
                if j < 2:
                    yield f"mobilenetv3_block({i}.{j})", block, torch.randn_like(x)
                x = block(x)
    for name in ("deit_tiny_patch16_224", "resnet18", "mobilenetv3_large_100"):
        yield name, timm.create_model(name, pretrained=False), image


def tvm_program(
    module: nn.Module, x: Tensor, target: Target, path: Path
) -> tuple[Callable[[], object], np.ndarray]:
    unscheduled = build_library(module, (x,), target, 1, path)
    if unscheduled:
        print(f"  scalar code: {unscheduled}")
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
    stored = load_file(path.with_suffix(".safetensors"))
    weights = [tvm.runtime.tensor(stored[str(i)]) for i in range(len(stored))]
    last = x.permute(NCHW_TO_NHWC).contiguous() if x.dim() == 4 else x
    machine.save_function("main", "saved", tvm.runtime.tensor(last.numpy()), *weights)
    y = machine["saved"]().numpy()
    return machine["saved"], np.moveaxis(y, -1, 1) if y.ndim == 4 else y


def onnx_program(module: nn.Module, x: Tensor, path: Path) -> Callable[[], object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), path, dynamo=False, opset_version=18)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    given = onnxruntime.OrtValue.ortvalue_from_numpy(x.numpy())
    name = session.get_inputs()[0].name
    binding.bind_ortvalue_input(name, given)
    taken = onnxruntime.OrtValue.ortvalue_from_numpy(session.run(None, {name: x.numpy()})[0])
    binding.bind_ortvalue_output(session.get_outputs()[0].name, taken)
    # The public method checks its arguments in Python, which small workloads would show.
    return partial(session._sess.run_with_iobinding, binding._iobinding, None)


def sample_ms(program: Callable[[], object]) -> float:
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < SAMPLE_S or n < 2:
        program()
        n += 1
    return 1e3 * (time.perf_counter() - start) / n


def with_statistics(module: nn.Module) -> nn.Module:
    """Batch norms that do something, so that folding them wrongly shows."""
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.uniform_(norm.weight, 0.5, 2.0)  # timm's residual branches end in zero
    return module.eval()


def compare(module: nn.Module, x: Tensor, target: Target, folder: Path) -> dict[str, float]:
    module = with_statistics(module)
    ours, y = tvm_program(module, x, target, folder / "program.so")
    theirs = onnx_program(module, x, folder / "program.onnx")
    with torch.inference_mode():
        expected = module(x).numpy()
        programs = (ours, theirs, lambda: module(x))
        rounds = [[sample_ms(program) for program in programs] for _ in range(ROUNDS + 1)]
    tvm_ms, onnxruntime_ms, torch_ms = np.median(rounds[1:], axis=0)  # the first warms up
    return {
        "tvm_ms": tvm_ms,
        "over_onnxruntime": float(np.median([r[0] / r[1] for r in rounds[1:]])),
        "over_torch": float(np.median([r[0] / r[2] for r in rounds[1:]])),
        "onnxruntime_ms": onnxruntime_ms,
        "torch_ms": torch_ms,
        "relative_error": float(np.abs(y - expected).max() / np.abs(expected).max()),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--only", default="", help="part of a workload's name")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    device = find("local", threads=1)
    versions = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}"
    print(f"{device.cpu}, {device.target}; {versions}")
    rows: dict[str, dict[str, float]] = {}
    for name, module, x in cases():
        torch.manual_seed(0)  # what is drawn does not depend on --only
        if arguments.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = row = compare(module, x, device.target, Path(folder))
        torch.manual_seed(0)
        print(
            f"{name:<66} {row['tvm_ms']:8.3f} ms   / onnxruntime {row['over_onnxruntime']:5.2f}"
            f"   / torch {row['over_torch']:5.2f}   error {row['relative_error']:.0e}",
            flush=True,
        )
    ratios = [row["over_onnxruntime"] for row in rows.values()]
    summary = {
        "geomean": statistics.geometric_mean(ratios),
        "worst": max(ratios),
        "geomean_over_torch": statistics.geometric_mean(r["over_torch"] for r in rows.values()),
        "worst_relative_error": max(row["relative_error"] for row in rows.values()),
    }
    for key, value in summary.items():
        print(f"{key:<22} {value:.3g}")
    facts = {
        "cpu": device.cpu,
        "target": str(device.target),
        "onnxruntime": onnxruntime.__version__,
    }
    write_result(arguments.json, summary | facts | {"rows": rows})
    if not summary["worst_relative_error"] <= LARGEST_ERROR:
        sys.exit(f"MISSED an output is off by more than {LARGEST_ERROR} of the largest.")


if __name__ == "__main__":
    main()
