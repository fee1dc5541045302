"""A live snnTorch module as a Graph: traced, read node by node, then built as a NIR graph would be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import LoadError, UnsupportedError
from ..graph import Graph, Integrator, Loops
from .build import Builder, legal
from .contract import Contract, Entry, Rule, seconds
from .limits import MAX_BYTES, Budget, Limits, Log
from .nesting import Flat
from .nodes import AnyNode, Factor, Port
from .shapes import infer
from .snntorch_layers import check_norm, read_layer, read_op
from .snntorch_marks import is_neuron
from .snntorch_neurons import SUPPORTED, ReadNeuron, check_neuron, number, read_neuron, spread
from .snntorch_trace import Shape, Traced, TracedNode, trace_module
from .wiring import wire


def from_snntorch(module: Any, input_shape: Any, dt: float | None = None) -> Graph:
    """A Graph from a live snnTorch module: its spikes, step by step, are those of the module in eval mode.

    Decays, gains, the order of reset and comparison, and learned thresholds are read from the module as its forward
    uses them; hidden states start from 0. Populations are named by the modules' paths ("lif1", "block.lif").

    module : torch.nn.Module of the layers and neurons of docs/supported-nodes.md; it is not changed
    input_shape : of one step without the batch axis, such as (2, 32, 32)
    dt : seconds per step; None where it is not known (only `to_nir` and events with times ask for it)

    Raises
    ------
    LoadError
        where the module cannot be run, or torch or snntorch is missing; its child UnsupportedError names a rule
        `snntorch-...` of docs/supported-nodes.md.
    """
    dt = None if dt is None else seconds("dt", dt)
    try:
        traced = trace_module(module, input_shape)
    except LoadError as error:
        if not isinstance(error, UnsupportedError):
            _known_failures(module)
        raise
    log = Log()
    size = sum(math.prod(n.shape) for n in traced.nodes) + sum(p.numel() for p in module.parameters())
    limits = Limits(max_bytes=max(MAX_BYTES, 64 * size))
    with np.errstate(all="ignore"):  # what overflows is found by check
        reader = _Reader(traced)
        reader.read()
        flat = reader.flat()
        budget = Budget(limits)
        shapes = infer(flat, budget, log)
        contract = reader.contract(dt)
        contract.demand(log)
        graph = Builder(flat, shapes, wire(flat, log), contract, limits, budget, log).graph()
    return legal(graph, log)


def _known_failures(module: Any) -> None:
    """Where forward fails, the parts that are known to make it fail are named instead."""
    for path, part in module.named_modules() if hasattr(module, "named_modules") else ():
        if is_neuron(part) and type(part).__name__ in SUPPORTED:
            check_neuron(f"{path}.{type(part).__name__}", part)
        elif type(part).__name__ in ("BatchNorm1d", "BatchNorm2d"):
            check_norm(f"{path}.{type(part).__name__}", part)
        elif hasattr(part, "belongs_to"):  # a layer of prepare_qat, which takes whole numbers alone
            read_layer(path, part, (), ())


@dataclass(slots=True, eq=False)
class _Reader:
    """Traced nodes on their way to parsed ones."""

    traced: Traced
    nodes: dict[str, AnyNode] = field(default_factory=dict)
    edges: set[tuple[str, str]] = field(default_factory=set)
    neurons: dict[str, ReadNeuron] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)  # layers that change nothing, and what stands for them

    def read(self) -> None:
        for node in self.traced.nodes:
            if "/" in node.name:
                raise LoadError(f"{node.name}: a module is named with a slash, which NIR does not allow; rename it")
            into = self.traced.shape(node.before[0])
            if node.op == "module" and is_neuron(node.module):
                self._neuron(node, into)
                continue
            found = read_layer(node.name, node.module, into, node.shape) if node.op == "module" else read_op(node, into)
            if not found:
                self.same[node.name] = self._known(node.before[0])
                continue
            for made in found:
                self.nodes[made.name] = made
            self.edges |= {(a.name, b.name) for a, b in zip(found, found[1:], strict=False)}
            self._hears(found[0].name, node.before)

    def _known(self, name: str) -> str:
        return self.same.get(name, name)

    def _hears(self, name: str, before: tuple[str, ...]) -> None:
        for source in map(self._known, before):
            if (source, name) in self.edges:  # x + x: the second one goes a way of its own
                again = f"{name}.{source}"
                self.nodes[again] = Factor(name=again, type="Add", scale=np.ones(()))
                self.edges |= {(source, again), (again, name)}
            else:
                self.edges.add((source, name))

    def _neuron(self, node: TracedNode, into: Shape) -> None:
        read = read_neuron(node, into, membrane=node.name in self.traced.membranes)
        self.neurons[node.name] = read
        self.nodes[node.name] = read.node
        self._hears(node.name, node.before)
        if read.recurrent is not None:
            back = _recurrent(f"{node.name}.recurrent", read.recurrent, into)
            self.nodes[back.name] = back
            self.edges |= {(node.name, back.name), (back.name, node.name)}

    def flat(self) -> Flat:
        port: AnyNode = Port(name="input", type="Input", shape=self.traced.input_shape)
        nodes = {"input": port, **self.nodes}
        edges = set(self.edges)
        outputs = list(dict.fromkeys(map(self._known, self.traced.outputs)))
        for i, source in enumerate(outputs):
            name = "output" if len(outputs) == 1 else f"output_{i}"
            while name in nodes:
                name += "_"
            nodes[name] = Port(name=name, type="Output", shape=None)
            edges.add((source, name))
        return Flat(nodes=dict(sorted(nodes.items())), edges=tuple(sorted(edges)), metadata={})

    def contract(self, dt: float | None) -> Contract:
        said = Entry(item="dt", value="unknown" if dt is None else f"{dt:g} s",
                     reason="not passed, and no step needs it" if dt is None else "passed as dt=")
        entries = [said]
        rules: dict[str, Rule] = {}
        for name, read in self.neurons.items():
            if name in self.traced.membranes:
                continue
            rule = rules[name] = read.rule
            assert rule.reset is not None
            word = f"{rule.reset.value}{', late' if rule.late else ''}"
            entries.append(Entry(item=f"{name} reset", value=word, reason=read.why))
        return Contract(
            dt=dt, integrator=Integrator.EULER, loops=Loops.REFUSE, rules=rules, entries=tuple(entries)
        )


def _recurrent(name: str, module: Any, shape: Shape) -> AnyNode:
    """The way of a neuron's own spikes back to it: a matrix, a convolution, or one factor per neuron."""
    if type(module).__name__ == "RecurrentOneToOne":
        return Factor(name=name, type="Scale", scale=spread(f"{name}.V", number(f"{name}.V", module.V), shape))
    return read_layer(name, module, shape, shape)[0]


