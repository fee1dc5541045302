"""The metrics of NeuroBench [Yik2025] of an image and a Recording: footprint, sparsity, synaptic operations.

[Yik2025] Yik et al., "The neurobench framework for benchmarking neuromorphic computing algorithms and systems", Nat.
Commun. 16 (2025), arXiv 2304.04640; the definitions are those of its complexity metrics.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulate import Recording
from ..errors import needs
from ..mapping import MachineImage
from .cycles import kernels, runs_by_core


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuroBench:
    """NeuroBench's complexity metrics, of one copy of the network.

    footprint_bytes : memory of the cores with neurons, in use, with parameters, state and records, and rows in DRAM
    connection_sparsity : share of the possible connections whose weight is 0 or that are not there: of two populations
        that rows join, each pair of neurons is possible; of a convolution, each tap that meets a neuron
    activation_sparsity : share of neurons and steps without a spike, over all spiking populations and recordings;
        inputs and relays are no neurons
    dense : synaptic operations of a recording if every source, inputs too, were active in every step and every weight
        not 0; effective_macs, effective_acs : those of sources that are active, and weights that are not 0, on the mean
        of the recordings: an accumulate where the source sends one packet in the step, else a multiply and accumulate
    """

    footprint_bytes: int
    connection_sparsity: float
    activation_sparsity: float
    dense: float
    effective_macs: float
    effective_acs: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join([
            f"footprint {self.footprint_bytes:,} bytes",
            f"connection sparsity {self.connection_sparsity:.4f}, activation sparsity {self.activation_sparsity:.6f}",
            f"synaptic operations per recording: {self.effective_acs:,.1f} accumulates, {self.effective_macs:,.1f} "
            f"multiply-accumulates, {self.dense:,.0f} dense",
        ])


def neurobench(recording: Recording) -> NeuroBench:
    """The metrics of a Recording, over the aligned steps; of several copies the network counts once."""
    needs(recording, Recording, "neurobench", "Make one with s2nir.run(image, spikes).")
    image, size = recording.image, recording.program.size // recording.image.copies
    place = np.full(size, -1)  # the population of every neuron of a copy
    for k, p in enumerate(image.populations):
        place[recording.program.index[p.name]] = k
    fanout, possible, there = _connections(recording, place)
    neurons = np.array([p.spikes and p.kind == "neurons" for p in image.populations])
    lag = np.array([p.lag for p in image.populations])
    active = macs = acs = 0.0
    for b in range(recording.batch):
        tick, source, number = recording.sent(b)
        source = source - size * (b % image.copies)
        step = tick - lag[place[source]]
        mine = (step >= 0) & (step < recording.steps)
        active += float(neurons[place[source[mine]]].sum())
        acs += float(fanout[source[mine & (number == 1)]].sum())
        macs += float(fanout[source[mine & (number > 1)]].sum())
    cells = sum(p.size for p, n in zip(image.populations, neurons, strict=True) if n) * recording.steps
    return NeuroBench(
        footprint_bytes=footprint(image),
        connection_sparsity=1 - there / possible if possible else 0.0,
        activation_sparsity=1 - active / (cells * recording.batch) if cells else 0.0,
        dense=possible * recording.steps, effective_macs=macs / recording.batch, effective_acs=acs / recording.batch,
    )


def footprint(image: MachineImage) -> int:
    """Bytes of one copy's cores with neurons, and of their rows in DRAM."""
    held = [image.cores[i] for p in image.populations if p.kind != "input" for i in p.cores]
    return sum(c.used + c.dram.size for c in held)


def _connections(recording: Recording, place: NDArray[np.int64]) -> tuple[NDArray[np.float64], float, float]:
    """Of one copy: weights that are not 0 by source, how many connections are possible, and how many are there.

    Relays are no connections: what their packets add counts as their source's.
    """
    image, s, index = recording.image, recording.program.synapses, recording.program.index
    size, known = place.size, image.populations
    relay = np.array([p.kind == "relay" for p in known])
    root = {p.name: p.name.rpartition("+")[0] if p.kind == "relay" else p.name for p in known}
    source, core, target, length, words = runs_by_core(recording.program)
    mine = source < size  # those of copy 0
    source, core, target, length, words = (v[mine] for v in (source, core, target, length, words))
    alone = int(s.one[size])
    one, one_target = np.repeat(np.arange(size), np.diff(s.one[: size + 1])), s.one_target[:alone]
    real, one_real = ~relay[place[target]], ~relay[place[one_target]]
    fanout = np.bincount(source, words * real, size).astype(np.float64)
    fanout += np.bincount(one[one_real & (s.one_weight[:alone] != 0)], minlength=size)
    conv = kernels(image)[core]
    rows = real & ~conv
    pairs = np.unique(np.concatenate([place[source[rows]] * len(known) + place[target[rows]],
                                      place[one[one_real]] * len(known) + place[one_target[one_real]]]))
    joined = {(root[known[pair // len(known)].name], pair % len(known)) for pair in pairs.tolist()}
    possible = float(length[real & conv].sum()) + sum(float(image[a].size) * known[b].size for a, b in joined)
    there = float(fanout.sum())
    for p in known:
        if p.kind == "relay":
            fanout[index[root[p.name]]] += fanout[index[p.name]]
            fanout[index[p.name]] = 0
    return fanout, possible, there
