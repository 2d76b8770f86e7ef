"""Bytes of a report's page, and time until it is painted, for fronts of several sizes.

Figures are made up. Pages of 16 networks of every space that comes with the package are weighed,
with five devices, which takes most; of ofa-mobilenetv3 also others. These are opened from a file in
Debian's chromium, each five times in a new context; the first contentful paint is from the
browser's own account. Exits with 1 if a page of 16 networks has 400 KB or more, one with 10,000
predicted networks 1.5 MB or more, or if the median paint is later than a second after the page was
asked for.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright
from scripts import command_line, write_result
from scripts.made_up_report import made_up_report

from tailorbird import spaces
from tailorbird.reports import Report
from tailorbird.reports.page.contents import Contents
from tailorbird.reports.page.page import page_of
from tailorbird.spaces.registry import SPACES

SMALL, LARGE = 400_000, 1_500_000
"""Bytes."""

LATEST_MS = 1000.0
MARK = "0123456789abcdef"
N_REPEATS = 5
DEVICES = ("a phone", "a watch", "a tablet", "a server")


def cases() -> dict[str, tuple[Report, int]]:
    """Reports with the most bytes that their pages may have."""
    space = spaces.get("ofa-mobilenetv3")
    return {
        "16 networks": (made_up_report(space), SMALL),
        "10,000 predicted networks": (made_up_report(space, n_predicted=10_000), LARGE),
        "five devices": (made_up_report(space, devices=DEVICES), SMALL),
        "three objectives": (made_up_report(space, further=["mega_params"]), SMALL),
    }


def heaviest() -> "Weighed":
    """The page of 16 networks on five devices that has most bytes, of all spaces."""
    sizes = {
        name: len(
            page_of(Contents(made_up_report(spaces.get(name), devices=DEVICES)), MARK).encode()
        )
        for name in SPACES
    }
    name = max(sizes, key=sizes.__getitem__)
    return Weighed(f"five devices, heaviest of {len(SPACES)}: {name}", sizes[name], SMALL)


def first_paint_ms(browser: Browser, page: Path) -> float:
    """Milliseconds from the request of a page to its first contentful paint."""
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    opened = context.new_page()
    opened.goto(page.as_uri())
    entries = "performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)"
    opened.wait_for_function(f"{entries}.length > 0")
    ms = float(opened.evaluate(entries)[0])
    context.close()
    return ms


@dataclass(frozen=True)
class Weighed:
    """A page as it was measured.

    Attributes:
        name: of the case.
        n_bytes: of the page.
        limit: below which they must be.
        paint_ms: first contentful paint, each time that it was opened.
    """

    name: str
    n_bytes: int
    limit: int
    paint_ms: tuple[float, ...] = ()

    @property
    def flaws(self) -> list[str]:
        """Goals that it misses."""
        flaws = []
        if self.n_bytes >= self.limit:
            flaws.append(f"{self.name}: {self.n_bytes} bytes, limit {self.limit}")
        if self.paint_ms and np.median(self.paint_ms) >= LATEST_MS:
            ms = float(np.median(self.paint_ms))
            flaws.append(f"{self.name}: painted after {ms:.0f} ms, limit {LATEST_MS:g}")
        return flaws


def measured(folder: Path) -> Iterator[Weighed]:
    """Yields size and paint of each case."""
    with sync_playwright() as playwright:
        path, arguments = shutil.which("chromium"), ["--no-sandbox"]  # as root
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        for number, (name, (report, limit)) in enumerate(cases().items()):
            page = folder / f"{number}.html"
            page.write_text(page_of(Contents(report), MARK), encoding="utf-8")
            paints = tuple(first_paint_ms(browser, page) for _ in range(N_REPEATS))
            yield Weighed(name, page.stat().st_size, limit, paints)
        browser.close()


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    print(f"{'':<48}{'KB':>8}{'limit':>8}{'first paint, ms':>20}{'limit':>8}")
    found = list[Weighed]()
    with tempfile.TemporaryDirectory() as folder:
        for page in (*measured(Path(folder)), heaviest()):
            paints, paint = page.paint_ms, ""
            if paints:
                paint = f"{np.median(paints):.0f} ({min(paints):.0f} to {max(paints):.0f})"
            sizes = f"{page.n_bytes / 1000:8.0f}{page.limit / 1000:8.0f}"
            print(f"{page.name:<48}{sizes}{paint:>20}{LATEST_MS if paints else '':>8}", flush=True)
            found.append(page)
    flaws = [flaw for page in found for flaw in page.flaws]
    print("\n".join(f"MISSED {flaw}" for flaw in flaws) or "All goals are met.")
    pages = [asdict(page) for page in found]
    write_result(arguments.json, {"limit_ms": LATEST_MS, "pages": pages, "missed": flaws})
    sys.exit(bool(flaws))


if __name__ == "__main__":
    main()
