"""The machine: which chips there are, and which cores of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import MappingError
from .spinnaker2 import QUAD, QUADS, ROUTER_ENTRIES, USABLE_PES

Chip = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiNNaker2:
    """A machine of SpiNNaker2 chips.

    chips : int; this release maps to a single chip

    >>> SpiNNaker2().cores
    148
    """

    chips: int = 1

    def __post_init__(self) -> None:
        if self.chips != 1:
            raise MappingError(f"SpiNNaker2(chips={self.chips}): this release maps to one chip. Pass chips=1.")

    @property
    def coordinates(self) -> tuple[Chip, ...]:
        """Chips by their (x, y) on the hexagonal mesh."""
        return ((0, 0),)

    @property
    def cores(self) -> int:
        """Cores that applications may use."""
        return len(self.coordinates) * USABLE_PES

    @property
    def usable(self) -> tuple[tuple[Chip, int], ...]:
        """Every usable core as (chip, PE), in order."""
        return tuple((chip, pe) for chip in self.coordinates for pe in range(USABLE_PES))

    @property
    def router_entries(self) -> int:
        return ROUTER_ENTRIES


def floor_position(pe: int) -> tuple[int, int, int]:
    """Where a PE stands on the chip: quad x, quad y, and its place in the quad.

    >>> floor_position(0), floor_position(151)
    ((1, 1, 0), (7, 6, 3))
    """
    x, y = QUADS[pe // QUAD]
    return x, y, pe % QUAD
