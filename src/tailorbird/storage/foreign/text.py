"""Text of files that others wrote: UTF-8, perhaps with a byte-order mark."""

import codecs
from pathlib import Path

from tailorbird.errors import RecipeError

# The longer ones first: a mark of UTF-32 begins with one of UTF-16.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def decoded(content: bytes, path: Path) -> str:
    """Decodes the text of a file, without its byte-order mark.

    Args:
        content: of the file.
        path: of the file, for messages.

    Raises:
        RecipeError: if it is in another encoding, or no text at all.
    """
    for mark, encoding in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise RecipeError(
                f"Text must be in UTF-8, but {str(path)!r} is in {encoding}. Save it anew as UTF-8."
            )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecipeError(
            f"The file {str(path)!r} is not text in UTF-8: line {line} holds the byte "
            f"0x{content[error.start]:02x}. Save it anew as UTF-8."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise RecipeError(
            f"The file {str(path)!r} is not text in UTF-8: line {line} holds NUL. Save it anew as "
            "UTF-8, or name another file."
        )
    return text
