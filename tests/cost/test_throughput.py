"""Inferences per second against sums by hand, and every limit by its name."""

from dataclasses import replace

import numpy as np
import pytest

import s2nir
from mapping.test_copies import chain, overfull
from report.nets import spikes, two_layers
from s2nir.cost import HOST_PACKETS_PER_S, Throughput, throughput
from s2nir.errors import InputError

BASE = Throughput(copies=4, room=4, ticks=10, inferences=1, cycles_s=2e-4, links_s=1e-4, core=((0, 0), 1, 6e4),
                  link=((0, 0), "E", 6250.0), arriving=100.0, fifo=512, input_packets=500.0, host=1e9, entries=False)


def two(copies=1, **options):
    network = s2nir.quantize(s2nir.load(two_layers(), reset="zero"))
    return network, s2nir.compile(network, copies=copies, **options)


def by_hand(network, recording, b):
    """Packets and cycles of each core in each tick, from weights and spikes: one core per population."""
    image = recording.image
    found = {}
    for q in network.projections:
        weight = np.asarray(q.connection.weight)
        rows = (weight != 0).sum(axis=0)
        raw = (recording.raw_spikes(q.source) if image[q.source].kind != "input" else
               np.pad(recording.spikes[q.source], [(0, 0), (0, recording.ticks - recording.steps), (0, 0)]))[b]
        heard = raw[:, rows > 0].sum(axis=1).astype(np.int64)
        assert (rows > 0).any()
        still = 2000 + 34 * weight.shape[0] + 9 * (-(-weight.shape[0] // 32) + 2)
        cycles = still + 236 * raw.astype(np.int64).sum(axis=1) + 25 * (raw @ rows)
        found[q.target] = heard, cycles, raw.astype(np.int64).sum(axis=1)
    return found


def test_cycles_packets_and_input_by_hand():
    network, image = two()
    recording = s2nir.run(image, spikes())
    hand = [by_hand(network, recording, b) for b in range(3)]
    t = throughput(image, recording)
    worst = max(h[n][1].max() for h in hand for n in h)
    assert t.core[2] == worst
    assert t.cycles_s == worst / 300e6
    assert t.arriving == max(h[n][2].max() for h in hand for n in h)
    assert t.input_packets == spikes().sum() / 3
    assert (t.ticks, t.link, t.links_s) == (22, None, 0.0)
    assert t.tick_s == t.cycles_s
    assert t.inferences_per_s == pytest.approx(1 / (22 * worst / 300e6), rel=1e-12)
    assert (t.room, t.copies, t.limit) == (49, 1, "cycles")
    assert t.host == HOST_PACKETS_PER_S == pytest.approx(29.9e6, rel=1e-3)


def test_links_by_hand():
    """Three chips of two cores: the first copy sends its hidden spikes over one link, the second its input over
    another."""
    row = s2nir.SpiNNaker2(chips=((0, 0), (1, 0), (2, 0)), reserved=150)
    network, image = two(2, machine=row)
    assert [c.chip[0] for c in image.cores] == [0, 0, 1, 1, 2, 2]
    recording = s2nir.run(two()[1], spikes())
    hand = [by_hand(network, recording, b) for b in range(3)]
    hidden = max(h["out"][2].max() for h in hand)
    given = max(h["hidden"][2].max() for h in hand)
    t = throughput(image, recording)
    assert t.link == max(((0, 0), "E", float(hidden)), ((1, 0), "E", float(given)), key=lambda link: link[2])
    assert t.links_s == pytest.approx(max(hidden, given) * 16e-9, rel=1e-12)
    assert min(hidden, given) > 0
    assert (t.room, t.copies_limit, t.limit) == (2, "cores", "cores")


def test_copies_share_links():
    """The inputs of both copies on one chip, all else on the next: the link between carries both."""
    row = s2nir.SpiNNaker2(chips=((0, 0), (1, 0)), reserved=148)

    def apart(net, machine):
        far = np.array([s.member.split("@")[0] != "input" for s in net.slices])
        pe = np.where(far, np.cumsum(far) - 1, np.cumsum(~far) - 1)
        return far.astype(np.int32), pe.astype(np.int16)

    network, image = two(2, machine=row, place=apart)
    recording = s2nir.run(two()[1], spikes())
    given = max(by_hand(network, recording, b)["hidden"][2].max() for b in range(3))
    assert throughput(image, recording).link == ((0, 0), "E", 2.0 * given)


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_a_recording_of_several_copies_says_the_same(copies):
    _, image = two(8)
    alone = throughput(image, s2nir.run(two()[1], spikes()))
    assert throughput(image, s2nir.run(two(copies)[1], spikes())) == alone
    assert alone.copies == 8


def test_copies_add_up():
    recording = s2nir.run(two()[1], spikes())
    rates = [throughput(two(n)[1], recording).inferences_per_s for n in (1, 7, 49)]
    np.testing.assert_allclose(rates, rates[0] * np.array([1, 7, 49]), rtol=1e-12)


def test_rates_are_means():
    network, image = two(3)
    rates = {"input": 0.5, "hidden": 0.25}
    t = throughput(image, rates, steps=20)
    first, second = (np.asarray(q.connection.weight) for q in network.projections)
    cycles = [2000 + 34 * w.shape[0] + 9 * 3 + 236 * r * w.shape[1] + 25 * r * (w != 0).sum()
              for w, r in ((first, 0.5), (second, 0.25))]
    assert t.core[2] == pytest.approx(max(cycles), rel=1e-12)
    assert t.arriving == pytest.approx(max(0.5 * 6, 0.25 * 9), rel=1e-12)
    assert (t.ticks, t.input_packets) == (22, 60.0)
    with pytest.raises(InputError, match="rates say nothing of the length of a round; give steps= as well"):
        throughput(image, rates)
    for rate in (-1, float("nan"), None):
        with pytest.raises(InputError, match=r"rates of 'input': found .*, allowed packets per neuron and tick"):
            throughput(image, {"input": rate}, steps=1)
    with pytest.raises(InputError, match=r"rates: no population 'x'; there are input, hidden, out"):
        throughput(image, {"x": 1.0}, steps=1)


def test_each_limit_by_its_name():
    net, options = overfull()
    one = s2nir.compile(net)
    recording = s2nir.run(one, np.ones((1, 5, 4), np.uint8))
    assert throughput(s2nir.compile(net, copies=3), recording).limit == "cycles"
    full = s2nir.compile(net, copies="fill")
    assert throughput(full, recording).limit == "cores"
    assert throughput(s2nir.compile(net, copies="fill", **options), recording).limit == "entries"
    slow = throughput(full, recording, host=1e3)
    assert slow.limit == "input injection"
    assert slow.inferences_per_s == pytest.approx(1e3 / 20, rel=1e-12)
    lost = throughput(full, recording, fifo=3)
    assert (lost.limit, lost.inferences_per_s, lost.arriving) == ("packets", 0.0, 4.0)
    assert "its FIFO holds 3: packets are lost at any tick" in str(lost)
    assert lost.to_dict()["tick_s"] is None


@pytest.mark.parametrize(("change", "limit", "tick", "rate"), [
    ({}, "cores", 2e-4, 2000.0),
    (dict(room=9), "cycles", 2e-4, 2000.0),
    (dict(room=9, entries=True), "entries", 2e-4, 2000.0),
    (dict(links_s=4e-4), "packets", 4e-4, 1000.0),
    (dict(host=5e5), "input injection", 2e-4, 1000.0),
    (dict(host=5e5, links_s=5e-4), "packets", 5e-4, 800.0),
    (dict(host=5e5, inferences=8), "input injection", 2e-4, 8000.0),
    (dict(arriving=513.0), "packets", float("inf"), 0.0),
])
def test_what_ends_it(change, limit, tick, rate):
    t = replace(BASE, **change)
    assert (t.limit, t.tick_s) == (limit, tick)
    assert t.inferences_per_s == pytest.approx(rate, rel=1e-12)
    assert t.to_dict()["limit"] == limit
    assert f"ended by {limit}" in str(t).splitlines()[0]


def test_inputs_that_follow_each_other():
    _, image = two()
    recording = s2nir.run(image, spikes())
    once, often = throughput(image, recording), throughput(image, recording, inferences=20)
    assert often.inferences_per_s == pytest.approx(20 * once.inferences_per_s, rel=1e-12)


def test_what_cannot_be_meant():
    _, image = two()
    recording = s2nir.run(image, spikes())
    other = s2nir.compile(chain())
    with pytest.raises(InputError, match="the recording is of another network than the image, or of one that is cut"):
        throughput(other, recording)
    with pytest.raises(InputError, match="the recording is of another network than the image, or of one that is cut"):
        throughput(two(partition=s2nir.Partition(slices=2))[1], recording)
    for wrong, said in ((dict(host=0), "host: found 0, allowed packets per second above 0"),
                        (dict(fifo=0), "fifo: found 0, allowed whole packets from 1 up"),
                        (dict(inferences=1.5), r"inferences: found 1\.5, allowed whole numbers from 1 up"),
                        (dict(steps=3), "steps: found 3, allowed with rates only; a Recording has its own")):
        with pytest.raises(InputError, match=rf"throughput\.{said}"):
            throughput(image, recording, **wrong)
    with pytest.raises(InputError, match=r"throughput\.steps: found 'x', allowed whole steps from 1 up"):
        throughput(image, {"in": 1.0}, steps="x")
    with pytest.raises(InputError, match="throughput: found a Network"):
        throughput(two()[0], recording)


def test_it_prints_the_same():
    assert str(BASE).splitlines() == [
        "Throughput: 2,000 inferences/s (an estimate) of 4 copies, ended by cores",
        "  a round: 4 x 1 inferences, 10 ticks of 200.0 us; input alone 2.0 us, 500 packets per copy at "
        "1,000,000,000/s",
        "  busiest core: (0, 0) PE 1, 60,000 cycles, 200.0 us a tick",
        "  busiest link: E of (0, 0), 6,250 packets, 100.0 us a tick",
        "  fullest core: 100 packets in a tick, its FIFO holds 512",
        "  copies: 4, the cores would hold 4",
    ]
