"""The BoardNetwork: an image in the words of py-spinnaker2, with the spikes that a board has to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..machine import USABLE_PES
from ..values import FrozenMap, Noun, freeze


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BoardPopulation:
    """A population of py-spinnaker2.

    size : neurons; of an input, sources times the packets that one of them sends in a tick at most
    model : "spike_list", "lif", "lif_no_delay", "lif_curr_exp", "lif_curr_exp_no_delay" or "lif_conv2d"
    params : by py-spinnaker2's names, float32 arrays (size) or plain values; none for a spike_list
    sent : int32 (packets, 2), tick and source of every packet of a spike_list, in order of the ticks
    cap : neurons per core; largest : those of the image's largest slice
    record : "spikes" and "v"; kind : of the image's population
    """

    name: str
    size: int
    model: str
    kind: str
    cap: int
    largest: int
    params: Mapping[str, Any] = field(default_factory=dict)
    sent: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    record: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", FrozenMap(dict(self.params)))
        object.__setattr__(self, "sent", freeze(self.sent, np.int32))

    @property
    def cores(self) -> int:
        """Cores that it takes, `cap` neurons each."""
        return -(-self.size // self.cap)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BoardProjection:
    """A projection of py-spinnaker2.

    connections : int32 (synapses, 4), each source, target, weight and delay (acts delay + 1 ticks after the spike); no
        pair of neurons twice
    kernel : int8 (channels in, channels out, height, width) in place of connections, or of no size; geometry : the
        parameters of a Conv2DProjection
    """

    pre: str
    post: str
    connections: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    kernel: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    geometry: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "geometry", FrozenMap(dict(self.geometry)))
        object.__setattr__(self, "connections", freeze(self.connections, np.int32))
        object.__setattr__(self, "kernel", freeze(self.kernel, np.int8))

    @property
    def is_conv(self) -> bool:
        """Whether it is a Conv2DProjection."""
        return self.kernel.size > 0


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class BoardNetwork(Noun):
    """What an exported script builds, runs and compares.

    image : digest of the image; ticks : to be run; tick : seconds of each
    window : bytes of data memory of a core that the caps keep to
    spikes : by recorded population, int32 (spikes, 2), tick and neuron that the emulator expects, in order
    voltages : by recorded population that does not spike, float32 (ticks, neurons) after each tick
    """

    image: str
    ticks: int
    tick: float
    window: int
    populations: tuple[BoardPopulation, ...]
    projections: tuple[BoardProjection, ...]
    spikes: Mapping[str, NDArray[np.int32]]
    voltages: Mapping[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        for name, kind in (("spikes", np.int32), ("voltages", np.float32)):
            held = {k: freeze(v, kind) for k, v in getattr(self, name).items()}
            object.__setattr__(self, name, FrozenMap(held))

    @property
    def cores(self) -> int:
        """Cores of all populations."""
        return sum(p.cores for p in self.populations)

    @property
    def synapses(self) -> int:
        """Entries of all connection lists; kernels are counted apart."""
        return sum(len(q.connections) for q in self.projections)

    def __str__(self) -> str:
        where = "one chip" if self.cores <= USABLE_PES else "a board of 48 chips"
        lines = [
            f"py-spinnaker2 network of image {self.image[:12]}: {len(self.populations)} populations on {self.cores} "
            f"cores of {where}, {self.synapses} synapses, {self.ticks} ticks of {self.tick:g} s"
        ]
        for p in self.populations:
            less = f", slices of the image {p.largest}" if p.cap < p.largest else ""
            said = f"; {len(self.spikes[p.name])} spikes expected" if p.name in self.spikes else ""
            lines.append(f"  {p.name}: {p.model}, {p.size} on {p.cores} cores of up to {p.cap}{less}{said}")
        for q in self.projections:
            way = f"Conv2DProjection {'x'.join(map(str, q.kernel.shape))}" if q.is_conv else (
                f"{len(q.connections)} synapses")
            lines.append(f"  {q.pre} -> {q.post}: {way}")
        return "\n".join(lines)
