"""Slices to cores in their order: neighbours in the network are neighbours on the chip."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from ...errors import MappingError
from ...machine import Chip, SpiNNaker2
from ..partition import Slice

Core = tuple[Chip, int]


class Place(Protocol):
    """Slices -> one core each."""

    def __call__(self, slices: tuple[Slice, ...], machine: SpiNNaker2) -> dict[Slice, Core]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """The first slice on the first usable core, and so on.

    Raises
    ------
    MappingError
        where there are more slices than cores: the populations that take most, and what would help.
    """

    def __call__(self, slices: tuple[Slice, ...], machine: SpiNNaker2) -> dict[Slice, Core]:
        if len(slices) > machine.cores:
            take = Counter(s.member for s in slices)
            top = ", ".join(f"{name} {n}" for name, n in sorted(take.items(), key=lambda i: (-i[1], i[0]))[:4])
            raise MappingError(
                f"the network takes {len(slices)} cores, the machine has {machine.cores}, "
                f"{len(slices) - machine.cores} too few; most are taken by {top}. What would help: fewer neurons or "
                "inputs per neuron there, a convolution instead of a matrix, or a larger data window (window=).",
                rule="does-not-fit",
            )
        return dict(zip(slices, machine.usable, strict=False))
