"""A model of an event camera, compiled: capsules are drawn step by step, and pixels answer to their log intensity.

Arrays in, arrays out, and nothing but arithmetic: sums, products, quotients and square roots, which every host rounds
alike. A pixel follows the log intensity with a first-order lag, sends an ON or OFF event where it has risen or fallen
by its threshold since it was last reset, at the time that a straight line between two steps gives, and is held in reset
for the refractory time. Leak lets every pixel send ON events slowly; shot noise sends events of both signs at random
([Lichtsteiner2008], doi 10.1109/JSSC.2007.914337; [Hu2021], doi 10.1109/CVPRW53098.2021.00144).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Scene(NamedTuple):
    """What stands before the camera; lengths are pixels, brightness is a natural logarithm.

    ends : float64 (steps + 1, shapes, 6), of each capsule: x, y and radius of one end, then of the other
    look : float64 (shapes, 5): tone, folds (height of the texture), shade (from one side to the other), softness of the
        rim in pixels, opacity; later shapes hide earlier ones
    still : int, so many of the first shapes stay where they are in the first step
    back : float64 (height, width), tone of the background
    cloth : float64 (n, n), a texture that repeats; n is a power of two
    light : float64 (steps + 1), brightness of the light, added where and as much as `lit` says
    lit : float64 (height, width)
    """

    ends: NDArray[np.float64]
    look: NDArray[np.float64]
    still: int
    back: NDArray[np.float64]
    cloth: NDArray[np.float64]
    light: NDArray[np.float64]
    lit: NDArray[np.float64]


class Pixels(NamedTuple):
    """The sensor.

    on, off : float64 (pixels), change of log intensity that makes an event
    leak : float64 (pixels), ON events per second without any change
    level : float64 (pixels), where a pixel stands between -1 (about to send OFF) and 1 (ON) as the film begins
    lag : float, share of the way to the new log intensity that a pixel goes in a step
    noise : float, shot noise events per pixel and second
    refractory : int, microseconds
    """

    on: NDArray[np.float64]
    off: NDArray[np.float64]
    leak: NDArray[np.float64]
    level: NDArray[np.float64]
    lag: float
    noise: float
    refractory: int


class Out(NamedTuple):
    """Events in the order of their times; of one time, in the order of pixels as they were handled."""

    t: NDArray[np.int64]
    pixel: NDArray[np.int32]
    p: NDArray[np.bool_]


@njit(nogil=True)
def _span(y: float, a: float, b: float, dx: float, dy: float, rim: float) -> tuple[float, float]:
    """From where to where a row runs through the points less than `rim` from a segment; y from the segment's begin.

    a, b : x of the segment's ends; dx, dy : from one to the other
    """
    low, high = 1e9, -1e9
    rest = rim * rim - y * y
    if rest > 0.0:
        half = np.sqrt(rest)
        low, high = a - half, a + half
    rest = rim * rim - (y - dy) * (y - dy)
    if rest > 0.0:
        half = np.sqrt(rest)
        low, high = min(low, b - half), max(high, b + half)
    if abs(dy) > 1e-3:  # the slab between the discs
        wide, middle = rim * np.sqrt(dx * dx + dy * dy) / abs(dy), y * dx / dy
        left, right = middle - wide, middle + wide
        if abs(dx) > 1e-3:
            one, two = -y * dy / dx, (dx * dx + dy * dy - y * dy) / dx
            left, right = max(left, min(one, two)), min(right, max(one, two))
        elif not 0.0 <= y * dy <= dy * dy:
            left, right = 1e9, -1e9
        if left < right:
            low, high = min(low, a + left), max(high, a + right)
    return low, high


@njit(nogil=True)
def draw(frame: Any, ends: Any, look: Any, cloth: Any, first: int, last: int) -> None:
    """Draw the capsules `first` to before `last` of one step over what `frame` holds."""
    height, width = frame.shape
    mask = cloth.shape[0] - 1
    for k in range(first, last):
        ax, ay, ar, bx, by, br = ends[k, 0], ends[k, 1], ends[k, 2], ends[k, 3], ends[k, 4], ends[k, 5]
        tone, folds, shade, soft, opacity = look[k, 0], look[k, 1], look[k, 2], look[k, 3], look[k, 4]
        rim, per_soft = max(ar, br) + 0.5 * soft, 1.0 / soft
        dx, dy, dr = bx - ax, by - ay, br - ar
        length = np.sqrt(dx * dx + dy * dy)
        per_length, per_radius = 1.0 / max(length, 1e-3), 2.0 / (ar + br)
        ux, uy, dr = dx * per_length, dy * per_length, dr * per_length
        for y in range(max(0, int(min(ay, by) - rim)), min(height, int(max(ay, by) + rim) + 2)):
            py = y - ay
            low, high = _span(py, ax, bx, dx, dy, rim)
            for x in range(int(max(low, 0.0)), int(min(high + 1.0, float(width)))):
                px = x - ax
                along = min(max(px * ux + py * uy, 0.0), length)
                qx, qy = px - along * ux, py - along * uy
                cover = min(0.5 - (np.sqrt(qx * qx + qy * qy) - ar - along * dr) * per_soft, 1.0) * opacity
                if cover > 0.0:
                    across = px * uy - py * ux
                    fold = cloth[int(along + 512.0 + 7.0 * k) & mask, int(across + 512.0) & mask]
                    frame[y, x] += cover * (tone + folds * fold + shade * across * per_radius - frame[y, x])


@njit(nogil=True)
def _next(state: Any) -> float:
    """The next number of 0 to below 1 (splitmix64)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(nogil=True)
def _in_order(out: Any, begin: int, end: int, t0: int, count: Any, hold: Out) -> None:
    """Sort the events of one step by time; equal times keep their order."""
    count[:] = 0
    for k in range(begin, end):
        count[out.t[k] - t0 + 1] += 1
    for k in range(1, count.size):
        count[k] += count[k - 1]
    for k in range(begin, end):
        hold.t[k - begin], hold.pixel[k - begin], hold.p[k - begin] = out.t[k], out.pixel[k], out.p[k]
    for k in range(end - begin):
        offset = hold.t[k] - t0
        place = begin + count[offset]
        count[offset] += 1
        out.t[place], out.pixel[place], out.p[place] = hold.t[k], hold.pixel[k], hold.p[k]


@njit(nogil=True)
def _pixels(seen: Any, now: Any, gap: Any, free: Any, pixels: Any, t0: float, dt: float, out: Any, n: int) -> int:
    """Events of one step by change and leak, pixel by pixel; returns how many there are, or -1 where out is full.

    seen, now : log intensity as the pixels see it at the step's begin and end
    gap : float64 (pixels), how far a pixel's log intensity has risen since its last reset, leak included
    free : float64 (pixels), microseconds, when the refractory time ends
    """
    t1, refractory = t0 + dt, float(pixels.refractory)
    for k in range(now.size):
        slope = (now[k] - seen[k]) / dt + pixels.leak[k] * pixels.on[k] * 1e-6
        seen[k] = now[k]
        start, rise = t0, gap[k]
        if free[k] > t0:
            start, rise = free[k], 0.0
        while start < t1:
            end = rise + slope * (t1 - start)
            p = slope > 0.0
            edge = pixels.on[k] if p else -pixels.off[k]
            if slope == 0.0 or (end < edge if p else end > edge):
                rise = end
                break
            at = min(np.floor(start + (edge - rise) / slope), t1 - 1.0)
            if n == out.t.size:
                return -1
            out.t[n], out.pixel[n], out.p[n] = int(at), k, p
            n += 1
            start, rise = at + refractory, 0.0
            free[k] = start
        gap[k] = rise
    return n


@njit(nogil=True)
def _shots(free: Any, pixels: Any, due: float, t0: int, t1: int, state: Any, out: Any, n: int) -> tuple[int, float]:
    """Shot noise of one step: `due` events fall into it, of which a fraction is carried to the next.

    An event in a pixel's refractory time is lost.
    """
    while due >= 1.0:
        due -= 1.0
        k = int(_next(state) * free.size)
        at = t0 + int(_next(state) * (t1 - t0))
        p = _next(state) < 0.5
        if at < free[k]:
            continue
        if n == out.t.size:
            return -1, due
        out.t[n], out.pixel[n], out.p[n] = at, k, p
        n += 1
        free[k] = at + pixels.refractory
    return n, due


@njit(nogil=True)
def film(scene: Any, pixels: Any, dt: int, seed: int, out: Any) -> int:
    """Film a scene; fills `out` and returns how many events there are, or -1 where it holds too few.

    scene : Scene; its steps are `dt` microseconds long
    pixels : Pixels
    seed : of the shot noise
    """
    height, width = scene.back.shape
    frame = np.empty((height, width))
    seen, gap, free = np.empty(height * width), np.empty(height * width), np.zeros(height * width)
    state = np.full(1, np.uint64(seed))
    count = np.empty(dt + 2, np.int64)
    hold = Out(np.empty(out.t.size, np.int64), np.empty(out.t.size, np.int32), np.empty(out.t.size, np.bool_))
    back = scene.back.copy()
    draw(back, scene.ends[0], scene.look, scene.cloth, 0, scene.still)
    flat, lit = frame.reshape(-1), scene.lit.reshape(-1)
    n, due = 0, 0.0
    for step in range(scene.ends.shape[0]):
        frame[:] = back
        draw(frame, scene.ends[step], scene.look, scene.cloth, scene.still, scene.look.shape[0])
        light = scene.light[step]
        if step == 0:
            for k in range(flat.size):
                seen[k] = flat[k] + light * lit[k]
                gap[k] = pixels.level[k] * (pixels.on[k] if pixels.level[k] > 0.0 else pixels.off[k])
            continue
        for k in range(flat.size):
            flat[k] = seen[k] + pixels.lag * (flat[k] + light * lit[k] - seen[k])
        t0, begin = (step - 1) * dt, n
        n = _pixels(seen, flat, gap, free, pixels, float(t0), float(dt), out, n)
        if n < 0:
            return -1
        due += pixels.noise * flat.size * dt * 1e-6
        n, due = _shots(free, pixels, due, t0, t0 + dt, state, out, n)
        if n < 0:
            return -1
        _in_order(out, begin, n, t0, count, hold)
    return n
