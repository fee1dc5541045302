"""The Network: a Graph in integers, every scale kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import QuantizeError
from ..fixedpoint import Arithmetic
from ..graph import Compare, Conv, Dense, Integrator, Loops, Populations, Projection, Reset, Ruled, Sparse, data_order
from ..values import FrozenMap, freeze, freeze_fields

STATE = ("threshold", "decay", "offset", "v_reset", "syn_decay", "bias")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class IntDrive:
    """A Poisson drive in integers (graph/drive.py): each event adds `weight` to the slot of the step it is drawn in.

    weight : int8, of the population's shape; law : uint32, rising, a neuron draws as many events as entries that its
        random word is not below
    """

    weight: NDArray[np.int8]
    law: NDArray[np.uint32]
    seed: int

    def __post_init__(self) -> None:
        freeze_fields(self, weight=np.int8, law=np.uint32)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class IntPopulation:
    """A population as a core holds it.

    Per tick (docs/arithmetic.md): current-based I = syn_decay I, I += slot, I += bias; others I = slot. Then
    V = decay V, V += I, V += offset.

    threshold, decay, offset, v_reset, syn_decay, bias : shape () or `shape`; float32, or for `fixed` int64 holding
        Q16.15 (decays Q0.31); None for what the population does not have
    scale : float64, shape () or `shape`: integer membrane units per unit of the Graph, V_graph = V / scale
    weight_scale : float64, shape () or `shape`: g, integer weight per real weight
    shift : bits that `fixed` state is shifted right by
    drive : its Poisson drive, or None
    """

    name: str
    node: str
    shape: tuple[int, ...]
    threshold: NDArray[Any] | None = None
    decay: NDArray[Any] | None = None
    offset: NDArray[Any] | None = None
    v_reset: NDArray[Any] | None = None
    syn_decay: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    scale: NDArray[np.float64] | None = None
    weight_scale: NDArray[np.float64] | None = None
    shift: int = 0
    reset: Reset = Reset.NONE
    reset_late: bool = False
    compare: Compare = Compare.GREATER
    refractory: int = 0
    drive: IntDrive | None = field(default=None, metadata={"digest": "given"})

    def __post_init__(self) -> None:
        for name in (*STATE, "scale", "weight_scale"):
            value = getattr(self, name)
            if value is None:
                continue
            array = np.asarray(value)
            if array.ndim and array.shape != self.shape:
                raise QuantizeError(f"{self.name}.{name}: found shape {array.shape}, needed () or {self.shape}")
            if array.size and (array == array.flat[0]).all():
                array = array.reshape(-1)[0]
            object.__setattr__(self, name, freeze(array, array.dtype))

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_input(self) -> bool:
        return self.node == "Input"

    @property
    def spikes(self) -> bool:
        return self.threshold is not None

    @property
    def current_based(self) -> bool:
        return self.syn_decay is not None

    def full(self, parameter: str) -> NDArray[Any]:
        """A parameter for every neuron: (size)."""
        return np.broadcast_to(getattr(self, parameter), self.shape).reshape(-1)


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Network(Populations[IntPopulation]):
    """A spiking network in integers.

    arithmetic : the format of all state
    scheme : how it was quantized, a line of text; rules : its options, as text by name
    limit : the largest integer weight it allows
    graph_digest : digest of the Graph it came from
    projections : as in the Graph, weights int8
    """

    arithmetic: Arithmetic
    scheme: str
    limit: int
    rules: Mapping[str, str]
    graph_digest: str
    dt: float | None
    integrator: Integrator
    populations: tuple[IntPopulation, ...]
    projections: tuple[Projection, ...]
    outputs: Mapping[str, str]
    loops: Loops = Loops.REFUSE
    notes: tuple[str, ...] = field(default=(), metadata={"digest": False})

    def __post_init__(self) -> None:
        for name in ("outputs", "rules"):
            object.__setattr__(self, name, FrozenMap(dict(sorted(getattr(self, name).items()))))

    def __str__(self) -> str:
        lines = [f"Network {self.digest[:12]}: {self.arithmetic.value}, {self.scheme}"]
        for p in data_order(self)[0]:
            dims = "x".join(str(n) for n in p.shape)
            if p.is_input:
                lines.append(f"  {p.name}: Input {dims}")
                continue
            ways = self.into(p.name)
            peak = max((largest(q.connection) for q in ways), default=0)
            lines.append(f"  {p.name}: {p.node} {dims}, |w| <= {peak}, scale {_span(p.scale)}, "
                         f"threshold {_span(p.threshold)}, decay {_span(p.decay)}, shift {p.shift}{_driven(p)}")
        return "\n".join(lines)


def largest(connection: Any) -> int:
    """The largest integer weight of a connection, in absolute value; of a rule, what none is over."""
    if isinstance(connection, Ruled):
        return int(connection.largest)
    return int(np.abs(connection.weight.astype(np.int64)).max(initial=0))


def _driven(p: IntPopulation) -> str:
    """A population's drive in a few words."""
    return "" if p.drive is None else f", Poisson drive of weight {_span(p.drive.weight)}"


def _span(values: NDArray[Any] | None) -> str:
    if values is None:
        return "-"
    return f"{values.min():g}..{values.max():g}" if values.ndim else f"{values[()]:g}"


def _drive(drive: IntDrive, shape: tuple[int, ...]) -> Iterator[str]:
    if drive.weight.shape != shape or (drive.weight == -128).any():
        yield f"weights {drive.weight.shape} in {drive.weight.min()}..{drive.weight.max()}, needed {shape} in -127..127"
    if (np.diff(drive.law.astype(np.int64)) < 0).any():
        yield "its law does not rise"
    if not 0 <= drive.seed < 2**64:
        yield f"seed {drive.seed} is not one of 64 bits"


def check(network: Network) -> Iterator[str]:
    """Every breach of a legal Network, as sentences."""
    names = {p.name: p for p in network.populations}
    exact = np.float32 if network.arithmetic is Arithmetic.FLOAT32 else np.int64
    for p in network.populations:
        if p.is_input:
            continue
        for name in STATE:
            value = getattr(p, name)
            if value is not None and value.dtype != exact:
                yield f"{p.name}.{name}: found {value.dtype}, needed {np.dtype(exact)}"
            if value is not None and exact is np.float32 and not np.isfinite(value).all():
                yield f"{p.name}.{name}: not finite"
            if value is not None and exact is np.int64:
                low, high = (0, 2**31) if name in ("decay", "syn_decay") else (-(2**31), 2**31 - 1)
                if value.min() < low or value.max() > high:
                    yield f"{p.name}.{name}: found {value.min()}..{value.max()}, allowed {low}..{high}"
        if p.drive is not None:
            yield from (f"{p.name}.drive: {said}" for said in _drive(p.drive, p.shape))
        if p.scale is None or (p.scale <= 0).any():
            yield f"{p.name}.scale: must be above 0"
        if not 0 <= p.shift <= 8:
            yield f"{p.name}.shift: found {p.shift}, allowed 0..8"
    for q in network.projections:
        where = f"{q.source} -> {q.target}"
        if q.source not in names or q.target not in names:
            yield f"{where}: names a population that does not exist"
            continue
        if isinstance(q.connection, Ruled):
            if q.connection.scale is None or not 0 < q.connection.scale < np.inf or q.connection.limit > 127:
                yield f"{where}: a rule without a scale above 0, or over int8"
        elif not isinstance(q.connection, Dense | Sparse | Conv) or q.connection.weight.dtype != np.int8:
            yield f"{where}: weights are not int8"
        elif (q.connection.weight == -128).any():
            yield f"{where}: weight -128 has no word"
        if (q.connection.sources, q.connection.targets) != (names[q.source].size, names[q.target].size):
            yield f"{where}: sizes do not fit the populations"
