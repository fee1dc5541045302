"""The packaged network: small, whole in what it says of itself, and as good as recorded."""

import nir
import pytest

import s2nir
from s2nir.data import SHAPES, TEST_SEED, moving_shapes, shapes_network
from s2nir.frontend import contract_report
from s2nir.graph import Reset

ACCURACY = {"float": 965, "int8": 964}  # of 1,000 synthetic test recordings


@pytest.fixture(scope="module")
def graph():
    return s2nir.load(shapes_network())


@pytest.fixture(scope="module")
def recordings():
    return moving_shapes(1000, TEST_SEED)


def test_it_is_small():
    assert shapes_network().stat().st_size < 200_000


def test_it_needs_no_arguments(graph):
    assert graph.dt == 1e-3
    assert [p.name for p in graph.populations] == ["input", "lif1", "lif2", "lif3", "lif4"]
    assert {p.reset for p in graph.populations if p.spikes} == {Reset.SUBTRACT}
    assert graph["lif4"].shape == (len(SHAPES),)
    reasons = {e.item: e.reason for e in contract_report(shapes_network()).entries}
    assert reasons["dt"] == "tau / r is 0.001 s within 1e-6 over several time constants"
    assert reasons["lif1 reset"] == "the node's metadata say s2nir_reset"


def test_nir_reads_it_too(graph):
    live = nir.read(shapes_network())
    assert "synthetic" in str(live.metadata["about"])
    assert s2nir.load(live).digest == graph.digest


@pytest.mark.slow
def test_the_float_run_is_as_good_as_recorded(graph, recordings):
    spikes, labels = recordings
    right = 0
    for lo in range(0, 1000, 100):
        counts = graph.simulate(spikes[lo : lo + 100]).spikes["lif4"].sum(axis=1, dtype=int)
        right += int((counts.argmax(axis=1) == labels[lo : lo + 100]).sum())
    assert right == ACCURACY["float"]


def test_the_emulated_run_is_as_good_as_recorded(graph, recordings):
    spikes, labels = recordings
    image = s2nir.compile(s2nir.quantize(graph))
    right = sum(
        int((s2nir.run(image, spikes[lo : lo + 100]).decisions("lif4") == labels[lo : lo + 100]).sum())
        for lo in range(0, 1000, 100)
    )
    assert right == ACCURACY["int8"]
