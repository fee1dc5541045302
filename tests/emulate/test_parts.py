"""Threads that run one network together: the bits of one thread, on every kind of network."""

import importlib

import numpy as np
import pytest

import s2nir
from emulate import kills, test_drive, test_stream
from s2nir import rules
from s2nir.emulate import program
from s2nir.emulate.parts import EACH, SINGLE, parts

run = importlib.import_module("s2nir.emulate.run")  # the module; the package has the function of this name


def wide(arithmetic="float32"):
    """Rows that are long enough for several in one pass, some of them cut by a part, and single synapses."""
    some = rules.FixedProbability(p=0.4)
    neurons = s2nir.Neurons(shape=900, tau=0.02, r=20.0, refractory=2, drive=s2nir.Poisson(rate=1_500.0, weight=0.04))
    graph = s2nir.build(
        {"in": 40, "a": neurons, "b": s2nir.Neurons(shape=300, tau=0.02, tau_syn=0.004, r=30.0)},
        [s2nir.Connect(source="in", target="a", rule=rules.FixedProbability(p=0.05), weight=0.3),
         s2nir.Connect(source="a", target="a", rule=some, weight=rules.Uniform(low=-0.02, high=0.01)),
         s2nir.Connect(source="a", target="b", rule=some, weight=0.02, delay=rules.Uniform(low=0, high=5))],
        dt=1e-3, seed=3)
    return s2nir.compile(s2nir.quantize(graph, arithmetic=arithmetic), s2nir.SpiNNaker2(rows="dram"))


IMAGES = test_stream.IMAGES | {
    "wide": wide, "wide fixed": lambda: wide("fixed"), "killed": kills.image,
    "driven": lambda: s2nir.compile(s2nir.quantize(test_drive.net())),
}


@pytest.fixture(scope="module", params=IMAGES)
def image(request):
    return IMAGES[request.param]()


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(run, "LARGE", 0)


def drawn(image, batch=1, steps=60):
    r = np.random.default_rng(4)
    return {p.name: (r.random((batch, steps, *p.shape)) < 0.3).astype(np.uint8) for p in image.inputs}


def same(a, b):
    for x, y in zip(a.events, b.events, strict=True):
        assert all(np.array_equal(u, v) for u, v in zip(x, y, strict=True))
    for kind in ("membranes", "compared"):
        for x, y in zip(getattr(a, kind), getattr(b, kind), strict=True):
            assert x.tobytes() == y.tobytes()
    assert np.array_equal(a.saturated, b.saturated)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_the_bits_are_those_of_one_thread(image, small, threads):
    spikes = drawn(image)
    record = ("spikes", "voltages", "potentials")
    same(s2nir.run(image, spikes, record, threads=threads), s2nir.run(image, spikes, record))


def test_every_neuron_and_synapse_is_in_one_part(image):
    ready = program(image).placed
    for threads in (2, 3, 5):
        team = parts(ready, threads)
        assert [p.lo for p in team] == [0, *(p.hi for p in team[:-1])]
        assert all(p.lo % 64 == 0 for p in team)
        assert team[-1].hi == ready.size
        y = ready.synapses
        assert sum(int(p.synapses.length.sum()) for p in team) == int(y.length.sum())
        assert sum(p.synapses.one_target.size for p in team) == y.one_target.size
        assert all(p.synapses.weights is y.weights for p in team)
        for p in team:
            assert (p.synapses.target >= p.lo).all()
            assert (p.synapses.target + p.synapses.length <= p.hi).all()


def test_a_wide_network_is_cut_where_rows_go_on():
    ready = program(wide()).placed
    two = parts(ready, 2)
    assert two[0].hi > 0
    assert sum(p.synapses.length.size for p in two) > ready.synapses.length.size
    cost = [p.synapses.length.sum() + SINGLE * p.synapses.one_target.size + EACH * (p.hi - p.lo) for p in two]
    assert 0.7 < cost[0] / cost[1] < 1.4


def test_a_stream_of_several_threads_is_a_run(tmp_path):
    image = wide()
    spikes = drawn(image, steps=90)["in"][0]
    whole = s2nir.run(image, spikes, ("spikes", "voltages"))
    stream = image.stream(("spikes", "voltages"), threads=2)
    found = [stream.feed(spikes[:7]), stream.feed(spikes[7:50])]
    stream.save(tmp_path / "at.npz")
    stream = image.stream(("spikes", "voltages"), threads=3)
    stream.resume(tmp_path / "at.npz")
    found += [stream.feed(spikes[50:]), stream.drain()]
    assert np.array_equal(np.concatenate([t.spikes("b") for t in found]), whole.raw_spikes("b")[0])
    assert np.array_equal(np.concatenate([t.voltages("a") for t in found]), whole.raw_voltages("a")[0])
    assert whole.raw_spikes("b").any()


def test_threads_go_over_recordings_first(monkeypatch):
    image, seen = wide(), []
    real = run.in_turn
    monkeypatch.setattr(run, "LARGE", 0)
    monkeypatch.setattr(run, "in_turn", lambda *a: seen.append(a[-2]) or real(*a))
    for batch, threads in ((4, 2), (2, 4), (1, 3), (3, 4)):
        s2nir.run(image, drawn(image, batch, 3), threads=threads)
    assert seen == [1] * 2 + [2] * 2 + [3] + [1] * 3  # of the first, two at a turn
