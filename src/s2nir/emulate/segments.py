"""What a spike of each source does, as segments: runs of targets that take a run of weights.

Neurons are numbered through all cores in the order of the image, so rows of one source that continue each other across
cores become one segment, and kernels are never written out: a convolution's segments point into its weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..mapping import (
    BlockRows,
    MachineImage,
    Regions,
    read_blocks,
    unpack_conv_entry,
    unpack_geometry,
    unpack_words,
)

GAP = 8  # a run of targets may have holes this long; they are filled with weights of zero
SHORTEST = 4  # shorter runs go as single synapses


class Synapses(NamedTuple):
    """What a spike of each source does: segments (start[s]..start[s+1]) and single synapses (one[s]..one[s+1])."""

    start: NDArray[np.int64]
    target: NDArray[Any]  # int32 where that holds them, as the next three
    weight: NDArray[Any]  # where its weights begin in `weights`
    length: NDArray[Any]
    delay: NDArray[Any]
    weights: NDArray[np.int8]
    one: NDArray[np.int64]
    one_target: NDArray[np.int64]
    one_weight: NDArray[np.int64]
    one_delay: NDArray[np.int64]


class _Pieces:
    """Segments as they are found: source, target, weight, length, delay."""

    def __init__(self) -> None:
        self.columns: list[NDArray[np.int64]] = [np.zeros((5, 0), np.int64)]
        self.ones: list[NDArray[np.int64]] = [np.zeros((4, 0), np.int64)]
        self.weights: list[NDArray[np.int8]] = [np.ones(1, np.int8)]  # place 0 holds the 1 of a relay
        self.used = 1

    def keep(self, weights: NDArray[np.int8]) -> int:
        """Store weights; where they begin."""
        at = self.used
        self.weights.append(weights)
        self.used += weights.size
        return at

    def add(self, source: Any, target: Any, weight: Any, length: Any, delay: Any) -> None:
        self.columns.append(np.stack(np.broadcast_arrays(source, target, weight, length, delay)).astype(np.int64))


def synapses(
    image: MachineImage,
    parts: list[Regions],
    first: NDArray[np.int64],
    arrivals: list[list[tuple[int, NDArray[np.int64]]]],
) -> Synapses:
    pieces = _Pieces()
    rows = [np.zeros((4, 0), np.int64)]
    for i, r in enumerate(parts):
        held = _by_slice(image, i, r) if r.table.size and r.descriptor.word.by_slice else None
        if i % image.cores_per_copy == 0:  # rows go on within a copy only, and those of all at once would fill memory
            _runs(pieces, np.concatenate(rows, axis=1))
            rows = [np.zeros((4, 0), np.int64)]
        for s, local in arrivals[i]:
            source, keys = first[s] + local, parts[s].descriptor.key | local
            if held is not None:
                rows.append(_found(held, source, keys, int(first[i])))
            elif r.table.size:
                rows.append(_lookup(image, i, r, source, keys, int(first[i])))
            if image.cores[i].application == "relay" and r.conv_entries.size:
                key, bits, _, _ = unpack_conv_entry(r.conv_entries[0])
                mine = (keys >> bits << bits == key) & ((keys & (1 << bits) - 1) < r.descriptor.neurons)
                pieces.add(source[mine], first[i] + (keys[mine] & (1 << bits) - 1), 0, 1, 0)
        if r.descriptor.geometries and image.cores[i].application != "relay":
            _convolve(pieces, r, [(first[s] + m, parts[s].descriptor.key | m) for s, m in arrivals[i]], int(first[i]))
    _runs(pieces, np.concatenate(rows, axis=1))
    return _sorted(pieces, int(first[-1]))


def _by_slice(image: MachineImage, i: int, r: Regions) -> BlockRows:
    """All synapses of a core whose rows are found by source slice, by key."""
    where, core = f"core {image.cores[i].chip} PE {image.cores[i].pe}", image.cores[i]
    found = read_blocks(r.descriptor.word, r.table, r.rows, core.dram)
    if isinstance(found, str):
        raise ImageError(f"{where}: {found}")
    if (found.target >= r.descriptor.neurons).any():
        raise ImageError(f"{where}: a row names a neuron that is not there")
    if (found.delay >= r.descriptor.ring).any():
        raise ImageError(f"{where}: a synapse waits longer than its ring of {r.descriptor.ring} slots")
    order = np.argsort(found.key, kind="stable")
    return BlockRows(*(column[order] for column in found))


def _found(held: BlockRows, source: NDArray[np.int64], keys: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """As `_lookup`, of rows by source slice."""
    begin, end = np.searchsorted(held.key, keys), np.searchsorted(held.key, keys, side="right")
    count = end - begin
    row = np.repeat(np.arange(keys.size), count)
    at = begin[row] + np.arange(row.size) - (np.cumsum(count) - count)[row]
    return np.stack([source[row], held.delay[at], base + held.target[at], held.weight[at]])


def _lookup(
    image: MachineImage, i: int, r: Regions, source: NDArray[np.int64], keys: NDArray[np.int64], base: int
) -> NDArray[np.int64]:
    """Rows of one core that packets of some sources find: source, delay, target, weight, a column per synapse."""
    table_keys = r.table["key"].astype(np.int64)
    at = np.minimum(np.searchsorted(table_keys, keys), table_keys.size - 1)
    hit = table_keys[at] == keys
    entry, source = at[hit], source[hit]
    count, offset = r.table["count"].astype(np.int64)[entry], r.table["offset"].astype(np.int64)[entry]
    words = r.rows.view("<u2")
    if (offset // 2 + 6 + count > words.size).any() or (offset % 4).any():
        raise ImageError(f"core {image.cores[i].chip} PE {image.cores[i].pe}: a row lies outside the core's rows")
    row = np.repeat(np.arange(entry.size), count)
    place = offset[row] // 2 + 6 + np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
    weight, delay, target = unpack_words(words[place], r.descriptor.delay_word)
    if (target >= r.descriptor.neurons).any():
        raise ImageError(f"core {image.cores[i].chip} PE {image.cores[i].pe}: a row names a neuron that is not there")
    return np.stack([source[row], delay, base + target, weight])


def _runs(pieces: _Pieces, rows: NDArray[np.int64]) -> None:
    """Single synapses of all cores to runs of targets, so far as they lie close; the rest stay single."""
    source, delay, target, weight = rows[:, np.lexsort((rows[2], rows[1], rows[0]))]
    if not source.size:
        return
    joined = (np.diff(source) == 0) & (np.diff(delay) == 0)
    twice = np.concatenate([[False], joined & (np.diff(target) == 0)])
    if twice.any():  # two words for one pair: the sum may not fit a weight
        pieces.ones.append(np.stack([source, delay, target, weight])[:, twice])
        _runs(pieces, np.stack([source, delay, target, weight])[:, ~twice])
        return
    begin = np.concatenate([[True], ~(joined & (np.diff(target) <= GAP))])
    starts = np.flatnonzero(begin)
    count = np.diff(np.append(starts, source.size))
    run = np.cumsum(begin) - 1
    long = count >= SHORTEST
    single = ~long[run]
    pieces.ones.append(np.stack([source, delay, target, weight])[:, single])
    head = starts[long]
    tail = head + count[long] - 1
    length = target[tail] - target[head] + 1
    at = np.cumsum(length) - length
    weights = np.zeros(int(length.sum()), np.int8)
    number = np.cumsum(long) - 1
    mine = ~single
    weights[at[number[run[mine]]] + target[mine] - target[head][number[run[mine]]]] = weight[mine]
    pieces.add(source[head], target[head], pieces.keep(weights) + at, length, delay[head])


def _convolve(
    pieces: _Pieces, r: Regions, arriving: list[tuple[NDArray[np.int64], NDArray[np.int64]]], base: int
) -> None:
    """Segments of the convolutions into one core: for each source, one per kernel row that meets the tile."""
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
        begin = pieces.keep(np.ascontiguousarray(kernel[:, :, order]).ravel())
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
                    pieces.add(source[ok], base + pixel, begin + tap * (c1 - c0) + low[ok] - c0, length[ok], 0)


def _coordinates(
    r: Regions, geometry: int, arriving: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> tuple[NDArray[np.int64], ...]:
    """Sources that an entry of a geometry names: their numbers, channels, rows and columns."""
    found = [np.zeros((4, 0), np.int64)]
    for entry in r.conv_entries:
        key, bits, wanted, (c0, c1, y0, y1, x0, x1) = unpack_conv_entry(entry)
        if wanted != geometry:
            continue
        for source, keys in arriving:
            local = keys & (1 << bits) - 1
            mine = (keys >> bits << bits == key) & (local < (c1 - c0) * (y1 - y0) * (x1 - x0))
            pixel, c = np.divmod(local[mine], c1 - c0)
            y, x = np.divmod(pixel, x1 - x0)
            found.append(np.stack([source[mine], c0 + c, y0 + y, x0 + x]))
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


def _sorted(pieces: _Pieces, size: int) -> Synapses:
    """Segments by source, those that continue each other in targets and weights joined."""
    columns = np.concatenate(pieces.columns, axis=1)
    source, target, weight, length, delay = columns[:, np.lexsort((columns[2], columns[1], columns[4], columns[0]))]
    ends = np.ones(source.size, bool)
    if source.size > 1:
        ends[:-1] = ~(
            (np.diff(source) == 0)
            & (np.diff(delay) == 0)
            & (target[1:] == target[:-1] + length[:-1])
            & (weight[1:] == weight[:-1] + length[:-1])
        )
    begins = np.concatenate([[True], ends[:-1]])[: source.size]
    total = np.add.reduceat(length, np.flatnonzero(begins)) if source.size else length
    source, target, weight, delay = source[begins], target[begins], weight[begins], delay[begins]
    ones = np.concatenate(pieces.ones, axis=1)
    ones = ones[:, np.argsort(ones[0], kind="stable")]
    return Synapses(
        start=_starts(source, size),
        target=_narrow(target),
        weight=_narrow(weight),
        length=_narrow(total),
        delay=_narrow(delay),
        weights=np.concatenate(pieces.weights),
        one=_starts(ones[0], size),
        one_target=ones[2].copy(),
        one_weight=ones[3].copy(),
        one_delay=ones[1].copy(),
    )


def _starts(source: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(source, minlength=size))]).astype(np.int64)


def _narrow(values: NDArray[np.int64]) -> NDArray[Any]:
    return values.astype(np.int32) if not values.size or values.max() <= np.iinfo(np.int32).max else values
