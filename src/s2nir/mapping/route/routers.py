"""Trees by dimension order, by the neighbours nearest in the tree, and by the load of the links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Number, Whole, settle
from ...errors import MappingError
from ...machine import LINK_NS, LINK_NS_BETWEEN, SpiNNaker2, Topology
from .flow import Flow, Trees

NAMED = 48  # chips, at most, in a message
SPLIT = 8  # what moves together loads a link of a board by at most this part of the worst load


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionOrder:
    """From the source to each target along x, then the diagonal, then y."""

    def __call__(self, flow: Flow, machine: SpiNNaker2) -> Trees:
        from . import kernels

        return _grow(flow, machine.topology, kernels.X_FIRST)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestNeighbour:
    """Neighbour exploring routing [Navaridas2014, doi 10.1016/j.parco.2015.01.002]: targets join the tree where it is
    nearest to them, the longest dimension first."""

    def __call__(self, flow: Flow, machine: SpiNNaker2) -> Trees:
        from . import kernels

        return _grow(flow, machine.topology, kernels.LONGEST_FIRST)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadAware:
    """Trees of `NearestNeighbour`, of which those over the busiest links are grown anew around them.

    Sources of one chip that reach the same chips move together. What is spread over more links takes more entries.

    rounds : at most so many times; near : share of the worst load from which on a link counts as busy
    enough : stop where the busiest link takes at most so many times the `bound`; 1 spreads packets as far as it can
    """

    rounds: int = 40
    near: float = 0.9
    enough: float = 4.0

    def __post_init__(self) -> None:
        settle(self, MappingError, rounds=Whole(), near=Number(0, 1, what="shares"), enough=Number(0))

    def __call__(self, flow: Flow, machine: SpiNNaker2) -> Trees:
        from . import kernels

        t = machine.topology
        trees = _grow(flow, t, kernels.LONGEST_FIRST)
        each = link_ns(t)
        load = link_packets(trees, flow.packets, t.chips)
        worst = float((load * each).max(initial=0.0))
        low = self.enough * bound(flow, t)
        for _ in range(self.rounds):
            busy = load * each >= self.near * worst
            crossing = _over(trees, busy)
            if worst <= low or not crossing.size:
                break
            found, other = _around(flow, t, trees, load, each, crossing, worst / (SPLIT * LINK_NS))
            now = float((other * each).max(initial=0.0))
            if now >= worst:
                break
            trees, load, worst = found, other, now
        return trees


def link_ns(topology: Topology) -> NDArray[np.float64]:
    """Nanoseconds that each link takes for a packet: float64 (chips, 6)."""
    return np.where(topology.between, LINK_NS_BETWEEN, LINK_NS)


def bound(flow: Flow, topology: Topology) -> float:
    """Nanoseconds that the busiest link takes at least: what leaves or enters a chip, spread over all of its links."""
    n = topology.chips
    rate = np.where(topology.neighbour >= 0, 1.0 / link_ns(topology), 0.0).sum(axis=1)
    source = np.repeat(np.arange(flow.sources), np.diff(flow.start))
    source, there = np.divmod(np.unique(source * n + flow.to_chip), n)
    leaves = there != flow.chip[source]
    into = np.bincount(there[leaves], flow.packets[source[leaves]], n)
    sends = np.unique(source[leaves])
    out = np.bincount(flow.chip[sends], flow.packets[sends], n)
    return float((np.maximum(out, into)[rate > 0] / rate[rate > 0]).max(initial=0.0))


def link_packets(trees: Trees, packets: NDArray[np.float64], chips: int) -> NDArray[np.float64]:
    """Packets over each link: float64 (chips, 6)."""
    from . import kernels

    load = np.zeros((chips, 6))
    kernels.loads(trees.start, trees.chip, trees.route, packets, load, np.arange(trees.sources), 1.0)
    return load


def _net(t: Topology) -> tuple[Any, ...]:
    return t.chip, t.neighbour, np.array(t.size or (0, 0), np.int64)


def _targets(flow: Flow) -> tuple[Any, ...]:
    return flow.chip, flow.start, flow.to_chip, flow.to_pe


def _grow(flow: Flow, t: Topology, way_of: int) -> Trees:
    from . import kernels

    room = 4 * flow.sources + t.chips
    start, chip, route, arrives, cut_off = kernels.grow(
        _net(t), _targets(flow), np.arange(flow.sources), link_ns(t), way_of, room
    )
    _refuse(t, cut_off)
    return Trees(start=start, chip=chip, route=route, arrives=arrives)


def _refuse(t: Topology, chip: int) -> None:
    """Refuse a target that no way leads to, naming all chips that are cut off."""
    if chip < 0:
        return
    part = t.cut_off
    said = ", ".join(str(tuple(c)) for c in t.chip[part[:NAMED]].tolist()) + (", ..." if part.size > NAMED else "")
    raise MappingError(
        f"no way of live links joins {part.size} chip(s), {said}, to the others, and "
        "packets would have to go there. Give them up (Faults(chips=...)), or use a machine with fewer dead links.",
        rule="cut-off",
        lack=(said, part.size, 0),
    )


def _over(trees: Trees, busy: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Sources whose trees cross a busy link."""
    bits = (trees.route[:, :1] >> np.arange(6, dtype=np.uint8)) & 1
    return np.unique(trees.source[(busy[trees.chip] & (bits > 0)).any(axis=1)])


def _around(
    flow: Flow, t: Topology, trees: Trees, load: NDArray[np.float64], each: NDArray[np.float64],
    which: NDArray[np.int64], most: float,
) -> tuple[Trees, NDArray[np.float64]]:
    """Some trees grown anew, group by group, each around what the others load."""
    from . import kernels

    load = load.copy()
    parts = []
    for some in _alike(flow, which, most):
        kernels.loads(trees.start, trees.chip, trees.route, flow.packets, load, some, -1.0)
        time = load * each
        cost = each * (1.0 + 8.0 * (time / max(float(time.max()), 1e-30)) ** 4)
        start, chip, route, arrives, cut_off = kernels.grow(_net(t), _targets(flow), some, cost, kernels.SEARCH, 256)
        _refuse(t, cut_off)
        kernels.loads(start, chip, route, flow.packets[some], load, np.arange(some.size), 1.0)
        for s, a, b in zip(some.tolist(), start, start[1:], strict=False):
            parts.append((s, chip[a:b], route[a:b], arrives[a:b]))
    return _replaced(trees, parts), load


def _alike(flow: Flow, which: NDArray[np.int64], most: float) -> list[NDArray[np.int64]]:
    """Sources in groups that begin at one chip, reach the same chips and send at most so many packets in all, those of
    the busiest sources first: grown together their trees are alike, and their entries merge."""
    groups: dict[tuple[int, bytes], list[int]] = {}
    for s in which.tolist():
        there = np.unique(flow.to_chip[flow.start[s] : flow.start[s + 1]])
        groups.setdefault((int(flow.chip[s]), there.tobytes()), []).append(s)
    found = []
    for sources in groups.values():
        some = np.array(sources)
        part = (np.cumsum(flow.packets[some]) - flow.packets[some]) // max(most, 1e-30)
        found += np.split(some, np.flatnonzero(np.diff(part)) + 1)
    return sorted(found, key=lambda some: (-float(flow.packets[some].max()), int(some[0])))


def _replaced(trees: Trees, parts: list[tuple[int, Any, Any, Any]]) -> Trees:
    """Trees with some of them exchanged."""
    size = np.diff(trees.start)
    for s, chip, _, _ in parts:
        size[s] = chip.size
    start = np.concatenate([[0], np.cumsum(size)])
    kept = np.ones(trees.sources, bool)
    kept[[s for s, *_ in parts]] = False
    from_ = np.flatnonzero(kept[trees.source])
    to = from_ + (start[:-1] - trees.start[:-1])[trees.source[from_]]
    chip, arrives = np.empty(start[-1], np.int32), np.empty(start[-1], np.int8)
    route = np.empty((start[-1], trees.route.shape[1]), np.uint8)
    chip[to], arrives[to], route[to] = trees.chip[from_], trees.arrives[from_], trees.route[from_]
    for s, a, b, c in parts:
        here = slice(start[s], start[s + 1])
        chip[here], route[here], arrives[here] = a, b, c
    return Trees(start=start, chip=chip, route=route, arrives=arrives)
