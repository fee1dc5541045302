"""Connections by rule: who is joined, with which weights and delays, as a few numbers and a seed.

A rule is written out target by target, and what a target hears hangs on the seed and on its own number alone: a core's
share is the same under every partition. All draws are hashes (SplitMix64) and exact arithmetic, the same on every host.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arguments import Number, Numbers, Pair, Whole, flag, settle, shape
from ..errors import GraphError
from ..values import freeze
from .connection import Sparse

Shape = tuple[int, ...]
WRITTEN = 1 << 26  # synapses that a rule is written out to at once, at most
PROBABILITY = Number(0, 1)
SIGMAS = 8 * 32767.5 / np.sqrt(8 * (65536**2 - 1) / 12)  # how far a Normal reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Drawn evenly from low..high; whole numbers of low..high, both ends included, where it is a delay."""

    low: float
    high: float

    def __post_init__(self) -> None:
        low, high = (Number()(getattr(self, n), f"Uniform.{n}", GraphError) for n in ("low", "high"))
        if low > high:
            raise GraphError(f"Uniform: found {self.low!r} to {self.high!r}, needed two finite numbers, rising")


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """Drawn from a normal distribution, as the sum of eight even draws: never further than 4.9 sd from the mean.

    A delay is rounded to whole steps, and held at 0 or above.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        Number()(self.mean, "Normal.mean", GraphError)
        Number(0)(self.sd, "Normal.sd", GraphError)


Law = float | Uniform | Normal


@dataclass(frozen=True, slots=True, kw_only=True)
class OneToOne:
    """Each source to the target of its own number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedProbability:
    """Each pair with probability p; autapses : whether a neuron may hear the one of its own number."""

    p: float
    autapses: bool = True

    def __post_init__(self) -> None:
        PROBABILITY(self.p, "FixedProbability.p", GraphError)
        settle(self, GraphError, autapses=flag)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIndegree:
    """Each target hears `indegree` sources, drawn evenly.

    multapses : whether one source may be drawn several times; autapses : as in FixedProbability
    """

    indegree: int
    autapses: bool = True
    multapses: bool = True

    def __post_init__(self) -> None:
        settle(self, GraphError, indegree=Whole(), autapses=flag, multapses=flag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """On a sheet: each target hears, with probability p, each source of a window around its own place.

    size : (height, width); of an even number the longer half is on the side of rising places: 32 is -15..16
    wrap : whether the sheet is a torus; autapses : as in FixedProbability
    """

    size: tuple[int, int]
    p: float = 1.0
    wrap: bool = True
    autapses: bool = True

    def __post_init__(self) -> None:
        PROBABILITY(self.p, "Window.p", GraphError)
        settle(self, GraphError, size=Pair(1), wrap=flag, autapses=flag)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Kernel:
    """On a sheet: a window whose weights are given by the way from source to target; 0 is no synapse.

    weights : float (height, width), [0, 0] of the source least in y and x; laid around the target as a Window is
    """

    weights: NDArray[np.float64]
    wrap: bool = True

    def __post_init__(self) -> None:
        settle(self, GraphError, weights=Numbers(), wrap=flag)
        object.__setattr__(self, "weights", freeze(self.weights))
        if self.weights.ndim != 2 or not self.weights.size or not np.isfinite(self.weights).all():
            raise GraphError(f"Kernel.weights: found shape {self.weights.shape}, needed finite (height, width)")

    @property
    def size(self) -> tuple[int, int]:
        return int(self.weights.shape[0]), int(self.weights.shape[1])


Rule = OneToOne | FixedProbability | FixedIndegree | Window | Kernel


class Written(NamedTuple):
    """Synapses into some targets, by target and then source; those of weight 0 are left out.

    source : int32; place : int32, of the target among those asked for
    weight : float64, or int8 of a Network; delay : int32, steps
    """

    source: NDArray[np.int32]
    place: NDArray[np.int32]
    weight: NDArray[Any]
    delay: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ruled:
    """A connection by rule.

    source_shape, target_shape : of the populations; a sheet is (height, width), or (1, height, width)
    weights : a number, Uniform or Normal; None for a Kernel, which has its own
    delay : steps added to the projection's own, a whole number, Uniform or Normal
    scale : None in a Graph; in a Network, weights are round(scale x weight), ties to even, within -limit..limit
    """

    rule: Rule
    source_shape: Shape
    target_shape: Shape
    weights: Law | None
    delay: Law = 0
    seed: int = 0
    scale: float | None = None
    limit: int = 127
    _packed: Any = field(default=None, init=False, repr=False, metadata={"digest": False})

    def __post_init__(self) -> None:
        settle(self, GraphError, source_shape=shape, target_shape=shape)
        if not isinstance(self.rule, Rule):
            raise GraphError(f"rule: found {self.rule!r}, needed one of s2nir.rules, such as Window(size=(3, 3))")
        w, d = self.weights, self.delay
        if (w is None) != isinstance(self.rule, Kernel):
            raise GraphError(f"weight: {type(self.rule).__name__} with weight {w!r}; a Kernel has weights of its own, "
                             "every other rule needs a number, Uniform or Normal")
        if not isinstance(w, Uniform | Normal | None):
            Number(also=", Uniform and Normal")(w, "weight", GraphError)
        if not isinstance(d, Uniform | Normal):
            Whole(what="steps", also=", Uniform and Normal")(d, "delay", GraphError)
        if isinstance(d, Uniform) and (d.low != int(d.low) or d.high != int(d.high)):
            raise GraphError(f"delay: found {d!r}, allowed whole steps from 0 up at both ends")
        if isinstance(d, Normal) and d.mean < 0:
            raise GraphError(f"delay: found {d!r}, allowed a mean of 0 steps or more")
        if self.lowest_delay < 0:
            raise GraphError(f"delay: found {d!r}, allowed whole steps from 0 up")
        object.__setattr__(self, "seed", Whole(0, (1 << 63) - 1)(self.seed, "seed", GraphError))
        name = type(self.rule).__name__
        if isinstance(self.rule, OneToOne) and self.sources != self.targets:
            raise GraphError(f"{name}: found {self.sources} sources and {self.targets} targets, needed as many")
        if self.sheet and (_sheet(self.source_shape) is None or self.source_shape[-2:] != self.target_shape[-2:]
                           or self.sources != self.targets):
            raise GraphError(f"{name}: found shapes {self.source_shape} and {self.target_shape}, needed one sheet "
                             "(height, width) on both sides")
        if self.sheet and any(k > n for k, n in zip(self.rule.size, self.source_shape[-2:], strict=True)):  # type: ignore[union-attr]
            raise GraphError(f"{name}: its {self.rule.size} do not fit on a sheet of {self.source_shape}")  # type: ignore[union-attr]
        r = self.rule
        if isinstance(r, FixedIndegree) and r.indegree > 0 and (
            self.sources - (not r.autapses) < (1 if r.multapses else r.indegree)
        ):
            raise GraphError(f"FixedIndegree: {r.indegree} of {self.sources} sources cannot be drawn that way")

    @property
    def sources(self) -> int:
        return int(np.prod(self.source_shape, dtype=np.int64))

    @property
    def targets(self) -> int:
        return int(np.prod(self.target_shape, dtype=np.int64))

    @property
    def sheet(self) -> bool:
        """Whether its populations are sheets."""
        return isinstance(self.rule, Window | Kernel)

    @property
    def lowest_delay(self) -> int:
        d = self.delay
        return int(np.floor(d.low)) if isinstance(d, Uniform) else 0 if isinstance(d, Normal) else int(d)

    @property
    def longest_delay(self) -> int:
        """No synapse waits longer, steps."""
        d = self.delay
        if isinstance(d, Normal):
            return max(0, int(np.rint(d.mean + d.sd * SIGMAS)))
        return int(np.floor(d.high)) if isinstance(d, Uniform) else int(d)

    @property
    def most(self) -> int:
        """No target has more synapses."""
        r = self.rule
        if isinstance(r, Window | Kernel):
            return r.size[0] * r.size[1]
        return 1 if isinstance(r, OneToOne) else r.indegree if isinstance(r, FixedIndegree) else self.sources

    @property
    def expected(self) -> float:
        """Synapses, on the mean of all seeds."""
        r = self.rule
        return float(self.targets) * self.most * (r.p if isinstance(r, FixedProbability | Window) else 1.0)

    @property
    def largest(self) -> float:
        """No weight is larger, in absolute value; of a Network, in whole numbers."""
        w = self.weights
        if isinstance(self.rule, Kernel):
            real = float(np.abs(self.rule.weights).max())
        elif isinstance(w, Uniform):
            real = max(abs(w.low), abs(w.high))
        else:
            real = abs(w.mean) + w.sd * SIGMAS if isinstance(w, Normal) else abs(float(w))  # type: ignore[arg-type]
        return real if self.scale is None else min(float(self.limit), float(np.rint(real * self.scale)))

    def into(self, targets: NDArray[np.integer]) -> Written:
        """The synapses into some targets, which are numbers of neurons (C order)."""
        from . import rule_kernels as k

        kind, whole, real, kernel, seeds = self.packed
        source, place, weight, delay = k.into(kind, whole, real, kernel, seeds, np.ascontiguousarray(targets, np.int64))
        return Written(source, place, weight if self.scale is None else weight.astype(np.int8), delay)

    @property
    def packed(self) -> tuple[Any, ...]:
        """All of it as the kernels take it: kind, whole numbers, real numbers, kernel, seeds."""
        if self._packed is None:
            object.__setattr__(self, "_packed", _pack(self))
        return self._packed  # type: ignore[no-any-return]

    def written(self) -> Sparse:
        """The connection as a list of synapses.

        Raises
        ------
        GraphError
            where that are more than 2**26.
        """
        if self.expected > WRITTEN:
            raise GraphError(f"{type(self.rule).__name__}: about {self.expected:.3g} synapses are too many to write "
                             f"out ({WRITTEN} at most), as a float run or the reference needs them")
        found = self.into(np.arange(self.targets))
        pair = found.source.astype(np.int64) * self.targets + found.place
        order = np.argsort(pair * (int(found.delay.max(initial=0)) + 1) + found.delay, kind="stable")
        return Sparse(
            targets=self.targets,
            start=np.concatenate([[0], np.cumsum(np.bincount(found.source, minlength=self.sources))]),
            target=found.place[order].astype(np.int64), weight=found.weight[order],
            delay=found.delay[order].astype(np.int64),
        )


def _sheet(shape: Shape) -> tuple[int, int] | None:
    """(height, width) of a population that is a sheet."""
    if len(shape) == 2 or (len(shape) == 3 and shape[0] == 1):
        return shape[-2], shape[-1]
    return None


def _pack(c: Ruled) -> tuple[Any, ...]:
    r = c.rule
    kind = (OneToOne, FixedProbability, FixedIndegree, Window, Kernel).index(type(r))
    height, width = _sheet(c.source_shape) or (1, c.sources)
    size = r.size if isinstance(r, Window | Kernel) else (1, 1)
    wrap = isinstance(r, Window | Kernel) and r.wrap
    autapses = r.autapses if isinstance(r, FixedProbability | FixedIndegree | Window) else True
    indegree = r.indegree if isinstance(r, FixedIndegree) else 0
    multapses = r.multapses if isinstance(r, FixedIndegree) else True
    p = r.p if isinstance(r, FixedProbability | Window) else 1.0
    whole = np.array(
        [c.sources, height, width, *size, wrap, autapses, indegree, multapses, p >= 1.0, c.limit], np.int64
    )
    real = np.array([*_law(0.0 if c.weights is None else c.weights), *_law(c.delay), c.scale or 0.0])
    kernel = np.array(r.weights) if isinstance(r, Kernel) else np.zeros((1, 1))
    below = np.uint64(min(int(float(p) * 2.0**64), (1 << 64) - 1))
    return kind, whole, real, kernel, np.array([np.uint64(c.seed), below], np.uint64)


def _law(law: Law) -> tuple[float, float, float]:
    """(kind, a, b): 0 constant a; 1 uniform a..b; 2 normal of mean a and sd b."""
    if isinstance(law, Uniform):
        return 1.0, float(law.low), float(law.high)
    if isinstance(law, Normal):
        return 2.0, float(law.mean), float(law.sd)
    return 0.0, float(law), 0.0


Net = TypeVar("Net", bound=Any)


def written_out(net: Net) -> Net:
    """A Graph or Network whose rules are written out as lists of synapses.

    Raises
    ------
    GraphError
        where one is too large for that.
    """
    if not any(isinstance(q.connection, Ruled) for q in net.projections):
        return net
    ways = (
        dataclasses.replace(q, connection=q.connection.written()) if isinstance(q.connection, Ruled) else q
        for q in net.projections
    )
    return dataclasses.replace(net, projections=tuple(ways))
