"""What slices take of a core, to the byte, without writing their memories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..graph import Conv
from ..machine import record_bytes
from .boxes import Slice
from .net import heard
from .row_cost import ByNeuron, BySlice, RowCost
from .rows import Into, Numbering, numbering, owners
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
        taken, added = _rows(wiring, member, slices, numbers, rate)
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
    wiring: Wiring, member: Member, slices: Mapping[str, tuple[Slice, ...]], numbers: Numbering,
    rate: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bytes of each slice's table and rows, and the synaptic events that they bring; rate : of every neuron"""
    mine = slices[member.name]
    taken, events = np.zeros(len(mine), np.int64), np.zeros(len(mine))
    into, cost = Into(wiring, member.name, mine, numbers), exact_cost(member, wiring, slices, numbers)
    for i in range(len(mine)):
        source = into.of(i).source
        taken[i] = cost.ruled(0, source)
        events[i] = rate[source].sum()
    return taken, events


def exact_cost(
    member: Member, wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]], numbers: Numbering
) -> RowCost:
    """What rows of one slice take, all links together: `ruled(0, source)` with sources as `numbers` count them."""
    app = member.application
    if not app.word.by_slice:
        return ByNeuron(app=app, held=np.zeros(numbers.size, np.int32))
    part, size = np.empty(numbers.size, np.int64), [0]
    for name, m in wiring.members.items():
        owner, _ = owners(slices[name], m.view, m.size)
        part[numbers.first[name] : numbers.first[name] + m.size] = owner + len(size)
        size += [s.size for s in slices[name]]
    return BySlice(app=app, part=part, parts=(part,), size=np.array(size, np.int64))


def overfull(
    wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]], ticks: int | None, record: tuple[str, ...]
) -> list[str]:
    """Members with rows by source slice of which a slice takes more than its window, to the byte."""
    if not any(m.application.word.by_slice for m in wiring.members.values()):
        return []
    held, _ = demand(wiring, slices, ticks, record, dict.fromkeys(wiring.members, 0.0))
    over, at = [], 0
    for name, m in wiring.members.items():
        n = len(slices[name])
        if n and held[at : at + n].max() > m.application.window:
            over.append(name)
        at += n
    return over


def _still(member: Member, n: int, ticks: int | None, record: tuple[str, ...]) -> int:
    """Bytes of a slice's descriptor and neurons, with their records."""
    app = member.application
    if app.name == "spike_list":
        return app.descriptor_bytes
    if member.relay_of is not None:
        return app.descriptor_bytes + app.conv_entry_bytes + n * app.relay_bytes
    each = app.neuron_parameter_bytes + app.neuron_state_bytes + member.ring_bytes
    kept = sum(record_bytes(what, n, ticks) for what in record) if ticks else 0
    return app.descriptor_bytes + n * each + kept + member.drive_bytes(n)
