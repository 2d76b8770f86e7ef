"""Counts the workloads of published spaces anew, into the file that the package keeps.

python benchmarks/scripts/count_workloads.py src/tailorbird/spaces/kept_counts.csv
"""

import csv
import inspect
import sys
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from tailorbird import spaces
from tailorbird.spaces.footprint import footprint
from tailorbird.spaces.kept_counts import COLUMNS, of_one_image
from tailorbird.spaces.registry import SPACES
from tailorbird.spaces.workload import CALL, Workload

_OF_OFA: list[dict[str, object]] = [
    {"resolution": side, "width_mult": width}
    for side in (128, 144, 160, 176, 192, 208, 224)
    for width in (1.0, 1.2)
]
SETTINGS: dict[str, list[dict[str, object]]] = {
    "deit-ti-s-b": [{"stitches": "two-way"}],
    "elastic-resnet": [{"n_layers": n} for n in (32, 44, 56)],
    "elastic-vit": [{"member": member} for member in ("s", "b")],
    "nasbench201": [{"n_classes": n} for n in (100, 120)],
    "ofa-mobilenetv3": _OF_OFA,
}
"""Settings that were published, besides those that each space has by default."""


def workloads() -> dict[tuple[str, str], Workload]:
    """Workloads for one image of all spaces, by builder and key."""
    found = {(CALL.builder, CALL.key): CALL}
    for name, factory in SPACES.items():
        for settings in _settings(name, "pairs" in inspect.signature(factory).parameters):
            for workload in spaces.get(name, **settings).workloads:
                one = of_one_image(workload)
                if not one.digest:  # which changes with the version of torch
                    found[one.builder, one.key] = one
    return found


def counted(workload: Workload) -> tuple[int, ...]:
    """Counts of one workload, by torch."""
    return astuple(footprint(workload.build(), workload.inputs))


def _settings(name: str, has_pairs: bool) -> Iterator[dict[str, object]]:
    yield {}
    if has_pairs:
        yield {"pairs": "all"}
    yield from SETTINGS.get(name, [])


def main() -> None:
    """Writes the file."""
    rows = [(*key, *counted(workload)) for key, workload in sorted(workloads().items())]
    with Path(sys.argv[1]).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("builder", "key", *COLUMNS))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
