"""Every breach of a legal Graph, as sentences; shares nothing with what builds one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import GraphError
from .connection import Conv, Dense, Sparse
from .graph import Graph, Integrator, Population, Reset
from .rules import Ruled

SPIKING = {"LIF", "IF", "CubaLIF", "LI", "CubaLI", "I", "Threshold"}
SILENT = {"LI", "CubaLI", "I", "Readout"}


def legal(graph: Graph) -> Graph:
    """The graph, once `check` has nothing to say.

    Raises
    ------
    GraphError
        the first breach.
    """
    for breach in check(graph):
        raise GraphError(f"not a legal Graph: {breach}")
    return graph


def check(graph: Graph) -> Iterator[str]:
    """Sentences, one per breach; none for a legal Graph."""
    names = [p.name for p in graph.populations]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"{name}: two populations have this name"
    by_name = {p.name: p for p in graph.populations}
    if not any(p.is_input or p.drive for p in graph.populations):
        yield "the graph has no input"
    if graph.dt is not None and not (np.isfinite(graph.dt) and graph.dt > 0):
        yield f"dt: found {graph.dt}, must be above 0"
    for population in graph.populations:
        yield from _population(population, graph.integrator)
    for p in graph.projections:
        where = f"{p.source} -> {p.target}"
        if p.source not in by_name or p.target not in by_name:
            yield f"{where}: names a population that does not exist"
            continue
        if p.delay < 0:
            yield f"{where}: delay {p.delay} is below 0"
        if by_name[p.target].is_input:
            yield f"{where}: an input hears nothing"
        if not by_name[p.source].is_input and by_name[p.source].threshold is None:
            yield f"{where}: the source does not spike"
        c = p.connection
        if (c.sources, c.targets) != (by_name[p.source].size, by_name[p.target].size):
            yield (f"{where}: connects {c.sources} to {c.targets}, the populations have "
                   f"{by_name[p.source].size} and {by_name[p.target].size}")
        if isinstance(c, Ruled):
            if c.scale is not None:
                yield f"{where}: a rule with a scale, which belongs to a Network"
        elif not isinstance(c, Dense | Sparse | Conv):
            yield f"{where}: unknown connection {type(c).__name__}"
        elif not np.isfinite(c.weight).all():
            yield f"{where}: a weight is not finite"
    for output, name in graph.outputs.items():
        if name not in by_name:
            yield f"output {output}: names {name!r}, which is not a population"
        elif by_name[name].is_input:
            yield f"output {output}: names an input"
    if not graph.outputs:
        yield "the graph has no output"


def _population(p: Population, integrator: Integrator) -> Iterator[str]:
    where = f"{p.name}.{p.node}"
    if not p.shape or any(n < 1 for n in p.shape):
        yield f"{where}: shape {p.shape} is empty"
    if p.is_input:
        if any(v is not None for v in (p.decay, p.gain, p.threshold, p.syn_decay, p.drive)):
            yield f"{where}: an input has neuron parameters"
        return
    if p.node not in SPIKING | SILENT:
        yield f"{where}: unknown node type"
    for name in ("decay", "gain", "constant", "bias"):
        if getattr(p, name) is None:
            yield f"{where}.{name}: missing"
    for name in ("decay", "gain", "constant", "bias", "threshold", "v_reset", "syn_decay", "syn_gain"):
        value = getattr(p, name)
        if value is not None and not np.isfinite(value).all():
            yield f"{where}.{name}: not finite"
    for name in ("decay", "syn_decay"):
        value = getattr(p, name)
        if value is not None and ((value < 0) | (value > 1)).any():
            yield f"{where}.{name}: found {value.min()}..{value.max()}, must be within 0..1 ({integrator.value})"
    if (p.syn_decay is None) != (p.syn_gain is None):
        yield f"{where}: has one of syn_decay and syn_gain"
    if (p.threshold is None) != (p.v_reset is None):
        yield f"{where}: has one of threshold and v_reset"
    if p.threshold is None and (p.reset is not Reset.NONE or p.node not in SILENT):
        yield f"{where}: does not spike and yet resets, or is of a kind that spikes"
    if p.refractory < 0:
        yield f"{where}.refractory: {p.refractory} is below 0"
