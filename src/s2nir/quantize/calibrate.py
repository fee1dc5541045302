"""Choosing a percentile per population on calibration data, one piece of it in memory at a time.

Objective: the mean squared difference between what arrives at a population's neurons with float weights and with
integer weights (over the scale), over all steps of the float run. It needs no labels, adds up over pieces of data, and
is what clipping (low p) and rounding (high p) trade against each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import QuantizeError
from ..events import Arrays, to_arrays
from ..graph import Graph, arriving, simulate, timing, written_out
from .scales import integer_weights, per_weight, percentile_scales, units, with_drive
from .scheme import AUTO_CANDIDATES, PTQ

PIECE = 1 << 22  # spike values (steps x neurons) of one piece


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What calibration data says: errors[population][p], and the share of steps with a spike, by population."""

    errors: dict[str, dict[float, float]]
    rates: dict[str, float]

    def best(self, population: str) -> float:
        """The percentile of least error; the highest of equals."""
        found = self.errors[population]
        return min(found, key=lambda p: (found[p], -p))


def pieces(graph: Graph, data: Any) -> Iterator[Arrays]:
    """Calibration data as input arrays of bounded size; `data` is spikes, or an iterator over spikes."""
    shapes = {p.name: p.shape for p in graph.inputs}
    for item in data if hasattr(data, "__next__") else (data,):
        arrays = to_arrays(item, shapes, graph.dt)
        size = max(1, PIECE // (arrays.steps * sum(p.size for p in graph.populations)))
        for lo in range(0, arrays.batch, size):
            yield arrays.part(lo, lo + size)


def calibrate(graph: Graph, data: Any, scheme: PTQ) -> Calibration:
    """Run the float network on calibration data and weigh each candidate percentile.

    Raises
    ------
    QuantizeError
        where there is no data.
    """
    graph = written_out(graph)
    candidates = AUTO_CANDIDATES if scheme.percentile == "auto" else ()
    wrong = {
        p.name: {c: _differences(graph, p.name, dataclasses.replace(scheme, percentile=c)) for c in candidates}
        for p in graph.populations
        if not p.is_input
    }
    errors = {name: dict.fromkeys(candidates, 0.0) for name in wrong}
    fired = dict.fromkeys((p.name for p in graph.populations if p.spikes), 0)
    seen = 0
    for given in pieces(graph, data):
        trace = simulate(graph, given)
        batch, steps = given.batch, given.steps
        seen += batch * steps
        active = {n: s.reshape(batch * steps, -1) for n, s in trace.spikes.items()}
        active |= {n: a.reshape(batch * steps, -1) for n, a in given.items()}
        for name in fired:
            fired[name] += int(np.count_nonzero(active[name]))
        for name, by_p in wrong.items():
            for c, parts in by_p.items():
                off = sum(_acting(arriving(part, active[source]), steps, delay) for source, part, delay in parts)
                errors[name][c] += float(np.square(off).sum())
    if not seen:
        raise QuantizeError("calibration: found no data. Give spikes of at least one step.")
    rates = {n: f / (seen * graph[n].size) for n, f in fired.items()}
    return Calibration(errors={n: {c: e / seen for c, e in by_p.items()} for n, by_p in errors.items()}, rates=rates)


def _acting(arrived: NDArray[np.float64], steps: int, delay: int) -> NDArray[np.float64]:
    """What arrives (recordings x steps, neurons), moved to the step in which it acts."""
    if not delay:
        return arrived
    shaped = arrived.reshape(-1, steps, arrived.shape[1])
    moved = np.zeros_like(shaped)
    moved[:, delay:] = shaped[:, : max(0, steps - delay)]
    return moved.reshape(arrived.shape)


def _differences(graph: Graph, name: str, scheme: PTQ) -> list[tuple[str, Any, int]]:
    """Per projection into a population: source, connection with weights (float - integer / scale), steps it takes."""
    delays = dict(zip(map(id, graph.projections), timing(graph).steps, strict=True))
    ways = graph.into(name)
    unit = units(graph[name], ways, scheme.per)  # type: ignore[arg-type]
    scales = percentile_scales(with_drive(graph[name], ways), unit, float(scheme.percentile), scheme.limit)
    found = []
    for q in ways:
        whole, _ = integer_weights(q.connection, unit, scales, scheme)
        rest = q.connection.weight - whole / per_weight(q.connection, unit, scales)
        found.append((q.source, dataclasses.replace(q.connection, weight=rest), delays[id(q)]))
    return found
