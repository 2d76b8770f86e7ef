"""Choice of a network: the most accurate one that a budget allows, and what more would buy."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tailorbird.reports.measures import Measure
from tailorbird.reports.wording import plain, with_error
from tailorbird.spaces import FloatArray

_FEWEST = 3  # networks that tell whether predictions are too high
_ALIKE = 1.05  # ratio of costs that is not worth a word


def chosen_by(networks: pd.DataFrame) -> FloatArray:
    """Accuracies (n,) by which a network is chosen: on validation images, that tests stay honest.

    A network whose accuracy there is not known comes after all others. If none is known, what was
    predicted decides.
    """
    validation = networks["accuracy_validation"].to_numpy(dtype=np.float64)
    if np.isnan(validation).all():
        validation = networks["accuracy_predicted"].to_numpy(dtype=np.float64)
    return np.asarray(np.nan_to_num(validation, nan=-1.0))


def answer(networks: pd.DataFrame, cost: Measure, accuracy: Measure) -> str:
    """A sentence on the ends of a front, and on what the way between them buys.

    One end costs least, the other is the one that is chosen without a limit. The standard error of
    a difference takes tests as independent, though they are of the same images: it is less, if
    anything.

    Args:
        networks: of the front.
        cost: what they cost.
        accuracy: what they are worth.
    """
    costs, accuracies = cost.values(networks), accuracy.values(networks)
    places = np.flatnonzero(np.isfinite(costs) & np.isfinite(accuracies))
    if not len(places):
        return "No network of the front has both figures, so there is nothing to choose by."
    by = chosen_by(networks)[places]
    small = places[np.lexsort([-by, costs[places]])[0]]
    large = places[np.lexsort([costs[places], -by])[0]]
    errors = accuracy.errors(networks)
    ends = [
        f"{with_error(accuracies[i], errors[i], accuracy.unit)} at {plain(costs[i])} {cost.unit}"
        for i in (small, large)
    ]
    title = f"{accuracy.title.capitalize()} over {cost.title}:"
    if small == large:
        return f"{title} {ends[0]}. No network of the front costs less, or is chosen before it."
    gain, std = accuracies[large] - accuracies[small], math.hypot(errors[small], errors[large])
    points = f"{with_error(gain, std, 'points')}"
    times = costs[large] / costs[small] if costs[small] > 0 else math.inf
    told = f"{title} {ends[0]}; {ends[1]}. That is"
    if _ALIKE < times < math.inf:
        what = "the time" if cost.unit == "ms" else f"the {cost.title}"
        told += f" {times:.1f} times {what} for"
    unsure = math.isfinite(std) and abs(gain) <= 2 * std
    told = f"{told} {points}{', within two standard errors: perhaps none' if unsure else ''}."
    cheaper = [
        i
        for i in places
        if costs[i] * _ALIKE < costs[large] and accuracies[i] >= accuracies[large] and i != small
    ]
    if not cheaper:
        return told
    best = min(cheaper, key=lambda i: costs[i])
    name = networks["architecture"].iloc[best]
    return f"{told} {name} is as good in this figure at {plain(costs[best])} {cost.unit}."


def optimism(front: pd.DataFrame) -> str:
    """A sentence on how far predictions lie above tests, if they surely do; empty otherwise."""
    known = front.dropna(subset=["accuracy_test", "accuracy_predicted"])
    leads = 100 * (known["accuracy_predicted"] - known["accuracy_test"]).to_numpy(dtype=np.float64)
    if len(leads) < _FEWEST or not leads.mean() > 2 * leads.std(ddof=1) / math.sqrt(len(leads)):
        return ""
    return (
        f"Predictions of the front lie {leads.mean():.1f} points above tests in the mean: a search "
        "takes the best of many estimates, and so those whose errors flatter."
    )


def anchors_alone(supplied: pd.DataFrame, checked: pd.DataFrame) -> str:
    """A sentence on anchors before they were stitched, and inside; empty if there are none.

    Args:
        supplied: anchors alone, with their accuracies on test images.
        checked: networks that were checked, among which anchors may be.
    """
    if supplied.empty:
        return ""
    told = []
    for name, accuracy, std, now in _alone_and_inside(supplied, checked):
        changed = f" ({plain(100 * now)} inside)" if math.isfinite(now) else ""
        told.append(f"{name} {with_error(100 * accuracy, 100 * std, '%')}{changed}")
    return f"Anchors alone, before they were stitched, on test images: {', '.join(told)}."


def damaged(supplied: pd.DataFrame, checked: pd.DataFrame) -> str:
    """A sentence on the anchor that lost most when it was stitched; empty if none surely did.

    Args:
        supplied: anchors alone, with their accuracies on test images.
        checked: networks that were checked, among which anchors may be.
    """
    losses = {
        name: (alone - now, alone, now)
        for name, alone, std, now in _alone_and_inside(supplied, checked)
        if alone - now > 2 * math.sqrt(2) * std
    }
    if not losses:
        return ""
    name = max(losses, key=lambda name: losses[name][0])
    _, alone, now = losses[name]
    return (
        f"{len(losses)} of {len(supplied)} anchors lost accuracy when they were stitched, most "
        f"{name}: {plain(100 * alone)} % on test images alone, {plain(100 * now)} % now. Lower "
        "[accuracy.shared_learning_rates], or raise stitch_epochs or share_of_anchors."
    )


def _alone_and_inside(
    supplied: pd.DataFrame, checked: pd.DataFrame
) -> Iterator[tuple[str, float, float, float]]:
    """Anchors, their accuracies alone with errors, and accuracies inside; NaN if not known."""
    if supplied.empty:
        return
    inside = checked.drop_duplicates("architecture").set_index("architecture")["accuracy_test"]
    columns = (supplied[name] for name in ("architecture", "accuracy_test", "accuracy_test_std"))
    for name, accuracy, std in zip(*columns, strict=True):
        yield name, accuracy, std, float(inside.get(name, math.nan))
