"""Expanding cubes, and deciding routes one by one, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

ALL = 0xFFFFFFFF


@njit(cache=True, nogil=True)
def conflicts(k: int, m: int, key: Any, mask: Any, b: int, apart: Any) -> int:
    """Fill `apart`, from b on, with the bits that keep a cube from each entry; gives those that are the only one."""
    needed = 0
    for f in range(b, key.size):
        bits = m & mask[f] & (k ^ key[f])
        apart[f] = bits
        if bits & (bits - 1) == 0:
            needed |= bits
    return needed


@njit(cache=True, nogil=True)
def grow(e: int, a: int, b: int, key: Any, mask: Any, tried: Any, apart: Any) -> tuple[int, int]:
    """Entry e grown towards the entries a..b that are not tried, the nearest first, clear of all from b on."""
    k, m = key[e], mask[e]
    needed = conflicts(k, m, key, mask, b, apart)
    while True:
        best, drop, near = 33, 0, -1
        for c in range(a, b):
            if tried[c]:
                continue
            bits = (m & ~mask[c]) | (m & mask[c] & (k ^ key[c]))
            if bits & needed:
                tried[c] = True
                continue
            ones = count(bits)
            if ones < best:
                best, drop, near = ones, bits, c
        if near < 0:
            return k, m
        tried[near] = True
        free = True
        for f in range(b, key.size):
            if apart[f] & ~drop == 0:
                free = False
                break
        if free:
            m &= ~drop
            k &= m
            needed = conflicts(k, m, key, mask, b, apart)


@njit(cache=True, nogil=True)
def expand(key: Any, mask: Any, first: Any) -> tuple[Any, Any, Any]:
    """Cubes that cover the entries of each group and none of what comes after it: key, mask, group.

    key, mask : int64, disjoint, group by group, and then what no cube may touch; first : where each group begins, and
        the end of the last
    """
    n = first[-1]
    out_key, out_mask, out_group = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    made = 0
    covered, tried = np.zeros(n, np.bool_), np.empty(n, np.bool_)
    apart = np.empty(key.size, np.int64)
    for g in range(first.size - 1):
        a, b = first[g], first[g + 1]
        for e in range(a, b):
            if covered[e]:
                continue
            tried[a:b] = covered[a:b]
            tried[e] = True
            k, m = grow(e, a, b, key, mask, tried, apart)
            for c in range(e, b):
                if mask[c] & m == m and key[c] & m == k:
                    covered[c] = True
            out_key[made], out_mask[made], out_group[made] = k, m, g
            made += 1
    return out_key[:made], out_mask[:made], out_group[:made]


@njit(cache=True, nogil=True)
def count(bits: int) -> int:
    """Bits that are set."""
    found = 0
    while bits:
        bits &= bits - 1
        found += 1
    return found


class Cubes(NamedTuple):
    """Entries, route by route, and then what no cube may touch (of route -1, alive for good).

    alive : whether undecided yet (written); weight : how much it stands in the way of other routes (written)
    """

    key: NDArray[np.int64]
    mask: NDArray[np.int64]
    of: NDArray[np.int64]
    alive: NDArray[np.bool_]
    weight: NDArray[np.float64]


class Hulls(NamedTuple):
    """By route: its entries first[g]..first[g + 1], the smallest cube over those undecided, and what lies in it.

    blocked : undecided entries of other routes in the hull; -1 where all is decided
    weighed : `blocked` as the weights have it, 0 for not at all; all but `first` are written
    """

    first: NDArray[np.int64]
    key: NDArray[np.int64]
    mask: NDArray[np.int64]
    blocked: NDArray[np.int64]
    weighed: NDArray[np.int64]


@njit(cache=True, nogil=True)
def hull(c: Any, a: int, b: int, leave: Any) -> tuple[int, int, int]:
    """The smallest cube over the undecided entries of a..b, without those to leave out (`leave` at i - a): key, mask,
    and how many they are."""
    both, either, mask, n = ALL, 0, ALL, 0
    for i in range(a, b):
        if c.alive[i] and not leave[i - a]:
            both &= c.key[i]
            either |= c.key[i]
            mask &= c.mask[i]
            n += 1
    mask &= ~(both ^ either)
    return both & mask, mask, n


@njit(cache=True, nogil=True)
def strangers(c: Any, g: int, key: int, mask: int) -> int:
    """How many undecided entries of other routes share a key with a cube."""
    n = 0
    for i in range(c.key.size):
        n += c.alive[i] & (c.of[i] != g) & ((c.key[i] ^ key) & c.mask[i] & mask == 0)
    return n


@njit(cache=True, nogil=True)
def weigh(c: Any, h: Any, g: int, blocked: int) -> None:
    """Give each entry in the hull of a route its share of the blame, one in all; 0 takes the share back."""
    share = (1.0 / blocked if blocked else 0.0) - (1.0 / h.weighed[g] if h.weighed[g] else 0.0)
    for i in range(h.first[-1]):
        if c.alive[i] and c.of[i] != g and (c.key[i] ^ h.key[g]) & c.mask[i] & h.mask[g] == 0:
            c.weight[i] += share
    h.weighed[g] = blocked


@njit(cache=True, nogil=True)
def enclose(c: Any, h: Any, g: int, nothing: Any) -> None:
    """Find the hull of a route anew."""
    weigh(c, h, g, 0)
    h.key[g], h.mask[g], n = hull(c, h.first[g], h.first[g + 1], nothing)
    h.blocked[g] = strangers(c, g, h.key[g], h.mask[g]) if n else -1
    if n:
        weigh(c, h, g, h.blocked[g])


@njit(cache=True, nogil=True)
def settle(c: Any, h: Any, i: int) -> None:
    """Entry i is decided: it blocks no other route any more. Weights follow once a tenth is gone, which is cheaper."""
    c.alive[i] = False
    for g in range(h.blocked.size):
        if h.blocked[g] > 0 and g != c.of[i] and (c.key[i] ^ h.key[g]) & c.mask[i] & h.mask[g] == 0:
            h.blocked[g] -= 1
            if 10 * h.blocked[g] < 9 * h.weighed[g]:
                weigh(c, h, g, h.blocked[g])


@njit(cache=True, nogil=True)
def widen(c: Any, h: Any, s: int, room: Any) -> tuple[int, int]:
    """Entry s grown towards the undecided entries of its route, the nearest first, clear of those of all others."""
    key, mask, apart, tried = room
    a, b = h.first[c.of[s]], h.first[c.of[s] + 1]
    n = 0
    for i in range(c.key.size):
        if c.alive[i] and c.of[i] != c.of[s]:
            key[n], mask[n] = c.key[i], c.mask[i]
            n += 1
    for i in range(a, b):
        tried[i - a] = not c.alive[i]
    k, m = c.key[s], c.mask[s]
    tried[s - a] = True
    needed = conflicts(k, m, key[:n], mask[:n], 0, apart)
    while True:
        best, drop, near = 33, 0, -1
        for i in range(a, b):
            if tried[i - a]:
                continue
            bits = (m & ~c.mask[i]) | (m & c.mask[i] & (k ^ c.key[i]))
            if bits & needed:
                tried[i - a] = True
                continue
            ones = count(bits)
            if ones < best:
                best, drop, near = ones, bits, i
        if near < 0:
            return k, m
        tried[near - a] = True
        free = True
        for i in range(n):
            if apart[i] & ~drop == 0:
                free = False
                break
        if free:
            m &= ~drop
            k &= m
            needed = conflicts(k, m, key[:n], mask[:n], 0, apart)


@njit(cache=True, nogil=True)
def worth(c: Any, h: Any, g: int, key: int, mask: int, inside: Any) -> float:
    """What a cube for some entries of a route clears away for the others, and half of what it does for its own."""
    a, b = h.first[g], h.first[g + 1]
    gain = 0.0
    for i in range(a, b):
        inside[i - a] = c.alive[i] and c.mask[i] & mask == mask and c.key[i] & mask == key
        if inside[i - a]:
            gain += c.weight[i]
    rest_key, rest_mask, n = hull(c, a, b, inside)
    left = strangers(c, g, rest_key, rest_mask) if n else 0
    return gain + 0.5 * (1.0 / left - 1.0 / h.blocked[g] if left else 1.0)


@njit(cache=True, nogil=True)
def decide(c: Any, h: Any, seeds: int) -> tuple[Any, Any, Any]:
    """Cubes of a table for all entries: key, mask, route; `seeds` cubes are compared where no route is free."""
    n, routes = h.first[-1], h.blocked.size
    out_key, out_mask, out_route, made = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64), 0
    nothing, inside = np.zeros(n, np.bool_), np.empty(n, np.bool_)
    room = (np.empty(c.key.size, np.int64), np.empty(c.key.size, np.int64), np.empty(c.key.size, np.int64),
            np.empty(n, np.bool_))
    for g in range(routes):
        enclose(c, h, g, nothing)
    left = routes
    while left:
        route, key, mask = -1, 0, 0
        for g in range(routes):
            if h.blocked[g] == 0:
                route, key, mask = g, h.key[g], h.mask[g]
                break
        if route < 0:
            order = np.argsort(np.where(c.alive[:n], -c.weight[:n], np.inf), kind="mergesort")
            best = -1.0
            for s in order[:seeds]:
                if c.alive[s]:
                    k, m = widen(c, h, s, room)
                    gain = worth(c, h, c.of[s], k, m, inside)
                    if gain > best:
                        best, route, key, mask = gain, c.of[s], k, m
        out_key[made], out_mask[made], out_route[made] = key, mask, route
        made += 1
        for i in range(h.first[route], h.first[route + 1]):
            if c.alive[i] and c.mask[i] & mask == mask and c.key[i] & mask == key:
                settle(c, h, i)
        enclose(c, h, route, nothing)
        left -= h.blocked[route] < 0
    return out_key[:made], out_mask[:made], out_route[:made]
