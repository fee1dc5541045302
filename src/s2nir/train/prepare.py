"""A module made ready for training in integers: its weights and neurons change places with s2nir's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..errors import QuantizeError, UnsupportedError, needs
from ..frontend import copy_module
from ..quantize import QAT, Per
from . import structure
from .layers import QConv1d, QConv2d, QLinear, QOneToOne, SumPool, Way
from .neuron import KINDS, RESETS
from .scale import Scale

LAYERS: dict[type, type] = {nn.Linear: QLinear, nn.Conv1d: QConv1d, nn.Conv2d: QConv2d}


def prepare_qat(module: nn.Module, options: QAT | None = None, input_shape: tuple[int, ...] | None = None) -> nn.Module:
    """A copy of a module that trains as it did, in integers.

    module : an nn.Sequential, or any module that `s2nir.from_snntorch` can trace; it is not changed
    options : `s2nir.QAT(bits=..., ...)`
    input_shape : of one step of one recording; needed unless the module is an nn.Sequential

    The copy is called as the module was and trained by the same loop. Its scales start as post-training quantization
    would have them. Batch norms are folded in and stay fixed. Resets become immediate. After `eval()` it runs in whole
    numbers, and `convert` takes it to a Network.

    Raises
    ------
    UnsupportedError
        rule qat-path or qat-neuron of docs/supported-nodes.md.
    """
    options = options or QAT()
    needs(module, nn.Module, "prepare_qat", "Give the snnTorch module itself.")
    needs(options, QAT, "prepare_qat", "Pass the options as s2nir.QAT(bits=..., ...).")
    if is_prepared(module):
        raise QuantizeError("prepare_qat: the module is prepared already. Train it on, or prepare the float one again.")
    made: nn.Module = copy_module(module)
    found = structure.links(made, input_shape)
    names = dict(made.named_modules())
    _once(found)
    _untied(found, names)
    _bare(found, names)
    for link in found:
        ways = [_layer(names[path], path, factor) for path, factor in link.ways.items()]
        for way in ways:
            way.first = way.name in link.first
        for path, norm in link.norms.items():
            _fold(names[path], names[norm], norm)
            _replace(made, norm, nn.Identity())
        neuron = names[link.neuron]
        ways += _recurrent(neuron, link.neuron, ways, options)
        _alike(link.neuron, ways, options)
        scale = Scale(options, tuple(ways))
        for way in ways:
            way.belongs_to(scale)
        _neuron(neuron, link.neuron, tuple(ways), scale)
    for path, node in list(made.named_modules(remove_duplicate=False)):
        if isinstance(node, nn.AvgPool2d | nn.LPPool2d):
            divisor = structure.pool_divisor(path, node)
            _replace(made, path, SumPool(node.kernel_size, node.stride, getattr(node, "padding", 0), divisor))
    made.train(module.training)
    return made


def freeze_observers(module: nn.Module, frozen: bool = True) -> None:
    """Hold scales that follow the weights where they are, for the end of a training; `eval()` always does."""
    for scale in module.modules():
        if isinstance(scale, Scale):
            scale.frozen = frozen


def is_prepared(module: nn.Module) -> bool:
    """Whether `prepare_qat` made it."""
    return any(isinstance(m, Way) for m in module.modules())


def _once(found: list[structure.Link]) -> None:
    """A layer that leads into two neurons would need two scales."""
    seen: dict[str, str] = {}
    for link in found:
        for path in link.ways:
            if path in seen:
                raise UnsupportedError("qat-path", f"{path}: leads into both {seen[path]} and {link.neuron}, whose "
                                                   "scales differ. Give each a layer of its own.")
            seen[path] = link.neuron


def _untied(found: list[structure.Link], names: dict[str, Any]) -> None:
    """Two layers that share their weights would need two scales for them."""
    seen: dict[int, str] = {}
    for path in (path for link in found for path in link.ways):
        other = seen.setdefault(id(names[path].weight), path)
        if other != path:
            raise UnsupportedError("qat-path", f"{path}: shares its weights with {other}. Give each its own.")


def _bare(found: list[structure.Link], names: dict[str, Any]) -> None:
    """Weights that a hook works out anew ahead of each step would overwrite what is trained."""
    ways = [path for link in found for path in (*link.ways, *link.norms.values(), f"{link.neuron}.recurrent")]
    for path in ways:
        for key in ("weight", "bias", "V"):
            if path in names and key in vars(names[path]):
                raise UnsupportedError("qat-path", f"{path}.{key}: is worked out in a hook. Call torch.nn.utils.prune."
                                                   "remove, or remove_weight_norm, on the layer; then prepare it.")


def _layer(node: Any, path: str, factor: float) -> Way:
    if type(node) not in LAYERS:
        kinds = ", ".join(k.__name__ for k in LAYERS)
        raise UnsupportedError("qat-path", f"{path}: a {type(node).__name__} is not one of {kinds}")
    if getattr(node, "padding_mode", "zeros") != "zeros":
        raise UnsupportedError("qat-path", f"{path}: padding_mode {node.padding_mode!r}; a chip pads with zeros")
    node.__class__ = LAYERS[type(node)]
    way: Way = node
    way.take(path, factor)
    return way


def _recurrent(neuron: Any, path: str, ways: list[Way], options: QAT) -> list[Way]:
    inner = getattr(neuron, "recurrent", None)
    if inner is None:
        return []
    where = f"{path}.recurrent"
    if isinstance(inner, nn.Linear | nn.Conv2d):
        return [_layer(inner, where, 1.0)]
    inner.__class__ = QOneToOne
    inner.take(where, 1.0)
    inner.fan = ways[0].kernel.shape[0]
    return [inner]


def _alike(name: str, ways: list[Way], options: QAT) -> None:
    rows = {way.name: way.kernel.shape[0] for way in ways}
    if options.per is Per.CHANNEL and len(set(rows.values())) > 1:
        said = ", ".join(f"{n} has {r}" for n, r in rows.items())
        raise QuantizeError(f"{name}: what leads into it counts channels differently ({said}). Use per=\"population\".")


def _neuron(neuron: Any, path: str, ways: tuple[Way, ...], scale: Scale) -> None:
    if type(neuron) not in KINDS:
        kinds = ", ".join(k.__name__ for k in KINDS)
        raise UnsupportedError("qat-neuron", f"{path}: a {type(neuron).__name__} is not one of {kinds}")
    graded = getattr(neuron, "graded_spikes_factor", torch.ones(()))
    for fault, said in (
        (neuron.inhibition, "inhibition"),
        (neuron.state_quant, "state_quant"),
        (bool((graded != 1).any()) or isinstance(graded, nn.Parameter), "graded spikes"),
        (neuron.reset_mechanism not in RESETS, f"reset {neuron.reset_mechanism!r}"),
    ):
        if fault:
            raise UnsupportedError("qat-neuron", f"{path}: {said} has no form on the chip. Build it without.")
    neuron.__class__ = KINDS[type(neuron)]
    neuron.take(path, ways, scale)


@torch.no_grad()
def _fold(layer: Any, norm: Any, name: str) -> None:
    """A batch norm in `eval()` as a factor and a bias of the layer ahead of it."""
    if norm.running_mean is None:
        raise UnsupportedError("qat-path", f"{name}: a batch norm without running statistics cannot be folded")
    rows = layer.weight.shape[0]
    if norm.num_features != rows:
        raise UnsupportedError("qat-path", f"{name}: a batch norm of {norm.num_features} features behind a layer of "
                                           f"{rows} channels is no factor per channel. Put it directly behind the "
                                           "layer, ahead of Flatten.")
    factor = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight
    bias = torch.zeros_like(norm.running_mean) if layer.bias is None else layer.bias
    bias = (bias - norm.running_mean) * factor
    if norm.bias is not None:
        bias = bias + norm.bias
    layer.weight.copy_(layer.weight * factor.reshape(-1, *[1] * (layer.weight.dim() - 1)))
    layer.bias = nn.Parameter(bias.clone())


def _replace(root: nn.Module, path: str, node: nn.Module) -> None:
    parent, _, last = path.rpartition(".")
    setattr(root.get_submodule(parent), last, node)


__all__ = ["freeze_observers", "is_prepared", "prepare_qat"]
