"""Routing tables: per chip, entries of key, mask and a route word of 158 bits; the first match decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import MappingError
from ..machine import LINKS, Chip, SpiNNaker2
from ..values import freeze_fields
from .boxes import Slice
from .keys import KeyBlock
from .minimise import (
    Blocks,
    DecisionList,
    Entries,
    Expand,
    Fewest,
    Minimise,
    OrderedCovering,
    equal,
    neighbours,
    none,
    remove_default_routes,
)
from .own import breach, made_smaller
from .own import name as name_of
from .trees import RouteTrees

METHODS = ("none", "neighbours", "ordered_covering", "expand", "fewest", "any")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Table:
    """One router's entries.

    key, mask : uint32 (entries)
    route : uint8 (entries, 20), bit b of the route word in byte b // 8 at place b % 8
    minimised : how it was made smaller; "" where each entry matches the keys of one slice and no others
    """

    key: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    route: NDArray[np.uint8]
    minimised: str = ""

    def __post_init__(self) -> None:
        freeze_fields(self, key=np.uint32, mask=np.uint32, route=np.uint8)

    @property
    def entries(self) -> int:
        return int(self.key.size)

    def lookup(self, keys: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The first entry that matches each key, -1 for none."""
        found = np.full(keys.size, self.entries, np.int64)
        for mask in np.unique(self.mask):  # few: as many as there are sizes of blocks and ways to merge them
            mine = np.flatnonzero(self.mask == mask)
            value, first = np.unique(self.key[mine], return_index=True)
            at = np.minimum(np.searchsorted(value, keys & mask), value.size - 1)
            found = np.where(value[at] == keys & mask, np.minimum(found, mine[first[at]]), found)
        return np.where(found < self.entries, found, -1)

    def bits(self, entry: int) -> list[int]:
        """The bits set in an entry's route word."""
        return [int(b) for b in np.flatnonzero(np.unpackbits(self.route[entry], bitorder="little"))]


def tables(trees: RouteTrees, blocks: Mapping[Slice, KeyBlock]) -> dict[Chip, Table]:
    """One entry per tree and chip, in the order of keys; a chip without entries has no table."""
    t = trees.trees
    base = np.array([blocks[s].base for s in trees.slices], np.int64)[t.source]
    mask = np.array([blocks[s].mask for s in trees.slices], np.int64)[t.source]
    return {
        chip: Table(key=base[rows].astype(np.uint32), mask=mask[rows].astype(np.uint32), route=t.route[rows])
        for chip, rows in _by_chip(trees, base)
    }


def _by_chip(trees: RouteTrees, base: NDArray[np.int64]) -> Iterator[tuple[Chip, NDArray[np.int64]]]:
    """Chips and their routers of `trees`, in the order of keys."""
    t = trees.trees
    order = np.lexsort((base, t.chip))
    chips, first = np.unique(t.chip[order], return_index=True)
    for chip, rows in zip(chips, np.split(order, first[1:]) if chips.size else (), strict=True):
        x, y = trees.chip[chip].tolist()
        yield (x, y), rows


def minimised(
    found: Mapping[Chip, Table], trees: RouteTrees, blocks: Mapping[Slice, KeyBlock], machine: SpiNNaker2,
    method: str | Minimise,
) -> dict[Chip, Table]:
    """Tables made smaller, each proven to route every key in use as before.

    method : "none"; "neighbours" (exact pairs); "ordered_covering", "expand", or "fewest" of them and `DecisionList`
        (no merge covers a key that is not in use); "any", as "fewest", but then a key not in use may reach cores;
        "auto", which is "fewest" where a router would overflow, and none where none does; or a
        Minimise of yours
    Where the machine has default routes, what they do is left out of the tables first.
    """
    if method == "auto":
        over = any(t.entries > machine.router_entries for t in found.values())
        method = "fewest" if over else "none"
    if isinstance(method, str) and method not in METHODS:
        known = ", ".join(map(repr, METHODS))
        raise MappingError(f"minimise: found {method!r}, allowed 'auto', {known}, or a Minimise")
    if method == "none" and not machine.default_routes:
        return dict(found)
    silent = [s for s, heard in zip(trees.slices, np.diff(trees.trees.start) > 0, strict=True) if not heard]
    unused, unheard = _spans(blocks, set(blocks) - set(silent)).others(), _spans(blocks, silent)
    straight = _straight(trees, np.array([blocks[s].base for s in trees.slices], np.int64)[trees.trees.source])
    name = method if isinstance(method, str) else name_of(method)
    smaller = {}
    for chip, table in found.items():
        words, route = np.unique(table.route, axis=0, return_inverse=True)
        before = Entries(key=table.key, mask=table.mask, route=route.ravel().astype(np.int32))
        after, gone = before, before.take(np.zeros(0, np.int64))
        if machine.default_routes:
            after = remove_default_routes(before, np.where(straight[chip], before.route, -1))
            gone = before.take(np.flatnonzero(~np.isin(before.key, after.key)))
        after = made_smaller(_how(method, unused.also(gone), unheard.also(gone)), after)
        _prove(chip, before, after, gone, method)
        smaller[chip] = Table(
            key=after.key, mask=after.mask, route=words[after.route], minimised="" if method == "none" else name
        )
    return smaller


def _how(method: str | Minimise, avoid: Blocks, least: Blocks) -> Minimise:
    """The minimiser meant, kept off the keys to avoid; one that may cover unused keys is kept off the `least`."""
    if isinstance(method, str):
        named: dict[str, Minimise] = {
            "none": none, "neighbours": neighbours, "ordered_covering": OrderedCovering(avoid=avoid),
            "expand": Expand(avoid=avoid), "fewest": Fewest(avoid=avoid), "any": Fewest(avoid=least),
        }
        return named[method]
    if isinstance(method, OrderedCovering | Expand | DecisionList | Fewest) and method.avoid is None:
        return replace(method, avoid=least)
    return method


def _spans(blocks: Mapping[Slice, KeyBlock], slices: Iterable[Slice]) -> Blocks:
    held = sorted((blocks[s].base, blocks[s].size) for s in slices)
    return Blocks(base=np.array([b for b, _ in held], np.uint32), size=np.array([n for _, n in held], np.int64))


def _straight(trees: RouteTrees, base: NDArray[np.int64]) -> dict[Chip, NDArray[np.bool_]]:
    """By chip and entry, whether a packet just goes on over the link opposite to the one it came by."""
    t = trees.trees
    opposite = np.where(t.arrives >= 0, 1 << (t.arrives.astype(np.int64) + LINKS // 2) % LINKS, 0)
    on = (t.arrives >= 0) & (t.route[:, 0] == opposite) & ~t.route[:, 1:].any(axis=1)
    return {chip: on[rows] for chip, rows in _by_chip(trees, base)}


def _prove(chip: Chip, before: Entries, after: Entries, gone: Entries, method: str | Minimise) -> None:
    """Refuse a table that routes a key in use in another way; keys of `gone` go on by default where none matches."""
    whole = Entries(**{
        n: np.concatenate([getattr(after, n), getattr(gone, n)]) for n in ("key", "mask", "route")
    })
    fault = equal(before, whole)
    if fault is not None:
        raise breach({"minimise": method}, f"chip {chip}: the smaller table changed the way of key {fault.key:#x}")


def refuse_overfull(found: Mapping[Chip, Table], machine: SpiNNaker2) -> None:
    """Refuse tables that no router holds.

    Raises
    ------
    MappingError
        naming the worst chip, by how much, and what would help.
    """
    if not found:
        return
    worst = max(sorted(found), key=lambda chip: found[chip].entries)
    n = found[worst].entries
    if n > machine.router_entries:
        over = sum(t.entries > machine.router_entries for t in found.values())
        raise MappingError(
            f"chip {worst}: {n} routing entries, a router holds {machine.router_entries}, {n - machine.router_entries} "
            f"too many ({over} of {len(found)} chips are over). What would help: larger slices, minimise=, or fewer "
            "targets apart from each other.",
            rule="does-not-fit",
        )
