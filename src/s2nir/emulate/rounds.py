"""Rounds of an image with several copies: recordings are put together ahead of a run, and taken apart behind it.

A round is one run of the whole image, every copy with a recording of its own. What a copy did is told by the cores that
its packets came from, so a packet that goes astray shows in the recording of the copy that it comes to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Packets = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]
"""Start of each tick (ticks + 1), source, count."""
Result = tuple[tuple[NDArray[np.int32], ...], NDArray[Any], NDArray[Any], NDArray[np.int64]]
"""(tick, source, count) of what was sent, membranes, membranes ahead of resets, saturations by neuron."""


def ones(size: int) -> NDArray[np.int32]:
    """A count of 1 for each of many packets, which takes no room."""
    return np.broadcast_to(np.int32(1), (size,))


def all_ones(count: NDArray[Any]) -> bool:
    """Whether a count is of `ones`, or nothing; others are not looked at."""
    return count.size == 0 or (count.strides == (0,) and count[0] == 1)


def largest(count: NDArray[Any]) -> int:
    """The largest count, at least 1."""
    return 1 if all_ones(count) else int(count.max())


def together(packets: list[Packets]) -> Packets:
    """Packets of several sources, sorted by tick.

    >>> a, b = [[0, 1, 2], [5, 6], [1, 1]], [[0, 1, 1], [9], [2]]
    >>> [x.tolist() for x in together([tuple(np.array(x) for x in p) for p in (a, b)])]
    [[0, 2, 3], [5, 9, 6], [1, 2, 1]]
    """
    if len(packets) == 1:
        return packets[0]
    tick = np.concatenate([np.repeat(np.arange(start.size - 1), np.diff(start)) for start, _, _ in packets])
    order = np.argsort(tick, kind="stable")
    source, single = np.concatenate([p[1] for p in packets])[order], all(all_ones(p[2]) for p in packets)
    count = ones(source.size) if single else np.concatenate([count for _, _, count in packets])[order]
    return np.asarray(np.sum([start for start, _, _ in packets], axis=0)), source, count


def end_to_end(rounds: list[Packets]) -> Packets:
    """Packets of several rounds, one behind the other: start is (rounds, ticks + 1)."""
    first = np.cumsum([0, *(source.size for _, source, _ in rounds[:-1])])
    start = np.stack([start for start, _, _ in rounds]) + first[:, np.newaxis]
    if len(rounds) == 1:
        return start, *rounds[0][1:]
    source = np.concatenate([source for _, source, _ in rounds])
    single = all(all_ones(count) for _, _, count in rounds)
    return start, source, ones(source.size) if single else np.concatenate([count for _, _, count in rounds])


def by_copy(result: Result, bounds: NDArray[np.int64]) -> list[Result]:
    """What each copy did in a round; neurons bounds[k]..bounds[k + 1] are those of copy k.

    Sources keep their numbers; saturations are those of the copy's own neurons.
    """
    copies = bounds.size - 1
    if copies == 1:
        return [result]
    (tick, source, count), membranes, compared, saturated = result
    copy = np.searchsorted(bounds, source, side="right") - 1
    order = np.argsort(copy, kind="stable")
    edges = np.searchsorted(copy[order], np.arange(copies + 1))
    mine = [order[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    wide = membranes.shape[1] // copies
    return [
        (
            (tick[m], source[m], count[m]),
            membranes[:, k * wide : (k + 1) * wide],
            compared[:, k * wide : (k + 1) * wide],
            saturated[bounds[k] : bounds[k + 1]],
        )
        for k, m in enumerate(mine)
    ]
