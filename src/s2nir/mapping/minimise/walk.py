"""The loops of the proof, compiled: cubes of keys that walk down a table; tables are (key, mask, route), int64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

ALL = 0xFFFFFFFF
ROOM = 600  # a cube of x free bits leaves at most x behind, each of fewer: 32 + 31 + ... = 528 wait at most


@njit(cache=True, nogil=True)
def cut(key: int, mask: int, by_key: int, by_mask: int, at: int, was: int, wait: Any, waiting: int) -> tuple[int, int]:
    """Put what lies outside of the other cube on the pile, to go on at `at`; the mask inside of it, and the pile."""
    for b in range(32):
        bit = 1 << b
        if by_mask & bit and not mask & bit:
            mask |= bit
            wait[waiting, 0], wait[waiting, 1] = key | (bit & ~by_key), mask
            wait[waiting, 2], wait[waiting, 3] = at, was
            waiting += 1
            key |= bit & by_key
    return mask, waiting


@njit(cache=True, nogil=True)
def differ(before: Any, after: Any, asked: Any) -> tuple[bool, int, int, int]:
    """Whether a key of the asked cubes that `before` matches goes elsewhere in `after`: the key and both routes.

    A cube walks down `before`, then with the route found there down `after`: place n of `after` is len(before) + n.
    """
    wait = np.empty((ROOM, 4), np.int64)
    middle, end = before[0].size, before[0].size + after[0].size
    for i in range(asked[0].size):
        wait[0, 0], wait[0, 1], wait[0, 2], wait[0, 3] = asked[0][i], asked[1][i], 0, -1
        waiting = 1
        while waiting:
            waiting -= 1
            key, mask, at, was = wait[waiting, 0], wait[waiting, 1], wait[waiting, 2], wait[waiting, 3]
            while at < middle and (key ^ before[0][at]) & mask & before[1][at]:
                at += 1
            if at < middle:
                inside, waiting = cut(key, mask, before[0][at], before[1][at], at + 1, -1, wait, waiting)
                key |= before[0][at] & inside & ~mask
                mask, was, at = inside, before[2][at], middle
            elif was < 0:
                continue  # `before` does not match it
            at -= middle
            while at < end - middle and (key ^ after[0][at]) & mask & after[1][at]:
                at += 1
            if at == end - middle:
                return True, key, was, -1
            if after[2][at] != was:
                return True, key | (after[0][at] & ~mask), was, after[2][at]
            inside, waiting = cut(key, mask, after[0][at], after[1][at], middle + at + 1, was, wait, waiting)
    return False, -1, -1, -1


@njit(cache=True, nogil=True)
def outside(table: Any, blocks: Any) -> tuple[bool, int]:
    """Whether a key that the table matches is in no block: the key."""
    wait = np.empty((ROOM, 4), np.int64)
    for i in range(table[0].size):
        wait[0, 0], wait[0, 1], wait[0, 2] = table[0][i], table[1][i], 0
        waiting = 1
        while waiting:
            waiting -= 1
            key, mask, at = wait[waiting, 0], wait[waiting, 1], wait[waiting, 2]
            while at < blocks[0].size and (key ^ blocks[0][at]) & mask & blocks[1][at]:
                at += 1
            if at == blocks[0].size:
                return True, key
            _, waiting = cut(key, mask, blocks[0][at], blocks[1][at], at + 1, 0, wait, waiting)
    return False, -1
