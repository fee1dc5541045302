"""The torch modules that `to_snntorch` makes. Imported only by it: this is where torch comes in at the top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from snntorch.surrogate import ATan
from torch import Tensor, nn

Shape = tuple[int, ...]


def atan(membrane: Tensor) -> Tensor:
    """snnTorch's default surrogate, in the dtype of the membrane (its own returns float32)."""
    return cast(Tensor, ATan.apply(membrane, 2.0)).to(membrane.dtype)


class Elementwise(nn.Module):
    """weight x + bias, both of the input's shape without the batch axis (or spread over it); either may be missing."""

    def __init__(self, weight: Tensor | None, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = None if weight is None else nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.weight is None else x * self.weight
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From a population: names of layers, and shapes (without the batch axis) to take on between them."""

    source: str
    items: tuple[str | Shape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A population: the ways into it, whose results add up, and the child that is its neurons (None: a readout).

    membrane : whether it sends its membrane and no spikes
    """

    name: str
    ways: tuple[Way, ...]
    neuron: str | None
    membrane: bool = False


class SnnTorchNet(nn.Module):
    """A Graph as snnTorch modules; forward is one step: (batch, *input shape) -> what the outputs send.

    Neurons keep their states (init_hidden); `snntorch.utils.reset(net)` clears them.
    """

    def __init__(self, source: str, places: tuple[Place, ...], outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.source, self.places, self.outputs = source, places, outputs

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        sent = {self.source: x}
        for place in self.places:
            total: Tensor | None = None
            for way in place.ways:
                y = sent[way.source]
                for item in way.items:
                    y = getattr(self, item)(y) if isinstance(item, str) else y.reshape(y.shape[0], *item)
                total = y if total is None else total + y
            assert total is not None
            out: Any = total if place.neuron is None else getattr(self, place.neuron)(total)
            sent[place.name] = out[1 if len(out) == 2 else 2] if place.membrane else out
        found = tuple(sent[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found


def tensor(values: Any) -> Tensor:
    """float64 numbers as a tensor of their own."""
    return torch.tensor(values, dtype=torch.float64)
