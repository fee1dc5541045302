"""Where packets go: each source's way through the routing tables, walked once per block of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..machine import LINKS, PES, ROUTE_BYTES, Chip
from ..mapping import MachineImage, Regions, Table
from ..values import freeze_fields

Arrivals = list[list[tuple[int, NDArray[np.int64]]]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reach:
    """Where the packets of every source go; sources whose packets take the same way are one class.

    of : int64 (sources), class of every source
    start : int64 (3, classes + 1), where each class begins in `core`, `router` and `link`
    core : int32, the cores reached, by place in the image, rising and each once
    router : int32, the routers passed, by number of the chip in `machine.topology`
    link : int64, the links crossed, 6 * chip + link; as a router, once for each time that a packet comes by
    """

    of: NDArray[np.int64]
    start: NDArray[np.int64]
    core: NDArray[np.int32]
    router: NDArray[np.int32]
    link: NDArray[np.int64]

    def __post_init__(self) -> None:
        freeze_fields(self, of=np.int64, start=np.int64, core=np.int32, router=np.int32, link=np.int64)

    @property
    def classes(self) -> int:
        return int(self.start.shape[1] - 1)

    def cores(self, class_: int) -> NDArray[np.int32]:
        """The cores that packets of a class reach."""
        return self.core[self.start[0, class_] : self.start[0, class_ + 1]]

    def over(self, what: str, size: int) -> Any:
        """Packets that one packet of each class brings to each "core", "router" or "link": a sparse int64 matrix
        (classes, size)."""
        from scipy.sparse import csr_array

        place = ("core", "router", "link").index(what)
        values = getattr(self, what)
        form = (np.ones(values.size, np.int64), values, self.start[place])
        return csr_array(form, shape=(self.classes, size))

    def sent(self, ticks: int, tick: NDArray[Any], source: NDArray[Any], count: NDArray[Any]) -> Any:
        """Packets that each class sends in each tick: a sparse int64 matrix (ticks, classes)."""
        from scipy.sparse import csr_array

        return csr_array((count.astype(np.int64), (tick, self.of[source])), shape=(ticks, self.classes))


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Aligned blocks of keys: core that sends them, local index of the first, keys in use, first key, mask."""

    core: NDArray[np.int64]
    first: NDArray[np.int64]
    size: NDArray[np.int64]
    base: NDArray[np.int64]
    mask: NDArray[np.int64]

    def take(self, which: NDArray[Any]) -> _Blocks:
        return _Blocks(self.core[which], self.first[which], self.size[which], self.base[which], self.mask[which])

    def halves(self) -> _Blocks:
        """Each block as two; a half without a key in use is left out."""
        half = (1 << 32) - self.mask >> 1
        mask, rest = (1 << 32) - half, self.size - half
        both = _Blocks(*(np.stack([a, b], axis=1).ravel() for a, b in (
            (self.core, self.core), (self.first, self.first + half), (np.minimum(self.size, half), rest),
            (self.base, self.base + half), (mask, mask),
        )))
        return both.take(both.size > 0)


def routes(image: MachineImage, parts: list[Regions], first: NDArray[np.int64]) -> tuple[Reach, Arrivals]:
    """The ways of all sources; and, by core, what reaches it: (source core, local indices).

    Raises
    ------
    ImageError
        where packets go round for ever.
    """
    from . import walk

    ways, number, where = _ways(image)
    chip = np.array([number[c.chip] for c in image.cores], np.int64)
    blocks, found = _blocks(parts), []
    while blocks.core.size:
        ended, at, starts, *values = walk.walk(ways, chip[blocks.core], blocks.base, blocks.mask)
        for i in np.flatnonzero(ended == walk.ROUND)[:1]:
            raise ImageError(f"chip {where[int(at[i])]}: packets of key {int(blocks.base[i]):#x} go round for ever")
        whole = np.flatnonzero(ended == walk.WHOLE)
        found += [
            (int(blocks.core[i]), int(blocks.first[i]), int(blocks.size[i]),
             *(v[s[i] : s[i + 1]] for v, s in zip(values, starts, strict=True)))
            for i in whole.tolist()
        ]
        blocks = blocks.take(ended == walk.SPLIT).halves()
    found.sort(key=lambda row: row[:2])
    return _classes(found, int(first[-1]), first, len(image.cores))


def _blocks(parts: list[Regions]) -> _Blocks:
    """The key block of each core; one whose key is not aligned to it goes key by key."""
    rows = []
    for i, r in enumerate(parts):
        key, n = r.descriptor.key, r.descriptor.neurons
        size = 1 << (n - 1).bit_length()
        if key & (size - 1) == 0:
            rows.append((i, 0, n, key, (1 << 32) - size))
        else:
            rows += [(i, k, 1, key | k, (1 << 32) - 1) for k in range(n)]
    return _Blocks(*np.array(rows, np.int64).reshape(-1, 5).T.copy())


def _ways(image: MachineImage) -> tuple[Any, dict[Chip, int], list[Chip]]:
    """All tables and links as arrays; chips that the machine does not have come last, without links."""
    from . import walk

    t = image.machine.topology
    where = list(image.machine.coordinates)
    known = set(where)
    where += sorted({c.chip for c in image.cores} - known)
    number = {chip: k for k, chip in enumerate(where)}
    none = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, ROUTE_BYTES), np.uint8)
    tables = [none if chip not in image.tables else _entries(image.tables[chip]) for chip in where]
    core = np.full((len(where), PES), -1, np.int32)
    for i, c in enumerate(image.cores):
        core[number[c.chip], c.pe] = i
    neighbour = np.full((len(where), LINKS), -1, np.int32)
    neighbour[: t.chips] = t.neighbour
    starts = np.concatenate([[0], np.cumsum([key.size for key, _, _ in tables])]).astype(np.int64)
    rising = np.array([_rising(key, mask) for key, mask, _ in tables], bool)
    key, mask, route = (np.concatenate(column) for column in zip(*tables, strict=True))
    ways = walk.Ways(starts, key, mask, route, rising, neighbour, core, image.machine.default_routes)
    return ways, number, where


def _entries(table: Table) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Keys, masks and routes, without entries that match nothing: those with a bit of the key outside of the mask."""
    live = table.key & ~table.mask == 0
    return table.key[live].astype(np.int64), table.mask[live].astype(np.int64), table.route[live]


def _rising(key: NDArray[np.int64], mask: NDArray[np.int64]) -> bool:
    """Whether entries match disjoint aligned blocks of keys in rising order."""
    size = (1 << 32) - mask
    return bool((size & size - 1 == 0).all() and (key & size - 1 == 0).all() and (key[1:] >= (key + size)[:-1]).all())


def _classes(found: list[Any], sources: int, first: NDArray[np.int64], cores: int) -> tuple[Reach, Arrivals]:
    """Blocks with the same way as one class each; by core, what reaches it."""
    classes: dict[tuple[bytes, ...], int] = {}
    kept: list[tuple[NDArray[Any], ...]] = []
    of = np.zeros(sources, np.int64)
    arrivals: list[dict[int, list[NDArray[np.int64]]]] = [{} for _ in range(cores)]
    for i, local, size, *way in found:
        way = (np.unique(way[0]), np.sort(way[1]), np.sort(way[2]))
        known = classes.setdefault(tuple(part.tobytes() for part in way), len(classes))
        if known == len(kept):
            kept.append(way)
        of[first[i] + local : first[i] + local + size] = known
        mine = np.arange(local, local + size)
        for target in way[0].tolist():
            arrivals[target].setdefault(i, []).append(mine)
    start = np.zeros((3, len(kept) + 1), np.int64)
    for place in range(3):
        start[place, 1:] = np.cumsum([way[place].size for way in kept])
    core, router, link = (
        np.concatenate([np.zeros(0, kind), *(way[place] for way in kept)])
        for place, kind in enumerate((np.int32, np.int32, np.int64))
    )
    reach = Reach(of=of, start=start, core=core, router=router, link=link)
    return reach, [[(i, m[0] if len(m) == 1 else np.concatenate(m)) for i, m in by.items()] for by in arrivals]
