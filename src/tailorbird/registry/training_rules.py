"""Training rules of supernets by the names of `[accuracy] rule`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingRuleEntry:
    """A training rule, and what recipes may ask of it.

    Attributes:
        path: Python path of what makes it from `RuleInputs`.
        distils: True if networks of a step learn from each other, as `distillation` says.
        draws: True if networks are drawn as `routes` says.
        is_single: True if a step trains one network, so that `routes_per_step` may ask for more.
    """

    path: str
    distils: bool = False
    draws: bool = True
    is_single: bool = False


_HERE = "tailorbird.training.supernet.rules"
TRAINING_RULES: Mapping[str, TrainingRuleEntry] = {
    "single-path": TrainingRuleEntry(f"{_HERE}.single_path:single_path", is_single=True),
    "sandwich": TrainingRuleEntry(f"{_HERE}.sandwich:sandwich", distils=True),
    "best-up": TrainingRuleEntry(f"{_HERE}.attentive:best_up", distils=True),
    "worst-up": TrainingRuleEntry(f"{_HERE}.attentive:worst_up", distils=True),
    "alpha-divergence": TrainingRuleEntry(
        f"{_HERE}.alpha_divergence:alpha_divergence", distils=True
    ),
    "sorted": TrainingRuleEntry(f"{_HERE}.sorted_networks:sorted_networks"),
    "delayed-shrinking": TrainingRuleEntry(
        f"{_HERE}.delayed_shrinking:delayed_shrinking", distils=True
    ),
    "probability-shift": TrainingRuleEntry(
        f"{_HERE}.probability_shift:probability_shift", draws=False
    ),
    "strict-fairness": TrainingRuleEntry(f"{_HERE}.strict_fairness:strict_fairness", draws=False),
}


def entry_of(name: str) -> TrainingRuleEntry:
    """Entry of a name; that of a Python path may do whatever a recipe says."""
    return TRAINING_RULES.get(name, TrainingRuleEntry(name, distils=True, is_single=True))
