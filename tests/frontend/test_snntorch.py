"""From live modules to Graphs: what is read, how it is named, what is refused, and that other ways give the same."""

import copy
import warnings

import nir
import numpy as np
import pytest

import s2nir
from frontend import nir_networks
from frontend import snn_networks as nets
from frontend.snn_networks import drawn, nn, snn, spikes_in, torch, vector
from s2nir.errors import ContractError, LoadError, UnsupportedError
from s2nir.frontend import from_snntorch, load, to_nir
from s2nir.graph import Conv, Dense, Reset, Sparse

surrogate = pytest.importorskip("snntorch.surrogate")
lif = nets.neuron


def one(neuron, n=5):
    return nn.Sequential(nn.Linear(4, n), neuron)


# ---- what is read


def test_the_public_names_are_there():
    assert s2nir.from_snntorch is from_snntorch
    assert s2nir.to_snntorch is s2nir.frontend.to_snntorch


@pytest.mark.parametrize(
    ("kind", "mechanism", "delay", "reset", "late"),
    [
        ("Leaky", "subtract", True, Reset.SUBTRACT, True),
        ("Leaky", "subtract", False, Reset.SNNTORCH_RESTORED, False),
        ("Leaky", "zero", True, Reset.ZERO, False),
        ("Leaky", "none", False, Reset.NONE, False),
        ("Synaptic", "zero", True, Reset.ZERO, True),
        ("Synaptic", "zero", False, Reset.ZERO, False),
        ("RLeaky", "zero", False, Reset.ZERO, False),
        ("Lapicque", "zero", True, Reset.ZERO, True),
    ],
)
def test_the_reset_is_told_with_its_reason(kind, mechanism, delay, reset, late):
    options = dict(linear_features=5) if kind == "RLeaky" else dict(beta=0.7) if kind == "Lapicque" else {}
    options |= {} if kind == "Lapicque" else dict(reset_delay=delay)
    graph = from_snntorch(one(lif(kind, reset_mechanism=mechanism, **options)), (4,))
    assert (graph["1"].reset, graph["1"].reset_late, graph["1"].compare.value) == (reset, late, ">")
    said = next(n for n in graph.notes if n.startswith("1 reset: "))
    assert f"{reset.value}{', late' if late else ''} ({kind}, " in said


def test_notes_say_what_was_folded():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), lif())
    graph = from_snntorch(drawn(net), (1, 5, 5))
    assert "input -> 2: Conv2d, BatchNorm2d folded into one projection" in graph.notes
    assert "dt: unknown (not passed, and no step needs it)" in graph.notes
    assert graph.projections[0].via == ("Conv2d", "BatchNorm2d")
    assert isinstance(graph.projections[0].connection, Conv)


def test_kinds_of_neurons_and_names():
    net = nn.Sequential()
    net.add_module("input", nn.Linear(4, 4))
    net.add_module("a", lif(beta=1.0))
    net.add_module("b", lif(beta=0.0, reset_mechanism="none"))
    net.add_module("output", lif("Synaptic"))
    graph = from_snntorch(net, (4,))
    assert [(p.name, p.node) for p in graph.populations] == [
        ("a", "IF"), ("b", "Threshold"), ("input", "Input"), ("output_1", "CubaLIF")
    ]
    assert dict(graph.outputs) == {"output": "output_1"}
    assert graph.inputs[0].name == "input"


def test_values_are_read_as_the_module_uses_them():
    net = one(lif(beta=torch.tensor([-0.2, 0.3, 0.5, 1.7, 1.0]), threshold=torch.tensor(0.3), learn_beta=True))
    graph = from_snntorch(net, (4,))
    assert graph["1"].decay.tolist() == [0.0, float(np.float32(0.3)), 0.5, 1.0, 1.0]
    assert float(graph["1"].threshold) == float(np.float32(0.3))
    assert graph["1"].gain == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_type(dtype):
    net = one(lif()).to(dtype)
    graph = from_snntorch(net, (4,))
    assert graph.projections[0].connection.weight.tolist() == net[0].weight.double().tolist()
    assert graph["1"].bias.tolist() == net[0].bias.double().tolist()


def test_float32_with_snntorchs_own_surrogate():
    """Sums of multiples of 1/64 are exact in float32, so ties are ties in both."""
    rng = np.random.default_rng(4)
    net = nn.Sequential(nn.Linear(10, 8), snn.Leaky(beta=0.5, init_hidden=True), nn.Linear(8, 4),
                        snn.Synaptic(alpha=0.5, beta=0.25, init_hidden=True, threshold=1.5))
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.weight.copy_(torch.tensor(rng.integers(-20, 40, layer.weight.shape) / 64))
            layer.bias.zero_()
    x = spikes_in((10,), steps=25)
    theirs = {n: [] for n in "13"}
    with torch.no_grad():
        for row in torch.tensor(x, dtype=torch.float32)[:, None]:
            now = row
            for name, layer in net.named_children():
                now = layer(now)
                if name in theirs:
                    theirs[name].append(now[0].numpy())
    ours = from_snntorch(net, (10,)).simulate(x).spikes
    for name, rows in theirs.items():
        assert 0.05 < np.mean(rows) < 0.95
        assert np.array_equal(ours[name][0], np.array(rows))


def test_a_membrane_is_a_readout():
    net = nn.Sequential(nn.Linear(4, 3), lif(), nn.Linear(3, 2), lif(reset_mechanism="none", hidden=False, beta=0.75))

    class Membrane(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)[1]

    module = drawn(Membrane())
    graph = from_snntorch(module, (4,))
    assert (graph["net.3"].node, graph["net.3"].spikes, dict(graph.outputs)) == ("LI", False, {"output": "net.3"})
    x = spikes_in((4,), steps=50)
    with torch.no_grad():
        theirs = [module(row)[0].numpy().copy() for row in torch.tensor(x)[:, None]]
    assert np.abs(graph.simulate(x).voltages["net.3"][0] - np.array(theirs)).max() < 1e-12
    net[3] = lif(hidden=False)
    with pytest.raises(UnsupportedError, match=r"net\.3\.Leaky: forward returns its membrane alone.*'none'"):
        from_snntorch(module, (4,))


def test_a_last_layer_without_a_neuron_is_a_readout():
    graph = from_snntorch(nn.Sequential(nn.Linear(4, 3), lif(), nn.Linear(3, 2)), (4,))
    assert (graph["2"].node, graph["2"].spikes) == ("Readout", False)


def test_functional_average_pool_and_a_pool_of_width():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = lif(threshold=0.4)

        def forward(self, x):
            return self.lif(nn.functional.avg_pool2d(x, (2, 1), 1))

    module = drawn(Functional())
    nets.equal(from_snntorch(module, (2, 5, 5)), module, spikes_in((2, 5, 5), steps=200))


# ---- the same by other ways


def test_a_nir_file_of_the_same_network_gives_the_same_digest():
    rng = np.random.default_rng(0)
    weight, bias, dense = rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), rng.normal(size=(4, 12))
    net = nn.Sequential(nn.Conv2d(2, 3, 3), lif(beta=1.0, reset_mechanism="zero"), nn.AvgPool2d(2), nn.Flatten(),
                        nn.Linear(12, 4, bias=False), lif(beta=1.0, threshold=2.0, reset_mechanism="zero")).double()
    with torch.no_grad():
        for layer, values in ((net[0].weight, weight), (net[0].bias, bias), (net[4].weight, dense)):
            layer.copy_(torch.tensor(values))
    same = nir_networks.graph(
        {
            "input": nir.Input(np.array([2, 6, 6])),
            "0": nir.Conv2d((6, 6), weight, (1, 1), (0, 0), (1, 1), 1, bias),
            "1": nir.IF(np.ones((3, 4, 4)), np.ones((3, 4, 4))),
            "2": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
            "3": nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1),
            "4": nir.Linear(dense),
            "5": nir.IF(np.ones(4), np.full(4, 2.0)),
            "output": nir.Output(np.array([4])),
        },
        [("input", "0"), ("0", "1"), ("1", "2"), ("2", "3"), ("3", "4"), ("4", "5"), ("5", "output")],
    )
    assert from_snntorch(net, (2, 6, 6)).digest == load(same, reset="zero").digest


def test_to_nir_and_load_give_it_back():
    net = drawn(nn.Sequential(nn.Conv2d(2, 3, 3), lif(beta=vector(3, 1, 1)), nn.Flatten(), nn.Linear(48, 4),
                              lif("RSynaptic", linear_features=4)))
    graph = from_snntorch(net, (2, 6, 6), dt=1e-3)
    assert load(to_nir(graph)).digest == graph.digest
    with pytest.raises(UnsupportedError, match=r"1\.LIF: NIR needs a time constant .* the graph has no dt"):
        to_nir(from_snntorch(net, (2, 6, 6)))


def ready(n, **more):
    """What snnTorch 1.0.0 can export: vectors of parameters."""
    return dict(beta=vector(n, low=0.4).float(), threshold=torch.ones(n), init_hidden=True) | more


EXPORTS = {
    "Leaky": (lambda: (nn.Linear(4, 5), snn.Leaky(**ready(5)), nn.Linear(5, 3), snn.Leaky(**ready(3))), {}),
    "Synaptic": (lambda: (nn.Linear(4, 5), snn.Synaptic(alpha=vector(5).float(), **ready(5))), {}),
    "RLeaky": (lambda: (nn.Linear(4, 5), snn.RLeaky(linear_features=5, **ready(5))), {"1.lif": "1"}),
    "RSynaptic": (
        lambda: (nn.Linear(4, 5), snn.RSynaptic(alpha=vector(5).float(), linear_features=5, **ready(5))), {"1.lif": "1"}
    ),
    "one-to-one": (
        lambda: (nn.Linear(4, 5), snn.RLeaky(all_to_all=False, V=vector(5).float(), **ready(5))), {"1.lif": "1"}
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_snntorchs_own_export_gives_the_same_graph(name):
    """But for the name of a neuron in a sub-graph; its export takes a sample without a batch axis only."""
    export = pytest.importorskip("snntorch.export_nir").export_to_nir
    layers, names = EXPORTS[name]
    net = nn.Sequential(*layers())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = export(copy.deepcopy(net), torch.rand(4))
    theirs, ours = load(exported, dt=1e-4, reset="subtract", reset_late=True), from_snntorch(net, (4,), dt=1e-4)
    assert theirs.dt == ours.dt
    assert {names.get(p.name, p.name) for p in theirs.populations} == {p.name for p in ours.populations}
    for p in theirs.populations:
        q = ours[names.get(p.name, p.name)]
        assert (p.node, p.reset, p.reset_late, p.compare) == (q.node, q.reset, q.reset_late, q.compare)
        for key in ("decay", "gain", "constant", "bias", "threshold", "syn_decay", "syn_gain"):
            if getattr(p, key) is not None:
                assert np.abs(p.full(key) - q.full(key)).max() < 1e-6, (p.name, key)
    assert len(theirs.projections) == len(ours.projections)
    for a, b in zip(theirs.projections, ours.projections, strict=True):
        one, two = (g.projections[i].connection for g, i in ((theirs, theirs.projections.index(a)),
                                                              (ours, ours.projections.index(b))))
        assert isinstance(one, Dense)  # a one-to-one recurrence too, which is sparse in ours
        full = np.diag(two.weight) if isinstance(two, Sparse) else two.weight
        assert np.array_equal(one.weight, full)


# ---- what is refused


class Own(snn.Leaky):
    pass


class OwnLinear(nn.Linear):
    pass


def changed(**values):
    """A Leaky whose attributes were set later."""
    neuron = lif()
    for name, value in values.items():
        setattr(neuron, name, value)
    return neuron


def fails(v):
    raise RuntimeError("no")


NEURONS = [
    (lambda: snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True), "neuron", r"1\.Alpha: a Alpha is no n.*Use Synaptic"),
    (lambda: Own(beta=0.9, init_hidden=True), "neuron", r"1\.Own: a Own is made from Leaky, and may do otherwise"),
    (lambda: lif(graded_spikes_factor=2.0), "option", r"graded_spikes_factor: is set.*put the factor into the weights"),
    (lambda: lif(learn_graded_spikes_factor=True), "option", "graded_spikes_factor: is set"),
    (lambda: changed(inhibition=True), "option", r"1\.Leaky\.inhibition: is set, which a Graph cannot say"),
    (lambda: lif(state_quant=lambda v: v), "option", r"state_quant: is set.*quantize\(\) sets the precision"),
    (lambda: changed(forward=lambda x: x), "option", "forward: is set"),
    (lambda: lif(spike_grad=torch.sigmoid), "surrogate", "spike_grad: its forward is not a step at 0"),
    (lambda: lif(spike_grad=lambda v: (v >= 0).to(v.dtype)), "surrogate", "is not a step at 0"),
    (lambda: lif(spike_grad=lambda v: torch.bernoulli(torch.sigmoid(v))), "surrogate", "is not a step at 0"),
    (lambda: changed(spike_grad=fails), "surrogate", r"1\.Leaky\.spike_grad: its forward fails \(RuntimeError: no\)"),
    (lambda: lif(spike_grad=surrogate.LSO()), "surrogate", r"spike_grad: its forward fails \(TypeError"),
    (lambda: changed(reset_mechanism="zero"), "reset", "says 'zero', but its forward still does 'subtract'"),
    (lambda: lif(threshold=-0.5), "", r"1\.Leaky\.threshold: found -0\.5, needed 0 or more"),
    (lambda: lif(threshold=float("nan")), "", r"1\.Leaky\.threshold: found nan"),
    (lambda: lif(beta=torch.tensor([0.5, float("inf"), 0.1, 0.1, 0.1])), "", "beta: found inf at index .1,."),
    (lambda: lif(beta=torch.rand(1, 3, 5)), "", r"its parameters spread an input of shape \[5\] to \[3, 5\]"),
    (lambda: lif("Lapicque", R=1.0, C=0.5), "", r"1\.Lapicque: 1 - time_step / \(R C\) is -1\.\.-1, needed 0 to 1"),
    (lambda: lif("RSynaptic", linear_features=5, reset_delay=False), "reset",
     r"1\.RSynaptic\.reset_delay: is False, which snnTorch 1\.0\.0 does not carry out"),
]


@pytest.mark.parametrize(("make", "rule", "message"), NEURONS)
def test_neurons_that_are_more_than_a_recursion(make, rule, message):
    with pytest.raises(LoadError, match=message) as error:
        from_snntorch(one(make()), (4,))
    assert error.value.rule == (f"snntorch-{rule}" if rule else "")


@pytest.mark.parametrize("kind", ["SLSTM", "SConv2dLSTM"])
def test_other_neurons_are_named(kind):
    if kind == "SLSTM":
        neuron, shape = snn.SLSTM(4, 3, init_hidden=True), (4,)
    else:
        neuron, shape = snn.SConv2dLSTM(1, 2, 3, init_hidden=True), (1, 6, 6)
    with pytest.raises(UnsupportedError, match=f"a {kind} is no neuron that s2nir takes; taken are Leaky, Syn"):
        from_snntorch(nn.Sequential(neuron), shape)


def weight_normed():
    layer = nn.Conv2d(2, 3, 3)
    return torch.nn.utils.parametrizations.weight_norm(layer)


def pruned():
    import torch.nn.utils.prune as prune

    return prune.l1_unstructured(nn.Conv2d(2, 3, 3), "weight", 3)


def of_nan():
    layer = nn.Conv2d(2, 3, 3)
    with torch.no_grad():
        layer.weight[1, 0, 2, 1] = float("nan")
    return layer


LAYERS = [
    (lambda: nn.MaxPool2d(2), "layer", r"0\.MaxPool2d: a MaxPool2d is no layer that s2nir takes\. .*use AvgPool2d"),
    (lambda: nn.AdaptiveAvgPool2d(2), "layer", "Use AvgPool2d with the window as numbers"),
    (lambda: nn.ReLU(), "layer", "ReLU is no layer.*Only spikes travel"),
    (lambda: nn.ConvTranspose2d(2, 3, 3), "layer", "ConvTranspose2d is no layer"),
    (lambda: nn.LayerNorm(8), "layer", "use BatchNorm, which is folded"),
    (lambda: nn.Softmax(-1), "layer", "See docs/supported-nodes.md"),
    (lambda: OwnLinear(8, 8), "layer", "a OwnLinear is made from Linear, and may do otherwise"),
    (weight_normed, "layer", "remove_parametrizations"),
    (pruned, "option", r"0\.Conv2d\.weight: is worked out in a hook.*prune\.remove"),
    (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), "option", "padding_mode: is 'reflect'"),
    (lambda: nn.BatchNorm2d(2, track_running_stats=False), "option", "track_running_stats: is False"),
    (lambda: nn.AvgPool2d(3, ceil_mode=True), "option", "ceil_mode: is True"),
    (lambda: nn.LPPool2d(1, 3, ceil_mode=True), "option", "ceil_mode: is True"),
    (lambda: nn.AvgPool2d(3, padding=1, count_include_pad=False), "option", "count_include_pad: is False with padding"),
    (lambda: nn.LPPool2d(2, 2), "option", "norm_type: is 2.*Only norm_type=1"),
    (of_nan, "", r"0\.Conv2d\.weight: found nan at index \(1, 0, 2, 1\)"),
]


@pytest.mark.parametrize(("make", "rule", "message"), LAYERS)
def test_layers_and_options_that_are_not_linear(make, rule, message):
    with pytest.raises(LoadError, match=message) as error:
        from_snntorch(nn.Sequential(make(), lif()), (2, 8, 8))
    assert error.value.rule == (f"snntorch-{rule}" if rule else "")


def test_other_errors():
    with pytest.raises(ContractError, match="dt: found -1, needed seconds above 0"):
        from_snntorch(one(lif()), (4,), dt=-1)
    net = nn.Sequential()
    net.add_module("a/b", lif())
    with pytest.raises(LoadError, match="a/b: a module is named with a slash"):
        from_snntorch(net, (4,))
    with pytest.raises(UnsupportedError, match="input-to-output"):
        from_snntorch(nn.Identity(), (4,))


# ---- snnTorch 1.0.0 as it is: where one of these fails, a refusal or a reset above can change


def test_rsynaptic_does_not_carry_out_an_immediate_reset():
    runs = []
    for delay in (True, False):
        net = snn.RSynaptic(alpha=0.7, beta=0.9, all_to_all=False, V=0.1, reset_delay=delay)
        state, spikes = [torch.zeros(1, 5)] * 3, 0
        for row in torch.rand(100, 1, 5, generator=torch.Generator().manual_seed(0)):
            state = net(row, *state)
            spikes += int(state[0].sum())
        runs.append(spikes)
    assert runs[0] == runs[1] > 0
    with pytest.raises(TypeError, match="NoneType"):
        snn.RSynaptic(alpha=0.7, beta=0.9, all_to_all=False, reset_delay=False, init_hidden=True)(torch.rand(1, 5))


def test_the_leaky_spike_operator_cannot_run():
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        surrogate.LSO()(torch.zeros(1))


def test_a_reset_that_is_set_later_is_not_carried_through():
    neuron = snn.Leaky(beta=0.9)
    neuron.reset_mechanism = "zero"
    assert neuron.state_function.__name__ == "_base_sub"


@pytest.mark.parametrize("name", ["atan", "fast_sigmoid", "sigmoid", "triangular", "straight_through_estimator",
                                  "spike_rate_escape", "SSO", "SFS", "heaviside"])
def test_all_other_surrogates_of_snntorch_are_steps(name):
    assert from_snntorch(one(lif(spike_grad=getattr(surrogate, name)())), (4,))["1"].spikes
