"""Training rules of supernets, one a module; what a rule is stands in `rule`."""

from tailorbird.training.supernet.rules.rule import (
    Pass,
    Rule,
    RuleInputs,
    RuleMaker,
    Step,
    rows_of,
)

__all__ = ["Pass", "Rule", "RuleInputs", "RuleMaker", "Step", "rows_of"]
