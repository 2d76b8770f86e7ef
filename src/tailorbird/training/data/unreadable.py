"""Pictures that cannot be read: each is looked at once, and what was found is remembered."""

import json
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pooch

from tailorbird.errors import ContractError, WriteError
from tailorbird.storage import atomic
from tailorbird.training.data.pictures import Pictures

_LOG = logging.getLogger("tailorbird")
_TOLD_EVERY_S = 10.0
_AT_ONCE = 256


def check_readable(pictures: Pictures) -> None:
    """Refuses pictures that cannot be read.

    Raises:
        ContractError: naming the first one, and how many there are.
    """
    found = unreadable(pictures)
    if found:
        first = min(found)
        try:
            pictures.decoded(first, "RGB")
        except ContractError as error:
            others = f" There are {len(found):,} such in all." if len(found) > 1 else ""
            raise ContractError(f"{error}{others}") from None


def readable(pictures: Pictures) -> Pictures:
    """The pictures without those that cannot be read, which are logged."""
    found = unreadable(pictures)
    if not found:
        return pictures
    _LOG.warning(
        "%s images: %d of %d cannot be read, and are left out (first: %s).",
        *(pictures.name, len(found), len(pictures), pictures.file(min(found))),
    )
    members = [i for i in range(len(pictures)) if i not in found]
    if not members:
        raise ContractError(
            f"Images must be ones that Pillow reads, but of {pictures.name} there is none."
        )
    return pictures.chosen(np.array(members), pictures.name)


def unreadable(pictures: Pictures) -> set[int]:
    """Numbers of pictures that cannot be read, as remembered or looked at."""
    memory = _folder() / f"{pictures.state()[:32]}.json"
    with suppress(OSError, ValueError, TypeError):
        return {*map(int, json.loads(memory.read_bytes())["unreadable"])}
    found = {*_looked_at(pictures)}
    with suppress(OSError, WriteError):  # then they are looked at again
        memory.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(memory, json.dumps({"unreadable": sorted(found)}))
    return found


def _looked_at(pictures: Pictures) -> Iterator[int]:
    """Decodes all pictures on all processors, and yields the numbers of those that fail."""
    begun = told = time.monotonic()
    n = len(pictures)
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoding lets other threads run
        for first in range(0, n, _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, n))
            fine = threads.map(partial(_is_fine, pictures), some)
            yield from (i for i, is_fine in zip(some, fine, strict=True) if not is_fine)
            if time.monotonic() - told > _TOLD_EVERY_S:
                told = time.monotonic()
                _LOG.info(
                    "%s images are looked at, once: %d of %d, %.0f a second",
                    *(pictures.name, some.stop, n, some.stop / (told - begun)),
                )


def _is_fine(pictures: Pictures, i: int) -> bool:
    try:
        pictures.decoded(i, "RGB")
    except ContractError:
        return False
    return True


def _folder() -> Path:
    return Path(pooch.os_cache("tailorbird")) / "images"
