"""A module as a file of torch operators and weights, without a pickle in it."""

import json
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn


def export(module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Writes a module in evaluation mode.

    Raises:
        ValueError: if torch could keep some of it as a pickle only.
    """
    training = module.training
    try:
        with torch.no_grad():
            program = torch.export.export(module.eval(), inputs)
    finally:
        module.train(training)
    program.example_inputs = None  # they would be pickled
    torch.export.save(program, path)
    if pickled := pickles(path):
        path.unlink()
        raise ValueError(f"{pickled[0]} is no plain tensor, so it would be pickled")


def pickles(path: Path) -> list[str]:
    """Names of what is pickled in a file that `torch.export` wrote."""
    names = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(("_weights_config.json", "_constants_config.json")):
                entries = json.loads(archive.read(name))["config"]
                names += [key for key, entry in entries.items() if entry["use_pickle"]]
            elif name.endswith(".pt") and archive.getinfo(name).file_size:
                names.append(name)
    return names
