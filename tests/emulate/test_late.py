"""Late resets on the fast way: neurons spike in nearly every tick, so what is kept outgrows its room again and again,
and a late reset meets the place where a run goes on."""

import dataclasses

import numpy as np
import pytest

import s2nir
from quantize.networks import dense, graph, lif, source
from s2nir.emulate import reference
from s2nir.graph import Dense, Graph, Population, Projection, Reset

N, STEPS = 300, 60


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("current", [False, True])
@pytest.mark.parametrize("reset", [Reset.SUBTRACT, Reset.ZERO])
def test_late_resets_where_the_output_outgrows_its_room(reset, current, arithmetic):
    rng = np.random.default_rng(3)
    synapse = dict(syn_decay=0.4, syn_gain=1.0) if current else {}
    cells = Population(name="n", node="CubaLIF" if current else "LIF", shape=(N,), decay=0.9, gain=1.0, constant=0.05,
                       bias=rng.normal(0.3, 0.2, N), threshold=1.5 if current else 0.5, v_reset=0.0, reset=reset,
                       reset_late=True, **synapse)
    graph = Graph(
        dt=1e-3, populations=(Population(name="in", node="Input", shape=(20,)), cells),
        projections=(
            Projection(source="in", target="n", connection=Dense(weight=rng.normal(0.1, 0.2, (N, 20)))),
        ),
        outputs={"out": "n"},
    )
    x = (rng.random((2, STEPS, 20)) < 0.5).astype(np.uint8)
    network = s2nir.quantize(graph, arithmetic=arithmetic)
    slow, fast = reference(network, x), s2nir.run(s2nir.compile(network), x, record=("spikes", "voltages"))
    spikes = fast.spikes["n"]
    assert spikes.sum() > 2 * 4 * (N + 20) + 2 * 1024  # more than the room of a fresh run, twice
    lag = slow.lags["n"]
    assert np.array_equal(slow.spikes["n"][:, lag : lag + STEPS], spikes)
    other = s2nir.quantize(dataclasses.replace(graph, populations=(
        graph["in"], dataclasses.replace(graph["n"], reset_late=False))), arithmetic=arithmetic)
    immediate = s2nir.run(s2nir.compile(other), x).spikes["n"]
    assert (immediate != spikes).sum() > 100


@pytest.mark.parametrize("bias", ["shared", "each"])
@pytest.mark.parametrize("resets", [
    ((Reset.NONE, False), (Reset.SUBTRACT, True)), ((Reset.ZERO, True), (Reset.SUBTRACT, False)),
    ((Reset.SUBTRACT, True), (Reset.ZERO, True)), ((Reset.ZERO, False), (Reset.NONE, False)),
])
def test_neighbours_that_differ_in_their_reset_alone(resets, bias):
    """Populations of the same words whose places follow each other, in vectors and one by one; 37 neurons each."""
    rng = np.random.default_rng(5)
    each = 0.3 if bias == "shared" else rng.normal(0.3, 0.2, 37)
    cells = [lif(f"n{k}", (37,), decay=0.9, bias=each, reset=reset, reset_late=late)
             for k, (reset, late) in enumerate((*resets, *reversed(resets)))]
    weight = rng.normal(0.2, 0.3, (37, 20))
    ways = [dense("in", cell.name, weight) for cell in cells]
    outputs = {f"out{k}": cell.name for k, cell in enumerate(cells)}
    network = s2nir.quantize(graph([source((20,)), *cells], ways, outputs), s2nir.PTQ(per="population"))
    x = (rng.random((2, STEPS, 20)) < 0.3).astype(np.uint8)
    slow, fast = reference(network, x), s2nir.run(s2nir.compile(network), x, record=("spikes", "voltages"))
    for cell in cells:
        assert np.array_equal(fast.raw_spikes(cell.name), slow.spikes[cell.name].reshape(2, -1, 37))
        assert fast.raw_voltages(cell.name).tobytes() == slow.voltages[cell.name].astype(np.float32).tobytes()
    assert len({fast.spikes[cell.name].tobytes() for cell in cells}) == 2
