"""Layers whose weights are integers: `nn.Linear`, `nn.Conv1d`, `nn.Conv2d` and one-to-one recurrence in training.

They keep the names and the parameters of the layers whose place they take, so that a user's own loop (clamping
`layer.weight`, loading a state dict) goes on as before. A bias is not added here: it belongs to the neuron behind.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError, UnsupportedError
from .scale import Scale, check_spread, seen, spread, straight_round


class Way:
    """Weights on their way into a population; a mixin of the layers below.

    In training the weights are round(g w) / g with clipped straight-through gradients. In `eval()` they are
    round(g w): whole numbers, and so is all that leaves the layer.

    factor : what a pool ahead of it left to the weights, 1 / (height x width) of an average
    name : the module's path
    first : whether it hears the input, which is whole numbers in `eval()`
    """

    factor: float
    name: str
    first: bool = False
    training: bool
    _scale: tuple[Scale, ...]
    _whole: Tensor | None
    _of: tuple[Any, ...]

    def take(self, name: str, factor: float) -> None:
        self.name, self.factor, self._scale, self._whole, self._of = name, factor, (), None, ()

    @property
    def scale(self) -> Scale:
        return self._scale[0]

    def belongs_to(self, scale: Scale) -> None:
        """The scale it shares with all that leads into the same population; a tuple hides it from `parameters()`."""
        self._scale = (scale,)

    @property
    def kernel(self) -> Tensor:
        """The real weights: (rows, ...), a row per output channel or neuron."""
        return cast(Tensor, cast(Any, self).weight)

    def rows(self) -> Tensor:
        """(rows, weights per row), with the pool's factor in them."""
        return self.kernel.detach().reshape(self.kernel.shape[0], -1) * self.factor

    def version(self) -> int:
        return int(self.kernel._version)

    def _rows_of(self, g: Tensor) -> Tensor:
        return g.reshape(-1, *[1] * (self.kernel.dim() - 1))

    def weights(self) -> Tensor:
        """The weights of this step: whole numbers in `eval()`, whole numbers over g in training."""
        if not self.training:
            return self.whole()
        g = self._rows_of(self.scale.now())
        held = (self.kernel * (g * self.factor)).clamp(-self.scale.limit, self.scale.limit)
        return straight_round(held) / g

    def heard(self, x: Tensor, kind: torch.dtype) -> Tensor:
        """The input of the layer.

        Raises
        ------
        InputError
            where real numbers come to a module in `eval()`.
        """
        if self.first and not self.training and x.is_floating_point() and bool((off := x != x.round()).any()):
            raise InputError(f"{self.name}: found the input {float(x[off][0]):g}; after eval() the module runs in "
                             "whole numbers, as a chip does. Give counts of spikes, such as 0 and 1.")
        return x.to(kind)

    @torch.no_grad()
    def whole(self) -> Tensor:
        """round(g w), held within the limit; kept until a weight or the scale changes."""
        of = (*seen(self.kernel), *self.scale.seen())
        if self._whole is None or of != self._of:
            self._of = of
            g = self._rows_of(self.scale.value().to(self.kernel.device))
            scaled = self.kernel.double() * self.factor * g
            self._whole = scaled.clamp(-self.scale.limit, self.scale.limit).round().float()
        return self._whole

    def train(self, mode: bool = True) -> Any:
        """Whole weights are worked out anew, also where `weight.data` was changed, which leaves no trace."""
        self._whole = None
        return super().train(mode)  # type: ignore[misc]


def exactly(x: Tensor) -> torch.autocast:
    """Autocast switched off: bfloat16 has no room for sums of whole numbers."""
    return torch.autocast(x.device.type, enabled=False)


class QLinear(Way, nn.Linear):
    """`nn.Linear` with integer weights, without its bias."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() > 2:
            raise UnsupportedError("qat-path", f"{self.name}: a Linear on the last of several axes ({tuple(x.shape)}). "
                                               "Flatten ahead of it, or use a convolution with a kernel of 1.")
        w = self.weights()
        with exactly(x):
            return functional.linear(self.heard(x, w.dtype), w)


class QConv2d(Way, nn.Conv2d):
    """`nn.Conv2d` with integer weights, without its bias."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weights()
        with exactly(x):
            return cast(Tensor, self._conv_forward(self.heard(x, w.dtype), w, None))


class QConv1d(Way, nn.Conv1d):
    """`nn.Conv1d` with integer weights, without its bias."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weights()
        with exactly(x):
            return cast(Tensor, self._conv_forward(self.heard(x, w.dtype), w, None))


class QOneToOne(Way, nn.Module):
    """Each neuron's spike back to itself, snnTorch's one-to-one recurrence; V is one number, or one per row.

    fan : rows of its neighbours, which one number is repeated over
    """

    V: Tensor
    fan: int
    bias = None

    @property
    def kernel(self) -> Tensor:
        v = self.V.reshape(-1, 1)
        return v.expand(self.fan, 1) if v.shape[0] == 1 else v

    def forward(self, x: Tensor) -> Tensor:
        self.check(tuple(x.shape[1:]))
        w = self.weights().reshape(-1)
        return x.to(w.dtype) * spread(w, x.shape[1:])

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse a V that torch spreads over neurons of `shape` in another way than by rows."""
        check_spread(f"{self.name}.V", tuple(self.V.shape), shape)

    def version(self) -> int:
        return int(self.V._version)


class SumPool(nn.Module):
    """The sum over windows; what an average divides by stands in the weights behind it.

    divisor : of the pool that stood here, 1 of a sum
    """

    def __init__(self, kernel: Any, stride: Any, padding: Any = 0, divisor: int = 1) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding, self.divisor = kernel, stride, padding, divisor

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, self.kernel_size, self.stride, self.padding, divisor_override=1)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"
