"""Networks that leave: chosen, written, and loaded where nothing else of them is known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tailorbird import spaces
from tailorbird.errors import (
    WeightsError,
    WriteError,
)
from tailorbird.export.network import load, save
from tailorbird.spaces import IntArray
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Trained
from tailorbird.training.data import digits
from tailorbird.training.shared.network import SharedNetwork

LOADS = """
import json, sys
import numpy as np, onnxruntime, torch
from tailorbird import spaces
from tailorbird.export.network import load
from pathlib import Path

stem, x = sys.argv[1], np.load(sys.argv[2])
network = load(Path(stem + ".safetensors"), spaces.get("digits-resnet", batch=2))
with torch.inference_mode():
    y = network(torch.from_numpy(x)).numpy()
session = onnxruntime.InferenceSession(stem + ".onnx", providers=["CPUExecutionProvider"])
z = session.run(None, {session.get_inputs()[0].name: x})[0]
print(json.dumps([y.tolist(), z.tolist()]))
"""


@pytest.fixture
def stitched(digits_space: StitchSpace) -> IntArray:
    X = digits_space.sample(20, np.random.default_rng(0))
    return np.asarray(X[np.count_nonzero(X[:, 1:], axis=1) > 1][0])


@pytest.mark.long
def test_both_files_load_in_a_fresh_process_and_agree(
    digits_space: StitchSpace, stitched: IntArray, tmp_path: Path
) -> None:
    trained = Trained(digits_space, SharedNetwork(digits_space), digits.load().train)
    network = trained.extract(stitched)
    stem = tmp_path / "made" / "best.8ms"
    save(network, digits_space, stitched, stem)
    assert sorted(path.name for path in stem.parent.iterdir()) == [
        "best.8ms.onnx",
        "best.8ms.safetensors",
    ]
    x = np.random.default_rng(0).standard_normal(digits_space.input_shape, dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run(
        [sys.executable, "-c", LOADS, str(stem), str(tmp_path / "x.npy")],
        check=True,
        capture_output=True,
    )
    y, z = (np.array(values) for values in json.loads(done.stdout))
    with torch.inference_mode():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=0)
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def said_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tailorbird"]


@pytest.mark.long
def test_the_same_network_gives_the_same_files_and_a_torn_pair_is_told(
    digits_space: StitchSpace,
    stitched: IntArray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = digits_space.build(stitched).eval()
    pairs = []
    for _ in range(2):
        made = save(network, digits_space, stitched, tmp_path / "a")
        pairs.append([path.read_bytes() for path in (made.weights, made.onnx)])
        assert made.weights.stat().st_mode == made.onnx.stat().st_mode
    assert pairs[0] == pairs[1]
    assert not said_in(caplog)
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    other = save(network, digits_space, stitched, tmp_path / "b")
    other.onnx.replace(made.onnx)  # as if a process had been killed between two renames
    save(network, digits_space, stitched, tmp_path / "a")
    (said,) = said_in(caplog)
    assert "a.safetensors and a.onnx are of two runs): it is written again" in said
    made.onnx.unlink()
    made.onnx.mkdir()
    before = made.weights.read_bytes()
    with pytest.raises(WriteError, match=r"a\.onnx' cannot be written: Is a directory"):
        save(digits_space.build(stitched).eval(), digits_space, stitched, tmp_path / "a")
    assert made.weights.read_bytes() == before


def test_a_network_of_another_space_is_refused(
    digits_space: StitchSpace, stitched: IntArray, tmp_path: Path
) -> None:
    save(digits_space.build(stitched).eval(), digits_space, stitched, tmp_path / "a")
    with pytest.raises(WeightsError, match="is of digits-resnet"):
        load(tmp_path / "a.safetensors", spaces.get("cifar-resnet"))
    (tmp_path / "a.safetensors").write_bytes(b"torn")
    with pytest.raises(WeightsError, match="cannot be read"):
        load(tmp_path / "a.safetensors", digits_space)
