"""Slices to cores."""

from collections.abc import Callable

from ...machine import SpiNNaker2
from .annealing import Annealing
from .curve import Curve, rank
from .exchange import Exchange
from .sequential import Core, Place, Places, Sequential, refuse_too_many

PLACERS: dict[str, Callable[[], Place]] = {
    "sequential": Sequential, "curve": Curve, "annealing": Annealing, "exchange": Exchange
}


def usual(machine: SpiNNaker2) -> Place:
    """The placer of a machine where none is asked for."""
    return Sequential() if machine.topology.chips == 1 else Exchange()


__all__ = [
    "PLACERS",
    "Annealing",
    "Core",
    "Curve",
    "Exchange",
    "Place",
    "Places",
    "Sequential",
    "rank",
    "refuse_too_many",
    "usual",
]
