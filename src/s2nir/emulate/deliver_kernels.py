"""Rows of synapses, added to the slots of the ticks in which they act, compiled.

A tick's packets are put down by the form of their rows first, so that loops take as many turns for each as for the one
before it: where a processor foresees that wrongly, it waits as long as a short row takes. Sums of whole numbers hang on
no order. A helper that takes arrays is called with a dozen words each, at the cost of a short row: what is done for
every row is put in its place by numba, and what takes arrays out of loops is done for eight rows at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .vectors import (
    add_1,
    add_2,
    add_4,
    add_8,
    add_16,
    add_32,
    add_one,
    ask,
    ask_for,
    bare,
    further,
    load,
    of,
    panel_32,
    panel_64,
    panel_128,
    panel_256,
    rows_32,
    rows_64,
    store,
    take,
    times_1,
    times_8,
    where,
)

TARGET, LENGTH, LENGTH_AT, DELAY_AT = 0xFFFFFFFF, 0xFFFFFF, 32, 56  # of a block's second word (packed.py)
RUNS, DOWN_AT, ONE = 0xFFFFFF, 24, 1  # of its fourth word, and that of a single run
FAR, MOST = 1 << 21, 32  # bytes of rows from which on memory is asked for what comes later; and for how many lines
LONG = 256  # targets that rows must share to be added in one pass
FORMS, ROOM = 32, 512  # forms of rows, 0 of all others; packets that are put down by them at once
AT_ONCE, WHOLE = 256, 4096  # rows whose sums fit 16 bits; targets of a row from which on it is read from end to end
FIRST, FORM_AT, PLACE_AT = 0x7FFFFFF, 27, 32  # of a row's word: its first target, its form, where its weights begin


@njit(cache=True, nogil=True)
def shared(start: Any, blocks: Any, source: Any, count: Any, begin: int, end: int) -> Any:
    """How many sources from `begin` on, 8, 4 or 1, have one long row each, and the targets that these rows share.

    The span is a multiple of 32 long, and at least `LONG` where there are several.
    """
    first = blocks[4 * start[source[begin]] + 1]
    low, high, four_low, four_high = np.int64(0), np.int64(1) << 62, np.int64(0), np.int64(0)
    for m in range(begin, end):
        j = start[source[m]]
        form = blocks[4 * j + 1]
        if start[source[m] + 1] - j != 1 or (count.size and count[m] != 1) or form >> DELAY_AT != first >> DELAY_AT:
            break
        if blocks[4 * j + 3] != ONE:
            break
        low = max(low, ((form & TARGET) + 31) // 32 * 32)  # where a line of the slots' cache begins
        high = min(high, (form & TARGET) + (form >> LENGTH_AT & LENGTH))
        if high - low < LONG:
            break
        if m == begin + 3:
            four_low, four_high = low, high
        elif m == begin + 7:
            return 8, low, low + (high - low) // 32 * 32
    if four_high > 0:
        return 4, four_low, four_low + (four_high - four_low) // 32 * 32
    return 1, np.int64(0), np.int64(0)


@njit(inline="always")
def from_zero(blocks: Any, j: int) -> Any:
    """Where the weights of a single run would begin if its first target were 0."""
    return blocks[4 * j] - (blocks[4 * j + 1] & TARGET)


@njit(inline="always")
def add_run(to: int, row: int, length: int, number: Any) -> None:
    """Add weights of one run to slots, at addresses; number : 1, of a slot's type."""
    n = 0
    while n + 32 <= length:
        add_32(to, row, n, number)
        n += 32
    if length & 16:
        add_16(to, row, n, number)
        n += 16
    if length & 8:
        add_8(to, row, n, number)
        n += 8
    if length & 4:
        add_4(to, row, n, number)
        n += 4
    if length & 2:
        add_2(to, row, n, number)
        n += 2
    if length & 1:
        add_1(to, row, n, number)


@njit(inline="never", cache=True, nogil=True)
def add_block(to: int, row: int, length: int, across: int, down: int, runs: int, number: Any) -> None:
    """Add number * weights of some runs of one length to slots, at addresses, from run to run `across` and `down`.

    number : of a slot's type. Nothing but numbers comes in, so that all of it stays in the processor's registers.
    """
    for _ in range(runs):
        if number == 1:
            add_run(to, row, length, number)
        else:
            n = 0
            while n + 8 <= length:
                times_8(to, row, n, number)
                n += 8
            while n < length:
                times_1(to, row, n, number)
                n += 1
        to, row = further(to, across, number), row + down


@njit(inline="always")
def add_rows_of(
    words: int, many: int, slot: int, weights: int, length: int, across: int, down: int, runs: int, far: bool, one: Any,
    rest: Any,
) -> None:
    """As `add_form`; rest : what is left of a length behind its last 32, where the compiler knows it, or None."""
    for m in range(many):
        if far and m + 2 < many:  # ask for the weights of the packet after the next
            row = weights + (load(words, m + 2, np.int64(0)) >> PLACE_AT)
            for n in range(0, min(length + (runs - 1) * abs(down), 64 * MOST), 64):
                ask_for(row + n)
        row = load(words, m, np.int64(0))
        to, row = further(slot, row & FIRST, one), weights + (row >> PLACE_AT)
        for _ in range(runs):
            if rest is None:
                add_run(to, row, length, one)
            else:
                n = 0
                while n + 32 <= length:
                    add_32(to, row, n, one)
                    n += 32
                if rest & 16:
                    add_16(to, row, n, one)
                if rest & 8:
                    add_8(to, row, n + (rest & 16), one)
            to, row = further(to, across, one), row + down


@njit(inline="never", cache=True, nogil=True)
def add_form(
    words: int, many: int, slot: int, weights: int, length: int, across: int, down: int, runs: int, far: bool, one: Any
) -> None:
    """Add the blocks of some packets whose rows have one form, at addresses: of their words, a slot and the weights."""
    rest = length & 31
    if rest == 0:
        add_rows_of(words, many, slot, weights, length, across, down, runs, far, one, 0)
    elif rest == 8:
        add_rows_of(words, many, slot, weights, length, across, down, runs, far, one, 8)
    elif rest == 16:
        add_rows_of(words, many, slot, weights, length, across, down, runs, far, one, 16)
    elif rest == 24:
        add_rows_of(words, many, slot, weights, length, across, down, runs, far, one, 24)
    else:
        add_rows_of(words, many, slot, weights, length, across, down, runs, far, one, None)


@njit(inline="never", cache=True, nogil=True)
def add_eight(to: int, length: int, rows: Any, one: Any) -> None:
    """Add eight rows to slots in one pass, at addresses; length : a multiple of 32."""
    a, b, c, d, e, f, g, h = rows
    t = 0
    while t + 64 <= length:
        rows_64(further(to, t, one), (a + t, b + t, c + t, d + t, e + t, f + t, g + t, h + t), one)
        t += 64
    if t < length:
        rows_32(further(to, t, one), (a + t, b + t, c + t, d + t, e + t, f + t, g + t, h + t), one)


@njit(inline="always")
def row_at(words: int, k: int, weights: int) -> Any:
    return weights + (load(words, k, np.int64(0)) >> PLACE_AT)


@njit(inline="never", cache=True, nogil=True)
def add_same(words: int, many: int, slot: int, weights: int, length: int, one: Any) -> None:
    """As `add_form`, of single runs that have their targets in common: some targets at a time over all rows, or, as
    memory is read fastest from end to end, all targets of eight long rows."""
    to, k = further(slot, load(words, 0, np.int64(0)) & FIRST, one), 0
    while length >= WHOLE and k + 8 <= many:
        rows = (row_at(words, k, weights), row_at(words, k + 1, weights), row_at(words, k + 2, weights),
                row_at(words, k + 3, weights), row_at(words, k + 4, weights), row_at(words, k + 5, weights),
                row_at(words, k + 6, weights), row_at(words, k + 7, weights))
        whole = length // 32 * 32
        add_eight(to, whole, rows, one)
        for m in range(k, k + 8 if whole < length else k):
            add_run(further(to, whole, one), row_at(words, m, weights) + whole, length - whole, one)
        k += 8
    words, many = words + 8 * k, many - k
    for begin in range(0, many, AT_ONCE):
        some, first, n = min(AT_ONCE, many - begin), words + 8 * begin, 0
        while n + 256 <= length:
            panel_256(first, some, further(to, n, one), weights + n, PLACE_AT, one)
            n += 256
        if length & 128:
            panel_128(first, some, further(to, n, one), weights + n, PLACE_AT, one)
            n += 128
        if length & 64:
            panel_64(first, some, further(to, n, one), weights + n, PLACE_AT, one)
            n += 64
        if length & 32:
            panel_32(first, some, further(to, n, one), weights + n, PLACE_AT, one)
            n += 32
        for m in range(some if n < length else 0):
            add_run(further(to, n, one), row_at(first, m, weights) + n, length - n, one)


@njit(cache=True, nogil=True)
def several(
    start: Any, blocks: Any, weights: Any, slot: Any, at: int, source: Any, count: Any, k: int, end: int
) -> int:
    """Add the runs of 8 or 4 sources from `k` on that have a long one each, what they have in common in one pass, so
    that memory is read from several places at once. Returns how many, 0 where that is not so.

    at : where the slot begins in which the first of them acts
    """
    together, low, high = shared(start, blocks, source, count, k, min(k + 8, end))
    if together == 1:
        return 0
    a, b, c, d = start[source[k]], start[source[k + 1]], start[source[k + 2]], start[source[k + 3]]
    from_ = where(weights, 0)
    wa, wb = from_ + from_zero(blocks, a), from_ + from_zero(blocks, b)
    wc, wd = from_ + from_zero(blocks, c), from_ + from_zero(blocks, d)
    if together == 4:
        for t in range(low, high, 32):
            rows_32(where(slot, at + t), (wa + t, wb + t, wc + t, wd + t), of(slot, 1))
    else:
        a, b, c, d = start[source[k + 4]], start[source[k + 5]], start[source[k + 6]], start[source[k + 7]]
        we, wf = from_ + from_zero(blocks, a), from_ + from_zero(blocks, b)
        wg, wh = from_ + from_zero(blocks, c), from_ + from_zero(blocks, d)
        add_eight(where(slot, at + low), high - low, (wa + low, wb + low, wc + low, wd + low, we + low, wf + low,
                                                      wg + low, wh + low), of(slot, 1))
    for m in range(k, k + together):
        j = take(start, source[m])
        w, form = take(blocks, 4 * j), take(blocks, 4 * j + 1)
        first, last = form & TARGET, (form & TARGET) + (form >> LENGTH_AT & LENGTH)
        add_block(where(slot, at + first), where(weights, w), low - first, 0, 0, 1, of(slot, 1))
        add_block(where(slot, at + high), where(weights, w + high - first), last - high, 0, 0, 1, of(slot, 1))
    return int(together)


@njit(cache=True, nogil=True)
def others(
    start: Any, blocks: Any, weights: Any, bunch: Any, bunches: Any, near: Any, alone: Any, fours: bool, far: bool,
    slot: Any, base: Any, source: Any, count: Any, k: int, end: int,
) -> None:
    """Add the rows of sources `k` to `end`, of any forms."""
    singles = bunches.size > 0
    while k < end:
        if far and k + 6 < end:  # ask for blocks of the fourth source from here, and for weights of the second
            ask(start, source[k + 6])
            j, last = take(start, source[k + 4]), take(start, source[k + 4] + 1)
            for line in range(4 * j, 4 * min(last, j + MOST), 8):
                ask(blocks, line)
            j, last = take(start, source[k + 2]), take(start, source[k + 2] + 1) - 1
            if j <= last:
                w = take(blocks, 4 * j)
                for line in range(w, min(take(blocks, 4 * last), w + 64 * MOST), 64):
                    ask(weights, line)
            if singles:
                ask(bunch, source[k + 6])
                ask(bunches, 2 * take(bunch, source[k + 4]))
                j, last = take(bunch, source[k + 2]), take(bunch, source[k + 2] + 1)
                if j < last:
                    w = take(bunches, 2 * j)
                    last = w + min(take(bunches, 2 * j + 1) >> LENGTH_AT & LENGTH, 64 * MOST)
                    for n in range(w, last, 32):
                        ask(near, n)
                    for n in range(w, last, 64):
                        ask(alone, n)
        done, s = 0, source[k]
        j = take(start, s)
        if fours and k + 4 <= end and take(start, s + 1) - j == 1 and take(blocks, 4 * j + 3) == ONE:
            form = take(blocks, 4 * j + 1)
            if form >> LENGTH_AT & LENGTH >= LONG:
                at = take(base, form >> DELAY_AT & 255)
                done = several(start, blocks, weights, slot, at, source, count, k, end)
        if done == 0:
            done, number = 1, np.int64(count[k]) if count.size else np.int64(1)
            for j in range(take(start, s), take(start, s + 1)):
                w, form, many = take(blocks, 4 * j), take(blocks, 4 * j + 1), take(blocks, 4 * j + 3)
                at = take(base, form >> DELAY_AT & 255) + (form & TARGET)
                add_block(where(slot, at), where(weights, w), form >> LENGTH_AT & LENGTH, take(blocks, 4 * j + 2),
                          many >> DOWN_AT, many & RUNS, of(slot, number))
        for m in range(k, k + done if singles else 0):
            s, number = source[m], np.int64(count[m]) if count.size else np.int64(1)
            for j in range(take(bunch, s), take(bunch, s + 1)):
                w, form = take(bunches, 2 * j), take(bunches, 2 * j + 1)
                to, last = take(base, form >> DELAY_AT & 255) + (form & TARGET), w + (form >> LENGTH_AT & LENGTH)
                if number == 1:
                    for n in range(w, last):
                        add_one(slot, to + take(near, n), take(alone, n))
                else:
                    for n in range(w, last):
                        add_one(slot, to + take(near, n), take(alone, n) * np.int32(number))
        k += done


@njit(cache=True, nogil=True)
def room() -> tuple[Any, Any]:
    """Where `deliver` puts packets down by form, a row for the counts of the others, and how many stand there."""
    return np.empty((FORMS + 1) * ROOM, np.int64), np.zeros(FORMS, np.int64)


@njit(inline="always")
def put_one(held: int, filled: int, row: Any, source: Any, number: Any) -> None:
    """A packet by the form of its source's row; several in one are among the others."""
    f = row >> FORM_AT & FORMS - 1 if number == 1 else np.int64(0)
    at = load(filled, f, f)
    store(held, FORMS * ROOM + load(filled, 0, f), np.int64(number))
    store(held, f * ROOM + at, row if f else np.int64(source))
    store(filled, f, at + 1)


@njit(inline="always")
def put_eight(to: int, rows: int, source: int, form: Any, unit: Any) -> bool:
    """Put the rows of eight sources down where they are all of a form, as those of one population mostly are."""
    other = np.int64(0)
    for k in range(8):
        row = load(rows, load(source, k, unit), np.int64(0))
        store(to, k, row)
        other |= row ^ form << FORM_AT
    return bool(other & (FORMS - 1 << FORM_AT) == 0)


@njit(inline="never", cache=True, nogil=True)
def put_down(held: int, filled: int, rows: int, source: int, count: int, begin: int, end: int, unit: Any) -> None:
    """Packets `begin` to `end` by the forms of their sources' rows, at addresses; count : 0 where each is 1; unit : as
    a source is"""
    k, word, size = begin, np.int64(0), further(0, 1, unit)
    while k < end and count == 0:  # most of the time one after the other has the same form
        s = load(source, k, unit)
        row = load(rows, s, word)
        f = row >> FORM_AT & FORMS - 1
        if f == 0:
            put_one(held, filled, row, s, 1)
            k += 1
            continue
        at = load(filled, f, word)
        to, begin = held + 8 * (f * ROOM + at), k
        while (row >> FORM_AT & FORMS - 1) == f:
            store(to, k - begin, row)
            k += 1
            if k == begin + 16:  # of a long stretch, which most are not
                while k + 8 <= end and put_eight(to + 8 * (k - begin), rows, source + k * size, f, unit):
                    k += 8
            if k == end:
                break
            row = load(rows, load(source, k, unit), word)
        store(filled, f, at + k - begin)
    while k < end:
        s = load(source, k, unit)
        put_one(held, filled, load(rows, s, word), s, load(count, k, np.int32(0)) if count else np.int32(1))
        k += 1


@njit(cache=True, nogil=True)
def deliver(
    y: Any, held: Any, slot: Any, base: Any, source: Any, count: Any, begin: int, end: int, more: Any, number: Any,
    first: int, last: int,
) -> None:
    """Add the rows of sources `begin` to `end`, and of `first` to `last` of `more`, to the slots of the ticks in which
    they act.

    y : Packed; held : of `room()`; base : where each delay's slot begins
    count, number : int32, packets of each source; empty where that is 1
    """
    start, blocks, weights, bunch, bunches, near, alone, fours, rows, forms = bare(y)
    packets, filled, slot, base, source, count, more, number = bare((*held, slot, base, source, count, more, number))
    far = weights.size + 8 * blocks.size + 3 * alone.size > FAR
    if forms.shape[0] == 1:
        others(start, blocks, weights, bunch, bunches, near, alone, fours, far, slot, base, source, count, begin, end)
        others(start, blocks, weights, bunch, bunches, near, alone, fours, far, slot, base, more, number, first, last)
        return
    while begin < end or first < last:
        until = min(end, begin + ROOM)
        put_down(where(packets, 0), where(filled, 0), where(rows, 0), where(source, 0),
                 where(count, 0) if count.size else 0, begin, until, of(source, 0))
        then = min(last, first + ROOM - (until - begin))
        put_down(where(packets, 0), where(filled, 0), where(rows, 0), where(more, 0),
                 where(number, 0) if number.size else 0, first, then, of(more, 0))
        begin, first = until, then
        for f in range(1, forms.shape[0]):
            many = filled[f]
            if many and forms[f, 5] >= 0:
                filled[f] = 0
                add_same(where(packets, f * ROOM), many, where(slot, take(base, forms[f, 0])), where(weights, 0),
                         forms[f, 1], of(slot, 1))
            elif many:
                filled[f] = 0
                add_form(where(packets, f * ROOM), many, where(slot, take(base, forms[f, 0])), where(weights, 0),
                         forms[f, 1], forms[f, 2], forms[f, 3], forms[f, 4], far, of(slot, 1))
        if filled[0]:
            others(start, blocks, weights, bunch, bunches, near, alone, fours, far, slot, base, packets,
                   packets[FORMS * ROOM :], 0, filled[0])
            filled[0] = 0
