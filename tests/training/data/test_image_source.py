import errno
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import CLASSES, write_pictures
from PIL import Image
from torchvision import transforms

from tailorbird.errors import ContractError, MissingPackageError
from tailorbird.spaces.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from tailorbird.training.compute import Compute
from tailorbird.training.data.dataset import SPLITS
from tailorbird.training.data.image_source import ImageSource, load
from tailorbird.training.data.images import Draw, inputs
from tailorbird.training.data.loading import StepImages, batches_on_device, steps_on_device
from tailorbird.training.data.picture_transforms import Augmentation
from tailorbird.training.data.pictures import Pictures
from tailorbird.training.trial import check_images

SMALL = Preprocessing((16, 16), crop=1.0)
LARGE = Preprocessing((72, 80), crop=0.8, interpolation="bilinear")
N_OF = {"train": 12, "val": 10}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", N_OF)


def source(folder: Path, preprocessing: Preprocessing = SMALL) -> ImageSource:
    return ImageSource(str(folder), preprocessing)


def test_a_folder_has_splits_and_classes(folder: Path) -> None:
    data = load(source(folder))
    assert (data.name, data.n_classes, data.preprocessing) == ("pictures", 3, SMALL)
    assert data.class_names == tuple(sorted(path.name for path in (folder / "train").iterdir()))
    assert [len(getattr(data, split).labels) for split in SPLITS] == [12, 5, 5]
    assert np.bincount(data.train.labels).tolist() == [4, 4, 4]
    assert data.train.shape == (3, 16, 16)
    check_images(data)


def test_halves_of_the_validation_images_have_all_classes_and_no_picture_twice(
    folder: Path,
) -> None:
    def files(seed: int) -> list[set[str]]:
        data = load(replace(source(folder), split_seed=seed))
        splits = (data.validation, data.test)
        return [{s.pictures.file(i) for i in range(5)} for s in splits]  # type: ignore[attr-defined]  # of files

    validation, test = files(0)
    assert len(validation | test) == 10
    assert all({name[:3] for name in half} == {*CLASSES} for half in (validation, test))
    assert files(0) == [validation, test] != files(1)


def test_a_split_of_test_images_leaves_the_validation_images_whole(tmp_path: Path) -> None:
    data = load(source(write_pictures(tmp_path / "p", N_OF | {"test": 6})))
    assert [len(getattr(data, split).labels) for split in SPLITS] == [12, 10, 6]


@pytest.mark.parametrize("preprocessing", [SMALL, LARGE], ids=["small", "large"])
def test_images_are_what_torchvision_makes_of_pictures(
    folder: Path, preprocessing: Preprocessing
) -> None:
    """The slow path: each picture resized, cut out, scaled and normalised by torchvision."""
    data = load(source(folder, preprocessing))
    height, width = preprocessing.size
    resized = [int(side / preprocessing.crop) for side in (height, width)]
    by_hand = transforms.Compose(
        [
            transforms.Resize(
                resized if height != width else resized[0],
                transforms.InterpolationMode(preprocessing.interpolation),
            ),
            transforms.CenterCrop((height, width)),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    made = inputs(data.train, np.arange(4))
    for i in range(4):
        file = data.train.pictures.file(i)  # type: ignore[attr-defined]  # of a folder
        picture = Image.open(folder / "train" / file).convert("RGB")
        if height == width:  # of others timm resizes the shorter side, torchvision both
            torch.testing.assert_close(made[i], by_hand(picture), atol=1e-5, rtol=1e-5)
        assert made[i].shape == (3, height, width)


def test_grey_and_bgr_pictures(folder: Path) -> None:
    rgb = load(source(folder)).train.batch(np.array([0]))
    bgr = load(source(folder, replace(SMALL, channels="bgr"))).train.batch(np.array([0]))
    assert torch.equal(bgr, rgb.flip(1))
    grey = load(source(folder, replace(SMALL, channels="grey", mean=(0.5,), std=(0.5,))))
    assert grey.train.shape == (1, 16, 16)
    assert inputs(grey.train, np.arange(2)).abs().max() <= 1


def test_values_of_pixels_are_in_their_range(folder: Path) -> None:
    wide = replace(SMALL, value_range=(-1.0, 255.0), mean=(0.0,) * 3, std=(1.0,) * 3)
    pixels = load(source(folder)).train.batch(np.arange(3)).float()
    made = inputs(load(source(folder, wide)).train, np.arange(3))
    torch.testing.assert_close(made, pixels / 255 * 256 - 1)


@pytest.mark.parametrize("preprocessing", [SMALL, LARGE], ids=["shifted", "cut out"])
@pytest.mark.parametrize("auto_augment", [None, "rand-m9-mstd0.5"])
def test_augmentation_depends_on_seed_epoch_and_number_alone(
    folder: Path, preprocessing: Preprocessing, auto_augment: str | None
) -> None:
    augmentation = Augmentation(color_jitter=0.4, auto_augment=auto_augment)
    data = load(replace(source(folder, preprocessing), augmentation=augmentation))
    index = np.arange(12)
    before = random.getstate(), torch.get_rng_state()
    one = data.train.batch(index, Draw(0, 3))
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    random.seed(5)
    torch.manual_seed(5)
    again = data.train.batch(index[::-1], Draw(0, 3)).flip(0)
    assert torch.equal(one, again)
    for other in (Draw(0, 4), Draw(1, 3)):
        assert not torch.equal(one, data.train.batch(index, other))
    assert not torch.equal(one, data.train.batch(index))


@pytest.mark.parametrize("n_workers", [1, 2])
def test_other_processes_read_the_same_images(folder: Path, n_workers: int) -> None:
    data = load(source(folder))
    images = StepImages(data, 5, 7)
    alone, beside = Compute(loader_workers=0), Compute(loader_workers=n_workers)
    both = (steps_on_device(images, range(1, 7), compute) for compute in (alone, beside))
    for (step, x, labels), (other, y, others) in zip(*both, strict=True):
        assert step == other
        assert torch.equal(x, y)
        assert torch.equal(labels, others)
    chunks = [np.arange(3), np.arange(3, 5)]
    both_plain = (batches_on_device(data.test, chunks, c) for c in (alone, beside))
    assert all(torch.equal(x, y) for x, y in zip(*both_plain, strict=True))


def spoil(path: Path, kind: str) -> None:
    content = path.read_bytes()
    match kind:
        case "text":
            path.write_text("no picture")
        case "empty":
            path.write_bytes(b"")
        case "torn":
            path.write_bytes(content[: len(content) // 2])
        case "another":
            path.write_bytes(b"GIF89a" + content[6:])


@pytest.mark.parametrize("kind", ["text", "empty", "torn", "another"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_picture_that_is_none_is_named_or_left_out_if_asked(
    folder: Path, kind: str, split: str
) -> None:
    for name in ("bee/0001.jpg", "bee/0004.jpg"):
        spoil(folder / split / name, kind)
    law = r"Images must be.*bee/000[14]\.jpg.*skip_unreadable"
    for _ in range(2):  # found out, and remembered
        data = load(source(folder))
        with pytest.raises(ContractError, match=law + r".*2 such" * (split == "train")):
            check_images(data)
    data = load(replace(source(folder), skip_unreadable=True))
    check_images(data)
    assert sum(len(getattr(data, name).labels) for name in SPLITS) == 20
    shutil.copy(folder / split / "bee" / "0007.jpg", folder / split / "bee" / "0001.jpg")
    data = load(replace(source(folder), skip_unreadable=True))
    assert sum(len(getattr(data, name).labels) for name in SPLITS) == 21


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_picture_that_is_torn_later_stops_training_by_name(folder: Path, n_workers: int) -> None:
    data = load(source(folder))
    spoil(folder / "train" / "cat" / "0005.jpg", "torn")
    steps = steps_on_device(StepImages(data, 4, 0), range(3), Compute(loader_workers=n_workers))
    with pytest.raises(ContractError, match=r"Images must be.*cat/0005\.jpg.*of train"):
        for _ in steps:
            pass


def test_folders_that_are_no_data_sets_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    with pytest.raises(ContractError, match=r"train/CLASS.*is no folder"):
        load(source(empty))
    empty.mkdir()
    with pytest.raises(ContractError, match="holds nothing"):
        load(source(empty))
    (empty / "train").mkdir()
    (empty / "val").mkdir()
    with pytest.raises(ContractError, match="timm finds none"):
        load(source(empty))
    flat = write_pictures(tmp_path / "flat", {"images": 3})
    with pytest.raises(ContractError, match=r"train/CLASS/\*.*holds images"):
        load(source(flat))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_class_without_images_is_refused(folder: Path, split: str) -> None:
    (folder / split / "dog").mkdir()
    (folder / split / "dog" / "notes.txt").write_text("none yet")
    with pytest.raises(ContractError, match=r"Every class must have images.*dog"):
        load(source(folder))


def test_splits_with_other_classes_are_refused(folder: Path) -> None:
    (folder / "val" / "bee").rename(folder / "val" / "bees")
    with pytest.raises(ContractError, match="'bee' in train alone and 'bees' in validation alone"):
        load(source(folder))


@pytest.mark.parametrize(
    "place", ["cover.jpg", "ant/2020/a.jpg", ".thumbnails/a.jpg", "ant/.checkpoints/a.jpg"]
)
def test_images_that_lie_elsewhere_are_refused(folder: Path, place: str) -> None:
    path = folder / "train" / place
    path.parent.mkdir(exist_ok=True, parents=True)
    shutil.copy(folder / "train" / "ant" / "0000.jpg", path)
    with pytest.raises(ContractError, match=r"must lie in SPLIT/CLASS/FILE.*" + place):
        load(source(folder))


def test_a_link_that_leads_back_is_refused(folder: Path) -> None:
    (folder / "train" / "self").symlink_to(folder / "train")
    with pytest.raises(ContractError, match="SPLIT/CLASS/FILE"):
        load(source(folder))


def test_linked_classes_and_other_kinds_of_images_are_read(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "train" / "ant").rename(folder / "elsewhere")
    (folder / "train" / "ant").symlink_to(folder / "elsewhere")
    for ending in ("webp", "PNG", "tiff", "bmp"):
        picture = Image.open(folder / "val" / "ant" / "0000.jpg")
        picture.save(folder / "train" / "ant" / f"more.{ending}")
    (folder / "train" / "ant" / "notes.md").write_text("none")
    data = load(source(folder))
    assert np.bincount(data.train.labels).tolist() == [8, 4, 4]
    assert "1 files in" in caplog.text
    assert "notes.md" in caplog.text
    check_images(data)


def test_a_class_of_which_nothing_can_be_read_is_refused(folder: Path) -> None:
    for path in (folder / "train" / "bee").iterdir():
        spoil(path, "torn")
    with pytest.raises(ContractError, match=r"Every class must have images.*bee/0001\.jpg"):
        load(replace(source(folder), skip_unreadable=True))


def test_a_disk_that_fails_once_is_not_held_against_pictures(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(pictures: Pictures, i: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Pictures, "_opened", fails)
        with pytest.raises(ContractError, match="Input/output error"):
            check_images(load(source(folder)))
    check_images(load(source(folder)))


def test_what_is_remembered_is_looked_at_again(folder: Path) -> None:
    """A picture may be mended without a trace, and another one must not hide behind it."""
    path = folder / "train" / "bee" / "0001.jpg"
    good, times = path.read_bytes(), path.stat()
    spoil(path, "torn")
    path.write_bytes(path.read_bytes().ljust(len(good), b"\0"))
    spoil(folder / "train" / "cat" / "0005.jpg", "text")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ContractError, match=r"bee/0001\.jpg.*2 such"):
        check_images(load(source(folder)))
    path.write_bytes(good)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ContractError, match=r"cat/0005\.jpg"):
        check_images(load(source(folder)))


def test_splits_of_torchvision_do_not_share_what_is_remembered(folder: Path) -> None:
    named = ImageSource("torch/image_folder", SMALL, root=folder, skip_unreadable=True)
    shutil.rmtree(folder / "val")
    shutil.copytree(folder / "train", folder / "val")
    spoil(folder / "train" / "bee" / "0001.jpg", "torn")
    data = load(named)
    assert [len(getattr(data, split).labels) for split in SPLITS] == [11, 6, 6]


def test_sixteen_bits_of_grey_are_eight(folder: Path) -> None:
    grey = np.linspace(0, 65_535, 16 * 16).reshape(16, 16).astype(np.uint16)
    Image.fromarray(grey).save(folder / "train" / "ant" / "0000.png")
    data = load(source(folder))
    number = [data.train.pictures.file(i) for i in range(13)].index("ant/0000.png")  # type: ignore[attr-defined]  # of a folder
    pixels = data.train.batch(np.array([number]))[0, 0]
    assert np.array_equal(pixels.numpy(), grey // 257)


def test_a_seed_that_halves_nothing_is_refused(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "p", N_OF | {"test": 6})
    with pytest.raises(ContractError, match="split_seed halves validation images"):
        load(replace(source(pictures), split_seed=1))


def test_hidden_folders_are_none_of_the_data(folder: Path) -> None:
    (folder / "train" / ".thumbnails").mkdir()
    assert load(source(folder)).n_classes == 3


def test_the_fingerprint_tells_what_decides_images(folder: Path) -> None:
    one = load(source(folder)).fingerprint
    assert load(source(folder)).fingerprint == one
    assert load(source(folder, replace(SMALL, crop=0.9))).fingerprint != one
    assert load(replace(source(folder), split_seed=1)).fingerprint != one
    other = replace(source(folder), augmentation=Augmentation(flip=0.0))
    assert load(other).fingerprint != one
    picture = folder / "train" / "cat" / "0005.jpg"
    content = picture.read_bytes()
    picture.write_bytes(content + b"more")
    assert load(source(folder)).fingerprint != one
    picture.write_bytes(content)
    moved = folder.rename(folder.with_name("moved"))
    assert load(source(moved)).fingerprint.partition("@")[2] == one.partition("@")[2]
    (moved / "train" / "ant" / "0000.jpg").rename(moved / "train" / "bee" / "0000.jpg")
    assert load(source(moved)).fingerprint.partition("@")[2] != one.partition("@")[2]


def test_streams_are_refused() -> None:
    with pytest.raises(ContractError, match=r"read by their numbers.*'wds/shards' is a stream"):
        load(source(Path("wds/shards")))


def test_data_sets_of_timm_are_fetched_from_nowhere_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"torch/cifar10.*must be on this machine.*data_root"):
        load(replace(source(Path("torch/cifar10")), root=tmp_path))
    with pytest.raises((ContractError, MissingPackageError)):
        load(source(Path("hfds/nobody/nothing")))


def write_mnist(folder: Path, n_of: dict[str, int]) -> None:
    """MNIST as its authors publish it: big-endian arrays with their shapes in front."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, n in n_of.items():
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            shape = np.array(array.shape, dtype=">i4").tobytes()
            head = bytes([0, 0, 8, array.ndim])
            (folder / f"{name}-{kind}-ubyte").write_bytes(head + shape + array.tobytes())


def test_a_data_set_that_torchvision_has_on_disk(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", {"train": 40, "t10k": 20})
    grey = Preprocessing((28, 28), crop=1.0, channels="grey", mean=(0.5,), std=(0.5,))
    data = load(ImageSource("torch/mnist", grey, root=tmp_path))
    assert [len(getattr(data, split).labels) for split in SPLITS] == [40, 10, 10]
    assert data.n_classes == 10
    check_images(data)
    raw = (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()[16:]
    pixels = np.frombuffer(raw, np.uint8).reshape(40, 1, 28, 28)
    assert np.array_equal(data.train.batch(np.arange(40)).numpy(), pixels)
    assert data.fingerprint == load(ImageSource("torch/mnist", grey, root=tmp_path)).fingerprint
