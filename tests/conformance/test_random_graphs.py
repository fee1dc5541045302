"""Random networks of every kind go the whole way, or end in an error that names its rule."""

import re
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s2nir
from oracles import image_synapses, network_synapses
from s2nir.emulate import reference
from s2nir.graph import Loops, hops, lags
from strategies import nir_graphs

PAGE = (Path(__file__).parents[2] / "docs" / "supported-nodes.md").read_text()
RULES = set(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE))
WITH_RULES = ("same-stride", "graded", "loop")
schemes = st.sampled_from([
    dict(), dict(bits=4), dict(bits="s4"), dict(bits=2, per="population"), dict(percentile=95.0),
    dict(rounding="toward_zero", per="population"),
])


def whole_way(network, arguments, scheme, arithmetic, seed, **options):
    """One network to the end; checks every bit and every synapse on the way."""
    graph = s2nir.load(network, **arguments)
    quantized = s2nir.quantize(graph, s2nir.PTQ(**scheme), arithmetic=arithmetic)
    image = s2nir.compile(quantized, **options)
    loops = replace(quantized, loops=Loops(image.provenance["loops"]))
    want, words = network_synapses(quantized, hops(loops, lags(loops)))
    got, written = image_synapses(image)
    assert got == want
    rows = {p.name for p in image.populations if p.kind == "neurons"} - {
        p.name for p in image.populations if image.cores[p.cores[0]].application.endswith("conv2d")
    }
    assert {n: written[n] for n in rows if words[n]} == {n: words[n] for n in rows if words[n]}
    rng = np.random.default_rng(seed)
    spikes = {p.name: rng.poisson(0.3, (2, 12, *p.shape)).astype(np.uint8) for p in graph.inputs}
    oracle = reference(quantized, spikes)
    recording = s2nir.run(image, spikes, record=("spikes", "voltages"), threads=2)
    for name, v in oracle.voltages.items():
        raw = recording.raw_voltages(name).reshape(v.shape)
        assert np.array_equal(raw.view(np.int32), v.view(np.int32)), name
        if name in oracle.spikes:
            assert np.array_equal(recording.raw_spikes(name).reshape(v.shape), oracle.spikes[name]), name
    assert recording.saturations == dict(oracle.saturations)
    return recording


@pytest.mark.slow
def test_five_hundred_random_networks():
    ended = Counter()

    @settings(max_examples=500, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(drawn=nir_graphs(faults=8, kinds=WITH_RULES), scheme=schemes,
           arithmetic=st.sampled_from(["float32", "fixed"]), seed=st.integers(0, 2**16))
    def go(drawn, scheme, arithmetic, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", s2nir.S2NirWarning)
            try:
                whole_way(*drawn, scheme, arithmetic, seed)
            except s2nir.S2NirError as error:
                assert error.rule in RULES, f"{type(error).__name__}: {error}"
                ended[error.rule] += 1
            else:
                ended["whole way"] += 1

    go()
    assert sum(ended.values()) >= 500
    assert ended["whole way"] >= 0.8 * sum(ended.values()), ended
