"""What a network takes of each resource of a machine, by the mapper's own stages, whether it fits or not.

The stages are run as `compile` runs them, up to the routing tables; no memory is written. Loads are expected ones:
every neuron sends at the rate of its population.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MappingError, S2NirWarning
from ..graph import Conv, Loops
from ..machine import LINK_NAMES, LINKS, Application, Chip, Faults, SpiNNaker2
from ..mapping import (
    Net,
    Partition,
    RouteTrees,
    Slice,
    Wiring,
    cut_slices,
    demand,
    grow,
    link_ns,
    link_packets,
    minimised,
    net,
    put,
    tables,
    wire,
)
from ..quantize import Network

BOARDS = (1, 3, 6, 12, 24, 48, 96)
CORES, ENTRIES, SRAM, RELAYS, WAYS = "cores", "entries", "sram", "relays", "ways"
FIFO, CYCLES, LINK, INPUT, LIST = "fifo", "cycles", "link", "input", "spike_list"
HARD = (CORES, ENTRIES, SRAM, RELAYS, WAYS)  # beyond them `compile` refuses; beyond the others a board falls behind
WORDS = {
    CORES: ("cores of the machine", "cores"),
    ENTRIES: ("routing entries of a router", "entries"),
    SRAM: ("SRAM of a core", "bytes"),
    RELAYS: ("relays", "populations"),
    WAYS: ("chips that no live links lead to", "chips"),
    FIFO: ("packets into a core's FIFO", "packets per tick"),
    CYCLES: ("cycles of a core (estimate)", "cycles per tick"),
    LINK: ("time of a link", "us per tick"),
    INPUT: ("packets that an input core sends (estimate)", "packets per tick"),
    LIST: ("spike list of an input core", "bytes"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource where it is fullest.

    name : its key in `WORDS`; used, allowed : in `unit`; where : in words
    population, chip, pe, link : of that place, None where they do not apply
    hard : whether `compile` refuses more
    """

    name: str
    used: float
    allowed: float
    where: str
    population: str | None = None
    chip: Chip | None = None
    pe: int | None = None
    link: str | None = None

    @property
    def words(self) -> str:
        return WORDS[self.name][0]

    @property
    def unit(self) -> str:
        return WORDS[self.name][1]

    @property
    def hard(self) -> bool:
        return self.name in HARD

    @property
    def share(self) -> float:
        """Used of allowed; infinite where nothing is allowed."""
        return self.used / self.allowed if self.allowed else math.inf if self.used else 0.0

    @property
    def over(self) -> bool:
        return self.used > self.allowed

    def __str__(self) -> str:
        """What is used of what is allowed.

        >>> print(Resource(name="cores", used=150, allowed=148, where=""))
        cores of the machine: 150 of 148 cores, 2 too many
        """
        much = f", {number(self.used - self.allowed)} too many" if self.over else ""
        return f"{self.words}: {number(self.used)} of {number(self.allowed)} {self.unit}{much}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; an infinite share is None."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        share = None if math.isinf(self.share) else self.share
        return found | {"chip": None if self.chip is None else list(self.chip), "words": self.words, "unit": self.unit,
                        "share": share, "hard": self.hard}


def count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def number(value: float) -> str:
    """A number as people write it.

    >>> number(1234567.0), number(0.0123), number(7.25)
    ('1,234,567', '0.0123', '7.25')
    """
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The arguments of `compile` that decide what fits."""

    machine: SpiNNaker2
    application: Application | str = "auto"
    loops: Loops = Loops.REFUSE
    ticks: int | None = None
    record: tuple[str, ...] = ("spikes",)
    max_relays: int = 32
    window: int | None = None
    partition: Partition = field(default_factory=Partition)
    place: Any = None
    allot: Any = None
    route: Any = None
    minimise: Any = "auto"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Survey:
    """resources : each where it is fullest; laid : the machine that they were measured on, a larger one where the
    slices need it, None where there are no slices; slices : how many there are
    rows : whether there are cores that the machine's `rows` bear on, which are those that no convolution leads into
    """

    resources: tuple[Resource, ...]
    laid: SpiNNaker2 | None
    slices: int
    rows: bool

    @property
    def fits(self) -> bool:
        return not any(r.over for r in self.resources if r.hard)

    @property
    def keeps_up(self) -> bool:
        return self.fits and not any(r.over for r in self.resources)

    @property
    def first(self) -> Resource:
        """The resource that ends it first: of those that are over and refused the fullest, else the fullest of all."""
        broken = [r for r in self.resources if r.over and r.hard]
        return max(broken or self.resources, key=lambda r: r.share)


class Surveyor:
    """Surveys of one network: each stage runs once for all choices that are alike up to there."""

    def __init__(self, network: Network, rates: Mapping[str, float]) -> None:
        self.network, self.rates = network, rates
        self._kept: dict[Any, Any] = {}

    def __call__(self, choice: Choice) -> Survey:
        """Take stock of one choice.

        Raises
        ------
        MappingError
            where it is refused for another reason than a resource.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", S2NirWarning)  # what they say of loads is in the survey
            return self._survey(choice)

    def _survey(self, choice: Choice) -> Survey:
        wired = (choice.application, choice.loops, choice.window, choice.machine.rows)
        wiring = self._once(("wire", *wired), lambda: wire(
            self.network, choice.application, choice.loops, 1 << 30, choice.window, choice.machine.rows))
        conv = {q.target for q in wiring.links if isinstance(q.connection, Conv)}
        rows = any(q.target not in conv for q in wiring.links)
        relays = Counter(name.rpartition("+")[0] for name, m in wiring.members.items() if m.relay_of is not None)
        found: list[Resource | None] = []
        if relays:
            most = max(relays, key=lambda n: relays[n])
            found.append(Resource(name=RELAYS, used=relays.total(), allowed=choice.max_relays,
                                  where=f"most for {most}, {relays[most]}", population=most))
        cut = (*wired, choice.partition, choice.ticks, choice.record)
        try:
            slices = self._once(("cut", *cut), lambda: cut_slices(
                wiring, choice.partition, choice.ticks, choice.record))
        except MappingError as error:
            if error.lack is None:
                raise
            name, used, allowed = error.lack
            found.append(Resource(
                name=SRAM, used=used, allowed=allowed, where=f"one neuron of {name}", population=name))
            return Survey(resources=tuple(r for r in found if r is not None), laid=None, slices=0, rows=rows)
        joined = self._once(("net", *cut), lambda: net(wiring, slices))
        rates = self._rates(wiring)
        held, events = self._once(("demand", *cut), lambda: demand(wiring, slices, choice.ticks, choice.record, rates))
        found.append(_cores(joined, choice.machine))
        taken = _Taken(wiring, joined, choice.partition.tick, held, events, rates)
        laid = large_enough(choice.machine, len(joined.slices))
        last = [] if laid is None else self._laid(replace(choice, machine=laid), cut, wiring, slices, taken)
        found += [taken.sram(), taken.fifo(), taken.cycles(), *taken.inputs(choice.ticks), *last]
        return Survey(resources=tuple(r for r in found if r is not None), laid=laid, slices=len(joined.slices),
                      rows=rows)

    def _laid(
        self, choice: Choice, cut: tuple[Any, ...], wiring: Wiring, slices: Any, taken: _Taken
    ) -> list[Resource]:
        """Entries and links, and whether there are ways at all."""
        machine = choice.machine
        at = ("put", *cut, machine, choice.place, choice.allot)
        placement = self._once(at, lambda: put(
            self.network.digest, wiring, slices, taken.net, machine, choice.place, choice.allot))
        taken.where = placement.cores
        try:
            trees: RouteTrees = self._once((at, choice.route), lambda: grow(placement, choice.route))
        except MappingError as error:
            if error.lack is None:
                raise
            where, used, allowed = error.lack
            return [Resource(name=WAYS, used=used, allowed=allowed, where=where)]
        found = tables(trees, placement.blocks)
        small = minimised(found, trees, placement.blocks, machine, choice.minimise)
        worst = max(sorted(small), key=lambda chip: small[chip].entries, default=None)
        rows = []
        if worst is not None:
            over = sum(t.entries > machine.router_entries for t in small.values())
            rows.append(Resource(
                name=ENTRIES, used=small[worst].entries, allowed=machine.router_entries, chip=worst,
                where=f"chip {worst}" + (f"; {over} of {len(small)} routers are over" if over > 1 else "")))
        t = machine.topology
        busy = link_packets(trees.trees, taken.sent, t.chips) * link_ns(t) * 1e-3
        if busy.any():
            c, n = divmod(int(busy.argmax()), LINKS)
            chip = machine.coordinates[c]
            rows.append(Resource(
                name=LINK, used=float(busy[c, n]), allowed=choice.partition.tick * 1e6, chip=chip, link=LINK_NAMES[n],
                where=f"link {LINK_NAMES[n]} of chip {chip}" + (", to another board" if t.between[c, n] else "")))
        return rows

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _rates(self, wiring: Wiring) -> dict[str, float]:
        """Packets per neuron and tick of each member; a relay sends as what it relays."""
        found: dict[str, float] = {}
        for name, m in wiring.members.items():
            base = name if m.relay_of is None else name.rpartition("+")[0]
            found[name] = self.rates.get(base, m.application.activity)
        return found


class _Taken:
    """What every slice takes: arrays by slice of the net."""

    def __init__(
        self, wiring: Wiring, joined: Net, tick: float, held: NDArray[np.int64], events: NDArray[np.float64],
        rates: Mapping[str, float],
    ) -> None:
        self.net, self.held = joined, held
        self.apps = [wiring.members[s.member].application for s in joined.slices]
        self.sizes = np.array([s.size for s in joined.slices], np.int64)
        self.sent = self.sizes * np.array([rates[s.member] for s in joined.slices])
        self.heard = np.bincount(joined.target, self.sent[joined.source], len(joined.slices))
        self.takes = np.array([a.name != "spike_list" for a in self.apps])
        self.budget = tick * self._of("clock_hz")
        self.spent = np.array([a.cycles.tick(*load) for a, *load in zip(
            self.apps, self.sizes.tolist(), self.heard.tolist(), events.tolist(), strict=True)], np.float64)
        self.where: Mapping[Slice, tuple[Chip, int]] = {}

    def _of(self, name: str) -> NDArray[np.float64]:
        return np.array([getattr(a, name) for a in self.apps], np.float64)

    def _worst(
        self, name: str, used: NDArray[Any], allowed: NDArray[Any], which: NDArray[np.bool_]
    ) -> Resource | None:
        if not which.any():
            return None
        share = np.where(which, used / allowed, -1.0)
        i = int(share.argmax())
        s = self.net.slices[i]
        over = int((share > 1).sum())
        said = f"; {over:,} of {int(which.sum()):,} cores are over" if over > 1 else ""
        chip, pe = self.where.get(s, (None, None))
        place = "" if chip is None else f" on chip {chip} PE {pe}"
        return Resource(name=name, used=float(used[i]), allowed=float(allowed[i]), population=s.member, chip=chip,
                        pe=pe, where=f"{s}, {count(s.size, 'neuron')}{place}{said}")

    def sram(self) -> Resource | None:
        """Of the core with least room left, by share."""
        return self._worst(SRAM, self.held, self._of("window"), np.ones(self.takes.size, bool))

    def fifo(self) -> Resource | None:
        return self._worst(FIFO, self.heard, self._of("fifo_packets"), self.takes)

    def cycles(self) -> Resource | None:
        return self._worst(CYCLES, self.spent, self.budget, self.takes)

    def inputs(self, ticks: int | None) -> list[Resource | None]:
        """What an input core sends, against what its cycles are for, and the list that it sends from."""
        base, each = (np.array([getattr(a.cycles, n).value for a in self.apps]) for n in ("base", "packet"))
        most = (self.budget - base) / each
        found = [self._worst(INPUT, self.sent, most, ~self.takes)]
        each = 4 * (1 + self.sent)
        listed = self._worst(LIST, self.held + each * (ticks or 1), self._of("window"), ~self.takes)
        if listed is not None and not ticks:
            lasts = ((self._of("window") - self.held) / each)[~self.takes].min()
            listed = replace(listed, where=f"{listed.where}; for one tick, it is full after {int(lasts):,}")
        return [*found, listed]


def _cores(joined: Net, machine: SpiNNaker2) -> Resource:
    take = Counter(s.member for s in joined.slices)
    most = sorted(take.items(), key=lambda i: (-i[1], i[0]))
    return Resource(
        name=CORES, used=len(joined.slices), allowed=machine.cores, population=most[0][0],
        where="most for " + ", ".join(f"{name} {n:,}" for name, n in most[:3]),
    )


def large_enough(machine: SpiNNaker2, slices: int) -> SpiNNaker2 | None:
    """The machine, or the smallest larger one that the slices fit on; None where no known one is large enough."""
    return machine if slices <= machine.cores else next((m for m in larger(machine) if slices <= m.cores), None)


def larger(machine: SpiNNaker2) -> Iterator[SpiNNaker2]:
    """Machines of more chips, the smallest first, without faults."""
    for n in BOARDS:
        found = replace(machine, chips=1, boards=n, faults=Faults())
        if found.topology.chips > machine.topology.chips:
            yield found
