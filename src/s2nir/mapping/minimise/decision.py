"""Deciding: routes that one cube can hold come first, and where there is none, what stands in the way of most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arguments import Whole, settle
from ...errors import MappingError
from .covering import OrderedCovering
from .entries import Blocks, Entries, as_entries, blocks, refuse_overlap
from .expand import Expand


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionList:
    """A greedy decision list [Rivest1987, doi 10.1007/BF00058680], from the top down.

    A route whose undecided entries lie in a cube that no other undecided entry shares a key with takes that cube, which
    costs nothing: any table has an entry for it. Each cube that is taken clears the way for others. Where no route is
    free, one entry more than there are routes is needed, so it goes to the cube whose entries stand in the way of most
    routes, each route counted as one over all that stand in its way.

    O(entries squared) at least; a table of 2,000 entries takes about a second.

    seeds : so many cubes are grown and compared where no route is free
    avoid : as in `OrderedCovering`

    Raises
    ------
    MappingError
        where two entries share a key.

    >>> table = Entries(key=[0, 1, 2, 3], mask=[0xFFFFFFFF] * 4, route=[7, 5, 7, 7])
    >>> print(DecisionList()(table))
    00000000000000000000000000000001 -> 5
    000000000000000000000000000000XX -> 7
    """

    seeds: int = 64
    avoid: Blocks | None = None

    def __post_init__(self) -> None:
        settle(self, MappingError, seeds=Whole(1), avoid=blocks)

    def __call__(self, table: Entries) -> Entries:
        from . import expand_kernels as kernels

        refuse_overlap(table, "DecisionList")
        words, route, size = np.unique(table.route, return_inverse=True, return_counts=True)
        order = np.lexsort((table.key, route.ravel()))
        avoid = self.avoid or Blocks(base=np.zeros(0, np.uint32), size=np.zeros(0, np.int64))
        key = np.concatenate([table.key[order], avoid.base]).astype(np.int64)
        mask = np.concatenate([table.mask[order], avoid.mask]).astype(np.int64)
        of = np.concatenate([route.ravel()[order], np.full(avoid.base.size, -1)]).astype(np.int64)
        cubes = kernels.Cubes(key, mask, of, np.ones(key.size, np.bool_), np.zeros(key.size))
        first = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        hulls = kernels.Hulls(first, *(np.zeros(words.size, np.int64) for _ in range(4)))
        key, mask, of = kernels.decide(cubes, hulls, self.seeds)
        return as_entries(key, mask, words[of])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fewest:
    """`OrderedCovering`, `Expand` or `DecisionList`, whichever leaves the fewest entries. avoid : as in each"""

    avoid: Blocks | None = None

    def __post_init__(self) -> None:
        settle(self, MappingError, avoid=blocks)

    def __call__(self, table: Entries) -> Entries:
        a = self.avoid
        return min((how(table) for how in (OrderedCovering(avoid=a), Expand(avoid=a), DecisionList(avoid=a))),
                   key=lambda t: t.size)
