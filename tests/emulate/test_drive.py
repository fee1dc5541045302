"""Poisson drives on cores: the kernel against the oracle, whatever the cut, the rows and the arithmetic."""

from itertools import product

import numpy as np
import pytest

import s2nir
from s2nir import rules
from s2nir.emulate import reference
from s2nir.errors import RunError
from s2nir.mapping import regions

KINDS = dict(plain=dict(), current=dict(tau_syn=0.005), late=dict(reset="subtract", reset_late=True),
             held=dict(refractory=3), silent=dict(threshold=None, reset="none"))


def net(kind="plain", shape=(2, 5, 7), inputs=True):
    """Two populations that drive each other, one of them with boxes of channels."""
    some = dict(tau=0.02, r=20.0) | KINDS[kind]
    pops = {
        "a": s2nir.Neurons(shape=131, tau=0.02, r=20.0, drive=s2nir.Poisson(rate=2_000.0, weight=0.03)),
        "b": s2nir.Neurons(shape=shape, drive=s2nir.Poisson(rate=300.0, weight=-0.1, seed=2**63 + 5), **some),
    }
    some = rules.FixedProbability(p=0.3)
    ways = [s2nir.Connect(source="a", target="b", rule=some, weight=0.05)]
    if kind != "silent":
        ways.append(s2nir.Connect(source="b", target="a", rule=some, weight=-0.05))
    if inputs:
        pops["in"] = 4
        ways.append(s2nir.Connect(source="in", target="a", rule=some, weight=0.2))
    return s2nir.build(pops, ways, dt=1e-3, loops="machine", outputs=["b"])


def same(recording, oracle):
    for name, v in oracle.voltages.items():
        raw = recording.raw_voltages(name).reshape(v.shape)
        assert np.array_equal(raw.view(np.int32), v.view(np.int32)), name
        if name in oracle.spikes:
            assert np.array_equal(recording.raw_spikes(name).reshape(v.shape), oracle.spikes[name]), name


@pytest.mark.parametrize(("kind", "arithmetic"), list(product(KINDS, ("float32", "fixed"))))
def test_every_neuron_draws_as_the_oracle_does(kind, arithmetic):
    network = s2nir.quantize(net(kind), arithmetic=arithmetic)
    spikes = (np.random.default_rng(0).random((3, 50, 4)) < 0.3).astype(np.uint8)
    oracle = reference(network, spikes, noise=[7, 0, 2**32 - 1])
    for rows, slices, per in ((("sram"), 1, 1), ("dram", 7, 1), ("compact", 3, 2)):
        image = s2nir.compile(network, s2nir.SpiNNaker2(rows=rows), partition=s2nir.Partition(slices=slices))
        assert not list(image.check())
        same(s2nir.run(image, spikes, record=("spikes", "voltages"), noise=[7, 0, 2**32 - 1], threads=per), oracle)
    assert oracle.spikes["a"].sum() > 100


@pytest.mark.parametrize("onset", ["aligned", "board"])
def test_step_zero_is_the_step_in_which_constants_start_to_act(onset):
    way = s2nir.Connect(source="in", target="a", weight=np.ones((5, 1)))
    last = s2nir.Connect(source="a", target="b", weight=np.ones((5, 5)))
    neurons = s2nir.Neurons(shape=5, tau=0.01, r=3.0, drive=s2nir.Poisson(rate=900.0, weight=0.4))
    graph = s2nir.build({"in": 1, "a": neurons, "b": neurons}, [way, last], dt=1e-3)
    network = s2nir.quantize(graph)
    image = s2nir.compile(network, onset=onset)
    assert image["b"].lag == 2
    spikes = np.zeros((30, 1), np.uint8)
    same(s2nir.run(image, spikes, record=("spikes", "voltages")), reference(network, spikes, onset=onset))
    if onset == "aligned":
        assert (s2nir.run(image, spikes).spikes["a"] == graph.simulate(spikes).spikes["a"]).all()


def test_populations_that_draw_alike_share_their_draws():
    neurons = s2nir.Neurons(shape=9, tau=0.01, r=3.0, drive=s2nir.Poisson(rate=900.0, weight=0.4, seed=1))
    graph = s2nir.build({"a": neurons, "b": neurons}, [], dt=1e-3, outputs=["a", "b"])
    network = s2nir.quantize(graph)
    image = s2nir.compile(network, partition=s2nir.Partition(slices=2))
    recording = s2nir.run(image, 60)
    same(s2nir.run(image, 60, record=("spikes", "voltages")), reference(network, 60))
    assert (recording.spikes["a"] == recording.spikes["b"]).all()
    assert recording.spikes["a"].any()


def test_a_stream_goes_on_drawing_where_it_stands(tmp_path):
    image = s2nir.compile(s2nir.quantize(net(inputs=False)), s2nir.SpiNNaker2(rows="dram"))
    want = s2nir.run(image, 400, noise=3).raw_spikes("a")[0]
    stream, found = image.stream(noise=3), []
    for n in (1, 2, 60, 137):
        found.append(stream.feed(n).spikes("a"))
    stream.save(tmp_path / "at.npz")
    stream = image.stream(noise=3)
    stream.resume(tmp_path / "at.npz")
    found.append(stream.feed(200).spikes("a"))
    assert np.array_equal(np.concatenate(found), want)


def test_a_stream_is_resumed_with_its_own_noise(tmp_path):
    image = s2nir.compile(s2nir.quantize(net(inputs=False)))
    stream = image.stream(noise=3)
    stream.feed(20)
    stream.save(tmp_path / "at.npz")
    other = image.stream()
    other.resume(tmp_path / "at.npz")
    assert (other.feed(30).spikes("a") == s2nir.run(image, 50, noise=3).raw_spikes("a")[0, 20:]).all()


def test_copies_draw_alike_and_take_one_noise():
    image = s2nir.compile(s2nir.quantize(net()), copies=2)
    spikes = np.zeros((2, 60, 4), np.uint8)
    recording = s2nir.run(image, spikes, noise=5)
    assert (recording.spikes["a"][0] == recording.spikes["a"][1]).all()
    assert recording.spikes["a"].any()
    with pytest.raises(RunError, match="noise: found 2 numbers, needed one for an image of 2 copies"):
        s2nir.run(image, spikes, noise=[5, 6])


def test_the_application_and_its_bytes_say_so(tmp_path):
    graph, bare = net(), net()
    image = s2nir.compile(s2nir.quantize(graph), s2nir.SpiNNaker2(rows="dram"))
    assert {c.application for c in image.cores} == {"spike_list", "lif_dram_poisson"}
    image.save(tmp_path / "m.s2.h5")
    assert s2nir.MachineImage.load(tmp_path / "m.s2.h5") == image
    core = image.cores[image["a"].cores[0]]
    drive = regions(core.memory, True).drive
    assert drive.weight.size == 131
    assert drive.law.size == graph["a"].drive.law.size
    assert bare.digest == graph.digest


def test_check_sees_a_drive_that_was_altered():
    from dataclasses import replace

    image = s2nir.compile(s2nir.quantize(net()))
    at = image["b"].cores[0]
    core = image.cores[at]
    r = regions(core.memory, True)
    begin = core.memory.size - 32 - 4 * r.drive.law.size - -(-r.descriptor.neurons // 4) * 4

    def broken(place, value, application=core.application):
        memory = core.memory.copy()
        memory[begin + place : begin + place + 4].view("<u4")[0] = value
        cores = list(image.cores)
        cores[at] = replace(core, memory=memory, application=application)
        return " ".join(replace(image, cores=tuple(cores)).check())

    assert "counts neurons in 4 x 7" in broken(8, 4)
    assert "its head counts others" in broken(16, 2)
    assert "bytes that are not zero" in broken(20, 1)
    assert "the law of its drive does not rise" in broken(36, 0)
    assert "holds -128" in broken(32 + 4 * r.drive.law.size, 128)
    assert "which its application does not say" in broken(8, 5, "lif_no_delay")
