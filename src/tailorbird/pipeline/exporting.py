"""Export of one network of a run, whose files are compared with torch before they are there."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tailorbird.errors import ExportError, MeasurementError, RecipeError
from tailorbird.export.about import About
from tailorbird.export.destination import FORMATS, Destination, Exported
from tailorbird.export.network import save
from tailorbird.pipeline.accuracy_sources.source import UNTRAINED, AccuracySource
from tailorbird.pipeline.basis import basis_of
from tailorbird.pipeline.export_comparison import Comparison, Images, resized
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

MOST_APART = 0.1
"""Share by which latencies of a library and of a report may differ without a word."""

_N_IMAGES = 7


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
        choice: str,
        to: Path | None,
        formats: Sequence[str] = (),
        *,
        takes_pixels: bool = False,
    ) -> Exported:
        """Writes the network of a canonical row, with its trained weights if there are any.

        Args:
            row: of the network.
            choice: why it is this one.
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
            {"chosen": choice, **self._provenance()},
            takes_pixels,
            str(self.latency.device.target),
            "" if library is None else self._latency_of(library, checked),
            self.accuracy.class_names(),
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

    def _images(self, space: SearchSpace) -> Images:
        """Test images, or random ones where there are none."""
        images = self.accuracy.images(_N_IMAGES)
        if images is not None:
            return images
        shape = (_N_IMAGES, *space.input_shape[1:])
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)

    def _library(
        self, network: "nn.Module", images: Images, *, is_asked_for: bool
    ) -> Library | None:
        """The network compiled for the device; None where TVM cannot, unless it was asked for.

        Raises:
            RecipeError: if it was asked for, and TVM does not measure here.
            MeasurementError: if it was asked for, and cannot be compiled or run.
        """
        try:
            library = self.latency.library(network, resized(images, self._batch))
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
