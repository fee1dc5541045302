"""Number formats and integer arithmetic: the one definition that every stage uses.

Two state formats (see docs/arithmetic.md). `float32`: integer weights, IEEE float32 state, each operation rounded by
itself. `fixed`: state and thresholds Q16.15 in int32, decays Q0.31 with 1.0 exact, products in int64 rounded half to
even, every add saturating. Values here travel in int64 and are stored into int32, so nothing depends on how a host
wraps.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)
STATE_BITS = 15
DECAY_BITS = 31
MAX_SHIFT = 8
FAR = 2.0**62  # over every limit; larger numbers are held here, since beyond int64 a conversion turns signs


class Arithmetic(enum.Enum):
    """The format of membranes, currents, thresholds and decays on a core."""

    FLOAT32 = "float32"
    FIXED = "fixed"


class Rounding(enum.Enum):
    """How a scaled real weight becomes an integer."""

    HALF_EVEN = "half_even"
    TOWARD_ZERO = "toward_zero"


def to_integers(values: ArrayLike, rounding: Rounding = Rounding.HALF_EVEN) -> NDArray[np.int64]:
    """Real numbers to integers; beyond +-2**62 they are held there.

    >>> to_integers([0.5, 1.5, -2.7]).tolist(), to_integers([0.5, 1.5, -2.7], Rounding.TOWARD_ZERO).tolist()
    ([0, 2, -3], [0, 1, -2])
    """
    values = np.asarray(values, np.float64)
    whole = np.rint(values) if rounding is Rounding.HALF_EVEN else np.trunc(values)
    return np.asarray(np.clip(whole, -FAR, FAR), np.int64)


def clip(values: ArrayLike, limit: int) -> NDArray[np.int64]:
    """Integers held within -limit..limit.

    >>> clip([148, -200, 3], 127).tolist()
    [127, -127, 3]
    """
    return np.clip(np.asarray(values, np.int64), -limit, limit)


def wrap(values: ArrayLike, bits: int) -> NDArray[np.int64]:
    """Integers as a two's complement word of `bits` bits holds them.

    >>> wrap([148, -129, 127], 8).tolist()
    [-108, 127, 127]
    """
    half = 1 << (bits - 1)
    return (np.asarray(values, np.int64) + half) % (1 << bits) - half


def saturate(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 values held within int32.

    >>> saturate(np.array([2**31, -5])).tolist()
    [2147483647, -5]
    """
    return np.clip(values, INT32_MIN, INT32_MAX)


def multiply_decay(state: ArrayLike, decay: ArrayLike) -> NDArray[np.int64]:
    """state * decay / 2**31 in int64, rounded half to even; |state| <= 2**31 and 0 <= decay <= 2**31.

    >>> multiply_decay([3, 5, -3], 1 << 30).tolist(), multiply_decay(7, 1 << 31).tolist()
    ([2, 2, -2], 7)
    """
    product = np.asarray(state, np.int64) * np.asarray(decay, np.int64)
    down = product >> DECAY_BITS  # floor
    rest = product - (down << DECAY_BITS)
    half = np.int64(1) << (DECAY_BITS - 1)
    up = (rest > half) | ((rest == half) & ((down & 1) == 1))
    return np.asarray(down + up, np.int64)


def to_state(values: ArrayLike, shift: int) -> NDArray[np.int64]:
    """Real numbers in weight units to Q16.15 after a right shift of `shift` bits; within +-2**62, not yet int32.

    >>> to_state([1.0, 2.5], 0).tolist()
    [32768, 81920]
    """
    with np.errstate(over="ignore"):
        scaled = np.ldexp(np.asarray(values, np.float64), STATE_BITS - shift)
    return to_integers(scaled)


def to_decay(values: ArrayLike) -> NDArray[np.int64]:
    """Decays in 0..1 to Q0.31.

    >>> to_decay([1.0, 0.5, 0.0]).tolist()
    [2147483648, 1073741824, 0]
    """
    return np.rint(np.ldexp(np.asarray(values, np.float64), DECAY_BITS)).astype(np.int64)


def next_up(threshold: NDArray[Any]) -> NDArray[Any]:
    """The next larger representable number: `V > threshold` is `V >= next_up(threshold)`.

    >>> next_up(np.array([5], np.int32)).tolist(), bool(next_up(np.array([1], np.float32))[0] > 1)
    ([6], True)
    """
    if threshold.dtype == np.float32:
        with np.errstate(over="ignore", under="ignore"):  # of the largest number it is infinity, of 0 a subnormal
            return np.asarray(np.nextafter(threshold, np.float32(np.inf), dtype=np.float32))
    return (threshold.astype(np.int64) + 1).clip(max=INT32_MAX).astype(threshold.dtype)
