"""Inferences per second of an image, an estimate [U], and what ends it.

Each copy does one inference per round, or several where they follow each other through its layers. A round lasts
`ticks` ticks, of the shortest length that the image can keep, and no less than the host takes to send the input of all
copies. The shortest tick is the longer of what the busiest core computes in its busiest tick (cost/cycles.py) and of
what the busiest link carries in its busiest tick (16 ns per packet on a board, 48 ns between boards [D]). More packets
at a core in a tick than its FIFO holds are lost at any length of the tick. Left out, since nothing is published:
clearing the state between rounds, reading results back, the network on chip, and packets that wait for others within a
tick.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Number, Whole
from ..emulate import Program, Recording, program
from ..errors import InputError, needs
from ..machine import FIFO_PACKETS, LINK_NAMES, LINKS, Chip
from ..mapping import MachineImage, link_ns, rates_of
from .cycles import Cycles, descriptor, synapses_per_core

HOST_PACKETS_PER_S = 1e9 / (1538 * 8) * 368
"""Ours: the rate at which a host can send input is not published (NF). This is what a link of 1 Gbit/s carries when it
is full of Ethernet frames with 368 keys of 4 bytes each, 1,538 bytes with all that frames it: 29.9 M/s [D]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """How often per second an image could answer, an estimate.

    copies : of the network; room : for which the machine has cores
    ticks : of a round, steps and lag; inferences : of one copy in a round
    cycles_s, links_s : seconds that the busiest core computes, and the busiest link carries, in their busiest tick
    core : chip, PE and cycles; link : chip, name and packets; of a copy, and of all
    arriving : packets at the fullest core in a tick; fifo : how many it holds
    input_packets : of one copy in a round; host : packets per second that a host sends
    entries : whether routing tables kept further copies out
    """

    copies: int
    room: int
    ticks: int
    inferences: int
    cycles_s: float
    links_s: float
    core: tuple[Chip, int, float]
    link: tuple[Chip, str, float] | None
    arriving: float
    fifo: int
    input_packets: float
    host: float
    entries: bool

    @property
    def tick_s(self) -> float:
        """The shortest tick, seconds; infinite where packets are lost at any."""
        return float("inf") if self.arriving > self.fifo else max(self.cycles_s, self.links_s)

    @property
    def round_s(self) -> float:
        """Seconds of a round."""
        return max(self.ticks * self.tick_s, self.copies * self.input_packets / self.host)

    @property
    def inferences_per_s(self) -> float:
        return self.copies * self.inferences / self.round_s

    @property
    def tick_limit(self) -> str:
        """What sets the shortest tick: "cycles" or "packets"."""
        return "packets" if self.arriving > self.fifo or self.links_s > self.cycles_s else "cycles"

    @property
    def copies_limit(self) -> str:
        """What keeps further copies out: "cores", "entries", or "" where nothing does."""
        return "cores" if self.copies >= self.room else "entries" if self.entries else ""

    @property
    def limit(self) -> str:
        """What ends the throughput: "input injection" where rounds wait for the host; else "packets" where those set
        the tick; else "cores" or "entries" where no more copies fit; else "cycles"."""
        if self.ticks * self.tick_s < self.copies * self.input_packets / self.host:
            return "input injection"
        return "packets" if self.tick_limit == "packets" else self.copies_limit or "cycles"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is infinite as None."""
        names = ("tick_s", "round_s", "inferences_per_s", "tick_limit", "copies_limit", "limit")
        found = asdict(self) | {n: getattr(self, n) for n in names}
        return {k: None if v == float("inf") else v for k, v in found.items()}

    def __str__(self) -> str:
        chip, pe, cycles = self.core
        lines = [
            f"Throughput: {self.inferences_per_s:,.0f} inferences/s (an estimate) of {self.copies} copies, ended by "
            f"{self.limit}",
            f"  a round: {self.copies} x {self.inferences} inferences, {self.ticks} ticks of "
            f"{self.tick_s * 1e6:,.1f} us; input alone {self.copies * self.input_packets / self.host * 1e6:,.1f} us, "
            f"{self.input_packets:,.0f} packets per copy at {self.host:,.0f}/s",
            f"  busiest core: {chip} PE {pe}, {cycles:,.0f} cycles, {self.cycles_s * 1e6:,.1f} us a tick",
            f"  fullest core: {self.arriving:,.0f} packets in a tick, its FIFO holds {self.fifo}"
            + (": packets are lost at any tick" if self.arriving > self.fifo else ""),
            f"  copies: {self.copies}, the cores would hold {self.room}"
            + (", routing tables no more than these" if self.entries else ""),
        ]
        if self.link is not None:
            (x, y), name, packets = self.link
            lines.insert(3, f"  busiest link: {name} of {(x, y)}, {packets:,.0f} packets, {self.links_s * 1e6:,.1f} us "
                         "a tick")
        return "\n".join(lines)


def throughput(
    image: MachineImage, activity: Recording | Mapping[str, float], *, steps: int | None = None,
    inferences: int = 1, host: float = HOST_PACKETS_PER_S, fifo: int = FIFO_PACKETS,
) -> Throughput:
    """Inferences per second of an image, and what ends them.

    activity : a Recording of this network, on an image of one or of several copies: every copy is taken to do at once
        what the worst recording has in its worst tick; or packets per neuron and tick by population, inputs too (one
        that is not named sends none), whose mean is then taken for the busiest tick
    steps : of a round, needed with rates; of a Recording they are its own
    inferences : in the steps of a round: as many as steps where neurons keep nothing from one tick to the next, so that
        inputs follow each other through the layers
    host : packets per second that a host sends to the machine; fifo : packets that a core holds in a tick

    Raises
    ------
    InputError
        where the recording is of another network or cut, a population is named that is not there, or a number cannot be
        meant.
    """
    needs(image, MachineImage, "throughput", "Make one with s2nir.compile(network, copies=...).")
    needs(activity, (Recording, Mapping), "throughput", "Give a Recording of the network, or rates by population.")
    host = Number(0, above=True, what="packets per second")(host, "throughput.host", InputError)
    fifo = Whole(1, what="packets")(fifo, "throughput.fifo", InputError)
    inferences = Whole(1)(inferences, "throughput.inferences", InputError)
    if isinstance(activity, Recording):
        if steps is not None:
            raise InputError(f"throughput.steps: found {steps!r}, allowed with rates only; a Recording has its own")
        one, ready, sent, into = _recorded(image, activity)
        length = activity.steps
    elif steps is None:
        raise InputError("throughput: rates say nothing of the length of a round; give steps= as well")
    else:
        length = Whole(1, what="steps")(steps, "throughput.steps", InputError)
        one, ready, sent, into = _expected(image, activity)
        into *= length
    cycles, arriving, packets = _busiest(one, ready, sent, _crossings(image))
    topology = image.machine.topology
    clock = Cycles(one).clock_hz
    worst = int((cycles / clock).argmax())
    busy = packets * link_ns(topology) * 1e-9
    chip, link = np.unravel_index(int(busy.argmax()), busy.shape)
    here = (int(topology.chip[chip, 0]), int(topology.chip[chip, 1]))
    return Throughput(
        copies=image.copies,
        room=image.machine.cores // image.cores_per_copy,
        ticks=length + image.lag,
        inferences=inferences,
        cycles_s=float(cycles[worst] / clock[worst]),
        links_s=float(busy.max()),
        core=(image.cores[worst].chip, image.cores[worst].pe, float(cycles[worst])),
        link=(here, LINK_NAMES[link], float(packets[chip, link])) if busy.any() else None,
        arriving=float(arriving.max(initial=0)),
        fifo=fifo,
        input_packets=float(into),
        host=host,
        entries=image.provenance.get("copies_end") == "routing entries",
    )


def _recorded(image: MachineImage, r: Recording) -> tuple[MachineImage, Program, Iterator[Any], float]:
    """One copy of the recording's image, decoded; sparse (ticks, sources) by recording; input packets of one."""
    from scipy.sparse import csr_array

    cut = [_cut(i) for i in (image, r.image)]
    if cut[0] != cut[1]:
        raise InputError("throughput: the recording is of another network than the image, or of one that is cut "
                         "otherwise. Record an image of the same network, compiled alike but for copies=.")
    one, ready = (r.image, r.program) if r.image.copies == 1 else _alone(r.image)

    def sent() -> Iterator[Any]:
        for b in range(r.batch):
            tick, source, count = r.sent(b)
            local = source - ready.size * (b % r.image.copies)
            yield csr_array((count.astype(np.float64), (tick, local)), shape=(r.ticks, ready.size))

    return one, ready, sent(), float(np.mean([count.sum() for _, _, count in r.inputs]))


def _expected(
    image: MachineImage, rates: Mapping[str, float]
) -> tuple[MachineImage, Program, Iterator[Any], float]:
    """As `_recorded`, of one tick with mean packets."""
    from scipy.sparse import csr_array

    rates = rates_of(rates, (p.name for p in image.populations))
    one, ready = _alone(image)
    each = np.zeros((1, ready.size))
    for name, rate in rates.items():
        each[0, ready.index[name]] = rate
    into = sum(rates.get(p.name, 0.0) * p.size for p in image.inputs)
    return one, ready, iter([csr_array(each)]), into


def _cut(image: MachineImage) -> tuple[Any, ...]:
    """What two images of one network, cut alike, have in common."""
    held = image.cores[: image.cores_per_copy]
    return image.provenance.get("network"), [(c.application, descriptor(c.memory).box) for c in held]


def _alone(image: MachineImage) -> tuple[MachineImage, Program]:
    """Copy 0 of an image; packets to cores of other copies, of which a legal image has none, go nowhere."""
    one = image if image.copies == 1 else replace(image, cores=image.cores[: image.cores_per_copy], copies=1)
    return one, program(one)


def _busiest(
    image: MachineImage, ready: Program, sent: Iterator[Any], crossings: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """By core of one copy, cycles and packets of its busiest tick; by link of the machine, packets of the busiest."""
    from scipy.sparse import csr_array

    cost, fanout = Cycles(image), synapses_per_core(image, ready)
    cores = len(image.cores)
    reach = ready.reach.over("core", cores).astype(np.float64)[ready.reach.of]
    owner = np.repeat(np.arange(cores), np.diff(ready.first))
    of = csr_array((np.ones(owner.size), (np.arange(owner.size), owner)), shape=(owner.size, cores))
    cycles, arriving, links = np.zeros(cores), np.zeros(cores), np.zeros(crossings.shape[1:])
    for packets in sent:
        come = (packets @ reach).toarray()
        arriving = np.maximum(arriving, come.max(axis=0))
        cycles = np.maximum(cycles, cost(come, (packets @ fanout).toarray()).max(axis=0))
        over = np.tensordot((packets @ of).toarray(), crossings, axes=1)
        links = np.maximum(links, over.max(axis=0))
    return cycles, arriving, links


def _crossings(image: MachineImage) -> NDArray[np.float64]:
    """How often a packet of each core of a copy crosses each link, summed over copies: (cores, chips, 6).

    Walks the first key of every core through the tables; all keys of a core take one way in a legal image.
    """
    t = image.machine.topology
    number = {chip: k for k, chip in enumerate(image.machine.coordinates)}
    found = np.zeros((image.cores_per_copy, t.chips, LINKS))
    for i, core in enumerate(image.cores):
        key = np.uint32(descriptor(core.memory).key)
        ways, came = [(number[core.chip], -1)], set()
        while ways:
            chip, link = ways.pop()
            if chip in came:
                raise InputError(f"throughput: packets of key {int(key):#x} come by a chip twice; see image.check()")
            came.add(chip)
            table = image.tables.get((int(t.chip[chip, 0]), int(t.chip[chip, 1])))
            hit = np.flatnonzero((table.mask & key) == table.key)[:1] if table is not None else np.zeros(0, np.int64)
            bits = [(link + LINKS // 2) % LINKS] if link >= 0 and image.machine.default_routes else []
            if table is not None and hit.size:
                bits = table.bits(int(hit[0]))
            for bit in bits:
                if bit < LINKS and (there := int(t.neighbour[chip, bit])) >= 0:
                    found[i % image.cores_per_copy, chip, bit] += 1
                    ways.append((there, (bit + LINKS // 2) % LINKS))
    return found
