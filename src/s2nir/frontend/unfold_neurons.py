"""A population's recursion as NIR's time constants and resistances, with the exact numbers as metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from ..graph import Integrator, Population, Reset
from .neurons import hints
from .raw import HINT, RawNode, Shape

Array = NDArray[np.float64]
NEVER = 2.0**60
"""Steps of a time constant whose decay is 1 in float64."""


def neuron(
    p: Population, shape: Shape, dt: float | None, integrator: Integrator, extra: dict[str, Any]
) -> tuple[RawNode, RawNode | None]:
    """A population's node, and the Threshold behind it where it is an I, LI or CubaLI that spikes."""
    if p.drive is not None:
        raise UnsupportedError("to-nir-drive", f"{p.name}: NIR has no node that draws a Poisson process")
    full = {k: getattr(p, k) for k in ("decay", "gain", "constant", "syn_decay", "syn_gain", "threshold", "v_reset")}
    full = {k: np.array(np.broadcast_to(v, p.shape)).reshape(shape) for k, v in full.items() if v is not None}
    kind, fields = _fields(p, full, dt, integrator)
    exact = {k: float(v) if v.ndim == 0 else v.reshape(shape) for k, v in hints(p).items()}
    metadata: dict[str, Any] = {**exact, **extra}
    if kind != p.node:
        metadata[HINT + "node"] = p.node
    if p.refractory:
        metadata[HINT + "refractory"] = p.refractory
    spiking = _spiking(p)
    if p.threshold is None or kind in ("LIF", "IF", "CubaLIF", "Threshold"):
        return RawNode(type=kind, fields=fields, metadata={**metadata, **spiking}), None
    behind = RawNode(type="Threshold", fields={"threshold": full["threshold"]}, metadata={**spiking, **extra})
    return RawNode(type=kind, fields=fields, metadata=metadata), behind


def _spiking(p: Population) -> dict[str, Any]:
    if p.threshold is None:
        return {}
    said: dict[str, Any] = {HINT + "compare": p.compare.value}
    if p.reset is not Reset.NONE or p.node in ("LIF", "IF", "CubaLIF"):
        said[HINT + "reset"] = p.reset.value
    if p.reset_late:
        said[HINT + "reset_late"] = 1
    return said


def _fields(
    p: Population, full: dict[str, Array], dt: float | None, integrator: Integrator
) -> tuple[str, dict[str, Array]]:
    """(NIR type, its fields)."""
    spike = {k: v for k, v in (("v_threshold", full.get("threshold")), ("v_reset", full.get("v_reset")))
             if v is not None and p.node not in ("LI", "CubaLI", "I")}
    plain = not full["constant"].any() and "syn_decay" not in full
    if p.node in ("I", "IF") and plain and (full["decay"] == 1).all():
        return p.node, {"r": full["gain"], **spike}
    if p.node == "Threshold" and plain and not full["decay"].any() and (full["gain"] == 1).all():
        return p.node, {"threshold": full["threshold"]}
    if dt is None:
        raise UnsupportedError(
            "to-nir-dt",
            f"{p.name}.{p.node}: NIR needs a time constant for its decay and the graph has no dt. Pass dt= where it is "
            "made.",
        )
    tau, share = _tau(full["decay"], dt, integrator)
    membrane = {"r": full["gain"] / share, "v_leak": full["constant"] / share}
    if "syn_decay" not in full:
        kind = {"IF": "LIF", "I": "LI", "Threshold": "LIF"}.get(p.node, p.node)
        if kind not in ("LIF", "LI"):
            raise UnsupportedError("to-nir-neuron", f"{p.name}: NIR has no {p.node} without a synaptic filter")
        return kind, {"tau": tau, **membrane, **spike}
    if p.node not in ("CubaLIF", "CubaLI"):
        raise UnsupportedError("to-nir-neuron", f"{p.name}: NIR has no {p.node} with a synaptic filter")
    tau_syn, syn_share = _tau(full["syn_decay"], dt, integrator)
    return p.node, {"tau_mem": tau, "tau_syn": tau_syn, **membrane, "w_in": full["syn_gain"] / syn_share, **spike}


def _tau(decay: Array, dt: float, integrator: Integrator) -> tuple[Array, Array]:
    """(time constant, share of the input that it gives in one step)."""
    with np.errstate(divide="ignore"):
        steps = 1.0 / (1.0 - decay) if integrator is Integrator.EULER else -1.0 / np.log(decay)
    steps = np.where(decay == 1, NEVER, np.where((decay == 0) & (steps < 1), 1e-3, steps))
    tau = dt * steps
    ratio = dt / tau
    return tau, ratio if integrator is Integrator.EULER else -np.expm1(-ratio)
