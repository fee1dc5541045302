"""A Graph as a page of text that stays the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .connection import Connection, Conv, Dense
from .graph import Graph, Population
from .rules import Ruled
from .timing import data_order, timing


def describe(graph: Graph) -> str:
    """Contract, populations and projections, a line each."""
    dt = "none" if graph.dt is None else f"{graph.dt:g} s"
    lines = [f"Graph {graph.digest[:12]}", f"  dt {dt}, {graph.integrator.value}, loops {graph.loops.value}"]
    populations, ways = data_order(graph)
    for p in populations:
        lines.append(f"  {p.name}: {p.node} {_dims(p.shape)}{_contract(p)}")
        if not p.is_input:
            lines.append(f"    {_parameters(p)}")
    when = timing(graph)
    for i in ways:
        q, kind = graph.projections[i], "recurrent" if when.recurrent[i] else "forward"
        lines.append(f"  {q.source} -> {q.target}: {form(q.connection)}, {kind}, {when.steps[i]} steps")
    for output, name in graph.outputs.items():
        lines.append(f"  output {output}: {name}")
    return "\n".join(lines)


def form(connection: Connection | Ruled) -> str:
    """A connection in a few words.

    >>> form(Dense(weight=np.ones((3, 2))))
    'dense 2 -> 3'
    """
    if isinstance(connection, Dense):
        return f"dense {connection.sources} -> {connection.targets}"
    if isinstance(connection, Conv):
        kh, kw = connection.weight.shape[2:]
        words = [f"conv {_dims(connection.in_shape)} -> {_dims(connection.out_shape)} k{kh}x{kw}"]
        words.append(f"s{connection.stride[0]}x{connection.stride[1]} p{connection.padding[0]}x{connection.padding[1]}")
        if connection.dilation != (1, 1):
            words.append(f"d{connection.dilation[0]}x{connection.dilation[1]}")
        if connection.groups != 1:
            words.append(f"g{connection.groups}")
        if connection.pool is not None:
            words.append(f"after sum pool {connection.pool.size[0]}x{connection.pool.size[1]}")
        return " ".join(words)
    if isinstance(connection, Ruled):
        return (f"{connection.rule} {_dims(connection.source_shape)} -> {_dims(connection.target_shape)}, about "
                f"{connection.expected:.4g} synapses, seed {connection.seed}")
    return f"sparse {connection.sources} -> {connection.targets}, {connection.target.size} synapses"


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)


def _contract(p: Population) -> str:
    if p.threshold is None:
        return "" if p.is_input else ", does not spike"
    late = " (late)" if p.reset_late else ""
    hold = f", refractory {p.refractory}" if p.refractory else ""
    return f", spikes at V {p.compare.value} threshold, reset {p.reset.value}{late}{hold}"


def _parameters(p: Population) -> str:
    names = ("decay", "gain", "constant", "bias", "syn_decay", "syn_gain", "threshold", "v_reset")
    said = [f"{n} {span(getattr(p, n))}" for n in names if getattr(p, n) is not None]
    if p.drive is not None:
        said.append(f"Poisson drive of {p.drive.mean:g} events a step, weight {p.drive.weight:g}, seed {p.drive.seed}")
    return ", ".join(said)


def span(values: NDArray[np.float64]) -> str:
    """One number, or the range of several.

    >>> span(np.array([1.0, 2.5])), span(np.array(0.9))
    ('1..2.5', '0.9')
    """
    return f"{float(values):g}" if values.ndim == 0 else f"{values.min():g}..{values.max():g}"
