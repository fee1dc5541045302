"""Networks that others made, exported and run on the stand-in; and what a real chip recorded of one."""

import numpy as np
import pytest

import s2nir
from export.board import alike, shown
from real import DATA, MODELS, NETWORKS, graph, needs_shared, spikes_for
from s2nir.errors import ExportError

pytestmark = needs_shared
BY_SUBTRACTION = sorted(n for n, reset in NETWORKS.items() if reset == "subtract")


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("scheme", ["ours", "board"])
def test_no_spike_of_a_real_network_differs(name, scheme):
    ptq = s2nir.PTQ.board() if scheme == "board" else s2nir.PTQ(bias="membrane")
    image = s2nir.compile(s2nir.quantize(graph(name, compare=">="), ptq), onset="board")
    for spikes in spikes_for(name, 2):
        found = alike(image, spikes)
    assert sum(len(s) for s in found.spikes.values()) > 0


@pytest.mark.parametrize("name", ["lif_norse", "two_lif_neurons"])
def test_a_reset_to_zero_takes_a_threshold_that_is_not_met(name):
    """`>` is the next larger float32."""
    image = s2nir.compile(s2nir.quantize(graph(name)), onset="board")
    alike(image, spikes_for(name, 1)[0])


@pytest.mark.parametrize("name", BY_SUBTRACTION)
def test_the_default_contract_with_subtraction_is_refused(name):
    image = s2nir.compile(s2nir.quantize(graph(name)), onset="board")
    with pytest.raises(ExportError, match="above-threshold"):
        image.export_py_spinnaker2("never.py", spikes_for(name, 1)[0])


def test_a_real_chip_to_the_bit():
    """The stand-in shows what a SpiNNaker2 chip recorded."""
    spikes = np.load(DATA / "braille" / "test_0_input.npy")
    image = s2nir.deploy(
        MODELS / "braille_noDelay_noBias_subtract.nir", spikes, like="py-spinnaker2", reset="subtract"
    ).image
    populations, _ = shown(image, spikes)
    chip = np.load(DATA / "braille" / "chip_lif1_noBias_subtract.npy")
    seen = np.zeros_like(chip)
    for i, ticks in populations["lif1.lif"].get_spikes().items():
        seen[[t for t in ticks if t < 256], i] = 1
    assert chip.sum() == 119
    assert int((seen != chip).sum()) == 0


def test_the_trace_of_py_spinnaker2s_brian2_back_end():
    current, _, spike = np.loadtxt(DATA / "lif_spinnaker2.csv", delimiter=",").T
    spikes = current[:, np.newaxis].astype(np.uint8)
    image = s2nir.deploy(MODELS / "lif_norse.nir", spikes, reset="zero", dt=1e-4, like="py-spinnaker2").image
    populations, _ = shown(image, spikes)
    assert spike.sum() == 4
    seen = [t - 1 for t in populations["1"].get_spikes()[0] if t <= spike.size]  # an input acts in the next tick
    assert seen == np.flatnonzero(spike).tolist()
