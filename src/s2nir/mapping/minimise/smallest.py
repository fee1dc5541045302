"""The fewest entries at all, by search: a yardstick for the other minimisers, for tiny tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from ...arguments import Whole, settle
from ...errors import MappingError
from .entries import ALL_BITS, Entries, as_entries, refuse_overlap

Cube = tuple[int, int]
Taken = dict[int, int]  # route -> keys that are still to be decided, as a set of bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Smallest:
    """An ordered table of the fewest entries that route every key of the input as it does; other keys are free.

    Depth-first search with a growing limit over what can stand at the top: a cube that holds no undecided key of a
    second route. A cube of less than another can decide is never better. If one cube holds all that is left of a route
    it may as well come first, since any table for the rest has an entry of that route that could be dropped for it; so
    where there is no such cube, one entry more than there are routes is a lower bound. What is left, with the limit it
    failed under, is remembered.

    Exponential at worst. Random tables of 12 single keys took 10 ms in 7 bits and 0.6 s in 10.

    entries, bits : the largest table, and the most bits in which its keys may differ
    states : give up after so many

    Raises
    ------
    MappingError
        over a limit, or where two entries share a key.

    >>> table = Entries(key=[0, 1, 2, 3], mask=[0xFFFFFFFF] * 4, route=[7, 5, 5, 7])
    >>> Smallest()(table).size
    3
    """

    entries: int = 12
    bits: int = 10
    states: int = 200_000

    def __post_init__(self) -> None:
        settle(self, MappingError, entries=Whole(), bits=Whole(), states=Whole())

    def __call__(self, table: Entries) -> Entries:
        bits = _bits_that_differ(table)
        if table.size > self.entries or len(bits) > self.bits:
            raise MappingError(
                f"Smallest: {table.size} entries in {len(bits)} bits, the limits are {self.entries} and {self.bits}. "
                "Use OrderedCovering."
            )
        entries = [(int(k), int(m)) for k, m in zip(table.key, table.mask, strict=True)]
        refuse_overlap(table, "Smallest")
        if not entries:
            return table
        fixed = entries[0][1] & ~sum(1 << b for b in bits)  # in these bits all entries are alike
        taken: Taken = {}
        for cube, route in zip(entries, table.route.tolist(), strict=True):
            taken[route] = taken.get(route, 0) | _points(cube, bits)
        search = _Search(bits, self.states)
        found = next(f for limit in count(len(taken)) if (f := search.within(taken, limit)) is not None)
        base = entries[0][0] & fixed
        return as_entries([base | k for (k, _), _ in found], [fixed | m for (_, m), _ in found], [r for _, r in found])


class _Search:
    """Tables for what is left of the keys, over all cubes of the bits."""

    def __init__(self, bits: list[int], states: int) -> None:
        self.cubes = sorted(
            ((_points(cube, bits), cube) for cube in _all_cubes(bits)), key=lambda c: (-c[0].bit_count(), c[1])
        )
        self.failed: dict[tuple[tuple[int, int], ...], int] = {}
        self.states = self.allowed = states

    def within(self, taken: Taken, limit: int) -> list[tuple[Cube, int]] | None:
        """A table of at most `limit` entries, None where there is none."""
        done = []
        taken = dict(taken)
        while (last := self._whole_route(taken)) is not None:
            done.append(last)
            del taken[last[1]]
        limit -= len(done)
        if not taken:
            return done if limit >= 0 else None
        if limit <= len(taken):
            return None
        state = tuple(sorted(taken.items()))
        if self.failed.get(state, -1) >= limit:
            return None
        self.states -= 1
        if self.states < 0:
            raise MappingError(
                f"Smallest: no answer within {self.allowed} states. Give a smaller table, or more `states`."
            )
        for cube, route, points in self._tops(taken):
            rest = self.within(taken | {route: taken[route] & ~points}, limit - 1)
            if rest is not None:
                return [*done, (cube, route), *rest]
        self.failed[state] = limit
        return None

    def _whole_route(self, taken: Taken) -> tuple[Cube, int] | None:
        for route, points in taken.items():
            cubes = ((inside, cube) for inside, cube in reversed(self.cubes) if not points & ~inside)
            inside, cube = next(cubes)  # the smallest around them: sizes rise
            if not any(other & inside for r, other in taken.items() if r != route):
                return cube, route
        return None

    def _tops(self, taken: Taken) -> Iterator[tuple[Cube, int, int]]:
        """Cubes with undecided keys of one route only, without those that decide less than another does."""
        everything = 0
        for points in taken.values():
            everything |= points
        seen: dict[int, tuple[Cube, int]] = {}
        for inside, cube in self.cubes:
            hit = inside & everything
            route = next((r for r, points in taken.items() if hit and not hit & ~points), None)
            if route is not None:
                seen.setdefault(hit, (cube, route))
        most = sorted(seen, key=int.bit_count, reverse=True)
        kept: list[int] = []
        for hit in most:
            if all(hit & ~other for other in kept):
                kept.append(hit)
                yield *seen[hit], hit


def _bits_that_differ(table: Entries) -> list[int]:
    """Bits in which two keys of the table differ, but those that no entry compares."""
    same, compared = ALL_BITS, 0
    for key, mask in zip(table.key.tolist(), table.mask.tolist(), strict=True):
        same &= mask & ~(key ^ int(table.key[0]))
        compared |= mask
    return [b for b in range(32) if compared & ~same & 1 << b]


def _points(cube: Cube, bits: list[int]) -> int:
    """The keys of a cube as a set of bits: key number i has bit j of i at place bits[j]."""
    points = 1
    for j, b in enumerate(bits):
        up = points << (1 << j)
        points = points | up if not cube[1] >> b & 1 else up if cube[0] >> b & 1 else points
    return points


def _all_cubes(bits: list[int]) -> Iterator[Cube]:
    if not bits:
        yield 0, 0
        return
    bit = 1 << bits[-1]
    for key, mask in _all_cubes(bits[:-1]):
        yield from ((key, mask), (key, mask | bit), (key | bit, mask | bit))
