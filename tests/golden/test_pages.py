"""Every noun prints itself the same tomorrow; run as a script this writes the pages anew: read the diff."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import s2nir
from conformance.test_mutations import small_graph
from s2nir.graph import Loops
from s2nir.machine import SpiNNaker2
from s2nir.mapping import grow, lay, wire

PAGES = Path(__file__).parent / "pages"


def nouns():
    """A small network with convolutions, rows, delays and a recurrence, as every noun on the way."""
    graph = small_graph()
    network = s2nir.quantize(graph, s2nir.PTQ(bits="s4"))
    placement = lay(network, wire(network, "auto", Loops.REFUSE, 8), SpiNNaker2(), partition=s2nir.Partition(slices=2))
    image = s2nir.compile(network, partition=s2nir.Partition(slices=2))
    spikes = (np.random.default_rng(0).random((2, 20, 2, 4, 4)) < 0.2).astype(np.uint8)
    return {
        "graph": graph,
        "network": network,
        "placement": placement,
        "routetrees": grow(placement),
        "machineimage": image,
        "fidelity": s2nir.compare(graph, image, spikes),
    }


@pytest.mark.parametrize("name", ["graph", "network", "placement", "routetrees", "machineimage", "fidelity"])
def test_page(name):
    assert f"{nouns()[name]}\n" == (PAGES / f"{name}.txt").read_text()


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for name, noun in nouns().items():
        (PAGES / f"{name}.txt").write_text(f"{noun}\n")
