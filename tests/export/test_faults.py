"""Faults of py-spinnaker2's importer that a script does not have: one test for each."""

import re

import nir
import numpy as np
import pytest

import s2nir
from export.board import alike, shown
from s2nir.errors import ExportError, QuantizeError

R = np.random.default_rng(11)
BOARD = {"dt": 1e-3, "reset": "subtract", "compare": ">="}


def drawn(shape, steps=30, rate=0.4):
    return (np.random.default_rng(3).random((steps, *shape)) < rate).astype(np.uint8)


def neurons(shape, **fields):
    return nir.IF(**(dict(r=np.ones(shape), v_threshold=np.ones(shape), v_reset=np.zeros(shape)) | fields))


def line(*nodes, sizes=((2, 6, 6), None)):
    """Nodes in a row between an Input and an Output; names n0, n1, ..."""
    named = {"in": nir.Input(np.array(sizes[0])), **{f"n{i}": n for i, n in enumerate(nodes)}}
    last = np.shape(nodes[-1].v_threshold) if sizes[1] is None else sizes[1]
    named["out"] = nir.Output(np.array(last))
    return nir.NIRGraph(nodes=named, edges=list(zip(list(named), list(named)[1:], strict=False)), type_check=False)


def compiled(network, scheme=None, tick=1e-3, **loading):
    graph = s2nir.load(network, **(BOARD | loading))
    partition = s2nir.Partition(tick=tick)
    return s2nir.compile(s2nir.quantize(graph, scheme or s2nir.PTQ()), onset="board", partition=partition)


def refused_by_the_importer(network, words, **loading):
    with pytest.raises(QuantizeError, match=words):
        s2nir.deploy(network, np.zeros((2, *network.nodes["in"].input_type["input"]), np.uint8), like="py-spinnaker2",
                     **({"dt": 1e-3, "reset": "subtract"} | loading))


def conv(shape=(3, 2, 3, 3), stride=1, padding=1, dilation=1, groups=1, weight=None):
    weight = R.normal(0.3, 0.5, shape) if weight is None else weight
    return nir.Conv2d(None, weight, stride, padding, dilation, groups, np.zeros(len(weight)))


def spiking(found, *names):
    return min(len(found.spikes[n]) for n in names) > 3


def test_a_linear_behind_a_flatten_has_its_projection():
    """Fault: neuron -> Flatten -> Linear drops the projection without a word."""
    flat = nir.Flatten({"input": np.array((3, 6, 6))}, 0, -1)
    network = line(conv(), neurons((3, 6, 6)), flat, nir.Linear(R.normal(0.1, 0.2, (4, 108))), neurons(4))
    refused_by_the_importer(network, "drops the projection")
    found = alike(compiled(network), drawn((2, 6, 6)))
    assert [(q.pre, q.post, len(q.connections) > 400) for q in found.projections][1:] == [("n1", "n4", True)]
    assert spiking(found, "n1", "n4")


def test_percentiles_below_100_do_not_wrap_kernels():
    """Fault: p < 100 wraps convolution weights (148 -> -108)."""
    layer = conv()
    network = line(layer, neurons((3, 6, 6)))
    image = compiled(network, s2nir.PTQ(percentile=90, per="population"))
    kernel = alike(image, drawn((2, 6, 6))).projections[0].kernel
    over = np.abs(layer.weight) > np.percentile(np.abs(layer.weight), 95)
    assert over.any()
    assert (kernel.swapaxes(0, 1)[over] == 127 * np.sign(layer.weight[over])).all()


def test_kernels_are_rounded():
    """Fault: convolution weights are truncated toward zero."""
    layer = conv()
    image = compiled(line(layer, neurons((3, 6, 6))), s2nir.PTQ(per="population"))
    kernel = alike(image, drawn((2, 6, 6))).projections[0].kernel.swapaxes(0, 1)
    scaled = layer.weight * 127 / np.abs(layer.weight).max()
    assert np.array_equal(kernel, np.rint(scaled))
    assert not np.array_equal(kernel, np.trunc(scaled))


@pytest.mark.parametrize(("fields", "out", "words"), [
    (dict(dilation=2, padding=2), (3, 6, 6), "dilation is ignored"),
    (dict(shape=(4, 1, 3, 3), groups=2), (4, 6, 6), "groups are ignored"),
])
def test_dilation_and_groups_are_written_out(fields, out, words):
    """Faults: dilation ignored, groups ignored."""
    network = line(conv(**fields), neurons(out))
    refused_by_the_importer(network, words)
    found = alike(compiled(network), drawn((2, 6, 6)))
    assert not any(q.is_conv for q in found.projections)
    assert spiking(found, "n1")


@pytest.mark.parametrize("kernel", [(3, 3), (2, 2), (4, 3)])
def test_padding_same(kernel):
    """Fault: padding 'same' is garbled; of even sizes it is not the same on both sides."""
    network = line(conv(shape=(3, 2, *kernel), padding="same"), neurons((3, 6, 6)))
    refused_by_the_importer(network, "padding 'same' is garbled")
    found = alike(compiled(network), drawn((2, 6, 6)))
    assert found.projections[0].is_conv
    assert spiking(found, "n1")


def test_a_sum_pool_straight_before_neurons():
    """Fault: a SumPool2d ahead of IF divides by zero."""
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    network = line(conv(), neurons((3, 6, 6)), pool, neurons((3, 3, 3), v_threshold=np.full((3, 3, 3), 2.0)))
    refused_by_the_importer(network, "divides by zero")
    assert spiking(alike(compiled(network), drawn((2, 6, 6))), "n1", "n3")


def test_v_reset_is_a_parameter():
    """Fault: v_reset is dropped."""
    low = neurons(4, v_reset=np.array([-0.5, -0.25, 0.0, 0.25]))
    network = line(nir.Linear(R.normal(0.3, 0.4, (4, 5))), low, sizes=((5,), None))
    found = alike(compiled(network, reset="to_value"), drawn((5,)))
    cells = next(p for p in found.populations if p.name == "n1").params
    assert cells["reset"] == "reset_to_v_reset"
    assert (np.sign(cells["v_reset"]) == [-1, -1, 0, 1]).all()
    assert spiking(found, "n1")


def average():
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    return line(conv(), neurons((3, 6, 6)), pool, conv((2, 3, 3, 3)), neurons((2, 3, 3)))


def row(*nodes, out=4):
    return line(nir.Linear(R.normal(0.4, 0.4, (5, 5))), *nodes, sizes=((5,), (out,)))


def threshold_behind_li():
    li = nir.LI(np.full(5, 0.01), np.full(5, 10.0), np.zeros(5))
    return line(nir.Linear(R.normal(0.4, 0.4, (5, 5))), neurons(5), nir.Linear(R.normal(0.3, 0.3, (5, 5))), li,
                sizes=((5,), (5,)))


def nested():
    inner = line(nir.Linear(R.normal(0.4, 0.4, (4, 5))), neurons(4), sizes=((5,), None))
    return nir.NIRGraph(nodes={"in": nir.Input(np.array([5])), "sub": inner, "out": nir.Output(np.array([4]))},
                        edges=[("in", "sub"), ("sub", "out")], type_check=False)


@pytest.mark.parametrize(("make", "words", "shape"), [
    (average, "AvgPool2d is refused", (2, 6, 6)),
    (lambda: row(neurons(5), nir.Scale(np.linspace(0.5, 2, 5)), neurons(5), out=5), "Scale is refused", (5,)),
    (lambda: row(nir.Delay(np.full(5, 3e-3)), neurons(5), out=5), "Delay is refused", (5,)),
    (threshold_behind_li, "LI is refused", (5,)),
    (nested, "a sub-graph is refused", (5,)),
    (lambda: line(neurons(5), sizes=((5,), (5,))), "a direct edge is refused", (5,)),
    (lambda: row(neurons(5), nir.Linear(R.normal(0.4, 0.4, (4, 5)))), "a final linear node is refused", (5,)),
], ids=["AvgPool2d", "Scale", "Delay", "LI", "sub-graph", "direct edge", "final Linear"])
def test_what_the_importer_refuses(make, words, shape):
    """Faults: AvgPool, Scale, Delay, LI, sub-graphs, direct edges and a final Linear are refused."""
    network = make()
    refused_by_the_importer(network, words)
    found = alike(compiled(network), drawn(shape))
    assert sum(len(s) for s in found.spikes.values()) > 5
    assert all(np.abs(v).max() > 0 for v in found.voltages.values())


def test_a_bias_past_the_synaptic_filter_is_asked_for():
    """Fault: the bias bypasses the synaptic filter of CubaLIF."""
    n = 4
    cells = nir.CubaLIF(tau_mem=np.full(n, 0.02), tau_syn=np.full(n, 0.005), r=np.full(n, 20.0), v_leak=np.zeros(n),
                        v_threshold=np.ones(n), w_in=np.full(n, 5.0))
    network = line(nir.Affine(R.normal(0.4, 0.3, (n, 5)), np.full(n, 0.3)), cells, sizes=((5,), None))
    spikes = drawn((5,))
    with pytest.raises(ExportError, match="bias-through-synapse"):
        compiled(network).export_py_spinnaker2("never.py", spikes)
    image = compiled(network, s2nir.PTQ(bias="membrane"))
    assert spiking(alike(image, spikes), "n1")


def test_caps_and_tick_are_those_of_the_image(tmp_path):
    """Fault: neurons per core and the tick are guessed by hand."""
    image = compiled(line(conv(), neurons((3, 6, 6))), tick=2e-3)
    populations, found = shown(image, drawn((2, 6, 6)))
    sizes = {r["population"]: r["neurons_per_core"] for r in image.fit()}
    assert {n: p.cap for n, p in populations.items()} == sizes
    path = tmp_path / "run.py"
    image.export_py_spinnaker2(path, drawn((2, 6, 6)))
    text = path.read_text()
    assert re.search(r"TICKS, TICK = 31, 0\.002 ", text)
    assert "machine.run(net, TICKS, sys_tick_in_s=TICK)" in text
    assert text.count("set_max_atoms_per_core(") == len(found.populations) == 2
