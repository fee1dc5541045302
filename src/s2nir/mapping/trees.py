"""The RouteTrees: one multicast tree per slice, to the slices that hear it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..graph import Ruled, apply
from ..machine import LINKS, PES
from ..values import Noun, freeze_fields
from .boxes import Slice
from .own import routed
from .placement import Placement
from .route import Flow, LoadAware, Route, Trees

SENT = 1 << 24  # neurons x slices that packets are sent of at once, in the check
ROUTERS = 1 << 17  # route words taken apart at once


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
        trees=routed(route or LoadAware(), flow(placement), placement.machine),
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
    number = {s: i for i, s in enumerate(trees.slices)}
    chip, pe = placement.places
    core = chip.astype(np.int64) * PES + pe
    reached = _reached(trees)
    for source, target in _needed(placement, number):
        missed = ~_among(source * (len(trees.chip) * PES) + core[target], reached)
        for a, b in zip(source[missed].tolist(), target[missed].tolist(), strict=True):
            yield f"{trees.slices[a]}: does not reach {trees.slices[b]}, which it has synapses to"
    vain = reached[~np.isin(reached % (len(trees.chip) * PES), core)]
    for code in vain.tolist():
        s, at = divmod(code, len(trees.chip) * PES)
        where = tuple(trees.chip[at // PES].tolist()), at % PES
        yield f"{trees.slices[s]}: reaches {where}, where nothing is"
    for i, s in enumerate(trees.slices):
        yield from (f"{s}: {breach}" for breach in _broken(trees.trees, i, placement, int(chip[i])))


def _among(codes: NDArray[np.int64], rising: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which codes are among those that rise."""
    if not rising.size:
        return np.zeros(codes.size, bool)
    return np.asarray(rising[np.minimum(np.searchsorted(rising, codes), rising.size - 1)] == codes)


def _reached(trees: RouteTrees) -> NDArray[np.int64]:
    """Every core that a tree reaches, as (source x chips + chip) x PES + PE; rising."""
    t, found = trees.trees, [np.zeros(0, np.int64)]
    first = t.source * len(trees.chip) + t.chip
    for lo in range(0, t.chip.size, ROUTERS):
        here = slice(lo, lo + ROUTERS)
        row, bit = np.nonzero(np.unpackbits(t.route[here], axis=1, bitorder="little"))
        core = bit >= LINKS
        found.append(first[here][row[core]] * PES + bit[core] - LINKS)
    return np.sort(np.concatenate(found))


def _needed(
    placement: Placement, number: Mapping[Slice, int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of slices of which the second hears the first, a part of them at a time."""
    members, slices = placement.wiring.members, placement.slices
    met: dict[tuple[int, bytes, bytes], NDArray[np.int64]] = {}  # copies of a network meet alike
    for link in placement.wiring.links:
        from_, into = slices[link.source], slices[link.target]
        source, target = members[link.source], members[link.target]
        of, to = (np.array([number[s] for s in part], np.int64) for part in (from_, into))
        if isinstance(link.connection, Ruled):
            owner = np.empty(source.size, np.int64)
            for k, s in zip(of, from_, strict=True):
                owner[s.neurons(source.view)] = k
            for k, s in zip(to, into, strict=True):
                heard = np.flatnonzero(np.bincount(owner[link.connection.into(s.neurons(target.view)).source]))
                yield heard, np.full(heard.size, k)
            continue
        alike = id(link.connection), _boxes(from_), _boxes(into)
        if alike in met:
            yield of[met[alike] // len(into)], to[met[alike] % len(into)]
            continue
        owner = np.empty(target.size, np.int64)
        for j, s in enumerate(into):
            owner[s.neurons(target.view)] = j
        found = []
        weights = replace(link.connection, weight=np.abs(link.connection.weight.astype(np.float64)))
        some = max(1, SENT // max(source.size, target.size))
        for lo in range(0, len(from_), some):
            ones = np.zeros((len(from_[lo : lo + some]), source.size))
            for row, s in zip(ones, from_[lo : lo + some], strict=True):
                row[s.neurons(source.view)] = 1
            of_slice, neuron = np.nonzero(apply(weights, ones))
            found.append(np.unique((lo + of_slice) * len(into) + owner[neuron]))
        met[alike] = np.concatenate([np.zeros(0, np.int64), *found])
        yield of[met[alike] // len(into)], to[met[alike] % len(into)]
    for name, member in members.items():
        if member.relay_of is not None:
            yield (np.array([number[s] for s in slices[member.relay_of]], np.int64),
                   np.array([number[s] for s in slices[name]], np.int64))


def _boxes(slices: tuple[Slice, ...]) -> bytes:
    return np.array([(s.c0, s.c1, s.y0, s.y1, s.x0, s.x1) for s in slices], np.int64).tobytes()


def _broken(trees: Trees, source: int, placement: Placement, begins: int) -> Iterator[str]:
    """Whether a packet that follows one tree comes to each of its routers once."""
    t = placement.machine.topology
    here = range(int(trees.start[source]), int(trees.start[source + 1]))
    at = {int(trees.chip[r]): r for r in here}
    if not here:
        return
    if len(at) != len(here):
        yield "passes a chip twice"
    if trees.chip[here[0]] != begins:
        yield "does not begin on the chip of its source"
    came, ways = {here[0]}, [here[0]]
    while ways:
        r = ways.pop()
        chip = int(trees.chip[r])
        for link in range(LINKS):
            if not trees.route[r, 0] >> link & 1:
                continue
            there = int(t.neighbour[chip, link])
            if there < 0:
                yield f"takes the link {link} of chip {tuple(t.chip[chip].tolist())}, which is not there"
            elif there not in at or at[there] in came:
                yield f"comes to chip {tuple(t.chip[there].tolist())} where it ends, or twice"
            else:
                if trees.arrives[at[there]] != (link + LINKS // 2) % LINKS:
                    yield f"arrives at chip {tuple(t.chip[there].tolist())} by another link than it says"
                came.add(at[there])
                ways.append(at[there])
    if len(came) != len(here):
        yield f"has {len(here) - len(came)} routers that no packet comes to"
