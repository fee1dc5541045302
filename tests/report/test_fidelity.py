"""Where float and integer part, and why: each cause on a network made for it."""

import dataclasses
import warnings

import numpy as np
import pytest

import s2nir
from conformance.test_mutations import small_graph
from s2nir.graph import Compare, Dense, Graph, Population, Projection, Reset
from s2nir.report import report


def one(weight, threshold=1.0, compare=Compare.GREATER, bias=0.0, **more):
    """Inputs into neurons of an IF (or, with syn_decay, current-based) population."""
    weight = np.atleast_2d(weight).astype(float)
    p = Population(name="n", node="CubaLIF" if "syn_decay" in more else "IF", shape=(weight.shape[0],), decay=1.0,
                   gain=1.0, constant=0.0, bias=bias, threshold=threshold, v_reset=0.0, reset=Reset.ZERO,
                   compare=compare, **more)
    return Graph(
        dt=1e-3,
        populations=(Population(name="in", node="Input", shape=(weight.shape[1],)), p),
        projections=(Projection(source="in", target="n", connection=Dense(weight=weight)),),
        outputs={"out": "n"},
    )


def first(graph, spikes, scheme=None, **options):
    image = s2nir.compile(s2nir.quantize(graph, scheme or s2nir.PTQ()), **options)
    return s2nir.compare(graph, image, spikes).divergence


def test_no_difference():
    g = one([[127.0, 3.0]], threshold=200.0)
    image = s2nir.compile(s2nir.quantize(g))
    fidelity = s2nir.compare(g, image, np.ones((20, 2), np.uint8))
    assert fidelity.divergence is None
    assert "all spikes are alike" in str(fidelity)
    assert fidelity.populations[0].match == 1.0


def test_rounding_with_the_membranes_as_they_were_compared():
    d = first(one([[1.0, 0.2]], threshold=0.5999), np.array([[0, 1]] * 3, np.uint8), s2nir.PTQ(bits=2))
    assert (d.cause, d.step, d.neuron) == ("rounding", 2, (0,))
    assert (d.fired_float, d.fired_int) == (True, False)
    assert d.v_float == pytest.approx(0.6)
    assert d.v_int == 0.0
    assert "rounded with one scale per channel" in str(d)


def test_the_membrane_of_an_integer_spike_is_the_one_ahead_of_its_reset():
    d = first(one([[1.0, 0.29]], threshold=0.3), np.array([[0, 1]], np.uint8), s2nir.PTQ(bits=3))
    assert (d.fired_float, d.fired_int, d.v_float) == (False, True, pytest.approx(0.29))
    assert d.v_int == pytest.approx(1 / 3)


def test_clipping():
    weight = np.full((1, 40), 0.1)
    weight[0, 0] = 1.0
    d = first(one(weight, threshold=0.9), np.eye(40, dtype=np.uint8)[:1], s2nir.PTQ(percentile=50))
    assert d.cause == "clipping"
    assert "1 of the weights into this neuron are over 127" in d.why


def test_equality_at_threshold():
    """0.1 + 0.2 is above 0.3 in floats; as integers both sides are 3 x 42."""
    d = first(one([[0.1, 0.2, 0.3]], threshold=0.3), np.array([[1, 1, 0]], np.uint8), s2nir.PTQ(bits=3))
    assert d.cause == "equality at threshold"


def test_bias_path():
    g = one([[1.0]], threshold=1.0, bias=0.4, syn_decay=0.5, syn_gain=1.0)
    d = first(g, np.zeros((5, 1), np.uint8), s2nir.PTQ(bias="membrane"))
    assert d.cause == "bias path"


def test_lag_where_constants_act_from_tick_zero():
    g = one([[1.0]], threshold=1.0, bias=0.3)
    d = first(g, np.zeros((9, 1), np.uint8), onset="board")
    assert d.cause == "lag"


@pytest.mark.parametrize(("floats", "integers", "why"), [
    ({"reset": Reset.SUBTRACT, "reset_late": True}, {}, "reset subtract (late), refractory 0, the image runs reset ze"),
    ({"reset": Reset.SNNTORCH_RESTORED}, {"reset": Reset.SNNTORCH_RESTORED}, "the image runs reset subtract"),
    ({"refractory": 2}, {}, "has reset zero, refractory 2, the image runs reset zero, refractory 0"),
], ids=str)
def test_a_reset_that_differs_is_the_contract_and_no_rounding(floats, integers, why):
    def made(change):
        g = one([[127.0]], threshold=50.0)  # integers hold all of it
        changed = dataclasses.replace(g["n"], **change)
        return dataclasses.replace(g, populations=(g["in"], changed))

    given = np.isin(np.arange(8), (0, 1, 4)).astype(np.uint8)[:, np.newaxis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        image = s2nir.compile(s2nir.quantize(made(integers)))
        found = s2nir.compare(made(floats), image, given).divergence
    assert found.cause == "reset contract"
    assert why in found.why


def test_labels_give_accuracies(tmp_path):
    g = one(np.eye(3) * 2)
    image = s2nir.compile(s2nir.quantize(g))
    spikes = np.zeros((4, 5, 3), np.uint8)
    for k, n in enumerate((0, 1, 2, 2)):
        spikes[k, :, n] = 1
    found = s2nir.compare(g, image, spikes, labels=[0, 1, 2, 0])
    assert found.accuracy == {"out": (0.75, 0.75)}
    report(s2nir.run(image, spikes), found).save(tmp_path / "page.html")
    assert "Accuracy at out: 75.00 % in floats, 75.00 % in integers." in (tmp_path / "page.html").read_text()
    assert s2nir.compare(g, image, spikes).accuracy == {}
    with pytest.raises(s2nir.S2NirError, match=r"labels: found int64 \(3,\), needed 4 whole numbers"):
        s2nir.compare(g, image, spikes, labels=[0, 1, 2])


def test_another_graph_is_said():
    g = one([[1.0]])
    image = s2nir.compile(s2nir.quantize(g))
    with pytest.warns(s2nir.S2NirWarning, match="made from a Graph of another digest"):
        s2nir.compare(one([[1.0]], compare=Compare.GREATER_EQUAL), image, np.ones((3, 1), np.uint8))


def test_potentials_are_the_float_runs_own():
    """Weights and thresholds that integers hold exactly: membranes ahead of each reset are the same numbers."""
    g = one([[127.0, -30.0]], threshold=200.0)
    image = s2nir.compile(s2nir.quantize(g))
    spikes = np.random.default_rng(0).integers(0, 3, (2, 40, 2)).astype(np.uint8)
    recording = s2nir.run(image, spikes, record=("potentials",))
    trace = g.simulate(spikes, record=("potentials", "voltages"))
    assert trace.spikes["n"].sum() > 10
    assert np.array_equal(recording.potentials["n"], trace.potentials["n"])
    assert np.array_equal(recording.voltages["n"], trace.voltages["n"])
    assert not s2nir.run(image, spikes).potentials


def test_every_noun_prints_short():
    g = small_graph()
    spikes = np.ones((2, 30, 2, 4, 4), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        d = s2nir.deploy(g, spikes)
    for noun in (g, d.network, d.image, d.recording, d.report, d, g.simulate(spikes), d.recording.spikes,
                 s2nir.Events.from_times([0.1], [3], dt=1e-3)):
        assert len(repr(noun)) < 700, type(noun)
        assert len(str(noun)) < 4000, type(noun)
        assert "array(" not in repr(noun) + str(noun)


@pytest.mark.parametrize(("call", "message"), [
    (lambda d: s2nir.quantize("x.nir"), r"quantize: found a str, needed a Graph\. Load one"),
    (lambda d: s2nir.quantize(d.graph, 4), r"quantize: found an int, needed a PTQ\. Pass the options"),
    (lambda d: s2nir.compile(d.graph), r"compile: found a Graph, needed a Network"),
    (lambda d: s2nir.run(d.network, 0), r"run: found a Network, needed a MachineImage"),
    (lambda d: s2nir.compare(d.image, d.graph, 0), r"compare: found a MachineImage, needed a Graph"),
    (lambda d: s2nir.run(d.image, np.ones((2, 3)), threads=0), r"threads: found 0, allowed whole numbers from 1 up"),
    (lambda d: d.recording.counts["nobody"], r"no counts of 'nobody'; there are in, n"),
    (lambda d: d.graph.simulate(np.ones((2, 3)), record=("volts",)), r"record: found 'volts', allowed 'spikes'"),
])
def test_wrong_arguments_get_one_sentence(call, message):
    d = s2nir.deploy(one(np.eye(3)), np.ones((2, 3), np.uint8))
    with pytest.raises(s2nir.S2NirError, match=message):
        call(d)


def test_events_of_another_time_step_are_refused():
    g = one(np.eye(3))
    events = s2nir.Events.from_times([0.0, 0.01], [0, 1], dt=1e-4)
    with pytest.raises(s2nir.S2NirError, match=r"found steps of 0.0001 s, the network has 0.001 s"):
        g.simulate(events)
    with pytest.raises(s2nir.S2NirError, match="Times are seconds: divide microseconds by 1e6"):
        s2nir.Events.from_times([3.0e5], [0], dt=1e-3)


def test_equality_is_seen_though_a_shift_would_explain_the_spikes_too():
    """An IF neuron under constant input: both runs meet the threshold exactly, and only the comparison differs."""
    cells = Population(name="n", node="IF", shape=(1,), decay=1.0, gain=1.0, constant=0.0, bias=0.0, threshold=1.0,
                       v_reset=0.0, reset=Reset.ZERO, compare=Compare.GREATER_EQUAL)
    graph = Graph(
        dt=None, populations=(Population(name="in", node="Input", shape=(1,)), cells),
        projections=(Projection(source="in", target="n", connection=Dense(weight=[[0.1]])),), outputs={"out": "n"},
    )
    found = s2nir.compare(graph, s2nir.compile(s2nir.quantize(graph)), np.ones((40, 1), np.uint8)).divergence
    assert found is not None
    assert found.cause == "equality at threshold"
