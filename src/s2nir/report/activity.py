"""What a run did, summed: spikes, packets and estimated cycles, one recording in memory at a time.

Cycles are an estimate [U]: what a neuron application takes per packet, synaptic event and neuron is not published.
The estimate adds up the `cycles_...` fields of the application (machine/applications.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulate import Recording
from ..machine import APPLICATIONS, FIFO_PACKETS, Application
from ..mapping import Descriptor, MachineImage

DENSE = 1 << 22  # packets by tick and core that are held at once
INPUT, RELAY = "spike_list", "relay"
Events = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Activity:
    """Sums over a Recording; a packet counts in the tick in which it was sent.

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
    cost = _Costs(image)
    fanout, over = synapses_per_core(recording), program.reach.over("core", cores)
    step = max(1, DENSE // max(cores, 1))
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
            taken = cost(arriving, added)
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
    number[recording.program.index[name]] = np.arange(p.size)
    tick, source, count = recording.sent(b)
    mine = (number[source] >= 0) & (tick >= p.lag) & (tick < p.lag + recording.steps)
    return tick[mine] - p.lag, number[source[mine]], count[mine]


def synapses_per_core(recording: Recording) -> Any:
    """How many weights a packet of each source adds on each core: a sparse matrix (sources, cores).

    On cores with synapse rows the words of a row count; on cores with kernels every tap that meets a target.
    """
    from scipy.sparse import csr_array

    image, program = recording.image, recording.program
    s, first = program.synapses, program.first
    filled = np.concatenate([[0], np.cumsum(s.weights != 0)])  # rows are stored with their holes as zeros
    convolves = np.array([descriptor(c.memory).geometries > 0 for c in image.cores], bool)
    source = np.repeat(np.arange(program.size), np.diff(s.start))
    target, weight, length = s.target.copy(), s.weight.copy(), s.length.copy()
    alone = np.repeat(np.arange(program.size), np.diff(s.one))
    parts = [(alone, _core_of(first, s.one_target), np.ones(alone.size))]
    while source.size:  # a run may go on over several cores; one core's share of each run at a time
        core = _core_of(first, target)
        here = np.minimum(length, first[core + 1] - target)
        words = np.where(convolves[core], here, filled[weight + here] - filled[weight])
        parts.append((source, core, words.astype(np.float64)))
        more = length > here
        step = here[more]
        source, target, weight, length = source[more], target[more] + step, weight[more] + step, length[more] - step
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return csr_array((values, (rows, columns)), shape=(program.size, len(image.cores)))


def descriptor(memory: NDArray[np.uint8]) -> Descriptor:
    """The descriptor at the start of a core's memory."""
    return Descriptor(*(int(w) for w in memory[:64].view("<u4")))


def _core_of(first: NDArray[np.int64], neuron: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(first, neuron, side="right") - 1


def _population_of(recording: Recording) -> NDArray[np.int64]:
    """The place in the image's directory of every source's population."""
    found = np.full(recording.program.size, -1, np.int64)
    for place, p in enumerate(recording.image.populations):
        found[recording.program.index[p.name]] = place
    return found


class _Costs:
    """The applications' cycle fields, by core; called with packets and synaptic events (ticks, cores)."""

    def __init__(self, image: MachineImage) -> None:
        apps = [APPLICATIONS.get(c.application, Application(name=c.application)) for c in image.cores]
        live = np.array([a.name != INPUT for a in apps])
        neurons = np.array([descriptor(c.memory).neurons for c in image.cores])
        each = np.array([0 if a.name == RELAY else a.cycles_per_neuron for a in apps])
        self.still = live * (np.array([a.cycles_base for a in apps]) + each * neurons)
        self.packet = live * np.array([a.cycles_per_packet for a in apps])
        self.synapse = live * np.array([0 if a.name == RELAY else a.cycles_per_synapse for a in apps])
        self.budget = np.array([image.tick * a.clock_hz for a in apps])

    def __call__(self, packets: NDArray[np.int64], events: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.still + self.packet * packets + self.synapse * events, np.float64)
