"""Pairs of entries that differ in one bit, merged until there are none: the same keys in fewer entries."""

from __future__ import annotations

import numpy as np

from .entries import Entries, as_entries, refuse_overlap


def neighbours(table: Entries) -> Entries:
    """Merge two entries of one route and mask whose keys differ in exactly one bit, until there are none.

    The step of [Quine1952], doi 10.2307/2308219, taken greedily from the lowest bit on, through a hash table of cubes:
    O(32 n) a pass. The result matches exactly the keys that the table matches, and its entries are disjoint, so their
    order does not matter and every other minimiser may follow.

    Raises
    ------
    MappingError
        where two entries share a key.

    >>> table = Entries(key=[0, 1, 2, 3], mask=[0xFFFFFFFF] * 4, route=[7, 7, 7, 5])
    >>> print(neighbours(table))
    0000000000000000000000000000000X -> 7
    00000000000000000000000000000010 -> 7
    00000000000000000000000000000011 -> 5
    """
    from . import kernels

    refuse_overlap(table, "neighbours")
    n = table.size
    order = np.argsort(table.key, kind="stable")
    key, mask, route = np.zeros((3, 2 * n), np.int64)
    key[:n], mask[:n], route[:n] = table.key[order], table.mask[order], table.route[order]
    alive = np.zeros(2 * n, np.bool_)
    alive[:n] = True
    slots = np.full(1 << (4 * n).bit_length(), -1, np.int64)
    kernels.neighbours(key, mask, route, alive, slots, n)
    kept = np.flatnonzero(alive)
    kept = kept[np.argsort(key[kept], kind="stable")]
    return as_entries(key[kept], mask[kept], route[kept])
