"""Walking packets through routing tables, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

WHOLE, SPLIT, ROUND = 0, 1, 2  # how a block's walk ended
LINKS, WORDS = 6, 20


class Ways(NamedTuple):
    """All routers as arrays; chips by number.

    first : int64 (chips + 1), entries of each chip; key, mask : int64, route : uint8 (entries, 20)
    rising : bool (chips), whether a chip's entries match disjoint aligned blocks of keys in rising order
    neighbour : int32 (chips, 6), -1 where no link is; core : int32 (chips, 152), the core image on each PE or -1
    straight : whether what no entry matches goes on over the opposite link
    """

    first: NDArray[np.int64]
    key: NDArray[np.int64]
    mask: NDArray[np.int64]
    route: NDArray[np.uint8]
    rising: NDArray[np.bool_]
    neighbour: NDArray[np.int32]
    core: NDArray[np.int32]
    straight: bool


@njit(cache=True, nogil=True)
def match(first: int, end: int, key: Any, mask: Any, rising: bool, base: int, block: int) -> int:
    """The entry that every key of a block meets first: -1 for none, -2 where the keys part.

    block : the mask of the block of keys that begins at `base`
    """
    at = first
    if rising:
        at += max(0, int(np.searchsorted(key[first:end], base, side="right")) - 1)
        end = min(end, at + 2)
    for e in range(at, end):
        if (key[e] ^ base) & mask[e] & block == 0:
            return e if mask[e] & ~block == 0 else -2
    return -1


@njit(cache=True, nogil=True)
def longer(array: Any) -> Any:
    found = np.empty(2 * array.size, array.dtype)
    found[: array.size] = array
    return found


@njit(cache=True, nogil=True)
def walk(ways: Any, chip: Any, base: Any, block: Any) -> Any:
    """A packet of each block of keys from its chip on, router by router.

    Returns how each walk ended, the chip at which it did, and, as start and values by block, the cores reached, the
    routers passed and the links crossed (6 * chip + link), in the order met.
    """
    first, key, mask, route, rising, neighbour, core_at, straight = ways
    n, chips = chip.size, neighbour.shape[0]
    ended, where = np.zeros(n, np.int8), np.zeros(n, np.int64)
    cores, routers, links = np.empty(1024, np.int32), np.empty(1024, np.int32), np.empty(1024, np.int64)
    starts = np.zeros((3, n + 1), np.int64)
    stack = np.empty((1024, 3), np.int64)  # chip, link it came by, hops
    a = b = c = 0
    for i in range(n):
        stack[0, 0], stack[0, 1], stack[0, 2] = chip[i], -1, 0
        depth = 1
        while depth:
            depth -= 1
            here, came, hops = stack[depth, 0], stack[depth, 1], stack[depth, 2]
            e = match(first[here], first[here + 1], key, mask, rising[here], base[i], block[i])
            if e == -2 or hops > chips:
                ended[i], where[i] = SPLIT if e == -2 else ROUND, here
                a, b, c = starts[0, i], starts[1, i], starts[2, i]
                break
            if b == routers.size:
                routers = longer(routers)
            routers[b] = here
            b += 1
            if depth + LINKS > stack.shape[0]:
                grown = np.empty((2 * stack.shape[0], 3), np.int64)
                grown[:depth] = stack[:depth]
                stack = grown
            on = 0
            if e >= 0:
                on = route[e, 0] & 63
            elif straight and came >= 0:
                on = 1 << (came + 3) % LINKS
            for link in range(LINKS):
                if on >> link & 1 and neighbour[here, link] >= 0:
                    stack[depth, 0], stack[depth, 1], stack[depth, 2] = neighbour[here, link], (link + 3) % 6, hops + 1
                    depth += 1
                    if c == links.size:
                        links = longer(links)
                    links[c] = LINKS * here + link
                    c += 1
            for word in range(WORDS if e >= 0 else 0):
                for bit in range(8 if route[e, word] else 0):
                    pe = 8 * word + bit - LINKS
                    if pe < 0 or not route[e, word] >> bit & 1 or pe >= core_at.shape[1] or core_at[here, pe] < 0:
                        continue
                    if a == cores.size:
                        cores = longer(cores)
                    cores[a] = core_at[here, pe]
                    a += 1
        starts[0, i + 1], starts[1, i + 1], starts[2, i + 1] = a, b, c
    return ended, where, starts, cores[:a], routers[:b], links[:c]
