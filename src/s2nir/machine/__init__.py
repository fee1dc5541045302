"""The machine: geometry, applications, and every number with its source."""

from .applications import APPLICATIONS, CODES, RECORDS, WINDOW, Application, Word, record_bytes
from .faults import Faults
from .spec import Chip, SpiNNaker2, floor_position
from .spinnaker2 import (
    DRAM,
    FIFO_PACKETS,
    LINK_NAMES,
    LINK_NS,
    LINK_NS_BETWEEN,
    LINKS,
    NODES,
    PES,
    QUADS,
    ROUTE_BYTES,
    SRAM_DATA,
    STACK,
    STEPS,
    TICK_S,
    USABLE_PES,
    WINDOW_NEW,
    WINDOW_OLD,
)
from .topology import Topology

__all__ = [
    "APPLICATIONS",
    "CODES",
    "DRAM",
    "FIFO_PACKETS",
    "LINKS",
    "LINK_NAMES",
    "LINK_NS",
    "LINK_NS_BETWEEN",
    "NODES",
    "PES",
    "QUADS",
    "RECORDS",
    "ROUTE_BYTES",
    "SRAM_DATA",
    "STACK",
    "STEPS",
    "TICK_S",
    "USABLE_PES",
    "WINDOW",
    "WINDOW_NEW",
    "WINDOW_OLD",
    "Application",
    "Chip",
    "Faults",
    "SpiNNaker2",
    "Topology",
    "Word",
    "floor_position",
    "record_bytes",
]
