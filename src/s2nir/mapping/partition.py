"""Populations to core-sized slices, by bytes, cycles and packets per tick, and neuron caps.

A slice is a box (channels x rows x columns) of its population's view; a population without channels is one row. Boxes
of one cut are of nearly equal size, so that a population is described by three numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Number, Whole, settle
from ..errors import MappingError, S2NirWarning
from ..graph import Conv, Ruled
from ..machine import SRAM_DATA, STACK, TICK_S, Word, record_bytes
from .boxes import Slice
from .row_cost import counted, row_cost
from .wiring import Link, Member, View, Wiring, as_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the largest slice of a cut needs: bytes, cycles per tick, packets per tick."""

    bytes: int
    cycles: float
    packets: float
    synapses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Cut every population into the fewest slices that fit.

    share : 1 for the largest slices that fit; 0.5 for half of their neurons
    slices : at least so many slices per population (as far as it has neurons)
    tick : seconds
    """

    share: float = 1.0
    slices: int = 1
    tick: float = TICK_S

    def __post_init__(self) -> None:
        settle(  # plain numbers: an image is written with them
            self, MappingError, share=Number(0, 1, above=True), slices=Whole(1),
            tick=Number(0, above=True, what="seconds"),
        )

    def __call__(
        self, wiring: Wiring, ticks: int | None, record: tuple[str, ...],
        known: Mapping[str, tuple[Slice, ...]] | None = None,
    ) -> dict[str, tuple[Slice, ...]]:
        """Slices by member; known : an earlier cut, on which the bytes of rows by source slice hang.

        Raises
        ------
        MappingError
            where one neuron alone does not fit on a core: which population, by how much, and what would help.
        """
        found: dict[str, tuple[Slice, ...]] = {}
        for member in wiring.members.values():
            if member.relay_of is not None:
                boxes = found[member.relay_of]
                found[member.name] = tuple(_renamed(s, member.name) for s in boxes)
                continue
            into = [k for k in wiring.links if k.target == member.name]
            cost = Cost(member, into, wiring.members, ticks, record, {**(known or {}), **found})
            found[member.name] = self._cut(member, cost)
        return found

    def _cut(self, member: Member, cost: Cost) -> tuple[Slice, ...]:
        cost.refuse_what_never_fits(member)
        cuts = list(_cuts(member.view, self._cap(member), max(self.slices, 1), cost.convolves, cost.sheet))
        best = _first(cuts, lambda cut: cost.fits(cut, self.tick)) or cost.by_bytes_alone(cuts, member, self.tick)
        best = cost.verified(cuts, cost.quietest(cuts, best, self.tick))
        if self.share < 1:
            most = max(s.size for s in boxes(member, best))
            target = max(1, int(most * self.share))
            best = next(_cuts(member.view, target, max(self.slices, 1), cost.convolves, cost.sheet))
        return boxes(member, best)

    def _cap(self, member: Member) -> int:
        return member.application.max_targets


def _renamed(s: Slice, name: str) -> Slice:
    return Slice(member=name, c0=s.c0, c1=s.c1, y0=s.y0, y1=s.y1, x0=s.x0, x1=s.x1)


def boxes(member: Member, cut: tuple[int, ...]) -> tuple[Slice, ...]:
    """The slices of a cut (parts along channels, rows, columns)."""
    edges = [[n * i // k for i in range(k + 1)] for n, k in zip(member.view, cut, strict=True)]
    spans = [list(zip(e, e[1:], strict=False)) for e in edges]
    return tuple(
        Slice(member=member.name, c0=c0, c1=c1, y0=y0, y1=y1, x0=x0, x1=x1)
        for y0, y1 in spans[1]
        for x0, x1 in spans[2]
        for c0, c1 in spans[0]
    )


def _first(cuts: list[tuple[int, int, int]], fits: Callable[[tuple[int, int, int]], bool]) -> Any:
    """The first cut that fits, as a search by halves finds it: finer cuts fit where coarser ones do, nearly always.

    What the search leaves out is walked back over, so that a coarser neighbour that fits is still taken.
    """
    low, high = 0, len(cuts)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(cuts[middle]) else (middle + 1, high)
    if low == len(cuts):
        return next((cut for cut in cuts if fits(cut)), None) if len(cuts) <= 64 else None
    while low and fits(cuts[low - 1]):
        low -= 1
    return cuts[low]


def _parts(n: int) -> list[int]:
    """Numbers of parts that give different largest parts: 1 up to n."""
    largest = sorted({-(-n // k) for k in range(1, n + 1)}, reverse=True)
    return [-(-n // size) for size in largest]


def _cuts(view: View, cap: int, least: int, channels: bool, sheet: bool = False) -> Iterator[tuple[int, int, int]]:
    """Cuts with boxes of at most `cap` neurons, fewest slices first; of equals, channels and columns stay whole.

    Without a convolution (`channels` False) only rows and columns matter as much as channels do, and the order is the
    same: it keeps neighbours on one core, which shortens tables of the convolutions that listen. The tiles of a sheet
    are at most twice as long as wide, where the sheet is: then each hears, and is heard by, few others.
    """
    size = int(np.prod(view))
    least = min(least, size)
    found = []
    for kc in _parts(view[0]):
        for ky in _parts(view[1]):
            for kx in _parts(view[2]):
                most = -(-view[0] // kc) * -(-view[1] // ky) * -(-view[2] // kx)
                if most <= cap and kc * ky * kx >= least:
                    tile = -(-view[1] // ky), -(-view[2] // kx)
                    if not sheet or 2 * min(tile) >= min(max(tile), *view[1:]):
                        found.append((kc * ky * kx, kc if channels else -ky, kx, (kc, ky, kx)))
    if not found:
        found = [(size, 0, 0, view)]
    for *_, cut in sorted(found):
        yield cut


class Cost:
    """Demand of the cuts of one member: bytes to the byte for rows, an upper bound for convolution tables."""

    def __init__(
        self, member: Member, links: list[Link], members: Mapping[str, Member], ticks: int | None,
        record: tuple[str, ...], known: Mapping[str, tuple[Slice, ...]],
    ) -> None:
        self.member, self.app = member, member.application
        self.convs = [k for k in links if isinstance(k.connection, Conv)]
        self.convolves = bool(self.convs)
        self.ruled: list[Ruled] = [k.connection for k in links if isinstance(k.connection, Ruled)]
        self.sheet = any(c.sheet for c in self.ruled) or (not self.convs and len(member.population.shape) == 2
                                                         and member.view[1] > 1)
        rows = [(k.source, as_rows(k)) for k in links if not isinstance(k.connection, Conv | Ruled)]
        first = np.cumsum([0] + [members[name].size for name, _ in rows])
        self.sources = int(first[-1])
        parts = [f + r[0] for f, (_, r) in zip(first, rows, strict=False)]
        self.source = np.concatenate([np.zeros(0, np.int64), *parts])
        self.target = np.concatenate([np.zeros(0, np.int64), *(r[1] for _, r in rows)])
        self.ticks, self.record = ticks, record
        self.known, self.rows = known, row_cost(member, links, members, known)

    def neuron_bytes(self, n: int) -> int:
        """Bytes of n neurons, with their records."""
        app = self.app
        if app.name == "relay":
            return n * app.relay_bytes
        if app.name == "spike_list":
            return 0
        each = app.neuron_parameter_bytes + app.neuron_state_bytes
        each += self.member.ring_bytes
        kept = sum(record_bytes(what, n, self.ticks) for what in self.record) if self.ticks else 0
        return n * each + kept + self.member.drive_bytes(n)

    def demand(self, cut: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Bytes, cycles and packets per tick, by slice."""
        slices = boxes(self.member, cut)
        owner = np.empty(self.member.size, np.int64)
        sizes = np.array([s.size for s in slices], np.int64)
        for i, s in enumerate(slices if self.source.size else ()):
            owner[s.neurons(self.member.view)] = i
        app, n = self.app, len(slices)
        held = np.full(n, app.descriptor_bytes) + np.array([self.neuron_bytes(int(k)) for k in sizes])
        packets, events = np.zeros(n), np.zeros(n)
        if self.source.size:
            pair, count = counted(owner[self.target] * self.sources + self.source, n * self.sources)
            at = pair // self.sources
            held = held + self.rows.written(at, pair % self.sources, count, n).astype(np.int64)
            packets += np.bincount(at, minlength=n)
            events += np.bincount(at, count, n)
        if self.ruled:
            worst = max(self._ruled(slices[i]) for i in _some(sizes))
            held, packets, events = held + worst[0], packets + worst[1], events + worst[2]
        for link in self.convs:
            c = link.connection
            assert isinstance(c, Conv)
            for i, s in enumerate(slices):
                _, c_in, kh, kw = c.weight.shape
                kernel = -(-c_in * kh * kw * (s.c1 - s.c0) // 4) * 4
                heard = _heard(c, s)
                held[i] += kernel + app.conv_geometry_bytes + app.conv_entry_bytes * min(148, c.sources)
                packets[i] += heard
                events[i] += s.size * c_in * kh * kw / (c.stride[0] * c.stride[1])
        load = app.activity
        cycles = app.cycles.tick(sizes, load * packets, load * events)
        return held, cycles, load * packets

    def _ruled(self, s: Slice) -> tuple[int, int, int]:
        """(bytes, rows, synapses) that rules give one slice; rows of one source by several rules count apart."""
        neurons = s.neurons(self.member.view)
        held = heard = events = 0
        for place, c in enumerate(self.ruled):
            source = c.into(neurons).source
            held += self.rows.ruled(place, source)
            heard, events = heard + counted(source, c.sources)[0].size, events + source.size
        return held, heard, events

    def verified(self, cuts: list[tuple[int, int, int]], best: tuple[int, int, int]) -> tuple[int, int, int]:
        """The cut, or the next finer one whose every slice fits: rules were only asked about some slices.

        Raises
        ------
        MappingError
            where none does.
        """
        if not self.ruled:
            return best
        for cut in cuts[cuts.index(best) :] if best in cuts else [best]:
            rest = self.app.window - self.demand(cut)[0].max() + self._worst(cut)
            if all(self._ruled(s)[0] <= rest for s in boxes(self.member, cut)):
                return cut
        raise self._no_cut(cuts[-1])

    def quietest(
        self, cuts: list[tuple[int, int, int]], best: tuple[int, int, int], tick: float
    ) -> tuple[int, int, int]:
        """Of the cuts into as many slices that fit, the one to which fewest packets come; `best` of equals.

        A packet comes to every core that hears something of its slice, so that it is the slices of the sources, cut
        before, that a receptive field is counted in: bands of rows that lie over bands often hear least.
        """
        from .net import touching

        if not self.convs or any(k.source not in self.known for k in self.convs) or not self.fits(best, tick):
            return best

        def packets(cut: tuple[int, int, int]) -> float:
            into, total = boxes(self.member, cut), 0.0
            for link in self.convs:
                sizes = np.array([s.size for s in self.known[link.source]])
                total += float(sizes @ touching(link.connection, self.known[link.source], into).sum(axis=1))
            return total

        n = best[0] * best[1] * best[2]
        alike = [c for c in cuts if c[0] * c[1] * c[2] == n and c != best and self.fits(c, tick)]
        return min([best, *alike], key=packets)

    def _worst(self, cut: tuple[int, int, int]) -> int:
        """Bytes that rules give the worst of the slices that `demand` asks about."""
        slices = boxes(self.member, cut)
        return max(self._ruled(slices[i])[0] for i in _some(np.array([s.size for s in slices])))

    def fits(self, cut: tuple[int, ...], tick: float) -> bool:
        held, cycles, packets = self.demand(cut)
        app = self.app
        return bool(
            held.max() <= app.window and cycles.max() <= tick * app.clock_hz and packets.max() <= app.fifo_packets
        )

    def refuse_what_never_fits(self, member: Member) -> None:
        """Refuse a member whose neurons do not even fit alone.

        Raises
        ------
        MappingError
            which population, by how much, how many sources would fit, and what would help.
        """
        app = self.app
        alone = app.descriptor_bytes + self.neuron_bytes(1)
        fan, rows = self._alone()
        kernels = 0
        for link in self.convs:
            _, c_in, kh, kw = link.connection.weight.shape
            kernels += -(-c_in * kh * kw // 4) * 4 + app.conv_geometry_bytes + app.conv_entry_bytes
        held = alone + kernels + rows
        if held <= app.window:
            return
        window = ", a larger data window (window=)" if held <= SRAM_DATA - STACK else ""
        records = f" and records for {self.ticks} ticks" if self.ticks and self.record else ""
        each = rows // max(fan, 1)
        most = (app.window - alone - kernels) // max(each, 1)
        room = f"; {most} sources would fit" if most > 0 else ""
        raise MappingError(
            f"{member.name}: one neuron alone takes {held} bytes of a core's {app.window}, {held - app.window} too "
            f"many: it hears {fan} sources at {each} bytes each{records}{room}. "
            "What would help: fewer inputs per neuron, a convolution instead of a matrix"
            f"{', fewer ticks' if records else ''}{window}"
            f"{'' if app.word is Word.DRAM else ', or other rows (rows=)'}; s2nir.explain tries them.",
            rule="does-not-fit",
            lack=(member.name, held, app.window),
        )

    def by_bytes_alone(self, cuts: list[tuple[int, int, int]], member: Member, tick: float) -> tuple[int, int, int]:
        """The first cut whose bytes fit, where no cut carries the expected load; with a warning."""
        app = self.app
        best = _first(cuts, lambda cut: bool(self.demand(cut)[0].max() <= app.window))
        if best is None:
            raise self._no_cut(cuts[-1])
        warnings.warn(
            f"{member.name}: with {app.activity:.0%} of its sources active in a tick, no cut keeps a core within "
            f"{tick * app.clock_hz:.0f} cycles and {app.fifo_packets} packets per tick; it is cut by bytes alone. See "
            "the report for ticks that overrun; a longer tick, or an Application with another activity, changes this.",
            S2NirWarning,
            stacklevel=2,
        )
        return best  # type: ignore[no-any-return]


    def _no_cut(self, finest: tuple[int, int, int]) -> MappingError:
        tables = "the tables of its convolutions" if self.convs else "its rows"
        return MappingError(
            f"{self.member.name}: no cut of it fits a core's {self.app.window} bytes with room for {tables}. What "
            "would help: fewer channels, a smaller kernel, fewer inputs per neuron, or a larger data window (window=).",
            rule="does-not-fit",
            lack=(self.member.name, int(self.demand(finest)[0].max()), self.app.window),
        )

    def _alone(self) -> tuple[int, int]:
        """(sources, bytes of rows) of the neuron whose rows take most; of rules, some neurons are asked about."""
        fan = rows = 0
        if self.source.size:
            pair, count = counted(self.target * self.sources + self.source, self.member.size * self.sources)
            at = pair // self.sources
            fan = int(np.bincount(at).max())
            rows = int(self.rows.written(at, pair % self.sources, count, self.member.size).max())
        if self.ruled:
            found = [self._ruled(_lone(self.member, n)) for n in _some(np.ones(self.member.size))]
            fan, rows = fan + max(f[1] for f in found), rows + max(f[0] for f in found)
        return fan, rows


def _lone(member: Member, neuron: int) -> Slice:
    """A slice of one neuron."""
    c, y, x = (int(k) for k in np.unravel_index(neuron, member.view))
    return Slice(member=member.name, c0=c, c1=c + 1, y0=y, y1=y + 1, x0=x, x1=x + 1)


def _some(sizes: NDArray[Any]) -> list[int]:
    """Slices to ask a rule about: of the largest ones, the first, the last, the middle, and some between."""
    largest = np.flatnonzero(sizes == sizes.max())
    return sorted({int(largest[k]) for k in np.linspace(0, largest.size - 1, 9).astype(int)})


def _heard(conv: Conv, s: Slice) -> int:
    """Sources that a tile of a convolution hears: its receptive field."""
    (kh, kw), field = conv.weight.shape[2:], []
    pool = conv.pool
    size, step = (pool.size, pool.stride) if pool else ((1, 1), (1, 1))
    for n, k, stride, dilation, window, jump, full in zip(
        (s.y1 - s.y0, s.x1 - s.x0), (kh, kw), conv.stride, conv.dilation, size, step, conv.in_shape[1:], strict=True
    ):
        pixels = (n - 1) * stride + (k - 1) * dilation + 1
        field.append(min(full, (pixels - 1) * jump + window))
    return int(conv.in_shape[0] * field[0] * field[1])
