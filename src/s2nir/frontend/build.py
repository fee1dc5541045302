"""Checked nodes, shapes and contract to a Graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadError, S2NirWarning, UnsupportedError
from ..graph import Graph, Population, Projection, check, several_choices
from ..values import digest
from . import fields
from .contract import Contract
from .fold import Delays, connect, masked
from .limits import Budget, Limits, Log
from .nesting import Flat
from .neurons import population, shape_of
from .nodes import Delaying, Matrix, Neuron, Port
from .operators import Step, bias_of, push
from .raw import HINT, Shape
from .shapes import Shapes
from .wiring import Wiring

Array = NDArray[np.float64]
CHAINS = 4096


def legal(graph: Graph, log: Log) -> Graph:
    """The Graph once its `check` finds nothing; what reading it left to say is warned of, as of the caller's caller.

    Raises
    ------
    LoadError
        with the first faults.
    """
    faults = list(check(graph))
    if faults:
        raise LoadError(f"the network is not legal: {'; '.join(faults[:5])}")
    for sentence in (*log.warnings, *several_choices(graph)):
        warnings.warn(sentence, S2NirWarning, stacklevel=3)
    return graph


@dataclass(slots=True)
class Builder:
    """One network on its way to a Graph; the steps of `graph` in their order."""

    flat: Flat
    shapes: Shapes
    wiring: Wiring
    contract: Contract
    limits: Limits
    budget: Budget
    log: Log

    def graph(self) -> Graph:
        """The Graph; `legal` checks it."""
        delays = self._delays()
        biases = self._biases()
        populations: list[Population] = []
        projections: list[Projection] = []
        for name, node in sorted(self.wiring.populations.items()):
            where = self.shape(name)
            if isinstance(node, Port):
                populations.append(Population(name=name, node="Input", shape=where))
                continue
            bias = biases.get(self.wiring.entry(name))
            populations.append(self._neuron(name, node, where, bias))
            projections.extend(self._into(name, where, delays))
        return Graph(
            dt=self.contract.dt,
            integrator=self.contract.integrator,
            populations=tuple(populations),
            projections=tuple(projections),
            outputs=dict(self.wiring.outputs),
            loops=self.contract.loops,
            notes=tuple(self.log.notes),
            nested=self.flat.nested,
        )

    def shape(self, name: str) -> Shape:
        node = self.wiring.populations[name]
        if isinstance(node, Neuron):
            return shape_of(node, self.shapes.out[name])
        if isinstance(node, Port):
            if HINT + "shape" in node.metadata:
                raise LoadError(f"{node.where}: metadata {HINT}shape is for neurons")
            return self.shapes.out[name]
        return self.shapes.out[self.wiring.entry(name)]

    def _neuron(self, name: str, node: Neuron | None, where: Shape, bias: Array | None) -> Population:
        if node is not None:
            return population(name, node, where, bias, self.wiring.thresholds.get(name), self.contract, self.log)
        return Population(
            name=name,
            node="Readout",
            shape=where,
            decay=np.zeros(()),
            gain=np.ones(()),
            constant=np.zeros(()),
            bias=np.zeros(()) if bias is None else bias.reshape(where) + 0.0,
        )

    def _into(self, name: str, where: Shape, delays: Delays) -> Iterator[Projection]:
        """Every run of linear nodes into a population, as projections."""
        for source, run in self.wiring.runs(name, self.limits.max_chains):
            steps = [Step(node=self.flat.nodes[n], into=self.shapes.into[n], out=self.shapes.out[n]) for n in run]
            said = f"{source} -> {' -> '.join(run[:4])}{' ... ' if len(run) > 4 else ''} -> {name}"
            if any(_only_bias(s) for s in steps):
                continue
            if self.budget.count("chains") > CHAINS:
                raise UnsupportedError("too-many-paths", f"{said}: more than {CHAINS} ways through linear nodes")
            parts = masked(steps, delays)
            if len(parts) > delays.limit:
                raise UnsupportedError("too-many-paths", f"{said}: its delays take more than {delays.limit} values")
            via = tuple(s.node.said for s in steps if not isinstance(s.node, Port))
            for delay, part in parts:
                connection = connect(part, self.shape(source), where, self.budget, said)
                if via:
                    self.log.note(f"{source} -> {name}: {', '.join(via)} folded into one projection")
                yield Projection(source=source, target=name, connection=connection, delay=delay, via=via)

    def _delays(self) -> Delays:
        steps = {}
        for name, node in self.flat.nodes.items():
            if isinstance(node, Delaying):
                steps[name] = _whole_steps(node, self.contract.dt, self.log)
        return Delays(steps=steps, limit=self.limits.max_chains)

    def _biases(self) -> dict[str, Array]:
        """What all biases ahead of it bring to each node, flat; every bias once, however many runs pass through it."""
        sent: dict[str, Array] = {}  # by linear nodes; what a readout hears is what its last linear node sends
        heard: dict[str, Array] = {}
        for name in self.wiring.order:
            parts = [sent[p] for p in self.wiring.before[name] if p in sent]
            if parts:  # in an order that does not hang on names
                heard[name] = sum(sorted(parts, key=digest)[1:], start=min(parts, key=digest).copy())
            if name not in self.wiring.linear:
                continue
            node = self.flat.nodes[name]
            step = Step(node=node, into=self.shapes.into[name], out=self.shapes.out[name])
            out = push(step, heard[name]) if name in heard else None
            if out is not None and isinstance(node, Delaying) and out.any():
                self.log.warn(f"{node.where}: a bias ahead of it acts from step 0 on, not after the delay")
            own = bias_of(step)
            if own is not None:
                out = own.copy() if out is None else out + own
            if out is not None:
                sent[name] = out
        return {**heard, **sent}


def _only_bias(step: Step) -> bool:
    """A matrix of zeros that `to_nir` wrote to have a place for a bias."""
    node = step.node
    return HINT + "bias_only" in node.metadata and isinstance(node, Matrix) and not node.weight.any()


def _whole_steps(node: Delaying, dt: float | None, log: Log) -> NDArray[np.int64]:
    hint = node.metadata.get(HINT + "steps")
    if dt is None:
        steps = fields.numbers(f"{node.where}.{HINT}steps", hint)
        return np.rint(np.clip(steps, 0, 2**31)).astype(np.int64)
    exact = node.delay / dt
    if (exact > 2**31).any():
        raise LoadError(f"{node.where}.delay: found {node.delay.max():g} s, which is more than 2**31 steps")
    steps = np.rint(exact)
    off = float(np.abs(exact - steps).max())
    if off > 1e-3:
        log.warn(f"{node.where}.delay: is off whole steps of {dt:g} s by up to {off:.3g} of a step; rounded")
    return steps.astype(np.int64)


