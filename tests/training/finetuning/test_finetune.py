"""Training one network alone: where it starts, what is kept, loaded and gone on from."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arrays import arrays
from own_shared_net import SharedPerceptrons
from safetensors.torch import load_file
from shared_spaces import OWN, SHIPPED, assert_same, images_of, rows_of, space_of, trained
from torch import Tensor, nn

from tailorbird.progress import Advance, NoProgress
from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.shared import KINDS, smallest_and_largest
from tailorbird.training import Dataset, Split, Trained, fit
from tailorbird.training.data.loading import seed_of
from tailorbird.training.finetuning.difference import difference
from tailorbird.training.finetuning.one_network import OneNetwork, taken_out
from tailorbird.training.finetuning.settings import Finetuning
from tailorbird.training.finetuning.train import Finetuned, finetune, load, train_alone
from tailorbird.training.score import Score, accuracy

SETTINGS = Finetuning(2, 0, dict.fromkeys(KINDS, 0.03), 25)


class OneName(SharedPerceptrons):
    """All layers have windows of the same weights."""

    def _route(self, row: IntArray) -> tuple[Piece, ...]:
        return tuple(
            replace(piece, weights="layer") if piece.kind == "block" else piece
            for piece in super()._route(row)
        )


class StoppedError(Exception):
    """Ends training at an epoch."""


class StoppedProgress(NoProgress):
    def __init__(self, n: int) -> None:
        self.n = n

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        def advance(done: str) -> None:
            self.n -= 1
            if not self.n:
                raise StoppedError

        yield advance


def space_named(name: str) -> SharedSpace:
    return OneName(2) if name == "one name" else space_of(name)


def of(trained: Trained, row: IntArray, data: Dataset, folder: Path, **more: object) -> Finetuned:
    settings = replace(SETTINGS, **more)  # type: ignore[arg-type]  # some of its fields
    return finetune(trained, row, data, settings, folder, NoProgress())


def state(trained: Trained) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}


@pytest.mark.long
@pytest.mark.parametrize("name", ["one name", *OWN, *SHIPPED])
def test_a_network_starts_as_the_one_that_is_exported(name: str) -> None:
    """Bit for bit, also where several of its parts have windows of the same weights."""
    space = space_named(name)
    all_networks = trained(space)
    x = torch.from_numpy(images_of(space, 4, seed=2).images)
    for row in rows_of(space, 6):
        one = OneNetwork(space, row)
        before = {n: t.clone() for n, t in all_networks.network.state_dict().items()}
        alone = Trained(one, taken_out(one, all_networks.network), all_networks._train)
        with torch.inference_mode():
            assert_same(alone.extract(row)(x), all_networks.extract(row)(x))
        with torch.no_grad():
            for parameter in alone.network.parameters():
                parameter.add_(1.0)  # which is its own
        assert all(torch.equal(t, before[n]) for n, t in all_networks.network.state_dict().items())


@pytest.mark.long
def test_a_network_learns_and_is_loaded_the_next_time(few_digits: Dataset, tmp_path: Path) -> None:
    space = space_of("own-net")
    shared = trained(space)
    row = smallest_and_largest(space)[1]
    kept = state(shared)
    found = of(shared, row, few_digits, tmp_path, epochs=12, distillation="none")
    assert found.has_changed
    scores = [t.evaluate(row[None], few_digits.validation)[0] for t in (found.before, found.after)]
    assert scores[0] == shared.evaluate(row[None], few_digits.validation)[0]
    assert scores[1] > scores[0] + 0.2  # it had learned nothing
    assert all(torch.equal(tensor, kept[name]) for name, tensor in state(shared).items())
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert [path.suffixes for path in files] == [[".safetensors"]]
    again = of(shared, row, few_digits, tmp_path, epochs=12, distillation="none")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    x = torch.from_numpy(arrays(few_digits.test).images)
    assert_same(again.after.extract(row)(x), found.after.extract(row)(x))


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 3},
        {"seed": 1},
        {"batch": 20},
        {"learning_rates": {"block": 0.01}},
        {"distillation": "hard"},
        {"teacher": "mine:other"},
        {"measure": "mine:score"},
    ],
)
def test_what_decides_weights_trains_anew(
    few_digits: Dataset, tmp_path: Path, other: dict[str, object]
) -> None:
    space = space_of("own-net")
    shared, row = trained(space), space.landmarks[0]
    settings = replace(SETTINGS, **other)  # type: ignore[arg-type]  # some of its fields
    of(shared, row, few_digits, tmp_path)
    assert load(shared, row, few_digits, SETTINGS, tmp_path) is not None
    assert load(shared, row, few_digits, settings, tmp_path) is None
    data = replace(few_digits, validation=few_digits.test)
    assert load(shared, row, data, SETTINGS, tmp_path) is None
    assert load(shared, space.landmarks[-1], few_digits, SETTINGS, tmp_path) is None
    with torch.no_grad():
        next(shared.network.parameters()).mul_(1.01)  # the teacher's, or the network's own
    assert load(shared, row, few_digits, SETTINGS, tmp_path) is None


@pytest.mark.long
def test_a_network_that_gets_worse_is_kept_as_it_was(few_digits: Dataset, tmp_path: Path) -> None:
    space = space_of("own-net")
    row = space.landmarks[-1]
    good = of(trained(space), row, few_digits, tmp_path, epochs=12).after
    (before,) = good.evaluate(row[None], few_digits.validation)
    wrong = (few_digits.train.labels + 1) % 10
    data = replace(few_digits, train=Split(arrays(few_digits.train).images, wrong))
    settings = replace(SETTINGS, epochs=12, distillation="none")
    found = finetune(good, row, data, settings, tmp_path / "worse", NoProgress())
    assert not found.has_changed
    assert_same(
        found.after.extract(row)(torch.from_numpy(arrays(data.test).images)),
        found.before.extract(row)(torch.from_numpy(arrays(data.test).images)),
    )
    assert found.after.evaluate(row[None], data.validation)[0] == before
    again = load(good, row, data, settings, tmp_path / "worse")
    assert again is not None
    assert not again.has_changed


def test_a_network_that_gets_no_better_is_kept_as_it_was(
    few_digits: Dataset, tmp_path: Path
) -> None:
    """Weights that have hardly moved are as good: those of before are kept, bit for bit."""
    space = space_of("own-net")
    shared, row = trained(space), space.landmarks[-1]
    rates = dict.fromkeys(KINDS, 1e-12)
    found = of(shared, row, few_digits, tmp_path, learning_rates=rates)
    assert not found.has_changed
    (file,) = tmp_path.iterdir()
    kept = found.before.network.state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in load_file(file).items())


@pytest.mark.parametrize("teacher", [None, "own"])
@pytest.mark.parametrize("distillation", ["soft", "hard", "none"])
def test_a_network_learns_from_the_largest_or_a_teacher(
    few_digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    teacher: str | None,
    distillation: str,
) -> None:
    """The loss of the first step is that of labels and answers, computed here by hand."""
    space = space_of("own-net")
    shared, row = trained(space), space.landmarks[0]
    torch.manual_seed(3)
    own = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) if teacher else None
    settings = replace(SETTINGS, distillation=distillation, teacher=teacher)
    told: list[float] = []
    take = fit._Learning.take

    def watched(learning: fit._Learning, *step: Any) -> Tensor:
        value = take(learning, *step)
        told.append(value.item())
        return value

    monkeypatch.setattr(fit._Learning, "take", watched)
    finetune(shared, row, few_digits, settings, tmp_path, NoProgress(), teacher=own)
    order = np.random.default_rng([0, 0]).permutation(100)[:25]
    images = few_digits.train.batch(order)
    labels = torch.from_numpy(few_digits.train.labels[order])
    data = replace(few_digits, augment=few_digits.augment)
    generator = torch.Generator().manual_seed(seed_of(0, 0))
    images = data.augment(images, generator)
    largest = shared.extract(smallest_and_largest(space)[1])
    one = OneNetwork(space, row)
    network = taken_out(one, shared.network).train()
    with torch.no_grad():
        logits = network(images, one.route(row)).double().log_softmax(1)
        answers = (own or largest)(images).double()
    expected = -logits[torch.arange(25), labels].mean()
    if distillation != "none":
        wanted = answers.softmax(1)
        if distillation == "hard":
            wanted = nn.functional.one_hot(answers.argmax(1), 10).double()
        expected = (expected - (wanted * logits).sum(1).mean()) / 2
    assert told[0] == pytest.approx(expected.item(), rel=1e-5)


def test_training_that_was_stopped_ends_the_same(few_digits: Dataset, tmp_path: Path) -> None:
    space = space_of("digits-resnet")
    shared, row = trained(space), space.landmarks[0]
    weights = []
    for name, n in (("whole", 0), ("stopped", 2)):
        folder = tmp_path / name
        if n:
            with pytest.raises(StoppedError):
                finetune(shared, row, few_digits, SETTINGS, folder, StoppedProgress(n))
            assert [*folder.glob("*.checkpoint.safetensors")]
        of(shared, row, few_digits, folder)
        (file,) = folder.iterdir()
        weights.append(load_file(file))
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


@pytest.mark.long
def test_from_scratch_nothing_is_known(few_digits: Dataset, tmp_path: Path) -> None:
    """Weights come from the seed alone, and what was trained is loaded."""
    space = space_of("own-net")
    row = space.landmarks[-1]
    made = [
        train_alone(
            space, row, few_digits, replace(SETTINGS, epochs=3), tmp_path / name, NoProgress()
        )
        for name in ("one", "one", "other")
    ]
    x = torch.from_numpy(arrays(few_digits.test).images)
    outputs = [alone.extract(row)(x) for alone in made]
    assert_same(outputs[0], outputs[1])
    assert_same(outputs[0], outputs[2])
    assert len([*(tmp_path / "one").iterdir()]) == 1
    other = train_alone(
        space, row, few_digits, replace(SETTINGS, epochs=3, seed=1), tmp_path, NoProgress()
    )
    assert not torch.equal(other.extract(row)(x), outputs[0])


def half(outputs: np.ndarray, labels: np.ndarray) -> float:
    return accuracy(outputs, labels) / 2


@pytest.mark.long
@pytest.mark.parametrize(("score", "scale"), [(accuracy, 1.0), (half, 0.5)])
def test_differences_are_paired(
    few_digits: Dataset, tmp_path: Path, score: Score, scale: float
) -> None:
    """Only images that one of the networks is right on count, whatever both are right on."""
    space = space_of("own-net")
    row, split = space.landmarks[-1], few_digits.test
    one, other = (
        train_alone(
            space, row, few_digits, replace(SETTINGS, seed=n, epochs=10 + n), tmp_path, NoProgress()
        )
        for n in (0, 1)
    )
    right = [
        t.extract(row)(torch.from_numpy(arrays(split).images)).argmax(1).numpy() == split.labels
        for t in (one, other)
    ]
    found = difference(one, other, row, split, score)
    only = [np.count_nonzero(right[0] & ~right[1]), np.count_nonzero(right[1] & ~right[0])]
    n = len(split.labels)
    assert min(only) > 0
    mean = (only[0] - only[1]) / n
    assert found.mean == pytest.approx(scale * mean)
    up, down = (only[0] + 1) / (n + 2), (only[1] + 1) / (n + 2)
    std = np.sqrt((up + down - (up - down) ** 2) / (n + 2))
    assert found.std == pytest.approx(scale * std, rel=1e-6 if score is accuracy else 0.4)
    same = difference(one, one, row, split, score)
    assert (same.mean, same.is_likely, same.is_sure) == (0, False, False)
