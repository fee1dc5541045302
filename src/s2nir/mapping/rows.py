"""Synapses that go by rows, slice by slice: written ones sorted once, those of rules written out one core at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..graph import Conv, Ruled
from .boxes import Slice
from .wiring import Link, Wiring, as_rows


class Rows(NamedTuple):
    """Synapses into one slice, per synapse.

    source : int64, as `Numbering` counts neurons; target : int32, local index; weight : int64 or int8; delay : int32
    """

    source: NDArray[Any]
    target: NDArray[Any]
    weight: NDArray[Any]
    delay: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Numbering:
    """All neurons of a wiring in one count: neuron n of a member is first[member] + n."""

    first: Mapping[str, int]
    size: int


def numbering(wiring: Wiring) -> Numbering:
    first, at = {}, 0
    for name, member in wiring.members.items():
        first[name] = at
        at += member.size
    return Numbering(first=first, size=at)


def by_rows(wiring: Wiring, name: str) -> tuple[list[Link], list[Link]]:
    """Links into a member that go by rows: written ones, and those by rule."""
    mine = [k for k in wiring.links if k.target == name and not isinstance(k.connection, Conv)]
    ruled = [k for k in mine if isinstance(k.connection, Ruled)]
    return [k for k in mine if not isinstance(k.connection, Ruled)], ruled


class Into:
    """Synapses into the slices of one member, all links together; written ones first, in the order of the links."""

    def __init__(self, wiring: Wiring, name: str, slices: tuple[Slice, ...], numbers: Numbering) -> None:
        self.member, self.slices, self.numbers = wiring.members[name], slices, numbers
        written, self.ruled = by_rows(wiring, name)
        self.start = np.zeros(len(slices) + 1, np.int64)
        if not written:
            self.held = Rows(*(np.zeros(0, t) for t in (np.int64, np.int32, np.int64, np.int32)))
            return
        parts = []
        for link in written:
            source, target, weight, delay = as_rows(link)
            parts.append((source + numbers.first[link.source], target, weight, delay))
        source, target, weight, delay = (np.concatenate(c) for c in zip(*parts, strict=True))
        owner, local = owners(slices, self.member.view, self.member.size)
        owner = owner.astype(np.min_scalar_type(len(slices)))  # of 16 bits or less, numpy sorts by digits
        order = np.argsort(owner[target], kind="stable")
        self.start = np.searchsorted(owner[target[order]], np.arange(len(slices) + 1))
        self.held = Rows(source[order], local[target[order]], weight[order], delay[order].astype(np.int32))

    def of(self, i: int) -> Rows:
        """Synapses into the i-th slice."""
        here = slice(int(self.start[i]), int(self.start[i + 1]))
        if not self.ruled:
            return Rows(*(column[here] for column in self.held))
        neurons = self.slices[i].neurons(self.member.view)
        parts = [tuple(column[here] for column in self.held)] if here.stop > here.start else []
        for link in self.ruled:
            w = link.connection.into(neurons)
            source = w.source + np.int64(self.numbers.first[link.source])
            parts.append((source, w.place, w.weight, w.delay + link.delay))
        if len(parts) == 1:
            return Rows(*parts[0])
        return Rows(*(np.concatenate(c) for c in zip(*parts, strict=True)))


def owners(
    slices: tuple[Slice, ...], view: tuple[int, int, int], size: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The slice of every neuron of a member, by its place in `slices`, and the neuron's local index there."""
    owner, local = np.empty(size, np.int32), np.empty(size, np.int32)
    for i, s in enumerate(slices):
        neurons = s.neurons(view)
        owner[neurons] = i
        local[neurons] = np.arange(neurons.size)
    return owner, local
