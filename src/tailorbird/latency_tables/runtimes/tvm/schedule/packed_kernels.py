"""Contractions with weights that were packed at compile time, as tensor expressions.

A panel of weights holds the columns of one register tile next to each other, so that the inner
loop reads it in order. Outputs are computed for whole tiles; what lies beyond the edge is cropped
by a last stage, which fuses with whatever follows.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tvm import te, tirx

from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile

CROPPED = "cropped"
"""Name of the block that leaves out what tiles add at the edges."""

TILE = "tailorbird.tile"
"""Annotation of a block that says (rows, columns, lanes)."""


def pack(weights: np.ndarray, columns: int) -> np.ndarray:
    """Weights (..., n) as panels (ceil(n / columns), ..., columns), padded with zeros."""
    *leading, n = weights.shape
    panels = math.ceil(n / columns)
    padded = np.zeros((*leading, panels * columns), dtype=weights.dtype)
    padded[..., :n] = weights
    split = padded.reshape(*leading, panels, columns)
    return np.ascontiguousarray(np.moveaxis(split, -2, 0))


def packed_dense(x: Any, panels: Any, n: int, tile: Tile, notes: Mapping[str, str | int]) -> Any:
    """Inputs (..., m, k) times packed weights (p, k, columns), to (..., m, n)."""
    *batch, m, k = (int(extent) for extent in x.shape)
    rows = math.ceil(m / tile.rows) * tile.rows
    padded = x if rows == m else _pad(x, (*batch, rows, k), {len(batch): (0, m)})
    step = te.reduce_axis((0, k), "k")

    def product(*index: Any) -> Any:
        *leading, column = index
        weight = panels[column // tile.columns, step, column % tile.columns]
        return te.sum(padded[(*leading, step)] * weight, axis=step)

    n_padded = int(panels.shape[0]) * tile.columns
    return _crop(_tiled((*batch, rows, n_padded), product, tile, notes), (*batch, m, n))


def packed_conv(
    x: Any,
    panels: Any,
    n: int,
    strides: Sequence[int],
    padding: Sequence[int],
    tile: Tile,
    notes: Mapping[str, str | int],
) -> Any:
    """Inputs (b, h, w, c) convolved with packed weights (p, kh, kw, c, columns), channels last."""
    batch, height, width, channels = (int(extent) for extent in x.shape)
    _, kh, kw, _, _ = (int(extent) for extent in panels.shape)
    (sh, sw), (top, left, bottom, right) = strides, padding
    out_h, out_w = (height + top + bottom - kh) // sh + 1, (width + left + right - kw) // sw + 1
    rows = math.ceil(out_w / tile.rows) * tile.rows
    shape = (batch, (out_h - 1) * sh + kh, (rows - 1) * sw + kw, channels)
    padded = _pad(x, shape, {1: (top, height), 2: (left, width)})
    i, j = te.reduce_axis((0, kh), "i"), te.reduce_axis((0, kw), "j")
    c = te.reduce_axis((0, channels), "c")

    def product(b: Any, y: Any, z: Any, column: Any) -> Any:
        weight = panels[column // tile.columns, i, j, c, column % tile.columns]
        return te.sum(padded[b, y * sh + i, z * sw + j, c] * weight, axis=[i, j, c])

    n_padded = int(panels.shape[0]) * tile.columns
    return _crop(
        _tiled((batch, out_h, rows, n_padded), product, tile, notes), (batch, out_h, out_w, n)
    )


def depthwise_conv(
    x: Any,
    weights: Any,
    n: int,
    strides: Sequence[int],
    padding: Sequence[int],
    tile: Tile,
    notes: Mapping[str, str | int],
) -> Any:
    """Inputs (b, h, w, n) convolved with weights (kh, kw, n padded), each channel alone."""
    batch, height, width, _ = (int(extent) for extent in x.shape)
    kh, kw, n_padded = (int(extent) for extent in weights.shape)
    (sh, sw), (top, left, bottom, right) = strides, padding
    out_h, out_w = (height + top + bottom - kh) // sh + 1, (width + left + right - kw) // sw + 1
    rows = math.ceil(out_w / tile.rows) * tile.rows
    shape = (batch, (out_h - 1) * sh + kh, (rows - 1) * sw + kw, n_padded)
    padded = _pad(x, shape, {1: (top, height), 2: (left, width), 3: (0, n)})
    i, j = te.reduce_axis((0, kh), "i"), te.reduce_axis((0, kw), "j")

    def product(b: Any, y: Any, z: Any, c: Any) -> Any:
        return te.sum(padded[b, y * sh + i, z * sw + j, c] * weights[i, j, c], axis=[i, j])

    return _crop(
        _tiled((batch, out_h, rows, n_padded), product, tile, notes), (batch, out_h, out_w, n)
    )


def _tiled(shape: Sequence[int], product: Any, tile: Tile, notes: Mapping[str, str | int]) -> Any:
    attrs = {TILE: [tile.rows, tile.columns, tile.lanes], **notes}
    return te.compute(shape, product, name="contraction", attrs=attrs)


def _pad(x: Any, shape: Sequence[int], inside: dict[int, tuple[int, int]]) -> Any:
    """Zeros around x; by axis, `inside` says where x starts and how long it is."""
    if tuple(shape) == tuple(int(extent) for extent in x.shape):
        return x

    def value(*index: Any) -> Any:
        at = [v - inside[axis][0] if axis in inside else v for axis, v in enumerate(index)]
        conditions = []
        for axis, (start, extent) in inside.items():
            if start:
                conditions.append(index[axis] >= start)
            if start + extent < shape[axis]:
                conditions.append(index[axis] < start + extent)
        if not conditions:  # only what a stride never reaches is left out
            return x[tuple(at)]
        return tirx.if_then_else(tirx.all(*conditions), x[tuple(at)], tirx.const(0.0, x.dtype))

    return te.compute(shape, value, name="padded")


def _crop(y: Any, shape: Sequence[int]) -> Any:
    if tuple(shape) == tuple(int(extent) for extent in y.shape):
        return y
    return te.compute(shape, lambda *index: y[index], name=CROPPED)
