"""Hop counts and simulated annealing, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def hops(neighbour: Any) -> Any:
    """Fewest links between every two chips, over links that are there: int16 (chips, chips), 32767 where none lead."""
    n = neighbour.shape[0]
    found = np.full((n, n), 32767, np.int16)
    queue = np.empty(n, np.int64)
    for s in range(n):
        found[s, s] = 0
        queue[0] = s
        head, tail = 0, 1
        while head < tail:
            here = queue[head]
            head += 1
            for link in range(neighbour.shape[1]):
                there = neighbour[here, link]
                if there >= 0 and found[s, there] == 32767:
                    found[s, there] = found[s, here] + 1
                    queue[tail] = there
                    tail += 1
    return found


@njit(cache=True, nogil=True)
def cost_at(s: int, chip: int, at: Any, start: Any, other: Any, weight: Any, far: Any, but: int) -> float:
    """Hop-weighted traffic of one slice, were it on `chip`; pairs with the slice `but` are left out."""
    total = 0.0
    for k in range(start[s], start[s + 1]):
        if other[k] != but and other[k] != s:
            total += weight[k] * far[chip, at[other[k]]]
    return total


@njit(cache=True, nogil=True)
def anneal(
    at: Any, holder: Any, core_chip: Any, core_of: Any, start: Any, other: Any, weight: Any, far: Any, rng: Any,
    moves: int, hot: float, reach: Any, near: Any,
) -> float:
    """Exchange the cores of two slices, or move one to a free core, as long as that is cheaper, or chance allows it.

    at : chip of each slice, holder : slice on each core or -1, core_of : core of each slice; changed in place
    near : chips by hops from each chip (chips, chips), reach : how many of them a move may go at most, per share of
        the run; the temperature falls from `hot` by a constant factor
    """
    n, gained = at.size, 0.0
    first = np.searchsorted(core_chip, np.arange(far.shape[0] + 1))
    temperature = hot
    fall = 0.001 ** (1.0 / max(moves, 1))
    for m in range(moves):
        temperature *= fall
        s = rng.integers(0, n)
        a = at[s]
        within = reach[m * reach.size // moves]
        b = near[a, rng.integers(0, min(within, near.shape[1]))]
        if first[b] == first[b + 1] or b == a:
            continue
        core = rng.integers(first[b], first[b + 1])
        t = holder[core]
        change = cost_at(s, b, at, start, other, weight, far, t) - cost_at(s, a, at, start, other, weight, far, t)
        if t >= 0:
            change += cost_at(t, a, at, start, other, weight, far, s) - cost_at(t, b, at, start, other, weight, far, s)
        if change <= 0 or rng.random() < np.exp(-change / temperature):
            mine = core_of[s]
            holder[core], holder[mine] = s, t
            core_of[s], at[s] = core, b
            if t >= 0:
                core_of[t], at[t] = mine, a
            gained -= change
    return gained
