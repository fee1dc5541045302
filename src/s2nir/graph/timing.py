"""When spikes act: which projections are recurrent, how many steps each takes, and the lags of the machine.

In the float run a feed-forward projection takes no step and a recurrent one takes one; a Delay adds its steps to
either. On the machine each projection takes at least one tick, so every population runs `lag` ticks behind its inputs:
hop = steps + lag(target) - lag(source) >= 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import GraphError, MappingError
from .connection import Projection, Sparse
from .graph import Loops
from .rules import Ruled


class Wired(Protocol):
    """What timing looks at; a Graph and a Network both have it."""

    @property
    def populations(self) -> tuple[Any, ...]: ...
    @property
    def projections(self) -> tuple[Projection, ...]: ...
    @property
    def inputs(self) -> tuple[Any, ...]: ...
    @property
    def loops(self) -> Loops: ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Timing:
    """steps : per projection (in the graph's order), steps from a spike to its effect, before any delay of a single
    synapse; order : populations so that a projection of 0 steps comes from an earlier one; recurrent : per projection
    """

    steps: tuple[int, ...]
    order: tuple[str, ...]
    recurrent: tuple[bool, ...]


def timing(graph: Wired) -> Timing:
    """Steps of every projection and an order of evaluation."""
    back = back_edges(graph)
    steps = [p.delay + (1 if (p.source, p.target) in back else 0) for p in graph.projections]
    if graph.loops is Loops.MACHINE:
        component = components(graph)
        for name in {component[n] for n in stuck(graph, steps)}:
            for i, p in enumerate(graph.projections):
                if component[p.source] == component[p.target] == name:
                    steps[i] = max(steps[i], 1)
    return Timing(
        steps=tuple(steps),
        order=tuple(_evaluation_order(graph, steps)),
        recurrent=tuple((p.source, p.target) in back for p in graph.projections),
    )


def data_order(graph: Wired) -> tuple[list[Any], list[int]]:
    """Populations and places of projections in the order of the data, for people: names alone sort '10' before '2'."""
    when = timing(graph)
    place = {name: i for i, name in enumerate(when.order)}
    populations = sorted(graph.populations, key=lambda p: place[p.name])
    ways = sorted(
        range(len(graph.projections)),
        key=lambda i: (place[graph.projections[i].source], place[graph.projections[i].target], i),
    )
    return populations, ways


def back_edges(graph: Wired) -> set[tuple[str, str]]:
    """Pairs (source, target) that close a loop in a depth-first search from the inputs, names in sorted order."""
    after: dict[str, list[str]] = {p.name: [] for p in graph.populations}
    for p in graph.projections:
        if p.target not in after[p.source]:
            after[p.source].append(p.target)
    back: set[tuple[str, str]] = set()
    state: dict[str, int] = {}  # 1 on the path, 2 done
    roots = [p.name for p in graph.inputs] + [p.name for p in graph.populations]
    for root in roots:
        if root in state:
            continue
        path = [(root, iter(sorted(after[root])))]
        state[root] = 1
        while path:
            name, rest = path[-1]
            for nxt in rest:
                if state.get(nxt) == 1:
                    back.add((name, nxt))
                elif nxt not in state:
                    state[nxt] = 1
                    path.append((nxt, iter(sorted(after[nxt]))))
                    break
            else:
                state[name] = 2
                path.pop()
    return back


def components(graph: Wired) -> dict[str, str]:
    """Each population's strongly connected component, named by its first member (Tarjan, without recursion)."""
    after: dict[str, list[str]] = {p.name: [] for p in graph.populations}
    for p in graph.projections:
        after[p.source].append(p.target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: dict[str, str] = {}
    for root in sorted(after):
        if root in index:
            continue
        work = [(root, iter(sorted(set(after[root]))))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            name, rest = work[-1]
            for nxt in rest:
                if nxt not in index:
                    index[nxt] = low[nxt] = len(index)
                    stack.append(nxt)
                    work.append((nxt, iter(sorted(set(after[nxt])))))
                    break
                if nxt not in found:
                    low[name] = min(low[name], index[nxt])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    cut = stack.index(name)
                    members, stack[cut:] = stack[cut:], []
                    found.update(dict.fromkeys(members, min(members)))
    return found


def several_choices(graph: Wired) -> list[str]:
    """Loops of more than one population, as sentences: which of their projections takes the step is a choice."""
    component = components(graph)
    members: dict[str, list[str]] = {}
    for name, first in component.items():
        members.setdefault(first, []).append(name)
    back = back_edges(graph)
    said = []
    for loop in sorted(sorted(m) for m in members.values() if len(m) > 1):
        inner = [p for p in graph.projections if p.source in loop and p.target in loop]
        if graph.loops is Loops.MACHINE and not any(p.delay for p in inner) and stuck(graph, [
            int((p.source, p.target) in back) for p in graph.projections
        ]):
            continue  # each of them takes a step
        cut = sorted((a, b) for a, b in back if a in loop and b in loop and a != b)
        said.append(
            f"loop through {', '.join(loop)}: the step is taken by {', '.join(f'{a} -> {b}' for a, b in cut)}; "
            "another choice is possible, so compare with the run it was trained in"
        )
    return said


def stuck(graph: Wired, steps: list[int]) -> list[str]:
    """Populations on a loop that no lags exist for: hops along it would sum to more steps than it has."""
    component = components(graph)
    bad = {which for which in set(component.values()) if _alone_stuck(graph, steps, component, which)}
    return sorted(name for name in component if component[name] in bad)


def _alone_stuck(graph: Wired, steps: list[int], component: dict[str, str], which: str) -> bool:
    inner = [
        (p.source, p.target, 1 - s)
        for p, s in zip(graph.projections, steps, strict=True)
        if component[p.source] == component[p.target] == which
    ]
    lag = {n: 0 for n, c in component.items() if c == which}
    for _ in range(len(lag) + 1):
        changed = False
        for a, b, need in inner:
            if lag[b] < lag[a] + need:
                lag[b] = lag[a] + need
                changed = True
        if not changed:
            return False
    return True


def _relax(graph: Wired, steps: list[int]) -> tuple[dict[str, int], bool]:
    """Smallest lags from 0 up by relaxation (Bellman-Ford on the longest path); and whether it came to rest."""
    lag = {p.name: 0 for p in graph.populations}
    for _ in range(len(lag) + 1):
        changed = False
        for p, s in zip(graph.projections, steps, strict=True):
            need = lag[p.source] + 1 - s
            if lag[p.target] < need:
                lag[p.target] = need
                changed = True
        if not changed:
            return lag, True
    return lag, False


def lags(graph: Wired) -> Mapping[str, int]:
    """The machine's lag of every population, in ticks; inputs at 0.

    Raises
    ------
    MappingError
        where a loop has fewer steps than hops and `loops` is "refuse".
    """
    steps = list(timing(graph).steps)
    lag, rest = _relax(graph, steps)
    if not rest:
        raise MappingError(
            f"loop through {', '.join(stuck(graph, steps))}: it has fewer steps than projections, and on the machine "
            'each projection takes at least one tick. Pass loops="machine" to let each hop of the loop take its tick, '
            "or train with delays in the loop.",
            rule="loop-without-lags",
        )
    return lag


def hops(graph: Wired, lag: Mapping[str, int]) -> tuple[int, ...]:
    """Ticks from a spike to its effect on the machine, per projection, before any delay of a single synapse."""
    steps = timing(graph).steps
    return tuple(s + lag[p.target] - lag[p.source] for p, s in zip(graph.projections, steps, strict=True))


def longest_delay(connection: object) -> int:
    """The largest extra delay of a single synapse, in steps."""
    if isinstance(connection, Ruled):
        return connection.longest_delay
    return int(connection.delay.max()) if isinstance(connection, Sparse) and connection.delay.size else 0


def _evaluation_order(graph: Wired, steps: list[int]) -> list[str]:
    """Populations so that projections of 0 steps go forward; ties by name."""
    waits = {p.name: 0 for p in graph.populations}
    now: dict[str, list[str]] = {name: [] for name in waits}
    for p, s in zip(graph.projections, steps, strict=True):
        if s == 0:
            waits[p.target] += 1
            now[p.source].append(p.target)
    ready = sorted(n for n, w in waits.items() if w == 0)
    order = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for nxt in now[name]:
            waits[nxt] -= 1
            if waits[nxt] == 0:
                ready.append(nxt)
                ready.sort()
    if len(order) != len(waits):
        raise GraphError(f"a loop without a step through {', '.join(sorted(set(waits) - set(order)))}")
    return order
