"""Counts that the package keeps, beside those that torch gives today."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from scripts.count_workloads import counted, workloads

from tailorbird import spaces
from tailorbird.spaces.footprint import costs, footprint, workload_peak_bytes
from tailorbird.spaces.kept_counts import kept
from tailorbird.spaces.workload import CALL, Workload

WORKLOADS = workloads()
SOME = [*sorted(WORKLOADS)][:: len(WORKLOADS) // 40]


def of(workload: Workload, n_images: int) -> Workload:
    return replace(workload, inputs=tuple((n_images, *shape[1:]) for shape in workload.inputs))


def test_all_workloads_of_published_spaces_are_kept() -> None:
    assert [workload.key for workload in WORKLOADS.values() if kept(workload) is None] == []
    space = spaces.get("digits-resnet", batch=7)
    assert all(map(kept, space.workloads))


@pytest.mark.parametrize("key", SOME, ids=lambda key: key[1][:60])
def test_what_is_kept_is_what_torch_counts_for_any_number_of_images(key: tuple[str, str]) -> None:
    workload = of(WORKLOADS[key], 1 if key[1] == CALL.key else 3)
    assert kept(workload) == astuple(footprint(workload.build(), workload.inputs))
    assert costs([workload]).tolist() == [list(kept(workload) or ())[:2]]
    assert workload_peak_bytes([workload]) == (kept(workload) or ())[3]


@pytest.mark.slow
def test_everything_that_is_kept_is_what_torch_counts() -> None:
    wrong = [
        workload.key
        for workload in WORKLOADS.values()
        for n_images in ((1,) if workload.key == CALL.key else (1, 2))
        if kept(of(workload, n_images)) != counted(of(workload, n_images))
    ]
    assert wrong == []


def test_a_workload_of_one_s_own_is_counted_whatever_its_name() -> None:
    (known, *_) = spaces.get("digits-resnet").workloads
    own = replace(known, builder="torch.nn:Identity", params=())
    assert kept(replace(known, builder="mine:Own")) is None
    assert kept(own) is None
    assert np.array_equal(costs([own]), [[0, 0]])
