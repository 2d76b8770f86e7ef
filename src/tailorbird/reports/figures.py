"""Figures of a report."""

import io
from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from tailorbird.reports.error_distribution import ErrorDistribution
from tailorbird.search.result import SearchResult

_COLOURS = ("#c2571a", "#1f6f8b", "#6a4c93", "#4a7c3a")
_GREY = "#9aa0a6"
_LAYOUT = {
    "template": "plotly_white",
    "margin": {"l": 60, "r": 20, "t": 30, "b": 50},
    "height": 460,
    "legend": {"orientation": "h", "y": -0.2},
}


def _by_kind(networks: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Name, colour and networks of each kind; of several spaces each has kinds of its own."""
    names = networks["kind"]
    if networks["space"].nunique() > 1:
        names = networks["space"] + " " + names
    return [
        (name, _COLOURS[i % len(_COLOURS)], networks[names == name])
        for i, name in enumerate(sorted(names.unique()))
    ]


def front_figure(front: pd.DataFrame, random: pd.DataFrame) -> go.Figure:
    """Plots test accuracy against measured latency, both with bars, and the predicted front.

    The front needs a column `latency_ms_rounds`: half the difference between its two rounds.
    """
    figure = go.Figure(layout=_LAYOUT)
    ordered = front.sort_values("latency_ms_predicted")
    figure.add_scatter(
        x=ordered["latency_ms_predicted"],
        y=100 * ordered["accuracy_predicted"],
        error_x={"array": ordered["latency_ms_std"], "color": _GREY, "thickness": 1},
        error_y={"array": 100 * ordered["accuracy_std"], "color": _GREY, "thickness": 1},
        mode="lines+markers",
        marker={"color": _GREY, "size": 4},
        line={"dash": "dot", "color": _GREY},
        name="predicted front",
        hovertext=ordered["architecture"],
    )
    figure.add_scatter(
        x=random["latency_ms_measured"],
        y=100 * random["accuracy_test"],
        error_y={"array": 100 * random["accuracy_test_std"], "color": _GREY, "thickness": 0.5},
        mode="markers",
        marker={"color": _GREY, "symbol": "x-thin-open", "size": 7},
        name="random networks, measured",
        hovertext=random["architecture"],
    )
    for kind, colour, networks in _by_kind(front):
        figure.add_scatter(
            x=networks["latency_ms_measured"],
            y=100 * networks["accuracy_test"],
            error_x={"array": networks["latency_ms_rounds"], "thickness": 1},
            error_y={"array": 100 * networks["accuracy_test_std"], "thickness": 1},
            mode="markers",
            marker={"color": colour, "size": 10},
            name=f"{kind}, measured",
            hovertext=networks["architecture"],
        )
    figure.update_xaxes(title="latency of a batch, ms", type="log")
    figure.update_yaxes(title="accuracy, %")
    return figure


def latency_figure(networks: pd.DataFrame) -> go.Figure:
    """Plots predicted against measured latency, with the line on which they agree."""
    figure = go.Figure(layout=_LAYOUT)
    timed = networks.dropna(subset="latency_ms_measured")
    ends = [timed["latency_ms_measured"].min(), timed["latency_ms_measured"].max()]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": _GREY, "dash": "dot"}, name="equal"
    )
    for kind, colour, group in _by_kind(timed):
        figure.add_scatter(
            x=group["latency_ms_measured"],
            y=group["latency_ms_predicted"],
            error_y={"array": group["latency_ms_std"], "thickness": 1},
            mode="markers",
            marker={"color": colour, "size": 8},
            name=kind,
            hovertext=group["architecture"],
        )
    figure.update_xaxes(title="measured, ms", type="log")
    figure.update_yaxes(title="predicted, ms", type="log")
    return figure


def error_figure(distribution: ErrorDistribution) -> go.Figure:
    """Plots which fraction of networks has at most some error."""
    figure = go.Figure(layout=_LAYOUT)
    table = distribution.to_pandas()
    figure.add_scatter(
        x=100 * table["error"],
        y=table["fraction"],
        mode="lines+markers",
        line={"shape": "hv", "color": _COLOURS[1]},
        name=distribution.name,
    )
    figure.update_xaxes(title="test error, %")
    figure.update_yaxes(title="fraction of networks", range=[0, 1.02])
    return figure


def hypervolume_figure(found: SearchResult) -> go.Figure:
    """Plots the hypervolume after each step of a search, and that of the exact front if known."""
    history, exact = found.front.history, found.exact_hypervolume
    figure = go.Figure(layout=_LAYOUT)
    figure.add_scatter(
        x=list(range(1, len(history) + 1)), y=history, line={"color": _COLOURS[1]}, name=found.by
    )
    if exact is not None:
        figure.add_hline(exact, line={"color": _GREY, "dash": "dot"}, annotation_text="exact front")
    figure.update_xaxes(title=found.step)
    figure.update_yaxes(title="hypervolume")
    return figure


def front_picture(
    front: pd.DataFrame, random: pd.DataFrame, title: str, metadata: Mapping[str, str]
) -> bytes:
    """Draws the front as a PNG, with texts as its metadata."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ordered = front.sort_values("latency_ms_predicted")
    axes.errorbar(
        ordered["latency_ms_predicted"],
        100 * ordered["accuracy_predicted"],
        xerr=ordered["latency_ms_std"],
        yerr=100 * ordered["accuracy_std"],
        fmt=".:",
        color=_GREY,
        elinewidth=0.7,
        label="predicted front",
    )
    axes.errorbar(
        random["latency_ms_measured"],
        100 * random["accuracy_test"],
        yerr=100 * random["accuracy_test_std"],
        fmt="x",
        color=_GREY,
        markersize=5,
        elinewidth=0.5,
        label="random networks, measured",
    )
    for kind, colour, networks in _by_kind(front):
        axes.errorbar(
            networks["latency_ms_measured"],
            100 * networks["accuracy_test"],
            yerr=100 * networks["accuracy_test_std"],
            fmt="o",
            color=colour,
            elinewidth=1,
            label=f"{kind}, measured",
        )
    axes.set_xscale("log")
    axes.set(xlabel="latency of a batch, ms", ylabel="accuracy, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata=dict(metadata))
    return picture.getvalue()
