"""What a router is asked for, and what it answers, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...machine import LINKS, SpiNNaker2
from ...values import freeze_fields


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flow:
    """Who sends to which cores. Chips are numbered as in `machine.topology`.

    chip : int32 (sources), where each source is
    start : int64 (sources + 1) and to_chip : int32, to_pe : int16 (targets), the cores that each source reaches
    packets : float64 (sources), expected packets per tick
    """

    chip: NDArray[np.int32]
    start: NDArray[np.int64]
    to_chip: NDArray[np.int32]
    to_pe: NDArray[np.int16]
    packets: NDArray[np.float64]

    def __post_init__(self) -> None:
        freeze_fields(self, chip=np.int32, start=np.int64, to_chip=np.int32, to_pe=np.int16, packets=np.float64)

    @property
    def sources(self) -> int:
        return int(self.chip.size)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Trees:
    """A multicast tree per source, as its routers: start[s]..start[s + 1], the source's own chip first.

    chip : int32 (routers); route : uint8 (routers, 20), bits 0-5 the links, 6 and up the PEs
    arrives : int8 (routers), the link over which a packet comes in; -1 where it starts
    """

    start: NDArray[np.int64]
    chip: NDArray[np.int32]
    route: NDArray[np.uint8]
    arrives: NDArray[np.int8]

    def __post_init__(self) -> None:
        freeze_fields(self, start=np.int64, chip=np.int32, route=np.uint8, arrives=np.int8)

    @property
    def sources(self) -> int:
        return int(self.start.size - 1)

    @property
    def source(self) -> NDArray[np.int64]:
        """int64 (routers), whose tree each router belongs to."""
        return np.repeat(np.arange(self.sources), np.diff(self.start))

    def bits(self, router: int) -> NDArray[np.int64]:
        """The bits set in the route word of one router."""
        return np.flatnonzero(np.unpackbits(self.route[router], bitorder="little"))

    def cores(self, source: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Chips and PEs that a source's tree reaches, by chip and PE."""
        here = slice(int(self.start[source]), int(self.start[source + 1]))
        row, bit = np.nonzero(np.unpackbits(self.route[here], axis=1, bitorder="little"))
        held = bit >= LINKS
        chip, pe = self.chip[here][row[held]].astype(np.int64), bit[held] - LINKS
        order = np.lexsort((pe, chip))
        return chip[order], pe[order]


class Route(Protocol):
    """A tree for every source of a flow; one without targets has no routers.

    Raises
    ------
    MappingError
        where no way leads to a target.
    """

    def __call__(self, flow: Flow, machine: SpiNNaker2) -> Trees: ...


