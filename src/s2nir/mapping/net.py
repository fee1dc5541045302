"""Slices and who of them sends to whom: what placing and routing start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph import Conv, Ruled
from ..values import freeze_fields
from .boxes import Slice
from .rows import owners
from .wiring import Link, Member, Wiring, as_rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Net:
    """slices : all of them, in the order of the wiring
    start : int64 (slices + 1) and target : int64, the slices that each one reaches, rising
    packets : float64 (slices), expected packets per tick
    """

    slices: tuple[Slice, ...]
    start: NDArray[np.int64]
    target: NDArray[np.int64]
    packets: NDArray[np.float64]

    def __post_init__(self) -> None:
        freeze_fields(self, start=np.int64, target=np.int64, packets=np.float64)

    @property
    def source(self) -> NDArray[np.int64]:
        """int64 (pairs), the slice that each pair begins at."""
        return np.repeat(np.arange(len(self.slices)), np.diff(self.start))


def net(
    wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]], rates: Mapping[str, float] | None = None
) -> Net:
    """Each slice with those that have a row for one of its neurons, or an entry for the slice.

    rates : packets per neuron and tick by population; of others, and of all by default, the activity of the application
    """
    flat = tuple(s for name in wiring.members for s in slices[name])
    first, at = {}, 0
    for name in wiring.members:
        first[name] = at
        at += len(slices[name])
    pairs = [np.zeros((2, 0), np.int64)]
    for link in wiring.links:
        from_, into = slices[link.source], slices[link.target]
        if isinstance(link.connection, Conv):
            s, t = np.nonzero(touching(link.connection, from_, into))
        elif isinstance(link.connection, Ruled):
            s, t = _ruled(link, wiring.members, from_, into)
        else:
            source, target, _, _ = as_rows(link)
            of, to = _owner(wiring.members[link.source], from_), _owner(wiring.members[link.target], into)
            joined = np.unique(of[source] * len(into) + to[target])
            s, t = joined // max(len(into), 1), joined % max(len(into), 1)
        pairs.append(np.stack([first[link.source] + s, first[link.target] + t]))
    for name, member in wiring.members.items():
        if member.relay_of is not None:
            k = np.arange(len(slices[name]))
            pairs.append(np.stack([first[member.relay_of] + k, first[name] + k]))
    joined = np.unique(np.concatenate(pairs, axis=1).T @ np.array([len(flat), 1], np.int64))
    source, target = joined // len(flat), joined % len(flat)
    rate = {n: _rate(m, wiring.members, rates or {}) for n, m in wiring.members.items()}
    return Net(
        slices=flat,
        start=np.searchsorted(source, np.arange(len(flat) + 1)),
        target=target,
        packets=np.array([s.size * rate[s.member] for s in flat], np.float64),
    )


def _rate(member: Member, members: Mapping[str, Member], rates: Mapping[str, float]) -> float:
    """Packets per neuron and tick; a relay sends as what it relays."""
    while member.relay_of is not None and member.name not in rates:
        member = members[member.relay_of]
    return float(rates.get(member.name, member.application.activity))


def _owner(member: Member, slices: tuple[Slice, ...]) -> NDArray[np.int64]:
    """The slice of every neuron of a member, by place in its slices."""
    return owners(slices, member.view, member.size)[0].astype(np.int64)


def _ruled(
    link: Link, members: Mapping[str, Member], from_: tuple[Slice, ...], into: tuple[Slice, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of slices that a rule joins, by writing out what each target slice hears."""
    from .row_kernels import distinct

    owner, seen = _owner(members[link.source], from_), np.zeros(len(from_), np.uint8)
    view = members[link.target].view
    heard = [distinct(owner[link.connection.into(s.neurons(view)).source], seen) for s in into]
    return (np.concatenate([np.zeros(0, np.int64), *heard]),
            np.repeat(np.arange(len(into)), [h.size for h in heard]))


def heard(
    wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]]
) -> dict[Slice, list[tuple[Link, list[Slice]]]]:
    """For every slice, the convolutions into it with the source slices that its receptive field touches."""
    found: dict[Slice, list[tuple[Link, list[Slice]]]] = {}
    for link in wiring.links:
        if isinstance(link.connection, Conv):
            from_, into = slices[link.source], slices[link.target]
            near = touching(link.connection, from_, into)
            for k, s in enumerate(into):
                found.setdefault(s, []).append((link, [from_[j] for j in np.flatnonzero(near[:, k])]))
    return found


def touching(conv: Conv, sources: tuple[Slice, ...], targets: tuple[Slice, ...]) -> NDArray[np.bool_]:
    """Whether a kernel weight that is not zero joins two boxes: bool (sources, targets)."""
    per_in, per_out = conv.weight.shape[1], conv.out_shape[0] // conv.groups
    live = np.zeros((conv.in_shape[0], conv.out_shape[0]), bool)
    any_tap = np.asarray(conv.weight.any(axis=(2, 3)))
    for g in range(conv.groups):
        outs = slice(g * per_out, (g + 1) * per_out)
        live[g * per_in : (g + 1) * per_in, outs] = any_tap[outs].T
    found = _meet(live, [(s.c0, s.c1) for s in sources], [(s.c0, s.c1) for s in targets])
    for axis, (of, to) in enumerate((
        ([(s.y0, s.y1) for s in sources], [(s.y0, s.y1) for s in targets]),
        ([(s.x0, s.x1) for s in sources], [(s.x0, s.x1) for s in targets]),
    )):
        found &= _meet(_pixels(conv, axis), of, to)
    return found


def _pixels(conv: Conv, axis: int) -> NDArray[np.bool_]:
    """Which pixels of the source each pixel of the target hears along an axis: bool (source, target)."""
    n_in, n_out = conv.in_shape[1 + axis], conv.out_shape[1 + axis]
    taps = np.flatnonzero(conv.weight.any(axis=(0, 1, 3 - axis)))
    pixel = np.arange(n_out) * conv.stride[axis] + taps[:, np.newaxis] * conv.dilation[axis] - conv.padding[axis]
    target = np.broadcast_to(np.arange(n_out), pixel.shape)
    ok = (pixel >= 0) & (pixel < conv.pooled_shape[1 + axis])
    pixel, target = pixel[ok], target[ok]
    if conv.pool is not None:
        window = np.arange(conv.pool.size[axis]) - conv.pool.padding[axis]
        pixel = pixel[:, np.newaxis] * conv.pool.stride[axis] + window
        target = np.broadcast_to(target[:, np.newaxis], pixel.shape)
        ok = (pixel >= 0) & (pixel < n_in)
        pixel, target = pixel[ok], target[ok]
    found = np.zeros((n_in, n_out), bool)
    found[pixel, target] = True
    return found


def _meet(
    joined: NDArray[np.bool_], sources: list[tuple[int, int]], targets: list[tuple[int, int]]
) -> NDArray[np.bool_]:
    """Whether anything is joined between two spans: bool (sources, targets)."""
    count = np.zeros((joined.shape[0] + 1, joined.shape[1] + 1), np.int64)
    count[1:, 1:] = joined.cumsum(axis=0).cumsum(axis=1)
    of, row = np.unique(np.array(sources, np.int64).reshape(-1, 2), axis=0, return_inverse=True)
    to, column = np.unique(np.array(targets, np.int64).reshape(-1, 2), axis=0, return_inverse=True)
    a, b, c, d = of[:, :1], of[:, 1:], to[:, 0], to[:, 1]
    met = count[b, d] - count[a, d] - count[b, c] + count[a, c] > 0
    return np.asarray(met[row.ravel()[:, np.newaxis], column.ravel()])
