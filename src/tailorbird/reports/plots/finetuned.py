"""Plot of finetuned networks, before and after, beside a checked front."""

import pandas as pd

from tailorbird.reports.measures import accuracy_of, best_known_ms
from tailorbird.reports.plots.plot import Axis, Plot, Point, Points
from tailorbird.reports.plots.scale import Scale


def finetuned_plot(front: pd.DataFrame, finetuned: pd.DataFrame) -> Plot:
    """Test accuracy over latency: measured, or predicted of a network that was not timed."""
    groups = [
        Points("the front", "circle", "grey", _points(front, "accuracy_test")),
        Points(
            "before", "square", "vermilion", _points(finetuned, "accuracy_test_before", hollow=True)
        ),
        Points("finetuned", "square", "vermilion", _points(finetuned, "accuracy_test")),
    ]
    every = [point for group in groups for point in group.of]
    y = accuracy_of(finetuned)
    return Plot(
        "finetuned",
        "accuracy of finetuned networks over latency",
        Axis("latency, ms", Scale.around([p.x for p in every], may_be_log=True), "faster"),
        Axis(y.label, Scale.around([p.y for p in every]), y.better, is_better_high=True),
        points=groups,
    )


def _points(networks: pd.DataFrame, column: str, *, hollow: bool = False) -> list[Point]:
    rows = zip(
        networks["architecture"], best_known_ms(networks), 100 * networks[column], strict=True
    )
    return [Point(x, y, f"{name}: {y:.2f} %, {x:.4g} ms", is_hollow=hollow) for name, x, y in rows]
