"""Importances by the names of `[accuracy] importance`: a Python path each."""

from collections.abc import Mapping

_HERE = "tailorbird.training.supernet.importance"
IMPORTANCES: Mapping[str, str] = {
    "l1": f"{_HERE}:l1",
    "taylor": f"{_HERE}:taylor",
    "none": f"{_HERE}:unsorted",
}
