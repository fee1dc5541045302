"""percentile="auto": the stated objective, computed anew; streams; memory."""

import tracemalloc

import numpy as np
import pytest

import s2nir
from quantize.networks import conv, dense, graph, lif, readout, source
from s2nir.errors import QuantizeError
from s2nir.graph import synapses
from s2nir.quantize import calibrate
from s2nir.quantize.scheme import AUTO_CANDIDATES

AUTO = s2nir.PTQ(percentile="auto", bits=3, per="population")


def heavy_tails(seed=3):
    """Weights with a few far larger ones: coarse integers for all, or the few held back."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(40, 30))
    first[rng.random((40, 30)) < 0.01] *= 6
    kernel = rng.normal(size=(2, 1, 3, 3))
    return graph(
        [source((30,)), lif("a", (40,), threshold=3.0), lif("b", (2, 5, 8), threshold=2.0), readout("c", (3,))],
        [dense("in", "a", first), dense("a", "a", rng.laplace(size=(40, 40)) ** 3 / 20, delay=1),
         conv("a", "b", kernel, (1, 5, 8), (2, 5, 8), padding=(1, 1)), dense("b", "c", rng.normal(size=(3, 80)))],
    )


def data(batch=4, steps=12, seed=5):
    return (np.random.default_rng(seed).random((batch, steps, 30)) < 0.3).astype(np.uint8)


def objective(g, name, percentile, spikes):
    """Mean over steps of the squared difference of what arrives, float against integer over scale."""
    network = s2nir.quantize(g, s2nir.PTQ(percentile=percentile, bits=3, per="population"))
    scale = float(network[name].weight_scale)
    trace = g.simulate(spikes)
    batch, steps = spikes.shape[:2]
    total = 0.0
    off = np.zeros((batch, steps, g[name].size))
    for q, whole in zip(g.projections, network.projections, strict=True):
        if q.target != name:
            continue
        x = spikes if g[q.source].is_input else trace.spikes[q.source]
        x = x.reshape(batch, steps, -1).astype(float)
        matrix = np.zeros((g[name].size, x.shape[2]))
        s, t, w, _ = synapses(q.connection)
        np.add.at(matrix, (t, s), w)
        s, t, w, _ = synapses(whole.connection)
        np.subtract.at(matrix, (t, s), w / scale)
        wait = q.delay + (q.source == q.target)  # a recurrent projection takes a step of its own
        for k in range(wait, steps):
            off[:, k] += x[:, k - wait] @ matrix.T
    for b in range(batch):
        for k in range(steps):
            total += sum(float(v) ** 2 for v in off[b, k])
    return total / (batch * steps)


def test_the_objective_is_the_stated_one_and_the_least_is_chosen():
    g, spikes = heavy_tails(), data()
    found = calibrate(g, spikes, AUTO)
    network = s2nir.quantize(g, AUTO, calibration=spikes)
    chosen = set()
    for name in ("a", "b", "c"):
        want = {p: objective(g, name, p, spikes) for p in AUTO_CANDIDATES}
        assert found.errors[name] == pytest.approx(want, rel=1e-9)
        best = min(want.values())
        p = max(c for c in want if want[c] == pytest.approx(best, rel=1e-9))
        assert found.best(name) == p
        assert f"{name}: percentile {p:g} has the least error on the calibration data" in network.notes
        fixed = s2nir.quantize(g, s2nir.PTQ(percentile=p, bits=3, per="population"))
        assert float(network[name].weight_scale) == float(fixed[name].weight_scale)
        chosen.add(p)
    assert len(chosen) > 1  # else a choice that is always the same would pass


def test_rates_are_the_share_of_neuron_steps_with_a_spike():
    g, spikes = heavy_tails(), data()
    trace = g.simulate(spikes)
    found = calibrate(g, spikes, AUTO)
    assert found.rates == {n: float(s.mean()) for n, s in trace.spikes.items()}
    assert all(0 < r < 1 for r in found.rates.values())


def test_equals_go_to_the_highest_percentile():
    g = graph([source((2,)), lif("a", (1,))], [dense("in", "a", [[1.0, 1.0]])])
    assert calibrate(g, np.ones((3, 2)), AUTO).best("a") == 100.0


def test_pieces_of_an_iterator_say_what_the_whole_array_says():
    g, spikes = heavy_tails(), data(batch=6)
    whole = calibrate(g, spikes, AUTO)
    parts = calibrate(g, iter([spikes[0], spikes[1:2], spikes[2:6]]), AUTO)
    assert parts.rates == whole.rates
    for name in whole.errors:
        assert parts.errors[name] == pytest.approx(whole.errors[name], rel=1e-12)
    assert s2nir.quantize(g, AUTO, calibration=iter(spikes)) == s2nir.quantize(g, AUTO, calibration=spikes)
    assert s2nir.quantize(g, AUTO, calibration=({"in": s} for s in spikes)).notes == \
        s2nir.quantize(g, AUTO, calibration=spikes).notes


def test_recordings_of_several_lengths_weigh_by_their_steps():
    g, spikes = heavy_tails(), data(batch=2)
    found = calibrate(g, iter([spikes[0], spikes[1, :5]]), AUTO)
    for name in ("a", "c"):
        for p in AUTO_CANDIDATES:
            want = (12 * objective(g, name, p, spikes[:1]) + 5 * objective(g, name, p, spikes[1:, :5])) / 17
            assert found.errors[name][p] == pytest.approx(want, rel=1e-9)


def test_a_large_array_goes_in_pieces_that_change_nothing(monkeypatch):
    import sys

    g, spikes = heavy_tails(), data(batch=6)
    whole = calibrate(g, spikes, AUTO)
    monkeypatch.setattr(sys.modules["s2nir.quantize.calibrate"], "PIECE", 12 * 153 * 2)
    parts = calibrate(g, spikes, AUTO)
    assert parts.rates == whole.rates
    assert parts.errors["a"] == pytest.approx(whole.errors["a"], rel=1e-12)


def test_a_long_iterator_takes_bounded_memory():
    g = heavy_tails()

    def peak(recordings):
        def stream():
            for k in range(recordings):
                yield data(batch=1, steps=60, seed=k)

        tracemalloc.start()
        try:
            calibrate(g, stream(), s2nir.PTQ(percentile="auto"))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(60) < 1.2 * peak(4)


def test_auto_needs_data():
    g = heavy_tails()
    with pytest.raises(QuantizeError, match='"auto" needs data to choose on: pass calibration=spikes'):
        s2nir.quantize(g, AUTO)
    with pytest.raises(QuantizeError, match="calibration: found no data"):
        s2nir.quantize(g, AUTO, calibration=iter([]))
