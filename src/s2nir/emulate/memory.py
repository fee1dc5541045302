"""Decoding an image: core memories and routing tables to the arrays that the kernels run on.

Packets are walked through the routing tables once (routes.py), looked up in every core they reach, and the rows and
kernels that they find there become segments (segments.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..fixedpoint import Arithmetic, next_up
from ..machine import Word
from ..mapping import MachineImage, Regions, regions, unpack_geometry
from .draws import Draws, draws
from .routes import Reach, routes
from .segments import Synapses, synapses

RELAY, FAST, FAST_CURRENT, GENERIC = 0, 1, 2, 3


class Neurons(NamedTuple):
    """Parameters by neuron; state format of the image (decays float32 or int64)."""

    threshold: NDArray[Any]  # spike where V >= this; NaN for silent neurons
    subtract: NDArray[Any]  # what a reset by subtraction takes away
    v_reset: NDArray[Any]
    decay: NDArray[Any]
    offset: NDArray[Any]
    syn_decay: NDArray[Any]
    bias: NDArray[Any]
    flags: NDArray[np.uint32]
    late: NDArray[np.uint8]  # stepped the fast way, and reset one tick after their spikes


class Groups(NamedTuple):
    """Runs of neurons that are stepped alike: first, end, kind, tick of the first step, left shift of a slot, whether
    they share their decay and offset, whether they have a refractory time, and the words that they share."""

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    kind: NDArray[np.int64]
    onset: NDArray[np.int64]
    left: NDArray[np.int64]
    alike: NDArray[np.int64]
    holds: NDArray[np.int64]
    decay: NDArray[np.int64]
    offset: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, weakref_slot=True)
class Program:
    """An image, decoded.

    first : int64 (cores + 1), number of each core's first neuron; slots : input slots, largest synaptic delay + 1
    groups, steady : as neurons are stepped, and once all constants act
    reach : where the packets of every source go
    index : by population of the image's directory, the number of each of its neurons (C order over its shape)
    """

    arithmetic: Arithmetic
    first: NDArray[np.int64]
    slots: int
    neurons: Neurons
    groups: Groups
    steady: Groups
    synapses: Synapses
    draws: Draws
    reach: Reach
    index: dict[str, NDArray[np.int64]]

    @property
    def size(self) -> int:
        return int(self.first[-1])

    @property
    def stride(self) -> int:
        """From one input slot of a neuron to its next."""
        return -(-self.size // 16) * 16


def decode(image: MachineImage) -> Program:
    """An image to a Program.

    Raises
    ------
    ImageError
        where a memory cannot be read as the layout has it.
    """
    parts, first = read(image)
    if len(parts) % image.copies or np.unique(np.diff(first[:: image.cores_per_copy])).size > 1:
        raise ImageError(f"{len(parts)} cores do not hold {image.copies} copies of one network")
    reach, arrivals = routes(image, parts, first)
    slots = max((r.descriptor.ring for r in parts), default=1)
    groups = _groups(image, parts, first)
    return Program(
        arithmetic=image.arithmetic,
        first=first,
        slots=slots,
        neurons=_neurons(image, parts, first),
        groups=groups,
        steady=_steady(groups),
        synapses=synapses(image, parts, first, arrivals),
        draws=draws(parts, first),
        reach=reach,
        index=_index(image, parts, first),
    )


def read(image: MachineImage) -> tuple[list[Regions], NDArray[np.int64]]:
    """The regions of every core, and the number of each core's first neuron.

    Raises
    ------
    ImageError
        where a memory cannot be read as the layout has it.
    """
    parts = []
    for core in image.cores:
        r = regions(core.memory, core.application not in ("spike_list", "relay"))
        if isinstance(r, str):
            raise ImageError(f"core {core.chip} PE {core.pe}: {r}")
        for fault in _faults(r, image.arithmetic):
            raise ImageError(f"core {core.chip} PE {core.pe}: {fault}")
        parts.append(r)
    return parts, np.concatenate([[0], np.cumsum([r.descriptor.neurons for r in parts])]).astype(np.int64)


def _faults(r: Regions, arithmetic: Arithmetic) -> Iterator[str]:
    """What would lead the decoder or the kernels outside of their arrays; `check` finds more."""
    d = r.descriptor
    c0, c1, y0, y1, x0, x1 = d.box
    if d.key_bits > 32 or not 1 <= d.neurons <= 1 << d.key_bits:
        yield f"{d.neurons} neurons in a key block of {d.key_bits} bits"
    if not (c0 < c1 and y0 < y1 and x0 < x1 and (c1 - c0) * (y1 - y0) * (x1 - x0) == d.neurons):
        yield f"the box {d.box} does not hold {d.neurons} neurons"
    if d.ring != (8 if d.delay_word else 1) and not (d.word is Word.DRAM and 1 <= d.ring <= 256):
        yield f"{d.ring} ring slots, its word needs {8 if d.delay_word else 1}"
    if d.fixed != (arithmetic is Arithmetic.FIXED):
        yield f"its state is not {arithmetic.value}, as the image's is"
    if r.drive is not None and not (y1 <= r.drive.height and x1 <= r.drive.width):
        yield f"its drive counts neurons in {r.drive.height} x {r.drive.width}, the box is {d.box}"
    for i, words in enumerate(r.geometries):
        g = unpack_geometry(words)
        if min(g.kh, g.kw, g.stride_y, g.stride_x, g.dilation_y, g.dilation_x, g.pool_h, g.pool_w, g.pool_stride_y,
               g.pool_stride_x, g.per_in, g.per_out) < 1:
            yield f"geometry {i} holds a size of zero"


def _index(image: MachineImage, parts: list[Regions], first: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """By population, the number of each neuron, from the boxes in its cores' descriptors."""
    found = {}
    for p in image.directory:
        numbers = np.full(p.view, -1, np.int64)
        for i in p.cores:
            c0, c1, y0, y1, x0, x1 = parts[i].descriptor.box
            if c1 > p.view[0] or y1 > p.view[1] or x1 > p.view[2]:
                raise ImageError(f"{p.name}: a core holds the box {parts[i].descriptor.box}, the view is {p.view}")
            local = np.arange(first[i], first[i + 1]).reshape(y1 - y0, x1 - x0, c1 - c0)
            numbers[c0:c1, y0:y1, x0:x1] = local.transpose(2, 0, 1)
        if (numbers < 0).any():
            raise ImageError(f"{p.name}: {int((numbers < 0).sum())} neurons are on no core")
        found[p.name] = numbers.ravel()
    return found


def _neurons(image: MachineImage, parts: list[Regions], first: NDArray[np.int64]) -> Neurons:
    """Neuron structs of all cores; sources of input and relays have zeros."""
    words = np.zeros((int(first[-1]), 8), "<u4")
    for i, r in enumerate(parts):
        if r.neurons.size:
            words[first[i] : first[i + 1]] = r.neurons
    flags = words[:, 5].copy()
    late = np.zeros(flags.size, np.uint8)
    for i, r in enumerate(parts):
        if r.neurons.size and image.arithmetic is Arithmetic.FLOAT32 and _kind(r.neurons[:, 5]) != GENERIC:
            late[first[i] : first[i + 1]] = r.neurons[:, 5] & 8 > 0
    if image.arithmetic is Arithmetic.FLOAT32:
        columns = [np.ascontiguousarray(words[:, c]).view("<f4") for c in (0, 4, 1, 2, 6, 7)]
        threshold = columns[0]
    else:
        signed = words.astype(np.int64)
        signed[:, [0, 2, 4, 7]] = words[:, [0, 2, 4, 7]].copy().view("<i4")
        columns = [np.ascontiguousarray(signed[:, c]) for c in (0, 4, 1, 2, 6, 7)]
        threshold = columns[0].astype(np.int32)
    above = np.where(flags & 16, next_up(threshold), threshold).astype(columns[0].dtype)
    if image.arithmetic is Arithmetic.FLOAT32:
        above[flags & 1 == 0] = np.nan  # no membrane is at or above it, so silent neurons can go the fast way
    subtract, v_reset, decay, offset, syn_decay, bias = columns
    return Neurons(above, subtract, v_reset, decay, offset, syn_decay, bias, flags, late)


def _groups(image: MachineImage, parts: list[Regions], first: NDArray[np.int64]) -> Groups:
    """Cores that are stepped alike and follow each other, as one group each."""
    rows: list[list[int]] = []
    for i, (core, r) in enumerate(zip(image.cores, parts, strict=True)):
        if core.application == "spike_list":
            continue
        relays = core.application == "relay"
        kind = RELAY if relays else _kind(r.neurons[:, 5])
        left = 15 - r.descriptor.shift if r.descriptor.fixed else 0
        shared = [-1, -1] if relays else [_shared(r.neurons[:, column]) for column in (1, 2)]
        holds = int(not relays and r.neurons[0, 5] >> 8 > 0)
        row = [int(first[i]), int(first[i + 1]), kind, r.descriptor.onset, left, int(min(shared) >= 0), holds, *shared]
        if rows and rows[-1][1] == row[0] and rows[-1][2:] == row[2:]:
            rows[-1][1] = row[1]
        else:
            rows.append(row)
    table = np.array(rows, np.int64).reshape(-1, 9)
    return Groups(*(np.ascontiguousarray(table[:, c]) for c in range(9)))


def _steady(g: Groups) -> Groups:
    """Groups that differ in nothing but the tick of their first step, and follow each other, as one."""
    kept: list[list[int]] = []
    for row in np.stack(g, axis=1).tolist():
        if kept and kept[-1][1] == row[0] and kept[-1][2] == row[2] and kept[-1][4:] == row[4:]:
            kept[-1][1], kept[-1][3] = row[1], max(kept[-1][3], row[3])
        else:
            kept.append(row)
    table = np.array(kept, np.int64).reshape(-1, 9)
    return Groups(*(np.ascontiguousarray(table[:, c]) for c in range(9)))


def _shared(words: NDArray[np.uint32]) -> int:
    """The word that all neurons of a core share, -1 where they differ."""
    return int(words[0]) if (words == words[0]).all() else -1


def _kind(flags: NDArray[np.uint32]) -> int:
    """A fast kind for cores whose neurons are alike, and do not have both a late reset and a refractory time."""
    kinds = np.unique(flags)
    if kinds.size > 1 or (kinds[0] >> 8 and kinds[0] & 8):
        return GENERIC
    return FAST_CURRENT if kinds[0] & 32 else FAST
