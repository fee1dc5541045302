"""What a spike of each source does, as segments: runs of targets that take a run of weights.

Rows of one source that continue each other across cores become one segment, and kernels are never written out: a
convolution's segments point into its weights, which the tiles of a population share where they hold the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..mapping import CoreImage, PopulationInfo, Regions, unpack_conv_entry, unpack_geometry
from .routes import Arrivals
from .rows import Arriving, Rows, gathered


class Synapses(NamedTuple):
    """What a spike of each source does: segments (start[s]..start[s+1]) and single synapses (one[s]..one[s+1])."""

    start: NDArray[np.int64]
    target: NDArray[np.int32]
    weight: NDArray[np.int64]  # where its weights begin in `weights`
    length: NDArray[np.int32]
    delay: NDArray[np.uint8]
    weights: NDArray[np.int8]
    one: NDArray[np.int64]
    one_target: NDArray[np.int32]
    one_weight: NDArray[np.int8]
    one_delay: NDArray[np.uint8]
    fours: bool  # whether a segment is long enough for four rows to be added in one pass


class _Pieces:
    """Segments of convolutions and relays as they are found: source, target, weight, length, delay."""

    def __init__(self) -> None:
        self.columns: list[NDArray[np.int64]] = [np.zeros((5, 0), np.int64)]
        self.weights: list[NDArray[np.int8]] = [np.ones(1, np.int8)]  # place 0 holds the 1 of a relay
        self.used = 1
        self.kernels: dict[tuple[str, bytes], list[tuple[int, NDArray[np.int8], NDArray[np.bool_]]]] = {}

    def keep(self, of: tuple[str, bytes], part: NDArray[np.int8], c0: int, channels: int) -> int:
        """Store a core's part of a kernel, its channels last and from `c0` on; where the whole kernel begins.

        of : population and geometry; cores whose kernels do not fit together have one each
        """
        c1 = c0 + part.shape[-1]
        for at, whole, known in self.kernels.setdefault(of, []):
            if not (known[c0:c1] & (whole[..., c0:c1] != part)).any():
                whole[..., c0:c1], known[c0:c1] = part, True
                return at
        at, whole, known = self.used, np.zeros((*part.shape[:-1], channels), np.int8), np.zeros(channels, bool)
        whole[..., c0:c1], known[c0:c1] = part, True
        self.kernels[of].append((at, whole, known))
        self.weights.append(whole.ravel())  # the same memory: what other cores know of it is filled in
        self.used += whole.size
        return at

    def add(self, source: Any, target: Any, weight: Any, length: Any, delay: Any) -> None:
        self.columns.append(np.stack(np.broadcast_arrays(source, target, weight, length, delay)).astype(np.int64))


def synapses(
    cores: tuple[CoreImage, ...],
    directory: tuple[PopulationInfo, ...],
    parts: list[Regions],
    first: NDArray[np.int64],
    arrivals: Arrivals,
    place: NDArray[np.int64],
    pictures: bool,
) -> Synapses:
    """place : of each neuron; pictures : all channels of a pixel have their places together, not those of a core"""
    pieces = _Pieces()
    none = np.zeros(0, np.int64)
    arriving = [
        Arriving(np.concatenate([none, *(place[first[s] + m] for s, m in by)]),
                 np.concatenate([none, *(parts[s].descriptor.key | m for s, m in by)])) for by in arrivals
    ]
    populations = {i: p for p in directory for i in p.cores}
    for i, r in enumerate(parts):
        source, keys = arriving[i]
        mine = place[first[i] : first[i + 1]]
        if cores[i].application != "relay":
            if r.descriptor.geometries:
                (c0, c1), p = r.descriptor.box[:2], populations[i]
                kept = (p.name, c0, p.view[0]) if pictures or c1 - c0 == p.view[0] else (str(i), 0, c1 - c0)
                _convolve(pieces, r, arriving[i], mine, kept)
        elif r.conv_entries.size:
            key, bits, _, _ = unpack_conv_entry(r.conv_entries[0])
            on = (keys >> bits << bits == key) & ((keys & (1 << bits) - 1) < r.descriptor.neurons)
            pieces.add(source[on], mine[keys[on] & (1 << bits) - 1], 0, 1, 0)
    edges = first[[0, -1]] if pictures else first
    return _with_rows(pieces, gathered(cores, parts, first, arriving, place), edges)


def _with_rows(pieces: _Pieces, rows: Rows, edges: NDArray[np.int64]) -> Synapses:
    """All segments by source: of one source, those of convolutions and relays first; runs get no longer over edges."""
    from . import deliver_kernels, row_kernels

    size = rows.start.size
    row_kernels.order(*rows)
    mark = np.zeros(rows.target.size, np.int8)
    runs, ones = np.zeros(size, np.int64), np.zeros(size, np.int64)
    row_kernels.marks(rows.start, rows.end, rows.target, rows.delay, mark, runs, ones)
    source, target, weight, length, delay = _joined(np.concatenate(pieces.columns, axis=1))
    before = np.bincount(source, minlength=size)
    start, one = (np.concatenate([[0], np.cumsum(n)]).astype(np.int64) for n in (runs + before, ones))
    total, alone = int(start[-1]), int(one[-1])
    found = Synapses(
        start=start, target=np.empty(total, np.int32), weight=np.empty(total, np.int64),
        length=np.empty(total, np.int32), delay=np.empty(total, np.uint8),
        weights=np.zeros(0, np.int8),
        one=one, one_target=np.empty(alone, np.int32), one_weight=np.empty(alone, np.int8),
        one_delay=np.empty(alone, np.uint8), fours=False,
    )
    at = start[source] + np.arange(source.size) - (np.cumsum(before) - before)[source]
    found.target[at], found.weight[at], found.length[at], found.delay[at] = target, weight, length, delay
    used = row_kernels.shape(
        rows.start, rows.end, rows.target, rows.delay, mark, start[:-1] + before, pieces.used, edges, found.target,
        found.weight, found.length, found.delay,
    )
    weights = np.zeros(used, np.int8)
    np.concatenate(pieces.weights, out=weights[: pieces.used])
    row_kernels.fill(
        *rows, mark, start[:-1] + before, one, weights, found.target, found.weight, found.one_target, found.one_weight,
        found.one_delay,
    )
    return found._replace(weights=weights, fours=bool(found.length.max(initial=0) >= deliver_kernels.LONG))


def _joined(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Segments by source, those that continue each other in targets and weights as one."""
    columns = columns[:, np.lexsort((columns[2], columns[1], columns[4], columns[0]))]
    source, target, weight, length, delay = columns
    goes_on = (
        (np.diff(source) == 0)
        & (np.diff(delay) == 0)
        & (target[1:] == target[:-1] + length[:-1])
        & (weight[1:] == weight[:-1] + length[:-1])
    )
    begins = np.flatnonzero(np.concatenate([[True], ~goes_on])[: source.size])
    found = columns[:, begins]
    if begins.size:
        found[3] = np.add.reduceat(length, begins)
    return found


def _convolve(
    pieces: _Pieces, r: Regions, arriving: Arriving, place: NDArray[np.int64], kept: tuple[str, int, int]
) -> None:
    """Segments of the convolutions into one core: for each source, one per tap that meets the tile.

    place : of its neurons; kept : whose kernel its kernel is part of, from which channel on, of how many
    """
    c0, c1, y0, y1, x0, x1 = r.descriptor.box
    at = 0
    for number, words in enumerate(r.geometries):
        g = unpack_geometry(words)
        size = g.per_in * g.kh * g.kw * (c1 - c0)
        if at + g.kernel_bytes(c1 - c0) > r.kernels.size:
            raise ImageError("a kernel lies outside the core's kernels")
        kernel = r.kernels[at : at + size].reshape(g.per_in, g.kh, g.kw, c1 - c0)
        at += g.kernel_bytes(c1 - c0)
        apart = g.stride_x // np.gcd(g.stride_x, g.dilation_x)  # taps this far apart meet neighbouring targets
        order = np.lexsort((-np.arange(g.kw), np.arange(g.kw) % apart))
        rank = np.argsort(order)
        whose, skip, wide = kept
        begin = pieces.keep((whose, words.tobytes()), kernel[:, :, order], skip, wide) + skip - c0
        source, c, y, x = _coordinates(r, number, arriving)
        group = c // g.per_in
        low = np.maximum(group * g.per_out, c0)
        length = np.minimum((group + 1) * g.per_out, c1) - low
        for py, px, seen in _pooled(g, y, x):
            for ky in range(g.kh):
                oy, odd_y = np.divmod(py + g.pad_y - ky * g.dilation_y, g.stride_y)
                rows = seen & (odd_y == 0) & (oy >= y0) & (oy < y1) & (length > 0)
                for kx in range(g.kw):
                    ox, odd_x = np.divmod(px + g.pad_x - kx * g.dilation_x, g.stride_x)
                    ok = rows & (odd_x == 0) & (ox >= x0) & (ox < x1)
                    if not ok.any():
                        continue
                    pixel = ((oy[ok] - y0) * (x1 - x0) + ox[ok] - x0) * (c1 - c0) + low[ok] - c0
                    tap = ((c[ok] - group[ok] * g.per_in) * g.kh + ky) * g.kw + rank[kx]
                    pieces.add(source[ok], place[pixel], begin + tap * wide + low[ok], length[ok], 0)


def _coordinates(r: Regions, geometry: int, arriving: Arriving) -> tuple[NDArray[np.int64], ...]:
    """Sources that an entry of a geometry names: their numbers, channels, rows and columns."""
    found = [np.zeros((4, 0), np.int64)]
    for entry in r.conv_entries:
        key, bits, wanted, (c0, c1, y0, y1, x0, x1) = unpack_conv_entry(entry)
        if wanted != geometry:
            continue
        local = arriving.key & (1 << bits) - 1
        mine = (arriving.key >> bits << bits == key) & (local < (c1 - c0) * (y1 - y0) * (x1 - x0))
        pixel, c = np.divmod(local[mine], c1 - c0)
        y, x = np.divmod(pixel, x1 - x0)
        found.append(np.stack([arriving.source[mine], c0 + c, y0 + y, x0 + x]))
    source, c, y, x = np.concatenate(found, axis=1)
    return source, c, y, x


def _pooled(
    g: Any, y: NDArray[np.int64], x: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """The pooled pixels that each source adds to: row, column, whether there is such a one."""
    for j in range(-(-g.pool_h // g.pool_stride_y)):
        py = (y + g.pool_pad_y) // g.pool_stride_y - j
        in_y = (py >= 0) & (py < g.pooled_h) & (y + g.pool_pad_y - py * g.pool_stride_y < g.pool_h)
        for k in range(-(-g.pool_w // g.pool_stride_x)):
            px = (x + g.pool_pad_x) // g.pool_stride_x - k
            in_x = (px >= 0) & (px < g.pooled_w) & (x + g.pool_pad_x - px * g.pool_stride_x < g.pool_w)
            yield py, px, in_y & in_x
