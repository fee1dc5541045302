"""Rows of synapses, added to the slots of the ticks in which they act, compiled.

A helper that takes arrays is called with a dozen words each, at the cost of a short row: what is done for every row is
put in its place by numba, and what takes arrays out of loops is done for eight rows at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .vectors import add_8, add_16, add_one, add_rows, take

TARGET, LENGTH, LENGTH_AT, DELAY_AT = 0xFFFFFFFF, 0xFFFFFF, 32, 56  # of a run's second word (packed.py)
LONG = 256  # targets that rows must share to be added in one pass


@njit(cache=True, nogil=True)
def shared(start: Any, runs: Any, source: Any, count: Any, begin: int, end: int) -> Any:
    """How many sources from `begin` on, 8, 4 or 1, have one long row each, and the targets that these rows share.

    The span is a multiple of 32 long, and at least `LONG` where there are several.
    """
    first = runs[2 * start[source[begin]] + 1]
    low, high, four_low, four_high = np.int64(0), np.int64(1) << 62, np.int64(0), np.int64(0)
    for m in range(begin, end):
        j = start[source[m]]
        form = runs[2 * j + 1]
        if start[source[m] + 1] - j != 1 or count[m] != 1 or form >> DELAY_AT != first >> DELAY_AT:
            break
        low = max(low, ((form & TARGET) + 31) // 32 * 32)  # where a line of the slots' cache begins
        high = min(high, (form & TARGET) + (form >> LENGTH_AT & LENGTH))
        if high - low < LONG:
            break
        if m == begin + 3:
            four_low, four_high = low, high
        elif m == begin + 7:
            return 8, low, low + (high - low) // 32 * 32
    if four_high > 0:
        return 4, four_low, four_low + (four_high - four_low) // 32 * 32
    return 1, np.int64(0), np.int64(0)


@njit(cache=True, nogil=True)
def alike(start: Any, runs: Any, bunch: Any, source: Any, count: Any, begin: int, form: Any) -> bool:
    """Whether 8 sources from `begin` on have one row of that form each, of whole vectors, and nothing besides."""
    if form >> LENGTH_AT & LENGTH < 32 or form >> LENGTH_AT & 31:
        return False
    for m in range(begin, begin + 8):
        s = source[m]
        j = take(start, s)
        if take(start, s + 1) - j != 1 or take(runs, 2 * j + 1) != form or count[m] != 1:
            return False
        if take(bunch, s) != take(bunch, s + 1):
            return False
    return True


@njit(inline="always")
def from_zero(runs: Any, j: int) -> Any:
    """Where the weights of a run would begin if its first target were 0."""
    return runs[2 * j] - (runs[2 * j + 1] & TARGET)


@njit(inline="always")
def add_run(slot: Any, at: int, end: int, weights: Any, w: int, number: int) -> None:
    """slot[at : end] += number * weights[w : ...]"""
    if number == 1:
        while at + 32 <= end:
            add_rows(slot, at, weights, (w,))
            at, w = at + 32, w + 32
        if at + 16 <= end:
            add_16(slot, at, weights, w)
            at, w = at + 16, w + 16
        if at + 8 <= end:
            add_8(slot, at, weights, w)
            at, w = at + 8, w + 8
    while at < end:
        slot[at] += weights[w] * np.int32(number)
        at, w = at + 1, w + 1


@njit(cache=True, nogil=True)
def deliver(
    start: Any, runs: Any, weights: Any, bunch: Any, bunches: Any, near: Any, alone: Any, fours: bool, slot: Any,
    base: Any, source: Any, count: Any, begin: int, end: int,
) -> None:
    """Add the rows of sources `begin` to `end` to the slots of the ticks in which they act.

    `base` is where each delay's slot begins; `fours`, whether any run is long. One call for a tick's packets, with each
    array of `Packed` by itself: what is taken out of a tuple has its references counted, at the cost of several rows.
    Where eight or four sources have one long run each, as in nets that are joined at random, what these have in common
    is added in one pass: memory is read from several places at once.
    """
    k = begin
    while k < end:
        together, low, high = 1, np.int64(0), np.int64(0)  # targets that rows have in common
        whole, j = False, take(start, source[k])
        if fours and k + 4 <= end and take(start, source[k] + 1) - j == 1:
            form = take(runs, 2 * j + 1)
            if k + 8 <= end and alike(start, runs, bunch, source, count, k, form):
                whole, together, low, high = True, 8, form & TARGET, (form & TARGET) + (form >> LENGTH_AT & LENGTH)
            else:
                together, low, high = shared(start, runs, source, count, k, min(k + 8, end))
        if together >= 4:
            a, b, c, d = start[source[k]], start[source[k + 1]], start[source[k + 2]], start[source[k + 3]]
            at = base[runs[2 * a + 1] >> DELAY_AT & 255]
            wa, wb, wc, wd = from_zero(runs, a), from_zero(runs, b), from_zero(runs, c), from_zero(runs, d)
            if together == 4:
                for t in range(low, high, 32):
                    add_rows(slot, at + t, weights, (wa + t, wb + t, wc + t, wd + t))
            else:
                a, b, c, d = start[source[k + 4]], start[source[k + 5]], start[source[k + 6]], start[source[k + 7]]
                we, wf, wg, wh = from_zero(runs, a), from_zero(runs, b), from_zero(runs, c), from_zero(runs, d)
                for t in range(low, high, 32):
                    some = (wa + t, wb + t, wc + t, wd + t, we + t, wf + t, wg + t, wh + t)
                    add_rows(slot, at + t, weights, some)
        for m in range(k, k if whole else k + together):
            s, number = source[m], count[m]
            for j in range(take(start, s), take(start, s + 1)):
                w, form = take(runs, 2 * j), take(runs, 2 * j + 1)
                first, at = form & TARGET, take(base, form >> DELAY_AT & 255)
                last = first + (form >> LENGTH_AT & LENGTH)
                if together == 1:
                    add_run(slot, at + first, at + last, weights, w, number)
                    continue
                if first < low:
                    add_run(slot, at + first, at + low, weights, w, number)
                if high < last:
                    add_run(slot, at + high, at + last, weights, w + high - first, number)
            for j in range(take(bunch, s), take(bunch, s + 1)):
                w, form = take(bunches, 2 * j), take(bunches, 2 * j + 1)
                to = take(base, form >> DELAY_AT & 255) + (form & TARGET)
                for n in range(w, w + (form >> LENGTH_AT & LENGTH)):
                    add_one(slot, to + take(near, n), take(alone, n) * np.int32(number))
        k += together
