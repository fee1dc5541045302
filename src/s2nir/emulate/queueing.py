"""An event run's options, and what it finds beside spikes: packets dropped and lost, ticks that overran, who waited."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Check, Number, Whole, settle
from ..errors import RunError, S2NirError
from ..machine import (
    FIFO_PACKETS,
    LINK_NAMES,
    LINK_NS,
    LINK_NS_BETWEEN,
    LINKS,
    NOC_HOP_NS,
    ROUTER_NS,
    Chip,
    Level,
    Reading,
)
from ..values import freeze_fields

PS = 1e12  # picoseconds in a second
COUNTS = ("delivered", "dropped", "lost", "late", "early", "fill", "over_fifo", "overran", "behind", "slip", "busy",
          "stalled", "held")


class Overflow(enum.Enum):
    """What becomes of a packet for which a core's FIFO has no room [S]."""

    DROP = "drop"  # it is dropped, and counted
    OVERWRITE = "overwrite"  # it takes the place of the oldest one, which is dropped, and counted
    STALL = "stall"  # it waits, and the chip's router passes nothing on until the core takes what its FIFO holds


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTiming:
    """What an event run takes for its times; docs/event-timing.md has each default with its source.

    tick : seconds, by default the image's
    fifo : packets that a core holds between two of its ticks; overflow : what becomes of more, also by its word
    level : of all PEs, for their clock; reading : which end of each range of cycles is taken
    router_s : seconds of a packet at a router; hop_s : of one hop over the network on chip
    link_s, between_s : seconds of a packet over a link on a board, and between boards; link_latency_s : added once
    patience_s : a packet that would wait longer at a router or a link is lost on the way; None: it waits
    """

    tick: float | None = None
    fifo: int = FIFO_PACKETS
    overflow: Overflow | str = Overflow.DROP
    level: Level = Level.HIGH
    reading: Reading = Reading.VALUE
    router_s: float = ROUTER_NS * 1e-9
    hop_s: float = NOC_HOP_NS * 1e-9
    link_s: float = LINK_NS * 1e-9
    between_s: float = LINK_NS_BETWEEN * 1e-9
    link_latency_s: float = 0.0
    patience_s: float | None = None

    def __post_init__(self) -> None:
        seconds = Number(0, 1.0, what="seconds")
        settle(
            self, RunError, tick=_or_none(Number(1e-9, 1.0, what="seconds")), fifo=Whole(1, 1 << 31, "packets"),
            overflow=_overflow, level=_member(Level), reading=_member(Reading), router_s=seconds, hop_s=seconds,
            link_s=seconds, between_s=seconds, link_latency_s=seconds, patience_s=_or_none(seconds),
        )


def _or_none(check: Check) -> Check:
    return lambda value, where, error: None if value is None else check(value, where, error)


def _overflow(value: Any, where: str, error: type[S2NirError]) -> Overflow:
    words = [o.value for o in Overflow]
    if not isinstance(value, Overflow) and value not in words:
        raise error(f"{where}: found {value!r}, allowed {', '.join(map(repr, words))}")
    return Overflow(value)


def _member(kind: type[enum.Enum]) -> Check:
    def check(value: Any, where: str, error: type[S2NirError]) -> enum.Enum:
        if not isinstance(value, kind):
            raise error(f"{where}: found {value!r}, needed one of {', '.join(str(k) for k in kind)}")
        return value

    return check


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Queueing:
    """What became of packets and ticks in an event run: arrays by round and core, in the order of the image. A round
    is a run of all copies of the image at once.

    ticks, tick : of each round, and seconds of one
    due : packets sent to a core; of them delivered : put into its FIFO and kept, dropped : at the FIFO,
        lost : on the way; due = delivered + dropped + lost
    late, early : packets taken in another tick than the one after that in which they were sent
    fill : most packets in the FIFO; over_fifo : ticks that began with more packets than it holds
    overran : ticks that took longer than one; behind : ticks that began late; slip_s : how late, at most
    busy_s : work, seconds; stalled : packets that found the FIFO full and waited; held_s : seconds that the core kept
        its router waiting
    links, routers : float64 (rounds, links or chips, 4): packets, seconds waited in all, longest wait, packets lost
    link_s, router_s : seconds of a packet at each link, and at a router
    length_s : float64 (rounds), until the last tick of a core is done and the last packet has come
    events : int64 (rounds), ticks, packets at routers, on links and to cores, that were followed
    core, chip : names of cores and chips
    """

    ticks: int
    tick: float
    due: NDArray[np.int64]
    delivered: NDArray[np.int64]
    dropped: NDArray[np.int64]
    lost: NDArray[np.int64]
    late: NDArray[np.int64]
    early: NDArray[np.int64]
    fill: NDArray[np.int64]
    over_fifo: NDArray[np.int64]
    overran: NDArray[np.int64]
    behind: NDArray[np.int64]
    slip_s: NDArray[np.float64]
    busy_s: NDArray[np.float64]
    stalled: NDArray[np.int64]
    held_s: NDArray[np.float64]
    links: NDArray[np.float64]
    routers: NDArray[np.float64]
    link_s: NDArray[np.float64]
    router_s: float
    length_s: NDArray[np.float64]
    events: NDArray[np.int64]
    core: tuple[tuple[Chip, int], ...]
    chip: tuple[Chip, ...]

    def __post_init__(self) -> None:
        whole = ("due", "delivered", "dropped", "lost", "late", "early", "fill", "over_fifo", "overran", "behind",
                 "stalled", "events")
        real = ("slip_s", "busy_s", "held_s", "links", "routers", "link_s", "length_s")
        freeze_fields(self, **dict.fromkeys(whole, np.int64), **dict.fromkeys(real, np.float64))

    @property
    def in_time(self) -> bool:
        """Whether no tick overran, no packet was dropped or lost, and none was taken in another tick: then spikes and
        membranes are those of `run`, to the bit."""
        wrong = (self.dropped, self.lost, self.late, self.early, self.overran, self.behind)
        return not any(bool(w.any()) for w in wrong)

    @property
    def longer_s(self) -> NDArray[np.float64]:
        """Seconds by which each round is longer than its ticks: float64 (rounds)."""
        return np.maximum(self.length_s - self.ticks * self.tick, 0.0)

    @property
    def limit(self) -> str | None:
        """What made a round longer than its ticks: the core, router or link that something waited longest for; None
        where none is longer. A router that waits for the FIFO of a core stands for that core."""
        if not self.longer_s.any():
            return None
        r = int(self.longer_s.argmax())
        slip, router, link = self.slip_s[r], self.routers[r, :, 2], self.links[r, :, 2]
        waits = [float(a.max(initial=-1.0)) for a in (slip, router, link)]
        kind = int(np.argmax(waits))
        if kind == 1 and self.held_s[r].max(initial=0.0) > self.routers[r, :, 0].max() * self.router_s:
            return f"FIFO of {self._core(int(self.held_s[r].argmax()))}"
        if kind == 0:
            return self._core(int(slip.argmax()))
        place = int((router if kind == 1 else link).argmax())
        chip = self.chip[place if kind == 1 else place // LINKS]
        where = f"chip ({chip[0]}, {chip[1]})"
        return f"router of {where}" if kind == 1 else f"link {LINK_NAMES[place % LINKS]} of {where}"

    def _core(self, i: int) -> str:
        (x, y), pe = self.core[i]
        return f"chip ({x}, {y}) PE {pe}"

    def to_dict(self) -> dict[str, Any]:
        """Sums and the worst of each as plain values."""
        total = {n: int(getattr(self, n).sum()) for n in (
            "due", "delivered", "dropped", "lost", "late", "early", "over_fifo", "overran", "behind", "stalled")}
        full = int(self.fill.max(axis=0, initial=0).argmax()) if self.fill.size else -1
        return total | {
            "tick_s": self.tick, "ticks": self.ticks, "rounds": int(self.length_s.size), "in_time": self.in_time,
            "fullest_fifo": int(self.fill.max(initial=0)), "fullest_core": self._core(full) if full >= 0 else None,
            "slip_s": float(self.slip_s.max(initial=0.0)), "length_s": float(self.length_s.max(initial=0.0)),
            "longer_s": float(self.longer_s.max(initial=0.0)), "limit": self.limit,
            "longest_wait_link_s": float(self.links[:, :, 2].max(initial=0.0)),
            "longest_wait_router_s": float(self.routers[:, :, 2].max(initial=0.0)),
            "busiest_link_s": float((self.links[:, :, 0] * self.link_s).max(initial=0.0)),
            "events": int(self.events.sum()),
        }

    def __str__(self) -> str:
        return "\n".join(queueing_text(self.to_dict()))


def queueing_text(f: dict[str, Any]) -> list[str]:
    """`Queueing.to_dict` in words."""
    return [
        f"event run (estimates): {f['ticks']} ticks of {1e6 * f['tick_s']:,.6g} us, {1e3 * f['length_s']:,.6g} ms long",
        f"  {f['due']:,} packets due: {f['delivered']:,} delivered, {f['dropped']:,} dropped at a FIFO, {f['lost']:,} "
        f"lost on the way; {f['late']:,} taken late, {f['early']:,} early",
        f"  {f['overran']:,} core ticks overran, {f['behind']:,} began late, by {1e6 * f['slip_s']:,.4g} us at most",
        f"  fullest FIFO: {f['fullest_fifo']:,} packets at {f['fullest_core']}; {f['over_fifo']:,} core ticks over "
        "what it holds",
        f"  longest wait: {1e6 * f['longest_wait_link_s']:,.4g} us for a link, "
        f"{1e6 * f['longest_wait_router_s']:,.4g} us for a router",
        *([] if f["limit"] is None else [f"  {1e6 * f['longer_s']:,.4g} us longer than its ticks, by {f['limit']}"]),
    ]
