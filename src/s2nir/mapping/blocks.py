"""Rows found by source slice: the compact and the DRAM form, ours. One table entry for each source slice.

A table entry holds the slice's first key, where its part of the rows region begins, and how many keys it has (n).

- compact: n + 1 places of 16 bits, counted in words from the first word on, then words of 16 bits, int8 weight in the
  upper byte, target in the lower; each of the two padded to 4 bytes.
- dram: n + 1 places of 32 bits, in words of the core's DRAM; there words of 32 bits, int8 weight, 8 bits of delay, 16
  bits of target from the upper to the lower, each row padded with zeros to 16 bytes, which DMA moves at once.
- dram, with places there too: the rows region is empty, and each slice's places, padded alike, stand in DRAM ahead of
  its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..machine import Word
from .layout import TABLE_ENTRY

BURST = 4  # words of DRAM that rows are padded to


class Parts(NamedTuple):
    """table : TABLE_ENTRY (source slices); rows, dram : uint8"""

    table: NDArray[Any]
    rows: NDArray[np.uint8]
    dram: NDArray[np.uint8]


class Found(NamedTuple):
    """Synapses as they stand: key, target, weight, delay by synapse; those of padding are left out."""

    key: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.int64]
    delay: NDArray[np.int64]


def write(
    word: Word, key: NDArray[np.int64], target: NDArray[np.int64], weight: NDArray[np.int64],
    delay: NDArray[np.int64], base: NDArray[np.int64], size: NDArray[np.int64], far: bool = False,
) -> Parts:
    """Rows of one core.

    key, target, weight, delay : int64, per synapse; base, size : first key and neurons of every source slice, by key
    far : whether places stand in DRAM
    """
    order = key.astype(np.uint64) << np.uint64(32)  # and target, delay, weight behind it: numbers are sorted fast
    order |= (target << 16 | delay << 8 | weight & 0xFF).astype(np.uint64)
    order.sort()
    key, low = (order >> np.uint64(32)).astype(np.int64), order.astype("<u4")
    block = np.searchsorted(base, key, side="right") - 1
    if word is Word.COMPACT:
        words = ((low & 0xFF) << 8 | low >> 16).astype("<u2")
    else:
        words = (low & 0xFF) << 24 | (low & 0xFF00) << 8 | low >> 16
    heard = np.unique(block)
    table, at, parts, rows = np.zeros(heard.size, TABLE_ENTRY), 0, [np.zeros(0, np.uint8)], [np.zeros(0, "<u4")]
    held = 0  # words of DRAM so far
    for i, b in enumerate(heard.tolist()):
        mine = slice(*np.searchsorted(block, [b, b + 1]))
        count = np.bincount(key[mine] - base[b], minlength=size[b])
        table[i] = base[b], at, size[b]
        if word is Word.COMPACT:
            place = np.concatenate([[0], np.cumsum(count)]).astype("<u2")
            part = np.concatenate([_even(place), _even(words[mine])]).view(np.uint8)
        else:
            padded, place = _padded(words[mine], count)
            head = -(-place.size // BURST) * BURST if far else 0
            place = (place + held + head).astype("<u4")
            if far:
                table["offset"][i] = 4 * held
                rows.append(np.append(place, np.zeros(head - place.size, "<u4")))
            part = place[: 0 if far else None].view(np.uint8)
            held += head + padded.size
            rows.append(padded)
        parts.append(part)
        at += part.size
    return Parts(table, np.concatenate(parts), np.concatenate(rows).view(np.uint8))


def moved(
    word: Word, table: NDArray[Any], rows: NDArray[np.uint8], dram: NDArray[np.uint8], keys: NDArray[np.int64]
) -> Parts:
    """The same rows with other first keys, int64 (source slices): written anew, in the order of the keys."""
    found = read(word, table, rows, dram)
    assert not isinstance(found, str), found
    old, order = table["key"].astype(np.int64), np.argsort(keys)
    at = np.searchsorted(old, found.key, side="right") - 1
    size = table["count"].astype(np.int64)[order]
    return write(word, found.key - old[at] + keys[at], *found[1:], keys[order], size, not rows.size)


def _even(words: NDArray[Any]) -> NDArray[Any]:
    return np.append(words, np.zeros(words.size % 2, words.dtype))


def _padded(words: NDArray[Any], count: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Rows padded to whole bursts, and where each begins, the end last."""
    place = np.concatenate([[0], np.cumsum(-(-count // BURST) * BURST)])
    found = np.zeros(int(place[-1]), "<u4")
    row = np.repeat(np.arange(count.size), count)
    found[place[row] + np.arange(words.size) - (np.cumsum(count) - count)[row]] = words
    return found, place


def places(
    word: Word, table: NDArray[Any], rows: NDArray[np.uint8], dram: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[Any]] | str:
    """Key, begin and end of every row, and the words that they are of; or a sentence on why they cannot be read.

    key, begin, end : int64, in the order of the table and of the keys in it; words : uint16 or uint32
    """
    each, form = (2, "<u2") if word is Word.COMPACT else (4, "<u4")
    words = (rows[: rows.size // each * each] if word is Word.COMPACT else dram).view(form)
    key, offset, n = (table[name].astype(np.int64) for name in ("key", "offset", "count"))
    head = -(-(n + 1) * each // 4) * 4
    held = _places_in(word, rows, dram)
    for bad in np.flatnonzero((offset % 4 != 0) | (offset + head > held.size))[:1]:
        return f"the places of slice {int(key[bad]):#x} lie outside the core's {'DRAM' if held is dram else 'rows'}"
    row = np.repeat(np.arange(n.size), n)
    within = np.arange(row.size) - np.repeat(np.cumsum(n) - n, n)
    place = held[: held.size // each * each].view(form)
    at = offset[row] // each + within
    begin, end = (place[k].astype(np.int64) for k in (at, at + 1))
    for bad in np.flatnonzero(end < begin)[:1]:
        return f"a row of slice {int(key[row[bad]]):#x} lies outside the core's {'rows' if each == 2 else 'DRAM'}"
    if word is Word.COMPACT:
        begin, end = (p + ((offset + head) // each)[row] for p in (begin, end))
    for bad in np.flatnonzero(end > words.size)[:1]:
        return f"a row of slice {int(key[row[bad]]):#x} lies outside the core's {'rows' if each == 2 else 'DRAM'}"
    return key[row] + within, begin, end, words


def _places_in(word: Word, rows: NDArray[np.uint8], dram: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What holds the places: the rows region, or, where that is empty, DRAM."""
    return dram if word is Word.DRAM and not rows.size else rows


def unpacked(word: Word, words: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Target, weight and delay of words; padding is 0 in all three."""
    held = words.astype(np.int64)
    if word is Word.COMPACT:
        return held & 0xFF, _signed(held >> 8), np.zeros_like(held)
    return held & 0xFFFF, _signed(held >> 24), held >> 16 & 0xFF


def spread(begin: NDArray[np.int64], count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranges one behind the other: the range of each place, and the place.

    >>> [a.tolist() for a in spread(np.array([4, 9]), np.array([3, 1]))]
    [[0, 0, 0, 1], [4, 5, 6, 9]]
    """
    of = np.repeat(np.arange(count.size), count)
    return of, begin[of] + np.arange(of.size) - (np.cumsum(count) - count)[of]


def read(word: Word, table: NDArray[Any], rows: NDArray[np.uint8], dram: NDArray[np.uint8]) -> Found | str:
    """Every synapse of a core's rows, or a sentence on why they cannot be read."""
    found = places(word, table, rows, dram)
    if isinstance(found, str):
        return found
    key, begin, end, words = found
    of, at = spread(begin, end - begin)
    target, weight, delay = unpacked(word, words[at])
    live = (weight != 0) | (target != 0) | (delay != 0)
    return Found(key[of][live], target[live], weight[live], delay[live])


def _signed(byte: NDArray[np.int64]) -> NDArray[np.int64]:
    return (byte & 0x7F) - (byte & 0x80)


def check(word: Word, table: NDArray[Any], rows: NDArray[np.uint8], dram: NDArray[np.uint8]) -> Iterator[str]:
    """Every breach of the form, as sentences: parts that follow each other, places that rise, padding of zeros."""
    at = begun = 0
    each = 2 if word is Word.COMPACT else 4
    held = _places_in(word, rows, dram)
    far = held is dram
    keys = table["key"].astype(np.int64)
    if (keys[1:] < (keys + table["count"])[:-1]).any():
        yield "the population table is not in rising order of keys, or its slices overlap"
    for key, offset, n in (tuple(int(v) for v in e) for e in table.tolist()):
        head = -(-(n + 1) * each // 4) * 4 if not far else -(-(n + 1) // BURST) * BURST * 4
        at = 4 * begun if far else at
        if offset != at or offset + head > held.size or n < 1:
            yield f"the part of slice {key:#x} starts at {offset}, expected {at}"
            return
        place = held[offset : offset + head].view("<u2" if each == 2 else "<u4").astype(np.int64)
        if place[n + 1 :].any():
            yield f"the places of slice {key:#x} end in bytes that are not zero"
        place = place[: n + 1]
        at = offset + head
        begun += head // 4 if far else 0
        if word is Word.COMPACT:
            words = rows[at:].view("<u2")
            end = int(place[-1])
            if place[0] or (np.diff(place) < 0).any() or end > words.size or (end % 2 and words[end : end + 1].any()):
                yield f"the rows of slice {key:#x} do not begin at 0, do not rise, leave the rows or end in no zero"
                return
            if (words[:end] >> 8 == 0).any():
                yield f"a row of slice {key:#x} holds a weight of zero"
            at += -(-end // 2) * 4
        else:
            words = dram.view("<u4")
            if place[0] != begun or (np.diff(place) < 0).any() or (place % BURST).any() or place[-1] > words.size:
                yield (f"the rows of slice {key:#x} start at word {int(place[0])} of DRAM, expected {begun}, or do not "
                       "rise")
                return
            begun = int(place[-1])
            empty = words[place[0] : begun].reshape(-1, BURST) >> 24 == 0
            last = np.zeros(len(empty) + 1, bool)  # bursts that end a row
            last[(place[1:] - place[0]) // BURST] = True
            last = last[1:]
            if (empty[:, :-1] > empty[:, 1:]).any() or empty[:, 0].any() or empty[~last].any():
                yield f"a row of slice {key:#x} holds a weight of zero"
            elif (words[place[0] : begun].reshape(-1, BURST)[empty] != 0).any():
                yield f"a row of slice {key:#x} ends in words that are not zero"
    if (not far and at != rows.size) or (word is Word.DRAM and 4 * begun != dram.size):
        yield "bytes of rows that no table entry names"
