"""Graphs by hand: populations, and projections whose weights are arrays, sparse matrices or rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Numbers, Pair, Whole
from ..arguments import shape as shape_of
from ..errors import GraphError, LoadError, needs
from ..graph import (
    Compare,
    Connection,
    Conv,
    Dense,
    Drive,
    Graph,
    Integrator,
    Law,
    Loops,
    Normal,
    Poisson,
    Population,
    Projection,
    Reset,
    Rule,
    Ruled,
    Sparse,
    Uniform,
)
from .build import legal
from .contract import Contract, seconds
from .limits import Log
from .neurons import factor

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Neurons:
    """A population for `build`, in NIR's terms; each parameter is a number, or an array of `shape`.

    shape : neurons, channels first where there are channels; a sheet is (height, width)
    tau : seconds, of the membrane; None for neurons that do not leak (NIR's IF and I)
    tau_syn : seconds, of a synaptic current (NIR's CubaLIF and CubaLI); None without one
    r, v_leak, w_in : NIR's resistance, resting level and synaptic gain
    threshold : None for neurons that do not spike
    reset : "zero", "subtract", "to_value" (v_reset) or "none"; reset_late : in the step after the spike
    compare : ">" spikes above the threshold, ">=" at it as well
    refractory : steps without a spike after a spike; bias : an input of every step
    drive : a Poisson process for each neuron
    """

    shape: Shape | int
    tau: Any = None
    tau_syn: Any = None
    r: Any = 1.0
    w_in: Any = 1.0
    v_leak: Any = 0.0
    threshold: Any = 1.0
    v_reset: Any = 0.0
    reset: Reset | str = "zero"
    reset_late: bool = False
    compare: Compare | str = ">"
    refractory: int = 0
    bias: Any = 0.0
    drive: Poisson | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Connect:
    """A projection for `build`.

    weight : an array (targets, sources) or (targets shape, sources shape); a convolution's kernels (out, in, height,
        width) with `padding` and `stride`; a scipy sparse matrix (targets, sources); or, with a rule, a number,
        `rules.Uniform` or `rules.Normal` (nothing for a `rules.Kernel`)
    rule : from `s2nir.rules`; None where the weights are written out
    delay : steps, on top of what a projection takes; with a rule also `rules.Uniform` or `rules.Normal`. Where
        `loops="machine"` has a feed-forward projection take a step, one delay for all begins with that step, as a Delay
        of NIR does, and drawn delays come on top of it.
    seed : of a rule's draws; None for one that follows from the seed of `build`, the names, and the projection's place
        among those with the same names
    """

    source: str
    target: str
    weight: Any = None
    rule: Rule | None = None
    delay: Law = 0
    seed: int | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


def build(
    populations: Mapping[str, Neurons | Shape | int],
    projections: Iterable[Connect],
    dt: float | None = None,
    outputs: Iterable[str] | Mapping[str, str] | None = None,
    integrator: Integrator | str = "euler",
    loops: Loops | str = "refuse",
    seed: int = 0,
) -> Graph:
    """A Graph by hand.

    populations : by name; a shape alone is an input (a graph whose populations have Poisson drives needs none)
    projections : between them
    dt : seconds per step; needed where a neuron has a time constant
    outputs : names of populations, or Output name -> population name; where not given, all that feed nothing: "out",
        or "out_" and the name of each of several
    integrator, loops : as in `load`
    seed : of rules without a seed of their own

    Returns
    -------
    graph : Graph

    Raises
    ------
    GraphError, LoadError, ContractError
        where a shape does not fit, a name is unknown, or a value is not allowed; the message says which.

    >>> import s2nir
    >>> from s2nir import rules
    >>> graph = s2nir.build(
    ...     {"in": (8, 8), "sheet": s2nir.Neurons(shape=(8, 8), tau=0.01)},
    ...     [s2nir.Connect(source="in", target="sheet", rule=rules.OneToOne(), weight=1.0),
    ...      s2nir.Connect(source="sheet", target="sheet", rule=rules.Window(size=(3, 3)), weight=-0.1)],
    ...     dt=1e-3,
    ... )
    >>> graph["sheet"].size
    64
    """
    needs(populations, Mapping, "build", "Give Neurons, or the shapes of inputs, by name.")
    needs(projections, Iterable, "build", "Give a list of s2nir.Connect(...).")
    seed = Whole()(seed, "seed", GraphError)
    contract = Contract(dt=None if dt is None else seconds("dt", dt), integrator=_integrator(integrator),
                        loops=Loops.REFUSE, rules={}, entries=())
    made = tuple(_population(n, p, contract, seed) for n, p in populations.items())
    shapes = {p.name: p.shape for p in made}
    ways: list[Projection] = []
    for c in projections:
        needs(c, Connect, "build", "Projections are s2nir.Connect(source=..., target=..., weight=...).")
        for end in (c.source, c.target):
            if end not in tuple(shapes):
                raise GraphError(f"{c.source} -> {c.target}: no population {end!r}; there are {', '.join(shapes)}")
        place = sum((q.source, q.target) == (c.source, c.target) for q in ways)
        ways.append(_projection(c, shapes[c.source], shapes[c.target], _seed(seed, c, place)))
    graph = Graph(
        dt=contract.dt, integrator=contract.integrator, populations=made, projections=tuple(ways),
        outputs=_outputs(outputs, made, ways), loops=loops,  # type: ignore[arg-type]
    )
    return legal(graph, Log())


def _integrator(value: Integrator | str) -> Integrator:
    try:
        return Integrator(value)
    except ValueError:
        raise GraphError(f"integrator: found {value!r}, allowed 'euler' or 'exponential'") from None


def _population(name: str, given: Neurons | Shape | int, contract: Contract, seed: int) -> Population:
    if not isinstance(given, Neurons):
        shape = shape_of(given, f"{name} (Neurons, or the shape of an input)", GraphError)
        return Population(name=name, node="Input", shape=shape)
    shape = shape_of(given.shape, f"{name}.shape", GraphError)

    def value(field: str) -> NDArray[np.float64]:
        array = Numbers(", one or an array")(getattr(given, field), f"{name}.{field}", GraphError)
        if array.ndim and array.shape != shape:
            raise GraphError(f"{name}.{field}: found shape {array.shape}, needed () or {shape}")
        return array

    def leaking(field: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if contract.dt is None:
            raise GraphError(f"{name}.{field}: a time constant needs dt=, seconds per step")
        tau = value(field)
        if not (tau > 0).all():
            raise GraphError(f"{name}.{field}: found {tau.min():g} s, must be above 0")
        return factor(tau, contract, f"{name}.{field}")

    decay, share = (np.ones(()), np.ones(())) if given.tau is None else leaking("tau")
    synapse: dict[str, Any] = {}
    if given.tau_syn is not None:
        if given.tau is None:
            raise GraphError(f"{name}.tau_syn: a synaptic current needs a membrane that leaks: give tau as well")
        kept, part = leaking("tau_syn")
        synapse = {"syn_decay": kept, "syn_gain": part * value("w_in")}
    kind = "CubaL" if given.tau_syn is not None else "" if given.tau is None else "L"
    spiking: dict[str, Any] = {"threshold": None, "v_reset": None, "reset": Reset.NONE}
    if given.threshold is not None:
        spiking = {"threshold": value("threshold"), "v_reset": value("v_reset"), "reset": given.reset}
        if spiking["v_reset"].any() and Reset.TO_VALUE.value != getattr(given.reset, "value", given.reset):
            raise GraphError(f'{name}.v_reset: is only used with reset="to_value"; found reset {given.reset!r}')
    leak = np.zeros(()) if given.tau is None else share * value("v_leak")
    return Population(
        name=name, node=f"{kind}I{'' if given.threshold is None else 'F'}", shape=shape, decay=decay,
        gain=share * value("r"), constant=leak, bias=value("bias"), **synapse, **spiking,
        reset_late=given.reset_late, compare=given.compare, refractory=given.refractory,  # type: ignore[arg-type]
        drive=None if given.drive is None else _drive(name, given.drive, contract.dt, seed),
    )


def _drive(name: str, given: Poisson, dt: float | None, seed: int) -> Drive:
    """A drive per step, with a seed of its own or one that follows from the population's name."""
    needs(given, Poisson, f"{name}.drive", "Give s2nir.Poisson(rate=..., weight=...).")
    if dt is None:
        raise GraphError(f"{name}.drive: a rate in events per second needs dt=, seconds per step")
    try:
        return Drive(mean=given.rate * dt, weight=given.weight,
                     seed=_named(f"{seed}\0{name}") if given.seed is None else given.seed)
    except GraphError as error:
        raise GraphError(f"{name}.drive: {given.rate:g} events per second: {error}") from None


def _seed(seed: int, c: Connect, place: int) -> int:
    """The seed of a rule's draws: its own, or one that follows from names."""
    if c.seed is not None:
        return c.seed
    return _named(f"{seed}\0{c.source}\0{c.target}\0{place}")


def _named(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def _projection(c: Connect, source: Shape, target: Shape, seed: int) -> Projection:
    where = f"{c.source} -> {c.target}"
    try:
        if c.rule is not None:
            ruled = Ruled(rule=c.rule, source_shape=source, target_shape=target, weights=_law(c.weight),
                          delay=_law(c.delay), seed=seed)
            fixed = int(ruled.delay) if isinstance(ruled.delay, int | float) else 0
            if fixed:
                ruled = Ruled(rule=c.rule, source_shape=source, target_shape=target, weights=_law(c.weight), seed=seed)
            return Projection(source=c.source, target=c.target, connection=ruled, delay=fixed)
        if isinstance(c.delay, Uniform | Normal):
            raise GraphError("a drawn delay needs a rule; found written weights")
        connection = _written(c, source, target)
    except GraphError as error:
        raise GraphError(f"{where}: {error}") from None
    return Projection(source=c.source, target=c.target, connection=connection, delay=c.delay)  # type: ignore[arg-type]


def _law(value: Any) -> Any:
    return float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else value


def _written(c: Connect, source: Shape, target: Shape) -> Connection:
    """Weights that are written out, as a connection."""
    from scipy import sparse

    n, m = int(np.prod(source)), int(np.prod(target))
    if sparse.issparse(c.weight):
        by_source = sparse.csc_array(c.weight)
        if by_source.shape != (m, n):
            raise GraphError(f"weight: found a matrix {by_source.shape}, needed (targets, sources) = {(m, n)}")
        by_source.sum_duplicates()
        by_source.sort_indices()
        return Sparse(targets=m, start=by_source.indptr, target=by_source.indices,
                      weight=Numbers()(by_source.data, "weight", GraphError), delay=np.zeros(by_source.nnz, np.int64))
    weight = Numbers(", or a rule")(c.weight, "weight", GraphError)
    if weight.shape in ((m, n), (*target, *source)):
        return Dense(weight=weight.reshape(m, n))
    if weight.ndim == 4 and len(source) == 3 and len(target) == 3:
        stride, padding = Pair(1)(c.stride, "stride", GraphError), Pair(0)(c.padding, "padding", GraphError)
        size = tuple(
            (n + 2 * p - k) // s + 1 for n, p, k, s in zip(source[1:], padding, weight.shape[2:], stride, strict=True)
        )
        if (weight.shape[1], weight.shape[0], *size) != (source[0], *target):
            raise GraphError(f"weight: kernels {weight.shape} with padding {padding} and stride {stride} lead from "
                             f"{source} to {(weight.shape[0], *size)}, the target is {target}")
        return Conv(weight=weight, in_shape=source, out_shape=target, stride=stride, padding=padding)
    hint = "" if weight.ndim else "; one number for all needs a rule"
    raise GraphError(f"weight: found shape {weight.shape}, needed (targets, sources) = {(m, n)}{hint}")


def _outputs(given: Any, made: tuple[Population, ...], ways: list[Projection]) -> Mapping[str, str]:
    if given is None:
        fed = {q.source for q in ways if q.source != q.target}
        last = [p.name for p in made if not p.is_input and p.name not in fed]
        last = last or [p.name for p in made if not p.is_input]
        return {"out": last[0]} if len(last) == 1 else {f"out_{n}": n for n in last}
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise LoadError(f"outputs: found {given!r}, needed a list of names")
    return dict(given) if isinstance(given, Mapping) else {str(n): str(n) for n in given}
