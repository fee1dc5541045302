"""A feed-forward Graph or Network in PyTorch, all steps of a layer at once: for accuracies over whole data sets.

A Network runs in whole numbers and gives the emulator's spikes; a Graph runs in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import RunError
from ..fixedpoint import Arithmetic
from ..graph import Conv, Dense, Graph, Projection, data_order, timing
from ..quantize import IntPopulation, Network, int_population
from .core import Core


class TorchRun:
    """A Graph or a Network ready to run; called with counts, it returns spikes.

    Raises
    ------
    RunError
        where the network has loops, delays, sparse connections, or ends in a readout.
    """

    def __init__(self, network: Graph | Network, device: Any = None) -> None:
        self.network, self.device = network, device
        self.order = [p.name for p in data_order(network)[0]]
        arithmetic = network.arithmetic if isinstance(network, Network) else Arithmetic.FLOAT32
        self.cores: dict[str, Core] = {}
        self.ways: dict[str, list[tuple[Projection, Tensor]]] = {}
        if any(timing(network).steps) or any(q.delay for q in network.projections):
            raise RunError("TorchRun: the network has loops or delays; run its image, or graph.simulate")
        for p in network.populations:
            if p.is_input:
                continue
            if not p.spikes:
                raise RunError(f"TorchRun: {p.name} does not spike; run the image, or graph.simulate")
            whole = p if isinstance(p, IntPopulation) else int_population(p, np.ones(p.shape), arithmetic)
            self.cores[p.name] = Core(whole, arithmetic, device)
            self.ways[p.name] = [(q, self._weight(q)) for q in network.into(p.name)]

    def _weight(self, q: Projection) -> Tensor:
        if not isinstance(q.connection, Dense | Conv):
            raise RunError(f"TorchRun: {q.source} -> {q.target} is sparse; run the image, or graph.simulate")
        return torch.from_numpy(np.array(q.connection.weight, np.float32)).to(self.device)

    @torch.no_grad()
    def __call__(self, spikes: Mapping[str, Tensor] | Tensor) -> dict[str, Tensor]:
        """Spikes of every population.

        spikes : (steps, batch, *shape) of counts, or a dict of them by input

        Returns
        -------
        found : uint8 (steps, batch, *shape) by population
        """
        inputs = self.network.inputs
        given = spikes if isinstance(spikes, Mapping) else {inputs[0].name: spikes}
        sent = {n: x.to(self.device) for n, x in given.items()}
        for name in self.order:
            if name in self.cores:
                sent[name] = self._population(name, sent)
        return {n: s for n, s in sent.items() if n in self.cores}

    def _population(self, name: str, sent: Mapping[str, Tensor]) -> Tensor:
        core = self.cores[name]
        shape = core.population.shape
        parts = [_arriving(q, w, sent[q.source]) for q, w in self.ways[name]]
        slot = sum(parts[1:], start=parts[0])
        return core.run(slot.reshape(len(slot), -1, *shape))


def _arriving(q: Projection, weight: Tensor, sent: Tensor) -> Tensor:
    """(steps, batch x targets) of what arrives in each step."""
    steps, batch = sent.shape[:2]
    c = q.connection
    x = sent.reshape(steps * batch, -1).to(torch.float32)
    if isinstance(c, Dense):
        return functional.linear(x, weight).reshape(steps, -1)
    assert isinstance(c, Conv)
    x = x.reshape(-1, *c.in_shape).contiguous(memory_format=torch.channels_last)
    if c.pool is not None:
        x = functional.avg_pool2d(x, c.pool.size, c.pool.stride, c.pool.padding, divisor_override=1)
    _, height, width = c.out_shape
    kh, kw = ((k - 1) * d + 1 for k, d in zip(weight.shape[2:], c.dilation, strict=True))
    below = (height - 1) * c.stride[0] + kh - x.shape[2] - c.padding[0]
    right = (width - 1) * c.stride[1] + kw - x.shape[3] - c.padding[1]
    x = functional.pad(x, (c.padding[1], right, c.padding[0], below))  # a negative pad cuts what no window reaches
    y = functional.conv2d(x, weight, None, c.stride, 0, c.dilation, c.groups)
    return y.contiguous().reshape(steps, -1)
