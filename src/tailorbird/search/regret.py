"""Regret: what it costs to use on one device the networks that were chosen for another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
import pandas as pd

from tailorbird.predictors import Predictor
from tailorbird.search.problem import beyond
from tailorbird.spaces import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The networks that were chosen for a device, and what they cost on all.

    Attributes:
        device: that they were chosen for.
        accuracy: as fractions, (n,).
        latency_ms: on each device by name, its own among them, (n,) each.
    """

    device: str
    accuracy: FloatArray
    latency_ms: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        if self.device not in self.latency_ms:
            raise ValueError(
                f"`latency_ms` must hold {self.device!r} itself, but has {sorted(self.latency_ms)}."
            )
        for device, latency_ms in self.latency_ms.items():
            if latency_ms.shape != self.accuracy.shape or not len(latency_ms):
                raise ValueError(
                    "There must be one or more networks, each with its accuracy and latency, but "
                    f"got {self.accuracy.shape=} and on {device!r} {latency_ms.shape=}."
                )
            if not (latency_ms > 0).all():
                raise ValueError(
                    f"Latencies must be positive, but on {device!r} one is {latency_ms.min()} ms."
                )


@dataclass(frozen=True, slots=True, eq=False)
class Regret:
    """How far each of n networks is from the best that a device could have; 0 at best.

    Attributes:
        accuracy_lost: against the most accurate network that is at least as fast, (n,).
        latency_excess: against the fastest network that is at least as accurate, as a fraction
            of its latency, (n,).
    """

    accuracy_lost: FloatArray
    latency_excess: FloatArray


def regret(
    accuracy: FloatArray,
    latency_ms: FloatArray,
    front_accuracy: FloatArray,
    front_latency_ms: FloatArray,
) -> Regret:
    """Regret of n networks on a device whose own front is known.

    Args:
        accuracy: of the networks, (n,).
        latency_ms: of the networks on that device, (n,).
        front_accuracy: of the k networks that were chosen for it, (k,).
        front_latency_ms: of these, (k,).
    """
    faster = front_latency_ms <= latency_ms[:, None]
    best = np.where(faster, front_accuracy, accuracy[:, None]).max(axis=1)
    better = front_accuracy >= accuracy[:, None]
    fastest_ms = np.where(better, front_latency_ms, latency_ms[:, None]).min(axis=1)
    return Regret(
        accuracy_lost=np.maximum(best - accuracy, 0.0),
        latency_excess=np.maximum(latency_ms / fastest_ms - 1.0, 0.0),
    )


def choices(X: IntArray, accuracy: Predictor, latencies: Mapping[str, Predictor]) -> list[Chosen]:
    """Chooses those of canonical rows (n, d) that no other one beats, for each device.

    Args:
        X: networks, such as the front of a search over all these devices.
        accuracy: predicts it.
        latencies: predict milliseconds, by device.
    """
    accuracies = accuracy.mean(X)
    all_ms = {device: latency.mean(X) for device, latency in latencies.items()}
    chosen = []
    for device, ms in all_ms.items():
        best = moocore.is_nondominated(np.column_stack([-accuracies, ms]))
        on_all = {other: other_ms[best] for other, other_ms in all_ms.items()}
        chosen.append(Chosen(device, accuracies[best], on_all))
    return chosen


def regrets(choices: Sequence[Chosen]) -> pd.DataFrame:
    """Regrets of every device's choice on every device.

    Args:
        choices: one for each device; each knows its latencies on all of these.

    Returns:
        A row for each pair, indexed by `chosen_for` and `used_on`; `.unstack()` makes matrices.
        Mean and worst of both regrets over the networks, and the `hypervolume_share` of the
        device's own choice that the other one reaches there. All refer to the same point on a
        device, a tenth of the range beyond the worst of all networks.

    Raises:
        ValueError: if a latency is missing, or a device has two choices.
    """
    devices = [choice.device for choice in choices]
    if len(set(devices)) < len(devices):
        raise ValueError(f"Each device must have one choice, but got those of {devices}.")
    for choice in choices:
        if missing := sorted(set(devices) - set(choice.latency_ms)):
            raise ValueError(
                f"Latencies of the choice for {choice.device!r} must be known on all devices, but "
                f"are not on {missing}. Predict them there."
            )
    rows = []
    for used_on in choices:
        volumes = _hypervolumes(choices, used_on.device)
        for chosen_for, volume in zip(choices, volumes, strict=True):
            lost = regret(
                chosen_for.accuracy,
                chosen_for.latency_ms[used_on.device],
                used_on.accuracy,
                used_on.latency_ms[used_on.device],
            )
            rows.append(
                {
                    "chosen_for": chosen_for.device,
                    "used_on": used_on.device,
                    "accuracy_lost_mean": lost.accuracy_lost.mean(),
                    "accuracy_lost_worst": lost.accuracy_lost.max(),
                    "latency_excess_mean": lost.latency_excess.mean(),
                    "latency_excess_worst": lost.latency_excess.max(),
                    "hypervolume_share": volume / volumes[devices.index(used_on.device)],
                }
            )
    return pd.DataFrame(rows).set_index(["chosen_for", "used_on"]).sort_index()


def _hypervolumes(choices: Sequence[Chosen], device: str) -> list[float]:
    """Hypervolumes of all choices on one device, up to one point."""
    fronts = [np.column_stack([-c.accuracy, c.latency_ms[device]]) for c in choices]
    ref_point = beyond(np.vstack(fronts))
    return [float(moocore.hypervolume(front, ref=ref_point)) for front in fronts]
