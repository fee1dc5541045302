"""Entries that a router does not need: its packets go straight on where no entry matches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...errors import MappingError
from .entries import ALL_BITS, Entries


def remove_default_routes(table: Entries, default: ArrayLike) -> Entries:
    """Drop the entries that route as the router does without any.

    An entry is dropped only if no entry that stays shares a key with it. That holds for the table returned, not for
    what a minimiser makes of it: `neighbours` may follow, since it matches no other keys, but `OrderedCovering` only
    with the dropped keys to avoid (`avoid=blocks.also(dropped)`), or a merge could catch them. A table that is
    minimised already loses few entries, since wider ones below match what would be dropped.

    default : int (entries), for each entry the route that leads its packets out over the link opposite to the one they
        come in by; -1 where they start at this chip or come in by several links
    """
    straight = np.asarray(default)
    if straight.shape != table.route.shape:
        raise MappingError(
            f"remove_default_routes: {straight.shape} default routes for {table.size} entries. Give one per entry, -1 "
            "where there is none."
        )
    from . import kernels

    order = np.argsort(table.key, kind="stable")
    key, mask = table.key[order].astype(np.int64), table.mask[order].astype(np.int64)
    keep = (table.route != straight)[order]
    kernels.spread(key, mask, np.maximum.accumulate(key | ALL_BITS & ~mask), keep, np.empty(table.size, np.int64))
    return table.take(np.sort(order[keep]))
