"""Runs of linear nodes between populations made one connection each.

Flatten costs nothing (C order). One matrix with factors around it stays a Dense; a pool, a convolution and factors per
channel make one Conv; a factor alone is one-to-one. All else is multiplied out (operators.py), within limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..graph import Connection, Conv, Dense, Pool
from .limits import Budget
from .nodes import Convolution, Delaying, Factor, Matrix, Pooling
from .operators import Step, as_connection, compose, conv_of, depthwise, pool_of, pool_scale
from .raw import HINT, Shape
from .shapes import conv_padding

Array = NDArray[np.float64]


def connect(steps: list[Step], source: Shape, target: Shape, budget: Budget, where: str) -> Connection:
    """One run as a connection between populations of shapes `source` and `target`; delays are not looked at."""
    form = next((str(s.node.metadata[HINT + "form"]) for s in steps if HINT + "form" in s.node.metadata), "")
    form = form if form in ("dense", "sparse") else ""
    live = [s for s in steps if _acts(s)]
    found = None if form else (_as_conv(live, source, target) or _as_dense(live))
    if isinstance(found, Dense):
        budget.dense(where, found.targets, found.sources)
    return found or as_connection(compose(live, math.prod(source), budget, where), form or _sparse(live), budget, where)


def masked(steps: list[Step], read: Delays) -> list[tuple[int, list[Step]]]:
    """A run split by delay: (steps of delay, run without Delay nodes).

    A delay that all lines share adds up; one that differs from line to line keeps, per value, the lines that have it.
    """
    runs: list[tuple[int, list[Step]]] = [(0, [])]
    for step in steps:
        if not isinstance(step.node, Delaying):
            runs = [(d, [*run, step]) for d, run in runs]
            continue
        each = read.steps[step.node.name]
        if each.ndim == 0 or (each == each.flat[0]).all():
            runs = [(d + int(each.flat[0]), run) for d, run in runs]
            continue
        split = []
        for value in np.unique(each):
            keep = Factor(
                name=step.node.name, type="Delay", scale=(each == value) * 1.0, metadata={HINT + "form": "sparse"}
            )
            split.append((int(value), Step(node=keep, into=step.into, out=step.out)))
        runs = [(d + more, [*run, mask]) for d, run in runs for more, mask in split]
        if len(runs) > read.limit:
            return runs
    return runs


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Delays:
    """steps : per Delay node, whole steps, () where all lines share it; limit : runs that one run may split into"""

    steps: dict[str, NDArray[np.int64]]
    limit: int


def _acts(step: Step) -> bool:
    """Whether a node changes values: not a Flatten, a wire, a Delay, a factor of 1, or a stack of identities."""
    node = step.node
    if isinstance(node, Factor):
        return bool((node.scale != 1).any())
    stack = isinstance(node, Matrix) and (node.weight.ndim > 2 or HINT + "identity" in node.metadata)
    if stack and isinstance(node, Matrix) and node.weight.shape[-1] == node.weight.shape[-2]:
        return not (node.weight == np.eye(node.weight.shape[-1])).all()
    return isinstance(node, Matrix | Convolution | Pooling)


def _sparse(live: list[Step]) -> str:
    """Factors and stacks of matrices stay sparse however small they are."""
    plain = all(isinstance(s.node, Factor) or (isinstance(s.node, Matrix) and s.node.weight.ndim > 2) for s in live)
    return "sparse" if plain else ""


def _as_dense(live: list[Step]) -> Dense | None:
    """One matrix, with factors ahead of it or after it."""
    at = [i for i, s in enumerate(live) if isinstance(s.node, Matrix)]
    if len(at) != 1 or not all(isinstance(s.node, Matrix | Factor) for s in live):
        return None
    node = live[at[0]].node
    assert isinstance(node, Matrix)
    weight = node.weight
    if weight.ndim != 2:
        return None
    for i, step in enumerate(live):
        if isinstance(step.node, Factor):
            line = np.broadcast_to(step.node.scale.reshape(-1), (math.prod(step.into),))
            weight = weight * (line[np.newaxis] if i < at[0] else line[:, np.newaxis])
    return Dense(weight=weight)


def _as_conv(live: list[Step], source: Shape, target: Shape) -> Conv | None:
    """[factors] [pool] [factors] [convolution] [factors] [pool] [factors], the factors alike within a channel."""
    before: Array | None = None
    after: Array | None = None
    pool: Step | None = None
    conv: Step | None = None
    behind: Step | None = None
    for step in live:
        node = step.node
        if isinstance(node, Factor):
            line = _per_channel(node.scale, step.into)
            if line is None:
                return None
            if conv is None:
                before = line if before is None else before * line
            else:
                after = line if after is None else after * line
        elif isinstance(node, Pooling) and pool is None and conv is None:
            pool = step
            if node.type == "AvgPool2d":
                scale = np.full(1, pool_scale(node))
                before = scale if before is None else before * scale
        elif isinstance(node, Convolution) and conv is None:
            conv = step
        elif isinstance(node, Pooling) and conv is not None and behind is None and _merges(conv, node):
            behind = step
            scale = np.full(1, pool_scale(node))
            after = scale if after is None else after * scale
        else:
            return None
    if conv is not None:
        found = _conv_with(conv, pool, before, after)
        return found if found is None or behind is None else _pooled(found, behind)
    if pool is None and (len(source) != 3 or source != target):
        return None
    return _channels_alone(live, source, pool, before)


def _conv_with(conv: Step, pool: Step | None, before: Array | None, after: Array | None) -> Conv | None:
    node = conv.node
    assert isinstance(node, Convolution)
    channels = node.weight.shape[1] * node.groups
    weight = node.weight
    if before is not None:
        if before.size not in (1, channels):
            return None
        before = np.broadcast_to(before, (channels,))
        per_out = weight.shape[0] // node.groups
        group = np.arange(weight.shape[0]) // per_out
        weight = weight * before.reshape(node.groups, -1)[group][:, :, np.newaxis, np.newaxis]
    if after is not None:
        if after.size not in (1, weight.shape[0]):
            return None
        weight = weight * after[:, np.newaxis, np.newaxis, np.newaxis]
    if pool is None:
        return conv_of(conv, weight)
    if node.type != "Conv2d" or pool.out != conv.into:
        return None
    assert isinstance(pool.node, Pooling)
    return conv_of(conv, weight, pool_of(pool.node), pool.into)


def _merges(conv: Step, node: Pooling) -> bool:
    """Whether a pool behind a convolution makes one convolution with it: none of its windows may see padding."""
    assert isinstance(conv.node, Convolution)
    _, total = conv_padding(conv.node)
    return node.padding == (0, 0) and conv.node.type == "Conv2d" and not any(n % 2 for n in total)


def _pooled(conv: Conv, behind: Step) -> Conv:
    """A convolution and the pool behind it: the kernel summed over the window's places, the strides multiplied."""
    node = behind.node
    assert isinstance(node, Pooling)
    (kh, kw), (dh, dw), (sh, sw) = conv.weight.shape[2:], conv.dilation, conv.stride
    height, width = (kh - 1) * dh + 1, (kw - 1) * dw + 1
    more = (node.size[0] - 1) * sh, (node.size[1] - 1) * sw
    weight = np.zeros((*conv.weight.shape[:2], height + more[0], width + more[1]))
    for y in range(0, more[0] + 1, sh):
        for x in range(0, more[1] + 1, sw):
            weight[:, :, y : y + height : dh, x : x + width : dw] += conv.weight
    out = behind.out[0], behind.out[1], behind.out[2]
    stride = sh * node.stride[0], sw * node.stride[1]
    return replace(conv, weight=weight, out_shape=out, stride=stride, dilation=(1, 1))


def _channels_alone(live: list[Step], source: Shape, pool: Step | None, factor: Array | None) -> Conv | None:
    shape = source if pool is None else pool.into
    factor = np.ones(1) if factor is None else factor
    if factor.size not in (1, shape[0]):
        return None
    factor = np.broadcast_to(factor, (shape[0],))
    taken: Pool | None = None
    out = source
    if pool is not None:
        assert isinstance(pool.node, Pooling)
        taken, out = pool_of(pool.node), pool.out
    return depthwise(shape, factor, taken, out)


def _per_channel(scale: Array, shape: Shape) -> Array | None:
    """A factor as one number, or one per channel, where it is that."""
    if (scale == scale.flat[0]).all():
        return scale.reshape(-1)[:1]
    if len(shape) < 2:
        return None
    lines = np.broadcast_to(scale.reshape(-1), (math.prod(shape),)).reshape(shape[0], -1)
    return np.ascontiguousarray(lines[:, 0]) if (lines == lines[:, :1]).all() else None
