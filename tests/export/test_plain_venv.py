"""Networks as plain Python, where there is nothing but torch and safetensors."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from bare_venv import linked
from safetensors.torch import save_file

from tailorbird import spaces
from tailorbird.export.about import About
from tailorbird.export.destination import Destination
from tailorbird.export.network import save

NEEDED = ("torch", "safetensors")
SPACES = (
    "digits-resnet",
    "digits-elastic",
    "nasbench201",
    "ofa-mobilenetv3",
    "regnet",
    "deit-ti-s-b",
    "swin-ti-s-b",
)
RUNS = """
import importlib.util, json
{block}
from safetensors.torch import load_file
with torch.inference_mode():
    logits = load()(load_file("x.safetensors")["x"])
others = [n for n in ("tailorbird", "numpy", "timm") if importlib.util.find_spec(n)]
print(json.dumps([logits.tolist(), others]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new venv that has torch and safetensors, as they are here."""
    return linked(tmp_path_factory.mktemp("venv"), NEEDED)


def blocks(card: str) -> Iterator[str]:
    for block in re.findall(r"```python\n(.*?)```", card, re.S):
        if "load()" in block:
            yield block


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_the_card_s_block_runs_and_computes_the_same(
    name: str, python: Path, tmp_path: Path
) -> None:
    space = spaces.get(name, batch=2)
    row = space.sample(1, np.random.default_rng(0))[0]
    torch.manual_seed(0)
    network = space.build(row).eval()
    made = save(network, About(space, row), Destination.at(tmp_path / "net", ("python",)))
    assert made.card is not None
    (block,) = blocks(made.card.read_text())
    x = torch.randn(3, *space.input_shape[1:])
    save_file({"x": x}, tmp_path / "x.safetensors")
    done = subprocess.run(
        [python, "-c", RUNS.format(block=block)],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    logits, others = json.loads(done.stdout)
    assert others == []
    with torch.inference_mode():
        expected = network(x)
    assert (torch.tensor(logits) - expected).abs().max() <= 1e-5 * expected.abs().max()
