"""Files of weights as they lie around: what they are is told by their content, in a sentence."""

import argparse
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from tailorbird.errors import WeightsError
from tailorbird.training import Training
from tailorbird.training.weights import weight_file

STATE = {"conv1.weight": torch.arange(6.0).reshape(2, 3), "bn1.bias": torch.ones(2)}


def saved(thing: object, *, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def header(shape: list[int], n_bytes: int, dtype: str = "F32") -> bytes:
    """Of safetensors with one tensor."""
    text = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, n_bytes]}})
    return struct.pack("<Q", len(text)) + text.encode()


def zipped(compression: int, **parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("w.pth"), io.BytesIO(content))
    return buffer.getvalue()


def flipped(content: bytes, inside: bytes) -> bytes:
    """One bit is another."""
    changed = bytearray(content)
    changed[content.index(inside) + 2] ^= 4
    return bytes(changed)


WEIGHT = STATE["conv1.weight"].numpy().tobytes()
TORCH, LEGACY, SAFE = saved(STATE), saved(STATE, legacy=True), save(STATE)
REFUSED = {
    "empty": (b"", "is empty"),
    "html": (b"\n<!DOCTYPE html>\n<html>Not found", "is an HTML page"),
    "html with a mark": (b"\xef\xbb\xbf<html>", "is an HTML page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
    "text": (b"hello", "in neither format"),
    "bytes": (bytes(range(256)), "in neither format"),
    "json": (b'{"a": 1}', "is JSON"),
    "index": (
        b'{"metadata": {}, "weight_map": {"a": "b"}}',
        "index of weights that lie in several",
    ),
    "gzip": (b"\x1f\x8b\x08\0", "compressed by gzip"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "tar": (tarred(TORCH), "archive of tar"),
    "pickle": (pickle.dumps(STATE), "a pickle that torch.save did not write"),
    "namespace": (
        saved({"model": STATE, "args": argparse.Namespace()}),
        "holds argparse.Namespace,",
    ),
    "namespace, legacy": (
        saved({"model": STATE, "args": argparse.Namespace()}, legacy=True),
        "holds argparse.Namespace,",
    ),
    "module": (saved(torch.nn.Linear(1, 1)), r"holds torch.nn.modules.linear.Linear,.*only the st"),
    "numpy": (saved({"order": np.arange(3)}), "holds numpy.*which is not loaded"),
    "path": (saved({"log": Path("x")}), "holds pathlib"),
    "no end": (TORCH[:-9], "is torn"),
    "half": (TORCH[: len(TORCH) // 2], "is torn"),
    "zip's beginning": (b"PK\x03\x04 and so on", "is torn"),
    "flipped": (flipped(TORCH, WEIGHT), "torn: the checksum of its part"),
    "half, legacy": (LEGACY[: len(LEGACY) // 2], "is torn"),
    "no end, legacy": (LEGACY[:-3], "is torn"),
    "half of safetensors": (SAFE[: len(SAFE) // 2], "is torn"),
    "no end of safetensors": (SAFE[:-3], "is torn"),
    "terabytes": (header([10**12], 4 * 10**12), "is torn"),
    "more than there are": (header([2**62, 2**62], 4) + b"1234", "is torn"),
    "fewer than none": (header([-1], 4) + b"1234", "is torn"),
    "a header of terabytes": (struct.pack("<Q", 2**39) + b"{", "is torn"),
    "deflated": (
        zipped(zipfile.ZIP_DEFLATED, **{"w/data.pkl": b"0" * 99, "w/data/0": bytes(2**20)}),
        "is compressed, as torch.save never does",
    ),
    "other zip": (zipped(zipfile.ZIP_STORED, **{"w.pth": TORCH}), "that torch.save did not write"),
    "npz": (zipped(zipfile.ZIP_STORED, **{"a.npy": b"0"}), "archive of NumPy"),
    "torchscript": (
        zipped(zipfile.ZIP_STORED, **{"w/data.pkl": b"0", "w/constants.pkl": b"0"}),
        "TorchScript archive.*torch.jit.load",
    ),
}


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_holds_no_weights_is_told_by_its_content(tmp_path: Path, name: str, case: str) -> None:
    content, expected = REFUSED[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=expected) as caught:
        weight_file.load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert str(caught.value).isprintable()  # torch colours its advice


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w"])
@pytest.mark.parametrize("content", [TORCH, LEGACY, SAFE])
def test_formats_are_told_by_their_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    held = weight_file.load(tmp_path / name)
    assert isinstance(held, dict)
    assert held.keys() == STATE.keys()
    assert all(torch.equal(held[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_])
def test_numbers_of_numpy_beside_the_weights_are_read(
    tmp_path: Path, kind: type[np.generic], legacy: bool
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(saved({"state_dict": STATE, "best_acc": kind(1)}, legacy=legacy))
    loaded = weight_file.load(path)
    assert isinstance(loaded, dict)
    assert loaded["best_acc"] == 1
    assert loaded["state_dict"].keys() == STATE.keys()


def test_archives_without_checksums_are_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert isinstance(weight_file.load(tmp_path / "w.pth"), dict)


def test_pipes_folders_devices_and_nothing_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path, expected in [
        (tmp_path / "pipe", "is a pipe"),
        (tmp_path / "link", "is a pipe"),
        (tmp_path, "is a folder"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path / "none", "cannot be read: No such file"),
        (tmp_path / "loop", "cannot be read: Too many levels"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path / "a\0b", "cannot be read: ValueError: embedded null"),
    ]:
        for read in (weight_file.load, lambda p: Training(0, 0, 0, anchors={"a": p}).alone("a")):
            with pytest.raises(WeightsError, match=expected):
                read(path)


def test_overlapping_parts_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    """Many entries of a zip archive may share the bytes of one."""
    save_file(STATE, tmp_path / "w.safetensors")
    content = bytearray(zipped(zipfile.ZIP_STORED, **{"w/data.pkl": b"0", "w/data/0": bytes(64)}))
    sizes = struct.pack("<II", 64, 64)
    for _ in range(content.count(sizes)):
        at = content.index(sizes)
        content[at : at + 8] = struct.pack("<II", 2**31, 2**31)
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="is torn"):
        weight_file.load(tmp_path / "w.pth")


@pytest.mark.parametrize("seed", range(3))
def test_any_change_of_a_file_leads_to_weights_or_to_a_sentence(tmp_path: Path, seed: int) -> None:
    rng, path = np.random.default_rng(seed), tmp_path / "w.pth"
    for _ in range(60):
        content = bytearray([TORCH, LEGACY, SAFE][rng.integers(3)])
        for at in rng.integers(0, len(content) - 9, rng.integers(1, 9)):
            kind = rng.integers(4)
            if kind == 0:
                content[at] = rng.integers(256)
            elif kind == 1:
                content[at : at + 8] = b"\xff" * 8
            elif kind == 2:
                del content[at : at + int(rng.integers(1, 9))]
            else:
                content[at:at] = rng.bytes(4)
        path.write_bytes(content)
        try:
            weight_file.load(path)
        except WeightsError as error:
            assert str(error).isprintable()  # noqa: PT017  # most, but not all, are refused
