"""The steps of a run. Each picks up what is there, and says what it needs if that is not."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from tailorbird.accuracy import AccuracySource
from tailorbird.errors import EvaluationError, RecipeError
from tailorbird.latency_tables import LatencyTable
from tailorbird.latency_tables.url import without_password
from tailorbird.measurement import Measurement
from tailorbird.predictors import FloatArray, KnownAccuracy, Predictor, TableSum
from tailorbird.progress import NoProgress, Progress
from tailorbird.properties import problem_of
from tailorbird.recipe import Recipe
from tailorbird.reports import Checker, Report, summarise, write
from tailorbird.reports.choice import fastest_enough, find
from tailorbird.reports.export import Exported, save
from tailorbird.search import ParetoFront, Problem, exact_front, has_exact_front
from tailorbird.search.design import spread_within
from tailorbird.search.evaluated import Unknown
from tailorbird.search.found import Found
from tailorbird.search.guided import guided
from tailorbird.search.membership import with_probability
from tailorbird.search.operators import mutate
from tailorbird.search.regret import choices, regrets
from tailorbird.searches import check, searched
from tailorbird.spaces import CALL, SearchSpace
from tailorbird.trained_accuracy import TrainedAccuracy
from tailorbird.training import Trained, accuracy_std
from tailorbird.workplace import LOG, held

_START = 10  # evaluations before predictors guide any
_DRAWS, _FEWEST_DRAWS, _DRAWN = 1_000, 50, 500_000  # of all networks of large fronts together
_RIVALS = 3  # neighbours of each network of a front that may truly be better


@dataclass(frozen=True)
class Run:
    """One recipe on one machine; everything that it makes is in `folder`.

    Attributes:
        recipe: what was asked for.
        recipe_text: as the user wrote it.
        space: that the recipe names.
        measurement: its latencies.
        accuracy: its accuracies.
        folder: for artefacts.
        progress: where long work reports to.
        seconds: filled with what each step took.
    """

    recipe: Recipe
    recipe_text: str
    space: SearchSpace
    measurement: Measurement
    accuracy: AccuracySource
    folder: Path
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def held(self) -> Iterator["Run"]:
        """Keeps other processes out of the folder, writes the log, and ends workers.

        Raises:
            BusyError: if another process works in the folder.
        """
        with held(self.folder):
            try:
                yield self
            finally:
                self.measurement.close()

    def run(self) -> dict[str, object]:
        """All steps in order; returns the summary."""
        check(self.recipe.search)  # before hours of measuring
        self.measurement.latencies_elsewhere()
        self.accuracy.check()
        if self.measurement.measures:
            self.profile()
        else:
            assert self.measurement.latency()  # refuses what it lacks, before hours of training
        if isinstance(self.accuracy, TrainedAccuracy):
            self.train()
        return self.report()

    def profile(self, networks: Path | None = None) -> LatencyTable:
        """Measures every workload of the space, and whole networks of a file, that are missing."""
        with self._step("profile"):
            return self.measurement.profile(networks, self.progress)

    def train(self) -> Trained:
        """Trains the networks of the space, or loads what was trained."""
        if not isinstance(self.accuracy, TrainedAccuracy):
            raise RecipeError(
                "The accuracies of this recipe are published: nothing is trained. "
                "Go on with `tailorbird run RECIPE`."
            )
        with self._step("train"):
            return self.accuracy.train(self.progress)

    def search(self) -> Found:
        """Fits predictors and searches under them; needs a table and weights."""
        return self._search()[0]

    def _search(self) -> tuple[Found, tuple[Predictor, Predictor]]:
        """What was found, and the predictors of accuracy and latency behind it."""
        latency = self.measurement.latency()
        elsewhere = self.measurement.latencies_elsewhere()
        asked = self.recipe.search
        if asked.algorithm == "guided":
            assert isinstance(self.accuracy, TrainedAccuracy)  # a recipe cannot ask for less
            with self._step("search"):
                found, accuracy = self._guided(self.accuracy, latency, elsewhere)
        else:
            with self._step("evaluate"):
                accuracy = self.accuracy.predictor(latency, self.progress)
            problem = problem_of(asked, self.space, accuracy, latency, elsewhere)
            if asked.algorithm == "best":
                problem = dataclasses.replace(problem, objectives=problem.objectives[:1])
            with self._step("search"):
                found = self._under_predictors(problem)
        frame = found.front.to_pandas(self.space)
        new = self.folder / "search.parquet.new"
        frame.to_parquet(new, index=False)
        new.replace(self.folder / "search.parquet")
        return found, (accuracy, latency)

    def _under_predictors(self, problem: Problem) -> Found:
        """By the algorithm that the recipe names, beside the exact front if that can be had."""
        asked, seed = self.recipe.search, self.recipe.seed
        ref_point = problem.reference_point(seed)
        front = searched(problem, asked, seed, ref_point)
        exact: ParetoFront | None = front
        if asked.algorithm not in ("exact", "best"):
            exact = exact_front(problem) if has_exact_front(problem) else None
        if exact is not None and not exact.exact:
            exact = None
        return Found(self._sure(front, problem), exact, ref_point, asked.algorithm)

    def _guided(
        self, source: TrainedAccuracy, latency: TableSum, elsewhere: Mapping[str, TableSum]
    ) -> tuple[Found, Predictor]:
        """Spends evaluations where they are expected to move the front.

        Returns:
            What was found, and a predictor of accuracy that knows what was evaluated.
        """
        asked, seed = self.recipe.search, self.recipe.seed
        n_evaluations = self.recipe.accuracy.evaluations
        learner = source.learner(self.progress, None)
        problem = problem_of(asked, self.space, learner, latency, elsewhere)
        accuracy = next(o for o in problem.objectives if o.predictor is learner)
        priced = dataclasses.replace(
            problem, constraints=tuple(c for c in problem.constraints if c.objective != accuracy)
        )
        n_start = min(max(_START, 2 * asked.batch), n_evaluations // 2)
        start = spread_within(priced, latency, n_start, np.random.default_rng(seed))
        quiet = NoProgress()  # the search counts evaluations itself

        def noise_std(y: FloatArray) -> FloatArray:
            return accuracy_std(y, source.n_validation)

        unknown = Unknown(accuracy, learner, lambda X: source.validation(X, quiet), noise_std)
        try:
            front, evaluated = guided(
                problem,
                [unknown],
                start=start,
                n_evaluations=n_evaluations,
                batch=asked.batch,
                seed=seed,
                progress=self.progress,
                earlier=source.earlier[0],
            )
        except EvaluationError as error:
            raise EvaluationError(f"{error} {' '.join(source.remarks)}".strip()) from None
        told = evaluated.succeeded
        X, y = evaluated.X[told], -evaluated.F[told, problem.objectives.index(accuracy)]
        others = source.learner(self.progress, source.n_validation)
        knowing = KnownAccuracy(X, y, noise_std(y), others.fit(X, y))
        problem = problem_of(asked, self.space, knowing, latency, elsewhere)
        ref_point = problem.reference_point(seed)
        return Found(self._sure(front, problem), None, ref_point, asked.algorithm), knowing

    def _sure(self, front: ParetoFront, problem: Problem) -> ParetoFront:
        """The front with how likely each network truly is on it, among those next to it."""
        rng = np.random.default_rng([self.recipe.seed, 2])
        near = mutate(self.space, np.repeat(front.X, _RIVALS, axis=0), rng)
        n_draws = max(_FEWEST_DRAWS, min(_DRAWS, _DRAWN // len(front)))
        return with_probability(front, problem, n_draws=n_draws, rng=rng, rivals=near)

    def report(self) -> dict[str, object]:
        """Searches, checks the front and random networks on the device, and writes all files."""
        found, predictors = self._search()
        thin = found.front.thinned(self.recipe.report.networks, found.ref_point)
        checker = Checker(
            self.space,
            self.accuracy,
            self.measurement.profiler if self.measurement.measures else None,
        )
        rng = np.random.default_rng([self.recipe.seed, 1])  # a draw of its own
        sampled = self.space.sample(self.recipe.report.random_networks, rng)
        sampled = np.unique(sampled, axis=0)
        with self._step("check"):
            front, random = (
                checker.check(X, *predictors, self.progress) for X in (thin.X, sampled)
            )
        with self._step("report"):
            summary = summarise(front, random, found, self.seconds, self.measurement.n_estimated)
            regretted = self._regrets(found, predictors)
            if regretted is not None:
                summary["regrets"] = regretted.reset_index().to_dict(orient="records")
            record = self.measurement.record
            call = record.table(1).entries.get(CALL.key)
            report = Report(
                title=self.recipe.name,
                subtitle=f"{self.space.size:,} networks of {self.space.name}, in batches of "
                f"{self.recipe.device.batch} on {record.configuration.cpu}.",
                front=front,
                random=random,
                found=found,
                call_ms=call.median_ms if call else None,
                accuracy=self.accuracy.description,
                n_validation=self.accuracy.n_validation,
                summary=summary,
                provenance={
                    **dataclasses.asdict(record.configuration),
                    **record.provenance,
                    "weights": self.accuracy.fingerprint,
                },
                recipe=self._safe_text,
                remarks=(*self.measurement.remarks, *self.accuracy.remarks),
                regrets=regretted,
            )
            write(report, self.folder)
        return summary

    def _regrets(
        self, found: Found, predictors: tuple[Predictor, Predictor]
    ) -> pd.DataFrame | None:
        """What each device's choice gives away on the others; None if there is one only."""
        elsewhere = self.measurement.latencies_elsewhere()
        if not elsewhere:
            return None
        accuracy, latency = predictors
        latencies = {self.measurement.device.name: latency, **elsewhere}
        return regrets(choices(found.front.X, accuracy, latencies))

    def export(self, architecture: str | None, max_latency_ms: float | None, to: Path) -> Exported:
        """Writes one network as safetensors and ONNX.

        Args:
            architecture: its text, as reports have it; of all networks of the space.
            max_latency_ms: otherwise the most accurate one of the checked front that is as fast.
            to: path of the files, without their endings.

        Raises:
            RecipeError: if there is no such network, or its files cannot be written.
            MissingStepError: if weights, or a front that is needed, are not there yet.
            InfeasibleError: if no network of the front is fast enough.
        """
        if not isinstance(self.accuracy, TrainedAccuracy):
            raise RecipeError(
                "The accuracies of this recipe are published, so there are no weights to export. "
                "Name data to train on in [accuracy]."
            )
        if architecture is not None and max_latency_ms is not None:
            raise RecipeError("Name an architecture or a largest latency, not both.")
        if architecture is None:
            architecture = fastest_enough(self.folder / "front.parquet", max_latency_ms)
        row = find(self.space, architecture)
        if not to.name:
            raise RecipeError(f"The files need a name, but got {str(to)!r}. Add one to the path.")
        try:
            return save(self.accuracy.network(row), self.space, row, to)
        except OSError as error:
            raise RecipeError(f"{str(to)!r} cannot be written: {error.strerror}.") from None

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        LOG.info("%s starts", name)
        yield
        self.seconds[name] = time.perf_counter() - start
        LOG.info("%s took %.1f s", name, self.seconds[name])

    @property
    def _safe_text(self) -> str:
        """The recipe without a password, fit for files that people pass on."""
        store = self.recipe.latency.store or ""
        return without_password(self.recipe_text, store) if "://" in store else self.recipe_text
