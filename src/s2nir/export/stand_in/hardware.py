"""Machines: what a network takes of them is counted, then it is run, one float32 rounding per operation.

A tick: I = decay I, I = I + slot (of neurons without a current, I = slot); V = alpha V, V = V + I, V = V + offset; a
spike where V >= threshold, then V = V - threshold or V = v_reset. After a spike V is held for t_refrac ticks. A spike
of tick t with delay d acts in tick t + 1 + d. Asked for T ticks, T + 1 are run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExportError
from . import limits
from .snn import Conv2DProjection, Network, Population, Projection, whole

SLOTS = 9  # ticks ahead that a spike can act in, and the one that is now


def machines(window: int) -> dict[str, Callable[..., Any]]:
    """The machines of py-spinnaker2 by name, their cores with so many bytes of data memory."""
    whole(window, "stand_in.window", 1024)

    class SpiNNaker2Chip(_Machine):
        """One chip."""

        def __init__(self, eth_ip: str) -> None:
            self._reached(eth_ip=eth_ip)
            self.window = window

    class SpiNNcloud48NodeBoard(_Machine):
        """A board of 48 chips."""

        def __init__(self, stm_ip: str, eth_ip: str | None = None) -> None:
            self._reached(stm_ip=stm_ip, **({} if eth_ip is None else {"eth_ip": eth_ip}))
            self.window = window

    class Brian2Backend:
        """The same run without a machine."""

        def run(self, net: Network, ticks: int) -> None:
            """Run a network; nothing is counted."""
            _run(_whole(net), whole(ticks, "Brian2Backend.run: ticks", 1) + 1)

    return {k.__name__: k for k in (SpiNNaker2Chip, SpiNNcloud48NodeBoard, Brian2Backend)}


class _Machine:
    window: int

    def _reached(self, **addresses: Any) -> None:
        for name, value in addresses.items():
            if not isinstance(value, str) or not value:
                raise ExportError(f"{type(self).__name__}: {name} {value!r}, needed an address as text")

    def run(self, net: Network, ticks: int, sys_tick_in_s: float = 1e-3) -> None:
        """Run a network for `ticks` ticks of `sys_tick_in_s` seconds, once it is sure to fit."""
        kind = type(self).__name__
        if not isinstance(sys_tick_in_s, float) or not 0 < sys_tick_in_s < 1:
            raise ExportError(f"{kind}.run: sys_tick_in_s {sys_tick_in_s!r}, needed seconds below 1")
        ticks = whole(ticks, f"{kind}.run: ticks", 1) + 1
        _whole(net)
        cores = sum(-(-p.size // p.cap) for p in net.populations)
        if cores > limits.CORES[kind]:
            raise ExportError(f"{kind}.run: the network takes {cores} cores, there are {limits.CORES[kind]}")
        for p in net.populations:
            for core, held in enumerate(taken(p, net, ticks)):
                if held > self.window:
                    raise ExportError(f"{kind}.run: {p.name!r} core {core} takes {held} bytes, a core has "
                                      f"{self.window}; its cap is {p.cap}, and {ticks} ticks are run")
        _run(net, ticks)


def _whole(net: Any) -> Network:
    """A network whose projections all lie within it."""
    if not isinstance(net, Network):
        raise ExportError(f"run: found a {type(net).__name__}, needed a Network")
    inside = {id(p) for p in net.populations}
    for q in net.projections:
        if id(q.pre) not in inside or id(q.post) not in inside:
            raise ExportError(f"{q.where}: one end of it was not added to the network")
    for p in net.populations:
        into = [q for q in net.projections if q.post is p]
        if p.neuron_model == "lif_conv2d" and len(into) != 1:
            raise ExportError(f"{p.where}: {len(into)} projections lead into it, a lif_conv2d has one")
    return net


def taken(p: Population, net: Network, ticks: int) -> list[int]:
    """Bytes of data memory of each core of a population."""
    found = []
    into = [q for q in net.projections if q.post is p]
    for first in range(0, p.size, p.cap):
        end = min(first + p.cap, p.size)
        held = limits.HEAD
        if p.neuron_model == limits.SOURCES:
            packets = sum(t.size for i, t in p.params.items() if first <= i < end)
            found.append(held + int(limits.PACKET * packets + limits.TICK * ticks))
            continue
        held += (limits.NEURON + limits.MODELS[p.neuron_model].ring) * (end - first)
        held += ticks * limits.spike_record(end - first) if "spikes" in p.record else 0
        held += ticks * limits.voltage_record(end - first) if "v" in p.record else 0
        for q in into:
            held += _kernel_bytes(q, first, end) if isinstance(q, Conv2DProjection) else _row_bytes(q, first, end)
        found.append(held)
    return found


def _row_bytes(q: Projection, first: int, end: int) -> int:
    here: list[int] = q.table[(q.table[:, 1] >= first) & (q.table[:, 1] < end), 0].tolist()
    each = [limits.ENTRY + limits.ROW + limits.PAIR_OF_WORDS * ((n + 1) // 2) for n in Counter(here).values()]
    return sum(each)


def _kernel_bytes(q: Conv2DProjection, first: int, end: int) -> int:
    c_in, kh, kw = (int(q.weights.shape[axis]) for axis in (0, 2, 3))
    sheet = int(q.out[0] * q.out[1])
    channels = (end - 1) // sheet - first // sheet + 1
    slices = -(-q.pre.size // q.pre.cap)
    return limits.CONV_GEOMETRY + limits.CONV_ENTRY * slices + (c_in * kh * kw * channels + 3) // 4 * 4


class _Rows:
    """What a spike of each source adds: targets, weights and delays, one source behind the other."""

    def __init__(self, source: Any, target: Any, weight: Any, delay: Any, sources: int) -> None:
        order = np.argsort(source, kind="stable")
        self.target, self.weight, self.delay = target[order], weight[order], delay[order]
        self.start = np.searchsorted(source[order], np.arange(sources + 1))

    def add(self, fired: NDArray[np.int64], slots: NDArray[np.int64], tick: int) -> None:
        for i in fired:
            mine = slice(self.start[i], self.start[i + 1])
            np.add.at(slots, ((tick + 1 + self.delay[mine]) % SLOTS, self.target[mine]), self.weight[mine])


def _rows(q: Projection | Conv2DProjection) -> _Rows:
    if isinstance(q, Projection):
        source, target, weight, delay = q.table.T
        return _Rows(source, target, weight, delay, q.pre.size)
    g, (c_in, c_out, kh, kw) = q.geometry, q.weights.shape
    (height, width), found = q.out, []
    for top, left in np.ndindex(height, width):
        row, column = top * g["stride_y"] - g["pad_top"], left * g["stride_x"] - g["pad_left"]
        for ky, kx in np.ndindex(kh, kw):
            y, x = row + ky, column + kx  # of the pooled input
            if not (0 <= y < g["in_height"] // g["pool_y"] and 0 <= x < g["in_width"] // g["pool_x"]):
                continue
            for dy, dx in np.ndindex(g["pool_y"], g["pool_x"]):
                place = (y * g["pool_y"] + dy) * g["in_width"] + x * g["pool_x"] + dx
                found.append((place, top * width + left, ky, kx))
    place, target, ky, kx = np.array(found, np.int64).reshape(-1, 4).T
    i, o, k = (a.ravel() for a in np.meshgrid(range(c_in), range(c_out), range(place.size), indexing="ij"))
    source = i * g["in_height"] * g["in_width"] + place[k]
    weight = q.weights[i, o, ky[k], kx[k]].astype(np.int64)
    return _Rows(source, o * height * width + target[k], weight, np.zeros(k.size, np.int64), q.pre.size)


class _State:
    """A population at work."""

    def __init__(self, p: Population) -> None:
        self.p, self.sources = p, p.neuron_model == limits.SOURCES
        self.spikes: dict[int, list[int]] = {i: [] for i in range(p.size)}
        self.trace: list[NDArray[np.float32]] = []
        self.slots = np.zeros((SLOTS, p.size), np.int64)
        self.v = np.zeros(p.size, np.float32) if self.sources else p.params["v_init"].copy()
        self.i = np.zeros(p.size, np.float32)
        self.held = np.zeros(p.size, np.int64)
        self.sent: dict[int, list[int]] = {}
        for source, ticks in p.params.items() if self.sources else ():
            for t in ticks.tolist():
                self.sent.setdefault(t, []).append(source)

    def step(self, tick: int) -> NDArray[np.int64]:
        """One tick; who fired."""
        p = self.p
        if self.sources:
            return np.array(self.sent.get(tick, []), np.int64)
        slot = self.slots[tick % SLOTS].copy()
        self.slots[tick % SLOTS] = 0
        if np.abs(slot).max() >= 2**31:
            raise ExportError(f"{p.where}: more than 32 bits arrive in tick {tick}")
        drive = slot.astype(np.int32).astype(np.float32)
        if limits.MODELS[p.neuron_model].current_based:
            self.i = p.params["exc_decay"] * self.i
            self.i = self.i + drive
            drive = self.i
        v = p.params["alpha_decay"] * self.v
        v = v + drive
        v = v + p.params["i_offset"]
        free = self.held == 0
        self.v = np.where(free, v, self.v)
        fired = free & (self.v >= p.params["threshold"])
        subtracts = p.params["reset"] == "reset_by_subtraction"
        after = self.v - p.params["threshold"] if subtracts else p.params["v_reset"]
        self.v = np.where(fired, after, self.v)
        self.held = np.where(fired, p.params.get("t_refrac", 0), np.maximum(self.held - 1, 0))
        if "v" in p.record:
            self.trace.append(self.v.copy())
        return np.flatnonzero(fired)


def _run(net: Network, ticks: int) -> None:
    """Run all ticks, and leave what was recorded in the populations."""
    states = {id(p): _State(p) for p in net.populations}
    ways = [(id(q.pre), id(q.post), _rows(q)) for q in net.projections]
    with np.errstate(over="ignore"):
        for tick in range(ticks):
            fired = {key: state.step(tick) for key, state in states.items()}
            for pre, post, rows in ways:
                rows.add(fired[pre], states[post].slots, tick)
            for key, state in states.items():
                for i in fired[key].tolist():
                    state.spikes[i].append(tick)
    for state in states.values():
        p = state.p
        p.spikes = state.spikes if "spikes" in p.record else None
        p.voltages = dict(enumerate(np.array(state.trace).T)) if "v" in p.record else None
