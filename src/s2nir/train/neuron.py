"""s2nir's own neurons in place of snnTorch's: the operations of a core, in their order, differentiable.

In training membranes are in units of the graph and weights are whole numbers over g. In `eval()` slots, membranes and
parameters are what a core holds, to the bit (docs/arithmetic.md); only what is returned as a membrane is divided by the
scale. The reset is immediate. Each class is a child of the snnTorch class whose place it takes, so that
`snntorch.utils.reset`, `init_hidden` and `output` go on working.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import snntorch as snn
import torch
from torch import Tensor, nn

from ..errors import QuantizeError
from ..fixedpoint import STATE_BITS, Arithmetic
from ..graph import Population, Reset
from ..quantize import IntPopulation, Threshold, int_population
from .core import Core
from .layers import Way
from .scale import Scale, check_spread, seen, spread, straight_round

RESETS = {"subtract": Reset.SUBTRACT, "zero": Reset.ZERO, "none": Reset.NONE}
LEAST = 1e-6  # of a threshold that learns
EXACT = "s2nir_exact"
"""What a returned membrane carries along: the state of the core that it stands for."""


class Quantized:
    """What all neurons here share; a mixin ahead of a class of snnTorch.

    name : the module's path; ways : the weights that lead into it; scale : their g
    level : the learned threshold, one per unit of the scale, where it is learned
    level_shape : of the threshold that gave each unit its own start; () of one that gave all the same
    """

    name: str
    ways: tuple[Way, ...]
    scale: Scale
    level: nn.Parameter | None
    level_shape: tuple[int, ...] = ()
    training: bool
    current_based = False
    recurs = False
    _core: Core | None
    _core_of: tuple[Any, ...]

    def take(self, name: str, ways: tuple[Way, ...], scale: Scale) -> None:
        """Move in: called once, on a module whose class has just become this one."""
        me = cast(Any, self)
        self.name, self.ways, self._core, self._core_of = name, ways, None, ()
        me.add_module("scale", scale)
        level = None
        if scale.options.threshold is Threshold.LEARNED:
            units = scale.value().numel()
            start = me.threshold.detach().float().reshape(-1)
            self.level_shape = tuple(me.threshold.shape) if start.numel() == units else ()
            level = nn.Parameter((start if start.numel() == units else start.mean().expand(units)).clone())
        me.register_parameter("level", level)
        snn.SpikingNeuron.instances.append(me)

    # -- parameters, in units of the graph

    def theta(self, shape: tuple[int, ...]) -> Tensor:
        """The threshold; broadcasts over neurons of `shape`."""
        if self.level is None:
            level = self.threshold_held()
        else:
            check_spread(f"{self.name}.threshold", self.level_shape, shape)
            level = spread(self.level.clamp_min(LEAST), shape)
        if self.scale.options.arithmetic is Arithmetic.FIXED and self.training:
            grid = spread(self.scale.value().float(), shape) / self.gain() * 2.0**STATE_BITS
            level = straight_round(level * grid) / grid
        return level

    def threshold_held(self) -> Tensor:
        """The module's own threshold; one that learns stays above 0, as a membrane at rest may not spike."""
        me = cast(Any, self)
        learns = isinstance(me.threshold, nn.Parameter) and me.reset_mechanism != "none"
        return cast(Tensor, me.threshold.clamp_min(LEAST) if learns else me.threshold)

    def decay(self) -> Tensor:
        return cast(Tensor, cast(Any, self).beta.clamp(0, 1))

    def gain(self) -> float:
        return 1.0

    def bias(self, shape: tuple[int, ...]) -> Tensor | None:
        """The sum of the biases of all that leads in; broadcasts over neurons of `shape`."""
        found = [spread(b, shape) for b in (cast(Any, way).bias for way in self.ways) if b is not None]
        return sum(found[1:], start=found[0]) if found else None

    # -- one step

    def advance(self, slot: Tensor) -> Tensor:
        """One step of the hidden state; returns the spikes as floats."""
        me = cast(Any, self)
        self._fit(slot)
        if self.recurs:
            slot = slot + me.recurrent(me.spk)
        if self.training:
            spikes = self._train_step(slot)
        else:
            core = self.core(tuple(slot.shape[1:]))
            syn = me.syn if self.current_based else None
            me.mem, syn, fired = core.step(me.mem, syn, slot)
            if self.current_based:
                me.syn = syn
            spikes = fired.to(torch.float32)
        if self.recurs:
            me.spk = spikes
        return spikes

    def _train_step(self, slot: Tensor) -> Tensor:
        me = cast(Any, self)
        shape = tuple(slot.shape[1:])
        bias, theta = self.bias(shape), self.theta(shape)
        if self.current_based:
            me.syn = me.alpha.clamp(0, 1) * me.syn + slot
            if bias is not None:
                me.syn = me.syn + bias
            v = self.decay() * me.mem + me.syn
        else:
            v = self.decay() * me.mem + (slot if self.gain() == 1.0 else self.gain() * slot)
            if bias is not None:
                v = v + self.gain() * bias
        spikes = me.spike_grad(v - theta)
        if me.reset_mechanism == "subtract":
            v = v - spikes.detach() * theta
        elif me.reset_mechanism == "zero":
            v = v - spikes.detach() * v
        me.mem = v
        return cast(Tensor, spikes)

    def _fit(self, slot: Tensor) -> None:
        """Hidden state of the right shape and kind; zeros where a sequence begins."""
        me = cast(Any, self)
        kind = slot.dtype if self.training else self.core(tuple(slot.shape[1:])).kind
        for state in ("mem", *(("syn",) if self.current_based else ())):
            held = getattr(me, state)
            if held.shape != slot.shape or (not self.training and held.dtype != kind):
                setattr(me, state, torch.zeros(slot.shape, dtype=kind, device=slot.device))
        if self.recurs and me.spk.shape != slot.shape:
            me.spk = torch.zeros_like(slot)

    def given(self, state: str, value: Tensor | None) -> None:
        """A state that the caller holds, put back."""
        if value is None:
            return
        me = cast(Any, self)
        if me.init_hidden:
            raise TypeError(f"`{state}` should not be passed as an argument while `init_hidden=True`")
        exact = getattr(value, EXACT, None)
        if exact is not None and not self.training:
            value = exact
        elif not self.training and state != "spk" and value.dim() > 1:
            value = self.core(tuple(value.shape[1:])).from_graph_units(value)
        elif not self.training and state != "spk":  # what reset_mem() gives ahead of the first step
            value = torch.zeros(0)
        setattr(me, state, value)

    def shown(self, state: str) -> Tensor:
        """A state as the caller sees it: in units of the graph."""
        value = cast(Tensor, getattr(self, state))
        if self.training or state == "spk":
            return value
        assert self._core is not None
        seen = self._core.in_graph_units(value)
        setattr(seen, EXACT, value)
        return seen

    def answer(self, spikes: Tensor, *states: str) -> Any:
        """What snnTorch's neuron of this kind returns."""
        me = cast(Any, self)
        if me.init_hidden and not me.output:
            return spikes
        return (spikes, *(self.shown(s) for s in states))

    # -- integers

    def core(self, shape: tuple[int, ...]) -> Core:
        """The core's parameters, worked out once after `eval()`."""
        of = (shape, *self._parameters_seen())
        if self._core is None or self._core_of != of:
            arithmetic = Arithmetic(self.scale.options.arithmetic)
            found = int_population(self.population(shape), self.whole_scale(shape), arithmetic)
            self._core = Core(found, arithmetic, cast(Any, self).threshold.device)
            self._core_of = of
        return self._core

    def _parameters_seen(self) -> tuple[int, ...]:
        me = cast(Any, self)
        own = (getattr(me, n, None) for n in ("threshold", "level", "beta", "alpha", "R", "C", "time_step"))
        return (*seen(*own, *(cast(Any, way).bias for way in self.ways)), *self.scale.seen())

    def whole_scale(self, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        g = spread(self.scale.value(), shape)
        return np.array(np.broadcast_to(g.double().cpu().numpy(), shape))

    @torch.no_grad()
    def population(self, shape: tuple[int, ...]) -> Population:
        """Its recursion in float64, of neurons of `shape`."""
        me = cast(Any, self)

        def full(name: str, value: Tensor | None) -> Any:
            if value is None:
                return 0.0
            try:  # as snnTorch spreads it, which counts a batch axis
                return np.broadcast_to(value.detach().double().cpu().numpy(), (1, *shape))[0]
            except ValueError:
                raise QuantizeError(f"{self.name}.{name}: found shape {list(value.shape)}, which does not spread over "
                                    f"neurons {list(shape)}. Give it one value, or one per neuron.") from None

        current = {"syn_decay": full("alpha", me.alpha.clamp(0, 1)), "syn_gain": 1.0} if self.current_based else {}
        return Population(
            name=self.name,
            node="CubaLIF" if self.current_based else "LIF",
            shape=shape,
            decay=full("beta", self.decay()),
            gain=np.array(self.gain()),
            constant=np.zeros(()),
            bias=full("bias", self.bias(shape)),
            threshold=full("threshold", self.theta(shape)),
            v_reset=np.zeros(()),
            reset=RESETS[me.reset_mechanism],
            **cast(Any, current),
        )

    def int_population(self, shape: tuple[int, ...]) -> IntPopulation:
        """What `eval()` runs with, as a Network holds it."""
        return self.core(shape).population

    def train(self, mode: bool = True) -> Any:
        """Training begins or ends: states are in other units, and the core is worked out anew."""
        me = cast(Any, self)
        self._core = None
        for state in ("mem", "syn", "spk"):
            if hasattr(me, state):
                setattr(me, state, torch.zeros(0, device=me.threshold.device))
        return super().train(mode)  # type: ignore[misc]


class QLeaky(Quantized, snn.Leaky):
    """`snntorch.Leaky` as a core runs it."""

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        self.given("mem", mem)
        return self.answer(self.advance(input_), "mem")


class QLapicque(Quantized, snn.Lapicque):
    """`snntorch.Lapicque` as a core runs it; its decay is 1 - time_step / (R C) and its gain time_step / C."""

    def decay(self) -> Tensor:
        return cast(Tensor, 1 - self.time_step / (self.R * self.C))

    def gain(self) -> float:
        gain = self.R * (1 / (self.R * self.C)) * self.time_step
        if gain.numel() != 1:
            raise QuantizeError(f"{self.name}: a Lapicque with one R and C per neuron is not taken; use Leaky")
        return float(gain.detach())

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        self.given("mem", mem)
        return self.answer(self.advance(input_), "mem")


class QSynaptic(Quantized, snn.Synaptic):
    """`snntorch.Synaptic` as a core runs it."""

    current_based = True

    def forward(self, input_: Tensor, syn: Tensor | None = None, mem: Tensor | None = None) -> Any:
        self.given("syn", syn)
        self.given("mem", mem)
        return self.answer(self.advance(input_), "syn", "mem")


class QRLeaky(Quantized, snn.RLeaky):
    """`snntorch.RLeaky` as a core runs it."""

    recurs = True

    def forward(self, input_: Tensor, spk: Tensor | None = None, mem: Tensor | None = None) -> Any:
        self.given("spk", spk)
        self.given("mem", mem)
        return self.answer(self.advance(input_), "mem")


class QRSynaptic(Quantized, snn.RSynaptic):
    """`snntorch.RSynaptic` as a core runs it."""

    recurs = True
    current_based = True

    def forward(
        self, input_: Tensor, spk: Tensor | None = None, syn: Tensor | None = None, mem: Tensor | None = None
    ) -> Any:
        self.given("spk", spk)
        self.given("syn", syn)
        self.given("mem", mem)
        return self.answer(self.advance(input_), "syn", "mem")


KINDS: dict[type, type] = {
    snn.Leaky: QLeaky,
    snn.Lapicque: QLapicque,
    snn.Synaptic: QSynaptic,
    snn.RLeaky: QRLeaky,
    snn.RSynaptic: QRSynaptic,
}
"""snnTorch's neurons, and what takes their places."""
