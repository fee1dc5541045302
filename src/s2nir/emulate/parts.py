"""A network in parts, for threads that run it together: each has neurons of its own, and all that leads to them.

A thread steps its neurons, writes its spikes where those of the threads before it end, and adds the rows of all spikes
to its own slots. Sums of integers hang on no order, and spikes stand in that of their neurons: the bits are those of
one thread. Twice in a tick the threads wait for each other.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .draws import Draws
from .memory import Groups, Program
from .packed import Packed, pack
from .segments import Synapses

STEP = 64  # neurons whose flags are read together; parts begin at a multiple
SINGLE, EACH = 15.0, 16.0  # costs of a single synapse and of a neuron's step, where a target in a run costs 1


class Share(NamedTuple):
    """A part as the kernel takes it: neurons lo..hi, whose it is of how many, and where the threads meet.

    meet : int64, shared; fired, source, number : int32, room for what the part sends in a tick
    watch : int64, places of its neurons among those whose membranes are kept
    """

    lo: int
    hi: int
    me: int
    many: int
    meet: NDArray[np.int64]
    fired: NDArray[np.int32]
    source: NDArray[np.int32]
    number: NDArray[np.int32]
    watch: NDArray[np.int64]


class Part(NamedTuple):
    """What one thread runs of a program."""

    lo: int
    hi: int
    groups: Groups
    steady: Groups
    synapses: Synapses
    packed: Packed
    draws: Draws


_parts: weakref.WeakKeyDictionary[Program, dict[int, list[Part]]] = weakref.WeakKeyDictionary()


def parts(ready: Program, threads: int) -> list[Part]:
    """The program in parts that cost about the same; kept as long as the program lives."""
    found = _parts.setdefault(ready, {})
    if threads not in found:
        bounds = _bounds(ready, threads)
        found[threads] = [_part(ready, lo, hi) for lo, hi in zip(bounds, bounds[1:], strict=False)]
    return found[threads]


def run_parts(team: list[Part], watch: NDArray[np.int64], call: Any) -> tuple[int, ...]:
    """Run the parts at once, each in a thread: `call(part, share)` is what the kernel gives back, the same for all."""
    from . import kernels

    meet = np.zeros(16 + 4 * len(team), np.int64)
    found: list[Any] = [None] * len(team)

    def run(k: int) -> None:
        part = team[k]
        mine = np.flatnonzero((watch >= part.lo) & (watch < part.hi))
        a, b, c = (np.empty(part.hi - part.lo + kernels.AT_ONCE, np.int32) for _ in range(3))
        found[k] = call(part, Share(part.lo, part.hi, k, len(team), meet, a, b, c, mine))

    others = [threading.Thread(target=run, args=(k,)) for k in range(1, len(team))]
    for t in others:
        t.start()
    run(0)
    for t in others:
        t.join()
    result: tuple[int, ...] = found[0]
    return result


def _part(ready: Program, lo: int, hi: int) -> Part:
    if (lo, hi) == (0, ready.size):
        return Part(lo, hi, ready.groups, ready.steady, ready.synapses, pack(ready.synapses), ready.draws)
    y, groups, steady = _synapses(ready.synapses, lo, hi), _groups(ready.groups, lo, hi), _groups(ready.steady, lo, hi)
    return Part(lo, hi, groups, steady, y, pack(y), _draws(ready.draws, lo, hi))


def _bounds(ready: Program, threads: int) -> list[int]:
    """Where parts begin and end: each costs about the same if all sources send alike."""
    y, size = ready.synapses, ready.size
    change = np.zeros(size + 1)
    np.add.at(change, y.target, 1.0)
    np.add.at(change, y.target.astype(np.int64) + y.length, -1.0)
    total = np.cumsum(np.cumsum(change[:size]) + SINGLE * np.bincount(y.one_target, minlength=size) + EACH)
    cuts = np.searchsorted(total, np.arange(1, threads) * total[-1] / threads) if size else np.zeros(threads - 1)
    inner = ((np.asarray(cuts, np.int64) + STEP // 2) // STEP * STEP).clip(0, size // STEP * STEP).tolist()
    return [0, *inner, size]


def _groups(g: Groups, lo: int, hi: int) -> Groups:
    keep = (g.first < hi) & (g.end > lo)
    held = Groups(*(np.ascontiguousarray(column[keep]) for column in g))
    return held._replace(first=np.maximum(held.first, lo), end=np.minimum(held.end, hi))


def _synapses(y: Synapses, lo: int, hi: int) -> Synapses:
    """Segments and single synapses whose targets are lo..hi; the weights are the same array."""
    from . import deliver_kernels

    begin = np.maximum(y.target.astype(np.int64), lo)
    length = np.minimum(y.target.astype(np.int64) + y.length, hi) - begin
    keep, ones = length > 0, (y.one_target >= lo) & (y.one_target < hi)
    length = length[keep]
    return Synapses(
        start=_kept(y.start, keep), target=begin[keep].astype(np.int32),
        weight=(y.weight + (begin - y.target))[keep], length=length.astype(np.int32), delay=y.delay[keep],
        weights=y.weights, one=_kept(y.one, ones), one_target=y.one_target[ones], one_weight=y.one_weight[ones],
        one_delay=y.one_delay[ones], fours=bool(length.max(initial=0) >= deliver_kernels.LONG),
    )


def _kept(start: NDArray[np.int64], keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where rows begin among those that are kept."""
    return np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])[start]


def _draws(d: Draws, lo: int, hi: int) -> Draws:
    """Blocks that hold a neuron of lo..hi; those of its numbers that others have weigh nothing here."""
    mine = ((d.place >= lo) & (d.place < hi)).reshape(-1, 4)
    some = np.asarray(mine.any(axis=1))
    place, weight = d.place.reshape(-1, 4)[some], d.weight.reshape(-1, 4)[some]
    mine = mine[some]
    return d._replace(
        first=_kept(d.first, some), block=d.block[some], place=np.where(mine, place, lo).astype(np.int32).ravel(),
        weight=np.where(mine, weight, 0).astype(np.int32).ravel(),
    )
