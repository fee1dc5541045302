"""A connection as a linear map on dense arrays: what the float run and the folding of linear nodes use."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .connection import Connection, Conv, Dense, Pool, synapses

EVENTS = 1 << 22  # synaptic events handled at once


def apply(connection: Connection, x: NDArray[Any]) -> NDArray[Any]:
    """What arrives at every target: x (rows, sources) -> (rows, targets), in the wider dtype of x and the weights.

    Delays of single synapses are not looked at.
    """
    if isinstance(connection, Dense):
        return np.asarray(x @ connection.weight.T)
    if isinstance(connection, Conv):
        return _conv(connection, x)
    return scatter(connection, x)


@lru_cache(maxsize=16)
def _by_source(connection: Connection) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Synapses by source: where each source's begin, targets, weights."""
    source, target, weight, _ = synapses(connection)
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=connection.sources))])
    return start, target, weight.astype(np.float64)


def scatter(connection: Connection, x: NDArray[Any]) -> NDArray[np.float64]:
    """As `apply`, in float64 and by events: the work follows what is not zero in x, which spikes rarely are.

    Sums run over sources in rising order, whatever stands in the other rows.
    """
    start, target, weight = _by_source(connection)
    fan = np.diff(start)
    row, source = np.nonzero(x)
    out = np.zeros((x.shape[0], connection.targets))
    done = np.concatenate([[0], np.cumsum(fan[source])])
    first_of_row = np.searchsorted(row, np.arange(x.shape[0] + 1))
    lo = 0
    while lo < x.shape[0]:
        hi = int(np.searchsorted(done[first_of_row], done[first_of_row[lo]] + EVENTS, side="right")) - 1
        hi = min(max(hi, lo + 1), x.shape[0])
        part = slice(first_of_row[lo], first_of_row[hi])
        count = fan[source[part]]
        ahead = np.repeat(start[source[part]] - (done[part] - done[part.start]), count)
        which = ahead + np.arange(int(count.sum()))
        flat = np.repeat(row[part] - lo, count) * connection.targets + target[which]
        value = np.repeat(x[row[part], source[part]].astype(np.float64), count) * weight[which]
        out[lo:hi] = np.bincount(flat, value, minlength=(hi - lo) * connection.targets).reshape(hi - lo, -1)
        lo = hi
    return out


def pool_sum(pool: Pool, x: NDArray[Any]) -> NDArray[Any]:
    """Sums over windows: x (rows, channels, height, width)."""
    (kh, kw), (sh, sw), (ph, pw) = pool.size, pool.stride, pool.padding
    if ph or pw:
        x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    windows = sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return np.asarray(windows.sum(axis=(-2, -1)))


def _conv(conv: Conv, x: NDArray[Any]) -> NDArray[Any]:
    rows = x.shape[0]
    image = x.reshape(rows, *conv.in_shape)
    if conv.pool is not None:
        image = pool_sum(conv.pool, image)
    c_out, oh, ow = conv.out_shape
    _, c_in, kh, kw = conv.weight.shape
    (sh, sw), (dh, dw), (top, left) = conv.stride, conv.dilation, conv.padding
    height, width = (oh - 1) * sh + (kh - 1) * dh + 1, (ow - 1) * sw + (kw - 1) * dw + 1
    h, w = image.shape[2:]
    canvas = np.zeros((rows, image.shape[1], height, width), x.dtype)
    use_h, use_w = min(h, height - top), min(w, width - left)
    if use_h > 0 and use_w > 0:
        canvas[:, :, top : top + use_h, left : left + use_w] = image[:, :, :use_h, :use_w]
    windows = sliding_window_view(canvas, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), axis=(2, 3))
    windows = windows[:, :, ::sh, ::sw, ::dh, ::dw]  # rows, channels, oh, ow, kh, kw
    per_out = c_out // conv.groups
    parts = []
    for g in range(conv.groups):
        columns = windows[:, g * c_in : (g + 1) * c_in].transpose(0, 2, 3, 1, 4, 5).reshape(rows * oh * ow, -1)
        kernel = conv.weight[g * per_out : (g + 1) * per_out].reshape(per_out, -1)
        parts.append((columns @ kernel.T).reshape(rows, oh, ow, per_out))
    return np.concatenate(parts, axis=3).transpose(0, 3, 1, 2).reshape(rows, conv.targets)


def arriving(connection: Connection, x: NDArray[Any]) -> NDArray[np.float64]:
    """What arrives at every target, in float64, by the faster of the two ways: x (rows, sources) -> (rows, targets)."""
    if isinstance(connection, Dense):
        return np.asarray(x.astype(np.float64) @ connection.weight.T)
    return scatter(connection, x)
