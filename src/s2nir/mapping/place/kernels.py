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
def spread(s: int, at: Any, start: Any, target: Any, far: Any, stamp: Any, now: int) -> float:
    """Hops from a slice's chip to each chip that it reaches, every chip counted once."""
    here, total = at[s], 0.0
    for k in range(start[s], start[s + 1]):
        chip = at[target[k]]
        if stamp[chip] != now:
            stamp[chip] = now
            total += far[here, chip]
    return total


@njit(cache=True, nogil=True)
def around(s: int, but: int, net: Any, at: Any, far: Any, stamp: Any, now: int) -> tuple[float, int]:
    """Hop-weighted traffic of a slice and of those that send to it, without what `but` has a part in; next stamp."""
    start, target, from_, source, packets = net
    total = packets[s] * spread(s, at, start, target, far, stamp, now)
    now += 1
    for k in range(from_[s], from_[s + 1]):
        other = source[k]
        if other != s and not (but >= 0 and (other == but or reaches(other, but, start, target))):
            total += packets[other] * spread(other, at, start, target, far, stamp, now)
            now += 1
    return total, now


@njit(cache=True, nogil=True)
def reaches(s: int, t: int, start: Any, target: Any) -> bool:
    """Whether `t` is among the targets of `s`, which rise."""
    k = start[s] + np.searchsorted(target[start[s] : start[s + 1]], t)
    return bool(k < start[s + 1] and target[k] == t)


@njit(cache=True, nogil=True)
def anneal(
    at: Any, holder: Any, core_chip: Any, core_of: Any, net: Any, far: Any, near: Any, rng: Any, moves: int, hot: float,
) -> float:
    """Exchange the cores of two slices, or move one to a free core, as long as that is cheaper, or chance allows it.

    at : chip of each slice, holder : slice on each core or -1, core_of : core of each slice; changed in place
    net : start, target of each slice, from_, source of each slice's senders, packets
    near : chips by hops from each chip (chips, k), among which a move goes
    hot : the temperature to begin with; it falls to a thousandth by a constant factor
    """
    stamp, now = np.full(far.shape[0], -1, np.int64), 0
    n, gained = at.size, 0.0
    first = np.searchsorted(core_chip, np.arange(far.shape[0] + 1))
    fall = 0.001 ** (1.0 / max(moves, 1))
    temperature = hot
    for _ in range(moves):
        temperature *= fall
        s = rng.integers(0, n)
        a = at[s]
        b = near[a, rng.integers(0, near.shape[1])]
        if first[b] == first[b + 1] or b == a:
            continue
        core = rng.integers(first[b], first[b + 1])
        t = holder[core]
        before, now = around(s, -1, net, at, far, stamp, now)
        if t >= 0:
            more, now = around(t, s, net, at, far, stamp, now)
            before += more
        at[s] = b
        if t >= 0:
            at[t] = a
        after, now = around(s, -1, net, at, far, stamp, now)
        if t >= 0:
            more, now = around(t, s, net, at, far, stamp, now)
            after += more
        if after <= before or rng.random() < np.exp((before - after) / temperature):
            mine = core_of[s]
            holder[core], holder[mine] = s, t
            core_of[s] = core
            if t >= 0:
                core_of[t] = mine
            gained += before - after
        else:
            at[s] = a
            if t >= 0:
                at[t] = b
    return gained


@njit(cache=True, nogil=True)
def exchange(at: Any, start: Any, other: Any, weight: Any, far: Any, held: Any, room: Any, sweeps: int) -> int:
    """Let what two chips hold change places wherever that saves time, until nothing does; how often it did.

    at : the chip that each part is on, changed in place; held, room : cores that each part takes and each chip has
    start, other, weight : by part, the parts that it has packets to or from, and how many
    far : float64 (chips, chips), time of a packet
    """
    n, moved = at.size, 0
    for _ in range(sweeps):
        before = moved
        for a in range(n):
            for b in range(a + 1, n):
                here, there = at[a], at[b]
                if held[a] > room[there] or held[b] > room[here]:
                    continue
                change = 0.0
                for k in range(start[a], start[a + 1]):
                    if other[k] != b:
                        change += weight[k] * (far[there, at[other[k]]] - far[here, at[other[k]]])
                for k in range(start[b], start[b + 1]):
                    if other[k] != a:
                        change += weight[k] * (far[here, at[other[k]]] - far[there, at[other[k]]])
                if change < -1e-9:
                    at[a], at[b] = there, here
                    moved += 1
        if moved == before:
            break
    return moved
