"""Training rules and a draw of networks as users write them, and wrong rules."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import Pass, Rule, RuleInputs, Step
from tailorbird.training.shared.route_sampling import Draw


def pair(inputs: RuleInputs) -> Rule:
    """Two networks a step, of which the second one learns from the first as well."""

    def rows(step: Step) -> IntArray:
        return np.stack([inputs.draw(step.rng), inputs.draw(step.rng)])

    def loss(one: Pass) -> Tensor:
        value = inputs.loss(one.logits, one.labels, one.images)
        return value if one.number == 0 else value + (one.logits - one.first).square().mean() / 10

    return Rule(2, rows, loss)


def slow_pair(inputs: RuleInputs) -> Rule:
    """As `pair`, with time to be killed in; it says when a step begins."""
    rule = pair(inputs)

    def rows(step: Step) -> IntArray:
        with Path("steps").open("a") as steps:
            steps.write("x")
        time.sleep(0.05)
        return rule.rows(step)

    return replace(rule, rows=rows)


def in_order(space: SharedSpace, seed: int) -> Draw:
    """Draws the reference architectures alone."""
    return lambda rng: np.asarray(rng.choice(space.landmarks))


def single(inputs: RuleInputs, **changed: Any) -> Rule:
    rows = [smallest_and_largest(inputs.space)[0]]
    fields: dict[str, Any] = {
        "n_passes": 1,
        "rows": lambda step: np.stack(rows),
        "loss": lambda one: inputs.loss(one.logits, one.labels, one.images),
    }
    return Rule(**(fields | changed))


def no_rule(inputs: RuleInputs) -> Any:
    return [1, 2]


def no_passes(inputs: RuleInputs) -> Rule:
    return single(inputs, n_passes=0)


def half_a_pass(inputs: RuleInputs) -> Rule:
    return single(inputs, n_passes=0.5)


def fewer_passes(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: inputs.space.landmarks[[0, 0]])


def no_rows(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: inputs.space.landmarks[:0])


def one_row(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: inputs.space.landmarks[0])


def narrow_rows(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: inputs.space.landmarks[:1, :-1])


def ragged_rows(inputs: RuleInputs) -> Rule:
    return single(inputs, n_passes=2, rows=lambda step: [[0], [0, 1]])


def float_rows(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: inputs.space.landmarks[:1] + 0.0)


def rows_out_of_range(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: inputs.space.landmarks[:1] + 99)


def negative_rows(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: inputs.space.landmarks[:1] - 9)


def uncanonical(inputs: RuleInputs) -> Rule:
    """Rows of which `repair` makes others."""
    n_choices = [len(variable.choices) for variable in inputs.space.variables]
    X = np.random.default_rng(0).integers(n_choices, size=(500, len(n_choices)))
    wrong = X[(inputs.space.repair(X) != X).any(axis=1)][:1]
    assert len(wrong)
    return single(inputs, rows=lambda step: wrong)


def chance(inputs: RuleInputs) -> Rule:
    rng = np.random.default_rng()
    return single(inputs, rows=lambda step: inputs.space.sample(1, rng))


def many_losses(inputs: RuleInputs) -> Rule:
    return single(inputs, loss=lambda one: one.logits)


def float_loss(inputs: RuleInputs) -> Rule:
    return single(inputs, loss=lambda one: float(one.logits.detach().mean()))


def detached_loss(inputs: RuleInputs) -> Rule:
    return single(inputs, loss=lambda one: one.logits.detach().mean())


def nan_loss(inputs: RuleInputs) -> Rule:
    return single(inputs, loss=lambda one: one.logits.mean() * torch.nan)


def raising_loss(inputs: RuleInputs) -> Rule:
    def loss(one: Pass) -> Tensor:
        raise LookupError("no loss today")

    return single(inputs, loss=loss)


def exiting_loss(inputs: RuleInputs) -> Rule:
    return single(inputs, loss=lambda one: sys.exit(3))


def raising(inputs: RuleInputs) -> Rule:
    raise LookupError("no rule today")


def exiting_rows(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=lambda step: sys.exit(0))


def no_function(inputs: RuleInputs) -> Rule:
    return single(inputs, rows=None)


NOT_CALLABLE = 7
