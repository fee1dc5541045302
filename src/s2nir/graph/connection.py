"""How the spikes of one population act on another: a matrix, a sparse matrix or a convolution.

A connection is linear in the spikes. Weights are float64 in a Graph and int8 in a Network; the geometry is the same.
Sources and targets are counted in C order over their shapes, so a Flatten changes nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Whole
from ..errors import GraphError
from ..values import freeze_fields


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dense:
    """Every source reaches every target.

    weight : (targets, sources)
    """

    weight: NDArray[Any]

    def __post_init__(self) -> None:
        freeze_fields(self, weight=None)
        if self.weight.ndim != 2:
            raise GraphError(f"Dense.weight: found shape {self.weight.shape}, needed (targets, sources)")

    @property
    def sources(self) -> int:
        return int(self.weight.shape[1])

    @property
    def targets(self) -> int:
        return int(self.weight.shape[0])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sparse:
    """A list of synapses, by source.

    targets : int, the size of the target population
    start : int64 (sources + 1), where each source's synapses begin
    target : int64 (synapses), rising within a source
    weight : (synapses)
    delay : int64 (synapses), steps added to the projection's own delay
    """

    targets: int
    start: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[Any]
    delay: NDArray[np.int64]

    def __post_init__(self) -> None:
        freeze_fields(self, start=np.int64, target=np.int64, weight=None, delay=np.int64)
        n = self.target.size
        if self.weight.shape != (n,) or self.delay.shape != (n,) or self.start.ndim != 1 or self.start[-1] != n:
            raise GraphError("Sparse: start, target, weight and delay do not agree in length")
        if (np.diff(self.start) < 0).any() or self.start[0] != 0:
            raise GraphError("Sparse.start: must rise from 0")
        if n and (self.target.min() < 0 or self.target.max() >= self.targets or self.delay.min() < 0):
            raise GraphError(f"Sparse: a target outside 0..{self.targets - 1}, or a negative delay")

    @property
    def sources(self) -> int:
        return int(self.start.size - 1)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pool:
    """A sum over windows ahead of a convolution; windows that would leave the padded input are dropped (floor)."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Conv:
    """A two-dimensional convolution (cross-correlation, as PyTorch has it), with a sum pool ahead if `pool` is given.

    weight : (out channels, in channels / groups, height, width)
    in_shape : (channels, height, width) of the source population
    out_shape : (channels, height, width) of the target population
    padding : rows added at the top, columns added at the left; what is added below and right follows from `out_shape`
    """

    weight: NDArray[Any]
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    pool: Pool | None = None

    def __post_init__(self) -> None:
        freeze_fields(self, weight=None)
        c_out, c_in, _, _ = self.weight.shape
        if c_out != self.out_shape[0] or c_in * self.groups != self.in_shape[0] or c_out % self.groups:
            raise GraphError(
                f"Conv.weight: found {self.weight.shape} with groups {self.groups} "
                f"between {self.in_shape} and {self.out_shape}"
            )

    @property
    def sources(self) -> int:
        return int(np.prod(self.in_shape))

    @property
    def targets(self) -> int:
        return int(np.prod(self.out_shape))

    @property
    def pooled_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) that the kernels see."""
        c, h, w = self.in_shape
        if self.pool is None:
            return self.in_shape
        (kh, kw), (sh, sw), (ph, pw) = self.pool.size, self.pool.stride, self.pool.padding
        return c, (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1


Connection = Dense | Sparse | Conv


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Projection:
    """Spikes of `source` reach `target` through `connection`, `delay` steps after a projection without one would.

    connection : Dense, Sparse, Conv, or Ruled (rules.py)
    via : the node types that were folded into the connection, in the order of the data; not part of the digest
    """

    source: str
    target: str
    connection: Any
    delay: int = 0
    via: tuple[str, ...] = field(default=(), metadata={"digest": False})

    def __post_init__(self) -> None:
        where = f"{self.source} -> {self.target}: delay"
        object.__setattr__(self, "delay", Whole(what="steps")(self.delay, where, GraphError))


def synapses(connection: Connection) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """The connection written out: source, target, weight and extra delay of every synapse whose weight is not zero.

    Windows of an overlapping pool that meet in one pair give one synapse with the sum of the weights. Sorted by source,
    then target, then delay. Large for a convolution: meant for checks and for the general fallback.
    """
    if isinstance(connection, Dense):
        source, target = np.nonzero(connection.weight.T)
        weight, delay = connection.weight[target, source], np.zeros(source.size, np.int64)
    elif isinstance(connection, Sparse):
        source = np.repeat(np.arange(connection.sources), np.diff(connection.start))
        target, weight, delay = connection.target, connection.weight, connection.delay
        live = weight != 0
        source, target, weight, delay = source[live], target[live], weight[live], delay[live]
    else:
        source, target, weight = _conv_synapses(connection)
        delay = np.zeros(source.size, np.int64)
    if _rising(source, target, delay):  # nearly always, and looking takes a tenth of sorting
        return source, target, weight, delay
    order = np.lexsort((delay, target, source))
    return source[order], target[order], weight[order], delay[order]


def _rising(*keys: NDArray[np.int64]) -> bool:
    """Whether rows stand in the order of their first key, equals in that of the next, and so on."""
    above, alike = np.zeros(max(0, keys[0].size - 1), bool), True
    for key in keys:
        step = np.diff(key)
        above |= alike & (step > 0)
        alike = alike & (step == 0)
    return bool((above | alike).all())


def _conv_synapses(conv: Conv) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """A convolution as single synapses, by walking every (target pixel, kernel tap, pool tap)."""
    (_, h, w), (c_out, oh, ow) = conv.in_shape, conv.out_shape
    _, ph, pw = conv.pooled_shape
    per_out, per_in = c_out // conv.groups, conv.weight.shape[1]
    size, stride, pad = ((1, 1), (1, 1), (0, 0)) if conv.pool is None else (
        conv.pool.size, conv.pool.stride, conv.pool.padding)
    oc, ic, ky, kx = (a.ravel() for a in np.indices(conv.weight.shape))
    value = conv.weight.ravel()
    keep = value != 0
    oc, ic, ky, kx, value = oc[keep], ic[keep] + (oc[keep] // per_out) * per_in, ky[keep], kx[keep], value[keep]
    sources, targets, weights = [], [], []
    for y in range(oh):
        for x in range(ow):
            py = y * conv.stride[0] + ky * conv.dilation[0] - conv.padding[0]
            px = x * conv.stride[1] + kx * conv.dilation[1] - conv.padding[1]
            inside = (py >= 0) & (py < ph) & (px >= 0) & (px < pw)
            for dy in range(size[0]):
                for dx in range(size[1]):
                    sy, sx = py * stride[0] + dy - pad[0], px * stride[1] + dx - pad[1]
                    ok = inside & (sy >= 0) & (sy < h) & (sx >= 0) & (sx < w)
                    sources.append((ic[ok] * h + sy[ok]) * w + sx[ok])
                    targets.append((oc[ok] * oh + y) * ow + x)
                    weights.append(value[ok])
    return _merge(np.concatenate(sources), np.concatenate(targets), np.concatenate(weights), conv.targets)


def _merge(
    source: NDArray[np.int64], target: NDArray[np.int64], weight: NDArray[Any], targets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Sum the weights of equal (source, target) pairs and drop pairs that cancel."""
    pair, where = np.unique(source * targets + target, return_inverse=True)
    exact = np.int64 if np.issubdtype(weight.dtype, np.integer) else np.float64
    total = np.zeros(pair.size, exact)
    np.add.at(total, where, weight)
    live = total != 0
    return pair[live] // targets, pair[live] % targets, total[live]
