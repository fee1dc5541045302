"""Rows of synapses to runs of neighbouring targets and single synapses, compiled.

A synapse on its own costs about as much as a vector of 16 targets, and a run about four of them to begin with: synapses
join where their run then costs less than they do alone. Holes in a run are filled with weights of zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAR, NEAR = 160, 16  # targets: runs are joined over holes of up to so many; where that is too thin, over fewer
SINGLE, VECTOR, BEGIN = 19, 1, 64  # costs: of a single synapse, of a target in a run, of a run
WIDEST = 12  # bytes of a run per synapse, at most


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
def _worth(target: Any, mark: Any, a: int, b: int) -> bool:
    """Whether synapses a..b, without those marked as single, are better off as one run."""
    number = 0
    for j in range(a, b):
        number += mark[j] != 3
    length = target[b - 1] - target[a] + 1
    return bool(SINGLE * number > BEGIN + VECTOR * length and length <= WIDEST * number)


@njit(cache=True, nogil=True)
def _joined(target: Any, mark: Any, a: int, b: int) -> None:
    for j in range(a, b):
        if mark[j] != 3:
            mark[j] = 1 if j == a else 2


@njit(cache=True, nogil=True)
def _group(target: Any, mark: Any, a: int, b: int) -> None:
    """Mark the synapses a..b of one source and delay, by target: 0 single, 1 begins a run, 2 goes on with it, 3 is
    single because the one before it has the same target (their sum may not fit a weight)."""
    for j in range(a + 1, b):
        if target[j] == target[j - 1]:
            mark[j] = 3
    i = a
    while i < b:
        far = i + 1
        while far < b and target[far] - target[far - 1] <= FAR:
            far += 1
        if _worth(target, mark, i, far):
            _joined(target, mark, i, far)
        else:
            j = i
            while j < far:
                near = j + 1
                while near < far and target[near] - target[near - 1] <= NEAR:
                    near += 1
                if _worth(target, mark, j, near):
                    _joined(target, mark, j, near)
                j = near
        i = far


@njit(cache=True, nogil=True)
def marks(start: Any, end: Any, target: Any, delay: Any, mark: Any, runs: Any, ones: Any) -> int:
    """Mark every synapse as `_group` does; count runs and single synapses by source. Returns the weights of runs."""
    weights = 0
    for s in range(start.size):
        a = start[s]
        while a < end[s]:
            b = a + 1
            while b < end[s] and delay[b] == delay[a]:
                b += 1
            _group(target, mark, a, b)
            last = -1
            for j in range(a, b):
                if mark[j] == 1:
                    runs[s] += 1
                    weights += 1
                    last = target[j]
                elif mark[j] == 2:
                    weights += target[j] - last
                    last = target[j]
                else:
                    ones[s] += 1
            a = b
    return weights


@njit(cache=True, nogil=True)
def fill(
    start: Any, end: Any, target: Any, weight: Any, delay: Any, mark: Any, run: Any, one: Any, weights: Any, begin: int,
    to_target: Any, to_weight: Any, to_length: Any, to_delay: Any, one_target: Any, one_weight: Any, one_delay: Any,
) -> None:
    """Runs from `run[s]` on and single synapses from `one[s]` on, by source; weights of runs from `begin` on."""
    at = begin
    for s in range(start.size):
        r, o = run[s] - 1, one[s]
        for j in range(start[s], end[s]):
            if mark[j] == 1:
                r += 1
                to_target[r], to_weight[r], to_length[r], to_delay[r] = target[j], at, 1, delay[j]
                weights[at] = weight[j]
                at += 1
            elif mark[j] == 2:
                length = target[j] - to_target[r] + 1
                at += length - to_length[r] - 1
                weights[at] = weight[j]
                at += 1
                to_length[r] = length
            else:
                one_target[o], one_weight[o], one_delay[o] = target[j], weight[j], delay[j]
                o += 1
