"""Slices to cores."""

from .annealing import Annealing
from .curve import Curve, rank
from .sequential import Core, Place, Places, Sequential, refuse_too_many

__all__ = ["Annealing", "Core", "Curve", "Place", "Places", "Sequential", "rank", "refuse_too_many"]
