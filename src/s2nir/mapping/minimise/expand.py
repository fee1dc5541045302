"""Expanding: the rarest routes first, each entry grown to the widest cube that no later route's entry stands in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arguments import settle
from ...errors import MappingError
from .entries import Blocks, Entries, as_entries, blocks, refuse_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Expand:
    """The expanding step of Espresso [Brayton1984, doi 10.1007/978-1-4613-2821-6], route by route.

    Routes stand in rising number of entries, so that the commonest come last. A cube may cover what routes ahead of it
    decide already, and must stay clear of every entry of the routes after it; it grows towards the nearest entry of
    its own route, as long as one does not stand in the way. Against `OrderedCovering` it gains where few routes are
    common and their keys lie scattered.

    avoid : as in `OrderedCovering`

    Raises
    ------
    MappingError
        where two entries share a key.

    >>> table = Entries(key=[0, 1, 2, 3], mask=[0xFFFFFFFF] * 4, route=[7, 5, 7, 7])
    >>> print(Expand(avoid=Blocks(base=[0], size=[4]).others())(table))
    00000000000000000000000000000001 -> 5
    000000000000000000000000000000XX -> 7
    """

    avoid: Blocks | None = None

    def __post_init__(self) -> None:
        settle(self, MappingError, avoid=blocks)

    def __call__(self, table: Entries) -> Entries:
        from . import expand_kernels

        refuse_overlap(table, "Expand")
        words, route, size = np.unique(table.route, return_inverse=True, return_counts=True)
        by_size = np.argsort(size, kind="stable")
        group = np.empty(words.size, np.int64)
        group[by_size] = np.arange(words.size)
        order = np.lexsort((table.key, group[route.ravel()]))
        avoid = self.avoid or Blocks(base=np.zeros(0, np.uint32), size=np.zeros(0, np.int64))
        key, mask, of = expand_kernels.expand(
            np.concatenate([table.key[order], avoid.base]).astype(np.int64),
            np.concatenate([table.mask[order], avoid.mask]).astype(np.int64),
            np.concatenate([[0], np.cumsum(size[by_size])]).astype(np.int64),
        )
        return as_entries(key, mask, words[by_size][of])
