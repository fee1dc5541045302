"""A slice: a box of a population that one core holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .wiring import View


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Slice:
    """One core's share of a member: channels c0..c1, rows y0..y1, columns x0..x1; local index (y, x, c), c fastest."""

    member: str
    c0: int
    c1: int
    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def size(self) -> int:
        return (self.c1 - self.c0) * (self.y1 - self.y0) * (self.x1 - self.x0)

    def neurons(self, view: View) -> NDArray[np.int64]:
        """The population's neurons (C order over the view) by local index."""
        _, h, w = view
        y, x, c = np.meshgrid(
            np.arange(self.y0, self.y1), np.arange(self.x0, self.x1), np.arange(self.c0, self.c1), indexing="ij"
        )
        return ((c * h + y) * w + x).ravel()

    def __str__(self) -> str:
        return f"{self.member}[{self.c0}:{self.c1},{self.y0}:{self.y1},{self.x0}:{self.x1}]"
