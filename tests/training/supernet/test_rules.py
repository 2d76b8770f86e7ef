"""Training rules: which networks a step trains, by which losses, and what a step costs."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import own_net
import pytest
import torch
import torch.nn.functional as F
from arrays import arrays
from shared_spaces import assert_same, space_of
from supernet_steps import N_STEPS, inputs, passes, step_of
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.progress import NoProgress
from tailorbird.registry.python_paths import load
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.spaces import IntArray, SharedSpace, Stage
from tailorbird.spaces.footprint import count_macs
from tailorbird.training import (
    Dataset,
    Pass,
    Rule,
    RuleInputs,
    SharedNetwork,
    Step,
    SupernetTraining,
    train_supernet,
)
from tailorbird.training.fit import Schedule
from tailorbird.training.shared.network import fresh
from tailorbird.training.shared.route_sampling import uniform
from tailorbird.training.supernet.rules.sandwich import sandwich
from tailorbird.training.supernet.rules.single_path import single_path
from tailorbird.training.supernet.train import losses_of, rule_of

RNG = np.random.default_rng


@pytest.fixture
def space() -> SharedSpace:
    return space_of("own-net")


def test_a_single_path_is_one_network_that_learns_from_labels(space: SharedSpace) -> None:
    rule = single_path(inputs(space))
    assert rule.n_passes == 1
    rows = [rule.rows(step_of(space, seed)) for seed in range(20)]
    expected = [uniform(space, 0)(RNG(seed))[None] for seed in range(20)]
    np.testing.assert_array_equal(rows, expected)
    one = passes(0)
    assert_same(rule.loss(one), F.cross_entropy(one.logits, one.labels))


@pytest.mark.parametrize("inner", [(1, 2), (1, 2, 3, 4, 5, 6), (1, 2, 100, 101, 102)])
@pytest.mark.parametrize("name", TRAINING_RULES)
def test_a_step_costs_the_passes_that_its_rule_says(name: str, inner: tuple[int, ...]) -> None:
    """Also of spaces with fewer networks than a step could look at."""
    space = own_net.of([Stage(own_net.Block, to=4, inner=inner)])
    rule: Rule = load(TRAINING_RULES[name].path)(inputs(space))
    first, n_forwards, n_trained = step_of(space), 0, 0

    def count_one(*_: object) -> None:
        nonlocal n_forwards
        n_forwards += 1

    first.network.register_forward_hook(count_one)
    for number in range(N_STEPS):
        n_trained += len(rule.rows(replace(first, number=number, rng=RNG(number))))
    assert (n_trained + n_forwards / 3) / N_STEPS == pytest.approx(rule.n_passes, rel=0.02)


def test_a_sandwich_is_the_largest_network_two_that_are_drawn_and_the_smallest(
    space: SharedSpace,
) -> None:
    rule = sandwich(inputs(space))
    assert rule.n_passes == 4
    macs = count_macs(space, np.concatenate(list(space.enumerate())))
    middle: list[tuple[int, ...]] = []
    for seed in range(20):
        rows = rule.rows(step_of(space, seed))
        assert rows.shape == (4, len(space.variables))
        found = count_macs(space, rows)
        assert (found[0], found[-1]) == (macs.max(), macs.min())
        rng, draw = RNG(seed), uniform(space, 0)
        np.testing.assert_array_equal(rows[1:3], [draw(rng), draw(rng)])
        middle += map(tuple, rows[1:3].tolist())
    assert len({*middle}) > 10


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("distillation", ["none", "hard", "soft"])
def test_networks_of_a_sandwich_learn_from_its_first(
    space: SharedSpace, distillation: str, number: int
) -> None:
    rule = sandwich(inputs(space, distillation=distillation))
    largest, one = passes(0), passes(number)
    assert_same(rule.loss(largest), F.cross_entropy(largest.logits, largest.labels))
    logs = one.logits.double().log_softmax(1)
    probabilities = {
        "none": F.one_hot(one.labels, 10).double(),
        "hard": F.one_hot(one.first.argmax(1), 10).double(),
        "soft": one.first.double().softmax(1),
    }[distillation]
    expected = -(probabilities * logs).sum(1).mean()
    assert rule.loss(one).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_first_network_is_told_to_all_others_without_gradients(space: SharedSpace) -> None:
    told: list[Pass] = []

    def loss(one: Pass) -> Tensor:
        told.append(one)
        return one.logits.mean()

    rule = replace(sandwich(inputs(space)), loss=loss)
    step = step_of(space)
    losses = losses_of(space, step.network, rule, 7, 4)(3, step.images, step.labels)
    for number, value in enumerate(losses):
        assert len(told) == number + 1  # one network at a time is in memory
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    assert [one.number for one in told] == [0, 1, 2, 3]
    assert_same(told[0].first, told[0].logits.detach())
    assert all(one.first is told[0].first and not one.first.requires_grad for one in told)
    rows = rule.rows(replace(step, rng=RNG([7, 3])))  # as the seed and the step's number say
    for one, row in zip(told, rows, strict=True):
        assert one.images is step.images
        assert_same(one.logits, step.network(step.images, space.route(row)))


def test_all_networks_of_a_step_move_the_weights_once(space: SharedSpace) -> None:
    """Gradients of a step are the sum over its networks."""
    step, rule = step_of(space), sandwich(inputs(space, distillation="none"))
    for value in losses_of(space, step.network, rule, 0, 1)(0, step.images, step.labels):
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    expected = fresh(space, 0).train()
    rows = rule.rows(replace(step, rng=RNG([0, 0])))
    total = [F.cross_entropy(expected(step.images, space.route(row)), step.labels) for row in rows]
    torch.stack(total).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    for (name, one), other in zip(
        step.network.named_parameters(), expected.parameters(), strict=True
    ):
        assert one.grad is not None, name
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize(
    ("epochs", "n_images", "n_passes", "n_steps"),
    [
        (3, 100, 1, 12),
        (3, 100, 4, 3),
        (1, 25, 4, 1),
        (2, 101, 4, 2),
        (5, 100, 3, 6),
        (0, 100, 4, 0),
    ],
)
def test_an_epoch_counts_passes_of_one_network(
    epochs: int, n_images: int, n_passes: int, n_steps: int
) -> None:
    assert Schedule(epochs, 25, 0, n_passes).n_steps(n_images) == n_steps


@pytest.mark.parametrize(("rule", "n_steps"), [("single-path", 16), ("sandwich", 4)])
def test_rules_cost_the_same(few_digits: Dataset, tmp_path: Path, rule: str, n_steps: int) -> None:
    """By the networks that run in training, each over the images of a step."""
    space = space_of("own-net")
    n_run, steps = count(), count()

    def augment(images: Tensor, generator: torch.Generator) -> Tensor:
        next(steps)
        return images

    def counted(module: nn.Module, *_: object) -> None:
        if isinstance(module, SharedNetwork) and module.training:
            next(n_run)

    settings = SupernetTraining(4, seed=0, batch=25, rule=rule)
    handle = nn.modules.module.register_module_forward_hook(counted)
    try:
        data = replace(few_digits, augment=augment)
        train_supernet(space, data, settings, tmp_path, NoProgress())
    finally:
        handle.remove()
    assert next(steps) == n_steps
    assert next(n_run) == 16


class Alternating:
    """The smallest network and the largest by turns, and a loss that is none of the shipped."""

    def __init__(self) -> None:
        self.rows: list[IntArray] = []

    def __call__(self, given: RuleInputs) -> Rule:
        def rows(step: Step) -> IntArray:
            self.rows.append(given.space.landmarks[[0, -1]][[int(step.rng.integers(2))]])
            return self.rows[-1]

        return Rule(1, rows, lambda one: one.logits.square().mean())


def test_a_rule_of_ones_own_decides_what_is_trained(few_digits: Dataset, tmp_path: Path) -> None:
    space, rule = space_of("own-net"), Alternating()
    settings = SupernetTraining(2, seed=0, batch=25, program="alternating")
    trained = train_supernet(space, few_digits, settings, tmp_path, NoProgress(), rule=rule)
    assert len(rule.rows) == 8
    assert len({tuple(row.tolist()) for (row,) in rule.rows}) == 2
    logits = trained.extract(space.landmarks[-1])(torch.from_numpy(arrays(few_digits.test).images))
    assert logits.abs().max() < 0.5  # that is what it was trained for


def test_a_rule_of_ones_own_that_is_not_named_is_refused(
    few_digits: Dataset, tmp_path: Path
) -> None:
    """Weights of the rule that settings name would be loaded in its place, and the reverse."""
    with pytest.raises(ContractError, match="`program`") as refused:
        train_supernet(
            space_of("own-net"),
            few_digits,
            SupernetTraining(2, seed=0),
            tmp_path,
            NoProgress(),
            rule=Alternating(),
        )
    assert "\n" not in str(refused.value)
    assert not [*tmp_path.iterdir()]


Wrong = Callable[[SharedSpace], IntArray]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda space: space.landmarks[:0], "one row at least"),
        (lambda space: space.landmarks[0], "rows of 6 choices each"),
        (lambda space: space.landmarks[:1].astype(float), "integers"),
        (lambda space: space.landmarks[[0, -1]], "n_passes must be at least the number"),
        (lambda space: space.landmarks[-1:] + 9, "canonical encodings"),
        (lambda space: np.array([[0, 0, 1, 1, 0, 0]]), "canonical"),
    ],
)
def test_rows_that_are_no_networks_are_refused(
    few_digits: Dataset, tmp_path: Path, rows: Wrong, message: str
) -> None:
    space = space_of("own-net")
    settings = SupernetTraining(1, seed=0, program="wrong")

    def make(given: RuleInputs) -> Rule:
        return Rule(1, lambda step: rows(space), lambda one: one.logits.mean())

    with pytest.raises(ContractError, match=message):
        train_supernet(space, few_digits, settings, tmp_path, NoProgress(), rule=make)


@pytest.mark.parametrize("distillation", ["soft", "hard", "none"])
def test_a_teacher_teaches_as_the_distillation_says(space: SharedSpace, distillation: str) -> None:
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    settings = SupernetTraining(1, 0, rule="single-path", distillation=distillation)
    rule = rule_of(space, settings, teacher=teacher)
    one = replace(passes(0), images=torch.randn(5, 1, 8, 8))
    answers = teacher(one.images).detach()
    own = F.cross_entropy(one.logits, one.labels)
    targets = {"soft": answers.softmax(1), "hard": answers.argmax(1)}
    taught = distillation in targets
    expected = (own + F.cross_entropy(one.logits, targets[distillation])) / 2 if taught else own
    torch.testing.assert_close(rule.loss(one), expected)
