"""Pictures that cannot be read: each is looked at once, and what was found is remembered."""

import json
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import numpy as np

from tailorbird.errors import ContractError, WriteError
from tailorbird.published.data_folder import cache_folder
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
    for first in sorted(found):
        error = _fault(pictures, first)
        if error is not None:
            others = f" There are {len(found):,} such in all." if len(found) > 1 else ""
            raise ContractError(f"{error}{others}") from error


def readable(pictures: Pictures) -> Pictures:
    """The pictures without those that cannot be read, which are logged.

    Raises:
        ContractError: if none can be read of a class.
    """
    found = unreadable(pictures)
    if not found:
        return pictures
    _LOG.warning(
        "%s images: %d of %d cannot be read, and are left out (first: %s).",
        *(pictures.name, len(found), len(pictures), pictures.file(min(found))),
    )
    kept = np.array([i for i in range(len(pictures)) if i not in found], dtype=np.int64)
    lost = {*pictures.labels.tolist()} - {*pictures.labels[kept].tolist()}
    if lost:
        example = next(i for i in sorted(found) if pictures.labels[i] in lost)
        raise ContractError(
            f"Every class must have images that can be read, but {len(lost)} of {pictures.name} "
            f"have none (such as that of {pictures.file(example)!r}). Mend some, or remove the "
            "class in every split."
        )
    return pictures.chosen(kept, pictures.name)


def unreadable(pictures: Pictures) -> set[int]:
    """Numbers of pictures that cannot be read; all of the split are looked at, once."""
    whole = pictures.whole
    bad = whole.unreadable = _remembered(whole) if whole.unreadable is None else whole.unreadable
    return {i for i, member in enumerate(pictures.members.tolist()) if member in bad}


def _remembered(whole: Pictures) -> set[int]:
    """Numbers of a whole split's, as remembered by a file, or looked at."""
    state = whole.state()
    memory = None if state is None else cache_folder() / "images" / f"{state[:32]}.json"
    if memory is not None:
        with suppress(OSError, ValueError, TypeError, KeyError):
            known = map(int, json.loads(memory.read_bytes())["unreadable"])
            return {i for i in known if i < len(whole) and _fault(whole, i) is not None}
    found = {*_looked_at(whole)}
    if memory is not None and not any(_may_pass(_fault(whole, i)) for i in found):
        with suppress(OSError, WriteError):  # then they are looked at again
            atomic.write(memory, json.dumps({"unreadable": sorted(found)}))
    return found


def _looked_at(pictures: Pictures) -> Iterator[int]:
    """Decodes all pictures on all processors, and yields the numbers of those that fail."""
    begun = told = time.monotonic()
    n = len(pictures)
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoding lets other threads run
        for first in range(0, n, _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, n))
            faults = threads.map(partial(_fault, pictures), some)
            yield from (i for i, fault in zip(some, faults, strict=True) if fault is not None)
            if time.monotonic() - told > _TOLD_EVERY_S:
                told = time.monotonic()
                _LOG.info(
                    "%s images are looked at, once: %d of %d, %.0f a second",
                    *(pictures.name, some.stop, n, some.stop / (told - begun)),
                )


def _fault(pictures: Pictures, i: int) -> ContractError | None:
    """What is wrong with a picture; None if nothing is."""
    try:
        pictures.decoded(i, "RGB")
    except ContractError as error:
        return error
    return None


def _may_pass(fault: ContractError | None) -> bool:
    """True if a fault is not the picture's: a disk or a server that fails, or rights."""
    cause = None if fault is None else fault.__cause__
    return fault is None or (isinstance(cause, OSError) and cause.errno is not None)
