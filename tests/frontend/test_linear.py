"""Runs of linear nodes against PyTorch in float64: the network ends in a readout, whose value is what the run gives."""

import math
import warnings

import nir
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontend import nir_networks as networks
from s2nir.errors import LoadError, S2NirError, S2NirWarning, UnsupportedError
from s2nir.frontend import load
from s2nir.graph import Conv, Dense, Sparse
from strategies import Plan, _run

F = torch.nn.functional
RNG = np.random.default_rng(7)


def direct(node, x):
    """One node on x (steps, *shape), by PyTorch alone."""
    kind = type(node).__name__
    if kind in ("Conv1d", "Conv2d"):
        pads = node.padding if isinstance(node.padding, str) else tuple(np.atleast_1d(node.padding).tolist())
        ints = [tuple(np.atleast_1d(v).tolist()) for v in (node.stride, node.dilation)]
        weight, bias = (torch.tensor(np.asarray(v, np.float64)) for v in (node.weight, node.bias))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same' with even kernel")
            return getattr(F, kind.lower())(x, weight, bias, ints[0], pads, ints[1], int(node.groups))
    if kind in ("SumPool2d", "AvgPool2d"):
        size, stride, pad = (tuple(np.asarray(v).tolist()) for v in (node.kernel_size, node.stride, node.padding))
        mean = F.avg_pool2d(x, size, stride, pad, count_include_pad=True)
        return mean * math.prod(size) if kind == "SumPool2d" else mean
    if kind == "Flatten":
        return x.flatten(node.start_dim + 1, node.end_dim if node.end_dim < 0 else node.end_dim + 1)
    if kind == "Scale":
        return x * torch.tensor(np.asarray(node.scale, np.float64))
    if kind == "Delay":
        steps = np.broadcast_to(np.rint(np.asarray(node.delay) / 1e-3).astype(int), x.shape[1:])
        out = torch.zeros_like(x)
        for at in np.ndindex(*steps.shape):
            n = int(steps[at])
            out[(slice(n, None), *at)] = x[(slice(0, len(x) - n), *at)]
        return out
    out = (torch.tensor(np.asarray(node.weight, np.float64)) @ x.unsqueeze(-1)).squeeze(-1)
    return out + torch.tensor(np.asarray(node.bias, np.float64)) if kind == "Affine" else out


def compare(shape, *nodes, steps=9):
    """Load a row of nodes, run it, and compare; returns the connections."""
    x = np.random.default_rng(0).normal(size=(steps, *shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        graph = load(networks.line(shape, *nodes, None), dt=1e-3)
    needed = torch.tensor(x)
    for node in nodes:
        needed = direct(node, needed)
    (name,) = graph.outputs.values()
    found = graph.simulate(x).voltages[name][0]
    assert found.shape == needed.shape
    np.testing.assert_allclose(found, needed.numpy(), atol=1e-10)
    return [p.connection for p in graph.projections]


def conv(out, inside, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, bias=True):
    weight = RNG.normal(size=(out, inside // groups, *kernel))
    return nir.Conv2d(None, weight, stride, padding, dilation, groups, RNG.normal(size=out) * bias)


def pool(kind, size, stride, padding=(0, 0)):
    return kind(np.array(size), np.array(stride), np.array(padding))


LINEAR, AFFINE = nir.Linear(RNG.normal(size=(5, 12))), nir.Affine(RNG.normal(size=(5, 12)), RNG.normal(size=5))
FLAT = nir.Flatten({"input": None}, 0, -1)
ONE = {
    "linear": ((12,), [LINEAR], Dense),
    "affine": ((12,), [AFFINE], Dense),
    "stack of matrices": ((2, 3, 4), [nir.Affine(RNG.normal(size=(2, 3, 5, 4)), RNG.normal(size=(2, 3, 5)))], Sparse),
    "scale around linear": ((12,), [nir.Scale(RNG.normal(size=12)), LINEAR, nir.Scale(RNG.normal(size=5))], Dense),
    "scale after affine": ((12,), [AFFINE, nir.Scale(RNG.normal(size=5))], Dense),
    "scalar scale": ((12,), [nir.Scale(np.array(0.3)), LINEAR], Dense),
    "scale alone": ((12,), [nir.Scale(RNG.normal(size=12))], Sparse),
    "scale per channel": ((3, 4, 5), [nir.Scale(np.ones((3, 4, 5)) * RNG.normal(size=(3, 1, 1)))], Conv),
    "scale per pixel": ((3, 4, 5), [nir.Scale(RNG.normal(size=(3, 4, 5)))], Sparse),
    "linear after linear": ((12,), [AFFINE, nir.Affine(RNG.normal(size=(4, 5)), RNG.normal(size=4))], Dense),
    "conv": ((2, 7, 6), [conv(3, 2, (3, 3), padding=(1, 1))], Conv),
    "not square": ((2, 7, 9), [conv(3, 2, (3, 5), (2, 1), (0, 2))], Conv),
    "dilation": ((2, 9, 9), [conv(3, 2, (3, 2), (1, 2), (1, 1), (2, 3))], Conv),
    "groups": ((4, 6, 6), [conv(6, 4, (3, 3), groups=2)], Conv),
    "depthwise": ((4, 6, 6), [conv(8, 4, (2, 3), groups=4)], Conv),
    "same": ((2, 6, 7), [conv(3, 2, (3, 5), padding="same")], Conv),
    "same, even kernel": ((2, 6, 7), [conv(3, 2, (2, 4), padding="same")], Conv),
    "same, dilated": ((2, 9, 7), [conv(3, 2, (2, 3), padding="same", dilation=(3, 2))], Conv),
    "valid": ((2, 6, 7), [conv(3, 2, (2, 4), padding="valid")], Conv),
    "stride that leaves a rest": ((1, 8, 8), [conv(2, 1, (3, 3), (3, 2))], Conv),
    "conv1d": ((3, 11), [nir.Conv1d(None, RNG.normal(size=(4, 3, 3)), 2, 1, 2, 1, RNG.normal(size=4))], Conv),
    "conv1d same": ((4, 11), [nir.Conv1d(11, RNG.normal(size=(4, 2, 4)), 1, "same", 1, 2, RNG.normal(size=4))], Conv),
    "sum pool": ((3, 6, 7), [pool(nir.SumPool2d, (2, 3), (2, 2))], Conv),
    "average pool": ((3, 6, 7), [pool(nir.AvgPool2d, (2, 3), (1, 2))], Conv),
    "padded average pool": ((3, 6, 6), [pool(nir.AvgPool2d, (3, 2), (2, 2), (1, 1))], Conv),
    "pool, conv": ((2, 8, 8), [pool(nir.AvgPool2d, (2, 2), (2, 2)), conv(3, 2, (3, 3), padding=(1, 1))], Conv),
    "scale, pool, conv, scale": (
        (2, 8, 8),
        [
            nir.Scale(np.ones((2, 8, 8)) * RNG.normal(size=(2, 1, 1))),
            pool(nir.SumPool2d, (3, 3), (2, 2)),
            conv(3, 2, (2, 2)),
            nir.Scale(np.ones((3, 2, 2)) * RNG.normal(size=(3, 1, 1))),
        ],
        Conv,
    ),
    "conv, flatten": ((2, 5, 5), [conv(3, 2, (3, 3)), FLAT], Conv),
    "conv after conv": ((2, 9, 9), [conv(3, 2, (3, 3), padding=(1, 1)), conv(2, 3, (3, 3), (2, 2), (1, 1))], Sparse),
    "pool after conv": (
        (2, 9, 9),
        [conv(3, 2, (3, 3), padding=(1, 1)), pool(nir.AvgPool2d, (2, 2), (2, 2)), nir.Scale(np.array(0.5))],
        Conv,
    ),
    "pool after a dilated conv with a stride": (
        (4, 14, 13),
        [conv(2, 4, (3, 2), (2, 1), (2, 1), (1, 3), groups=2), pool(nir.SumPool2d, (3, 2), (1, 2))],
        Conv,
    ),
    "pools on both sides of a conv": (
        (2, 12, 12),
        [pool(nir.SumPool2d, (2, 2), (2, 2)), conv(3, 2, (3, 3)), pool(nir.AvgPool2d, (2, 2), (2, 2))],
        Conv,
    ),
    "padded pool after conv": (
        (2, 9, 9),
        [conv(3, 2, (3, 3), padding=(1, 1)), pool(nir.AvgPool2d, (2, 2), (2, 2), (1, 1))],
        Sparse,
    ),
    "pool, flatten, affine": (
        (3, 4, 8),
        [pool(nir.SumPool2d, (2, 2), (2, 2)), FLAT, nir.Affine(RNG.normal(size=(5, 24)), RNG.normal(size=5))],
        Dense,
    ),
    "conv, flatten, linear": ((2, 4, 4), [conv(3, 2, (3, 3)), FLAT, nir.Linear(RNG.normal(size=(5, 12)))], Dense),
    "half a flatten, conv1d": (
        (3, 4, 5),
        [
            nir.Flatten({"input": None}, 1, 2),
            nir.Conv1d(None, RNG.normal(size=(4, 3, 3)), 1, 1, 1, 1, RNG.normal(size=4)),
        ],
        Conv,
    ),
    "delay": ((12,), [nir.Delay(np.full(12, 3e-3)), LINEAR], Dense),
    "delays": ((12,), [nir.Delay(np.arange(12) % 3 * 1e-3), LINEAR], Sparse),
    "delays on both sides": (
        (12,),
        [nir.Delay(np.arange(12) % 3 * 1e-3), LINEAR, nir.Delay(np.arange(5) % 2 * 1e-3)],
        Sparse,
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_a_run_is_what_pytorch_says(name):
    shape, nodes, form = ONE[name]
    assert {type(c) for c in compare(shape, *nodes)} == {form}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_runs_are_what_pytorch_says(data):
    plan = Plan(data.draw, np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))))
    shape = plan.pick((6,), (2, 5, 4), (3, 4, 4), (2, 9))
    _run(plan, "in", shape)
    nodes = list(plan.nodes.values())
    if any(type(n) is not nir.Flatten for n in nodes):
        compare(shape, *nodes)


def test_branches_add_up_and_every_bias_counts_once():
    rng = np.random.default_rng(3)
    a, b, c = (nir.Affine(rng.normal(size=(5, 5)), rng.normal(size=5)) for _ in range(3))
    nodes = {
        "in": nir.Input(np.array([5])),
        "a": a,
        "b": b,
        "c": c,
        "d": nir.Scale(np.full(5, 2.0)),
        "out": nir.Output(np.array([5])),
    }
    # two ways into a, so that a's bias would count twice if it were added per way
    edges = [("in", "a"), ("in", "d"), ("d", "a"), ("a", "b"), ("a", "c"), ("b", "out"), ("c", "out")]
    graph = load(networks.graph(nodes, edges))
    x = rng.normal(size=(4, 5))
    y = (x + 2 * x) @ a.weight.T + a.bias
    needed = y @ b.weight.T + b.bias + y @ c.weight.T + c.bias
    np.testing.assert_allclose(graph.simulate(x).voltages["out"][0], needed, atol=1e-10)
    assert len(graph.into("out")) == 4


def test_digest_does_not_hang_on_edge_order_or_names_of_linear_nodes():
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(5, 5)) for _ in range(3)]
    biases = [rng.normal(size=5) for _ in range(3)]

    def network(names, turn):
        nodes = {"in": nir.Input(np.array([5])), "n": networks.integrate(5), "out": nir.Output(np.array([5]))}
        edges = [("n", "out")]
        for name, w, b in list(zip(names, weights, biases, strict=True))[::turn]:
            nodes[name] = nir.Affine(w, b)
            edges += [("in", name), (name, "n")]
        return load(networks.graph(nodes, edges[::turn]), reset="zero")

    assert network(["a", "b", "c"], 1).digest == network(["z", "b", "k"], -1).digest


def test_a_bias_ahead_of_a_delay_is_warned_of():
    nodes = [nir.Affine(np.eye(3), np.ones(3)), nir.Delay(np.full(3, 2e-3)), networks.integrate(3)]
    with pytest.warns(S2NirWarning, match="n1.Delay: a bias ahead of it acts from step 0"):
        graph = load(networks.line((3,), *nodes, (3,)), dt=1e-3, reset="zero")
    assert graph["n2"].bias == 1


def test_a_delay_off_the_step_is_warned_of():
    nodes = [nir.Delay(np.full(3, 2.4e-3)), networks.integrate(3)]
    with pytest.warns(S2NirWarning, match="off whole steps .* by up to 0.4 of a step"):
        graph = load(networks.line((3,), *nodes, (3,)), dt=1e-3, reset="zero")
    assert graph.projections[0].delay == 2


@pytest.mark.parametrize(
    ("shape", "nodes", "message"),
    [
        ((2, 4, 4), [conv(3, 2, (5, 5))], r"smaller than the kernel even with padding \(4 \+ 0 < 5\)"),
        ((3, 4, 4), [conv(3, 2, (3, 3))], r"hears from in shape \[3, 4, 4\].*\(2 channels, height, width\)"),
        ((2, 4, 4), [LINEAR], r"in.Input sends \[2, 4, 4\], n0.Linear takes \[12\]"),
        ((3, 4), [LINEAR], r"\[3, 4\].*\[12\]. As many values: a Flatten with start_dim=0"),
        ((2, 1, 4), [pool(nir.SumPool2d, (2, 2), (2, 2))], "larger than the padded input"),
        ((12,), [nir.Flatten({"input": None}, 1, -1)], "do not lie in the 1 dimensions"),
        ((12,), [nir.Affine(np.ones((5, 12)), np.ones(4))], r"n0.Affine.bias: found shape \(4,\), needed \(5,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape, nodes, message):
    with pytest.raises(LoadError, match=message):
        load(networks.line(shape, *nodes, None))


def test_what_is_too_large_is_refused_before_it_is_made():
    wide = conv(64, 2, (9, 9), padding=(4, 4))
    with pytest.raises(UnsupportedError, match=r"in -> n0 -> n1 -> n1: writing it out takes .*rule: too-many-synapses"):
        load(networks.line((2, 128, 128), wide, conv(64, 64, (9, 9), padding=(4, 4)), None))
    tall = nir.Linear(np.ones((20_000, 2)))
    with pytest.raises(UnsupportedError, match="too-many-synapses"):
        load(networks.line((20_000,), nir.Linear(np.ones((2, 20_000))), tall, None))


def test_too_many_ways_are_refused():
    nodes, edges, last = {"in": nir.Input(np.array([1]))}, [], ["in"]
    for i in range(9):
        pair = [f"a{i}", f"b{i}"]
        for name in pair:
            nodes[name] = nir.Scale(np.full(1, 0.5))
            edges += [(p, name) for p in last]
        last = pair
    nodes["out"] = nir.Output(np.array([1]))
    with pytest.raises(UnsupportedError, match="more than 256 ways") as error:
        load(networks.graph(nodes, edges + [(p, "out") for p in last]))
    assert error.value.rule == "too-many-paths"
    assert isinstance(error.value, S2NirError)
