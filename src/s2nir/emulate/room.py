"""Arrays that a run takes again from the one before it: fresh pages cost more than what is written to them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import Program

KEPT = 1 << 24  # numbers of an array that is kept; longer ones are given back


class Room:
    """What one thread writes a round to.

    sent : int32, tick, source and number of what is sent; listed : int32, places of what inputs send
    """

    def __init__(self) -> None:
        self.sent: list[NDArray[np.int32]] = [np.empty(0, np.int32)] * 3
        self.listed: NDArray[np.int32] = np.empty(1024, np.int32)
        self._program: Any = None
        self._state: Any = None

    def output(self, least: int, wanted: int) -> list[NDArray[np.int32]]:
        """`sent`, of `least` numbers or more; where it is made anew, of as many as are wanted."""
        if self.sent[0].size < least:
            self.sent = [np.empty(max(least, wanted), np.int32) for _ in range(3)]
        return self.sent

    def state(self, ready: Program, slot: Any) -> Any:
        """As `start_state`; the same arrays again for the program of the round before."""
        from . import kernels
        from .run import start_state

        if self._state is not None and self._program() is ready and self._state.slot.dtype == slot:
            kernels.clear(self._state)
        else:
            self._program, self._state = weakref.ref(ready), start_state(ready, slot)
        return self._state

    def trim(self) -> None:
        """Give long arrays back."""
        if self.sent[0].size > KEPT:
            self.sent = [np.empty(0, np.int32)] * 3
        if self.listed.size > KEPT:
            self.listed = np.empty(1024, np.int32)
        if self._state is not None and self._state.slot.size > KEPT:
            self._state = None


_free: list[Room] = []


@contextmanager
def room() -> Iterator[Room]:
    """A room that nobody else is in."""
    try:
        held = _free.pop()
    except IndexError:
        held = Room()
    try:
        yield held
    finally:
        held.trim()
        _free.append(held)
