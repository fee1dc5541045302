"""Expanding cubes, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


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
