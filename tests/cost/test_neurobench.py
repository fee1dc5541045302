"""NeuroBench's metrics against a count over the Network's synapses and the recorded spikes."""

from dataclasses import replace

import numpy as np
import pytest

import s2nir
from s2nir.cost import neurobench
from s2nir.graph import Conv, synapses


def built(kind):
    rng = np.random.default_rng(5)
    if kind == "conv":
        weight = rng.normal(size=(4, 2, 3, 3))
        weight[rng.random(weight.shape) < 0.3] = 0
        return s2nir.build(
            {"in": (2, 6, 6), "a": s2nir.Neurons(shape=(4, 4, 4), tau=0.01, r=20.0),
             "b": s2nir.Neurons(shape=5, tau=0.01, r=20.0)},
            [s2nir.Connect(source="in", target="a", weight=weight),
             s2nir.Connect(source="a", target="b", weight=rng.normal(size=(5, 64)))], dt=1e-3)
    weights = {pair: rng.normal(size=shape) * (rng.random(shape) < 0.5) for pair, shape in (
        (("in", "a"), (20, 12)), (("a", "b"), (7, 20)), (("in", "b"), (7, 12)), (("b", "b"), (7, 7)))}
    return s2nir.build(
        {"in": 12, "a": s2nir.Neurons(shape=20, tau=0.01, r=20.0), "b": s2nir.Neurons(shape=7, tau=0.01, r=20.0)},
        [s2nir.Connect(source=p, target=q, weight=w) for (p, q), w in weights.items()], dt=1e-3)


def brute(network, recording):
    """Operations, possible and present connections, from the Network's projections and the rasters."""
    steps, batch = recording.steps, recording.batch
    acs = macs = possible = there = 0
    for q in network.projections:
        source, _, weight, _ = synapses(q.connection)
        live = weight != 0
        sent = recording.spikes[q.source].reshape(batch, steps, -1)
        fanout = np.bincount(source[live], minlength=sent.shape[2])
        acs += int(((sent == 1) @ fanout).sum())
        macs += int(((sent > 1) @ fanout).sum())
        there += int(live.sum())
        c = q.connection
        taps = synapses(replace(c, weight=np.ones_like(c.weight)))[0].size if isinstance(c, Conv) else 0
        possible += taps or c.sources * c.targets
    active = cells = 0
    for name in ("a", "b"):
        active += int((recording.spikes[name] > 0).sum())
        cells += recording.spikes[name].size
    return acs / batch, macs / batch, possible, there, 1 - active / cells


@pytest.mark.parametrize("kind", ["rows", "conv"])
@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("most", [1, 3])
def test_metrics_by_brute_force(kind, slices, copies, most):
    graph = built(kind)
    network = s2nir.quantize(graph)
    image = s2nir.compile(network, partition=s2nir.Partition(slices=slices), copies=copies)
    rng = np.random.default_rng(1)
    shape = (3, 25, *image["in"].shape)
    spikes = ((rng.random(shape) < 0.3) * rng.integers(1, most + 1, shape)).astype(np.uint8)
    recording = s2nir.run(image, spikes)
    found = neurobench(recording)
    acs, macs, possible, there, silent = brute(network, recording)
    assert (found.effective_acs, found.effective_macs) == (acs, macs)
    assert (macs > 0) == (most > 1)
    assert found.dense == possible * 25
    assert found.connection_sparsity == pytest.approx(1 - there / possible)
    assert found.activation_sparsity == pytest.approx(silent)
    assert 0 < silent < 1
    held = [image.cores[i] for p in image.populations if p.kind != "input" for i in p.cores]
    assert found.footprint_bytes == sum(c.used for c in held)


def test_relays_are_no_connections():
    network = s2nir.quantize(built("rows"), s2nir.PTQ(bits=8))
    image = s2nir.compile(network, application="lif_no_delay")
    assert any(p.kind == "relay" for p in image.populations)
    rng = np.random.default_rng(1)
    recording = s2nir.run(image, (rng.random((2, 25, 12)) < 0.3).astype(np.uint8))
    found = neurobench(recording)
    acs, macs, possible, _, silent = brute(network, recording)
    assert (found.effective_acs, found.effective_macs, found.dense) == (acs, macs, possible * 25)
    assert found.activation_sparsity == pytest.approx(silent)


def test_text_and_plain_values():
    image = s2nir.compile(s2nir.quantize(built("rows")))
    report = s2nir.run(image, np.ones((1, 10, 12), np.uint8)).report()
    facts = report.to_dict()["neurobench"]
    assert facts == neurobench(report.recording).to_dict()
    assert f"{facts['dense']:,.0f} dense" in str(report)
    assert "accumulates" in str(report.neurobench)
