"""Networks that are whole numbers already: the float run, the oracle and the emulator agree to the bit.

Weights up to 127 give a scale of 1, decays are 0, a half or 1: in eight steps nothing needs more than the 24 bits of a
float32, or the 15 behind the point of the fixed format. So quantization, retiming, mapping and kernels change nothing.
"""

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import s2nir
from quantize.networks import conv, cuba, dense, graph, lif, readout, source, sparse
from s2nir.emulate import reference
from s2nir.graph import Compare, Reset

STEPS = 8
WHOLE = s2nir.PTQ(per="population")


def parameters(draw, name, size, spikes):
    """A population whose every parameter is a small whole number or a power of two."""
    per_neuron = draw(st.booleans())

    def some(*choices):
        return [draw(st.sampled_from(choices)) for _ in range(size)] if per_neuron else draw(st.sampled_from(choices))

    fields = dict(decay=some(0.0, 0.5, 1.0), constant=some(0.0, 1.0, -2.0), bias=some(0.0, 3.0, -1.0),
                  gain=draw(st.sampled_from([1.0, 0.5, 2.0])))
    if draw(st.booleans()):
        fields |= dict(syn_decay=some(0.0, 0.5, 1.0), syn_gain=1.0)
    if not spikes:
        return readout(name, (size,), node="CubaLI" if "syn_decay" in fields else "LI", **fields)
    reset = draw(st.sampled_from([Reset.SUBTRACT, Reset.ZERO, Reset.TO_VALUE, Reset.NONE]))
    late = reset in (Reset.SUBTRACT, Reset.ZERO) and draw(st.booleans())
    return lif(name, (size,), node="CubaLIF" if "syn_decay" in fields else "LIF", reset=reset, reset_late=late,
               threshold=some(40.0, 127.0, 200.0), v_reset=some(-8.0, 0.0, 16.0), refractory=draw(st.integers(0, 3)),
               compare=draw(st.sampled_from(list(Compare))), **fields)


@st.composite
def whole_graphs(draw):
    """in -> populations in a row, with skips, delays and recurrences of their own."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    names = [f"p{i}" for i in range(len(sizes))]
    size = dict(zip(["in", *names], [draw(st.integers(1, 3)), *sizes], strict=True))
    populations = [source((size["in"],))]
    projections = []
    for i, name in enumerate(names):
        spikes = i < len(names) - 1 or draw(st.booleans())
        populations.append(parameters(draw, name, size[name], spikes))
        before = ["in", *names[:i]][-1]
        ways = [(before, draw(st.sampled_from([0, 0, 1, 3])))]
        if draw(st.booleans()):
            ways.append((draw(st.sampled_from(["in", *names[:i]])), draw(st.sampled_from([0, 2, 9]))))
        if spikes and draw(st.booleans()):
            ways.append((name, draw(st.sampled_from([0, 1]))))
        for k, (other, delay) in enumerate(ways):
            rng = np.random.default_rng(draw(st.integers(0, 2**16)))
            weight = rng.integers(-40, 128, (size[name], size[other])) * (rng.random((size[name], size[other])) < 0.8)
            if k == 0:
                weight[0, 0] = 127
            if draw(st.booleans()):
                entries = [(s, t, float(weight[t, s]), int(rng.integers(0, 3))) for t, s in np.argwhere(weight)]
                projections.append(sparse(other, name, entries, size[other], size[name], delay=delay))
            else:
                projections.append(dense(other, name, weight, delay=delay))
    return graph(populations, projections)


def drive(g, seed, top=2):
    return np.random.default_rng(seed).integers(0, top + 1, (2, STEPS, g["in"].size)).astype(np.uint8)


def agree(g, spikes, arithmetic="float32", **options):
    """Float run == emulator, and oracle == emulator, every bit."""
    network = s2nir.quantize(g, WHOLE, arithmetic=arithmetic)
    for p in network.populations:
        assert p.is_input or p.weight_scale == 1.0
    image = s2nir.compile(network, **options)
    trace = g.simulate(spikes, record=("spikes", "voltages"))
    got = s2nir.run(image, spikes, record=("spikes", "voltages"))
    oracle = reference(network, spikes)
    for name, want in trace.spikes.items():
        assert np.array_equal(got.spikes[name], want), name
        assert np.array_equal(got.raw_spikes(name).reshape(oracle.spikes[name].shape), oracle.spikes[name]), name
        assert np.array_equal(got.counts[name], want.astype(int).sum(axis=1)), name
    for name, want in trace.voltages.items():
        assert np.array_equal(got.voltages[name].astype(np.float64), want), name
        raw = got.raw_voltages(name).reshape(oracle.voltages[name].shape)
        assert np.array_equal(raw.view(np.int32), oracle.voltages[name].view(np.int32)), name
    assert got.saturations == dict(oracle.saturations)
    assert not any(got.saturations.values())
    return got


@settings(max_examples=120, deadline=None)
@given(whole_graphs(), st.integers(0, 2**16), st.sampled_from(["float32", "fixed"]), st.integers(1, 3))
def test_nothing_changes_on_the_way(g, seed, arithmetic, slices):
    agree(g, drive(g, seed), arithmetic, partition=s2nir.Partition(slices=slices))


@settings(max_examples=80, deadline=None)
@given(whole_graphs(), st.integers(0, 2**16), st.sampled_from([300, 5_000, 60_000]),
       st.sampled_from(["float32", "fixed"]))
def test_floods_saturate_alike(g, seed, top, arithmetic):
    """Counts far above what the fixed format holds: oracle and emulator saturate at the same places, equally often."""
    network = s2nir.quantize(g, WHOLE, arithmetic=arithmetic)
    spikes = np.random.default_rng(seed).integers(0, top + 1, (2, STEPS, g["in"].size))
    image = s2nir.compile(network, max_count=top)
    got = s2nir.run(image, spikes, record=("spikes", "voltages"), threads=2)
    oracle = reference(network, spikes, max_count=top)
    for name, want in oracle.voltages.items():
        raw = got.raw_voltages(name).reshape(want.shape)
        assert np.array_equal(raw.view(np.int32), want.view(np.int32)), name
        if name in oracle.spikes:
            assert np.array_equal(got.raw_spikes(name).reshape(want.shape), oracle.spikes[name]), name
    assert got.saturations == dict(oracle.saturations)
    event("saturates" if any(got.saturations.values()) else "holds")


def test_a_flood_does_saturate():
    g = graph([source((1,)), lif("a", (1,), decay=1.0, reset=Reset.NONE), cuba("b", (1,), syn_decay=1.0)],
              [dense("in", "a", [[127.0]]), dense("in", "b", [[-127.0]])])
    network = s2nir.quantize(g, WHOLE, arithmetic="fixed")
    got = s2nir.run(s2nir.compile(network, max_count=60_000), np.full((6, 1), 60_000), record=("voltages",))
    assert got.saturations["a"] >= 6
    assert got.saturations["b"] >= 6
    assert got.raw_voltages("a")[0, -1, 0] == 2**31 - 1
    assert got.raw_voltages("b")[0, -1, 0] == -(2**31)


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize("compare", list(Compare))
@pytest.mark.parametrize("make", [lif, cuba])
@pytest.mark.parametrize(("reset", "late"), [
    (Reset.SUBTRACT, False), (Reset.SUBTRACT, True), (Reset.ZERO, False), (Reset.ZERO, True), (Reset.TO_VALUE, False),
    (Reset.NONE, False),
])
def test_every_contract(reset, late, make, compare, refractory, arithmetic):
    rng = np.random.default_rng(2)
    weight = rng.integers(-30, 100, (6, 4))
    weight[0, 0] = 127
    recurrent = rng.integers(-127, 60, (6, 6))
    g = graph(
        [source(), make("a", (6,), threshold=100.0, v_reset=-16.0, reset=reset, reset_late=late, compare=compare,
                        refractory=refractory)],
        [dense("in", "a", weight), dense("a", "a", recurrent)],
    )
    got = agree(g, drive(g, 3, top=1), arithmetic)
    assert got.counts["a"].sum() > 5


def skip(delay, weight=127):
    """in -> a -> b -> c, and in -> c: both ways must arrive together. c is a sum that spikes on both at once."""
    eye = weight * np.eye(2)
    one = dict(decay=0.0, threshold=weight - 1.0, reset=Reset.NONE)
    return graph(
        [source((2,)), lif("a", (2,), **one), lif("b", (2,), **one),
         lif("c", (2,), **(one | {"threshold": 2.0 * weight - 1}))],
        [dense("in", "a", eye), dense("a", "b", eye), dense("b", "c", eye, delay=delay),
         dense("in", "c", eye, delay=delay)],
    )


@pytest.mark.parametrize("delay", [0, 1, 2, 3, 5, 8, 12])
@pytest.mark.parametrize("weight", [127, 15])
def test_skips_stay_in_step(delay, weight):
    """With a weight of 15 by delay words (and relays beyond 7), with 127 by relays."""
    g = skip(delay, weight)
    network = s2nir.quantize(g, s2nir.PTQ(per="population", bits=8 if weight == 127 else "s4"))
    image = s2nir.compile(network)
    spikes = (np.random.default_rng(1).random((2, 20, 2)) < 0.4).astype(np.uint8)
    got = s2nir.run(image, spikes)
    want = np.zeros_like(spikes)
    want[:, delay:] = spikes[:, : 20 - delay]
    assert np.array_equal(got.spikes["c"], want)
    assert np.array_equal(got.spikes["c"], g.simulate(spikes).spikes["c"])
    relays = [p for p in image.populations if p.kind == "relay"]
    assert bool(relays) == (weight == 127 or delay > 8)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_of_whole_numbers(stride):
    rng = np.random.default_rng(4)
    size = 4 // stride
    kernel = rng.integers(-60, 100, (3, 2, 3, 3))
    kernel[0, 0, 0, 0] = 127
    back = rng.integers(-60, 127, (5, 3 * size * size))
    back[0, 0] = 127
    g = graph(
        [source((2, 4, 4)), lif("a", (3, size, size), threshold=150.0), lif("b", (5,), threshold=300.0)],
        [conv("in", "a", kernel, (2, 4, 4), (3, size, size), padding=(1, 1), stride=(stride, stride)),
         dense("a", "b", back)],
    )
    spikes = (rng.random((2, STEPS, 2, 4, 4)) < 0.3).astype(np.uint8)
    for slices in (1, 3):
        got = agree(g, spikes, partition=s2nir.Partition(slices=slices))
        assert got.counts["b"].sum() > 0
