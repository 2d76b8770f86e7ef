"""Text of others such that a terminal shows it, and obeys none of it."""

import re

_UNUSUAL = re.compile(r"[^\n\t\x20-\x7e]")


def printable(text: str) -> str:
    r"""A text whose control characters, but tabs and ends of lines, are escapes such as \u001b.

    Likewise what no terminal can show, such as marks that turn the order of reading, and halves of
    a surrogate pair. In JSON, the escapes stand for what they replace.
    """
    return _UNUSUAL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    letter = match[0]
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 2**16 else f"\\U{ord(letter):08x}"
