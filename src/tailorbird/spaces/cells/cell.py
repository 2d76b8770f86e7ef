"""Edges and operations of a cell of NAS-Bench-201."""

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of each, in the order of the columns of an encoding, in which they run."""

OUTPUT = 3
"""Number of the last node."""

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Choices of an edge, by the benchmark's names."""

SKIP = 1
"""Number of the operation that hands its input on."""
