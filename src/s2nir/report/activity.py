"""What a run did, summed: spikes, packets and estimated cycles, one recording in memory at a time.

Cycles are an estimate [U] (cost/cycles.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cost import Cycles, synapses_per_core
from ..emulate import Recording
from ..machine import FIFO_PACKETS
from ..mapping import named

DENSE = 1 << 22  # packets by tick and core that are held at once
Events = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Activity:
    """Sums over a Recording; a packet counts in the tick in which it was sent, a tick of a core in the recordings that
    its copy ran.

    spikes : by population, int64 (batch), over the aligned steps
    packets : int64 (batch, cores), packets that arrive
    worst : int64 (cores), packets of each core's worst tick
    busiest : int64 (ticks), packets of the fullest core, over all recordings
    over_fifo : int64 (cores), ticks (of all recordings) in which more packets arrive than the FIFO holds
    synaptic_events : int, weights added, over all recordings
    cycles : float64 (cores), estimated cycles of each core's worst tick; 0 for input cores
    busiest_cycles : float64 (ticks), the same of the fullest core
    all_cycles : float, estimated cycles of all cores, over all ticks and recordings
    overruns : int64 (cores), ticks whose estimate is over the tick
    budget : float64 (cores), cycles that a tick has
    """

    spikes: dict[str, NDArray[np.int64]]
    packets: NDArray[np.int64]
    worst: NDArray[np.int64]
    busiest: NDArray[np.int64]
    over_fifo: NDArray[np.int64]
    synaptic_events: int
    cycles: NDArray[np.float64]
    busiest_cycles: NDArray[np.float64]
    all_cycles: float
    overruns: NDArray[np.int64]
    budget: NDArray[np.float64]


def measure(recording: Recording) -> Activity:
    """The sums of a Recording."""
    from scipy.sparse import csr_array

    image, program = recording.image, recording.program
    batch, ticks, cores = recording.batch, recording.ticks, len(image.cores)
    cost = Cycles(image)
    fanout, over = synapses_per_core(image, program), program.reach.over("core", cores)
    step, copy = max(1, DENSE // max(cores, 1)), np.arange(cores) // image.cores_per_copy
    populations = _population_of(recording)
    spikes = {p.name: np.zeros(batch, np.int64) for p in image.populations if p.spikes and p.kind != "relay"}
    packets = np.zeros((batch, cores), np.int64)
    worst, over_fifo, overruns = (np.zeros(cores, np.int64) for _ in range(3))
    busiest, busiest_cycles = np.zeros(ticks, np.int64), np.zeros(ticks)
    cycles, total, every = np.zeros(cores), 0, 0.0
    for b in range(batch):
        tick, source, count = recording.sent(b)
        for place, p in enumerate(image.populations):
            if p.name in spikes:
                mine = (populations[source] == place) & (tick >= p.lag) & (tick < p.lag + recording.steps)
                spikes[p.name][b] = count[mine].sum()
        by_class = program.reach.sent(ticks, tick, source, count)
        by_source = csr_array((count.astype(np.float64), (tick, source)), shape=(ticks, program.size))
        for t in range(0, ticks, step):  # a few ticks at a time: these are dense
            arriving = (by_class[t : t + step] @ over).toarray()
            added = (by_source[t : t + step] @ fanout).toarray()
            taken = cost(arriving, added) * (copy == b % image.copies)
            packets[b] += arriving.sum(axis=0)
            worst = np.maximum(worst, arriving.max(axis=0, initial=0))
            busiest[t : t + step] = np.maximum(busiest[t : t + step], arriving.max(axis=1, initial=0))
            over_fifo += (arriving > FIFO_PACKETS).sum(axis=0)
            total += int(added.sum())
            every += float(taken.sum())
            cycles = np.maximum(cycles, taken.max(axis=0, initial=0))
            busiest_cycles[t : t + step] = np.maximum(busiest_cycles[t : t + step], taken.max(axis=1, initial=0))
            overruns += (taken > cost.budget).sum(axis=0)
    return Activity(
        spikes=spikes, packets=packets, worst=worst, busiest=busiest, over_fifo=over_fifo, synaptic_events=total,
        cycles=cycles, busiest_cycles=busiest_cycles, all_cycles=every, overruns=overruns, budget=cost.budget,
    )


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
