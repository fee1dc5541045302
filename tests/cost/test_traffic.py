"""Packets on links, routers and cores against a walk of every event's key in plain Python."""

import warnings
from collections import Counter

import numpy as np
import pytest

import s2nir
from oracles import traffic as oracle
from oracles import way
from report.nets import spikes, two_layers
from s2nir.cost import expected, traffic
from s2nir.machine import LINK_NAMES
from s2nir.mapping import Curve, DimensionOrder

BOARD = s2nir.SpiNNaker2(boards=1, reserved=149)
MACHINES = {
    "one chip": (s2nir.SpiNNaker2(), {}),
    "one board": (BOARD, {}),
    "three boards, default routes": (s2nir.SpiNNaker2(boards=3, reserved=150, default_routes=True), {}),
    "faulty board, x first": (
        s2nir.SpiNNaker2(boards=1, reserved=149, faults=s2nir.Faults.drawn(BOARD, seed=3, links=0.2)),
        {"route": DimensionOrder(), "minimise": "fewest"},
    ),
}


@pytest.fixture(scope="module", params=MACHINES)
def made(request):
    machine, options = MACHINES[request.param]
    return _made(machine, options)


def _made(machine, options=None, slices=12, sources=30, **other):
    graph = s2nir.load(two_layers(sources=sources, hidden=40, outs=24), reset="subtract")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        network = s2nir.quantize(graph)
        image = s2nir.compile(network, machine=machine, partition=s2nir.Partition(slices=slices), **(options or {}),
                              **other)
    return s2nir.run(image, spikes(batch=2, steps=12, sources=sources, rate=0.3))


def test_every_link_router_and_core_is_the_walk_of_every_event(made):
    held, found = oracle(made), traffic(made)
    at = {tuple(c): i for i, c in enumerate(found.chip.tolist())}
    core = {(tuple(found.chip[c].tolist()), pe): i for i, (c, pe) in enumerate(found.core.tolist())}
    places = (
        (found.cores, lambda p: core[p]), (found.routers, lambda p: at[p]), (found.links, lambda p: (at[p[0]], p[1])),
        (found.sent, lambda p: core[p]),
    )
    for kind, (load, place) in enumerate(places):
        every = np.zeros((made.batch, made.ticks, *load.total.shape))
        for (b, t), counters in held.items():
            for where, n in counters[kind].items():
                every[(b, t, *np.atleast_1d(place(where)))] = n
        flat = every.reshape(made.batch * made.ticks, *load.total.shape)
        assert np.array_equal(load.total, flat.sum(axis=0))
        assert np.array_equal(load.mean, flat.sum(axis=0) / (made.batch * made.ticks))
        assert np.array_equal(load.worst, flat.max(axis=0))
        first = np.where(flat.max(axis=0) > 0, flat.argmax(axis=0), -1)
        b, t = np.divmod(first, made.ticks)
        assert np.array_equal(load.recording, b)
        assert np.array_equal(load.tick[first >= 0], t[first >= 0])
    total = sum((c[2] for c in held.values()), Counter())
    assert made.packets_per_link() == total
    assert found.packets_per_link == total
    by_tick = {k: sum(c[2].values()) for k, c in held.items()}
    assert found.between.total == sum(by_tick.values())
    assert found.between.worst == max(by_tick.values())
    assert (len(at) == 1) == (not total)


def test_time_is_packets_times_what_a_packet_takes():
    run = _made(s2nir.SpiNNaker2(boards=3, reserved=151), place=Curve())
    found = traffic(run)
    t = run.image.machine.topology
    on, off = found.links.worst[~t.between], found.links.worst[t.between]
    assert on.any()
    assert off.any()
    assert found.link_time[~t.between] == pytest.approx(on * 16e-9, rel=1e-12)
    assert found.link_time[t.between] == pytest.approx(off * 48e-9, rel=1e-12)
    assert found.link_share == pytest.approx(found.link_time / run.image.tick)
    worst = found.to_dict()["worst_link"]
    c = [tuple(v) for v in found.chip.tolist()].index(tuple(worst["chip"]))
    n = LINK_NAMES.index(worst["link"])
    assert worst["share_of_tick"] == found.link_share.max() == found.link_share[c, n]
    assert worst["packets_worst_tick"] == found.links.worst[c, n]
    assert f"link {worst['link']}" in str(found)


def test_expected_is_each_keys_way_at_its_populations_rate(made):
    image, rates = made.image, {"input": 0.25, "hidden": 0.5, "out": 2.0}
    links, routers = Counter(), Counter()
    for p in image.populations:
        for i in p.cores:
            core = image.cores[i]
            n, key = core.memory[4:12].view("<u4").tolist()
            for k in range(n):
                _, passed, crossed = way(image, core.chip, key + k)
                routers.update({c: rates[p.name] * m for c, m in passed.items()})
                links.update({c: rates[p.name] * m for c, m in crossed.items()})
    found = expected(image, rates)
    assert found.packets_per_link == links
    chips = [tuple(c) for c in found.chip.tolist()]
    assert dict(zip(chips, found.routers.mean.tolist(), strict=True)) == {c: routers[c] for c in chips}
    assert found.between.mean == sum(links.values())
    every = expected(image)
    assert every.sent.mean.sum() == pytest.approx(0.02 * sum(p.size for p in image.populations))
    assert every.links.tick.max() == -1


def test_expected_weighs_each_population_by_its_rate():
    """Against the measured packets of a run: with its own rates, the mean of every tick is expected exactly."""
    whole = _made(BOARD, slices=1)  # a population on one core, so that its mean rate is the core's own
    measured = traffic(whole)
    mine = {p.name: measured.sent.mean[list(p.cores)].sum() / p.size for p in whole.image.populations}
    assert all(len(p.cores) == 1 for p in whole.image.populations)
    assert expected(whole.image, mine).cores.mean == pytest.approx(measured.cores.mean)
    assert expected(whole.image, mine).sent.mean == pytest.approx(measured.sent.mean)


def test_a_relay_sends_as_what_it_relays():
    from quantize.networks import dense, graph, lif, source

    rng = np.random.default_rng(0)
    g = graph([source((6,)), lif("a", (5,)), lif("b", (4,))],
              [dense("in", "a", rng.normal(size=(5, 6))), dense("a", "b", rng.normal(size=(4, 5))),
               dense("in", "b", rng.normal(size=(4, 6)))])
    image = s2nir.compile(s2nir.quantize(g), machine=BOARD)
    relays = [i for p in image.populations if p.kind == "relay" for i in p.cores]
    assert relays
    assert expected(image, {"in": 0.5}).sent.mean[relays].tolist() == [3.0]


def test_rates_that_cannot_be_meant_are_refused():
    image = _made(BOARD).image
    with pytest.raises(s2nir.S2NirError, match="no population 'nobody'; there are "):
        expected(image, {"nobody": 1.0})
    with pytest.raises(s2nir.S2NirError, match="rates of 'hidden': found -1, allowed packets per neuron and tick"):
        expected(image, {"hidden": -1})
    with pytest.raises(s2nir.S2NirError, match="needed a Recording"):
        traffic(image)


def test_copies_that_run_at_once_load_the_links_together():
    graph = s2nir.load(two_layers(sources=30, hidden=40, outs=24), reset="subtract")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        network = s2nir.quantize(graph)
        image = s2nir.compile(network, BOARD, partition=s2nir.Partition(slices=5), copies=3)
    recording = s2nir.run(image, spikes(batch=4, steps=12, sources=30, rate=0.3))
    held, found = oracle(recording), traffic(recording)
    at = {tuple(c): i for i, c in enumerate(found.chip.tolist())}
    links = np.zeros((2, recording.ticks, *found.links.total.shape))
    for (b, t), counters in held.items():
        for (chip, link), n in counters[2].items():
            links[b // 3, t, at[chip], link] += n
    assert links.any()
    assert np.array_equal(found.links.worst, links.max(axis=(0, 1)))
    assert np.array_equal(found.links.total, links.sum(axis=(0, 1)))
    assert np.array_equal(found.links.mean, links.sum(axis=(0, 1)) / (2 * recording.ticks))
    assert set(np.unique(found.links.recording)) <= {-1, 0, 3}
    rates = dict.fromkeys((p.name for p in image.populations), 0.5)
    one = expected(s2nir.compile(network, BOARD, partition=s2nir.Partition(slices=5)), rates)
    assert expected(image, rates).sent.total.sum() == 3 * one.sent.total.sum()
