from collections import Counter

import numpy as np
import pytest
import torch
from arrays import arrays
from numpy.typing import NDArray
from own_shared import refined
from shared_spaces import assert_same, images_of, trained
from torch import nn

from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Split, Trained
from tailorbird.training.data import digits
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.prefixes import Prefixes


@pytest.fixture
def split() -> Split:
    """Two batches."""
    validation = digits.load().validation
    return Split(arrays(validation).images[:270], validation.labels[:270])


def test_routes_run_together_answer_as_one_by_one_bit_for_bit(
    one_stitch: StitchSpace, varied: Trained, split: Split
) -> None:
    seen: list[NDArray[np.float32]] = []

    def score(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
        assert labels is split.labels
        seen.append(outputs)
        return float((outputs.argmax(axis=1) == labels).mean())

    X = np.concatenate(list(one_stitch.enumerate()))
    together = Trained(one_stitch, varied.network, varied._train, score)
    scores = together.evaluate(X, split)
    assert len({output.tobytes() for output in seen}) == len(X)  # networks differ
    for row, outputs, value in zip(X, seen, scores, strict=True):
        network = varied.extract(row)
        with torch.inference_mode():
            batches = [
                network(split.batch(np.arange(first, end))).numpy()
                for first, end in ((0, 250), (250, 270))
            ]
        np.testing.assert_array_equal(np.concatenate(batches), outputs)
        assert value == np.mean(outputs.argmax(axis=1) == split.labels)


def test_every_beginning_is_run_once(one_stitch: StitchSpace, varied: Trained) -> None:
    routes = [one_stitch.route(row) for row in np.concatenate(list(one_stitch.enumerate()))]
    beginnings = {route[:n] for route in routes for n in range(1, len(route) + 1)}
    prefixes = Prefixes(varied.network, routes, varied._calibration())
    assert prefixes.n_prefixes == len(beginnings) < sum(map(len, routes))
    n_run = 0

    def count(*_: object) -> None:
        nonlocal n_run
        n_run += 1

    hook = torch.nn.modules.module.register_module_forward_hook
    own = {id(m) for route in routes for m in prefixes.modules_of(route)}
    handle = hook(lambda module, *_: count() if id(module) in own else None)
    try:
        answered = [route for route, _ in prefixes.outputs(torch.randn(2, 1, 8, 8))]
    finally:
        handle.remove()
    assert n_run == len(beginnings)
    assert Counter(answered) == Counter(routes)


def test_norms_are_calibrated_on_what_comes_through_each_beginning(
    one_stitch: StitchSpace, varied: Trained
) -> None:
    """As torch's own norms do when the calibration images pass one network alone."""
    before = {name: t.clone() for name, t in varied.network.state_dict().items()}
    rows = one_stitch.sample(6, np.random.default_rng(0))
    assert rows[:, 1:].any()
    varied.prepare(rows)
    for row in rows:
        alone = one_stitch.build(row)
        weights = dict(varied.set_route(row).named_parameters())
        alone.load_state_dict(weights, strict=False)
        for module in alone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # a plain average
        alone.train()(*varied._calibration())
        for name, statistic in varied.set_route(row).named_buffers():
            torch.testing.assert_close(statistic, alone.get_buffer(name))
    for name, tensor in varied.network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_routes_that_are_beginnings_of_others_are_run_as_well() -> None:
    space = refined()
    rows = np.concatenate(list(space.enumerate()))
    routes = [space.route(row) for row in rows]
    assert sorted(map(len, routes)) == [2, 3, 4, 5]
    one, split = trained(space), images_of(space, 6)
    x = split.batch(np.arange(6))
    together = dict(Prefixes(one.network, routes, one._calibration()).outputs(x))
    answers = []
    for row, route in zip(rows, routes, strict=True):
        with torch.no_grad():
            alone = one.extract(row)(x)
        assert_same(alone, together[route])
        answers.append(alone.argmax(dim=1).numpy())
    np.testing.assert_array_equal(
        one.evaluate(rows, split), (np.array(answers) == split.labels).mean(axis=1)
    )


def test_the_same_prefix_is_not_mixed_up_between_networks(one_stitch: StitchSpace) -> None:
    torch.manual_seed(1)
    one, two = SharedNetwork(one_stitch).eval(), SharedNetwork(one_stitch).eval()
    split = digits.load().train
    row = one_stitch.landmarks[0]
    x = torch.from_numpy(arrays(split).images[:4])
    first = Trained(one_stitch, one, split).set_route(row)(x)
    second = Trained(one_stitch, two, split).set_route(row)(x)
    assert not torch.equal(first, second)
