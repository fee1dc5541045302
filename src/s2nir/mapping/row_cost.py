"""Bytes that rows take of a core, before they are written: found by neuron, as published, or by source slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..graph import Conv, Ruled
from ..machine import Application, Word
from .boxes import Slice
from .wiring import Link, Member

SPARSE = 8  # counts for each value there is, where values are counted and not sorted


def counted(
    values: NDArray[Any], size: int, weights: NDArray[Any] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values that occur, rising, and how often, or the sums of their weights; size : all values are below

    Without sorting, where a count of every value that could be is not much longer than what there is.

    >>> [x.tolist() for x in counted(np.array([3, 1, 3]), 5)], [x.tolist() for x in counted(np.array([3, 1, 3]), 5000)]
    ([[1, 3], [1, 2]], [[1, 3], [1, 2]])
    """
    if size > SPARSE * values.size + 1024:
        found, at = np.unique(values, return_inverse=True)
        return found, np.bincount(at.ravel(), weights, found.size).astype(np.int64)
    often = np.bincount(values, minlength=size)
    found = np.flatnonzero(often)
    return found, (often if weights is None else np.bincount(values, weights, size).astype(np.int64))[found]


class RowCost(Protocol):
    """Bytes of the rows of slices."""

    def written(
        self, at: NDArray[np.int64], source: NDArray[np.int64], count: NDArray[np.int64], n: int
    ) -> NDArray[np.float64]:
        """By slice: float64 (n). at, source, count : a slice, a source of its rows (counted through all written links)
        and the synapses between them, each pair once"""
        ...

    def ruled(self, place: int, source: NDArray[np.int32]) -> int:
        """Of one slice and the rule at a place among the links by rule; source : of each synapse"""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ByNeuron:
    """A table entry, a header and a row for each neuron that is heard; held : int32, zeros for counting with"""

    app: Application
    held: NDArray[np.int32]

    def written(
        self, at: NDArray[np.int64], source: NDArray[np.int64], count: NDArray[np.int64], n: int
    ) -> NDArray[np.float64]:
        words = self.app.table_entry_bytes + self.app.row_header_bytes + 4 * -(-count // 2)
        return np.asarray(np.bincount(at, words, n))

    def ruled(self, place: int, source: NDArray[np.int32]) -> int:
        from .row_kernels import sizes

        rows, words = sizes(source, self.held)
        return int(rows * (self.app.table_entry_bytes + self.app.row_header_bytes) + 2 * words)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BySlice:
    """A table entry and places for each source slice that is heard, and the words; what is in DRAM takes no bytes here.

    part : int64, the slice of each source of the written links, one count through all; parts : of each rule's sources
    size : int64, neurons of each slice
    """

    app: Application
    part: NDArray[np.int64]
    parts: tuple[NDArray[np.int64], ...]
    size: NDArray[np.int64]

    def written(
        self, at: NDArray[np.int64], source: NDArray[np.int64], count: NDArray[np.int64], n: int
    ) -> NDArray[np.float64]:
        pair, synapses = counted(at * self.size.size + self.part[source], n * self.size.size, count)
        return np.asarray(np.bincount(pair // self.size.size, self._bytes(pair % self.size.size, synapses), n))

    def ruled(self, place: int, source: NDArray[np.int32]) -> int:
        return int(self._bytes(*counted(self.parts[place][source], self.size.size)).sum())

    def _bytes(self, part: NDArray[np.int64], synapses: NDArray[Any]) -> NDArray[np.float64]:
        compact = self.app.word is Word.COMPACT
        each = 0 if self.app.places_in_dram else 2 if compact else 4
        places = -(-(self.size[part] + 1) * each // 4) * 4
        words = -(-synapses // 2) * 4 if compact else 0.0
        return np.asarray(self.app.table_entry_bytes + places + words)


def row_cost(
    member: Member, links: list[Link], members: Mapping[str, Member], known: Mapping[str, tuple[Slice, ...]]
) -> RowCost:
    """Of the links into a member; sources not cut yet are assumed in slices as large as their programs hold."""
    mine = [k for k in links if not isinstance(k.connection, Conv)]
    rules = [k for k in mine if isinstance(k.connection, Ruled)]
    if not member.application.word.by_slice:
        most = max((k.connection.sources for k in rules), default=0)
        return ByNeuron(app=member.application, held=np.zeros(most, np.int32))
    part: dict[str, NDArray[np.int64]] = {}
    sizes: list[int] = []
    for name in sorted({k.source for k in mine}):
        source = members[name]
        owner = np.empty(source.size, np.int64)
        if name in known:
            for i, s in enumerate(known[name]):
                owner[s.neurons(source.view)] = i
        else:
            owner[:] = np.arange(source.size) // source.application.max_targets
        part[name] = owner + len(sizes)
        sizes += np.bincount(owner).tolist()
    written = [part[k.source] for k in mine if k not in rules]
    return BySlice(
        app=member.application, part=np.concatenate([np.zeros(0, np.int64), *written]),
        parts=tuple(part[k.source] for k in rules), size=np.array(sizes, np.int64),
    )
