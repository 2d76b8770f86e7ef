from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arrays import arrays
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.stats import beta
from torch import nn

from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import NoProgress
from tailorbird.spaces.stitching import Part, StitchSpace, Windows
from tailorbird.training import Split, Trained, Training, load, train
from tailorbird.training.data import digits
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.stitching.least_squares import initialise_stitches

SHORT = Training(train_epochs=1, stitch_epochs=1, seed=0)


@pytest.fixture
def network(digits_space: StitchSpace) -> SharedNetwork:
    torch.manual_seed(0)
    return SharedNetwork(digits_space).eval()


def embedding_of(network: Any) -> Any:
    """Convolution and batch norm of the first part."""
    return network[0].conv


def test_digits_are_split_once_and_for_all() -> None:
    first, second = digits.load(), digits.load()
    splits = (first.train, first.validation, first.test)
    assert [len(s.labels) for s in splits] == [600, 600, 597]
    images = np.concatenate([arrays(s).images.reshape(len(s.labels), -1) for s in splits])
    assert len(np.unique(images, axis=0)) == 1797
    for split in splits:
        assert np.bincount(split.labels).min() >= 0.9 * len(split.labels) / 10
    np.testing.assert_array_equal(arrays(first.test).images, arrays(second.test).images)


def test_least_squares_joins_an_exit_block_to_the_input_of_an_entry_block(
    digits_space: StitchSpace,
) -> None:
    """Anchor 1 is an affine image of anchor 0, and a block adds a constant: the fit is exact."""
    torch.manual_seed(1)
    space = StitchSpace(digits_space.family, Windows(1, 1), max_stitches=1)
    network = SharedNetwork(space)
    mix, shift = torch.rand(8, 4), torch.rand(8)
    added = (0.5, 0.25)
    for a in (0, 1):
        for i in range(6):
            block: Any = network.parts[str(Part("block", a, i))]
            nn.init.zeros_(block.second[1].weight)
            nn.init.constant_(block.second[1].bias, added[a])
    small, large = (embedding_of([network.parts[str(Part("embedding", a))]]) for a in (0, 1))
    with torch.no_grad():  # positive weights and images: the ReLUs pass everything
        small[0].weight.abs_()
        large[0].weight.copy_(torch.einsum("oi,ichw->ochw", mix, small[0].weight))
        large[1].bias.copy_(shift)
    images = np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32)
    initialise_stitches(space, network, Split(images, np.zeros(40, dtype=np.int64)), 40)
    for i in range(6):  # with kernel 1, layer i leads from block i to block i
        stitch: Any = network.parts[str(Part("stitch", 0, i, 1))]
        torch.testing.assert_close(stitch.weight[:, :, 0, 0], mix, rtol=1e-3, atol=1e-3)
        expected = shift + i * added[1] - mix.sum(dim=1) * (i + 1) * added[0]
        torch.testing.assert_close(stitch.bias, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.long
def test_training_is_reproducible_and_resumes(digits_space: StitchSpace, tmp_path: Path) -> None:
    dataset = digits.load()
    first = train(digits_space, dataset, SHORT, tmp_path / "a", NoProgress())
    again = train(digits_space, dataset, SHORT, tmp_path / "b", NoProgress())
    assert first.fingerprint == again.fingerprint
    # A run that was killed after two anchors, with a torn third one, ends up the same.
    folder = tmp_path / "b"
    (folder / "stitched.safetensors").unlink()
    (folder / "anchor-w32.safetensors").unlink()
    torn = folder / "anchor-w16.safetensors"
    torn.write_bytes(torn.read_bytes()[:1000])
    assert load(digits_space, dataset, SHORT, folder) is None
    resumed = train(digits_space, dataset, SHORT, folder, NoProgress())
    assert resumed.fingerprint == first.fingerprint
    loaded = load(digits_space, dataset, SHORT, folder)
    assert loaded is not None
    assert loaded.fingerprint == first.fingerprint
    weights = load_file(folder / "stitched.safetensors")
    with safe_open(folder / "stitched.safetensors", framework="pt") as file:
        metadata = file.metadata()
    del weights["parts.block-0-0.first.0.weight"]
    save_file(weights, folder / "stitched.safetensors", metadata=metadata)
    assert load(digits_space, dataset, SHORT, folder) is None  # a block would have been random
    longer = Training(train_epochs=1, stitch_epochs=2, seed=0)
    assert load(digits_space, dataset, longer, folder) is None
    assert not list(folder.glob("*.part"))
    assert load_file(folder / "anchor-w4.safetensors")


def test_an_extracted_network_is_plain_and_has_weights_of_its_own(
    digits_space: StitchSpace, network: SharedNetwork
) -> None:
    trained = Trained(digits_space, network, digits.load().train)
    row = digits_space.sample(1, np.random.default_rng(0))[0]
    small = trained.extract(row)
    fresh = digits_space.build(row)
    assert [type(m) for m in small.children()] == [type(m) for m in fresh.children()]
    before = trained.fingerprint
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.zero_()
    assert trained.fingerprint == before


def test_statistics_of_an_extracted_network_are_those_of_its_own_activations(
    digits_space: StitchSpace, network: SharedNetwork
) -> None:
    train_split = digits.load().train
    small = Trained(digits_space, network, train_split).extract(digits_space.landmarks[0])
    conv, norm = embedding_of(small)
    with torch.no_grad():
        activations = conv(torch.from_numpy(arrays(train_split).images))
    torch.testing.assert_close(norm.running_mean, activations.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.running_var, activations.var(dim=(0, 2, 3)))


def test_accuracy_is_the_share_of_right_answers(
    digits_space: StitchSpace, network: SharedNetwork
) -> None:
    split = digits.load().validation
    trained = Trained(digits_space, network, digits.load().train)
    row = digits_space.landmarks[1]
    with torch.inference_mode():
        answers = trained.extract(row)(torch.from_numpy(arrays(split).images)).argmax(1).numpy()
    assert trained.evaluate(row[None], split)[0] == np.mean(answers == split.labels)


@pytest.mark.parametrize("n_correct", [0, 590, 600])
def test_the_error_of_an_accuracy_is_that_of_its_posterior(n_correct: int) -> None:
    std = accuracy_std(np.array([n_correct / 600]), 600)[0]
    assert std == pytest.approx(beta(n_correct + 1, 601 - n_correct).std())
    assert std > 0
