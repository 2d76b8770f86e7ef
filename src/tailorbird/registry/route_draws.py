"""Draws of the networks of training steps by the names of `[accuracy] routes`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouteDrawEntry:
    """A draw of networks.

    Attributes:
        path: Python path of what makes it from a space and a seed.
        of_stitches: True if networks must be stitched.
    """

    path: str
    of_stitches: bool = False


_SHARED = "tailorbird.training.shared.route_sampling"
ROUTE_DRAWS: Mapping[str, RouteDrawEntry] = {
    "stitches": RouteDrawEntry(
        "tailorbird.training.stitching.route_sampling:by_stitches", of_stitches=True
    ),
    "uniform": RouteDrawEntry(f"{_SHARED}:uniform"),
    "log-macs": RouteDrawEntry(f"{_SHARED}:by_log_macs"),
    "resources": RouteDrawEntry(f"{_SHARED}:by_resources"),
}
