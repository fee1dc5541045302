"""What a network may ask of the reader before anything is allocated for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..arguments import Whole, settle
from ..errors import LoadError, UnsupportedError

MAX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one load; all sizes follow from `max_bytes`.

    max_bytes : int, all arrays of a file together, counted as float64 (as they are held), and with whole chunks
    max_objects : int, groups and datasets in a file, or nodes and edges of a live graph
    max_depth : int, graphs nested in graphs
    max_chains : int, ways through linear nodes into one population

    >>> Limits().max_neurons
    8388608
    """

    max_bytes: int = MAX_BYTES
    max_objects: int = 10_000
    max_depth: int = 64
    max_chains: int = 256

    def __post_init__(self) -> None:
        settle(self, LoadError, **dict.fromkeys(("max_bytes", "max_objects", "max_depth", "max_chains"), Whole()))

    @property
    def max_neurons(self) -> int:
        """Values of all nodes together, at 32 bytes each."""
        return self.max_bytes // 32

    @property
    def max_dense(self) -> int:
        """Weights of all dense matrices together."""
        return self.max_bytes // 8

    @property
    def max_sparse(self) -> int:
        """Single synapses of all sparse matrices together, at 32 bytes each."""
        return self.max_bytes // 32


@dataclass(slots=True)
class Budget:
    """What is used of the limits so far."""

    limits: Limits
    used: dict[str, int] = field(default_factory=dict)

    def values(self, where: str, shape: tuple[int, ...]) -> None:
        """Count the values of a node's shape, refuse when all together are too many."""
        size = math.prod(shape)
        if size < 1 or min(shape, default=1) < 1:
            raise LoadError(f"{where}: shape {shape} is empty")
        total = self._add("values", size)
        if total > self.limits.max_neurons:
            raise LoadError(
                f"{where}: shape {shape} brings the network to {total} values, allowed are {self.limits.max_neurons}. "
                "Pass a larger max_bytes if this is meant."
            )

    def dense(self, where: str, rows: int, columns: int) -> None:
        """Count a dense matrix about to be made."""
        self._synapses("dense", where, rows * columns, self.limits.max_dense)

    def sparse(self, where: str, synapses: int) -> None:
        """Count single synapses about to be made."""
        self._synapses("sparse", where, synapses, self.limits.max_sparse)

    def count(self, kind: str) -> int:
        """Count one more of a kind; how many there are."""
        return self._add(kind, 1)

    def _synapses(self, kind: str, where: str, size: int, limit: int) -> None:
        total = self._add(kind, size)
        if total > limit:
            raise UnsupportedError(
                "too-many-synapses",
                f"{where}: writing it out takes {size} {kind} weights, {total} with those so far, allowed are {limit}. "
                "Put a neuron between the linear nodes, or pass a larger max_bytes.",
            )

    def _add(self, kind: str, size: int) -> int:
        self.used[kind] = self.used.get(kind, 0) + size
        return self.used[kind]


@dataclass(slots=True)
class Log:
    """Sentences about what was repaired, folded, inferred or assumed; some of them are warnings."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def warn(self, sentence: str) -> None:
        self.note(sentence)
        if sentence not in self.warnings:
            self.warnings.append(sentence)
