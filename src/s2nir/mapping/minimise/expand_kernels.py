"""Expanding cubes, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def expand(key: Any, mask: Any, first: Any, avoid_key: Any, avoid_mask: Any) -> tuple[Any, Any, Any]:
    """Cubes that cover the entries of each group and none of a later one: key, mask, group.

    key, mask : int64, disjoint, group by group; first : where each group begins, and the end
    avoid_key, avoid_mask : cubes that no result may touch
    """
    n, others = key.size, avoid_key.size
    out_key, out_mask, out_group = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    made = 0
    covered, tried = np.zeros(n, np.bool_), np.empty(n, np.bool_)
    apart = np.empty(n + others, np.int64)  # bits that keep the cube from each entry that it must not touch
    for g in range(first.size - 1):
        a, b = first[g], first[g + 1]
        for e in range(a, b):
            if covered[e]:
                continue
            k, m = key[e], mask[e]
            needed = 0
            for f in range(b, n + others):
                fk, fm = (key[f], mask[f]) if f < n else (avoid_key[f - n], avoid_mask[f - n])
                bits = m & fm & (k ^ fk)
                apart[f] = bits
                if bits & (bits - 1) == 0:
                    needed |= bits
            tried[a:b] = covered[a:b]
            tried[e] = True
            while True:
                best, drop = 33, 0
                near = -1
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
                    break
                tried[near] = True
                free = True
                for f in range(b, n + others):
                    if apart[f] & ~drop == 0:
                        free = False
                        break
                if free:
                    m &= ~drop
                    k &= m
                    needed = 0
                    for f in range(b, n + others):
                        apart[f] &= ~drop
                        if apart[f] & (apart[f] - 1) == 0:
                            needed |= apart[f]
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
