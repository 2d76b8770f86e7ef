"""The steps of a run. Each picks up what is there, and says what it needs if that is not."""

import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from filelock import FileLock, Timeout

from tailorbird import elsewhere
from tailorbird.errors import BusyError, MeasurementError, MissingStepError, RecipeError
from tailorbird.latency_tables import (
    Configuration,
    Device,
    LatencyTable,
    Profiler,
    Record,
    Runtime,
    Store,
    Timing,
)
from tailorbird.latency_tables.url import without_password
from tailorbird.predictors import AccuracyProcess, TableSum
from tailorbird.programs import network_program, programs_of
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.reports import Checker, Report, summarise, write
from tailorbird.search import (
    LARGEST_ENUMERATED,
    Objective,
    exact_front,
    reference_point,
)
from tailorbird.search.design import spread_over
from tailorbird.search.found import Found
from tailorbird.search.nsga2 import nsga2
from tailorbird.search.study import Evaluator, Study
from tailorbird.spaces import CALL, SearchSpace, rows
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Dataset, Trained, Training, digits
from tailorbird.training import load as load_trained
from tailorbird.training import train as train_space

_LOG = logging.getLogger("tailorbird")


@dataclass(frozen=True)
class Run:
    """One recipe on one machine; everything that it makes is in `folder`.

    Attributes:
        recipe: what was asked for.
        recipe_text: as the user wrote it.
        space: that the recipe names.
        device: that the recipe names.
        folder: for artefacts.
        progress: where long work reports to.
        seconds: filled with what each step took.
        elsewhere: the table, if it is that of another device; then nothing is measured.
    """

    recipe: Recipe
    recipe_text: str
    space: SearchSpace
    device: Device
    folder: Path
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    elsewhere: Record | None = None

    @contextmanager
    def held(self) -> Iterator["Run"]:
        """Keeps other processes out of the folder, writes the log, and ends workers.

        Raises:
            BusyError: if another process works in the folder.
        """
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            log = logging.FileHandler(self.folder / "run.log", encoding="utf-8")
        except Timeout:
            raise BusyError(
                f"Another process is working in {str(self.folder)!r}. "
                "Wait for it, or give this recipe another name."
            ) from None
        except OSError as error:
            lock.release()
            raise RecipeError(
                f"The folder {str(self.folder)!r} cannot be used: {error.strerror}. "
                "Run where you may write."
            ) from None
        log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        _LOG.addHandler(log)
        _LOG.setLevel(logging.INFO)
        try:
            yield self
        finally:
            if "_runtime" in self.__dict__:
                self._runtime.close()
            _LOG.removeHandler(log)
            log.close()
            lock.release()

    def run(self) -> dict[str, object]:
        """All steps in order; returns the summary."""
        if self.elsewhere is None:
            self.profile()
        self.train()
        return self.report()

    def profile(self, networks: Path | None = None) -> LatencyTable:
        """Measures every workload of the space, and whole networks, that are not in the table.

        Args:
            networks: Parquet file of rows of the space.

        Raises:
            MeasurementError: if any could not be measured.
            EncodingError: if the networks do not fit the space.
            RecipeError: if the recipe names the table of another device.
        """
        if self.elsewhere is not None:
            raise elsewhere.refusal(self.elsewhere)
        programs = programs_of(self.space)
        if networks is not None:
            X = rows.read(networks, self.space)
            programs += [network_program(self.space, row) for row in X]
        with self._step("profile"):
            spent = self._profiler.profile(programs, self.recipe.latency.rounds, self.progress)
        for cost in spent:
            _LOG.info("%s", cost)
        failures = self.table.failures
        failed = [p.key for p in programs if p.key in failures]
        if failed:
            raise MeasurementError(
                f"{len(failed)} of {len(programs)} programs could not be measured "
                f"(first: {failed[0]}: {failures[failed[0]]}). The others are kept."
            )
        return self.table

    def train(self) -> Trained:
        """Trains the networks of the space, or loads what was trained."""
        with self._step("train"):
            return train_space(
                self._stitches, self._dataset, self._training, self._weights, self.progress
            )

    def search(self) -> Found:
        """Fits predictors and searches under them; needs a table and weights."""
        if self.elsewhere is None:
            latency = TableSum(self.space, self.table)
        else:
            latency = elsewhere.table_sum(self.space, self.elsewhere)
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
            self._profiler if self.elsewhere is None else None,
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
            record = self.record
            report = Report(
                title=self.recipe.name,
                subtitle=f"{self.space.size:,} networks of {self.space.name}, in batches of "
                f"{self.recipe.device.batch} on {self.device.cpu}.",
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
                remarks=elsewhere.remarks(self.space, self.elsewhere) if self.elsewhere else (),
            )
            write(report, self.folder)
        return summary

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        _LOG.info("%s starts", name)
        yield
        self.seconds[name] = time.perf_counter() - start
        _LOG.info("%s took %.1f s", name, self.seconds[name])

    def _trained(self) -> Trained:
        trained = load_trained(self._stitches, self._dataset, self._training, self._weights)
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
        assert self.store  # refuses what is not ours, before Optuna writes into it
        return Study(self._url, f"{self._dataset.name}/{split}/{trained.fingerprint}")

    @property
    def _stitches(self) -> StitchSpace:
        if not isinstance(self.space, StitchSpace):
            raise RecipeError(f"There is no training for the space {self.space.name!r} yet.")
        return self.space

    @property
    def _training(self) -> Training:
        accuracy = self.recipe.accuracy
        return Training(accuracy.train_epochs, accuracy.stitch_epochs, self.recipe.seed)

    @property
    def _weights(self) -> Path:
        return self.folder / "weights"

    @property
    def _url(self) -> str:
        store = self.recipe.latency.store or str(self.folder / "store.sqlite")
        if "://" in store:
            return store
        return sa.URL.create("sqlite", database=store).render_as_string()

    @cached_property
    def _dataset(self) -> Dataset:
        return digits.load()

    @cached_property
    def _runtime(self) -> Runtime:
        folder = self.folder / "compiled"
        if self.recipe.latency.runtime == "onnxruntime":
            from tailorbird.latency_tables.onnx import OnnxRuntime

            return OnnxRuntime(folder, Timing())
        from tailorbird.latency_tables.tvm import TvmRuntime

        return TvmRuntime(folder, Timing())

    @cached_property
    def _profiler(self) -> Profiler:
        return Profiler(self._runtime, self.device, self.recipe.device.batch, self.store)

    @cached_property
    def store(self) -> Store:
        """Where this recipe keeps what is measured."""
        return Store(self._url)

    @property
    def configuration(self) -> Configuration:
        """Under which this recipe measures, or the table of the other device was measured."""
        if self.elsewhere is not None:
            return self.elsewhere.configuration
        return self._runtime.configuration(self.device, self.recipe.device.batch)

    @property
    def record(self) -> Record:
        """All that was measured under this recipe's configuration, raw."""
        if self.elsewhere is not None:
            return self.elsewhere
        return self.store.record(self.configuration, self.device.name, self.space.name)

    @property
    def table(self) -> LatencyTable:
        """What predictors see; of another device's table every round that there is."""
        return self.record.table(1 if self.elsewhere else self.recipe.latency.rounds)

    @property
    def _safe_text(self) -> str:
        """The recipe without a password, fit for files that people pass on."""
        store = self.recipe.latency.store or ""
        return without_password(self.recipe_text, store) if "://" in store else self.recipe_text
