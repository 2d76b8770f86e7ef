"""Places of stitches that are chosen by how little they change what anchors answer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from arrays import arrays

from tailorbird.errors import ContractError
from tailorbird.progress import NoProgress
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import EveryPlace, Places, StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import Dataset, Trained, Training, train
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.stitching.klas import choose_places, divergences, load_places
from tailorbird.training.stitching.least_squares import initialise_stitches

FAMILY = DigitsResNet(2, widths=(4, 8, 16), depth=3)
SPACE = StitchSpace(FAMILY, Windows(2, 1), max_stitches=1)
SETTINGS = Training(2, 2, 0, stitch_images=60)


def test_divergences_are_those_of_networks_that_are_taken_out(few_digits: Dataset) -> None:
    torch.manual_seed(0)
    space = StitchSpace(FAMILY, EveryPlace("all"), max_stitches=1)
    network = SharedNetwork(space)
    found = divergences(space, network, few_digits.train, 60)
    assert found.shape == (len(space.stitches),)
    assert (found > 0).all()
    initialise_stitches(space, network, few_digits.train, 60)
    trained = Trained(space, network, few_digits.train)
    order = np.random.default_rng(0).permutation(100)[:60]
    x = torch.from_numpy(arrays(few_digits.train).images[order])
    for number in (0, 7, len(found) - 1):
        with torch.no_grad():
            own = trained.extract(space.crossings[number])(x).double()
            anchor = trained.extract(space.landmarks[space.stitches[number].target])(x).double()
        expected = F.kl_div(own.log_softmax(1), anchor.softmax(1), reduction="batchmean")
        assert found[number] == pytest.approx(float(expected), rel=1e-4)


def test_each_range_has_the_place_of_the_least_divergence(
    few_digits: Dataset, tmp_path: Path
) -> None:
    places = choose_places(SPACE, few_digits, SETTINGS, tmp_path, NoProgress())
    every = StitchSpace(FAMILY, EveryPlace(), max_stitches=1)
    network = SharedNetwork(every)
    alone = train(
        SPACE.with_at_most(0),
        few_digits,
        replace(SETTINGS, stitch_epochs=0),
        tmp_path,
        NoProgress(),
    )
    network.load_state_dict(alone.network.state_dict(), strict=False)
    found = divergences(every, network, few_digits.train, 60)
    macs, ends = count_macs(every, every.crossings), count_macs(every, every.landmarks)
    expected = []
    for small in (0, 1):
        width = (ends[small + 1] - ends[small]) / 3  # blocks of the smaller
        for k in range(3):
            low = ends[small] + k * width
            inside = [
                i
                for i, stitch in enumerate(every.stitches)
                if stitch.source == small
                and max(low, ends[small] + 1) <= macs[i] < min(low + width, ends[small + 1])
            ]
            if inside:
                best = every.stitches[min(inside, key=found.__getitem__)]
                expected.append((best.source, best.leave, best.target, best.enter))
    assert places == Places(tuple(expected))
    assert len(expected) > 2


def test_places_are_kept_with_what_they_were_chosen_by(few_digits: Dataset, tmp_path: Path) -> None:
    arguments = (SPACE, few_digits, SETTINGS, tmp_path)
    assert load_places(*arguments) is None
    places = choose_places(*arguments, NoProgress())
    assert load_places(*arguments) == places
    others = (
        replace(SETTINGS, train_epochs=1),
        replace(SETTINGS, stitch_images=50),
        replace(SETTINGS, seed=1),
    )
    for settings in others:
        assert load_places(SPACE, few_digits, settings, tmp_path) is None
    assert load_places(SPACE, few_digits, SETTINGS, tmp_path, "all") is None
    same = replace(SETTINGS, stitch_epochs=9, routes="uniform")  # which come later
    assert load_places(SPACE, few_digits, same, tmp_path) == places
    path = tmp_path / "places.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    assert load_places(*arguments) is None
    assert choose_places(*arguments, NoProgress()) == places


def test_anchors_are_those_that_are_stitched(few_digits: Dataset, tmp_path: Path) -> None:
    choose_places(SPACE, few_digits, SETTINGS, tmp_path, NoProgress())
    made = {path: path.read_bytes() for path in tmp_path.glob("anchor-*")}
    assert len(made) == 3
    train(SPACE, few_digits, SETTINGS, tmp_path, NoProgress())
    assert {path: path.read_bytes() for path in made} == made


def test_anchors_without_room_for_a_stitch_are_refused(few_digits: Dataset, tmp_path: Path) -> None:
    space = StitchSpace(DigitsResNet(2, widths=(4, 8), depth=1), Windows(1, 1), max_stitches=0)
    with pytest.raises(ContractError, match="Stitches join blocks on equal grids"):
        choose_places(space, few_digits, SETTINGS, tmp_path, NoProgress())
    assert not [*tmp_path.iterdir()]  # before anything is trained
