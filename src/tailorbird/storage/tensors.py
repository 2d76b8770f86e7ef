"""Files of safetensors: the same bytes for the same content."""

import json
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.storage.atomic import written

if TYPE_CHECKING:
    from torch import Tensor

_SYSTEM_CODE = re.compile(r"(?:code: |os error )(\d+)")


def write(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> None:
    """Writes tensors to a file, whole or not at all.

    Raises:
        WriteError: if it cannot be written.
    """
    with written(path) as (part,):
        fill(part, tensors, metadata)


def fill(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> None:
    """Writes tensors to a file in place.

    Raises:
        OSError: if it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    contiguous: dict[str, Tensor] = {}
    written_already: set[int] = set()  # the library writes no memory twice, but layers may share
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        contiguous[name] = tensor.contiguous()
        if memory in written_already:
            contiguous[name] = contiguous[name].clone()
        written_already.add(memory)
    try:
        save_file(contiguous, path, metadata=dict(metadata))
    except SafetensorError as error:
        code = _SYSTEM_CODE.search(str(error))
        if code is None:
            raise OSError(str(error)) from None
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from None
    _sort_header(path)


def is_of(path: Path, identity: str) -> bool:
    """True if there is a file whose metadata have this identity."""
    from safetensors import SafetensorError, safe_open

    try:
        if not path.is_file():  # a pipe would wait for a writer
            return False
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("identity") == identity
    except (OSError, SafetensorError):
        return False


def read(path: Path, identity: str) -> "tuple[dict[str, Tensor], dict[str, str]] | None":
    """Reads tensors by name, and metadata, of a file that `is_of`; None if missing or torn."""
    from safetensors import SafetensorError, safe_open

    if not is_of(path, identity):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # the file is no mapping, and cannot be iterated over
            return {name: file.get_tensor(name) for name in names}, file.metadata()
    except (OSError, SafetensorError):
        return None


def parsed(content: bytes) -> "tuple[dict[str, Tensor], dict[str, str]] | None":
    """Tensors and metadata in the content of a file; None if it is torn."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
    except SafetensorError:
        return None
    (length,) = struct.unpack("<Q", content[:8])
    return tensors, json.loads(content[8 : 8 + length]).get("__metadata__", {})


def _sort_header(path: Path) -> None:
    """Orders the metadata, which the library writes in any order; the length stays."""
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise OSError(f"its header takes {len(text)} bytes, but {length} were written")
        file.seek(8)
        file.write(text.ljust(length))
