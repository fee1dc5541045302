"""Routing tables to smaller ones that route every key alike."""

from .covering import OrderedCovering
from .decision import DecisionList, Fewest
from .defaults import remove_default_routes
from .entries import Blocks, Entries, Minimise, none
from .expand import Expand
from .neighbours import neighbours
from .proof import Counterexample, equal, within
from .smallest import Smallest

__all__ = [
    "Blocks",
    "Counterexample",
    "DecisionList",
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
