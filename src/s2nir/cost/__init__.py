"""What a run costs: time, from an image and a recording; coefficients with their sources."""

from .cycles import Cycles, synapses_per_core

__all__ = ["Cycles", "synapses_per_core"]
