"""Which weights lead into which neuron, and what pools leave to them: read off a module before it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import snntorch as snn
from torch import nn

from ..errors import UnsupportedError
from ..frontend import trace_module

WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
PASSED = (nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A neuron and the layers with weights that lead into it; all by path.

    ways : path of a layer -> what pools ahead of it leave to its weights
    norms : path of a layer -> path of the batch norm behind it
    first : paths of the layers that hear the input
    """

    neuron: str
    ways: dict[str, float]
    norms: dict[str, str]
    first: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Signal:
    """What travels: spikes times `factor`, or the sums of the layers in `ways`.

    overlaps : whether windows of a pool share spikes; given : whether it comes from the input
    """

    factor: float = 1.0
    overlaps: bool = False
    given: bool = False
    ways: dict[str, float] = field(default_factory=dict)
    norms: dict[str, str] = field(default_factory=dict)


def links(module: nn.Module, input_shape: tuple[int, ...] | None) -> list[Link]:
    """Every neuron of a module with what leads into it.

    Raises
    ------
    UnsupportedError
        where a path between two neurons is not: pools, one layer with weights, at most one batch norm.
    """
    found: list[Link] = []
    first: set[str] = set()
    signals: dict[str, _Signal] = {"input": _Signal(given=True)}
    for name, path, node, op, before in _nodes(module, input_shape):
        heard = [signals[b] for b in before]
        if isinstance(node, snn.SpikingNeuron):
            ways, norms = _merged(name, heard)
            if not ways:
                raise UnsupportedError("qat-path", f"{name}: no layer with weights stands ahead of it. Put a Linear or "
                                                   "a convolution there.")
            found.append(Link(neuron=path, ways=ways, norms=norms, first=frozenset(first & ways.keys())))
            signals[name] = _Signal()
            continue
        given = any(s.given for s in heard)
        if given and isinstance(node, WEIGHTS):
            first.add(path or name)
        signal = _after(path or name, node, op, heard)
        signals[name] = replace(signal, given=given and not signal.ways)
    used = {path for link in found for path in link.ways}
    ends = sorted({path for s in signals.values() for path in s.ways} - used)
    if ends and found:
        raise UnsupportedError("qat-path", f"{ends[0]}: no neuron stands behind it. Put one there.")
    if not found:
        raise UnsupportedError("qat-path", "the module has no neuron of snnTorch: there is nothing to train for a chip")
    return found


def _nodes(
    module: nn.Module, input_shape: tuple[int, ...] | None
) -> Iterator[tuple[str, str, Any, str, tuple[str, ...]]]:
    """(name, path, module, operation, predecessors) in order of execution."""
    if input_shape is not None:
        for traced in trace_module(module, input_shape).nodes:
            yield traced.name, traced.path, traced.module, traced.op, traced.before
        return
    last = "input"
    stateful: dict[int, str] = {}
    for path, child in _chain(module, ""):
        if isinstance(child, (snn.SpikingNeuron, *WEIGHTS, *NORMS)) and stateful.setdefault(id(child), path) != path:
            other = stateful[id(child)]
            raise UnsupportedError("qat-path", f"{path}: is the same module as {other}. Make one for each place.")
        yield path, path, child, "module", (last,)
        last = path


def _chain(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The leaves of nested Sequentials in their order."""
    if not isinstance(module, nn.Sequential):
        raise UnsupportedError("qat-path", f"prepare_qat: a {type(module).__name__} is no nn.Sequential, so its wiring "
                                           "has to be seen in a run. Pass input_shape=, without the batch axis.")
    for name, child in module._modules.items():  # named_children leaves out what stands there twice
        inner = f"{path}{name}"
        if isinstance(child, nn.Sequential):
            yield from _chain(child, inner + ".")
        elif child is not None:
            yield inner, child


def _merged(name: str, heard: list[_Signal]) -> tuple[dict[str, float], dict[str, str]]:
    ways: dict[str, float] = {}
    norms: dict[str, str] = {}
    for signal in heard:
        for path in signal.ways.keys() & ways.keys():
            raise UnsupportedError("qat-path", f"{path}: is added to itself ahead of {name}. Use one for each branch.")
        ways.update(signal.ways)
        norms.update(signal.norms)
    if any(not signal.ways for signal in heard) and ways:
        raise UnsupportedError("qat-path", f"{name}: spikes and weighted sums are added ahead of it. Put a layer with "
                                           "weights on each branch.")
    return ways, norms


def _after(name: str, node: Any, op: str, heard: list[_Signal]) -> _Signal:
    """What a module or operation that is no neuron makes of what it hears."""
    one = heard[0]
    if isinstance(node, WEIGHTS):
        if len(heard) > 1 or one.ways:
            raise UnsupportedError("qat-path", f"{name}: two layers with weights stand in a row ahead of one neuron. "
                                               "Merge them into one, or put a neuron in between.")
        if one.overlaps and isinstance(node, nn.Linear):
            raise UnsupportedError("qat-path", f"{name}: a matrix behind a pool whose windows overlap would add up "
                                               "weights into one of more bits. Use a stride as large as the window.")
        return _Signal(ways={name: one.factor})
    if isinstance(node, NORMS):
        if len(one.ways) != 1 or one.norms:
            raise UnsupportedError("qat-path", f"{name}: a batch norm is folded into the one layer ahead of it; found "
                                               f"{len(one.ways)} layers. Put it directly behind a layer with weights.")
        return _Signal(ways=one.ways, norms=dict.fromkeys(one.ways, name))
    if isinstance(node, nn.AvgPool2d | nn.LPPool2d):
        if one.ways:
            raise UnsupportedError("qat-path", f"{name}: a pool between weights and neuron would make weights of more "
                                               "bits than the layer's. Put the pool behind the neuron.")
        given = node.kernel_size, node.stride or node.kernel_size
        size, stride = (v if isinstance(v, tuple) else (v, v) for v in given)
        overlaps = one.overlaps or any(s < k for s, k in zip(stride, size, strict=True))
        return _Signal(factor=one.factor / pool_divisor(name, node), overlaps=overlaps)
    if op == "add":
        if any(s.ways for s in heard):
            ways, norms = _merged(name, heard)
            return _Signal(ways=ways, norms=norms)
        if len({s.factor for s in heard}) > 1:
            raise UnsupportedError("qat-path", f"{name}: branches with different pools are added ahead of the weights")
        return one
    if isinstance(node, PASSED) or op in ("flatten", "reshape"):
        return one
    kind = f"functional {op}" if node is None else type(node).__name__
    raise UnsupportedError("qat-path", f"{name}: a {kind} has no form in integer training. Linear, Conv1d, Conv2d, "
                                       "batch norms behind them, AvgPool2d, LPPool2d, Flatten and Dropout modules have")


def pool_divisor(name: str, node: Any) -> int:
    """What a pool divides its sums by; the weights behind it take that over."""
    if isinstance(node, nn.LPPool2d):
        if node.norm_type != 1 or node.ceil_mode:
            raise UnsupportedError("qat-path", f"{name}: an LPPool2d of norm {node.norm_type:g} is no sum; use norm 1")
        return 1
    size = node.kernel_size
    height, width = (size, size) if isinstance(size, int) else size
    padded = node.padding not in (0, (0, 0))
    if node.ceil_mode or (padded and not node.count_include_pad and node.divisor_override is None):
        raise UnsupportedError("qat-path", f"{name}: an AvgPool2d with ceil_mode, or with padding and "
                                           "count_include_pad=False, has windows of different sizes")
    return int(node.divisor_override or height * width)
