"""Every primitive as a value that holds: fields checked, scalars and defaults filled in, nothing about neighbours yet.

A node named `name` of NIR type `type`. Shapes are channels first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadError, UnsupportedError
from . import fields
from .raw import FIELDS, RawNode, Shape

Array = NDArray[np.float64]
NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Threshold")
GRADED = ("I", "LI", "CubaLI")
"""Neurons without a threshold of their own: what they send on is a number, not a spike."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Node:
    """metadata : our own hints, and what others left there"""

    name: str
    type: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.name}.{self.type}"

    @property
    def said(self) -> str:
        """Its type, with what board mode must know of it."""
        return self.type


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Port(Node):
    """An Input or Output; inside a nested graph it is only a wire. shape : None where it is to be inferred"""

    shape: Shape | None
    wire: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Neuron(Node):
    """params : by NIR's names, all of one shape, or all scalars (then shape is None)
    recursion : decay, gain, constant (and syn_decay, syn_gain) per step, where they are known and no time constant is
    """

    params: Mapping[str, Array]
    shape: Shape | None
    recursion: Mapping[str, Array] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Matrix(Node):
    """Affine or Linear. weight : (..., targets, sources); bias : (..., targets) or None"""

    weight: Array
    bias: Array | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Factor(Node):
    """Scale. scale : any shape, () for all alike; bias : of the same shape, or None (NIR's own has none)"""

    scale: Array
    bias: Array | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Convolution(Node):
    """Conv2d, or Conv1d with a height of 1.

    weight : (out channels, in channels / groups, height, width); bias : (out channels) or None
    input_shape : (height, width) as stored, or None; padding : None stands for 'same'
    """

    weight: Array
    bias: Array | None
    input_shape: tuple[int, int] | None
    stride: tuple[int, int]
    padding: tuple[int, int] | None
    dilation: tuple[int, int]
    groups: int

    @property
    def said(self) -> str:
        return self.type if self.padding is not None else f"{self.type}(same)"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pooling(Node):
    """SumPool2d or AvgPool2d; the average divides by the whole window, padding included."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flattening(Node):
    """Flatten: dimensions count from 0 without a batch axis, the last one included.

    to : the shape that it sends, where that is another one than start and end give (NIR has no such node)
    """

    input_shape: Shape | None
    start: int
    end: int
    to: Shape | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Delaying(Node):
    """Delay. delay : seconds, any shape, () for all alike"""

    delay: Array


Linear = Matrix | Factor | Convolution | Pooling | Flattening | Delaying
AnyNode = Port | Neuron | Linear


def parse(name: str, raw: RawNode, *, nested: bool) -> AnyNode:
    """One raw node, checked.

    Raises
    ------
    LoadError
        naming node and field.
    """
    where = f"{name}.{raw.type}"
    if raw.type not in FIELDS:
        raise UnsupportedError("unknown-node", f"{name}: {raw.type!r} is not a NIR primitive that s2nir knows")
    required, optional = FIELDS[raw.type]
    for key in required:
        if key not in raw.fields:
            raise LoadError(f"{where}.{key}: is missing")
    for key in sorted(raw.fields.keys() - {*required, *optional}):
        raise LoadError(f"{where}.{key}: is no field of {raw.type}; it has {', '.join(required + optional)}")
    common: dict[str, Any] = {"name": name, "type": raw.type, "metadata": raw.metadata}
    if raw.type in NEURONS:
        return _neuron(where, raw, common)
    if raw.type in ("Input", "Output"):
        given = raw.fields["shape"]
        if given is None and raw.type == "Input":
            raise LoadError(f"{where}.shape: is missing; only an Output's shape can be inferred")
        return Port(shape=None if given is None else fields.shape(f"{where}.shape", given), wire=nested, **common)
    parsed: Linear = _PARSERS[raw.type](where, raw.fields, common)
    return parsed


def _neuron(where: str, raw: RawNode, common: dict[str, Any]) -> Neuron:
    required, optional = FIELDS[raw.type]
    params = {k: fields.numbers(f"{where}.{k}", raw.fields[k]) for k in required}
    for key in optional:
        given = raw.fields.get(key)
        default = 1.0 if key == "w_in" else 0.0
        params[key] = np.asarray(default) if given is None else fields.numbers(f"{where}.{key}", given)
    for key in params:
        if key.startswith("tau"):
            fields.positive(f"{where}.{key}", params[key])
    shapes = {k: v.shape for k, v in params.items() if v.ndim}
    if len(set(shapes.values())) > 1:
        said = ", ".join(f"{k} {s}" for k, s in shapes.items())
        raise LoadError(f"{where}: the parameters differ in shape ({said}); needed one shape, or scalars")
    return Neuron(params=params, shape=next(iter(shapes.values()), None), **common)


def _matrix(where: str, given: Mapping[str, Any], common: dict[str, Any]) -> Matrix:
    weight = fields.numbers(f"{where}.weight", given["weight"])
    if weight.ndim < 2:
        raise LoadError(f"{where}.weight: found shape {weight.shape}, needed (..., targets, sources)")
    return Matrix(weight=weight, bias=_bias(where, given.get("bias"), weight.shape[:-1]), **common)


def _bias(where: str, given: Any, needed: Shape) -> Array | None:
    if given is None:
        return None
    bias = fields.numbers(f"{where}.bias", given)
    if bias.shape not in ((), needed):
        raise LoadError(f"{where}.bias: found shape {bias.shape}, needed {needed}")
    return np.broadcast_to(bias, needed) if bias.any() else None


def _scale(where: str, given: Mapping[str, Any], common: dict[str, Any]) -> Factor:
    return Factor(scale=fields.numbers(f"{where}.scale", given["scale"]), **common)


def _delay(where: str, given: Mapping[str, Any], common: dict[str, Any]) -> Delaying:
    delay = fields.numbers(f"{where}.delay", given["delay"])
    if (delay < 0).any():
        raise LoadError(f"{where}.delay: found {delay.min():g} s, needed 0 or more")
    return Delaying(delay=delay, **common)


def _conv(where: str, given: Mapping[str, Any], common: dict[str, Any]) -> Convolution:
    flat = common["type"] == "Conv1d"
    weight = fields.numbers(f"{where}.weight", given["weight"])
    needed = "(out, in / groups, width)" if flat else "(out, in / groups, height, width)"
    if weight.ndim != (3 if flat else 4):
        raise LoadError(f"{where}.weight: found shape {weight.shape}, needed {needed}")
    bias = _bias(where, given["bias"], weight.shape[:1])
    groups = fields.whole(f"{where}.groups", given["groups"], least=1)
    if weight.shape[0] % groups:
        raise LoadError(f"{where}.groups: {groups} does not divide the {weight.shape[0]} output channels")

    def two(key: str, least: int, rest: int) -> tuple[int, int]:
        if flat:
            return rest, fields.whole(f"{where}.{key}", given[key], least)
        return fields.pair(f"{where}.{key}", given[key], least)

    stride, dilation = two("stride", 1, 1), two("dilation", 1, 1)
    padding: tuple[int, int] | None
    if isinstance(given["padding"], str | bytes):
        word = fields.text(f"{where}.padding", given["padding"])
        if word not in ("same", "valid"):
            raise LoadError(f"{where}.padding: found {word!r}, needed 'same', 'valid' or whole numbers")
        if word == "same" and stride != (1, 1):
            raise UnsupportedError(
                "same-with-stride",
                f"{where}: padding 'same' with stride {stride} has no meaning in NIR. Write the padding as numbers.",
            )
        padding = (0, 0) if word == "valid" else None
    else:
        padding = two("padding", 0, 0)
    stored = given.get("input_shape")
    return Convolution(
        weight=weight[:, :, np.newaxis] if flat else weight,
        bias=bias,
        input_shape=None if stored is None else two("input_shape", 1, 1),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        **common,
    )


def _pool(where: str, given: Mapping[str, Any], common: dict[str, Any]) -> Pooling:
    size = fields.pair(f"{where}.kernel_size", given["kernel_size"], 1)
    padding = fields.pair(f"{where}.padding", given["padding"], 0)
    if any(2 * p > k for p, k in zip(padding, size, strict=True)):
        raise LoadError(f"{where}.padding: found {padding}, allowed is half the window {size}")
    return Pooling(size=size, stride=fields.pair(f"{where}.stride", given["stride"], 1), padding=padding, **common)


def _flatten(where: str, given: Mapping[str, Any], common: dict[str, Any]) -> Flattening:
    stored = given.get("input_type")
    return Flattening(
        input_shape=None if stored is None else fields.shape(f"{where}.input_type", stored),
        start=fields.whole(f"{where}.start_dim", given["start_dim"]),
        end=fields.whole(f"{where}.end_dim", given["end_dim"]),
        **common,
    )


_PARSERS: Mapping[str, Any] = {
    "Affine": _matrix,
    "Linear": _matrix,
    "Scale": _scale,
    "Delay": _delay,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
}
