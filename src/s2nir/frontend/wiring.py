"""Which nodes are populations, which are wires or linear nodes between them, and what the outputs name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import LoadError, UnsupportedError
from .limits import Log
from .nesting import Flat
from .nodes import GRADED, Flattening, Neuron, Port

MANY = 256


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Wiring:
    """populations : by name; an Input, a neuron, or None for a readout made of linear nodes
    thresholds : per population that is an I, LI or CubaLI with a Threshold behind it, that Threshold
    entries : per population, the node that its input enters (itself, unless it is such a pair or a readout)
    sources : node whose output is a population's spikes -> the population's name
    linear : nodes that are folded; before : predecessors of every node; order : all nodes, linear ones forward
    outputs : Output name -> population name
    """

    populations: Mapping[str, Port | Neuron | None]
    thresholds: Mapping[str, Neuron]
    entries: Mapping[str, str]
    sources: Mapping[str, str]
    linear: frozenset[str]
    before: Mapping[str, list[str]]
    order: tuple[str, ...]
    outputs: Mapping[str, str]

    def entry(self, name: str) -> str:
        return self.entries.get(name, name)

    def runs(self, name: str, limit: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every way from a population into `name`: (source, linear nodes in the order of the data)."""
        entry = self.entry(name)
        stack: list[tuple[str, tuple[str, ...]]] = [
            (p, ()) for p in reversed(self.before[entry])
        ] if entry not in self.linear else [(entry, ())]
        found = 0
        while stack:
            at, run = stack.pop()
            if at in self.linear:
                stack.extend((p, (at, *run)) for p in reversed(self.before[at]))
                continue
            found += 1
            if found > limit:
                raise UnsupportedError(
                    "too-many-paths", f"{name}: more than {limit} ways through linear nodes lead into it"
                )
            yield self.sources[at], run


def wire(flat: Flat, log: Log) -> Wiring:
    """Sort a flat graph into populations, linear nodes and outputs.

    Raises
    ------
    LoadError
        where a node hangs in the air, or a number that is not a spike would have to travel.
    """
    before, after = flat.before(), flat.after()
    _no_loose_ends(flat, before, after, log)
    linear = frozenset(n for n, node in flat.nodes.items() if not isinstance(node, Neuron) and not _rim(flat, n))
    order = _order(flat, linear, before, after)
    pairs = _pairs(flat, before, after, linear)
    populations: dict[str, Port | Neuron | None] = {}
    entries: dict[str, str] = {}
    sources: dict[str, str] = {}
    thresholds: dict[str, Neuron] = {}
    for name, node in flat.nodes.items():
        if isinstance(node, Port) and _rim(flat, name) and node.type == "Input":
            populations[name], sources[name] = node, name
        elif isinstance(node, Neuron) and name in pairs:
            partner = flat.nodes[pairs[name]]
            assert isinstance(partner, Neuron)
            populations[pairs[name]], thresholds[pairs[name]] = node, partner
            entries[pairs[name]], sources[pairs[name]] = name, pairs[name]
        elif isinstance(node, Neuron) and name not in pairs.values():
            populations[name], sources[name] = node, name
    outputs = {}
    for name, node in flat.nodes.items():
        if isinstance(node, Port) and _rim(flat, name) and node.type == "Output":
            outputs[name] = _output(name, flat, before, sources, populations, entries)
    if not outputs:
        raise LoadError("the graph has no Output")
    if not any(isinstance(p, Port) for p in populations.values()):
        raise LoadError("the graph has no Input")
    return Wiring(populations=populations, thresholds=thresholds, entries=entries, sources=sources, linear=linear,
                  before=before, order=order, outputs=outputs)


def _rim(flat: Flat, name: str) -> bool:
    """Whether a node is an Input or Output of the outermost graph."""
    node = flat.nodes[name]
    return isinstance(node, Port) and not node.wire


def _no_loose_ends(flat: Flat, before: dict[str, list[str]], after: dict[str, list[str]], log: Log) -> None:
    for name, node in flat.nodes.items():
        is_input, is_output = (_rim(flat, name) and node.type == kind for kind in ("Input", "Output"))
        if not before[name] and not is_input:
            if not isinstance(node, Neuron):
                raise LoadError(f"{node.where}: nothing leads into it. Connect it or remove it.")
            log.warn(f"{node.where}: nothing leads into it; it is driven by its leak alone")
        if not after[name] and not is_output:
            if isinstance(node, Neuron) or is_input:
                log.warn(f"{node.where}: leads nowhere and is no output")
            elif not (isinstance(node, Port) and all(isinstance(flat.nodes[p], Neuron) for p in before[name])):
                raise LoadError(f"{node.where}: leads nowhere. Connect it or remove it.")


def _order(
    flat: Flat, linear: frozenset[str], before: dict[str, list[str]], after: dict[str, list[str]]
) -> tuple[str, ...]:
    """Linear nodes from front to back, then all others."""
    waits = {n: sum(p in linear for p in before[n]) for n in linear}
    ready = sorted(n for n, w in waits.items() if w == 0)
    done = []
    while ready:
        name = ready.pop()
        done.append(name)
        for nxt in after[name]:
            if nxt in waits:
                waits[nxt] -= 1
                if waits[nxt] == 0:
                    ready.append(nxt)
    left = sorted(linear - set(done))
    if left:
        raise UnsupportedError(
            "linear-loop", f"{flat.nodes[left[0]].where}: lies on, or behind, a loop of linear nodes without a neuron"
        )
    return (*done, *(n for n in flat.nodes if n not in linear))


def _pairs(
    flat: Flat, before: dict[str, list[str]], after: dict[str, list[str]], linear: frozenset[str]
) -> dict[str, str]:
    """I, LI and CubaLI that feed one Threshold: their names -> the Threshold's name; others may only end the graph."""
    pairs: dict[str, str] = {}
    for name, node in flat.nodes.items():
        if node.type not in GRADED:
            continue
        ends = _through_flats(flat, name, after)
        behind = {e for e in ends if flat.nodes[e].type == "Threshold"}
        if not ends or (not behind and all(_rim(flat, e) for e in ends)):
            continue
        one = next(iter(behind), "")
        if len(ends) != 1 or not behind or _through_flats(flat, one, before) != [name]:
            raise UnsupportedError(
                "graded-signal",
                f"{node.where}: sends a number that is not a spike to {', '.join(sorted(ends))}. It may end the graph "
                "or feed one Threshold that hears nothing else.",
            )
        pairs[name] = one
    return pairs


def _through_flats(flat: Flat, name: str, way: dict[str, list[str]]) -> list[str]:
    """The nodes next to one, looking through Flatten nodes and wires."""
    found: list[str] = []
    stack = list(way[name])
    while stack and len(found) < MANY:  # a node that is reached in two ways counts twice
        at = stack.pop()
        node = flat.nodes[at]
        if isinstance(node, Flattening) or (isinstance(node, Port) and node.wire):
            stack.extend(way[at])
        else:
            found.append(at)
    return sorted(found)


def _output(
    name: str,
    flat: Flat,
    before: dict[str, list[str]],
    sources: dict[str, str],
    populations: dict[str, Port | Neuron | None],
    entries: dict[str, str],
) -> str:
    """The population that an Output names; a new readout where linear nodes, or several nodes, stand ahead of it."""
    ends = _through_flats(flat, name, before)
    if len(ends) == 1 and ends[0] in sources:
        if isinstance(populations[sources[ends[0]]], Port):
            raise UnsupportedError(
                "input-to-output", f"{name}.Output: is wired to the Input {ends[0]!r} with no node in between"
            )
        return sources[ends[0]]
    last = before[name][0] if len(before[name]) == 1 else name
    if last in populations and entries.get(last) != last:
        raise LoadError(f"{name}.Output: the readout made for it would be named {last!r} like another population")
    populations[last], entries[last] = None, last
    return last
