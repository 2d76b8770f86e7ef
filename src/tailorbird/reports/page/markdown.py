"""Report as Markdown, for issues and pull requests: the answer, the front and its trust."""

from collections.abc import Sequence

from tailorbird.reports.answer import optimism
from tailorbird.reports.page.contents import Contents
from tailorbird.reports.page.devices import GIVEN_AWAY, REGRET_TITLES, Devices
from tailorbird.storage.marks import MARK

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>()#+!|~&$"})


def markdown_of(contents: Contents, mark: str) -> str:
    """The report as Markdown, beside `front.png`."""
    report, front = contents.report, contents.front
    titles = ["best", "network", *(column.title for column in contents.columns)]
    rows = [["●" if row.is_best else "", row.name, *row.cells] for row in contents.rows]
    parts = [
        f"<!-- {MARK}: {mark} -->",
        f"# {_escaped(report.title)}",
        _escaped(report.subtitle),
        *(f"> {_escaped(note)}" for note in contents.notes),
        "## Which one?",
        _escaped(contents.answer),
        "## The front",
        "![accuracy over what networks cost](front.png)",
        _escaped(f"{report.accuracy}. {optimism(front)}"),
        _escaped(contents.alone),
        "## Networks",
        _table(titles, rows),
        *_on_devices(contents.devices),
        "## How far to trust it",
        *map(_escaped, contents.trust),
        "## Search",
        _escaped(report.found),
        "## To repeat it",
        _fenced(report.recipe, "toml"),
        _table(["what", "value"], [*report.provenance.items()]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _on_devices(devices: Devices | None) -> list[str]:
    """Section on several devices; nothing for one."""
    if devices is None:
        return []
    ranks = [[name, *taus] for name, taus in devices.agreement]
    parts = [
        "## Several devices",
        f"Kendall's tau of latencies on two devices, over {devices.n} networks: 1 is the same "
        "order.",
        _table(["device", *devices.names], ranks),
    ]
    if devices.regrets:
        parts += [GIVEN_AWAY, _table(REGRET_TITLES, devices.regrets)]
    return parts


def _escaped(text: object) -> str:
    """Writes a text so that Markdown shows it as it is, in one line."""
    return " ".join(str(text).split()).translate(_SPECIAL)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with these titles."""
    lines = [[_escaped(title) for title in titles], ["---"] * len(titles)]
    cells = [[_escaped(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [*lines, *cells])


def _fenced(text: str, language: str) -> str:
    """A block of code, whatever ticks the text has."""
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
