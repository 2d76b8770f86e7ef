"""Networks that a run hands out: which one, with which figures, in files that agree."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from scripts.image_arrays import some_of

from tailorbird import spaces
from tailorbird.errors import ExportError
from tailorbird.export import load
from tailorbird.export.about import About
from tailorbird.export.destination import SUFFIXES, Destination, Exported
from tailorbird.export.network import save
from tailorbird.pipeline.export_comparison import Comparison
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.data import digits

Tailorbird = Callable[..., tuple[int, str, str]]

pytestmark = [
    pytest.mark.usefixtures("locks_of_its_own"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

RECIPE = """
name = "shown"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
name = "epyc-avx512"
batch = 16
[accuracy]
data = "digits"
train_epochs = 2
stitch_epochs = {epochs}
evaluations = 20
predictor = "ridge"
[search]
population = 8
generations = 2
"""


def told(tailorbird: Tailorbird, *arguments: str) -> dict[str, object]:
    code, out, err = tailorbird("export", "r.toml", *arguments, "--json")
    assert code == 0, err
    found: dict[str, object] = json.loads(out)
    return found


@pytest.mark.long
def test_a_network_is_told_with_the_figures_of_its_front(tailorbird: Tailorbird) -> None:
    Path("r.toml").write_text(RECIPE.format(epochs=3))
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0, err
    front = pd.read_parquet("runs/shown/front.parquet")
    most = float(front["latency_ms_predicted"].median())
    within = front[front["latency_ms_predicted"] <= most]
    best = within.sort_values("accuracy_validation", kind="stable").iloc[-1]
    found = told(tailorbird, "--max-latency-ms", str(most))
    assert found["architecture"] == best["architecture"]
    figures = found["figures"]
    assert isinstance(figures, dict)
    assert float(figures["test accuracy"].split()[0]) == pytest.approx(
        100 * best["accuracy_test"], abs=0.6
    )
    assert any(title.startswith("predicted latency on epyc-avx512") for title in figures)
    files = {name: Path(path) for name, path in dict(found["files"]).items()}  # type: ignore[call-overload]  # a dict
    assert [path.parent for path in files.values()] == [Path("runs/shown/network")] * 4
    assert files["card"].name == "README.md"
    card = files["card"].read_text()
    assert all(title in card and value in card for title, value in figures.items())
    assert "Classes, in the order of logits: 0 `0`, 1 `1`, " in card
    assert f"| chosen | the most accurate of the checked front within {most!r} ms, on " in card
    space = spaces.get("digits-resnet", batch=16, max_stitches=1)
    x = torch.randn(3, 1, 8, 8)
    with torch.inference_mode():
        expected = load(files["safetensors"], space)(x).numpy()
    session = onnxruntime.InferenceSession(files["onnx"])
    np.testing.assert_allclose(session.run(None, {"input": x.numpy()})[0], expected, atol=1e-4)

    # Raw pictures go into a network that prepares them.
    found = told(
        tailorbird, "--max-latency-ms", str(most), "--with-preprocessing", "--to", "raw.onnx"
    )
    assert found["files"] == {"onnx": "raw.onnx"}
    test = some_of(digits.load().test)
    pixels = ((test.images + 0.5) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    logits = onnxruntime.InferenceSession("raw.onnx").run(None, {"input": pixels})[0]
    accuracy = float((logits.argmax(1) == test.labels).mean())
    assert accuracy == pytest.approx(best["accuracy_test"], abs=0.004)

    # By other weights that front tells nothing.
    Path("r.toml").write_text(RECIPE.format(epochs=2))
    assert tailorbird("train", "r.toml")[0] == 0
    found = told(tailorbird, "--architecture", str(best["architecture"]), "--format", "onnx")
    assert found["figures"] == {}
    card = Path("runs/shown/network/README.md").read_text()
    assert "not checked" in card
    assert "| chosen | by its name |" in card


@pytest.mark.parametrize("formats", [("nope",), ("onnx", "nope"), ("",)])
def test_formats_that_there_are_not_are_refused(
    tailorbird: Tailorbird, formats: tuple[str, ...]
) -> None:
    Path("r.toml").write_text(RECIPE.format(epochs=3))
    arguments = [argument for name in formats for argument in ("--format", name)]
    code, _, err = tailorbird("export", "r.toml", *arguments)
    assert code == 2
    assert "Formats are safetensors, python, onnx, tvm, but got" in err
    assert not Path("runs/shown/network").exists()


def test_nothing_is_left_where_there_are_no_weights(tailorbird: Tailorbird) -> None:
    Path("r.toml").write_text(RECIPE.format(epochs=3))
    for to in ([], ["--to", "made/it"]):
        code, _, err = tailorbird("export", "r.toml", "--architecture", "w8:0-5", *to)
        assert code == 2
        assert "`tailorbird train r.toml`" in err
    assert not Path("runs/shown/network").exists()
    assert not Path("made").exists()


@pytest.mark.long
@pytest.mark.tvm
def test_a_library_of_the_device_runs_from_the_card(tailorbird: Tailorbird) -> None:
    recipe = RECIPE.format(epochs=1).replace("epyc-avx512", "local")
    Path("r.toml").write_text(recipe)
    assert tailorbird("train", "r.toml")[0] == 0
    found = told(tailorbird, "--architecture", "w8:0-5", "--to", "it/one")
    files = found["files"]
    assert isinstance(files, dict)
    assert {*files} == {"safetensors", "python", "onnx", "tvm", "card"}
    card = Path(files["card"]).read_text()
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", card, re.S) if "import tvm" in b]
    script = f"{block}\nprint(logits.shape)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd="it", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(16, 10)"
    assert "ms for a batch of 16, as it was written; the report has none" in card
    assert tailorbird("export", "r.toml", "--architecture", "w8:0-5", "--to", "it/one")[0] == 0
    for file in Path("it").iterdir():
        if file.suffix != ".so":
            file.unlink()  # so that the library may be anybody's
    code, _, err = tailorbird("export", "r.toml", "--architecture", "w8:0-5", "--to", "it/one")
    assert code == 2
    assert "'it/one.tvm.so' is there, and is no file of an exported network" in err


@pytest.mark.long
def test_a_library_that_nothing_measures_is_refused(tailorbird: Tailorbird) -> None:
    Path("r.toml").write_text(RECIPE.format(epochs=1))
    assert tailorbird("train", "r.toml")[0] == 0
    code, _, err = tailorbird("export", "r.toml", "--architecture", "w4:0-5", "--format", "tvm")
    assert code == 2
    assert "TVM compiles networks for a device that it measures" in err


@pytest.mark.parametrize(
    ("arguments", "law"),
    [
        (
            ("--device", "a watch", "--max-latency-ms", "1"),
            "was for 'epyc-avx512', not for 'a watch'",
        ),
        (("--device", "epyc-avx512"), "A device is for the largest latency there"),
    ],
)
def test_a_device_that_was_not_searched_for_is_refused(
    tailorbird: Tailorbird, arguments: tuple[str, ...], law: str
) -> None:
    Path("r.toml").write_text(RECIPE.format(epochs=1))
    code, _, err = tailorbird("export", "r.toml", *arguments)
    assert code == 2
    assert law in err


@pytest.fixture
def other(digits_space: StitchSpace, tmp_path: Path) -> Exported:
    """Files of a network with other weights than that of the test."""
    about = About(digits_space, digits_space.landmarks[0])
    torch.manual_seed(1)
    network = digits_space.build(about.row).eval()
    return save(network, about, Destination.at(tmp_path / "other", tuple(SUFFIXES)))


@pytest.mark.long
@pytest.mark.parametrize("form", ["python", "onnx"])
def test_a_file_that_computes_something_else_is_an_error(
    digits_space: StitchSpace, other: Exported, form: str
) -> None:
    torch.manual_seed(0)
    network = digits_space.build(digits_space.landmarks[0]).eval()
    images = some_of(digits.load().test, 3).images
    compared = Comparison(network, images, None)
    with pytest.raises(ExportError, match=f"as {form} it is .* off"):
        compared({form: other.files[form]}, None)
    torn = other.files[form]
    torn.write_bytes(torn.read_bytes()[:100])
    with pytest.raises(ExportError, match="cannot be run"):
        compared({form: torn}, None)
