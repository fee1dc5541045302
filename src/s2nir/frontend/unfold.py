"""A Graph as NIR nodes again: raw nodes that mean the same to every reader, with the exact numbers as metadata.

Biases stand in an Affine or a convolution; where a population has neither ahead of it, an Affine that is otherwise an
identity holds them. NIR cannot turn a row back into channels, so a matrix onto channels becomes a convolution whose
stride is as large as its input, or the population is written flat.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from ..graph import Connection, Conv, Dense, Graph, Population, Projection, Sparse, timing
from . import unfold_nodes as emit
from .raw import HINT, RawGraph, RawNode, Shape
from .unfold_neurons import neuron

Array = NDArray[np.float64]


def unfold(graph: Graph) -> RawGraph:
    """All nodes and edges of a Graph.

    Raises
    ------
    UnsupportedError
        where NIR has no words for a connection or a neuron (rules `to-nir-...`).
    """
    return _Writer(graph).raw()


@dataclass(slots=True)
class _Writer:
    graph: Graph
    nodes: dict[str, RawNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    flat: set[str] = field(default_factory=set)
    taken: dict[int, int] = field(default_factory=dict)  # steps to be written, by id of a projection

    def raw(self) -> RawGraph:
        self._decide_flat()
        self._decide_steps()
        for p in self.graph.populations:  # the names that are given come first
            if p.is_input:
                self.nodes[p.name] = RawNode(type="Input", fields={"shape": np.array(p.shape)})
            elif p.node != "Readout":
                self._neuron(p)
        named = {n: self._free(n) if n in self.nodes else n for n in self.graph.outputs}
        for output, name in self.graph.outputs.items():
            shape = np.array(self._shape(self.graph[name]))
            self.nodes[named[output]] = RawNode(type="Output", fields={"shape": shape})
        for p in self.graph.populations:
            if not p.is_input:
                self._into(p)
        for output, name in self.graph.outputs.items():
            if named[output] != name:
                self.edges.append((name, named[output]))
        return RawGraph(nodes=self.nodes, edges=self.edges, metadata=self._contract())

    def _contract(self) -> dict[str, object]:
        g = self.graph
        said: dict[str, object] = {HINT + "integrator": g.integrator.value, HINT + "loops": g.loops.value}
        if g.dt is not None:
            said[HINT + "dt"] = float(g.dt)
        return said

    def _decide_flat(self) -> None:
        """Populations of several dimensions that a matrix leads into are written as a row, unless a Conv reads them."""
        read = {q.source for q in self.graph.projections if isinstance(q.connection, Conv)}
        can = {p.name for p in self.graph.populations if len(p.shape) > 1 and not p.is_input and p.node != "Readout"}
        changed = True
        while changed:
            before = len(self.flat)
            for name in sorted(can - read - self.flat):
                into = self.graph.into(name)
                if not into or any(self._needs_row(q) for q in into):
                    self.flat.add(name)
            changed = len(self.flat) > before

    def _decide_steps(self) -> None:
        """The steps that `loops="machine"` gives to projections; where synapses of one have delays of their own, which
        come on top, they are written as a Delay, since that would else take the place of the step."""
        when, ways = timing(self.graph), self.graph.projections
        extra = [s - q.delay - r for q, s, r in zip(ways, when.steps, when.recurrent, strict=True)]
        if any(n and isinstance(q.connection, Sparse) and q.connection.delay.any()
               for n, q in zip(extra, ways, strict=True)):
            self.taken = {id(q): n for n, q in zip(extra, ways, strict=True)}

    def _needs_row(self, q: Projection) -> bool:
        if isinstance(q.connection, Conv):
            return False
        source, target = self.graph[q.source], self.graph[q.target]
        return not (emit.one_to_one(q.connection) and self._shape(source) == target.shape)

    def _shape(self, p: Population) -> Shape:
        return (p.size,) if p.name in self.flat else p.shape

    def _neuron(self, p: Population) -> None:
        shape = self._shape(p)
        extra = {HINT + "shape": np.array(p.shape)} if p.name in self.flat else {}
        node, threshold = neuron(p, shape, self.graph.dt, self.graph.integrator, extra)
        self.nodes[p.name] = threshold or node
        if threshold is not None:
            self.nodes[self._entry(p)] = node
            self.edges.append((self._entry(p), p.name))

    def _entry(self, p: Population) -> str:
        """Where the input of a population enters."""
        split = p.node in ("LI", "CubaLI", "I") and p.threshold is not None
        return p.name + ".membrane" if split else p.name

    def _into(self, p: Population) -> None:
        chains = [(q.source, self._chain(q.connection, q.delay, self.graph[q.source], p)) for q in self._split(p)]
        has_bias = bool(p.bias is not None and p.bias.any())
        if not chains and (has_bias or p.node != "Readout"):
            chains = [self._silent(p)]
        if has_bias:
            emit.add_bias(chains[0][1], p.full("bias"), self._shape(p))
        target = self._entry(p)
        if p.node == "Readout" and p.name not in self.nodes:
            if len(chains) > 1:
                self.nodes[p.name] = emit.ones(p.shape)
            else:
                source, chain = chains[0]
                self.nodes[p.name] = chain[-1]
                self._string(source, chain[:-1], p.name, p.name)
                return
        for source, chain in chains:
            self._string(source, chain, target, p.name)

    def _split(self, p: Population) -> list[Projection]:
        """The projections into a population, each with one delay."""
        found = []
        for q in self.graph.into(p.name):
            waits = q.delay + self.taken.get(id(q), 0)
            if isinstance(q.connection, Sparse) and q.connection.delay.any():
                for extra in np.unique(q.connection.delay):
                    part = emit.with_delay(q.connection, int(extra))
                    found.append(Projection(source=q.source, target=q.target, connection=part,
                                            delay=waits + int(extra)))
            else:
                found.append(replace(q, delay=waits))
        return found

    def _chain(self, c: Connection, delay: int, source: Population, target: Population) -> list[RawNode]:
        chain: list[RawNode] = []
        given, goal = self._shape(source), self._shape(target)
        if delay:
            chain.append(emit.delay(given, delay, self.graph.dt))
        if isinstance(c, Conv):
            alone = source.shape == target.shape and given == goal
            return chain + emit.convolution(c, given, goal, alone)
        if emit.one_to_one(c) and (given == goal or len(goal) == 1):
            assert isinstance(c, Sparse)
            return chain + emit.factor(c, given, goal, forced=source.shape == target.shape and len(target.shape) == 3)
        return chain + emit.matrix(c, given, goal)

    def _silent(self, p: Population) -> tuple[str, list[RawNode]]:
        """A matrix of zeros from an input: a home for the bias, and no loose end for readers that invent an Input."""
        source = self.graph.inputs[0]
        zero = Dense(weight=np.zeros((p.size, source.size)))
        chain = emit.matrix(zero, self._shape(source), self._shape(p))
        chain[-1] = emit.noted(chain[-1], bias_only=1)
        return source.name, chain

    def _string(self, source: str, chain: list[RawNode], target: str, name: str) -> None:
        at = source
        for node in chain:
            fresh = self._free(f"{source}.to.{name}.{node.type.lower()}")
            self.nodes[fresh] = node
            self.edges.append((at, fresh))
            at = fresh
        if (at, target) in self.edges:
            raise UnsupportedError("to-nir-shape", f"{at} -> {target}: NIR has no two edges between two nodes")
        self.edges.append((at, target))

    def _free(self, base: str) -> str:
        """A name that no node has or will have."""
        taken, fresh, count = {p.name for p in self.graph.populations} | self.nodes.keys(), base, 1
        while fresh in taken:
            count += 1
            fresh = f"{base}_{count}"
        return fresh


