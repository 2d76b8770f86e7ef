"""Python files that load and run an exported network with torch and safetensors alone."""

from pathlib import Path

from tailorbird.export.about import About
from tailorbird.export.plain_module import PlainModule
from tailorbird.storage.marks import MARK

_FILE = '''"""{title}

A network of {space}, which takes images {shape} and gives logits, one for each class.
Needs torch and safetensors alone: `load()` reads the weights that lie beside this file.
"""
# {mark_name}: {mark}

from pathlib import Path

import torch
from torch import nn


{source}


def load(path=Path(__file__).with_name({weights!r})):
    """The network in evaluation mode, with the weights of a file."""
    from safetensors.torch import load_file

    network = Network()
    needed = network.state_dict().keys()  # the file may have more, which nothing runs with
    network.load_state_dict({{n: t for n, t in load_file(path).items() if n in needed}})
    return network.eval()
'''


def plain_file(plain: PlainModule, about: About, weights: str, mark: str) -> str:
    """Text of a file with a network's classes, and a function that loads it.

    Args:
        plain: the classes.
        about: facts of the network.
        weights: name of the file of weights beside it.
        mark: of all files that are written together.
    """
    shape = ", ".join(map(str, about.space.input_shape[1:]))
    return _FILE.format(
        title=_commented(about.architecture),
        space=_commented(about.space.name),
        shape=f"(n, {shape})",
        mark_name=MARK,
        mark=mark,
        source=plain.source,
        weights=Path(weights).name,
    )


def _commented(text: str) -> str:
    """A text inside a docstring, which it cannot end."""
    return text.encode("unicode_escape").decode().replace('"', "'")
