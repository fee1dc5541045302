"""The Placement: populations cut into core-sized slices, slices on cores, keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import MappingError
from ..machine import PES, SpiNNaker2
from ..quantize import Network
from ..values import FrozenMap, Noun, digest
from .boxes import Slice
from .demand import overfull
from .keys import Allot, ByChip, KeyBlock, LargestFirst
from .keys import check as check_keys
from .net import Net, net
from .own import allotted, placed
from .partition import Partition
from .place import Core, Place, rank, refuse_too_many, usual
from .wiring import Wiring

ROUNDS = 8  # of cuts that know each other


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Placement(Noun):
    """Where every neuron of a network is.

    network : digest of the Network; wiring : the network as cores see it
    slices : by member of the wiring; cores, blocks : by slice
    net : the slices in order, and who of them sends to whom; follows from the others
    """

    network: str
    machine: SpiNNaker2
    wiring: Wiring
    slices: Mapping[str, tuple[Slice, ...]]
    cores: Mapping[Slice, Core]
    blocks: Mapping[Slice, KeyBlock]
    net: Net

    def __post_init__(self) -> None:
        for name in ("slices", "cores", "blocks"):
            object.__setattr__(self, name, FrozenMap(dict(getattr(self, name))))

    @property
    def places(self) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """Chip (its place in `machine.topology`) and PE of every slice of `net`."""
        number = {chip: i for i, chip in enumerate(self.machine.coordinates)}
        cores = [self.cores[s] for s in self.net.slices]
        return (np.array([number[chip] for chip, _ in cores], np.int32), np.array([pe for _, pe in cores], np.int16))

    @property
    def digest(self) -> str:
        """SHA-256 over slices, cores, keys and the network they are of."""
        return digest((self.network, self.machine, self.slices, self.cores, self.blocks))

    def __str__(self) -> str:
        lines = [f"Placement {self.digest[:12]}: {len(self.cores)} slices on {self.machine.cores} cores"]
        for name, slices in self.slices.items():
            member = self.wiring.members[name]
            lines.append(f"  {name}: {member.application.name}, lag {member.lag}, {len(slices)} slices")
            for s in slices[:16]:
                chip, pe = self.cores[s]
                lines.append(f"    {s} on {chip} PE {pe}, keys {self.blocks[s]}")
            if len(slices) > 16:
                lines.append(f"    and {len(slices) - 16} more")
        return "\n".join(lines)


def lay(
    network: Network,
    wiring: Wiring,
    machine: SpiNNaker2,
    ticks: int | None = None,
    record: tuple[str, ...] = (),
    partition: Partition | None = None,
    place: Place | None = None,
    allot: Allot | None = None,
    rates: Mapping[str, float] | None = None,
) -> Placement:
    """Partition, place and allot keys; rates : packets per neuron and tick by population, for placing and routing.

    Raises
    ------
    MappingError
        where a neuron does not fit a core, or the slices do not fit the machine.
    """
    slices = cut(wiring, partition or Partition(), ticks, record)
    return put(network.digest, wiring, slices, net(wiring, slices, rates), machine, place, allot)


def cut(
    wiring: Wiring, partition: Partition, ticks: int | None, record: tuple[str, ...]
) -> dict[str, tuple[Slice, ...]]:
    """Slices that fit. Bytes of rows by source slice hang on the slices of sources that are cut later, or by the same
    cut: it is then made again, knowing the last one.

    Raises
    ------
    MappingError
        where that finds no end.
    """
    slices = partition(wiring, ticks, record)
    for _ in range(ROUNDS):
        over = overfull(wiring, slices, ticks, record)
        if not over:
            return slices
        slices = partition(wiring, ticks, record, slices)
    raise MappingError(f"{over[0]}: no cut was found whose rows by source slice fit. Use Partition(share=0.5), or "
                       'rows="sram".', rule="does-not-fit")


def put(
    network: str, wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]], joined: Net, machine: SpiNNaker2,
    place: Place | None = None, allot: Allot | None = None,
) -> Placement:
    """Place slices and allot their keys.

    Raises
    ------
    MappingError
        where the slices do not fit the machine.
    """
    refuse_too_many(joined.slices, machine)
    one = machine.topology.chips == 1
    chip, pe = placed(place or usual(machine), joined, machine)
    where = machine.coordinates
    return Placement(
        network=network,
        machine=machine,
        wiring=wiring,
        slices=slices,
        cores={s: (where[c], p) for s, c, p in zip(joined.slices, chip.tolist(), pe.tolist(), strict=True)},
        blocks=allotted(
            allot or (LargestFirst() if one else ByChip()), joined.slices, standing(joined, chip, pe, machine)),
        net=joined,
    )


def standing(net: Net, chip: NDArray[np.int32], pe: NDArray[np.int16], machine: SpiNNaker2) -> list[int]:
    """By slice, where its core stands along the curve; those that nothing hears come after all others, so that their
    keys lie between no others."""
    silent = np.diff(net.start) == 0
    where = (rank(machine.topology)[chip] + silent * machine.topology.chips) * PES + pe
    return [int(k) for k in where]


def check(placement: Placement) -> Iterator[str]:
    """Every breach of a legal Placement, as sentences."""
    every = [s for slices in placement.slices.values() for s in slices]
    usable = set(placement.machine.usable)
    taken: dict[Core, Slice] = {}
    for s in every:
        core = placement.cores.get(s)
        if core is None:
            yield f"{s}: is on no core"
        elif core not in usable:
            yield f"{s}: {core} is no usable core of the machine"
        elif core in taken:
            yield f"{s} and {taken[core]}: both are on {core}"
        else:
            taken[core] = s
    yield from check_keys(tuple(every), placement.blocks)
    for name, member in placement.wiring.members.items():
        held = np.zeros(member.view, np.int64)
        for s in placement.slices.get(name, ()):
            held[s.c0 : s.c1, s.y0 : s.y1, s.x0 : s.x1] += 1
            if s.size > member.application.max_targets:
                yield f"{s}: {s.size} neurons, {member.application.name} holds {member.application.max_targets}"
        if (held != 1).any():
            yield f"{name}: {int((held == 0).sum())} neurons in no slice, {int((held > 1).sum())} in several"
