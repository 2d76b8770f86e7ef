"""Search spaces: encodings, workloads and networks. Free of torch until something is built."""

from tailorbird.spaces.architecture import Architecture
from tailorbird.spaces.elastic import Elastic, Stage
from tailorbird.spaces.own_windows import HasWindows
from tailorbird.spaces.registry import get
from tailorbird.spaces.shared import Piece, SharedSpace
from tailorbird.spaces.space import FloatArray, IntArray, SearchSpace, Variable
from tailorbird.spaces.unions import Union, union_of
from tailorbird.spaces.workload import CALL, Workload

__all__ = [
    "CALL",
    "Architecture",
    "Elastic",
    "FloatArray",
    "HasWindows",
    "IntArray",
    "Piece",
    "SearchSpace",
    "SharedSpace",
    "Stage",
    "Union",
    "Variable",
    "Workload",
    "get",
    "union_of",
]
