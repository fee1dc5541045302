"""What an image costs: time, energy, traffic of cores, routers and links, and what ends a network on a machine."""

from .cycles import Cycles, synapses_per_core
from .energy import AUTOMATIC, HIGH, LOW, Automatic, Energy, EnergyModel, Fixed, Mode, Unused, Use, joules
from .limits import Limits, Trial, explain
from .neurobench import NeuroBench, neurobench
from .survey import Resource
from .throughput import HOST_PACKETS_PER_S, Throughput, throughput
from .timing import Timing, timing
from .traffic import Load, Traffic, expected, traffic
from .work import Work, thresholds, work

__all__ = [
    "AUTOMATIC",
    "HIGH",
    "HOST_PACKETS_PER_S",
    "LOW",
    "Automatic",
    "Cycles",
    "Energy",
    "EnergyModel",
    "Fixed",
    "Limits",
    "Load",
    "Mode",
    "NeuroBench",
    "Resource",
    "Throughput",
    "Timing",
    "Traffic",
    "Trial",
    "Unused",
    "Use",
    "Work",
    "expected",
    "explain",
    "joules",
    "neurobench",
    "synapses_per_core",
    "thresholds",
    "throughput",
    "timing",
    "traffic",
    "work",
]
