"""Ordered covering: entries of one route become one wider entry below, where nothing that it would steal lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Whole, flag, settle
from ...errors import MappingError
from .entries import ALL_BITS, Blocks, Entries, as_entries, blocks, refuse_overlap
from .neighbours import neighbours


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedCovering:
    """The greedy merging of [Mundy2016], doi 10.1109/MCSoC.2016.20.

    Entries stand in order of rising generality (bits that are not compared). A merge takes entries of one route to
    the smallest cube over them, below all entries as general. It may not cover an entry that lies further down
    (down-check), and none of its entries may move past a wider one that matches its keys (up-check); both ask for the
    keys that an entry stands for, its aliases: the entries of `table` that went into it. Where a check fails, the merge
    is made smaller by fixing the bit that costs the fewest entries. The merge that saves most is made first.

    Unlike the paper, both checks leave out entries of the merge's own route, which it may cover without harm, and the
    up-check looks at the aliases where the paper takes the whole of an entry.

    target : stop at so few entries; 0 goes on while anything merges; `neighbours` is not stopped
    pairs_first : run `neighbours` ahead, which costs little and keeps wide merges from blocking exact ones (7,940
        entries, not 11,077, from 16,000 blocks of keys with 6 routes)
    avoid : keys that no merge may cover; without, it may cover any that no entry of the table matches. With the
        `others()` of the blocks in use the result matches no key but those

    Raises
    ------
    MappingError
        where two entries share a key, or one matches a key to avoid.

    >>> table = Entries(key=[0, 1, 2, 3], mask=[0xFFFFFFFF] * 4, route=[7, 5, 7, 7])
    >>> print(OrderedCovering()(table))
    00000000000000000000000000000001 -> 5
    000000000000000000000000000000XX -> 7
    """

    target: int = 0
    pairs_first: bool = True
    avoid: Blocks | None = None

    def __post_init__(self) -> None:
        settle(self, MappingError, target=Whole(), pairs_first=flag, avoid=blocks)

    def __call__(self, table: Entries) -> Entries:
        from . import kernels

        refuse_overlap(table, "OrderedCovering")
        gaps = self._gaps(kernels, table)
        if self.pairs_first:
            table = neighbours(table)
        n = table.size
        order = np.argsort(table.key, kind="stable")
        key, mask = table.key[order].astype(np.int64), table.mask[order].astype(np.int64)
        words, route = np.unique(table.route[order], return_inverse=True)
        free = 32 - np.bitwise_count(mask).astype(np.int64)
        o = kernels.Originals(
            key, mask, route, np.maximum.accumulate(key | ALL_BITS & ~mask), free.copy(), np.full(n, -1, np.int64)
        )
        own = np.arange(n)
        nodes = kernels.Nodes(
            _twice(key), _twice(mask), _twice(route), _twice(free), _twice(own), _twice(own),
            _twice(np.ones(n, np.bool_)), np.empty(n, np.int64), np.array([0, n]),
        )
        member = np.argsort(route, kind="stable")
        size = np.bincount(route, minlength=words.size)
        groups = kernels.Groups(np.cumsum(size) - size, size, size.copy(), member)
        work = kernels.Work(*(np.empty(n, np.int64) for _ in range(3)))
        kernels.cover(o, nodes, groups, gaps, work, self.target)
        kept = np.flatnonzero(nodes.alive)
        kept = kept[np.argsort(nodes.generality[kept], kind="stable")]
        return as_entries(nodes.key[kept], nodes.mask[kept], words[nodes.route[kept]])

    def _gaps(self, kernels: Any, table: Entries) -> Any:
        none = np.empty(0, np.int64)
        if self.avoid is None:
            return kernels.Gaps(none, none, none)
        key, mask = self.avoid.base.astype(np.int64), self.avoid.mask.astype(np.int64)
        gaps = kernels.Gaps(key, mask, key | ALL_BITS & ~mask)
        bad = kernels.reaching(gaps, table.key.astype(np.int64), table.mask.astype(np.int64))
        if bad >= 0:
            raise MappingError(
                f"OrderedCovering.avoid: entry {bad} matches a key that is to be avoided. Leave out the blocks of all "
                "entries of the table."
            )
        return gaps


def _twice(values: NDArray[Any]) -> NDArray[Any]:
    """The values, and as much room again, all zero."""
    return np.concatenate([values, np.zeros_like(values)])
