"""Nested graphs made one: names joined by dots, the ports of an inner graph turned into wires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import LoadError, UnsupportedError
from .limits import Limits, Log
from .nodes import AnyNode, parse
from .raw import RawGraph, RawNode


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flat:
    """All nodes by full name (sorted), edges between them (sorted), metadata of the outermost graph, names of the inner
    ones."""

    nodes: Mapping[str, AnyNode]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any]
    nested: tuple[str, ...] = ()

    def after(self) -> dict[str, list[str]]:
        """Successors of every node, sorted."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for a, b in self.edges:
            found[a].append(b)
        return found

    def before(self) -> dict[str, list[str]]:
        """Predecessors of every node, sorted."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for a, b in self.edges:
            found[b].append(a)
        return found


def flatten(raw: RawGraph, limits: Limits, log: Log) -> Flat:
    """A raw graph of any depth as one flat graph of checked nodes.

    Raises
    ------
    LoadError
        where a node, a name or an edge is not legal.
    """
    nodes: dict[str, AnyNode] = {}
    edges: list[tuple[str, str]] = []
    _enter(raw, "", 0, limits, log, nodes, edges)
    if len(nodes) + len(edges) > 2 * limits.max_objects:
        raise LoadError(f"the graph has more than {2 * limits.max_objects} nodes and edges")
    return Flat(
        nodes=dict(sorted(nodes.items())), edges=tuple(sorted(edges)), metadata=raw.metadata, nested=tuple(_inner(raw))
    )


def _inner(graph: RawGraph, prefix: str = "") -> Iterator[str]:
    """Names of the graphs within a graph, at any depth (which `_enter` has limited)."""
    for name, node in sorted(graph.nodes.items()):
        if isinstance(node, RawGraph):
            yield prefix + name
            yield from _inner(node, f"{prefix}{name}.")


def _enter(
    graph: RawGraph,
    prefix: str,
    depth: int,
    limits: Limits,
    log: Log,
    nodes: dict[str, AnyNode],
    edges: list[tuple[str, str]],
) -> None:
    where = prefix.rstrip(".") or "the graph"
    if depth > limits.max_depth:
        raise LoadError(f"{where[:60]}: graphs are nested deeper than {limits.max_depth}")
    for name in graph.nodes:
        if not isinstance(name, str) or not name or "/" in name:
            raise LoadError(f"{where}: a node is named {name!r}; needed text without a slash")
    graph = _repair(graph, where, log) if depth else graph
    for name, node in graph.nodes.items():
        full = prefix + name
        if isinstance(node, RawGraph):
            _enter(node, full + ".", depth + 1, limits, log, nodes, edges)
        elif full in nodes:
            raise LoadError(f"{full}: two nodes have this name once nested graphs are joined by dots; rename one")
        else:
            nodes[full] = parse(full, node, nested=depth > 0)
    seen = set()
    for a, b in graph.edges:
        edge = prefix + _end(graph, a, "Output", where), prefix + _end(graph, b, "Input", where)
        _legal_ends(graph, a, b, where)
        if edge in seen:
            raise LoadError(f"{where}: the edge {edge[0]} -> {edge[1]} is there twice; remove one")
        seen.add(edge)
    edges.extend(seen)


def _legal_ends(graph: RawGraph, a: str, b: str, where: str) -> None:
    for name, kind, what in ((a, "Output", "starts at an Output"), (b, "Input", "ends at an Input")):
        node = graph.nodes.get(name)
        if isinstance(node, RawNode) and node.type == kind:
            raise LoadError(f"{where}: the edge {a} -> {b} {what}")


def _end(graph: RawGraph, name: str, port: str, where: str) -> str:
    """The node that one end of an edge names; `port` is the kind to look for where that is a nested graph."""
    node = graph.nodes.get(name)
    if isinstance(node, RawGraph):
        ports = sorted(n for n, inner in node.nodes.items() if isinstance(inner, RawNode) and inner.type == port)
        if len(ports) != 1:
            raise UnsupportedError(
                "nested-ports",
                f"{where}: an edge names the nested graph {name!r}, which has {len(ports)} {port} nodes. "
                f"Name the one that is meant, as in {name + '.' + (ports[0] if ports else port.lower())!r}.",
            )
        return f"{name}.{ports[0]}"
    if node is not None:
        return name
    for i, letter in enumerate(name):
        inner = graph.nodes.get(name[:i]) if letter == "." else None
        if isinstance(inner, RawGraph) and name[i + 1 :] in inner.nodes:
            named = inner.nodes[name[i + 1 :]]
            if isinstance(named, RawNode) and named.type == port:
                return name
            raise UnsupportedError(
                "nested-ports", f"{where}: an edge names {name!r} from outside, which is no {port} of {name[:i]!r}."
            )
    raise LoadError(f"{where}: an edge names {name!r}, which does not exist")


def _repair(graph: RawGraph, where: str, log: Log) -> RawGraph:
    """One name that no node has and one node that no edge names, in one nested graph: the node takes the name."""
    used = {name for edge in graph.edges for name in edge}
    missing = sorted(n for n in used if n not in graph.nodes and n.split(".")[0] not in graph.nodes)
    idle = sorted(n for n in graph.nodes if n not in used and not any(u.startswith(n + ".") for u in used))
    if len(missing) != 1 or len(idle) != 1:
        return graph
    log.warn(
        f"{where}: its edges name {missing[0]!r}, which does not exist, and no edge names its node {idle[0]!r}; "
        f"the node is taken to be {missing[0]!r}"
    )
    nodes = {missing[0] if name == idle[0] else name: node for name, node in graph.nodes.items()}
    return RawGraph(nodes=nodes, edges=graph.edges, metadata=graph.metadata)
