"""A leaky neuron over a whole recording at once: the same numbers as step by step, in a fraction of the time.

The recursion runs in place over time-major tensors, and its gradient is written out: with h = grad of the spikes
through the surrogate, delta(t) = m(t) alpha delta(t+1) + h(t), where m is 1 for a reset by subtraction (whose spike is
detached, as in snnTorch) or none, and 1 - s(t) for a reset to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

SOME = 8  # steps that the surrogate sees at once: few enough to stay in a cache


class _Leaky(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, alpha: Tensor, theta: Tensor, spike_grad: Callable[[Tensor], Tensor], reset: str,
        late: bool,
    ) -> Tensor:
        over = torch.empty_like(current)  # V - theta as it is compared
        spikes = torch.empty_like(current)
        v = torch.zeros_like(current[0])
        for t in range(current.shape[0]):
            v.mul_(alpha).add_(current[t])
            if late and t:
                _reset(v, spikes[t - 1], theta, reset)
            torch.sub(v, theta, out=over[t])
            torch.gt(over[t], 0, out=spikes[t])
            if not late:
                _reset(v, spikes[t], theta, reset)
        ctx.save_for_backward(over, spikes, alpha, theta)
        ctx.spike_grad, ctx.reset, ctx.late = spike_grad, reset, late
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        over, spikes, alpha, theta = ctx.saved_tensors
        delta = torch.empty_like(over)
        for at in range(0, len(over), SOME):
            part = slice(at, at + SOME)
            delta[part] = _through(ctx.spike_grad, over[part], grads[0][part])
        to_theta = -delta.sum((0, 1)) if theta.requires_grad else None
        after = torch.zeros_like(delta[0])  # what the membrane after a step's reset is worth
        for t in range(delta.shape[0] - 1, -1, -1):
            if t < delta.shape[0] - 1:
                after = delta[t + 1] * alpha
                if to_theta is not None and ctx.reset == "subtract":
                    to_theta -= (spikes[t] * (delta[t + 1] if ctx.late else after)).sum(0)
                if ctx.reset == "zero":
                    after.mul_(1 - spikes[t])
                delta[t].add_(after)
        if to_theta is not None:
            to_theta = to_theta.sum_to_size(theta.shape)
        return delta, None, to_theta, None, None, None


def _through(spike_grad: Callable[[Tensor], Tensor], over: Tensor, grad: Tensor) -> Tensor:
    """The gradient of spikes taken through the surrogate, whichever it is."""
    with torch.enable_grad():
        at = over.detach().requires_grad_()
        (found,) = torch.autograd.grad(spike_grad(at), at, grad)
    return found


def _reset(v: Tensor, who: Tensor, theta: Tensor, reset: str) -> None:
    if reset == "subtract":
        v.addcmul_(who, theta, value=-1.0)  # who is 0 or 1, so the product is exact
    elif reset == "zero":
        v.mul_(1 - who)


def leaky(
    current: Tensor, alpha: Tensor, theta: Tensor, spike_grad: Callable[[Tensor], Tensor], reset: str, late: bool
) -> Tensor:
    """Spikes (steps, batch, *shape) of leaky neurons that start at rest.

    current : (steps, batch, *shape); alpha : decay, without a gradient; theta : the threshold; both broadcast over
        (batch, *shape). spike_grad : snnTorch's surrogate. late : whether a reset comes one step after its spike
        (to zero, that multiplies the membrane ahead of the decay in either case)
    """
    if reset == "zero":
        late = False
    return cast(Tensor, _Leaky.apply(current, alpha, theta, spike_grad, reset, late))  # type: ignore[no-untyped-call]
