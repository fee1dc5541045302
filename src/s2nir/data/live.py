"""Steps of input from an event camera as they come: from a file that is read piece by piece, or from a connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Number, Pair, Whole, path_of, settle
from ..errors import InputError
from .events import EVENT, EventArray, bin_frames, check_events, downsample
from .read import read_pieces

PIECE = 1 << 16  # events that are read at once
STEPS = 64  # steps that are given at once, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSteps:
    """Steps of a camera's events, in memory that does not grow with the recording: what `Stream.keep` takes.

    Called with a step, it gives the counts from that step on, some steps at a time, uint8 (steps, 2, height, width), as
    `bin_frames` counts them.

    source : a file of `read_events` (an .npz is read whole), or a connection: a socket, or anything with `read`, that
        brings events as `EVENT` has them, 13 bytes each, and is closed at the end. What a connection brings of steps
        before the one that is asked for is passed over.
    dt : seconds per step, whole microseconds
    sensor : height and width in pixels; factor : as of `downsample`; size : height and width of the counts, by default
        of the sensor times the factor
    """

    source: Any
    dt: float
    sensor: tuple[int, int] = (128, 128)
    factor: float = 1.0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        settle(self, InputError, dt=Number(1e-6, what="seconds"), factor=Number(0, 1, above=True), sensor=Pair(1))
        if abs(self.dt * 1e6 - self._tick) > 1e-6 * self._tick:  # times are whole, and steps would drift from them
            raise InputError(f"EventSteps.dt: found {self.dt!r} s, allowed whole microseconds")
        if self.size is None:
            height, width = (int((n - 1) * self.factor) + 1 for n in self.sensor)
            object.__setattr__(self, "size", (height, width))
        settle(self, InputError, size=Pair(1))
        if not (hasattr(self.source, "recv") or hasattr(self.source, "read")):
            object.__setattr__(self, "source", path_of(self.source, "EventSteps.source"))

    def __call__(self, first: int) -> Iterator[NDArray[np.uint8]]:
        """Counts from step `first` on.

        Raises
        ------
        InputError
            where the source cannot be read, a pixel lies outside, or times run backwards.
        """
        at, held = Whole(what="steps")(first, "EventSteps.first", InputError), np.zeros(0, EVENT)
        for piece in self._pieces():
            held = self._checked(np.concatenate([held, piece]))
            whole = int(held["t"][-1] // self._tick) if held.size else at  # the last step may not be over
            while at < whole:
                n = min(STEPS, whole - at)
                yield self._counts(held, at, n)
                at += n
            held = held[np.searchsorted(held["t"], at * self._tick) :]
        if held.size:
            yield self._counts(held, at, int(held["t"][-1] // self._tick) + 1 - at)

    @property
    def _tick(self) -> int:
        return round(self.dt * 1e6)

    def _checked(self, events: EventArray) -> EventArray:
        try:
            return check_events(events, self.sensor)
        except InputError as error:
            raise InputError(f"EventSteps of {self.source}: {error}") from None

    def _counts(self, events: EventArray, at: int, steps: int) -> NDArray[np.uint8]:
        assert self.size is not None
        lo, hi = np.searchsorted(events["t"], [at * self._tick, (at + steps) * self._tick])
        mine = events[lo:hi].copy()
        mine["t"] -= at * self._tick
        return bin_frames(downsample(mine, self.factor), tick_us=self._tick, steps=steps, size=self.size)

    def _pieces(self) -> Iterator[EventArray]:
        """Events in the order of time, some at once."""
        return read_pieces(self.source, PIECE) if isinstance(self.source, Path) else _received(self.source)


def _received(connection: Any) -> Iterator[EventArray]:
    """Events from a connection, until it is closed."""
    read = connection.recv if hasattr(connection, "recv") else getattr(connection, "read1", connection.read)
    rest = b""
    while True:
        got = read(PIECE)
        if not got:
            break
        rest += got
        whole = len(rest) // EVENT.itemsize * EVENT.itemsize
        yield np.frombuffer(rest[:whole], EVENT)
        rest = rest[whole:]
    if rest:
        raise InputError(f"EventSteps: the connection was closed within an event, after {len(rest)} of "
                         f"{EVENT.itemsize} bytes")
