"""Number of distinct networks along the paths of a layout."""

from collections import Counter, defaultdict

from tailorbird.spaces.chains.chain import Edge, Layout
from tailorbird.spaces.workload import Workload

_Node = tuple[int, int, tuple[Workload, ...]]
"""Variable that is next, state, and workloads that come before it."""

_Nodes = frozenset[_Node]


def n_distinct_routes(layout: Layout) -> int:
    """Number of sequences of workloads that paths have; below that of paths if some coincide.

    Paths are followed side by side, all that began alike in one set, as automata are made
    deterministic.
    """
    edges = [defaultdict[int, list[Edge]](list) for _ in layout.edges]
    for leaving, layer in zip(edges, layout.edges, strict=True):
        for edge in layer:
            leaving[edge.source].append(edge)
    steps: dict[_Nodes, tuple[int, Counter[_Nodes]]] = {}

    def step(nodes: _Nodes) -> tuple[int, Counter[_Nodes]]:
        """Number of paths that end here, 1 at most, and how many workloads lead on to each set."""
        n_ends, following, ahead = 0, defaultdict[Workload, set[_Node]](set), list(nodes)
        while ahead:
            variable, state, waiting = ahead.pop()
            if waiting:
                following[waiting[0]].add((variable, state, waiting[1:]))
            elif variable < len(edges):
                leaving = edges[variable][state]
                ahead += [(variable + 1, edge.target, edge.workloads) for edge in leaving]
            elif variable == len(edges):
                ahead.append((variable + 1, state, layout.last[state]))
            else:
                n_ends = 1
        return n_ends, Counter(map(frozenset, following.values()))

    n_routes, reached = 0, Counter({frozenset({(0, 0, layout.first)}): 1})
    while reached:
        further = Counter[_Nodes]()
        for nodes, n in reached.items():
            if nodes not in steps:
                steps[nodes] = step(nodes)
            n_ends, following = steps[nodes]
            n_routes += n * n_ends
            for then, n_labels in following.items():
                further[then] += n * n_labels
        reached = further
    return n_routes
