"""The loops of the emulator, compiled; arrays in, arrays out, and nothing but arithmetic.

Each operation rounds by itself: numba contracts no multiply-add without fastmath. docs/arithmetic.md is the order of
the operations; `reference.py` is the oracle. Loops stay short and take few arrays, so that LLVM's checks for overlap
stay few, and take slices, because an index that could be below zero keeps a loop scalar (0.6 against 0.1 ns a neuron);
lengths come at run time, because a constant trip count is unrolled and slower.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

RELAY, FAST, FAST_CURRENT = 0, 1, 2
SPIKING, RESETS, LATE, CURRENT_BASED = 1, 6, 8, 32
SUBTRACT, TO_VALUE = 2, 4
INT32_MAX, INT32_MIN = 2147483647, -2147483648


class State(NamedTuple):
    """What changes from tick to tick, by neuron; `slot` is (slots * neurons)."""

    v: NDArray[Any]
    i: NDArray[Any]
    slot: NDArray[np.int32]
    fired: NDArray[np.uint8]
    last: NDArray[np.uint8]
    held: NDArray[np.int32]
    saturated: NDArray[np.int64]


class Input(NamedTuple):
    """Packets of the inputs, sorted by tick: start (ticks + 1), source, number of packets."""

    start: NDArray[np.int64]
    source: NDArray[np.int64]
    number: NDArray[np.int64]


class Output(NamedTuple):
    """What is kept: spikes and relayed packets in order, and the membranes of `watch` after each tick.

    compared : as `v`, ahead of an immediate reset; without rows where it is not asked for
    """

    tick: NDArray[np.int32]
    source: NDArray[np.int32]
    number: NDArray[np.int32]
    watch: NDArray[np.int64]
    v: NDArray[Any]
    compared: NDArray[Any]


@njit(inline="never", cache=True, nogil=True)
def add_row(slot: Any, weights: Any) -> None:
    for k in range(slot.size):
        slot[k] += weights[k]


@njit(inline="never", cache=True, nogil=True)
def add_row_times(slot: Any, weights: Any, count: int) -> None:
    for k in range(slot.size):
        slot[k] += weights[k] * count


@njit(inline="never", cache=True, nogil=True)
def step_fast(v: Any, decay: Any, slot: Any, offset: Any, threshold: Any, fired: Any) -> None:
    for n in range(v.size):
        x = decay[n] * v[n]
        x = x + np.float32(slot[n])
        x = x + offset[n]
        slot[n] = 0
        v[n] = x
        fired[n] = x >= threshold[n]


@njit(inline="never", cache=True, nogil=True)
def step_synapses(i: Any, syn_decay: Any, slot: Any, bias: Any) -> None:
    for n in range(i.size):
        x = syn_decay[n] * i[n]
        x = x + np.float32(slot[n])
        i[n] = x + bias[n]
        slot[n] = 0


@njit(inline="never", cache=True, nogil=True)
def step_current(v: Any, decay: Any, i: Any, offset: Any, threshold: Any, fired: Any) -> None:
    for n in range(v.size):
        x = decay[n] * v[n]
        x = x + i[n]
        x = x + offset[n]
        v[n] = x
        fired[n] = x >= threshold[n]


@njit(inline="never", cache=True, nogil=True)
def generic_float(p: Any, s: Any, at: int, first: int, end: int) -> None:
    """Any neuron: late reset, refractory time, silent ones."""
    for n in range(first, end):
        flags = p.flags[n]
        arriving = np.float32(s.slot[at + n])
        s.slot[at + n] = 0
        if flags & CURRENT_BASED:
            i = p.syn_decay[n] * s.i[n]
            i = i + arriving
            i = i + p.bias[n]
            s.i[n] = i
            arriving = i
        held = s.held[n] > 0
        v = s.v[n]
        if not held:
            v = p.decay[n] * v
            v = v + arriving
            v = v + p.offset[n]
        if flags & LATE and s.last[n]:
            if flags & RESETS == SUBTRACT:
                v = v - p.subtract[n]
            elif flags & RESETS == TO_VALUE:
                v = p.v_reset[n]
        fire = flags & SPIKING and not held and v >= p.threshold[n]
        s.v[n] = v
        s.fired[n] = fire
        s.last[n] = fire
        if held:
            s.held[n] -= 1
        elif fire:
            s.held[n] = flags >> 8


@njit(cache=True, nogil=True)
def step_float(p: Any, g: Any, s: Any, tick: int, at: int) -> None:
    for k in range(g.first.size):
        a, b = g.first[k], g.end[k]
        slot = s.slot[at + a : at + b]
        if g.kind[k] == RELAY:
            continue
        if tick < g.onset[k]:
            slot[:] = 0
        elif g.kind[k] == FAST:
            step_fast(s.v[a:b], p.decay[a:b], slot, p.offset[a:b], p.threshold[a:b], s.fired[a:b])
        elif g.kind[k] == FAST_CURRENT:
            step_synapses(s.i[a:b], p.syn_decay[a:b], slot, p.bias[a:b])
            step_current(s.v[a:b], p.decay[a:b], s.i[a:b], p.offset[a:b], p.threshold[a:b], s.fired[a:b])
        else:
            generic_float(p, s, at, a, b)


@njit(cache=True, nogil=True)
def late_float(p: Any, s: Any, out: Any, begin: int, end: int) -> None:
    """Late resets of fast neurons, ahead of the comparison; `begin` to `end` of `out` is what the last tick sent."""
    for k in range(begin, end):
        n = out.source[k]
        if p.late[n]:
            if p.flags[n] & RESETS == SUBTRACT:
                s.v[n] = s.v[n] - p.subtract[n]
            elif p.flags[n] & RESETS == TO_VALUE:
                s.v[n] = p.v_reset[n]
            s.fired[n] = s.v[n] >= p.threshold[n]


@njit(cache=True, nogil=True)
def multiply_decay(state: Any, decay: Any) -> Any:
    """state * decay / 2**31, rounded half to even."""
    product = state * decay
    down = product >> 31
    rest = product - (down << 31)
    half = 1 << 30
    if rest > half or (rest == half and down & 1):
        down += 1
    return down


@njit(cache=True, nogil=True)
def hold(value: Any, saturated: Any, n: int) -> Any:
    """A value within int32; counts where it was not."""
    if value > INT32_MAX:
        saturated[n] += 1
        return INT32_MAX
    if value < INT32_MIN:
        saturated[n] += 1
        return INT32_MIN
    return value


@njit(cache=True, nogil=True)
def step_fixed(p: Any, g: Any, s: Any, tick: int, at: int) -> None:
    for k in range(g.first.size):
        first, end = g.first[k], g.end[k]
        if g.kind[k] == RELAY:
            continue
        if tick < g.onset[k]:
            s.slot[at + first : at + end] = 0
            continue
        left = g.left[k]
        for n in range(first, end):
            flags = p.flags[n]
            arriving = hold(np.int64(s.slot[at + n]) << left, s.saturated, n)
            s.slot[at + n] = 0
            if flags & CURRENT_BASED:
                i = multiply_decay(np.int64(s.i[n]), p.syn_decay[n])
                i = hold(i + arriving, s.saturated, n)
                i = hold(i + p.bias[n], s.saturated, n)
                s.i[n] = i
                arriving = i
            held = s.held[n] > 0
            v = np.int64(s.v[n])
            if not held:
                v = multiply_decay(v, p.decay[n])
                v = hold(v + arriving, s.saturated, n)
                v = hold(v + p.offset[n], s.saturated, n)
            if flags & LATE and s.last[n]:
                if flags & RESETS == SUBTRACT:
                    v = hold(v - p.subtract[n], s.saturated, n)
                elif flags & RESETS == TO_VALUE:
                    v = p.v_reset[n]
            fire = flags & SPIKING and not held and v >= p.threshold[n]
            s.v[n] = v
            s.fired[n] = fire
            s.last[n] = fire
            if held:
                s.held[n] -= 1
            elif fire:
                s.held[n] = flags >> 8


@njit(cache=True, nogil=True)
def collect(p: Any, s: Any, fixed: Any, source: Any, count: Any) -> int:
    """The neurons that fired, in order, eight flags at a time; resets those that reset at once."""
    found = 0
    words = s.fired.view(np.uint64)
    for w in range(words.size):
        if words[w] == 0:
            continue
        for n in range(8 * w, 8 * w + 8):
            if not s.fired[n]:
                continue
            flags = p.flags[n]
            if not flags & LATE:
                if flags & RESETS == SUBTRACT:
                    if fixed is None:
                        s.v[n] = s.v[n] - p.subtract[n]
                    else:
                        s.v[n] = hold(np.int64(s.v[n]) - p.subtract[n], s.saturated, n)
                elif flags & RESETS == TO_VALUE:
                    s.v[n] = p.v_reset[n]
            s.fired[n] = 0
            source[found] = n
            count[found] = 1
            found += 1
    return found


@njit(cache=True, nogil=True)
def relay(g: Any, s: Any, tick: int, at: int, source: Any, count: Any, found: int) -> int:
    """Packets that relays took in and pass on."""
    for k in range(g.first.size):
        if g.kind[k] == RELAY:
            for n in range(g.first[k], g.end[k]):
                if s.slot[at + n]:
                    source[found] = n
                    count[found] = s.slot[at + n]
                    s.slot[at + n] = 0
                    found += 1
    return found


@njit(cache=True, nogil=True)
def deliver(y: Any, s: Any, base: Any, source: int, count: int) -> None:
    """Add a source's rows to the slots of the ticks in which they act; `base` is where each delay's slot begins."""
    for j in range(y.start[source], y.start[source + 1]):
        at, n = base[y.delay[j]] + y.target[j], y.length[j]
        weights = y.weights[y.weight[j] : y.weight[j] + n]
        if count == 1:
            add_row(s.slot[at : at + n], weights)
        else:
            add_row_times(s.slot[at : at + n], weights, count)
    for j in range(y.one[source], y.one[source + 1]):
        s.slot[base[y.one_delay[j]] + y.one_target[j]] += y.one_weight[j] * count


@njit(cache=True, nogil=True)
def run_ticks(
    p: Any, g: Any, y: Any, s: Any, given: Any, out: Any, fixed: Any, size: int, slots: int, tick: int, ticks: int,
    kept: int,
) -> tuple[int, int]:
    """Ticks from `tick` on, until `ticks` or until the output has no room; returns the next tick and what is kept.

    `fixed` is None for float32, so that each format compiles without the other's branch.
    """
    source, count, base = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(slots, np.int64)
    begin = kept  # of the spikes of the tick before
    while begin > 0 and out.tick[begin - 1] == tick - 1:
        begin -= 1
    while tick < ticks:
        if kept + size > out.tick.size:
            break
        at = tick % slots * size
        for d in range(slots):
            base[d] = (tick + 1 + d) % slots * size
        if fixed is None:
            step_float(p, g, s, tick, at)
            late_float(p, s, out, begin, kept)
        else:
            step_fixed(p, g, s, tick, at)
        if out.compared.shape[0]:
            for k in range(out.watch.size):
                out.compared[tick, k] = s.v[out.watch[k]]
        begin = kept
        found = collect(p, s, fixed, source, count)
        found = relay(g, s, tick, at, source, count, found)
        for k in range(out.watch.size):
            out.v[tick, k] = s.v[out.watch[k]]
        for k in range(found):
            out.tick[kept] = tick
            out.source[kept] = source[k]
            out.number[kept] = count[k]
            kept += 1
            deliver(y, s, base, source[k], count[k])
        for k in range(given.start[tick], given.start[tick + 1]):
            deliver(y, s, base, given.source[k], given.number[k])
        tick += 1
    return tick, kept
