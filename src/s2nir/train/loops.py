"""Whole recordings through a module, layer by layer: what has no state takes all steps at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import snntorch as snn
import torch
from torch import Tensor, nn

from ..errors import InputError, needs
from . import fused
from .layers import Way
from .neuron import QLeaky, Quantized

Seen = Callable[[str, Tensor], None]


def over_time(module: nn.Module, x: Tensor, seen: Seen | None = None) -> Tensor:
    """The output spikes of an nn.Sequential for whole recordings, each from rest.

    module : an nn.Sequential (nested ones too) of snnTorch, or of `prepare_qat`
    x : (steps, batch, *shape)
    seen : called with the path and the spikes (steps, batch, *shape) of each neuron

    The same spikes and gradients as a loop over steps that calls `module(x[t])`, in less time: convolutions see all
    steps in one call, and a leaky neuron without a learned decay runs fused. Other neurons are stepped. A batch norm
    in training takes its statistics over all steps at once, which a loop over steps does not. Autocast is off within:
    sums and membranes keep the precision of the module's parameters.

    Returns
    -------
    spikes : (steps, batch, *shape) of the last layer

    Raises
    ------
    InputError
        where the module is no nn.Sequential, or x is no tensor of one step or more.
    """
    needs(x, Tensor, "over_time.x", "Call torch.from_numpy on it.")
    if x.dim() < 3 or not len(x):
        found = tuple(x.shape)
        raise InputError(f"over_time.x: found shape {found}, needed (steps, batch, *shape) with 1 step or more")
    if not isinstance(module, nn.Sequential):
        raise InputError(f"over_time: found a {type(module).__name__}, needed an nn.Sequential; call it step by step")
    with torch.autocast(x.device.type, enabled=False):
        return _through(module, x, seen)


def _through(module: nn.Module, x: Tensor, seen: Seen | None) -> Tensor:
    stepped: dict[int, str] = {}
    for name, layer in _leaves(module, ""):
        if isinstance(layer, snn.SpikingNeuron) and stepped.setdefault(id(layer), name) != name:
            raise InputError(f"over_time: {name} is the same neuron as {stepped[id(layer)]}; make one for each place")
        if isinstance(layer, snn.SpikingNeuron):
            x = _neuron(layer, x)
            if seen is not None:
                seen(name, x)
        else:
            x = _at_once(layer, x)
    return x


def _leaves(module: nn.Module, path: str) -> Any:
    for name, child in module._modules.items():  # named_children leaves out what stands there twice
        if isinstance(child, nn.Sequential):
            yield from _leaves(child, f"{path}{name}.")
        elif child is not None:
            yield path + name, child


def _at_once(layer: nn.Module, x: Tensor) -> Tensor:
    steps, batch = x.shape[:2]
    flat = x.flatten(0, 1)
    if flat.dim() == 4:  # several times as fast on a CPU, and kept by all that follows
        flat = flat.contiguous(memory_format=torch.channels_last)
    if not isinstance(layer, Way):
        weight = getattr(layer, "weight", None)
        kind = flat.dtype if flat.is_floating_point() else torch.float32
        flat = flat.to(weight.dtype if isinstance(weight, Tensor) else kind)
    y = cast(Tensor, layer(flat))
    return y.unflatten(0, (steps, batch))  # type: ignore[no-any-return, no-untyped-call]


def _neuron(layer: Any, x: Tensor) -> Tensor:
    if isinstance(layer, QLeaky) and layer.training and not layer.beta.requires_grad:
        shape = tuple(x.shape[2:])
        bias = layer.bias(shape)
        current = x if bias is None else x + bias
        return fused.leaky(current, layer.decay(), layer.theta(shape), layer.spike_grad, layer.reset_mechanism, False)
    if isinstance(layer, Quantized) and not layer.training and not layer.recurs:
        return layer.core(tuple(x.shape[2:])).run(x).float()
    if type(layer) is snn.Leaky and _plain(layer):
        return fused.leaky(x, layer.beta.clamp(0, 1), layer.threshold, layer.spike_grad, layer.reset_mechanism, True)
    return _stepped(layer, x)


def _plain(layer: Any) -> bool:
    """Whether a Leaky is what the fused recursion computes."""
    return bool(
        layer.reset_delay and not layer.beta.requires_grad and not layer.inhibition and not layer.state_quant
        and not layer.graded_spikes_factor.requires_grad and (layer.graded_spikes_factor == 1).all()
    )


def _stepped(layer: Any, x: Tensor) -> Tensor:
    """A neuron step by step from rest, its own hidden state left as it was."""
    names = [n for n in ("spk", "syn", "mem") if hasattr(layer, n)]
    kept = [getattr(layer, n) for n in names]
    hidden = layer.init_hidden
    layer.init_hidden = True
    try:
        for n in names:
            setattr(layer, n, torch.zeros(0, device=x.device))
        found = []
        for now in x:
            out = layer.advance(now) if isinstance(layer, Quantized) else layer(now)
            found.append(out[0] if isinstance(out, tuple) else out)
        return torch.stack(found)
    finally:
        layer.init_hidden = hidden
        for n, value in zip(names, kept, strict=True):
            setattr(layer, n, value)
