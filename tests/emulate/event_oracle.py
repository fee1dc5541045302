"""The oracle of event runs: heapq and plain objects, a packet and a neuron at a time; nothing of the event kernels.

Every delivery is an event, FIFOs are bounded as packets come, trees are followed by the links of a class. It shares the
decoded program, the cycles of the cost model and the routes with what it checks; not the trees, pairs, lists or loops.
"""

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, field

import numpy as np

from s2nir.cost import Cycles, synapses_per_core
from s2nir.emulate import program
from s2nir.fixedpoint import Arithmetic
from s2nir.machine import LINK_NAMES, NODES, floor_position

PS = 10**12
SUBTRACT, TO_VALUE, LATE, CURRENT = 2, 4, 8, 32


def ps(seconds):
    return round(float(seconds) * 1e12)


def multiply(state, decay):
    """state * decay / 2**31 in whole numbers, half to even."""
    down, rest = divmod(state * decay, 2**31)
    return down + (rest > 2**30 or (rest == 2**30 and down % 2))


@dataclass
class Core:
    number: int
    first: int
    end: int
    kind: str
    onset: int
    left: int
    tick: int = 0
    begins: int = 0  # the next tick
    fifo: deque = field(default_factory=deque)
    stalled: deque = field(default_factory=deque)
    over: bool = False  # whether the FIFO was full for some packet since the last tick
    slots: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    last: set = field(default_factory=set)
    held: dict = field(default_factory=lambda: defaultdict(int))
    v: dict = field(default_factory=dict)
    i: dict = field(default_factory=dict)
    counts: dict = field(default_factory=lambda: defaultdict(int))


class Oracle:
    """One round; afterwards `log`, `sent` (tick, source, number), `cores`, `routers`, `links`, `end`."""

    def __init__(self, image, timing, packets, ticks):
        self.image, self.timing, self.ticks = image, timing, ticks
        self.p = program(image)
        self.fixed = self.p.arithmetic is Arithmetic.FIXED
        self.cycles = Cycles(image, timing.reading, level=timing.level)
        self.words = synapses_per_core(image, self.p).toarray()
        self.tick_ps = ps(image.tick if timing.tick is None else timing.tick)
        self.policy = getattr(timing.overflow, "value", timing.overflow)
        self.heap, self.serial, self.log, self.sent, self.end = [], 0, [], [], 0
        self.chip = {c: k for k, c in enumerate(image.machine.coordinates)}
        self.at = [self.chip[c.chip] for c in image.cores]
        self.free = defaultdict(int)  # by ("router", chip) or ("link", link)
        self.served = defaultdict(lambda: [0, 0, 0, 0])  # packets, waited, longest, lost
        self.given = defaultdict(list)
        for tick in range(ticks):
            for k in range(packets[0][tick], packets[0][tick + 1]):
                source = int(packets[1][k])
                self.given[self.core_of(source), tick].append((source, int(packets[2][k])))
        self.cores = [self._core(i) for i in range(len(image.cores))]
        for core in self.cores:
            self.push(0, core.number, self.tick, core)
        while self.heap:
            when, _, _, do, args = heapq.heappop(self.heap)
            do(when, *args)
        for core in self.cores:
            core.counts["delivered"] += len(core.fifo) + len(core.stalled)

    def _core(self, i):
        first, end = int(self.p.first[i]), int(self.p.first[i + 1])
        name, g = self.image.cores[i].application, self.p.groups
        kind = "input" if name == "spike_list" else "relay" if name == "relay" else "neurons"
        k = int(np.flatnonzero((g.first <= first) & (g.end >= end))[0]) if kind != "input" else 0
        core = Core(i, first, end, kind, int(g.onset[k]) if g.first.size else 0, int(g.left[k]) if g.first.size else 0)
        zero = 0 if self.fixed else np.float32(0)
        core.v, core.i = (dict.fromkeys(range(first, end), zero) for _ in range(2))
        return core

    def core_of(self, neuron):
        return int(np.searchsorted(self.p.first, neuron, side="right") - 1)

    def push(self, when, item, do, *args):
        self.serial += 1
        heapq.heappush(self.heap, (when, item, self.serial, do, args))

    def hops(self, place, name="router"):
        return min(abs(place[0] - x) + abs(place[1] - y) for x, y in NODES[name])

    def to_core(self, core):
        pe = self.image.cores[core.number].pe
        return ps(self.hops(floor_position(pe)[:2]) * self.timing.hop_s)

    def to_link(self, link):
        return ps(min(self.hops(node) for node in NODES[LINK_NAMES[link % 6]]) * self.timing.hop_s)

    def serve(self, what, when, takes):
        begin, s = max(when, self.free[what]), self.served[what]
        if self.timing.patience_s is not None and begin - when > ps(self.timing.patience_s):
            s[3] += 1
            return None
        s[0], s[1], s[2] = s[0] + 1, s[1] + begin - when, max(s[2], begin - when)
        self.free[what] = begin + takes
        return begin + takes

    def lose(self, source, chips):
        """Cores behind a router that a packet does not get through."""
        for c in self.p.reach.cores(int(self.p.reach.of[source])):
            if self.at[c] in chips:
                self.cores[c].counts["lost"] += 1

    def ways(self, source, chip):
        """Links that packets of a source take from a chip."""
        k, r = int(self.p.reach.of[source]), self.p.reach
        return [int(n) for n in r.link[r.start[2, k] : r.start[2, k + 1]] if n // 6 == chip]

    def beyond(self, source, chip):
        found = {chip}
        for link in self.ways(source, chip):
            found |= self.beyond(source, int(self.image.machine.topology.neighbour[link // 6, link % 6]))
        return found

    def router(self, when, source, chip, sent):
        gone = self.serve(("router", chip), when, ps(self.timing.router_s))
        if gone is None:
            self.lose(source, self.beyond(source, chip))
            return
        self.log.append((gone, "router", chip, source))
        n, links = len(self.cores), 6 * len(self.chip)
        for c in self.p.reach.cores(int(self.p.reach.of[source])).tolist():
            if self.at[c] == chip:
                at = gone + self.to_core(self.cores[c])
                self.end = max(self.end, at)
                self.push(at, 2 * n + links + c, self.arrive, self.cores[c], source, sent)
        topology = self.image.machine.topology
        for link in self.ways(source, chip):
            there = int(topology.neighbour[link // 6, link % 6])
            takes = self.timing.between_s if topology.between[link // 6, link % 6] else self.timing.link_s
            over = self.serve(("link", link), gone + self.to_link(link), ps(takes))
            if over is None:
                self.lose(source, self.beyond(source, there))
                continue
            self.log.append((over, "link", link, source))
            back = (link % 6 + 3) % 6
            at = over + self.to_link(back) + ps(self.timing.link_latency_s)
            self.push(at, 2 * n + link, self.router, source, there, sent)

    def arrive(self, when, core, source, sent):
        c = core.counts
        if len(core.fifo) < self.timing.fifo or core.tick > self.ticks:
            core.fifo.append((source, sent))
            return
        core.over = True
        if self.policy == "drop":
            c["dropped"] += 1
        elif self.policy == "overwrite":
            c["dropped"] += 1
            core.fifo.popleft()
            core.fifo.append((source, sent))
        else:
            chip = "router", self.at[core.number]
            c["stalled"] += 1
            c["held"] += max(0, core.begins - max(when, self.free[chip]))
            self.free[chip] = max(self.free[chip], core.begins)
            core.stalled.append((source, sent))

    def tick(self, when, core):
        tick, c, i = core.tick, core.counts, core.number
        core.tick += 1
        clock, took = self.cycles.clock_hz[i], 0
        c["over_fifo"] += core.over
        c["fill"] = max(c["fill"], len(core.fifo))
        c["delivered"] += len(core.fifo)
        for source, sent in core.fifo:
            took += ps(self.cycles.of_packet(i, self.words[source, i]) / clock)
            c["late"] += tick > sent + 1
            c["early"] += tick < sent + 1
            self.log.append((when, "taken", i, source))
            self.add(core, source, tick)
        core.fifo.clear()
        core.over = len(core.stalled) > self.timing.fifo
        while core.stalled and len(core.fifo) < self.timing.fifo:
            core.fifo.append(core.stalled.popleft())
        if tick == self.ticks:
            return
        self.log.append((when, "tick", i, tick))
        end = self.send(core, tick, when + ps(self.cycles.parts["base"][i] / clock) + took)
        c["overran"] += end - when > self.tick_ps
        c["behind"] += when > tick * self.tick_ps
        c["slip"] = max(c["slip"], when - tick * self.tick_ps)
        c["busy"] += end - when
        self.end = max(self.end, end)
        core.begins = max((tick + 1) * self.tick_ps, end)
        self.push(core.begins, i, self.tick, core)

    def send(self, core, tick, at):
        i = core.number
        clock, away = self.cycles.clock_hz[i], self.to_core(core)
        if core.kind == "input":
            for source, number in self.given[i, tick]:
                for _ in range(number):
                    at += ps(self.cycles.sending[i] / clock)
                    self.push(at + away, len(self.cores) + i, self.router, source, self.at[i], tick)
            return at
        each = ps(self.cycles.parts["neurons"][i] / (core.end - core.first) / clock)
        slot = core.slots.pop(tick, {})
        for n in range(core.first, core.end):
            number = slot.get(n, 0) if core.kind == "relay" else self.step(core, n, slot.get(n, 0), tick)
            if number:
                self.sent.append((tick, core.kind == "relay", n, number))
            for _ in range(number):
                when = at + each * (n - core.first + 1) + away
                self.push(when, len(self.cores) + i, self.router, n, self.at[i], tick)
        return at + each * (core.end - core.first) + ps(self.cycles.parts["records"][i] / clock)

    def add(self, core, source, tick):
        s = self.p.synapses
        for j in range(s.start[source], s.start[source + 1]):
            for k in range(s.length[j]):
                target = int(s.target[j]) + k
                if core.first <= target < core.end:
                    core.slots[tick + int(s.delay[j])][target] += int(s.weights[s.weight[j] + k])
        for j in range(s.one[source], s.one[source + 1]):
            target = int(s.one_target[j])
            if core.first <= target < core.end:
                core.slots[tick + int(s.one_delay[j])][target] += int(s.one_weight[j])

    def step(self, core, n, arriving, tick):
        """One neuron, by docs/arithmetic.md."""
        if tick < core.onset:
            return False
        p = self.p.neurons
        flags = int(p.flags[n])

        def value(name):
            held = getattr(p, name)[n]
            return int(held) if self.fixed else held

        def plus(a, b):
            return max(-(2**31), min(2**31 - 1, a + b)) if self.fixed else a + b

        def times(a, b):
            return multiply(a, b) if self.fixed else b * a

        arriving = plus(arriving << core.left, 0) if self.fixed else np.float32(arriving)
        if flags & CURRENT:
            arriving = plus(plus(times(core.i[n], value("syn_decay")), arriving), value("bias"))
            core.i[n] = arriving
        v, held = core.v[n], core.held[n]
        if not held:
            v = plus(plus(times(v, value("decay")), arriving), value("offset"))
        if flags & LATE and n in core.last:
            v = self.reset(flags, v, value, plus)
        fire = bool(flags & 1 and not held and v >= value("threshold"))
        core.held[n] = held - 1 if held else flags >> 8 if fire else 0
        core.last.discard(n)
        if fire:
            core.last.add(n)
            if not flags & LATE:
                v = self.reset(flags, v, value, plus)
        core.v[n] = v
        return int(fire)

    def reset(self, flags, v, value, plus):
        if flags & 6 == SUBTRACT:
            return plus(v, -value("subtract"))
        return value("v_reset") if flags & 6 == TO_VALUE else v
