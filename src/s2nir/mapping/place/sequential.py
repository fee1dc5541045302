"""Slices to cores in their order: neighbours in the network are neighbours on the chip."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import MappingError
from ...machine import Chip, SpiNNaker2
from ..boxes import Slice
from ..net import Net

Core = tuple[Chip, int]
Places = tuple[NDArray[np.int32], NDArray[np.int16]]


class Place(Protocol):
    """Slices -> one core each: chip (its place in `machine.topology`) and PE of every slice of the net."""

    def __call__(self, net: Net, machine: SpiNNaker2) -> Places: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """The first slice on the first usable core, and so on."""

    def __call__(self, net: Net, machine: SpiNNaker2) -> Places:
        t = machine.topology
        n = len(net.slices)
        return np.repeat(np.arange(t.chips, dtype=np.int32), np.diff(t.first))[:n], t.pe[:n].copy()


def refuse_too_many(slices: tuple[Slice, ...], machine: SpiNNaker2) -> None:
    """Refuse more slices than cores.

    Raises
    ------
    MappingError
        the populations that take most, and what would help.
    """
    if len(slices) > machine.cores:
        take = Counter(s.member for s in slices)
        top = ", ".join(f"{name} {n}" for name, n in sorted(take.items(), key=lambda i: (-i[1], i[0]))[:4])
        relays = sum(n for name, n in take.items() if name.rpartition("+")[0] in take)
        said = (f"; {relays} of them hold relays (+1, +2, ...), which lengthen delays and are not needed where synapse "
                'words hold them: bits="s4" up to 7 ticks, rows="dram" up to 255') if relays else ""
        larger = "a larger machine (boards=)" + (" or fewer faults" if machine.faults else "")
        helps = f"{larger}; each population needs a core of its own at least." if len(take) > machine.cores else (
            "fewer neurons or inputs per neuron there, a convolution instead of a matrix, a larger data window "
            f"(window=), other rows (rows=), or {larger}; s2nir.explain tries them.")
        raise MappingError(
            f"the network takes {len(slices)} cores, the machine has {machine.cores}, "
            f"{len(slices) - machine.cores} too few; most are taken by {top}{said}. What would help: {helps}",
            rule="does-not-fit",
        )
