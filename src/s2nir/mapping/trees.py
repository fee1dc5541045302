"""The RouteTrees: one multicast tree per slice, to the slices that hear it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..graph import apply
from ..machine import LINKS
from ..values import Noun, freeze_fields
from .partition import Slice
from .placement import Placement
from .route import Flow, NearestNeighbour, Route, Trees
from .wiring import Link


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class RouteTrees(Noun):
    """placement : digest of the Placement; slices : the sources of the trees, in the order of the wiring
    chip : int32 (chips, 2), x and y of the chips that `trees` numbers
    """

    placement: str
    slices: tuple[Slice, ...]
    chip: NDArray[np.int32]
    trees: Trees

    def __post_init__(self) -> None:
        freeze_fields(self, chip=np.int32)

    def cores(self, s: int) -> list[tuple[tuple[int, int], int]]:
        """Every core that the tree of a slice reaches."""
        chips, pes = self.trees.cores(s)
        return [((int(x), int(y)), int(pe)) for (x, y), pe in zip(self.chip[chips], pes, strict=True)]

    def __str__(self) -> str:
        heard = np.flatnonzero(np.diff(self.trees.start))
        lines = [f"RouteTrees {self.digest[:12]}: {heard.size} trees"]
        for s in heard[:64]:
            lines.append(f"  {self.slices[s]} -> {', '.join(f'{chip} PE {pe}' for chip, pe in self.cores(int(s)))}")
        return "\n".join(lines)


def grow(placement: Placement, route: Route | None = None) -> RouteTrees:
    """A tree for every slice that is heard."""
    return RouteTrees(
        placement=placement.digest,
        slices=placement.net.slices,
        chip=placement.machine.topology.chip,
        trees=(route or NearestNeighbour())(flow(placement), placement.machine),
    )


def flow(placement: Placement) -> Flow:
    """Who sends to which cores."""
    net = placement.net
    chip, pe = placement.places
    return Flow(chip=chip, start=net.start, to_chip=chip[net.target], to_pe=pe[net.target], packets=net.packets)


def check(trees: RouteTrees, placement: Placement) -> Iterator[str]:
    """Every breach of legal trees, as sentences: each slice must reach the cores of all slices it has a synapse to.

    What a slice has synapses to is found by sending one packet from all of its neurons through the weights. That no
    core is reached in vain is for the check of the image, which knows what cores hold.
    """
    needed: dict[Slice, set[Slice]] = {}
    known: dict[tuple[object, ...], NDArray[np.bool_]] = {}  # copies of a network meet alike
    for link in placement.wiring.links:
        sources, targets = placement.slices[link.source], placement.slices[link.target]
        alike = id(link.connection), *(replace(s, member="") for s in sources), None, *(
            replace(s, member="") for s in targets)
        if alike not in known:
            known[alike] = _met(link, placement)
        for i, j in zip(*np.nonzero(known[alike]), strict=True):
            needed.setdefault(sources[i], set()).add(targets[j])
    for name, member in placement.wiring.members.items():
        for a, b in zip(placement.slices.get(member.relay_of or "", ()), placement.slices[name], strict=False):
            needed.setdefault(a, set()).add(b)
    number = {s: i for i, s in enumerate(trees.slices)}
    for s, others in sorted(needed.items()):
        reached = set(trees.cores(number[s]))
        for other in sorted(others):
            if placement.cores[other] not in reached:
                yield f"{s}: does not reach {other}, which it has synapses to"
    used, chip = set(placement.cores.values()), placement.places[0]
    for i, s in enumerate(trees.slices):
        yield from (f"{s}: {breach}" for breach in _broken(trees.trees, (i, int(chip[i])), placement, used))


def _met(link: Link, placement: Placement) -> NDArray[np.bool_]:
    """Whether a packet from all neurons of a slice arrives at a slice: bool (sources, targets)."""
    source, target = (placement.wiring.members[name] for name in (link.source, link.target))
    ones = np.zeros((len(placement.slices[link.source]), source.size))
    for row, s in zip(ones, placement.slices[link.source], strict=True):
        row[s.neurons(source.view)] = 1
    weights = replace(link.connection, weight=np.abs(link.connection.weight.astype(np.float64)))
    arriving = apply(weights, ones) != 0
    return np.array([arriving[:, s.neurons(target.view)].any(axis=1) for s in placement.slices[link.target]]).T


def _broken(
    trees: Trees, place: tuple[int, int], placement: Placement, used: set[tuple[tuple[int, int], int]]
) -> Iterator[str]:
    """Whether a packet that follows one tree comes to each of its routers once, and only to cores that are used."""
    t, (source, chip_of) = placement.machine.topology, place
    here = range(int(trees.start[source]), int(trees.start[source + 1]))
    at = {int(trees.chip[r]): r for r in here}
    if not here:
        return
    if len(at) != len(here):
        yield "passes a chip twice"
    if trees.chip[here[0]] != chip_of:
        yield "does not begin on the chip of its source"
    came, ways = {here[0]}, [here[0]]
    while ways:
        r = ways.pop()
        chip = int(trees.chip[r])
        for bit in trees.bits(r).tolist():
            if bit >= LINKS:
                x, y = t.chip[chip].tolist()
                if ((x, y), bit - LINKS) not in used:
                    yield f"reaches {((x, y), bit - LINKS)}, where nothing is"
                continue
            there = int(t.neighbour[chip, bit])
            if there < 0:
                yield f"takes the link {bit} of chip {tuple(t.chip[chip].tolist())}, which is not there"
            elif there not in at or at[there] in came:
                yield f"comes to chip {tuple(t.chip[there].tolist())} where it ends, or twice"
            else:
                if trees.arrives[at[there]] != (bit + LINKS // 2) % LINKS:
                    yield f"arrives at chip {tuple(t.chip[there].tolist())} by another link than it says"
                came.add(at[there])
                ways.append(at[there])
    if len(came) != len(here):
        yield f"has {len(here) - len(came)} routers that no packet comes to"
