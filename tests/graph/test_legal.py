"""A Graph built by hand is checked wherever it is used, and options that are no numbers are refused."""

import copy
import pickle

import nir
import numpy as np
import pytest

import s2nir
from conformance.test_mutations import small_graph
from s2nir.errors import GraphError, InputError, S2NirError, S2NirWarning
from s2nir.graph import Compare, Dense, Graph, Population, Projection, Reset, Sparse


def built(weight=((127.0, 60.0), (20.0, 127.0)), delay=0, target="n", extra=(), dt=1e-3, **fields):
    neuron = dict(decay=1.0, gain=1.0, constant=0.0, bias=0.0, threshold=200.0, v_reset=0.0, reset=Reset.ZERO) | fields
    return Graph(
        dt=dt,
        populations=(Population(name="in", node="Input", shape=(2,)),
                     Population(name="n", node="IF", shape=(2,), **neuron), *extra),
        projections=(Projection(source="in", target=target, connection=Dense(weight=np.array(weight)), delay=delay),),
        outputs={"out": "n"},
    )


TWIN = Population(name="n", node="IF", shape=(2,), decay=1.0, gain=1.0, constant=0.0, bias=0.0, threshold=1.0,
                  v_reset=0.0, reset=Reset.ZERO)


@pytest.mark.parametrize(("fault", "message"), [
    (dict(weight=[[np.nan, 1.0], [1.0, 1.0]]), "in -> n: a weight is not finite"),
    (dict(extra=(TWIN,)), "n: two populations have this name"),
    (dict(target="in"), "in -> in: an input hears nothing"),
    (dict(target="nobody"), "names a population that does not exist"),
    (dict(decay=np.nan), r"n\.IF\.decay: not finite"),
    (dict(decay=2.0), r"n\.IF\.decay: found 2\.0\.\.2\.0"),
    (dict(threshold=None), "one of threshold and v_reset"),
    (dict(bias=None), r"n\.IF\.bias: missing"),
    (dict(syn_decay=0.5), "one of syn_decay and syn_gain"),
])
@pytest.mark.parametrize("use", [s2nir.quantize, lambda g: g.simulate(np.ones((3, 2)))])
def test_what_check_finds_is_refused_where_a_graph_is_used(use, fault, message):
    with pytest.raises(GraphError, match=f"not a legal Graph: .*{message}"):
        use(built(**fault))


@pytest.mark.parametrize(("fault", "message"), [
    (dict(delay=-1), "in -> n: delay: found -1, allowed whole steps from 0 up"),
    (dict(delay=0.5), "in -> n: delay: found 0.5, allowed whole steps from 0 up"),
    (dict(refractory=-1), "refractory: found -1, allowed whole steps from 0 to 65535"),
    (dict(refractory=65_536), "refractory: found 65536, allowed"),
    (dict(refractory=1.5), "refractory: found 1.5, allowed"),
    (dict(reset="soft"), r"n\.reset: found 'soft', allowed 'subtract', 'zero'"),
    (dict(dt=0.0), "dt: found 0.0, allowed seconds above 0, or None"),
    (dict(dt="1"), "dt: found '1', allowed seconds above 0, or None"),
])
def test_what_can_be_seen_at_once_is_refused_at_once(fault, message):
    with pytest.raises(GraphError, match=message):
        built(**fault)


def test_words_stand_for_their_enumerations():
    g = built(reset="zero", compare=">=", refractory=2.0)
    assert (g["n"].reset, g["n"].compare, g["n"].refractory) == (Reset.ZERO, Compare.GREATER_EQUAL, 2)


def test_a_sparse_start_that_falls_is_refused():
    with pytest.raises(GraphError, match=r"Sparse\.start: must rise from 0"):
        Sparse(targets=2, start=[0, 2, 1, 2], target=[0, 1], weight=[1.0, 1.0], delay=[0, 0])


@pytest.mark.parametrize("steps", [65_535, 65_536, 2**40])
def test_the_refractory_time_of_a_file_is_bounded(steps):
    n = nir.IF(np.ones(2), np.full(2, 200.0))
    n.metadata = {"s2nir_refractory": steps}
    net = nir.NIRGraph(
        nodes={"input": nir.Input(np.array([2])), "fc": nir.Linear(np.eye(2)), "n": n,
               "output": nir.Output(np.array([2]))},
        edges=[("input", "fc"), ("fc", "n"), ("n", "output")],
    )
    if steps > 65_535:
        with pytest.raises(S2NirError, match="refractory"):
            s2nir.load(net, reset="zero")
    else:
        assert list(s2nir.compile(s2nir.quantize(s2nir.load(net, reset="zero"))).check()) == []


def test_nouns_can_be_pickled_and_copied():
    g = small_graph()
    network = s2nir.quantize(g)
    for noun in (g, network, s2nir.compile(network)):
        assert pickle.loads(pickle.dumps(noun)) == noun
        assert copy.deepcopy(noun).digest == noun.digest
    with pytest.raises(TypeError, match="belongs to a frozen value"):
        g.outputs["more"] = "a"


def test_numbers_of_numpy_can_be_written(tmp_path):
    network = s2nir.quantize(small_graph())
    image = s2nir.compile(network, max_count=np.int64(5), ticks=np.int32(10),
                          partition=s2nir.Partition(tick=np.float32(1e-3)))
    image.save(tmp_path / "m.h5")
    assert s2nir.MachineImage.load(tmp_path / "m.h5") == image


@pytest.mark.parametrize(("call", "message"), [
    (lambda: s2nir.Events.from_times([0.001], [2.7], dt=1e-3), r"Events\.index: found float64 values such as 2\.7"),
    (lambda: s2nir.Events.from_times([0.001], [np.nan], dt=1e-3), r"Events\.index: found float64 values such as nan"),
    (lambda: s2nir.Events.from_times(["a"], [0], dt=1e-3), r"Events\.times: needed numbers of seconds"),
    (lambda: s2nir.Events.from_times([0.001], [0], dt="1"), r"Events\.dt: found '1'"),
    *((lambda v=v: s2nir.Events(step=[0], index=[0], sample=[0], steps=v), rf"Events\.steps: found {v!r}, allowed")
      for v in (10.5, "a", None, np.nan, True)),
    *((lambda v=v: s2nir.Events.from_times([0.1], [0], dt=0.1, steps=v), rf"Events\.steps: found {v!r}, allowed whole")
      for v in (1.5, "a", 0, -1)),
    (lambda: s2nir.Events(step=[0], index=[0], sample=[0], steps=1, samples="a"), r"Events\.samples: found 'a'"),
    (lambda: s2nir.Events(step=[0], index=[0], sample=[0], steps=1, dt="a"), r"Events\.dt: found 'a', allowed seconds"),
    (lambda: s2nir.Events(step=None, index=[0], sample=[0], steps=1), r"Events\.step: found object values such as No"),
    (lambda: s2nir.Events.from_times([0.1], [0], dt=0.1, sample="a"), r"Events\.sample: found <U1 values such as 'a'"),
    *((lambda v=v: built().simulate(np.ones((3, 2)), record=v), "record: found .*, (allowed|needed some of) 'spikes'")
      for v in (None, 5, "x", ("x",), [["x"]])),
    (lambda: s2nir.Events.from_times([0.001], [0], dt=1e-3, steps=10**9).counts(6), r"are 6000000000 entries, over"),
])
def test_events_that_cannot_be_meant(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_counts_of_events_take_a_byte_each():
    events = s2nir.Events.from_times(np.arange(300) * 1e-5, np.zeros(300, int), dt=1e-3, steps=5)
    assert events.counts(4).dtype == np.uint8
    many = s2nir.Events.from_times(np.zeros(300), np.zeros(300, int), dt=1e-3, steps=5)
    assert many.counts(4)[0, 0, 0] == 300


def test_labels_outside_the_output_are_refused():
    g = built()
    image = s2nir.compile(s2nir.quantize(g))
    with pytest.raises(InputError, match=r"labels: found 2\.\.2, out has neurons 0\.\.1; count from 0"):
        s2nir.compare(g, image, np.ones((1, 4, 2), np.uint8), labels=[2])


def test_a_loop_whose_every_hop_takes_its_tick_leaves_no_choice():
    import warnings

    from s2nir import Connect, Neurons, build

    ways = [Connect(source=a, target=b, weight=[[1.0]]) for a, b in (("in", "a"), ("a", "b"), ("b", "a"))]
    names = {"in": 1, "a": Neurons(shape=1), "b": Neurons(shape=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(names, ways, loops="machine")
    with pytest.warns(S2NirWarning, match="another choice is possible"):
        build(names, ways)
