"""A module trained in integers: what it evaluates to is what the emulator runs, spike for spike."""

import copy

import numpy as np
import pytest

import s2nir
from s2nir import QAT

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

from snntorch import utils  # noqa: E402  after importorskip
from torch import nn  # noqa: E402

from s2nir.train import convert, float_graph, freeze_observers, over_time, prepare_qat  # noqa: E402
from s2nir.train.neuron import Quantized  # noqa: E402
from train.nets import Skip, conv_net, lif, louder  # noqa: E402

STEPS, BATCH = 40, 3


def drive(shape, seed=0, steps=STEPS, batch=BATCH, rate=0.3):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, batch, *shape, generator=generator) < rate).float()


def stepped(module, x):
    """Spikes of every neuron, (batch, steps, *shape), from a user's own loop over steps."""
    found = {n: [] for n, m in module.named_modules() if isinstance(m, snn.SpikingNeuron)}
    hooks = [
        m.register_forward_hook(lambda _, __, out, n=n: found[n].append(out[0] if isinstance(out, tuple) else out))
        for n, m in module.named_modules() if n in found
    ]
    utils.reset(module)
    with torch.no_grad():
        for now in x:
            module(now)
    for hook in hooks:
        hook.remove()
    return {n: torch.stack(s).transpose(0, 1).numpy().astype(np.uint8) for n, s in found.items()}


def emulated(module, shape, x):
    image = s2nir.compile(convert(module, shape))
    return s2nir.run(image, x.transpose(0, 1).numpy().astype(np.uint8)).spikes


def assert_alike(module, shape, x):
    ours, chip = stepped(module, x), emulated(module, shape, x)
    assert sum(0.005 < spikes.mean() < 0.95 for spikes in ours.values()) >= len(ours) - 1  # the others say little
    for name, spikes in ours.items():
        assert int((spikes.reshape(chip[name].shape) != chip[name]).sum()) == 0, name


NETS = {
    "conv": (lambda: louder(conv_net()), (2, 12, 12)),
    "average": (lambda: louder(conv_net(pool=lambda: nn.AvgPool2d(2), reset_mechanism="zero"), 8), (2, 12, 12)),
    "padded average": (lambda: louder(conv_net(pool=lambda: nn.AvgPool2d(3, 2, 1)), 8), (2, 12, 12)),
    "no reset": (lambda: louder(conv_net(bias=False, reset_mechanism="none"), 2), (2, 12, 12)),
    "skip": (lambda: louder(Skip(), 3), (10,)),
    "one to one": (
        lambda: louder(nn.Sequential(
            nn.Linear(10, 8), lif("RLeaky", V=torch.linspace(-0.5, 0.5, 8), all_to_all=False),
            nn.Linear(8, 6), lif("RSynaptic", alpha=0.7, V=-0.3, all_to_all=False)), 3), (10,)),
    "recurrent conv": (
        lambda: louder(nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), lif("RLeaky", conv2d_channels=3, kernel_size=3), nn.Flatten(),
            nn.Linear(75, 6), lif("RSynaptic", alpha=0.7, linear_features=6)), 2), (2, 5, 5)),
    "one dimension": (
        lambda: louder(nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), lif(), nn.Flatten(), nn.Linear(36, 5), lif()), 3),
        (3, 9)),
    "per neuron": (
        lambda: louder(nn.Sequential(
            nn.Linear(10, 7), lif(beta=torch.linspace(0.5, 1.2, 7), threshold=torch.linspace(0.6, 1.5, 7)),
            nn.Linear(7, 4), lif(beta=torch.tensor(0.8), learn_beta=True, learn_threshold=True)), 3), (10,)),
}


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("name", NETS)
def test_evaluated_module_and_emulator_spike_alike(name, arithmetic):
    make, shape = NETS[name]
    torch.manual_seed(5)
    made = prepare_qat(make(), QAT(arithmetic=arithmetic, bits=6), shape).eval()
    assert_alike(made, shape, drive(shape))


@pytest.mark.parametrize("scale", ["ema", "lsq"])
@pytest.mark.parametrize("threshold", ["scaled", "learned"])
@pytest.mark.parametrize("bits", range(2, 9))
def test_every_width_after_training(bits, threshold, scale):
    torch.manual_seed(bits)
    per = "channel" if bits % 2 else "population"
    made = prepare_qat(louder(conv_net()), QAT(bits=bits, threshold=threshold, scale=scale, per=per))
    before = convert(copy.deepcopy(made).eval(), (2, 12, 12))
    train(made, steps=8)
    assert_alike(made.eval(), (2, 12, 12), drive((2, 12, 12), 3, rate=0.6))
    after = convert(made, (2, 12, 12))
    assert before.digest != after.digest
    assert max(np.abs(q.connection.weight).max() for q in after.projections) <= 2 ** (bits - 1) - 1


def train(module, steps=8, shape=(2, 12, 12), classes=5):
    adam = torch.optim.Adam(module.parameters(), lr=5e-3)
    module.train()
    losses = []
    for k in range(steps):
        x = drive(shape, k, steps=10, batch=8)
        y = torch.arange(8) % classes
        utils.reset(module)
        counts = sum(module(now) for now in x)
        loss = nn.functional.cross_entropy(counts, y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("per", ["channel", "population"])
def test_untrained_it_is_post_training_quantization(bits, per):
    torch.manual_seed(0)
    net = louder(nn.Sequential(nn.Conv2d(2, 4, 3), lif(), nn.Flatten(), nn.Linear(400, 7), lif()))
    made = prepare_qat(net, QAT(bits=bits, per=per, percentile=99.0)).eval()
    graph = float_graph(made, (2, 12, 12))
    ours = convert(made, (2, 12, 12))
    theirs = s2nir.quantize(graph, s2nir.PTQ(bits=bits, per=per, percentile=99.0))
    assert ours.graph_digest == graph.digest
    for a, b in zip(ours.projections, theirs.projections, strict=True):
        assert np.array_equal(a.connection.weight, b.connection.weight)
    for p in theirs.populations:
        if not p.is_input:
            assert np.array_equal(ours[p.name].full("threshold"), p.full("threshold"))
            assert np.array_equal(ours[p.name].full("offset"), p.full("offset"))


def test_called_as_the_original_was():
    """init_hidden, output, states that the caller holds, and snntorch.utils.reset."""
    torch.manual_seed(0)
    x = drive((10,), batch=4)
    hidden = prepare_qat(louder(nn.Sequential(nn.Linear(10, 6), lif(), nn.Linear(6, 3), lif(output=True)), 3)).eval()
    first = [hidden(now) for now in x]
    assert all(len(out) == 2 for out in first)
    utils.reset(hidden)
    again = [hidden(now) for now in x]
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(first, [hidden(now) for now in x], strict=True))

    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(10, 6), snn.Synaptic(0.7, 0.9)
            self.out, self.last = nn.Linear(6, 3), snn.RLeaky(0.8, linear_features=3)

        def forward(self, x):
            syn, mem = self.lif.init_synaptic()
            spk, last = self.last.init_rleaky()
            found = []
            for now in x:
                s, syn, mem = self.lif(self.fc(now), syn, mem)
                spk, last = self.last(self.out(s), spk, last)
                found.append(spk)
            return torch.stack(found), mem

    made = prepare_qat(louder(Held(), 3), QAT(bits=8), (10,))
    spikes = made(x)[0]
    assert spikes.requires_grad
    made.eval()
    with torch.no_grad():
        spikes = made(x)[0]
    chip = emulated(made, (10,), x)["last"]
    assert 0 < chip.sum() < chip.size
    assert np.array_equal(spikes.transpose(0, 1).numpy(), chip)


def test_the_given_module_is_left_alone_and_keys_stay():
    net = conv_net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    kinds = [type(m) for m in net.modules()]
    made = prepare_qat(net, QAT(bits=4))
    train(made, steps=2)
    assert [type(m) for m in net.modules()] == kinds
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in before.items())
    assert set(before) <= set(made.state_dict())
    other = prepare_qat(conv_net(), QAT(bits=4))
    other.load_state_dict(made.state_dict())
    x = drive((2, 12, 12))
    assert convert(other.eval(), (2, 12, 12)).digest == convert(made.eval(), (2, 12, 12)).digest
    assert torch.equal(over_time(other, x), over_time(made, x))


def test_training_learns():
    torch.manual_seed(0)
    for options in (QAT(bits=4), QAT(bits=3, scale="lsq", threshold="learned")):
        losses = train(prepare_qat(louder(conv_net()), options), steps=30)
        assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_scales_follow_the_weights_until_they_are_frozen():
    torch.manual_seed(0)
    made = prepare_qat(louder(conv_net()), QAT(percentile=100, momentum=0.5))
    scale = made[0].scale
    start = scale.value().clone()
    made(drive((2, 12, 12))[0])
    assert torch.equal(start, 127 / made[0].weight.detach().double().abs().flatten(1).amax(1))
    with torch.no_grad():
        made[0].weight.mul_(2)
    made(drive((2, 12, 12))[0])
    made(drive((2, 12, 12))[0])  # the same weights count once
    assert torch.allclose(1 / scale.value(), 1.5 / start, rtol=1e-12)
    freeze_observers(made)
    with torch.no_grad():
        made[0].weight.mul_(2)
    made(drive((2, 12, 12))[0])
    assert torch.allclose(1 / scale.value(), 1.5 / start, rtol=1e-12)
    freeze_observers(made, False)
    made.eval()(drive((2, 12, 12))[0])
    assert torch.allclose(1 / scale.value(), 1.5 / start, rtol=1e-12)


def test_gradients_of_the_learned_step_are_those_of_lsq():
    """[Esser2020], eq. 3: round(w/s) - w/s inside the range, +-Q outside, damped by 1/sqrt(n Q)."""
    torch.manual_seed(0)
    made = prepare_qat(nn.Sequential(nn.Linear(50, 3, bias=False), lif()), QAT(bits=3, scale="lsq"))
    layer, scale = made[0], made[0].scale
    with torch.no_grad():
        scale.log_step.add_(np.log(0.4))  # so that some are clipped
    upstream = torch.randn(3, 50)
    (layer.weights() * upstream).sum().backward()
    w, s = layer.weight.detach(), scale.log_step.detach().exp()[:, None]
    inside = (w / s).abs() <= 3
    assert 0.1 < inside.float().mean() < 0.9
    slope = torch.where(inside, (w / s).round() - w / s, 3 * w.sign())
    expected = (upstream * slope).sum(1) / (50 * 3) ** 0.5 * s[:, 0]  # of log s
    assert torch.allclose(scale.log_step.grad, expected, rtol=1e-4, atol=1e-6)
    assert torch.allclose(layer.weight.grad, upstream * inside, rtol=1e-5)


def test_low_widths_start_below_the_maximum():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(400, 3), lif())
    auto = prepare_qat(net, QAT(bits=2))[0]
    top = prepare_qat(net, QAT(bits=2, percentile=100))[0]

    def error(layer):
        g = layer.scale.value()[:, None]
        return float((layer.eval().whole() / g - layer.weight.detach().double()).square().sum())

    assert error(auto) < 0.5 * error(top)


def test_batch_norm_is_folded():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), lif(), nn.Flatten(), nn.Linear(400, 5),
                        nn.BatchNorm1d(5), lif())
    for layer in (net[1], net[5]):
        nn.init.uniform_(layer.running_var, 0.5, 2.0)
        nn.init.normal_(layer.running_mean)
        nn.init.uniform_(layer.weight, 0.5, 2.0)
        nn.init.normal_(layer.bias)
    made = prepare_qat(net, QAT(bits=8)).eval()
    ours, theirs = float_graph(made, (2, 12, 12)), s2nir.from_snntorch(net.eval(), (2, 12, 12))
    for a, b in zip(ours.projections, theirs.projections, strict=True):
        assert np.allclose(a.connection.weight, b.connection.weight, rtol=1e-5)
        assert np.allclose(ours[a.target].full("bias"), theirs[b.target].full("bias"), rtol=1e-4, atol=1e-6)
    assert_alike(made, (2, 12, 12), drive((2, 12, 12)))


def test_learned_thresholds_reach_the_network():
    torch.manual_seed(0)
    made = prepare_qat(louder(conv_net()), QAT(threshold="learned"))
    with torch.no_grad():
        made[1].level.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
    network = convert(made.eval(), (2, 12, 12))
    found = network["1"].full("threshold").reshape(4, -1)[:, 0] / made[0].scale.value().numpy()
    assert np.allclose(found, [0.5, 1.0, 1.5, 2.0], rtol=1e-6)


def twice(neuron):
    return nn.Sequential(nn.Linear(4, 4), neuron, nn.Linear(4, 4), neuron)


def tied():
    net = nn.Sequential(nn.Linear(4, 4), lif(), nn.Linear(4, 4), lif())
    net[2].weight = net[0].weight
    return net


def pruned(key, recurrent=None):
    from torch.nn.utils import prune

    net = nn.Sequential(nn.Linear(4, 4), lif("RLeaky", linear_features=4))
    prune.l1_unstructured(net[1].recurrent if recurrent else net[0], key, 2)
    return net


@pytest.mark.parametrize(("change", "match"), [
    (lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), lif()), "two layers with weights stand in a row"),
    (lambda: nn.Sequential(lif()), "no layer with weights"),
    (lambda: nn.Sequential(nn.Linear(4, 4)), "no neuron of snnTorch"),
    (lambda: nn.Sequential(nn.Linear(4, 4), lif(), nn.Linear(4, 2)), "2: no neuron stands behind it"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), lif()), "pool between weights and neuron"),
    (lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), lif()), "a ReLU has no form"),
    (lambda: nn.Sequential(nn.Linear(4, 4), snn.Alpha(0.9, 0.8)), "a Alpha is not one of Leaky"),
    (lambda: nn.Sequential(nn.Linear(4, 4), lif(graded_spikes_factor=2.0)), "graded spikes"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), lif()), "padding_mode"),
    (lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4), lif()), "folded into the one layer ahead"),
    (lambda: nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(1, 2, 3), lif()), "windows of different sizes"),
    (lambda: nn.Sequential(nn.LPPool2d(2, 2), nn.Conv2d(1, 2, 3), lif()), "no sum; use norm 1"),
    (lambda: nn.Sequential(nn.AvgPool2d(3, 2), nn.Flatten(), nn.Linear(8, 4), lif()), "windows overlap"),
    (lambda: twice(lif()), "3: is the same module as 1"),
    (lambda: tied(), "2: shares its weights with 0"),
    (lambda: Skip(), "Pass input_shape="),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.BatchNorm1d(72), lif()), "of 72 features"),
    (lambda: pruned("weight"), r"0\.weight: is worked out in a hook\. Call torch\.nn\.utils\.prune\.remove"),
    (lambda: pruned("bias"), r"0\.bias: is worked out in a hook"),
    (lambda: pruned("weight", "recurrent"), r"1\.recurrent\.weight: is worked out in a hook"),
])
def test_refusals(change, match):
    with pytest.raises(s2nir.S2NirError, match=match):
        prepare_qat(change(), QAT())


def maps(**options):
    """4 channels of 4 x 4 neurons, so that a channel could be taken for a column."""
    return louder(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), lif(**options)), 3)


FOUR = torch.linspace(0.3, 0.9, 4)


@pytest.mark.parametrize("options", [
    dict(kind="RLeaky", V=FOUR, all_to_all=False),
    dict(kind="RLeaky", V=FOUR.reshape(4, 1), all_to_all=False),
    dict(kind="RLeaky", V=FOUR.expand(4, 1, 4), all_to_all=False),
    dict(threshold=FOUR),
    dict(threshold=FOUR.reshape(1, 4, 1)),
], ids=str)
def test_values_that_torch_spreads_along_the_width_are_refused(options):
    per = "population" if options.get("V", FOUR).numel() > 4 else "channel"
    made = prepare_qat(maps(**options), QAT(threshold="learned", per=per))
    for call in (lambda: made(drive((2, 4, 4))[0]), lambda: convert(made.eval(), (2, 4, 4))):
        with pytest.raises(s2nir.S2NirError, match=r"spreads over neurons \[4, 4, 4\] otherwise.* \[4, 1, 1\]"):
            call()


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1)])
@pytest.mark.parametrize("name", ["beta", "threshold", "V", "alpha"])
def test_values_by_channel_are_taken(name, shape):
    kind = {"V": "RLeaky", "alpha": "Synaptic"}.get(name, "Leaky")
    options = {name: FOUR.reshape(shape)} | ({"all_to_all": False} if name == "V" else {})
    for threshold in ("scaled", "learned"):
        torch.manual_seed(0)
        made = prepare_qat(maps(kind=kind, **options), QAT(threshold=threshold)).eval()
        assert_alike(made, (2, 4, 4), drive((2, 4, 4)))


def test_a_parameter_of_another_shape_is_one_sentence():
    made = prepare_qat(maps(beta=torch.full((3, 1, 1), 0.5)), QAT()).eval()
    with pytest.raises(s2nir.S2NirError, match=r"1\.beta: found shape \[3, 1, 1\], which does not spread over neurons"):
        made(drive((2, 4, 4))[0])


def test_casts_in_forward_change_nothing():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 5), lif()

        def forward(self, x):
            return self.lif(self.fc(x.double().float()))

    torch.manual_seed(0)
    net = louder(Net(), 3)
    assert s2nir.from_snntorch(net.double(), (6,))["lif"].spikes
    assert_alike(prepare_qat(net.float(), QAT(bits=8), (6,)).eval(), (6,), drive((6,)))


def test_a_state_of_other_bits_is_refused():
    eight, four = (prepare_qat(conv_net(), QAT(bits=bits)) for bits in (8, 4))
    with pytest.raises(s2nir.S2NirError, match=r"weights up to 127, this module was prepared for 7 \(bits=4"):
        four.load_state_dict(eight.state_dict())
    older = {k: v for k, v in four.state_dict().items() if not k.endswith("_extra_state")}
    four.load_state_dict(older, strict=False)


def test_a_threshold_that_learns_stays_above_zero():
    torch.manual_seed(0)
    made = prepare_qat(louder(nn.Sequential(nn.Linear(6, 5), lif(learn_threshold=True)), 3), QAT())
    with torch.no_grad():
        made[1].threshold.fill_(-0.5)
    assert (made[1].theta((5,)) > 0).all()
    assert_alike(made.eval(), (6,), drive((6,)))


def test_real_numbers_are_refused_once_it_runs_in_whole_ones():
    torch.manual_seed(0)
    made = prepare_qat(louder(conv_net()), QAT())
    x = drive((2, 12, 12))
    over_time(made, x * 0.5)
    made.eval()
    for call in (lambda: made(x[0] * 0.5), lambda: over_time(made, x * 0.5)):
        with pytest.raises(s2nir.S2NirError, match=r"0: found the input 0\.5; after eval\(\) .* whole numbers"):
            call()
    over_time(made, x * 3)
    over_time(made, x.to(torch.uint8))


def test_refusals_of_convert_and_options():
    made = prepare_qat(nn.Sequential(nn.Linear(800, 4), lif()), QAT(percentile=50.0))
    with pytest.raises(s2nir.S2NirError, match="training mode"):
        convert(made, (800,))
    with pytest.raises(s2nir.S2NirError, match=r"reaches \d+, allowed is below 2\*\*24"):
        convert(made.eval(), (800,))
    assert convert(made, (800,), max_count=1).limit == 127
    with pytest.raises(s2nir.S2NirError, match="not made by prepare_qat"):
        convert(conv_net(), (2, 12, 12))
    for wrong, match in (({"bits": 9}, "2 to 8"), ({"scale": "max"}, "'ema', 'lsq'"), ({"threshold": 1}, "'learned'"),
                         ({"percentile": 0}, "above 0"), ({"momentum": 1.0}, "below 1")):
        with pytest.raises(s2nir.S2NirError, match=match):
            QAT(**wrong)


def test_returned_membranes_are_in_units_of_the_graph():
    torch.manual_seed(0)
    net = louder(nn.Sequential(nn.Linear(10, 6), lif(output=True)), 3)
    made = prepare_qat(net, QAT(bits=8)).eval()
    graph = float_graph(made, (10,))
    x = drive((10,), batch=1, steps=3)
    voltages = graph.simulate(x[:, 0].numpy(), record=("spikes", "voltages")).voltages["1"][0]
    ours = np.stack([made(now)[1].detach().numpy()[0] for now in x])
    assert np.allclose(ours, voltages, atol=0.1)
    assert sum(isinstance(m, Quantized) for m in made.modules()) == 1


def test_a_module_in_the_middle_of_its_training_is_taken():
    """Hidden states that hang on a graph of gradients cannot be copied as they are."""
    torch.manual_seed(0)
    net = louder(conv_net())
    net(drive((2, 12, 12))[0])
    made = prepare_qat(net, QAT(bits=4))
    made(drive((2, 12, 12))[0]).sum().backward()
    assert convert(made.eval(), (2, 12, 12)).limit == 7
    with pytest.raises(s2nir.S2NirError, match="prepared already"):
        prepare_qat(made, QAT(bits=8))
    with pytest.raises(s2nir.S2NirError, match=r"s2nir\.train\.convert takes such a module"):
        s2nir.from_snntorch(made, (2, 12, 12))


def test_a_returned_membrane_becomes_a_readout():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.lif1 = nn.Linear(10, 12), lif()
            self.fc2, self.lif2 = nn.Linear(12, 3), lif(reset_mechanism="none", output=True)

        def forward(self, x):
            return self.lif2(self.fc2(self.lif1(self.fc1(x))))[1]

    torch.manual_seed(0)
    made = prepare_qat(louder(Net(), 3), QAT(bits=8), (10,)).eval()
    network = convert(made, (10,))
    assert not network["lif2"].spikes
    x = drive((10,), batch=1)
    out = s2nir.run(s2nir.compile(network), x[:, 0].numpy().astype(np.uint8)).readout
    utils.reset(made)
    with torch.no_grad():
        membranes = np.stack([made(now)[0].numpy() for now in x])
    (found,) = out.values()
    assert np.abs(membranes).max() > 0.5
    assert np.allclose(found[0], membranes, rtol=1e-6)


def test_a_nir_file_is_fine_tuned():
    """NIR -> to_snntorch -> prepare_qat -> convert: what a sum pool becomes on the way is taken."""
    from s2nir.data import moving_shapes, shapes_network

    graph = s2nir.load(shapes_network())
    with pytest.warns(s2nir.S2NirWarning, match="2 thresholds|reset_delay"):
        net = s2nir.to_snntorch(graph)
    made = prepare_qat(net, QAT(bits=8, percentile=100), (2, 32, 32)).eval()
    spikes, labels = moving_shapes(16, seed=9)
    image = s2nir.compile(convert(made, (2, 32, 32)))
    (output,) = image.outputs.values()
    assert (s2nir.run(image, spikes).decisions(output) == labels).mean() > 0.8


def test_weights_that_change_in_eval_are_seen():
    torch.manual_seed(0)
    one, two = (prepare_qat(louder(conv_net()), QAT(bits=4)).eval() for _ in range(2))
    x = drive((2, 12, 12))
    before = over_time(one, x).sum()
    one.load_state_dict(two.state_dict())
    assert convert(one, (2, 12, 12)).digest == convert(two, (2, 12, 12)).digest
    assert torch.equal(over_time(one, x), over_time(two, x))
    assert over_time(one, x).sum() != before
    with torch.no_grad():
        one[0].weight.mul_(-1)
        one[1].beta.mul_(0.5)
    assert_alike(one, (2, 12, 12), x)
    assert convert(one, (2, 12, 12)).digest != convert(two, (2, 12, 12)).digest


@pytest.mark.parametrize("parameter", ["beta", "threshold"])
def test_parameters_of_float64_keep_the_membrane(parameter):
    torch.manual_seed(0)
    values = torch.linspace(0.5, 0.95, 6, dtype=torch.float64)
    layer = louder(nn.Sequential(nn.Linear(10, 6)), 3)[0]
    found = []
    for kind in (torch.float64, torch.float32):
        made = prepare_qat(nn.Sequential(layer, lif(**{parameter: values.to(kind)})), QAT(bits=8)).train()
        found.append(sum(made(now) for now in drive((10,))).sum())
    assert found[0] == found[1] > 10


def test_a_linear_over_several_axes_is_refused():
    made = prepare_qat(nn.Sequential(nn.Linear(5, 4), lif()), QAT(bits=8))
    with pytest.raises(s2nir.S2NirError, match="last of several axes"):
        made(torch.ones(2, 3, 5))


def test_one_pool_in_two_places():
    torch.manual_seed(0)
    pool = nn.AvgPool2d(2)
    net = louder(nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), lif(), pool, nn.Conv2d(3, 4, 3, padding=1), lif(), pool, nn.Flatten(),
        nn.Linear(16, 5), lif()), 5)
    x = drive((1, 8, 8), rate=0.5)
    for shape in (None, (1, 8, 8)):
        assert_alike(prepare_qat(net, QAT(bits=8), shape).eval(), (1, 8, 8), x)
    utils.reset(net)
    with torch.no_grad():
        assert torch.equal(over_time(net, x), torch.stack([net(now) for now in x]))


def test_learned_steps_stay_near_their_weights():
    """At 8 bits a step is about 1e-3, and Adam moves a parameter by its rate whatever the size of the gradient."""
    torch.manual_seed(0)
    made = prepare_qat(louder(conv_net()), QAT(bits=8, scale="lsq"))
    start = [m.scale.value() for m in made if isinstance(m, Quantized)]
    train(made, steps=30)
    for before, now in zip(start, (m.scale.value() for m in made if isinstance(m, Quantized)), strict=True):
        assert (now / before).log().abs().max() < 1
