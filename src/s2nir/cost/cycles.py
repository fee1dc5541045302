"""Cycles of cores, an estimate [U]: what a neuron application takes per tick, packet, synapse word, neuron and recorded
word is not published. What is assumed, with its range, is in machine/cycles.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulate import Program
from ..machine import APPLICATIONS, Application, Level, Reading, record_bytes
from ..mapping import Descriptor, MachineImage

INPUT = "spike_list"


class Cycles:
    """Cycles that each core of an image takes: of ticks from their packets and synaptic events, or packet by packet.

    reading : which end of each coefficient's range is taken; level : of the PEs, for their clock
    record : what a board records, of "spikes", "voltages", "time"
    still : float64 (cores), of a tick by itself: base, neurons and records; 0 for input cores, as the next two
    packet, synapse : float64 (cores), of each packet and of each word that it finds
    clock_hz : float64 (cores), cycles per second; budget : float64 (cores), cycles of a tick of the image
    parts : the same as `still` by what it is for, "base", "neurons" and "records"
    sending : float64 (cores), of each packet that an input core sends; 0 for others

    >>> import s2nir
    >>> way = s2nir.Connect(source="in", target="a", rule=s2nir.rules.OneToOne(), weight=1.0)
    >>> graph = s2nir.build({"in": 2, "a": s2nir.Neurons(shape=2, tau=0.01, r=20.0)}, [way], dt=1e-3)
    >>> cycles = Cycles(s2nir.compile(s2nir.quantize(graph)))
    >>> float(cycles.of_packet(1, words=3)), float(cycles.of_update(1))  # core 0 is the input's
    (311.0, 2095.0)
    """

    def __init__(
        self, image: MachineImage, reading: Reading = Reading.VALUE, record: tuple[str, ...] = ("spikes",),
        level: Level = Level.HIGH,
    ) -> None:
        apps = [APPLICATIONS.get(c.application, Application(name=c.application)) for c in image.cores]
        live = np.array([a.name != INPUT for a in apps])
        neurons = np.array([descriptor(c.memory).neurons for c in image.cores])
        words = np.array([sum(record_bytes(what, n, 1) for what in record) // 4 for n in neurons.tolist()])

        def of(name: str) -> NDArray[np.float64]:
            return live * np.array([getattr(getattr(a.cycles, name), reading.value) for a in apps], np.float64)

        self.parts = {"base": of("base"), "neurons": of("neuron") * neurons, "records": of("record") * words}
        self.still = np.asarray(sum(self.parts.values()), np.float64)
        self.packet, self.synapse = of("packet"), of("synapse")
        self.sending = ~live * np.array([getattr(a.cycles.packet, reading.value) for a in apps], np.float64)
        self.clock_hz = np.array([a.clock_hz for a in apps]) * (level.clock_hz / Level.HIGH.clock_hz)
        self.budget = image.tick * self.clock_hz

    def __call__(self, packets: NDArray[Any], events: NDArray[Any]) -> NDArray[np.float64]:
        """Cycles of ticks, (ticks, cores), from packets and synaptic events of the same shape."""
        return np.asarray(self.still + self.packet * packets + self.synapse * events, np.float64)

    def of_packet(self, core: Any, words: Any) -> Any:
        """Cycles that packets take at cores, each with so many synapse words there; numbers or arrays of one shape."""
        return self.packet[core] + self.synapse[core] * words

    def of_update(self, core: Any) -> Any:
        """Cycles that a tick takes by itself: neurons, records and the rest, ahead of any packet."""
        return self.still[core]


def synapses_per_core(image: MachineImage, program: Program) -> Any:
    """How many weights a packet of each source adds on each core: a sparse matrix (sources, cores).

    On cores with synapse rows the words of a row count; on cores with kernels every tap that meets a target.
    """
    from scipy.sparse import csr_array

    source, core, _, length, words = runs_by_core(program)
    alone = np.repeat(np.arange(program.size), np.diff(program.synapses.one))
    values = np.where(kernels(image)[core], length, words)
    return csr_array((
        np.concatenate([np.ones(alone.size), values]),
        (np.concatenate([alone, source]), np.concatenate([_core_of(program, program.synapses.one_target), core])),
    ), shape=(program.size, len(image.cores)))


def runs_by_core(program: Program) -> tuple[NDArray[np.int64], ...]:
    """Runs of synapses, cut where a core ends: source, core, first target, targets, and weights that are not 0."""
    s, first = program.synapses, program.first
    filled = np.concatenate([[0], np.cumsum(s.weights != 0)])  # rows are stored with their holes as zeros
    source = np.repeat(np.arange(program.size), np.diff(s.start))
    target, weight, length = s.target.astype(np.int64), s.weight.copy(), s.length.astype(np.int64)
    parts = [tuple(np.zeros(0, np.int64) for _ in range(5))]
    while source.size:  # a run may go on over several cores; one core's share of each run at a time
        core = _core_of(program, target)
        here = np.minimum(length, first[core + 1] - target)
        parts.append((source, core, target, here, filled[weight + here] - filled[weight]))
        more = length > here
        step = here[more]
        source, target, weight, length = source[more], target[more] + step, weight[more] + step, length[more] - step
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def kernels(image: MachineImage) -> NDArray[np.bool_]:
    """Whether each core has kernels."""
    return np.array([descriptor(c.memory).geometries > 0 for c in image.cores], bool)


def descriptor(memory: NDArray[np.uint8]) -> Descriptor:
    """The descriptor at the start of a core's memory."""
    return Descriptor(*(int(w) for w in memory[:64].view("<u4")))


def _core_of(program: Program, neuron: NDArray[Any]) -> NDArray[np.int64]:
    return np.searchsorted(program.first, neuron, side="right") - 1
