"""The loops of the emulator, compiled; arrays in, arrays out, and nothing but arithmetic.

Each operation rounds by itself: numba contracts no multiply-add without fastmath. docs/arithmetic.md is the order of
the operations; `reference.py` is the oracle. What is most of the work stands in files of its own: rows of synapses
(deliver_kernels.py), steps of neurons (step_kernels.py), draws (draw_kernels.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .deliver_kernels import deliver, room
from .draw_kernels import LANES, draw
from .step_kernels import (
    END,
    FIRST,
    KIND,
    LATE,
    RELAY,
    RESET,
    RESETS,
    SUBTRACT,
    TO_VALUE,
    VECTORS,
    WORD,
    hold,
    late_float,
    needed,
    planned,
    step_fixed,
    step_float,
    step_planned,
)
from .vectors import FLAGS, bare, flags, ones, put, take, trailing_zeros, wait

BESIDE = "aa42f5ea58c030ec"  # digest of the files whose helpers are called: numba's cache sees edits of this file alone
AT_ONCE = 4  # neurons that fired of a word, which are listed whether there are so many or not


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
    """Packets of the inputs, sorted by tick: start (ticks + 1), source, number of packets; empty where that is 1."""

    start: NDArray[np.int64]
    source: NDArray[np.int32]
    number: NDArray[np.int32]


class Output(NamedTuple):
    """What is kept: spikes and relayed packets in order, and the membranes of `watch` after each tick.

    number : empty where there are no relays, and all are spikes
    compared : as `v`, ahead of an immediate reset; without rows where it is not asked for
    """

    tick: NDArray[np.int32]
    source: NDArray[np.int32]
    number: NDArray[np.int32]
    watch: NDArray[np.int64]
    v: NDArray[Any]
    compared: NDArray[Any]


@njit(inline="always")
def listed(source: Any, found: Any, first: int, word: Any) -> Any:
    """Write the neurons of the bits of a word; returns where the next one comes. The room is `AT_ONCE` longer."""
    many = ones(word)
    for k in range(AT_ONCE):  # without a look at how many, which no processor foresees
        put(source, found + k, first + trailing_zeros(word))
        word &= word - np.uint64(1)
    k = found + AT_ONCE
    while word:
        put(source, k, first + trailing_zeros(word))
        word &= word - np.uint64(1)
        k += 1
    return found + many


@njit(cache=True, nogil=True)
def collect(plan: Any, fired: Any, bits: Any, source: Any, begin: int, end: int) -> int:
    """The neurons of groups `begin` to `end` that fired, in order."""
    found = 0
    for k in range(begin, end):
        a, b, at = plan[k, FIRST], plan[k, END], plan[k, WORD]
        if plan[k, KIND] == VECTORS:
            for n in range(a, b, FLAGS):
                found = listed(source, found, n, take(bits, at))
                at += 1
        elif plan[k, KIND] != RELAY:
            for n in range(a, b, FLAGS):
                word = flags(fired, n)
                if n + FLAGS > b:  # what comes behind is of others
                    word &= (np.uint64(1) << np.uint64(b - n)) - np.uint64(1)
                found = listed(source, found, n, word)
    return found


@njit(cache=True, nogil=True)
def remember(plan: Any, bits: Any, source: Any, begin: int, end: int) -> None:
    """Set the bits of a tick from the neurons that fired in it."""
    for k in range(plan.shape[0]):
        if plan[k, KIND] == VECTORS and plan[k, RESET]:
            for m in range(begin, end):
                n = source[m] - plan[k, FIRST]
                if 0 <= n < plan[k, END] - plan[k, FIRST]:
                    bits[plan[k, WORD] + n // FLAGS] |= np.uint64(1) << np.uint64(n % FLAGS)


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
def packets(counts: Any, index: Any, held: Any) -> tuple[Any, Any, Any, Any]:
    """Where counts (steps, sources) are not 0: start of each step, number of the source by `index`, how many, which is
    empty where each is 1; and the room that was needed, int32, where `held` was not enough."""
    steps, wide = counts.shape
    flat, start, found, bits = counts.ravel(), np.zeros(steps + 1, np.int64), 0, 0
    for step in range(steps):
        if found + wide + AT_ONCE > held.size:
            held = np.append(held[:found], np.empty(found + 8 * wide + AT_ONCE, np.int32))
        row = flat[step * wide : (step + 1) * wide]
        for at in range(0, wide // FLAGS * FLAGS, FLAGS):
            found = listed(held, found, at, flags(row, at))
        for k in range(wide // FLAGS * FLAGS, wide):
            if row[k]:
                held[found] = k
                found += 1
        for k in range(start[step], found):
            bits |= take(row, take(held, k))
        start[step + 1] = found
    source, number = np.empty(found, np.int32), np.empty(found if bits > 1 else 0, np.int32)
    for k in range(found):
        put(source, k, take(index, take(held, k)))
    for step in range(steps if bits > 1 else 0):
        for k in range(start[step], start[step + 1]):
            number[k] = flat[step * wide + held[k]]
    return start, source, number, held


@njit(cache=True)
def numbered(number: Any, place: Any) -> Any:
    """int32, the number of each place; with the interpreter's lock, as `clear`."""
    found = np.empty(place.size, np.int32)
    for k in range(place.size):
        put(found, k, take(number, take(place, k)))
    return found


@njit(cache=True, nogil=True)
def taken(tick: Any, source: Any, number: Any) -> tuple[Any, Any]:
    """Ticks and places out of the room they are in, places as the numbers there."""
    return tick.copy(), numbered(number, source)


@njit(cache=True)
def clear(s: Any) -> None:
    """The state ahead of the first tick.

    In one call, and with the interpreter's lock held: to give it away and take it back is longer than this is.
    """
    s.v[:] = 0
    s.i[:] = 0
    s.slot[:] = 0
    s.fired[:] = 0
    s.last[:] = 0
    s.held[:] = 0
    s.saturated[:] = 0


@njit(cache=True, nogil=True)
def send(out: Any, part: Any, tick: int, kept: int, spikes: int, relayed: int) -> int:
    """Write what a part sent to the output: all spikes in the order of their neurons, then all relayed packets.

    Returns what is kept then. Parts meet to learn how much the others have; one alone has its spikes there already.
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
        out.source[kept + before : kept + before + spikes] = part.fired[:spikes]
    out.tick[kept + before : kept + before + spikes] = tick
    if out.number.size:
        out.number[kept + before : kept + before + spikes] = 1
    for k in range(relayed):
        out.tick[kept + total + passed + k] = tick
        out.source[kept + total + passed + k] = part.source[k]
        out.number[kept + total + passed + k] = part.number[k]
    return kept + total + all_passed


@njit(cache=True, nogil=True)
def run_ticks(
    p: Any, g: Any, y: Any, d: Any, s: Any, given: Any, out: Any, fixed: Any, size: int, slots: int, tick: int,
    ticks: int, kept: int, ahead: Any, noise: Any, part: Any,
) -> tuple[int, int]:
    """Ticks from `tick` on, until `ticks` or until the output has no room; returns the next tick and what is kept.

    `fixed` is None for float32, so that each format compiles without the other's branch; `ahead` and `noise` are what
    Poisson drives count steps and draws from; `part` says which neurons are run (parts.py), and g, y, d are theirs.
    """
    p, g, d, s, given, out, part = bare((p, g, d, s, given, out, part))
    words, drives = np.empty((4, LANES), np.uint32), d.onset.size
    base, slot, held = np.empty(slots, np.int64), s.slot, room()
    plan, reals, bits = planned(p, g, s)
    sent, number, comes, many, watch = out.source, out.number, given.source, given.number, part.watch
    need, groups = size + AT_ONCE, g.first.size
    steps, late, at_once = needed(p, g)
    begin = kept  # of the spikes of the tick before
    while begin > 0 and out.tick[begin - 1] == tick - 1:
        begin -= 1
    remember(plan, bits, sent, begin, kept)
    while tick < ticks:
        if kept + need > out.tick.size:
            break
        at = tick % slots * size
        for delayed in range(slots):
            base[delayed] = (tick + 1 + delayed) % slots * size
        if drives:
            draw(d, slot[at : at + size], tick, ahead, noise, words)
        if fixed is None:
            step_planned(plan, reals, slot, tick, at, 0, groups)
            if steps:
                step_float(p, g, s, tick, at)
            if late:
                late_float(p, s, out, begin, kept, part.lo, part.hi)
        else:
            step_fixed(p, g, s, tick, at)
        if out.compared.shape[0]:
            for k in watch:
                out.compared[tick, k] = s.v[out.watch[k]]
        listing = part.fired if part.many > 1 else sent[kept:]
        spikes = collect(plan, s.fired, bits, listing, 0, groups)
        if at_once:
            reset(p, s, fixed, listing, 0, spikes)
        relayed = relay(g, s, at, part.source, part.number)
        begin, kept = kept, send(out, part, tick, kept, spikes, relayed)
        for k in watch:
            out.v[tick, k] = s.v[out.watch[k]]
        if part.many > 1:
            wait(part.meet, part.many)
        deliver(y, held, slot, base, sent, number, begin, kept, comes, many, given.start[tick], given.start[tick + 1])
        tick += 1
    return tick, kept


@njit(cache=True, nogil=True)
def run_rounds(
    p: Any, early: Any, steady: Any, y: Any, d: Any, s: Any, given: Any, out: Any, fixed: Any, size: int, slots: int,
    awake: int, noise: Any, ends: Any, saturated: Any, part: Any, k: int, tick: int, kept: int,
) -> tuple[int, int, int]:
    """Rounds one after the other, each from the state ahead of its first tick, until all are done or the output has no
    room; returns the next round and tick, and what is kept.

    given.start : (rounds, ticks + 1); out.v, out.compared : tick by tick, round by round
    early, steady : the groups ahead of tick `awake` and from there on; noise : int64 (rounds)
    ends : int64 (rounds + 1), where in the output each round begins; saturated : int64 (rounds, neurons), of each
    """
    rounds, ticks, ahead = given.start.shape[0], given.start.shape[1] - 1, np.int64(0)  # of the type that a stream has
    while k < rounds:
        a, b, first = k * ticks, (k + 1) * ticks, ends[k]
        its = Input(given.start[k], given.source, given.number)
        mine = Output(out.tick[first:], out.source[first:], out.number[first:], out.watch, out.v[a:b],
                      out.compared[a:b])
        while tick < ticks:
            groups, until = (early, min(awake, ticks)) if tick < awake else (steady, ticks)
            tick, here = run_ticks(p, groups, y, d, s, its, mine, fixed, size, slots, tick, until, kept - first,
                                   ahead, noise[k], part)
            kept = first + here
            if tick < until:
                return k, tick, kept
        saturated[k, part.lo : part.hi] = s.saturated[part.lo : part.hi]
        ends[k + 1], k, tick = kept, k + 1, 0
        if k < rounds:
            clear(s)
    return k, tick, kept
