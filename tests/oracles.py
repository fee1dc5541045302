"""Slow, plain readings of what an image holds and what a Network asks for; nothing is shared with the library's own."""

from collections import Counter

import numpy as np

from s2nir.graph import Conv, Dense


def image_synapses(image):
    """Counter of (source, neuron, target, neuron, ticks from spike to effect) -> sum of weights, and words by target.

    Reads core memories by docs/image.md, byte by byte; relays are followed back to what they pass on.
    """
    cores = [_Core(c) for c in image.cores]
    owner = {}  # key -> (population, neuron, ticks on the way here)
    info = {i: p for p in image.populations for i in p.cores}
    relays = [i for i, c in enumerate(cores) if c.application == "relay"]
    for i, core in enumerate(cores):
        if core.application != "relay":
            for local, neuron in enumerate(core.neurons(info[i].view)):
                owner[core.key + local] = (info[i].name, neuron, 0)
    while relays:
        i = relays.pop(0)
        base, form, _ = core_words = cores[i].conv_entries()[0]
        assert len(core_words) == 3
        if base not in owner:
            relays.append(i)
            continue
        assert form & 31 == cores[i].key_bits
        for local in range(cores[i].n):
            name, neuron, ticks = owner[base + local]
            owner[cores[i].key + local] = (name, neuron, ticks + 1)
    sums, words = Counter(), Counter()
    for i, core in enumerate(cores):
        if core.application in ("spike_list", "relay"):
            continue
        mine = core.neurons(info[i].view)
        for key, target, weight, delay in core.rows():
            name, neuron, ticks = owner[key]
            sums[name, neuron, info[i].name, mine[target], ticks + 1 + delay] += weight
            words[info[i].name] += 1
        for key, target, weight in core.taps():
            name, neuron, ticks = owner[key]
            sums[name, neuron, info[i].name, mine[target], ticks + 1] += weight
    return Counter({k: w for k, w in sums.items() if w}), words


class _Core:
    def __init__(self, core):
        self.application = core.application
        self.memory, self.dram = core.memory.tobytes(), core.dram.tobytes()
        w = self.words(0, 16)
        self.form, self.n, self.key, self.key_bits = w[:4]
        self.tables, self.row_bytes, self.entries, self.geometries, self.kernel_bytes = w[5:10]
        self.c0, self.c1, self.y0, self.y1 = w[10] & 0xFFFF, w[10] >> 16, w[11] & 0xFFFF, w[11] >> 16
        self.x0, self.x1 = w[12], w[13]
        self.rows_at = 64 + 12 * self.tables
        self.entries_at = self.rows_at + self.row_bytes

    def words(self, at, n):
        return [int.from_bytes(self.memory[at + 4 * k : at + 4 * k + 4], "little") for k in range(n)]

    def neurons(self, view):
        _, h, w = view
        return [
            (c * h + y) * w + x
            for y in range(self.y0, self.y1) for x in range(self.x0, self.x1) for c in range(self.c0, self.c1)
        ]

    def rows(self):
        for t in range(self.tables):
            key, offset, count = self.words(64 + 12 * t, 3)
            if self.form >> 14 & 1:
                yield from self.part(key, self.rows_at + offset, count, compact=not self.form >> 13 & 1)
                continue
            for k in range(count):
                at = self.rows_at + offset + 12 + 2 * k
                word = int.from_bytes(self.memory[at : at + 2], "little")
                size, delay = (word >> 12, word >> 9 & 7) if self.form >> 13 & 1 else (word >> 9, 0)
                yield key, word & 255, -size if word >> 8 & 1 else size, delay

    def part(self, key, at, count, compact):
        """Rows of one source slice, compact or in DRAM, where their places are too if the region of rows is empty."""
        wide = 2 if compact else 4
        held, at = (self.dram, at - self.rows_at) if not compact and not self.row_bytes else (self.memory, at)
        places = [int.from_bytes(held[at + wide * k : at + wide * (k + 1)], "little") for k in range(count + 1)]
        data = self.memory[at + -(-wide * (count + 1) // 4) * 4 :] if compact else self.dram
        for local in range(count):
            for k in range(places[local], places[local + 1]):
                word = data[wide * k : wide * (k + 1)]
                if any(word):  # of DRAM, a row ends in zeros
                    yield (key + local, int.from_bytes(word[: wide // 2], "little"),
                           int.from_bytes(word[-1:], "little", signed=True), 0 if compact else word[2])

    def conv_entries(self):
        return [self.words(self.entries_at + 12 * e, 3) for e in range(self.entries)]

    def taps(self):
        """(key, local target, weight) of every kernel tap between a source pixel and a target pixel."""
        at = self.entries_at + 12 * self.entries
        kernels = at + 16 * self.geometries
        channels = self.c1 - self.c0
        for g in range(self.geometries):
            a, b, c, d = self.words(at + 16 * g, 4)
            kh, kw, sy, sx, dy, dx = a & 63, a >> 6 & 63, a >> 12 & 15, a >> 16 & 15, a >> 20 & 31, a >> 25 & 31
            py, px, wh, ww, ty, tx = b & 255, b >> 8 & 255, b >> 16 & 15, b >> 20 & 15, b >> 24 & 15, b >> 28
            qy, qx, per_in, per_out = c & 7, c >> 3 & 7, c >> 6 & 8191, c >> 19
            ph, pw = d & 4095, d >> 12 & 4095
            raw = self.memory[kernels : kernels + per_in * kh * kw * channels]
            kernel = np.frombuffer(raw, np.int8).reshape(per_in, kh, kw, channels)
            kernels += -(-per_in * kh * kw * channels // 4) * 4
            places = {}
            for key, form, place in self.conv_entries():
                if form >> 5 & 31 != g:
                    continue
                c0, cn = form >> 10 & 2047, (form >> 21) + 1
                y0, x0, yn, xn = place & 255, place >> 8 & 255, (place >> 16 & 255) + 1, (place >> 24) + 1
                for y in range(yn):
                    for x in range(xn):
                        for ch in range(cn):
                            assert (c0 + ch, y0 + y, x0 + x) not in places, "a source twice in one geometry"
                            places[c0 + ch, y0 + y, x0 + x] = key + (y * xn + x) * cn + ch
            for oy in range(self.y0, self.y1):
                for ox in range(self.x0, self.x1):
                    for ic, ky, kx, local in zip(*np.nonzero(kernel), strict=True):
                        o = self.c0 + local
                        iy, ix = oy * sy + ky * dy - py, ox * sx + kx * dx - px
                        if not (0 <= iy < ph and 0 <= ix < pw):
                            continue
                        target = ((oy - self.y0) * (self.x1 - self.x0) + ox - self.x0) * channels + local
                        for wy in range(wh):
                            for wx in range(ww):
                                key = places.get((ic + o // per_out * per_in, iy * ty + wy - qy, ix * tx + wx - qx))
                                if key is not None:
                                    yield key, int(target), int(kernel[ic, ky, kx, local])


def network_synapses(network, hops):
    """The same Counter from a Network's projections, and words by target of the projections that are matrices."""
    sums, words = Counter(), Counter()
    for q, hop in zip(network.projections, hops, strict=True):
        c = q.connection
        if isinstance(c, Conv):
            for source, target, weight in _taps(c):
                sums[q.source, source, q.target, target, hop] += weight
        elif isinstance(c, Dense):
            for target in range(c.weight.shape[0]):
                for source in range(c.weight.shape[1]):
                    if c.weight[target, source]:
                        sums[q.source, source, q.target, target, hop] += int(c.weight[target, source])
                        words[q.target] += 1
        else:
            for source in range(c.sources):
                for k in range(c.start[source], c.start[source + 1]):
                    if c.weight[k]:
                        sums[q.source, source, q.target, int(c.target[k]), hop + int(c.delay[k])] += int(c.weight[k])
                        words[q.target] += 1
    return Counter({k: w for k, w in sums.items() if w}), words


def _taps(c):
    (_, h, w), (oc, oh, ow) = c.in_shape, c.out_shape
    _, ph, pw = c.pooled_shape
    size = c.pool.size if c.pool else (1, 1)
    step = c.pool.stride if c.pool else (1, 1)
    pad = c.pool.padding if c.pool else (0, 0)
    per_in, per_out = c.weight.shape[1], oc // c.groups
    for o, i, ky, kx in zip(*np.nonzero(c.weight), strict=True):
        for oy in range(oh):
            for ox in range(ow):
                iy = oy * c.stride[0] + ky * c.dilation[0] - c.padding[0]
                ix = ox * c.stride[1] + kx * c.dilation[1] - c.padding[1]
                if not (0 <= iy < ph and 0 <= ix < pw):
                    continue
                for wy in range(size[0]):
                    for wx in range(size[1]):
                        y, x = iy * step[0] + wy - pad[0], ix * step[1] + wx - pad[1]
                        if 0 <= y < h and 0 <= x < w:
                            ic = i + o // per_out * per_in
                            yield int((ic * h + y) * w + x), int((o * oh + oy) * ow + ox), int(c.weight[o, i, ky, kx])


def way(image, chip, key):
    """Where a packet goes from a router on, by table, link and coordinate alone: Counters of the cores (chip, PE) that
    it comes to, of the routers (chips) that it passes and of the links (chip, link) that it crosses.

    Plain Python over the tables' integers; a packet that goes round for ever, or off the machine, is an error.
    """
    machine, ways = image.machine, [(chip, None, 0)]
    found, routers, links = Counter(), Counter(), Counter()
    steps = {0: (1, 0), 1: (1, 1), 2: (0, 1), 3: (-1, 0), 4: (-1, -1), 5: (0, -1)}
    wide, high = _torus(machine)
    there = set(machine.coordinates)
    dead = {(c, n) for c, n in machine.faults.links}
    while ways:
        (x, y), came, hops = ways.pop()
        assert hops <= len(there), f"key {key:#x} goes round"
        routers[x, y] += 1
        table = image.tables.get((x, y))
        route = None
        for k, m, r in zip(table.key, table.mask, table.route, strict=True) if table is not None else ():
            if key & int(m) == int(k):
                route = int.from_bytes(r.tobytes(), "little")
                break
        if route is None:
            if came is None or not machine.default_routes:
                continue
            route = 1 << (came + 3) % 6
        for bit in range(158):
            if not route >> bit & 1:
                continue
            if bit >= 6:
                found[(x, y), bit - 6] += 1
                continue
            dx, dy = steps[bit]
            other = ((x + dx) % wide, (y + dy) % high) if wide else (x + dx, y + dy)
            assert other in there, f"key {key:#x} leaves the machine at {(x, y)} by {bit}"
            assert not dead & {((x, y), bit), (other, (bit + 3) % 6)}, f"key {key:#x} over a dead link"
            links[(x, y), bit] += 1
            ways.append((other, (bit + 3) % 6, hops + 1))
    return found, routers, links


def traffic(recording):
    """Packets by recording and tick: Counters of cores in, routers, links and cores out, every event's key by itself.

    Keys and cores come from the memories' descriptors; nothing of the emulator's walk is used.
    """
    image, walked, held = recording.image, {}, {}
    cores = [_Core(c) for c in image.cores]
    sender = [(c.chip, c.pe, core.key + k) for c, core in zip(image.cores, cores, strict=True) for k in range(core.n)]
    for b in range(recording.batch):
        begin, source, count = recording.inputs[b]
        events = [(t, source[k], count[k]) for t in range(recording.ticks) for k in range(begin[t], begin[t + 1])]
        for tick, s, n in events + list(zip(*recording.events[b], strict=True)):
            chip, pe, key = sender[int(s)]
            if key not in walked:
                walked[key] = way(image, chip, key)
            kinds = held.setdefault((b, int(tick)), [Counter() for _ in range(4)])
            for kind, places in zip(kinds, walked[key], strict=False):
                for place, times in places.items():
                    kind[place] += int(n) * times
            kinds[3][chip, pe] += int(n)
    return held


def _torus(machine):
    return (0, 0) if machine.boards in (None, 1) else machine.topology.size


def hearing(image):
    """For every key in use: its chip, and the cores (chip, PE) whose memory holds something for its slice."""
    cores = [_Core(c) for c in image.cores]
    of = {}
    for c, core in zip(image.cores, cores, strict=True):
        of.update(dict.fromkeys(range(core.key, core.key + core.n), (c.chip, set())))
    for c, core in zip(image.cores, cores, strict=True):
        if core.application == "spike_list":
            continue
        heard = {key for key, *_ in core.rows()} if core.application != "relay" else set()
        for key in heard | {base for base, _, _ in core.conv_entries()}:
            of[key][1].add((c.chip, c.pe))
    return of
