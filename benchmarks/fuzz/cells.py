"""Cells in CSV, with wrong values, in wrong places and written in other ways."""

import csv
import gzip
import io
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from fuzz import values
from fuzz.damage import HTML, damaged

_BOMB = 200 * 2**20

NUMBERS = (
    *("1,5", "1e5", "1E+2", "0x10", "nan", "NaN", "inf", "-inf", "infinity", "∞", "1 000", "1_000"),
    *("1.000,5", "1.000.000", "\u0661", "\uff11", "1ms", "1 ms", "", " ", " 1 ", "+1", ".5", "5."),
    *("1e400", "-0", "0", "-1", "½", "1/2", "--1", "5%", "#N/A", "None", "null", "true", "=1+1"),
    *("1e-9", "1e-10", "1e9", "1.1e9", "0x1p-3", "1d3", "1e5j", "9" * 5_000, "0." + "1" * 5_000),
    *("1\x00", "\x001", "1\x1b[2J", "1\u200b", "\ufeff1", "1\u00a0", "'1'", '"1"', "1e", "e5", "."),
    *("1e-400", "100.001", "8204", "0.5", "2", "3", "1.5"),
)
"""What people write for numbers, and what is none."""

TEXTS = (
    *("", " ", "nonsense", "nonsense\x1b[2J", "a\nb", "a\x00b", "\ufeffkey", "-", "=cmd()", "é"),
    *("名前", "a" * 9_000, "\ufeff", "[[0, 0]]", "T", "T-S-B"),
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Cells, and how they are written."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    separator: str = ","
    quoting: int = csv.QUOTE_MINIMAL
    quote: str = '"'
    end: str = "\n"

    def text(self) -> str:
        out = io.StringIO(newline="")
        writer = csv.writer(
            out,
            delimiter=self.separator,
            quoting=self.quoting,  # type: ignore[arg-type]  # one of csv's constants
            quotechar=self.quote,
            lineterminator=self.end,
            escapechar="\\",
        )
        writer.writerows([self.header, *self.rows])
        return out.getvalue()


Made = tuple[str, str, bool]
"""Text, what was done, and whether nothing is wrong with it."""


def changed(rng: random.Random, sheet: Sheet) -> Made:
    """The text of a sheet in which something is changed.

    Whether nothing is wrong with it is said of tables that may have rows in any order and number.
    """
    return rng.choice(_CHANGES)(rng, sheet)


def odd_gzip(rng: random.Random, text: str) -> tuple[bytes, str]:
    plain = text.encode()
    whole = gzip.compress(plain, mtime=0)
    match rng.randrange(8):
        case 0:
            return whole[: rng.randrange(len(whole))], "torn"
        case 1:
            return damaged(rng, whole)
        case 2:
            return plain, "not packed"
        case 3:
            return gzip.compress(whole, mtime=0), "packed twice"
        case 4:
            return whole + b"more", "something behind it"
        case 5:
            return whole[:20] + zlib.compress(plain), "another stream in it"
        case 6:
            two = gzip.compress(plain[:200], mtime=0) + gzip.compress(plain[200:], mtime=0)
            return two, "in two members"
    line = rng.choice((b"a", b"a,1\n", b"\n", b'"k",1\n', b'"', b"\0"))
    return gzip.compress(
        plain.partition(b"\n")[0] + b"\n" + line * (_BOMB // len(line)), mtime=0
    ), f"200 MiB of {line!r}"


def _in_a_cell(rng: random.Random, sheet: Sheet) -> Made:
    number = rng.randrange(len(sheet.rows))
    column = rng.randrange(len(sheet.header))
    cell = rng.choice(NUMBERS if _is_number(sheet.rows[number][column]) else TEXTS)
    row = sheet.rows[number]
    row = (*row[:column], cell, *row[column + 1 :])
    rows = (*sheet.rows[:number], row, *sheet.rows[number + 1 :])
    change = f"{sheet.header[column]} is {values.told(cell)} in row {number + 1}"
    return replace(sheet, rows=rows).text(), change, False


def _separated(rng: random.Random, sheet: Sheet) -> Made:
    separator = rng.choice((";", "\t", "|", " ", ":"))
    return replace(sheet, separator=separator).text(), f"separated by {separator!r}", False


def _commented(rng: random.Random, sheet: Sheet) -> Made:
    lines = sheet.text().splitlines()
    place = rng.choice((0, 1, len(lines) // 2, len(lines)))
    line = rng.choice(("# measured on Monday", "// a, b", "#", "; x", "-- x", "sep=,", "Monday"))
    return "\n".join([*lines[:place], line, *lines[place:]]), f"{line!r} as line {place + 1}", False


def _quoted(rng: random.Random, sheet: Sheet) -> Made:
    lines = sheet.text().splitlines()
    place = rng.randrange(len(lines))
    return rng.choice(
        (
            (replace(sheet, quoting=csv.QUOTE_ALL).text(), "all in quotes", True),
            (replace(sheet, quote="'").text(), "single quotes", False),
            (replace(sheet, quoting=csv.QUOTE_NONE).text(), "backslashes for quotes", False),
            (sheet.text().replace('"', ""), "no quotes", False),
            (sheet.text().replace('"', "“"), "typographic quotes", False),
            (
                "\n".join([*lines[:place], '"' + lines[place], *lines[place + 1 :]]),
                "a quote",
                False,
            ),
        )
    )


def _headed(rng: random.Random, sheet: Sheet) -> Made:
    header, rows = sheet.header, sheet.rows
    other = rng.choice(
        (
            tuple(name.upper() for name in header),
            ("workload", "latency_ms", "std")[: len(header)],
            (*header[:-1], header[0]),
            header[:-1],
            (*header, "more"),
            tuple("" for _ in header),
            rows[0],
            ("",),
        )
    )
    spaced = tuple(f" {name} " for name in header)
    swapped = replace(sheet, header=header[::-1], rows=tuple(row[::-1] for row in rows))
    return rng.choice(
        (
            (replace(sheet, header=other).text(), f"the header is {other}", False),
            (replace(sheet, header=other).text(), f"the header is {other}", False),
            (replace(sheet, header=spaced).text(), "spaces in the header", True),
            (swapped.text(), "columns in another order", True),
        )
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell
    return True


def _rowed(rng: random.Random, sheet: Sheet) -> Made:
    rows, number = sheet.rows, rng.randrange(len(sheet.rows))
    row = rows[number]
    cut = (*rows[:number], row[:-1], *rows[number + 1 :])
    long = (*rows[:number], (*row, "1"), *rows[number + 1 :])
    few = rows[:number] + rows[number + 1 :]
    shuffled = tuple(rng.sample(rows, len(rows)))
    made = (
        (cut, "a row lacks a cell", False),
        (long, "a row has a cell more", False),
        ((), "no rows", False),
        (few, "a row less", True),
        ((*rows, row), "a row twice", True),
        (shuffled, "rows in another order", True),
    )
    those, change, is_right = rng.choice(made)
    return replace(sheet, rows=those).text(), change, is_right


def _ended(rng: random.Random, sheet: Sheet) -> Made:
    text = sheet.text()
    return rng.choice(
        (
            (replace(sheet, end="\r\n").text(), "lines end as on Windows", True),
            (text.rstrip("\n"), "no end of line at the end", True),
            (text + "\n\n", "empty lines at the end", True),
            (text.replace("\n", "\r"), "lines end as on an old Macintosh", False),
            (text.replace("\n", "\n\x00"), "NUL before each line", False),
            (text.replace("\n", "\x1e"), "lines end as records", False),
            (text + "\x1a", "Ctrl-Z at the end", False),
            (HTML.decode() + text, "a page of HTML before", False),
        )
    )


_CHANGES: tuple[Callable[[random.Random, Sheet], Made], ...] = (
    *(_in_a_cell, _in_a_cell, _in_a_cell, _separated, _commented, _quoted, _headed, _rowed),
    _ended,
)
