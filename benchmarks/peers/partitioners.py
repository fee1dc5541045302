"""Placement by graph partitioners of PyPI, for benchmarks/mapping.py: parts of a chip's size, then `Exchange`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2nir import SpiNNaker2
from s2nir.mapping import Net
from s2nir.mapping.place import Exchange, Places, rank


@dataclass(frozen=True, slots=True)
class Partitioned:
    """As few parts as chips that the slices need; a chip each along the curve, and then chips exchange places.

    how : "metis" (pymetis, k-way, least edges cut) or "kahip" (its configuration ECO)
    """

    how: str
    seed: int = 0

    def __call__(self, net: Net, machine: SpiNNaker2) -> Places:
        return Exchange(place=self._on_curve)(net, machine)

    def _on_curve(self, net: Net, machine: SpiNNaker2) -> Places:
        t = machine.topology
        room = int(np.diff(t.first).max())
        parts = -(-len(net.slices) // room)
        part = _filled(self._parts(net, parts), parts, room)
        mean = np.bincount(part, np.arange(part.size), parts) / np.maximum(np.bincount(part, minlength=parts), 1)
        along = np.argsort(rank(t))[np.argsort(np.argsort(mean))]
        chip, order = along[part].astype(np.int32), np.argsort(part, kind="stable")
        place = np.arange(part.size) - np.searchsorted(part[order], part[order])
        pe = np.empty(part.size, t.pe.dtype)
        pe[order] = t.pe[t.first[chip[order]] + place]
        return chip, pe

    def _parts(self, net: Net, parts: int) -> NDArray[np.int64]:
        n = len(net.slices)
        other = net.source != net.target
        a, b = net.source[other], net.target[other]
        pair, weight = np.unique(np.concatenate([a * n + b, b * n + a]), return_counts=True)
        start, to = np.searchsorted(pair // n, np.arange(n + 1)), pair % n
        if parts == 1:
            return np.zeros(n, np.int64)
        if self.how == "metis":
            import pymetis

            options = pymetis.Options(seed=self.seed, ufactor=1)
            graph = pymetis.CSRAdjacency(adj_starts=start, adjacent=to)
            return np.array(pymetis.part_graph(parts, graph, eweights=weight, options=options, recursive=False)[1])
        import kahip

        _, found = kahip.kaffpa([1] * n, start.tolist(), weight.tolist(), to.tolist(), parts, 0.0, True, self.seed, 1)
        return np.array(found)


def _filled(part: NDArray[np.int64], parts: int, room: int) -> NDArray[np.int64]:
    """Slices of a part that is too large go where most room is left."""
    part, size = part.copy(), np.bincount(part, minlength=parts)
    for p in np.flatnonzero(size > room):
        for s in np.flatnonzero(part == p)[room:]:
            to = int(size.argmin())
            part[s] = to
            size[p], size[to] = size[p] - 1, size[to] + 1
    return part
