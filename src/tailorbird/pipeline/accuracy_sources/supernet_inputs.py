"""Inputs of the training of supernets: rule and settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from tailorbird.errors import RecipeError, WeightsError, WeightsKeyError
from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.pipeline.accuracy_sources.training_passes import Passes, typical
from tailorbird.pipeline.own_code.training_rule import TrainingRule, training_rule_of
from tailorbird.pipeline.python_path import users_code
from tailorbird.progress import Progress
from tailorbird.recipe.accuracy import STITCHED_KEYS, SUPERNET_KEYS
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.registry.training_rules import entry_of
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training import SupernetTraining, Trained, load_supernet, train_supernet
from tailorbird.training.distillation import loss_of
from tailorbird.training.shared.fitting_data import n_classes_of
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.network_trial import check_networks
from tailorbird.training.supernet.largest import Placement
from tailorbird.training.supernet.settings import IMPORTANCE, ROUTES, RULE
from tailorbird.training.supernet.train import check, rule_of, stage_of, started
from tailorbird.training.supernet.trial import check_rule, tried_rows
from tailorbird.training.trial import Batch
from tailorbird.training.weights.preprocessing import preprocessing_of


@dataclass(frozen=True)
class SupernetInputs(TrainingInputs):
    """Inputs of the training of all networks of a space together."""

    idle: ClassVar = STITCHED_KEYS - SUPERNET_KEYS
    training: ClassVar = "a supernet is trained"

    def train(self, folder: Path, progress: Progress) -> Trained:
        """Trains into a folder, or loads what was trained there."""
        return train_supernet(
            self.space,
            self.dataset(),
            self.settings(),
            folder,
            progress,
            rule=self._rule.make,
            teacher=self.teacher(),
            score=self.score(),
        )

    def load(self, folder: Path) -> Trained | None:
        """Loads what `train` made; None if there is no such thing."""
        return load_supernet(self.space, self.dataset(), self.settings(), folder, self.score())

    def is_trained(self, folder: Path) -> bool:
        """True if `load` will find weights, whole or not; builds no network."""
        return stage_of(self.space, self.dataset(), self.settings(), folder).is_made()

    def remarks(self) -> tuple[str, ...]:
        """Sentences on what became of the file of the largest network's weights."""
        if self.recipe.accuracy.largest is None:
            return ()
        placement = self._started[1]
        if not placement.new_head:
            return placement.remarks
        drawn = f"The last layer of the head is drawn anew, since {placement.new_head}."
        return (*placement.remarks, drawn)

    def origin(self) -> str:
        """Says that networks have parts of the same weights, and how these were trained.

        A recipe that leaves keys out does not show what was done in their place.
        """
        made = self.settings()
        routes = f", routes = {made.routes}" if entry_of(made.rule).draws else ""
        told = f"supernet_epochs = {made.epochs}, rule = {made.rule}{routes}"
        if made.largest is not None:
            told += f", largest = {made.largest.name}, importance = {made.importance}"
        return f", with weights that all networks share ({told})"

    def n_epochs(self) -> int | None:
        """Passes of one network that the supernet was trained for; None if it began with others."""
        settings = self.settings()
        return settings.epochs if settings.largest is None else None

    def passes(self, folder: Path) -> Sequence[Passes]:
        """Passes of the networks of the supernet."""
        rows = typical(self.space)
        return [Passes("the supernet", self.settings().epochs, self.space, rows, rows[:0])]

    @property
    def n_epochs_of(self) -> Mapping[str, int]:
        """Epochs of all networks together."""
        return {"supernet_epochs": self.settings().epochs}

    @cached_property
    def n_classes(self) -> int:
        """Number of classes that networks tell apart."""
        return n_classes_of(self.space)

    def check_keys(self) -> None:
        """Refuses keys of [accuracy] that are for other trainings, and values that do nothing.

        Raises:
            RecipeError: naming one.
        """
        super().check_keys()
        self.check_learning_rates("learning_rates", "shared_learning_rates")
        asked = self.recipe.accuracy
        self.check_something_learns()
        if asked.routes is not None and ROUTE_DRAWS[asked.routes].of_stitches:
            others = ", ".join(repr(n) for n, draw in ROUTE_DRAWS.items() if not draw.of_stitches)
            raise RecipeError(
                f"[accuracy] routes = {asked.routes!r} is for spaces with stitches, but "
                f"{self.space.name} has none: take one of {others}."
            )
        rule = asked.rule or RULE
        if self._has_nobody_to_learn_from and "finetune_epochs" not in asked.model_fields_set:
            raise RecipeError(
                f"[accuracy] distillation = {asked.distillation!r} needs answers to learn from, "
                f"but with rule = {rule!r} networks have the labels alone: name a teacher, or "
                "another rule; or finetune_epochs, as finetuned networks learn from the largest."
            )
        if asked.routes_per_step > 1 and not entry_of(rule).is_single:
            raise RecipeError(
                f"[accuracy] routes_per_step = {asked.routes_per_step} has no part with rule = "
                f"{rule!r}, which trains several networks a step by itself: drop it."
            )
        if asked.routes is not None and not entry_of(rule).draws:
            raise RecipeError(
                f"[accuracy] routes = {asked.routes!r} has no part with rule = {rule!r}, which "
                "chooses networks by itself: drop it."
            )

    def published(self) -> Mapping[str, Preprocessing]:
        """Preprocessing that the weights of the largest network were published with, if known."""
        given = self.recipe.accuracy.largest
        found = None if given is None else preprocessing_of(self.home / given.file)
        return {} if found is None else {"largest": found}

    def check_fit(self) -> None:
        """Refuses data that do not fit the space.

        Raises:
            ContractError: if so.
        """
        check(self.space, self.dataset())

    def check_start(self) -> None:
        """Refuses a file of weights that does not fit the largest network.

        Raises:
            WeightsError: if so; an example shows how a recipe chooses by a key.
            RecipeError: if what it holds cannot be sorted.
        """
        if self.recipe.accuracy.largest is not None:
            self._started  # noqa: B018  # it is made here first

    def check_steps(self, batch: Batch) -> None:
        """Runs a few networks as training does, and those of its rule."""
        settings = self.settings()
        with users_code(self.named_space):
            network, _ = self._started
            check_networks(
                self.space,
                network,
                tried_rows(self.space),
                settings.learning_rates if settings.epochs else {},
                batch,
                loss_of(
                    settings.distillation, self.teacher(), settings.optimization.label_smoothing
                ),
                self.n_classes,
            )
        with users_code(f"[accuracy] rule = {settings.rule!r}"):
            rule = rule_of(self.space, settings, self._rule.make, self.teacher())
            check_rule(self.space, network, rule, batch)

    def settings(self) -> SupernetTraining:
        """Settings of training."""
        asked = self.recipe.accuracy
        rates = asked.rates_while_shared
        return SupernetTraining(
            asked.supernet_epochs,
            self.recipe.seed,
            batch=asked.batch,
            learning_rates={kind: rate for kind, rate in rates.items() if kind in self.kinds},
            optimization=self.optimization,
            compute=self.compute,
            rule=asked.rule or RULE,
            routes=asked.routes or ROUTES,
            routes_per_step=asked.routes_per_step,
            distillation="soft" if self._has_nobody_to_learn_from else asked.distillation or "soft",
            teacher=asked.teacher,
            largest=None if asked.largest is None else self.home / asked.largest.file,
            key=None if asked.largest is None else asked.largest.key,
            importance=asked.importance or IMPORTANCE,
            program=self._rule.program,
        )

    @property
    def _has_nobody_to_learn_from(self) -> bool:
        """True if the recipe names a distillation that no step of the training has a part in."""
        asked = self.recipe.accuracy
        is_asked = asked.distillation not in (None, "none")
        return is_asked and not (asked.teacher or entry_of(asked.rule or RULE).distils)

    @cached_property
    def _started(self) -> tuple[SharedNetwork, Placement]:
        """A network as training begins with it, and what became of the recipe's file."""
        try:
            with users_code(self.named_space):
                return started(self.space, self.dataset(), self.settings())
        except WeightsKeyError as error:
            example = f'{{ file = "{error.path.name}", key = "{error.key}" }}'
            raise WeightsError(f"{error} In [accuracy]: largest = {example}.") from error

    @cached_property
    def _rule(self) -> TrainingRule:
        return training_rule_of(self.recipe.accuracy.rule or RULE, self.home)
