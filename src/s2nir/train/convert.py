"""A trained QAT module as a Network: its buffers are copied, nothing is worked out anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import snntorch as snn
import torch
from torch import nn

from ..errors import CheckError, QuantizeError, S2NirError
from ..fixedpoint import Arithmetic
from ..frontend import copy_module, from_snntorch
from ..graph import Conv, Graph, Population, Projection
from ..quantize import IntPopulation, Network, check
from .layers import QConv1d, QConv2d, QLinear, QOneToOne, SumPool, Way
from .neuron import KINDS, Quantized
from .prepare import is_prepared
from .scale import spread

PLAIN: dict[type, type] = {QLinear: nn.Linear, QConv1d: nn.Conv1d, QConv2d: nn.Conv2d} | {
    ours: theirs for theirs, ours in KINDS.items()
}
EXACT = 1 << 24
"""Whole numbers below it are exact in float32, in whatever order they are added."""


def convert(module: nn.Module, input_shape: tuple[int, ...], dt: float | None = None, max_count: int = 255) -> Network:
    """The Network that a QAT module runs in `eval()`.

    module : made by `prepare_qat`, trained, in `eval()`
    input_shape : of one step of one recording, such as (2, 32, 32)
    dt : seconds per step, where that is known
    max_count : the largest count of an input in one step

    Raises
    ------
    QuantizeError
        where the module is still training, or sum |w| x count of a neuron reaches 2**24, past which float32 sums are
        no longer exact.
    """
    _ready(module)
    if module.training:
        raise QuantizeError("convert: the module is in training mode. Call module.eval() first.")
    neurons = {n: m for n, m in module.named_modules() if isinstance(m, Quantized)}
    graph = float_graph(module, input_shape, dt)
    shapes = {p.name: p.shape for p in graph.populations}
    whole = from_snntorch(_mirror(module, shapes), input_shape, dt=dt)
    options = next(iter(neurons.values())).scale.options
    projections = []
    for q in whole.projections:
        weight = np.rint(q.connection.weight)
        if np.abs(weight - q.connection.weight).max(initial=0) > 1e-6 or np.abs(weight).max(initial=0) > options.limit:
            raise CheckError(f"{q.source} -> {q.target}: the weights of the module are not whole numbers")
        connection = dataclasses.replace(q.connection, weight=weight.astype(np.int8))
        projections.append(dataclasses.replace(q, connection=connection))
    _exact(whole, projections, max_count)
    network = Network(
        arithmetic=Arithmetic(options.arithmetic),
        scheme=str(options),
        limit=options.limit,
        rules=options.rules,
        graph_digest=graph.digest,
        dt=dt,
        integrator=whole.integrator,
        populations=tuple(_population(p, neurons) for p in whole.populations),
        projections=tuple(projections),
        outputs=whole.outputs,
        loops=whole.loops,
    )
    for breach in check(network):
        raise CheckError(f"the converted network is not legal: {breach}")
    return network


def float_graph(module: nn.Module, input_shape: tuple[int, ...], dt: float | None = None) -> Graph:
    """The Graph that a QAT module stands for: its real weights and thresholds, with the immediate reset it trains with.

    What `s2nir.compare` measures the integers against.
    """
    _ready(module)
    graph = from_snntorch(_mirror(module), input_shape, dt=dt)
    neurons = {n: m for n, m in module.named_modules() if isinstance(m, Quantized)}
    populations = []
    for p in graph.populations:
        if p.name in neurons and p.spikes:
            own = neurons[p.name].population(p.shape)
            p = dataclasses.replace(p, reset=own.reset, reset_late=False, threshold=own.threshold)
        populations.append(p)
    return dataclasses.replace(graph, populations=tuple(populations))


def _ready(module: nn.Module) -> None:
    if not isinstance(module, nn.Module) or not is_prepared(module):
        raise QuantizeError("convert: the module was not made by prepare_qat; s2nir.from_snntorch takes others")


def _population(p: Population, neurons: dict[str, Quantized]) -> IntPopulation:
    if p.is_input:
        return IntPopulation(name=p.name, node=p.node, shape=p.shape)
    if p.name not in neurons:
        raise S2NirError(f"{p.name}: the module ends in weights without a neuron; put one behind them")
    found = neurons[p.name].int_population(p.shape)
    if not p.spikes:  # of a neuron without a reset, whose membrane alone is returned
        found = dataclasses.replace(found, node=p.node, threshold=None, v_reset=None)
    return found


def _exact(graph: Graph, projections: list[Projection], max_count: int) -> None:
    """Refuse sums that float32 could round."""
    for p in graph.populations:
        most = 0
        for q in projections:
            if q.target == p.name:
                count = max_count if graph[q.source].is_input else 1
                most += count * _largest_sum(q)
        if most >= EXACT:
            raise QuantizeError(
                f"{p.name}: sum |w| x count reaches {most}, allowed is below 2**24, where float32 sums stay exact. Use "
                f"fewer bits, or pass max_count= the largest count that an input really has (now {max_count})."
            )


def _largest_sum(q: Projection) -> int:
    """The largest sum of |w| over what one neuron hears; of a convolution, as if every tap met a whole pool."""
    c = q.connection
    size = np.abs(c.weight.astype(np.int64))
    if isinstance(c, Conv):
        taps = 1 if c.pool is None else c.pool.size[0] * c.pool.size[1]
        return int(size.reshape(size.shape[0], -1).sum(axis=1).max(initial=0)) * taps
    if size.ndim == 2:
        return int(size.sum(axis=1).max(initial=0))
    return int(np.bincount(c.target, weights=size, minlength=1).max(initial=0))


@torch.no_grad()
def _mirror(module: nn.Module, shapes: Mapping[str, tuple[int, ...]] | None = None) -> nn.Module:
    """The module in snnTorch's own parts again, in float64, on the CPU.

    shapes : of the populations; given, the weights are whole and there are no biases; else they are the real ones
    """
    made: nn.Module = copy_module(module).cpu()
    for path, node in list(made.named_modules()):
        if isinstance(node, Way):
            _plain_layer(made, path, node, shapes)
        elif isinstance(node, SumPool):
            _plain_pool(made, path, node)
    for node in made.modules():
        if isinstance(node, Quantized):
            me: Any = node
            if isinstance(me.threshold, nn.Parameter):
                me.threshold = nn.Parameter(node.threshold_held())
            del me._modules["scale"]
            del me._parameters["level"]
            node.__class__ = PLAIN[type(node)]
            me.spike_grad = _step
            if hasattr(me, "reset_delay"):
                me.reset_delay = True
    return made.double()


def _step(v: torch.Tensor) -> torch.Tensor:
    return (v > 0).to(v.dtype)


def _plain_layer(root: nn.Module, path: str, node: Any, shapes: Mapping[str, tuple[int, ...]] | None) -> None:
    whole = shapes is not None
    if isinstance(node, QOneToOne):
        neuron = path.rpartition(".")[0]
        if shapes is not None:
            node.check(shapes[neuron])
            v = np.broadcast_to(spread(node.whole().reshape(-1), shapes[neuron]).double().numpy(), shapes[neuron])
            node.V = root.get_submodule(neuron).V = nn.Parameter(torch.tensor(v))
        node.__class__ = type(snn.RLeaky(0.5, all_to_all=False).recurrent)
        return
    weight = node.whole().double() / node.factor if whole else node.weight.double()
    node.weight = nn.Parameter(weight)
    if whole:
        node.bias = None
    node.__class__ = PLAIN[type(node)]


def _plain_pool(root: nn.Module, path: str, node: SumPool) -> None:
    """A pool as it was; the weights behind it lose its factor again."""
    parent, _, last = path.rpartition(".")
    pool = nn.AvgPool2d(node.kernel_size, node.stride, node.padding, divisor_override=node.divisor)
    setattr(root.get_submodule(parent), last, pool)
