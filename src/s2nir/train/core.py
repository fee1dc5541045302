"""What a core does in one tick, in PyTorch: the operations of docs/arithmetic.md in their order, without gradients.

Independent of the emulator and of its oracle, so that equal spikes say something about all three.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import QuantizeError
from ..fixedpoint import DECAY_BITS, INT32_MAX, INT32_MIN, STATE_BITS, Arithmetic
from ..graph import Compare, Reset
from ..quantize import IntPopulation

EXACT = (Reset.SUBTRACT, Reset.ZERO, Reset.NONE)


class Core:
    """One IntPopulation, stepped over a batch: states and slots are (batch, *shape).

    float32 rounds each operation by itself; fixed is Q16.15 in int64 that saturates as int32 does.
    """

    def __init__(self, population: IntPopulation, arithmetic: Arithmetic, device: Any = None) -> None:
        p = self.population = population
        if p.reset not in EXACT or p.refractory:
            raise QuantizeError(f"{p.name}: reset {p.reset.value} with refractory {p.refractory} has no PyTorch form "
                                "here; run the image instead")
        self.fixed = arithmetic is Arithmetic.FIXED
        self.kind = torch.int64 if self.fixed else torch.float32
        kept = {n: getattr(p, n) for n in ("threshold", "decay", "offset", "syn_decay", "bias", "v_reset")}
        self.values = {
            n: None if v is None else torch.from_numpy(np.array(v)).to(device=device, dtype=self.kind)
            for n, v in kept.items()
        }
        scale = np.asarray(p.scale, np.float64) * (1 << STATE_BITS >> p.shift if self.fixed else 1)
        self.unit = torch.as_tensor(1.0 / scale, dtype=torch.float32, device=device)

    def zeros(self, like: Tensor) -> Tensor:
        return torch.zeros(like.shape, dtype=self.kind, device=like.device)

    @torch.no_grad()
    def step(
        self, v: Tensor, i: Tensor | None, slot: Tensor, last: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """(V, I, spikes) after a tick; slot : whole numbers in any type; last : spikes of the tick before"""
        arriving = self._arriving(slot)
        if i is not None:
            i = self._add(self._add(self._times(i, "syn_decay"), arriving), self.values["bias"])
            arriving = i
        v = self._add(self._times(v, "decay"), arriving)
        v = self._add(v, self.values["offset"])
        theta = self.values["threshold"]
        if theta is None:
            return v, i, torch.zeros(v.shape, dtype=torch.bool, device=v.device)
        late = self.population.reset_late
        if late and last is not None:
            v = self._reset(v, last, theta)
        fired = v > theta if self.population.compare is Compare.GREATER else v >= theta
        return v if late else self._reset(v, fired, theta), i, fired

    @torch.no_grad()
    def run(self, slots: Tensor) -> Tensor:
        """Spikes (steps, batch, *shape) from rest, uint8; slots : (steps, batch, *shape)"""
        found = torch.zeros(slots.shape, dtype=torch.uint8, device=slots.device)
        current = self.values["syn_decay"] is not None
        if self.fixed or current or self.values["threshold"] is None:
            v, last = self.zeros(slots[0]), None
            i = self.zeros(slots[0]) if current else None
            for t, slot in enumerate(slots):
                v, i, last = self.step(v, i, slot, last)
                found[t] = last
            return found
        self._run_leaky(slots, found)
        return found

    def _run_leaky(self, slots: Tensor, found: Tensor) -> None:
        """`step` of a leaky float32 neuron, the same operations in place; a sum with 0 is left out."""
        theta, decay, offset = (self.values[n] for n in ("threshold", "decay", "offset"))
        assert theta is not None
        shifted = offset is not None and bool(offset.any())
        reset, late = self.population.reset, self.population.reset_late
        compare = torch.gt if self.population.compare is Compare.GREATER else torch.ge
        assert decay is not None
        v = torch.zeros_like(slots[0], dtype=torch.float32)
        fired = torch.zeros_like(v)
        for t, slot in enumerate(slots):
            v.mul_(decay).add_(slot)
            if shifted:
                v.add_(offset)  # type: ignore[arg-type]
            if late:
                _reset_in_place(v, fired, theta, reset)
            compare(v, theta, out=fired)
            if not late:
                _reset_in_place(v, fired, theta, reset)
            found[t] = fired

    def _reset(self, v: Tensor, who: Tensor, theta: Tensor) -> Tensor:
        if self.population.reset is Reset.SUBTRACT:
            return torch.where(who, self._add(v, -theta), v)
        if self.population.reset is Reset.ZERO:
            return torch.where(who, torch.zeros((), dtype=v.dtype, device=v.device), v)
        return v

    def in_graph_units(self, state: Tensor) -> Tensor:
        """A membrane or current as float32 in units of the graph."""
        return state.to(torch.float32) * self.unit

    def from_graph_units(self, value: Tensor) -> Tensor:
        scaled = value.to(torch.float32) / self.unit
        return scaled.round().to(torch.int64) if self.fixed else scaled

    def _arriving(self, slot: Tensor) -> Tensor:
        if not self.fixed:
            return slot.to(torch.float32)
        return self._held(slot.to(torch.int64) << (STATE_BITS - self.population.shift))

    def _times(self, state: Tensor, decay: str) -> Tensor:
        factor = self.values[decay]
        assert factor is not None
        if not self.fixed:
            return state * factor
        product = state * factor
        down = product >> DECAY_BITS
        rest = product - (down << DECAY_BITS)
        half = 1 << (DECAY_BITS - 1)
        return down + ((rest > half) | ((rest == half) & ((down & 1) == 1))).to(torch.int64)

    def _add(self, a: Tensor, b: Tensor | None) -> Tensor:
        if b is None:
            return a
        return self._held(a + b) if self.fixed else a + b

    def _held(self, values: Tensor) -> Tensor:
        return values.clamp(INT32_MIN, INT32_MAX)


def _reset_in_place(v: Tensor, fired: Tensor, theta: Tensor, reset: Reset) -> None:
    if reset is Reset.SUBTRACT:
        v.sub_(fired * theta)  # the product is theta or 0, exactly
    elif reset is Reset.ZERO:
        v.masked_fill_(fired.bool(), 0.0)
