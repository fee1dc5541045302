"""The float64 reference run of a Graph, in plain NumPy: what the integers are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import SomeOf
from ..errors import InputError
from ..events import Arrays, to_arrays
from .apply import arriving
from .check import legal
from .connection import Conv, Sparse
from .drive import draws, noises
from .graph import Compare, Graph, Population, Reset
from .rules import written_out
from .timing import components, longest_delay, timing

RECORDABLE = ("spikes", "voltages", "inputs", "potentials")
BLOCK = 1 << 22  # values handled at once where a projection is applied to many steps
HELD = 1 << 24  # values (batch x steps x neurons) that one population may hold at once; larger batches go in parts


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Trace:
    """What a float run leaves behind, by population.

    spikes : uint8 (batch, steps, *shape), of populations that spike
    voltages : float64 (batch, steps, *shape), after the reset of the step; kept with record=("spikes", "voltages"),
        and always for populations that do not spike
    inputs : float64 (batch, steps, *shape), what arrives over projections and as bias; with record=(..., "inputs")
    potentials : float64 (batch, steps, *shape), membranes as they are compared, ahead of an immediate reset; with
        record=(..., "potentials")
    """

    spikes: Mapping[str, NDArray[np.uint8]]
    voltages: Mapping[str, NDArray[np.float64]]
    inputs: Mapping[str, NDArray[np.float64]]
    potentials: Mapping[str, NDArray[np.float64]]

    def decisions(self, name: str) -> NDArray[np.int64]:
        """int (batch): the neuron of a population with most spikes, ties to the lowest index."""
        s = self.spikes[name]
        return np.asarray(s.reshape(*s.shape[:2], -1).sum(axis=1, dtype=np.int64).argmax(axis=1))

    def __repr__(self) -> str:
        parts = [f"{n} {int(s.sum())} spikes" for n, s in self.spikes.items()]
        return f"<Trace of {', '.join(parts) or 'no spiking population'}>"


def simulate(graph: Graph, spikes: Any, record: tuple[str, ...] = ("spikes",), noise: Any = 0) -> Trace:
    """Run a Graph in float64.

    spikes : (steps, *shape) or (batch, steps, *shape), a dict of them by input name, Events, or nir's data types; real
        values are allowed; the number of steps, for a graph without inputs
    record : of "spikes", "voltages", "inputs", "potentials"
    noise : which draws Poisson drives make, a number for all recordings or one for each

    Raises
    ------
    InputError
        where the input does not fit the graph's inputs.
    """
    graph = written_out(legal(graph))
    record = SomeOf(RECORDABLE)(record, "record", InputError)
    given = to_arrays(spikes, {p.name: p.shape for p in graph.inputs}, graph.dt)
    drawn = noises(noise, given.batch, InputError)
    at_once = max(1, HELD // (given.steps * max(p.size for p in graph.populations)))
    parts = [
        _simulate(graph, given.part(lo, lo + at_once), record, drawn[lo : lo + at_once])
        for lo in range(0, given.batch, at_once)
    ]
    if len(parts) == 1:
        return parts[0]
    joined = {
        f: {n: np.concatenate([getattr(part, f)[n] for part in parts]) for n in getattr(parts[0], f)}
        for f in ("spikes", "voltages", "inputs", "potentials")
    }
    return Trace(**joined)


def _simulate(graph: Graph, given: Arrays, record: tuple[str, ...], noise: tuple[int, ...]) -> Trace:
    batch, steps = given.batch, given.steps
    when = timing(graph)
    emitted: dict[str, NDArray[Any]] = {}
    voltages: dict[str, NDArray[np.float64]] = {}
    inputs: dict[str, NDArray[np.float64]] = {}
    potentials: dict[str, NDArray[np.float64]] = {}
    for members in _stages(graph, when.order):
        runs = {}
        for name in members:
            if graph[name].is_input:
                emitted[name] = given[name]
                continue
            runs[name] = _Run(graph[name], batch, steps, record)
            _drive(graph[name], runs[name].outside, noise)
            emitted[name] = runs[name].spikes
        inner = []
        for i, q in enumerate(graph.projections):
            if q.target in runs and q.source not in runs:  # a whole recording at once: nothing comes back
                runs[q.target].add(_over_time(q.connection, emitted[q.source], when.steps[i]))
            elif q.target in runs:
                inner.append((q, when.steps[i]))
        _together([runs[n] for n in members if n in runs], inner, runs, steps)
        for name, run in runs.items():
            if run.voltages is not None:
                voltages[name] = run.voltages.reshape(batch, steps, *graph[name].shape)
            if "inputs" in record:
                inputs[name] = run.outside.reshape(batch, steps, *graph[name].shape)
            if run.compared is not None:
                potentials[name] = run.compared.reshape(batch, steps, *graph[name].shape)
    shaped = {
        p.name: emitted[p.name].reshape(batch, steps, *p.shape) for p in graph.populations if p.spikes
    }
    return Trace(spikes=shaped, voltages=voltages, inputs=inputs, potentials=potentials)


def _drive(p: Population, outside: NDArray[np.float64], noise: tuple[int, ...]) -> None:
    """Add the events of a population's Poisson drive to its inputs (batch, steps, size)."""
    if p.drive is None:
        return
    law, size = p.drive.law, max(1, BLOCK // p.size)
    for number in sorted(set(noise)):
        mine = [b for b, n in enumerate(noise) if n == number]
        for lo in range(0, outside.shape[1], size):
            steps = range(lo, min(lo + size, outside.shape[1]))
            outside[mine, lo : steps.stop] += p.drive.weight * draws(law, p.drive.seed, p.size, steps, number)


def _stages(graph: Graph, order: tuple[str, ...]) -> list[list[str]]:
    """Populations in groups: a group is a loop (or a single population), groups in the order of the data."""
    component = components(graph)
    place = {name: i for i, name in enumerate(order)}
    groups: dict[str, list[str]] = {}
    for name in order:
        groups.setdefault(component[name], []).append(name)
    waits = dict.fromkeys(groups, 0)
    after: dict[str, set[str]] = {c: set() for c in groups}
    for q in graph.projections:
        a, b = component[q.source], component[q.target]
        if a != b and b not in after[a]:
            after[a].add(b)
            waits[b] += 1
    ready, done = sorted(c for c, w in waits.items() if not w), []
    while ready:
        c = ready.pop(0)
        done.append(sorted(groups[c], key=place.__getitem__))
        for nxt in sorted(after[c]):
            waits[nxt] -= 1
            if not waits[nxt]:
                ready.append(nxt)
    return done


def _over_time(connection: Any, x: NDArray[Any], delay: int) -> NDArray[np.float64]:
    """A projection applied to every step of (batch, steps, sources), shifted by its steps."""
    batch, steps, _ = x.shape
    out = np.zeros((batch, steps, connection.targets))
    if delay >= steps:
        return out
    if isinstance(connection, Sparse) and longest_delay(connection):
        for extra in np.unique(connection.delay):
            part = _with_delay(connection, int(extra))
            out += _over_time(part, x, delay + int(extra))
        return out
    rows = x[:, : steps - delay].reshape(-1, x.shape[2])
    if isinstance(connection, Conv | Sparse):  # bounds its own memory
        out[:, delay:] = arriving(connection, rows).reshape(batch, steps - delay, -1)
        return out
    flat = np.empty((rows.shape[0], connection.targets))
    size = max(1, BLOCK // max(connection.sources, connection.targets) // 8)
    for lo in range(0, rows.shape[0], size):
        flat[lo : lo + size] = arriving(connection, rows[lo : lo + size])
    out[:, delay:] = flat.reshape(batch, steps - delay, -1)
    return out


def _with_delay(connection: Sparse, delay: int) -> Sparse:
    """The synapses of one extra delay, as a connection without any."""
    keep = connection.delay == delay
    source = np.repeat(np.arange(connection.sources), np.diff(connection.start))[keep]
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=connection.sources))])
    return Sparse(
        targets=connection.targets,
        start=start,
        target=connection.target[keep],
        weight=connection.weight[keep],
        delay=np.zeros(int(keep.sum()), np.int64),
    )


class _Run:
    """One population on its way through time: arrays are (batch, size)."""

    def __init__(self, p: Population, batch: int, steps: int, record: tuple[str, ...]) -> None:
        self.p, self.shape = p, (batch, p.size)
        self.outside = np.zeros((batch, steps, p.size))
        self.outside += p.full("bias")
        self.spikes = np.zeros((batch, steps, p.size if p.spikes else 0), np.uint8)
        self.voltages = np.zeros((batch, steps, p.size)) if "voltages" in record or not p.spikes else None
        self.compared = np.zeros((batch, steps, p.size)) if "potentials" in record else None
        self.v = np.zeros(self.shape)
        self.i = np.zeros(self.shape)
        self.last = np.zeros(self.shape, bool)
        self.held = np.zeros(self.shape, np.int64)
        self.decay, self.gain, self.constant = p.full("decay"), p.full("gain"), p.full("constant")

    def add(self, arriving: NDArray[np.float64]) -> None:
        self.outside += arriving

    def step(self, t: int) -> None:
        p = self.p
        arriving = self.outside[:, t]
        if p.current_based:
            self.i = p.full("syn_decay") * self.i + p.full("syn_gain") * arriving
            arriving = self.i
        v = self.decay * self.v + self.gain * arriving + self.constant
        if p.spikes:
            v = self._spike(v, t)
        self.v = v
        if self.voltages is not None:
            self.voltages[:, t] = v

    def _spike(self, v: NDArray[np.float64], t: int) -> NDArray[np.float64]:
        p, threshold, v_reset = self.p, self.p.full("threshold"), self.p.full("v_reset")
        again = np.zeros(self.shape)
        held = self.held > 0
        v = np.where(held, self.v, v)
        if p.reset_late and p.reset is not Reset.NONE:
            v = np.where(self.last, _after(p.reset, v, threshold, v_reset), v)
        elif p.reset is Reset.SNNTORCH_RESTORED:  # a membrane still above is reset once more ahead of the comparison
            again = (self.v > threshold).astype(np.float64)
            v = v - again * threshold
        if self.compared is not None:
            self.compared[:, t] = v
        above = v > threshold if p.compare is Compare.GREATER else v >= threshold
        fired = above & ~held
        if p.reset is Reset.SNNTORCH_RESTORED:
            v = v - (fired - again) * threshold
        elif not p.reset_late and p.reset is not Reset.NONE:
            v = np.where(fired, _after(p.reset, v, threshold, v_reset), v)
        self.held = np.where(fired, p.refractory, np.maximum(self.held - 1, 0))
        self.last = fired
        self.spikes[:, t] = fired
        return np.asarray(v)


def _after(
    reset: Reset, v: NDArray[np.float64], threshold: NDArray[np.float64], v_reset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The membrane after a reset."""
    if reset is Reset.SUBTRACT:
        return v - threshold
    return np.broadcast_to(np.zeros(()) if reset is Reset.ZERO else v_reset, v.shape)


def _together(runs: list[_Run], inner: list[Any], by_name: dict[str, _Run], steps: int) -> None:
    """Step a group through time; `inner` are the projections within it, with their steps."""
    into: dict[str, list[tuple[Any, int]]] = {}
    for q, delay in inner:
        parts = [q.connection]
        extras = [0]
        if isinstance(q.connection, Sparse) and longest_delay(q.connection):
            extras = [int(e) for e in np.unique(q.connection.delay)]
            parts = [_with_delay(q.connection, e) for e in extras]
        for part, extra in zip(parts, extras, strict=True):
            into.setdefault(q.target, []).append(((q.source, part), delay + extra))
    for t in range(steps):
        for run in runs:
            for (source, part), delay in into.get(run.p.name, ()):
                if t >= delay:
                    fired = by_name[source].spikes[:, t - delay]
                    if fired.any():
                        run.outside[:, t] += arriving(part, fired)
            run.step(t)

