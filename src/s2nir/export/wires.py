"""Connections of an image: lists of synapses as the emulator decodes them, and kernels where a Conv2DProjection says
exactly the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulate import Program
from ..errors import ExportError
from ..mapping import Geometry, MachineImage, PopulationInfo, regions, spread, unpack_geometry
from .network import BoardProjection

MOST = 10_000_000  # synapses of a script: each is a list of four numbers in its Python
Pair = tuple[str, str]


def synapses(image: MachineImage, ready: Program) -> dict[Pair, NDArray[np.int64]]:
    """By (source, target) population, int64 (synapses, 4): source, target, weight, delay, in order.

    Raises
    ------
    ExportError
        where they are too many for a script.
    """
    s = ready.synapses
    total = int(s.length.sum()) + s.one_target.size
    if total > MOST:
        raise ExportError(f"the image has {total} synapses, a script holds up to {MOST} in lists. Export a smaller "
                          "network.", rule="too-many-synapses")
    of, place = spread(s.weight, s.length.astype(np.int64))
    source = np.concatenate([np.repeat(np.arange(ready.size), np.diff(s.start))[of],
                             np.repeat(np.arange(ready.size), np.diff(s.one))])
    target = np.concatenate([s.target[of] + place - s.weight[of], s.one_target]).astype(np.int64)
    weight = np.concatenate([s.weights[place], s.one_weight]).astype(np.int64)
    delay = np.concatenate([s.delay[of], s.one_delay]).astype(np.int64)
    population, local = np.empty(ready.size, np.int64), np.empty(ready.size, np.int64)
    for k, p in enumerate(image.populations):
        population[ready.index[p.name]], local[ready.index[p.name]] = k, np.arange(p.size)
    live = weight != 0
    pair = (population[source] * len(image.populations) + population[target])[live]
    columns = np.stack([local[source], local[target], weight, delay], axis=1)[live]
    order = np.lexsort((*columns.T[::-1], pair))
    pair, columns = pair[order], columns[order]
    edges = np.flatnonzero(np.concatenate([[True], np.diff(pair) > 0, [True]])) if pair.size else np.zeros(1, int)
    names = [p.name for p in image.populations]
    return {
        (names[pair[a] // len(names)], names[pair[a] % len(names)]): columns[a:b]
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    }


def lists(pair: Pair, columns: NDArray[np.int64], sources: int, times: int, onto: int) -> list[BoardProjection]:
    """Projections with every synapse of a list, no pair of neurons twice in one of them.

    sources : of the image's population; times : how often they stand in the board's, one behind the other
    onto : 0, or the neurons of a relay that has as many more, each time of its own
    """
    first, end = np.unique(columns[:, :2], axis=0, return_index=True)[1], len(columns)
    nth = np.arange(end) - np.repeat(first, np.diff(np.append(first, end)))
    found = []
    for k in range(int(nth.max(initial=-1)) + 1):
        some = columns[nth == k]
        whole = [some + np.array([r * sources, r * onto, 0, 0]) for r in range(times)]
        found.append(BoardProjection(pre=pair[0], post=pair[1], connections=np.concatenate(whole)))
    return found


def convolution(
    image: MachineImage, p: PopulationInfo, into: Mapping[Pair, NDArray[np.int64]], times: Mapping[str, int]
) -> BoardProjection | None:
    """The Conv2DProjection that says all that leads into a population; None where there is none.

    It has one source population, one group, no dilation, and steps and pools that are square and whole: of others it is
    not known, or known to be wrong, what a board does. The kernel is put together of those of all cores and written out
    again; only where that gives the synapses of the image is it taken.
    """
    decoded = _kernel(image, p)
    if decoded is None or len(into) != 1:
        return None
    g, kernel = decoded
    ((pre, post), columns) = next(iter(into.items()))
    source = image[pre]
    c_in, height, width = source.view
    pool, stride = g.pool_h, g.stride_y
    square = (g.pool_w, g.pool_stride_y, g.pool_stride_x, g.stride_x) == (pool, pool, pool, stride)
    plain = (g.dilation_y, g.dilation_x, g.pool_pad_y, g.pool_pad_x) == (1, 1, 0, 0)
    if not square or not plain or (g.per_in, g.per_out) != (c_in, p.view[0]) or height % pool or width % pool:
        return None
    below = _below(g.pad_y, height // pool, g.kh, stride, p.view[1])
    right = _below(g.pad_x, width // pool, g.kw, stride, p.view[2])
    if not np.array_equal(_written_out(g, kernel, source.view, p.view), columns):
        return None
    geometry = {
        "in_height": height, "in_width": width, "stride_x": stride, "stride_y": stride, "pool_x": pool, "pool_y": pool,
        "pad_top": g.pad_y, "pad_bottom": below, "pad_left": g.pad_x, "pad_right": right,
    }
    kernel = np.tile(kernel.swapaxes(0, 1), (times[pre], 1, 1, 1))
    return BoardProjection(pre=pre, post=post, kernel=kernel, geometry=geometry)


def _below(pad: int, pixels: int, kernel: int, stride: int, out: int) -> int:
    """Padding below: as much as above where that gives the right size, else as much as is needed."""
    if (pixels + 2 * pad - kernel) // stride + 1 == out:
        return pad
    return max(0, (out - 1) * stride + kernel - pixels - pad)


def _kernel(image: MachineImage, p: PopulationInfo) -> tuple[Geometry, NDArray[np.int8]] | None:
    """Geometry and kernel (out, in, height, width) of a population's cores, where they have one and nothing else.

    A core leaves out taps that meet nothing but padding there, so that a tap is what any core has of it.
    """
    geometry: tuple[int, ...] | None = None
    whole = np.zeros(0, np.int8)
    for i in p.cores:
        r: Any = regions(image.cores[i].memory, image.cores[i].application not in ("spike_list", "relay"))
        if isinstance(r, str) or r.descriptor.table or len(r.geometries) > 1 or (
            geometry is not None and len(r.geometries) and tuple(r.geometries[0].tolist()) != geometry
        ):
            return None
        if not len(r.geometries):
            continue
        g = unpack_geometry(r.geometries[0])
        if geometry is None:
            geometry, whole = tuple(r.geometries[0].tolist()), np.zeros((p.view[0], g.per_in, g.kh, g.kw), np.int8)
        c0, c1 = r.descriptor.box[:2]
        tile = r.kernels[: g.per_in * g.kh * g.kw * (c1 - c0)].reshape(g.per_in, g.kh, g.kw, c1 - c0)
        part = tile.transpose(3, 0, 1, 2)
        whole[c0:c1] = np.where(part != 0, part, whole[c0:c1])
    return None if geometry is None or not whole.any() else (unpack_geometry(np.array(geometry, "<u4")), whole)


def _written_out(
    g: Geometry, kernel: NDArray[np.int8], view: tuple[int, int, int], out: tuple[int, int, int]
) -> NDArray[np.int64]:
    """The synapses of a convolution with a square pool, as `synapses` has them."""
    o, c, ky, kx, ry, rx, oy, ox = np.ix_(
        *(np.arange(n) for n in (out[0], view[0], g.kh, g.kw, g.pool_h, g.pool_h, out[1], out[2]))
    )
    py, px = oy * g.stride_y + ky - g.pad_y, ox * g.stride_x + kx - g.pad_x
    y, x = py * g.pool_h + ry, px * g.pool_h + rx
    seen = (y >= 0) & (y < view[1]) & (x >= 0) & (x < view[2])
    weight = kernel.astype(np.int64)[o, c, ky, kx]
    source = (c * view[1] + y) * view[2] + x
    target = (o * out[1] + oy) * out[2] + ox
    live = seen & (weight != 0)
    columns = np.stack([np.broadcast_to(a, live.shape)[live] for a in (source, target, weight)] + [
        np.zeros(int(live.sum()), np.int64)], axis=1)
    return columns[np.lexsort(columns.T[::-1])]
