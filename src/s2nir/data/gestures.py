"""Synthetic gestures: a drawn performer before a modelled event camera, with the classes of DVS128 Gesture.

No camera was involved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .events import EventArray, make_events, whole
from .poses import GESTURES
from .recordings import Recordings
from .scenes import SENSOR, STEP_US, take

ROOM = 1 << 18  # events that a film may have before it is filmed again with more room


@dataclass(frozen=True, slots=True)
class Studio:
    """Makes recording `place` of a seed; one recording needs no other."""

    seed: int

    def label(self, place: int) -> int:
        """Each eleven recordings from a multiple of eleven on show all classes."""
        run, k = divmod(place, len(GESTURES))
        return int(np.argsort(self._rng(1, run).random(len(GESTURES)), kind="stable")[k])

    def __call__(self, place: int, stop_us: int | None = None) -> EventArray:
        from .camera import Out, Pixels, Scene, film

        made = take(self.label(place), self._rng(2, place))
        scene, pixels = Scene(*made.scene), Pixels(*made.pixels)
        if stop_us is not None:
            steps = -(-stop_us // STEP_US)
            scene = scene._replace(ends=scene.ends[: steps + 1], light=scene.light[: steps + 1])
        room, n = ROOM, -1
        while n < 0:
            out = Out(np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.bool_))
            n = film(scene, pixels, STEP_US, made.seed, out)
            room *= 4
        y, x = np.divmod(out.pixel[:n], SENSOR[1])
        events = make_events(x, y, out.t[:n], out.p[:n])
        return events if stop_us is None else events[: int(np.searchsorted(events["t"], stop_us))]

    def _rng(self, stream: int, place: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, stream, place])))


def synthetic_gestures(n: int, seed: int) -> Recordings:
    """Synthetic recordings of the eleven gestures of DVS128 Gesture; made when they are asked for.

    A performer of discs and capsules moves the arms as the classes are named, before an event camera of 128 by 128
    pixels that a model stands in for (camera.py). Performer, place, clothes, background, light, noise, speed,
    amplitude and the gesture's begin are drawn for each recording (scenes.py).

    n : int, recordings; each eleven from the first on show all eleven classes
    seed : int, 0 or more; recording i depends on it and on i, and is the same on every host

    >>> synthetic_gestures(22, seed=1)
    <Recordings: synthetic gestures (seed 1), 22 synthetic recordings, 11 classes, 128x128 pixels>
    """
    n, seed = whole("synthetic_gestures.n", n, 1), whole("synthetic_gestures.seed", seed, 0)
    studio = Studio(seed)
    labels: NDArray[np.int64] = np.array([studio.label(k) for k in range(n)], np.int64)
    return Recordings(
        name=f"synthetic gestures (seed {seed})",
        synthetic=True,
        classes=GESTURES,
        sensor=SENSOR,
        labels=labels,
        source=studio,
        places=np.arange(n),
    )
