"""What prompts and notebooks show of results: one line, a few rows as HTML, a picture."""

import html
import math
import reprlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

ROWS = 10
"""Rows of a table in a notebook; `to_pandas()` gives all of them."""

_BEGINNING = 45  # characters
_COLUMNS = 12
_LARGEST_WRITTEN = 10**15  # with all of its digits

_NAMES, _LISTS = reprlib.Repr(), reprlib.Repr()
_NAMES.maxstring = 60
_LISTS.maxstring, _LISTS.maxtuple = 20, 4


def named(name: str) -> str:
    """Writes a name in quotes, with the middle cut out if it is long."""
    return _NAMES.repr(name)


def begun(text: str) -> str:
    """Writes the beginning of a text in one line, with dots if there is more."""
    printable = " ".join(text.split())
    return printable if len(printable) <= _BEGINNING else f"{printable[:_BEGINNING]}..."


def listed(names: tuple[str, ...]) -> str:
    """Writes the first few of some names."""
    return _LISTS.repr(names)


def between(values: "NDArray[np.float64]") -> str:
    """Writes the least and the largest of values (n,): `1.2 to 8.1`, or `none`."""
    if not len(values):
        return "none"
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low} to {high}"


def counted(n: int, thing: str, things: str = "") -> str:
    """Writes a number and what there are so many of: `1 network`, `4,795 networks`."""
    if n == 1:
        return f"1 {thing}"
    exponent = math.log10(max(n, 1))  # takes whole numbers that no float can hold
    large = f"{10 ** (exponent % 1):.1f} * 10^{int(exponent)}"
    return f"{f'{n:,}' if n < _LARGEST_WRITTEN else large} {things or f'{thing}s'}"


def html_table(frame: "pd.DataFrame", title: str, n_rows: int | None = None) -> str:
    """Writes the first rows of a table as HTML, in which all texts are escaped.

    Args:
        frame: the table, or its first `ROWS` rows.
        title: stands above it.
        n_rows: of the whole table; None if `frame` is that.
    """
    n_rows = len(frame) if n_rows is None else n_rows
    table = frame.head(ROWS).to_html(index=False, border=0, max_cols=_COLUMNS, escape=True)
    rest = f"<p>{ROWS} of {n_rows:,} rows</p>" if n_rows > ROWS else ""
    return f"<div><p>{html.escape(title)}</p>{table}{rest}</div>"


def label(text: str) -> str:
    """Writes a name for an axis or a legend, where dollars are no formulas and none is left out."""
    return ("\N{HAIR SPACE}" * text.startswith("_") + text).replace("$", r"\$")


def legend(ax: "Axes") -> None:
    """Draws the legend of axes on which there is anything."""
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize="small")


def axes(ax: "Axes | None") -> "Axes":
    """Returns the axes that were given, or new ones of a figure that notebooks show."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]
