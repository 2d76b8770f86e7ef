"""Tensors as safetensors: the same bytes for the same content."""

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
    """Writes a file, whole or not at all.

    Raises:
        WriteError: if it cannot be written.
    """
    with written(path) as (part,):
        fill(part, tensors, metadata)


def fill(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> None:
    """Writes a file in place.

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
