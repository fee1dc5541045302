"""Changes that may make a network fit, the cheapest first.

What changes no spike and takes nothing comes first (tables, placement, trees), then what takes more cores, then a tick
that is longer than the model's step, a memory map that is not published, and last a larger machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from ..machine import SRAM_DATA, STACK, WINDOW_NEW, Faults, SpiNNaker2
from ..mapping import (
    Annealing,
    Curve,
    DimensionOrder,
    Exchange,
    Expand,
    LoadAware,
    NearestNeighbour,
    OrderedCovering,
    Sequential,
)
from .survey import CORES, CYCLES, ENTRIES, FIFO, INPUT, LINK, RELAYS, SRAM, WAYS, Choice, Survey, larger

TICKS = (2, 4, 8, 16)  # times as long
SHARES = (0.5, 0.25, 0.125)
MACHINES = 3  # larger ones that are tried: what the smallest does not mend, more chips seldom do


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """words : the argument of `compile` as it is written; flag : of the command line, "" where there is none"""

    words: str
    flag: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class Ladder:
    """Changes of one kind, the cheapest first; where the last one does not help, none of them does."""

    steps: tuple[Change, ...]


def changes(choice: Choice, found: Survey, over: set[str]) -> Iterator[Change | Ladder]:
    """Every change that bears on a resource that is over, the cheapest first."""
    if RELAYS in over:
        n = int(next(r.used for r in found.resources if r.name == RELAYS))
        yield Change(words=f"max_relays={n}", flag=f"--max-relays {n}", choice=replace(choice, max_relays=n))
    if ENTRIES in over:
        yield from _tables(choice)
    if found.laid is not None and found.laid.topology.chips > 1 and over & {ENTRIES, LINK, WAYS}:
        yield from _ways(choice, over)
    if WAYS in over:
        yield from _given_up(choice)
    p = choice.partition
    if (p.share < 1 or p.slices > 1) and over & {CORES, ENTRIES}:
        yield Change(words=f"partition=Partition(tick={p.tick:g})", flag="--share 1",
                     choice=replace(choice, partition=replace(p, share=1.0, slices=1)))
    if over & {FIFO, CYCLES, INPUT}:
        for share in SHARES:
            if share < p.share:
                yield _cut(choice, share=share)
    if over & {CORES, ENTRIES, CYCLES, LINK, INPUT} and not over & {FIFO}:  # as many packets come in a longer tick
        yield Ladder(tuple(_cut(choice, tick=p.tick * times) for times in TICKS))
    if over & {CORES, SRAM, ENTRIES}:
        yield Ladder(tuple(_windows(choice)))
    if found.rows and over & {CORES, SRAM, ENTRIES} and choice.application == "auto":
        for rows in ("compact", "dram"):
            if choice.machine.rows == "sram":
                yield Change(words=f'machine=SpiNNaker2(rows="{rows}")', flag=f"--rows {rows}",
                             choice=replace(choice, machine=replace(choice.machine, rows=rows)))
    if over & {CORES, ENTRIES, LINK, WAYS}:
        for machine in islice((m for m in larger(choice.machine) if m.cores >= found.slices), MACHINES):
            yield _machine(choice, machine)


def _tables(choice: Choice) -> Iterator[Change]:
    for name in ("fewest", "ordered_covering", "expand", "neighbours"):
        if choice.minimise not in ("auto", name) or (choice.minimise == "auto" and name != "fewest"):
            yield Change(words=f'minimise="{name}"', flag=f"--minimise {name}", choice=replace(choice, minimise=name))
    for made in (OrderedCovering(), Expand()):  # may cover keys that are not in use
        if not isinstance(choice.minimise, type(made)):
            yield Change(words=f"minimise={type(made).__name__}()", flag="", choice=replace(choice, minimise=made))


def _ways(choice: Choice, over: set[str]) -> Iterator[Change]:
    for name, place in (("exchange", Exchange()), ("curve", Curve()), ("annealing", Annealing()),
                        ("sequential", Sequential())):
        if place != (choice.place or Exchange()):
            yield Change(words=f"place={type(place).__name__}()", flag=f"--place {name}",
                         choice=replace(choice, place=place))
    if WAYS in over:  # no tree reaches a chip that is cut off
        return
    for name, route in (("load", LoadAware()), ("nearest", NearestNeighbour()), ("dimension", DimensionOrder())):
        if route != (choice.route or LoadAware()):
            yield Change(words=f"route={type(route).__name__}()", flag=f"--route {name}",
                         choice=replace(choice, route=route))


def _given_up(choice: Choice) -> Iterator[Change]:
    """The machine without the chips that no live links lead to from most others."""
    t, f = choice.machine.topology, choice.machine.faults
    chips = tuple((int(x), int(y)) for x, y in t.chip[t.cut_off])
    if chips:
        machine = replace(choice.machine, faults=Faults(
            cores=f.cores, chips=(*f.chips, *chips), links=f.links, routers=f.routers))
        said = ", ".join(map(str, chips[:4])) + (", ..." if len(chips) > 4 else "")
        yield Change(words=f"faults=Faults(chips=[{said}]), which gives up {len(chips)} chip(s), and the machine's own",
                     flag="--faults FILE",
                     choice=replace(choice, machine=machine))


def _cut(choice: Choice, **fields: float) -> Change:
    p = replace(choice.partition, **fields)  # type: ignore[arg-type]
    said = ", ".join(f"{name}={value:g}" for name, value in fields.items())
    flags = " ".join(f"--{name} {value:g}" for name, value in fields.items())
    return Change(words=f"partition=Partition({said})", flag=flags, choice=replace(choice, partition=p))


def _windows(choice: Choice) -> Iterator[Change]:
    own = getattr(choice.application, "window", WINDOW_NEW)
    for window in (WINDOW_NEW, SRAM_DATA - STACK):
        if window > (choice.window or own):
            yield Change(words=f"window={window}", flag=f"--window {window}", choice=replace(choice, window=window))


def _machine(choice: Choice, machine: SpiNNaker2) -> Change:
    return Change(words=f"machine=SpiNNaker2(boards={machine.boards})", flag=f"--boards {machine.boards}",
                  choice=replace(choice, machine=machine))
