"""What a run costs: time, from an image and a recording; coefficients with their sources."""

from .cycles import Cycles, synapses_per_core
from .throughput import HOST_PACKETS_PER_S, Throughput, throughput

__all__ = ["HOST_PACKETS_PER_S", "Cycles", "Throughput", "synapses_per_core", "throughput"]
