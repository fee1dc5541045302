"""Rows of synapses to runs of neighbouring targets and single synapses, compiled.

A synapse on its own costs about as much as 15 targets of a run, and a run about as much as 64 to begin with. Rows are
cut so that they cost least; holes in a run are filled with weights of zero, and count, so that few runs are of odd
lengths, which no processor foresees. Runs that lie nearly equally far apart, as those of a window do whose corners are
without a synapse here and there, are made of one length and equally far apart with zeros: they are one block then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

SINGLE, BEGIN, HOLE = 15, 64, 8  # costs of a single synapse, a run and each hole in it, where a target in it costs 1
LONG = 1024  # targets: runs of so many are added in one pass, so that holes cost little but the memory they take
FAR = 160  # targets: no run has a longer hole
HIGH = 1 << 40  # more than any
LONGER = 8  # targets: by so many and a quarter of its length a run is made longer, at most


@njit(cache=True, nogil=True)
def place(
    cursor: Any, source: Any, count: Any, target: Any, weight: Any, delay: Any, to_target: Any, to_weight: Any,
    to_delay: Any,
) -> None:
    """Append rows of one core, one behind the other, to those of their sources."""
    at = 0
    for k in range(source.size):
        to = cursor[source[k]]
        for j in range(count[k]):
            to_target[to + j], to_weight[to + j], to_delay[to + j] = target[at + j], weight[at + j], delay[at + j]
        cursor[source[k]] = to + count[k]
        at += count[k]


@njit(cache=True, nogil=True)
def order(start: Any, end: Any, target: Any, weight: Any, delay: Any) -> None:
    """Each source's synapses by delay and target; those alike stay in their order."""
    for s in range(start.size):
        a, b = start[s], end[s]
        rising = True
        for j in range(a + 1, b):
            if delay[j] < delay[j - 1] or (delay[j] == delay[j - 1] and target[j] < target[j - 1]):
                rising = False
                break
        if not rising:
            by = np.argsort(delay[a:b].astype(np.int64) * 2**32 + target[a:b], kind="mergesort")
            target[a:b], weight[a:b], delay[a:b] = target[a:b][by], weight[a:b][by], delay[a:b][by]


@njit(cache=True, nogil=True)
def _cut(target: Any, mark: Any, a: int, b: int) -> None:
    """Mark the synapses a..b of one source and delay, by target: 0 single, 1 begins a run, 2 goes on with it, 3 is
    single because the one before it has the same target (their sum may not fit a weight).

    The cheapest cut by dynamic programming: `done` is the least cost up to a synapse, `open_` that of one whose run has
    not ended; what each came from is kept in `mark` and followed back. One run of all may cost less yet.
    """
    done, open_, last = 0, HIGH, target[a]
    for j in range(a, b):
        if j > a and target[j] == target[j - 1]:
            mark[j] = 3
            continue
        hole = HOLE if target[j] > last + 1 else 0
        begins, goes_on = done + BEGIN + 1, open_ + target[j] - last + hole
        open_ = min(begins, goes_on)
        done, last = min(done + SINGLE, open_), target[j]
        mark[j] = 4 * (begins <= goes_on) + 8 * (done == open_)
    cost, run, high = 0, False, last  # holes in a run take memory alone once it is there
    for j in range(b - 1, a - 1, -1):
        if mark[j] == 3:
            continue
        if not run:
            run, high = mark[j] >= 8, target[j]
        began = run and mark[j] & 4 > 0
        mark[j] = 0 if not run else 1 if began else 2
        cost += SINGLE if not run else BEGIN + high - target[j] + 1 if began else 0
        run = run and not began
    length = last - target[a] + 1
    if length >= LONG and BEGIN + 5 * length // 4 < cost:
        for j in range(a, b):
            mark[j] = 3 if mark[j] == 3 else 1 if j == a else 2


@njit(cache=True, nogil=True)
def marks(start: Any, end: Any, target: Any, delay: Any, mark: Any, runs: Any, ones: Any) -> None:
    """Mark every synapse as `_cut` does; count runs and single synapses by source."""
    for s in range(start.size):
        a = start[s]
        while a < end[s]:
            b = a + 1
            while b < end[s] and delay[b] == delay[a]:
                b += 1
            near = a
            for j in range(a + 1, b + 1):
                if j == b or target[j] - target[j - 1] > FAR:
                    _cut(target, mark, near, j)
                    near = j
            for j in range(a, b):
                if mark[j] == 1:
                    runs[s] += 1
                elif mark[j] != 2:
                    ones[s] += 1
            a = b


@njit(cache=True, nogil=True)
def _apart(target: Any, length: Any, delay: Any, i: int, end: int, apart: int, size: int) -> Any:
    """How many runs from `i` on can be made to lie `apart` from each other; from where on, and how long they are."""
    low, shortest = np.int64(target[i]), np.int64(length[i])
    high, k = low + shortest, 1
    while i + k < end and delay[i + k] == delay[i]:
        first = np.int64(target[i + k]) - k * apart
        to, from_, least = max(high, first + length[i + k]), min(low, first), min(shortest, np.int64(length[i + k]))
        if from_ < 0 or k * apart + to > size or to - from_ > least + least // 4 + LONGER:
            break
        low, high, shortest, k = from_, to, least, k + 1
    return k, low, high - low


@njit(cache=True, nogil=True)
def _even(target: Any, length: Any, delay: Any, a: int, b: int, first: Any) -> None:
    """Make runs a..b of one source of one length and equally far apart where they nearly are; a run that gets longer
    stays on the cores that it is on."""
    i = a
    while i < b:
        many, low, long, by = 1, 0, 0, 0
        for j in range(i, min(i + 3, b - 1)):  # what is missing at the ends of these tells the wrong distance
            for ends in range(2):
                apart = np.int64(target[j + 1]) - target[j] + (length[j + 1] - length[j] if ends else 0)
                found = _apart(target, length, delay, i, b, apart, first[-1]) if apart > 0 else (1, low, long)
                if found[0] > many or (found[0] == many and found[2] < long):
                    many, low, long = found
                    by = apart
        for k in range(many):
            begin, end = target[i + k], target[i + k] + length[i + k]
            begin = first[np.searchsorted(first, begin, side="right") - 1]
            if low + k * by < begin or low + k * by + long > first[np.searchsorted(first, end)]:
                many = k if k > 1 else 1
                break
        for k in range(many if many > 1 else 0):
            target[i + k], length[i + k] = low + k * by, long
        i += many


@njit(cache=True, nogil=True)
def shape(
    start: Any, end: Any, target: Any, delay: Any, mark: Any, run: Any, begin: int, first: Any, to_target: Any,
    to_weight: Any, to_length: Any, to_delay: Any,
) -> int:
    """Runs from `run[s]` on, by source, and their weights from `begin` on; returns where these end.

    first : where the targets of each core begin, and where all end
    """
    at = begin
    for s in range(start.size):
        r = run[s] - 1
        for j in range(start[s], end[s]):
            if mark[j] == 1:
                r += 1
                to_target[r], to_length[r], to_delay[r] = target[j], 1, delay[j]
            elif mark[j] == 2:
                to_length[r] = target[j] - to_target[r] + 1
        _even(to_target, to_length, to_delay, run[s], r + 1, first)
        for k in range(run[s], r + 1):
            to_weight[k] = at
            at += to_length[k]
    return at


@njit(cache=True, nogil=True)
def fill(
    start: Any, end: Any, target: Any, weight: Any, delay: Any, mark: Any, run: Any, one: Any, weights: Any,
    to_target: Any, to_weight: Any, one_target: Any, one_weight: Any, one_delay: Any,
) -> None:
    """Weights of the runs from `run[s]` on, and single synapses from `one[s]` on, by source."""
    for s in range(start.size):
        r, o = run[s] - 1, one[s]
        for j in range(start[s], end[s]):
            if 1 <= mark[j] <= 2:
                r += mark[j] == 1
                weights[to_weight[r] + target[j] - to_target[r]] = weight[j]
            else:
                one_target[o], one_weight[o], one_delay[o] = target[j], weight[j], delay[j]
                o += 1


@njit(cache=True, nogil=True)
def blocks(
    run: Any, target: Any, weight: Any, length: Any, delay: Any, start: Any, found: Any, really: bool
) -> None:
    """Runs of each source as blocks (packed.py): counts those of source s into start[s + 1], or, `really`, writes them
    from start[s] on."""
    for s in range(run.size - 1):
        a, at = run[s], start[s]
        while a < run[s + 1]:
            b, across, down = a + 1, np.int64(0), np.int64(0)
            while b < run[s + 1] and length[b] == length[a] and delay[b] == delay[a] and b - a < (1 << 24) - 1:
                wide, deep = np.int64(target[b]) - target[b - 1], weight[b] - weight[b - 1]
                if b == a + 1:
                    across, down = wide, deep
                if wide != across or deep != down or abs(deep) >= 1 << 38:
                    break
                b += 1
            if b == a + 1:
                across = down = np.int64(0)
            if really:
                found[4 * at] = weight[a]
                found[4 * at + 1] = np.int64(target[a]) | np.int64(length[a]) << 32 | np.int64(delay[a]) << 56
                found[4 * at + 2] = across
                found[4 * at + 3] = b - a | down << 24
                at += 1
            else:
                start[s + 1] += 1
            a = b


@njit(cache=True, nogil=True)
def bunches(one: Any, target: Any, delay: Any, bunch: Any, found: Any, near: Any, really: bool) -> None:
    """Single synapses of each source in bunches of one delay and near targets (packed.py).

    Counts those of source s into bunch[s + 1], or, `really`, writes them from bunch[s] on.
    """
    for s in range(one.size - 1):
        a, at = one[s], bunch[s]
        while a < one[s + 1]:
            b = a + 1
            low = high = target[a]
            while b < one[s + 1] and delay[b] == delay[a]:
                if max(high, target[b]) - min(low, target[b]) >= 65536 or b - a >= (1 << 24) - 1:
                    break
                low, high = min(low, target[b]), max(high, target[b])
                b += 1
            if really:
                found[2 * at] = a
                found[2 * at + 1] = low | (b - a) << 32 | np.int64(delay[a]) << 56
                for j in range(a, b):
                    near[j] = target[j] - low
                at += 1
            else:
                bunch[s + 1] += 1
            a = b


@njit(cache=True, nogil=True)
def sums(
    start: Any, blocks: Any, weights: Any, bunch: Any, bunches: Any, near: Any, alone: Any, kind: Any, found: Any
) -> None:
    """found[kind[s], 0] += weights above 0, found[kind[s], 1] -= those below, of the rows of each source s."""
    for s in range(kind.size):
        above, under = found[kind[s], 0], found[kind[s], 1]
        for j in range(start[s], start[s + 1]):
            w, form, many = blocks[4 * j], blocks[4 * j + 1], blocks[4 * j + 3]
            first, length = form & 0xFFFFFFFF, form >> 32 & 0xFFFFFF
            for _ in range(many & 0xFFFFFF):
                up, down, row = above[first : first + length], under[first : first + length], weights[w : w + length]
                for n in range(length):
                    weight = np.int64(row[n])
                    up[n] += max(weight, 0)
                    down[n] += max(-weight, 0)
                first, w = first + blocks[4 * j + 2], w + (many >> 24)
        for j in range(bunch[s], bunch[s + 1]):
            w, form = bunches[2 * j], bunches[2 * j + 1]
            first = form & 0xFFFFFFFF
            for n in range(w, w + (form >> 32 & 0xFFFFFF)):
                weight = np.int64(alone[n])
                above[first + near[n]] += max(weight, 0)
                under[first + near[n]] += max(-weight, 0)
