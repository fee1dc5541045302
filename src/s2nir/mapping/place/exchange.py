"""Whole chips change places: what is together on a chip stays together, and packets take less time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...arguments import Stage, Whole, settle
from ...errors import MappingError
from ...machine import LINK_NS, LINK_NS_BETWEEN, SpiNNaker2, Topology
from ..net import Net
from .curve import Curve
from .sequential import Place, Places

CUT_OFF = 1e9  # ns; no way of live links is as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Pairs of chips exchange all that they hold as long as that saves packets time, from another placement on.

    A local search of the quadratic assignment of chips [Koopmans1957, doi 10.2307/1907742]. A packet counts the time of
    the fastest way to every chip that it must reach, once for each; a link between boards takes three times as long.
    Slices stay with those of their chip, where those that reach the same chips become neighbours, so that their keys
    share upper bits and their entries merge. Chips that are cut off from most others are left alone where the rest do.

    place : makes the placement to begin with; sweeps : over all pairs, at most
    """

    place: Place = field(default_factory=lambda: Curve(whole=True))
    sweeps: int = 30

    def __post_init__(self) -> None:
        settle(self, MappingError, place=Stage("Curve()"), sweeps=Whole())

    def __call__(self, net: Net, machine: SpiNNaker2) -> Places:
        from . import kernels

        t = machine.topology
        n = t.chips
        if t.cut_off.size and len(net.slices) <= (joined := _joined(machine)).cores:
            chip, pe = self(net, joined)
            return np.flatnonzero(~np.isin(np.arange(n), t.cut_off)).astype(np.int32)[chip], pe
        chip, pe = self.place(net, machine)
        source, there = _reached(net, chip, n)
        packets = np.zeros((n, n))
        np.add.at(packets, (chip[source], there), net.packets[source])
        packets += packets.T
        np.fill_diagonal(packets, 0.0)
        part, other = np.nonzero(packets)
        at = np.arange(n)
        kernels.exchange(
            at, np.searchsorted(part, np.arange(n + 1)), other, packets[part, other], times(t),
            np.bincount(chip, minlength=n), np.diff(t.first), self.sweeps,
        )
        return _seated(net, at[chip].astype(np.int32), np.lexsort((pe, chip)), t)


def _joined(machine: SpiNNaker2) -> SpiNNaker2:
    """The machine without the chips that are cut off."""
    t, f = machine.topology, machine.faults
    lost = (*f.chips, *((int(x), int(y)) for x, y in t.chip[t.cut_off]))
    return replace(machine, faults=replace(f, chips=lost))


def _reached(net: Net, chip: NDArray[np.int32], chips: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Slices and the chips that they reach, each pair once, by slice."""
    source, there = np.divmod(np.unique(net.source * chips + chip[net.target]), chips)
    return source, there


def times(t: Topology) -> NDArray[np.float64]:
    """Nanoseconds of a packet between every two chips by the fastest way: float64 (chips, chips)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    chip, link = np.nonzero(t.neighbour >= 0)
    each = np.where(t.between[chip, link], LINK_NS_BETWEEN, LINK_NS).astype(np.float64)
    far = dijkstra(csr_array((each, (chip, t.neighbour[chip, link])), shape=(t.chips, t.chips)))
    return np.where(np.isfinite(far), far, CUT_OFF)


def _seated(net: Net, chip: NDArray[np.int32], order: NDArray[np.int64], t: Topology) -> Places:
    """The first PEs of each chip for its slices: sorted by whether they reach another chip, first by the one that comes
    nearest to halving them; those alike in this order."""
    source, there = _reached(net, chip, t.chips)
    start = np.searchsorted(source, np.arange(chip.size + 1))
    pe = np.empty(chip.size, t.pe.dtype)
    order = order[np.argsort(chip[order], kind="stable")]
    for mine in np.split(order, np.flatnonzero(np.diff(chip[order])) + 1):
        if mine.size:
            number = np.diff(start)[mine]
            reach = np.zeros((mine.size, t.chips), bool)
            hit = np.concatenate([there[start[s] : start[s + 1]] for s in mine])
            reach[np.repeat(np.arange(mine.size), number), hit] = True
            reach[:, chip[mine[0]]] = False
            uneven = np.abs(2 * reach.sum(axis=0) - mine.size)
            by = np.argsort(-uneven, kind="stable")  # the last of the keys comes first
            by = by[uneven[by] < mine.size]
            seat = mine[np.lexsort([np.zeros(mine.size), *~reach[:, by].T])]
            pe[seat] = t.pe[t.first[chip[mine[0]]] :][: mine.size]
    return chip, pe
