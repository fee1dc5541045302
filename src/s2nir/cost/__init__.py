"""What an image costs: time, traffic of cores, routers and links, and what ends a network on a machine."""

from .cycles import Cycles, synapses_per_core
from .limits import Limits, Trial, explain
from .survey import Resource
from .throughput import HOST_PACKETS_PER_S, Throughput, throughput
from .traffic import Load, Traffic, expected, traffic

__all__ = [
    "HOST_PACKETS_PER_S",
    "Cycles",
    "Limits",
    "Load",
    "Resource",
    "Throughput",
    "Traffic",
    "Trial",
    "expected",
    "explain",
    "synapses_per_core",
    "throughput",
    "traffic",
]
