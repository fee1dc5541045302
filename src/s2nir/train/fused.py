"""A leaky neuron over a whole recording at once: the same numbers as step by step, in a fraction of the time.

The recursion runs in place over time-major tensors, and its gradient is written out: with h = grad of the spikes
through the surrogate, delta(t) = m(t) alpha delta(t+1) + h(t), where m is 1 for a reset by subtraction (whose spike is
detached, as in snnTorch) or none, and 1 - s(t) for a reset to zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

MANY = 1 << 14  # columns worth more than one thread
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


class _Compiled(torch.autograd.Function):
    """The same by the loops of kernels.py, for a surrogate that they know and a threshold that is not learned."""

    @staticmethod
    def forward(
        ctx: Any, current: Tensor, alpha: Tensor, theta: Tensor, surrogate: tuple[int, float], reset: str, late: bool
    ) -> Tensor:
        from . import kernels

        over, spikes = torch.empty_like(current), torch.empty_like(current)
        code = {"none": kernels.NONE, "subtract": kernels.SUBTRACT, "zero": kernels.ZERO}[reset]
        rows = [_columns(value, current) for value in (alpha, theta)]
        late = late and reset == "subtract"
        _spread(lambda c, o, s, a, th: kernels.forward(c, a, th, code, late, o, s), (current, over, spikes), rows)
        ctx.save_for_backward(over)
        ctx.rest = rows[0], surrogate, code
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        from . import kernels

        (over,) = ctx.saved_tensors
        row, (kind, steep), code = ctx.rest
        grad = torch.empty_like(over).copy_(grads[0])  # in the order that memory has `over` in
        if kind == kernels.ATAN:
            grad.mul_(steep / math.pi)
        delta = torch.empty_like(over)
        steepness = row.dtype.type(steep)
        _spread(lambda o, g, d, a: kernels.backward(o, g, a, code, kind, steepness, d), (over, grad, delta), [row])
        return delta, None, None, None, None, None


def _in_memory_order(x: Tensor) -> Tensor:
    """(steps, ...) with its other axes as memory has them."""
    strides = x.stride()
    return x.permute(0, *sorted(range(1, x.dim()), key=lambda axis: (-strides[axis], axis)))


def _flat(x: Tensor) -> Any:
    """(steps, columns) over the memory of a dense tensor (steps, ...)."""
    return _in_memory_order(x.detach()).reshape(x.shape[0], -1).numpy()


def _dense(x: Tensor) -> bool:
    """Whether `_flat` is a view: each step is one block of memory, and the steps follow each other."""
    return _in_memory_order(x).is_contiguous()


def _columns(value: Tensor, like: Tensor) -> Any:
    """One value, or one per column in the order of `_flat(like)`."""
    value = value.detach().to(like.dtype)
    if value.numel() == 1:
        return value.reshape(1).numpy()
    step = torch.empty_like(like[:1])
    step.copy_(value.expand(like.shape[1:]))
    return np.ascontiguousarray(_flat(step)[0])


def _spread(loop: Callable[..., None], tensors: tuple[Tensor, ...], rows: list[Any]) -> None:
    """The loop over all columns, in as many parts as torch has threads."""
    flat = [_flat(t) for t in tensors]
    columns, parts = flat[0].shape[1], torch.get_num_threads()
    if parts == 1 or columns < MANY:
        loop(*flat, *rows)
        return
    cuts = np.linspace(0, columns, parts + 1).astype(int)
    with ThreadPoolExecutor(parts) as pool:
        jobs = [
            pool.submit(loop, *(f[:, a:b] for f in flat), *(r[a:b] if r.size > 1 else r for r in rows))
            for a, b in zip(cuts[:-1], cuts[1:], strict=True)
        ]
        for job in jobs:
            job.result()


def known(spike_grad: Any) -> tuple[int, float] | None:
    """(kind, slope) of snnTorch's own fast sigmoid and arc tangent, told by the function that made them; else None."""
    from . import kernels

    made, cells = getattr(spike_grad, "__qualname__", ""), list(getattr(spike_grad, "__closure__", None) or ())
    if getattr(spike_grad, "__module__", "") != "snntorch.surrogate" or len(cells) != 1:
        return None
    slope = cells[0].cell_contents
    if not isinstance(slope, int | float):
        return None
    if made == "fast_sigmoid.<locals>.inner":
        return kernels.FAST_SIGMOID, float(slope)
    if made == "atan.<locals>.inner":
        return kernels.ATAN, float(slope) * math.pi / 2
    return None


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
    surrogate = known(spike_grad)
    if surrogate and current.device.type == "cpu" and not theta.requires_grad and _dense(current):
        return cast(Tensor, _Compiled.apply(current, alpha, theta, surrogate, reset, late))  # type: ignore[no-untyped-call]
    return cast(Tensor, _Leaky.apply(current, alpha, theta, spike_grad, reset, late))  # type: ignore[no-untyped-call]
