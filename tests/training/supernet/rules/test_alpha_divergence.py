"""Alpha-divergence: what it is worth, where its gradient leads, and what bounds it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from shared_spaces import assert_same, space_of
from supernet_steps import inputs, passes
from torch import Tensor

from tailorbird.errors import ContractError
from tailorbird.training.supernet.rules.alpha_divergence import (
    HIGHEST,
    LARGEST_RATIO,
    LOWEST,
    adaptive,
    alpha_divergence,
    divergence,
)

ALPHAS = [-1.0, -0.3, 0.5, 1.0, 2.0]


def logits_of(seed: int, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(6, 10, generator=generator, dtype=torch.float64)


def definition(logits: Tensor, answers: Tensor, alpha: float) -> Tensor:
    """As the paper writes it, in probabilities."""
    q, p = logits.softmax(1), answers.softmax(1)
    if alpha == 1:
        return (p * (p / q).log()).sum(1)
    return (q * ((p / q) ** alpha - 1)).sum(1) / (alpha * (alpha - 1))


def slope_of(value: Tensor, logits: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return gradient


@pytest.mark.parametrize("alpha", ALPHAS)
def test_it_is_zero_where_both_agree_and_above_elsewhere(alpha: float) -> None:
    answers = logits_of(0)
    same = (answers + 3).requires_grad_()  # of the same probabilities
    value = divergence(same, answers, alpha)
    torch.testing.assert_close(value.detach(), torch.zeros(6, dtype=torch.float64))
    assert slope_of(value, same).abs().max() < 1e-12
    assert (divergence(logits_of(1), answers, alpha) > 0.01).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_value_and_gradient_are_those_of_the_definition(alpha: float) -> None:
    answers, logits, h = logits_of(0), logits_of(1).requires_grad_(), 1e-5
    value = divergence(logits, answers, alpha)
    torch.testing.assert_close(value, definition(logits, answers, alpha))
    found, at = slope_of(value, logits), logits.detach()
    for k in range(at.shape[1]):
        there = torch.zeros_like(at)
        there[:, k] = h
        ahead, behind = (definition(at + s * there, answers, alpha) for s in (1, -1))
        torch.testing.assert_close(found[:, k], (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("off", [1e-4, -1e-4])
def test_its_limit_at_one_is_the_divergence_of_kullback_and_leibler(off: float) -> None:
    answers, logits = logits_of(0), logits_of(1).requires_grad_()
    expected = F.kl_div(
        logits.log_softmax(1), answers.log_softmax(1), reduction="none", log_target=True
    ).sum(1)
    slope = slope_of(expected, logits)
    torch.testing.assert_close(divergence(logits, answers, 1.0), expected)
    near = divergence(logits, answers, 1 + off)
    torch.testing.assert_close(near, expected, rtol=1e-3, atol=0)
    torch.testing.assert_close(slope_of(near, logits), slope, rtol=1e-2, atol=1e-4)


def test_no_image_moves_the_weights_beyond_bounds() -> None:
    """A student that is sure of what its teacher excludes would move them without any."""
    answers, logits = logits_of(0, spread=20), logits_of(1, spread=20).requires_grad_()
    free = slope_of(divergence(logits, answers, LOWEST), logits).abs().sum(1)
    assert free.max() > 1e3
    cut = slope_of(divergence(logits, answers, LOWEST, LARGEST_RATIO), logits).abs().sum(1)
    assert cut.max() <= 2 * LARGEST_RATIO
    assert (cut > 0).all()  # cut, not left out
    few = logits_of(2, spread=0.1)  # nothing to cut
    assert_same(divergence(few, few.flip(1), -1), divergence(few, few.flip(1), -1, LARGEST_RATIO))


def test_each_image_has_the_larger_one_of_both() -> None:
    answers, logits = logits_of(0, spread=3), logits_of(1).requires_grad_()
    both = [divergence(logits, answers, alpha, LARGEST_RATIO) for alpha in (LOWEST, HIGHEST)]
    lower, higher = (np.array(one.tolist()) for one in both)
    assert 0 < (lower > higher).sum() < len(lower)
    value = adaptive(logits, answers)
    assert value.item() == pytest.approx(np.maximum(lower, higher).mean())
    low, high = (slope_of(one, logits) for one in both)
    picked = torch.where(torch.from_numpy(lower > higher)[:, None], low, high)
    torch.testing.assert_close(slope_of(value, logits), picked / len(lower))


def test_networks_learn_from_the_first_which_learns_from_labels() -> None:
    rule = alpha_divergence(inputs(space_of("own-net")))
    first, other = passes(0), passes(2)
    assert_same(rule.loss(first), F.cross_entropy(first.logits, first.labels))
    assert_same(rule.loss(other), adaptive(other.logits, other.first))
    agreed = replace(other, logits=other.first.clone())
    assert rule.loss(agreed).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("distillation", ["hard", "none"])
def test_what_compares_no_probabilities_is_refused(distillation: str) -> None:
    with pytest.raises(ContractError, match=f"must be 'soft', but is '{distillation}'"):
        alpha_divergence(inputs(space_of("own-net"), distillation=distillation))
