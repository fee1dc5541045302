"""Simulated annealing of hop-weighted traffic, from a placement along the curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...machine import SpiNNaker2
from ..net import Net
from .curve import Curve, chip_of
from .sequential import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Annealing:
    """Slices change cores so that packets take fewer hops [Heathcote2016].

    seed : int, decides every draw; moves : tried for each slice
    """

    seed: int = 0
    moves: int = 400

    def __call__(self, net: Net, machine: SpiNNaker2) -> Places:
        from . import kernels

        t = machine.topology
        chip, pe = Curve()(net, machine)
        if t.chips == 1 or len(net.slices) < 2:
            return chip, pe
        of_core = chip_of(t)
        number = np.full((t.chips, 1 << 8), -1, np.int64)
        number[of_core, t.pe] = np.arange(of_core.size)
        core = number[chip, pe]
        holder = np.full(of_core.size, -1, np.int64)
        holder[core] = np.arange(core.size)
        far = kernels.hops(t.neighbour)
        start, other, weight = _both_ways(net)
        at = chip.astype(np.int64)
        near = np.argsort(far, axis=1, kind="stable").astype(np.int64)
        busy = np.diff(start) > 0
        hot = float(weight.mean()) if busy.any() else 0.0
        reach = np.unique(np.geomspace(max(7, t.chips), 7, 12).astype(np.int64))[::-1].copy()
        kernels.anneal(
            at, holder, of_core.astype(np.int64), core, start, other, weight, far, np.random.default_rng(self.seed),
            self.moves * len(net.slices), max(hot, 1e-30), reach, near,
        )
        return at.astype(np.int32), t.pe[core].copy()


def _both_ways(net: Net) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Neighbours of each slice, whoever of the two sends: start, other, packets."""
    a, b = net.source, net.target
    w = net.packets[a]
    source, other, weight = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([w, w])
    order = np.lexsort((other, source))
    start = np.searchsorted(source[order], np.arange(len(net.slices) + 1)).astype(np.int64)
    return start, other[order].astype(np.int64), weight[order]
