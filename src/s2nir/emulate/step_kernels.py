"""The steps of neurons, compiled.

Loops over arrays stay short and take few of them, so that LLVM's checks for overlap stay few, and take slices, because
an index that could be below zero keeps a loop scalar (0.6 against 0.1 ns a neuron); lengths come at run time, because a
constant trip count is unrolled and slower. Plain neurons are stepped as vectors (neuron_vectors.py), by loops that take
numbers alone: a call with the arrays of a network takes as long as stepping some hundred neurons.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .neuron_vectors import WIDTH, currents, currents_to_value, membranes, still, to_value
from .vectors import FLAGS, load, of, store, where

RELAY, FAST, FAST_CURRENT, GENERIC, VECTORS = 0, 1, 2, 3, 4
SPIKING, RESETS, LATE, CURRENT_BASED = 1, 6, 8, 32
SUBTRACT, TO_VALUE = 2, 4
INT32_MAX, INT32_MIN = 2147483647, -2147483648
# Columns of a plan, of whole and of real numbers.
KIND, FIRST, END, ONSET, V, CURRENT, BITS, WORD, LEVEL, RESET_BY, PERIOD, RESET, ABOVE, IDLE, COLUMNS = range(15)
DECAY, OFFSET, VALUE, SYN_DECAY, BIAS, REALS = range(6)


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
def step_vectors(
    v: int, slot: int, bits: int, many: int, decay: Any, offset: Any, threshold: int, period: int, late: int,
    value: Any, above: Any, idle: int, unit: Any,
) -> None:
    """As `step_fast`, of whole vectors, with late resets; at addresses, so that a call takes numbers alone.

    bits : of the neurons of each vector: those that fired in the tick before, and then those that fire
    threshold : of the first `period` neurons, which repeat; late, value : how they are reset late, and to what
    above : whether they spike above their threshold alone; idle : whether nothing comes of membranes and slots of 0
    unit : as a slot is
    """
    t = 0
    for k in range(many // WIDTH):
        last = load(bits, k, np.uint16(0)) if late else np.uint16(0)
        level = threshold + 4 * t
        if late == TO_VALUE:
            fire = to_value(v, slot, k * WIDTH, decay, offset, level, value, above, last, unit)
        elif idle:
            fire = still(v, slot, k * WIDTH, decay, offset, level, value, above, last, unit)
        else:
            fire = membranes(v, slot, k * WIDTH, decay, offset, level, value, above, last, unit)
        store(bits, k, fire)
        t = t + WIDTH if t + WIDTH < period else 0


@njit(inline="never", cache=True, nogil=True)
def step_currents(
    v: int, i: int, slot: int, bits: int, many: int, decay: Any, syn_decay: Any, offset: Any, bias: Any, threshold: int,
    period: int, late: int, value: Any, above: Any, unit: Any,
) -> None:
    """As `step_vectors`, of neurons with a synaptic current."""
    t = 0
    for k in range(many // WIDTH):
        last = load(bits, k, np.uint16(0)) if late else np.uint16(0)
        at, level = k * WIDTH, threshold + 4 * t
        if late == TO_VALUE:
            fire = currents_to_value(v, i, slot, at, decay, syn_decay, offset, bias, level, value, above, last, unit)
        else:
            fire = currents(v, i, slot, at, decay, syn_decay, offset, bias, level, value, above, last, unit)
        store(bits, k, fire)
        t = t + WIDTH if t + WIDTH < period else 0


@njit(inline="never", cache=True, nogil=True)
def step_rest(
    v: int, i: int, slot: int, bits: int, many: int, decay: Any, syn_decay: Any, offset: Any, bias: Any, threshold: int,
    level: int, late: int, value: Any, unit: Any,
) -> None:
    """As both, of the last neurons that are no whole vector; i : 0 where they have no current; level : address of what
    they are reset by."""
    begin, fire, real = many // WIDTH * WIDTH, 0, np.float32(0)
    last = np.int64(load(bits, begin // WIDTH, np.uint16(0))) if late else 0
    for n in range(begin, many):
        arriving = np.float32(load(slot, n, unit))
        if i:
            current = syn_decay * load(i, n, real)
            current = current + arriving
            arriving = current + bias
            store(i, n, arriving)
        x = decay * load(v, n, real)
        x = x + arriving
        x = x + offset
        store(slot, n, unit)
        if last >> (n - begin) & 1:
            x = value if late == TO_VALUE else x - load(level, n, real)
        store(v, n, x)
        fire |= (x >= load(threshold, n, real)) << (n - begin)
    store(bits, begin // WIDTH, np.uint16(fire))


@njit(cache=True, nogil=True)
def planned(p: Any, g: Any, s: Any) -> tuple[Any, Any, Any]:
    """Groups as loops take them: whole numbers and addresses; real numbers; bits of those of kind VECTORS, whole words
    each. What holds `p` and `s` must outlive them."""
    many = g.first.size
    plan, reals = np.zeros((many, COLUMNS), np.int64), np.zeros((many, REALS), np.float32)
    bits, word = np.zeros((g.end - g.first).sum() // FLAGS + many, np.uint64), 0
    for k in range(many):
        a, row = g.first[k], plan[k]
        row[KIND], row[FIRST], row[END], row[ONSET], row[WORD] = g.kind[k], a, g.end[k], g.onset[k], word
        if g.kind[k] == VECTORS:
            flags = np.int64(p.flags[a])
            row[V], row[BITS], row[LEVEL] = where(s.v, a), where(bits, word), where(p.threshold, a)
            row[RESET_BY], row[PERIOD], row[IDLE] = where(p.subtract, a), g.period[k], g.still[k]
            row[RESET], row[ABOVE] = flags & RESETS if flags & LATE else 0, flags >> 4 & 1
            row[CURRENT] = where(s.i, a) if flags & CURRENT_BASED else 0
            reals[k, DECAY], reals[k, OFFSET], reals[k, VALUE] = p.decay[a], p.offset[a], p.v_reset[a]
            reals[k, SYN_DECAY], reals[k, BIAS] = p.syn_decay[a], p.bias[a]
            word += (g.end[k] - a + FLAGS - 1) // FLAGS
    return plan, reals, bits


@njit(cache=True, nogil=True)
def step_planned(plan: Any, reals: Any, slot: Any, tick: int, at: int, begin: int, end: int) -> None:
    """Groups `begin` to `end` that are of kind VECTORS."""
    for k in range(begin, end):
        row, real = plan[k], reals[k]
        if row[KIND] != VECTORS:
            continue
        if tick < row[ONSET]:
            slot[at + row[FIRST] : at + row[END]] = 0
            continue
        to, many = where(slot, at + row[FIRST]), row[END] - row[FIRST]
        if row[CURRENT]:
            step_currents(row[V], row[CURRENT], to, row[BITS], many, real[DECAY], real[SYN_DECAY], real[OFFSET],
                          real[BIAS], row[LEVEL], row[PERIOD], row[RESET], real[VALUE], np.int32(row[ABOVE]),
                          of(slot, 0))
        else:
            step_vectors(row[V], to, row[BITS], many, real[DECAY], real[OFFSET], row[LEVEL], row[PERIOD], row[RESET],
                         real[VALUE], np.int32(row[ABOVE]), row[IDLE], of(slot, 0))
        if many % WIDTH:
            step_rest(row[V], row[CURRENT], to, row[BITS], many, real[DECAY], real[SYN_DECAY], real[OFFSET], real[BIAS],
                      row[LEVEL], row[RESET_BY], row[RESET], real[VALUE], of(slot, 0))


@njit(inline="never", cache=True, nogil=True)
def step_held(v: Any, decay: Any, arriving: Any, offset: Any, threshold: Any, fired: Any, held: Any) -> None:
    """As `step_fast` and `step_current`, of neurons with a refractory time; `reset` begins it."""
    for n in range(v.size):
        x = decay[n] * v[n]
        x = x + np.float32(arriving[n])
        x = x + offset[n]
        h = held[n]
        v[n] = v[n] if h > 0 else x
        fired[n] = (x >= threshold[n]) & (h <= 0)
        held[n] = h - (h > 0)


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
    """Neurons of all kinds but VECTORS."""
    for k in range(g.first.size):
        a, b = g.first[k], g.end[k]
        slot = s.slot[at + a : at + b]
        if g.kind[k] == RELAY or g.kind[k] == VECTORS:
            continue
        if tick < g.onset[k]:
            slot[:] = 0
        elif g.kind[k] == FAST and g.holds[k]:
            step_held(s.v[a:b], p.decay[a:b], slot, p.offset[a:b], p.threshold[a:b], s.fired[a:b], s.held[a:b])
            slot[:] = 0
        elif g.kind[k] == FAST:
            step_fast(s.v[a:b], p.decay[a:b], slot, p.offset[a:b], p.threshold[a:b], s.fired[a:b])
        elif g.kind[k] == FAST_CURRENT:
            step_synapses(s.i[a:b], p.syn_decay[a:b], slot, p.bias[a:b])
            if g.holds[k]:
                step_held(s.v[a:b], p.decay[a:b], s.i[a:b], p.offset[a:b], p.threshold[a:b], s.fired[a:b], s.held[a:b])
            else:
                step_current(s.v[a:b], p.decay[a:b], s.i[a:b], p.offset[a:b], p.threshold[a:b], s.fired[a:b])
        else:
            generic_float(p, s, at, a, b)


@njit(cache=True, nogil=True)
def late_float(p: Any, s: Any, out: Any, begin: int, end: int, lo: int, hi: int) -> None:
    """Late resets of fast neurons lo..hi, ahead of the comparison; `begin` to `end` of `out` is what was sent last."""
    for k in range(begin, end):
        n = out.source[k]
        if lo <= n < hi and p.late[n]:
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
def needed(p: Any, g: Any) -> tuple[bool, bool, bool]:
    """Whether there is work for `step_float`, for `late_float` and for `reset`."""
    steps = late = now = False
    for k in range(g.first.size):
        if g.kind[k] != RELAY:
            steps |= g.kind[k] != VECTORS
            late |= p.late[g.first[k]] != 0
            now |= g.kind[k] == GENERIC or not p.flags[g.first[k]] & LATE
    return steps, late, now
