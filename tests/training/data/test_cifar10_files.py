"""CIFAR-10 as JPEG: files that are torn, or hold something else."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tailorbird.errors import RecipeError
from tailorbird.training.data import cifar10

NAMES = ("cifar10_jpeg_train10k.npz", "cifar10_jpeg_test10k.npz")


def picture(side: int = 32) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 150)).save(file, "JPEG")
    return file.getvalue()


def arrays(pictures: list[bytes]) -> dict[str, Any]:
    return {
        "jpeg": np.frombuffer(b"".join(pictures), np.uint8),
        "offset": np.cumsum([0, *map(len, pictures)]),
        "label": np.arange(len(pictures)) % 10,
    }


def write(folder: Path, content: dict[str, Any]) -> Path:
    for name in NAMES:
        np.savez(folder / name, **content)
    return folder


def test_pictures_of_a_small_file_are_read(tmp_path: Path) -> None:
    data = cifar10.load(write(tmp_path, arrays([picture()] * 40)))
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [40, 20, 20]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": np.arange(40) % 10 + 1}, "labels must be 0 to 9, but that of image 9 is 10"),
        ({"label": np.arange(40) / 10}, "must hold whole numbers"),
        ({"label": np.zeros((40, 1), int)}, r"label must be \(n,\)"),
        ({"label": np.array(["a"] * 40)}, "must hold whole numbers"),
        ({"offset": np.arange(30)}, r"offset \(n \+ 1,\)"),
        ({"offset": np.arange(41) - 1}, "offset must rise"),
        ({"offset": np.arange(41) * 10**6}, "offset must rise"),
        ({"offset": np.arange(41)}, "image 0 is no JPEG"),
        ({"jpeg": np.zeros(10)}, "jpeg must hold bytes"),
        ({"jpeg": np.array([{}], dtype=object)}, "allow_pickle"),
        (arrays([picture()] * 39 + [picture(64)]), r"image 39 is \(64, 64\)"),
        (arrays([picture()] * 39 + [picture()[:300]]), "image 39 is no JPEG"),
        (arrays([picture()] * 3), "there are 3 images only"),
    ],
)
def test_files_that_hold_something_else_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write(tmp_path, arrays([picture()] * 40) | changes)
    with pytest.raises(RecipeError, match=message) as caught:
        cifar10.load(tmp_path)
    assert str(caught.value).count("\n") == 0
    assert NAMES[0] in str(caught.value)


def test_files_that_are_torn_or_lack_an_array_are_refused(tmp_path: Path) -> None:
    whole = arrays([picture()] * 40)
    for missing in whole:
        write(tmp_path, {name: array for name, array in whole.items() if name != missing})
        with pytest.raises(RecipeError, match=f"{missing} is not a file in the archive"):
            cifar10.load(tmp_path)
    content = (write(tmp_path, whole) / NAMES[0]).read_bytes()
    for n in (0, 10, len(content) // 2, len(content) - 5):
        (tmp_path / NAMES[0]).write_bytes(content[:n])
        with pytest.raises(RecipeError, match="is torn, or not CIFAR-10"):
            cifar10.load(tmp_path)
    with zipfile.ZipFile(tmp_path / NAMES[0], "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("jpeg.npy", bytes(300 * 2**20))
    with pytest.raises(RecipeError, match="at most 256 MiB"):
        cifar10.load(tmp_path)
