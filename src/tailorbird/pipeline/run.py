"""The steps of a run. Each picks up what is there, and says what it needs if that is not."""

import dataclasses
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tailorbird.errors import RecipeError
from tailorbird.export.network import Exported, save
from tailorbird.latency_tables import LatencyTable
from tailorbird.pipeline.accuracy_sources.published import PublishedAccuracy
from tailorbird.pipeline.algorithms import check
from tailorbird.pipeline.checking import Checker
from tailorbird.pipeline.latency_sources.adaptation import Adapted
from tailorbird.pipeline.latency_sources.measured import Measurement
from tailorbird.pipeline.run_folder import LOG, held
from tailorbird.pipeline.searching import Fronts
from tailorbird.predictors import Predictor
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.recipe.python_path import users_code
from tailorbird.reports import Report, summarise, write
from tailorbird.reports.choice import fastest_enough, find
from tailorbird.reports.write import FILES
from tailorbird.search.regret import choices, regrets
from tailorbird.search.result import Found
from tailorbird.spaces import CALL, SearchSpace
from tailorbird.storage.atomic import written
from tailorbird.storage.databases.url import without_password
from tailorbird.storage.marks import MARK, torn

if TYPE_CHECKING:
    from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
    from tailorbird.training import Trained


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
    accuracy: "TrainedAccuracy | PublishedAccuracy"
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
            if reason := torn([self.folder / name for name in FILES]):
                LOG.warning(
                    "The report in %s is torn (%s), as its writing was interrupted: "
                    "`tailorbird report RECIPE`, or `run`, writes it again.",
                    self.folder,
                    reason,
                )
            try:
                yield self
            finally:
                self.measurement.close()

    def run(self) -> dict[str, object]:
        """All steps in order; returns the summary."""
        check(self.recipe.search)  # before hours of measuring
        self.measurement.latencies_elsewhere()
        self.check()
        if self.measurement.adapts:
            self.adapt()
        elif self.measurement.measures:
            self.profile()
        else:
            assert self.measurement.latency()  # refuses what it lacks, before hours of training
        if self._trains:
            self.train()
        return self.report()

    def check(self) -> None:
        """Tries all code and data that the recipe names, before anything rests on them.

        Raises:
            RecipeError: naming what does not do what it must, and its key.
        """
        self.check_modules()
        self.accuracy.check()

    def check_modules(self) -> None:
        """Runs the modules of a space of the user's own, if any are to be measured or trained."""
        _ = self._modules_run

    @cached_property
    def _modules_run(self) -> bool:
        own = self.recipe.space.module
        if own is None or not (self.measurement.measures or self._trains):
            return False
        from tailorbird.spaces.trial import check_modules

        with users_code(f"[space] module = {own!r}"):
            check_modules(self.space)
        return True

    def profile(self, networks: Path | None = None) -> LatencyTable:
        """Measures every workload of the space, and whole networks of a file, that are missing."""
        self.check_modules()
        with self._step("profile"):
            return self.measurement.profile(networks, self.progress)

    def adapt(self, n_samples: int | None = None) -> Adapted:
        """Measures networks that latencies are adapted by; as many as the recipe says, if None."""
        self.check_modules()
        with self._step("adapt"):
            n = self.recipe.latency.samples if n_samples is None else n_samples
            return self.measurement.adapt(n, self.progress)

    def train(self) -> "Trained":
        """Trains the networks of the space, or loads what was trained."""
        if isinstance(self.accuracy, PublishedAccuracy):
            raise RecipeError(
                "The accuracies of this recipe are published: nothing is trained. "
                "Go on with `tailorbird run RECIPE`."
            )
        self.check()
        with self._step("train"):
            return self.accuracy.train(self.progress)

    def search(self) -> Found:
        """Fits predictors and searches under them; needs a table and weights."""
        return self._search()[0]

    def _search(self) -> tuple[Found, tuple[Predictor, Predictor]]:
        """What was found, and the predictors of accuracy and latency behind it."""
        self.check()
        fronts = self._fronts()
        if self.recipe.search.algorithm == "guided":
            assert not isinstance(self.accuracy, PublishedAccuracy)  # a recipe cannot ask for it
            with self._step("search"):
                found, accuracy = fronts.guided(self.accuracy)
        else:
            with self._step("evaluate"):
                accuracy = self.accuracy.predictor(fronts.latency, self.progress)
            with self._step("search"):
                found = fronts.predicted(accuracy)
        with written(self.folder / "search.parquet") as (part,):
            found.front.to_pandas(self.space).to_parquet(part, index=False)
        return found, (accuracy, fronts.latency)

    def _fronts(self) -> Fronts:
        return Fronts(
            self.recipe,
            self.space,
            self.measurement.latency(),
            self.measurement.latencies_elsewhere(),
            self.progress,
        )

    def report(self) -> dict[str, object]:
        """Searches, checks the front and random networks on the device, and writes all files."""
        found, predictors = self._search()
        thin = found.front.thinned(self.recipe.report.networks, found.ref_point)
        checker = Checker(
            self.space,
            self.accuracy,
            self.measurement.profiler,
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
            if self.measurement.adapts:
                summary["adapted"] = self.measurement.adapted().summary
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
                remarks=(
                    *self.measurement.remarks,
                    *self.measurement.equipment.losses,
                    *self.accuracy.remarks,
                ),
                regrets=regretted,
            )
            mark = write(report, self.folder)
        return {**summary, MARK: mark}

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
            RecipeError: if there is no such network.
            WriteError: if its files cannot be written.
            MissingStepError: if weights, or a front that is needed, are not there yet.
            InfeasibleError: if no network of the front is fast enough.
        """
        if isinstance(self.accuracy, PublishedAccuracy):
            raise RecipeError(
                "The accuracies of this recipe are published, so there are no weights to export. "
                "Name data to train on in [accuracy]."
            )
        if architecture is not None and max_latency_ms is not None:
            raise RecipeError("Name an architecture or a largest latency, not both.")
        if architecture is None:
            architecture = fastest_enough(self.folder / "front.parquet", max_latency_ms)
        row = find(self.space, architecture)
        if not to.name.strip(". "):
            raise RecipeError(f"The files need a name, but got {str(to)!r}. Add one to the path.")
        return save(self.accuracy.network(row), self.space, row, to)

    @property
    def _trains(self) -> bool:
        return not isinstance(self.accuracy, PublishedAccuracy)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        LOG.info("%s starts", name)
        with redirect_stdout(sys.stderr):  # results alone are printed there, whatever users print
            yield
        self.seconds[name] = time.perf_counter() - start
        LOG.info("%s took %.1f s", name, self.seconds[name])

    @property
    def _safe_text(self) -> str:
        """The recipe without a password, fit for files that people pass on."""
        store = self.recipe.latency.store or ""
        return without_password(self.recipe_text, store) if "://" in store else self.recipe_text
