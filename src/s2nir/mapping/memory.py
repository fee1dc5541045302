"""Writing a core's data memory: slices, keys and links to bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..fixedpoint import Arithmetic
from ..graph import Compare, Conv, Reset
from ..machine import CODES, Application, Word, record_bytes
from ..quantize import IntPopulation
from .blocks import Parts
from .blocks import write as write_blocks
from .boxes import Slice
from .keys import KeyBlock
from .layout import (
    CONV_ENTRY,
    CURRENT_BASED,
    DESCRIPTOR_BYTES,
    DRIVE_BIT,
    FIXED_BIT,
    GEOMETRY_BYTES,
    LATE,
    REFRACTORY_SHIFT,
    RESET_NONE,
    RESET_SHIFT,
    RESET_SUBTRACT,
    RESET_TO_VALUE,
    ROW_HEADER,
    SHIFT_AT,
    SPIKING,
    STRICT,
    TABLE_ENTRY,
    WORD_AT,
    DriveRegion,
    pack_conv_entry,
    pack_drive,
    pack_geometry,
    pack_words,
)
from .rows import Rows
from .wiring import Link, Member, Wiring

RESETS = {
    Reset.NONE: RESET_NONE,
    Reset.SUBTRACT: RESET_SUBTRACT,
    Reset.SNNTORCH_RESTORED: RESET_SUBTRACT,  # compile warns
    Reset.ZERO: RESET_TO_VALUE,
    Reset.TO_VALUE: RESET_TO_VALUE,
}


class Keyed(NamedTuple):
    """key : int64, of every neuron of the wiring (rows.Numbering); held : int32, as many zeros, for sorting with;
    base, size : int64, first key and neurons of every slice, by key."""

    key: NDArray[np.int64]
    held: NDArray[np.int32]
    base: NDArray[np.int64]
    size: NDArray[np.int64]


def keyed(wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]], blocks: Mapping[Slice, KeyBlock]) -> Keyed:
    """The keys of all neurons."""
    parts = [neuron_keys(slices[name], blocks, member) for name, member in wiring.members.items()]
    key = np.concatenate([np.zeros(0, np.int64), *parts])
    spans = sorted((block.base, s.size) for s, block in blocks.items())
    base, size = np.array(spans, np.int64).reshape(-1, 2).T
    return Keyed(key, np.zeros(key.size, np.int32), base, size)


def neuron_keys(slices: tuple[Slice, ...], blocks: Mapping[Slice, KeyBlock], member: Member) -> NDArray[np.int64]:
    """The key of every neuron of a member."""
    keys = np.empty(member.size, np.int64)
    for s in slices:
        keys[s.neurons(member.view)] = blocks[s].base + np.arange(s.size)
    return keys


def write(
    s: Slice,
    member: Member,
    block: KeyBlock,
    arithmetic: Arithmetic,
    onset: int,
    rows: Rows,
    keys: Keyed,
    convs: list[tuple[Link, list[tuple[Slice, KeyBlock]]]],
    relayed: KeyBlock | None,
    kept: tuple[int, tuple[str, ...]],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One core's memory, and its rows in DRAM.

    rows : synapses into it; keys : of all neurons
    convs : convolutions into the member, with the source slices that reach this slice
    relayed : keys of the slice whose packets a relay passes on; kept : ticks and what is recorded
    """
    app, p = member.application, member.population
    parts_of = _by_slice(rows, keys, app) if app.word.by_slice else _rows(rows, keys, app.word is Word.DELAY)
    table, row_data, dram = parts_of
    entries, geometries, kernels = _convolutions(s, convs)
    if relayed is not None:
        entries = np.array([pack_conv_entry(relayed.base, relayed.bits, 0, (0, 1, 0, 1, 0, 1))], CONV_ENTRY)  # no box
    has_neurons = not p.is_input and relayed is None
    neurons = _neurons(p, s.neurons(member.view), arithmetic) if has_neurons else np.zeros(0, np.uint8)
    parts = [table.view(np.uint8).ravel(), row_data, entries.view(np.uint8).ravel(), geometries.view(np.uint8).ravel(),
             kernels.view(np.uint8), neurons, _drive(s, member) if has_neurons else np.zeros(0, np.uint8)]
    total = DESCRIPTOR_BYTES + sum(part.size for part in parts)
    ticks, record = kept
    total += (app.conv_entry_bytes - CONV_ENTRY.itemsize) * entries.size
    total += (app.conv_geometry_bytes - GEOMETRY_BYTES) * len(geometries)
    if has_neurons:
        total += s.size * (app.neuron_state_bytes + member.ring_bytes)
        total += sum(record_bytes(what, s.size, ticks) for what in record)
    elif relayed is not None:
        total += s.size * app.relay_bytes
    form = CODES.get(app.name, CODES["lif_no_delay"]) | (arithmetic is Arithmetic.FIXED) << FIXED_BIT
    form |= p.shift << SHIFT_AT | app.word.value << WORD_AT | (has_neurons and p.drive is not None) << DRIVE_BIT
    descriptor = np.array(
        [
            form, s.size, block.base, block.bits, onset, table.size, row_data.size, entries.size, len(geometries),
            kernels.size, s.c0 | s.c1 << 16, s.y0 | s.y1 << 16, s.x0, s.x1, total, member.slots,
        ],
        "<u4",
    )
    return np.concatenate([descriptor.view(np.uint8), *parts]), dram


def _by_slice(rows: Rows, keys: Keyed, app: Application) -> Parts:
    """Rows that are found by source slice."""
    key = keys.key[rows.source]
    target, weight, delay = (column.astype(np.int64) for column in (rows.target, rows.weight, rows.delay))
    return write_blocks(app.word, key, target, weight, delay, keys.base, keys.size, app.places_in_dram)


def _rows(rows: Rows, keys: Keyed, delay_word: bool) -> Parts:
    """The population table and the synapse rows of the published layout."""
    if not rows.source.size:
        return Parts(np.zeros(0, TABLE_ENTRY), np.zeros(0, np.uint8), np.zeros(0, np.uint8))
    from .row_kernels import arrange

    weight, delay, target = (column.astype(np.int64) for column in (rows.weight, rows.delay, rows.target))
    words = pack_words(weight, delay, target, delay_word)
    header = ROW_HEADER.itemsize // 2
    source, first, count, data = arrange(
        rows.source, rows.target, rows.delay, words, keys.key, keys.held, header
    )
    table = np.zeros(source.size, TABLE_ENTRY)
    table["key"], table["offset"], table["count"] = keys.key[source], 2 * first, count
    head = np.zeros(source.size, ROW_HEADER)
    head["key"], head["count"] = keys.key[source], count
    data[(first[:, np.newaxis] + np.arange(header)).ravel()] = head.view("<u2").ravel()
    return Parts(table, data.astype("<u2", copy=False).view(np.uint8), np.zeros(0, np.uint8))


def _convolutions(
    s: Slice, convs: list[tuple[Link, list[tuple[Slice, KeyBlock]]]]
) -> tuple[NDArray[np.void], NDArray[np.uint32], NDArray[np.int8]]:
    """Entries, geometries and kernels (per_in, kh, kw, channels of the tile) of a slice."""
    entries, geometries, kernels = [], [], [np.zeros(0, np.int8)]
    for g, (link, sources) in enumerate(convs):
        conv = link.connection
        assert isinstance(conv, Conv)
        geometries.append(pack_geometry(conv))
        for source, block in sources:
            box = (source.c0, source.c1, source.y0, source.y1, source.x0, source.x1)
            entries.append(pack_conv_entry(block.base, block.bits, g, box))
        kernel = conv.weight[s.c0 : s.c1].transpose(1, 2, 3, 0).astype(np.int8)
        kernel[:, ~_met(conv, 0, s.y0, s.y1)] = 0  # taps that only meet padding here: left as zeros, so that no byte
        kernel[:, :, ~_met(conv, 1, s.x0, s.x1)] = 0  # of the image is without effect
        kernels.append(np.pad(kernel.ravel(), (0, -kernel.size % 4)))
    return (
        np.array(entries, CONV_ENTRY),
        np.array(geometries, "<u4").reshape(-1, 4),
        np.concatenate(kernels),
    )


def _met(conv: Conv, axis: int, first: int, end: int) -> NDArray[np.bool_]:
    """Which taps along an axis meet a pixel of the input from some target first..end."""
    taps = np.arange(conv.weight.shape[2 + axis]) * conv.dilation[axis] - conv.padding[axis]
    pixels = np.arange(first, end)[:, np.newaxis] * conv.stride[axis] + taps
    return np.asarray(((pixels >= 0) & (pixels < conv.pooled_shape[1 + axis])).any(axis=0))


def _drive(s: Slice, member: Member) -> NDArray[np.uint8]:
    """The Poisson drive of a slice."""
    drive, view = member.population.drive, member.view
    if drive is None:
        return np.zeros(0, np.uint8)
    weight = drive.weight.ravel()[s.neurons(view)]
    return pack_drive(DriveRegion(drive.seed, view[1], view[2], drive.law, weight))


def _neurons(p: IntPopulation, which: NDArray[np.int64], arithmetic: Arithmetic) -> NDArray[np.uint8]:
    """Neuron parameters, 32 bytes each: threshold, decay, offset, v_init, v_reset, flags, synaptic decay, bias."""
    words = np.zeros((which.size, 8), "<u4")

    def put(column: int, name: str) -> None:
        if getattr(p, name) is not None:
            values = p.full(name)[which]
            words[:, column] = (
                values.astype("<f4").view("<u4") if arithmetic is Arithmetic.FLOAT32
                else (values & 0xFFFFFFFF).astype("<u4")
            )

    for column, name in ((0, "threshold"), (1, "decay"), (2, "offset"), (4, "v_reset"), (6, "syn_decay"), (7, "bias")):
        put(column, name)
    words[:, 5] = (
        (SPIKING if p.spikes else 0)
        | RESETS[p.reset] << RESET_SHIFT
        | (LATE if p.reset_late else 0)
        | (STRICT if p.compare is Compare.GREATER else 0)
        | (CURRENT_BASED if p.current_based else 0)
        | p.refractory << REFRACTORY_SHIFT
    )
    return words.view(np.uint8).ravel()
