"""The steps of a run. Each picks up what is there, and says what it needs if that is not."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from tailorbird import elsewhere
from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.latency_tables import LatencyTable
from tailorbird.latency_tables.url import without_password
from tailorbird.measurement import Measurement
from tailorbird.predictors import AccuracyProcess
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.reports import Checker, Report, summarise, write
from tailorbird.search import LARGEST_ENUMERATED, Objective, exact_front, reference_point
from tailorbird.search.design import spread_over
from tailorbird.search.found import Found
from tailorbird.search.nsga2 import nsga2
from tailorbird.search.study import Evaluator, Study
from tailorbird.spaces import CALL, SearchSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Dataset, Trained, Training, digits
from tailorbird.training import load as load_trained
from tailorbird.training import train as train_space
from tailorbird.workplace import LOG, held


@dataclass(frozen=True)
class Run:
    """One recipe on one machine; everything that it makes is in `folder`.

    Attributes:
        recipe: what was asked for.
        recipe_text: as the user wrote it.
        space: that the recipe names.
        measurement: its latencies.
        folder: for artefacts.
        progress: where long work reports to.
        seconds: filled with what each step took.
    """

    recipe: Recipe
    recipe_text: str
    space: SearchSpace
    measurement: Measurement
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
        self._trainable()  # before hours of measuring
        if self.measurement.elsewhere is None:
            self.profile()
        self.train()
        return self.report()

    def profile(self, networks: Path | None = None) -> LatencyTable:
        """Measures every workload of the space, and whole networks of a file, that are missing."""
        with self._step("profile"):
            return self.measurement.profile(networks, self.progress)

    def train(self) -> Trained:
        """Trains the networks of the space, or loads what was trained."""
        with self._step("train"):
            return train_space(
                self._trainable(), self._dataset, self._training, self._weights, self.progress
            )

    def search(self) -> Found:
        """Fits predictors and searches under them; needs a table and weights."""
        latency = self.measurement.latency()
        trained = self._trained()
        with self._step("evaluate"):
            rng = np.random.default_rng(self.recipe.seed)
            X = spread_over(latency, self.space, self.recipe.accuracy.evaluations, rng)
            validation = self._study("validation", trained)
            y = validation.evaluate(X, self._evaluator("validation", trained), self.progress)
            accuracy = AccuracyProcess(self.space, len(self._dataset.validation.labels)).fit(X, y)
        objectives = (
            Objective("accuracy", "", "max", accuracy),
            Objective("latency", "ms", "min", latency, self.recipe.search.max_latency_ms),
        )
        with self._step("search"):
            ref_point = reference_point(self.space, objectives, self.recipe.seed)
            front = nsga2(
                self.space,
                objectives,
                population=self.recipe.search.population,
                generations=self.recipe.search.generations,
                seed=self.recipe.seed,
                ref_point=ref_point,
            )
            enumerable = self.space.size <= LARGEST_ENUMERATED
            exact = exact_front(self.space, objectives) if enumerable else None
        found = Found(front, exact, ref_point)
        frame = front.to_pandas(self.space)
        new = self.folder / "search.parquet.new"
        frame.to_parquet(new, index=False)
        new.replace(self.folder / "search.parquet")
        return found

    def report(self) -> dict[str, object]:
        """Searches, checks the front and random networks on the device, and writes all files."""
        found = self.search()
        trained = self._trained()
        thin = found.front.thinned(self.recipe.report.networks, found.ref_point)
        checker = Checker(
            self.space,
            trained,
            self._dataset,
            self._study("validation", trained),
            self._study("test", trained),
            self.measurement.profiler if self.measurement.elsewhere is None else None,
        )
        rng = np.random.default_rng([self.recipe.seed, 1])  # a draw of its own
        sampled = self.space.sample(self.recipe.report.random_networks, rng)
        sampled = np.unique(sampled, axis=0)
        with self._step("check"):
            front, random = (
                checker.check(X, found.front.objectives, self.progress) for X in (thin.X, sampled)
            )
        with self._step("report"):
            summary = summarise(front, random, found, self.seconds)
            record = self.measurement.record
            report = Report(
                title=self.recipe.name,
                subtitle=f"{self.space.size:,} networks of {self.space.name}, in batches of "
                f"{self.recipe.device.batch} on {record.configuration.cpu}.",
                front=front,
                random=random,
                found=found,
                call_ms=record.table(1).select([CALL.key])[0].median_ms,
                n_validation=len(self._dataset.validation.labels),
                summary=summary,
                provenance={
                    **dataclasses.asdict(record.configuration),
                    **record.provenance,
                    "weights": trained.fingerprint,
                },
                recipe=self._safe_text,
                remarks=self._remarks,
            )
            write(report, self.folder)
        return summary

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        LOG.info("%s starts", name)
        yield
        self.seconds[name] = time.perf_counter() - start
        LOG.info("%s took %.1f s", name, self.seconds[name])

    def _trained(self) -> Trained:
        trained = load_trained(self._trainable(), self._dataset, self._training, self._weights)
        if trained is None:
            raise MissingStepError(
                f"There are no weights for this recipe in {str(self._weights)!r}. "
                "Make them with `tailorbird train RECIPE`."
            )
        return trained

    def _evaluator(self, split: str, trained: Trained) -> Evaluator:
        images = getattr(self._dataset, split)
        return lambda X: trained.evaluate(X, images)

    def _study(self, split: str, trained: Trained) -> Study:
        assert self.measurement.store  # refuses what is not ours, before Optuna writes into it
        return Study(self.measurement.url, f"{self._dataset.name}/{split}/{trained.fingerprint}")

    def _trainable(self) -> StitchSpace:
        """The space, if its networks can be trained on the data.

        Raises:
            RecipeError: if not.
        """
        shape, wanted = self._dataset.train.images.shape[1:], self.space.input_shape[1:]
        if not isinstance(self.space, StitchSpace) or shape != wanted:
            raise RecipeError(
                f"There is no training for {self.space.name} on the data {self._dataset.name!r}: "
                f"its images have shape {shape}, and the space takes {wanted}. "
                "Its latencies can be had with `tailorbird profile RECIPE`."
            )
        return self.space

    @property
    def _training(self) -> Training:
        accuracy = self.recipe.accuracy
        return Training(accuracy.train_epochs, accuracy.stitch_epochs, self.recipe.seed)

    @property
    def _weights(self) -> Path:
        return self.folder / "weights"

    @cached_property
    def _dataset(self) -> Dataset:
        return digits.load()

    @property
    def _remarks(self) -> tuple[str, ...]:
        record = self.measurement.elsewhere
        return elsewhere.remarks(self.space, record) if record is not None else ()

    @property
    def _safe_text(self) -> str:
        """The recipe without a password, fit for files that people pass on."""
        store = self.recipe.latency.store or ""
        return without_password(self.recipe_text, store) if "://" in store else self.recipe_text
