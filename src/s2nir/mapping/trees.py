"""The RouteTrees: one multicast tree per slice, to the slices that hear it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..graph import Conv, apply
from ..values import FrozenMap, Noun, digest
from .partition import Slice
from .placement import Placement
from .route import Route, RouteTree, local
from .wiring import Link, as_rows


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class RouteTrees(Noun):
    """placement : digest of the Placement; trees : by slice; a slice that nothing hears has none"""

    placement: str
    trees: Mapping[Slice, RouteTree]

    def __post_init__(self) -> None:
        object.__setattr__(self, "trees", FrozenMap(dict(self.trees)))

    @property
    def digest(self) -> str:
        """SHA-256 over all trees and the placement they are for."""
        plain = {str(s): [(chip, sorted(bits)) for chip, bits in t.chips.items()] for s, t in self.trees.items()}
        return digest((self.placement, plain))

    def __str__(self) -> str:
        lines = [f"RouteTrees {self.digest[:12]}: {len(self.trees)} trees"]
        for s, tree in list(self.trees.items())[:64]:
            lines.append(f"  {s} -> {', '.join(f'{chip} PE {pe}' for chip, pe in tree.cores)}")
        return "\n".join(lines)


def grow(placement: Placement, route: Route = local) -> RouteTrees:
    """A tree for every slice that is heard."""
    return RouteTrees(placement=placement.digest, trees=route(targets(placement), placement.cores))


def check(trees: RouteTrees, placement: Placement) -> Iterator[str]:
    """Every breach of legal trees, as sentences: each slice must reach the cores of all slices it has a synapse to.

    What a slice has synapses to is found by sending one packet from all of its neurons through the weights. That no
    core is reached in vain is for the check of the image, which knows what cores hold.
    """
    needed: dict[Slice, set[Slice]] = {}
    for link in placement.wiring.links:
        source = placement.wiring.members[link.source]
        target = placement.wiring.members[link.target]
        ones = np.zeros((len(placement.slices[link.source]), source.size))
        for row, s in zip(ones, placement.slices[link.source], strict=True):
            row[s.neurons(source.view)] = 1
        weights = replace(link.connection, weight=np.abs(link.connection.weight.astype(np.float64)))
        for s, arriving in zip(placement.slices[link.source], apply(weights, ones), strict=True):
            for other in placement.slices[link.target]:
                if arriving[other.neurons(target.view)].any():
                    needed.setdefault(s, set()).add(other)
    for name, member in placement.wiring.members.items():
        for a, b in zip(placement.slices.get(member.relay_of or "", ()), placement.slices[name], strict=False):
            needed.setdefault(a, set()).add(b)
    for s, others in sorted(needed.items()):
        reached = set(trees.trees[s].cores) if s in trees.trees else set()
        for other in sorted(others):
            if placement.cores[other] not in reached:
                yield f"{s}: does not reach {other}, which it has synapses to"
    used = set(placement.cores.values())
    for s, tree in trees.trees.items():
        for core in tree.cores:
            if core not in used:
                yield f"{s}: reaches {core}, where nothing is"


def targets(placement: Placement) -> dict[Slice, list[Slice]]:
    """Which slices each slice must reach: those that have a row for one of its neurons, or an entry for the slice."""
    found: dict[Slice, set[Slice]] = {}
    owner = {name: _owner(placement, name) for name in placement.wiring.members}
    for link in placement.wiring.links:
        from_, into = placement.slices[link.source], placement.slices[link.target]
        if isinstance(link.connection, Conv):
            continue
        source, target, _, _ = as_rows(link)
        pairs = np.unique(owner[link.source][source] * len(into) + owner[link.target][target])
        for a, b in zip(pairs // len(into), pairs % len(into), strict=True):
            found.setdefault(from_[a], set()).add(into[b])
    for s, parts in heard(placement).items():
        for _, near in parts:
            for other in near:
                found.setdefault(other, set()).add(s)
    for name, member in placement.wiring.members.items():
        if member.relay_of is not None:
            for a, b in zip(placement.slices[member.relay_of], placement.slices[name], strict=True):
                found.setdefault(a, set()).add(b)
    return {s: sorted(t) for s, t in sorted(found.items())}


def _owner(placement: Placement, name: str) -> NDArray[np.int64]:
    """The slice of every neuron of a member, by place in its slices."""
    member = placement.wiring.members[name]
    owner = np.empty(member.size, np.int64)
    for i, s in enumerate(placement.slices[name]):
        owner[s.neurons(member.view)] = i
    return owner


def heard(placement: Placement) -> dict[Slice, list[tuple[Link, list[Slice]]]]:
    """For every slice, the convolutions into it with the source slices that its receptive field touches."""
    found: dict[Slice, list[tuple[Link, list[Slice]]]] = {}
    for link in placement.wiring.links:
        c = link.connection
        if not isinstance(c, Conv):
            continue
        for s in placement.slices[link.target]:
            near = [other for other in placement.slices[link.source] if _touches(c, other, s)]
            found.setdefault(s, []).append((link, near))
    return found


def _touches(conv: Conv, source: Slice, target: Slice) -> bool:
    """Whether a kernel weight that is not zero joins the two boxes."""
    per_in, per_out = conv.weight.shape[1], conv.out_shape[0] // conv.groups
    live = np.zeros((conv.out_shape[0], conv.in_shape[0]), bool)
    any_tap = np.asarray(conv.weight.any(axis=(2, 3)))
    for g in range(conv.groups):
        outs = slice(g * per_out, (g + 1) * per_out)
        live[outs, g * per_in : (g + 1) * per_in] = any_tap[outs]
    if not live[target.c0 : target.c1, source.c0 : source.c1].any():
        return False
    for axis, (t0, t1, s0, s1) in enumerate(
        ((target.y0, target.y1, source.y0, source.y1), (target.x0, target.x1, source.x0, source.x1))
    ):
        taps = np.flatnonzero(conv.weight.any(axis=(0, 1, 3 - axis)))
        pixels = np.unique(
            np.arange(t0, t1)[:, np.newaxis] * conv.stride[axis] + taps * conv.dilation[axis] - conv.padding[axis]
        )
        pixels = pixels[(pixels >= 0) & (pixels < conv.pooled_shape[1 + axis])]
        if conv.pool is not None:
            pixels = np.unique(
                pixels[:, np.newaxis] * conv.pool.stride[axis] + np.arange(conv.pool.size[axis])
                - conv.pool.padding[axis]
            )
        if not ((pixels >= s0) & (pixels < s1)).any():
            return False
    return True
