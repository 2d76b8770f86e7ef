"""Steps of training: in parts, averaged, on mixed images, without some blocks, in a precision."""

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from patience import PATIENCE_S
from pictures import write_pictures
from safetensors import safe_open
from shared_spaces import space_of
from torch import Tensor, nn

from tailorbird.errors import ContractError, TrainingError
from tailorbird.progress import NoProgress
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training import Dataset, SupernetTraining, Trained, fit, train_supernet
from tailorbird.training.averaging import WeightAverages
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.compute import CPU, Compute
from tailorbird.training.data.image_source import ImageSource, load
from tailorbird.training.data.mixing import Mixing
from tailorbird.training.distillation import labels_only
from tailorbird.training.fit import Schedule
from tailorbird.training.optimization import Optimization
from tailorbird.training.shared.network import SharedNetwork, fresh

PLAIN = Optimization()


class Net(nn.Module):
    """A layer and a norm of single images: parts of a batch have the gradients of the whole."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = (nn.Flatten(), nn.Linear(64, 16), nn.LayerNorm(16), nn.Linear(16, 10))
        self.parts = nn.ModuleDict({"a": nn.Sequential(*layers)})
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        logits: Tensor = self.parts["a"](x)
        return logits


def fitted(
    data: Dataset,
    folder: Path,
    how: Optimization = PLAIN,
    compute: Compute = CPU,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor] = labels_only,
) -> Net:
    net = Net()
    fit.fit(
        net,
        [{"params": [*net.parameters()], "lr": 0.02}],
        lambda step, x, labels: (loss(net(x), labels, x),),
        data,
        Schedule(3, 25, 7),
        how,
        compute,
        Checkpoint(folder / "c.safetensors", "of a test", ["a"]),
        lambda what: None,
    )
    (folder / "c.safetensors").unlink(missing_ok=True)
    return net


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_parts_of_a_step_have_the_gradient_of_the_whole(
    few_digits: Dataset, tmp_path: Path, n_parts: int
) -> None:
    whole = fitted(few_digits, tmp_path)
    parts = fitted(few_digits, tmp_path, Optimization(accumulation=n_parts))
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert sum(parts.sizes) == sum(whole.sizes)
    assert max(parts.sizes) == math.ceil(25 / n_parts)


@pytest.mark.parametrize("n_images", [1, 2, 3, 25])
def test_every_part_of_a_step_has_two_images(n_images: int) -> None:
    for accumulation in (1, 2, 100):
        n_parts = Optimization(accumulation=accumulation).n_parts(n_images)
        sizes = [len(part) for part in torch.zeros(n_images).tensor_split(n_parts)]
        assert min(sizes) >= min(2, n_images)
        assert n_parts <= accumulation


def test_training_ends_with_averages_of_the_weights(
    few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Averages of what the weights were after each step, made here by hand."""
    seen: list[list[Tensor]] = []
    add = WeightAverages.add

    def watched(averages: WeightAverages, n_steps: int) -> None:
        seen.append([w.detach().clone() for w in averages.weights.values()])
        add(averages, n_steps)

    start = [*Net().parameters()]
    monkeypatch.setattr(WeightAverages, "add", watched)
    made = fitted(few_digits, tmp_path, Optimization(weight_averaging=0.9))
    assert len(seen) == 12
    by_hand = [w.detach().double() for w in start]
    for step, weights in enumerate(seen):
        decay = min(0.9, (1 + step) / (10 + step))
        by_hand = [decay * a + (1 - decay) * w for a, w in zip(by_hand, weights, strict=True)]
    for weight, average in zip(made.parameters(), by_hand, strict=True):
        torch.testing.assert_close(weight.double(), average, atol=1e-6, rtol=1e-5)
    plain, last = fitted(few_digits, tmp_path), seen[11]
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), last, strict=True))


def test_mixed_images_are_sums_or_have_a_rectangle_of_others() -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8)
    labels = torch.arange(4)
    kinds = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        made, targets = Mixing(0.4, 1.0).mixed(images, labels, 5, rng)
        torch.testing.assert_close(targets.sum(1), torch.ones(4))
        own = targets[torch.arange(4), labels]
        is_sum = bool((made == made[:, :1, :1, :1]).all())
        kinds.add(is_sum)
        if is_sum:
            by_hand = own * labels + (1 - own) * labels.flip(0)
            torch.testing.assert_close(made[:, 0, 0, 0], by_hand, atol=1e-6, rtol=1e-5)
        else:
            share = (made == images).flatten(1).float().mean(1)
            torch.testing.assert_close(share, own)
            assert ((made == images) | (made == images.flip(0))).all()
    assert kinds == {True, False}
    assert Mixing().mixed(images, labels, 5, np.random.default_rng(0)) == (images, labels)


@pytest.mark.parametrize("how", [{"mixup": 0.3}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 0.5}])
def test_losses_of_mixed_images_are_to_probabilities(
    few_digits: Dataset, tmp_path: Path, how: dict[str, float]
) -> None:
    shapes = set()

    def loss(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        shapes.add(tuple(labels.shape))
        return labels_only(logits, labels, images)

    fitted(few_digits, tmp_path, Optimization(**how), loss=loss)  # type: ignore[arg-type]  # numbers
    assert shapes == {(25, 10)}


def test_inputs_that_are_no_images_have_no_rectangles() -> None:
    with pytest.raises(ContractError, match=r"cutmix takes rectangles.*\(6,\)"):
        Mixing(cutmix=1.0).mixed(torch.zeros(4, 6), torch.arange(4), 5, np.random.default_rng(0))


def trained(
    data: Dataset, folder: Path, how: Optimization = PLAIN, precision: str = "f32"
) -> Trained:
    settings = SupernetTraining(2, 0, 25, optimization=how, compute=Compute(precision=precision))
    return train_supernet(space_of("own-net"), data, settings, folder, NoProgress())


def test_a_supernet_is_trained_without_some_blocks_and_in_its_precision(
    few_digits: Dataset, tmp_path: Path
) -> None:
    plain = trained(few_digits, tmp_path / "plain")
    dropped = trained(few_digits, tmp_path / "dropped", Optimization(drop_path=0.5))
    half = trained(few_digits, tmp_path / "half", precision="bf16")
    assert len({one.fingerprint for one in (plain, dropped, half)}) == 3
    row = plain.space.landmarks[0]
    exact = Trained(half.space, half.network, few_digits.train).outputs(row, few_digits.test)
    outputs = half.outputs(row, few_digits.test)
    assert outputs.dtype == np.float32
    assert not np.array_equal(outputs, exact)
    assert abs(outputs - exact).max() < 0.2 * abs(exact).max()


def test_a_step_in_which_nothing_learns_is_passed_over_in_f16(
    few_digits: Dataset, tmp_path: Path
) -> None:
    """Such as one along an anchor where stitches alone learn."""
    start = [p.detach().clone() for p in Net().parameters()]
    made = fitted(
        few_digits,
        tmp_path,
        compute=Compute(precision="f16"),
        loss=lambda logits, labels, x: torch.ones((), requires_grad=True) * 1,
    )
    assert all(torch.equal(a, b) for a, b in zip(start, made.parameters(), strict=True))


def test_later_blocks_are_left_out_more_often_and_the_mean_stays() -> None:
    space = space_of("own-net")
    network = fresh(space, 0)
    route = [piece for piece in space.pieces if piece.kind == "block"][:1] * 4
    network.run = lambda piece, x: x + 1  # type: ignore[method-assign]  # a block that adds 1
    x = torch.zeros(20_000, 2, 3)
    torch.manual_seed(0)
    with network.dropping(0.4):
        y = network.train()(x, route)
        left_out = network.train()(x, route[:1])
        assert torch.equal(network.eval()(x, route), x + 4)
    assert (y == y[:, :1, :1]).all()  # of an image a whole block
    assert y.mean().item() == pytest.approx(4, abs=0.05)
    assert (left_out[:, 0, 0] == 0).float().mean().item() == pytest.approx(0.4, abs=0.02)
    ones = (y[:, 0, 0] == 0).float().mean().item()
    assert ones == pytest.approx(0.1 * 0.2 * 0.3 * 0.4, abs=0.002)
    assert torch.equal(network.train()(x, route), x + 4)  # outside


def test_precision_decides_weights_and_leaves_them_float32(
    few_digits: Dataset, tmp_path: Path
) -> None:
    plain = fitted(few_digits, tmp_path)
    for precision in ("bf16", "f16"):
        made = fitted(few_digits, tmp_path, compute=Compute(precision=precision))
        pairs = [*zip(plain.parameters(), made.parameters(), strict=True)]
        assert all(b.dtype == torch.float32 for _, b in pairs)
        assert any(not torch.equal(a, b) for a, b in pairs)
        far = max(float((a - b).detach().abs().max()) for a, b in pairs)
        assert far < 0.2
    assert Compute(precision="bf16").decides == {"precision": "bf16"}
    assert Compute("auto", loader_workers=3).decides == {}


def test_losses_are_scaled_down_where_gradients_overflow(
    few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients of 2^20 times the loss overflow in f16 until losses are scaled by less."""
    scales: list[float] = []
    take = fit._Learning.take

    def watched(learning: fit._Learning, *step: Any) -> Tensor:
        value = take(learning, *step)
        scales.append(learning.scaler.get_scale())
        return value

    monkeypatch.setattr(fit._Learning, "take", watched)
    half = Compute(precision="f16")
    large = lambda logits, labels, x: labels_only(logits, labels, x) * 2.0**8  # noqa: E731
    made = fitted(few_digits, tmp_path, compute=half, loss=large)
    assert scales[-1] < 2.0**16
    assert all(p.isfinite().all() for p in made.parameters())
    with pytest.raises(TrainingError, match="Loss and gradient must be finite"):
        fitted(few_digits, tmp_path, compute=half, loss=lambda y, t, x: y.sum() * math.nan)


@pytest.mark.parametrize("device", ["cuda:7", "cpu:3", "tpu", "", "meta"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    if device == "cuda:7" and torch.cuda.device_count() > 7:
        pytest.fail("this machine has it: name another in this test")
    with pytest.raises(ContractError, match=r"device must be one that torch finds.*auto"):
        Compute(device)


def test_a_precision_that_the_device_fails_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **more: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(torch, "autocast", fails)
    with pytest.raises(ContractError, match=r"precision must be one.*cpu fails in 'bf16'.*no such"):
        Compute(precision="bf16")
    with pytest.raises(ContractError, match="no precision 'f8'"):
        Compute(precision="f8")


def test_nothing_of_a_shared_network_stays_behind_when_it_moves() -> None:
    """The device `meta` stands for a GPU: what is not moved there would be found on the CPU."""
    for name in ("digits-elastic", "own-net"):
        network = SharedNetwork(space_of(name)).to("meta")
        tensors = [*network.parameters(), *network.buffers()]
        for windowed in network._windowed.values():
            tensors += [*windowed.parameters, *windowed.module.buffers()]
        assert {t.device.type for t in tensors} == {"meta"}


# Trains as the function below does, but dies at the eighth step.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from tailorbird.training import fit, saving

sys.path[:0] = sys.argv[1:3]
from test_steps import resumable

saving._SAVED_EVERY_S = 0
take, n = fit._Learning.take, 0

def dies(learning, *step):
    global n
    n += 1
    if n > 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return take(learning, *step)

fit._Learning.take = dies
resumable(Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
"""


def resumable(pictures: Path, folder: Path, n_workers: int) -> Trained:
    """Training with all that has a state of its own."""
    grey = Preprocessing((8, 8), 1.0, channels="grey", mean=(0.5,), std=(0.2,))
    data = load(ImageSource(str(pictures), grey))
    how = Optimization(accumulation=2, weight_averaging=0.9, mixup=0.3, cutmix=0.5, drop_path=0.2)
    compute = Compute(loader_workers=n_workers)
    settings = SupernetTraining(3, 0, 6, optimization=how, compute=compute)
    return train_supernet(space_of("own-net"), data, settings, folder, NoProgress())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes = tuple(f"class{i}" for i in range(10))
    n_of = {"train": 30, "val": 20}
    return write_pictures(tmp_path_factory.mktemp("pictures") / "ten", n_of, (8, 8), classes)


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fingerprint of weights that were trained without a pause."""
    return resumable(pictures, tmp_path_factory.mktemp("whole"), 0).fingerprint


@pytest.mark.parametrize("n_workers", [0, 2])
@pytest.mark.long
def test_training_on_pictures_that_was_killed_goes_on_to_the_same_weights(
    pictures: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_workers: int
) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", SCRIPT, str(here), str(here.parent), str(pictures)]
    died = subprocess.run([*command, str(tmp_path), str(n_workers)], timeout=PATIENCE_S)
    assert died.returncode == -signal.SIGKILL
    with safe_open(tmp_path / "supernet.checkpoint.safetensors", framework="pt") as file:
        assert file.metadata()["step"] == "7"
        assert any(name.startswith("average.") for name in file.keys())  # noqa: SIM118  # no mapping
    steps = []
    take = fit._Learning.take

    def watched(learning: fit._Learning, *step: Any) -> Tensor:
        steps.append(step[0])
        return take(learning, *step)

    monkeypatch.setattr(fit._Learning, "take", watched)
    assert resumable(pictures, tmp_path, n_workers).fingerprint == whole
    assert steps == [*range(7, 15)]
