"""The emulator on the image against the oracle on the Network: every bit, over partitions, threads and both formats."""

from functools import lru_cache

import numpy as np
import pytest

import s2nir
from real import NETWORKS, graph, needs_shared, spikes_for
from s2nir.emulate import reference
from s2nir.errors import MappingError

PARTITIONS = {
    "largest": s2nir.Partition(),
    "half": s2nir.Partition(share=1 / 2),
    "seventh": s2nir.Partition(share=1 / 7),
    "forty": s2nir.Partition(slices=40),
}
TOO_LARGE = {("cnn_sinabs", "seventh"), ("cnn_sinabs", "forty")}  # more cores than one chip has


@lru_cache(maxsize=4)
def oracle(name, arithmetic):
    network = s2nir.quantize(graph(name), arithmetic=arithmetic)
    given = spikes_for(name, 16)
    return network, given, reference(network, given)


@needs_shared
@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_kernels_on_the_image_equal_the_oracle_on_the_network(name, arithmetic):
    network, given, want = oracle(name, arithmetic)
    assert len(given) == 16
    ran = 0
    for cut, partition in PARTITIONS.items():
        if (name, cut) in TOO_LARGE:
            with pytest.raises(MappingError, match=r"takes \d+ cores, the machine has 148"):
                s2nir.compile(network, partition=partition)
            continue
        image = s2nir.compile(network, partition=partition)
        got = s2nir.run(image, given, record=("spikes", "voltages"), threads=2)
        for population, spikes in want.spikes.items():
            raw = got.raw_spikes(population).reshape(spikes.shape) if population in got.spikes else None
            if raw is not None:
                assert int((raw != spikes).sum()) == 0, (cut, population)
        for population, voltages in want.voltages.items():
            raw = got.raw_voltages(population).reshape(voltages.shape)
            assert raw.dtype == voltages.dtype
            assert np.array_equal(raw.view(np.int32), voltages.view(np.int32)), (cut, population)
        assert got.saturations == dict(want.saturations)
        ran += 1
    assert ran >= 2
    if name.startswith(("braille", "cnn")):
        assert sum(int(s.sum()) for p, s in want.spikes.items() if p != "input") > 100


@needs_shared
def test_forty_slices_are_forty():
    image = s2nir.compile(s2nir.quantize(graph("braille_noDelay_noBias_subtract")), partition=PARTITIONS["forty"])
    assert {p.name: len(p.cores) for p in image.populations} == {"input": 12, "lif1.lif": 40, "lif2": 7}


@needs_shared
@pytest.mark.parametrize("name", ["braille_noDelay_bias_zero", "cnn_sinabs"])
def test_threads_and_batches_change_no_bit(name):
    network = s2nir.quantize(graph(name))
    image = s2nir.compile(network)
    given = spikes_for(name, 6)
    whole = s2nir.run(image, given, threads=2)
    for i in range(6):
        alone = s2nir.run(image, given[i])
        for p in whole.spikes:
            assert np.array_equal(whole.raw_spikes(p)[i], alone.raw_spikes(p)[0])


@needs_shared
@pytest.mark.parametrize(("nested", "flat"), [
    ("braille_noDelay_bias_zero_subgraph", "braille_noDelay_bias_zero"),
    ("braille_noDelay_noBias_subtract_subgraph", "braille_noDelay_noBias_subtract"),
])
def test_subgraph_twins_are_one_network(nested, flat):
    assert graph(nested).digest == graph(flat).digest
    assert s2nir.compile(s2nir.quantize(graph(nested))).digest == s2nir.compile(s2nir.quantize(graph(flat))).digest
