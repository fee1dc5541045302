"""Neurons of an image in py-spinnaker2's words: model and parameters, or why there are none that say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..emulate import Program
from ..errors import ExportError
from ..fixedpoint import Arithmetic
from ..machine import Word
from ..mapping import Descriptor, MachineImage, PopulationInfo, regions

SPIKING, LATE, STRICT, CURRENT_BASED = 1, 8, 16, 32  # flags of a neuron, as docs/image.md has them
NONE, SUBTRACT, TO_VALUE = 0, 1, 2
NEVER = float(np.finfo(np.float32).max)  # threshold of neurons that do not spike
RELAY: dict[str, Any] = {  # spikes in the tick in which a packet arrives, and keeps nothing
    "threshold": 1.0, "alpha_decay": 0.0, "i_offset": 0.0, "v_init": 0.0, "v_reset": 0.0, "reset": "reset_to_v_reset",
}


class Cells(NamedTuple):
    """Parameters of a population's neurons, in C order over its shape: threshold as it is compared with, float32."""

    threshold: NDArray[Any]
    decay: NDArray[Any]
    offset: NDArray[Any]
    v_reset: NDArray[Any]
    syn_decay: NDArray[Any]
    bias: NDArray[Any]
    flags: int

    @property
    def spikes(self) -> bool:
        return bool(self.flags & SPIKING)

    @property
    def reset(self) -> int:
        return self.flags >> 1 & 3

    @property
    def refractory(self) -> int:
        return self.flags >> 8

    @property
    def forgets(self) -> bool:
        """Whether no membrane outlives its tick, so that it does not matter what a reset leaves."""
        return not self.decay.any()


def descriptors(image: MachineImage, p: PopulationInfo) -> list[Descriptor]:
    """What the cores of a population say of themselves."""
    found = []
    for i in p.cores:
        core = image.cores[i]
        r = regions(core.memory, core.application not in ("spike_list", "relay"))
        if isinstance(r, str):
            raise ExportError(f"{p.name}: {r}", rule="damaged-image")
        found.append(r.descriptor)
    return found


def cells(ready: Program, p: PopulationInfo) -> Cells:
    """The parameters as the cores' memories hold them."""
    n, mine = ready.neurons, ready.index[p.name]
    flags = np.unique(n.flags[mine])
    if flags.size > 1:
        raise ExportError(f"{p.name}: its neurons differ in their flags, and py-spinnaker2 has one set for all.",
                          rule="damaged-image")
    return Cells(threshold=n.threshold[mine], decay=n.decay[mine], offset=n.offset[mine], v_reset=n.v_reset[mine],
                 syn_decay=n.syn_decay[mine], bias=n.bias[mine], flags=int(flags[0]))


def current_based(ready: Program, p: PopulationInfo) -> bool:
    """Whether its neurons have a synaptic current."""
    return bool(ready.neurons.flags[ready.index[p.name][0]] & CURRENT_BASED)


def refuse_image(image: MachineImage) -> None:
    """Refuse what holds for all of an image.

    Raises
    ------
    ExportError
        with the rule of docs/boards.md.
    """
    if image.arithmetic is Arithmetic.FIXED:
        raise ExportError("the image computes in fixed-point numbers, the neurons of a board in float32. Quantize with "
                          'arithmetic="float32".', rule="fixed-arithmetic")
    if image.copies > 1:
        raise ExportError(f"the image holds {image.copies} copies of its network, a script runs one. Compile with "
                          "copies=1.", rule="several-copies")
    f = image.machine.faults
    if f.cores or f.chips or f.links or f.routers:
        raise ExportError("the image keeps away from parts of its machine that do not work, and py-spinnaker2 cannot "
                          "be told of them. Compile for a machine without faults=.", rule="machine-faults")


def refuse_neurons(p: PopulationInfo, c: Cells, form: list[Descriptor]) -> None:
    """Refuse neurons that none of py-spinnaker2's models is.

    Raises
    ------
    ExportError
        with the first of their rules.
    """
    for rule, said in _breaches(c, form):
        raise ExportError(f"{p.name}: {said}", rule=rule)


def _breaches(c: Cells, form: list[Descriptor]) -> Iterator[tuple[str, str]]:
    if any(d.driven for d in form):
        yield "poisson-drive", ("its neurons draw a Poisson process of their own, a program of ours that no board has. "
                                "Give the events as an input.")
    if any(d.word in (Word.COMPACT, Word.DRAM) for d in form):
        yield "rows-by-slice", ('its rows are found by source slice, a form of ours. Compile for a machine with '
                                'rows="sram".')
    if c.flags & CURRENT_BASED and c.bias.any():
        yield "bias-through-synapse", (
            "its bias goes through the synaptic filter, and a board has an offset of the membrane alone. Quantize with "
            'PTQ(bias="membrane"), or the whole way with like="py-spinnaker2"; either changes spikes.')
    if c.spikes and c.flags & LATE:
        yield "late-reset", ("its neurons reset one tick after their spikes, a board's in the same tick. Load it with "
                             "reset_late=False; that changes spikes.")
    if c.spikes and c.reset == NONE and not c.forgets:
        yield "no-reset", ("its neurons keep their membranes when they spike, and a board has reset by subtraction or "
                           'to v_reset alone. Load it with reset="subtract" or "zero".')
    if c.spikes and c.reset == SUBTRACT and c.flags & STRICT and not c.forgets:
        yield "above-threshold", (
            "its neurons spike above their threshold and subtract it, a board's spike at the threshold that they "
            'subtract. Load it with compare=">=".')
    if c.refractory and not c.flags & CURRENT_BASED:
        yield "refractory-time", (f"a refractory time of {c.refractory} ticks, which on a board current-based neurons "
                                  "have alone. Load it without.")
    awake = c.offset.any() or (c.spikes and (c.threshold <= 0).any())
    if max(d.onset for d in form) and awake:
        yield "aligned-onset", (
            f"its constants act from tick {max(d.onset for d in form)} on, a board's from tick 0. Compile with "
            'onset="board"; that changes spikes.')


def model(c: Cells, form: list[Descriptor], convolves: bool) -> str:
    """The name of the neuron model; convolves : whether a Conv2DProjection leads into it."""
    if convolves:
        return "lif_conv2d"
    stem = "lif_curr_exp" if c.flags & CURRENT_BASED else "lif"
    return stem if form[0].word is Word.DELAY else f"{stem}_no_delay"


def parameters(c: Cells) -> dict[str, Any]:
    """By py-spinnaker2's names, every one of them, so that no default of its is relied on.

    A threshold of `>` is the next larger float32; neurons without a reset, which keep no membranes, have one to 0.
    """
    found: dict[str, Any] = {
        "threshold": _plain(c.threshold) if c.spikes else NEVER,
        "alpha_decay": _plain(c.decay),
        "i_offset": _plain(c.offset),
        "v_init": 0.0,
        "v_reset": _plain(c.v_reset) if c.reset == TO_VALUE else 0.0,
        "reset": "reset_by_subtraction" if c.reset == SUBTRACT else "reset_to_v_reset",
    }
    if c.flags & CURRENT_BASED:
        decay = _plain(c.syn_decay)
        found |= {"exc_decay": decay, "inh_decay": decay, "t_refrac": c.refractory}
    return found


def _plain(values: NDArray[Any]) -> Any:
    """One float where all are the same, else the array."""
    return float(values[0]) if (values == values[0]).all() else values.astype(np.float32)
