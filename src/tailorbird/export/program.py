"""Graphs of networks, from which files of all formats are written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from tailorbird.errors import ExportError, RecipeError, in_a_line, raising
from tailorbird.export.about import About
from tailorbird.export.plain_file import plain_file
from tailorbird.export.plain_module import PlainModule, plain_module
from tailorbird.export.prepared import Prepared
from tailorbird.storage import tensors
from tailorbird.storage.marks import MARK


@dataclass(frozen=True, slots=True)
class Program:
    """A network and its graph.

    Attributes:
        network: in evaluation mode.
        graph: as `torch.export` gives it.
        fixed_batch: images that the graph takes at a time; None if any number.
    """

    network: nn.Module
    graph: ExportedProgram
    fixed_batch: int | None

    def write(self, files: Mapping[str, Path], about: About, mark: str) -> None:
        """Writes files of the formats that are asked for.

        Args:
            files: paths by format.
            about: facts of the network.
            mark: of all files that are written together.

        Raises:
            RecipeError: if what writes ONNX is not installed.
            ExportError: if the network cannot be written in a format.
            OSError: if a file cannot be written.
        """
        plain = self._plain() if "python" in files else PlainModule("", {})
        metadata = {MARK: mark, "outputs": f"logits, (n, {self.n_classes})", **about.metadata}
        if "safetensors" in files:
            constants = {"constants": json.dumps([*plain.constants])} if plain.constants else {}
            state = {**self.network.state_dict(), **plain.constants}
            tensors.fill(files["safetensors"], state, metadata | constants)
        if "python" in files:
            weights = files["python"].with_suffix(".safetensors").name
            files["python"].write_text(plain_file(plain, about, weights, mark), encoding="utf-8")
        if "onnx" in files:
            self._write_onnx(files["onnx"], about, metadata)

    @property
    def n_classes(self) -> int:
        """Number of logits of an image."""
        *_, output = self.graph.graph.nodes
        (logits,) = output.args[0]
        return int(logits.meta["val"].shape[-1])

    def _plain(self) -> PlainModule:
        with raising(
            lambda error: ExportError(
                f"The network cannot be written as plain Python ({in_a_line(error)}). Choose other "
                "formats.",
                "python",
            )
        ):
            return plain_module(self.network, self.graph)

    def _write_onnx(self, path: Path, about: About, metadata: Mapping[str, str]) -> None:
        graph, inputs = self.graph, "images, float32 (n, channels, height, width)"
        if about.takes_pixels and about.preprocessing is not None:
            _, channels, height, width = about.space.input_shape
            shape = (about.space.input_shape[0], height, width, channels)
            prepared = Prepared(self.network, about.preprocessing)
            graph = programmed(prepared, shape, torch.uint8).graph
            inputs = "pixels, uint8 (n, height, width, channels)"
        try:
            from tailorbird.export.onnx import export_network

            export_network(graph, path, {**metadata, "inputs": inputs})
        except ImportError as error:
            raise RecipeError(
                f"ONNX cannot be written ({error}). Install what it takes with "
                "`pip install 'tailorbird[onnxruntime]'`."
            ) from None
        except torch.onnx.OnnxExporterError as error:
            raise ExportError(
                f"The network cannot be written as ONNX ({in_a_line(error)}). Choose other "
                "formats.",
                "onnx",
            ) from None


def programmed(
    network: nn.Module, shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> Program:
    """Graph of a network for any number of images, or as many as its space has if it must be so.

    Args:
        network: in evaluation mode.
        shape: of its input, batch first.
        dtype: of its input.
    """
    free = torch.zeros(
        (max(2, shape[0]), *shape[1:]), dtype=dtype
    )  # one image would be taken as a law
    try:
        graph = torch.export.export(network, (free,), dynamic_shapes=({0: Dim("batch")},))
        return Program(network, graph, None)
    except Exception:  # noqa: BLE001  # whatever a module makes of a number that is none
        pass
    with raising(lambda e: ExportError(f"torch cannot export the network: {in_a_line(e)}.")):
        graph = torch.export.export(network, (torch.zeros(shape, dtype=dtype),))
    return Program(network, graph, shape[0])
