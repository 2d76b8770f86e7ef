"""Comparison of a network's files with torch, each run in a process of its own."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import ExportError, MeasurementError, MissingPackageError, RecipeError
from tailorbird.latency_tables.devices import device as devices
from tailorbird.latency_tables.runtime import Artifact, Timing
from tailorbird.pipeline.latency_sources.source import Library
from tailorbird.spaces.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

Images = NDArray[np.float32]
"""Images, (n, channels, height, width)."""

MOST_ERROR = 1e-4
"""Largest difference of what an exported network computes, of its largest output."""

_PATIENCE_S = 600.0

_RUN = """
import runpy, sys
import numpy as np, torch

load = runpy.run_path(sys.argv[1])["load"]
network = load()
with np.load(sys.argv[2]) as given, torch.inference_mode():
    made = [network(torch.from_numpy(given[name])).numpy() for name in given.files]
np.savez(sys.argv[3], *made)
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs files of a network in processes of their own, and compares what they compute.

    Attributes:
        network: that they are of, in evaluation mode.
        images: real ones, as far as there are any, (n, channels, height, width).
        preprocessing: that ONNX files begin with; None if they take images as they are.
        library: that TVM compiled and ran.
    """

    network: "nn.Module"
    images: Images
    preprocessing: Preprocessing | None = None
    library: Library | None = None

    def __call__(self, files: Mapping[str, Path], fixed_batch: int | None) -> dict[str, float]:
        """Largest relative differences, by format.

        Args:
            files: paths by format; weights lie beside Python.
            fixed_batch: images that the network takes at a time; None if any number.

        Raises:
            ExportError: if one is too large, or a file cannot be run.
        """
        x = self.images
        batches = [x[:1], x] if fixed_batch is None else [resized(x, fixed_batch)]
        pixels = [self._pixels(batch) for batch in batches]
        runs = {"python": (run_python, self.network, batches)}
        runs["onnx"] = (run_onnx, self._prepared(), pixels)
        if "safetensors" in files:
            self._check_weights(files["safetensors"])
        errors = dict[str, float]()
        for form, (run, network, inputs) in runs.items():
            if form in files:
                expected = _of_torch(network, inputs)
                errors[form] = max(map(_error, run(files[form], inputs), expected))
        if self.library is not None:
            outputs = self.library.outputs
            (wanted,) = _of_torch(self.network, [resized(x, len(outputs))])
            errors["tvm"] = _error(outputs, wanted)
        for form, error in errors.items():
            if not error <= MOST_ERROR:
                raise ExportError(
                    f"An exported network must compute what torch does, within {MOST_ERROR:g} "
                    f"of its largest output, but as {form} it is {error:.2g} off. Choose other "
                    "formats, and please report it.",
                    form,
                )
        return errors

    def _check_weights(self, path: Path) -> None:
        """Refuses a file that has not all weights as they are.

        Raises:
            ExportError: if so.
        """
        import torch
        from safetensors.torch import load_file

        found = load_file(path)
        for name, tensor in self.network.state_dict().items():
            if name not in found or not torch.equal(found[name], tensor):
                raise ExportError(
                    f"The file of weights has another {name!r} than the network: please report it."
                )

    def _prepared(self) -> "nn.Module":
        from tailorbird.export.prepared import Prepared

        p = self.preprocessing
        return self.network if p is None else Prepared(self.network, p)

    def _pixels(self, batch: Images) -> NDArray[Any]:
        import torch

        from tailorbird.export.prepared import pixels_of

        p = self.preprocessing
        return batch if p is None else pixels_of(torch.from_numpy(batch), p).numpy()


def _of_torch(network: "nn.Module", batches: Sequence[NDArray[Any]]) -> list[Images]:
    import torch

    with torch.inference_mode():
        return [network(torch.from_numpy(batch)).numpy() for batch in batches]


def resized(images: Images, n: int) -> Images:
    """Returns n images, the same again and again if there are fewer."""
    return np.resize(images, (n, *images.shape[1:]))


def _error(found: Images, expected: Images) -> float:
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12))


def run_python(path: Path, batches: Sequence[NDArray[Any]]) -> list[Images]:
    """Outputs of a network in plain Python for batches of images, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = (Path(folder) / name for name in ("given.npz", "made.npz"))
        np.savez(given, *batches)
        done = subprocess.run(
            [sys.executable, "-c", _RUN, path.resolve(), given, made],
            cwd=folder,
            capture_output=True,
            check=False,
            text=True,
            timeout=_PATIENCE_S,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["without a word"]
            raise ExportError(
                f"The network as plain Python cannot be run ({lines[-1]}). Choose other formats, "
                "and please report it.",
                "python",
            )
        with np.load(made) as arrays:
            return [arrays[name] for name in arrays.files]


def run_onnx(path: Path, batches: Sequence[NDArray[Any]]) -> list[Images]:
    """Outputs of an ONNX file for batches of inputs, in a process of its own.

    Raises:
        RecipeError: if onnxruntime is not installed.
        ExportError: if it cannot be run.
    """
    from tailorbird.latency_tables.runtimes.onnxruntime import OnnxRuntime

    here = devices.find(devices.HERE, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        try:
            runtime = OnnxRuntime(Path(folder), Timing())
        except MissingPackageError as error:
            raise RecipeError(f"An ONNX file is compared with torch. {error}") from None
        try:
            return [runtime.run(Artifact(path), (batch,), here)[0] for batch in batches]
        except MeasurementError as error:
            raise ExportError(
                f"The ONNX file cannot be run ({error}). Choose other formats, and please report "
                "it.",
                "onnx",
            ) from None
        finally:
            runtime.close()
