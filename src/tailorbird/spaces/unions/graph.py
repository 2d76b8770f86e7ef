"""Layered graphs of unions."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from scipy.sparse import csr_array, vstack

from tailorbird.spaces.layered import Layer, LayeredGraph
from tailorbird.spaces.space import IntArray


def spread(counts: csr_array, places: IntArray, n_workloads: int) -> csr_array:
    """Counts (n, n_member_workloads) among those of all workloads of a union, (n, n_workloads).

    Args:
        counts: of a member's workloads.
        places: column of each of these, (n_member_workloads,).
        n_workloads: of the union.
    """
    shape = (counts.shape[0], n_workloads)
    moved = csr_array((counts.data, places[counts.indices], counts.indptr), shape=shape)
    moved.sort_indices()
    return moved


def joined(
    graphs: Sequence[LayeredGraph], places: Sequence[IntArray], n_workloads: int
) -> LayeredGraph:
    """Graph whose first layer leads into one of several graphs, which then follow each other.

    State 0 is the root; the states of each graph come behind it. In the layers of one graph, paths
    of the others wait: behind the end of theirs, or before its beginning, by choice 0 at no cost.

    Args:
        graphs: in the order of the first layer's choices.
        places: column of each workload of each graph among those of all, (n_graph_workloads,).
        n_workloads: of all.
    """
    *first, _ = accumulate((graph.final.shape[0] for graph in graphs), initial=1)
    roots = np.array(first, dtype=np.int64)
    start = Layer(
        source=np.zeros(len(graphs), dtype=np.int64),
        choice=np.arange(len(graphs)),
        target=roots,
        counts=csr_array((len(graphs), n_workloads), dtype=np.int64),
    )
    layers, ended = [start], np.zeros(0, dtype=np.int64)
    for m, graph in enumerate(graphs):
        waiting = np.concatenate([ended, roots[m + 1 :]])
        seen = dict[int, Layer]()  # layers that are one object stay so
        for layer in graph.layers:
            if id(layer) not in seen:
                seen[id(layer)] = _moved(layer, roots[m], places[m], n_workloads, waiting)
            layers.append(seen[id(layer)])
        ended = np.concatenate([ended, roots[m] + np.unique(graph.layers[-1].target)])
    none = csr_array((1, n_workloads), dtype=np.int64)
    finals = [
        spread(graph.final, at, n_workloads) for graph, at in zip(graphs, places, strict=False)
    ]
    return LayeredGraph(tuple(layers), csr_array(vstack([none, *finals], format="csr")))


def _moved(layer: Layer, root: int, places: IntArray, n_workloads: int, waiting: IntArray) -> Layer:
    """A graph's layer among the states of all, in which others wait."""
    idle = csr_array((len(waiting), n_workloads), dtype=np.int64)
    counts = vstack([spread(layer.counts, places, n_workloads), idle], format="csr")
    return Layer(
        source=np.concatenate([root + layer.source, waiting]),
        choice=np.concatenate([layer.choice, np.zeros_like(waiting)]),
        target=np.concatenate([root + layer.target, waiting]),
        counts=csr_array(counts),
    )
