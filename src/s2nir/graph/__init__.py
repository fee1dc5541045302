"""The Graph: populations, projections and a time-and-reset contract, in floats."""

from .apply import apply, arriving, scatter
from .check import check, legal
from .connection import Connection, Conv, Dense, Pool, Projection, Sparse, synapses
from .graph import Compare, Graph, Integrator, Loops, Population, Populations, Reset
from .simulate import Trace, simulate
from .text import describe
from .timing import (
    Timing,
    components,
    data_order,
    hops,
    lags,
    longest_delay,
    several_choices,
    stuck,
    timing,
)

__all__ = [
    "Compare",
    "Connection",
    "Conv",
    "Dense",
    "Graph",
    "Integrator",
    "Loops",
    "Pool",
    "Population",
    "Populations",
    "Projection",
    "Reset",
    "Sparse",
    "Timing",
    "Trace",
    "apply",
    "arriving",
    "check",
    "components",
    "data_order",
    "describe",
    "hops",
    "lags",
    "legal",
    "longest_delay",
    "scatter",
    "several_choices",
    "simulate",
    "stuck",
    "synapses",
    "timing",
]
