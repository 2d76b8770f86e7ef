"""Reports of made-up figures on real networks, of any size, for what is about reports alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tailorbird.pipeline.checking import further_columns
from tailorbird.pipeline.pictures import outlines_of
from tailorbird.pipeline.problem import latency_on
from tailorbird.predictors import Prediction
from tailorbird.predictors.counted_costs import mega_params, weight_mib
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.reports import Checked, Report, summarise
from tailorbird.search import Objective, ParetoFront, Problem
from tailorbird.search.regret import choices, regrets
from tailorbird.search.result import SearchResult
from tailorbird.spaces import FloatArray, IntArray, SearchSpace, encodings
from tailorbird.spaces.footprint import network_costs
from tailorbird.spaces.unions.members import labels_of

_N_TEST, _N_VALIDATION = 597, 600


@dataclass(frozen=True)
class MadeUp:
    """Predictor of values that grow with parameters, with a pattern of their own.

    Attributes:
        space: of networks.
        low: about the least value.
        high: about the largest.
        seed: of the pattern.
    """

    space: SearchSpace
    low: float
    high: float
    seed: int

    def predict(self, X: IntArray) -> Prediction:
        """Values of canonical rows (n, d) with a standard deviation of two per cent."""
        mean = self.mean(X)
        return Prediction(mean, 0.02 * mean)

    def mean(self, X: IntArray) -> FloatArray:
        """The values alone, (n,)."""
        weights = np.random.default_rng(self.seed).uniform(0.5, 1.5, X.shape[1])
        most = np.array([len(variable.choices) - 1 for variable in self.space.variables])
        share = (X / most) @ (weights / np.sum(weights))
        return np.asarray(self.low * (self.high / self.low) ** share)


def made_up_report(
    space: SearchSpace,
    n_front: int = 16,
    n_random: int = 20,
    n_predicted: int = 16,
    devices: Sequence[str] = (),
    further: Sequence[str] = (),
    is_timed: bool = True,
    n_finetuned: int = 0,
) -> Report:
    """A report of networks that are drawn at random.

    Args:
        space: of the networks.
        n_front: networks that were checked.
        n_random: likewise.
        n_predicted: networks of the predicted front.
        devices: others than that of the run.
        further: objectives besides accuracy and latency, of `mega_params` and `weight_mib`.
        is_timed: whether networks were timed.
        n_finetuned: networks that were trained on alone.
    """
    rng = np.random.default_rng(0)
    accuracy = Objective("accuracy", "", "max", MadeUp(space, 0.6, 0.95, 0))
    latency = Objective("latency", "ms", "min", MadeUp(space, 0.2, 9.0, 1))
    counted = {
        "mega_params": Objective("mega_params", "", "min", mega_params(space)),
        "weight_mib": Objective("weight", "mib", "min", weight_mib(space)),
    }
    elsewhere = {name: MadeUp(space, 0.5, 30.0, 2 + i) for i, name in enumerate(devices)}
    objectives = (
        accuracy,
        latency,
        *(counted[name] for name in further),
        *(latency_on(name, predictor) for name, predictor in elsewhere.items()),
    )
    problem = Problem(space, objectives)
    X = space.sample(n_predicted, rng)
    F, std = problem.predict(X)
    front = ParetoFront(X, F, std, problem, 10_000, history=tuple(np.sqrt(np.arange(1, 2001))))
    found = SearchResult(front, None, problem.reference_point(0))
    checked, random = (
        _checked(space, rows, objectives, rng, is_timed)
        for rows in (space.sample(n_front, rng), space.sample(n_random, rng))
    )
    latencies = {"local": latency.predictor, **elsewhere}
    summary = summarise(checked, random, found, {"profile": 12.3})
    summary |= {"n_rows": 24, "share_trusted": 0.9, "is_measured_here": True}
    return Report(
        title="made up",
        subtitle=f"{space.size:,} networks of {space.name}, in batches of 16 on a processor.",
        front=checked,
        random=random,
        found=found,
        call_ms=0.001,
        accuracy=f"Accuracy on {_N_TEST} test images that the search never saw",
        n_validation=_N_VALIDATION,
        summary=summary,
        provenance={"cpu": "a processor", "weights": "0123456789ab"},
        recipe='name = "made up"\n',
        regrets=regrets(choices(X, accuracy.predictor, latencies)) if devices else None,
        recipe_path="made up.toml",
        finetuned=_finetuned(checked.networks[:n_finetuned]),
        devices=("local", *devices),
        outlines=outlines_of(space, checked.networks[_columns(space)].to_numpy()),
        workload_ms={w.key: (0.1 + 0.01 * i, 0.01) for i, w in enumerate(space.workloads)},
    )


def _columns(space: SearchSpace) -> list[str]:
    return [variable.name for variable in space.variables]


def _checked(
    space: SearchSpace,
    X: IntArray,
    objectives: Sequence[Objective],
    rng: np.random.Generator,
    is_timed: bool,
) -> Checked:
    """Networks whose measurements lie some per cent from what is predicted."""
    accuracies, latencies = (objective.predictor.predict(X) for objective in objectives[:2])
    test = accuracies.mean - 0.01 + 0.01 * rng.standard_normal(len(X))
    measured = latencies.mean * (1 + 0.02 * rng.standard_normal(len(X)))
    measured = measured if is_timed else np.full(len(X), np.nan)
    n_macs, n_params = network_costs(space, X).T
    networks = pd.DataFrame(
        {
            "architecture": [space.describe(row) for row in X],
            "kind": [space.kind(row) for row in X],
            "space": labels_of(X, space),
            "accuracy_predicted": accuracies.mean,
            "accuracy_std": accuracies.std,
            "accuracy_validation": test + 0.005,
            "accuracy_test": test,
            "accuracy_test_std": accuracy_std(test, _N_TEST),
            "latency_ms_predicted": latencies.mean,
            "latency_ms_std": latencies.std,
            "latency_ms_extrapolated": False,
            "latency_ms_measured": measured,
            "n_macs": n_macs,
            "n_params": n_params,
            **further_columns(X, objectives),
            **encodings.columns(X, space, ()),
        }
    )
    return Checked(networks, np.column_stack([0.99 * measured, 1.01 * measured]), {})


def _finetuned(networks: pd.DataFrame) -> pd.DataFrame:
    """Networks that gained a point."""
    figures = ["architecture", "accuracy_test", "accuracy_validation", "latency_ms_measured"]
    figures += ["latency_ms_predicted", "latency_ms_std"]
    return networks[figures].assign(
        accuracy_test_before=networks["accuracy_test"] - 0.01,
        accuracy_test_gain=0.01,
        accuracy_test_gain_std=0.004,
        accuracy_validation_before=networks["accuracy_validation"] - 0.01,
        scratch_lead=np.nan,
        scratch_lead_std=np.nan,
        scratch_is_better=False,
        finetuned_epochs=30,
        finetuned_has_changed=True,
        latency_failure="",
    )
