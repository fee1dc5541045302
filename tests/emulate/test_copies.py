"""An image of several copies runs recordings side by side: what comes out is what one copy gives, to the bit."""

from dataclasses import replace

import numpy as np
import pytest

import s2nir
from conformance.test_mutations import altered, places, small_graph
from report.nets import readout, two_layers
from s2nir.graph import Dense, Graph, Population, Projection, Reset
from s2nir.mapping import Table, regions
from s2nir.report import report

BOARD = s2nir.SpiNNaker2(boards=1, reserved=144)
SEEN = ("spikes", "voltages", "potentials")


def two_inputs():
    """Two inputs, a recurrence, a refractory time, current-based neurons, and a readout."""
    rng = np.random.default_rng(5)
    lif = dict(gain=1.0, constant=0.05, bias=0.01, threshold=1.0, v_reset=0.0, reset=Reset.ZERO)
    return Graph(
        dt=1e-3,
        populations=(
            Population(name="x", node="Input", shape=(5,)), Population(name="y", node="Input", shape=(3,)),
            Population(name="a", node="CubaLIF", shape=(7,), decay=0.9, syn_decay=0.6, syn_gain=1.0, refractory=1,
                       **lif),
            Population(name="b", node="LI", shape=(4,), decay=0.95, gain=1.0, constant=0.0, bias=0.0),
        ),
        projections=(
            Projection(source="x", target="a", connection=Dense(weight=rng.normal(0.2, 0.5, (7, 5)))),
            Projection(source="y", target="a", connection=Dense(weight=rng.normal(0.2, 0.5, (7, 3)))),
            Projection(source="a", target="a", connection=Dense(weight=rng.normal(0, 0.3, (7, 7)))),
            Projection(source="a", target="b", connection=Dense(weight=rng.normal(0, 0.5, (4, 7)))),
        ),
        outputs={"out": "b"},
    )


GRAPHS = {
    "conv": small_graph,
    "two inputs": two_inputs,
    "dense": lambda: s2nir.load(two_layers(), reset="zero"),
    "readout": lambda: readout().graph,
}


def images(graph, copies, bits=8, arithmetic="float32", **options):
    net = s2nir.quantize(graph, s2nir.PTQ(bits=bits), arithmetic=arithmetic)
    options.setdefault("partition", s2nir.Partition(slices=2))
    return (s2nir.compile(net, **options), s2nir.compile(net, machine=BOARD, copies=copies, **options))


def drawn(image, batch, steps=14, seed=0, rate=0.5):
    rng = np.random.default_rng(seed)
    return {p.name: rng.poisson(rate, (batch, steps, *p.shape)).astype(np.uint8) for p in image.inputs}


def same(a, b):
    """Everything that a Recording shows, to the bit."""
    assert (a.batch, a.steps, a.ticks) == (b.batch, b.steps, b.ticks)
    for what in ("spikes", "counts", "readout", "voltages", "potentials"):
        one, other = getattr(a, what), getattr(b, what)
        assert list(one) == list(other)
        for name in one:
            assert one[name].dtype == other[name].dtype
            assert np.array_equal(one[name], other[name]), (what, name)
    for name in a.spikes:
        assert np.array_equal(a.raw_spikes(name), b.raw_spikes(name))
        assert np.array_equal(a.decisions(name), b.decisions(name))
    for name in a.columns:
        assert np.array_equal(a.raw_voltages(name).view(np.int32), b.raw_voltages(name).view(np.int32)), name
    assert a.saturations == b.saturations
    assert a.packets == b.packets
    assert np.array_equal(a.spike_list_bytes(), b.spike_list_bytes())


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("copies", "batch"), [(2, 5), (3, 6), (5, 3), (4, 1)])
def test_copies_give_what_one_gives(name, arithmetic, copies, batch):
    one, many = images(GRAPHS[name](), copies, arithmetic=arithmetic)
    assert many.copies == copies
    spikes = drawn(one, batch)
    assert max(v.max() for v in spikes.values()) > 1
    alone = s2nir.run(one, spikes, SEEN)
    assert sum(int(v.sum()) for n, v in alone.spikes.items() if one[n].kind != "input") > 0 or name == "readout"
    same(alone, s2nir.run(many, spikes, SEEN))
    same(alone, s2nir.run(many, spikes, SEEN, threads=3))


def test_delays_and_saturations():
    one, many = images(small_graph(), 3, bits="s4")
    same(s2nir.run(one, drawn(one, 4), SEEN), s2nir.run(many, drawn(one, 4), SEEN))
    one, many = images(two_inputs(), 3, arithmetic="fixed", max_count=65535)
    spikes = {n: v.astype(np.uint16) for n, v in drawn(one, 4).items()}
    for v in spikes.values():
        v[1] = 60000
    alone, found = s2nir.run(one, spikes, SEEN), s2nir.run(many, spikes, SEEN)
    assert alone.saturated[1].sum() > alone.saturated[0].sum()
    same(alone, found)


def test_recordings_are_dealt_out():
    """Recording b runs on copy b % n: that is where its packets are."""
    one, many = images(small_graph(), 3)
    spikes, done = drawn(one, 7), []
    alone, found = s2nir.run(one, spikes), s2nir.run(many, spikes, progress=done.append)
    assert done == [3, 6, 7]
    each = many.cores_per_copy
    at, here = alone.packets_per_core(), found.packets_per_core()
    ticked, ticks = alone.packets_per_tick(), found.packets_per_tick()
    for b in range(7):
        k = slice(b % 3 * each, (b % 3 + 1) * each)
        assert np.array_equal(here[b, k], at[b])
        assert here[b].sum() == at[b].sum() > 0
        assert np.array_equal(ticks[b][:, k], ticked[b])


def flipped(image, core):
    """The image with one weight of a core changed, so that `check` has nothing to say of it."""
    for what, i, byte in places(image):
        if i == core and what in ("synapse word, high", "kernel weight"):
            for bit in (6, 5, 4, 3):
                changed = altered(image, i, byte, bit)
                if not list(changed.check()):
                    yield changed


def different(a, b):
    """Recordings in which something differs."""
    return {r for n in a.voltages for r in range(a.batch) if not np.array_equal(a.voltages[n][r], b.voltages[n][r])}


@pytest.mark.parametrize("population", ["a", "b", "c"])
def test_a_changed_weight_shows_in_the_recordings_of_its_copy(population):
    _, image = images(small_graph(), 4)
    spikes = drawn(image, 10, rate=1.0)
    want = s2nir.run(image, spikes, SEEN)
    seen = 0
    for changed in flipped(image, image[f"{population}@2"].cores[0]):
        found = different(want, s2nir.run(changed, spikes, SEEN))
        assert found <= {2, 6}
        seen += found == {2, 6}
        if seen == 3:
            break
    assert seen == 3


def test_a_changed_route_shows_in_the_recordings_of_its_copy():
    """An entry for the keys of a core of copy 2 loses one of its targets; then it is sent to a core of copy 1."""
    _, image = images(two_inputs(), 4)
    spikes = drawn(image, 8, rate=1.0)
    want = s2nir.run(image, spikes, SEEN)
    source, other = (image.cores[image[f"a@{k}"].cores[0]] for k in (2, 1))
    key = int(regions(source.memory, True).descriptor.key)
    t = image.tables[source.chip]
    e = int(t.lookup(np.array([key], np.uint32))[0])
    route = t.route.copy()
    route[e] = 0
    cut = replace(image, tables={**image.tables, source.chip: Table(key=t.key, mask=t.mask, route=route)})
    assert list(cut.check())
    assert different(want, s2nir.run(cut, spikes, SEEN)) == {2, 6}
    base = int(regions(other.memory, True).descriptor.key)
    keys = t.key.copy()
    keys[e] = np.uint32(base)  # the other's packets, and no more its own, now take this way
    turned = replace(image, tables={**image.tables, source.chip: Table(key=keys, mask=t.mask, route=t.route)})
    assert {2, 6} <= different(want, s2nir.run(turned, spikes, SEEN)) <= {1, 2, 5, 6}


def test_a_packet_that_goes_astray_shows_where_it_comes_to():
    """A row of copy 1 that listens to a neuron of copy 0, whose packets are sent there: only copy 1 differs."""
    net = s2nir.quantize(s2nir.load(two_layers(), reset="zero"))
    image = s2nir.compile(net, copies=2)
    spikes = drawn(image, 4, rate=1.0)
    want = s2nir.run(image, spikes, SEEN)
    a, b = (image.cores[image[n].cores[0]] for n in ("hidden", "out@1"))
    key = int(regions(a.memory, True).descriptor.key)
    (chip, t), = image.tables.items()
    route = t.route.copy()
    e = int(t.lookup(np.array([key], np.uint32))[0])
    route[e, (6 + b.pe) // 8] |= 1 << (6 + b.pe) % 8
    memory = b.memory.copy()
    r = regions(memory, True)
    mine = int(r.table["key"][0])
    memory[64:68].view("<u4")[0] = key
    assert mine != key
    cores = [replace(c, memory=memory) if c is b else c for c in image.cores]
    changed = replace(image, cores=tuple(cores), tables={chip: Table(key=t.key, mask=t.mask, route=route)})
    assert different(want, s2nir.run(changed, spikes, SEEN)) == {1, 3}


def test_the_report_says_copies_and_inferences_per_round():
    one, many = images(small_graph(), 3)
    spikes = drawn(one, 7)
    one_by_one, together = report(s2nir.run(one, spikes)), report(s2nir.run(many, spikes))
    assert together.activity.all_cycles == one_by_one.activity.all_cycles
    alone, found = one_by_one.to_dict(), together.to_dict()
    run = {"copies": 3, "rounds": 3, "inferences_per_round": 3}
    assert {k: found["run"][k] for k in run} == run
    assert {k: alone["run"][k] for k in run} == {"copies": 1, "rounds": 7, "inferences_per_round": 1}
    for part in ("populations", "saturations", "decisions", "readouts"):
        assert found[part] == alone[part]
    for key in ("packets_sent", "synaptic_events", "ticks_over_fifo"):
        assert found["traffic"][key] == alone["traffic"][key]
    assert found["time"]["cycles_worst_tick"] == alone["time"]["cycles_worst_tick"]
    assert found["time"]["ticks_overrun"] == alone["time"]["ticks_overrun"]
    each = many.cores_per_copy
    for i, c in enumerate(found["traffic"]["cores"]):
        same_core = alone["traffic"]["cores"][i % each]
        assert (c["copy"], c["population"], c["application"]) == (i // each, same_core["population"],
                                                                  same_core["application"])
    packets = np.array([c["packets"] for c in found["traffic"]["cores"]]).reshape(3, each)
    mean = np.average(packets, axis=0, weights=[3, 2, 2])
    np.testing.assert_allclose(mean, [c["packets"] for c in alone["traffic"]["cores"]], rtol=1e-12)
    fit = found["fit"]
    assert fit["cores"] == 3 * alone["fit"]["cores"]
    assert fit["sram_bytes_input"] == 3 * alone["fit"]["sram_bytes_input"]
    text = str(report(s2nir.run(many, spikes)))
    assert "  3 copies of the network, 3 inferences per round, 3 rounds\n" in text
    assert "copies of the network" not in str(report(s2nir.run(one, spikes)))


def test_the_page_of_copies(tmp_path):
    _, many = images(small_graph(), 3)
    recording = s2nir.run(many, drawn(many, 2))
    report(recording).save(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "3 copies of the network, 2 inferences per round" in page


def test_compare_takes_copies():
    graph = small_graph()
    one, many = images(graph, 3)
    spikes = drawn(one, 4, rate=0.3)
    assert str(s2nir.compare(graph, many, spikes)) == str(s2nir.compare(graph, one, spikes))
