"""The loops of the emulator, compiled; arrays in, arrays out, and nothing but arithmetic.

Each operation rounds by itself: numba contracts no multiply-add without fastmath. docs/arithmetic.md is the order of
the operations; `reference.py` is the oracle. Loops stay short and take few arrays, so that LLVM's checks for overlap
stay few, and take slices, because an index that could be below zero keeps a loop scalar (0.6 against 0.1 ns a neuron);
lengths come at run time, because a constant trip count is unrolled and slower. What is most of the work, the rows of
synapses (deliver_kernels.py) and the steps of plain neurons, is written as vectors (vectors.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .deliver_kernels import deliver
from .draw_kernels import LANES, draw
from .vectors import FLAGS, WIDTH, bare, flags, membranes, trailing_zeros, wait

BESIDE = "f74c55454db6e2ae"  # digest of the files whose helpers are called: numba's cache sees edits of this file alone
RELAY, FAST, FAST_CURRENT = 0, 1, 2
SPIKING, RESETS, LATE, CURRENT_BASED = 1, 6, 8, 32
SUBTRACT, TO_VALUE = 2, 4
THRESHOLD = 2  # of Groups.alike: the threshold too
INT32_MAX, INT32_MIN = 2147483647, -2147483648


class State(NamedTuple):
    """What changes from tick to tick, by neuron; `slot` is (slots * neurons), int16 where all fits it, or int32."""

    v: NDArray[Any]
    i: NDArray[Any]
    slot: NDArray[Any]
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
def step_fast(v: Any, decay: Any, slot: Any, offset: Any, threshold: Any, fired: Any) -> None:
    for n in range(v.size):
        x = decay[n] * v[n]
        x = x + np.float32(slot[n])
        x = x + offset[n]
        slot[n] = 0
        v[n] = x
        fired[n] = x >= threshold[n]


@njit(inline="never", cache=True, nogil=True)
def step_vectors(v: Any, decay: Any, slot: Any, offset: Any, threshold: Any, fired: Any, still: bool) -> None:
    """As `step_fast`, of whole vectors; decay, offset and threshold are arrays or what neurons share."""
    for n in range(0, v.size, WIDTH):
        membranes(v, slot, fired, n, decay, offset, threshold, still)


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
    for k in range(g.first.size):
        a, b = g.first[k], g.end[k]
        slot = s.slot[at + a : at + b]
        if g.kind[k] == RELAY:
            continue
        if tick < g.onset[k]:
            slot[:] = 0
        elif g.kind[k] == FAST and g.holds[k]:
            step_held(s.v[a:b], p.decay[a:b], slot, p.offset[a:b], p.threshold[a:b], s.fired[a:b], s.held[a:b])
            slot[:] = 0
        elif g.kind[k] == FAST:
            if g.alike[k] and 0 <= p.decay[a] <= 1:
                end = a + (b - a) // WIDTH * WIDTH
                v, fired, decay, offset, level = s.v[a:end], s.fired[a:end], p.decay[a], p.offset[a], p.threshold[a]
                if g.alike[k] == THRESHOLD:
                    step_vectors(v, decay, slot, offset, level, fired, offset == 0 and level > 0)
                else:
                    step_vectors(v, decay, slot, offset, p.threshold[a:end], fired, False)
                a, slot = end, slot[end - a :]
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
def collect(fired: Any, source: Any, lo: int) -> int:
    """The neurons from `lo` on that fired, in order, and clear their flags; `fired` is whole vectors of them."""
    found = 0
    for at in range(0, fired.size, FLAGS):
        word = flags(fired, at)
        if word:
            fired[at : at + FLAGS] = 0
        while word:
            source[found] = lo + at + trailing_zeros(word)
            found += 1
            word &= word - np.uint64(1)
    return found


@njit(cache=True, nogil=True)
def reset(p: Any, s: Any, fixed: Any, source: Any, begin: int, end: int) -> None:
    """Reset at once those of the neurons that fired, `begin` to `end` of `source`, whose contract it is."""
    for k in range(begin, end):
        n = source[k]
        flags = p.flags[n]
        if flags & LATE:
            continue
        s.held[n] = flags >> 8
        if flags & RESETS == SUBTRACT:
            if fixed is None:
                s.v[n] = s.v[n] - p.subtract[n]
            else:
                s.v[n] = hold(np.int64(s.v[n]) - p.subtract[n], s.saturated, n)
        elif flags & RESETS == TO_VALUE:
            s.v[n] = p.v_reset[n]


@njit(cache=True, nogil=True)
def relay(g: Any, s: Any, at: int, source: Any, number: Any) -> int:
    """What relays took in and pass on."""
    found = 0
    for k in range(g.first.size):
        if g.kind[k] == RELAY:
            for n in range(g.first[k], g.end[k]):
                if s.slot[at + n]:
                    source[found] = n
                    number[found] = s.slot[at + n]
                    s.slot[at + n] = 0
                    found += 1
    return found


@njit(cache=True, nogil=True)
def packets(counts: Any, index: Any) -> tuple[Any, Any, Any]:
    """Where counts (steps, sources) are not 0: start of each step, number of the source by `index`, how many."""
    steps, wide = counts.shape
    flat, whole = counts.ravel(), wide // FLAGS * FLAGS
    start, source, number = np.zeros(steps + 1, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    found = 0
    for step in range(steps):
        if found + wide > source.size:
            source, number = np.append(source, np.empty(found + wide, np.int64)), np.append(
                number, np.empty(found + wide, np.int64))
        row = flat[step * wide : (step + 1) * wide]
        for at in range(0, whole, FLAGS):
            word = flags(row, at)
            while word:
                k = at + trailing_zeros(word)
                source[found], number[found] = index[k], row[k]
                found += 1
                word &= word - np.uint64(1)
        for k in range(whole, wide):
            if row[k]:
                source[found], number[found] = index[k], row[k]
                found += 1
        start[step + 1] = found
    return start, source[:found].copy(), number[:found].copy()


@njit(cache=True, nogil=True)
def send(out: Any, part: Any, tick: int, kept: int, spikes: int, relayed: int) -> int:
    """Write what a part sent to the output: all spikes in the order of their neurons, then all relayed packets.

    Returns what is kept then. Parts meet to learn how much the others have.
    """
    before, total, passed, all_passed = 0, spikes, 0, relayed
    if part.many > 1:
        row = 16 + (tick & 1) * 2 * part.many
        part.meet[row + 2 * part.me], part.meet[row + 2 * part.me + 1] = spikes, relayed
        wait(part.meet, part.many)
        total, all_passed = 0, 0
        for k in range(part.many):
            if k == part.me:
                before, passed = total, all_passed
            total += part.meet[row + 2 * k]
            all_passed += part.meet[row + 2 * k + 1]
    for k in range(spikes):
        out.tick[kept + before + k] = tick
        out.source[kept + before + k] = part.fired[k]
        out.number[kept + before + k] = 1
    for k in range(relayed):
        out.tick[kept + total + passed + k] = tick
        out.source[kept + total + passed + k] = part.source[k]
        out.number[kept + total + passed + k] = part.number[k]
    return kept + total + all_passed


@njit(cache=True, nogil=True)
def run_ticks(
    p: Any, g: Any, y: Any, d: Any, s: Any, given: Any, out: Any, fixed: Any, size: int, slots: int, tick: int,
    ticks: int, kept: int, ahead: int, noise: int, part: Any,
) -> tuple[int, int]:
    """Ticks from `tick` on, until `ticks` or until the output has no room; returns the next tick and what is kept.

    `fixed` is None for float32, so that each format compiles without the other's branch; `ahead` and `noise` are what
    Poisson drives count steps and draws from; `part` says which neurons are run (parts.py), and g, y, d are theirs.
    """
    p, g, y, d, s, given, out, part = bare((p, g, y, d, s, given, out, part))
    words, drives = np.empty((4, LANES), np.uint32), d.onset.size
    base, slot = np.empty(slots, np.int64), s.slot
    start, blocks, weights, bunch, bunches, near, alone, fours = y
    sent, number, comes, many, watch = out.source, out.number, given.source, given.number, part.watch
    fired = s.fired[part.lo : part.lo + (part.hi - part.lo + FLAGS - 1) // FLAGS * FLAGS]
    begin = kept  # of the spikes of the tick before
    while begin > 0 and out.tick[begin - 1] == tick - 1:
        begin -= 1
    while tick < ticks:
        if kept + size > out.tick.size:
            break
        at = tick % slots * size
        for delayed in range(slots):
            base[delayed] = (tick + 1 + delayed) % slots * size
        if drives:
            draw(d, slot[at : at + size], tick, ahead, noise, words)
        if fixed is None:
            step_float(p, g, s, tick, at)
            late_float(p, s, out, begin, kept, part.lo, part.hi)
        else:
            step_fixed(p, g, s, tick, at)
        if out.compared.shape[0]:
            for k in watch:
                out.compared[tick, k] = s.v[out.watch[k]]
        spikes = collect(fired, part.fired, part.lo)
        reset(p, s, fixed, part.fired, 0, spikes)
        relayed = relay(g, s, at, part.source, part.number)
        begin, kept = kept, send(out, part, tick, kept, spikes, relayed)
        for k in watch:
            out.v[tick, k] = s.v[out.watch[k]]
        if part.many > 1:
            wait(part.meet, part.many)
        deliver(start, blocks, weights, bunch, bunches, near, alone, fours, slot, base, sent, number, begin, kept)
        deliver(start, blocks, weights, bunch, bunches, near, alone, fours, slot, base, comes, many, given.start[tick],
                given.start[tick + 1])
        tick += 1
    return tick, kept
