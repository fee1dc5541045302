"""Routing tables: per chip, entries of key, mask and a route word of 158 bits; the first match decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import MappingError
from ..machine import Chip, SpiNNaker2
from ..values import freeze_fields
from .keys import KeyBlock
from .partition import Slice
from .trees import RouteTrees


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Table:
    """One router's entries.

    key, mask : uint32 (entries)
    route : uint8 (entries, 20), bit b of the route word in byte b // 8 at place b % 8
    minimised : how it was made smaller; "" where each entry matches the keys of one slice and no others
    """

    key: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    route: NDArray[np.uint8]
    minimised: str = ""

    def __post_init__(self) -> None:
        freeze_fields(self, key=np.uint32, mask=np.uint32, route=np.uint8)

    @property
    def entries(self) -> int:
        return int(self.key.size)

    def lookup(self, keys: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The first entry that matches each key, -1 for none."""
        found = np.full(keys.size, -1, np.int64)
        left = np.arange(keys.size)
        for i in range(self.entries):
            hit = (keys[left] & self.mask[i]) == self.key[i]
            if hit.any():
                found[left[hit]] = i
                left = left[~hit]
                if not left.size:
                    break
        return found

    def bits(self, entry: int) -> list[int]:
        """The bits set in an entry's route word."""
        return [int(b) for b in np.flatnonzero(np.unpackbits(self.route[entry], bitorder="little"))]


def tables(
    trees: RouteTrees, blocks: Mapping[Slice, KeyBlock], machine: SpiNNaker2
) -> dict[Chip, Table]:
    """One entry per tree and chip, in the order of keys; a chip without entries has no table.

    Raises
    ------
    MappingError
        where a router has more entries than it holds.
    """
    t = trees.trees
    base = np.array([blocks[s].base for s in trees.slices], np.int64)[t.source]
    mask = np.array([blocks[s].mask for s in trees.slices], np.int64)[t.source]
    order = np.lexsort((mask, base, t.chip))
    chips, first = np.unique(t.chip[order], return_index=True)
    found = {}
    for chip, rows in zip(chips, np.split(order, first[1:]), strict=True):
        x, y = (int(v) for v in trees.chip[chip])
        found[x, y] = Table(
            key=base[rows].astype(np.uint32), mask=mask[rows].astype(np.uint32), route=t.route[rows]
        )
    return found


def refuse_overfull(found: Mapping[Chip, Table], machine: SpiNNaker2) -> None:
    """Refuse tables that no router holds.

    Raises
    ------
    MappingError
        naming the worst chip, by how much, and what would help.
    """
    if not found:
        return
    worst = max(sorted(found), key=lambda chip: found[chip].entries)
    n = found[worst].entries
    if n > machine.router_entries:
        over = sum(t.entries > machine.router_entries for t in found.values())
        raise MappingError(
            f"chip {worst}: {n} routing entries, a router holds {machine.router_entries}, {n - machine.router_entries} "
            f"too many ({over} of {len(found)} chips are over). What would help: larger slices, minimise=, or fewer "
            "targets apart from each other.",
            rule="does-not-fit",
        )
