"""The scale of each population in training: followed by a moving average, or learned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..errors import QuantizeError
from ..quantize import QAT, Per, ScaleRule

if TYPE_CHECKING:
    from .layers import Way

CANDIDATES = (70.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 100.0)
"""Percentiles that "auto" tries; few bits want a low one (a ternary grid on Gaussian weights about 78)."""


class _Round(torch.autograd.Function):
    """Round to the nearest integer, ties to even; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        return grad[0]


def straight_round(x: Tensor) -> Tensor:
    """Rounded values; for the gradient, as if they were not."""
    return cast(Tensor, _Round.apply(x))  # type: ignore[no-untyped-call]


def spread(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """One value per unit as a shape that broadcasts over neurons of `shape`, units being runs of neurons."""
    if values.numel() == 1:
        return values.reshape(())
    if shape and shape[0] == values.numel():
        return values.reshape(-1, *[1] * (len(shape) - 1))
    return values.repeat_interleave(math.prod(shape) // values.numel()).reshape(shape)


def check_spread(where: str, given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Refuse a parameter of one value per unit that torch would spread over neurons of `shape` in another way.

    torch aligns shapes at the last axis, so that (W,) runs along the width; units are runs of neurons, channels first.

    Raises
    ------
    QuantizeError
        naming the shape, and the one that is meant.
    """
    axes = given[len(given) - len(shape) :] if len(given) > len(shape) else (1,) * (len(shape) - len(given)) + given
    kept = next((k for k in range(len(axes), 0, -1) if axes[k - 1] != 1), 0)
    if axes[:kept] != shape[:kept] or math.prod(given) != math.prod(axes):
        each = (shape[0], *(1 for _ in shape[1:]))
        raise QuantizeError(
            f"{where}: found shape {list(given)}, which torch spreads over neurons {list(shape)} otherwise than by "
            f"channel. Give it one value, or shape {list(each)}, which is one per channel."
        )


def seen(*tensors: Tensor | None) -> tuple[int, ...]:
    """What tells whether tensors are as they were: their counters of changes, and where they lie."""
    return tuple(n for t in tensors if t is not None for n in (t._version, t.data_ptr()))


class Scale(nn.Module):
    """g of one population: integer weight per real weight, shape (units); a unit is a channel, or all of it.

    ways : the weights that lead into the population, kept outside of the module's own parameters
    """

    g: Tensor
    started: Tensor

    def __init__(self, options: QAT, ways: tuple[Way, ...]) -> None:
        super().__init__()
        self.options = options
        self.ways = ways
        self.frozen = False
        self._seen: tuple[int, ...] | None = None
        first = self._wanted()
        if options.scale is ScaleRule.LSQ:
            # an optimizer that moves by its rate whatever the gradient's size must not reach 0: steps are near 1e-3
            self.log_step = nn.Parameter((1.0 / first).log().float())
            count = sum(way.rows().numel() for way in ways) / first.numel()
            self.damped = 1.0 / math.sqrt(count * options.limit)  # [Esser2020], section 2.2
        else:
            self.register_buffer("g", first)
            self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    @property
    def limit(self) -> int:
        return self.options.limit

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.limit)

    def set_extra_state(self, state: Any) -> None:
        if int(state) != self.limit:
            raise QuantizeError(
                f"load_state_dict: found scales for weights up to {int(state)}, this module was prepared for "
                f"{self.limit} (bits={self.options.bits}). Prepare it with the same bits."
            )

    def seen(self) -> tuple[int, ...]:
        return seen(self.log_step if self.options.scale is ScaleRule.LSQ else self.g)

    def value(self) -> Tensor:
        """g, without a gradient: float64 (units)."""
        if self.options.scale is ScaleRule.LSQ:
            return 1.0 / self._positive().detach().double()
        return self.g

    def now(self) -> Tensor:
        """g for a step of training; follows the weights, or carries the gradient of the learned step."""
        if self.options.scale is ScaleRule.LSQ:
            step = self._positive()
            damped = step * self.damped
            return 1.0 / (damped + (step - damped).detach())
        self._observe()
        return self.g.float()

    def _positive(self) -> Tensor:
        return cast(Tensor, self.log_step).exp()

    def _observe(self) -> None:
        """Move g towards what the weights want, once per change of the weights."""
        now = tuple(way.version() for way in self.ways)
        if self.frozen or now == self._seen:
            return
        if self.started:  # the first weights are those that g was made of
            m = self.options.momentum
            with torch.no_grad():  # the average is of the step, 1 / g, which is what a percentile gives
                self.g.copy_(1.0 / (m / self.g + (1.0 - m) / self._wanted()))
        self._seen = now
        self.started.fill_(True)

    @torch.no_grad()
    def _wanted(self) -> Tensor:
        """Q / percentile(|w|) per unit; the maximum where the percentile is 0, and 1 where all are 0."""
        parts = [way.rows().abs().double() for way in self.ways]
        if self.options.per is Per.POPULATION:
            parts = [p.reshape(1, -1) for p in parts]
        pool = torch.cat(parts, dim=1)
        top = pool.amax(dim=1)
        if self.options.percentile == "auto":
            at = self._least_error(pool)
        else:
            at = _percentile(pool, float(self.options.percentile))
        at = torch.where(at > 0, at, top)
        return torch.where(at > 0, self.limit / at.clamp_min(1e-30), torch.ones_like(at))

    def _least_error(self, pool: Tensor) -> Tensor:
        """Per unit, the percentile that leaves the least squared error of the weights."""
        best = _percentile(pool, 100.0)
        least = torch.full_like(best, math.inf)
        for p in CANDIDATES:
            at = _percentile(pool, p)
            step = (at / self.limit).clamp_min(1e-30)[:, None]
            error = (pool - (pool / step).round().clamp_max(self.limit) * step).square().sum(dim=1)
            better = (error < least) & (at > 0)
            best, least = torch.where(better, at, best), torch.where(better, error, least)
        return best


def _percentile(pool: Tensor, p: float) -> Tensor:
    """Linear interpolation along the last axis, as NumPy's."""
    if p == 100.0:
        return pool.amax(dim=1)
    ordered = pool.sort(dim=1).values
    place = p / 100.0 * (pool.shape[1] - 1)
    low = int(place)
    high = min(low + 1, pool.shape[1] - 1)
    return ordered[:, low] + (ordered[:, high] - ordered[:, low]) * (place - low)
