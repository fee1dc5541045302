"""Events of one recording: what they are, and what is done with them ahead of a network.

The functions do what tonic's transforms of the same names do, event by event; tests compare the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

EVENT = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", np.bool_)])
"""One event, as tonic has it: column, row, time in microseconds, and polarity, true for ON."""

EventArray = NDArray[np.void]
MOST_STEPS = 1 << 20
MOST_SIZE = 1 << 12


LIMITS = {"x": 1 << 15, "y": 1 << 15, "t": 1 << 63, "p": 2}
"""By column, what is above all that EVENT holds."""


def make_events(x: Any, y: Any, t: Any, p: Any) -> EventArray:
    """Events from their columns, numbers or (events) each.

    Raises
    ------
    InputError
        where a column does not hold whole numbers that EVENT has room for.

    >>> make_events([3], [4], [1500], [1]).tolist()
    [(3, 4, 1500, True)]
    """
    events = np.empty(np.size(t), EVENT)
    for name, values in (("x", x), ("y", y), ("t", t), ("p", p)):
        column = whole_numbers(f"make_events.{name}", values, -LIMITS[name] if name != "p" else 0, LIMITS[name])
        if column.size not in (1, events.size):
            raise InputError(f"make_events.{name}: found {column.size} values for {events.size} times")
        events[name] = column
    return events


def whole_numbers(where: str, values: Any, least: int, limit: int) -> NDArray[Any]:
    """An array of numbers that are whole, from `least` to below `limit`; others are refused, not cut or wrapped."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where}: found {array.dtype} {array.shape}, needed numbers (events)")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.floor(array)).all()):
        raise InputError(f"{where}: found values that are not whole numbers; times are microseconds")
    if array.size and not (least <= int(array.min()) and int(array.max()) < limit):
        raise InputError(f"{where}: found {array.min()}..{array.max()}, allowed {least}..{limit - 1}")
    return array


def whole(where: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number from `least` to `most`; text, truth values and fractions are none.

    Raises
    ------
    InputError
        naming the place and what is allowed.
    """
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not fits or value < least or (most is not None and value > most):
        raise InputError(f"{where}: found {value!r}, allowed are whole numbers from {least}"
                         + (" up" if most is None else f" to {most}"))
    return int(value)


def in_order(events: EventArray) -> EventArray:
    """Events sorted by time; those of one time stay as they are."""
    t = events["t"]
    if (t[1:] >= t[:-1]).all():
        return events
    ordered: EventArray = events[np.argsort(t, kind="stable")]
    return ordered


def check_events(events: Any, sensor: tuple[int, int], where: str = "events") -> EventArray:
    """Refuse what is no recording of a sensor.

    sensor : height and width in pixels

    Raises
    ------
    InputError
        where the type is another, a pixel lies outside, or times are negative or run backwards.
    """
    if not isinstance(events, np.ndarray) or events.dtype != EVENT or events.ndim != 1:
        found = f"{events.dtype} {events.shape}" if isinstance(events, np.ndarray) else type(events).__name__
        raise InputError(f"{where}: found {found}, needed s2nir.data.EVENT (events). Use read_events or make_events.")
    height, width = sensor
    for axis, limit in (("x", width), ("y", height)):
        values = events[axis]
        if values.size and (values.min() < 0 or values.max() >= limit):
            raise InputError(f"{where}.{axis}: found {values.min()}..{values.max()}, allowed 0..{limit - 1}")
    t = events["t"]
    if t.size and t.min() < 0:
        raise InputError(f"{where}.t: found {t.min()} us, allowed from 0 up. Subtract the recording's begin.")
    if t.size > 1:
        back = np.flatnonzero(t[1:] < t[:-1])
        if back.size:
            k = int(back[0])
            raise InputError(
                f"{where}.t: event {k + 1} ({t[k + 1]} us) comes ahead of the one before it ({t[k]} us). "
                "Sort them: s2nir.data.in_order."
            )
    return events


def denoise(events: EventArray, filter_time: int = 10_000, sensor: tuple[int, int] = (128, 128)) -> EventArray:
    """Keep an event where one of the pixel's four neighbours sent one less than `filter_time` ago.

    As tonic's Denoise: also in the first `filter_time` of a recording, neighbours count as if they had just sent one.

    filter_time : int, microseconds
    sensor : height and width in pixels
    """
    from .filters import connected

    check_events(events, sensor)
    if filter_time < 1:
        raise InputError(f"denoise.filter_time: found {filter_time}, allowed from 1 us")
    if not events.size:
        return events.copy()
    x, y, t = (np.ascontiguousarray(events[k]) for k in ("x", "y", "t"))
    kept: EventArray = events[connected(x, y, t, int(filter_time))]
    return kept


def downsample(events: EventArray, factor: float) -> EventArray:
    """Coordinates times `factor` (0.25 is a quarter of the resolution), rounded down; no event is dropped.

    As tonic's Downsample.
    """
    if not 0 < factor <= 1:
        raise InputError(f"downsample.factor: found {factor}, allowed above 0 to 1")
    fewer = events.copy()
    for axis in ("x", "y"):
        fewer[axis] = events[axis] * factor
    return fewer


def crop(events: EventArray, start_us: int, stop_us: int) -> EventArray:
    """Events from `start_us` to before `stop_us`; times count from `start_us`."""
    if not 0 <= start_us < stop_us:
        raise InputError(f"crop: found {start_us}..{stop_us} us, allowed 0 <= start < stop")
    lo, hi = np.searchsorted(events["t"], [start_us, stop_us])
    part: EventArray = events[lo:hi].copy()
    part["t"] -= start_us
    return part


def bin_frames(
    events: EventArray, *, tick_us: int, steps: int, size: int | tuple[int, int], clamp: int | None = None
) -> NDArray[np.uint8]:
    """Events counted per tick and pixel.

    As tonic's ToFrame: channel p counts the events of polarity p, so channel 0 is OFF and channel 1 is ON. Tick k is
    from k * tick_us to before (k + 1) * tick_us; what comes after the last tick is left out.

    tick_us : int, microseconds
    steps : int
    size : height and width, or one number for both
    clamp : the largest count, or None for 255

    Returns
    -------
    uint8 (steps, 2, height, width)
    """
    height, width = (size, size) if isinstance(size, int | np.integer) else size
    limit = 255 if clamp is None else clamp
    if not (tick_us >= 1 and 1 <= steps <= MOST_STEPS and 1 <= min(height, width) <= max(height, width) <= MOST_SIZE):
        raise InputError(
            f"bin_frames: found tick_us={tick_us}, steps={steps}, size={size}; allowed are tick_us from 1, steps from "
            f"1 to {MOST_STEPS}, size from 1 to {MOST_SIZE}"
        )
    if not 1 <= limit <= 255:
        raise InputError(f"bin_frames.clamp: found {clamp}, allowed 1 to 255, or None")
    check_events(events, (height, width))
    events = events[: int(np.searchsorted(events["t"], int(tick_us) * int(steps)))]
    flat = (events["t"] // tick_us * 2 + events["p"]) * height + events["y"]
    counts = np.bincount(flat * width + events["x"], minlength=steps * 2 * height * width)
    return np.minimum(counts, limit).astype(np.uint8).reshape(steps, 2, height, width)


def augment(
    events: EventArray,
    rng: np.random.Generator,
    sensor: tuple[int, int] = (128, 128),
    shift: int = 8,
    jitter_us: float = 2000.0,
    drop: float = 0.1,
) -> EventArray:
    """A changed copy for training: all events moved by up to `shift` pixels, times jittered, and some events dropped.

    shift : int, pixels each way; what leaves the sensor is dropped
    jitter_us : float, standard deviation of the change of a time, microseconds; times stay sorted and from 0 up
    drop : float, the largest share of events that are dropped; the share is drawn from 0 to this
    """
    if shift < 0 or jitter_us < 0 or not 0 <= drop < 1:
        raise InputError(
            f"augment: found shift={shift}, jitter_us={jitter_us}, drop={drop}; allowed are shift and jitter_us from "
            "0, drop from 0 to below 1"
        )
    check_events(events, sensor)
    dx, dy = rng.integers(-shift, shift + 1, 2)
    x, y = events["x"] + dx, events["y"] + dy
    stay = (x >= 0) & (x < sensor[1]) & (y >= 0) & (y < sensor[0])
    stay &= rng.random(events.size) >= drop * rng.random()
    t = np.maximum(np.rint(events["t"] + rng.normal(0.0, 1.0, events.size) * jitter_us), 0).astype(np.int64)
    return in_order(make_events(x[stay], y[stay], t[stay], events["p"][stay]))
