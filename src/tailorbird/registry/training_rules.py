"""Training rules of supernets by the names of `[accuracy] rule`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingRuleEntry:
    """A training rule, and what recipes may ask of it.

    Attributes:
        path: Python path of what makes it from `RuleInputs`.
        distils: True if networks of a step learn from each other, as `distillation` says.
    """

    path: str
    distils: bool = False


_HERE = "tailorbird.training.supernet.rules"
TRAINING_RULES: Mapping[str, TrainingRuleEntry] = {
    "single-path": TrainingRuleEntry(f"{_HERE}:single_path"),
    "sandwich": TrainingRuleEntry(f"{_HERE}:sandwich", distils=True),
}


def entry_of(name: str) -> TrainingRuleEntry:
    """Entry of a name; that of a Python path may do whatever a recipe says."""
    return TRAINING_RULES.get(name, TrainingRuleEntry(name, distils=True))
