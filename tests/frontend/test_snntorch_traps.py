"""Traps of snnTorch 1.0.0 and nirtorch 2.6, each as a test: what they get wrong, and that s2nir does not."""

import contextlib
import io
import warnings

import nir
import numpy as np
import pytest

import s2nir

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

from snntorch import utils  # noqa: E402  after importorskip
from torch import nn  # noqa: E402

STEPS = 200


@contextlib.contextmanager
def quietly():
    """Their own warnings and prints."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def exported(module, sample):
    from snntorch.export_nir import export_to_nir

    with quietly():
        return export_to_nir(module, sample)


def step(v):
    return (v > 0).to(v.dtype)


def spikes_of(module, x):
    """Output spikes (steps, n) of a module that takes one step."""
    utils.reset(module)
    with torch.no_grad():
        return np.stack([module(torch.as_tensor(row)[None])[0].numpy() for row in x])


def leaky(**options):
    return snn.Leaky(**{"beta": 0.9, "init_hidden": True, "spike_grad": step} | options)


def drive(n, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(0.4, scale, (STEPS, n)).astype(np.float32)


@pytest.mark.parametrize(("module", "shape"), [
    (lambda: nn.Sequential(nn.Linear(4, 3), leaky()), (4,)),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), leaky(), nn.Flatten(), nn.Linear(18, 3), leaky()), (1, 5, 5)),
], ids=["scalar beta", "conv"])
def test_what_its_own_export_fails_on_is_taken(module, shape):
    made = module()
    with pytest.raises(Exception):  # noqa: B017  whatever it dies of
        exported(made, torch.zeros(1, *shape))
    graph = s2nir.from_snntorch(made, shape)
    assert sum(p.spikes for p in graph.populations) == str(made).count("Leaky")


def test_its_export_loses_reset_and_delay():
    """A default Leaky subtracts one step late; the file says neither, and its v_reset of 0 reads as a reset to zero."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(4, 3), leaky(beta=torch.full((3,), 0.9), threshold=torch.ones(3)))
    with torch.no_grad():
        made[0].weight.abs_().mul_(2)
    x = drive(4)
    ours = s2nir.from_snntorch(made, (4,)).simulate(x).spikes["1"][0]
    theirs = exported(made, torch.zeros(4))
    zero = s2nir.load(theirs, dt=1e-4, reset="zero").simulate(x).spikes["1"][0]
    assert abs(int(zero.sum()) - int(ours.sum())) > 20
    assert np.array_equal(spikes_of(made, x).astype(np.uint8), ours)
    with pytest.raises(s2nir.S2NirError, match="NIR does not say what a spike does"):
        s2nir.load(theirs, dt=1e-4)
    kept = s2nir.to_nir(s2nir.from_snntorch(made, (4,), dt=1e-4))
    assert np.array_equal(s2nir.load(kept).simulate(x).spikes["1"][0], ours)


def test_late_and_immediate_subtraction_differ_and_both_are_kept():
    torch.manual_seed(1)
    x = drive(4, 1)
    found = {}
    for delay in (True, False):
        torch.manual_seed(1)
        made = nn.Sequential(nn.Linear(4, 3), leaky(reset_delay=delay))
        graph = s2nir.from_snntorch(made, (4,))
        found[delay] = graph.simulate(x).spikes["1"][0]
        assert np.array_equal(spikes_of(made, x).astype(np.uint8), found[delay])
    assert (found[True] != found[False]).any()


def test_an_if_neuron_stays_one():
    """Its import makes a Leaky of beta 0.9 of it."""
    network = nir.NIRGraph.from_list(
        nir.Input(input_type=np.array([4])), nir.Affine(weight=np.eye(3, 4), bias=np.array([0.1, -0.2, 0.3])),
        nir.IF(r=np.ones(3), v_threshold=np.array([1.0, 1.5, 2.0])), nir.Output(output_type=np.array([3])),
    )
    graph = s2nir.load(network, reset="zero")
    made = s2nir.to_snntorch(graph)
    neuron = next(m for m in made.modules() if isinstance(m, snn.Leaky))
    assert float(neuron.beta.max()) == float(neuron.beta.min()) == 1.0
    assert neuron.threshold.tolist() == [1.0, 1.5, 2.0]  # a threshold per neuron, where its import needs one per layer
    layer = next(m for m in made.modules() if isinstance(m, nn.Linear))
    assert layer.bias.tolist() == pytest.approx([0.1, -0.2, 0.3])  # nirtorch's default map leaves it random
    x = drive(4, 2)
    assert np.array_equal(spikes_of(made, x).astype(np.uint8), next(iter(graph.simulate(x).spikes.values()))[0])


@pytest.mark.parametrize("layer", [
    lambda: nn.AvgPool2d(2, padding=1), lambda: nn.LPPool2d(1, 2), lambda: nn.BatchNorm2d(1),
], ids=["padded average", "sum pool", "batch norm"])
def test_layers_that_its_export_drops_or_dies_of(layer):
    torch.manual_seed(0)
    made = nn.Sequential(layer(), nn.Conv2d(1, 2, 2), leaky(threshold=0.3)).eval()
    x = np.random.default_rng(0).random((STEPS, 1, 6, 6)).astype(np.float32)
    ours = s2nir.from_snntorch(made, (1, 6, 6)).simulate(x).spikes["2"][0]
    theirs = spikes_of(made, x).astype(np.uint8).reshape(ours.shape)
    assert 0.02 < ours.mean() < 0.98
    assert (ours != theirs).mean() < 1e-3  # float32 against float64


def test_a_learned_beta_is_clamped_at_use():
    made = nn.Sequential(nn.Linear(4, 2), leaky(beta=torch.tensor([1.3, -0.2]), learn_beta=True))
    graph = s2nir.from_snntorch(made, (4,))
    assert graph["1"].full("decay").tolist() == [1.0, 0.0]
    assert made[1].beta.tolist() == pytest.approx([1.3, -0.2])
