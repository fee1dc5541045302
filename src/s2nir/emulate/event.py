"""Event runs: what an image takes in time, packet by packet; see docs/event-timing.md.

Everything that does not change from round to round is made once (`Served`); `event_round` runs one round on it.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import RunError
from ..fixedpoint import Arithmetic
from ..machine import LINKS, Chip
from ..mapping import MachineImage
from .draws import Draws
from .event_ways import Pairs, Trees, hops_to_links, hops_to_router
from .memory import Groups, Program
from .packed import Packed, pack
from .queueing import COUNTS, PS, EventTiming, Overflow, Queueing
from .rounds import Packets, Result


class Ways(NamedTuple):
    """What all event runs of an image share; words : float64 (pairs), synapse words that a packet finds."""

    trees: Trees
    pairs: Pairs
    words: NDArray[np.float64]
    synapses: Packed


_ways: weakref.WeakKeyDictionary[MachineImage, Ways] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False, kw_only=True)
class Served:
    """An image as an event run takes it: trees of hops, synapses by pair, programs core by core, service times."""

    image: MachineImage
    ready: Program
    timing: EventTiming
    tick: int
    net: Any
    service: Any
    cores: Any
    synapses: Packed
    draws: Draws
    watch: NDArray[np.int64]
    chips: tuple[Chip, ...]


def timing_of(given: Any) -> EventTiming | None:
    """The `timing=` of a run."""
    if given is None or isinstance(given, EventTiming):
        return given
    if given == "event":
        return EventTiming()
    raise RunError(f'timing: found {given!r}, allowed "event", an s2nir.EventTiming, or None for a run without times')


def ways(image: MachineImage, ready: Program) -> Ways:
    """The Ways of an image; kept as long as it lives."""
    from ..cost import synapses_per_core

    found = _ways.get(image)
    if found is None:
        trees = Trees(image, ready)
        pairs = Pairs(trees, ready)
        words = pairs.words(synapses_per_core(image, ready))
        found = _ways[image] = Ways(trees, pairs, words, pack(pairs.synapses(ready)))
    return found


def served(image: MachineImage, ready: Program, timing: EventTiming, watch: NDArray[np.int64]) -> Served:
    """All that the rounds of an event run share.

    watch : neurons whose membranes are kept
    """
    from . import event_kernels as kernels

    trees, pairs, _, synapses = found = ways(image, ready)
    chips = len(trees.number)
    into = np.rint(hops_to_router(image) * timing.hop_s * PS).astype(np.int64)
    topology = image.machine.topology
    across = np.full((chips, LINKS), timing.link_s)
    across[: topology.chips][topology.between] = timing.between_s
    to_link = np.rint(np.tile(hops_to_links() * timing.hop_s, chips) * PS).astype(np.int64)
    opposite = np.tile((np.arange(LINKS) + LINKS // 2) % LINKS, chips)
    net = kernels.Net(
        root=trees.root[ready.reach.of], pair=pairs.base, chip=np.array(trees.chip, np.int32),
        behind=np.array(trees.behind, np.int64), cores=np.array(trees.cores, np.int64),
        core=np.array(trees.core, np.int32), links=np.array(trees.links, np.int64),
        link=np.array(trees.link, np.int64), next=np.array(trees.next, np.int64), at=trees.at, into=into,
        out_of=into, across=_ps(across.ravel()), to_link=to_link,
        from_link=to_link[opposite] + int(np.rint(timing.link_latency_s * PS)),
    )
    drive, block, draws = _draws(ready)
    order = np.argsort(watch, kind="stable")
    groups, inputs = _groups(image, ready)
    return Served(
        image=image, ready=ready, timing=timing, net=net, service=_service(image, ready, timing, found),
        tick=int(np.rint((image.tick if timing.tick is None else timing.tick) * PS)), chips=tuple(trees.number),
        cores=kernels.Cores(
            groups=groups, drive=drive, block=block, row=np.where(inputs, np.cumsum(inputs) - 1, -1),
            start=np.zeros(0, np.int64), watched=np.searchsorted(watch[order], ready.first), column=order),
        synapses=synapses, draws=draws, watch=watch,
    )


def _ps(seconds: Any) -> NDArray[np.int64]:
    return np.rint(np.asarray(seconds, np.float64) * PS).astype(np.int64)


def _service(image: MachineImage, ready: Program, timing: EventTiming, found: Ways) -> Any:
    """Cycles of the cost model as picoseconds."""
    from ..cost import Cycles
    from . import event_kernels as kernels

    cycles = Cycles(image, timing.reading, level=timing.level)
    neurons = np.maximum(np.diff(ready.first), 1)
    core = found.pairs.core
    return kernels.Service(
        base=_ps(cycles.parts["base"] / cycles.clock_hz),
        pair=_ps(cycles.of_packet(core, found.words) / cycles.clock_hz[core]),
        neuron=_ps(cycles.parts["neurons"] / neurons / cycles.clock_hz),
        record=_ps(cycles.parts["records"] / cycles.clock_hz), send=_ps(cycles.sending / cycles.clock_hz),
    )


def _groups(image: MachineImage, ready: Program) -> tuple[Any, NDArray[np.bool_]]:
    """A group for each core, as the program has them; which cores are inputs."""
    from . import event_kernels as kernels

    g, first = ready.groups, ready.first
    inputs = np.array([c.application == "spike_list" for c in image.cores], bool)
    k = np.maximum(np.searchsorted(g.first, first[:-1], side="right") - 1, 0)

    def of(column: NDArray[np.int64], rest: int) -> NDArray[np.int64]:
        return np.where(inputs, rest, column[k] if column.size else rest)

    return Groups(
        first[:-1].copy(), first[1:].copy(), of(g.kind, kernels.INPUT),
        *(of(c, 0) for c in (g.onset, g.left, g.holds, g.same, g.period, g.still))), inputs


def _draws(ready: Program) -> tuple[NDArray[np.int64], NDArray[np.int64], Draws]:
    """Drives core by core: the drive of each core or -1, where its blocks begin, and the blocks by core; a block that
    two cores share is drawn by both, each adding what is its own."""
    d, cores = ready.draws, ready.first.size - 1
    place, weight = d.place.reshape(-1, 4), d.weight.reshape(-1, 4)
    core = np.where(weight != 0, np.searchsorted(ready.first, place, side="right") - 1, -1)
    block, lane = np.nonzero(core >= 0)
    which = np.unique(np.stack([core[block, lane], block]), axis=1)
    mine = core[which[1]] == which[0][:, np.newaxis]
    drive = np.full(cores, -1, np.int64)
    drive[which[0]] = np.searchsorted(d.first, which[1], side="right") - 1
    start = np.searchsorted(which[0], np.arange(cores + 1))
    return drive, start, d._replace(
        block=d.block[which[1]], place=np.where(mine, place[which[1]], ready.first[which[0]][:, np.newaxis])
        .ravel().astype(np.int32), weight=np.where(mine, weight[which[1]], 0).ravel().astype(np.int32))


@dataclass(frozen=True, eq=False, kw_only=True)
class Counts:
    """What a round counts: see `event_kernels.Tally`; end : picoseconds; waiting : packets left in FIFOs."""

    core: NDArray[np.int64]
    router: NDArray[np.int64]
    link: NDArray[np.int64]
    waiting: NDArray[np.int64]
    end: int
    events: int
    log: NDArray[np.int64]


def event_round(
    served: Served, packets: Packets, ticks: int, before: bool = False, noise: int = 0, log: bool = False,
    ahead: tuple[int, NDArray[np.float64]] | None = None,
) -> tuple[Result, Counts]:
    """One round, as `run.one`; and what it counts.

    log : keep a line of every event; ahead : a source and the times, rising seconds, at which packets of it leave its
    core besides: with no ticks, routers and links are at work alone
    """
    from . import event_kernels as kernels
    from .kernels import Output
    from .run import start_state

    ready, net = served.ready, served.net
    fixed, size, cores = ready.arithmetic is Arithmetic.FIXED, ready.size, net.at.size
    kind = np.int32 if fixed else np.float32
    membranes = np.zeros((ticks, served.watch.size), kind)
    compared = np.zeros((ticks if before else 0, served.watch.size), kind)
    given, most = _given(served, packets, ticks)
    reached = max(np.diff(net.cores).max(initial=0), np.diff(net.links).max(initial=0))
    need = int(max(np.diff(ready.first).max(initial=0), most, 2 * reached) + 8)
    now, n = _now(served, size, cores)
    pool = _pool(None, 4 * need + 1024 + (0 if ahead is None else 2 * ahead[1].size), n)
    if ahead is not None:
        _put(ready, now, pool, n, *ahead)
    lines = 1 << 12 if log else 0
    tally = kernels.Tally(np.zeros((cores, len(COUNTS)), np.int64), np.zeros((len(served.chips), 4), np.int64),
                          np.zeros((net.across.size, 4), np.int64), np.zeros((lines, 4), np.int64))
    sent = [np.empty(4 * size + 2 * need, np.int32) for _ in range(3)]
    state = start_state(ready)
    while not kernels.run_events(
        net, served.service, _rules(served, ticks), served.cores, ready.neurons, served.synapses, served.draws, state,
        given, Output(sent[0], sent[1], sent[2], served.watch, membranes, compared), True if fixed else None, now,
        pool, tally, n, ready.stride, ready.slots, noise, need,
    ):
        if n[kernels.LEFT] < need:
            pool = _pool(pool, 2 * pool.time.size, n)
        sent = [_longer(a, n[kernels.KEPT] + need) for a in sent]
        if log:
            tally = tally._replace(log=_longer(tally.log, n[kernels.LOGGED] + need + int(now.waiting.max(initial=0))))
    kept = int(n[kernels.KEPT])
    tick, source, number = (a[:kept] for a in sent)
    order = np.lexsort((ready.placed.place[source], _relayed(served, source), tick))
    tally.core[:, kernels.DELIVERED] += now.waiting
    counts = Counts(core=tally.core, router=tally.router, link=tally.link, waiting=now.waiting, end=int(n[kernels.END]),
                    events=int(n[kernels.EVENTS]), log=tally.log[: n[kernels.LOGGED]])
    return ((tick[order], source[order], number[order]), membranes, compared, state.saturated), counts


def _rules(served: Served, ticks: int) -> Any:
    from . import event_kernels as kernels

    t = served.timing
    return kernels.Rules(
        tick=served.tick, ticks=ticks, fifo=t.fifo, policy=list(Overflow).index(Overflow(t.overflow)),
        router=int(_ps(t.router_s)), patience=-1 if t.patience_s is None else int(_ps(t.patience_s)))


def _put(ready: Program, now: Any, pool: Any, n: NDArray[np.int64], source: int, seconds: NDArray[np.float64]) -> None:
    """Packets of a source into the list of what its core sends."""
    from . import event_kernels as kernels

    to = ready.first.size - 1 + int(np.searchsorted(ready.first, source, side="right") - 1)
    many = seconds.size
    pool.time[:many], pool.what[:many], pool.hop[:many], pool.sent[:many] = _ps(seconds), source, 0, 0
    pool.next[many - 1], now.head[to], now.tail[to] = -1, 0, many - 1  # nothing else stands there yet, in its order
    n[kernels.FREE], n[kernels.LEFT] = many, n[kernels.LEFT] - many
    kernels.push(now, n, int(pool.time[0]), to)


def _relayed(served: Served, source: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether a relay sent it: a run has these behind what neurons send in a tick."""
    g, first = served.cores.groups, served.ready.first
    return np.asarray(g.kind[np.searchsorted(first, source, side="right") - 1] == 0)


def _longer(array: NDArray[Any], least: int) -> NDArray[Any]:
    """The array with more room at its end where there are fewer than `least` places."""
    if array.shape[0] >= least:
        return array
    found = np.empty((max(2 * array.shape[0], int(least)), *array.shape[1:]), array.dtype)
    found[: array.shape[0]] = array
    return found


def _given(served: Served, packets: Packets, ticks: int) -> tuple[Any, int]:
    """What inputs send, by input core and tick; most packets of a core in a tick."""
    from . import event_kernels as kernels

    start, source, number = packets
    tick = np.repeat(np.arange(ticks), np.diff(start))
    core = np.searchsorted(served.ready.first, source, side="right") - 1
    row = served.cores.row[core] * (ticks + 1) + tick
    order = np.argsort(row, kind="stable")
    rows = int(served.cores.row.max(initial=-1)) + 1
    given = kernels.Given(np.searchsorted(row[order], np.arange(rows * (ticks + 1) + 1)), source[order], number[order])
    return given, int(np.bincount(row, number, minlength=1).max(initial=0))


def _now(served: Served, size: int, cores: int) -> tuple[Any, NDArray[np.int64]]:
    """The state ahead of the first tick, which all cores begin at 0; and the counters."""
    from . import event_kernels as kernels

    links = served.net.across.size
    lists = 3 * cores + links
    n = np.zeros(7, np.int64)
    n[kernels.SIZE], n[kernels.FREE] = cores, -1
    heap = np.zeros((2, lists), np.int64)
    heap[1, :cores] = np.arange(cores)
    return kernels.Now(
        heap_time=heap[0].copy(), heap_item=heap[1].copy(), head=np.full(lists, -1, np.int32),
        tail=np.full(lists, -1, np.int32), own=np.zeros(cores, np.int64), next=np.zeros(cores, np.int64),
        waiting=np.zeros(cores, np.int64), router_free=np.zeros(len(served.chips), np.int64),
        link_free=np.zeros(links, np.int64), fired=np.zeros(size, np.int32), number=np.zeros(size, np.int32),
        size=np.zeros(cores, np.int64),
    ), n


def _pool(old: Any, room: int, n: NDArray[np.int64]) -> Any:
    """Room for packets in lists; what `old` holds stays where it is."""
    from . import event_kernels as kernels

    held = 0 if old is None else old.time.size
    wide, narrow = (np.empty((k, room), kind) for k, kind in ((3, np.int64), (2, np.int32)))
    found = kernels.Pool(wide[0], wide[1], wide[2], narrow[0], narrow[1])
    for k in range(5 if held else 0):
        found[k][:held] = old[k]
    found.next[held:] = np.arange(held + 1, room + 1)
    found.next[-1] = n[kernels.FREE]
    n[kernels.FREE], n[kernels.LEFT] = held, n[kernels.LEFT] + room - held
    return found


def queueing(served: Served, ticks: int, rounds: list[tuple[Result, Counts]], packets: list[Packets]) -> Queueing:
    """The figures of all rounds; `due` counts what was sent, by the routes alone."""
    image, ready = served.image, served.ready
    over = ready.reach.over("core", len(image.cores))
    due = []
    for (((_, source, number), *_), _), (_, given, many) in zip(rounds, packets, strict=True):
        sent = np.zeros(ready.reach.classes, np.int64)
        np.add.at(sent, ready.reach.of[source], number)
        np.add.at(sent, ready.reach.of[given], many)
        due.append(sent @ over)
    counts: dict[str, Any] = {name: np.array([c.core[:, k] for _, c in rounds]) for k, name in enumerate(COUNTS)}
    counts |= {f"{name}_s": counts.pop(name) / PS for name in ("slip", "busy", "held")}
    waits = np.array([1.0, 1 / PS, 1 / PS, 1.0])
    return Queueing(
        ticks=ticks, tick=served.tick / PS, due=np.array(due), **counts,
        links=np.array([c.link * waits for _, c in rounds]), routers=np.array([c.router * waits for _, c in rounds]),
        link_s=served.net.across / PS, router_s=float(_ps(served.timing.router_s)) / PS,
        length_s=np.array([c.end / PS for _, c in rounds]), events=np.array([c.events for _, c in rounds]),
        core=tuple((c.chip, c.pe) for c in image.cores), chip=served.chips,
    )
