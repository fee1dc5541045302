"""The loops of a leaky neuron over time, compiled: one pass over memory where tensor operations take several.

Arrays are (steps, neurons of the batch), in whatever order memory has them; `alpha` and `theta` have one value or one
per column. Columns go in blocks whose membranes stay in a cache while time runs. Each operation rounds by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

NONE, SUBTRACT, ZERO = 0, 1, 2
FAST_SIGMOID, ATAN = 0, 1
BLOCK = 512


@njit(nogil=True, cache=True)
def forward(current: Any, alpha: Any, theta: Any, reset: int, late: bool, over: Any, spikes: Any) -> None:
    """over : V - theta as it is compared; spikes : 0 or 1"""
    steps, columns = current.shape
    v = np.empty(BLOCK, current.dtype)
    zero, one = current.dtype.type(0), current.dtype.type(1)
    for lo in range(0, columns, BLOCK):
        n = min(BLOCK, columns - lo)
        a = alpha[lo : lo + n] if alpha.size > 1 else np.repeat(alpha, n)
        level = theta[lo : lo + n] if theta.size > 1 else np.repeat(theta, n)
        v[:n] = 0
        for t in range(steps):
            now, above, out = current[t, lo : lo + n], over[t, lo : lo + n], spikes[t, lo : lo + n]
            before = spikes[max(t - 1, 0), lo : lo + n]
            for k in range(n):
                x = v[k] * a[k]
                x = x + now[k]
                if late and t > 0:
                    x = x - before[k] * level[k]
                u = x - level[k]
                above[k] = u
                fired = one if u > 0 else zero
                out[k] = fired
                if reset == SUBTRACT and not late:
                    x = x - fired * level[k]
                elif reset == ZERO:
                    x = x * (one - fired)
                v[k] = x


@njit(inline="never", nogil=True, cache=True)
def fast_sigmoid(u: Any, g: Any, steep: Any, one: Any, d: Any) -> None:
    for k in range(d.size):
        base = steep * abs(u[k]) + one
        d[k] = g[k] / (base * base)


@njit(inline="never", nogil=True, cache=True)
def atan(u: Any, g: Any, steep: Any, one: Any, d: Any) -> None:
    for k in range(d.size):
        base = steep * u[k]
        d[k] = g[k] / (one + base * base)


@njit(inline="never", nogil=True, cache=True)
def carry(after: Any, a: Any, d: Any) -> None:
    for k in range(d.size):
        after[k] = d[k] + after[k] * a[k]
        d[k] = after[k]


@njit(inline="never", nogil=True, cache=True)
def carry_unless_reset(u: Any, after: Any, a: Any, zero: Any, d: Any) -> None:
    for k in range(d.size):
        kept = zero if u[k] > 0 else after[k] * a[k]
        after[k] = d[k] + kept
        d[k] = after[k]


@njit(nogil=True, cache=True)
def backward(over: Any, grad: Any, alpha: Any, reset: int, kind: int, steep: Any, delta: Any) -> None:
    """The gradient of `current` into `delta`; kind, steep : the surrogate and its slope.

    An arc tangent's gradient is steep / pi / (1 + (steep u)^2); its factor is taken into `grad` by the caller.
    """
    steps, columns = over.shape
    after = np.empty(BLOCK, over.dtype)
    zero, one = over.dtype.type(0), over.dtype.type(1)
    for lo in range(0, columns, BLOCK):
        n = min(BLOCK, columns - lo)
        a = alpha[lo : lo + n] if alpha.size > 1 else np.repeat(alpha, n)
        after[:n] = 0
        for t in range(steps - 1, -1, -1):
            u, d = over[t, lo : lo + n], delta[t, lo : lo + n]
            if kind == FAST_SIGMOID:
                fast_sigmoid(u, grad[t, lo : lo + n], steep, one, d)
            else:
                atan(u, grad[t, lo : lo + n], steep, one, d)
            if reset == ZERO:
                carry_unless_reset(u, after[:n], a, zero, d)
            else:
                carry(after[:n], a, d)
