"""The loop of `denoise`, compiled; `tonic.transforms.Denoise` is the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True)
def connected(x: Any, y: Any, t: Any, filter_time: int) -> Any:
    """Which events have a neighbour that is still fresh.

    A pixel is fresh until `filter_time` after its last event, and at the beginning until `filter_time`. The rim is that
    of the events, not of the sensor.

    x, y : int16 (events); t : int64 (events), microseconds

    Returns
    -------
    bool (events)
    """
    width, height = 0, 0
    for k in range(x.size):
        width, height = max(width, x[k] + 1), max(height, y[k] + 1)
    fresh = np.full((height + 2, width + 2), np.int64(filter_time))
    fresh[0, :], fresh[-1, :], fresh[:, 0], fresh[:, -1] = -1, -1, -1, -1
    keep = np.empty(x.size, np.bool_)
    for k in range(x.size):
        i, j, now = y[k] + 1, x[k] + 1, t[k]
        fresh[i, j] = now + filter_time
        keep[k] = fresh[i - 1, j] > now or fresh[i + 1, j] > now or fresh[i, j - 1] > now or fresh[i, j + 1] > now
    return keep
