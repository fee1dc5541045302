"""Graphs by hand: what `build` makes of arrays, sparse matrices and rules, and what it refuses."""

import warnings

import numpy as np
import pytest
from scipy import sparse

import s2nir
from s2nir import Connect, Neurons, rules
from s2nir.errors import GraphError, S2NirError
from s2nir.graph import Conv, Dense, Ruled, Sparse

RNG = np.random.default_rng(3)


def test_a_graph_by_hand_is_the_one_that_a_file_gives():
    import nir

    w, tau = RNG.normal(size=(4, 3)), np.full(4, 0.02)
    file = nir.NIRGraph(
        nodes={
            "in": nir.Input(np.array([3])), "w": nir.Linear(w),
            "n": nir.LIF(tau, np.full(4, 2.0), np.full(4, 0.1), np.ones(4), v_reset=np.zeros(4)),
            "out": nir.Output(np.array([4])),
        },
        edges=[("in", "w"), ("w", "n"), ("n", "out")],
    )
    loaded = s2nir.load(file, dt=1e-3, reset="zero")
    built = s2nir.build(
        {"in": 3, "n": Neurons(shape=4, tau=0.02, r=2.0, v_leak=0.1)}, [Connect(source="in", target="n", weight=w)],
        dt=1e-3, outputs={"out": "n"},
    )
    assert built.digest == loaded.digest


def test_every_kind_of_neuron():
    graph = s2nir.build(
        {"in": 2, "if": Neurons(shape=2), "lif": Neurons(shape=2, tau=0.01, reset="to_value", v_reset=-0.5),
         "cuba": Neurons(shape=2, tau=0.01, tau_syn=0.005, reset="subtract", refractory=2), "li": Neurons(
             shape=2, tau=0.01, threshold=None), "i": Neurons(shape=2, threshold=None)},
        [Connect(source="in", target="if", weight=np.eye(2)), Connect(source="if", target="lif", weight=np.eye(2)),
         Connect(source="lif", target="cuba", weight=np.eye(2)), Connect(source="cuba", target="li", weight=np.eye(2)),
         Connect(source="cuba", target="i", weight=np.eye(2))],
        dt=1e-3,
    )
    assert {p.name: p.node for p in graph.populations} == {
        "in": "Input", "if": "IF", "lif": "LIF", "cuba": "CubaLIF", "li": "LI", "i": "I"}
    assert graph["cuba"].syn_decay == pytest.approx(0.8)
    assert graph["lif"].v_reset == -0.5
    assert dict(graph.outputs) == {"out_li": "li", "out_i": "i"}
    x = (RNG.random((2, 30, 2)) < 0.5).astype(np.uint8)
    image = s2nir.compile(s2nir.quantize(graph))
    assert set(s2nir.run(image, x).readout) == {"out_li", "out_i"}


def test_weights_as_arrays_sparse_matrices_kernels_and_rules():
    dense = RNG.normal(size=(12, 18)) * (RNG.random((12, 18)) < 0.3)
    kernels = RNG.normal(size=(2, 2, 3, 3))
    graph = s2nir.build(
        {"in": (2, 3, 3), "a": Neurons(shape=(2, 3, 2)), "b": Neurons(shape=(2, 3, 3))},
        [Connect(source="in", target="a", weight=dense),
         Connect(source="in", target="a", weight=sparse.coo_array(dense)),
         Connect(source="in", target="b", weight=kernels, padding=(1, 1)),
         Connect(source="in", target="a", rule=rules.FixedProbability(p=0.5), weight=1.0)],
    )
    kinds = [type(q.connection) for q in graph.projections]
    assert sorted(k.__name__ for k in kinds) == ["Conv", "Dense", "Ruled", "Sparse"]
    both = [q.connection for q in graph.projections if isinstance(q.connection, Dense | Sparse)]
    x = RNG.random((5, 18))
    from s2nir.graph import apply

    np.testing.assert_allclose(apply(both[0], x), apply(both[1], x))
    assert any(isinstance(q.connection, Conv) and q.connection.out_shape == (2, 3, 3) for q in graph.projections)


def test_seeds_follow_from_names_and_the_seed_of_build():
    def seeds(seed):
        graph = s2nir.build(
            {"in": 9, "a": Neurons(shape=9), "b": Neurons(shape=9)},
            [Connect(source="in", target=t, rule=rules.FixedProbability(p=0.5), weight=1.0) for t in "aab"]
            + [Connect(source="in", target="b", rule=rules.FixedProbability(p=0.5), weight=1.0, seed=5)], seed=seed,
        )
        return sorted(q.connection.seed for q in graph.projections)

    assert len(set(seeds(0))) == 4
    assert 5 in seeds(0)
    assert seeds(0) == seeds(0)
    assert len(set(seeds(0)) & set(seeds(1))) == 1


def test_a_rule_keeps_its_delay_where_it_belongs():
    graph = s2nir.build(
        {"in": 4, "a": Neurons(shape=4)},
        [Connect(source="in", target="a", rule=rules.OneToOne(), weight=1.0, delay=3),
         Connect(source="in", target="a", rule=rules.OneToOne(), weight=1.0, delay=rules.Uniform(low=1, high=2))],
    )
    assert sorted((q.delay, q.connection.longest_delay) for q in graph.projections) == [(0, 2), (3, 0)]
    assert all(isinstance(q.connection, Ruled) for q in graph.projections)


TWO = {"in": 2, "a": Neurons(shape=3)}


@pytest.mark.parametrize(("populations", "ways", "said"), [
    (TWO, [Connect(source="x", target="a", weight=1)], "no population 'x'; there are in, a"),
    (TWO, [Connect(source="in", target="a", weight=np.ones((2, 3)))],
     r"in -> a: weight: found shape \(2, 3\), needed \(targets, sources\) = \(3, 2\)"),
    (TWO, [Connect(source="in", target="a", weight=1.0)], "one number for all needs a rule"),
    (TWO, [Connect(source="in", target="a", weight="w")], "needed numbers, or a rule"),
    (TWO, [Connect(source="in", target="a", weight=sparse.eye_array(3))], "found a matrix"),
    (TWO, [Connect(source="in", target="a", rule=rules.OneToOne(), weight=1.0)],
     "in -> a: OneToOne: found 2 sources and 3 targets"),
    (TWO, [Connect(source="in", target="a", weight=np.ones((3, 2)),
                                                delay=rules.Uniform(low=0, high=1))], "a drawn delay needs a rule"),
    (TWO, [Connect(source="in", target="a", weight=np.full((3, 2), np.nan))], "not finite"),
    ({"in": 2, "a": Neurons(shape=3, tau=0.1)}, [], "needs dt="),
    ({"in": 2, "a": Neurons(shape=3, tau_syn=0.1)}, [], "give tau as well"),
    ({"in": 2, "a": Neurons(shape=3, threshold=[1, 2])}, [],
     r"a\.threshold: found shape \(2,\), needed \(\) or \(3,\)"),
    ({"in": 2, "a": Neurons(shape=3, reset="nothing")}, [], "found 'nothing', allowed"),
    ({"in": 2, "a": Neurons(shape=3, v_reset=1.0)}, [], 'only used with reset="to_value"'),
    ({"in": 2, "a": Neurons(shape=(3, 0))}, [], r"a\.shape: found 0, allowed .* from 1 up for each size of \(3, 0\)"),
    ({"in": 2, "a": Neurons(shape="abc")}, [], r"a\.shape: found 'abc', allowed whole numbers from 1 up, or a tuple"),
    ({"in": 2, "a": Neurons(shape=3, bias="x")}, [], r"a\.bias: found 'x', needed numbers, one or an array"),
    ({"a": Neurons(shape=3)}, [], "no input"),
    (None, None, "build: found a NoneType, needed a Mapping"), ({}, [], "the graph has no input"),
    (TWO, None, "build: found a NoneType, needed an Iterable"), (TWO, ["a"], "build: found a str, needed a Connect"),
    ({"in": (8, 8.5)}, [], r"in \(.*\): found 8\.5, allowed .* for each size of \(8, 8\.5\)"),
    ({"in": (8, -1)}, [], "found -1, allowed"), ({"in": "a"}, [], "found 'a', allowed"), ({"in": ()}, [], "needed one"),
    ({"in": True}, [], "found True, allowed"), ({"in": None}, [], r"in \(Neurons, or .*\): found None"),
    ({3: Neurons(shape=3)}, [], "a population is named 3; needed text"),
    ({"in": 2, "a": Neurons(shape=3, bias=None)}, [], r"a\.bias: found None, needed numbers"),
    ({"in": 2, "a": Neurons(shape=3, r=1j)}, [], r"a\.r: found 1j, needed numbers"),
    ({"in": 2, "a": Neurons(shape=3, refractory="a")}, [], r"a\.refractory: found 'a', allowed whole steps from 0 to"),
    ({"in": 2, "a": Neurons(shape=3, reset_late="no")}, [], r"a\.reset_late: found 'no', allowed True and False"),
    (TWO, [Connect(source=3, target="a")], "no population 3; there are in, a"),
    (TWO, [Connect(source=["in"], target="a")], r"no population \['in'\]; there are in, a"),
    (TWO, [Connect(source="in", target="a")], "in -> a: weight: found None, needed numbers, or a rule"),
    (TWO, [Connect(source="in", target="a", weight=[[1], [1, 2]])], "needed numbers, or a rule"),
    (TWO, [Connect(source="in", target="a", weight=np.full((3, 2), 1j))], "needed numbers, or a rule"),
    (TWO, [Connect(source="in", target="a", weight=sparse.csr_array(np.full((3, 2), 1j)))], "needed numbers"),
    *((TWO, [Connect(source="in", target="a", weight=np.ones((3, 2)), delay=d)],
       rf"in -> a: delay: found {d!r}, allowed whole steps from 0 up$") for d in ("a", None, -1, 1.5, True, np.nan)),
    *((TWO, [Connect(source="in", target="a", rule=rules.FixedProbability(p=1.0), weight=1.0, delay=d)],
       rf"in -> a: delay: found {d!r}, allowed whole steps from 0 up, Uniform and Normal")
      for d in ("a", None, -1.0, 1.5, True, np.inf)),
    *((TWO, [Connect(source="in", target="a", rule=rules.FixedProbability(p=1.0), weight=1.0, seed=s)],
       rf"in -> a: seed: found {s!r}, allowed whole numbers from 0 to") for s in ("a", 1.5, -1)),
])
def test_what_cannot_be_meant_is_refused(populations, ways, said):
    with pytest.raises(S2NirError, match=said):
        s2nir.build(populations, ways)


@pytest.mark.parametrize(("options", "said"), [
    *((dict(seed=s), f"seed: found {s!r}, allowed whole numbers from 0 up") for s in ("a", 1.5, None, -1, True)),
    *((dict(dt=dt), f"dt: found {dt!r}, needed seconds above 0 as a number") for dt in ("a", 0, -1, np.nan, True)),
    (dict(outputs=5), "outputs: found 5, needed a list of names"), (dict(loops=[1]), r"loops: found \[1\], allowed"),
    (dict(integrator=None), "integrator: found None, allowed 'euler' or 'exponential'"),
])
def test_options_that_cannot_be_meant_are_refused(options, said):
    with pytest.raises(S2NirError, match=said):
        s2nir.build(TWO, [Connect(source="in", target="a", weight=np.ones((3, 2)))], **options)


@pytest.mark.parametrize(("wrong", "said"), [
    (dict(padding=1), r"padding: found 1, needed \(height, width\)"), (dict(padding=None), "padding: found None"),
    (dict(padding=(1, "a")), "padding: found 'a', allowed whole numbers from 0 up"),
    (dict(padding=(1, 0.5)), r"padding: found 0\.5"), (dict(stride=(0, 1)), "stride: found 0, allowed .* from 1 up"),
    (dict(stride=(1, 1, 1)), r"stride: found \(1, 1, 1\), needed"),
])
def test_strides_and_paddings_are_two_whole_numbers(wrong, said):
    kernels = np.ones((1, 1, 3, 3))
    with pytest.raises(GraphError, match=f"in -> a: {said}"):
        s2nir.build({"in": (1, 4, 4), "a": Neurons(shape=(1, 2, 2))},
                    [Connect(source="in", target="a", weight=kernels, **wrong)])


def test_a_time_constant_must_be_above_0_and_not_below_dt():
    for tau, said in ((0.0, r"a\.tau: found 0 s"), ("a", r"a\.tau: found 'a', needed"),
                      (1e-4, "larger than the time constant")):
        with pytest.raises(S2NirError, match=said):
            s2nir.build({"in": 2, "a": Neurons(shape=3, tau=tau)}, [], dt=1e-3)


def test_outputs_are_names():
    with pytest.raises(S2NirError, match="found 'a', needed a list of names"):
        s2nir.build({"in": 2, "a": Neurons(shape=2)}, [Connect(source="in", target="a", weight=np.eye(2))], outputs="a")


def test_rules_go_to_nir_written_out():
    graph = s2nir.build(
        {"in": 4, "a": Neurons(shape=4)},
        [Connect(source="in", target="a", rule=rules.FixedProbability(p=0.5), weight=rules.Normal(mean=1, sd=1))],
    )
    assert dict(graph.outputs) == {"out": "a"}
    back = s2nir.load(s2nir.to_nir(graph))
    x = (RNG.random((20, 4)) < 0.5).astype(np.uint8)
    (found,) = back.simulate(x).spikes.values()
    np.testing.assert_array_equal(graph.simulate(x).spikes["a"], found)
    assert found.any()


@pytest.mark.parametrize("delay", [0, 1, 2, rules.Uniform(low=1, high=3), rules.Uniform(low=0, high=3)])
def test_delays_in_a_loop_of_the_machine_are_the_same_after_nir(delay):
    layer = Neurons(shape=20, tau=0.01, r=10.0)
    few = rules.FixedProbability(p=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)  # which way takes the step is a choice
        made = s2nir.build(
            {"in": 20, "a": layer, "b": layer, "c": layer},
            [Connect(source="in", target="a", rule=rules.OneToOne(), weight=2.0),
             Connect(source="a", target="b", rule=few, weight=0.5, delay=delay),
             Connect(source="b", target="c", rule=few, weight=0.5),
             Connect(source="c", target="a", rule=few, weight=0.3)], dt=1e-3, loops="machine")
        again = s2nir.load(s2nir.to_nir(made))
    spikes = (np.random.default_rng(0).random((60, 20)) < 0.1).astype(np.uint8)
    one, two = made.simulate(spikes), again.simulate(spikes)
    for name in "abc":
        assert one.spikes[name].any()
        assert np.array_equal(one.spikes[name], two.spikes[name])
