"""What the emulator does, by hand: refractory, resets, counts, delays, onsets, silence, saturation, records."""

from dataclasses import replace

import numpy as np
import pytest

import s2nir
from quantize.networks import cuba, dense, graph, lif, readout, source, sparse
from s2nir.emulate import reference
from s2nir.errors import InputError, NameMissingError, RunError
from s2nir.graph import Compare, Reset
from s2nir.mapping import regions

WHOLE = s2nir.PTQ(per="population")


def one(weight=127.0, delay=0, make=lif, **fields):
    """One source, one neuron: g = 1 where the weight is 127."""
    fields = {"decay": 1.0, "threshold": 127.0, "compare": Compare.GREATER_EQUAL} | fields
    return graph([source((1,)), make("a", (1,), **fields)], [dense("in", "a", [[weight]], delay=delay)])


def ran(g, counts, arithmetic="float32", scheme=WHOLE, record=("spikes", "voltages"), onset="aligned", **options):
    network = s2nir.quantize(g, scheme, arithmetic=arithmetic)
    image = s2nir.compile(network, onset=onset, **options)
    counts = np.asarray(counts)
    got = s2nir.run(image, counts if counts.ndim > 1 else counts[:, np.newaxis], record=record)
    oracle = reference(network, counts if counts.ndim > 1 else counts[:, np.newaxis], onset=onset,
                       max_count=options.get("max_count", 255))
    for name in got.voltages:
        assert np.array_equal(got.raw_voltages(name).reshape(oracle.voltages[name].shape), oracle.voltages[name])
    for name in got.spikes:
        assert np.array_equal(got.raw_spikes(name).reshape(oracle.spikes[name].shape), oracle.spikes[name])
    return got


def spikes_of(got, name="a"):
    return got.spikes[name][0].reshape(got.steps, -1)[:, 0].tolist()


def volts_of(got, name="a"):
    return got.voltages[name][0].reshape(got.steps, -1)[:, 0].tolist()


both = pytest.mark.parametrize("arithmetic", ["float32", "fixed"])


@both
def test_refractory_holds_the_membrane_while_the_current_goes_on(arithmetic):
    """I halves and takes in 127 at steps 0 and 3; V is held for two ticks after each spike."""
    g = one(make=cuba, syn_decay=0.5, refractory=2, reset=Reset.ZERO, threshold=127.0)
    got = ran(g, [1, 0, 0, 1, 0, 0, 0, 0], arithmetic)
    # I:     127, 63.5, 31.75, 142.875, ...
    assert spikes_of(got) == [1, 0, 0, 1, 0, 0, 0, 0]
    assert volts_of(got) == [0, 0, 0, 0, 0, 0, 127 * (0.5**6 + 0.5**3), 127 * (0.5**6 + 0.5**3 + 0.5**7 + 0.5**4)]


@both
def test_late_reset_by_subtraction_leaves_the_membrane_up_for_one_tick(arithmetic):
    got = ran(one(reset_late=True), [1, 0, 0, 2, 0, 0], arithmetic)
    # 127 spikes; one tick later 127 - 127 = 0; 254 spikes; 254 - 127 = 127 spikes again; then 0
    assert spikes_of(got) == [1, 0, 0, 1, 1, 0]
    assert volts_of(got) == [127, 0, 0, 254, 127, 0]


@both
def test_late_reset_to_zero_drops_what_arrives_with_it(arithmetic):
    got = ran(one(reset_late=True, reset=Reset.ZERO), [1, 1, 1, 1, 0], arithmetic)
    assert spikes_of(got) == [1, 0, 1, 0, 0]
    assert volts_of(got) == [127, 0, 127, 0, 0]


@both
def test_reset_to_a_value_and_none(arithmetic):
    got = ran(one(reset=Reset.TO_VALUE, v_reset=-27.0), [1, 1, 1, 0], arithmetic)
    assert spikes_of(got) == [1, 0, 1, 0]
    assert volts_of(got) == [-27, 100, -27, -27]
    got = ran(one(reset=Reset.NONE), [1, 0, 0, 0], arithmetic)
    assert spikes_of(got) == [1, 1, 1, 1]
    assert volts_of(got) == [127] * 4


@both
def test_above_and_at_the_threshold_differ_where_they_are_equal(arithmetic):
    assert spikes_of(ran(one(), [1, 0, 0], arithmetic)) == [1, 0, 0]
    assert spikes_of(ran(one(compare=Compare.GREATER), [1, 0, 1], arithmetic)) == [0, 0, 1]
    left = ran(one(compare=Compare.GREATER), [2, 0, 0], arithmetic)
    assert volts_of(left) == [127.0] * 3  # the threshold itself is subtracted, not the next larger number


@pytest.mark.parametrize("word", [True, False])
@pytest.mark.parametrize("delay", range(13))
def test_delays_in_words_and_by_relays(delay, word):
    """Up to 7 ticks in a word (of a hop of `delay`), the rest in relays; counts above one keep through either."""
    scheme = s2nir.PTQ(bits="s4" if word else 8, per="population")
    weight = 15.0 if word else 127.0
    got = ran(one(weight, delay, threshold=5 * weight, reset=Reset.ZERO), [5, 0, 0, 4, 0, 6] + [0] * 12, scheme=scheme,
              max_count=300)
    want = [0] * 18
    want[delay], want[delay + 3], want[delay + 5] = 5, 4, 6
    v, fired = 0.0, []
    for w in want:  # 4 stays below, so the 6 is 10 in all
        v += w * weight
        fired.append(int(v >= 5 * weight))
        v = 0.0 if fired[-1] else v
    assert spikes_of(got) == fired
    relays = [p.name for p in got.image.populations if p.kind == "relay"]
    wait = max(delay - 1, 0) if delay else 0
    assert len(relays) == (max(wait - 7, 0) if word else wait)


def test_counts_above_one_pass_relays_as_packets():
    got = ran(one(delay=4), [0, 200, 0, 0, 0, 0, 0], max_count=300)
    relays = [i for p in got.image.populations if p.kind == "relay" for i in p.cores]
    assert len(relays) == 3
    assert [int(got.packets_per_core()[0, i]) for i in relays] == [200] * 3
    assert got.packets == 4 * 200 + int(got.spikes["a"].sum())


def test_counts_over_255_are_counted_in_full():
    g = one(threshold=127.0 * 1000, reset=Reset.ZERO)
    got = ran(g, [999, 1, 0], max_count=1000)
    assert spikes_of(got) == [0, 1, 0]
    assert got.counts["in"].tolist() == [[1000]]
    assert got.spikes["in"][0, :, 0].tolist() == [255, 1, 0]  # uint8 holds no more
    with pytest.raises(InputError, match=r"found 1001, a machine takes whole counts from 0 to max_count = 1000"):
        s2nir.run(got.image, np.array([[1001]]))


@both
@pytest.mark.parametrize(("onset", "want"), [("aligned", [0, 0, 40, 80, 1, 41]), ("board", [40, 80, 1, 41, 81, 2])])
def test_constants_wait_for_the_lag_or_do_not(arithmetic, onset, want):
    """A constant of 40 into the second population, of lag 2, by machine tick; threshold 119."""
    b = lif("b", (1,), decay=1.0, constant=40.0, threshold=119.0)
    g = graph([source((1,)), lif("a", (1,), threshold=1000.0), b],
              [dense("in", "a", [[127.0]]), dense("a", "b", [[127.0]])])
    got = ran(g, [0, 0, 0, 0], arithmetic, onset=onset)
    raw = got.raw_voltages("b")[0, :, 0] / (2**15 if arithmetic == "fixed" else 1)
    assert raw.tolist() == want
    float_run = g.simulate(np.zeros((4, 1))).spikes["b"][0, :, 0].tolist()
    assert (spikes_of(got, "b") == float_run) == (onset == "aligned")


@both
def test_silent_populations_are_read_out_and_send_nothing(arithmetic):
    g = graph(
        [source((2,)), readout("a", (2,), decay=0.5, gain=0.5, bias=[1.0, 0.0])],
        [dense("in", "a", [[127.0, 0.0], [0.0, 64.0]])],
    )
    got = ran(g, np.array([[1, 1], [0, 2], [0, 0]]), arithmetic, record=())
    assert got.spikes.keys() == {"in"}
    assert got.readout["out"][0].tolist() == [[64, 32], [32.5, 80], [16.75, 40]]
    assert got.readout["out"].dtype == np.float32
    assert got.packets == 4
    with pytest.raises(RunError, match="no spikes of 'a'; there are in"):
        got.raw_spikes("a")


def test_fixed_counts_what_it_holds_back():
    """One neuron: 65,535.99997 is the most; 127 x 200 packets arrive each tick. By hand."""
    g = one(threshold=60_000.0, decay=1.0, reset=Reset.NONE, bias=0.0)
    got = ran(g, [200, 200, 200, 0, 0], "fixed")
    assert volts_of(got)[:2] == [25_400, 50_800]
    assert got.raw_voltages("a")[0, :, 0].tolist()[2:-1] == [50_800 << 15, 2**31 - 1, 2**31 - 1]
    assert got.saturations == {"a": 1}
    two = ran(one(threshold=60_000.0, reset=Reset.NONE), [600, 0], "fixed", max_count=600)
    assert two.saturations == {"a": 1}  # 76,200 in one tick: the slot itself is held
    assert ran(one(threshold=60_000.0, reset=Reset.NONE), [600, 0], "float32", max_count=600).saturations == {"a": 0}
    shifted = ran(one(threshold=70_000.0, reset=Reset.NONE), [600, 0], "fixed", max_count=600)
    assert shifted.saturations == {"a": 0}
    assert volts_of(shifted) == [76_200, 76_200]


def network():
    rng = np.random.default_rng(6)
    g = graph(
        [source((5,)), lif("a", (7,), threshold=1.5), cuba("b", (4,), threshold=3.0), readout("c", (3,))],
        [dense("in", "a", rng.normal(size=(7, 5))), dense("a", "a", rng.normal(size=(7, 7)) / 2),
         dense("a", "b", rng.normal(size=(4, 7))), dense("in", "b", rng.normal(size=(4, 5))),
         dense("b", "c", rng.normal(size=(3, 4)))],
        outputs={"read": "c", "hidden": "b"},
    )
    return s2nir.quantize(g)


@pytest.fixture(scope="module")
def image():
    return s2nir.compile(network(), partition=s2nir.Partition(slices=2))


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(7).integers(0, 3, (6, 15, 5)).astype(np.uint8)


def test_threads_and_batches_change_no_bit(image, counts):
    whole = s2nir.run(image, counts, record=("spikes", "voltages"))
    finished = []
    two = s2nir.run(image, counts, record=("spikes", "voltages"), threads=2, progress=finished.append)
    assert finished == [1, 2, 3, 4, 5, 6]
    for name in ("a", "b", "c"):
        assert np.array_equal(whole.raw_voltages(name).view(np.int32), two.raw_voltages(name).view(np.int32))
        for k in range(6):
            alone = s2nir.run(image, counts[k], record=("spikes", "voltages"))
            assert np.array_equal(alone.raw_voltages(name)[0], whole.raw_voltages(name)[k])
            if name != "c":
                assert np.array_equal(alone.raw_spikes(name)[0], two.raw_spikes(name)[k])
    assert whole.spikes["a"].sum() > 50


def test_a_run_leaves_the_next_one_alone(image, counts):
    first = s2nir.run(image, counts).raw_spikes("b")
    s2nir.run(image, counts[::-1])
    assert np.array_equal(s2nir.run(image, counts).raw_spikes("b"), first)


def test_what_is_recorded(image, counts):
    assert list(s2nir.run(image, counts).voltages) == ["c"]  # what does not spike is always read out
    every = s2nir.run(image, counts, record=("spikes", "voltages"))
    assert list(every.voltages) == ["a", "b", "c"]
    some = s2nir.run(image, counts, record={"b": ("voltages",)})
    assert list(some.voltages) == ["b", "c"]
    assert np.array_equal(some.voltages["b"], every.voltages["b"])
    with pytest.raises(RunError, match=r'no voltages of \'a\'; record them with record=\("spikes", "voltages"\)'):
        some.raw_voltages("a")
    with pytest.raises(KeyError, match="no voltages of 'a'; there are b, c"):
        some.voltages["a"]
    with pytest.raises(RunError, match=r"record: found 'weights', allowed 'spikes', 'voltages'"):
        s2nir.run(image, counts, record=("weights",))
    with pytest.raises(RunError, match=r"record: 'in' is no population of the image; there are a, b, c"):
        s2nir.run(image, counts, record={"in": ("spikes",)})
    with pytest.raises(InputError, match=r"spikes\['in'\]: found shape \(3, 4\)"):
        s2nir.run(image, np.zeros((3, 4)))


@pytest.mark.parametrize(("wrong", "said"), [
    *((dict(threads=v), f"threads: found {v!r}, allowed whole numbers from 1") for v in ("a", 0, -1, 1.5, None, True)),
    *((dict(record=v), f"record: found {v!r}, needed some of 'spikes', 'voltages', 'potentials'") for v in (None, 5)),
    (dict(record="nonsense"), "record: found 'nonsense', allowed 'spikes', 'voltages', 'potentials'"),
    (dict(record=[["spikes"]]), r"record: found \['spikes'\], allowed"),
    (dict(record={"a": None}), "record of 'a': found None, needed some of"),
    (dict(record={"a": ("time",)}), "record of 'a': found 'time', allowed"),
])
def test_a_run_that_cannot_be_meant(image, counts, wrong, said):
    with pytest.raises(RunError, match=said):
        s2nir.run(image, counts, **wrong)


def test_one_name_alone_is_recorded(image, counts):
    assert list(s2nir.run(image, counts, record="voltages").voltages) == ["a", "b", "c"]
    assert list(s2nir.run(image, counts, record={"b": "voltages"}).voltages) == ["b", "c"]


@pytest.mark.parametrize(("spikes", "said"), [
    (None, "found None, a NoneType, needed numbers"), ("a", "found .a., needed numbers in an array. Of a path"),
    (lambda x: x.astype(str), "found dtype <U.*, needed numbers"), (lambda x: x * 1j, "found dtype complex128, needed"),
    (lambda x: x + np.nan, "found nan, needed finite numbers"), (lambda x: x[..., :-1], "found shape .*, needed"),
    (lambda x: x[:0], "an empty batch or no steps"), (lambda x: {"in": None}, "found None, a NoneType"),
    (lambda x: -x.astype(int), "a machine takes whole counts from 0"), (lambda x: {}, "is not given"),
])
def test_spikes_that_cannot_be_meant(image, counts, spikes, said):
    with pytest.raises(InputError, match=rf"spikes\['in'\].*{said}"):
        s2nir.run(image, spikes(counts) if callable(spikes) else spikes)


def test_a_recording_is_aligned_and_the_raw_one_is_not(image, counts):
    got = s2nir.run(image, counts, record=("spikes", "voltages"))
    assert {p.name: p.lag for p in image.populations if p.kind != "relay"} == {"in": 0, "a": 1, "b": 2, "c": 3}
    assert (got.steps, got.ticks) == (15, 18)
    for name, lag in (("a", 1), ("b", 2)):
        raw = got.raw_spikes(name)
        assert raw.shape == (6, 18, *image[name].shape)
        assert raw.dtype == got.spikes[name].dtype == np.uint8
        assert np.array_equal(got.spikes[name], raw[:, lag : lag + 15])
        assert np.array_equal(got.counts[name], raw[:, lag : lag + 15].astype(int).sum(axis=1))
    assert np.array_equal(got.raw_spikes("in")[:, :15], counts)
    assert not got.raw_spikes("in")[:, 15:].any()
    scale = image["c"].scale
    want = (got.raw_voltages("c")[:, 3:18].astype(np.float64) / scale).astype(np.float32)
    assert np.array_equal(got.readout["read"], want)
    assert list(got.readout) == ["read"]
    assert list(got.spikes) == [p.name for p in image.populations if p.name in ("in", "a", "b")]
    with pytest.raises(KeyError, match="no spikes of 'd'; there are"):
        got.spikes["d"]


def test_decisions_go_to_most_spikes_and_ties_to_the_lowest():
    g = graph([source((3,)), lif("a", (3,), decay=0.0, threshold=1.0, compare=Compare.GREATER_EQUAL, reset=Reset.ZERO)],
              [dense("in", "a", np.eye(3))])
    image = s2nir.compile(s2nir.quantize(g))
    spikes = np.zeros((4, 4, 3), np.uint8)
    spikes[1, :2, 2] = spikes[1, 1:3, 1] = 1  # two each of 1 and 2
    spikes[2, :3, 2] = spikes[2, 0, 0] = 1
    spikes[3, :, 0] = spikes[3, :, 2] = 1
    got = s2nir.run(image, spikes)
    assert got.counts["a"].tolist() == [[0, 0, 0], [0, 2, 2], [1, 0, 3], [4, 0, 4]]
    assert got.decisions("a").tolist() == [0, 1, 2, 0]
    with pytest.raises(NameMissingError, match=r"decisions: found 'typo', .*; there are in, a, out"):
        got.decisions("typo")


def slow_packets(image, got, counts):
    """Every packet through the table, one by one: (batch, ticks, cores) by the tick in which it was sent."""
    (table,) = image.tables.values()
    at = {c.pe: i for i, c in enumerate(image.cores)}
    found = np.zeros((got.batch, got.ticks, len(image.cores)), int)
    raster = {p.name: got.raw_spikes(p.name).reshape(got.batch, got.ticks, -1)
              for p in image.populations if p.spikes and p.kind == "neurons"}
    raster["in"] = np.zeros((got.batch, got.ticks, 5), int)
    raster["in"][:, : got.steps] = counts
    for p in image.populations:
        if p.kind == "relay":
            before = raster[p.name.rsplit("+", 1)[0] + (f"+{int(p.name[-1]) - 1}" if p.name[-1] != "1" else "")]
            raster[p.name] = np.zeros_like(before)
            raster[p.name][:, 1:] = before[:, :-1]
    for p in image.populations:
        if p.name not in raster:
            continue
        for i in p.cores:
            d = regions(image.cores[i].memory, p.kind == "neurons").descriptor
            for local in range(d.neurons):
                neuron = d.x0 + local
                for e in range(table.entries):
                    if (d.key + local) & int(table.mask[e]) == int(table.key[e]):
                        word = int.from_bytes(table.route[e].tobytes(), "little")
                        for pe, core in at.items():
                            if word >> (6 + pe) & 1:
                                found[:, :, core] += raster[p.name][:, :, neuron]
                        break
    return found


def test_packets_per_core_are_those_of_the_tables(image, counts):
    got = s2nir.run(image, counts)
    want = slow_packets(image, got, counts)
    assert np.array_equal(got.packets_per_tick(), want)
    assert np.array_equal(got.packets_per_core(), want.sum(axis=1))
    assert want.sum() > 1000
    assert got.packets_per_link() == {}


def test_several_inputs_act_in_the_order_of_their_ticks():
    g = graph([source((2,), "x"), source((3,), "y"), readout("a", (1,), decay=0.0)],
              [dense("x", "a", [[127.0, 1.0]]), dense("y", "a", [[2.0, 4.0, 8.0]], delay=1)])
    image = s2nir.compile(s2nir.quantize(g, WHOLE))
    x = np.array([[0, 0], [1, 3], [0, 0], [0, 2]])
    y = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 1]])
    got = s2nir.run(image, {"y": y, "x": x})
    assert got.readout["out"][0, :, 0].tolist() == [0, 2 + 130, 8, 24 + 2]
    assert got.packets == int(x.sum() + 2 * y.sum())  # those of y once more from their relay
    with pytest.raises(InputError, match=r"the network has 2 inputs: give a dict by input name \(x, y\)"):
        s2nir.run(image, x)


def test_an_image_that_is_run_without_its_tables_hears_nothing(image, counts):
    """The emulator runs the image: without an entry no spike arrives."""
    from s2nir.mapping import Table

    (chip, t), = image.tables.items()
    deaf = replace(image, tables={chip: Table(key=t.key[:0], mask=t.mask[:0], route=t.route[:0])})
    got = s2nir.run(deaf, counts)
    assert not got.packets_per_core().any()
    assert not got.raw_spikes("a").any()
    assert np.array_equal(got.raw_spikes("in")[:, :15], counts)


def test_synapses_of_one_pair_with_several_delays():
    entries = [(0, 0, 127.0, 0), (0, 0, 64.0, 2), (0, 0, -10.0, 2), (0, 1, 1.0, 1)]
    g = graph([source((1,)), readout("a", (2,), decay=0.0)], [sparse("in", "a", entries, 1, 2)])
    got = ran(g, [2, 0, 0, 1, 0, 0], record=())
    assert got.readout["out"][0].tolist() == [[254, 0], [0, 2], [108, 0], [127, 0], [0, 1], [54, 0]]
