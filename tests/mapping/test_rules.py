"""Networks by rule on cores: written out one core at a time or at once, they give the same image and spikes."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import s2nir
from oracles import hearing, way
from s2nir import Connect, Neurons, rules
from s2nir.emulate.reference import reference
from s2nir.errors import MappingError
from s2nir.mapping import row_cost

RNG = np.random.default_rng(0)
SPIKES = (RNG.random((3, 20, 12, 12)) < 0.2).astype(np.uint8)
KERNEL = rules.Kernel(weights=np.random.default_rng(1).normal(size=(3, 5)))
RULES = {
    "window": rules.Window(size=(4, 3), p=0.7, autapses=False), "open window": rules.Window(size=(5, 5), wrap=False),
    "kernel": KERNEL, "probability": rules.FixedProbability(p=0.2), "indegree": rules.FixedIndegree(indegree=9),
    "distinct": rules.FixedIndegree(indegree=9, multapses=False, autapses=False), "one to one": rules.OneToOne(),
}
wiring = importlib.import_module("s2nir.mapping.wiring")


def network(rule, bits="s4"):
    weight = None if isinstance(rule, rules.Kernel) else rules.Normal(mean=0.5, sd=0.5)
    graph = s2nir.build(
        {"in": (12, 12), "a": Neurons(shape=(12, 12), tau=0.01), "b": Neurons(shape=(12, 12), tau=0.01)},
        [Connect(source="in", target="a", rule=rules.OneToOne(), weight=20.0),
         Connect(source="a", target="a", rule=rule, weight=weight, delay=rules.Uniform(low=0, high=2)),
         Connect(source="a", target="b", rule=rule, weight=weight, delay=1),
         Connect(source="in", target="b", weight=np.random.default_rng(2).normal(size=(144, 144)))],
        dt=1e-3,
    )
    return s2nir.quantize(graph, s2nir.PTQ(bits=bits))


@pytest.mark.parametrize("name", RULES)
def test_one_core_at_a_time_is_the_same_image(name, monkeypatch):
    net = network(RULES[name])
    at_once = s2nir.compile(net, window=9000)
    monkeypatch.setattr(wiring, "WRITTEN", 0)
    streamed = s2nir.compile(net, window=9000)
    assert streamed.digest == at_once.digest
    assert len(streamed.cores) > 8
    found, expected = s2nir.run(streamed, SPIKES), reference(net, SPIKES)
    for p in "ab":
        np.testing.assert_array_equal(found.raw_spikes(p).reshape(expected.spikes[p].shape), expected.spikes[p])
        assert found.counts[p].any()


@pytest.mark.parametrize("name", ["window", "probability"])
def test_on_a_board_each_slice_reaches_its_cores_once(name, monkeypatch):
    monkeypatch.setattr(wiring, "WRITTEN", 0)
    net = network(RULES[name])
    machine = s2nir.SpiNNaker2(boards=1, reserved=151)
    image = s2nir.compile(net, machine, window=16000, minimise="fewest")
    one = s2nir.compile(net, window=16000)
    assert len({c.chip for c in image.cores}) > 8
    for key, (chip, cores) in hearing(image).items():
        assert way(image, chip, key)[0] == dict.fromkeys(cores, 1), f"key {key:#x} from {chip}"
    for p in "ab":
        a, b = s2nir.run(image, SPIKES), s2nir.run(one, SPIKES)
        np.testing.assert_array_equal(a.raw_spikes(p), b.raw_spikes(p))


def test_a_scale_follows_from_the_law():
    net = network(rules.FixedProbability(p=0.2))
    ruled = [q.connection for q in net.projections if q.source == "a" and q.target == "a"]
    assert ruled[0].largest <= 15
    assert ruled[0].scale == pytest.approx(15 / 20.0)  # the 20 of the input is the largest into a
    written = np.abs(ruled[0].written().weight)
    assert written.max() <= 15
    assert net["a"].weight_scale.shape == ()


def test_a_rule_is_not_truncated():
    graph = s2nir.build({"in": 4, "a": Neurons(shape=4)},
                        [Connect(source="in", target="a", rule=rules.OneToOne(), weight=1.0)])
    with pytest.raises(s2nir.S2NirError, match="a connection by rule is rounded to the nearest"):
        s2nir.quantize(graph, s2nir.PTQ(rounding="toward_zero"))


def test_what_no_core_holds_is_told_with_the_sources_that_would_fit(monkeypatch):
    monkeypatch.setattr(wiring, "WRITTEN", 0)
    graph = s2nir.build(
        {"in": 10_000, "a": Neurons(shape=10_000)},
        [Connect(source="in", target="a", rule=rules.FixedIndegree(indegree=5_000, multapses=False), weight=1.0)],
    )
    with pytest.raises(MappingError, match=r"a: one neuron alone takes .* it hears 5000 sources at 28 bytes each; "
                                           r"2400 sources would fit"):
        s2nir.compile(s2nir.quantize(graph))


def test_brunel_with_1000_inputs_fits_at_two_neurons_per_core(monkeypatch):
    graph = s2nir.build(
        {"in": 12_500, "a": Neurons(shape=100)},
        [Connect(source="in", target="a", rule=rules.FixedIndegree(indegree=1_000, multapses=False), weight=1.0)],
    )
    monkeypatch.setattr(wiring, "WRITTEN", 0)
    image = s2nir.compile(s2nir.quantize(graph), s2nir.SpiNNaker2(boards=1))
    assert image.fit()[1]["neurons_per_core"] == 2


def test_drawn_delays_beyond_the_word_are_refused(monkeypatch):
    monkeypatch.setattr(wiring, "WRITTEN", 0)
    graph = s2nir.build(
        {"in": 9, "a": Neurons(shape=9)},
        [Connect(source="in", target="a", rule=rules.OneToOne(), weight=1.0, delay=rules.Uniform(low=0, high=9))],
    )
    with pytest.raises(MappingError, match="a rule with delays of up to 9 steps"):
        s2nir.compile(s2nir.quantize(graph, s2nir.PTQ(bits="s4")))


def test_measured_rates_weigh_the_ways_of_packets():
    from s2nir.mapping.net import net
    from s2nir.mapping.placement import lay

    made = network(rules.FixedProbability(p=0.2))
    board = s2nir.SpiNNaker2(boards=1, reserved=151)
    one = s2nir.run(s2nir.compile(made, board, window=16000), SPIKES)
    rates = one.rates
    assert rates["in"] == pytest.approx(SPIKES.sum() / (3 * one.ticks * 144))
    assert set(rates) == {"in", "a", "b"}
    wired = wiring.wire(made, "auto", made.loops, 8, 16000)
    joined = lay(made, wired, board, rates=rates).net
    pairs = list(zip(joined.slices, joined.packets, strict=True))
    sent = {m: sum(p for s, p in pairs if s.member == m) for m in wired.members}
    assert sent["a"] == pytest.approx(144 * rates["a"])
    assert all(sent[m] == pytest.approx(sent[wired.members[m].relay_of]) for m in sent if "+" in m)
    default = net(wired, {m: tuple(s for s in joined.slices if s.member == m) for m in wired.members})
    assert default.packets.sum() == pytest.approx(0.02 * sum(m.size for m in wired.members.values()))
    image = s2nir.compile(made, board, window=16000, route=s2nir.mapping.LoadAware(), rates=rates)
    np.testing.assert_array_equal(s2nir.run(image, SPIKES).raw_spikes("b"), one.raw_spikes("b"))


def test_compare_counts_the_clipped_weights_of_a_rule():
    graph = s2nir.build(
        {"in": (8, 8), "e": Neurons(shape=(8, 8), tau=0.02)},
        [Connect(source="in", target="e", rule=rules.Window(size=(3, 3), p=0.5), weight=rules.Normal(mean=3, sd=1.0))],
        dt=1e-3,
    )
    image = s2nir.compile(s2nir.quantize(graph, s2nir.PTQ(bits=3)))
    spikes = (np.random.default_rng(0).random((2, 100, 8, 8)) < 0.1).astype(np.uint8)
    found = s2nir.compare(graph, image, spikes)
    assert found.divergence.population == "e"


def test_a_population_that_hears_nothing_is_mapped():
    with pytest.warns(s2nir.S2NirWarning, match="e: dead"):
        net = s2nir.quantize(s2nir.build({"in": 8, "e": Neurons(shape=8)},
                                         [Connect(source="in", target="e", weight=np.zeros((8, 8)))]))
    image = s2nir.compile(net)
    assert not s2nir.run(image, np.ones((5, 8), np.uint8)).counts["e"].any()


@pytest.mark.parametrize(("wrong", "said"), [
    ({"machine": "board"}, "machine: found a str, needed a SpiNNaker2"),
    ({"place": "curve"}, r"place: found 'curve', needed one of s2nir\.mapping, such as Exchange\(\)"),
    ({"route": s2nir.mapping.LoadAware}, "route: found <class"),
    ({"minimise": None}, "minimise: found None"), ({"partition": 0.5}, "partition: found a float"),
    ({"rates": "x"}, "rates: found a str"), ({"onset": None}, "onset: found None, allowed 'aligned', 'board'"),
    ({"onset": [1]}, r"onset: found \[1\], allowed"), ({"allot": 5}, "allot: found 5, needed one of"),
])
def test_arguments_of_another_kind_are_refused(wrong, said):
    net = s2nir.quantize(s2nir.build({"in": 8, "e": Neurons(shape=8)},
                                     [Connect(source="in", target="e", weight=np.eye(8))]))
    with pytest.raises(s2nir.S2NirError, match=said):
        s2nir.compile(net, **wrong)


@given(st.lists(st.integers(0, 40), max_size=60), st.sampled_from([41, 1_000, 10_000_000]))
def test_counting_is_sorting(values, size):
    """Whether there is room to count every value that could be, or not."""
    some = np.array(values, np.int64)
    found, often = row_cost.counted(some, size)
    want = np.unique(some, return_counts=True)
    assert np.array_equal(found, want[0])
    assert np.array_equal(often, want[1])
    found, sums = row_cost.counted(some, size, some + 1)
    assert np.array_equal(found, want[0])
    assert sums.tolist() == [(v + 1) * n for v, n in zip(*want, strict=True)]
