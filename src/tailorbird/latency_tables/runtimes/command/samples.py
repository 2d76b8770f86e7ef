"""Samples and outputs of a program as a command gives them."""

import re
from itertools import count, takewhile
from pathlib import Path

import numpy as np

from tailorbird.errors import MeasurementError, plain, shown
from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.tables.price import LONGEST_MS, SHORTEST_MS, is_latency
from tailorbird.spaces import FloatArray

MOST_SAMPLES = 10_000
"""Most lines that count as samples of one round."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_LAW = "it must print milliseconds, one a line, and nothing else"


def samples_ms(printed: bytes) -> FloatArray:
    """Reads what a command printed, a sample in milliseconds on each line, (n,).

    Raises:
        MeasurementError: naming the first line that is none; or if there are none, or too many.
    """
    lines = [line.strip() for line in printed.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise MeasurementError(f"the command printed nothing: {_LAW}")
    if len(lines) > MOST_SAMPLES:
        raise MeasurementError(
            f"the command printed {len(lines):,} lines, but a round has at most {MOST_SAMPLES:,} "
            "samples: print fewer"
        )
    for line in lines:
        if not _NUMBER.fullmatch(line):
            raise MeasurementError(f"the command printed {shown(line)}: {_LAW}")
        if not is_latency(float(line)):
            raise MeasurementError(
                f"the command printed {shown(line)}: milliseconds must be from {SHORTEST_MS:g} to "
                f"{LONGEST_MS:g}"
            )
    return np.array(lines, dtype=np.float64)


def write_inputs(inputs: Tensors, folder: Path) -> None:
    """Writes each array as `0.npy`, `1.npy` and so on, in the order of the program's inputs."""
    folder.mkdir(parents=True)
    for number, array in enumerate(inputs):
        np.save(folder / f"{number}.npy", array)


def read_outputs(folder: Path) -> Tensors:
    """Reads `0.npy`, `1.npy` and so on, as many as there are, in the order of the outputs.

    Raises:
        MeasurementError: if there is none, or any holds something else than floats.
    """
    paths = list(takewhile(Path.exists, (folder / f"{number}.npy" for number in count())))
    if not paths:
        raise MeasurementError(
            "the command wrote no outputs: the folder {outputs} must hold 0.npy, 1.npy and so on"
        )
    return tuple(_output(path) for path in paths)


def _output(path: Path) -> np.ndarray:
    law = "outputs must be arrays of floats, 0.npy, 1.npy and so on"
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise MeasurementError(
            f"{law}, but {path.name} cannot be read ({plain(str(error))})"
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise MeasurementError(f"{law}, but {path.name} holds {getattr(array, 'dtype', 'several')}")
    return array
