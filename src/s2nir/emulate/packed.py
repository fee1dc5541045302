"""Synapses as the kernel reads them: what belongs together lies together, and is as narrow as it can be.

A run is two words of 64 bits, so that one line of the cache holds four; single synapses of one source and delay whose
targets lie within 65,536 of each other are a bunch, with 16 bits for a target.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .segments import Synapses

LENGTH_AT, DELAY_AT = 32, 56  # of the second word; below is the first target
NEAR = 1 << 16  # targets of a bunch
MOST = 1 << 24  # targets of a run, synapses of a bunch


class Packed(NamedTuple):
    """start, runs : runs of each source, two words each: place of its weights; first target, length, delay
    bunch, bunches : bunches of each source, two words each: place of its synapses; the target they count from, how
        many, delay
    near, alone : uint16 and int8, target and weight of each synapse of a bunch
    """

    start: NDArray[np.int64]
    runs: NDArray[np.int64]
    weights: NDArray[np.int8]
    bunch: NDArray[np.int64]
    bunches: NDArray[np.int64]
    near: NDArray[np.uint16]
    alone: NDArray[np.int8]
    fours: bool


def pack(y: Synapses) -> Packed:
    """The same synapses; weights are the same arrays."""
    from . import row_kernels

    if y.length.max(initial=0) >= MOST:
        raise ValueError(f"a run of {int(y.length.max())} targets, a word holds {MOST - 1}")
    runs = np.empty((y.length.size, 2), np.int64)
    runs[:, 0] = y.weight
    runs[:, 1] = y.target
    runs[:, 1] |= y.length.astype(np.int64) << LENGTH_AT | y.delay.astype(np.int64) << DELAY_AT
    bunch = np.zeros(y.one.size, np.int64)
    row_kernels.bunches(y.one, y.one_target, y.one_delay, bunch, np.empty(0, np.int64), np.empty(0, np.uint16), False)
    bunch = np.cumsum(bunch)
    found, near = np.empty(2 * int(bunch[-1]), np.int64), np.empty(y.one_target.size, np.uint16)
    row_kernels.bunches(y.one, y.one_target, y.one_delay, bunch.copy(), found, near, True)
    return Packed(y.start, runs.ravel(), y.weights, bunch, found, near, y.one_weight, y.fours)
