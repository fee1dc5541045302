"""Post-training quantization: Graph -> Network."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckError, QuantizeError, S2NirWarning, needs
from ..fixedpoint import INT32_MAX, MAX_SHIFT, Arithmetic, to_decay, to_state
from ..graph import Drive, Graph, Population, Projection, Reset, Ruled, legal
from .calibrate import Calibration, calibrate
from .network import IntDrive, IntPopulation, Network, check, largest
from .scales import integer_rule, integer_weights, percentile_scales, units, with_drive
from .scheme import PTQ, BiasPath, Overflow


def quantize(
    graph: Graph, scheme: PTQ | None = None, calibration: Any = None, arithmetic: Arithmetic | str = "float32"
) -> Network:
    """Make a Graph integers.

    scheme : the options, `PTQ()` by default
    calibration : spikes as `graph.simulate` takes them, or an iterator over such; needed by percentile="auto", else
        only used to find dead and saturated populations
    arithmetic : "float32" (the chip's own applications) or "fixed" (all-integer state)

    Raises
    ------
    QuantizeError
        where a gain is not above 0, a value does not fit the format, or calibration data is needed and missing.
    """
    scheme, arithmetic = _asked(graph, scheme, arithmetic)
    if scheme.percentile == "auto" and calibration is None:
        raise QuantizeError('PTQ.percentile "auto" needs data to choose on: pass calibration=spikes')
    found = None if calibration is None else calibrate(graph, calibration, scheme)
    notes: list[str] = []
    populations: list[IntPopulation] = []
    projections: dict[int, Projection] = {}  # by place in the graph
    for p in graph.populations:
        if p.is_input:
            populations.append(IntPopulation(name=p.name, node=p.node, shape=p.shape))
            continue
        places = [i for i, q in enumerate(graph.projections) if q.target == p.name]
        ways = [graph.projections[i] for i in places]
        percentile = found.best(p.name) if found and scheme.percentile == "auto" else float(scheme.percentile)
        if scheme.percentile == "auto":
            notes.append(f"{p.name}: percentile {percentile:g} has the least error on the calibration data")
        unit = units(p, ways, scheme.per)  # type: ignore[arg-type]
        ways = with_drive(p, ways)
        scales = percentile_scales(ways, unit, percentile, scheme.limit)
        whole, over = _weights(ways, unit, scales, scheme)
        projections.update(zip(places, whole, strict=False))
        quantized = int_population(p, scales[unit].reshape(p.shape), arithmetic, scheme)
        populations.append(quantized if p.drive is None else _driven(quantized, p.drive, whole[-1]))
        notes.extend(_warnings(p, whole, over, scheme, found))
    network = Network(
        arithmetic=arithmetic,
        scheme=str(scheme),
        limit=scheme.limit,
        rules=scheme.rules,
        graph_digest=graph.digest,
        dt=graph.dt,
        integrator=graph.integrator,
        populations=tuple(populations),
        projections=tuple(projections[i] for i in sorted(projections)),
        outputs=graph.outputs,
        loops=graph.loops,
        notes=tuple(notes),
    )
    for breach in check(network):
        raise CheckError(f"the quantized network is not legal: {breach}")
    return network


def _asked(graph: Graph, scheme: PTQ | None, arithmetic: Arithmetic | str) -> tuple[PTQ, Arithmetic]:
    """Arguments of `quantize`, checked."""
    needs(graph, Graph, "quantize", "Load one with s2nir.load(path, reset=...), or s2nir.from_snntorch(module).")
    legal(graph)
    scheme = PTQ() if scheme is None else scheme
    needs(scheme, PTQ, "quantize", "Pass the options as s2nir.PTQ(bits=..., percentile=...).")
    try:
        return scheme, Arithmetic(arithmetic)
    except ValueError:
        raise QuantizeError(f"arithmetic: found {arithmetic!r}, allowed 'float32' or 'fixed'") from None


def _driven(p: IntPopulation, drive: Drive, way: Projection) -> IntPopulation:
    """A population with its drive in integers; way : the drive as a projection, with int8 weights"""
    weight = way.connection.weight.reshape(p.shape)
    return dataclasses.replace(p, drive=IntDrive(weight=weight, law=drive.law, seed=drive.seed))


def _weights(
    ways: list[Projection], unit: NDArray[np.int64], scales: NDArray[np.float64], scheme: PTQ
) -> tuple[list[Projection], int]:
    """The projections into one population with int8 weights, and how many weights were over the limit."""
    whole, over = [], 0
    for q in ways:
        if isinstance(q.connection, Ruled):
            whole.append(dataclasses.replace(q, connection=integer_rule(q.connection, float(scales[0]), scheme)))
            continue
        weight, clipped = integer_weights(q.connection, unit, scales, scheme)
        whole.append(dataclasses.replace(q, connection=dataclasses.replace(q.connection, weight=weight)))
        over += clipped
    return whole, over


def int_population(
    p: Population, g: NDArray[np.float64], arithmetic: Arithmetic, scheme: PTQ | None = None
) -> IntPopulation:
    """Threshold, leak, bias and v_reset in weight units, then in the state format.

    g : `p.shape`, integer weight per real weight

    With S = g / (gain x syn_gain) integer membrane units per unit of the Graph: threshold S theta, leak S constant;
    a bias is g bias where the weights act.
    """
    scheme = scheme or PTQ()
    gain = p.full("gain").reshape(p.shape)
    if p.current_based:
        gain = gain * p.full("syn_gain").reshape(p.shape)
    if (gain <= 0).any():
        raise QuantizeError(
            f"{p.name}.{p.node}: an input gain (r, or r w_in) of {gain.min():g}; a core has no gain, it is divided out "
            "of the threshold and must be above 0. Put its sign or zero into the weights.",
            rule="gain-above-zero",
        )
    scale = g / gain
    offset = scale * p.full("constant").reshape(p.shape)
    bias = g * p.full("bias").reshape(p.shape)
    if p.current_based and scheme.bias is BiasPath.MEMBRANE:
        rest = 1.0 - p.full("syn_decay").reshape(p.shape)
        if ((rest == 0) & (bias != 0)).any():
            raise QuantizeError(f"{p.name}: a bias through a synapse that never decays has no membrane offset")
        offset = offset + np.divide(bias, rest, out=np.zeros_like(bias), where=rest > 0)
        bias = np.zeros_like(bias)
    elif not p.current_based:
        offset = offset + bias
    real: dict[str, Any] = {"offset": offset, "bias": bias if p.current_based else None}
    if p.spikes:
        held = p.full("v_reset") if scheme.keep_v_reset and p.reset is Reset.TO_VALUE else np.zeros(p.size)
        real |= {"threshold": scale * p.full("threshold").reshape(p.shape), "v_reset": scale * held.reshape(p.shape)}
    decays = {"decay": p.decay, "syn_decay": p.syn_decay}
    values, shift = _to_format(p, real, decays, arithmetic)
    return IntPopulation(
        name=p.name,
        node=p.node,
        shape=p.shape,
        scale=scale,
        weight_scale=g,
        shift=shift,
        reset=p.reset,
        reset_late=p.reset_late,
        compare=p.compare,
        refractory=p.refractory,
        **values,
    )


def _to_format(
    p: Population, real: dict[str, Any], decays: dict[str, Any], arithmetic: Arithmetic
) -> tuple[dict[str, Any], int]:
    """Parameters rounded once, and for `fixed` the right shift that makes them fit."""
    if arithmetic is Arithmetic.FLOAT32:
        with np.errstate(over="ignore"):
            rounded = {n: None if v is None else np.asarray(v, np.float32) for n, v in (real | decays).items()}
        for name, value in rounded.items():
            if value is not None and not np.isfinite(value).all():
                raise QuantizeError(f"{p.name}.{name}: {np.abs(real[name]).max():g} in weight units is over float32",
                                    rule="fixed-range")
        return rounded, 0
    for shift in range(MAX_SHIFT + 1):
        states = {n: None if v is None else to_state(v, shift) for n, v in real.items()}
        peak = {n: int(np.abs(v).max(initial=0)) for n, v in states.items() if v is not None}
        if max(peak.values()) < INT32_MAX:  # one below, so that `>` has a next larger number
            return states | {n: None if v is None else to_decay(v) for n, v in decays.items()}, shift
    worst = max(peak, key=lambda n: peak[n])
    raise QuantizeError(
        f"{p.name}.{worst}: {np.abs(real[worst]).max():g} in weight units is over Q16.15 even after a right shift of "
        f'{MAX_SHIFT} bits ({2 ** (16 + MAX_SHIFT)}). Use arithmetic="float32", or fewer bits.',
        rule="fixed-range",
    )


def _warnings(
    p: Population, ways: list[Projection], over: int, scheme: PTQ, found: Calibration | None
) -> list[str]:
    """Sentences on what quantization does to a population; those that change its behaviour also warn."""
    said, loud = [], []
    total = sum(int(c.expected) if isinstance(c, Ruled) else c.weight.size for c in (w.connection for w in ways))
    if over and scheme.overflow is Overflow.WRAP:
        loud.append(f"{p.name}: {over} of {total} weights are over {scheme.limit} and wrap around, as on a board today")
    elif over:
        said.append(f"{p.name}: {over} of {total} weights are over {scheme.limit} and are held there")
    if total and not any(largest(w.connection) for w in ways):
        loud.append(f"{p.name}: dead, all {total} weights become 0; use more bits or one scale per channel")
    if found is not None and p.spikes:
        if found.rates[p.name] == 0:
            loud.append(f"{p.name}: dead, no neuron spikes in the float run on the calibration data")
        elif found.rates[p.name] > 0.5:
            loud.append(f"{p.name}: saturated, {found.rates[p.name]:.0%} of neuron steps spike on the calibration data")
    for sentence in loud:
        warnings.warn(sentence, S2NirWarning, stacklevel=3)
    return said + loud

