"""Damage to the bytes of a file, whatever they mean."""

import gzip
import random
from collections.abc import Callable

HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body></body></html>\n"
DIGITS = b"9" * 5_000
_BOM = b"\xef\xbb\xbf"


def _span(rng: random.Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content))
    return start, min(len(content), start + rng.choice((1, 2, 8, 100, 4096)))


def _flipped(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    changed = bytearray(content)
    places = [rng.randrange(len(content)) for _ in range(rng.choice((1, 1, 3, 20)))]
    for place in places:
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed), f"{len(places)} flipped bits (first in byte {places[0]})"


def _overwritten(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    start, end = _span(rng, content)
    filler = rng.choice((b"\0", b"\xff", b"A", b"9", b"[", b" "))
    return content[:start] + filler * (end - start) + content[end:], f"{filler!r} in {start}:{end}"


def _cut(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    start, end = _span(rng, content)
    return content[:start] + content[end:], f"without bytes {start}:{end}"


def _truncated(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    n = rng.choice((1, 4, len(content) // 2, len(content) - 1, rng.randrange(len(content))))
    return content[:n], f"the first {n} bytes"


def _inserted(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    place = rng.randrange(len(content) + 1)
    more = rng.choice(
        (b"\0", b"\n", b'"', b"\x1b[2J", b"\r\n\r\n", b"[" * 3_000, rng.randbytes(40))
    )
    return content[:place] + more + content[place:], f"{more[:8]!r} ({len(more)}) before {place}"


def _digits(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    places = [i for i, byte in enumerate(content) if chr(byte).isdecimal()]
    place = rng.choice(places) if places else 0
    return content[:place] + DIGITS + content[place:], f"5,000 digits before {place}"


def _joined(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    half = len(content) // 2
    return rng.choice(
        (
            (content * 2, "twice"),
            (content[half:] + content[:half], "halves swapped"),
            (content + b"\n" * 3, "three empty lines at the end"),
            (b"\n" + content, "an empty line before"),
        )
    )


def _replaced(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    return rng.choice(
        (
            (b"", "empty"),
            (HTML, "a page of HTML"),
            (b"\0" * 1000, "zeros"),
            (rng.randbytes(500), "noise"),
            (gzip.compress(content, mtime=0), "gzip"),
            (b"PK\x03\x04" + rng.randbytes(100), "the start of a zip archive"),
            (b"[" * 100_000, "100,000 open brackets"),
            (b"a" * 2_000_000, "two million letters"),
        )
    )


def _encoded(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    text = content.decode("latin-1")
    encoding = rng.choice(("utf-16", "utf-16-le", "utf-32", "cp037", "utf-7"))
    return rng.choice(
        (
            (_BOM + content, "a byte-order mark before"),
            (_BOM * 2 + content, "two byte-order marks before"),
            (text.encode(encoding), encoding),
            (content.replace(b"\n", b"\r\n"), "lines end as on Windows"),
            (content.replace(b"\n", b"\r"), "lines end as on an old Macintosh"),
        )
    )


_KINDS: tuple[Callable[[random.Random, bytes], tuple[bytes, str]], ...] = (
    *(_flipped, _flipped, _flipped, _overwritten, _overwritten, _cut, _truncated, _inserted),
    *(_digits, _joined, _replaced, _encoded),
)


def damaged(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Other content, and what was done."""
    return rng.choice(_KINDS)(rng, content)
