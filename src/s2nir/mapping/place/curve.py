"""Slices along a space-filling curve through the machine: what is near in the network is near on the chips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...arguments import flag, settle
from ...errors import MappingError
from ...machine import SpiNNaker2, Topology
from ..net import Net
from .sequential import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A Hilbert curve over the chips takes the slices, those of one population along a Hilbert curve over its boxes.

    whole : a population that would lie on fewer chips from the next chip on begins there, as long as cores last; then
        more of a chip's packets have the same targets
    """

    whole: bool = False

    def __post_init__(self) -> None:
        settle(self, MappingError, whole=flag)

    def __call__(self, net: Net, machine: SpiNNaker2) -> Places:
        t = machine.topology
        order = along(net)
        core = cores_along(t)
        core = core[_whole(net, order, chip_of(t)[core]) if self.whole else np.arange(order.size)]
        chip, pe = np.empty(core.size, np.int32), np.empty(core.size, np.int16)
        chip[order], pe[order] = chip_of(t)[core], t.pe[core]
        return chip, pe


def _whole(net: Net, order: NDArray[np.int64], chip: NDArray[np.int32]) -> NDArray[np.int64]:
    """Places along the curve for the slices in their order, with gaps; `chip` of every place."""
    member = np.array([net.slices[k].member for k in order])
    size = np.diff(np.flatnonzero(np.concatenate([[True], member[1:] != member[:-1], [True]])))
    begins = np.append(np.flatnonzero(np.diff(chip, prepend=-1)), chip.size)
    number = np.repeat(np.arange(begins.size - 1), np.diff(begins))  # which chip along the curve
    spare, at, found = chip.size - order.size, 0, []
    for n in size.tolist() if member.size else ():
        following = int(begins[number[at] + 1])
        if following - at <= spare and number[following + n - 1] - number[following] < number[at + n - 1] - number[at]:
            spare -= following - at
            at = following
        found.append(np.arange(at, at + n))
        at += n
    return np.concatenate([np.zeros(0, np.int64), *found])


def chip_of(t: Topology) -> NDArray[np.int32]:
    """The chip of every usable core."""
    return np.repeat(np.arange(t.chips, dtype=np.int32), np.diff(t.first))


def cores_along(t: Topology) -> NDArray[np.int64]:
    """Usable cores, chips in the order of the curve."""
    return np.argsort(rank(t)[chip_of(t)], kind="stable")


def rank(t: Topology) -> NDArray[np.int64]:
    """Where each chip stands along the curve."""
    found = np.empty(t.chips, np.int64)
    found[np.argsort(hilbert(t.chip[:, 0], t.chip[:, 1]), kind="stable")] = np.arange(t.chips)
    return found


def along(net: Net) -> NDArray[np.int64]:
    """The slices in an order that keeps neighbours together: populations in turn, each along the curve of its boxes."""
    names: dict[str, int] = {}
    member = np.array([names.setdefault(s.member, len(names)) for s in net.slices])
    box = np.array([(s.y0, s.x0, s.c0) for s in net.slices], np.int64).reshape(-1, 3)
    place = np.zeros(len(net.slices), np.int64)
    for k in range(len(names)):
        mine = np.flatnonzero(member == k)
        y = np.unique(box[mine, 0], return_inverse=True)[1].ravel()
        x = np.unique(box[mine, 1], return_inverse=True)[1].ravel()
        place[mine] = x if not y.any() else y if not x.any() else hilbert(x, y)
    return np.lexsort((box[:, 2], place, member))


def hilbert(x: NDArray[np.integer], y: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where points lie on a Hilbert curve that fills the least square around them.

    >>> hilbert(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0])).tolist()
    [0, 1, 2, 3]
    """
    x, y = np.asarray(x, np.int64).copy(), np.asarray(y, np.int64).copy()
    side = 1 << max(int(max(x.max(initial=0), y.max(initial=0))), 1).bit_length()
    found = np.zeros(x.shape, np.int64)
    s = side // 2
    while s:
        rx, ry = (x & s) > 0, (y & s) > 0
        found += s * s * ((3 * rx) ^ ry)
        flip = ~ry & rx
        x, y = np.where(flip, side - 1 - x, x), np.where(flip, side - 1 - y, y)
        x, y = np.where(ry, x, y), np.where(ry, y, x)
        s //= 2
    return found
