"""Poisson drives of all cores, as the kernel draws them: blocks of four neurons, with where their events go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..mapping import Regions

GUIDE = 4096  # entries by the upper bits of a random word, from which the search of a law begins


class Draws(NamedTuple):
    """Drives, one behind the other; arrays by drive, by block of four numbers, by entry of a law.

    seed : uint32 (drives, 2); onset : tick of step 0; first : int64 (drives + 1), blocks of each
    block : uint32, number of the block; place, weight : int32 (4 blocks), the neuron of each number, and what an event
        adds, 0 where the number is of no neuron here
    law : int64 (entries), each law ends in 2**32; begin : int64 (drives), where each law begins
    guide : int64 (drives, GUIDE), entries that no word with such upper bits is below
    """

    seed: NDArray[np.uint32]
    onset: NDArray[np.int64]
    first: NDArray[np.int64]
    block: NDArray[np.uint32]
    place: NDArray[np.int32]
    weight: NDArray[np.int32]
    law: NDArray[np.int64]
    begin: NDArray[np.int64]
    guide: NDArray[np.int64]


def draws(parts: list[Regions], first: NDArray[np.int64]) -> Draws:
    """The drives of all cores; cores that draw alike are one drive, as they share blocks at their ends."""
    alike: dict[tuple[int, int, bytes], list[int]] = {}
    for i, r in enumerate(parts):
        if r.drive is not None:
            alike.setdefault((r.drive.seed, r.descriptor.onset, r.drive.law.tobytes()), []).append(i)
    seed, onset, count, laws, guides = [], [], [0], [np.zeros(0, np.int64)], [np.zeros((0, GUIDE), np.int64)]
    none = np.zeros(0, np.int64)
    blocks, places, weights = [none], [none], [none]
    for (key, when, table), cores in alike.items():
        block, place, weight = _blocks(parts, first, cores)
        law = np.frombuffer(table, "<u4").astype(np.int64)
        seed.append([key & 0xFFFFFFFF, key >> 32])
        onset.append(when)
        count.append(block.size)
        laws.append(np.append(law, 1 << 32))
        guides.append(np.searchsorted(law, np.arange(GUIDE) * ((1 << 32) // GUIDE), side="right")[np.newaxis])
        blocks, places, weights = [*blocks, block], [*places, place], [*weights, weight]
    return Draws(
        seed=np.array(seed, np.uint32).reshape(-1, 2), onset=np.array(onset, np.int64),
        first=np.cumsum(count), block=np.concatenate(blocks).astype(np.uint32),
        place=np.concatenate(places).astype(np.int32), weight=np.concatenate(weights).astype(np.int32),
        law=np.concatenate(laws), begin=np.cumsum([n.size for n in laws])[:-1], guide=np.concatenate(guides),
    )


def _blocks(
    parts: list[Regions], first: NDArray[np.int64], cores: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Blocks of the numbers of some cores, in rising order, and for each number of a block its neuron and weight.

    Numbers that several neurons have, of populations that draw alike, stand in blocks of their own.
    """
    number = np.concatenate([_numbers(parts[i]) for i in cores])
    place = np.concatenate([first[i] + np.arange(parts[i].descriptor.neurons) for i in cores])
    weight = np.concatenate([_weights(parts[i]) for i in cores])
    order = np.lexsort((place, number))
    number, place, weight = number[order], place[order], weight[order]
    again = np.arange(number.size) - np.searchsorted(number, number)
    lane, at = np.unique(np.stack([again, number // 4]), axis=1, return_inverse=True)
    at = 4 * at.ravel() + number % 4
    to, adds = np.zeros(4 * lane.shape[1], np.int64), np.zeros(4 * lane.shape[1], np.int64)
    to[at], adds[at] = place, weight
    return lane[1], to, adds


def _weights(r: Regions) -> NDArray[np.int64]:
    assert r.drive is not None
    return r.drive.weight.astype(np.int64)


def _numbers(r: Regions) -> NDArray[np.int64]:
    """The number in its population of every neuron of a core."""
    assert r.drive is not None
    c0, c1, y0, y1, x0, x1 = r.descriptor.box
    y, x, c = np.meshgrid(np.arange(y0, y1), np.arange(x0, x1), np.arange(c0, c1), indexing="ij")
    return np.asarray(((c * r.drive.height + y) * r.drive.width + x).ravel(), np.int64)
