"""Fronts of several runs side by side: what each dominates of the others, and hypervolumes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import moocore
import numpy as np
import pandas as pd

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.reports.finetuned import ACCURACIES_OF, LATENCIES_OF
from tailorbird.reports.measures import best_known_ms
from tailorbird.reports.write import torn_report
from tailorbird.spaces import FloatArray

_DRAWS = 2_000
_NUMBERS = (
    *("accuracy_test", "accuracy_test_std"),
    *("latency_ms_measured", "latency_ms_predicted"),
)
_MARGIN = 1.05  # by which the box is slower than the slowest network


@dataclass(frozen=True, slots=True, eq=False)
class FrontOfRun:
    """The checked front of one run.

    Attributes:
        name: of the run.
        networks: with the columns of `front.parquet`, those whose accuracy was tested.
        accuracies_of: data, score and weights.
        latencies_of: device and configuration.
    """

    name: str
    networks: pd.DataFrame
    accuracies_of: str
    latencies_of: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the front in the folder of a run.

        Raises:
            MissingStepError: if there is none, or none of its networks has a tested accuracy.
        """
        try:
            summary = json.loads((folder / "summary.json").read_text())
            networks = pd.read_parquet(folder / "front.parquet")
            of = str(summary[ACCURACIES_OF]), str(summary[LATENCIES_OF])
            numbers = networks[[*_NUMBERS]].astype(np.float64)
            known = np.isfinite(numbers["accuracy_test"]) & np.isfinite(best_known_ms(numbers))
            networks = networks.assign(**numbers)[known].reset_index(drop=True)
            networks["architecture"].astype(str)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MissingStepError(
                f"There is no report of a run in {str(folder)!r} ({type(error).__name__}). Name "
                "folders such as runs/NAME, after `tailorbird run RECIPE`."
            ) from None
        if reason := torn_report(folder):
            raise MissingStepError(
                f"The report in {str(folder)!r} is torn ({reason}): `tailorbird report RECIPE` "
                "writes it again."
            )
        if networks.empty:
            raise MissingStepError(
                f"No network of the front in {str(folder)!r} has a tested accuracy, by which it "
                "could be compared."
            )
        return cls(folder.resolve().name, networks, *of)

    @property
    def ms(self) -> FloatArray:
        """Latencies: measured, or predicted of networks that were not timed, (n,)."""
        return best_known_ms(self.networks)

    @property
    def accuracy(self) -> FloatArray:
        """Test accuracies, (n,)."""
        return self.networks["accuracy_test"].to_numpy(dtype=np.float64)

    @property
    def accuracy_std(self) -> FloatArray:
        """Their standard errors, (n,); 0 where they are not known."""
        std = self.networks["accuracy_test_std"].to_numpy(dtype=np.float64)
        return np.asarray(np.nan_to_num(std))

    @property
    def images(self) -> str:
        """What accuracies are of, without the weights."""
        before, _, weights = self.accuracies_of.rpartition("/")
        return before if "@" in weights else self.accuracies_of


@dataclass(frozen=True, eq=False)
class ComparedRuns:
    """Fronts of runs in one box.

    Attributes:
        runs: two or more, named apart.

    Raises:
        RecipeError: if they are fewer, or accuracies or batches are not of the same.
    """

    runs: tuple[FrontOfRun, ...]

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise RecipeError("Two runs or more are compared: name the folder of another one.")
        first = self.runs[0]
        for run in self.runs[1:]:
            if run.images != first.images:
                raise RecipeError(
                    "Accuracies must be of the same images and score, but those of "
                    f"{first.name} are of {first.images!r}, those of {run.name} of {run.images!r}."
                )
            if _batch(run) != _batch(first):
                raise RecipeError(
                    f"Latencies must be of the same batch, but those of {first.name} are of "
                    f"{_batch(first)} images, those of {run.name} of {_batch(run)}."
                )

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Self:
        """Reads the reports in folders of runs; those of one name are numbered."""
        runs = [FrontOfRun.read(folder) for folder in folders]
        numbered = list[str]()
        for name in (run.name for run in runs):
            n, unique = 1, name
            while unique in numbered:
                n, unique = n + 1, f"{name} {n + 1}"
            numbered.append(unique)
        return cls(
            tuple(
                FrontOfRun(name, run.networks, run.accuracies_of, run.latencies_of)
                for name, run in zip(numbered, runs, strict=True)
            )
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what is not the same."""
        devices = {run.latencies_of for run in self.runs}
        if len(devices) == 1:
            return ()
        each = "; ".join(f"{run.name}: {run.latencies_of.partition(': {')[0]}" for run in self.runs)
        return (f"Latencies are of different devices or configurations ({each}).",)

    @cached_property
    def box(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Fastest network and a little more than the slowest, ms; least accuracy and most.

        Accuracies have room for two standard errors.
        """
        ms = np.concatenate([run.ms for run in self.runs])
        low = np.concatenate([run.accuracy - 2 * run.accuracy_std for run in self.runs])
        high = np.concatenate([run.accuracy + 2 * run.accuracy_std for run in self.runs])
        accuracy = float(low.min()), float(high.max())
        return (float(ms.min()), float(_MARGIN * ms.max())), accuracy

    def hypervolume(self, run: FrontOfRun, accuracy: FloatArray | None = None) -> float:
        """Share of the box that a front dominates, by its own accuracies or others (n,)."""
        (fast, slow), (low, high) = self.box
        tested = np.clip(run.accuracy if accuracy is None else accuracy, low, high)
        error = (high - tested) / (high - low) if high > low else np.zeros(len(tested))
        at = np.column_stack([(run.ms - fast) / (slow - fast), error])
        return float(moocore.hypervolume(at, ref=[1.0, 1.0]))

    @cached_property
    def hypervolumes(self) -> pd.DataFrame:
        """Row for each run: hypervolume as tested, and without the luck of tests, with 95 %.

        A front is the best of many tests, so that chance makes it larger. How much is told by
        accuracies that are drawn anew by their standard errors, as if tests were independent (a
        basic bootstrap). Those of the same images are not, so differences are surer than it says.
        """
        rng, drawn = np.random.default_rng(0), np.empty((len(self.runs), _DRAWS))
        for i, run in enumerate(self.runs):
            draws = rng.normal(run.accuracy, run.accuracy_std, (_DRAWS, len(run.accuracy)))
            drawn[i] = [self.hypervolume(run, accuracy) for accuracy in draws]
        tested = np.array([self.hypervolume(run) for run in self.runs])
        likely = np.clip(2 * tested[:, None] - drawn, 0.0, 1.0)
        low, high = np.percentile(likely, [2.5, 97.5], axis=1)
        is_largest = likely >= likely.max(axis=0)
        largest = is_largest / is_largest.sum(axis=0)
        return pd.DataFrame(
            {
                "n_networks": [len(run.networks) for run in self.runs],
                "hypervolume": tested,
                "without_luck": likely.mean(axis=1),
                "low": low,
                "high": high,
                "probability_largest": largest.mean(axis=1),
            },
            index=[run.name for run in self.runs],
        )

    @cached_property
    def dominated(self) -> pd.DataFrame:
        """Share of the networks of each run (column) that one of another (row) beats."""
        names = [run.name for run in self.runs]
        shares = [[_beaten(by, of) for of in self.runs] for by in self.runs]
        return pd.DataFrame(shares, index=names, columns=names)

    @property
    def summary(self) -> dict[str, object]:
        """All figures, for JSON."""
        (fast, slow), (low, high) = self.box
        return {
            "box": {"latency_ms": [fast, slow], "accuracy": [low, high]},
            "runs": self.hypervolumes.rename_axis("run").reset_index().to_dict(orient="records"),
            "dominated": self.dominated.to_dict(orient="index"),
            "remarks": [*self.remarks],
        }


def _beaten(by: FrontOfRun, of: FrontOfRun) -> float:
    """Share of the networks of one run that one of another beats: no worse, and better in one."""
    faster = by.ms[:, None] <= of.ms
    better = by.accuracy[:, None] >= of.accuracy
    strictly = (by.ms[:, None] < of.ms) | (by.accuracy[:, None] > of.accuracy)
    return float((faster & better & strictly).any(axis=0).mean())


def _batch(run: FrontOfRun) -> object:
    try:
        return json.loads("{" + run.latencies_of.partition(": {")[2]).get("batch")
    except (ValueError, AttributeError):
        return None
