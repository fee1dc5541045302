"""What stands before the modelled camera: a performer of capsules, a background and a light, all drawn at random.

How much recordings differ, and so how hard they are to tell apart, stands in `Variation`, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .poses import Draw, Field, cosine, joints, place, sine

SENSOR = (128, 128)
STEP_US = 4000
REFRACTORY = 500  # microseconds
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Variation:
    """Ranges that a recording's numbers are drawn from, evenly."""

    seconds: Range = (2.0, 4.0)
    shoulder: Range = (12.5, 18.5)  # pixels, half the breadth of the shoulders
    x: Range = (50.0, 78.0)  # pixels, between the shoulders
    y: Range = (46.0, 66.0)
    vigour: Range = (0.85, 1.3)  # of the gesture's amplitude
    rate: Range = (0.7, 1.25)  # of the gesture's usual rate
    hurry: float = 0.3  # how much the rate wanders
    delay: Range = (-0.3, 0.4)  # seconds until the arms are up
    yaw: Range = (-0.06, 0.06)  # turns
    tilt: Range = (-0.025, 0.025)  # turns
    sway: Range = (0.01, 0.10)  # of the body, in half breadths
    follow: Range = (0.0, 0.05)  # of the body with the gesture
    fidget: Range = (0.0, 0.25)  # of the head
    contrast: Range = (0.6, 1.4)
    threshold: Range = (0.11, 0.18)
    mismatch: float = 0.04  # standard deviation of a pixel's threshold
    leak: Range = (0.01, 0.1)  # Hz
    noise: Range = (0.02, 0.3)  # Hz


VARIATION = Variation()
RATE = (2.0, 1.7, 1.7, 1.1, 1.1, 1.1, 1.1, 1.6, 2.4, 2.6, 1.3)
"""Usual cycles per second of each gesture."""

LIGHTS = ("natural", "fluorescent", "led")
# per light: contrast, noise and flicker (amplitude of log intensity), depth of the shadow, lag of the pixels in us
_LIGHT = ((0.85, 1.4, 0.0, 0.30, 4000.0), (0.75, 1.0, 0.035, 0.10, 5000.0), (1.0, 0.7, 0.004, 0.45, 2500.0))


def _texture(rng: np.random.Generator, height: int, width: int, cells: int) -> Field:
    """Smooth noise from -1 to 1: random numbers on a grid, and straight lines between them."""
    grid = 2 * rng.random((cells + 1, cells + 1)) - 1
    y, x = np.arange(height) * (cells / height), np.arange(width) * (cells / width)
    i, j = y.astype(np.int64), x.astype(np.int64)
    fy, fx = (y - i)[:, np.newaxis], x - j
    top = grid[i][:, j] * (1 - fx) + grid[i][:, j + 1] * fx
    low = grid[i + 1][:, j] * (1 - fx) + grid[i + 1][:, j + 1] * fx
    return np.ascontiguousarray(top * (1 - fy) + low * fy)


def _bell(rng: np.random.Generator, n: int) -> Field:
    """Numbers with mean 0 and standard deviation 1, from six even ones."""
    total = np.zeros(n)
    for _ in range(6):
        total = total + rng.random(n)
    return np.asarray((total - 3.0) * np.sqrt(2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """Everything that a film needs: the fields of camera.Scene and camera.Pixels, and the seed of its noise."""

    scene: tuple[Any, ...]
    pixels: tuple[Any, ...]
    seed: int


def take(label: int, rng: np.random.Generator, vary: Variation = VARIATION) -> Take:
    """Draw the performer, the light and the sensor of one recording, and how the gesture goes.

    label : int, place in GESTURES
    rng : its numbers, and nothing else, decide
    """

    def draw(low: float, high: float) -> float:
        return low + (high - low) * rng.random()

    light = int(3 * rng.random())
    contrast, noise, flicker, depth, lag = _LIGHT[light]
    steps = int(draw(*vary.seconds) * 1e6 / STEP_US)
    time: Field = np.arange(steps + 1, dtype=np.float64) * (STEP_US * 1e-6)
    rate = RATE[label] * draw(*vary.rate)
    wander = draw(0.15, 0.5)
    phase = draw(0, 1) + rate * (time + vary.hurry * (sine(wander * time + draw(0, 1))) / (2 * np.pi * wander))
    part = np.clip((time - draw(*vary.delay)) / 0.35 + 1.0, 0.0, 1.0)
    woken = part * part * (3.0 - 2.0 * part)
    arms = joints(label, draw, phase, time, draw(*vary.vigour), woken)
    parts = _body(draw, time, phase, vary) | {f"arm{side}": arms[side] for side in (-1, 1)}
    ends, look = _shapes(_project(parts, draw, time, phase, vary), draw, contrast * draw(*vary.contrast), depth)
    back = 0.35 * draw(0.2, 1.0) * _texture(rng, *SENSOR, 5) + 0.5 * draw(0.2, 1.0) * _texture(rng, *SENSOR, 19)
    cloth = _texture(rng, 64, 64, 13)
    lit = 1.0 + 0.4 * draw(-1, 1) * _texture(rng, *SENSOR, 2)
    shine = flicker * sine(120.0 * time + draw(0, 1)) + 0.04 * sine(0.3 * time + draw(0, 1))
    threshold, skew = draw(*vary.threshold), 1 + draw(-0.08, 0.08)
    n = SENSOR[0] * SENSOR[1]
    on = threshold * skew * np.clip(1 + vary.mismatch * _bell(rng, n), 0.6, 1.4)
    off = threshold / skew * np.clip(1 + vary.mismatch * _bell(rng, n), 0.6, 1.4)
    leak = draw(*vary.leak) * (0.4 + 1.2 * rng.random(n)) * np.where(rng.random(n) < 0.001, 30.0, 1.0)
    share = STEP_US / (STEP_US + lag)
    pixels = (on, off, leak, 2 * rng.random(n) - 1, share, noise * draw(*vary.noise), REFRACTORY)
    return Take((ends, look, 2, back, cloth, shine, lit), pixels, int(rng.random() * (1 << 53)))


def _body(draw: Draw, time: Field, phase: Field, vary: Variation) -> dict[Any, list[Field]]:
    """Trunk, head and legs, as lists of points."""
    nod, turn = draw(*vary.fidget), draw(*vary.fidget)
    rate, start = draw(0.3, 0.9), draw(0, 1)
    hx = 0.5 * nod * sine(rate * time + start)
    hy = 0.25 * nod * sine(1.6 * rate * time + start)
    look = 0.6 * turn * sine(0.7 * rate * time - start) + draw(-0.15, 0.15)
    still = np.zeros_like(time)
    return {
        "leg-1": [place(-0.4 + still, 3.3, 0), place(-0.55 + still, 5.6, 0)],
        "leg1": [place(0.4 + still, 3.3, 0), place(0.55 + still, 5.6, 0)],
        "trunk": [place(still, 0.62, 0), place(still, 3.0, 0)],
        "shoulders": [place(-0.74 + still, 0.14, 0), place(0.74 + still, 0.14, 0)],
        "neck": [place(still, -0.05, 0), place(hx, -0.6 + hy, 0)],
        "head": [place(hx, -0.95 + hy, 0.1), place(hx, -1.32 + hy, 0.1)],
        "hair": [place(hx - 0.15, -1.52 + hy, 0.1), place(hx + 0.15, -1.52 + hy, 0.1)],
        "eyes": [place(hx + look - 0.2, -1.12 + hy, 0.4), place(hx + look + 0.2, -1.12 + hy, 0.4)],
    }


def _project(
    parts: dict[Any, list[Field]], draw: Draw, time: Field, phase: Field, vary: Variation
) -> dict[Any, list[Field]]:
    """From the performer's own lengths to pixels: points (steps, 3) of x, y and pixels per length."""
    yaw, tilt, size = draw(*vary.yaw), draw(*vary.tilt), draw(*vary.shoulder)
    cx, cy = draw(*vary.x), draw(*vary.y)
    sway, follow, rate = draw(*vary.sway), draw(*vary.follow), draw(0.2, 0.7)
    dx = sway * sine(rate * time + draw(0, 1)) + follow * sine(phase + draw(0, 1))
    dy = 0.4 * sway * sine(1.3 * rate * time + draw(0, 1)) + 0.6 * follow * sine(phase + draw(0, 1))
    turned = yaw + 0.25 * sway * sine(0.8 * rate * time + draw(0, 1))
    leaning = tilt + 0.06 * sway * sine(0.9 * rate * time + draw(0, 1))
    cos, sin, ct, st = cosine(turned), sine(turned), cosine(leaning), sine(leaning)
    seen: dict[Any, list[Field]] = {}
    for name, points in parts.items():
        seen[name] = []
        for v in points:
            x, z = v[:, 0] * cos + v[:, 2] * sin, v[:, 2] * cos - v[:, 0] * sin
            y = v[:, 1] - 3.0
            x, y = x * ct - y * st + dx, x * st + y * ct + 3.0 + dy
            scale = size / (1.0 - 0.06 * z)
            seen[name].append(place(cx + scale * x, cy + scale * y, scale))
    return seen


def _shapes(seen: dict[Any, list[Field]], draw: Draw, contrast: float, depth: float) -> tuple[Field, Field]:
    """Capsules from the back to the front, and how they look."""
    bright = 1.0 if draw(0, 1) < 0.4 else -1.0
    shirt, legs = bright * draw(0.5, 1.6) * contrast, draw(-1.5, 0.8) * contrast
    skin, hair = draw(-0.3, 1.0) * contrast + 0.15, draw(-1.6, 0.2) * contrast
    folds, shade, bare = draw(0.1, 0.7) * contrast, draw(-0.4, 0.4), draw(0, 1) < 0.45
    arm_tone = shirt + draw(-0.25, 0.25)
    fore, fore_folds = (skin, 0.3 * folds) if bare else (arm_tone, folds)
    ends, look = [], []

    def capsule(
        points: list[Field], ra: float, rb: float, tone: float, fold: float, soft: float = 1.0, opacity: float = 1.0
    ) -> None:
        a, b = points
        ends.append(np.stack([a[:, 0], a[:, 1], ra * a[:, 2], b[:, 0], b[:, 1], rb * b[:, 2]], axis=-1))
        look.append((tone, fold, shade * (soft == 1.0), soft, opacity))

    cast = place(draw(-12, 12), draw(2, 10), 0.0)
    front = (-1, 1) if draw(0, 1) < 0.5 else (1, -1)
    for name, radius in (("trunk", 0.85), ("head", 0.5)):
        a, b = seen[name]
        capsule([a + cast, b + cast], radius, radius, -1.2, 0.0, 7.0, depth)
    for side in front:
        shoulder, elbow, wrist, tip = seen[f"arm{side}"]
        capsule([shoulder + cast, elbow + cast], 0.3, 0.25, -1.2, 0.0, 6.0, depth)
        capsule([elbow + cast, tip + cast], 0.25, 0.2, -1.2, 0.0, 6.0, depth)
    for name in ("leg-1", "leg1"):
        capsule(seen[name], 0.46, 0.4, legs, folds)
    capsule(seen["trunk"], 0.84, 0.74, shirt, folds)
    capsule(seen["shoulders"], 0.34, 0.34, shirt, folds)
    capsule(seen["neck"], 0.27, 0.27, skin - 0.1, 0.0)
    capsule(seen["head"], 0.44, 0.47, skin, 0.1)
    capsule(seen["hair"], 0.34, 0.34, hair, 0.2)
    capsule(seen["eyes"], 0.07, 0.07, hair, 0.0)
    for side in front:
        shoulder, elbow, wrist, tip = seen[f"arm{side}"]
        capsule([shoulder, elbow], 0.34, 0.27, arm_tone, folds)
        capsule([elbow, wrist], 0.27, 0.19, fore, fore_folds)
        capsule([wrist, tip], 0.2, 0.2, skin, 0.15 * contrast)
    return np.ascontiguousarray(np.stack(ends, axis=1)), np.array(look)
