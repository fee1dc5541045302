"""What a run takes in energy, an estimate with its range: published states of the chip, and what must be assumed.

A chip takes its floor, a PE that is on what one asleep takes, and each cycle in which it works some more; packets,
links and DRAM add what is not published (machine/energy.py). The low and high end of a range take every coefficient,
and every coefficient of the cycles, at that end.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arguments import Number, OneOf, Whole, settle
from ..emulate import Recording
from ..errors import InputError, needs
from ..machine import LINKS, NODES, PES, EnergyCosts, Level, Range, Reading, Word, floor_position
from ..mapping import MachineImage
from ..values import FrozenMap
from .cycles import Cycles, descriptor
from .work import CONV_PL, ROWS_PL, Work, work

E = TypeVar("E", bound=enum.Enum)


def _member(kind: type[E], value: Any, where: str) -> E:
    """A member of an enumeration, or the word of one."""
    return value if isinstance(value, kind) else kind(OneOf(tuple(m.value for m in kind))(value, where, InputError))


class Unused(enum.Enum):
    """What PEs do that hold nothing of the image."""

    OFF = "off"
    ASLEEP = "asleep"


@dataclass(frozen=True, slots=True)
class Fixed:
    """All PEs at one level, always."""

    level: Level

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", _member(Level, self.level, "Fixed.level"))

    def __str__(self) -> str:
        return f"always {self.level.value}"


@dataclass(frozen=True, slots=True)
class Automatic:
    """Each tick a PE takes the high level where it received at least `pl_threshold` packets, else the low one [P].

    pl_threshold : packets; None for 30 at cores with kernels and 200 at others, as in the published demo
    """

    pl_threshold: int | None = None

    def __post_init__(self) -> None:
        if self.pl_threshold is not None:
            settle(self, InputError, pl_threshold=Whole(0, what="packets"))

    def __str__(self) -> str:
        held = f"{CONV_PL} (kernels) or {ROWS_PL} (rows)" if self.pl_threshold is None else self.pl_threshold
        return f"automatic: the high level in ticks of at least {held} packets"


Mode = Fixed | Automatic
LOW, HIGH, AUTOMATIC = Fixed(Level.LOW), Fixed(Level.HIGH), Automatic()
MODES: dict[str, Mode] = {"low": LOW, "high": HIGH, "automatic": AUTOMATIC}
NOTHING = Range(0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a run uses of chips; the values that `EnergyModel.of` multiplies. All are sums over the run.

    seconds : how long it lasts; chips : that have power
    on : by level, PE-seconds of PEs that are on; unused : PE-seconds of those that hold nothing but are not off
    cycles : by level, in which PEs work; macs : by level, of MAC arrays
    hops : packets times routers of the network on chip that they pass; routers, links : packets at each
    dram : bytes read
    """

    seconds: float
    chips: float = 1.0
    on: Mapping[Level, float] = field(default_factory=dict)
    unused: float = 0.0
    cycles: Mapping[Level, Range] = field(default_factory=dict)
    macs: Mapping[Level, float] = field(default_factory=dict)
    hops: float = 0.0
    routers: float = 0.0
    links: float = 0.0
    dram: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Joules of a run, an estimate.

    joules, watts : of all; parts : joules by what they are for
    assumed : what the estimate takes for granted, in sentences
    """

    seconds: float
    joules: Range
    parts: Mapping[str, Range]
    assumed: tuple[str, ...]

    @property
    def watts(self) -> Range:
        return Range(*(j / self.seconds for j in self.joules))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"estimate": True, "seconds": self.seconds, "joules": self.joules._asdict(),
                "watts": self.watts._asdict(), "parts": {n: r._asdict() for n, r in self.parts.items()},
                "assumed": list(self.assumed)}

    def __str__(self) -> str:
        lines = [f"estimate: {joules(self.joules)} in {self.seconds:.4g} s"]
        lines += [f"  {name}: {joules(part)}" for name, part in self.parts.items() if part.high]
        return "\n".join([*lines, *(f"  assumed: {said}" for said in self.assumed)])


def joules(found: Range) -> str:
    """An energy and its range, in one unit.

    >>> joules(Range(0.0021, 0.001, 0.0045)), joules(Range(1.5, 1, 2))
    ('2.1 mJ (1 to 4.5)', '1.5 J (1 to 2)')
    >>> joules(Range(0.783, 0.0212, 1.0415))
    '783 mJ (21.2 to 1,040)'
    """
    size, sign = next(((s, n) for s, n in ((1.0, "J"), (1e-3, "mJ"), (1e-6, "uJ")) if found.value >= s), (1e-9, "nJ"))
    value, low, high = (_three(v / size) for v in found)
    return f"{value} {sign} ({low} to {high})"


def _three(value: float) -> str:
    """Three digits, and no power of ten."""
    said = f"{value:.3g}"
    return f"{float(said):,.0f}" if value >= 100 else said


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyModel:
    """The energy of a Recording, or of a `Use`.

    mode : `LOW`, `HIGH` or `Automatic(pl_threshold=...)`, or a word: low, high, automatic
    unused : PEs that hold nothing of the image are "off" or "asleep" (at the low level)
    chips : how many have power; None for those with a core of the image
    tick_s : seconds of a tick; None for the image's
    ticks : of a recording; None for its own. More are added as ticks in which nothing arrives
    costs : the coefficients

    >>> EnergyModel(mode=LOW).of(Use(seconds=1.0, on={Level.LOW: 152.0})).watts.value  # published: 0.2354 W
    0.2354
    """

    mode: Mode = AUTOMATIC
    unused: Unused = Unused.OFF
    chips: int | None = None
    tick_s: float | None = None
    ticks: int | None = None
    costs: EnergyCosts = EnergyCosts()  # noqa: RUF009 (frozen, and of frozen values)

    def __post_init__(self) -> None:
        if not isinstance(self.mode, Fixed | Automatic):
            word = OneOf(tuple(MODES))(self.mode, "EnergyModel.mode", InputError)
            object.__setattr__(self, "mode", MODES[word])
        object.__setattr__(self, "unused", _member(Unused, self.unused, "EnergyModel.unused"))
        if self.chips is not None:
            settle(self, InputError, chips=Whole(1))
        if self.tick_s is not None:
            settle(self, InputError, tick_s=Number(0, above=True, what="seconds"))
        if self.ticks is not None:
            settle(self, InputError, ticks=Whole(1))

    def __call__(self, recording: Recording, done: Work | None = None) -> Energy:
        """The energy of one recording, on the mean over the batch; copies share what a round takes.

        done : the Recording's Work with this mode's threshold, where it is known
        """
        needs(recording, Recording, "EnergyModel", "Make one with s2nir.run(image, spikes).")
        if done is None:
            done = work(recording, self.mode.pl_threshold if isinstance(self.mode, Automatic) else None)
        found = self.of(self.use(recording, done))
        share = 1 / recording.batch
        return replace(
            found, seconds=found.seconds * share, joules=_scaled(found.joules, share),
            parts=FrozenMap({n: _scaled(r, share) for n, r in found.parts.items()}),
            assumed=(*self.assumed(recording.image, recording.ticks), *self._late(recording, done), *found.assumed),
        )

    def of(self, use: Use) -> Energy:
        """The energy of a use."""
        c = self.costs

        def by_level(what: str, amounts: Mapping[Level, Any]) -> Range:
            return sum((_scaled(c.at(what, level), n) for level, n in amounts.items()), NOTHING)

        parts = {
            "floor": _scaled(c.floor.range, use.seconds * use.chips),
            "PEs on": by_level("asleep", use.on),
            "unused PEs": _scaled(c.asleep_low.range, use.unused),
            "busy": by_level("busy", use.cycles),
            "MAC": by_level("mac", use.macs),
            "network on chip": _scaled(c.hop.range, use.hops),
            "routers": _scaled(c.router.range, use.routers),
            "links": _scaled(c.link.range, use.links),
            "DRAM": _scaled(c.dram.range, use.dram),
        }
        return Energy(seconds=use.seconds, joules=sum(parts.values(), NOTHING), parts=FrozenMap(parts), assumed=())

    def use(self, recording: Recording, done: Work) -> Use:
        """What a Recording uses, all rounds of the batch."""
        image = recording.image
        ticks, tick = self.ticks or recording.ticks, self.tick_s or image.tick
        if ticks < recording.ticks:
            raise InputError(f"EnergyModel.ticks: found {ticks:,}, the recording has {recording.ticks:,}; allowed are "
                             "as many or more")
        rounds = -(-recording.batch // image.copies)
        seconds = rounds * ticks * tick
        chips = self.chips or len({c.chip for c in image.cores})
        off = max(0, chips * PES - len(image.cores)) if self.unused is Unused.ASLEEP else 0
        moved = _moved(recording, done)
        return Use(
            seconds=seconds, chips=chips, unused=off * seconds,
            on=self._on(done, len(image.cores), ticks, tick, rounds),
            cycles=self._cycles(recording, done, ticks), hops=moved["hops"], routers=moved["routers"],
            links=moved["links"], dram=moved["dram"],
        )

    def _on(self, done: Work, cores: int, ticks: int, tick: float, rounds: int) -> dict[Level, float]:
        """PE-seconds by level."""
        total = rounds * ticks * cores
        high = float(done.high[0].sum())
        if isinstance(self.mode, Fixed):
            high = total * (self.mode.level is Level.HIGH)
        return {Level.LOW: (total - high) * tick, Level.HIGH: high * tick}

    def _cycles(self, recording: Recording, done: Work, ticks: int) -> dict[Level, Range]:
        """Cycles by level: of cores, and of input cores for each packet that they send, always at the low level but in
        `Fixed(HIGH)`."""
        image = recording.image
        sent = np.zeros(len(image.cores))
        for _, source, count in recording.inputs:
            owner = np.searchsorted(recording.program.first, source, side="right") - 1
            sent += np.bincount(owner, count, len(image.cores))
        ran = done.ran * (ticks / recording.ticks)
        all_ = np.stack([ran, done.packets.sum(axis=0), done.events])
        costs = [Cycles(image, reading) for reading in Reading]
        found: dict[Level, Range] = {}
        for level in Level:
            if isinstance(self.mode, Fixed):
                share = all_ * (level is self.mode.level)
                sends = sent * (level is self.mode.level)
            else:
                share = done.high if level is Level.HIGH else all_ - done.high
                sends = sent * (level is Level.LOW)
            found[level] = Range(*(
                float((c.still * share[0] + c.packet * share[1] + c.synapse * share[2] + c.sending * sends).sum())
                for c in costs))
        return found

    def _late(self, recording: Recording, done: Work) -> tuple[str, ...]:
        """What is said of a tick that is shorter than what cores compute in it."""
        tick = self.tick_s or recording.image.tick
        needed = done.cycles / Cycles(recording.image).clock_hz
        late = int((needed > tick).sum())
        if not late:
            return ()
        return (f"a tick of {tick:g} s is too short: {late:,} of {needed.size:,} cores take up to {needed.max():.4g} s "
                "in their busiest one, so that a chip is slower than this",)

    def assumed(self, image: MachineImage, ticks: int) -> tuple[str, ...]:
        """What an estimate of this image takes for granted."""
        used, chips = len({c.chip for c in image.cores}), image.machine.topology.chips
        powered = self.chips or used
        more = f", {self.ticks - ticks:,} of them without packets" if self.ticks and self.ticks > ticks else ""
        return (
            f"levels {self.mode}",
            f"{len(image.cores):,} PEs are on, those of the input too, and asleep while they do nothing; unused ones "
            f"are {self.unused.value}",
            f"{powered:,} of {chips:,} chips have power",
            f"a recording is {self.ticks or ticks:,} ticks{more} of {self.tick_s or image.tick:g} s, also where one "
            "overruns",
            "cycles per packet, synapse word and neuron are estimates [U]; what packets, links and DRAM take is not "
            "published [U]; the host, the board's other parts and the input's way onto the chip take nothing",
        )


def _scaled(found: Range, amount: float | Range) -> Range:
    return found.times(amount) if isinstance(amount, Range) else Range(*(v * amount for v in found))


def _moved(recording: Recording, done: Work) -> dict[str, float]:
    """Hops on chip, packets at routers and over links, and bytes of DRAM."""
    image, reach, first = recording.image, recording.program.reach, recording.program.first
    chips, cores = image.machine.topology.chips, len(image.cores)
    by_class, by_core = np.zeros(reach.classes), np.zeros(cores)
    for b in range(recording.batch):
        _, source, count = recording.sent(b)
        by_class += np.bincount(reach.of[source], count, reach.classes)
        by_core += np.bincount(np.searchsorted(first, source, side="right") - 1, count, cores)
    far = _hops(image)
    arrived = done.packets.sum(axis=0)
    held = [descriptor(c.memory) for c in image.cores]
    dram = np.array([d.word is Word.DRAM for d in held], bool)
    places = dram & np.array([d.row_bytes == 0 for d in held], bool)
    return {
        "hops": float((far * (by_core + arrived)).sum()),
        "routers": float((by_class @ reach.over("router", chips)).sum()),
        "links": float((by_class @ reach.over("link", LINKS * chips)).sum()),
        # words, and what a DMA is longer by, and one for places
        "dram": float((4 * done.events[dram] + 16 * arrived[dram]).sum() + 16 * arrived[places].sum()),
    }


def _hops(image: MachineImage) -> NDArray[np.int64]:
    """Hops between each core's quad and the nearer node of the router, first x, then y."""
    place = np.array([floor_position(c.pe)[:2] for c in image.cores])
    return np.asarray(np.min([np.abs(place - node).sum(axis=1) for node in NODES["router"]], axis=0))
