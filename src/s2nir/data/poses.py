"""How a performer moves: where the joints of both arms are at each moment of a gesture.

Lengths are half the breadth of the shoulders. x points to the camera's right (the performer's left), y down and z to
the camera, from the point between the shoulders. Sums, products, quotients and square roots only, so that every host
rounds alike; sines are a polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
Draw = Callable[[float, float], float]

GESTURES = (
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
)
"""The classes of DVS128 Gesture in its order. In synthetic ones right is the performer's, clockwise is the camera's."""

UPPER, FORE, HAND = 1.45, 1.3, 0.5  # lengths of upper arm, forearm and hand
TURN = 2 * math.pi
_SERIES = [TURN]
for _k in range(1, 9):
    _SERIES.append(-_SERIES[-1] * TURN * TURN / (2 * _k * (2 * _k + 1)))


def sine(turns: Field | float) -> Field:
    """sin(2 pi turns) to 1e-11, from sums and products alone.

    >>> sine(np.array([0.0, 0.25, 0.5, 1.75])).round(9).tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    turns = np.asarray(turns, np.float64)
    part = turns - np.rint(turns)
    part = np.where(np.abs(part) > 0.25, np.copysign(0.5, part) - part, part)
    square, total = part * part, np.zeros_like(part)
    for factor in reversed(_SERIES):
        total = total * square + factor
    return np.asarray(total * part, np.float64)


def cosine(turns: Field | float) -> Field:
    """cos(2 pi turns)."""
    return sine(np.asarray(turns, np.float64) + 0.25)


def place(x: Field | float, y: Field | float, z: Field | float) -> Field:
    """Coordinates as float64 (..., 3)."""
    return np.stack(np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (x, y, z))), axis=-1)


def _length(v: Field) -> Field:
    return np.asarray(np.sqrt(v[..., :1] * v[..., :1] + v[..., 1:2] * v[..., 1:2] + v[..., 2:] * v[..., 2:]))


def _dot(a: Field, b: Field) -> Field:
    return np.asarray(a[..., :1] * b[..., :1] + a[..., 1:2] * b[..., 1:2] + a[..., 2:] * b[..., 2:])


def reach(shoulder: Field, wrist: Field, hint: Field) -> tuple[Field, Field]:
    """Elbow and wrist of an arm that reaches as near to `wrist` as its bones allow, its elbow out towards `hint`.

    shoulder, wrist, hint : float64 (steps, 3)
    """
    way = wrist - shoulder
    far = np.maximum(_length(way), 1e-6)
    span = np.clip(far, 0.45, 0.99 * (UPPER + FORE))
    way = way / far
    along = (UPPER * UPPER - FORE * FORE + span * span) / (2 * span)
    out = hint - _dot(hint, way) * way
    out = out / np.maximum(_length(out), 1e-6)
    elbow = shoulder + along * way + np.sqrt(np.maximum(UPPER * UPPER - along * along, 0.0)) * out
    return elbow, shoulder + span * way


class Arms:
    """Wrists, elbow hints and the turn of the hands of both arms while a gesture lasts.

    phase : float64 (steps), cycles of the gesture so far; time : float64 (steps), seconds; side -1 is the right arm
    """

    def __init__(self, draw: Draw, phase: Field, time: Field, vigour: float) -> None:
        self.draw, self.phase, self.time, self.vigour = draw, phase, time, vigour
        self.wrist: dict[int, Field] = {}
        self.hint: dict[int, Field] = {}
        for side in (-1, 1):
            self.rest(side)

    def set(self, side: int, wrist: Field, hint: tuple[float, float, float]) -> None:
        self.wrist[side] = wrist + np.zeros((self.time.size, 3))
        self.hint[side] = place(*hint) + np.zeros((self.time.size, 3))

    def drift(self, amplitude: float, rate: float) -> Field:
        """A slow wander along one axis."""
        one, two = self.draw(0, 1), self.draw(0, 1)
        return amplitude * (sine(rate * self.time + one) + 0.6 * sine(1.7 * rate * self.time + two)) / 1.6

    def rest(self, side: int) -> None:
        """An arm that hangs down and sways a little."""
        x, y, z = side * self.draw(1.0, 1.35), self.draw(2.3, 2.65), self.draw(0.0, 0.5)
        sway = self.draw(0.0, 0.12)
        self.set(side, place(x + self.drift(sway, 0.5), y, z + self.drift(sway, 0.4)), (side * 1.0, 0.3, -0.6))

    def clap(self) -> None:
        x, y, z = self.draw(-0.15, 0.15), self.draw(0.6, 1.5), self.draw(1.1, 1.7)
        open_ = self.draw(0.55, 1.1) * self.vigour
        gap = open_ * (0.5 - 0.5 * cosine(self.phase))
        lift = self.draw(-0.25, 0.25)
        for side in (-1, 1):
            self.set(side, place(x + side * (0.12 + gap), y + lift * gap, z), (side * 1.0, 0.9, -0.2))

    def wave(self, side: int) -> None:
        """The forearm swings about the elbow, hand up."""
        swing, lean = self.draw(0.06, 0.13) * self.vigour, side * self.draw(-0.04, 0.10)
        out, up, z = self.draw(0.35, 0.95), self.draw(-0.1, 0.8), self.draw(0.4, 1.0)
        angle = lean + swing * sine(self.phase)
        fore = FORE * self.draw(0.85, 1.0)
        x = side * (1 + out) + fore * sine(angle)
        y = 0.1 + up - fore * cosine(angle)
        self.set(side, place(x, y, z + 0.3), (side * 0.8, 1.0, 0.1))

    def circle(self, side: int, clockwise: bool) -> None:
        """The hand goes round in the plane before the camera; with y down, growing angles are clockwise."""
        size = self.draw(0.85, 1.5) * self.vigour
        flat, z = self.draw(0.75, 1.15), self.draw(0.4, 1.1)
        x, y = side * (1 + self.draw(0.3, 1.1)), self.draw(-0.25, 0.6)
        turns = self.phase if clockwise else -self.phase
        depth = self.draw(-0.35, 0.35)
        self.set(
            side,
            place(x + size * cosine(turns), y + size * flat * sine(turns), z + depth * sine(turns)),
            (side * 0.7, 1.0, -0.3),
        )

    def roll(self) -> None:
        """The forearms go round each other before the chest."""
        size, y, z = self.draw(0.35, 0.6) * self.vigour, self.draw(0.6, 1.3), self.draw(1.1, 1.5)
        over, way = self.draw(-0.1, 0.35), 1.0 if self.draw(0, 1) < 0.7 else -1.0
        for side in (-1, 1):
            turns = way * self.phase + (0.0 if side < 0 else 0.5)
            wrist = place(-side * over, y + size * sine(turns), z + size * cosine(turns))
            self.set(side, wrist, (side * 1.0, 0.5, 0.0))

    def drums(self) -> None:
        """The hands beat up and down by turns."""
        y, z, beat = self.draw(0.7, 1.5), self.draw(1.0, 1.5), self.draw(0.65, 1.0) * self.vigour
        shift = self.draw(0.38, 0.62)
        for side in (-1, 1):
            x = side * self.draw(0.7, 1.25) + self.drift(self.draw(0.0, 0.35), 0.35)
            hit = 0.5 - 0.5 * cosine(self.phase + (0.0 if side < 0 else shift))
            self.set(side, place(x, y - beat * 1.6 * hit * hit, z - 0.3 * hit), (side * 1.0, 0.9, -0.3))

    def guitar(self) -> None:
        """The right hand strums at the belly, the left one holds the neck, out to the performer's left."""
        x, y, strum = self.draw(-0.35, 0.25), self.draw(1.3, 1.9), self.draw(0.2, 0.5) * self.vigour
        across = self.draw(-0.15, 0.35)
        swing = sine(self.phase)
        self.set(-1, place(x + across * strum * swing, y + strum * swing, 0.9), (-1.0, 0.5, -0.2))
        along = self.drift(self.draw(0.0, 0.35), 0.5)
        nx, ny = self.draw(1.3, 2.0), self.draw(0.3, 1.2)
        self.set(1, place(nx + along, ny - 0.4 * along + 0.05 * sine(self.phase), 0.9), (0.7, 1.0, -0.2))

    def other(self) -> None:
        """An odd motion that belongs to no other class: of both hands, or a push or a figure of eight of one."""
        both, alike = self.draw(0, 1) < 0.8, self.draw(0, 1) < 0.6
        first = -1 if self.draw(0, 1) < 0.5 else 1
        path = self._figure(3.0 if both else 2.0)
        for side in (first, -first) if both else (first,):
            x, y, z = path if alike or side == first else self._figure(3.0)
            self.set(side, place(side * x, y, z), (side * 1.0, 0.8, -0.2))

    def _figure(self, kinds: float) -> tuple[Field, Field, Field]:
        """A path of a hand on the left side."""
        kind, size = self.draw(0, kinds), self.draw(0.8, 1.15) * self.vigour
        x, y, z = self.draw(0.7, 1.9), self.draw(-1.1, 0.9), self.draw(0.5, 1.2)
        lag, tilt = self.draw(0, 1), self.draw(-0.6, 0.6)
        if kind < 1:  # a figure of eight, lying or standing
            wide, high = (0.5, 1.0) if self.draw(0, 1) < 0.5 else (1.0, 0.5)
            return x + size * sine(wide * self.phase), y + 0.8 * size * sine(high * self.phase), z + 0.0 * self.phase
        if kind < 2:  # up and down at arm's length, or a push towards the camera
            push, high = 0.5 - 0.5 * cosine(self.phase), 1.0 if self.draw(0, 1) < 0.6 else 0.2
            return x + 0.5 * tilt * push, y + 2.0 * size * high * (0.5 - push), z + 0.9 * size * (1.0 - high) * push
        rates = [self.draw(0.5, 1.3) for _ in range(3)]
        a, b, c = (sine(r * self.phase + lag * k) for k, r in enumerate(rates))
        return x + 0.9 * size * (a + tilt * b), y + 0.9 * size * (b - tilt * a), z + 0.4 * c


def joints(label: int, draw: Draw, phase: Field, time: Field, vigour: float, woken: Field) -> dict[int, list[Field]]:
    """Shoulder, elbow, wrist and finger tips of the right (-1) and left (1) arm.

    label : int, place in GESTURES
    draw : gives a random number between two
    phase : float64 (steps), cycles of the gesture so far
    time : float64 (steps), seconds
    vigour : float, factor on the amplitude
    woken : float64 (steps), 0 while the arms still hang down, 1 while the gesture lasts

    Returns
    -------
    by side, four arrays float64 (steps, 3)
    """
    arms, idle = Arms(draw, phase, time, vigour), Arms(draw, phase, time, vigour)
    moves: tuple[Callable[[], None], ...] = (
        arms.clap,
        lambda: arms.wave(-1),
        lambda: arms.wave(1),
        lambda: arms.circle(-1, True),
        lambda: arms.circle(-1, False),
        lambda: arms.circle(1, True),
        lambda: arms.circle(1, False),
        arms.roll,
        arms.drums,
        arms.guitar,
        arms.other,
    )
    moves[label]()
    found = {}
    mix = woken[:, np.newaxis]
    for side in (-1, 1):
        shoulder = place(side * 1.0, 0.0, 0.0) + np.zeros((time.size, 3))
        wrist = idle.wrist[side] + mix * (arms.wrist[side] - idle.wrist[side])
        hint = idle.hint[side] + mix * (arms.hint[side] - idle.hint[side])
        elbow, wrist = reach(shoulder, wrist, hint)
        tip = wrist + (wrist - elbow) * (HAND / FORE)
        found[side] = [shoulder, elbow, wrist, tip]
    return found
