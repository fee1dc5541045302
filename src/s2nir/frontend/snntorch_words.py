"""Connections as torch's layers, and a population's way back to itself as an option of snnTorch's neuron."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from ..graph import Connection, Conv, Dense, Population, Projection, Sparse
from .snntorch_trace import Shape, need_torch
from .unfold_nodes import one_to_one

Array = NDArray[np.float64]
LARGEST = 1 << 22
"""Weights of a sparse connection written out as a matrix."""


def _no_words(where: str, found: str, remedy: str) -> UnsupportedError:
    return UnsupportedError("to-snntorch-wiring", f"{where}: {found}, for which snnTorch has no words. {remedy}.")


@dataclass(slots=True, eq=False)
class Layers:
    """Layers on their way into a module. name : makes a name for a child out of a wanted one"""

    net: Any
    name: Callable[[str], str]

    def way(self, q: Projection, given: Shape, goal: Shape, factor: Array, bias: Array | None, wanted: str) -> Any:
        """One projection. factor : (targets), for all its weights; bias : of shape `goal`, or None"""
        from .snntorch_module import Way

        bias = None if bias is None or not bias.any() else bias
        c, where = q.connection, f"{q.source} -> {q.target}"
        if isinstance(c, Conv) and not _plain(c, given, goal):
            items = self._conv(c, where, given, goal, factor, bias, wanted)
        elif isinstance(c, Sparse) and one_to_one(c) and given == goal:
            items = self._each(_diagonal(c) * factor, goal, bias, wanted)
        elif isinstance(c, Conv):
            each = np.repeat(c.weight.ravel(), math.prod(goal[1:]))
            items = self._each(each * factor, goal, bias, wanted)
        else:
            items = self._matrix(_full(c, where) * factor[:, np.newaxis], given, goal, bias, wanted)
        return Way(source=q.source, items=tuple(items))

    def _add(self, wanted: str, layer: Any) -> str:
        name = self.name(wanted)
        self.net.add_module(name, layer)
        return name

    def _each(self, weight: Array, goal: Shape, bias: Array | None, wanted: str) -> list[str | Shape]:
        from .snntorch_module import Elementwise, tensor

        one = bool((weight == 1).all())
        if one and bias is None:
            return []
        spread = weight.reshape(goal)
        rows = spread.reshape(goal[0], -1)
        if len(goal) > 1 and (rows == rows[:, :1]).all():
            spread = rows[:, :1].reshape(-1, *(1 for _ in goal[1:]))
        layer = Elementwise(None if one else tensor(spread), None if bias is None else tensor(bias))
        return [self._add(wanted, layer)]

    def _matrix(self, weight: Array, given: Shape, goal: Shape, bias: Array | None, wanted: str) -> list[str | Shape]:
        from .snntorch_module import tensor

        nn = need_torch().nn
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        layer.weight = nn.Parameter(tensor(weight))
        if bias is not None:
            layer.bias = nn.Parameter(tensor(bias.ravel()))
        before: list[str | Shape] = [] if len(given) == 1 else [(weight.shape[1],)]
        after: list[str | Shape] = [] if len(goal) == 1 else [goal]
        return [*before, self._add(wanted, layer), *after]

    def _conv(
        self, c: Conv, where: str, given: Shape, goal: Shape, factor: Array, bias: Array | None, wanted: str
    ) -> list[str | Shape]:
        from .snntorch_module import Elementwise, tensor

        nn = need_torch().nn
        items: list[str | Shape] = [] if given == c.in_shape else [c.in_shape]
        if c.pool is not None:
            pool = nn.AvgPool2d(c.pool.size, c.pool.stride, c.pool.padding, divisor_override=1)
            items.append(self._add(f"{wanted}_pool", pool))
        channels = factor.reshape(c.out_shape[0], -1)[:, 0]  # alike within a channel, or all 1
        maps = None if bias is None else bias.reshape(c.out_shape[0], -1)
        flat = maps is not None and bool((maps == maps[:, :1]).all())
        layer = nn.Conv2d(c.in_shape[0], c.out_shape[0], c.weight.shape[2:], c.stride, _padding(c, where),
                          c.dilation, c.groups, bias=flat)
        layer.weight = nn.Parameter(tensor(c.weight * channels[:, np.newaxis, np.newaxis, np.newaxis]))
        if maps is not None and flat:
            layer.bias = nn.Parameter(tensor(maps[:, 0]))
        items.append(self._add(wanted, layer))
        if maps is not None and not flat:
            items.append(self._add(f"{wanted}_bias", Elementwise(None, tensor(maps.reshape(c.out_shape)))))
        return items if c.out_shape == goal else [*items, goal]


def _plain(c: Conv, given: Shape, goal: Shape) -> bool:
    """Whether it takes every neuron to the same place, times a factor per channel."""
    single = c.groups == c.in_shape[0] and c.weight.shape == (c.groups, 1, 1, 1) and c.in_shape == c.out_shape
    plain = (c.padding, c.stride, c.dilation, c.pool) == ((0, 0), (1, 1), (1, 1), None)
    return single and plain and given == goal == c.in_shape


def _padding(c: Conv, where: str) -> Any:
    """The padding in torch's words: numbers for both sides alike, else 'same'."""
    seen = c.pooled_shape[1:]
    spans = [d * (k - 1) for d, k in zip(c.dilation, c.weight.shape[2:], strict=True)]
    sides = zip(seen, c.padding, spans, c.stride, c.out_shape[1:], strict=True)
    if all((n + 2 * p - span - 1) // s + 1 == out for n, p, span, s, out in sides):
        return c.padding
    if c.stride == (1, 1) and seen == c.out_shape[1:] and c.padding == (spans[0] // 2, spans[1] // 2):
        return "same"
    raise _no_words(where, f"a convolution with padding {c.padding} from {seen} to {c.out_shape[1:]}",
                    "Pad both sides alike")


def _diagonal(c: Sparse) -> Array:
    found = np.zeros(c.targets)
    found[c.target] = c.weight
    return found


def _full(c: Connection, where: str) -> Array:
    if isinstance(c, Dense):
        return c.weight
    assert isinstance(c, Sparse)
    if c.sources * c.targets > LARGEST:
        raise UnsupportedError(
            "to-snntorch-size",
            f"{where}: torch would have to hold {c.sources * c.targets} weights in full, allowed are {LARGEST}. "
            "Make it a convolution, or smaller.",
        )
    weight = np.zeros((c.targets, c.sources))
    np.add.at(weight, (c.target, np.repeat(np.arange(c.sources), np.diff(c.start))), c.weight)
    return weight


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Back:
    """Options of RLeaky and RSynaptic for a way back, and the weights of its layer, if it has one."""

    options: dict[str, Any]
    weight: Array | None = None

    def fill(self, layer: Any) -> None:
        from .snntorch_module import tensor

        if self.weight is not None:
            torch = need_torch()
            layer.weight = torch.nn.Parameter(tensor(self.weight))
            layer.bias = torch.nn.Parameter(torch.zeros(self.weight.shape[0], dtype=torch.float64))


def recurrence(own: list[Projection], p: Population, factor: Array) -> Back:
    """The projections of a population onto itself as RLeaky and RSynaptic have them.

    Raises
    ------
    UnsupportedError
        where they are neither a matrix on a row, a padded convolution on channels, nor one-to-one.
    """
    from .snntorch_module import tensor

    where = f"{p.name} -> {p.name}"
    c = own[0].connection
    if len(own) == 1 and isinstance(c, Sparse) and one_to_one(c):
        return Back(options={"all_to_all": False, "V": tensor((_diagonal(c) * factor).reshape(p.shape))})
    if len(own) == 1 and isinstance(c, Conv):
        size = (c.weight.shape[2], c.weight.shape[3])
        if _plain(c, p.shape, p.shape):
            each = np.repeat(c.weight.ravel(), math.prod(p.shape[1:])) * factor
            rows = each.reshape(p.shape[0], -1)
            per_channel = bool((rows == rows[:, :1]).all())
            short = rows[:, 0].reshape(-1, 1, 1) if per_channel else each.reshape(p.shape)
            return Back(options={"all_to_all": False, "V": tensor(short)})
        padded = c.padding == (size[0] // 2, size[1] // 2) and size[0] % 2 == size[1] % 2 == 1
        plain = (c.stride, c.dilation, c.groups, c.pool) == ((1, 1), (1, 1), 1, None)
        if padded and plain and c.in_shape == c.out_shape == p.shape:
            channels = factor.reshape(p.shape[0], -1)[:, 0]
            options = {"all_to_all": True, "conv2d_channels": p.shape[0], "kernel_size": size}
            return Back(options=options, weight=c.weight * channels[:, np.newaxis, np.newaxis, np.newaxis])
    if len(p.shape) == 1 and not any(isinstance(q.connection, Conv) for q in own):
        weight = sum((_full(q.connection, where) for q in own), np.zeros((p.size, p.size)))
        return Back(options={"all_to_all": True, "linear_features": p.size}, weight=weight * factor[:, np.newaxis])
    raise _no_words(where, "its recurrence is neither a matrix on a row, nor a padded convolution, nor one-to-one",
                    "Flatten the population, or use a kernel of odd size")
