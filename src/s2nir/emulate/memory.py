"""Decoding an image: core memories and routing tables to the arrays that the kernels run on.

Packets are walked through the routing tables once (routes.py), looked up in every core they reach, and the rows and
kernels that they find there become segments (segments.py). Neurons have numbers, by core in the order of the image,
and places in the arrays: the same, or, to be run, populations one after the other, each as a picture with its channels
last. What tiles of a convolution add to neighbouring pixels lies together then, whichever cores the tiles are on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..fixedpoint import Arithmetic, next_up
from ..machine import Word
from ..mapping import CoreImage, MachineImage, PopulationInfo, Regions, regions, unpack_geometry
from .draws import Draws, draws
from .routes import Arrivals, Reach, routes
from .segments import Synapses, synapses

RELAY, FAST, FAST_CURRENT, GENERIC, VECTORS = 0, 1, 2, 3, 4
TO_VALUE = 4  # of a neuron's flags: reset to a value
LANES, PERIOD = 16, 1024  # neurons of a vector; thresholds repeat after so many at most, if at all


class Neurons(NamedTuple):
    """Parameters by place; state format of the image (decays float32 or int64)."""

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
    """Runs of neurons that are stepped alike.

    first, end : int64; kind; onset : tick of the first step; left : shift of a slot; holds : whether they have a
    refractory time; same : number of what they share
    period : where the kind is VECTORS, from where on thresholds repeat those of the first neurons, a multiple of 16
    still : whether nothing comes of membranes and slots that are 0
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    kind: NDArray[np.int64]
    onset: NDArray[np.int64]
    left: NDArray[np.int64]
    holds: NDArray[np.int64]
    same: NDArray[np.int64]
    period: NDArray[np.int64]
    still: NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """An image, decoded.

    first : int64 (cores + 1), number of each core's first neuron; slots : input slots, largest synaptic delay + 1
    place : int64, where each neuron stands in `neurons`, `groups`, `steady`, `synapses` and `draws`
    groups, steady : as neurons are stepped, and once all constants act
    reach : where the packets of every source go, by number
    index : by population of the image's directory, the number of each of its neurons (C order over its shape)
    cores, directory, parts, arrivals : what synapses are decoded from, when they are first asked for
    """

    arithmetic: Arithmetic
    first: NDArray[np.int64]
    slots: int
    place: NDArray[np.int64]
    neurons: Neurons
    groups: Groups
    steady: Groups
    draws: Draws
    reach: Reach
    index: dict[str, NDArray[np.int64]]
    cores: tuple[CoreImage, ...]
    directory: tuple[PopulationInfo, ...]
    parts: list[Regions]
    arrivals: Arrivals

    @property
    def size(self) -> int:
        return int(self.first[-1])

    @property
    def stride(self) -> int:
        """From one input slot of a neuron to its next."""
        return -(-self.size // 32) * 32

    @cached_property
    def synapses(self) -> Synapses:
        """What a packet of each source does.

        Raises
        ------
        ImageError
            where a row or a kernel cannot be read.
        """
        pictures = self.place is not self.number  # which is `place` itself where places are numbers
        return synapses(self.cores, self.directory, self.parts, self.first, self.arrivals, self.place, pictures)

    @cached_property
    def relays(self) -> bool:
        """Whether some neurons are relays, which pass several packets on as one."""
        return bool((self.groups.kind == RELAY).any())

    @cached_property
    def number(self) -> NDArray[np.int64]:
        """The neuron at each place."""
        rising = np.arange(self.size)
        if np.array_equal(self.place, rising):
            return self.place
        number = np.empty_like(self.place)
        number[self.place] = rising
        return number

    @cached_property
    def placed(self) -> Program:
        """The same to be run: populations one after the other, their channels last."""
        number = _pictures(self.directory, self.index, self.size)
        if np.array_equal(number, np.arange(self.size)):
            return self
        place = np.empty_like(number)
        place[number] = np.arange(self.size)
        groups = _groups(self.directory, self.cores, self.parts, self.first, number)
        neurons = Neurons._make(column[number] for column in self.neurons)
        return replace(
            self, place=place, neurons=neurons, groups=_periods(groups, neurons),
            steady=_periods(_steady(groups), neurons),
            draws=self.draws._replace(place=place[self.draws.place].astype(np.int32)),
        )


def decode(image: MachineImage) -> Program:
    """An image to a Program, by core.

    Raises
    ------
    ImageError
        where a memory cannot be read as the layout has it.
    """
    parts, first = read(image)
    if len(parts) % image.copies or np.unique(np.diff(first[:: image.cores_per_copy])).size > 1:
        raise ImageError(f"{len(parts)} cores do not hold {image.copies} copies of one network")
    reach, arrivals = routes(image, parts, first)
    rising = np.arange(first[-1])
    groups = _groups(image.directory, image.cores, parts, first, rising)
    neurons = _neurons(image, parts, first, groups)
    return Program(
        arithmetic=image.arithmetic,
        first=first,
        slots=max((r.descriptor.ring for r in parts), default=1),
        place=rising,
        neurons=neurons,
        groups=_periods(groups, neurons),
        steady=_periods(_steady(groups), neurons),
        draws=draws(parts, first),
        reach=reach,
        index=_index(image, parts, first),
        cores=image.cores, directory=image.directory, parts=parts, arrivals=arrivals,
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


def _neurons(image: MachineImage, parts: list[Regions], first: NDArray[np.int64], groups: Groups) -> Neurons:
    """Neuron structs of all cores; sources of input and relays have zeros."""
    words = np.zeros((int(first[-1]), 8), "<u4")
    for i, r in enumerate(parts):
        if r.neurons.size:
            words[first[i] : first[i + 1]] = r.neurons
    flags = words[:, 5].copy()
    late = np.zeros(flags.size, np.uint8)
    if image.arithmetic is Arithmetic.FLOAT32:
        for a, b, kind in zip(groups.first, groups.end, groups.kind, strict=True):
            late[a:b] = flags[a:b] & 8 > 0 if kind in (FAST, FAST_CURRENT) else 0
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


def _pictures(
    directory: tuple[PopulationInfo, ...], index: dict[str, NDArray[np.int64]], size: int
) -> NDArray[np.int64]:
    """Neurons in the order of their places: populations as their first cores come, each with its channels last."""
    by_first = sorted(directory, key=lambda p: int(index[p.name].min(initial=0)))
    found = [index[p.name].reshape(p.view).transpose(1, 2, 0).ravel() for p in by_first]
    number = np.concatenate([np.zeros(0, np.int64), *found])
    if number.size != size or (np.bincount(number, minlength=size) != 1).any():
        raise ImageError(f"{size} neurons are on cores, populations hold {number.size}")
    return number


def _groups(
    directory: tuple[PopulationInfo, ...], cores: tuple[CoreImage, ...], parts: list[Regions],
    first: NDArray[np.int64], number: NDArray[np.int64],
) -> Groups:
    """Neurons that are stepped alike and follow each other, as one group each; number : the neuron at each place.

    How they are stepped is told by population, as places of its cores may lie between each other.
    """
    label = np.full(len(cores), -1, np.int64)
    known: list[tuple[int, ...]] = []
    classes: list[tuple[Any, ...]] = []
    for p in directory:
        mine = [i for i in p.cores if cores[i].application != "spike_list"]
        structs = [parts[i].neurons for i in mine if cores[i].application != "relay"]
        fixed = any(parts[i].descriptor.fixed for i in mine)
        kind, shared = _alike(structs, fixed)
        own = p.name if kind == VECTORS and shared[2] < 0 else ""  # thresholds of its own do not repeat another's
        for i in mine:
            left = 15 - parts[i].descriptor.shift if parts[i].descriptor.fixed else 0
            holds = int(kind != RELAY and parts[i].neurons[0, 5] >> 8 > 0)
            same = (kind, left, holds, *shared, own)
            classes += [same] if same not in classes else []
            row = (kind, parts[i].descriptor.onset, left, holds, classes.index(same))
            known += [row] if row not in known else []
            label[i] = known.index(row)
    of = np.repeat(label, np.diff(first))[number]
    begin = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]])[: of.size])
    end, of = np.append(begin[1:], of.size), of[begin]
    table = np.array(known, np.int64).reshape(-1, 5)[of[of >= 0]]
    return _columns(np.column_stack([begin[of >= 0], end[of >= 0], table]))


def _columns(table: NDArray[np.int64]) -> Groups:
    """Groups of rows from `first` to `same`."""
    none = np.zeros(len(table), np.int64)
    return Groups(*[*(np.ascontiguousarray(c) for c in table.T), none, none])


def _alike(structs: list[NDArray[np.uint32]], fixed: bool) -> tuple[int, tuple[int, ...]]:
    """Kind of the neurons of some cores, and the words of decay, offset, threshold, reset value, flags, synaptic decay
    and bias that all share, -1 where they differ."""
    if not structs:
        return RELAY, (-1,) * 7
    columns = [1, 2, 0, 4, 5, 6, 7]
    words = np.concatenate([s[:1] if (s[:, columns] == s[0, columns]).all() else s for s in structs])[:, columns]
    shared = tuple(int(words[0, c]) if (words[:, c] == words[0, c]).all() else -1 for c in range(7))
    kind, flags = _kind(words[:, 4]), int(words[0, 4])
    if kind != GENERIC and flags & 1 and flags >> 8 == 0 and min(*shared[:2], *shared[5:]) >= 0 and not fixed:
        decay, threshold, syn_decay = (np.ascontiguousarray(words[:, c]).view(np.float32) for c in (0, 2, 5))
        decays = 0 <= decay[0] <= 1 and (0 <= syn_decay[0] <= 1 or kind == FAST)
        if decays and (threshold >= 0).all() and (shared[3] >= 0 or not flags & TO_VALUE):
            kind = VECTORS
    return kind, shared


def _steady(g: Groups) -> Groups:
    """Groups that differ in nothing but the tick of their first step, and follow each other, as one."""
    kept: list[list[int]] = []
    for row in np.stack(g[:7], axis=1).tolist():
        if kept and kept[-1][1] == row[0] and kept[-1][6] == row[6]:
            kept[-1][1], kept[-1][3] = row[1], max(kept[-1][3], row[3])
        else:
            kept.append(row)
    return _columns(np.array(kept, np.int64).reshape(-1, 7))


def _periods(g: Groups, neurons: Neurons) -> Groups:
    """The same with what is known of the thresholds of vectors."""
    period, still = np.zeros_like(g.first), np.zeros_like(g.first)
    for k in np.flatnonzero(g.kind == VECTORS):
        level = neurons.threshold[g.first[k] : g.end[k]]
        still[k] = neurons.offset[g.first[k]] == 0 and (level > 0).all()
        period[k] = next((n for n in range(LANES, min(level.size, PERIOD) + 1, LANES) if _repeats(level, n)),
                         -(-level.size // LANES) * LANES)
    return g._replace(period=period, still=still)


def _repeats(values: NDArray[Any], after: int) -> bool:
    return np.array_equal(values[after : after + PERIOD], values[: values.size - after][:PERIOD]) and (
        np.array_equal(values[after:], values[: values.size - after]))


def _kind(flags: NDArray[np.uint32]) -> int:
    """A fast kind where neurons are alike, and do not have both a late reset and a refractory time."""
    kinds = np.unique(flags)
    if kinds.size > 1 or (kinds[0] >> 8 and kinds[0] & 8):
        return GENERIC
    return FAST_CURRENT if kinds[0] & 32 else FAST
