"""The chips of a machine as arrays: who is whose neighbour, over which link, and which cores they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .spinnaker2 import LINKS, STEPS

Chip = tuple[int, int]
BOARD = tuple(  # the 48 chips of a board, a hexagon [P] SpiNNaker1
    (x, y) for x in range(8) for y in range(8) if -3 <= x - y <= 4
)
TRIAD = ((0, 0), (8, 4), (4, 8))  # where the three boards of a triad stand on their 12x12 chips [P]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Topology:
    """Chips that can be used, by number.

    chip : int32 (chips, 2), x and y, rising
    neighbour : int32 (chips, 6), the chip over each link, -1 where there is none or it is dead
    between : bool (chips, 6), whether the link leads to another board
    board : int32 (chips)
    size : width and height of the torus; None for a mesh without wraps
    first : int64 (chips + 1) and pe : int16, the usable cores of each chip
    """

    chip: NDArray[np.int32]
    neighbour: NDArray[np.int32]
    between: NDArray[np.bool_]
    board: NDArray[np.int32]
    size: tuple[int, int] | None
    first: NDArray[np.int64]
    pe: NDArray[np.int16]

    @property
    def chips(self) -> int:
        return int(self.chip.shape[0])

    @property
    def cut_off(self) -> NDArray[np.int64]:
        """Chips that no way of live links joins to most others."""
        part = np.arange(self.chips)
        while True:  # each chip takes the lowest number among its neighbours until nothing changes
            near = np.where(self.neighbour >= 0, part[self.neighbour], self.chips)
            lower = np.minimum(part, near.min(axis=1, initial=self.chips))
            if (lower == part).all():
                return np.flatnonzero(part != np.bincount(part).argmax())
            part = lower


def boards(n: int) -> tuple[dict[Chip, int], tuple[int, int] | None]:
    """Chips by the board they are on, and the size of the torus: one board alone, or triads on a torus.

    >>> chips, size = boards(24)
    >>> len(chips), size
    (1152, (48, 24))
    """
    if n == 1:
        return dict.fromkeys(BOARD, 0), None
    triads = n // 3
    high = max(k for k in range(1, int(triads**0.5) + 1) if triads % k == 0)
    wide = triads // high
    size = 12 * wide, 12 * high
    found = {}
    for number in range(n):
        triad, place = divmod(number, 3)
        ox, oy = 12 * (triad % wide) + TRIAD[place][0], 12 * (triad // wide) + TRIAD[place][1]
        for x, y in BOARD:
            found[(ox + x) % size[0], (oy + y) % size[1]] = number
    return found, size


def join(
    board_of: dict[Chip, int],
    size: tuple[int, int] | None,
    dead_chips: set[Chip],
    dead_links: set[tuple[Chip, int]],
    cores: dict[Chip, list[int]],
) -> Topology:
    """The arrays. dead_links : (chip, link), dead in both directions; cores : usable PEs by chip"""
    alive = sorted(set(board_of) - dead_chips)
    number = {chip: i for i, chip in enumerate(alive)}
    neighbour = np.full((len(alive), LINKS), -1, np.int32)
    between = np.zeros((len(alive), LINKS), bool)
    for (x, y), i in number.items():
        for link, (dx, dy) in enumerate(STEPS):
            there = (x + dx, y + dy) if size is None else ((x + dx) % size[0], (y + dy) % size[1])
            if there not in number or there == (x, y):
                continue
            if ((x, y), link) in dead_links or (there, (link + LINKS // 2) % LINKS) in dead_links:
                continue
            neighbour[i, link] = number[there]
            between[i, link] = board_of[x, y] != board_of[there]
    held = [cores[chip] for chip in alive]
    return Topology(
        chip=np.array(alive, np.int32).reshape(-1, 2),
        neighbour=neighbour,
        between=between,
        board=np.array([board_of[chip] for chip in alive], np.int32),
        size=size,
        first=np.concatenate([[0], np.cumsum([len(c) for c in held])]).astype(np.int64),
        pe=np.array([pe for c in held for pe in c], np.int16),
    )
