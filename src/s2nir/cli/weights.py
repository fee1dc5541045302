"""What quantization did to each population, as `s2nir quantize` prints it: scales, clipped and lost weights, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..events import to_arrays
from ..graph import Connection, Conv, Graph, Sparse, apply, simulate
from ..quantize import IntPopulation, Network

PIECE = 1 << 22  # values (steps x neurons) of the float run at once


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationWeights:
    """One population.

    weights, zero, over : weights into it, those that became 0 without being 0, those over the limit
    largest : the largest |integer weight|; scale : least and largest integer weight per real weight
    threshold : least and largest, in the state format; None where it does not spike
    weight_error : root mean square of (integer / scale - float) over that of float, over the weights
    input_error : the same of what arrives on the calibration data; rate : its spikes per neuron and step in floats;
        both None without such data
    dead : all of its weights became 0, or it never spikes on the calibration data
    """

    population: str
    weights: int
    zero: int
    over: int
    largest: int
    scale: tuple[float, float]
    threshold: tuple[float, float] | None
    weight_error: float | None
    input_error: float | None
    rate: float | None
    dead: bool


def weigh(graph: Graph, network: Network, data: Any = None) -> list[PopulationWeights]:
    """Every population that is no input, by name."""
    arriving = {} if data is None else _on_data(graph, network, data)
    rounding = np.trunc if "toward_zero" in network.scheme else np.rint
    found = []
    for p in network.populations:
        if p.is_input:
            continue
        pairs = [(q.connection, n.connection) for q, n in _ways(graph, network) if q.target == p.name]
        real = _all([c.weight.ravel() for c, _ in pairs], np.float64)
        scaled = _all([(c.weight * scales(c, p)).ravel() for c, _ in pairs], np.float64)
        back = _all([(n.weight / scales(n, p)).ravel() for _, n in pairs], np.float64)
        whole = _all([n.weight.ravel() for _, n in pairs], np.int64)
        error, rate = arriving.get(p.name, (None, None))
        g = np.ones(1) if p.weight_scale is None else p.weight_scale
        found.append(
            PopulationWeights(
                population=p.name,
                weights=real.size,
                zero=int(((whole == 0) & (real != 0)).sum()),
                over=int((rounding(np.abs(scaled)) > network.limit).sum()),
                largest=int(np.abs(whole).max(initial=0)),
                scale=(float(g.min()), float(g.max())),
                threshold=None if p.threshold is None else (float(p.threshold.min()), float(p.threshold.max())),
                weight_error=_ratio(float(np.square(back - real).sum()), float(np.square(real).sum())),
                input_error=error,
                rate=rate,
                dead=bool(whole.size and not whole.any()) or rate == 0,
            )
        )
    return found


def scales(connection: Connection, p: IntPopulation) -> NDArray[np.float64]:
    """Integer per real weight, in a shape that goes with the weights."""
    g = p.full("weight_scale")
    if isinstance(connection, Sparse):
        return np.asarray(g[connection.target], np.float64)
    if isinstance(connection, Conv):
        return g.reshape(connection.out_shape[0], -1)[:, 0][:, np.newaxis, np.newaxis, np.newaxis]
    return np.asarray(g[:, np.newaxis], np.float64)


def _ways(graph: Graph, network: Network) -> zip[tuple[Any, Any]]:
    return zip(graph.projections, network.projections, strict=True)


def _all(parts: list[Any], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _on_data(graph: Graph, network: Network, data: Any) -> dict[str, tuple[float | None, float | None]]:
    """Input error and rate by population, a few recordings of the float run at a time."""
    from dataclasses import replace

    given = to_arrays(data, {p.name: p.shape for p in graph.inputs}, graph.dt)
    batch, steps = given.batch, given.steps
    size = max(1, PIECE // (steps * sum(p.size for p in graph.populations)))
    off, whole, fired = ({p.name: 0.0 for p in graph.populations} for _ in range(3))
    for lo in range(0, batch, size):
        part = given.part(lo, lo + size)
        trace = simulate(graph, part)
        active = {n: a.reshape(-1, graph[n].size).astype(np.float64) for n, a in (part | dict(trace.spikes)).items()}
        wrong: dict[str, Any] = {}
        right: dict[str, Any] = {}
        for q, n in _ways(graph, network):
            rest = q.connection.weight - n.connection.weight / scales(n.connection, network[q.target])
            x = active[q.source]
            wrong[q.target] = wrong.get(q.target, 0.0) + apply(replace(q.connection, weight=rest), x)
            right[q.target] = right.get(q.target, 0.0) + apply(q.connection, x)
        for name in right:
            off[name] += float(np.square(wrong[name]).sum())
            whole[name] += float(np.square(right[name]).sum())
        for name, spikes in trace.spikes.items():
            fired[name] += float(spikes.sum())
    values = {p.name: batch * steps * p.size for p in graph.populations}
    return {
        p.name: (_ratio(off[p.name], whole[p.name]), fired[p.name] / values[p.name] if p.spikes else None)
        for p in graph.populations
    }


def _ratio(part: float, whole: float) -> float | None:
    """Root of a ratio of sums of squares; None where there is nothing to compare with."""
    return float(np.sqrt(part / whole)) if whole > 0 else None
