"""The card of a network: its blocks run, and it says what is known."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tailorbird.errors import RecipeError
from tailorbird.export.about import About
from tailorbird.export.card import card
from tailorbird.export.destination import SUFFIXES, Destination
from tailorbird.export.network import save
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.data.picture_transforms import Augmentation, transforms_of

GREY = Preprocessing((8, 8), crop=1.0, mean=(0.5,), std=(1.0,), channels="grey")
SMALLER = replace(GREY, crop=0.875, interpolation="bilinear", mean=(0.1,), std=(0.3,))
WIDE = Preprocessing((8, 16), crop=0.7)


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.S)


def exported(space: StitchSpace, folder: Path, about: About) -> str:
    row = about.row
    save(space.build(row).eval(), about, Destination.folder(folder, tuple(SUFFIXES)))
    return (folder / "README.md").read_text()


@pytest.mark.long
@pytest.mark.parametrize(("preprocessing", "takes_pixels"), [(GREY, False), (SMALLER, True)])
def test_its_blocks_run_from_the_card_alone(
    digits_space: StitchSpace, tmp_path: Path, preprocessing: Preprocessing, takes_pixels: bool
) -> None:
    about = About(digits_space, digits_space.landmarks[0], preprocessing, {}, {}, takes_pixels)
    folder = tmp_path / "network"
    text = exported(digits_space, folder, about)
    Image.fromarray(np.zeros((9, 12), dtype=np.uint8)).save(folder / "picture.png")
    # What is fed is what the comment beside it says, where there is one.
    own = [re.sub(r"= .* # or (.*)", r"= \1", block) for block in blocks(text)]
    assert ["prepared(" in block for block in own] == [True, True, not takes_pixels]
    script = "\n".join([*own, "print(logits.shape)"])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *classes, shape = done.stdout.splitlines()
    assert shape == "(1, 10)"
    assert len(classes) == 2


@pytest.mark.parametrize("preprocessing", [GREY, SMALLER, WIDE])
@pytest.mark.parametrize("size", [(8, 8), (31, 20), (9, 40)])
def test_pictures_are_prepared_as_for_training(
    digits_space: StitchSpace, tmp_path: Path, preprocessing: Preprocessing, size: tuple[int, int]
) -> None:
    about = About(digits_space, digits_space.landmarks[0], preprocessing)
    (code, *_) = blocks(card(about, {}, {}, "0" * 16, 10))
    names: dict[str, object] = {}
    exec(code, names)
    shape = (*size[::-1], *([3] if preprocessing.n_channels == 3 else []))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    picture.save(tmp_path / "picture.png")
    found = names["prepared"](tmp_path / "picture.png")  # type: ignore[operator]
    plain, _ = transforms_of(preprocessing, Augmentation())
    scale, offset = (
        np.array(v, dtype=np.float32).reshape(-1, 1, 1) for v in preprocessing.scale_and_offset
    )
    expected = np.asarray(plain(picture)) * scale + offset
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-6)


def test_it_tells_figures_and_names_as_text(digits_space: StitchSpace) -> None:
    about = About(
        digits_space,
        digits_space.landmarks[0],
        figures={"test accuracy": "97 ± 1 %"},
        provenance={"recipe": "<b>|`x`|</b>\n# no title"},
    )
    text = card(about, {"onnx": "a.onnx"}, {"onnx": 3.2e-7}, "0" * 16, 10)
    assert "| test accuracy | 97 ± 1 % |" in text
    assert r"| recipe | \<b\>\|\`x\`\|\</b\> # no title |" in text
    assert "Nobody said how pictures become" in text
    assert "3.2e-07" in text


def test_onnx_says_what_it_takes_and_is_for_any_number(
    digits_space: StitchSpace, tmp_path: Path
) -> None:
    about = About(digits_space, digits_space.landmarks[0], GREY, {"a": "b"})
    to = Destination.at(tmp_path / "best.onnx", ())
    made = save(digits_space.build(about.row).eval(), about, to)
    assert made.files == {"onnx": tmp_path / "best.onnx"}
    assert [path.name for path in tmp_path.iterdir()] == ["best.onnx"]
    model = onnx.load(tmp_path / "best.onnx")
    (given,), (taken,) = model.graph.input, model.graph.output
    assert (given.name, taken.name) == ("input", "logits")
    assert given.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert taken.type.tensor_type.shape.dim[0].dim_param == "batch"
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["architecture"] == "w4:0-5"
    assert told["outputs"] == "logits, (n, 10)"
    assert Preprocessing.from_json(told["preprocessing"]) == GREY


def test_classes_are_named(digits_space: StitchSpace) -> None:
    about = About(digits_space, digits_space.landmarks[0], class_names=("a b", *"bcdefghi", "`"))
    text = card(about, {}, {}, "0" * 16, 10)
    assert "Classes, in the order of logits: 0 `a b`, 1 `b`, " in text
    assert "9 `` ` ``." in text
    assert json.loads(about.metadata["class_names"]) == [*about.class_names]
    assert "Classes, in" not in card(about, {}, {}, "0" * 16, 12)  # of another head
    many = replace(about, class_names=("a",) * 1000)
    assert "are in the metadata" in card(many, {}, {}, "0" * 16, 1000)


@pytest.mark.parametrize("name", ["best.py", "best.md"])
def test_python_and_text_of_others_stay(
    digits_space: StitchSpace, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine\n")
    about = About(digits_space, digits_space.landmarks[0])
    with pytest.raises(RecipeError, match=f"{name}' is there, and is no file of an exported"):
        save(
            digits_space.build(about.row).eval(),
            about,
            Destination.at(tmp_path / "best", tuple(SUFFIXES)),
        )
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine\n")]


@pytest.mark.parametrize("name", ["", ".", "..", " "])
def test_files_need_a_name(name: str) -> None:
    with pytest.raises(RecipeError, match="need a name"):
        Destination.at(Path(name), tuple(SUFFIXES))


def test_a_hidden_ending_is_a_stem(tmp_path: Path) -> None:
    files = Destination.at(tmp_path / ".onnx", ("onnx",)).files
    assert files["onnx"].name == ".onnx.onnx"
