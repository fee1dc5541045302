"""Synthetic events of moving shapes: small, made on the spot, and the same on every host.

They stand in for the recordings of an event camera in the demo, the notebooks and the tests. A bright shape of one of
eight kinds moves over a dark field and turns back at its rim; a pixel sends an ON or an OFF event each time its
brightness has risen or fallen by the contrast since its last event; noise events are added. No camera was involved.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Field = NDArray[np.float64]

STEPS, SIZE = 50, 32
CONTRAST = 0.25  # change of brightness, of 1, that makes an event
BLOCK = 8  # rounds of all shapes that are drawn at once
TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 3
"""Seeds of the three splits; the packaged network was trained on the first and chosen on the second."""


def _box(x: Field, y: Field, width: Field, height: Field) -> Field:
    return np.maximum(np.abs(x) - width, np.abs(y) - height)


def _disc(x: Field, y: Field, r: Field) -> Field:
    return np.asarray(np.hypot(x, y) - 0.9 * r, np.float64)


def _ring(x: Field, y: Field, r: Field) -> Field:
    return np.asarray(np.abs(np.hypot(x, y) - 0.75 * r) - 0.22 * r, np.float64)


def _square(x: Field, y: Field, r: Field) -> Field:
    return _box(x, y, 0.8 * r, 0.8 * r)


def _diamond(x: Field, y: Field, r: Field) -> Field:
    return (np.abs(x) + np.abs(y)) * math.sqrt(0.5) - 0.8 * r


def _triangle(x: Field, y: Field, r: Field) -> Field:
    return np.maximum(np.abs(x) * math.sqrt(0.75) + 0.5 * y, -y) - 0.5 * r


def _cross(x: Field, y: Field, r: Field) -> Field:
    return np.minimum(_box(x, y, r, 0.3 * r), _box(x, y, 0.3 * r, r))


def _bar(x: Field, y: Field, r: Field) -> Field:
    return _box(x, y, 1.1 * r, 0.3 * r)


def _angle(x: Field, y: Field, r: Field) -> Field:
    return np.minimum(_box(x + 0.6 * r, y, 0.3 * r, 0.9 * r), _box(x, y - 0.6 * r, 0.9 * r, 0.3 * r))


SHAPES: dict[str, Callable[[Field, Field, Field], Field]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "diamond": _diamond,
    "triangle": _triangle,
    "cross": _cross,
    "bar": _bar,
    "angle": _angle,
}
"""Label to shape, in this order: how far (x, y) lies outside a shape of radius r, in pixels."""


def moving_shapes(
    n: int, seed: int, steps: int = STEPS, size: int = SIZE, noise: float = 0.01
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Synthetic events of moving shapes, and which shape each recording shows.

    n : int, recordings; each eight of them show all eight shapes
    seed : int; the same arguments give the same events, and fewer recordings are the first of more
    steps : int, of 1 ms
    size : int, height and width of the field in pixels, 8 or more
    noise : float, noise events per pixel, polarity and step

    Returns
    -------
    counts : uint8 (n, steps, 2, size, size), events per step; channel 0 is ON, 1 is OFF
    labels : int64 (n), places in `SHAPES`

    >>> counts, labels = moving_shapes(8, seed=0, steps=5)
    >>> counts.shape, sorted(labels.tolist())
    ((8, 5, 2, 32, 32), [0, 1, 2, 3, 4, 5, 6, 7])
    """
    if n < 1 or steps < 1 or size < 8 or not 0 <= noise < 1:
        raise InputError(
            f"moving_shapes: found n={n}, steps={steps}, size={size}, noise={noise}; allowed are n and steps from 1, "
            "size from 8, noise from 0 to below 1"
        )
    rng = np.random.default_rng(seed)
    labels = np.empty(n, np.int64)
    counts = np.empty((n, steps, 2, size, size), np.uint8)
    rounds = np.tile(np.arange(len(SHAPES)), (BLOCK, 1))
    for lo in range(0, n, rounds.size):
        part = slice(lo, min(n, lo + rounds.size))
        shown = rng.permuted(rounds, axis=1).ravel()
        made = _block(shown, rng, steps, size)
        made += rng.random(made.shape, np.float32) < noise
        labels[part], counts[part] = shown[: part.stop - lo], made[: part.stop - lo]
    return counts, labels


def _block(labels: NDArray[np.int64], rng: np.random.Generator, steps: int, size: int) -> NDArray[np.uint8]:
    """Events of a few recordings, without noise."""
    n = labels.size

    def draw(low: float, high: float) -> Field:
        return rng.uniform(low, high, (n, 1, 1))

    radius = draw(0.16, 0.27) * size
    room = size - 2 * radius  # of the centre, each way
    heading, speed, turn, spin = draw(0, 2 * np.pi), draw(0.4, 1.0), draw(-0.35, 0.35), draw(-0.006, 0.006)
    start = [draw(0, 2) * room, draw(0, 2) * room]
    contrast = CONTRAST * rng.uniform(0.9, 1.1, (n, size, size))  # no two pixels are quite alike
    y, x = np.mgrid[:size, :size] + 0.5
    level = np.zeros((n, size, size))
    counts = np.zeros((n, steps, 2, size, size), np.uint8)
    for step in range(-1, steps):
        cx = _mirror(start[0] + step * speed * np.cos(heading), room) + radius
        cy = _mirror(start[1] + step * speed * np.sin(heading), room) + radius
        seen = _brightness(labels, x - cx, y - cy, turn + step * spin, radius)
        if step < 0:
            level[:] = seen
            continue
        for channel, sign in enumerate((1, -1)):
            events = np.floor(np.maximum(sign * (seen - level) / contrast, 0.0))
            counts[:, step, channel] = events
            level += sign * events * contrast
    return counts


def _mirror(position: Field, room: Field) -> Field:
    """A position that runs on, folded into 0..room."""
    return room - np.abs(np.mod(position, 2 * room) - room)


def _brightness(labels: NDArray[np.int64], x: Field, y: Field, turn: Field, radius: Field) -> Field:
    """0 outside a shape, 1 inside, and in between over one pixel at its rim."""
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = cos * x + sin * y, cos * y - sin * x
    seen = np.empty(x.shape)
    for label, outside in enumerate(SHAPES.values()):
        mine = labels == label
        seen[mine] = np.clip(0.5 - outside(x[mine], y[mine], radius[mine]), 0.0, 1.0)
    return seen
