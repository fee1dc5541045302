"""Every breach of a legal image, as sentences; written from the layout alone, without the code that makes images.

It walks a packet of every key through the routing tables, looks it up in every core it reaches, reads every row, entry,
geometry and kernel, and adds up every byte.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..machine import LINKS
from .image import CoreImage, MachineImage
from .layout import REFRACTORY_SHIFT, Regions, regions, unpack_conv_entry, unpack_geometry, unpack_words

NO_NEURONS = ("spike_list", "relay")


def check(image: MachineImage) -> Iterator[str]:
    """Sentences, one per breach; none for a legal image."""
    places = [(c.chip, c.pe) for c in image.cores]
    if len(set(places)) != len(places):
        yield "two core images are for the same core"
    found: list[Regions] = []
    usable = set(image.machine.usable)
    for core in image.cores:
        where = _name(core)
        if (core.chip, core.pe) not in usable:
            yield f"{where}: not a usable core of this machine"
        r = regions(core.memory, core.application not in NO_NEURONS)
        if isinstance(r, str):
            yield f"{where}: {r}"
            return
        found.append(r)
        yield from _core(where, core, r)
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
        least += (16 + (64 if d.delay_word else 0)) * d.neurons
    if d.total < least:
        yield f"{where}: counts {d.total} bytes, its tables and state alone take {least}"
    if d.neurons > 1 << d.key_bits or d.key % (1 << d.key_bits) or d.neurons < 1:
        yield f"{where}: {d.neurons} neurons do not fit the key block {d.key:#x} of {d.key_bits} bits"
    c0, c1, y0, y1, x0, x1 = d.box
    if (c1 - c0) * (y1 - y0) * (x1 - x0) != d.neurons:
        yield f"{where}: the box {d.box} does not hold {d.neurons} neurons"
    if d.ring != (8 if d.delay_word else 1):
        yield f"{where}: {d.ring} ring slots"
    yield from _rows(where, r)
    if core.application == "relay":
        if d.conv_entries != 1 or d.geometries or d.table:
            yield f"{where}: a relay has one entry"
        return
    yield from _convolutions(where, r)
    flags = r.neurons[:, 5]
    if ((flags >> 1 & 3) == 3).any() or (flags >> REFRACTORY_SHIFT >> 16).any() or (flags & 0xC0).any():
        yield f"{where}: neuron flags that mean nothing"
    if not d.fixed and r.neurons.size and not np.isfinite(r.neurons[:, [0, 1, 2, 4, 6, 7]].copy().view("<f4")).all():
        yield f"{where}: a neuron parameter is not finite"


def _rows(where: str, r: Regions) -> Iterator[str]:
    d, table = r.descriptor, r.table
    keys = table["key"].astype(np.int64)
    if (np.diff(keys) <= 0).any():
        yield f"{where}: the population table is not in rising order of keys"
    count = table["count"].astype(np.int64)
    size = 12 + 4 * -(-count // 2)
    start = np.cumsum(size) - size
    wrong = np.flatnonzero((table["offset"] != start) | (start + size > r.rows.size))
    if wrong.size:
        i = wrong[0]
        yield f"{where}: row of key {int(keys[i]):#x} starts at {int(table['offset'][i])}, expected {int(start[i])}"
        return
    words = r.rows.view("<u2")
    head = r.rows.view("<u4")[start[:, np.newaxis] // 4 + np.arange(3)] if keys.size else np.zeros((0, 3), np.int64)
    needed = np.stack([keys, count, np.zeros_like(keys)], axis=1)
    for i in np.flatnonzero((head != needed).any(axis=1)):
        yield (f"{where}: row of key {int(keys[i]):#x} has header {head[i].tolist()}, the table says "
               f"{needed[i].tolist()}")
    odd = np.flatnonzero(count % 2)
    for i in odd[words[(start + size)[odd] // 2 - 1] != 0]:
        yield f"{where}: row of key {int(keys[i]):#x} ends in a word that is not zero"
    row = np.repeat(np.arange(count.size), count)
    place = np.repeat(start // 2 + 6 - np.cumsum(count) + count, count) + np.arange(row.size)
    weight, _, target = unpack_words(words[place], d.delay_word)
    for i in np.unique(row[target >= d.neurons]):
        most = int(target[row == i].max())
        yield f"{where}: row of key {int(keys[i]):#x} names neuron {most} of {d.neurons}"
    for i in np.unique(row[weight == 0]):
        yield f"{where}: row of key {int(keys[i]):#x} holds a weight of zero"
    if size.sum() != r.rows.size:
        yield f"{where}: {r.rows.size - size.sum()} bytes of rows that no table entry names"


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
    blocks = sorted((d.key, d.neurons, 1 << d.key_bits, i) for i, d in enumerate(heads))
    for (base, _, size, a), (after, _, _, b) in zip(blocks, blocks[1:], strict=False):
        if base + size > after:
            yield f"{_name(image.cores[a])} and {_name(image.cores[b])}: both own key {after:#x}"
    reached: dict[int, set[int]] = {i: set() for i in range(len(found))}  # core -> source cores
    where = {(c.chip, c.pe): i for i, c in enumerate(image.cores)}
    hit = {chip: np.zeros(table.entries, bool) for chip, table in image.tables.items()}
    for chip, table in image.tables.items():
        if table.entries > image.machine.router_entries:
            yield f"chip {chip}: {table.entries} routing entries of {image.machine.router_entries}"
        if (table.key & ~table.mask).any():
            yield f"chip {chip}: an entry compares bits that its mask leaves out"
    for block in blocks:
        yield from _packet(image, block, where, hit, reached)
    for chip in sorted(hit):
        for e in np.flatnonzero(~hit[chip]):
            yield f"chip {chip}: entry {e} matches no key in use"
    owner = {d.key: s for s, d in enumerate(heads)}
    bases = np.array(sorted(owner), np.int64)
    for i, r in enumerate(found):
        yield from _arrivals(image, found, i, r, reached[i], (owner, bases))


def _packet(
    image: MachineImage, block: tuple[int, int, int, int], where: dict[tuple[tuple[int, int], int], int],
    hit: dict[tuple[int, int], NDArray[np.bool_]], reached: dict[int, set[int]],
) -> Iterator[str]:
    """A packet of every key of one core, from router to router, over links that are there, to each core once."""
    base, n, size, i = block
    t = image.machine.topology
    number = {(int(x), int(y)): k for k, (x, y) in enumerate(t.chip)}
    keys = np.arange(base, base + n, dtype=np.int64).astype(np.uint32)
    ways: list[tuple[tuple[int, int], int]] = [(image.cores[i].chip, -1)]
    been = set()
    while ways:
        chip, came = ways.pop()
        if chip in been:
            yield f"chip {chip}: packets of key {base:#x} come by twice"
            continue
        been.add(chip)
        table = image.tables.get(chip)
        entries = np.full(n, -1) if table is None else table.lookup(keys)
        routes = {b"" if e < 0 or table is None else table.route[e].tobytes() for e in np.unique(entries).tolist()}
        if len(routes) != 1:
            yield f"{_name(image.cores[i])}: its keys meet {len(routes)} different routes on chip {chip}"
            continue
        if table is None or entries[0] < 0:
            if came < 0:
                continue
            if not image.machine.default_routes:
                yield f"chip {chip}: no entry for the key {base:#x}, which comes in there"
                continue
            bits = [(came + LINKS // 2) % LINKS]
        else:
            hit[chip][entries] = True
            bits = table.bits(int(entries[0]))
            for e in np.unique(entries).tolist() if not table.minimised else ():
                if (int(table.key[e]), int(table.mask[e])) != (base, ~(size - 1) & 0xFFFFFFFF):
                    yield f"chip {chip}: entry {e} matches other keys than the block {base:#x} of {size} keys"
        for bit in bits:
            there = int(t.neighbour[number[chip], bit]) if bit < LINKS and chip in number else -1
            if bit < LINKS and there >= 0:
                ways.append(((int(t.chip[there, 0]), int(t.chip[there, 1])), (bit + LINKS // 2) % LINKS))
            elif bit < LINKS or (chip, bit - LINKS) not in where:
                yield f"chip {chip}: sends key {base:#x} to bit {bit}, where nothing is loaded"
            else:
                reached[where[chip, bit - LINKS]].add(i)


def _arrivals(
    image: MachineImage, found: list[Regions], i: int, r: Regions, sources: set[int],
    owners: tuple[dict[int, int], NDArray[np.int64]],
) -> Iterator[str]:
    """What a core has tables for against what reaches it; owners : core by the base of its keys, and the bases."""
    where, (owner, bases) = _name(image.cores[i]), owners
    heard: set[int] = set()
    keys = r.table["key"].astype(np.int64)
    if keys.size:
        at = np.searchsorted(bases, keys, side="right") - 1
        for j in np.unique(at):
            source = owner[int(bases[j])] if j >= 0 else -1
            of_it = keys[at == j]
            if source < 0 or (of_it >= bases[j] + found[source].descriptor.neurons).any():
                yield f"{where}: a row for key {int(of_it.max()):#x}, which no neuron has"
                continue
            heard.add(source)
    seen = set()
    for entry in r.conv_entries:
        key, bits, geometry, box = unpack_conv_entry(entry)
        source = owner.get(key, -1)
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
        heard.add(source)
    for s in sorted(heard - sources):
        yield f"{where}: has tables for {_name(image.cores[s])}, whose packets do not reach it"
    for s in sorted(sources - heard):
        yield f"{where}: packets of {_name(image.cores[s])} reach it, it has no tables for them"
