"""Drawing the events of Poisson drives, compiled: Philox4x32-10 over many blocks at once (graph/drive.py is the spec).

Ten rounds go over short arrays, four words apart, so that LLVM makes vectors of them; lengths come at run time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

LANES = 256  # blocks at once: their words stay in the first cache
SHIFT = 20  # of a random word, to its place in the guide


@njit(inline="never", cache=True, nogil=True)
def turn(a: Any, b: Any, c: Any, d: Any, low: Any, high: Any) -> None:
    """A round of Philox4x32."""
    for n in range(a.size):
        first = np.uint64(0xD2511F53) * np.uint64(a[n])
        second = np.uint64(0xCD9E8D57) * np.uint64(c[n])
        a[n] = np.uint32(second >> np.uint64(32)) ^ b[n] ^ low
        c[n] = np.uint32(first >> np.uint64(32)) ^ d[n] ^ high
        b[n] = np.uint32(second)
        d[n] = np.uint32(first)


@njit(inline="never", cache=True, nogil=True)
def add(word: Any, place: Any, weight: Any, law: Any, guide: Any, slot: Any) -> None:
    """Add the events of one word of each block; place, weight : of that word, four apart."""
    for n in range(word.size):
        u = np.int64(word[n])
        k = guide[u >> SHIFT]
        while u >= law[k]:
            k += 1
        slot[place[n]] += weight[n] * np.int32(k)


@njit(cache=True, nogil=True)
def draw(d: Any, slot: Any, tick: int, ahead: int, noise: int, words: Any) -> None:
    """Add the events of a tick to its slot; ahead : ticks that have gone by beyond `tick`; words : uint32 (4, LANES)"""
    for k in range(d.onset.size):
        if tick < d.onset[k]:
            continue
        step = np.uint32(tick + ahead - d.onset[k])
        end = d.begin[k + 1] if k + 1 < d.begin.size else d.law.size
        law, guide = d.law[d.begin[k] : end], d.guide[k]
        for lo in range(d.first[k], d.first[k + 1], LANES):
            hi = min(lo + LANES, d.first[k + 1])
            many = hi - lo
            a, b, c, e = words[0][:many], words[1][:many], words[2][:many], words[3][:many]
            a[:], b[:], c[:], e[:] = d.block[lo:hi], step, np.uint32(noise), np.uint32(0)
            low, high = d.seed[k, 0], d.seed[k, 1]
            for _ in range(10):
                turn(a, b, c, e, low, high)
                low, high = np.uint32(low + np.uint32(0x9E3779B9)), np.uint32(high + np.uint32(0xBB67AE85))
            for m in range(4):
                place, weight = d.place[4 * lo + m : 4 * hi : 4], d.weight[4 * lo + m : 4 * hi : 4]
                add(words[m][:many], place, weight, law, guide, slot)
