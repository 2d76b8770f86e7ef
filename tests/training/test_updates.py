"""How often parts of networks learned is counted, and told where it is seldom."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_spaces import space_of
from torch import Tensor, nn

from tailorbird.progress import NoProgress
from tailorbird.training import SupernetTraining, saving, train_supernet
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.shared.route_sampling import draw_of
from tailorbird.training.updates import FEW, Updates

SETTINGS = SupernetTraining(8, 0, batch=20)


def expected(data: Dataset, settings: SupernetTraining) -> Counter[str]:
    """Steps of each part, from the networks that each step draws."""
    space = space_of("own-net")
    draw, counts = draw_of(settings.routes, space, settings.seed), Counter[str]()
    for step in range(settings.epochs * len(data.train.labels) // settings.batch):
        row = draw(np.random.default_rng([settings.seed, step]))
        counts.update({piece.weights for piece in space.route(row)})
    return counts


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [m for m in caplog.messages if "parts learned in" in m]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_supernets_tell_how_often_their_parts_learned(
    few_digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_stopped: bool,
) -> None:
    """However often training was stopped."""
    monkeypatch.setattr(saving, "_SAVED_EVERY_S", 0)
    steps = 0

    def failing(images: Tensor, generator: torch.Generator) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 7:
            raise InterruptedError
        return images

    space = space_of("own-net")
    data = replace(few_digits, augment=failing)
    if is_stopped:
        with pytest.raises(InterruptedError):
            train_supernet(space, data, SETTINGS, tmp_path, NoProgress())
    with caplog.at_level(logging.INFO, "tailorbird"):
        train_supernet(space, few_digits, SETTINGS, tmp_path, NoProgress())
    counts = expected(few_digits, SETTINGS)
    assert {*counts} == {piece.weights for piece in space.pieces}
    least = min(counts.values())
    all_of_them, few = told(caplog)
    assert f"each of {len(counts)} parts learned in {least} steps or more" in all_of_them
    assert all_of_them.endswith(f"half of them in {np.median([*counts.values()]):g}")
    n_few = sum(n < FEW for n in counts.values())
    assert f"{n_few} of {len(counts)} parts learned in fewer than 100 steps" in few
    assert few.startswith("supernet of own-net")
    assert few.endswith("Raise supernet_epochs, or lower batch or routes_per_step.")


def test_nothing_is_warned_of_where_all_parts_learned(
    few_digits: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(SETTINGS, epochs=80, batch=10, learning_rates={"head": 0.1})
    with caplog.at_level(logging.INFO, "tailorbird"):
        train_supernet(space_of("own-net"), few_digits, settings, tmp_path, NoProgress())
    n_steps = 80 * len(few_digits.train.labels) // 10
    (only,) = told(caplog)
    assert f"each of 1 parts learned in {n_steps} steps or more" in only


def test_parts_are_counted_whatever_of_their_weights_learned() -> None:
    net = nn.Module()
    a, b, c = (nn.Linear(2, 2) for _ in range(3))
    net.parts = nn.ModuleDict({"a": a, "b": b, "c": c})
    updates = Updates.of(net, [*a.parameters(), *b.parameters()])
    assert updates.counts == {"a": 0, "b": 0}
    for learned in ([a.weight], [a.bias], [b.bias, c.bias], []):
        net.zero_grad()
        for p in learned:
            p.grad = torch.zeros_like(p)
        updates.add()
    assert updates.counts == {"a": 2, "b": 1}
    assert updates.few == ["b", "a"]
