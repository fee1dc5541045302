"""Packets, FIFOs and the ticks of cores as events in time, compiled. Times are whole picoseconds.

The queue holds one entry for each core's next tick, and for each core and link that sends, the packet that it sends
next; packets behind it stand in lists, as they leave in order. Routers and links serve packets one by one, in the order
in which they come; equal times go by the number of the entry. What reaches a core stands in its list until it takes it:
the core's next tick finds what came before it began, so a delivery is no event of its own unless the FIFO stalls.
Neurons are stepped by the loops of kernels.py, one core at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .deliver_kernels import deliver, room
from .draw_kernels import LANES, draw
from .draws import Draws
from .kernels import AT_ONCE, collect, relay, remember, reset
from .memory import Groups as Groups
from .step_kernels import late_float, planned, step_fixed, step_float, step_planned

BESIDE = "2df4d6514f252ce4"  # digest of kernels.py: numba's cache sees edits of this file alone
INPUT = -1  # a kind of group beside those of kernels.py
DROP, OVERWRITE, STALL = 0, 1, 2
SIZE, FREE, LEFT, KEPT, LOGGED, END, EVENTS = 0, 1, 2, 3, 4, 5, 6  # counters
DELIVERED, DROPPED, LOST, LATE, EARLY, FILL, OVER, OVERRAN, BEHIND, SLIP, BUSY, STALLED, HELD = range(13)  # by core
PACKETS, WAITED, LONGEST, GONE = 0, 1, 2, 3  # by router and by link
TICK, ROUTER, LINK, TAKEN = 0, 1, 2, 3  # what a line of the log is of
CHUNK = 4096  # packets whose rows are added in one call


class Net(NamedTuple):
    """Where packets go, as trees of hops, one tree for each class of sources; and what the way takes.

    root : int64 (sources), first hop; pair : int64 (sources), what a place in `core` is added to for the number of the
        pair of source and core
    chip : int32 (hops); behind : int64 (hops), first hop behind the subtree; cores, links : int64 (hops + 1), places in
        core : int32, cores that are reached, and link, next : int64, links that are taken and the hops they lead to
    at : int64 (cores), chip of each core; into, out_of : int64 (cores), from its router to the core, and back
    across : int64 (links), what a packet takes; to_link, from_link : int64 (links), from router to link, and from the
        link's end to the next router
    """

    root: NDArray[np.int64]
    pair: NDArray[np.int64]
    chip: NDArray[np.int32]
    behind: NDArray[np.int64]
    cores: NDArray[np.int64]
    core: NDArray[np.int32]
    links: NDArray[np.int64]
    link: NDArray[np.int64]
    next: NDArray[np.int64]
    at: NDArray[np.int64]
    into: NDArray[np.int64]
    out_of: NDArray[np.int64]
    across: NDArray[np.int64]
    to_link: NDArray[np.int64]
    from_link: NDArray[np.int64]


class Service(NamedTuple):
    """What cores take, picoseconds: int64 by core, `pair` by pair of source and core; of inputs, per packet sent."""

    base: NDArray[np.int64]
    pair: NDArray[np.int64]
    neuron: NDArray[np.int64]
    record: NDArray[np.int64]
    send: NDArray[np.int64]


class Rules(NamedTuple):
    """Scalars: length of a tick, ticks, packets of a FIFO, what a full one does, what a packet takes at a router, and
    how long one waits before it is lost (-1: for ever)."""

    tick: int
    ticks: int
    fifo: int
    policy: int
    router: int
    patience: int


class Cores(NamedTuple):
    """The program core by core: groups (kernels.py), drive of each core or -1, and of its drive the blocks
    (block[core]..block[core + 1]); inputs as rows of packets by tick, -1 for other cores; where watched neurons of each
    core stand."""

    groups: Groups
    drive: NDArray[np.int64]
    block: NDArray[np.int64]
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    watched: NDArray[np.int64]
    column: NDArray[np.int64]


class Given(NamedTuple):
    """What inputs send, by row and tick."""

    start: NDArray[np.int64]
    source: NDArray[np.int32]
    number: NDArray[np.int32]


class Pool(NamedTuple):
    """Packets in lists: when they come, number of the source or of the pair, hop, tick in which they were sent, the
    next one in the list."""

    time: NDArray[np.int64]
    what: NDArray[np.int64]
    hop: NDArray[np.int64]
    sent: NDArray[np.int32]
    next: NDArray[np.int32]


class Now(NamedTuple):
    """What changes: the heap; heads and ends of lists (of cores what came, what they send, links, cores what comes);
    own tick and beginning of the next one, packets that wait by core; when routers and links are free; what
    each core sent in its last tick, from its first neuron on, and how many."""

    heap_time: NDArray[np.int64]
    heap_item: NDArray[np.int64]
    head: NDArray[np.int32]
    tail: NDArray[np.int32]
    own: NDArray[np.int64]
    next: NDArray[np.int64]
    waiting: NDArray[np.int64]
    router_free: NDArray[np.int64]
    link_free: NDArray[np.int64]
    fired: NDArray[np.int32]
    number: NDArray[np.int32]
    size: NDArray[np.int64]


class Tally(NamedTuple):
    """int64 counts by core (cores, 13), router (chips, 4) and link (links, 4); log : (lines, 4), time, kind, place,
    what; without lines where none is kept."""

    core: NDArray[np.int64]
    router: NDArray[np.int64]
    link: NDArray[np.int64]
    log: NDArray[np.int64]


class Fired(NamedTuple):
    """What a core sent in its last tick, as `late_float` takes it."""

    source: NDArray[np.int32]


@njit(cache=True, nogil=True)
def push(w: Any, n: Any, when: int, item: int) -> None:
    time, items = w.heap_time, w.heap_item
    at = n[SIZE]
    n[SIZE] = at + 1
    while at > 0:
        up = (at - 1) >> 1
        if time[up] < when or (time[up] == when and items[up] < item):
            break
        time[at], items[at] = time[up], items[up]
        at = up
    time[at], items[at] = when, item


@njit(cache=True, nogil=True)
def pop(w: Any, n: Any) -> Any:
    """The entry that comes first: when, item."""
    time, items = w.heap_time, w.heap_item
    when, item = time[0], items[0]
    size = n[SIZE] - 1
    n[SIZE] = size
    last, which, at = time[size], items[size], 0
    while 2 * at + 1 < size:
        down = 2 * at + 1
        other = down + 1
        if other < size and (time[other] < time[down] or (time[other] == time[down] and items[other] < items[down])):
            down = other
        if last < time[down] or (last == time[down] and which < items[down]):
            break
        time[at], items[at] = time[down], items[down]
        at = down
    time[at], items[at] = last, which
    return when, item


@njit(cache=True, nogil=True)
def append(w: Any, pool: Any, n: Any, to: int, when: int, what: int, hop: int, sent: int) -> bool:
    """A packet at the end of a list; whether it is the only one."""
    node = n[FREE]
    n[FREE] = pool.next[node]
    n[LEFT] -= 1
    pool.time[node], pool.what[node], pool.hop[node], pool.sent[node], pool.next[node] = when, what, hop, sent, -1
    alone = bool(w.head[to] < 0)
    if alone:
        w.head[to] = node
    else:
        pool.next[w.tail[to]] = node
    w.tail[to] = node
    return alone


@njit(cache=True, nogil=True)
def first(w: Any, pool: Any, n: Any, of: int) -> Any:
    """Take the first packet of a list: what, hop, sent."""
    node = w.head[of]
    w.head[of] = pool.next[node]
    pool.next[node] = n[FREE]
    n[FREE] = node
    n[LEFT] += 1
    return pool.what[node], pool.hop[node], pool.sent[node]


@njit(cache=True, nogil=True)
def note(tally: Any, n: Any, when: int, kind: int, place: int, what: int) -> None:
    """A line of the log, where one is kept."""
    if tally.log.shape[0]:
        at = n[LOGGED]
        tally.log[at, 0], tally.log[at, 1], tally.log[at, 2], tally.log[at, 3] = when, kind, place, what
        n[LOGGED] = at + 1


@njit(cache=True, nogil=True)
def serve(free: Any, counts: Any, place: int, when: int, takes: int, patience: int) -> int:
    """A packet comes to a server at `when`: when it is through, -1 where it would wait too long."""
    begin = max(when, free[place])
    wait = begin - when
    if patience >= 0 and wait > patience:
        counts[place, GONE] += 1
        return -1
    counts[place, PACKETS] += 1
    counts[place, WAITED] += wait
    counts[place, LONGEST] = max(counts[place, LONGEST], wait)
    end: int = begin + takes
    free[place] = end
    return end


@njit(cache=True, nogil=True)
def lose(net: Any, tally: Any, hop: int) -> None:
    """A packet that is lost ahead of a hop, for each core behind it."""
    for j in range(net.cores[hop], net.cores[net.behind[hop]]):
        tally.core[net.core[j], LOST] += 1


@njit(cache=True, nogil=True)
def through(
    net: Any, rules: Any, w: Any, pool: Any, tally: Any, n: Any, source: int, hop: int, sent: int, when: int
) -> None:
    """A packet comes to the router of a hop, and goes to cores and links from there."""
    chip, cores, count = net.chip[hop], net.at.size, net.across.size
    gone = serve(w.router_free, tally.router, chip, when, rules.router, rules.patience)
    if gone < 0:
        lose(net, tally, hop)
        return
    note(tally, n, gone, ROUTER, chip, source)
    low, high = net.cores[hop], net.cores[hop + 1]
    n[EVENTS] += high - low
    for j in range(low, high):
        core = net.core[j]
        at, pair = gone + net.into[core], net.pair[source] + j
        n[END] = max(n[END], at)
        if rules.policy == STALL:
            if append(w, pool, n, 2 * cores + count + core, at, pair, 0, sent):
                push(w, n, at, 2 * cores + count + core)
        else:
            append(w, pool, n, core, at, pair, 0, sent)
            w.waiting[core] += 1
    for e in range(net.links[hop], net.links[hop + 1]):
        link = net.link[e]
        over = serve(w.link_free, tally.link, link, gone + net.to_link[link], net.across[link], rules.patience)
        if over < 0:
            lose(net, tally, net.next[e])
            continue
        note(tally, n, over, LINK, link, source)
        n[EVENTS] += 1
        at = over + net.from_link[link]
        if append(w, pool, n, 2 * cores + link, at, source, net.next[e], sent):
            push(w, n, at, 2 * cores + link)


@njit(cache=True, nogil=True)
def arrive(net: Any, rules: Any, w: Any, pool: Any, tally: Any, n: Any, core: int, item: int, when: int) -> None:
    """A packet comes to a FIFO that stalls: while it is full, the chip's router passes nothing on."""
    pair, _, sent = first(w, pool, n, item)
    if w.head[item] >= 0:
        push(w, n, pool.time[w.head[item]], item)
    if w.waiting[core] >= rules.fifo and w.own[core] <= rules.ticks:
        chip, c = net.at[core], tally.core[core]
        c[STALLED] += 1
        c[HELD] += max(0, w.next[core] - max(when, w.router_free[chip]))
        w.router_free[chip] = max(w.router_free[chip], w.next[core])
    append(w, pool, n, core, when, pair, 0, sent)
    w.waiting[core] += 1


@njit(cache=True, nogil=True)
def take(
    service: Any, rules: Any, w: Any, pool: Any, tally: Any, n: Any, y: Any, slot: Any, base: Any, held: Any, some: Any,
    ones: Any, core: int, now: int, tick: int,
) -> int:
    """A core takes what its FIFO holds at the beginning of a tick; returns what that takes."""
    here, node, c = 0, w.head[core], tally.core[core]
    while node >= 0 and pool.time[node] < now:
        here, node = here + 1, pool.next[node]
    low, high = 0, here  # of them, those that are kept
    if here > rules.fifo:
        c[OVER] += 1
        if rules.policy == STALL:
            here = high = rules.fifo
        elif rules.policy == OVERWRITE:
            low = here - rules.fifo
        else:
            high = rules.fifo
    m = takes = 0
    for k in range(here):
        pair, _, sent = first(w, pool, n, core)
        if k < low or k >= high:
            continue
        some[m] = pair
        m += 1
        takes += service.pair[pair]
        c[LATE] += tick > sent + 1
        c[EARLY] += tick < sent + 1
        note(tally, n, now, TAKEN, core, pair)
        if m == CHUNK:
            deliver(y, held, slot, base, some, ones, 0, m, some, ones, 0, 0)
            m = 0
    deliver(y, held, slot, base, some, ones, 0, m, some, ones, 0, 0)
    c[DELIVERED] += high - low
    c[DROPPED] += here - (high - low)
    c[FILL] = max(c[FILL], high - low)
    w.waiting[core] -= here
    return takes


@njit(cache=True, nogil=True)
def update(
    x: Any, p: Any, d: Any, s: Any, out: Any, fixed: Any, w: Any, n: Any, words: Any, plan: Any, reals: Any, bits: Any,
    listing: Any, size: int, slots: int, noise: int, core: int, tick: int,
) -> Any:
    """A tick of a core's neurons; returns where its packets end in `fired`, which begin at its first neuron."""
    g, at = x.groups, tick % slots * size
    a, b = g.first[core], g.end[core]
    c, o = slice(core, core + 1), x.drive[core]
    mine = Groups(g.first[c], g.end[c], g.kind[c], g.onset[c], g.left[c], g.holds[c], g.same[c], g.period[c],
                  g.still[c])
    if o >= 0:
        one = Draws(d.seed[o : o + 1], d.onset[o : o + 1], x.block[core : core + 2], d.block, d.place, d.weight, d.law,
                    d.begin[o : o + 1], d.guide[o : o + 1])
        draw(one, s.slot[at : at + size], tick, 0, noise, words)
    if fixed is None:
        step_planned(plan, reals, s.slot, tick, at, core, core + 1)
        step_float(p, mine, s, tick, at)
        late_float(p, s, Fired(w.fired), a, a + w.size[core], a, b)
    else:
        step_fixed(p, mine, s, tick, at)
    if out.compared.shape[0]:
        for k in range(x.watched[core], x.watched[core + 1]):
            out.compared[tick, x.column[k]] = s.v[out.watch[x.column[k]]]
    found = collect(plan, s.fired, bits, listing, core, core + 1)
    w.fired[a : a + found] = listing[:found]
    found += a
    reset(p, s, fixed, w.fired, a, found)
    w.number[a:found] = 1
    found += relay(mine, s, at, w.fired[found:], w.number[found:])
    w.size[core] = found - a
    kept = n[KEPT]
    for k in range(a, found):
        out.tick[kept], out.source[kept], out.number[kept] = tick, w.fired[k], w.number[k]
        kept += 1
    n[KEPT] = kept
    for k in range(x.watched[core], x.watched[core + 1]):
        out.v[tick, x.column[k]] = s.v[out.watch[x.column[k]]]
    return found


@njit(cache=True, nogil=True)
def send(w: Any, pool: Any, n: Any, to: int, source: int, number: int, when: int, takes: int, tick: int) -> int:
    """Packets of a source, one each `takes`; when the last one leaves."""
    for _ in range(number):
        when += takes
        if append(w, pool, n, to, when, source, 0, tick):
            push(w, n, when, to)
    return when


@njit(cache=True, nogil=True)
def work(
    net: Any, service: Any, rules: Any, x: Any, p: Any, y: Any, d: Any, s: Any, given: Any, out: Any, fixed: Any,
    w: Any, pool: Any, tally: Any, n: Any, words: Any, plan: Any, reals: Any, bits: Any, listing: Any, base: Any,
    held: Any, some: Any, ones: Any, size: int, slots: int, noise: int, core: int, now: int,
) -> None:
    """A tick of a core: take, add, step, send. Behind the last one, only what came in it is taken."""
    tick, c, to, away = w.own[core], tally.core[core], net.at.size + core, net.out_of[core]
    w.own[core] = tick + 1
    for wait in range(slots):
        base[wait] = (tick + wait) % slots * size
    takes = take(service, rules, w, pool, tally, n, y, s.slot, base, held, some, ones, core, now, tick)
    if tick == rules.ticks:
        return
    note(tally, n, now, TICK, core, tick)
    end = now + service.base[core] + takes
    a, b = x.groups.first[core], x.groups.end[core]
    if x.groups.kind[core] == INPUT:
        row = x.row[core] * (rules.ticks + 1) + tick
        for k in range(given.start[row], given.start[row + 1]):
            end = send(w, pool, n, to, given.source[k], given.number[k], end + away, service.send[core], tick) - away
    else:
        each = service.neuron[core]
        found = update(
            x, p, d, s, out, fixed, w, n, words, plan, reals, bits, listing, size, slots, noise, core, tick)
        for k in range(a, found):
            source = w.fired[k]
            send(w, pool, n, to, source, w.number[k], end + each * (source - a + 1) + away, 0, tick)
        end += each * (b - a) + service.record[core]
    due = (tick + 1) * rules.tick
    c[OVERRAN] += end - now > rules.tick
    c[BEHIND] += now > tick * rules.tick
    c[SLIP] = max(c[SLIP], now - tick * rules.tick)
    c[BUSY] += end - now
    n[END] = max(n[END], end)
    w.next[core] = max(due, end)
    push(w, n, w.next[core], core)


@njit(cache=True, nogil=True)
def run_events(
    net: Any, service: Any, rules: Any, x: Any, p: Any, y: Any, d: Any, s: Any, given: Any, out: Any, fixed: Any,
    w: Any, pool: Any, tally: Any, n: Any, size: int, slots: int, noise: int, need: int,
) -> bool:
    """Events until none is left; False where there are not `need` places in the pool, the output or the log."""
    words, base = np.empty((4, LANES), np.uint32), np.empty(slots, np.int64)
    held, listing = room(), np.empty((x.groups.end - x.groups.first).max() + AT_ONCE, np.int32)
    plan, reals, bits = planned(p, x.groups, s)
    for c in range(x.groups.first.size):
        remember(plan[c : c + 1], bits, w.fired, x.groups.first[c], x.groups.first[c] + w.size[c])
    some, ones = np.empty(CHUNK, np.int64), np.empty(0, np.int32)
    cores, links = net.at.size, net.across.size
    logged = tally.log.shape[0] > 0
    while n[SIZE]:
        lines = n[LOGGED] + need + w.waiting.max() if logged else 0
        if n[LEFT] < need or n[KEPT] + need > out.tick.size or (logged and lines > tally.log.shape[0]):
            return False
        when, item = pop(w, n)
        n[EVENTS] += 1
        if item < cores:
            work(net, service, rules, x, p, y, d, s, given, out, fixed, w, pool, tally, n, words, plan, reals, bits,
                 listing, base, held, some, ones, size, slots, noise, item, when)
        elif item < 2 * cores + links:
            what, hop, sent = first(w, pool, n, item)
            if w.head[item] >= 0:
                push(w, n, pool.time[w.head[item]], item)
            hop = hop if item >= 2 * cores else net.root[what]
            through(net, rules, w, pool, tally, n, what, hop, sent, when)
        else:
            arrive(net, rules, w, pool, tally, n, item - 2 * cores - links, item, when)
    return True
