"""NIR in and out: the one module that imports nir, and only when a live NIRGraph comes in or goes out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LoadError, UnsupportedError, needs
from ..graph import Graph, Loops, data_order, written_out
from .build import Builder, legal
from .contract import Asked, Contract, settle
from .limits import MAX_BYTES, Budget, Limits, Log
from .nesting import Flat, flatten
from .nodes import Delaying, Neuron, Port
from .raw import FIELDS, RawGraph, RawNode
from .read_file import read_file
from .shapes import Shapes, infer
from .unfold import unfold
from .wiring import Wiring, wire

if TYPE_CHECKING:
    import nir


def load(
    src: str | Path | nir.NIRGraph,
    dt: float | None = None,
    reset: Any = None,
    integrator: Any = "euler",
    compare: Any = None,
    reset_late: Any = False,
    loops: Any = "refuse",
    max_bytes: int = MAX_BYTES,
) -> Graph:
    """A Graph from a NIR file or a live NIRGraph.

    src : path of a file (read by ourselves, nothing in it is followed or executed), or a nir.NIRGraph (not changed)
    dt : seconds per step; None where the file proves or hints it, or needs none
    reset : "subtract", "zero", "to_value", "none" or "snntorch_restored", or a dict of them by population
    integrator : "euler" or "exponential"
    compare : ">" or ">=", or a dict by population; None takes the file's hint, else ">"
    reset_late : whether a reset comes one step after its spike, or a dict by population
    loops : "refuse" or "machine", for loops through several populations (see `s2nir.compile`)
    max_bytes : what the file's arrays may take together, as float64; every other limit follows from it

    Raises
    ------
    LoadError
        where the file is broken, hostile or not NIR; its child UnsupportedError names a rule of
        docs/supported-nodes.md
    ContractError
        where dt or a reset is neither given nor known, or they contradict the file.
    """
    asked = Asked(dt=dt, reset=reset, integrator=integrator, compare=compare, reset_late=reset_late, loops=loops)
    log = Log()
    limits = Limits(max_bytes=max_bytes)
    with np.errstate(all="ignore"):  # what overflows is found by check
        parts = Parts(src, limits, log)
        contract = parts.contract(asked)
        contract.demand(log)
        graph = parts.build(contract)
    return legal(graph, log)


class Parts:
    """A source taken apart as far as that goes without a contract."""

    def __init__(self, src: Any, limits: Limits, log: Log) -> None:
        self.limits, self.log, self.budget = limits, log, Budget(limits)
        self.flat: Flat = flatten(_raw(src, limits), limits, log)
        self.shapes: Shapes = infer(self.flat, self.budget, log)
        self.wiring: Wiring = wire(self.flat, log)

    def contract(self, asked: Asked) -> Contract:
        """The contract; where it has gaps, its entries are in the order of the data, for people."""
        neurons = {n: p for n, p in sorted(self.wiring.populations.items()) if isinstance(p, Neuron)}
        delays = tuple(n for n in self.flat.nodes.values() if isinstance(n, Delaying))
        found = settle(neurons, self.wiring.thresholds, delays, self.flat.metadata, asked)
        if found.missing:
            ordered = {n: neurons[n] for n in self._order() if n in neurons}
            found = settle(ordered, self.wiring.thresholds, delays, self.flat.metadata, asked)
        for sentence in found.warnings:
            self.log.warn(sentence)
        return found

    def _order(self) -> list[str]:
        """All nodes in the order of the data, before there is a Graph to ask; delays are left out."""
        nodes = {n: SimpleNamespace(name=n) for n in self.flat.nodes}
        inputs = [nodes[n] for n, p in sorted(self.wiring.populations.items()) if isinstance(p, Port)]
        edges = [SimpleNamespace(source=a, target=b, delay=0) for a, b in self.flat.edges]
        wired: Any = SimpleNamespace(
            populations=tuple(nodes.values()), projections=tuple(edges), inputs=tuple(inputs), loops=Loops.REFUSE
        )
        return [p.name for p in data_order(wired)[0]]

    def build(self, contract: Contract) -> Graph:
        return Builder(self.flat, self.shapes, self.wiring, contract, self.limits, self.budget, self.log).graph()


def to_nir(graph: Graph) -> nir.NIRGraph:
    """A valid nir.NIRGraph that means the same to every reader, and gives the same Graph back to `load`.

    tau and r give the decay and gain; the exact numbers and the contract stand in the nodes' metadata.

    Raises
    ------
    UnsupportedError
        where NIR has no words for a part of the graph (rules `to-nir-...` of docs/supported-nodes.md).
    """
    import nir

    needs(graph, Graph, "to_nir", "A trained module becomes one by from_snntorch, or by s2nir.train.float_graph.")
    raw = unfold(written_out(graph))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = {name: _to_live(node) for name, node in raw.nodes.items() if isinstance(node, RawNode)}
        edges, metadata = list(raw.edges), dict(raw.metadata)
        try:
            made = nir.NIRGraph(nodes=dict(nodes), edges=list(edges), metadata=metadata)
        except (ValueError, AssertionError, NotImplementedError):
            made = None
        if made is None or len(made.nodes) != len(nodes):  # nir's own types fail, or it invented an end
            made = nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata, type_check=False)
    return made


def _to_live(node: RawNode) -> Any:
    import nir

    given = dict(node.fields)
    if node.type in ("Input", "Output"):
        key = "input" if node.type == "Input" else "output"
        given = {f"{key}_type": {key: np.array(given["shape"])}}
    elif node.type == "Flatten":
        given["input_type"] = {"input": given["input_type"]}
    return getattr(nir, node.type)(**given, metadata=dict(node.metadata))


def _raw(src: Any, limits: Limits) -> RawGraph:
    if isinstance(src, str | Path):
        return read_file(src, limits)
    import nir

    if not isinstance(src, nir.NIRGraph):
        raise LoadError(f"load: found a {type(src).__name__}, needed the path of a NIR file or a nir.NIRGraph. "
                        "A snnTorch module comes in by s2nir.from_snntorch(module, input_shape)")
    counted = [0, 0]
    return _from_live(src, limits, 0, counted)


def _from_live(graph: Any, limits: Limits, depth: int, counted: list[int]) -> RawGraph:
    """A live graph as raw nodes; its arrays are looked at, never changed. counted : objects and bytes so far"""
    if depth > limits.max_depth:
        raise LoadError(f"graphs are nested deeper than {limits.max_depth}")
    nodes: dict[str, RawNode | RawGraph] = {}
    for name, node in graph.nodes.items():
        kind = type(node).__name__
        counted[0] += 1
        if kind == "NIRGraph":
            nodes[name] = _from_live(node, limits, depth + 1, counted)
        elif kind not in FIELDS:
            raise UnsupportedError("unknown-node", f"{name}: a {kind} is not a NIR primitive that s2nir knows")
        else:
            given = _live_fields(node, kind)
            nodes[name] = RawNode(type=kind, fields=given, metadata=_live_metadata(node))
            counted[1] += sum(8 * v.size for v in given.values() if isinstance(v, np.ndarray))
    edges = []
    for edge in graph.edges:
        if not isinstance(edge, tuple | list) or len(edge) != 2 or not all(isinstance(end, str) for end in edge):
            raise LoadError(f"an edge is {edge!r}, needed two node names")
        edges.append((edge[0], edge[1]))
    counted[0] += len(edges)
    if counted[0] > 2 * limits.max_objects:
        raise LoadError(f"the graph has more than {2 * limits.max_objects} nodes and edges")
    if counted[1] > limits.max_bytes:
        raise LoadError(f"the graph holds {counted[1]} bytes of arrays, allowed are max_bytes = {limits.max_bytes}")
    return RawGraph(nodes=nodes, edges=edges, metadata=_live_metadata(graph))


def _live_fields(node: Any, kind: str) -> dict[str, Any]:
    required, optional = FIELDS[kind]
    if kind == "Input":
        return {"shape": (node.input_type or {}).get("input")}
    if kind == "Output":
        return {"shape": (node.output_type or {}).get("output")}
    given = {key: getattr(node, key, None) for key in required + optional if key != "input_type"}
    if kind == "Flatten":
        given["input_type"] = (node.input_type or {}).get("input")
    return {k: v for k, v in given.items() if v is not None or k == "bias"}


def _live_metadata(node: Any) -> Mapping[str, Any]:
    found = getattr(node, "metadata", None)
    return found if isinstance(found, dict) else {}


