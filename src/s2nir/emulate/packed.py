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
FEW, SHORT = 4, 32  # places that rows of one length begin at, for their sums to be kept; targets that such a row has
MOST = 1 << 24  # targets of a run, runs of a block, synapses of a bunch


class Packed(NamedTuple):
    """start, blocks : blocks of each source, four words each: place of the first run's weights; its first target, its
        length, and the delay; targets to the next run; how many runs, and weights to the next
    bunch, bunches : bunches of each source, two words each: place of its synapses; the target they count from, how
        many, delay
    near, alone : uint16 and int8, target and weight of each synapse of a bunch
    rows : of each source that has one block at most, and nothing else, a word of where its first weight is, the form of
        its row, and its first target; 0 where that is not so
    forms : delay, length, targets to the next run, weights to the next, how many runs, and the first target, where all
        share it, or -1, of each form
    """

    start: NDArray[np.int64]
    blocks: NDArray[np.int64]
    weights: NDArray[np.int8]
    bunch: NDArray[np.int64]
    bunches: NDArray[np.int64]
    near: NDArray[np.uint16]
    alone: NDArray[np.int8]
    fours: bool
    rows: NDArray[np.int64]
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
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The forms that most sources have. Long rows are among them only where they have their targets in common: of
    others, several are added in one pass."""
    from .deliver_kernels import (
        DELAY_AT,
        DOWN_AT,
        FIRST,
        FORM_AT,
        FORMS,
        LENGTH,
        LENGTH_AT,
        LONG,
        ONE,
        PLACE_AT,
        RUNS,
        TARGET,
    )

    words = np.zeros(start.size - 1, np.int64)
    source = np.flatnonzero((np.diff(start) <= 1) & (np.diff(bunch) == 0))
    weight, second, across, fourth = np.where(
        start[source] < start[source + 1], np.append(blocks, [0] * 4).reshape(-1, 4)[start[source]].T, 0)
    length, delay = second >> LENGTH_AT & LENGTH, second >> DELAY_AT & 255
    target = _shared(delay, np.where(fourth == ONE, length, 0), second & TARGET)
    some = (length < LONG) | (fourth != ONE) | (target >= 0)
    some &= (weight < 1 << 63 - PLACE_AT) & (second & TARGET <= FIRST)
    source, word = source[some], (weight << PLACE_AT | second & TARGET)[some]
    columns = [c[some] for c in (delay, length, across, fourth >> DOWN_AT, fourth & RUNS, target)]
    order = np.lexsort(columns)
    found = np.stack(columns, axis=1)[order]
    begin = np.flatnonzero(np.concatenate([[True], (found[1:] != found[:-1]).any(axis=1)])[: order.size])
    many = np.diff(np.append(begin, order.size))
    kept = np.sort(np.argsort(-many, kind="stable")[: FORMS - 1])
    if not found[begin[kept], 4].any():
        kept = kept[:0]  # what has no rows is no reason to look at forms
    form = np.zeros(begin.size, np.int64)
    form[kept] = 1 + np.arange(kept.size)
    form = np.repeat(form, many)
    words[source[order]] = np.where(form > 0, word[order] | form << FORM_AT, 0)
    return words, np.concatenate([np.zeros((1, 6), np.int64), found[begin[kept]]])


def _shared(delay: NDArray[np.int64], length: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.int64]:
    """The target of each run, where runs of its delay and length begin at `FEW` targets at most, and -1 elsewhere."""
    found = np.full(target.size, -1, np.int64)
    alike, number = np.unique(np.stack([delay, length], axis=1), axis=0, return_inverse=True)
    both = np.unique(np.stack([number, target], axis=1), axis=0)
    few = (np.bincount(both[:, 0], minlength=len(alike)) <= FEW) & (alike[:, 1] >= SHORT)
    found[few[number]] = target[few[number]]
    return found
