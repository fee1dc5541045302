"""torch's layers as the frontend's nodes: a layer may take several of them, in a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadError, UnsupportedError
from .nodes import AnyNode, Convolution, Factor, Flattening, Matrix, parse
from .raw import RawNode
from .snntorch_marks import OURS
from .snntorch_neurons import number, spread
from .snntorch_trace import Shape, TracedNode, need_torch

Array = NDArray[np.float64]
DROPPED = ("Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
REMEDIES = {
    "MaxPool1d": "A maximum is not linear: use AvgPool1d, or a stride in the convolution",
    "MaxPool2d": "A maximum is not linear: use AvgPool2d, or a stride in the convolution",
    "AdaptiveAvgPool2d": "Use AvgPool2d with the window as numbers",
    "AdaptiveMaxPool2d": "A maximum is not linear: use AvgPool2d with the window as numbers",
    "ReLU": "Only spikes travel: put a neuron there, or leave it out",
    "ConvTranspose2d": "Use Conv2d",
    "LayerNorm": "It looks at values while the network runs: use BatchNorm, which is folded",
    "GroupNorm": "It looks at values while the network runs: use BatchNorm, which is folded",
    "InstanceNorm2d": "It looks at values while the network runs: use BatchNorm2d, which is folded",
}


def read_layer(name: str, module: Any, into: Shape, out: Shape) -> list[AnyNode]:
    """A layer as nodes in a row, the last of them with the layer's name; none where it leaves the values as they are.

    Raises
    ------
    LoadError
        naming module and parameter; its child UnsupportedError where a layer, or an option, is not linear or not known.
    """
    torch = need_torch()
    kind = type(module).__name__
    where = f"{name}.{kind}"
    if is_ours(module):
        return _elementwise(name, where, module, into)
    if type(module) not in {getattr(torch.nn, k, None) for k in (*_READERS, *DROPPED)}:
        base = next((c.__name__ for c in type(module).__mro__[1:] if c.__name__ in _READERS), "")
        said = f"is made from {base}, and may do otherwise" if base else "is no layer that s2nir takes"
        remedy = REMEDIES.get(kind, "See docs/supported-nodes.md for those that are")
        if hasattr(module, "belongs_to"):
            remedy = "prepare_qat made it: s2nir.train.convert takes such a module"
        if kind.startswith("Parametrized"):
            remedy = "Call torch.nn.utils.parametrize.remove_parametrizations on it"
        raise UnsupportedError("snntorch-layer", f"{where}: a {kind} {said}. {remedy}.")
    if kind in DROPPED:
        return []
    for key in ("weight", "bias"):
        if key in vars(module):
            raise _option(f"{where}.{key}", "is worked out in a hook", "Call torch.nn.utils.remove_weight_norm, or "
                          "prune.remove, on the layer")
    return _READERS[kind](name, where, module, into, out)


def read_op(traced: TracedNode, into: Shape) -> list[AnyNode]:
    """A functional op as nodes in a row."""
    name, options = traced.name, dict(traced.options)
    if traced.op in ("flatten", "reshape"):
        return [_reshape(name, into, traced.shape)]
    if traced.op == "add":
        return [Factor(name=name, type="Add", scale=np.ones(()))]
    if traced.op == "scale":
        return [Factor(name=name, type="Scale", scale=np.asarray(float(options["factor"])))]
    torch = need_torch()
    return _average(name, f"{name}.avg_pool2d", torch.nn.AvgPool2d(**options), into, traced.shape)


def is_ours(module: Any) -> bool:
    """Whether a module is the layer that `to_snntorch` makes for what torch has no layer for."""
    return type(module).__name__ == OURS and type(module).__module__ == f"{__package__}.snntorch_module"


def _elementwise(name: str, where: str, module: Any, into: Shape) -> list[AnyNode]:
    one = np.ones(()) if module.weight is None else spread(f"{where}.weight", module.weight, into)
    bias = None if module.bias is None else spread(f"{where}.bias", module.bias, into)
    return [Factor(name=name, type="Scale", scale=one, bias=bias)]


def _option(where: str, found: str, remedy: str) -> UnsupportedError:
    return UnsupportedError("snntorch-option", f"{where}: {found}, which is not taken. {remedy}.")


def _tensor(where: str, value: Any) -> Array | None:
    return None if value is None else number(where, value)


def _linear(name: str, where: str, module: Any, into: Shape, out: Shape) -> list[AnyNode]:
    weight, bias = number(f"{where}.weight", module.weight), _tensor(f"{where}.bias", module.bias)
    lead = into[:-1]
    weight = np.broadcast_to(weight, (*lead, *weight.shape))
    bias = None if bias is None or not bias.any() else np.broadcast_to(bias, (*lead, *bias.shape))
    return [Matrix(name=name, type="Linear" if bias is None else "Affine", weight=weight, bias=bias)]


def _conv(name: str, where: str, module: Any, into: Shape, out: Shape) -> list[AnyNode]:
    if module.padding_mode != "zeros":
        raise _option(f"{where}.padding_mode", f"is {module.padding_mode!r}", "Use 'zeros'")
    kind = type(module).__name__
    flat = kind == "Conv1d"
    weight, bias = number(f"{where}.weight", module.weight), _tensor(f"{where}.bias", module.bias)
    given = {
        "weight": weight,
        "bias": np.zeros(weight.shape[0]) if bias is None else bias,
        "stride": module.stride[0] if flat else module.stride,
        "padding": module.padding if isinstance(module.padding, str) else module.padding[0] if flat else module.padding,
        "dilation": module.dilation[0] if flat else module.dilation,
        "groups": module.groups,
    }
    node = parse(name, RawNode(type=kind, fields=given), nested=False)
    assert isinstance(node, Convolution)
    return [node]


def check_norm(where: str, module: Any) -> None:
    """Refuse a BatchNorm that works with the statistics of each batch."""
    if module.running_mean is None or module.running_var is None:
        raise _option(f"{where}.track_running_stats", "is False", "Train it with running statistics, which are folded")


def _norm(name: str, where: str, module: Any, into: Shape, out: Shape) -> list[AnyNode]:
    """Running statistics as a factor and a bias per channel, as in eval mode."""
    check_norm(where, module)
    mean, var = number(f"{where}.running_mean", module.running_mean), number(f"{where}.running_var", module.running_var)
    scale = 1.0 / np.sqrt(var + module.eps)
    if module.weight is not None:
        scale = scale * number(f"{where}.weight", module.weight)
    bias = -mean * scale
    if module.bias is not None:
        bias = bias + number(f"{where}.bias", module.bias)
    each = (-1, *(1 for _ in into[1:]))
    full = [np.array(np.broadcast_to(a.reshape(each), into)) for a in (scale, bias)]
    if not (np.isfinite(full[0]).all() and np.isfinite(full[1]).all()):
        raise LoadError(f"{where}: its factors are not finite; running_var + eps must be above 0")
    return [Factor(name=name, type=type(module).__name__, scale=full[0], bias=full[1] if full[1].any() else None)]


def _average(name: str, where: str, module: Any, into: Shape, out: Shape) -> list[AnyNode]:
    flat = type(module).__name__ == "AvgPool1d"
    window, stride, padding = (_two(v, flat) for v in (module.kernel_size, module.stride, module.padding))
    padding = (0, padding[1]) if flat else padding
    divisor = getattr(module, "divisor_override", None)
    if module.ceil_mode:
        raise _option(f"{where}.ceil_mode", "is True", "Windows that leave the input are dropped: use ceil_mode=False")
    if not module.count_include_pad and any(padding) and divisor is None:
        raise _option(f"{where}.count_include_pad", "is False with padding", "Windows at the rim would have factors of "
                      "their own: use count_include_pad=True")
    if divisor is not None:
        return _pool(name, "SumPool2d", window, stride, padding, 1.0 / divisor, into, out)
    return _pool(name, "AvgPool2d", window, stride, padding, 1.0, into, out)


def _power(name: str, where: str, module: Any, into: Shape, out: Shape) -> list[AnyNode]:
    flat = type(module).__name__ == "LPPool1d"
    if module.norm_type != 1:
        raise _option(f"{where}.norm_type", f"is {module.norm_type}", "Only norm_type=1, the sum, is linear")
    if module.ceil_mode:
        raise _option(f"{where}.ceil_mode", "is True", "Windows that leave the input are dropped: use ceil_mode=False")
    stride = module.kernel_size if module.stride is None else module.stride
    return _pool(name, "SumPool2d", _two(module.kernel_size, flat), _two(stride, flat), (0, 0), 1.0, into, out)


def _two(value: Any, flat: bool) -> tuple[int, int]:
    both = tuple(value) if isinstance(value, tuple | list) else (value,) * (1 if flat else 2)
    return (1, int(both[0])) if flat else (int(both[0]), int(both[1]))


def _pool(
    name: str,
    kind: str,
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    factor: float,
    into: Shape,
    out: Shape,
) -> list[AnyNode]:
    """A pool, between two changes of shape where its input is (channels, width), and a factor behind it."""
    given = {"kernel_size": window, "stride": stride, "padding": padding}
    nodes: list[Callable[[str], AnyNode]] = [lambda n: parse(n, RawNode(type=kind, fields=given), nested=False)]
    if len(into) == 2:
        nodes.insert(0, lambda n: _reshape(n, into, (into[0], 1, into[1])))
        nodes.append(lambda n: _reshape(n, (out[0], 1, out[1]), out))
    if factor != 1:
        nodes.append(lambda n: Factor(name=n, type="Scale", scale=np.asarray(factor)))
    return [make(name if i == len(nodes) - 1 else f"{name}.{i}") for i, make in enumerate(nodes)]


def _shaped(name: str, where: str, module: Any, into: Shape, out: Shape) -> list[AnyNode]:
    return [] if into == out else [_reshape(name, into, out)]


def _reshape(name: str, into: Shape, out: Shape) -> AnyNode:
    assert math.prod(into) == math.prod(out)
    to = None if out == (math.prod(into),) else out
    return Flattening(name=name, type="Flatten", input_shape=into, start=0, end=-1, to=to)


_READERS: Mapping[str, Callable[[str, str, Any, Shape, Shape], list[AnyNode]]] = {
    "Linear": _linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "BatchNorm1d": _norm,
    "BatchNorm2d": _norm,
    "AvgPool1d": _average,
    "AvgPool2d": _average,
    "LPPool1d": _power,
    "LPPool2d": _power,
    "Flatten": _shaped,
    "Unflatten": _shaped,
}
