"""The spikes of a run, by population and step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..emulate import Recording
from ..mapping import named

Events = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def spikes_by_population(recording: Recording) -> dict[str, NDArray[np.int64]]:
    """By population that spikes, spikes of each recording over the aligned steps, int64 (batch); relays are none."""
    image, of = recording.image, _population_of(recording)
    found = {p.name: np.zeros(recording.batch, np.int64) for p in image.populations if p.spikes and p.kind != "relay"}
    for b in range(recording.batch):
        tick, source, count = recording.sent(b)
        for place, p in enumerate(image.populations):
            if p.name in found:
                mine = (of[source] == place) & (tick >= p.lag) & (tick < p.lag + recording.steps)
                found[p.name][b] = count[mine].sum()
    return found


def spikes_of(recording: Recording, name: str, b: int) -> Events:
    """(step, neuron, count) of one population's spikes in one recording, aligned with the float run."""
    p = recording.image[name]
    number = np.full(recording.program.size, -1, np.int64)
    number[recording.program.index[named(name, b % recording.image.copies)]] = np.arange(p.size)
    tick, source, count = recording.sent(b)
    mine = (number[source] >= 0) & (tick >= p.lag) & (tick < p.lag + recording.steps)
    return tick[mine] - p.lag, number[source[mine]], count[mine]


def _population_of(recording: Recording) -> NDArray[np.int64]:
    """The place in `image.populations` of every source's population."""
    found = np.full(recording.program.size, -1, np.int64)
    for place, p in enumerate(recording.image.populations):
        for k in range(recording.image.copies):
            found[recording.program.index[named(p.name, k)]] = place
    return found
