"""Multicast trees on one chip: the source's router copies a packet to every target core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ...errors import MappingError
from ...machine import LINKS, Chip
from ..partition import Slice
from ..place import Core


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTree:
    """Where the packets of one slice go: per chip, bits of the route word (0-5 the links, 6 and up the PEs)."""

    chips: Mapping[Chip, frozenset[int]]

    @property
    def cores(self) -> tuple[Core, ...]:
        """Every core that the tree reaches."""
        return tuple(
            sorted((chip, bit - LINKS) for chip, bits in self.chips.items() for bit in bits if bit >= LINKS)
        )


class Route(Protocol):
    """Targets of every slice -> one tree each; a slice without targets has none."""

    def __call__(
        self, targets: Mapping[Slice, Iterable[Slice]], placement: Mapping[Slice, Core]
    ) -> dict[Slice, RouteTree]: ...


def local(targets: Mapping[Slice, Iterable[Slice]], placement: Mapping[Slice, Core]) -> dict[Slice, RouteTree]:
    """Trees of one router each.

    Raises
    ------
    MappingError
        where source and target are on different chips.
    """
    trees = {}
    for source in sorted(targets):
        chip, _ = placement[source]
        bits = set()
        for target in targets[source]:
            there, pe = placement[target]
            if there != chip:
                raise MappingError(f"{source} on {chip} to {target} on {there}: trees here stay on one chip")
            bits.add(LINKS + pe)
        if bits:
            trees[source] = RouteTree(chips={chip: frozenset(bits)})
    return trees
