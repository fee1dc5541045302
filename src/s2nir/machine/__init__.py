"""The machine: geometry, applications, and every number with its source."""

from .applications import APPLICATIONS, CODES, Application, Word, record_bytes
from .spec import Chip, SpiNNaker2, floor_position
from .spinnaker2 import FIFO_PACKETS, LINKS, NODES, PES, QUADS, ROUTE_BYTES, TICK_S, USABLE_PES, WINDOW_NEW, WINDOW_OLD

__all__ = [
    "APPLICATIONS",
    "CODES",
    "FIFO_PACKETS",
    "LINKS",
    "NODES",
    "PES",
    "QUADS",
    "ROUTE_BYTES",
    "TICK_S",
    "USABLE_PES",
    "WINDOW_NEW",
    "WINDOW_OLD",
    "Application",
    "Chip",
    "SpiNNaker2",
    "Word",
    "floor_position",
    "record_bytes",
]
