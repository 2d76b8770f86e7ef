import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from arrays import arrays
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tailorbird.errors import TrainingError, WriteError
from tailorbird.progress import Advance, NoProgress
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.training import Dataset, Split, Training, load, saving, train
from tailorbird.training.checkpoint import Checkpoint, State
from tailorbird.training.data import digits
from tailorbird.training.data.augment import shift
from tailorbird.training.data.loading import n_batches
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.stage import Stage

SETTINGS = Training(train_epochs=2, stitch_epochs=2, seed=0, stitch_images=40)

# Trains what the fixtures of these tests describe, in processes that die at the start of a step.
SCRIPT = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from tailorbird.progress import NoProgress
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import Split, Training, saving, train
from tailorbird.training.data import digits
from tailorbird.training.data.augment import shift

saving._SAVED_EVERY_S = 0
import torch._dynamo  # torch does at the first optimizer; once is enough for all processes

def run(folder, rank, last):
    steps = 0
    def shift_and_die(images, generator):
        nonlocal steps
        steps += 1
        if steps > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return shift(images, generator)
    data = digits.load()
    train_split = Split(data.train.images[:100], data.train.labels[:100])
    data = replace(data, train=train_split, augment=shift_and_die)
    space = StitchSpace(DigitsResNet(2, widths=(4, 8), depth=3), Windows(2, 1), max_stitches=1)
    settings = Training(2, 2, 0, batch=25, stitch_images=40, stitch_rank=rank)
    train(space, data, settings, folder, NoProgress())

for case in sys.argv[2:]:
    rank, last = map(int, case.split("-"))
    child = os.fork()
    if child == 0:
        run(Path(sys.argv[1]) / case, rank or None, last)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""
# Rank (0 for none) and steps. Two anchors take 16, and all routes together 8 more.
CASES = ("0-11", "0-21", "2-21")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training left behind that was killed, in a folder for each case."""
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder), *CASES], check=True)
    return folder


@dataclass
class Counted:
    """An augmentation that says how many steps were taken."""

    steps: int = 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        self.steps += 1
        return shift(images, generator)


@pytest.fixture
def always_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_SAVED_EVERY_S", 0)


def taken(checkpoint: Path) -> int:
    with safe_open(checkpoint, framework="pt") as file:
        return int(file.metadata()["step"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.long
def test_training_that_was_killed_goes_on_to_the_same_weights(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path, killed: Path, case: str
) -> None:
    rank, after = map(int, case.split("-"))
    settings = replace(SETTINGS, batch=25, stitch_rank=rank or None)
    whole = train(small_space, few_digits, settings, tmp_path / "whole", NoProgress())
    folder = tmp_path / "killed"
    shutil.copytree(killed / case, folder)
    name = "anchor-w8" if after < 16 else "stitched"
    checkpoint = folder / f"{name}.checkpoint.safetensors"
    assert taken(checkpoint) == after % 8
    assert load(small_space, few_digits, settings, folder) is None
    counted = Counted()
    data = replace(few_digits, augment=counted)
    resumed = train(small_space, data, settings, folder, NoProgress())
    assert resumed.fingerprint == whole.fingerprint
    assert counted.steps == 24 - after  # nothing was trained twice
    assert not checkpoint.exists()


@pytest.mark.long
def test_a_torn_checkpoint_and_one_of_other_settings_are_ignored(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path, killed: Path
) -> None:
    settings = replace(SETTINGS, batch=25)
    whole = train(small_space, few_digits, settings, tmp_path / "whole", NoProgress())
    folder = tmp_path / "killed"
    shutil.copytree(killed / "0-21", folder)
    checkpoint = folder / "stitched.checkpoint.safetensors"
    good = checkpoint.read_bytes()
    left = folder / ".stitched.checkpoint.safetensors.999999999-01234567.part"
    left.write_bytes(good[:500])  # died while it wrote the next
    counted = Counted()
    data = replace(few_digits, augment=counted)
    for size in (0, 4, 700, len(good) - 1):
        checkpoint.write_bytes(good[:size])
        (folder / "stitched.safetensors").unlink(missing_ok=True)
        counted.steps = 0
        resumed = train(small_space, data, settings, folder, NoProgress())
        assert resumed.fingerprint == whole.fingerprint
        assert not left.exists()
        assert counted.steps == 8  # of this stage, all
    checkpoint.write_bytes(good)
    counted.steps = 0
    train(small_space, data, replace(settings, routes="uniform"), folder, NoProgress())
    assert counted.steps == 8


def test_training_that_was_killed_before_its_weights_were_written_only_writes_them(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path, always_saved: None
) -> None:
    """Every step was taken and saved: the schedule has no step left."""
    settings = replace(SETTINGS, batch=25)
    (tmp_path / "stitched.safetensors").mkdir(parents=True)  # nothing can be written there
    with pytest.raises(WriteError, match=r"stitched.*Is a directory"):
        train(small_space, few_digits, settings, tmp_path, NoProgress())
    assert taken(tmp_path / "stitched.checkpoint.safetensors") == 8
    (tmp_path / "stitched.safetensors").rmdir()
    counted = Counted()
    data = replace(few_digits, augment=counted)
    resumed = train(small_space, data, settings, tmp_path, NoProgress())
    assert counted.steps == 0
    whole = train(small_space, few_digits, settings, tmp_path / "whole", NoProgress())
    assert resumed.fingerprint == whole.fingerprint


@dataclass
class Shown(NoProgress):
    """Progress that remembers what was done."""

    done: list[str] = field(default_factory=list)

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        yield self.done.append


def test_each_epoch_tells_its_loss_rate_seconds_and_speed(
    small_space: StitchSpace,
    few_digits: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    peaks = {"embedding": 1e-3, "block": 1e-3, "stitch": 1e-2, "head": 1e-3}
    settings = replace(SETTINGS, batch=25, learning_rates=peaks)
    shown = Shown()
    with caplog.at_level(logging.INFO, "tailorbird"):
        train(small_space, few_digits, settings, tmp_path, shown)
    text = "\n".join(shown.done)
    epochs_logged = [message for message in caplog.messages if ": epoch" in message]
    assert "\n".join(epochs_logged).replace(": epoch", ", epoch") == text
    told = (
        r"(anchor w4|anchor w8|all routes), epoch (\d) of 2, loss (.*), rate (.*), (\d+\.\d) s, "
        r"([\d,]+) images a second"
    )
    stages, epochs, losses, rates, _, speeds = zip(*re.findall(told, text), strict=True)
    assert all(int(speed.replace(",", "")) > 0 for speed in speeds)
    assert stages == ("anchor w4",) * 2 + ("anchor w8",) * 2 + ("all routes",) * 2
    assert epochs == ("1", "2") * 3
    assert all(0.5 < float(loss) < 5.0 for loss in losses)  # ten classes: log(10) to begin with
    lowest, highest = map(float, rates[4].split(" to "))
    assert highest == pytest.approx(10 * lowest, rel=0.1)
    assert 0 < float(rates[1]) < float(rates[0]) < 1e-3  # of one group, past its peak


def test_epochs_before_a_checkpoint_are_told_as_such(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path, always_saved: None
) -> None:
    counted = Counted()

    def failing(images: Tensor, generator: torch.Generator) -> Tensor:
        if counted.steps == 5:  # of four in an epoch
            raise InterruptedError
        return counted(images, generator)

    settings = replace(SETTINGS, batch=25)
    with pytest.raises(InterruptedError):
        train(small_space, replace(few_digits, augment=failing), settings, tmp_path, NoProgress())
    shown = Shown()
    train(small_space, few_digits, settings, tmp_path, shown)
    assert shown.done[0] == "anchor w4, epoch 1 of 2, trained before"
    assert shown.done[1].startswith("anchor w4, epoch 2 of 2, loss ")


def with_nan(data: Dataset, image: int) -> Dataset:
    images = arrays(data.train).images.copy()
    images[image] = np.nan
    return replace(data, train=Split(images, data.train.labels))


def test_training_stops_at_an_image_that_is_not_finite_and_keeps_what_it_had(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path, always_saved: None
) -> None:
    order = np.random.default_rng([0, 0]).permutation(100)
    data = with_nan(few_digits, order[2 * 25 + 7])  # seen in the third step
    with pytest.raises(TrainingError, match=r"at step 2 the loss is nan") as caught:
        train(small_space, data, replace(SETTINGS, batch=25), tmp_path, NoProgress())
    checkpoint = tmp_path / "anchor-w4.checkpoint.safetensors"
    assert str(checkpoint) in str(caught.value)
    assert taken(checkpoint) == 2
    weights = load_file(checkpoint)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    mended = train(small_space, few_digits, replace(SETTINGS, batch=25), tmp_path, NoProgress())
    whole = train(
        small_space, few_digits, replace(SETTINGS, batch=25), tmp_path / "whole", NoProgress()
    )
    assert mended.fingerprint == whole.fingerprint  # the image was not seen before it was mended


def test_a_pipe_in_the_place_of_weights_is_not_waited_for(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    os.mkfifo(path)
    network = SharedNetwork(small_space)
    stage = Stage(path, "any", [*map(str, small_space.parts)])
    assert not stage.is_made()
    assert not stage.load(network)
    checkpoint = Checkpoint(path, "any", [*map(str, small_space.parts)])
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    assert checkpoint.load(State(network, optimizer)) == 0


def test_training_that_fails_at_once_has_a_good_checkpoint_all_the_same(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="finite") as caught:
        train(small_space, with_nan(few_digits, 0), SETTINGS, tmp_path, NoProgress())
    checkpoint = tmp_path / "anchor-w4.checkpoint.safetensors"
    assert str(checkpoint) in str(caught.value)
    assert taken(checkpoint) == 0
    assert all(torch.isfinite(tensor).all() for tensor in load_file(checkpoint).values())


def test_a_checkpoint_leaves_the_parts_of_others_alone(
    small_space: StitchSpace, tmp_path: Path
) -> None:
    first, second = (small_space.route(row) for row in small_space.landmarks[:2])
    network = SharedNetwork(small_space)
    trained = [p for piece in second for p in network.parameters_of(piece)]
    optimizer = torch.optim.AdamW(trained)
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "x", [*map(str, second)])
    checkpoint.save(State(network, optimizer), 3)
    # The stitches of another rule, and another start of the first anchor.
    other = StitchSpace(small_space.family, Windows(1, 1), max_stitches=1)
    changed = SharedNetwork(other)
    before = {n: t.clone() for n, t in changed.state_dict().items()}
    own = [p for piece in second for p in changed.parameters_of(piece)]
    assert checkpoint.load(State(changed, torch.optim.AdamW(own))) == 3
    for name, tensor in changed.state_dict().items():
        of_second = name.startswith(tuple(f"parts.{part}." for part in second))
        source = network.state_dict()[name] if of_second else before[name]
        torch.testing.assert_close(tensor, source, rtol=0, atol=0)
    assert first != second


def test_least_squares_on_an_image_that_is_not_finite_is_an_error_of_training(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, train_epochs=0, stitch_images=100)
    with pytest.raises(TrainingError, match="finite"):
        train(small_space, with_nan(few_digits, 0), settings, tmp_path, NoProgress())


def test_a_part_with_a_learning_rate_of_zero_keeps_its_weights(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    rates = {"embedding": 0.0, "block": 0.0, "stitch": 2e-2, "head": 0.0}
    settings = replace(SETTINGS, learning_rates=rates)
    trained = train(small_space, few_digits, settings, tmp_path, NoProgress())
    for anchor in ("w4", "w8"):
        alone = load_file(tmp_path / f"anchor-{anchor}.safetensors")
        for name, parameter in trained.network.named_parameters():
            if name in alone:
                torch.testing.assert_close(parameter.detach(), alone[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("n_images", "batch", "sizes"),
    [
        (100, 50, [50, 50]),
        (101, 50, [50, 51]),
        (102, 50, [50, 50, 2]),
        (51, 50, [51]),
        (1, 50, [1]),
        (3, 1, [1, 1, 1]),
        (7, 2, [2, 2, 3]),
    ],
)
def test_a_last_image_alone_joins_its_neighbours(
    small_space: StitchSpace,
    few_digits: Dataset,
    tmp_path: Path,
    n_images: int,
    batch: int,
    sizes: list[int],
) -> None:
    seen: list[Tensor] = []

    def watched(images: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(images)
        return images

    data = digits.load().train
    data = Split(arrays(data).images[:n_images], data.labels[:n_images])
    settings = Training(2, 0, seed=0, batch=batch, stitch_images=0)
    train(
        small_space,
        replace(few_digits, train=data, augment=watched),
        settings,
        tmp_path,
        NoProgress(),
    )
    assert n_batches(n_images, batch) == len(sizes)
    assert [len(images) for images in seen] == sizes * 4  # two epochs of two anchors
    epoch = torch.cat(seen[: len(sizes)]).numpy()
    assert len(np.unique(epoch.reshape(n_images, -1), axis=0)) == n_images
    # What is kept under the old rule, where that made no difference, stays valid.
    with safe_open(tmp_path / "stitched.safetensors", "pt") as file:
        identity = file.metadata()["identity"]
    assert ("last_image" in identity) == (sizes[-1] > batch)
