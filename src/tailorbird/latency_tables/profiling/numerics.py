"""Check that a compiled program computes what torch computes."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import MeasurementError, raising
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtime import Artifact, Runtime

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-5
"""Largest difference from torch, relative to the largest output; beyond it a row is refused."""

_CHECKS = 3
"""Inputs that a program is compared on before it is timed."""


def check(
    program: Program,
    module: "nn.Module",
    runtime: Runtime,
    artifact: Artifact,
    device: Device,
    n_inputs: int = _CHECKS,
) -> bool:
    """Compares a compiled program with torch on several inputs.

    Returns:
        False if the runtime has no way to give outputs, so that nothing could be compared.

    Raises:
        MeasurementError: if any output differs, or is undefined on either side.
    """
    import torch

    for seed in range(n_inputs):
        inputs = program.examples(seed)
        # On copies: a module may work in place.
        with torch.no_grad(), raising(partial(MeasurementError.of, "it does not run in torch")):
            outputs = module(*(torch.from_numpy(x.copy()) for x in inputs))
        expected = outputs if isinstance(outputs, tuple | list) else (outputs,)
        got = runtime.run(artifact, inputs, device)
        if got is None:
            return False
        if len(got) != len(expected):
            raise MeasurementError(f"it has {len(got)} outputs, but {len(expected)} in torch")
        for y, tensor in zip(got, expected, strict=True):
            if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
                raise MeasurementError("it returns something else than tensors of floats in torch")
            _compare(y, tensor.detach().numpy())
    return True


def _compare(got: np.ndarray, expected: np.ndarray) -> None:
    if got.shape != expected.shape:
        raise MeasurementError(f"an output has shape {got.shape}, but {expected.shape} in torch")
    if not expected.size:
        raise MeasurementError("an output in torch is empty, so nothing can be compared")
    if not np.isfinite(expected).all():
        raise MeasurementError("its output in torch is not finite, so nothing can be compared")
    error = np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-30)
    if not error <= TOLERANCE:  # NaN is refused as well
        raise MeasurementError(
            f"outputs differ from torch by {error:.1e} of the largest output, "
            f"more than {TOLERANCE:.0e}"
        )
