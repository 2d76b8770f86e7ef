"""Single path: one network a step."""

from tailorbird.training.supernet.rules.rule import Rule, RuleInputs


def single_path(inputs: RuleInputs) -> Rule:
    """One network a step.

    References:
        Guo, Zhang, Mu, Heng, Liu, Wei, Sun: Single Path One-Shot Neural Architecture Search with
        Uniform Sampling. ECCV 2020.
    """
    return Rule(
        n_passes=1,
        rows=lambda step: inputs.draw(step.rng)[None],
        loss=lambda one: inputs.loss(one.logits, one.labels, one.images),
    )
