"""Cycles of cores, an estimate [U]: what a neuron application takes per packet, synaptic event and neuron is not
published. The estimate adds up the `cycles_...` fields of the application (machine/applications.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulate import Program
from ..machine import APPLICATIONS, Application
from ..mapping import Descriptor, MachineImage

INPUT, RELAY = "spike_list", "relay"


class Cycles:
    """Cycles that each core of an image takes, from the packets and synaptic events of its ticks (ticks, cores).

    clock_hz, budget : float64 (cores), cycles per second and per tick of the image
    """

    def __init__(self, image: MachineImage) -> None:
        apps = [APPLICATIONS.get(c.application, Application(name=c.application)) for c in image.cores]
        live = np.array([a.name != INPUT for a in apps])
        neurons = np.array([descriptor(c.memory).neurons for c in image.cores])
        each = np.array([0 if a.name == RELAY else a.cycles_per_neuron for a in apps])
        self.still = live * (np.array([a.cycles_base for a in apps]) + each * neurons)
        self.packet = live * np.array([a.cycles_per_packet for a in apps])
        self.synapse = live * np.array([0 if a.name == RELAY else a.cycles_per_synapse for a in apps])
        self.clock_hz = np.array([a.clock_hz for a in apps])
        self.budget = image.tick * self.clock_hz

    def __call__(self, packets: NDArray[np.int64], events: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.still + self.packet * packets + self.synapse * events, np.float64)


def synapses_per_core(image: MachineImage, program: Program) -> Any:
    """How many weights a packet of each source adds on each core: a sparse matrix (sources, cores).

    On cores with synapse rows the words of a row count; on cores with kernels every tap that meets a target.
    """
    from scipy.sparse import csr_array

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


def _core_of(first: NDArray[np.int64], neuron: NDArray[Any]) -> NDArray[np.int64]:
    return np.searchsorted(first, neuron, side="right") - 1
