"""The training rule that a recipe names."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tailorbird.errors import ContractError
from tailorbird.pipeline.own_code import program_text
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.registry.python_paths import is_path, load
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.training import Rule, RuleInputs
from tailorbird.training.supernet.rules import RuleMaker

_KEY = "[accuracy] rule"
_Given = TypeVar("_Given")
_Taken = TypeVar("_Taken")


@dataclass(frozen=True, slots=True)
class TrainingRule:
    """A rule by its name.

    Attributes:
        make: makes it from its inputs.
        program: digits that change with the text of a user's own; empty for registered ones.
    """

    make: RuleMaker
    program: str


def training_rule_of(name: str, home: Path) -> TrainingRule:
    """The rule of a name in a recipe.

    Args:
        name: registered, or a Python path.
        home: folder of the recipe.

    Raises:
        RecipeError: if a path names nothing.
    """
    if not is_path(name):
        return TrainingRule(load(TRAINING_RULES[name].path), "")
    make, named = resolve(name, home, _KEY), f"{_KEY} = {name!r}"

    def guarded(inputs: RuleInputs) -> Rule:
        with users_code(named):
            rule = make(inputs)
            if not isinstance(rule, Rule):
                raise ContractError(
                    "It must give a tailorbird.training.Rule, but gave "
                    f"{type(rule).__name__}. Return one."
                )
        rows, loss = _guarded(rule.rows, named), _guarded(rule.loss, named)
        return replace(rule, rows=rows, loss=loss)

    return TrainingRule(guarded, program_text.digest(name, make))


def _guarded(function: Callable[[_Taken], _Given], named: str) -> Callable[[_Taken], _Given]:
    """The function, whatever it raises told under its name in the recipe."""

    def called(taken: _Taken) -> _Given:
        with users_code(named):
            return function(taken)

    return called
