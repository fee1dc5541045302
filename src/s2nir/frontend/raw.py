"""Nodes as a file or a live NIRGraph holds them, before anything about them is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RawNode:
    """One node: its NIR type, its fields by NIR's names (Input and Output have `shape`), and its metadata."""

    type: str
    fields: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RawGraph:
    """A graph of nodes; a node may be a graph."""

    nodes: Mapping[str, RawNode | RawGraph]
    edges: Sequence[tuple[str, str]]
    metadata: Mapping[str, Any] = field(default_factory=dict)


_CONV = ("weight", "stride", "padding", "dilation", "groups", "bias")
_POOL = ("kernel_size", "stride", "padding")

FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "Affine": (("weight", "bias"), ()),
    "Linear": (("weight",), ()),
    "Scale": (("scale",), ()),
    "Conv1d": (_CONV, ("input_shape",)),
    "Conv2d": (_CONV, ("input_shape",)),
    "SumPool2d": (_POOL, ()),
    "AvgPool2d": (_POOL, ()),
    "Flatten": (("start_dim", "end_dim"), ("input_type",)),
    "Delay": (("delay",), ()),
    "Threshold": (("threshold",), ()),
    "I": (("r",), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LI": (("tau", "r", "v_leak"), ()),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak"), ("w_in",)),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("v_reset", "w_in")),
}
"""Required and optional fields of every primitive but NIRGraph."""

HINT = "s2nir_"
"""What our own metadata keys begin with; all other metadata is left alone."""
