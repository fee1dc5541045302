"""Synapses of one core brought into the order of its rows."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def distinct(values: Any, seen: Any) -> Any:
    """The values that occur, once each, as they first come; seen : uint8, zeros, and zeros again after"""
    found = np.empty(values.size, values.dtype)
    n = 0
    for v in values:
        if not seen[v]:
            seen[v] = 1
            found[n] = v
            n += 1
    for i in range(n):
        seen[found[i]] = 0
    return found[:n].copy()


@numba.njit(cache=True, nogil=True)
def sizes(source: Any, count: Any) -> Any:
    """(rows, words with padding) of synapses; count : int32 by source, zeros, and zeros again after"""
    rows = words = 0
    for s in source:
        count[s] += 1
        rows += count[s] == 1
        words += 2 * (count[s] & 1)  # a row grows by two words with each odd synapse
    for s in source:
        count[s] = 0
    return rows, words


@numba.njit(cache=True, nogil=True)
def arrange(source: Any, target: Any, delay: Any, word: Any, key: Any, count: Any, header: Any) -> Any:
    """Rows by key, in each by target and delay, equals in the order they came.

    source : int64, target, delay : int32, word : uint16, per synapse; key : by source; count : int32 by source, zeros,
        and zeros again after; header : words ahead of a row's synapses
    Returns (sources by key, first word of each row, synapses of each, words of all rows).
    """
    mine = np.empty(source.size, np.int64)
    n = 0
    for s in source:
        if count[s] == 0:
            mine[n] = s
            n += 1
        count[s] += 1
    mine = mine[:n]
    keys = np.empty(n, np.int64)
    for i in range(n):
        keys[i] = key[mine[i]]
    mine = mine[np.argsort(keys, kind="mergesort")]
    first, size = np.empty(n, np.int64), np.empty(n, np.int64)
    at = 0
    for i in range(n):
        first[i], size[i] = at, count[mine[i]]
        count[mine[i]] = at + header  # from here on, where its next word goes
        at += header + 2 * ((size[i] + 1) // 2)
    data, order = np.zeros(at, np.uint16), np.zeros(at, np.int64)
    for j in range(source.size):
        p = count[source[j]]
        data[p], order[p] = word[j], (np.int64(target[j]) << 32) + delay[j]
        count[source[j]] = p + 1
    for i in range(n):
        count[mine[i]] = 0
        begin = first[i] + header
        for j in range(begin + 1, begin + size[i]):  # nearly always in order already
            k = j
            while k > begin and order[k - 1] > order[k]:
                order[k - 1], order[k] = order[k], order[k - 1]
                data[k - 1], data[k] = data[k], data[k - 1]
                k -= 1
    return mine, first, size, data
