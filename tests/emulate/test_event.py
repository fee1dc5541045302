"""Event runs: the same bits as `run` where nothing is late, and every event of the oracle where something is."""

from itertools import product

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import s2nir
from emulate.event_oracle import Oracle
from emulate.test_drive import KINDS, net
from emulate.test_exact import WHOLE, drive, whole_graphs
from s2nir.cost import timing
from s2nir.data import moving_shapes, shapes_network
from s2nir.emulate import event as events
from s2nir.emulate import event_kernels as kernels
from s2nir.emulate import program
from s2nir.emulate.queueing import COUNTS
from s2nir.emulate.run import packets_of, watched
from s2nir.errors import RunError
from s2nir.events import to_counts
from s2nir.machine import LINK_NAMES, PES

ROOMY = s2nir.EventTiming(fifo=1 << 20)
THREE = ((0, 0), (1, 0), (1, 1))


def spread(cores=2, chips=THREE, **some):
    """A machine of few cores a chip, so that small networks lie on several."""
    return s2nir.SpiNNaker2(chips=chips, reserved=PES - cores, **some)


def same(got, want):
    """Two recordings, every bit."""
    assert got.queueing.in_time, str(got.queueing)
    for b in range(want.batch):
        for mine, other in zip(got.events[b], want.events[b], strict=True):
            assert np.array_equal(mine, other)
        assert np.array_equal(got.membranes[b].view(np.int32), want.membranes[b].view(np.int32))
        if want.compared:
            assert np.array_equal(got.compared[b].view(np.int32), want.compared[b].view(np.int32))
    assert np.array_equal(got.saturated, want.saturated)
    kept(got)


def kept(recording):
    """No packet is forgotten; what is due follows from spikes and routes alone."""
    q, n = recording.queueing, recording.image.copies
    assert np.array_equal(q.due, q.delivered + q.dropped + q.lost)
    each = recording.packets_per_core()
    assert np.array_equal(q.due, [each[r : r + n].sum(axis=0) for r in range(0, recording.batch, n)])


def both(image, spikes, times=ROOMY, **some):
    record = ("spikes", "voltages", "potentials")
    want = s2nir.run(image, spikes, record=record, **some)
    same(s2nir.run(image, spikes, record=record, timing=times, **some), want)
    return want


@settings(max_examples=60, deadline=None)
@given(whole_graphs(), st.integers(0, 2**16), st.sampled_from(["float32", "fixed"]), st.integers(1, 3))
def test_what_is_in_time_is_the_same(g, seed, arithmetic, slices):
    network = s2nir.quantize(g, WHOLE, arithmetic=arithmetic)
    image = s2nir.compile(network, partition=s2nir.Partition(slices=slices))
    both(image, drive(g, seed), "event")


@pytest.mark.parametrize(("kind", "arithmetic", "rows"), [
    *product(KINDS, ("float32", "fixed"), ("dram",)), ("plain", "float32", "sram"), ("late", "float32", "compact")])
def test_drives_draw_the_same(kind, arithmetic, rows):
    network = s2nir.quantize(net(kind), arithmetic=arithmetic)
    image = s2nir.compile(network, s2nir.SpiNNaker2(rows=rows), partition=s2nir.Partition(slices=7))
    spikes = (np.random.default_rng(0).random((2, 50, 4)) < 0.3).astype(np.uint8)
    assert both(image, spikes, noise=[7, 2**32 - 1]).packets > 1_000


def test_convolutions_copies_and_threads():
    network = s2nir.quantize(s2nir.load(shapes_network()))
    spikes, _ = moving_shapes(3, seed=7)
    spikes = spikes[:, :20]
    both(s2nir.compile(network), spikes, threads=2)
    image = s2nir.compile(network, copies=2)
    assert both(image, spikes).packets > 9_000
    assert s2nir.run(image, spikes, timing=ROOMY).queueing.due.shape == (2, len(image.cores))


def chain(seed, sizes=(5, 9, 7), dt=1e-3, weight=0.5, loops=True):
    """Populations in a row, one of which hears itself."""
    rng = np.random.default_rng(seed)
    names = ["in", *(f"p{k}" for k in range(len(sizes) - 1))]
    pops = {n: size if n == "in" else s2nir.Neurons(shape=size, tau=0.01, r=20.0)
            for n, size in zip(names, sizes, strict=True)}
    ways = [s2nir.Connect(source=p, target=q, weight=rng.normal(weight, 1, (sizes[k + 1], sizes[k])))
            for k, (p, q) in enumerate(zip(names, names[1:], strict=False))]
    if loops:
        ways.append(s2nir.Connect(source="p0", target="p0", weight=rng.normal(0, 1, (sizes[1], sizes[1]))))
    return s2nir.quantize(s2nir.build(pops, ways, dt=dt))


@pytest.mark.parametrize("boards", [None, 3])
def test_several_chips(boards):
    machine = spread() if boards is None else s2nir.SpiNNaker2(boards=boards, reserved=PES - 1)
    image = s2nir.compile(chain(1, (9, 40, 60)), machine, partition=s2nir.Partition(slices=2 if boards is None else 30))
    spikes = (np.random.default_rng(2).random((2, 40, 9)) < 0.4).astype(np.uint8)
    want = both(image, spikes)
    assert sum(want.packets_per_link().values()) > 500
    assert want.spikes["p1"].sum() > 50


def watched_round(image, spikes, times):
    """One round with a log: what was sent, counts, and the events as the oracle has them."""
    ready = program(image)
    given = to_counts(spikes, {p.name: p.shape for p in image.inputs}, image.dt, image.max_count)
    ticks = given.steps + image.lag
    (packets,) = packets_of(given, ready, 1, ticks)
    served = events.served(image, ready, times, watched(image, ready, ("spikes",))[0])
    (sent, *_), counts = events.event_round(served, packets, ticks, log=True)
    pairs = events.Pairs(events.Trees(image, ready), ready)
    names = {kernels.TICK: "tick", kernels.ROUTER: "router", kernels.LINK: "link", kernels.TAKEN: "taken"}
    log = [(t, names[kind], place, int(pairs.source[what]) if kind == kernels.TAKEN else what)
           for t, kind, place, what in counts.log.tolist()]
    return packets, ticks, sent, counts, log


def agree(image, spikes, times):
    packets, ticks, sent, counts, log = watched_round(image, spikes, times)
    oracle = Oracle(image, times, packets, ticks)
    assert sorted(log) == sorted(oracle.log)
    assert [(t, s, n) for t, _, s, n in sorted(oracle.sent)] == list(zip(*(a.tolist() for a in sent), strict=True))
    for k, name in enumerate(COUNTS):
        assert counts.core[:, k].tolist() == [c.counts[name] for c in oracle.cores], name
    for what, table in (("router", counts.router), ("link", counts.link)):
        assert table.tolist() == [oracle.served[what, k] for k in range(len(table))], what
    assert counts.end == oracle.end
    return counts


TIMES = st.builds(
    s2nir.EventTiming, tick=st.sampled_from([1e-6, 1e-5, 2e-5, 1e-3]), fifo=st.sampled_from([1, 2, 3, 8, 512]),
    overflow=st.sampled_from(["drop", "overwrite", "stall"]), router_s=st.sampled_from([0.0, 2.5e-9, 1e-6]),
    hop_s=st.sampled_from([0.0, 1.67e-8, 1e-6]), link_s=st.sampled_from([16e-9, 5e-6]),
    between_s=st.sampled_from([48e-9]), link_latency_s=st.sampled_from([0.0, 1e-7]),
    patience_s=st.sampled_from([None, None, 0.0, 3e-6]),
)


@settings(max_examples=80, deadline=None)
@given(whole_graphs(), st.integers(0, 2**16), st.sampled_from(["float32", "fixed"]), TIMES, st.integers(1, 3))
def test_every_event_is_the_oracles(g, seed, arithmetic, times, cores):
    machine = spread(cores, chips=tuple((x, y) for x in range(9) for y in range(9)))  # up to 50 cores are drawn
    image = s2nir.compile(s2nir.quantize(g, WHOLE, arithmetic=arithmetic), machine,
                          partition=s2nir.Partition(slices=2))
    counts = agree(image, drive(g, seed)[:1], times)
    for name in ("dropped", "lost", "late", "early", "stalled"):
        if counts.core[:, COUNTS.index(name)].any():
            event(name)


@pytest.mark.parametrize("overflow", ["drop", "overwrite", "stall"])
def test_a_net_that_cannot_keep_up(overflow):
    image = s2nir.compile(chain(3, (12, 20, 9)), spread(), partition=s2nir.Partition(slices=2))
    spikes = (np.random.default_rng(4).random((1, 30, 12)) < 0.6).astype(np.uint8)
    times = s2nir.EventTiming(tick=9e-6, fifo=4, overflow=overflow, link_s=1e-6, patience_s=2e-5)
    counts = agree(image, spikes, times)
    sums = dict(zip(COUNTS, counts.core.sum(axis=0), strict=True))
    assert min(sums["late"], sums["overran"], sums["behind"], sums["over_fifo"]) > 0
    assert (sums["dropped"] == 0) == (overflow == "stall")
    assert (sums["stalled"] > 0) == (overflow == "stall")
    kept(s2nir.run(image, spikes, timing=times))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), TIMES, st.integers(1, 3))
def test_no_packet_is_forgotten(seed, times, batch):
    image = s2nir.compile(chain(seed, (12, 40, 25)), spread(), partition=s2nir.Partition(slices=2))
    spikes = (np.random.default_rng(seed).random((batch, 15, 12)) < 0.5).astype(np.uint8)
    found = s2nir.run(image, spikes, timing=times)
    kept(found)
    q = found.queueing
    assert q.in_time or max(q.dropped.sum(), q.lost.sum(), q.late.sum(), q.early.sum(), q.behind.sum(),
                            q.overran.sum()) > 0
    assert (q.fill <= times.fifo).all()
    assert str(q)
    assert q.to_dict()["due"] == q.due.sum()


@pytest.mark.parametrize(("field", "value", "said"), [
    ("fifo", 0, "EventTiming.fifo: found 0, allowed whole packets from 1"),
    ("tick", 0.0, "EventTiming.tick: found 0.0, allowed seconds from 1e-09"),
    ("overflow", "burst", "EventTiming.overflow: found 'burst', allowed 'drop', 'overwrite', 'stall'"),
    ("level", "high", "EventTiming.level: found 'high', needed one of Level.LOW, Level.HIGH"),
    ("patience_s", -1, "EventTiming.patience_s: found -1"),
])
def test_options_are_checked(field, value, said):
    with pytest.raises(RunError, match=said):
        s2nir.EventTiming(**{field: value})


def test_the_word_is_checked():
    image = s2nir.compile(chain(1))
    with pytest.raises(RunError, match='timing: found \'fast\', allowed "event"'):
        s2nir.run(image, np.zeros((3, 5), np.uint8), timing="fast")


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("place", ["router", "link"])
def test_waiting_times_are_those_of_a_queue_with_one_server(place, load):
    """M/D/1: packets that come at random to a server that takes each in the same time wait rho / (2 mu (1 - rho))."""
    image = s2nir.compile(chain(5, (3, 4), loops=False), spread(cores=1, chips=((0, 0), (1, 0))))
    takes = {"router": dict(router_s=1e-7), "link": dict(router_s=0.0, link_s=1e-7)}[place]
    served = events.served(image, program(image), s2nir.EventTiming(**takes), np.zeros(0, np.int64))
    times = np.cumsum(np.random.default_rng(8).exponential(1e-7 / load, 400_000))
    none = np.zeros(0, np.int64)
    _, counts = events.event_round(served, (np.zeros(1, np.int64), none, none), 0, ahead=(0, times))
    table = counts.router if place == "router" else counts.link
    busy = np.flatnonzero(table[:, kernels.PACKETS])
    packets, waited = table[busy[0], :2]
    assert packets == times.size
    assert waited / packets / 1e12 == pytest.approx(load * 1e-7 / (2 * (1 - load)), rel=0.03)


def test_it_says_what_made_it_longer():
    slow = dict(tick=2e-5, fifo=1 << 20)
    image = s2nir.compile(chain(6, (30, 100, 10)), spread(cores=1))
    spikes = (np.random.default_rng(4).random((1, 60, 30)) < 0.5).astype(np.uint8)

    def limit(**some):
        return s2nir.run(image, spikes, timing=s2nir.EventTiming(**slow | some)).queueing

    core = limit(tick=1e-5)
    i = int(core.busy_s.argmax())
    assert i in image["p0"].cores
    assert core.limit == "chip ({}, {}) PE {}".format(*image.cores[i].chip, image.cores[i].pe)
    assert core.longer_s[0] > 10 * core.tick
    link = limit(tick=1e-3, link_s=2e-4)
    chip, way = divmod(int(link.links[0, :, 0].argmax()), 6)
    assert link.limit == f"link {LINK_NAMES[way]} of chip {link.chip[chip]}"
    assert not link.overran.any()
    assert limit(tick=1e-3, router_s=2e-4).limit.startswith("router of chip")
    stalled = limit(tick=1e-3, fifo=4, overflow="stall")
    assert stalled.limit.startswith("FIFO of chip")
    assert limit(tick=1e-3).limit is None


@pytest.mark.parametrize("seed", range(3))
def test_the_shortest_safe_tick_is_that_of_the_cycle_model(seed):
    rng = np.random.default_rng(seed)
    sizes = tuple(int(n) for n in rng.integers(20, 120, 3))
    image = s2nir.compile(chain(seed, sizes), partition=s2nir.Partition(slices=2))
    spikes = (rng.random((1, 60, sizes[0])) < rng.uniform(0.1, 0.6)).astype(np.uint8)
    want = timing(s2nir.run(image, spikes)).shortest_tick_s.value
    low, high = want / 2, want * 2
    for _ in range(12):
        middle = (low + high) / 2
        found = s2nir.run(image, spikes, timing=s2nir.EventTiming(tick=middle, fifo=1 << 20)).queueing
        low, high = (low, middle) if found.in_time else (middle, high)
    assert high == pytest.approx(want, rel=0.1)


def test_a_packet_that_comes_as_a_tick_begins_is_taken_by_the_next_one():
    image = s2nir.compile(chain(3, (12, 20, 9), loops=False), partition=s2nir.Partition(slices=1))
    spikes = np.zeros((1, 4, 12), np.uint8)
    spikes[0, 0, :10] = 3  # 30 packets of 333,333 ps each
    times = s2nir.EventTiming(tick=30 * 333_333e-12, router_s=333_333e-12, hop_s=0.0)  # the 29th comes with tick 1
    counts = agree(image, spikes, times)
    assert counts.core[image["p0"].cores[0], COUNTS.index("late")] == 2


def test_what_is_lost_is_lost_for_all_behind():
    image = s2nir.compile(chain(3, (12, 20, 9)), spread(cores=1, chips=tuple((x, 0) for x in range(6))),
                          partition=s2nir.Partition(slices=2))
    spikes = (np.random.default_rng(4).random((1, 20, 12)) < 0.6).astype(np.uint8)
    counts = agree(image, spikes, s2nir.EventTiming(link_s=1e-6, patience_s=0.0))
    assert (counts.core[2:, COUNTS.index("lost")] > 0).all()
    assert (counts.core[2:, COUNTS.index("delivered")] > 0).all()
