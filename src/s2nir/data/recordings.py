"""A set of recordings that are read or made when they are asked for, and frames of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..arguments import listener
from ..errors import InputError, needs
from ..values import freeze_fields
from .events import MOST_STEPS, EventArray, bin_frames, check_events, denoise, downsample, whole


class Source(Protocol):
    """Gives the recording of a place; a source that makes its recordings may end them at `stop_us` microseconds."""

    def __call__(self, place: int, stop_us: int | None) -> EventArray: ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recordings:
    """A data set of event recordings, one label each; `recordings[i]` reads or makes one.

    name : what set, and which part of it
    synthetic : bool, whether a model made the events, and no camera
    classes : names of the labels
    sensor : height and width in pixels
    labels : int64 (n), places in `classes`
    source : gives the events of a place
    places : int64 (n), where the source has each recording
    """

    name: str
    synthetic: bool
    classes: tuple[str, ...]
    sensor: tuple[int, int]
    labels: NDArray[np.int64]
    source: Source
    places: NDArray[np.int64]

    def __post_init__(self) -> None:
        freeze_fields(self, labels=np.int64, places=np.int64)
        if self.labels.ndim != 1 or self.labels.shape != self.places.shape:
            raise InputError(f"{self.name}: found {self.labels.shape} labels for {self.places.shape} recordings")
        low, high = self.labels.min(initial=0), self.labels.max(initial=0)
        if not 0 <= low <= high < len(self.classes):
            raise InputError(f"{self.name}.labels: found {low}..{high}, allowed 0..{len(self.classes) - 1}")

    def __repr__(self) -> str:
        kind = "synthetic recordings" if self.synthetic else "recordings"
        height, width = self.sensor
        return f"<Recordings: {self.name}, {len(self)} {kind}, {len(self.classes)} classes, {height}x{width} pixels>"

    def __len__(self) -> int:
        return self.labels.size

    def __getitem__(self, place: int) -> tuple[EventArray, int]:
        return self.read(place), int(self.labels[place])

    def __iter__(self) -> Iterator[tuple[EventArray, int]]:
        return (self[k] for k in range(len(self)))

    def read(self, place: int, stop_us: int | None = None) -> EventArray:
        """Events of one recording, those before `stop_us` microseconds where that is given."""
        if not -len(self) <= place < len(self):
            raise IndexError(f"{self.name}: found recording {place}, allowed 0..{len(self) - 1}")
        place = int(place) % len(self)
        events = check_events(self.source(int(self.places[place]), stop_us), self.sensor, f"{self.name}[{place}]")
        return events if stop_us is None else events[: int(np.searchsorted(events["t"], stop_us))]

    def subset(self, indices: Any) -> Recordings:
        """Some of the recordings, in the order given: places, a slice, or a bool (n)."""
        if isinstance(indices, slice):
            indices = np.arange(len(self))[indices]
        chosen = np.asarray(indices)
        if chosen.dtype == bool and chosen.shape == (len(self),):
            chosen = np.flatnonzero(chosen)
        if chosen.size == 0:
            chosen = chosen.astype(np.int64)
        if chosen.dtype.kind not in "iu" or chosen.ndim != 1:
            raise InputError(f"{self.name}.subset: found {chosen.dtype} {chosen.shape}, needed places or a bool (n)")
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise InputError(f"{self.name}.subset: found {chosen.min()}..{chosen.max()}, allowed 0..{len(self) - 1}")
        return Recordings(
            name=self.name,
            synthetic=self.synthetic,
            classes=self.classes,
            sensor=self.sensor,
            labels=self.labels[chosen],
            source=self.source,
            places=self.places[chosen],
        )


def frames(
    recordings: Recordings,
    *,
    tick_us: int,
    steps: int,
    size: int,
    denoise_us: int | None = None,
    clamp: int | None = 1,
    progress: Callable[[int], object] | None = None,
    threads: int = 1,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Recordings as frames: noise filtered out, downsampled, and counted per tick.

    tick_us : int, microseconds
    steps : int, ticks; longer recordings are cut there, after shorter ones nothing comes
    size : int, height and width of the frames, a divisor of the sensor's or the sensor's
    denoise_us : int, `filter_time` of `denoise`, or None to keep all events
    clamp : the largest count, or None for 255
    progress : called with the number of finished recordings after each one
    threads : int, recordings at once

    Returns
    -------
    x : uint8 (n, steps, 2, size, size), channel 0 is OFF and channel 1 is ON
    labels : int64 (n)
    """
    needs(recordings, Recordings, "frames.recordings", "Make them with dvs_gesture, nmnist or synthetic_gestures.")
    height, width = recordings.sensor
    tell = listener(progress, "frames.progress")
    tick_us, steps = whole("frames.tick_us", tick_us, 1), whole("frames.steps", steps, 1, MOST_STEPS)
    size, threads = whole("frames.size", size, 1), whole("frames.threads", threads, 1)
    clamp = None if clamp is None else whole("frames.clamp", clamp, 1, 255)
    if height != width or height % size:
        raise InputError(f"frames.size: found {size}, allowed are divisors of the sensor's {height}x{width} pixels")
    x = np.zeros((len(recordings), steps, 2, size, size), np.uint8)

    def one(place: int) -> None:
        events = recordings.read(place, stop_us=tick_us * steps)
        if denoise_us is not None:
            events = denoise(events, denoise_us, recordings.sensor)
        if size != height:
            events = downsample(events, size / height)
        x[place] = bin_frames(events, tick_us=tick_us, steps=steps, size=size, clamp=clamp)

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(one, range(len(recordings))), 1):
            tell(done)
    return x, recordings.labels.copy()
