"""Page of a run that is not finished: its steps, and the predicted front once there is one."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from markupsafe import Markup

from tailorbird.errors import TailorbirdError
from tailorbird.reports.measures import measure_of_prediction
from tailorbird.reports.plots.plot import Cloud, Plot
from tailorbird.reports.templates import template, text_of
from tailorbird.search.result import SearchResult
from tailorbird.storage.atomic import written

FILE = "report-so-far.html"

State = Literal["running", "stopped", "done"]
"""State of a run, as long as there is no report of it, and then."""


@dataclass(slots=True)
class SoFar:
    """The page while a run goes on, and how that ended; `tell` writes it after each step.

    Attributes:
        folder: of the run.
        title: its name.
        seconds: that each step took; filled meanwhile.
        remarks: what a reader must not miss, of what was searched.
    """

    folder: Path
    title: str
    seconds: Mapping[str, float]
    remarks: Callable[[], Sequence[str]]
    _found: SearchResult | None = field(default=None, init=False)

    def tell(self, found: SearchResult | None = None, state: State = "running") -> None:
        """Writes the page, with what a search found once it did.

        Raises:
            WriteError: if it cannot be written.
        """
        self._found = found or self._found
        # Before the search, not all is there that remarks are about.
        remarks = self.remarks() if self._found else ()
        write_so_far(self.folder, self.title, self.seconds, remarks, self._found, state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Says how the run ended, if there is a page by then."""
        with suppress(TailorbirdError):  # an error of before is what counts
            if (self.folder / FILE).exists():
                self.tell(state="stopped" if kind else "done")


def write_so_far(
    folder: Path,
    title: str,
    seconds: Mapping[str, float],
    remarks: Sequence[str],
    found: SearchResult | None,
    state: State = "running",
) -> None:
    """Writes the page beside the report, which it does not touch.

    Args:
        folder: of the run.
        title: its name.
        seconds: that each step took.
        remarks: what a reader must not miss.
        found: by the search; None before it.
        state: of the run; once it is done, the page leads to the report.

    Raises:
        WriteError: if it cannot be written.
    """
    page = template("page/so_far.html.j2").render(
        title=title,
        steps=seconds.items(),
        remarks=remarks,
        found=str(found) if found else "",
        plot=_plot(found) if found else None,
        state=state,
        css=Markup(text_of("page/report.css")),
        symbols=Markup(text_of("page/symbols.svg")),
    )
    with written(folder / FILE) as (part,):
        part.write_text(page, encoding="utf-8")


def _plot(found: SearchResult) -> Plot | None:
    """The predicted front by its first two objectives; None if it has one."""
    front = found.front
    if len(front.objectives) < 2:
        return None
    y, x = (measure_of_prediction(objective) for objective in front.objectives[:2])
    values = front.values.T
    heights, widths = y.factor * values[0], x.factor * values[1]
    name = f"{len(front):,} networks"
    clouds = [Cloud(name, widths, heights)]
    return Plot(
        "front", f"{y.title} over {x.title}", x.axis(widths), y.axis(heights), clouds=clouds
    )
