"""The Graph: populations, projections and a time-and-reset contract, in floats."""

from .apply import apply, arriving, scatter
from .check import check, legal
from .connection import Connection, Conv, Dense, Pool, Projection, Sparse, synapses
from .drive import Drive, Poisson, draws, law, noises
from .graph import Compare, Graph, Integrator, Loops, Population, Populations, Reset
from .rules import (
    FixedIndegree,
    FixedProbability,
    Kernel,
    Law,
    Normal,
    OneToOne,
    Rule,
    Ruled,
    Uniform,
    Window,
    written_out,
)
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
    "Drive",
    "FixedIndegree",
    "FixedProbability",
    "Graph",
    "Integrator",
    "Kernel",
    "Law",
    "Loops",
    "Normal",
    "OneToOne",
    "Poisson",
    "Pool",
    "Population",
    "Populations",
    "Projection",
    "Reset",
    "Rule",
    "Ruled",
    "Sparse",
    "Timing",
    "Trace",
    "Uniform",
    "Window",
    "apply",
    "arriving",
    "check",
    "components",
    "data_order",
    "describe",
    "draws",
    "hops",
    "lags",
    "law",
    "legal",
    "longest_delay",
    "noises",
    "scatter",
    "several_choices",
    "simulate",
    "stuck",
    "synapses",
    "timing",
    "written_out",
]
