"""Rules written out: the draws, and the synapses into one target after the other."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

ONE_TO_ONE, PROBABILITY, INDEGREE, WINDOW, KERNEL = range(5)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
CONNECT, WEIGHT, DELAY = np.uint64(1), np.uint64(2), np.uint64(3)


@numba.njit(cache=True, inline="always")
def mix(z: Any) -> Any:
    """The last steps of SplitMix64 [Steele2014, doi 10.1145/2714064.2660195]."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, inline="always")
def stream(seed: Any, what: Any, target: Any) -> Any:
    """Where the draws of one kind for one target begin."""
    return mix(mix(seed + GOLDEN * what) + GOLDEN * np.uint64(target))


@numba.njit(cache=True, inline="always")
def draw(begin: Any, i: Any) -> Any:
    """The i-th draw: 64 even bits."""
    return mix(begin + GOLDEN * np.uint64(i + 1))


@numba.njit(cache=True, inline="always")
def nearest(x: Any) -> Any:
    """The whole number nearest to x, ties to even, for |x| < 2**51: np.rint, in a tenth of its time here."""
    return (x + 6755399441055744.0) - 6755399441055744.0


@numba.njit(cache=True)
def lawful(kind: Any, a: Any, b: Any, bits: Any, whole: Any) -> Any:
    """One value of a law from 64 even bits; of whole numbers, floor of the even law and round of the normal one."""
    if kind == 0.0:
        return a
    if kind == 1.0:
        u = np.float64(bits >> np.uint64(11)) * 2.0**-53
        return np.floor(a) + np.floor(u * (np.floor(b) - np.floor(a) + 1.0)) if whole else a + u * (b - a)
    total = np.int64(0)
    for _ in range(2):
        total += np.int64(bits & np.uint64(0xFFFF)) + np.int64(bits >> np.uint64(16) & np.uint64(0xFFFF))
        total += np.int64(bits >> np.uint64(32) & np.uint64(0xFFFF)) + np.int64(bits >> np.uint64(48))
        bits = mix(bits + GOLDEN)
    value = a + b * (np.float64(total - 262140) / np.sqrt(8.0 * (65536.0**2 - 1.0) / 12.0))
    return max(nearest(value), 0.0) if whole else value


@numba.njit(cache=True)
def heard(kind: Any, whole: Any, kernel: Any, seeds: Any, target: Any, source: Any, number: Any, seen: Any) -> Any:
    """Sources that one target hears, and the number of each one's draws; returns how many.

    source, number : room for them; seen : uint8 (sources), zeros, and zeros again after
    """
    n, height, width, kh, kw = whole[0], whole[1], whole[2], whole[3], whole[4]
    wrap, autapses, indegree, multapses, all_of_them = whole[5], whole[6], whole[7], whole[8], whole[9]
    begin = stream(seeds[0], CONNECT, target)
    found = 0
    if kind == ONE_TO_ONE:
        source[0] = number[0] = target
        return 1
    if kind == PROBABILITY:
        for s in range(n):
            if (all_of_them or draw(begin, s) < seeds[1]) and (autapses or s != target):
                source[found] = number[found] = s
                found += 1
        return found
    if kind == INDEGREE:
        i = 0
        while found < indegree:
            s = int((draw(begin, i) >> np.uint64(32)) * np.uint64(n) >> np.uint64(32))
            if (autapses or s != target) and not seen[s]:
                source[found], number[found] = s, i
                found += 1
                seen[s] = not multapses
            i += 1
        for j in range(found):
            seen[source[j]] = 0
        return found
    y0, x0 = target // width - (kh - 1) // 2, target % width - (kw - 1) // 2
    if wrap:
        y0, x0 = y0 % height, x0 % width
    first_y = (height - y0) % kh if wrap and y0 + kh > height else 0
    first_x = (width - x0) % kw if wrap and x0 + kw > width else 0
    for j in range(kh):  # in rising order, on a torus too: what wraps around comes first
        dy = j + first_y if j + first_y < kh else j + first_y - kh
        y = y0 + dy
        if y < 0 or y >= height:
            if not wrap:
                continue
            y -= height
        for i in range(kw):
            dx = i + first_x if i + first_x < kw else i + first_x - kw
            x = x0 + dx
            if x < 0 or x >= width:
                if not wrap:
                    continue
                x -= width
            s = y * width + x
            if kind == KERNEL:
                if kernel[dy, dx] != 0.0:
                    source[found], number[found] = s, dy * kw + dx
                    found += 1
            elif (all_of_them or draw(begin, s) < seeds[1]) and (autapses or s != target):
                source[found] = number[found] = s
                found += 1
    return found


@numba.njit(cache=True)
def room(kind: Any, whole: Any) -> Any:
    """Synapses that one target may have at most."""
    if kind == ONE_TO_ONE:
        return 1
    if kind == PROBABILITY:
        return whole[0]
    return whole[7] if kind == INDEGREE else whole[3] * whole[4]


@numba.njit(cache=True, inline="always")
def held_at(w: Any, scale: Any, limit: Any) -> Any:
    """A weight of a Network: scaled, rounded and held; of a Graph (scale 0) as it is."""
    return w if scale == 0.0 else min(max(nearest(w * scale), -limit), limit)


@numba.njit(cache=True, nogil=True)
def into(kind: Any, whole: Any, real: Any, kernel: Any, seeds: Any, targets: Any) -> Any:
    """Every synapse into some targets whose weight is not 0: source, place of the target, weight, delay."""
    most = room(kind, whole)
    s_of, n_of = np.empty(most, np.int64), np.empty(most, np.int64)
    seen = np.zeros(whole[0] if kind == INDEGREE else 1, np.uint8)
    size = max(1024, min(most * targets.size, 1 << 16))
    source, place = np.empty(size, np.int32), np.empty(size, np.int32)
    weight, delay = np.empty(size, np.float64), np.empty(size, np.int32)
    law, a, b, law_d, a_d, b_d, scale = real[0], real[1], real[2], real[3], real[4], real[5], real[6]
    limit, wide = np.float64(whole[10]), whole[4]
    w, d = held_at(a, scale, limit), np.int64(a_d)  # of laws that are a number
    at = 0
    for i in range(targets.size):
        found = heard(kind, whole, kernel, seeds, targets[i], s_of, n_of, seen)
        if at + found > size:
            size = max(2 * size, at + found)
            source, place = wider(source, size), wider(place, size)
            weight, delay = wider(weight, size), wider(delay, size)
        for_weight = stream(seeds[0], WEIGHT, targets[i])
        for_delay = stream(seeds[0], DELAY, targets[i])
        first = at
        for j in range(found):
            if kind == KERNEL:
                w = held_at(kernel[n_of[j] // wide, n_of[j] % wide], scale, limit)
            elif law != 0.0:
                w = held_at(lawful(law, a, b, draw(for_weight, n_of[j]), False), scale, limit)
            if law_d != 0.0:
                d = np.int64(lawful(law_d, a_d, b_d, draw(for_delay, n_of[j]), True))
            if w != 0.0:
                source[at], place[at], weight[at], delay[at] = s_of[j], i, w, d
                at += 1
        if kind == INDEGREE:
            by_source(source[first:at], weight[first:at], delay[first:at])
    return source[:at], place[:at], weight[:at], delay[:at]


@numba.njit(cache=True)
def wider(values: Any, size: Any) -> Any:
    more = np.empty(size, values.dtype)
    more[: values.size] = values
    return more


@numba.njit(cache=True)
def by_source(source: Any, weight: Any, delay: Any) -> Any:
    """Sort the synapses of one target by source, those of one source in the order of their draws."""
    rising = True
    for j in range(1, source.size):
        rising = rising and source[j] >= source[j - 1]
    if rising:
        return
    order, other, top, shift = np.arange(source.size), np.empty(source.size, np.int64), source.max(), 0
    while top >> shift:  # by their digits, the last first
        begin = np.zeros(257, np.int64)
        for s in source:
            begin[(s >> shift & 255) + 1] += 1
        begin = np.cumsum(begin)
        for k in order:
            digit = source[k] >> shift & 255
            other[begin[digit]] = k
            begin[digit] += 1
        order, other, shift = other, order, shift + 8
    source[:], weight[:], delay[:] = source[order], weight[order], delay[order]


@numba.njit(cache=True, nogil=True)
def sizes(kind: Any, whole: Any, real: Any, kernel: Any, seeds: Any, targets: Any, held: Any) -> Any:
    """(sources, synapses, words of whole rows) that some targets have: rows are padded to two words.

    held : int32 (sources), zeros, and zeros again after
    """
    source, _, _, _ = into(kind, whole, real, kernel, seeds, targets)
    rows, words = 0, 0
    for s in source:
        held[s] += 1
    for s in source:
        if held[s]:
            rows += 1
            words += 2 * ((held[s] + 1) // 2)
            held[s] = 0
    return rows, source.size, words
