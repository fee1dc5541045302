"""Simulated annealing of hop-weighted traffic, from a placement along the curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arguments import Number, Whole, settle
from ...errors import MappingError
from ...machine import SpiNNaker2
from ..net import Net
from .curve import Curve, chip_of
from .sequential import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Annealing:
    """Slices change cores so that packets take fewer hops [Heathcote2016].

    A packet counts its hops to every chip that it must reach, once for each.

    seed : int, decides every draw; moves : tried for each slice
    hot : temperature to begin with, in hops of a slice's mean packets; reach : a move goes to one of so many next chips
    """

    seed: int = 0
    moves: int = 50
    hot: float = 1.0
    reach: int = 6

    def __post_init__(self) -> None:
        settle(self, MappingError, seed=Whole(), moves=Whole(), hot=Number(0), reach=Whole(1))

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
        near = np.argsort(far, axis=1, kind="stable").astype(np.int64)[:, 1 : 1 + self.reach]
        order = np.argsort(net.target, kind="stable")
        senders = np.searchsorted(net.target[order], np.arange(len(net.slices) + 1))
        at = chip.astype(np.int64)
        kernels.anneal(
            at, holder, of_core.astype(np.int64), core,
            (net.start, net.target, senders, net.source[order], net.packets), far, near,
            np.random.default_rng(self.seed), self.moves * len(net.slices), max(self.hot * net.packets.mean(), 1e-30),
        )
        return at.astype(np.int32), t.pe[core].copy()
