"""Slices to cores."""

from collections.abc import Callable

from .annealing import Annealing
from .curve import Curve, rank
from .exchange import Exchange
from .sequential import Core, Place, Places, Sequential, refuse_too_many

PLACERS: dict[str, Callable[[], Place]] = {
    "sequential": Sequential, "curve": Curve, "annealing": Annealing, "exchange": Exchange
}

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
]
