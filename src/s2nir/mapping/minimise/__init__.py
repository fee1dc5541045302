"""Routing tables to smaller ones that route every key alike."""

from .covering import OrderedCovering
from .defaults import remove_default_routes
from .entries import Blocks, Entries, Minimise, none
from .expand import Expand, Fewest
from .neighbours import neighbours
from .proof import Counterexample, equal, within
from .smallest import Smallest

__all__ = [
    "Blocks",
    "Counterexample",
    "Entries",
    "Expand",
    "Fewest",
    "Minimise",
    "OrderedCovering",
    "Smallest",
    "equal",
    "neighbours",
    "none",
    "remove_default_routes",
    "within",
]
