"""Every breach of a legal image, as sentences; written from the layout alone, without the code that makes images.

It walks a packet of every key through the routing tables, looks it up in every core it reaches, reads every row, entry,
geometry and kernel, and adds up every byte.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..machine import DRAM, LINKS, Chip, Word
from .blocks import check as check_blocks
from .blocks import read as read_blocks
from .image import SHARD, CoreImage, MachineImage, let_go
from .layout import REFRACTORY_SHIFT, Regions, regions, unpack_conv_entry, unpack_geometry, unpack_words

NO_NEURONS = ("spike_list", "relay")


def check(image: MachineImage) -> Iterator[str]:
    """Sentences, one per breach; none for a legal image."""
    places = [(c.chip, c.pe) for c in image.cores]
    if len(set(places)) != len(places):
        yield "two core images are for the same core"
    found: list[Regions] = []
    usable = set(image.machine.usable)
    for i, core in enumerate(image.cores):
        if i % SHARD == 0 and i:
            let_go(image.cores[i - 1])
        where = _name(core)
        if (core.chip, core.pe) not in usable:
            yield f"{where}: not a usable core of this machine"
        r = regions(core.memory, core.application not in NO_NEURONS)
        if isinstance(r, str):
            yield f"{where}: {r}"
            return
        found.append(r)
        yield from _core(where, core, r)
    held: dict[Chip, int] = {}
    for core in image.cores:
        held[core.chip] = held.get(core.chip, 0) + core.dram.size
    for chip in sorted(c for c, n in held.items() if n > DRAM):
        yield f"chip {chip}: {held[chip]} bytes of DRAM, a chip has {DRAM}"
    yield from _directory(image, found)
    yield from _routes(image, found)


def _name(core: CoreImage) -> str:
    return f"core {core.chip} PE {core.pe} ({core.application})"


def _core(where: str, core: CoreImage, r: Regions) -> Iterator[str]:
    """One core's bytes: the sum, the descriptor, rows, geometries, kernels and neurons."""
    d = r.descriptor
    if core.used > core.window:
        yield f"{where}: {core.used} bytes, {core.used - core.window} over the window of {core.window}"
    least = core.memory.size
    if core.application == "relay":
        least += 8 * d.neurons
    elif core.application not in NO_NEURONS:
        least += (16 + (8 * d.ring if d.ring > 1 else 0)) * d.neurons
    if d.total < least:
        yield f"{where}: counts {d.total} bytes, its tables and state alone take {least}"
    if d.neurons > 1 << d.key_bits or d.key % (1 << d.key_bits) or d.neurons < 1:
        yield f"{where}: {d.neurons} neurons do not fit the key block {d.key:#x} of {d.key_bits} bits"
    c0, c1, y0, y1, x0, x1 = d.box
    if (c1 - c0) * (y1 - y0) * (x1 - x0) != d.neurons:
        yield f"{where}: the box {d.box} does not hold {d.neurons} neurons"
    if d.ring != (8 if d.delay_word else 1) and not (d.word is Word.DRAM and 1 <= d.ring <= 256):
        yield f"{where}: {d.ring} ring slots"
    yield from _blocks(where, core, r) if d.word.by_slice else _rows(where, r)
    if core.application == "relay":
        if d.conv_entries != 1 or d.geometries or d.table:
            yield f"{where}: a relay has one entry"
        return
    yield from _convolutions(where, r)
    yield from _drive(where, core, r)
    flags = r.neurons[:, 5]
    if ((flags >> 1 & 3) == 3).any() or (flags >> REFRACTORY_SHIFT >> 16).any() or (flags & 0xC0).any():
        yield f"{where}: neuron flags that mean nothing"
    if not d.fixed and r.neurons.size and not np.isfinite(r.neurons[:, [0, 1, 2, 4, 6, 7]].copy().view("<f4")).all():
        yield f"{where}: a neuron parameter is not finite"


def _drive(where: str, core: CoreImage, r: Regions) -> Iterator[str]:
    """The Poisson drive of one core."""
    d = r.descriptor
    if d.driven != core.application.endswith("_poisson"):
        yield f"{where}: {'has' if d.driven else 'lacks'} a Poisson drive, which its application does not say"
    if r.drive is None:
        return
    c1, y1, x1 = d.box[1], d.box[3], d.box[5]
    if y1 > r.drive.height or x1 > r.drive.width or c1 * r.drive.height * r.drive.width > 1 << 32:
        yield f"{where}: its drive counts neurons in {r.drive.height} x {r.drive.width}, the box is {d.box}"
    if (r.drive.law[1:] < r.drive.law[:-1]).any():
        yield f"{where}: the law of its drive does not rise"
    if (r.drive.weight == -128).any():
        yield f"{where}: its drive holds -128, which has no counterpart"


def _blocks(where: str, core: CoreImage, r: Regions) -> Iterator[str]:
    """Rows that are found by source slice."""
    d = r.descriptor
    if d.word is not Word.DRAM and core.dram.size:
        yield f"{where}: has {core.dram.size} bytes of DRAM, which no row names"
    faults = list(check_blocks(d.word, r.table, r.rows, core.dram))
    yield from (f"{where}: {fault}" for fault in faults)
    found = f"{where}: its rows cannot be read" if faults else read_blocks(d.word, r.table, r.rows, core.dram)
    if isinstance(found, str):
        return
    if (found.target >= d.neurons).any():
        yield f"{where}: a row names neuron {int(found.target.max())} of {d.neurons}"
    if (found.delay >= d.ring).any():
        yield f"{where}: a synapse waits {int(found.delay.max())} ticks in a ring of {d.ring} slots"
    if (found.weight == -128).any():
        yield f"{where}: a row holds -128, which has no counterpart"


def _rows(where: str, r: Regions) -> Iterator[str]:
    d, table = r.descriptor, r.table
    key, offset, count = (table[n].astype(np.int64) for n in ("key", "offset", "count"))
    if (np.diff(key) <= 0).any():
        yield f"{where}: the population table is not in rising order of keys"
    size = 12 + 4 * -(-count // 2)
    expected = np.cumsum(size) - size
    wrong = np.flatnonzero((offset != expected) | (offset + size > r.rows.size))
    if wrong.size:
        i = int(wrong[0])
        yield f"{where}: row of key {int(key[i]):#x} starts at {int(offset[i])}, expected {int(expected[i])}"
        return
    if int(size.sum()) != r.rows.size:
        yield f"{where}: {r.rows.size - int(size.sum())} bytes of rows that no table entry names"
    if not table.size:
        return
    head = r.rows.view("<u4")[(offset[:, np.newaxis] // 4 + np.arange(3))]
    said = np.stack([key, count, np.zeros_like(key)], axis=1)
    for i in np.flatnonzero((head != said).any(axis=1)).tolist():
        yield f"{where}: row of key {int(key[i]):#x} has header {head[i].tolist()}, the table says {said[i].tolist()}"
    words = r.rows.view("<u2")
    odd = np.flatnonzero(count % 2)
    for i in odd[words[(offset + size)[odd] // 2 - 1] != 0].tolist():
        yield f"{where}: row of key {int(key[i]):#x} ends in a word that is not zero"
    row = np.repeat(np.arange(count.size), count)
    place = offset[row] // 2 + 6 + np.arange(row.size) - (np.cumsum(count) - count)[row]
    weight, _, target = unpack_words(words[place], d.delay_word)
    for i in np.unique(row[target >= d.neurons]).tolist():
        yield f"{where}: row of key {int(key[i]):#x} names neuron {int(target[row == i].max())} of {d.neurons}"
    for i in np.unique(row[weight == 0]).tolist():
        yield f"{where}: row of key {int(key[i]):#x} holds a weight of zero"


def _convolutions(where: str, r: Regions) -> Iterator[str]:
    d = r.descriptor
    channels = d.box[1] - d.box[0]
    at = 0
    for i, words in enumerate(r.geometries):
        g = unpack_geometry(words)
        if min(g.kh, g.kw, g.stride_y, g.stride_x, g.dilation_y, g.dilation_x, g.pool_h, g.pool_w, g.pool_stride_y,
               g.pool_stride_x, g.per_in, g.per_out, g.pooled_h, g.pooled_w) < 1 or int(words[3]) >> 24:
            yield f"{where}: geometry {i} holds a size of zero, or bits that mean nothing"
            return
        size = g.kernel_bytes(channels)
        used = g.per_in * g.kh * g.kw * channels
        if r.kernels[at + used : at + size].any():
            yield f"{where}: kernel {i} ends in bytes that are not zero"
        if (r.kernels[at : at + used] == -128).any():
            yield f"{where}: kernel {i} holds -128, which has no counterpart"
        kernel = r.kernels[at : at + used].reshape(g.per_in, g.kh, g.kw, channels)
        for ky in range(g.kh):
            rows = [y * g.stride_y + ky * g.dilation_y - g.pad_y for y in range(d.box[2], d.box[3])]
            for kx in range(g.kw):
                columns = [x * g.stride_x + kx * g.dilation_x - g.pad_x for x in range(d.box[4], d.box[5])]
                dead = not any(0 <= y < g.pooled_h for y in rows) or not any(0 <= x < g.pooled_w for x in columns)
                if dead and kernel[:, ky, kx].any():
                    yield f"{where}: kernel {i} has a weight at ({ky}, {kx}), which only meets padding"
        at += size
    if at != r.kernels.size:
        yield f"{where}: {r.kernels.size} bytes of kernels, the geometries need {at}"
    for entry in r.conv_entries:
        if unpack_conv_entry(entry)[2] >= d.geometries:
            yield f"{where}: an entry names geometry {unpack_conv_entry(entry)[2]} of {d.geometries}"


def _directory(image: MachineImage, found: list[Regions]) -> Iterator[str]:
    """The host's directory against what the cores say: each neuron of a population on one core, once."""
    listed = [i for p in image.directory for i in p.cores]
    if sorted(listed) != list(range(len(image.cores))):
        yield "the directory does not name every core once"
        return
    kinds = {"spike_list": "input", "relay": "relay"}
    for p in image.directory:
        held = np.zeros(p.view, np.int64)
        for i in p.cores:
            c0, c1, y0, y1, x0, x1 = found[i].descriptor.box
            held[c0:c1, y0:y1, x0:x1] += 1
            if kinds.get(image.cores[i].application, "neurons") != p.kind:
                yield f"{p.name}: core {i} runs {image.cores[i].application}, the directory says {p.kind}"
            if found[i].descriptor.shift != p.shift and p.kind == "neurons":
                yield f"{p.name}: core {i} shifts by {found[i].descriptor.shift}, the directory says {p.shift}"
        if (held != 1).any():
            yield f"{p.name}: {int((held == 0).sum())} neurons on no core, {int((held > 1).sum())} on several"
    for output, name in image.outputs.items():
        if name not in {p.name for p in image.populations}:
            yield f"output {output}: names {name!r}, which is not in the directory"


def _routes(image: MachineImage, found: list[Regions]) -> Iterator[str]:
    """A packet of every key through the tables, and what the cores it reaches make of it."""
    heads = [r.descriptor for r in found]
    base = np.array([d.key for d in heads], np.int64)
    order = np.argsort(base, kind="stable")
    end = base + np.array([1 << d.key_bits for d in heads], np.int64)
    for a, b in zip(order, order[1:], strict=False):
        if end[a] > base[b]:
            yield f"{_name(image.cores[a])} and {_name(image.cores[b])}: both own key {int(base[b]):#x}"
    for chip, table in image.tables.items():
        if table.entries > image.machine.router_entries:
            yield f"chip {chip}: {table.entries} routing entries of {image.machine.router_entries}"
        if (table.key & ~table.mask).any():
            yield f"chip {chip}: an entry compares bits that its mask leaves out"
    walk = Walk(image, found)
    yield from walk.breaches()
    sources = walk.sources()
    by_base, owner = base[order], order
    for i, r in enumerate(found):
        if i % SHARD == 0 and i:
            let_go(image.cores[i - 1])
        yield from _arrivals(image, found, (by_base, owner), i, r, sources[i])


class Walk:
    """Packets of every key of every core from router to router, over links that are there, to each core once.

    All packets that come to a chip in one hop are looked up together.
    """

    def __init__(self, image: MachineImage, found: list[Regions]) -> None:
        self.image, self.heads = image, [r.descriptor for r in found]
        self.t = image.machine.topology
        self.number = {(int(x), int(y)): k for k, (x, y) in enumerate(self.t.chip)}
        self.core = {(c.chip, c.pe): i for i, c in enumerate(image.cores)}
        self.hit = {chip: np.zeros(table.entries, bool) for chip, table in image.tables.items()}
        self.been: set[tuple[int, Chip]] = set()
        self.reached: list[tuple[NDArray[np.int64], int]] = []  # source cores, core

    def breaches(self) -> Iterator[str]:
        """What goes wrong on the way, as sentences."""
        ways: dict[tuple[Chip, int], list[int]] = {}
        for i in np.argsort([d.key for d in self.heads], kind="stable").tolist():
            ways.setdefault((self.image.cores[i].chip, -1), []).append(i)
        while ways:
            after: dict[tuple[Chip, int], list[int]] = {}
            for (chip, came), blocks in sorted(ways.items()):
                yield from self._arrive(chip, came, blocks, after)
            ways = after
        for chip in sorted(self.hit):
            for e in np.flatnonzero(~self.hit[chip]):
                yield f"chip {chip}: entry {e} matches no key in use"

    def sources(self) -> list[NDArray[np.int64]]:
        """By core, the source cores whose packets reach it, rising."""
        parts: list[list[NDArray[np.int64]]] = [[] for _ in self.image.cores]
        for blocks, core in self.reached:
            parts[core].append(blocks)
        return [np.unique(np.concatenate([np.zeros(0, np.int64), *p])) for p in parts]

    def _arrive(
        self, chip: Chip, came: int, blocks: list[int], after: dict[tuple[Chip, int], list[int]]
    ) -> Iterator[str]:
        """Packets of some source cores on one chip, which they came to over one link (-1: they start there)."""
        new = []
        for i in blocks:
            if (i, chip) in self.been:
                yield f"chip {chip}: packets of key {self.heads[i].key:#x} come by twice"
            else:
                self.been.add((i, chip))
                new.append(i)
        if not new:
            return
        table = self.image.tables.get(chip)
        sizes = np.array([self.heads[i].neurons for i in new])
        of = np.repeat(np.arange(len(new)), sizes)
        first = np.array([self.heads[i].key for i in new], np.int64)
        keys = (first[of] + np.arange(of.size) - (np.cumsum(sizes) - sizes)[of]).astype(np.uint32)
        entry = np.full(keys.size, -1) if table is None else table.lookup(keys)
        ways: dict[bytes, list[int]] = {}
        for k, entries in enumerate(np.split(entry, np.cumsum(sizes)[:-1])):
            met = np.unique(entries)
            words = {b"" if e < 0 or table is None else table.route[e].tobytes() for e in met.tolist()}
            if len(words) != 1:
                yield f"{_name(self.image.cores[new[k]])}: its keys meet {len(words)} different routes on chip {chip}"
                continue
            yield from self._entries(chip, new[k], met)
            ways.setdefault(words.pop(), []).append(new[k])
        for word, mine in sorted(ways.items()):
            yield from self._send(chip, came, word, mine, after)

    def _entries(self, chip: Chip, i: int, met: NDArray[np.int64]) -> Iterator[str]:
        """Entries that the keys of one core meet: marked, and of a table without merges exactly its own."""
        table, d = self.image.tables.get(chip), self.heads[i]
        if table is None or met[0] < 0:
            return
        self.hit[chip][met] = True
        for e in met.tolist() if not table.minimised else ():
            size = 1 << d.key_bits
            if (int(table.key[e]), int(table.mask[e])) != (d.key, ~(size - 1) & 0xFFFFFFFF):
                yield f"chip {chip}: entry {e} matches other keys than the block {d.key:#x} of {size} keys"

    def _send(
        self, chip: Chip, came: int, word: bytes, blocks: list[int], after: dict[tuple[Chip, int], list[int]]
    ) -> Iterator[str]:
        """Packets that one route word sends on, or that no entry matches (an empty word)."""
        first = self.heads[blocks[0]].key
        if word:
            bits = np.flatnonzero(np.unpackbits(np.frombuffer(word, np.uint8), bitorder="little")).tolist()
        elif came < 0:
            return
        elif self.image.machine.default_routes:
            bits = [(came + LINKS // 2) % LINKS]
        else:
            yield f"chip {chip}: no entry for the key {first:#x}, which comes in there"
            return
        for bit in bits:
            there = int(self.t.neighbour[self.number[chip], bit]) if bit < LINKS and chip in self.number else -1
            if bit < LINKS and there >= 0:
                to = (int(self.t.chip[there, 0]), int(self.t.chip[there, 1]))
                after.setdefault((to, (bit + LINKS // 2) % LINKS), []).extend(blocks)
            elif bit < LINKS or (chip, bit - LINKS) not in self.core:
                yield f"chip {chip}: sends key {first:#x} to bit {bit}, where nothing is loaded"
            else:
                self.reached.append((np.array(blocks, np.int64), self.core[chip, bit - LINKS]))


def _arrivals(
    image: MachineImage, found: list[Regions], blocks: tuple[NDArray[np.int64], NDArray[np.int64]], i: int,
    r: Regions, sources: NDArray[np.int64],
) -> Iterator[str]:
    """What a core has tables for against what reaches it; blocks : bases, rising, and whose they are"""
    where, (bases, owner) = _name(image.cores[i]), blocks
    heard = [np.zeros(0, np.int64)]
    keys = r.table["key"].astype(np.int64)
    if keys.size and r.descriptor.word.by_slice:
        for key, n in zip(keys.tolist(), r.table["count"].tolist(), strict=True):
            j = int(np.searchsorted(bases, key))
            if j >= bases.size or bases[j] != key or found[owner[j]].descriptor.neurons != n:
                yield f"{where}: an entry for {n} keys from {key:#x} on, which is no slice"
            else:
                heard.append(owner[j : j + 1])
    elif keys.size:
        at = np.searchsorted(bases, keys, side="right") - 1
        spans, first = np.unique(at, return_index=True)
        last = keys[np.append(first[1:], keys.size) - 1] if (np.diff(keys) > 0).all() else None
        for k, j in enumerate(spans.tolist()):
            top = int(keys[at == j].max()) if last is None else int(last[k])
            if j < 0 or top >= bases[j] + found[owner[j]].descriptor.neurons:
                yield f"{where}: a row for key {top:#x}, which no neuron has"
            else:
                heard.append(owner[j : j + 1])
    seen = set()
    for entry in r.conv_entries:
        key, bits, geometry, box = unpack_conv_entry(entry)
        j = int(np.searchsorted(bases, key))
        source = int(owner[j]) if j < bases.size and bases[j] == key else -1
        if source < 0 or found[source].descriptor.key_bits != bits:
            yield f"{where}: an entry for the keys {key:#x} of {bits} bits, which no slice has"
            continue
        d = found[source].descriptor
        if image.cores[i].application == "relay":
            if d.neurons != r.descriptor.neurons:
                yield f"{where}: relays {d.neurons} sources with {r.descriptor.neurons} of its own"
        elif d.box != box:
            yield f"{where}: an entry says slice {key:#x} is {box}, it is {d.box}"
        elif (key, geometry) in seen:
            yield f"{where}: two entries for slice {key:#x} and geometry {geometry}"
        seen.add((key, geometry))
        heard.append(np.array([source]))
    known = np.unique(np.concatenate(heard))
    for s in np.setdiff1d(known, sources).tolist():
        yield f"{where}: has tables for {_name(image.cores[s])}, whose packets do not reach it"
    for s in np.setdiff1d(sources, known).tolist():
        yield f"{where}: packets of {_name(image.cores[s])} reach it, it has no tables for them"
