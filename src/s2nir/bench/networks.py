"""The networks of the benchmarks, as snnTorch modules; torch is loaded when one is made."""

from __future__ import annotations

from typing import Any

SLOPE = 9.7  # of the fast sigmoid [arXiv 2504.06748]


def gesture_network(seed: int) -> Any:
    """The network of arXiv 2504.06748 for 2x32x32: 7,859 neurons, 25,504 weights, late reset by subtraction."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 16, 5, stride=2, padding=1, bias=False), _leaky(0.93),
        nn.Conv2d(16, 16, 3, padding=1, bias=False), _leaky(0.93), _sum_pool(),
        nn.Conv2d(16, 8, 3, padding=1, bias=False), _leaky(0.93), _sum_pool(),
        nn.Flatten(), nn.Linear(72, 256, bias=False), _leaky(0.93), nn.Linear(256, 11, bias=False), _leaky(0.93),
    )


def digit_network(seed: int) -> Any:
    """The NIR paper's CNN for 2x34x34 (Nat. Commun. 15:8122); integrate-and-fire neurons are Leaky of beta 1."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 16, 5, stride=2, padding=1, bias=False), _leaky(1.0),
        nn.Conv2d(16, 16, 3, padding=1, bias=False), _leaky(1.0), _sum_pool(),
        nn.Conv2d(16, 8, 3, padding=1, bias=False), _leaky(1.0), _sum_pool(),
        nn.Flatten(), nn.Linear(128, 256, bias=False), _leaky(1.0), nn.Linear(256, 10, bias=False), _leaky(1.0),
    )


def _sum_pool() -> Any:
    """A sum over 2x2; LPPool2d of norm 1 is one too, but has no gradient where a window holds no spike."""
    from torch import nn

    return nn.AvgPool2d(2, divisor_override=1)


def _leaky(beta: float) -> Any:
    import snntorch
    from snntorch import surrogate

    return snntorch.Leaky(beta=beta, spike_grad=surrogate.fast_sigmoid(SLOPE), init_hidden=True)


NETWORKS = {"dvs-gesture": gesture_network, "nmnist": digit_network}
