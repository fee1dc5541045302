"""What each core of an image does in a Recording: packets, synaptic events and cycles, in one pass over its ticks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..emulate import Recording
from ..errors import needs
from ..machine import FIFO_PACKETS
from ..mapping import MachineImage
from .cycles import Cycles, kernels, synapses_per_core

DENSE = 1 << 22  # values by tick and core that are held at once
CONV_PL, ROWS_PL = 30, 200  # pl_threshold of the published demo [P]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Work:
    """Sums over a Recording; a packet counts in the tick in which it was sent, a tick of a core in the recordings that
    its copy ran. Arrays by core in the order of the image, cycles as `Cycles` estimates them.

    recordings, ticks : of the Recording
    packets : int64 (batch, cores), packets that arrive
    worst : int64 (cores), packets of each core's worst tick
    busiest : int64 (ticks), packets of the fullest core, over all recordings
    over_fifo : int64 (cores), ticks in which more packets arrive than the FIFO holds
    cycles : float64 (cores), of each core's busiest tick; 0 for input cores
    at : int64 (2, cores), the first such tick and its recording; then : float64 (2, cores), its packets and events
    busiest_cycles : float64 (ticks), the same of the busiest core
    overruns : int64 (cores), ticks that take more cycles than they have; budget : float64 (cores), what a tick has
    all_cycles : float, of all cores, over all ticks
    ran, events : float64 (cores), ticks that each core ran, and weights that it added
    high : float64 (3, cores), of the ticks with at least `threshold` packets: how many, their packets, their events
    """

    recordings: int
    ticks: int
    packets: NDArray[np.int64]
    worst: NDArray[np.int64]
    busiest: NDArray[np.int64]
    over_fifo: NDArray[np.int64]
    cycles: NDArray[np.float64]
    at: NDArray[np.int64]
    then: NDArray[np.float64]
    busiest_cycles: NDArray[np.float64]
    overruns: NDArray[np.int64]
    budget: NDArray[np.float64]
    all_cycles: float
    ran: NDArray[np.float64]
    events: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def synaptic_events(self) -> int:
        """Weights added, over all cores and recordings."""
        return int(self.events.sum())


def thresholds(image: MachineImage, pl_threshold: int | None = None) -> NDArray[np.int64]:
    """Packets in a tick from which each core takes the high level: int64 (cores).

    pl_threshold : for all cores; by default 30 for cores with kernels and 200 for others, as in the published demo
    """
    if pl_threshold is not None:
        return np.full(len(image.cores), pl_threshold, np.int64)
    return np.where(kernels(image), CONV_PL, ROWS_PL)


def work(recording: Recording, pl_threshold: int | None = None) -> Work:
    """Measure a Recording; pl_threshold : as `thresholds` takes it."""
    from scipy.sparse import csr_array

    needs(recording, Recording, "work", "Make one with s2nir.run(image, spikes).")
    image, program = recording.image, recording.program
    batch, ticks, cores = recording.batch, recording.ticks, len(image.cores)
    cost, turn = Cycles(image), thresholds(image, pl_threshold)
    fanout, over = synapses_per_core(image, program), program.reach.over("core", cores)
    step, copy = max(1, DENSE // max(cores, 1)), np.arange(cores) // image.cores_per_copy
    packets, every = np.zeros((batch, cores), np.int64), np.arange(cores)
    worst, over_fifo, overruns = (np.zeros(cores, np.int64) for _ in range(3))
    busiest, busiest_cycles = np.zeros(ticks, np.int64), np.zeros(ticks)
    cycles, at, then = np.full(cores, -1.0), np.zeros((2, cores), np.int64), np.zeros((2, cores))
    ran, events, high, every_cycle = np.zeros(cores), np.zeros(cores), np.zeros((3, cores)), 0.0
    for b in range(batch):
        tick, source, count = recording.sent(b)
        mine = copy == b % image.copies
        ran += ticks * mine
        by_class = program.reach.sent(ticks, tick, source, count)
        by_source = csr_array((count.astype(np.float64), (tick, source)), shape=(ticks, program.size))
        for t in range(0, ticks, step):  # a few ticks at a time: these are dense
            arriving = (by_class[t : t + step] @ over).toarray()
            added = (by_source[t : t + step] @ fanout).toarray()
            taken = cost(arriving, added) * mine
            packets[b] += arriving.sum(axis=0)
            worst = np.maximum(worst, arriving.max(axis=0, initial=0))
            busiest[t : t + step] = np.maximum(busiest[t : t + step], arriving.max(axis=1, initial=0))
            over_fifo += (arriving > FIFO_PACKETS).sum(axis=0)
            events += added.sum(axis=0)
            every_cycle += float(taken.sum())
            place = taken.argmax(axis=0)
            most = taken[place, every]
            more = most > cycles
            cycles[more], at[:, more] = most[more], np.stack([t + place, np.full(cores, b)])[:, more]
            then[:, more] = np.stack([arriving[place, every], added[place, every]])[:, more]
            busiest_cycles[t : t + step] = np.maximum(busiest_cycles[t : t + step], taken.max(axis=1, initial=0))
            overruns += (taken > cost.budget).sum(axis=0)
            turned = (arriving >= turn) & mine
            high += np.stack([turned.sum(axis=0), (arriving * turned).sum(axis=0), (added * turned).sum(axis=0)])
    return Work(
        recordings=batch, ticks=ticks, packets=packets, worst=worst, busiest=busiest, over_fifo=over_fifo,
        cycles=np.maximum(cycles, 0), at=at, then=then, busiest_cycles=busiest_cycles, overruns=overruns,
        budget=cost.budget, all_cycles=every_cycle, ran=ran, events=events, high=high,
    )
