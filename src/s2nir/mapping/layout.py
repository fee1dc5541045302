"""A core's data memory, to the byte: what the mapper writes and the emulator and `check` read.

In order: descriptor (64 B), population table (12 B per entry), synapse rows, convolution entries (12 B), geometries
(16 B), kernels (int8, padded to 4 B), neuron parameters (32 B each), Poisson drive (where there is one: 32 B, 4 B per
entry of its law, a weight of int8 per neuron, padded to 4 B). State, input buffer, ring and records follow; they
start as zeros and are counted, not stored. All words are little-endian. docs/image.md holds the same as tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..graph import Conv, Pool
from ..machine import Word

DESCRIPTOR_BYTES = 64
TABLE_ENTRY = np.dtype([("key", "<u4"), ("offset", "<u4"), ("count", "<u4")])
ROW_HEADER = np.dtype([("key", "<u4"), ("count", "<u4"), ("zero", "<u4")])
CONV_ENTRY = np.dtype([("key", "<u4"), ("form", "<u4"), ("place", "<u4")])
GEOMETRY_BYTES = 16

SPIKING, LATE, STRICT, CURRENT_BASED = 1, 8, 16, 32
RESET_SHIFT, REFRACTORY_SHIFT = 1, 8
RESET_NONE, RESET_SUBTRACT, RESET_TO_VALUE = 0, 1, 2
FIXED_BIT, SHIFT_AT, WORD_AT, DRIVE_BIT = 8, 9, 13, 15
DRIVE_BYTES = 32


class Descriptor(NamedTuple):
    """The 16 words at the start of a core's memory.

    form : application code, bit 8 fixed arithmetic, bits 9-12 right shift, bits 13-14 the synapse word (machine.Word),
        bit 15 whether there is a Poisson drive
    onset : tick in which constants start to act
    c0_c1, y0_y1 : two 16-bit numbers each; x0, x1 : the box of the slice
    total : bytes of memory in use, with state, ring and records
    ring : slots of the input ring
    """

    form: int
    neurons: int
    key: int
    key_bits: int
    onset: int
    table: int
    row_bytes: int
    conv_entries: int
    geometries: int
    kernel_bytes: int
    c0_c1: int
    y0_y1: int
    x0: int
    x1: int
    total: int
    ring: int

    @property
    def code(self) -> int:
        return self.form & 0xFF

    @property
    def fixed(self) -> bool:
        return bool(self.form >> FIXED_BIT & 1)

    @property
    def shift(self) -> int:
        return self.form >> SHIFT_AT & 15

    @property
    def word(self) -> Word:
        return Word(self.form >> WORD_AT & 3)

    @property
    def delay_word(self) -> bool:
        return self.word is Word.DELAY

    @property
    def driven(self) -> bool:
        return bool(self.form >> DRIVE_BIT & 1)

    @property
    def box(self) -> tuple[int, int, int, int, int, int]:
        """c0, c1, y0, y1, x0, x1."""
        return (self.c0_c1 & 0xFFFF, self.c0_c1 >> 16, self.y0_y1 & 0xFFFF, self.y0_y1 >> 16, self.x0, self.x1)


class DriveRegion(NamedTuple):
    """The Poisson drive of a core (see graph/drive.py).

    seed : of the population's draws; height, width : of the view its neurons are counted in, channel by channel
    law : uint32; weight : int8, by neuron of the core
    """

    seed: int
    height: int
    width: int
    law: NDArray[np.uint32]
    weight: NDArray[np.int8]


def pack_drive(drive: DriveRegion) -> NDArray[np.uint8]:
    """The bytes of a drive: seed (low, high), height, width, entries of the law, three words of zero, law, weights."""
    head = [drive.seed & 0xFFFFFFFF, drive.seed >> 32, drive.height, drive.width, drive.law.size, 0, 0, 0]
    weight = np.pad(drive.weight, (0, -drive.weight.size % 4))
    return np.concatenate([np.array(head, "<u4").view(np.uint8), drive.law.astype("<u4").view(np.uint8),
                           weight.view(np.uint8)])


def unpack_drive(memory: NDArray[np.uint8], neurons: int) -> DriveRegion | str:
    """The drive that a memory ends in, or a sentence on why it cannot be taken."""
    words = memory[: memory.size // 4 * 4].view("<u4")
    if memory.size < DRIVE_BYTES or memory.size != DRIVE_BYTES + 4 * int(words[4]) + -(-neurons // 4) * 4:
        return f"{memory.size} bytes of a Poisson drive, its head counts others"
    law = words[8 : 8 + int(words[4])]
    weight = memory[DRIVE_BYTES + 4 * law.size :].view(np.int8)
    if words[5:8].any() or weight[neurons:].any():
        return "a Poisson drive ends in bytes that are not zero"
    return DriveRegion(int(words[0]) | int(words[1]) << 32, int(words[2]), int(words[3]), law, weight[:neurons])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Regions:
    """Views of one core's memory; nothing is checked beyond what is needed to take them."""

    descriptor: Descriptor
    table: NDArray[Any]
    rows: NDArray[np.uint8]
    conv_entries: NDArray[Any]
    geometries: NDArray[np.uint32]
    kernels: NDArray[np.int8]
    neurons: NDArray[np.uint32]
    drive: DriveRegion | None = None


def regions(memory: NDArray[np.uint8], has_neurons: bool) -> Regions | str:
    """The regions of a core's memory, or a sentence on why they cannot be taken."""
    if memory.size < DESCRIPTOR_BYTES:
        return f"{memory.size} bytes, less than a descriptor"
    d = Descriptor(*(int(w) for w in memory[:DESCRIPTOR_BYTES].view("<u4")))
    sizes = [
        12 * d.table, d.row_bytes, 12 * d.conv_entries, GEOMETRY_BYTES * d.geometries, d.kernel_bytes,
        32 * d.neurons if has_neurons else 0,
    ]
    last = DESCRIPTOR_BYTES + sum(sizes)
    drive = unpack_drive(memory[last:], d.neurons) if d.driven and has_neurons and last <= memory.size else None
    if isinstance(drive, str):
        return drive
    if last != memory.size and drive is None:
        return f"{memory.size} bytes, the descriptor counts {DESCRIPTOR_BYTES + sum(sizes)}"
    if any(s % 4 for s in sizes):
        return "a region is not a whole number of words"
    edges = np.cumsum([DESCRIPTOR_BYTES, *sizes])
    part = [memory[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return Regions(
        descriptor=d,
        table=part[0].view(TABLE_ENTRY),
        rows=part[1],
        conv_entries=part[2].view(CONV_ENTRY),
        geometries=part[3].view("<u4").reshape(-1, 4),
        kernels=part[4].view(np.int8),
        neurons=part[5].view("<u4").reshape(-1, 8),
        drive=drive,
    )


def pack_words(
    weight: NDArray[np.int64], delay: NDArray[np.int64], target: NDArray[np.int64], delay_word: bool
) -> NDArray[np.uint16]:
    """Synapse words: size, (delay), type (1 for below zero), target."""
    size, kind = np.abs(weight), (weight < 0).astype(np.int64)
    if delay_word:
        return (size << 12 | delay << 9 | kind << 8 | target).astype(np.uint16)
    return (size << 9 | kind << 8 | target).astype(np.uint16)


def unpack_words(words: NDArray[np.uint16], delay_word: bool) -> tuple[NDArray[np.int64], ...]:
    """Weight, delay, target of synapse words.

    >>> [a.tolist() for a in unpack_words(pack_words(*np.array([[-5, 15], [0, 7], [255, 3]]), True), True)]
    [[-5, 15], [0, 7], [255, 3]]
    """
    w = words.astype(np.int64)
    size, delay = (w >> 12, w >> 9 & 7) if delay_word else (w >> 9, np.zeros_like(w))
    return np.where(w >> 8 & 1, -size, size), delay, w & 0xFF


def pack_geometry(conv: Conv) -> list[int]:
    """A convolution without its sizes in four words; see `Geometry`."""
    kh, kw = conv.weight.shape[2:]
    pool = conv.pool or Pool(size=(1, 1), stride=(1, 1))
    _, ph, pw = conv.pooled_shape
    c_out = conv.out_shape[0]
    return [
        _pack((kh, 6), (kw, 6), (conv.stride[0], 4), (conv.stride[1], 4), (conv.dilation[0], 5), (conv.dilation[1], 5)),
        _pack((conv.padding[0], 8), (conv.padding[1], 8), (pool.size[0], 4), (pool.size[1], 4), (pool.stride[0], 4),
              (pool.stride[1], 4)),
        _pack((pool.padding[0], 3), (pool.padding[1], 3), (conv.weight.shape[1], 13), (c_out // conv.groups, 13)),
        _pack((ph, 12), (pw, 12)),
    ]


class Geometry(NamedTuple):
    """A convolution as a core reads it.

    per_in, per_out : channels of one group; pooled_h, pooled_w : what the kernel sees
    """

    kh: int
    kw: int
    stride_y: int
    stride_x: int
    dilation_y: int
    dilation_x: int
    pad_y: int
    pad_x: int
    pool_h: int
    pool_w: int
    pool_stride_y: int
    pool_stride_x: int
    pool_pad_y: int
    pool_pad_x: int
    per_in: int
    per_out: int
    pooled_h: int
    pooled_w: int

    def kernel_bytes(self, channels: int) -> int:
        """Bytes of the kernels (per_in, kh, kw, channels of the tile), with padding."""
        return -(-self.per_in * self.kh * self.kw * channels // 4) * 4


def unpack_geometry(words: NDArray[np.uint32]) -> Geometry:
    """The four words of a geometry."""
    w = [int(x) for x in words]
    fields = (
        *_unpack(w[0], 6, 6, 4, 4, 5, 5), *_unpack(w[1], 8, 8, 4, 4, 4, 4), *_unpack(w[2], 3, 3, 13, 13),
        *_unpack(w[3], 12, 12),
    )
    return Geometry(*fields)


def pack_conv_entry(key: int, bits: int, geometry: int, box: tuple[int, int, int, int, int, int]) -> tuple[int, ...]:
    """A source slice in twelve bytes: its keys and its box (channels and places up to 2,047 and 255)."""
    c0, c1, y0, y1, x0, x1 = box
    return (
        key,
        _pack((bits, 5), (geometry, 5), (c0, 11), (c1 - c0 - 1, 11)),
        _pack((y0, 8), (x0, 8), (y1 - y0 - 1, 8), (x1 - x0 - 1, 8)),
    )


def unpack_conv_entry(entry: Any) -> tuple[int, int, int, tuple[int, int, int, int, int, int]]:
    """key, bits, geometry, box of a convolution entry."""
    bits, geometry, c0, dc = _unpack(int(entry["form"]), 5, 5, 11, 11)
    y0, x0, dy, dx = _unpack(int(entry["place"]), 8, 8, 8, 8)
    return int(entry["key"]), bits, geometry, (c0, c0 + dc + 1, y0, y0 + dy + 1, x0, x0 + dx + 1)


def _pack(*fields: tuple[int, int]) -> int:
    word = at = 0
    for value, bits in fields:
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{value} does not fit {bits} bits")
        word |= value << at
        at += bits
    return word


def _unpack(word: int, *bits: int) -> list[int]:
    found, at = [], 0
    for n in bits:
        found.append(word >> at & ((1 << n) - 1))
        at += n
    return found
