"""What training relies on in a rule, which says what a step of a supernet trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from arrays import arrays
from torch import Tensor

from tailorbird.progress import Advance, NoProgress
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import Rule, Step, SupernetTraining, digits, train_supernet
from tailorbird.training.data.arrays import Split
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.shared.network import SharedNetwork, fresh
from tailorbird.training.supernet.rules import RuleMaker, rows_of
from tailorbird.training.supernet.train import losses_of, rule_of
from tailorbird.training.supernet.trial import check_rule
from tailorbird.training.trial import Batch

N_STEPS, N_IMAGES = 40, 4
SOME_STEPS = range(0, N_STEPS, 8)


class Interrupted(NoProgress):
    """Is interrupted after the first epoch."""

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Advance]:
        def advance(what: str = "") -> None:
            raise InterruptedError(what)

        yield advance


class TrainingRuleContract:
    """Needs fixtures `space`, of networks for images of digits, and `make`, the rule's maker.

    Attributes:
        epochs: that it takes to learn many of a hundred images, in steps of twenty.
        least: accuracy that the smallest and the largest network must have on them.
    """

    epochs = 60
    least = 0.25, 0.7

    @pytest.fixture
    def space(self) -> SharedSpace:
        raise NotImplementedError

    @pytest.fixture
    def make(self) -> RuleMaker:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Iterator[None]:
        """Sums of one network are then always taken in the same order."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    @pytest.fixture
    def data(self) -> Dataset:
        """A hundred images of digits to learn."""
        whole = digits.load()
        few = Split(arrays(whole.train).images[:100], whole.train.labels[:100])
        return replace(whole, train=few)

    @pytest.fixture
    def settings(self) -> SupernetTraining:
        return SupernetTraining(self.epochs, seed=0, batch=20, program="of a test")

    @pytest.fixture
    def rule(self, space: SharedSpace, make: RuleMaker, settings: SupernetTraining) -> Rule:
        return rule_of(space, settings, make)

    @pytest.fixture
    def network(self, space: SharedSpace) -> SharedNetwork:
        return fresh(space, 0).train()

    @pytest.fixture
    def batch(self, data: Dataset) -> Batch:
        index = np.arange(N_IMAGES)
        return Batch(data.train.batch(index), torch.from_numpy(data.train.labels[index]))

    def rows(self, space: SharedSpace, rule: Rule, network: SharedNetwork, n: int) -> IntArray:
        """Rows of step n, whose images are all black."""
        images = torch.zeros(N_IMAGES, *space.input_shape[1:])
        labels = torch.zeros(N_IMAGES, dtype=torch.int64)
        step = Step(np.random.default_rng([0, n]), images, labels, network, n, N_STEPS)
        return rows_of(space, rule, step)

    def test_the_check_of_recipes_accepts_it(
        self, space: SharedSpace, rule: Rule, network: SharedNetwork, batch: Batch
    ) -> None:
        before = {name: tensor.clone() for name, tensor in network.named_parameters()}
        check_rule(space, network, rule, batch)
        for name, tensor in network.named_parameters():
            assert torch.equal(tensor, before[name])
            assert tensor.grad is None

    def test_rows_are_canonical_and_within_its_passes(
        self, space: SharedSpace, rule: Rule, network: SharedNetwork
    ) -> None:
        for n in SOME_STEPS:
            X = self.rows(space, rule, network, n)
            assert 1 <= len(X) <= (rule.n_networks or rule.n_passes)
            np.testing.assert_array_equal(space.repair(X), X)

    def test_a_step_has_the_same_rows_again(
        self, space: SharedSpace, rule: Rule, network: SharedNetwork
    ) -> None:
        first = {n: self.rows(space, rule, network, n) for n in SOME_STEPS}
        for n in reversed(SOME_STEPS):  # whatever was asked for before
            np.testing.assert_array_equal(self.rows(space, rule, network, n), first[n])

    def test_all_sorts_of_networks_are_trained(
        self, space: SharedSpace, rule: Rule, network: SharedNetwork
    ) -> None:
        every = [self.rows(space, rule, network, n) for n in range(N_STEPS)]
        assert np.mean([len(rows) for rows in every]) <= rule.n_passes
        X = np.concatenate(every)
        seen = {piece for row in np.unique(X, axis=0) for piece in space.route(row)}
        kinds = {piece.kind for piece in space.pieces}
        assert {piece.kind for piece in seen} == kinds
        assert len(seen) > len(space.pieces) / 2

    def test_each_loss_is_a_number_with_gradients(
        self, space: SharedSpace, rule: Rule, network: SharedNetwork, batch: Batch
    ) -> None:
        for n in (0, N_STEPS // 2, N_STEPS - 1):
            losses: list[Tensor] = []
            for loss in losses_of(space, network, rule, 0, N_STEPS)(n, batch.images, batch.labels):
                assert loss.ndim == 0
                assert loss.isfinite()
                network.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
                grads = [p.grad for p in network.parameters() if p.grad is not None]
                assert all(grad.isfinite().all() for grad in grads)
                assert any(grad.any() for grad in grads)
                losses.append(loss)
            assert len(losses) == len(self.rows_seen(space, rule, network, batch, n))

    def rows_seen(
        self, space: SharedSpace, rule: Rule, network: SharedNetwork, batch: Batch, n: int
    ) -> IntArray:
        """Rows of step n with these images."""
        rng = np.random.default_rng([0, n])
        step = Step(rng, batch.images, batch.labels, network, n, N_STEPS)
        return rows_of(space, rule, step)

    def test_what_was_interrupted_ends_the_same(
        self, space: SharedSpace, make: RuleMaker, data: Dataset, tmp_path: Path
    ) -> None:
        settings = SupernetTraining(2, seed=0, batch=10, program="of a test")
        data = replace(data, train=Split(arrays(data.train).images[:60], data.train.labels[:60]))
        whole = train_supernet(space, data, settings, tmp_path / "whole", NoProgress(), rule=make)
        broken = tmp_path / "broken"
        with pytest.raises(InterruptedError):
            train_supernet(space, data, settings, broken, Interrupted(), rule=make)
        assert [*broken.glob("*.checkpoint.safetensors")]
        resumed = train_supernet(space, data, settings, broken, NoProgress(), rule=make)
        assert resumed.fingerprint == whole.fingerprint

    @pytest.mark.long
    def test_networks_learn(
        self,
        space: SharedSpace,
        make: RuleMaker,
        settings: SupernetTraining,
        data: Dataset,
        tmp_path: Path,
    ) -> None:
        trained = train_supernet(space, data, settings, tmp_path, NoProgress(), rule=make)
        accuracies = trained.evaluate(smallest_and_largest(space), data.train)
        assert (accuracies >= np.array(self.least)).all()
