"""Footprints of published spaces' workloads, counted once and kept in a file of the package.

So these spaces can be searched where torch is not installed, and without loading it where it is.
`benchmarks/scripts/count_workloads.py` counts them anew; a test compares.
"""

import csv
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files

from tailorbird.spaces.workload import Workload

FILE = "kept_counts.csv"
COLUMNS = ("n_macs", "n_params", "weight_bytes", "peak_activation_bytes")
"""What is counted, for one image."""

_OF_IMAGES = (0, 3)  # columns that grow with their number; weights stay what they are


def kept(workload: Workload) -> tuple[int, ...] | None:
    """Multiply-adds, parameters, bytes of weights and peak bytes; None if they are not kept.

    Args:
        workload: for any number of images. It is known by its builder as well: a user's own may
            have the key of a published one.
    """
    numbers = {shape[0] for shape in workload.inputs}
    if workload.module is not None or len(numbers) > 1:
        return None
    row = _rows().get((workload.builder, of_one_image(workload).key))
    if row is None:
        return None
    (n_images,) = numbers
    return tuple(n * n_images if i in _OF_IMAGES else n for i, n in enumerate(row))


def of_one_image(workload: Workload) -> Workload:
    """The same workload for a batch of one."""
    return replace(workload, inputs=tuple((1, *shape[1:]) for shape in workload.inputs))


@cache
def _rows() -> Mapping[tuple[str, str], tuple[int, ...]]:
    """Counts by builder and key for one image."""
    with (files(__package__) / FILE).open(encoding="utf-8") as file:
        return {
            (row["builder"], row["key"]): tuple(int(row[column]) for column in COLUMNS)
            for row in csv.DictReader(file)
        }
