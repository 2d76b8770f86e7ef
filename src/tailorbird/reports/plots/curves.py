"""Plots of curves: hypervolume over a search, and errors of the networks of a space."""

from tailorbird.reports.error_distribution import ErrorDistribution
from tailorbird.reports.plots.plot import Axis, Line, Plot
from tailorbird.reports.plots.scale import Scale
from tailorbird.search.result import SearchResult

_MOST = 500  # points of a curve; further ones find no room


def hypervolume_plot(found: SearchResult) -> Plot:
    """Hypervolume over what a search looked at, and that of the exact front if it is known."""
    front, exact = found.front, found.exact_hypervolume
    history = front.history
    each = front.n_evaluations / len(history) if history else 1.0
    every = -(-len(history) // _MOST) or 1
    x = [each * (i + 1) for i in range(len(history))][::every]
    lines = [Line(found.by, x, history[::every], colour="blue")]
    if exact is not None:
        ends = (0.0, float(front.n_evaluations))
        lines.append(Line("exact front", ends, (exact, exact), is_dotted=True))
    heights = [*history, *([] if exact is None else [exact])]
    return Plot(
        "hypervolume",
        "hypervolume over networks that the search looked at",
        Axis("networks looked at", Scale.around([0.0, *x])),
        Axis("hypervolume", Scale.around(heights), "better", is_better_high=True),
        lines=lines,
    )


def error_plot(distribution: ErrorDistribution) -> Plot:
    """Fraction of networks with at most some error."""
    errors, fractions = 100 * distribution.errors, distribution.fractions
    return Plot(
        "errors",
        "fraction of networks over their error",
        Axis("test error, %", Scale.around(errors), "better"),
        Axis("fraction of networks", Scale(-0.04, 1.04)),
        lines=[
            Line(
                distribution.name,
                [errors[0], *errors],
                [0.0, *fractions],
                colour="blue",
                is_step=True,
            )
        ],
    )
