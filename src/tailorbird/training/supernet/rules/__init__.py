"""Training rules of supernets, one a module; what a rule is stands in `rule`.

No rule is left of the heuristics that Yu, Ranftl and Salzmann compare (How to Train Your Super-Net:
An Analysis of Training Heuristics in Weight-Sharing NAS, 2020). What their analysis recommends is
how all rules train here: no network reads statistics that others left in its batch norms, and
smaller widths have the first channels of one tensor. Sampling is `routes`, uniform over networks or
not, and `strict_fairness`; learning rates, batch size and length are settings; fewer images,
channels or layers are other data and another space. Dropping paths is for cells with parallel ones:
the pieces of a network here follow each other.
"""

from tailorbird.training.supernet.rules.rule import (
    Pass,
    Rule,
    RuleInputs,
    RuleMaker,
    Step,
    rows_of,
)

__all__ = ["Pass", "Rule", "RuleInputs", "RuleMaker", "Step", "rows_of"]
