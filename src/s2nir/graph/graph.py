"""The Graph: what the network is, in floats, with its time-and-reset contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arguments import Number, Whole, flag
from ..errors import GraphError
from ..values import FrozenMap, Noun, digest, freeze
from .connection import Projection
from .drive import Drive


class Integrator(enum.Enum):
    """How a time constant becomes a decay per step."""

    EULER = "euler"
    EXPONENTIAL = "exponential"


class Reset(enum.Enum):
    """What a spike does to the membrane."""

    SUBTRACT = "subtract"
    ZERO = "zero"
    TO_VALUE = "to_value"
    NONE = "none"
    SNNTORCH_RESTORED = "snntorch_restored"


class Compare(enum.Enum):
    """When a membrane spikes: above the threshold, or at it as well."""

    GREATER = ">"
    GREATER_EQUAL = ">="


class Loops(enum.Enum):
    """What becomes of a loop that no lags exist for: refused, or each hop takes its tick."""

    REFUSE = "refuse"
    MACHINE = "machine"


MOST_REFRACTORY = 65_535  # what a neuron's flags hold
REFRACTORY = Whole(0, MOST_REFRACTORY, "steps")
Kind = TypeVar("Kind", bound=enum.Enum)


def member(kind: type[Kind], value: Any, where: str) -> Kind:
    """A member of an enumeration, from itself or from its text."""
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(repr(k.value) for k in kind)
        raise GraphError(f"{where}: found {value!r}, allowed {allowed}") from None


PARAMETERS = ("decay", "gain", "constant", "bias", "threshold", "v_reset", "syn_decay", "syn_gain")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Population:
    """Neurons of one kind, or sources of input.

    Each step (docs/arithmetic.md, in this order):
    current-based: I = syn_decay I + syn_gain (w s + bias); V = decay V + gain I + constant;
    others: V = decay V + gain (w s + bias) + constant; then reset, comparison and reset by the contract. Events of a
    Poisson drive are part of w s.

    node : the NIR type it came from ("Input" for sources; "Readout" for a graph that ends in a linear node)
    shape : channels first where there are channels
    decay, gain, constant, bias, threshold, v_reset, syn_decay, syn_gain : float64, shape () where all neurons agree,
        else `shape`; syn_* is None unless current-based; threshold and v_reset are None unless it spikes
    refractory : steps without a spike after a spike; drive : a Poisson drive of its own
    """

    name: str
    node: str
    shape: tuple[int, ...]
    decay: NDArray[np.float64] | None = None
    gain: NDArray[np.float64] | None = None
    constant: NDArray[np.float64] | None = None
    bias: NDArray[np.float64] | None = None
    threshold: NDArray[np.float64] | None = None
    v_reset: NDArray[np.float64] | None = None
    syn_decay: NDArray[np.float64] | None = None
    syn_gain: NDArray[np.float64] | None = None
    reset: Reset = Reset.NONE
    reset_late: bool = False
    compare: Compare = Compare.GREATER
    refractory: int = 0
    drive: Drive | None = field(default=None, metadata={"digest": "given"})

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise GraphError(f"a population is named {self.name!r}; needed text")
        for name, kind in (("reset", Reset), ("compare", Compare)):
            object.__setattr__(self, name, member(kind, getattr(self, name), f"{self.name}.{name}"))
        for name, check in (("refractory", REFRACTORY), ("reset_late", flag)):
            object.__setattr__(self, name, check(getattr(self, name), f"{self.name}.{name}", GraphError))
        for name in PARAMETERS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, compact(value, self.shape, f"{self.name}.{self.node}.{name}"))

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_input(self) -> bool:
        return self.node == "Input"

    @property
    def spikes(self) -> bool:
        """Whether it spikes (readouts do not; inputs are sources of spikes)."""
        return self.threshold is not None

    @property
    def current_based(self) -> bool:
        return self.syn_decay is not None

    def full(self, parameter: str) -> NDArray[np.float64]:
        """A parameter for every neuron: float64 (size)."""
        return np.broadcast_to(getattr(self, parameter), self.shape).reshape(-1)


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def is_input(self) -> bool: ...


P = TypeVar("P", bound=_Named)


def compact(value: Any, shape: tuple[int, ...], where: str) -> NDArray[np.float64]:
    """A parameter as shape () where all neurons agree, else as `shape`."""
    array = np.asarray(value, np.float64)
    if array.ndim and array.shape != shape:
        raise GraphError(f"{where}: found shape {array.shape}, needed () or {shape}")
    if array.size and (array == array.flat[0]).all():
        array = array.reshape(-1)[0]
    return freeze(array, np.float64)


class Populations(Noun, Generic[P]):
    """What a Graph and a Network have in common: populations by name, and projections between them."""

    __slots__ = ()
    populations: tuple[P, ...]
    projections: tuple[Projection, ...]

    def __getitem__(self, name: str) -> P:
        for population in self.populations:
            if population.name == name:
                return population
        raise GraphError(f"no population {name!r}; there are {', '.join(p.name for p in self.populations)}")

    @property
    def inputs(self) -> tuple[P, ...]:
        return tuple(p for p in self.populations if p.is_input)

    def into(self, name: str) -> tuple[Projection, ...]:
        """The projections into a population."""
        return tuple(p for p in self.projections if p.target == name)


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Graph(Populations[Population]):
    """A spiking network in floats.

    dt : float, seconds per step; None where no node needs it
    populations : sorted by name; inputs are populations whose node is "Input"
    projections : sorted by target, source, delay
    outputs : Output name -> population name
    loops : what became of loops that no lags exist for
    notes : what was repaired, folded, inferred or assumed, as sentences; not part of the digest
    nested : names of the sub-graphs it was flattened from; not part of the digest
    """

    dt: float | None
    integrator: Integrator = Integrator.EULER
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: Mapping[str, str]
    loops: Loops = Loops.REFUSE
    notes: tuple[str, ...] = field(default=(), metadata={"digest": False})
    nested: tuple[str, ...] = field(default=(), metadata={"digest": False})

    def __post_init__(self) -> None:
        seconds = Number(0, above=True, what="seconds", also=", or None")
        object.__setattr__(self, "dt", None if self.dt is None else seconds(self.dt, "dt", GraphError))
        for name, kind in (("integrator", Integrator), ("loops", Loops)):
            object.__setattr__(self, name, member(kind, getattr(self, name), name))
        object.__setattr__(self, "populations", tuple(sorted(self.populations, key=lambda p: p.name)))
        object.__setattr__(self, "projections", tuple(sorted(self.projections, key=_projection_order)))
        object.__setattr__(self, "outputs", FrozenMap(dict(sorted(self.outputs.items()))))

    def simulate(self, spikes: Any, record: tuple[str, ...] = ("spikes",), noise: Any = 0) -> Any:
        """The float64 reference run; see `s2nir.graph.simulate.simulate`."""
        from .simulate import simulate

        return simulate(self, spikes, record, noise)

    def __str__(self) -> str:
        from .text import describe

        return describe(self)


def _projection_order(p: Projection) -> tuple[str, str, int, str]:
    return p.target, p.source, p.delay, digest(p.connection)
