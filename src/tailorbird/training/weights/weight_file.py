"""Files of weights that others made: told apart by content, and opened; no code in one is run."""

import hashlib
import re
import stat
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from tailorbird.errors import WeightsError

_HEAD_BYTES = 4096
_LONGEST = 160  # characters of what a library said
_AGAIN = "Fetch it, or save it, again."
_UNPACK = "Unpack it, and name the file in it."
_CONVERT = "Convert it to safetensors, a tensor under each name."
_STATE_DICT = "save only the state dict: `torch.save(model.state_dict(), FILE)`."

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a pointer of Git LFS", "Fetch the weights by `git lfs pull`."),
    (b"/annex/", "a pointer of git-annex", "Fetch the weights by `git annex get`."),
    (b"<", "an HTML page", "What was downloaded is a page about the weights: fetch their file."),
    (b"\x1f\x8b", "compressed by gzip", _UNPACK),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ", "compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", _UNPACK),
    (b"7z\xbc\xaf", "an archive of 7-Zip", _UNPACK),
    (b"\x89HDF", "an HDF5 file, as Keras writes them", _CONVERT),
    (b"\x93NUMPY", "an array of NumPy", _CONVERT),
    (b"GGUF", "a GGUF file", _CONVERT),
)
"""What files begin with, behind white space: the beginning, its name, and the way out."""

_LEGACY = b"l\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save's number, before it wrote zip archives

_SCALAR = np.float64(0).__reduce__()[0]

_NUMBERS: list[Any] = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u4", "u8", "?")),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
"""What numbers of NumPy's are made of, such as the best accuracy beside the weights."""

_UNPICKLER = "WeightsUnpickler error:"  # torch says its own part first
_CLASS = re.compile(r"(?:GLOBAL|<class) '?([A-Za-z_][\w.]+)")
"""What torch's unpickler refused."""


def load(path: Path) -> object:
    """Loads what `torch.save` was given, or the tensors of safetensors by name.

    Tensors may share memory with each other, and with the file: they are not to be changed.

    Raises:
        WeightsError: if the file is of neither format, torn, or holds more than tensors and plain
            values.
    """
    check_plain(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    if _begins_safetensors(head):
        return _safetensors(path)
    if head.startswith(b"PK\x03\x04"):
        _check_archive(path)
        return _unpickled(path)
    if _LEGACY in head[:32]:
        return _unpickled(path)
    what, way_out = _told(head)
    raise _refusal(path, what, way_out)


def check_plain(path: Path) -> None:
    """Refuses what cannot be opened like a file: a pipe would be waited for without end.

    Raises:
        WeightsError: if so, or if there is nothing.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if stat.S_ISREG(mode):
        return
    what = "a device"
    if stat.S_ISDIR(mode):
        what = "a folder"
    elif stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        what = "a pipe"
    raise _refusal(path, what, "Name the file of the weights.")


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex.

    Raises:
        WeightsError: if it cannot be read.
    """
    check_plain(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _told(head: bytes) -> tuple[str, str]:
    """What a file that holds no weights is, and the way out."""
    if not head:
        return "empty", _AGAIN
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, what, way_out in _STARTS:
        if text.startswith(start):
            return what, way_out
    if head[257:262] == b"ustar":
        return "an archive of tar", _UNPACK
    if text[:1] in (b"{", b"["):
        if b'"weight_map"' in text:
            return "the index of weights that lie in several files", "Join them in one file."
        return "JSON", "Name the file of the weights."
    if head.startswith(b"\x80"):
        return "a pickle that torch.save did not write", f"If you trust it, {_STATE_DICT}"
    return "in neither format", _AGAIN


def _begins_safetensors(head: bytes) -> bool:
    """True for eight bytes of size, the highest three of them zero, and a header in JSON."""
    return head[5:9] == b"\0\0\0{"


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except Exception as error:  # noqa: BLE001  # unknown types, absurd shapes, and what else
        raise _refusal(path, f"torn, or no safetensors ({_said(error)})", _AGAIN) from None


def _check_archive(path: Path) -> None:
    """Refuses zip archives that `torch.save` did not write, or that are not as it wrote them."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            what = _kind(parts)
            if what is None and sum(part.file_size for part in parts) > path.stat().st_size:
                what = "torn: its parts overlap", _AGAIN
            has_sums = any(part.CRC for part in parts)  # torch may be told to leave them out
            if what is None and has_sums and (torn := archive.testzip()):
                what = f"torn: the checksum of its part {torn[:80]!r} differs", _AGAIN
    except Exception as error:  # noqa: BLE001  # zipfile raises whatever a torn archive leads to
        raise _refusal(path, f"torn ({_said(error)})", _AGAIN) from None
    if what is not None:
        raise _refusal(path, *what)


def _kind(parts: list[zipfile.ZipInfo]) -> tuple[str, str] | None:
    """What else an archive is, and the way out; None for what `torch.save` writes."""
    inner = {part.filename.partition("/")[2] for part in parts}
    if "constants.pkl" in inner:
        return "a TorchScript archive", f"Load it with `torch.jit.load`, and {_STATE_DICT}"
    if "data.pkl" not in inner:
        if any("models/" in part.filename or "exported" in part.filename for part in parts):
            return "a program of torch.export", f"Load it, and {_STATE_DICT}"
        if any(part.filename.endswith(".npy") for part in parts):
            return "an archive of NumPy", _CONVERT
        return "a zip archive that torch.save did not write", _UNPACK
    if any(part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 for part in parts):
        return "compressed, as torch.save never does", f"Load it with torch, and {_STATE_DICT}"
    return None


def _unpickled(path: Path) -> object:
    try:
        # Opened here, since torch goes by the ending of a path.
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            torch.serialization.safe_globals(_NUMBERS),
        ):
            warnings.simplefilter("ignore")  # of formats and types that are getting old
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # torch raises whatever its unpickler meets
        refused = _CLASS.search(str(error).rpartition(_UNPICKLER)[2])
        if refused:
            raise WeightsError(
                f"{str(path)!r} must hold tensors and plain values only, but holds "
                f"{refused[1][:_LONGEST]}, which is not loaded: code may hide in it. If you trust "
                f"the file, load it with torch, and {_STATE_DICT}"
            ) from None
        raise _refusal(path, f"torn, or in neither format ({_said(error)})", _AGAIN) from None


def _said(error: BaseException) -> str:
    """Type and first sentence of an error, without what would steer a terminal."""
    text = str(error).rpartition(_UNPICKLER)[2].strip()
    text = text.partition("\n")[0].partition(". ")[0].rstrip(".")[:_LONGEST]
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return f"{type(error).__name__}: {plain}" if plain else type(error).__name__


def _unreadable(path: Path, error: OSError | ValueError) -> WeightsError:
    reason = getattr(error, "strerror", None) or _said(error)
    return WeightsError(f"The weights in {str(path)!r} cannot be read: {reason}.")


def _refusal(path: Path, what: str, way_out: str) -> WeightsError:
    return WeightsError(
        f"{str(path)!r} must hold a state dict, as safetensors or by torch.save, but it is {what}. "
        f"{way_out}"
    )
