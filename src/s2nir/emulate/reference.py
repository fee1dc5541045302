"""The oracle: the Network itself in plain NumPy, tick by tick; no slices, keys or tables, and nothing of the kernels.

Slow and written for reading. The emulator on the image and this on the Network share only the spec, so their equality
tests the mapping and the kernels at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunError
from ..events import to_counts
from ..fixedpoint import INT32_MAX, INT32_MIN, STATE_BITS, Arithmetic, multiply_decay, next_up
from ..graph import Compare, Loops, Reset, Sparse, apply, draws, hops, lags, noises, written_out
from ..quantize import IntPopulation, Network


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reference:
    """spikes : uint8 (batch, ticks, size); voltages : float32 or int32 (batch, ticks, size); by population and tick."""

    spikes: Mapping[str, NDArray[np.uint8]]
    voltages: Mapping[str, NDArray[Any]]
    lags: Mapping[str, int]
    saturations: Mapping[str, int]


def reference(
    network: Network,
    spikes: Any,
    onset: str = "aligned",
    loops: str = "refuse",
    max_count: int = 255,
    noise: Any = 0,
) -> Reference:
    """Run a Network by the published arithmetic, in machine ticks."""
    network = written_out(network)
    if loops == "machine":
        network = replace(network, loops=Loops.MACHINE)
    if onset not in ("aligned", "board"):
        raise RunError(f"onset: found {onset!r}, allowed 'aligned', 'board'")
    given = to_counts(spikes, {p.name: p.shape for p in network.inputs}, network.dt, max_count)
    batch, steps = given.batch, given.steps
    drawn = noises(noise, batch, RunError)
    lag = lags(network)
    hop = hops(network, lag)
    ticks = steps + max(lag.values())
    sent = {
        p.name: np.zeros((batch, ticks, p.size), np.int64) for p in network.populations if p.is_input or p.spikes
    }
    for name, counts in given.items():
        sent[name][:, :steps] = counts
    cells = {p.name: _Cells(p, network.arithmetic, batch, ticks) for p in network.populations if not p.is_input}
    for tick in range(ticks):
        for name, cell in cells.items():
            slot = np.zeros((batch, cell.p.size), np.int64)
            for q, h in zip(network.projections, hop, strict=True):
                if q.target == name:
                    slot += _arriving(q.connection, sent[q.source], tick - h)
            since = 0 if onset == "board" else lag[name]
            if cell.p.drive is not None and tick >= since:
                d = cell.p.drive
                law = [draws(d.law, d.seed, cell.p.size, range(tick - since, tick - since + 1), n)[0] for n in drawn]
                slot += d.weight.astype(np.int64).ravel() * np.array(law)
            fired = cell.step(tick, slot, onset == "board" or tick >= lag[name])
            if cell.p.spikes:
                sent[name][:, tick] = fired
    return Reference(
        spikes={n: np.minimum(s, 255).astype(np.uint8) for n, s in sent.items()},  # of an input's counts
        voltages={n: c.trace for n, c in cells.items()},
        lags=lag,
        saturations={n: c.saturated for n, c in cells.items()},
    )


def _arriving(connection: Any, sent: NDArray[np.int64], when: int) -> NDArray[np.int64]:
    """What acts now of spikes sent in tick `when` (and before, over synapses with a delay of their own)."""
    zero = np.zeros((sent.shape[0], connection.targets), np.int64)
    if isinstance(connection, Sparse) and connection.delay.any():
        source = np.repeat(np.arange(connection.sources), np.diff(connection.start))
        for extra in np.unique(connection.delay):
            if when - extra < 0:
                continue
            for b in range(sent.shape[0]):
                mine = connection.delay == extra
                np.add.at(
                    zero[b], connection.target[mine],
                    connection.weight[mine].astype(np.int64) * sent[b, when - extra, source[mine]],
                )
        return zero
    if when < 0 or not sent[:, when].any():
        return zero
    # float64 products of whole numbers are exact: headroom keeps every sum below 2**31
    weights = replace(connection, weight=connection.weight.astype(np.float64))
    return apply(weights, sent[:, when].astype(np.float64)).astype(np.int64)


class _Cells:
    """The neurons of one population: (batch, size) arrays stepped through ticks."""

    def __init__(self, p: IntPopulation, arithmetic: Arithmetic, batch: int, ticks: int) -> None:
        self.p = p
        self.fixed = arithmetic is Arithmetic.FIXED
        self.kind = np.int64 if self.fixed else np.float32
        self.v = np.zeros((batch, p.size), self.kind)
        self.i = np.zeros((batch, p.size), self.kind)
        self.last = np.zeros((batch, p.size), bool)
        self.held = np.zeros((batch, p.size), np.int64)
        self.trace = np.zeros((batch, ticks, p.size), np.int32 if self.fixed else np.float32)
        self.saturated = 0
        self.values = {
            n: None if getattr(p, n) is None else p.full(n)
            for n in ("threshold", "decay", "offset", "v_reset", "syn_decay", "bias")
        }
        if p.spikes:
            theta = self.values["threshold"]
            assert theta is not None
            kept = theta.astype(np.int32) if self.fixed else theta
            self.above = next_up(kept) if p.compare is Compare.GREATER else kept

    def step(self, tick: int, slot: NDArray[np.int64], awake: bool) -> NDArray[np.bool_]:
        """One tick; returns who fired. A population that is not awake yet does nothing."""
        p = self.p
        fired = np.zeros(self.v.shape, bool)
        if awake:
            arriving = self._current(slot)
            held = self.held > 0
            v = self._add(self._times(self.v, "decay"), arriving, ~held)
            v = self._add(v, self.values["offset"], ~held)
            v = np.where(held, self.v, v)
            if p.reset_late and p.spikes:
                v = np.where(self.last, self._reset(v, self.last), v)
            if p.spikes:
                fired = (v >= self.above) & ~held
                if not p.reset_late:
                    v = np.where(fired, self._reset(v, fired), v)
            self.v = v
            self.last = fired
            self.held = np.where(fired, p.refractory, np.maximum(self.held - 1, 0))
        self.trace[:, tick] = self.v
        return fired

    def _current(self, slot: NDArray[np.int64]) -> NDArray[Any]:
        arriving: NDArray[Any]
        if self.fixed:
            arriving = self._hold(slot << (STATE_BITS - self.p.shift))
        else:
            arriving = slot.astype(np.int32).astype(np.float32)
        if not self.p.current_based:
            return arriving
        self.i = self._add(self._add(self._times(self.i, "syn_decay"), arriving), self.values["bias"])
        return self.i

    def _times(self, state: NDArray[Any], decay: str) -> NDArray[Any]:
        if self.fixed:
            return multiply_decay(state, self.values[decay])  # type: ignore[arg-type]
        return np.asarray(self.values[decay] * state)

    def _add(self, a: NDArray[Any], b: Any, where: Any = True) -> NDArray[Any]:
        return self._hold(a + b, where) if self.fixed else np.asarray(a + b)

    def _hold(self, values: NDArray[np.int64], where: Any = True) -> NDArray[np.int64]:
        """Values within int32; counts those that were not, of neurons that carry the operation out (`where`)."""
        self.saturated += int((((values > INT32_MAX) | (values < INT32_MIN)) & where).sum())
        return np.clip(values, INT32_MIN, INT32_MAX)

    def _reset(self, v: NDArray[Any], who: NDArray[np.bool_]) -> NDArray[Any]:
        reset = self.p.reset
        if reset in (Reset.SUBTRACT, Reset.SNNTORCH_RESTORED):
            return self._hold(v - self.values["threshold"], who) if self.fixed else v - self.values["threshold"]
        if reset is Reset.NONE:
            return v
        return np.broadcast_to(np.asarray(self.values["v_reset"]), v.shape)
