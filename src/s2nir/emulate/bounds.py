"""What can reach a neuron in one tick, proven from its synapses: where all fits 16 bits, slots have no more.

Sources send one packet in a tick, and inputs as many as they are given; a synapse counts once whatever its delay, as
each slot is of one tick. Half of the bytes is half of the time where slots are read from beyond the first cache.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import Program
from .packed import Packed

INT16_MAX = 32767
_bounds: weakref.WeakKeyDictionary[Program, NDArray[np.int64]] = weakref.WeakKeyDictionary()
_found: weakref.WeakKeyDictionary[Program, dict[int, Any]] = weakref.WeakKeyDictionary()


def accumulator(ready: Program, packed: list[Packed], most: int) -> Any:
    """int16 or int32, for slots where no input source sends more than `most` packets in a tick.

    packed : the synapses into all of the program's neurons, part by part
    """
    if ready.relays:
        return np.int32  # what a relay passes on is not bounded by one
    found = _found.setdefault(ready, {})
    if most not in found:
        if ready not in _bounds:
            _bounds[ready] = _sums(ready, packed)
        others, given = _bounds[ready]
        found[most] = np.int16 if (others + most * given).max(initial=0) <= INT16_MAX else np.int32
    return found[most]


def _sums(ready: Program, packed: list[Packed]) -> NDArray[np.int64]:
    """int64 (2, neurons by place), what other neurons and drives, and what a packet of every input source add at most:
    the larger of what is above 0 and what is below."""
    from . import row_kernels

    inputs = np.zeros(ready.size, np.int64)
    for p in ready.directory:
        if p.kind == "input":
            inputs[ready.place[ready.index[p.name]]] = 1
    found = np.zeros((2, 2, ready.size), np.int64)
    for y in packed:
        row_kernels.sums(*y[:7], inputs, found)
    d = ready.draws
    for k in range(d.onset.size):
        end = d.begin[k + 1] if k + 1 < d.begin.size else d.law.size
        mine = slice(4 * d.first[k], 4 * d.first[k + 1])
        largest = d.weight[mine].astype(np.int64) * int(end - d.begin[k] - 1)  # the law's last word ends it
        np.add.at(found[0, 0], d.place[mine], np.maximum(largest, 0))
        np.add.at(found[0, 1], d.place[mine], np.maximum(-largest, 0))
    return np.asarray(found.max(axis=1))
