"""Network -> Placement -> RouteTrees -> MachineImage; each is checked before the next is made."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..arguments import OneOf, path_of
from ..errors import MappingError, S2NirWarning, needs
from ..fixedpoint import Arithmetic
from ..graph import Loops, Reset, Ruled, apply, data_order
from ..machine import Application, Chip, SpiNNaker2
from ..quantize import Network
from .arguments import ONSETS, Asked, asked, copies_of
from .check import check
from .copies import copied, first_copy, lay_copies
from .image import CoreImage, MachineImage, PopulationInfo
from .keys import Allot
from .memory import keyed, write
from .minimise import Minimise
from .net import heard
from .own import breach
from .partition import Partition
from .place import Place
from .placement import Placement, lay
from .placement import check as check_placement
from .route import Route
from .rows import Into, numbering
from .shards import Shards, folder, folder_name, index
from .tables import Table, minimised, refuse_overfull, tables
from .trees import check as check_trees
from .trees import grow
from .wiring import wire

Noun = TypeVar("Noun")


def compile(
    network: Network,
    machine: SpiNNaker2 | None = None,
    application: Application | str = "auto",
    onset: str = "aligned",
    loops: Loops | str = Loops.REFUSE,
    ticks: int | None = None,
    record: tuple[str, ...] | str = ("spikes",),
    max_count: int = 255,
    max_relays: int = 32,
    window: int | None = None,
    partition: Partition | None = None,
    place: Place | None = None,
    allot: Allot | None = None,
    route: Route | None = None,
    minimise: str | Minimise = "auto",
    into: str | os.PathLike[str] | None = None,
    copies: int | str = 1,
    rates: Mapping[str, float] | None = None,
) -> MachineImage:
    """Lay a Network on a machine.

    application : "auto" (the delay word where a delay needs it and all |w| <= 15, a convolution's program where there
        is one, else the no-delay word), the name of one, or an Application
    onset : constants act from a population's lag on ("aligned"), or from tick 0 ("board")
    loops : "refuse", or "machine" to let each hop of a loop that no lags exist for take its tick
    ticks, record : room for what a board would record, over so many ticks
    max_count : packets of one input source in a tick, for which headroom is proven
    max_relays : relay populations allowed
    window : bytes of data memory per core, in place of the application's own (67,328; the older map has 44,992)
    place, allot, route : how slices come to cores, keys and trees; by default, on one chip in their order and largest
        blocks first, on several by Exchange and keys by chip; trees by LoadAware
    minimise : "auto" ("fewest", where a router would overflow), a name of `METHODS`, or a Minimise
    into : a folder (.s2, or no ending) that the image is written to as it is made, so that its memories need not stay
        in memory; it is there whole or not at all, replaces an image folder of that name, and `load` reads it
    copies : independent copies of the network, each with inputs of its own; "fill" for as many as fit
    rates : packets per neuron and tick by population, such as `recording.rates`, that placing and routing weigh ways
        with; by default, the activity that the applications are planned with

    Raises
    ------
    MappingError
        where it does not fit, no lags exist, an accumulator could overflow, or an argument cannot be meant.
    """
    needs(network, Network, "compile", "Make one with s2nir.quantize(graph).")
    given = asked(
        network, machine=machine, application=application, partition=partition, place=place, allot=allot, route=route,
        minimise=minimise, loops=loops, ticks=ticks, record=record, max_count=max_count, max_relays=max_relays,
        window=window, rates=rates,
    )
    onset, copies = OneOf(ONSETS)(onset, "onset", MappingError), copies_of(copies)
    target = None if into is None else folder_name(path_of(into, "compile.into"))
    headroom(network, given.max_count)
    wiring = wire(network, application, given.loops, given.max_relays, given.window, given.machine.rows)
    placement = lay(network, wiring, given.machine, given.ticks, given.record, given.partition, place, allot,
                    given.rates)
    (placement, tabled), n, end = lay_copies(placement, copies, place, allot, _Router(place, allot, route, minimise))
    one = first_copy(placement, n)
    cores = copied(_cores(one, network.arithmetic, onset, (given.ticks or 0, given.record)), placement, n)
    return _held(cores, target, lambda held: _image(one, network, held, tabled, given, onset, (n, end)))


@dataclass(frozen=True, slots=True)
class _Router:
    """The stages of a placement and its tables."""

    place: Place | None
    allot: Allot | None
    route: Route | None
    minimise: str | Minimise

    def __call__(self, placement: Placement) -> tuple[Placement, dict[Chip, Table]]:
        """A placement, once it is legal, and its routing tables.

        Raises
        ------
        MappingError
            where a router does not hold them.
        """
        trees = grow(_legal(placement, check_placement, place=self.place, allot=self.allot), self.route)
        _legal(trees, lambda t: check_trees(t, placement), route=self.route)
        machine = placement.machine
        tabled = minimised(tables(trees, placement.blocks), trees, placement.blocks, machine, self.minimise)
        refuse_overfull(tabled, machine)
        return placement, tabled


def _held(
    made: Iterable[CoreImage], into: Path | None,
    image: Callable[[tuple[CoreImage, ...]], MachineImage],
) -> MachineImage:
    """The image of some cores, checked: in memory, or in a folder that their memories go to as they are made."""
    if into is None:
        return _legal(image(tuple(made)), check)
    with folder(into) as beside:
        shards = Shards(beside)
        for core in made:
            shards.add(core)
        found = _legal(image(shards.cores()), check)
        index(found, beside)
    return found


def _legal(noun: Noun, check: Callable[[Noun], Iterable[str]], **stages: Any) -> Noun:
    """The noun, once its check has nothing to say; stages : that it comes of."""
    for said in check(noun):
        raise breach(stages, f"{type(noun).__name__}: {said}")
    return noun


def headroom(network: Network, max_count: int) -> None:
    """Prove that no int32 input slot overflows: the sum of |w| times packets per tick stays below 2**31.

    Raises
    ------
    MappingError
        naming the population, its bound and the remedy.
    """
    for p in network.populations:
        bound = np.zeros(p.size)
        if p.drive is not None:
            bound += p.drive.law.size * np.abs(p.drive.weight.astype(np.float64).ravel())
        for q in network.into(p.name):
            c = q.connection
            packets = max_count if network[q.source].is_input else 1
            if isinstance(c, Ruled):
                bound += packets * c.most * c.largest
                continue
            whole = replace(c, weight=np.abs(c.weight.astype(np.float64)))
            bound += packets * apply(whole, np.ones((1, c.sources)))[0]
        if bound.size and bound.max() >= 2**31:
            raise MappingError(
                f"{p.name}: up to {bound.max():.0f} could arrive at a neuron in one tick, over its int32 slot. Use a "
                f"lower max_count (now {max_count}) or fewer bits.",
                rule="accumulator-headroom",
            )


def _cores(
    placement: Placement, arithmetic: Arithmetic, onset: str, kept: tuple[int, tuple[str, ...]]
) -> Iterator[CoreImage]:
    """Every core with its memory, in the order of the wiring."""
    members, blocks = placement.wiring.members, placement.blocks
    keys, numbers = keyed(placement.wiring, placement.slices, blocks), numbering(placement.wiring)
    hears = heard(placement.wiring, placement.slices)
    for name, member in members.items():
        lag = member.lag if onset == "aligned" and member.relay_of is None else 0
        rows = Into(placement.wiring, name, placement.slices[name], numbers)
        for i, s in enumerate(placement.slices[name]):
            convs = [(link, [(o, blocks[o]) for o in near]) for link, near in hears.get(s, ())]
            relayed = None
            if member.relay_of is not None:
                relayed = blocks[placement.slices[member.relay_of][i]]
            memory, dram = write(s, member, blocks[s], arithmetic, lag, rows.of(i), keys, convs, relayed, kept)
            chip, pe = placement.cores[s]
            app = member.application
            yield CoreImage(chip=chip, pe=pe, application=app.name, memory=memory, window=app.window, dram=dram)


def _image(
    placement: Placement,
    network: Network,
    cores: tuple[CoreImage, ...],
    tabled: Mapping[Chip, Table],
    given: Asked,
    onset: str,
    copies: tuple[int, Mapping[str, str]],
) -> MachineImage:
    loops = given.loops
    infos, at = [], 0
    notes = list(network.notes)
    for name, member in placement.wiring.members.items():
        n = len(placement.slices[name])
        p = member.population
        relay = member.relay_of is not None
        infos.append(
            PopulationInfo(
                name=name,
                node="Relay" if relay else p.node,
                kind="relay" if relay else "input" if p.is_input else "neurons",
                shape=p.shape,
                view=member.view,
                cores=tuple(range(at, at + n)),
                lag=member.lag,
                spikes=p.spikes or p.is_input,
                scale=np.ones(()) if p.scale is None else p.scale,
                shift=p.shift,
            )
        )
        if relay:
            notes.append(f"{name}: a relay, passes the packets of {member.relay_of} on one tick later, {n} cores")
        at += n
        if p.reset is Reset.SNNTORCH_RESTORED and not relay:
            sentence = (f"{name}: reset 'snntorch_restored' runs as an immediate reset by subtraction, the same only "
                        "while a membrane stays below twice its threshold")
            notes.append(sentence)
            warnings.warn(sentence, S2NirWarning, stacklevel=4)
    return MachineImage(
        machine=placement.machine,
        arithmetic=network.arithmetic,
        dt=network.dt,
        tick=given.partition.tick,
        lag=max(p.lag for p in infos if p.kind != "relay"),
        max_count=given.max_count,
        cores=cores,
        tables=tabled,
        populations=tuple(infos),
        outputs=network.outputs,
        contract=_contract(network, loops, onset),
        provenance={
            "graph": network.graph_digest, "network": network.digest, "scheme": network.scheme,
            "limit": str(network.limit), "loops": loops.value, "onset": onset, **network.rules, **copies[1],
        },
        copies=copies[0],
        versions={"s2nir": version("s2nir"), "numpy": np.__version__, "python": platform.python_version()},
        notes=tuple(notes),
    )


def _contract(network: Network, loops: Loops, onset: str) -> tuple[str, ...]:
    dt = "none" if network.dt is None else f"{network.dt:g} s"
    lines = [f"dt {dt}, {network.integrator.value}, loops {loops.value}, onset {onset}"]
    for p in data_order(network)[0]:
        if p.spikes:
            late = " (late)" if p.reset_late else ""
            lines.append(f"{p.name}: spikes at V {p.compare.value} threshold, reset {p.reset.value}{late}, "
                         f"refractory {p.refractory}")
    return tuple(lines)

