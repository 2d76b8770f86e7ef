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
from tailorbird.export.about import About
from tailorbird.export.destination import SUFFIXES, Destination, Exported
from tailorbird.export.network import load, save
from tailorbird.spaces import IntArray
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Trained
from tailorbird.training.data import digits
from tailorbird.training.shared.network import SharedNetwork

LOADS = """
import json, runpy, sys
import numpy as np, onnxruntime, torch
from tailorbird import spaces
from tailorbird.export.network import load
from pathlib import Path

stem, x = sys.argv[1], np.load(sys.argv[2])
network = load(Path(stem + ".safetensors"), spaces.get("digits-resnet", batch=2))
with torch.inference_mode():
    y = network(torch.from_numpy(x)).numpy()
    plain = runpy.run_path(stem + ".py")["load"]()(torch.from_numpy(x)).numpy()
session = onnxruntime.InferenceSession(stem + ".onnx", providers=["CPUExecutionProvider"])
z = session.run(["logits"], {"input": x})[0]
print(json.dumps([y.tolist(), plain.tolist(), z.tolist()]))
"""


@pytest.fixture
def stitched(digits_space: StitchSpace) -> IntArray:
    X = digits_space.sample(20, np.random.default_rng(0))
    return np.asarray(X[np.count_nonzero(X[:, 1:], axis=1) > 1][0])


def at(stem: Path) -> Destination:
    return Destination.at(stem, tuple(SUFFIXES))


@pytest.mark.long
def test_all_files_load_in_a_fresh_process_and_agree(
    digits_space: StitchSpace, stitched: IntArray, tmp_path: Path
) -> None:
    trained = Trained(digits_space, SharedNetwork(digits_space), digits.load().train)
    network = trained.extract(stitched)
    stem = tmp_path / "made" / "best.8ms"
    save(network, About(digits_space, stitched), at(stem))
    assert sorted(path.name for path in stem.parent.iterdir()) == [
        f"best.8ms.{suffix}" for suffix in ("md", "onnx", "py", "safetensors")
    ]
    x = np.random.default_rng(0).standard_normal(digits_space.input_shape, dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run(
        [sys.executable, "-c", LOADS, str(stem), str(tmp_path / "x.npy")],
        check=True,
        capture_output=True,
    )
    ours, plain, onnx = (np.array(values) for values in json.loads(done.stdout))
    with torch.inference_mode():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(plain, expected)
    np.testing.assert_allclose(onnx, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["README", "sub/README"])
def test_files_of_others_stay_beside_a_card_of_any_name(
    digits_space: StitchSpace, stitched: IntArray, tmp_path: Path, name: str
) -> None:
    network, about = digits_space.build(stitched).eval(), About(digits_space, stitched)
    stem = tmp_path / name
    stem.parent.mkdir(exist_ok=True)
    (stem.parent / "network.onnx").write_bytes(b"of somebody else")
    save(network, about, Destination.at(stem, ("safetensors",)))
    assert (stem.parent / "network.onnx").read_bytes() == b"of somebody else"
    assert sorted(path.name for path in stem.parent.iterdir() if path.is_file()) == [
        "README.md",
        "README.safetensors",
        "network.onnx",
    ]


def test_a_folder_of_its_own_loses_what_was_exported_there_before_and_nothing_else(
    digits_space: StitchSpace, stitched: IntArray, tmp_path: Path
) -> None:
    network, about = digits_space.build(stitched).eval(), About(digits_space, stitched)
    save(network, about, Destination.folder(tmp_path, ("safetensors", "python")))
    (tmp_path / "network.onnx").write_bytes(b"of somebody else")
    (tmp_path / "network.tvm.so").write_bytes(b"of somebody else")
    save(network, about, Destination.folder(tmp_path, ("safetensors",)))
    (tmp_path / "older").mkdir()
    save(network, about, Destination.folder(tmp_path / "older", ("safetensors",)))
    for name in ("network.tvm.so", "network.tvm.safetensors"):  # of a version without marks
        (tmp_path / "older" / name).write_bytes(b"of ours, once")
    save(network, about, Destination.folder(tmp_path / "older", ("safetensors",)))
    assert len([*(tmp_path / "older").iterdir()]) == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "README.md",
        "network.onnx",
        "network.safetensors",
        "network.tvm.so",
    ]


@pytest.mark.parametrize("name", ["a" * 300, "file/there", "a" * 252])
def test_a_place_that_takes_no_file_is_refused_and_nothing_is_made(
    digits_space: StitchSpace, stitched: IntArray, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"cannot be written: (File name too long|Not a dir)"):
        save(
            digits_space.build(stitched).eval(), About(digits_space, stitched), at(tmp_path / name)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def said_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tailorbird"]


def contents(made: Exported) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in made.files.items()}


@pytest.mark.long
def test_the_same_network_gives_the_same_files_and_torn_ones_are_told(
    digits_space: StitchSpace,
    stitched: IntArray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    network, about = digits_space.build(stitched).eval(), About(digits_space, stitched)
    first = save(network, about, at(tmp_path / "a"))
    before = contents(first)
    assert {path.stat().st_mode & 0o777 for path in first.files.values()} == {0o644}
    assert contents(save(network, about, at(tmp_path / "a"))) == before
    assert not said_in(caplog)
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    other = save(network, about, at(tmp_path / "b")).files
    onnx = first.files["onnx"]
    other["onnx"].replace(onnx)  # as if a process had been killed between two renames
    save(network, about, at(tmp_path / "a"))
    (said,) = said_in(caplog)
    assert "a.safetensors and a.onnx are of two runs): it is written again" in said
    onnx.unlink()
    onnx.mkdir()
    kept = (tmp_path / "a.safetensors").read_bytes()
    with pytest.raises(WriteError, match=r"a\.onnx' cannot be written: Is a directory"):
        save(digits_space.build(stitched).eval(), about, at(tmp_path / "a"))
    assert (tmp_path / "a.safetensors").read_bytes() == kept
    assert not [*tmp_path.glob(".*")]  # nothing is left of the attempt


def test_a_network_of_another_space_is_refused(
    digits_space: StitchSpace, stitched: IntArray, tmp_path: Path
) -> None:
    save(digits_space.build(stitched).eval(), About(digits_space, stitched), at(tmp_path / "a"))
    with pytest.raises(WeightsError, match="is of digits-resnet"):
        load(tmp_path / "a.safetensors", spaces.get("cifar-resnet"))
    (tmp_path / "a.safetensors").write_bytes(b"torn")
    with pytest.raises(WeightsError, match="cannot be read"):
        load(tmp_path / "a.safetensors", digits_space)
