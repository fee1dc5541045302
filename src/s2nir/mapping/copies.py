"""Independent copies of one network over a machine: cut once, placed, keyed and routed together.

The slices, members and links of copy k >= 1 are those of copy 0 under the names NAME@k; what a core of it holds differs
from the same core of copy 0 in keys alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import MappingError
from . import blocks
from .arguments import FILL
from .boxes import Slice
from .image import CoreImage, named
from .keys import Allot, KeyBlock
from .layout import CONV_ENTRY, DESCRIPTOR_BYTES, ROW_HEADER, TABLE_ENTRY, Descriptor
from .net import Net
from .place import Place
from .placement import Placement, put
from .wiring import Wiring

Routed = TypeVar("Routed")


def lay_copies(
    one: Placement, copies: int | str, place: Place | None, allot: Allot | None, route: Callable[[Placement], Routed]
) -> tuple[Routed, int, dict[str, str]]:
    """As many copies as asked for, or as fit ("fill"), routed; how many; and for the provenance, whether routing tables
    or chips that are cut off ended a fill.

    one : one copy, placed; route : raises "does-not-fit" where the tables of a router overflow

    Raises
    ------
    MappingError
        where they do not fit, saying how many would.
    """
    each, cores = len(one.cores), one.machine.cores
    wanted = cores // each if copies == FILL else int(copies)
    n, found, why = _most(min(wanted, cores // each), lambda n: route(one if n == 1 else tiled(one, n, place, allot)))
    if n < wanted and copies != FILL:
        said = f"{each} cores each, the machine has {cores}" if why is None else f"with more, {why}"
        raise MappingError(
            f"copies: found {wanted}, {n} fit: {said}. What would help: fewer copies, or a larger machine (boards=).",
            rule="does-not-fit",
        )
    end = "" if why is None else "routing entries" if why.rule == "does-not-fit" else why.rule
    return found, n, {"copies_end": end} if end else {}


def _most(high: int, route: Callable[[int], Routed]) -> tuple[int, Routed, MappingError | None]:
    """The most copies up to `high` that are routed, by halves, and why no more are; None where all are.

    Raises
    ------
    MappingError
        where not even one copy is routed.
    """
    why, low, n, best = None, 0, high, None
    while low < high:
        try:
            best, low = route(n), n
        except MappingError as error:
            if error.rule not in ("does-not-fit", "cut-off") or n == 1:
                raise
            why, high = error, n - 1
        n = (low + high + 1) // 2
    assert best is not None
    return low, best, why


def tiled(one: Placement, copies: int, place: Place | None, allot: Allot | None) -> Placement:
    """A placement of several copies of one that is placed.

    Raises
    ------
    MappingError
        where a population already has the name of a copy.
    """
    wiring, net, n = one.wiring, one.net, len(one.net.slices)
    members, slices = dict(wiring.members), dict(one.slices)
    links, flat = list(wiring.links), list(net.slices)
    for k in range(1, copies):
        for name, m in wiring.members.items():
            if (new := named(name, k)) in members:
                raise MappingError(f"{new}: copy {k} of {name} needs this name. Rename the population.")
            of = m.relay_of if m.relay_of is None else named(m.relay_of, k)
            members[new] = replace(m, name=new, relay_of=of)
            slices[new] = tuple(replace(s, member=new) for s in one.slices[name])
            flat.extend(slices[new])
        links.extend(replace(q, source=named(q.source, k), target=named(q.target, k)) for q in wiring.links)
    pairs = net.target.size
    joined = Net(
        slices=tuple(flat),
        start=np.append((net.start[:-1] + pairs * np.arange(copies)[:, np.newaxis]).ravel(), pairs * copies),
        target=(net.target + n * np.arange(copies)[:, np.newaxis]).ravel(),
        packets=np.tile(net.packets, copies),
    )
    both = Wiring(members=members, links=tuple(links))
    return put(one.network, both, slices, joined, one.machine, place, allot)


def first_copy(placement: Placement, copies: int) -> Placement:
    """Copy 0 of a placement of several, where it is."""
    if copies == 1:
        return placement
    w, n = placement.wiring, len(placement.net.slices) // copies
    kept = list(w.members)[: len(w.members) // copies]
    mine, net = placement.net.slices[:n], placement.net
    return replace(
        placement,
        wiring=Wiring(members={m: w.members[m] for m in kept}, links=w.links[: len(w.links) // copies]),
        slices={m: placement.slices[m] for m in kept},
        cores={s: placement.cores[s] for s in mine},
        blocks={s: placement.blocks[s] for s in mine},
        net=Net(slices=mine, start=net.start[: n + 1], target=net.target[: net.start[n]], packets=net.packets[:n]),
    )


def copied(cores: Iterable[CoreImage], placement: Placement, copies: int) -> Iterable[CoreImage]:
    """The cores of all copies, from those of copy 0: the same memories with other keys."""
    if copies == 1:
        return cores
    found = list(cores)
    every, n, cores = placement.net.slices, len(found), tuple(found)
    of = _blocks(every[:n], placement.blocks)
    for k in range(1, copies):
        new = _blocks(every[k * n : (k + 1) * n], placement.blocks)
        for core, s in zip(cores, every[k * n : (k + 1) * n], strict=True):
            chip, pe = placement.cores[s]
            memory, dram = rekeyed(core, of, new)
            found.append(replace(core, chip=chip, pe=pe, memory=memory, dram=dram))
    return found


def _blocks(slices: tuple[Slice, ...], blocks: Mapping[Slice, KeyBlock]) -> NDArray[np.int64]:
    return np.array([blocks[s].base for s in slices], np.int64)


def rekeyed(
    core: CoreImage, old: NDArray[np.int64], new: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A core's memory and DRAM with each block of keys at another base; rows stay in rising order of keys.

    old, new : int64 (slices), the bases before and after
    """
    memory = core.memory
    d = Descriptor(*(int(w) for w in memory[:DESCRIPTOR_BYTES].view("<u4")))
    found = memory.copy()
    order = np.argsort(old)

    def moved(keys: NDArray[np.uint32]) -> NDArray[np.int64]:
        at = order[np.searchsorted(old[order], keys.astype(np.int64), side="right") - 1]
        return keys - old[at] + new[at]

    found[8:12].view("<u4")[:] = moved(memory[8:12].view("<u4"))
    rows = DESCRIPTOR_BYTES + TABLE_ENTRY.itemsize * d.table
    entries = found[rows + d.row_bytes :][: CONV_ENTRY.itemsize * d.conv_entries].view(CONV_ENTRY)
    entries["key"] = moved(entries["key"])
    table = memory[DESCRIPTOR_BYTES:rows].view(TABLE_ENTRY)
    keys = moved(table["key"])
    if d.word.by_slice:
        parts = blocks.moved(d.word, table, memory[rows : rows + d.row_bytes], core.dram, keys)
        found[DESCRIPTOR_BYTES:rows] = parts.table.view(np.uint8).ravel()
        found[rows : rows + d.row_bytes] = parts.rows
        return found, parts.dram
    by_key = np.argsort(keys)
    size = (ROW_HEADER.itemsize + 4 * -(-table["count"].astype(np.int64) // 2))[by_key]
    start = np.cumsum(size) - size
    into = found[DESCRIPTOR_BYTES:rows].view(TABLE_ENTRY)
    into["key"], into["offset"], into["count"] = keys[by_key], start, table["count"][by_key]
    data = memory[rows : rows + d.row_bytes].view("<u4")
    place = np.repeat((table["offset"].astype(np.int64)[by_key] - start) // 4, size // 4) + np.arange(data.size)
    words = found[rows : rows + d.row_bytes].view("<u4")
    words[:] = data[place]
    words[start // 4] = keys[by_key]
    return found, core.dram
