"""Small snnTorch modules for the tests of training."""

import snntorch as snn
import torch
from snntorch import surrogate
from torch import nn


def lif(kind="Leaky", beta=0.9, **options):
    options = dict(spike_grad=surrogate.fast_sigmoid(9.7), init_hidden=True) | options
    return getattr(snn, kind)(beta=beta, **options)


def conv_net(bias=True, pool=None, **options):
    """2x12x12 -> conv -> pool -> conv -> flatten -> linear 5."""
    pool = pool or (lambda: nn.LPPool2d(1, 2))
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=1, padding=1, bias=bias), lif(**options), pool(),
        nn.Conv2d(4, 6, 3, bias=bias), lif(**options), nn.Flatten(),
        nn.Linear(96, 20, bias=bias), lif(**options), nn.Linear(20, 5, bias=bias), lif(**options),
    )


def louder(module, factor=4.0):
    """Weights large enough that every layer spikes."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv1d):
                layer.weight.mul_(factor)
    return module


class Skip(nn.Module):
    """Two branches that meet at a neuron, and a recurrent layer."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(10, 12)
        self.lif1 = lif("Synaptic", alpha=0.8)
        self.fc2 = nn.Linear(12, 9)
        self.skip = nn.Linear(10, 9, bias=False)
        self.lif2 = lif("RLeaky", linear_features=9)
        self.fc3 = nn.Linear(9, 4)
        self.lif3 = lif("Lapicque", beta=False, R=2.0, C=5.0, time_step=1.0)

    def forward(self, x):
        h = self.lif1(self.fc1(x))
        return self.lif3(self.fc3(self.lif2(self.fc2(h) + self.skip(x))))
