"""Synapses as the kernel reads them: what belongs together lies together, and is as narrow as it can be.

Runs of one length whose targets and weights lie equally far apart, as those of a convolution and of a window do, are a
block, four words of 64 bits; single synapses of one source and delay whose targets lie within 65,536 of each other are
a bunch, with 16 bits for a target.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .segments import Synapses

NEAR = 1 << 16  # targets of a bunch
MOST = 1 << 24  # targets of a run, runs of a block, synapses of a bunch


class Packed(NamedTuple):
    """start, blocks : blocks of each source, four words each: place of the first run's weights; its first target, its
        length, and the delay; targets to the next run; how many runs, and weights to the next
    bunch, bunches : bunches of each source, two words each: place of its synapses; the target they count from, how
        many, delay
    near, alone : uint16 and int8, target and weight of each synapse of a bunch
    form, place : of each source that has one block at most, and nothing else, the form of its row and a word of where
        its first weight and its first target are; form 0 where that is not so
    forms : delay, length, targets to the next run, weights to the next, and how many runs, of each form
    """

    start: NDArray[np.int64]
    blocks: NDArray[np.int64]
    weights: NDArray[np.int8]
    bunch: NDArray[np.int64]
    bunches: NDArray[np.int64]
    near: NDArray[np.uint16]
    alone: NDArray[np.int8]
    fours: bool
    form: NDArray[np.uint8]
    place: NDArray[np.int64]
    forms: NDArray[np.int64]


def pack(y: Synapses) -> Packed:
    """The same synapses; weights are the same arrays."""
    from . import row_kernels

    if y.length.max(initial=0) >= MOST:
        raise ValueError(f"a run of {int(y.length.max())} targets, a word holds {MOST - 1}")
    start = np.zeros_like(y.start)
    row_kernels.blocks(y.start, y.target, y.weight, y.length, y.delay, start, np.empty(0, np.int64), False)
    start = np.cumsum(start)
    blocks = np.empty(4 * int(start[-1]), np.int64)
    row_kernels.blocks(y.start, y.target, y.weight, y.length, y.delay, start, blocks, True)
    bunch = np.zeros(y.one.size, np.int64)
    row_kernels.bunches(y.one, y.one_target, y.one_delay, bunch, np.empty(0, np.int64), np.empty(0, np.uint16), False)
    bunch = np.cumsum(bunch)
    found, near = np.empty(2 * int(bunch[-1]), np.int64), np.empty(y.one_target.size, np.uint16)
    row_kernels.bunches(y.one, y.one_target, y.one_delay, bunch.copy(), found, near, True)
    return Packed(start, blocks, y.weights, bunch, found, near, y.one_weight, y.fours, *_forms(start, blocks, bunch))


def _forms(
    start: NDArray[np.int64], blocks: NDArray[np.int64], bunch: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The forms that most sources have. Long rows are not among them: several are added in one pass."""
    from .deliver_kernels import DELAY_AT, DOWN_AT, FORMS, LENGTH, LENGTH_AT, LONG, ONE, PLACE_AT, RUNS, TARGET

    form, place = np.zeros(start.size - 1, np.uint8), np.zeros(start.size - 1, np.int64)
    source = np.flatnonzero((np.diff(start) <= 1) & (np.diff(bunch) == 0))
    weight, second, across, fourth = np.where(
        start[source] < start[source + 1], np.append(blocks, [0] * 4).reshape(-1, 4)[start[source]].T, 0)
    length = second >> LENGTH_AT & LENGTH
    some = (weight < 1 << 63 - PLACE_AT) & ((length < LONG) | (fourth != ONE))
    place[source] = weight << PLACE_AT | second & TARGET
    source = source[some]
    columns = [c[some] for c in (second >> DELAY_AT & 255, length, across, fourth >> DOWN_AT, fourth & RUNS)]
    order = np.lexsort(columns)
    rows = np.stack(columns, axis=1)[order]
    begin = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)])[: order.size])
    many = np.diff(np.append(begin, order.size))
    kept = np.sort(np.argsort(-many, kind="stable")[: FORMS - 1])
    if not rows[begin[kept], 4].any():
        kept = kept[:0]  # what has no rows is no reason to look at forms
    number = np.zeros(begin.size, np.uint8)
    number[kept] = 1 + np.arange(kept.size)
    form[source[order]] = np.repeat(number, many)
    return form, place, np.concatenate([np.zeros((1, 5), np.int64), rows[begin[kept]]])
