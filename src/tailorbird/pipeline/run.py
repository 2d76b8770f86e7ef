"""Steps of a run. Each picks up what is there, and says what it needs if that is not."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from tailorbird.errors import RecipeError, TailorbirdError, naming, naming_extras, require, told_of
from tailorbird.export.destination import Exported, require_formats
from tailorbird.latency_tables import LatencyTable
from tailorbird.pipeline.accuracy_sources.source import AccuracySource
from tailorbird.pipeline.basis import basis_of
from tailorbird.pipeline.checking import Checker
from tailorbird.pipeline.finetuned_networks import beside, finetuned_networks
from tailorbird.pipeline.latency_sources.adaptation import Adapted
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.pipeline.network_choice import NetworkChoice
from tailorbird.pipeline.own_code.algorithm import Algorithm, try_algorithm
from tailorbird.pipeline.own_code.trial import made_up_cost
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.pipeline.problem import costs_of, problem_of
from tailorbird.pipeline.python_path import users_code
from tailorbird.pipeline.reporting import Reporter
from tailorbird.pipeline.run_folder import LOG, held
from tailorbird.pipeline.searching import RecipeSearch
from tailorbird.pipeline.space_tables import tables_of
from tailorbird.predictors import Predictor, mega_macs, mega_params
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.registry.python_paths import is_path
from tailorbird.reports import finetuned, write
from tailorbird.reports.page.so_far import SoFar
from tailorbird.reports.write import torn_report
from tailorbird.search.evaluation.shown_study import Costs
from tailorbird.search.regret import choices, regrets
from tailorbird.search.result import SearchResult
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.footprint import require_counts
from tailorbird.storage.atomic import written
from tailorbird.storage.marks import MARK

if TYPE_CHECKING:
    from tailorbird.pipeline.accuracy_sources.participation import Participation
    from tailorbird.training import Trained


_MEASURE_NOTHING = frozenset({"train", "export"})
_BUILD = frozenset({"finetune", "export"})
_COUNT = frozenset({"run", "search", "report"})

P = ParamSpec("P")
T = TypeVar("T")


def _alone(step: Callable[Concatenate["Run", P], T]) -> Callable[Concatenate["Run", P], T]:
    """A step of a run that keeps other processes out of its folder meanwhile."""

    @wraps(step)
    def held_step(run: "Run", /, *args: P.args, **kwargs: P.kwargs) -> T:
        run.require(step.__name__)
        with run.held(), naming_extras():
            return step(run, *args, **kwargs)

    return held_step


@dataclass(frozen=True, repr=False)
class Run:
    """One recipe on one machine; everything that it makes is in `folder`.

    Attributes:
        recipe: what was asked for.
        recipe_text: as the user wrote it.
        space: that the recipe names.
        latency: latencies of its networks.
        others: their latencies on further devices of the search.
        accuracy: their accuracies.
        algorithm: that the recipe names.
        folder: for artefacts.
        progress: where long work reports to.
        seconds: filled with what each step took.
        path: of the recipe, which commands in messages name; None if it was read from no file.
    """

    recipe: Recipe
    recipe_text: str
    space: SearchSpace
    latency: LatencySource
    others: tuple[LatencySource, ...]
    accuracy: AccuracySource
    algorithm: Algorithm
    folder: Path
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    path: Path | None = None
    _holders: list[object] = field(default_factory=list, init=False)

    def __repr__(self) -> str:
        return f"Run({self.recipe.name!r}, {self.space!r}, {str(self.folder)!r})"

    @contextmanager
    def held(self) -> Iterator["Run"]:
        """Keeps other processes out of the folder, writes the log, and ends workers.

        Each step does so itself, unless it is done already.

        Raises:
            BusyError: if another process works in the folder.
        """
        if self._holders:
            yield self
            return
        with told_of(self.path), held(self.folder, self.path):
            self._holders.append(self)
            if reason := torn_report(self.folder):
                LOG.warning(
                    "The report in %s is torn (%s), as its writing was interrupted: "
                    "`tailorbird report RECIPE`, or `run`, writes it again.",
                    self.folder,
                    reason,
                )
            try:
                yield self
            finally:
                with suppress(TailorbirdError):  # an error of before is what counts
                    self.accuracy.end()
                self._holders.clear()
                self.latency.close()

    def require(self, step: str) -> None:
        """Refuses a step whose packages are not installed, before anything is written for it.

        Args:
            step: name of the method. Some need a table, whose rows bear the version of what
                measured them.

        Raises:
            MissingPackageError: if any is not installed.
        """
        with told_of(self.path):
            if step in _BUILD:
                require("torch")
            if step not in _MEASURE_NOTHING:
                self.latency.require()
            if step in _COUNT:
                require_counts(self.space)

    @contextmanager
    def beside(self) -> Iterator["Run"]:
        """Works beside the process that holds the folder: keeps nobody out, and writes no log."""
        self._holders.append(self)
        try:
            yield self
        finally:
            self._holders.clear()
            self.latency.close()

    def remarks(self) -> tuple[str, ...]:
        """Sentences that a reader of what was searched must not miss."""
        both = (*self.latency.remarks(), *self.latency.losses, *self.accuracy.remarks())
        return tuple(naming(remark, self.path) for remark in both)

    @_alone
    def run(self) -> dict[str, object]:
        """All steps in order; returns the summary."""
        _ = self._latencies_elsewhere  # refused before hours of measuring
        self.check()
        with self._page() as page:
            page.tell()
            for source in (self.latency, self.accuracy):
                with self._step(source.step):
                    source.obtain(self.progress)
                page.tell()
            return self._report(page)

    def check(self) -> None:
        """Tries all code and data that the recipe names, before anything rests on them.

        Raises:
            RecipeError: naming what does not do what it must, and its key.
        """
        self.check_modules()
        self.latency.check()
        self.accuracy.check(self.progress)
        self._try_algorithm()

    def _try_algorithm(self) -> None:
        search, space = self.recipe.search, self.space
        if not is_path(search.algorithm):
            return
        rng = np.random.default_rng(0)
        accuracy, latency, *elsewhere = (
            made_up_cost(space, rng.random) for _ in range(2 + len(search.devices))
        )
        others = dict(zip(search.devices, elsewhere, strict=True))
        try_algorithm(self.algorithm, problem_of(search, space, accuracy, latency, others))

    @_alone
    def plan(self) -> tuple[PlannedWork, ...]:
        """Checks as before a run, and says what is left to do and about how long it takes here.

        A few programs are measured and a few steps trained for that; nothing of it is kept.

        Raises:
            RecipeError: naming what does not do what it must, and its key.
            MeasurementError: if nothing can be measured here.
        """
        if self.recipe.space.programs is not None:  # which are timed, and nothing else
            self.check_modules()
            self.latency.check()
            return self.latency.planned(0)
        self.check()
        n_networks = self.recipe.report.networks + self.recipe.report.random_networks
        n_networks = min(n_networks, 2 * self.space.size)
        measure, *report = self.latency.planned(n_networks)
        with redirect_stdout(sys.stderr):
            evaluated = self.accuracy.planned(n_networks)
        asked = self.recipe.search
        objectives = (*asked.objectives, *(f"latency on {name}" for name in asked.devices))
        networks = f"{self.space.size:,} networks" if self.space.size > 1 else "1 network"
        what = f"{networks}, by {asked.algorithm}, for {', '.join(objectives)}"
        search = PlannedWork("search", what)
        return (measure, *evaluated, search, *report)

    def check_modules(self) -> None:
        """Runs the modules of a space of the user's own, if any are to be measured or trained."""
        _ = self._modules_run

    @cached_property
    def _modules_run(self) -> bool:
        tables = tables_of(self.recipe.space, self.space)
        own = [(table, space) for table, space in tables if table.path is not None]
        if not own or not (self.latency.runs_networks or self.accuracy.runs_networks):
            return False
        from tailorbird.spaces.trial import check_modules, check_workloads

        for table, space in own:
            with users_code(table.key):
                if table.programs is None:
                    check_modules(space)
                else:
                    check_workloads(space.workloads)
        return True

    @_alone
    def profile(self, networks: Path | None = None) -> LatencyTable:
        """Measures every workload of the space, and whole networks of a file, that are missing.

        Raises:
            RecipeError: if the recipe is wrong, or has programs and thus no networks.
            MeasurementError: if any could not be measured.
        """
        if networks is not None and self.recipe.space.programs is not None:
            raise RecipeError(
                f"{self.recipe.space.key} are no networks beside which others could be measured: "
                "each has a row as it is. Leave out the file of networks."
            )
        self.check_modules()
        self.latency.check()
        with self._step("profile"):
            return self.latency.profile(networks, self.progress)

    @_alone
    def measure_again(self) -> int:
        """Measures rows of the table that are not to be trusted anew; returns how many there were.

        What was measured before is kept, and counts no more.

        Raises:
            RecipeError: if the table is not measured here.
            MissingStepError: if there is none yet.
            MeasurementError: if any could not be measured.
        """
        if not self.latency.has_table():
            raise self.latency.no_table()
        self.check_modules()
        self.latency.check()
        with self._step("measure again"):
            return self.latency.measure_again(self.progress)

    @_alone
    def adapt(self, n_samples: int | None = None) -> Adapted:
        """Measures networks that latencies are adapted by; as many as the recipe says, if None."""
        self.check_modules()
        with self._step("adapt"):
            return self.latency.adapt(n_samples, self.progress)

    @_alone
    def train(self) -> "Trained":
        """Trains the networks of the space, or loads what was trained."""
        self.check_modules()
        with self._step("train"):
            return self.accuracy.train(self.progress)

    @_alone
    def search(self) -> SearchResult:
        """Fits predictors and searches under them; needs a table and weights."""
        return self._search()[0]

    def _search(self) -> tuple[SearchResult, tuple[Predictor, Predictor]]:
        """Result of the search, and the predictors of accuracy and latency behind it."""
        self.check()
        search = self._recipe_search()
        self.accuracy.show(partial(self._costs, search.latency))
        if self.recipe.search.entry.spends_evaluations:
            evaluations = self.accuracy.evaluations()
            with self._step("search"):
                found, accuracy = search.guided(evaluations)
        else:
            with self._step("evaluate"):
                accuracy = self.accuracy.predictor(search.latency, self.progress)
            with self._step("search"):
                found = search.predicted(accuracy)
        with written(self.folder / "search.parquet") as (part,):
            found.front.to_pandas().to_parquet(part, index=False)
        return found, (accuracy, search.latency)

    def _recipe_search(self) -> RecipeSearch:
        return RecipeSearch(
            self.recipe,
            self.space,
            self.latency.predictor(),
            self._latencies_elsewhere,
            self.algorithm,
            self.progress,
        )

    def _costs(self, latency: Predictor) -> Costs:
        """Costs that dashboards show beside accuracies."""
        device, others = self.latency.device.name, self._latencies_elsewhere
        facts = {
            **{f"latency_ms on {name}": of for name, of in {device: latency, **others}.items()},
            "mega_macs": mega_macs(self.space),
            "mega_params": mega_params(self.space),
        }
        return Costs(device, costs_of(self.recipe.search, self.space, latency, others), facts)

    @cached_property
    def _latencies_elsewhere(self) -> Mapping[str, Predictor]:
        """Latencies on further devices of the search, by their names.

        Raises:
            RecipeError: if a table lacks a workload that is not to be estimated.
        """
        return {other.device.name: other.predictor() for other in self.others}

    @_alone
    def report(self) -> dict[str, object]:
        """Searches, checks the front and random networks on the device, and writes all files."""
        with self._page() as page:
            return self._report(page)

    def _report(self, page: SoFar) -> dict[str, object]:
        found, predictors = self._search()
        page.tell(found)
        thin = found.front.thinned(self.recipe.report.networks, found.ref_point)
        checker = Checker(self.space, self.accuracy, self.latency)
        rng = np.random.default_rng([self.recipe.seed, 1])  # a draw of its own
        sampled = self.space.sample(self.recipe.report.random_networks, rng)
        sampled = np.unique(sampled, axis=0)
        with self._step("check"):
            objectives = found.front.objectives
            front, random = (
                checker.check(X, *predictors, self.progress, objectives) for X in (thin.X, sampled)
            )
            alone = self.accuracy.anchors_alone(self.progress)
        page.tell(found)
        with self._step("report"):
            path = self.path or self.folder / "recipe.toml"
            reporter = Reporter(
                self.recipe, self.recipe_text, self.space, self.latency, self.accuracy, path
            )
            regretted = self._regrets(found, predictors)
            supplied = pd.DataFrame()
            if alone is not None:
                supplied = checker.anchors(alone, predictors[1], objectives, (front, random))
            report = reporter.report(
                found,
                front,
                random,
                regretted,
                self.seconds,
                self.remarks(),
                finetuned_networks(self.folder, self.space, self.accuracy, self._basis),
                thin.X,
                supplied,
            )
            mark = write(report, self.folder)
        return {**report.summary, MARK: mark}

    def _page(self) -> SoFar:
        return SoFar(self.folder, self.recipe.name, self.seconds, self.remarks)

    @property
    def _basis(self) -> dict[str, str]:
        return basis_of(self.latency, self.accuracy)

    def _regrets(
        self, found: SearchResult, predictors: tuple[Predictor, Predictor]
    ) -> pd.DataFrame | None:
        """Regrets of each device's choice on the others; None if there is one device only."""
        if not self.others:
            return None
        accuracy, latency = predictors
        latencies = {self.latency.device.name: latency, **self._latencies_elsewhere}
        return regrets(choices(found.front.X, accuracy, latencies))

    def evaluate(self, idle_s: float = 300.0) -> "Participation":
        """Evaluates networks that a run of this recipe waits for, here or on another machine.

        Args:
            idle_s: after so many seconds in which nobody asked for anything it ends; otherwise
                once that run has ended.

        Raises:
            RecipeError: if nothing is evaluated for this recipe.
            EvaluationError: if nothing that was tried could be evaluated here.
        """
        with told_of(self.path), self.beside(), redirect_stdout(sys.stderr):
            return self.accuracy.evaluations().take_part(idle_s, self.progress)

    @_alone
    def finetune(
        self,
        architecture: str | None = None,
        max_latency_ms: float | None = None,
        *,
        against_scratch: bool = False,
    ) -> dict[str, object]:
        """Trains one network on, from the shared weights, and checks it again.

        What comes out stands beside the front in `finetuned.parquet` and in the report.

        Args:
            architecture: its text, as reports have it; of all networks of the space.
            max_latency_ms: otherwise the most accurate one of the checked front that is as fast.
            against_scratch: trains it from scratch as well, for all passes that its weights had.

        Returns:
            Its row of the table.

        Raises:
            RecipeError: if there is no such network, or nothing is trained.
            MissingStepError: if weights, a latency table or a front that is needed are not there.
            InfeasibleError: if no network of the front is fast enough.
            TrainingError: if training diverges.
        """
        finetuner = self.accuracy.finetuner()
        from tailorbird.pipeline.finetuning import finetuned_network  # loads torch

        row = self._row(NetworkChoice(architecture, max_latency_ms))
        finetuner.trained()
        latency = self.latency.predictor()
        self.check_modules()
        self.accuracy.check(self.progress)
        finetuner.check(row, from_scratch=against_scratch)
        with self._step("finetune"):
            network = finetuned_network(
                finetuner, row, self.progress, against_scratch=against_scratch
            )
        with self._step("check"):
            checked = network.checked(self.space, self.latency, latency, self.progress)
        checked = checked.assign(**self._basis)
        (record,) = finetuned.records(checked)
        others = finetuned_networks(
            self.folder, self.space, self.accuracy, self._basis, besides=record["architecture"]
        )
        if not finetuned.write(self.folder, beside(others, checked)):
            LOG.warning("`tailorbird report RECIPE` will have it in its report.")
        return record

    @_alone
    def export(
        self,
        architecture: str | None = None,
        max_latency_ms: float | None = None,
        to: Path | None = None,
        formats: Sequence[str] = (),
        *,
        device: str | None = None,
        with_preprocessing: bool = False,
    ) -> Exported:
        """Writes one network as safetensors, plain Python and ONNX, with a card.

        Each file is run in a process of its own and compared with torch before it is there.

        It has the weights that `finetune` gave it, if it did so from the present shared weights and
        by the settings of this recipe; a warning says so.

        Where accuracies come from a function or a table, nothing was trained: a warning says that
        weights are those that the space builds networks with. A network of a union is written as
        one of the space that it is of, and loaded with that.

        Args:
            architecture: its text, as reports have it; of all networks of the space.
            max_latency_ms: otherwise the most accurate one of the checked front that is as fast.
            to: path of the files, without their endings, or of one file; the folder `network` in
                that of the run if None, in which the card is `README.md`.
            formats: of the files, of `safetensors`, `python`, `onnx` and `tvm`; all that there are
                for the device if none is named.
            device: that the largest latency is of; a further one of the search, or that of the run.
            with_preprocessing: whether the ONNX file takes pixels (n, height, width, channels) as
                bytes, of pictures that have the right size, and prepares them itself.

        Raises:
            RecipeError: if there is no such network or format.
            ExportError: if it cannot be written so, or a file computes something else.
            WriteError: if its files cannot be written.
            MissingStepError: if weights, or a front that is needed, are not there yet.
            InfeasibleError: if no network of the front is fast enough.
        """
        from tailorbird.pipeline.exporting import Exporter

        to = None if to is None else Path(to)
        require_formats(to, formats)
        self.accuracy.trained_networks()  # refuses, before anything is looked for
        choice = NetworkChoice(architecture, max_latency_ms, device)
        row = self._row(choice)
        exporter = Exporter(self.recipe, self.folder, self.space, self.accuracy, self.latency)
        with redirect_stdout(sys.stderr):
            return exporter.export(row, str(choice), to, formats, takes_pixels=with_preprocessing)

    def _row(self, choice: NetworkChoice) -> IntArray:
        devices = (self.latency.device.name, *self.recipe.search.devices)
        return choice.row(self.folder / "front.parquet", self.space, devices)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        LOG.info("%s starts", name)
        # Results alone are printed on standard output, whatever users' code prints.
        with redirect_stdout(sys.stderr), self.progress.step(name):
            yield
        self.seconds[name] = time.perf_counter() - start
        LOG.info("%s took %.1f s", name, self.seconds[name])
