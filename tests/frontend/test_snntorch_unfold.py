"""From Graphs to torch modules: the same spikes, trainable, and the same Graph back; test_snntorch_conformance.py has
the Graphs that came from modules."""

import copy
import pickle

import nir
import numpy as np
import pytest

from frontend import nir_networks
from frontend import snn_networks as nets
from frontend.snn_networks import nn, snn, spikes_in, torch
from s2nir.errors import S2NirWarning, UnsupportedError
from s2nir.frontend import from_snntorch, load, to_snntorch
from s2nir.graph import Compare, Conv, Dense, Graph, Loops, Pool, Population, Projection, Reset, Sparse

utils = pytest.importorskip("snntorch.utils")


def population(name="n", shape=(6,), **changes):
    given = dict(node="LIF", decay=0.8, gain=1.0, constant=0.0, bias=0.0, threshold=1.0, v_reset=0.0, reset=Reset.ZERO)
    return Population(name=name, shape=shape, **{**given, **changes})


def readout(name, shape, **changes):
    return population(name, shape, **{**dict(node="LI", threshold=None, v_reset=None, reset=Reset.NONE), **changes})


def cuba(name="n", shape=(6,), **changes):
    return population(name, shape, **{**dict(node="CubaLIF", syn_decay=0.5, syn_gain=1.0, threshold=3.0), **changes})


def dense(source, target, rows, columns, seed=0, low=-0.5, high=1.0):
    weight = np.random.default_rng(seed).uniform(low, high, (rows, columns)) / columns**0.5
    return Projection(source=source, target=target, connection=Dense(weight=weight))


def graph(*parts, shape=(4,), outputs=None, **more):
    populations = [p for p in parts if isinstance(p, Population)]
    return Graph(
        dt=None,
        populations=(Population(name="input", node="Input", shape=shape), *populations),
        projections=tuple(q for q in parts if isinstance(q, Projection)),
        outputs=outputs or {"output": populations[-1].name},
        **more,
    )


def made(g):
    return to_snntorch(g, dtype=torch.float64, spike_grad=nets.step)


def one(p, *more):
    return graph(p, dense("input", p.name, p.size, 4), *more)


def diagonal(name, n, weight):
    every = np.arange(n)
    connection = Sparse(targets=n, start=np.arange(n + 1), target=every, weight=weight, delay=0 * every)
    return Projection(source=name, target=name, connection=connection)


RNG = np.random.default_rng(2)
PER = RNG.uniform(0.4, 1.2, 6)
IMAGE = dict(in_shape=(2, 6, 6), out_shape=(3, 4, 4))
KERNEL = RNG.uniform(-0.3, 0.5, (3, 2, 3, 3))


def image(p, *more, connection=None):
    first = Projection(source="input", target=p.name, connection=connection or Conv(weight=KERNEL, **IMAGE))
    return graph(p, first, *more, shape=first.connection.in_shape)


GRAPHS = {
    "LIF": lambda: one(population(decay=PER / 1.3, threshold=PER, bias=PER / 5)),
    "LIF of gains": lambda: one(population(gain=PER, bias=0.3, constant=PER / 10, threshold=0.9)),
    "IF": lambda: one(population(node="IF", decay=1.0, threshold=3.0)),
    "IF of a gain below 0": lambda: one(population(node="IF", decay=1.0, gain=-1.0, threshold=0.4)),
    "Threshold": lambda: one(population(node="Threshold", decay=0.0, reset=Reset.NONE, threshold=0.4)),
    "late": lambda: one(population(reset=Reset.SUBTRACT, reset_late=True)),
    "late zero": lambda: one(population(reset_late=True, decay=PER / 1.3)),
    "restored": lambda: one(population(reset=Reset.SNNTORCH_RESTORED)),
    "CubaLIF": lambda: one(cuba(syn_decay=PER / 1.5, syn_gain=PER, gain=0.5, bias=0.2)),
    "CubaLIF late zero": lambda: one(cuba(reset_late=True)),
    "recurrent": lambda: one(population(gain=PER), dense("n", "n", 6, 6, seed=1, low=-0.8, high=0.4)),
    "recurrent twice": lambda: one(population(), dense("n", "n", 6, 6, seed=1, low=-0.8), diagonal("n", 6, -PER)),
    "recurrent one-to-one": lambda: one(cuba(reset_late=True, reset=Reset.SUBTRACT), diagonal("n", 6, -PER)),
    "readout": lambda: graph(population("a"), dense("input", "a", 6, 4), readout("b", (3,), constant=0.1),
                             dense("a", "b", 3, 6)),
    "readout with a synapse": lambda: graph(population("a"), dense("input", "a", 6, 4), dense("a", "b", 3, 6),
                                            readout("b", (3,), node="CubaLI", syn_decay=0.5, syn_gain=2.0)),
    "matrix at the end": lambda: graph(population("a"), dense("input", "a", 6, 4), dense("a", "b", 3, 6), Population(
        name="b", node="Readout", shape=(3,), decay=0.0, gain=1.0, constant=0.0, bias=np.array([0.1, 0.2, 0.3]))),
    "several ways": lambda: graph(population("a"), dense("input", "a", 6, 4), population("b", bias=0.2),
                                  dense("input", "b", 6, 4, seed=3), dense("a", "b", 6, 6, seed=4)),
    "conv": lambda: image(population(shape=(3, 4, 4), bias=np.repeat([0.1, 0.2, 0.0], 16).reshape(3, 4, 4))),
    "conv, gains per channel": lambda: image(population(shape=(3, 4, 4), bias=0.1,
                                                        gain=np.repeat([0.7, 0.5, 1.2], 16).reshape(3, 4, 4))),
    "conv, gains per pixel": lambda: image(population(shape=(3, 4, 4), gain=RNG.uniform(0.6, 1.2, (3, 4, 4)), bias=0.1,
                                                      constant=0.05)),
    "conv, bias per pixel": lambda: image(population(shape=(3, 4, 4), bias=RNG.uniform(0, 0.2, (3, 4, 4)))),
    "conv, pool": lambda: image(population(shape=(3, 3, 3)), connection=Conv(
        weight=KERNEL, in_shape=(2, 6, 6), out_shape=(3, 3, 3), pool=Pool(size=(3, 2), stride=(2, 2), padding=(1, 0)),
        padding=(1, 1))),
    "conv, same": lambda: image(population(shape=(3, 6, 6)), connection=Conv(
        weight=RNG.uniform(-0.3, 0.5, (3, 2, 4, 2)), in_shape=(2, 6, 6), out_shape=(3, 6, 6), padding=(1, 0))),
    "conv, recurrent": lambda: image(population(shape=(3, 4, 4)), Projection(source="n", target="n", connection=Conv(
        weight=RNG.uniform(-0.3, 0.1, (3, 3, 3, 3)), in_shape=(3, 4, 4), out_shape=(3, 4, 4), padding=(1, 1)))),
    "conv, per channel": lambda: image(population(shape=(2, 6, 6), threshold=0.7), connection=Conv(
        weight=np.array([0.5, 0.4]).reshape(2, 1, 1, 1), in_shape=(2, 6, 6), out_shape=(2, 6, 6), groups=2)),
    "image, per pixel": lambda: graph(population(shape=(2, 3, 3), threshold=0.7), Projection(
        source="input", target="n", connection=Sparse(targets=18, start=np.arange(19), target=np.arange(18),
                                                      weight=np.linspace(0.3, 0.9, 18), delay=np.zeros(18, int))),
        shape=(2, 3, 3)),
    "matrix onto an image": lambda: graph(population(shape=(2, 3, 3), threshold=0.7), dense("input", "n", 18, 8),
                                          shape=(2, 4)),
}
LOW = 0.005


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # torch's, of even kernels
@pytest.mark.parametrize("name", GRAPHS)
def test_the_module_spikes_as_the_graph_and_gives_it_back(name):
    g = GRAPHS[name]()
    module = made(g)
    x = spikes_in(g.inputs[0].shape, steps=400, seed=8)
    trace = g.simulate(x)
    theirs = nets.run(module, x)
    assert set(theirs) >= {p.name for p in g.populations if p.spikes}
    for p in g.populations:
        if p.spikes:
            assert LOW < theirs[p.name].mean() < 0.99, theirs[p.name].mean()
            assert int((theirs[p.name] != trace.spikes[p.name][0]).sum()) == 0
    utils.reset(module)
    with torch.no_grad():
        out = np.array([module(row)[0].numpy() for row in torch.tensor(x)[:, None]])
    last = g[g.outputs["output"]]
    expected = (trace.spikes if last.spikes else trace.voltages)[last.name][0]
    assert np.abs(out - expected).max() < 1e-9
    back = from_snntorch(module, g.inputs[0].shape)
    if name == "conv, gains per pixel":  # into the thresholds, as no kernel has them
        assert np.allclose(back["n"].threshold, g["n"].threshold / g["n"].gain, rtol=1e-12)
    else:
        assert nets.differences(g, back) == []


def test_it_is_a_module_to_train_in_float32():
    g = graph(population("a.b"), dense("input", "a.b", 6, 4), population("train", (2,)), dense("a.b", "train", 2, 6),
              outputs={"x": "train", "y": "a.b"})
    module = to_snntorch(g)
    assert {type(m) for m in module.children()} == {nn.Linear, snn.Leaky}
    assert isinstance(module.a_b, snn.Leaky)
    assert isinstance(module.train_, snn.Leaky)
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    optimiser, losses = torch.optim.SGD(module.parameters(), lr=0.5), []
    x = torch.tensor(spikes_in((8, 4), steps=10)).float()
    for _ in range(5):
        utils.reset(module)
        rates = torch.stack([module(row)[0] for row in x]).mean(0)
        loss = ((rates - torch.tensor([0.9, 0.1])) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    utils.reset(module)
    copies = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    with torch.no_grad():
        first = module(x[0])
        for other in copies:
            assert all(bool((a == b).all()) for a, b in zip(first, other(x[0]), strict=True))


def test_an_immediate_subtraction_is_said_to_differ():
    g = one(population(reset=Reset.SUBTRACT))
    with pytest.warns(S2NirWarning, match=r"n: its immediate reset becomes reset_delay=False, which equals it on"):
        module = made(g)
    x = spikes_in((4,), steps=400)
    assert np.array_equal(nets.run(module, x)["n"], g.simulate(x).spikes["n"][0])  # V stays below 2 thresholds
    assert from_snntorch(module, (4,))["n"].reset is Reset.SNNTORCH_RESTORED


def test_a_loaded_network_goes_through():
    g = load(nir_networks.convolutional(), dt=1e-4, reset="zero")
    module = made(g)
    x = spikes_in((2, 8, 8), steps=100, rate=0.2)
    for name, spikes in nets.run(module, x).items():
        assert spikes.any()
        assert int((spikes != g.simulate(x).spikes[name][0]).sum()) == 0


def split(*edges):
    """Two populations that hear each other."""
    return graph(population("a"), population("b"), dense("input", "a", 6, 4), dense("a", "b", 6, 6),
                 dense("b", "a", 6, 6), **dict(edges))


def two_inputs():
    net = nir_networks.graph(
        {"x": nir.Input(np.array([2])), "y": nir.Input(np.array([2])), "n": nir_networks.integrate(2),
         "out": nir.Output(np.array([2]))}, [("x", "n"), ("y", "n"), ("n", "out")])
    return load(net, reset="zero")


def delayed():
    late = Projection(source="input", target="n", connection=Dense(weight=np.ones((6, 4))), delay=2)
    return graph(population(), late)


def wide(n):
    row = Sparse(targets=n, start=np.arange(n + 1), target=np.roll(np.arange(n), 1).argsort(), weight=np.ones(n),
                 delay=np.zeros(n, int))
    return graph(population(shape=(n,)), Projection(source="input", target="n", connection=row), shape=(n,))


LOPSIDED = Conv(weight=KERNEL[:, :, :2], in_shape=(2, 6, 6), out_shape=(3, 6, 4), padding=(1, 0), stride=(1, 1))
GROUPED = Projection(source="n", target="n", connection=Conv(weight=np.ones((3, 1, 3, 3)), in_shape=(3, 4, 4),
                                                             out_shape=(3, 4, 4), padding=(1, 1), groups=3))


@pytest.mark.parametrize(
    ("make", "rule", "message"),
    [
        (lambda: one(population(refractory=3)), "neuron", "n: it is refractory for 3 steps, for which snnTorch has no"),
        (lambda: one(population(reset=Reset.TO_VALUE, v_reset=-0.2)), "neuron", "it resets to a value"),
        (lambda: one(population(compare=Compare.GREATER_EQUAL)), "neuron", "at the threshold as well.*compare='>'"),
        (lambda: one(population(threshold=-0.1)), "neuron", "its threshold is below 0"),
        (lambda: one(cuba(constant=0.1)), "neuron", "it has a v_leak behind its synapse"),
        (lambda: one(population(node="IF", decay=1.0, reset_late=True)), "neuron", "a decay of 1 and a late reset"),
        (lambda: one(population(reset=Reset.SNNTORCH_RESTORED, reset_late=True)), "neuron", "snnTorch's and late"),
        (lambda: one(cuba(), dense("n", "n", 6, 6)), "neuron", "which RSynaptic does not carry out.*reset_late=True"),
        (lambda: image(population(shape=(3, 4, 4), gain=np.linspace(-1, 1, 48).reshape(3, 4, 4))), "neuron",
         "its gains differ within a channel and reach 0"),
        (split, "wiring", "b -> a: it lies on a loop through several populations"),
        (lambda: split(("loops", Loops.MACHINE)), "wiring", "it lies on a loop through several populations"),
        (two_inputs, "wiring", "x, y: there are 2 inputs"),
        (delayed, "wiring", "input -> n: it has a delay"),
        (lambda: graph(population("a"), population("b"), dense("input", "a", 6, 4)), "wiring", "b: nothing leads"),
        (lambda: image(population(shape=(3, 6, 4)), connection=LOPSIDED), "wiring", "Pad both sides alike"),
        (lambda: image(population(shape=(3, 4, 4)), GROUPED), "wiring", "n -> n: its recurrence is neither a"),
        (lambda: wide(3000), "size", "hold 9000000 weights in full, allowed are 4194304"),
    ],
)
def test_what_snntorch_has_no_words_for(make, rule, message):
    with pytest.raises(UnsupportedError, match=message) as error:
        made(make())
    assert error.value.rule == f"to-snntorch-{rule}"
