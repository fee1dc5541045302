"""Synapse rows of all cores, brought together by source."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..mapping import CoreImage, Regions, row_places, spread, unpack_block_words, unpack_words

HEADER = 6  # half-words of a row of the published form


class Rows(NamedTuple):
    """What a packet of each source adds: start[s]..end[s], by core; sources and targets are places of neurons."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    target: NDArray[np.int32]
    weight: NDArray[np.int8]
    delay: NDArray[np.uint8]


class Arriving(NamedTuple):
    """What reaches a core: int64, place of each source and its key."""

    source: NDArray[np.int64]
    key: NDArray[np.int64]


def gathered(
    cores: tuple[CoreImage, ...], parts: list[Regions], first: NDArray[np.int64], arriving: list[Arriving],
    place: NDArray[np.int64],
) -> Rows:
    """The rows that packets of every source find in the cores that they reach. Counted first, then filled in, so that
    each synapse is held once.

    Raises
    ------
    ImageError
        where a row cannot be read.
    """
    from . import row_kernels

    heard = [i for i, r in enumerate(parts) if r.table.size and arriving[i].key.size]
    room = np.zeros(int(first[-1]), np.int64)
    for i in heard:
        which, begin, end, _ = _found(cores, i, parts[i], arriving[i].key)
        np.add.at(room, arriving[i].source[which], end - begin)
    start = np.cumsum(room) - room
    size = int(room.sum())
    found = Rows(start, start.copy(), np.empty(size, np.int32), np.empty(size, np.int8), np.empty(size, np.uint8))
    for i in heard:
        which, begin, end, words = _found(cores, i, parts[i], arriving[i].key)
        row, at = spread(begin, end - begin)
        target, weight, delay = _unpacked(parts[i], words[at])
        live = (weight != 0) | (target != 0) | (delay != 0)  # the rest is padding
        _refuse(cores, i, parts[i], target, delay)
        row_kernels.place(
            found.end, arriving[i].source[which], np.bincount(row[live], minlength=which.size),
            place[target[live] + first[i]], weight[live], delay[live], found.target, found.weight, found.delay,
        )
    return found


def _found(
    cores: tuple[CoreImage, ...], i: int, r: Regions, keys: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Which of the keys find rows in a core, where these begin and end, and the words that they are of."""
    where = f"core {cores[i].chip} PE {cores[i].pe}"
    if r.descriptor.word.by_slice:
        places = row_places(r.descriptor.word, r.table, r.rows, cores[i].dram)
        if isinstance(places, str):
            raise ImageError(f"{where}: {places}")
        key, begin, end, words = places
    else:
        words = r.rows.view("<u2")
        key, count, offset = (r.table[name].astype(np.int64) for name in ("key", "count", "offset"))
        begin = offset // 2 + HEADER
        end = begin + count
        if (end > words.size).any() or (offset % 4).any():
            raise ImageError(f"{where}: a row lies outside the core's rows")
    order = np.argsort(key, kind="stable")
    at = order[np.minimum(np.searchsorted(key, keys, sorter=order), key.size - 1)]
    which = np.flatnonzero(key[at] == keys)
    at = at[which]
    return which, begin[at], end[at], words


def _unpacked(r: Regions, words: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Target, weight and delay of words."""
    if r.descriptor.word.by_slice:
        return unpack_block_words(r.descriptor.word, words)
    weight, delay, target = unpack_words(words, r.descriptor.delay_word)
    return target, weight, delay


def _refuse(
    cores: tuple[CoreImage, ...], i: int, r: Regions, target: NDArray[np.int64], delay: NDArray[np.int64]
) -> None:
    where = f"core {cores[i].chip} PE {cores[i].pe}"
    if target.size and target.max() >= r.descriptor.neurons:
        raise ImageError(f"{where}: a row names a neuron that is not there")
    if delay.size and delay.max() >= r.descriptor.ring:
        raise ImageError(f"{where}: a synapse waits longer than its ring of {r.descriptor.ring} slots")
