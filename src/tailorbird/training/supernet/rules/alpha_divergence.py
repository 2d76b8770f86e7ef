"""Alpha-divergence: students that neither overrate nor underrate how sure their teacher is."""

import torch
from torch import Tensor

from tailorbird.errors import ContractError, shown
from tailorbird.training.supernet.rules.rule import Pass, Rule, RuleInputs
from tailorbird.training.supernet.rules.sandwich import N_BETWEEN, rows_between

LOWEST, HIGHEST = -1.0, 1.0
"""Alphas between which a student chooses the larger divergence; those of the paper."""

LARGEST_RATIO = 5.0
"""What powers of ratios of probabilities are cut at, as in the paper."""


def alpha_divergence(inputs: RuleInputs) -> Rule:
    """The networks of a sandwich, which learn from the largest by an adaptive alpha-divergence.

    The loss of an image is the larger one of its divergences for both alphas: one is large where
    the student gives a class too little, the other where it gives one too much.

    Raises:
        ContractError: if distillation is not soft: a divergence is of probabilities.

    References:
        Wang, Gong, Li, Liu, Chandra: AlphaNet: Improved Training of Supernets with
        Alpha-Divergence. ICML 2021.
    """
    if inputs.distillation != "soft":
        raise ContractError(
            "The rule alpha-divergence compares probabilities, so distillation must be 'soft', but "
            f"is {shown(inputs.distillation)}. Leave it out, or take the rule sandwich."
        )

    def loss(one: Pass) -> Tensor:
        if one.number == 0:
            return inputs.loss(one.logits, one.labels, one.images)
        return adaptive(one.logits, one.first)

    return Rule(N_BETWEEN + 2, rows_between(inputs, lambda step: inputs.draw(step.rng)), loss)


def adaptive(logits: Tensor, answers: Tensor) -> Tensor:
    """Mean over images of the larger one of two alpha-divergences.

    Args:
        logits: of the student, (n, classes).
        answers: of the teacher, without gradients, (n, classes).
    """
    low = divergence(logits, answers, LOWEST, LARGEST_RATIO)
    high = divergence(logits, answers, HIGHEST, LARGEST_RATIO)
    return torch.where(low > high, low, high).mean()


def divergence(
    logits: Tensor, answers: Tensor, alpha: float, largest: float = float("inf")
) -> Tensor:
    """Alpha-divergence of a student q from its teacher p, for each image, (n,).

    That is the sum of q ((p/q)^alpha - 1) / (alpha (alpha - 1)), and for alpha = 1 its limit, the
    Kullback-Leibler divergence, the sum of p log(p/q). Powers of p/q stand in the gradient, too,
    and are cut in both, so that no image moves the weights beyond bounds; that of the limit is
    within bounds as it is, and is not cut.

    Args:
        logits: of the student, (n, classes).
        answers: of the teacher, without gradients, (n, classes).
        alpha: not 0.
        largest: what the powers are cut at.
    """
    log_q, log_p = logits.log_softmax(dim=1), answers.log_softmax(dim=1)
    q, log_ratio = log_q.detach().exp(), log_p - log_q.detach()
    if alpha == 1:
        return (log_p.exp() * (log_p - log_q)).sum(dim=1)
    power = (alpha * log_ratio).exp().clamp(max=largest)
    value = (q * (power - 1)).sum(dim=1) / (alpha * (alpha - 1))
    # The gradient of the sum of q^(1 - alpha) p^alpha, with powers that are cut, not left out.
    slope = -(q * power * log_q).sum(dim=1) / alpha
    return value + slope - slope.detach()
