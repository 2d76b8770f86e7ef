import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tailorbird import spaces
from tailorbird.errors import ScoreError
from tailorbird.predictors.accuracy.zero_cost import (
    ZeroCost,
    ZeroCostFeatures,
    scores,
    zero_cost_scores,
)
from tailorbird.predictors.accuracy.zero_cost.gradients import gradient_norm, gradsign
from tailorbird.predictors.accuracy.zero_cost.naswot import naswot
from tailorbird.predictors.accuracy.zero_cost.size import macs, parameters
from tailorbird.predictors.accuracy.zero_cost.synflow import synflow
from tailorbird.progress import Advance, NoProgress
from tailorbird.registry.zero_cost_scores import ZERO_COST_SCORES
from tailorbird.spaces import SearchSpace
from tailorbird.spaces.cells import NasBench201
from tailorbird.spaces.stitching import StitchSpace

SMALL = ("cifar-resnet", "digits-resnet", "fbnet", "macro-mobilenetv2", "nasbench201")
LARGE = (
    *("deit-ti-s-b", "deit3-s-l", "efficientnet-lite-0-1-2", "ofa-mobilenetv3"),
    *("resnet-18-50", "swin-ti-s-b"),
)


@dataclass
class Recorder(NoProgress):
    """Remembers what was finished."""

    finished: list[str] = field(default_factory=list)

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        yield self.finished.append


class Functional(nn.Module):
    """An activation that no hook sees, and a linear layer."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.activation(x).flatten(1))
        return logits


def batch_for(space: SearchSpace, n: int = 4) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    shape = (n, *space.input_shape[1:])
    return rng.standard_normal(shape, dtype=np.float32), rng.integers(10, size=n)


def images_of(*rows: list[float]) -> Tensor:
    """Grey images one pixel high."""
    return torch.tensor(rows)[:, None, None]


def small_network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
        )


def small_batch(n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, 6, 6, generator=generator), torch.arange(n) % 5


LINEAR_IMAGES, LINEAR_LABELS = images_of([1.0, -2.0], [3.0, 1.0]), torch.tensor([0, 0])


def linear_network() -> nn.Sequential:
    """Logits are zero, so the gradient of an image x of class 0 is (-x / 2, x / 2)."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    nn.init.zeros_(network.get_parameter("1.weight"))
    return network


def test_gradsign_counts_by_how_much_the_images_agree() -> None:
    # Of the first pixel both images say the same, of the second the opposite; for both classes.
    assert gradsign(linear_network(), LINEAR_IMAGES, LINEAR_LABELS) == 4.0
    alike = LINEAR_IMAGES.abs()
    assert gradsign(linear_network(), alike, LINEAR_LABELS) == 8.0  # 2 images, 4 parameters
    assert gradsign(linear_network(), 0 * alike, LINEAR_LABELS) == 0.0


def test_gradsign_takes_each_image_as_a_batch_of_its_own() -> None:
    network, (images, labels) = small_network(), small_batch()
    together = gradsign(network, images, labels)
    signs = []
    for image, label in zip(images, labels, strict=True):
        one = copy.deepcopy(network).train()
        F.cross_entropy(one(image[None]), label[None]).backward()  # type: ignore[no-untyped-call]
        signs.append(
            torch.cat([p.grad.flatten().sign() for p in one.parameters() if p.grad is not None])
        )
    assert together == float(torch.stack(signs).sum(0).abs().sum())
    assert 0 < together <= len(images) * parameters(network, images, labels)


def test_gradient_norm_is_that_of_the_mean_loss() -> None:
    # The mean image is (2, -1/2), so each class has the gradient (1, -1/4) or its opposite.
    expected = np.sqrt(2 * (1**2 + 0.25**2))
    assert gradient_norm(linear_network(), LINEAR_IMAGES, LINEAR_LABELS) == pytest.approx(expected)


def test_synflow_of_linear_layers_is_the_flow_through_each() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    first, second = torch.tensor([[1.0, -2.0], [-3.0, 4.0]]), torch.tensor([[-5.0, 6.0]])
    network.load_state_dict({"1.weight": first, "2.weight": second})
    flow = 5 * (1 + 2) + 6 * (3 + 4)  # of the absolute weights, for an image of ones
    found = synflow(network, LINEAR_IMAGES, LINEAR_LABELS)
    assert found == pytest.approx(np.log(2 * flow))  # each of two layers has all of it
    assert found == synflow(network, 7 * LINEAR_IMAGES, LINEAR_LABELS + 1)
    nn.init.zeros_(network.get_parameter("2.weight"))
    assert synflow(network, LINEAR_IMAGES, LINEAR_LABELS) == -np.inf


def test_synflow_of_a_deep_network_is_finite_and_no_statistics_matter() -> None:
    layers = [layer for _ in range(40) for layer in (nn.Linear(1000, 1000), nn.BatchNorm1d(1000))]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, -10.0)
    network = nn.Sequential(nn.Flatten(), *layers)
    images = torch.zeros(2, 1, 1, 1000)
    found = synflow(network, images, torch.tensor([0, 1]))
    assert 40 * np.log(1e4) < found < 40 * np.log(1e4) + 20  # float32 ends at 89
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.constant_(layer.running_mean, 1e3)  # type: ignore[arg-type]
            nn.init.constant_(layer.running_var, 1e9)  # type: ignore[arg-type]
    assert synflow(network, images, torch.tensor([0, 1])) == found


@pytest.mark.parametrize(
    "activation",
    [
        F.relu,
        nn.ReLU(inplace=True),
        F.relu6,
        F.hardswish,
        F.gelu,
        F.silu,
        F.leaky_relu,
        nn.PReLU(),
        lambda x: F.relu(x.clone(), inplace=True),
    ],
)
def test_naswot_sees_activations_however_they_are_applied(
    activation: Callable[[Tensor], Tensor],
) -> None:
    images = images_of([1.0, -1.0, 2.0], [3.0, 1.0, -2.0])  # on: 101 and 110, of which 1 is alike
    found = naswot(Functional(activation), images, torch.tensor([0, 1]))
    assert found == pytest.approx(np.log(3 * 3 - 1 * 1))


def test_naswot_adds_up_activations_and_knows_a_singular_kernel() -> None:
    images = images_of([1.0, -1.0, 2.0], [3.0, 1.0, -2.0])
    twice = Functional(lambda x: F.relu(x) + F.gelu(x))
    assert naswot(twice, images, torch.tensor([0, 1])) == pytest.approx(np.log(6 * 6 - 2 * 2))
    same = images[[0, 1, 1]] * torch.tensor([1.0, 1.0, 5.0])[:, None, None, None]
    assert naswot(Functional(F.relu), same, torch.tensor([0, 1, 1])) == -np.inf


def test_sizes_are_those_of_one_image() -> None:
    network, batch = small_network(), small_batch()
    assert parameters(network, *batch) == 4 * 27 + 4 + 8 + 64 * 5 + 5
    assert macs(network, *batch) == 16 * 4 * 27 + 64 * 5


@pytest.mark.parametrize("score", zero_cost_scores(tuple(ZERO_COST_SCORES)).values())
def test_the_module_and_random_numbers_stay_as_they_are(score: ZeroCost) -> None:
    network = small_network()
    network[1].eval()
    state, modes = copy.deepcopy(network.state_dict()), [m.training for m in network.modules()]
    random = torch.get_rng_state()
    score(network, *small_batch())
    torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)
    assert [m.training for m in network.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("score", zero_cost_scores(tuple(ZERO_COST_SCORES)).values())
def test_the_order_of_images_and_the_mode_of_the_module_do_not_matter(score: ZeroCost) -> None:
    network, (images, labels) = small_network(), small_batch()
    network.insert(3, nn.Dropout())
    expected = score(network, images, labels)
    assert np.isfinite(expected)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert score(network, images[order], labels[order]) == pytest.approx(expected, rel=1e-5)
    assert score(network.eval(), images, labels) == expected
    with torch.no_grad():
        assert score(network, images, labels) == expected


def test_a_gradient_that_is_not_finite_is_not_taken_for_zero() -> None:
    network, (images, labels) = small_network(), small_batch()
    images[2, 0, 0, 0] = torch.nan
    assert np.isnan(gradsign(network, images, labels))
    assert np.isnan(gradient_norm(network, images, labels))


def check_smallest_landmark(name: str) -> None:
    space = spaces.get(name)
    n_parameters = [sum(p.numel() for p in space.build(r).parameters()) for r in space.landmarks]
    X = space.landmarks[[int(np.argmin(n_parameters))]]
    images, labels = batch_for(space, 2)
    functions = zero_cost_scores(tuple(ZERO_COST_SCORES))
    (values,) = scores(space, X, images, labels, functions, 0, NoProgress())
    found = dict(zip(functions, values, strict=True))
    assert found["parameters"] == min(n_parameters)
    assert 0 < found["gradsign"] <= 2 * min(n_parameters)
    assert found["gradient_norm"] > 0
    assert found["naswot"] > 0


@pytest.mark.parametrize("name", SMALL)
def test_small_spaces_can_be_scored(name: str) -> None:
    check_smallest_landmark(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large_spaces_can_be_scored(name: str) -> None:
    check_smallest_landmark(name)


def test_weights_go_by_seed_and_row_alone(digits_space: StitchSpace) -> None:
    X = digits_space.sample(4, np.random.default_rng(0))
    functions = zero_cost_scores(("gradsign", "naswot"))
    reversed_functions = dict(reversed(functions.items()))
    batch = batch_for(digits_space)
    torch.manual_seed(5)
    random = torch.get_rng_state()
    found = scores(digits_space, X, *batch, functions, 0, NoProgress())
    assert torch.equal(torch.get_rng_state(), random)
    torch.manual_seed(6)
    again = scores(digits_space, X[::-1], *batch, reversed_functions, 0, NoProgress())
    np.testing.assert_array_equal(again[::-1, ::-1], found)
    other = scores(digits_space, X, *batch, functions, 1, NoProgress())
    assert (other != found).all()
    assert scores(digits_space, X[:0], *batch, functions, 0, NoProgress()).shape == (0, 2)


def test_a_score_that_is_not_finite_names_network_and_score() -> None:
    space = NasBench201()
    X = np.concatenate([space.landmarks, np.zeros((1, 6), dtype=np.int64)])
    with pytest.raises(ScoreError, match=r"naswot is -inf .*\|none~0\|none~1\|none~2\|") as caught:
        scores(space, X, *batch_for(space, 2), zero_cost_scores(["naswot"]), 0, NoProgress())
    assert (caught.value.score, caught.value.value) == ("naswot", -np.inf)
    assert caught.value.network == space.describe(X[-1])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_features_are_scores_and_each_row_is_scored_once(digits_space: StitchSpace) -> None:
    X = digits_space.landmarks
    functions = zero_cost_scores(("gradsign", "macs"))
    images, labels = batch_for(digits_space)
    images.flags.writeable = False  # as a memory-mapped split is
    told = Recorder()
    features = ZeroCostFeatures(digits_space, images, labels, functions, 0, told)
    found = features(X[[2, 0, 2]])
    assert told.finished == [digits_space.describe(row) for row in X[[2, 0]]]
    np.testing.assert_array_equal(
        features(np.asfortranarray(X)),
        scores(digits_space, X, images, labels, functions, 0, NoProgress()),
    )
    assert len(told.finished) == len(X)
    np.testing.assert_array_equal(features(X[[2, 0, 2]]), found)
    assert features(X[:0]).shape == (0, 2)
    found[:] = 0  # what a caller does to its array is not remembered
    assert features(X[[2]]).all()


def test_bad_inputs_are_refused(digits_space: StitchSpace) -> None:
    images, labels = batch_for(digits_space)

    def features(
        images: NDArray[np.float32], labels: NDArray[np.int64], *names: str
    ) -> ZeroCostFeatures:
        return ZeroCostFeatures(digits_space, images, labels, zero_cost_scores(names), 0)

    with pytest.raises(ValueError, match="did you mean 'gradsign'"):
        features(images, labels, "grad-sign")
    for wrong in ((images[:, :, 1:], labels), (images, labels[1:]), (images[:0], labels[:0])):
        with pytest.raises(ValueError, match=r"shape \(n, 1, 8, 8\)"):
            features(*wrong, "synflow")
    with pytest.raises(ValueError, match="float32 and labels int64, but got float64 and int64"):
        features(images.astype(np.float64), labels, "synflow")
    with pytest.raises(ValueError, match="labels go from 10 to 10"):
        features(images, np.full_like(labels, 10), "gradsign")(digits_space.landmarks)


def test_modules_without_what_a_score_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="must have a ReLU"):
        naswot(linear_network(), LINEAR_IMAGES, LINEAR_LABELS)
    mixed = Functional(lambda x: F.relu(x.transpose(0, -1)).transpose(0, -1))
    with pytest.raises(ValueError, match=r"must be the 2 images .* \(3, 1, 1, 2\)"):
        naswot(mixed, torch.ones(2, 1, 1, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="parameters that learn"):
        gradsign(nn.Flatten(), LINEAR_IMAGES, LINEAR_LABELS)


def test_torch_is_loaded_only_when_something_is_scored() -> None:
    check = (
        "import sys, tailorbird.predictors.accuracy.zero_cost; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
