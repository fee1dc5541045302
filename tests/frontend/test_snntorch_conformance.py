"""Live snnTorch modules against the Graphs made from them: 1,000 steps, every population, not one spike differs."""

import pytest

from frontend import snn_networks as nets
from frontend.snn_networks import drawn, nn, spikes_in, torch, vector
from s2nir.frontend import from_snntorch, to_snntorch

lif = nets.neuron


def row(*layers):
    return nn.Sequential(*layers)


def mlp(kind="Leaky", last="Leaky", **options):
    """10 -> 12 of a kind -> 6."""
    if kind.startswith("R") and options.get("all_to_all", True):
        options |= dict(linear_features=12)
    if kind.endswith("Synaptic"):
        options = dict(threshold=4.0) | options
    return row(nn.Linear(10, 12), lif(kind, **options), nn.Linear(12, 6), lif(last))


def conv(kind="Leaky", **options):
    """2x8x8 -> 3x6x6 of a kind -> pool -> 5."""
    return row(nn.Conv2d(2, 3, 3), lif(kind, **options), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 5), lif())


def image(*layers):
    return row(*layers, lif(threshold=0.8))


def learned(**options):
    net = mlp(learn_beta=True, learn_threshold=True, **options)
    with torch.no_grad():  # clamped at use
        net[1].beta.copy_(torch.linspace(0.3, 1.2, 12) if net[1].beta.ndim else torch.tensor(1.3))
    return net


class Skip(nn.Module):
    """Two ways into the second neuron, one of them past the first, and a branch of its own."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.block = row(lif(), nn.Conv2d(4, 4, 3, padding="same"))
        self.short = nn.Conv2d(2, 4, 1, bias=False)
        self.pool = nn.AvgPool2d(2)
        self.lif2 = lif("Synaptic", alpha=0.4)
        self.fc = nn.Linear(64, 5)
        self.lif3 = lif()

    def forward(self, x):
        y = self.block(self.conv1(x))
        s = self.lif2(self.pool(y) + 0.5 * self.pool(self.short(x)) - self.pool(y) / 4)
        return self.lif3(self.fc(s.flatten(1)))


class Fork(nn.Module):
    """One neuron straight to another, twice over."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 6)
        self.a = lif()
        self.b = lif(threshold=1.7, beta=0.9)

    def forward(self, x):
        s = self.a(self.fc(x))
        t = s + s
        return s, self.b(t * 0.4)


VECTORS = {
    "vector": dict(beta=vector(12), threshold=vector(12, seed=3)),
    "vector and late zero": dict(beta=vector(12), reset_mechanism="zero"),
}
CASES = {
    # resets of every neuron, late and not
    **{
        f"{kind} {mechanism} delay={delay}": lambda kind=kind, mechanism=mechanism, delay=delay: mlp(
            kind, reset_mechanism=mechanism, reset_delay=delay
        )
        for kind in ("Leaky", "Synaptic", "RLeaky")
        for mechanism in ("subtract", "zero", "none")
        for delay in (True, False)
        if (mechanism, delay) != ("none", False)
    },
    **{f"RSynaptic {m}": lambda m=m: mlp("RSynaptic", reset_mechanism=m, beta=0.5)
       for m in ("subtract", "zero", "none")},
    **{f"Lapicque {m}": lambda m=m: mlp("Lapicque", R=2.0, C=4.0, threshold=0.15, reset_mechanism=m)
       for m in ("subtract", "zero", "none")},
    # parameters
    **{f"Leaky {name}": lambda o=o: mlp(**o) for name, o in VECTORS.items()},
    "Synaptic vector": lambda: mlp("Synaptic", alpha=vector(12, low=0.2, seed=2), beta=vector(12), threshold=2.0),
    "RLeaky vector": lambda: mlp("RLeaky", beta=vector(12), threshold=vector(12, seed=3)),
    "Leaky learned": lambda: learned(beta=torch.linspace(0.3, 1.2, 12), threshold=torch.linspace(0.4, 2.0, 12)),
    "Leaky learned above 1": lambda: learned(beta=0.9, threshold=2.5),
    "Leaky of no decay": lambda: mlp(beta=1.0, threshold=3.0),
    "Leaky without memory": lambda: mlp(beta=0.0, threshold=0.5, reset_mechanism="none"),
    "Leaky at threshold 0": lambda: mlp(threshold=0.0, reset_mechanism="zero"),
    "Synaptic learned": lambda: mlp("Synaptic", learn_alpha=True, learn_beta=True, learn_threshold=True, threshold=2.0),
    "Lapicque of beta": lambda: mlp("Lapicque", beta=0.8, threshold=0.3),
    "Lapicque of beta and C": lambda: mlp("Lapicque", beta=0.8, C=2.0, threshold=0.3, reset_mechanism="zero"),
    "Lapicque of vectors": lambda: mlp("Lapicque", R=2.0, C=4.0, time_step=torch.linspace(0.5, 4, 12), threshold=0.2),
    # recurrence
    "RLeaky one-to-one scalar": lambda: mlp("RLeaky", all_to_all=False, V=-0.4),
    "RLeaky one-to-one vector": lambda: mlp("RLeaky", all_to_all=False, V=torch.linspace(-0.5, 0.4, 12)),
    "RLeaky one-to-one fixed": lambda: mlp("RLeaky", all_to_all=False, V=-0.25, learn_recurrent=False),
    "RSynaptic one-to-one": lambda: mlp("RSynaptic", all_to_all=False, V=vector(12, low=-0.4, high=0.2)),
    # images
    "conv": lambda: conv(),
    "conv per channel": lambda: conv(beta=vector(3, 1, 1), threshold=vector(3, 1, 1, seed=3)),
    "conv per pixel": lambda: conv(beta=vector(3, 6, 6), reset_mechanism="zero"),
    "conv of the last axis": lambda: conv(beta=vector(6)),
    "conv Synaptic zero": lambda: conv("Synaptic", reset_mechanism="zero", threshold=2.0),
    "conv RLeaky": lambda: conv("RLeaky", conv2d_channels=3, kernel_size=3),
    "conv RSynaptic oblong": lambda: conv("RSynaptic", conv2d_channels=3, kernel_size=(1, 3), threshold=3.0),
    "conv RLeaky one-to-one": lambda: conv("RLeaky", all_to_all=False, V=vector(3, 1, 1, low=-0.4, high=0.2)),
    "conv RLeaky one-to-one zero": lambda: conv(
        "RLeaky", all_to_all=False, V=vector(3, 6, 6, low=-0.4, high=0.2), reset_mechanism="zero", reset_delay=False
    ),
    "conv stride, padding, dilation": lambda: image(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(2, 1), dilation=(2, 1))
    ),
    "conv groups": lambda: image(nn.Conv2d(2, 4, 3, groups=2, bias=False)),
    "conv same": lambda: image(nn.Conv2d(2, 3, (4, 3), padding="same")),
    "conv valid": lambda: image(nn.Conv2d(2, 3, 3, padding="valid")),
    "conv, batch norm": lambda: image(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)),
    "conv, batch norm without affine": lambda: image(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, affine=False)),
    "batch norm, padded conv": lambda: image(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1)),
    "batch norm alone": lambda: image(nn.BatchNorm2d(2)),
    "pool alone": lambda: image(nn.AvgPool2d(2)),
    "pool, batch norm, conv": lambda: image(nn.AvgPool2d(2), nn.BatchNorm2d(2), nn.Conv2d(2, 3, 2)),
    "conv, pool": lambda: image(nn.Conv2d(2, 3, 3), nn.AvgPool2d(3, stride=1)),
    "pool padded": lambda: image(nn.AvgPool2d(3, stride=2, padding=1), nn.Conv2d(2, 3, 2)),
    "pool of another divisor": lambda: image(nn.AvgPool2d(2, divisor_override=3), nn.Conv2d(2, 3, 2)),
    "sum pool": lambda: image(nn.LPPool2d(1, 2), nn.Conv2d(2, 3, 2)),
    "sum pool oblong": lambda: image(nn.LPPool2d(1, (2, 1), stride=(1, 2)), nn.Conv2d(2, 3, 2)),
    "conv after conv": lambda: image(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 3, bias=False)),
    "unflatten": lambda: image(nn.Flatten(), nn.Linear(128, 32), nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 3, 3)),
    "neuron, unflatten": lambda: row(nn.Flatten(), nn.Linear(128, 32), lif(threshold=2.0),
                                    nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 3, 3), lif(threshold=2.0)),
    "linear on the last axis": lambda: image(nn.Linear(8, 5)),
    "skip": Skip,
    # rows
    "row conv1d": lambda: row(nn.Unflatten(1, (2, 5)), nn.Conv1d(2, 3, 3, padding=1), lif(), nn.AvgPool1d(2),
                              nn.Flatten(), nn.Linear(6, 5), lif()),
    "row conv1d, batch norm": lambda: row(nn.Unflatten(1, (2, 5)), nn.Conv1d(2, 4, 2, groups=2), nn.BatchNorm1d(4),
                                          lif(), nn.LPPool1d(1, 3, stride=1), lif(threshold=2.5)),
    "linear, batch norm, dropout": lambda: row(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.Dropout(), lif(), nn.Identity(),
                                               nn.Linear(8, 4), lif()),
    "nested": lambda: row(row(nn.Linear(10, 8), row(lif(), nn.Dropout(0.3))), row(nn.Linear(8, 4), lif(output=True))),
    "fork": Fork,
    "straight": lambda: row(lif(threshold=0.8), lif(threshold=0.9)),
}
CHANGED = {n for n in CASES if n.startswith("Lapicque")} | {  # gains go into weights; or
    "conv after conv", "linear on the last axis",  # a sparse matrix becomes dense; or
    "skip", "nested",  # a dot in a name becomes "_"
}
IMAGES = ("conv ", "conv", "pool", "sum pool", "batch norm", "unflatten", "neuron,", "linear on", "skip", "conv,")


def shape_of(name):
    return (2, 8, 8) if name.startswith(IMAGES) else (10,)


@pytest.mark.parametrize("name", CASES)
def test_spikes_are_those_of_the_module(name):
    module = drawn(CASES[name](), seed=len(name))
    graph = from_snntorch(module, shape_of(name))
    nets.equal(graph, module, spikes_in(shape_of(name)))


@pytest.mark.parametrize("name", CASES)
def test_there_and_back_is_the_same(name):
    """The module made from a Graph spikes as it says, and gives its populations and geometry back."""
    graph = from_snntorch(drawn(CASES[name](), seed=len(name)), shape_of(name))
    made = to_snntorch(graph, dtype=torch.float64, spike_grad=nets.step)
    back = from_snntorch(made, shape_of(name))
    assert nets.differences(graph, back) == [], name
    if name not in CHANGED:
        assert back.digest == graph.digest
    x = spikes_in(shape_of(name), steps=200)
    ours = {p.replace(".", "_"): s for p, s in graph.simulate(x).spikes.items()}
    for population, found in nets.run(made, x).items():
        assert int((ours[population][0] != found).sum()) == 0, population


def test_the_suite_is_as_large_as_it_says():
    assert len(CASES) >= 70
