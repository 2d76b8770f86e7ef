"""Export of one network of a run, whose files are compared with torch before they are there."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailorbird.errors import ExportError, MeasurementError, MissingPackageError, RecipeError
from tailorbird.export.about import About
from tailorbird.export.network import FORMATS, Destination, Exported, save
from tailorbird.latency_tables.devices import device as devices
from tailorbird.latency_tables.runtime import Artifact, Timing
from tailorbird.pipeline.accuracy_sources.source import UNTRAINED, AccuracySource
from tailorbird.pipeline.basis import basis_of
from tailorbird.pipeline.finetuned_networks import finetuned_networks
from tailorbird.pipeline.latency_sources.source import LatencySource, Library
from tailorbird.pipeline.run_folder import LOG
from tailorbird.recipe import Recipe
from tailorbird.reports.figures import figures_of
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.unions import member_row

if TYPE_CHECKING:
    from torch import nn

_Images = NDArray[np.float32]

MOST_ERROR = 1e-4
"""Largest difference of what an exported network computes, of its largest output."""

MOST_APART = 0.1
"""Share by which latencies of a library and of a report may differ without a word."""

_N_IMAGES = 7
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
class Exporter:
    """Writes networks of one run.

    Attributes:
        recipe: of the run.
        folder: of the run.
        space: that the recipe names.
        accuracy: accuracies of its networks.
        latency: latencies of its networks.
    """

    recipe: Recipe
    folder: Path
    space: SearchSpace
    accuracy: AccuracySource
    latency: LatencySource

    def export(
        self,
        row: IntArray,
        to: Path | None,
        formats: Sequence[str] = (),
        *,
        takes_pixels: bool = False,
    ) -> Exported:
        """Writes the network of a canonical row, with its trained weights if there are any.

        Args:
            row: of the network.
            to: stem of its files, or path of one; a folder of their own in that of the run if None.
            formats: of the files; all that there are for the device if none is named.
            takes_pixels: whether its ONNX file takes bytes of pictures, and prepares them itself.

        Raises:
            RecipeError: if it is to prepare pictures, and nobody says how, or to be compiled by
                TVM, which does not measure here.
            MissingStepError: if weights are not there yet.
            ExportError: if it cannot be written, or a file computes something else.
            WriteError: if a file cannot be written.
        """
        wanted = tuple(name for name in FORMATS if name in (formats or FORMATS))
        destination = self._destination(to, wanted)
        network = self.accuracy.trained_networks()(row).eval()
        destination.check()
        preprocessing = self._preprocessing(takes_pixels)
        space, own = member_row(self.space, row)
        images, checked = self._images(space), self._checked(row)
        library = None
        if "tvm" in wanted and not destination.is_one_file:
            library = self._library(network, images, is_asked_for="tvm" in formats)
        about = About(
            space,
            own,
            preprocessing,
            {} if checked is None else figures_of(checked, self.latency.device.name, self._batch),
            self._provenance(),
            takes_pixels,
            str(self.latency.device.target),
            "" if library is None else self._latency_of(library, checked),
        )
        compare = Comparison(network, images, preprocessing if takes_pixels else None, library)
        files = None if library is None else library.files
        wanted = tuple(name for name in wanted if name != "tvm" or library is not None)
        while True:
            try:
                return save(network, about, self._destination(to, wanted), compare, files)
            except ExportError as error:
                if formats or error.form not in wanted or destination.is_one_file:
                    raise
                LOG.warning("%s The other files are written.", error)
                wanted = tuple(name for name in wanted if name != error.form)

    def _destination(self, to: Path | None, formats: tuple[str, ...]) -> Destination:
        if to is None:
            return Destination.folder(self.folder / "network", formats)
        return Destination.at(to, formats)

    @property
    def _batch(self) -> int:
        return self.recipe.device.batch

    def _preprocessing(self, takes_pixels: bool) -> Preprocessing | None:
        """How pictures become images, with a warning where nobody says.

        Raises:
            RecipeError: if a file is to do it then.
        """
        preprocessing = self.accuracy.preprocessing()
        if takes_pixels and preprocessing is None:
            raise RecipeError(
                "Nobody says how pictures become what this network takes, so it cannot prepare "
                "them: give the data set a `preprocessing`, or leave out --with-preprocessing."
            )
        if preprocessing is None and self.accuracy.runs_networks:
            LOG.warning(
                "Nobody says how pictures become what this network takes, so its files do not tell "
                "either: give the data set a `preprocessing`."
            )
        return preprocessing

    def _images(self, space: SearchSpace) -> _Images:
        """Test images, or random ones where there are none."""
        images = self.accuracy.images(_N_IMAGES)
        if images is not None:
            return images
        shape = (_N_IMAGES, *space.input_shape[1:])
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)

    def _library(
        self, network: "nn.Module", images: _Images, *, is_asked_for: bool
    ) -> Library | None:
        """The network compiled for the device; None where TVM cannot, unless it was asked for.

        Raises:
            RecipeError: if it was asked for, and TVM does not measure here.
            MeasurementError: if it was asked for, and cannot be compiled or run.
        """
        try:
            library = self.latency.library(network, _resized(images, self._batch))
        except (MeasurementError, RecipeError) as error:
            if is_asked_for:
                raise
            LOG.warning("No library of TVM is written: %s", error)
            return None
        if library is None and is_asked_for:
            raise RecipeError(
                "TVM compiles networks for a device that it measures, which that of this recipe is "
                "not: leave out --format tvm."
            )
        return library

    def _latency_of(self, library: Library, checked: pd.DataFrame | None) -> str:
        """Latency of a library as it was written, and how far it is from that of the report."""
        told = f"{library.median_ms:.3g} ms for a batch of {self._batch}, as it was written"
        reported = math.nan if checked is None else float(checked["latency_ms_measured"].iloc[0])
        if math.isnan(reported):
            return f"{told}; the report has none that was measured"
        if abs(library.median_ms / reported - 1) > MOST_APART:
            told += f"; {reported:.3g} ms in the report, so one of the two was disturbed"
            LOG.warning("The library of TVM takes %s.", told)
        return told

    def _checked(self, row: IntArray) -> pd.DataFrame | None:
        """Row of the network as it was checked by the present weights and on this device."""
        text, basis = self.space.describe(row), basis_of(self.latency, self.accuracy)
        for networks in (
            finetuned_networks(self.folder, self.space, self.accuracy, basis),
            self._front(basis),
        ):
            of = networks[networks["architecture"] == text] if len(networks) else networks
            if len(of):
                return of.iloc[[-1]]
        return None

    def _front(self, basis: Mapping[str, str]) -> pd.DataFrame:
        """The checked front, if it is of these weights and this device."""
        front, summary = self.folder / "front.parquet", self.folder / "summary.json"
        try:
            told = json.loads(summary.read_text())
            return pd.read_parquet(front) if basis.items() <= told.items() else pd.DataFrame()
        except (OSError, ValueError):  # not there, or torn
            return pd.DataFrame()

    def _provenance(self) -> dict[str, str]:
        return {
            "recipe": self.recipe.name,
            "accuracy": self.accuracy.description(),
            "weights": self.accuracy.fingerprint() if self.accuracy.runs_networks else UNTRAINED,
            "latency": f"{self.latency.device.name}, {self.latency.configuration().cpu}",
            "written by": f"tailorbird {version('tailorbird')}, torch {version('torch')}",
        }


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
    images: _Images
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
        batches = [x[:1], x] if fixed_batch is None else [_resized(x, fixed_batch)]
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
            (wanted,) = _of_torch(self.network, [_resized(x, len(outputs))])
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

    def _pixels(self, batch: _Images) -> NDArray[Any]:
        import torch

        from tailorbird.export.prepared import pixels_of

        p = self.preprocessing
        return batch if p is None else pixels_of(torch.from_numpy(batch), p).numpy()


def _of_torch(network: "nn.Module", batches: Sequence[NDArray[Any]]) -> list[_Images]:
    import torch

    with torch.inference_mode():
        return [network(torch.from_numpy(batch)).numpy() for batch in batches]


def _resized(images: _Images, n: int) -> _Images:
    """So many images, the same again and again if there are fewer."""
    return np.resize(images, (n, *images.shape[1:]))


def _error(found: _Images, expected: _Images) -> float:
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12))


def run_python(path: Path, batches: Sequence[NDArray[Any]]) -> list[_Images]:
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


def run_onnx(path: Path, batches: Sequence[NDArray[Any]]) -> list[_Images]:
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
