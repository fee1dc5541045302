"""What a run leaves behind: events, from which arrays are built when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import meant
from ..errors import NameMissingError
from ..fixedpoint import STATE_BITS
from ..machine import LINKS
from ..mapping import MachineImage, PopulationInfo, named
from .memory import Program
from .queueing import Queueing


class Lazy(Mapping[str, NDArray[Any]]):
    """Arrays by name, each built when it is asked for; `aliases` are other names for some of them."""

    def __init__(
        self, names: list[str], build: Callable[[str], NDArray[Any]], what: str, aliases: dict[str, str] | None = None,
        hint: str = "",
    ) -> None:
        self._names, self._build, self._what, self._aliases, self._hint = names, build, what, aliases or {}, hint

    def __getitem__(self, name: str) -> NDArray[Any]:
        name = name if name in self._names else self._aliases.get(name, name)
        if name not in self._names:
            there = ", ".join(self._names) or "none"
            near = meant(name, [*self._names, *self._aliases])
            raise NameMissingError(f"no {self._what} of {name!r}; there are {there}{near}{self._hint}")
        return self._build(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{self._what} of {', '.join(self._names) or 'nothing'}>"


@dataclass(frozen=True, eq=False, kw_only=True)
class Recording:
    """The result of a run.

    batch, steps, ticks : recordings, steps of the input, ticks of the machine (steps + largest lag); recording b ran on
        copy b % n of an image of n
    events : per recording, (tick, source, count) of every packet that neurons and relays sent, by tick
    inputs : per recording, (start of each tick, source, count) of the packets that inputs sent
    membranes : per recording, (ticks, neurons) of the populations in `columns`, in the state format; compared : the
        same ahead of immediate resets, with record=("potentials",)
    saturated : int (batch, neurons of a copy), how often fixed arithmetic held a value within int32
    queueing : what an event run found of packets, FIFOs and ticks; None of other runs
    """

    image: MachineImage
    program: Program
    batch: int
    steps: int
    ticks: int
    inputs: list[Any]
    events: list[Any]
    membranes: list[NDArray[Any]]
    compared: list[NDArray[Any]]
    columns: dict[str, slice]
    saturated: NDArray[np.int64]
    queueing: Queueing | None = None

    @property
    def spikes(self) -> Lazy:
        """By population, uint8 (batch, steps, *shape): aligned with the float run, cut to the input's steps."""
        return Lazy(self._spiking, self._aligned, "spikes")

    def raw_spikes(self, name: str) -> NDArray[np.uint8]:
        """uint8 (batch, ticks, *shape) by machine tick, nothing shifted: what a board records."""
        if name not in self._spiking:
            raise NameMissingError(f"no spikes of {name!r}; there are {', '.join(self._spiking)}")
        return self._raster(self.image[name], 0, self.ticks)

    @property
    def counts(self) -> Lazy:
        """By population, int (batch, *shape): spikes over the aligned steps."""
        return Lazy(self._spiking, self._counts, "counts")

    def decisions(self, name: str) -> NDArray[np.int64]:
        """int (batch): the neuron with most spikes over the aligned steps, ties to the lowest index.

        name : a population, or an Output that names one
        """
        name = self.image.outputs.get(name, name)
        if name not in self._spiking:
            known = ", ".join(dict.fromkeys([*self._spiking, *self.image.outputs]))
            raise NameMissingError(f"decisions: found {name!r}, which does not spike or is not there; there are "
                                   f"{known}")
        return np.asarray(self.counts[name].reshape(self.batch, -1).argmax(axis=1))

    @property
    def rates(self) -> dict[str, float]:
        """By population, packets per neuron and tick, on the mean of all recordings: for `s2nir.compile(rates=)`.

        Ticks are the steps and the largest lag: this is a little below the rate per step that print() and reports give.
        """
        size = self.batch * self.ticks
        return {n: float(self.counts[n].sum()) / (size * self.image[n].size) for n in self._spiking}

    @property
    def readout(self) -> Lazy:
        """By Output (or its population's name), float32 (batch, steps, *shape): membranes in the Graph's units."""
        outs = {o: name for o, name in self.image.outputs.items() if not self.image[name].spikes}
        aliases = {name: o for o, name in outs.items()}
        return Lazy(list(outs), lambda o: self.voltages[outs[o]], "readout", aliases,
                    ". Outputs that spike have .spikes and .decisions.")

    @property
    def voltages(self) -> Lazy:
        """By population, float32 (batch, steps, *shape): recorded membranes, aligned, in units of the Graph."""
        return Lazy(sorted(self.columns), self._voltages, "voltages",
                    hint='. Run with record=("spikes", "voltages") for those of every population.')

    def raw_voltages(self, name: str) -> NDArray[Any]:
        """(batch, ticks, *shape) by machine tick, float32 or int32 as the core holds them."""
        if name not in self.columns:
            raise NameMissingError(f'no voltages of {name!r}; record them with record=("spikes", "voltages")')
        held = np.stack([m[:, self.columns[name]] for m in self.membranes])
        return held.reshape(self.batch, self.ticks, *self.image[name].shape)

    @property
    def potentials(self) -> Lazy:
        """By population, float32 (batch, steps, *shape): membranes as they were compared, aligned, in Graph units."""
        names = sorted(self.columns) if self.compared else []
        return Lazy(names, lambda n: self._units(n, self.compared), "potentials")

    @property
    def saturations(self) -> dict[str, int]:
        """By population, how often fixed arithmetic held a value within int32."""
        if self.saturated.shape[1] == 0:
            return {p.name: 0 for p in self.image.populations if p.kind == "neurons"}
        total = self.saturated.sum(axis=0)
        return {
            p.name: int(total[self.program.index[p.name]].sum()) for p in self.image.populations if p.kind == "neurons"
        }

    def packets_per_core(self) -> NDArray[np.int64]:
        """int (batch, cores): packets that arrive at each core of the image, over all ticks."""
        return np.array([self._arrivals(b).sum(axis=0) for b in range(self.batch)], np.int64)

    def packets_per_tick(self) -> NDArray[np.int64]:
        """int (batch, ticks, cores): packets that arrive, by the tick in which they were sent."""
        return np.array([self._arrivals(b) for b in range(self.batch)], np.int64)

    def _arrivals(self, b: int) -> NDArray[np.int64]:
        """int (ticks, cores) of one recording, from what each class of sources sent and the cores it reaches."""
        over = self.program.reach.over("core", len(self.image.cores))
        return np.asarray((self.program.reach.sent(self.ticks, *self.sent(b)) @ over).toarray())

    def packets_per_link(self) -> dict[tuple[tuple[int, int], int], int]:
        """Packets over each link between chips that has any, by ((x, y), link), links 0 to 5 as E, NE, N, W, SW, S:
        all ticks of all recordings."""
        reach, chips = self.program.reach, self.image.machine.coordinates
        sent = np.zeros(reach.classes, np.int64)
        for b in range(self.batch):
            _, source, count = self.sent(b)
            np.add.at(sent, reach.of[source], count)
        total = sent @ reach.over("link", LINKS * len(chips))
        return {(chips[k // LINKS], k % LINKS): int(total[k]) for k in np.flatnonzero(total).tolist()}

    def sent(self, b: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(tick, source, count) of every packet of one recording: of inputs, then of neurons and relays."""
        start, source, count = self.inputs[b]
        tick = np.repeat(np.arange(self.ticks), np.diff(start))
        both = zip((tick, source, count), self.events[b], strict=True)
        tick, source, count = (np.concatenate(pair).astype(np.int64) for pair in both)
        return tick, source, count

    def spike_list_bytes(self) -> NDArray[np.int64]:
        """int (batch, input cores of a copy): data memory of each input core with its list, 4 B per spike and tick."""
        cores = np.array([i for p in self.image.inputs for i in p.cores], np.int64)
        owner = np.searchsorted(self.program.first, np.arange(self.program.size), side="right") - 1
        held = np.zeros((self.batch, len(self.image.cores)), np.int64)
        for b, (_, source, count) in enumerate(self.inputs):
            np.add.at(held[b], owner[source], count)
        own = np.array([self.image.cores[i].used for i in cores], np.int64)
        copy = np.arange(self.batch)[:, np.newaxis] % self.image.copies
        lists = np.take_along_axis(held, copy * self.image.cores_per_copy + cores, axis=1)
        return np.asarray(own + 4 * self.ticks + 4 * lists)

    @property
    def packets(self) -> int:
        """Packets sent by all sources, inputs and relays too."""
        return int(sum(e[2].sum() for e in self.events) + sum(i[2].sum() for i in self.inputs))

    def __repr__(self) -> str:
        return (
            f"<Recording of image {self.image.digest[:12]}: {self.batch} recordings of {self.steps} steps, "
            f"{self.ticks} ticks, {self.packets} packets>"
        )

    def __str__(self) -> str:
        lines = [repr(self)[1:-1]]
        for name in self._spiking:
            total = int(self.counts[name].sum())
            rate = total / (self.batch * self.steps * self.image[name].size)
            lines.append(f"  {name}: {total} spikes, {rate:.5f} per neuron and step")
        return "\n".join(lines)

    def report(self) -> Any:
        """A Report on this run."""
        from ..report import report

        return report(self)

    @property
    def _spiking(self) -> list[str]:
        return [p.name for p in self.image.populations if p.spikes and p.kind != "relay"]

    def _aligned(self, name: str) -> NDArray[np.uint8]:
        p = self.image[name]
        return self._raster(p, p.lag, p.lag + self.steps)

    def _counts(self, name: str) -> NDArray[np.int64]:
        p = self.image[name]
        number = self._number(p)
        found = np.zeros((self.batch, p.size), np.int64)
        for b in range(self.batch):
            tick, source, count = self._sent(p, b)
            of = number[source]
            mine = (of >= 0) & (tick >= p.lag) & (tick < p.lag + self.steps)
            np.add.at(found[b], of[mine], count[mine])
        return found.reshape(self.batch, *p.shape)

    def _sent(self, p: PopulationInfo, b: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Tick, source and count of the packets that a kind of population sent in one recording."""
        if p.kind != "input":
            tick, source, count = self.events[b]
            return tick, source, count
        start, source, count = self.inputs[b]
        return np.repeat(np.arange(self.ticks), np.diff(start)), source, count

    def _number(self, p: PopulationInfo) -> NDArray[np.int64]:
        """Place in the population, of whichever copy, of every source, -1 for others."""
        number = np.full(self.program.size, -1, np.int64)
        for k in range(self.image.copies):
            number[self.program.index[named(p.name, k)]] = np.arange(p.size)
        return number

    def _raster(self, p: PopulationInfo, first: int, end: int) -> NDArray[np.uint8]:
        number = self._number(p)
        raster = np.zeros((self.batch, end - first, p.size), np.uint8)
        for b in range(self.batch):
            tick, source, count = self._sent(p, b)
            of = number[source]
            mine = (of >= 0) & (tick >= first) & (tick < end)
            raster[b, tick[mine] - first, of[mine]] = np.minimum(count[mine], 255)
        return raster.reshape(self.batch, end - first, *p.shape)

    def _voltages(self, name: str) -> NDArray[np.float32]:
        return self._units(name, self.membranes)

    def _units(self, name: str, held: list[NDArray[Any]]) -> NDArray[np.float32]:
        """Recorded membranes, aligned and divided by the scale."""
        p = self.image[name]
        raw = np.stack([m[p.lag : p.lag + self.steps, self.columns[name]] for m in held]).astype(np.float64)
        raw = raw.reshape(self.batch, self.steps, *p.shape)
        if np.issubdtype(self.membranes[0].dtype, np.integer):
            raw = np.ldexp(raw, p.shift - STATE_BITS)
        return (raw / np.broadcast_to(p.scale, p.shape)).astype(np.float32)
