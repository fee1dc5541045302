"""Marks on tensors, and the words in which an op is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import UnsupportedError

OURS = "Elementwise"
"""The one layer of our own (snntorch_module.py)."""

ONE_STEP = "Index the input only by the step of a loop over time, and let all layers run within it"

REMEDIES = {
    "cat": "Concatenation has no words in a Graph: give each branch a layer of its own and add them up (+)",
    "concat": "Concatenation has no words in a Graph: give each branch a layer of its own and add them up (+)",
    "relu": "Only spikes travel: put a neuron there, or leave it out",
    "max_pool2d": "A maximum is not linear: use AvgPool2d, or a stride in the convolution",
    "adaptive_avg_pool2d": "Use AvgPool2d with the window as numbers",
    "linear": "Use the layer nn.Linear",
    "conv2d": "Use the layer nn.Conv2d",
    "conv1d": "Use the layer nn.Conv1d",
    "sum": "Return the spikes of every step, and add them up outside",
    "mean": "Return the spikes of every step, and average them outside",
    "permute": "Keep the axes as (batch, channels, ...), and steps first in the input",
    "transpose": "Keep the axes as (batch, channels, ...), and steps first in the input",
    "dropout": "Pass training=self.training, or use nn.Dropout",
    "index assignment": "Collect the spikes in a list, and torch.stack it at the end",
}


def unknown(op: str, where: str, remedy: str = "") -> UnsupportedError:
    """The refusal of an op."""
    said = remedy or next((r for key, r in REMEDIES.items() if f"{op} ".startswith(f"{key} ")), "")
    said = said or "Allowed between layers: +, -, a factor, reshaping that keeps the batch axis, torch.stack of steps"
    return UnsupportedError("snntorch-op", f"{op} {where}: cannot be followed. {said}.")


class TimeLoop(Exception):
    """forward takes the input apart along an axis of time."""

    def __init__(self, axis: int) -> None:
        super().__init__(axis)
        self.axis = axis


class EveryStep(Exception):
    """A layer hears all steps of the input at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mark:
    """What is known of a tensor.

    kind : "value" (what a node sends), "state" (part names it), "whole" (the input over all steps), "recorded" (values
        of all steps stacked) or "lost" (part names the op that could not be followed)
    step : the pass of the loop over time, from 1 on; 0 where it is the same in all
    """

    tensor: Any
    kind: str
    node: str
    part: str = ""
    step: int = 0


def tensors(value: Any) -> list[Any]:
    """All tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, tuple | list):
        return [t for v in value for t in tensors(v)]
    if isinstance(value, dict):
        return [t for v in value.values() for t in tensors(v)]
    return [value] if hasattr(value, "untyped_storage") else []


def is_neuron(module: Any) -> bool:
    """Whether a module is one of snnTorch's neurons, or made from one."""
    return any(c.__name__ == "SpikingNeuron" and c.__module__.startswith("snntorch") for c in type(module).__mro__)


def is_leaf(module: Any) -> bool:
    """Whether a module is one layer or neuron of torch or snnTorch (or made from one), not a container of them."""
    for c in type(module).__mro__:
        if c.__module__.startswith("torch.nn.modules.") and c.__module__.split(".")[-1] not in ("module", "container"):
            return True
        if c.__module__.startswith(("snntorch._neurons", "torch.nn.quantized", "torch.ao.")) or c.__name__ == OURS:
            return True
    return False
