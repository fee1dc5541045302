"""Linear nodes as matrices: the general way, where no special form of connection fits.

A step is a linear node with the shapes that it has in this network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..graph import Conv, Dense, Pool, Sparse, apply
from .limits import Budget
from .nodes import AnyNode, Convolution, Factor, Matrix, Pooling
from .raw import Shape
from .shapes import conv_input, conv_padding

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Step:
    """One linear node at its place."""

    node: AnyNode
    into: Shape
    out: Shape


def conv_of(step: Step, weight: Array | None = None, pool: Pool | None = None, source: Shape | None = None) -> Conv:
    """A convolution node as a connection; `source` is the shape ahead of the pool."""
    node = step.node
    assert isinstance(node, Convolution)
    return Conv(
        weight=node.weight if weight is None else weight,
        in_shape=conv_input(node, step.into) if pool is None or source is None else _three(source),
        out_shape=conv_input(node, step.out),
        stride=node.stride,
        padding=conv_padding(node)[0],
        dilation=node.dilation,
        groups=node.groups,
        pool=pool,
    )


def pool_of(node: Pooling) -> Pool:
    return Pool(size=node.size, stride=node.stride, padding=node.padding)


def pool_scale(node: Pooling) -> float:
    """What a sum over windows is multiplied with: an average divides by the whole window."""
    return 1.0 / (node.size[0] * node.size[1]) if node.type == "AvgPool2d" else 1.0


def depthwise(source: Shape, factor: Array, pool: Pool | None, out: Shape) -> Conv:
    """Each channel by itself, times a factor: a 1x1 convolution with as many groups as channels."""
    return Conv(
        weight=factor.reshape(-1, 1, 1, 1), in_shape=_three(source), out_shape=_three(out), groups=source[0], pool=pool
    )


def push(step: Step, x: Array) -> Array:
    """One vector of values (as `into`, flat) taken through the node, without its bias."""
    node = step.node
    if isinstance(node, Matrix):
        weight = node.weight.reshape(-1, *node.weight.shape[-2:])
        parts = x.reshape(weight.shape[0], -1)
        return np.concatenate([w @ p for w, p in zip(weight, parts, strict=True)])
    if isinstance(node, Factor):
        return x * np.broadcast_to(node.scale.reshape(-1), x.shape)
    if isinstance(node, Convolution):
        return np.asarray(apply(conv_of(step), x[np.newaxis])[0])
    if isinstance(node, Pooling):
        ones = np.full(step.into[0], pool_scale(node))
        return np.asarray(apply(depthwise(step.into, ones, pool_of(node), step.out), x[np.newaxis])[0])
    return x


def bias_of(step: Step) -> Array | None:
    """The node's own bias over its whole output, flat; None where it has none."""
    node = step.node
    if isinstance(node, Matrix) and node.bias is not None:
        return node.bias.reshape(-1)
    if isinstance(node, Convolution) and node.bias is not None:
        return np.repeat(node.bias, math.prod(step.out[1:]))
    if isinstance(node, Factor) and node.bias is not None:
        return np.broadcast_to(node.bias.reshape(-1), (math.prod(step.out),)).copy()
    return None


def compose(steps: list[Step], source: int, budget: Budget, where: str) -> Any:
    """The product of all steps: (targets, sources), an array where a matrix took part, else scipy's csr.

    Raises
    ------
    UnsupportedError
        ahead of any product that would be larger than the limits.
    """
    total: Any = None
    for step in steps:
        if math.prod(step.out) == math.prod(step.into) and not isinstance(
            step.node, Matrix | Factor | Convolution | Pooling
        ):
            continue
        nxt = matrix(step, budget, where)
        total = nxt if total is None else _product(nxt, total, budget, where)
    if total is None:
        budget.sparse(where, source)
        total = sparse.eye_array(source, format="csr")
    return total


def matrix(step: Step, budget: Budget, where: str) -> Any:
    """One step as (targets, sources)."""
    node, rows, columns = step.node, math.prod(step.out), math.prod(step.into)
    if isinstance(node, Matrix) and node.weight.ndim == 2:
        return node.weight
    if isinstance(node, Matrix):
        budget.sparse(where, node.weight.size)
        return sparse.block_diag(list(node.weight.reshape(-1, *node.weight.shape[-2:])), format="csr")
    if isinstance(node, Factor):
        budget.sparse(where, rows)
        return sparse.diags_array(np.broadcast_to(node.scale.reshape(-1), (rows,)), format="csr")
    if isinstance(node, Convolution):
        whole = _whole_input(conv_of(step))
        if whole is not None:
            return whole
        budget.sparse(where, math.prod(step.out[1:]) * node.weight.size)
        return windows(conv_of(step))
    assert isinstance(node, Pooling)
    budget.sparse(where, rows * node.size[0] * node.size[1])
    kernel = np.full((step.into[0], 1, *node.size), pool_scale(node))
    as_conv = Conv(weight=kernel, in_shape=_three(step.into), out_shape=_three(step.out), stride=node.stride,
                   padding=node.padding, groups=step.into[0])
    found = windows(as_conv)
    assert found.shape == (rows, columns)
    return found


def _whole_input(conv: Conv) -> Array | None:
    """The matrix of a convolution whose stride is as large as its input: every target has taps of its own."""
    (c1, h1, w1), (c2, h2, w2) = conv.in_shape, conv.out_shape
    taps = (h1 * h2, w1 * w2) == conv.weight.shape[2:] and conv.stride == (h1, w1)
    if not taps or conv.padding != ((h2 - 1) * h1, (w2 - 1) * w1) or conv.groups != 1 or conv.dilation != (1, 1):
        return None
    six = conv.weight.reshape(c2, c1, h2, h1, w2, w1).transpose(0, 2, 4, 1, 3, 5)[:, ::-1, ::-1]
    return np.ascontiguousarray(six).reshape(conv.targets, conv.sources)


def windows(conv: Conv) -> Any:
    """A convolution without a pool as csr: one kernel tap after the other over all targets."""
    (_, h, w), (c_out, oh, ow) = conv.in_shape, conv.out_shape
    per_out, per_in = c_out // conv.groups, conv.weight.shape[1]
    y, x = (a.ravel() for a in np.indices((oh, ow)))
    oc, ic = (a.ravel() for a in np.indices((c_out, per_in)))
    channel = ic + oc // per_out * per_in
    rows, columns, values = [], [], []
    for ky in range(conv.weight.shape[2]):
        for kx in range(conv.weight.shape[3]):
            sy = y * conv.stride[0] + ky * conv.dilation[0] - conv.padding[0]
            sx = x * conv.stride[1] + kx * conv.dilation[1] - conv.padding[1]
            ok = (sy >= 0) & (sy < h) & (sx >= 0) & (sx < w)
            pixel, at = (sy * w + sx)[ok], np.flatnonzero(ok)
            rows.append((oc[:, None] * (oh * ow) + at).ravel())
            columns.append((channel[:, None] * (h * w) + pixel).ravel())
            values.append(np.repeat(conv.weight[oc, ic, ky, kx], pixel.size))
    parts = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.coo_array(parts, shape=(conv.targets, conv.sources)).tocsr()


def _product(after: Any, before: Any, budget: Budget, where: str) -> Any:
    rows, columns = after.shape[0], before.shape[1]
    if sparse.issparse(after) and sparse.issparse(before):
        per_column = np.bincount(after.indices, minlength=after.shape[1])
        bound = int(per_column @ np.diff(before.indptr))
        budget.sparse(where, min(bound, rows * columns))
    else:
        budget.dense(where, rows, columns)
    return after @ before


def as_connection(found: Any, form: str, budget: Budget, where: str) -> Dense | Sparse:
    """A matrix as Dense where more than half of it is not zero, else as Sparse; or as `form` says."""
    rows, columns = found.shape
    filled = int(np.count_nonzero(found)) if isinstance(found, np.ndarray) else int(np.count_nonzero(found.data))
    if form == "dense" or (not form and 2 * filled > rows * columns):
        if isinstance(found, np.ndarray):
            return Dense(weight=found)
        budget.dense(where, rows, columns)
        return Dense(weight=found.toarray())
    if isinstance(found, np.ndarray):
        budget.sparse(where, filled)
    columns_first = sparse.csc_array(found)
    columns_first.sum_duplicates()
    columns_first.eliminate_zeros()
    columns_first.sort_indices()
    return Sparse(
        targets=rows,
        start=columns_first.indptr,
        target=columns_first.indices,
        weight=columns_first.data,
        delay=np.zeros(columns_first.nnz, np.int64),
    )


def _three(shape: Shape) -> tuple[int, int, int]:
    return shape[0], shape[1], shape[2]
