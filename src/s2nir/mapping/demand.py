"""What slices take of a core, to the byte, without writing their memories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..graph import Conv
from ..machine import Word, record_bytes
from .net import heard
from .partition import Slice
from .rows import Into, Numbering, numbering
from .wiring import Member, Wiring


def demand(
    wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]], ticks: int | None, record: tuple[str, ...],
    rates: Mapping[str, float],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bytes of each slice's memory, and the synaptic events of a tick there, slices in the order of the wiring.

    rates : packets per neuron and tick of each member
    """
    convs = heard(wiring, slices)
    numbers = numbering(wiring)  # every neuron has one number, so that a source of two projections has one row
    rate = np.concatenate([np.full(m.size, rates[name]) for name, m in wiring.members.items()])
    held, events = [], []
    for name, member in wiring.members.items():
        taken, added = _rows(wiring, member, slices[name], numbers, rate)
        for i, s in enumerate(slices[name]):
            taken[i] += _still(member, s.size, ticks, record)
            for link, near in convs.get(s, ()):
                c = link.connection
                assert isinstance(c, Conv)
                _, c_in, kh, kw = c.weight.shape
                app = member.application
                taken[i] += -(-c_in * kh * kw * (s.c1 - s.c0) // 4) * 4 + app.conv_geometry_bytes
                taken[i] += app.conv_entry_bytes * len(near)
                added[i] += rates[link.source] * s.size * c_in * kh * kw / (c.stride[0] * c.stride[1])
        held.append(taken)
        events.append(added)
    return np.concatenate(held), np.concatenate(events)


def _rows(
    wiring: Wiring, member: Member, mine: tuple[Slice, ...], numbers: Numbering, rate: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bytes of each slice's table and rows, and the synaptic events that they bring; rate : of every neuron"""
    from .row_kernels import sizes

    taken, events = np.zeros(len(mine), np.int64), np.zeros(len(mine))
    into, count = Into(wiring, member.name, mine, numbers), np.zeros(numbers.size, np.int32)
    app = member.application
    for i in range(len(mine)):
        source = into.of(i).source
        rows, words = sizes(source, count)
        taken[i] = rows * (app.table_entry_bytes + app.row_header_bytes) + 2 * words
        events[i] = rate[source].sum()
    return taken, events


def _still(member: Member, n: int, ticks: int | None, record: tuple[str, ...]) -> int:
    """Bytes of a slice's descriptor and neurons, with their records."""
    app = member.application
    if app.name == "spike_list":
        return app.descriptor_bytes
    if member.relay_of is not None:
        return app.descriptor_bytes + app.conv_entry_bytes + n * app.relay_bytes
    each = app.neuron_parameter_bytes + app.neuron_state_bytes + (app.ring_bytes if app.word is Word.DELAY else 0)
    kept = sum(record_bytes(what, n, ticks) for what in record) if ticks else 0
    return app.descriptor_bytes + n * each + kept
