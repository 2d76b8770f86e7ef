"""Networks of one small graph, repeated."""

from tailorbird.spaces.cells.nasbench201 import NasBench201

__all__ = ["NasBench201"]
