"""Neurons as recursions: time constants become decay and gain per step (DESIGN 4).

The fields of a node give them; where its metadata hold them to the last bit and agree, those are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ContractError, LoadError
from ..graph import Compare, Integrator, Population, Reset
from . import fields
from .contract import Contract, Rule
from .limits import Log
from .nodes import Neuron
from .raw import HINT, Shape

Array = NDArray[np.float64]
EXACT = 1e-12
SLACK = 1e-6
"""dt may exceed a time constant by so much (float32 files); it is then taken as equal."""


def population(
    name: str, node: Neuron, shape: Shape, bias: Array | None, threshold: Neuron | None, contract: Contract, log: Log
) -> Population:
    """A neuron, with the Threshold it feeds if there is one, as a population.

    bias : (size) or None
    """
    found = dict(node.recursion or {})
    if node.recursion is None:
        found = {**_membrane(node, contract), **_synapse(node, contract)}
        found = {k: _hinted(node, k, v) for k, v in found.items()}
    level = threshold.params["threshold"] if threshold else node.params.get(
        "threshold" if node.type == "Threshold" else "v_threshold")
    rule = contract.rules.get(name)
    where = shape_of(node, shape)
    common: dict[str, Any] = {k: _shaped(v, where) for k, v in found.items()}
    kind = str(node.metadata.get(HINT + "node", node.type))
    if kind != node.type and (kind, node.type) not in (("IF", "LIF"), ("I", "LI"), ("Threshold", "LIF")):
        raise LoadError(f"{node.where}: metadata {HINT}node found {kind!r}, which a {node.type} cannot stand for")
    return Population(
        name=name,
        node=kind,
        shape=where,
        bias=np.zeros(()) if bias is None else bias.reshape(where) + 0.0,
        threshold=None if level is None else _shaped(level, where),
        v_reset=None if level is None else _shaped(_v_reset(node, rule, log), where),
        reset=Reset.NONE if rule is None or rule.reset is None else rule.reset,
        reset_late=bool(rule and rule.late),
        refractory=fields.whole(f"{node.where}.{HINT}refractory", node.metadata.get(HINT + "refractory", 0), 0),
        compare=rule.compare if rule else Compare.GREATER,
        **common,
    )


def shape_of(node: Neuron, shape: Shape) -> Shape:
    """The population's shape: what metadata say where the node had to be written flat."""
    if HINT + "shape" not in node.metadata:
        return shape
    said = fields.shape(f"{node.where}.{HINT}shape", node.metadata[HINT + "shape"])
    if np.prod(said, dtype=object) != np.prod(shape, dtype=object):
        raise LoadError(f"{node.where}: metadata {HINT}shape say {list(said)}, the node has {list(shape)}")
    return said


def factor(tau: Array, contract: Contract, where: str) -> tuple[Array, Array]:
    """(decay, share of the input) of one step."""
    dt = contract.dt
    assert dt is not None
    ratio = dt / tau
    if contract.integrator is Integrator.EXPONENTIAL:
        return np.exp(-ratio), -np.expm1(-ratio)
    if (ratio > 1 + SLACK).any():
        raise ContractError(
            f"{where}: dt = {dt:g} s is larger than the time constant {tau.min():g} s, where Euler's rule overshoots. "
            'Pass a smaller dt=, or integrator="exponential".'
        )
    ratio = np.minimum(ratio, 1.0)
    return 1.0 - ratio, ratio


def _membrane(node: Neuron, contract: Contract) -> dict[str, Array]:
    p = node.params
    if node.type == "Threshold":
        return {"decay": np.zeros(()), "gain": np.ones(()), "constant": np.zeros(())}
    if node.type in ("I", "IF"):
        return {"decay": np.ones(()), "gain": p["r"], "constant": np.zeros(())}
    key = "tau" if "tau" in p else "tau_mem"
    decay, share = factor(p[key], contract, f"{node.where}.{key}")
    return {"decay": decay, "gain": share * p["r"], "constant": share * p["v_leak"] + 0.0}


def _synapse(node: Neuron, contract: Contract) -> dict[str, Array]:
    if "tau_syn" not in node.params:
        return {}
    decay, share = factor(node.params["tau_syn"], contract, f"{node.where}.tau_syn")
    return {"syn_decay": decay, "syn_gain": share * node.params["w_in"]}


def _hinted(node: Neuron, key: str, computed: Array) -> Array:
    """The exact value of the metadata where it agrees with the fields to 1e-12."""
    if HINT + key not in node.metadata:
        return computed
    hint = fields.numbers(f"{node.where}.{HINT}{key}", node.metadata[HINT + key])
    if hint.shape not in ((), computed.shape, node.shape):
        return computed
    scale = np.maximum(np.abs(computed), 1.0 if "decay" in key else 0.0)
    return hint if (np.abs(hint - computed) <= EXACT * scale).all() else computed


def _v_reset(node: Neuron, rule: Rule | None, log: Log) -> Array:
    value = node.params.get("v_reset", np.zeros(()))
    if rule is None or rule.reset is not Reset.TO_VALUE:
        if value.any():
            log.warn(f"{node.where}.v_reset: {value.min():g}..{value.max():g} is not used by the reset that was chosen")
        return np.zeros(())
    return value


def _shaped(value: Array, shape: Shape) -> Array:
    return value + 0.0 if value.ndim == 0 else value.reshape(shape) + 0.0


def hints(population: Population) -> Mapping[str, Array]:
    """The exact parameters that a population keeps in metadata."""
    names = ("decay", "gain", "constant", "syn_decay", "syn_gain")
    return {HINT + n: getattr(population, n) for n in names if getattr(population, n) is not None}
