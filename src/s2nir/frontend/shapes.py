"""The shape of what enters and leaves every node, worked out here from the inputs on (NIR's own types are not used).

Shapes that differ only in dimensions of size 1 are taken as equal, with a warning; all else that differs is refused.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import LoadError
from .limits import Budget, Log
from .nesting import Flat
from .nodes import AnyNode, Convolution, Delaying, Factor, Flattening, Matrix, Neuron, Pooling, Port
from .raw import Shape


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shapes:
    """into, out : per node, the shape it hears and the shape it sends"""

    into: Mapping[str, Shape]
    out: Mapping[str, Shape]


def infer(flat: Flat, budget: Budget, log: Log) -> Shapes:
    """Shapes of all nodes.

    Raises
    ------
    LoadError
        naming both nodes and both shapes where an edge does not fit, or the node whose shape nothing tells.
    """
    into: dict[str, Shape] = {}
    out: dict[str, Shape] = {}
    after = flat.after()

    def settle(name: str, found: Shape, source: str) -> None:
        budget.values(flat.nodes[name].where, found)
        into[name] = found
        out[name] = emits(flat.nodes[name], found, source)
        budget.values(flat.nodes[name].where, _padded(flat.nodes[name], found))
        budget.values(flat.nodes[name].where, out[name])

    roots = [n for n in flat.nodes if isinstance(flat.nodes[n], Port) and flat.nodes[n].type == "Input"]
    for root in roots + list(flat.nodes):
        known = accepts(flat.nodes[root])
        if root in into or known is None:
            continue
        settle(root, known, "")
        queue = deque([root])
        while queue:
            name = queue.popleft()
            for nxt in after[name]:
                if nxt not in into:
                    settle(nxt, accepts(flat.nodes[nxt]) or out[name], name)
                    queue.append(nxt)
    for name in flat.nodes:
        if name not in into:
            raise LoadError(f"{flat.nodes[name].where}: no input reaches it and it does not say its shape")
    for a, b in flat.edges:
        _meet(flat.nodes[a], flat.nodes[b], out[a], into[b], log)
    return Shapes(into=into, out=out)


def _meet(a: AnyNode, b: AnyNode, sent: Shape, heard: Shape, log: Log) -> None:
    if sent == heard:
        return
    said = f"{a.where} sends {list(sent)}, {b.where} takes {list(heard)}"
    if [n for n in sent if n != 1] == [n for n in heard if n != 1]:
        log.warn(f"{said}: they differ only in dimensions of size 1, so the values are taken in order")
        return
    hint = ""
    if math.prod(sent) == math.prod(heard):
        hint = ". As many values: a Flatten with start_dim=0 in between (NIR counts no batch axis) would make them fit"
    raise LoadError(f"{said}{hint}")


def accepts(node: AnyNode) -> Shape | None:
    """The shape that a node takes by itself; None where it takes what comes."""
    if isinstance(node, Port | Neuron):
        return node.shape
    if isinstance(node, Matrix):
        return node.weight.shape[:-2] + node.weight.shape[-1:]
    if isinstance(node, Factor):
        return node.scale.shape or None
    if isinstance(node, Delaying):
        return node.delay.shape or None
    if isinstance(node, Flattening):
        return node.input_shape
    if isinstance(node, Convolution) and node.input_shape is not None:
        channels = node.weight.shape[1] * node.groups
        return (channels, *node.input_shape) if node.type == "Conv2d" else (channels, node.input_shape[1])
    return None


def emits(node: AnyNode, given: Shape, source: str = "") -> Shape:
    """The shape that a node sends when it takes `given`."""
    if isinstance(node, Matrix):
        return node.weight.shape[:-1]
    if isinstance(node, Convolution):
        return _conv(node, given, source)
    if isinstance(node, Pooling):
        if len(given) != 3:
            raise LoadError(f"{node.where}: {_from(source)} shape {list(given)}, needed (channels, height, width)")
        windows = (_windows(node, n, p, k, s) for n, p, k, s in
                   zip(given[1:], node.padding, node.size, node.stride, strict=True))
        return given[0], *windows
    if isinstance(node, Flattening):
        return node.to or _flatten(node, given)
    return given


def conv_input(node: Convolution, given: Shape) -> tuple[int, int, int]:
    """A shape as (channels, height, width); a Conv1d's height is 1."""
    return (given[0], 1, given[1]) if node.type == "Conv1d" else (given[0], given[1], given[2])


def conv_padding(node: Convolution) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns added: ((top, left), (top + bottom, left + right)); 'same' adds the odd one at the end."""
    if node.padding is not None:
        return node.padding, (2 * node.padding[0], 2 * node.padding[1])
    kh, kw = node.weight.shape[2:]
    rows, columns = node.dilation[0] * (kh - 1), node.dilation[1] * (kw - 1)
    return (rows // 2, columns // 2), (rows, columns)


def _padded(node: AnyNode, given: Shape) -> Shape:
    """What a convolution or a pool sees, padding included (a stride can hide how much that is)."""
    if isinstance(node, Pooling):
        return given[0], given[1] + 2 * node.padding[0], given[2] + 2 * node.padding[1]
    if isinstance(node, Convolution):
        channels, height, width = conv_input(node, given)
        return channels, height + conv_padding(node)[1][0], width + conv_padding(node)[1][1]
    return given


def _conv(node: Convolution, given: Shape, source: str) -> Shape:
    rank = 2 if node.type == "Conv1d" else 3
    channels = node.weight.shape[1] * node.groups
    if len(given) != rank or given[0] != channels:
        dims = "width" if rank == 2 else "height, width"
        raise LoadError(f"{node.where}: {_from(source)} shape {list(given)}, its weight and groups need "
                        f"({channels} channels, {dims})")
    _, total = conv_padding(node)
    spatial = []
    for n, pad, k, d, s in zip(conv_input(node, given)[1:], total, node.weight.shape[2:], node.dilation, node.stride,
                               strict=True):
        span = d * (k - 1) + 1
        if n + pad < span:
            raise LoadError(f"{node.where}: {_from(source)} shape {list(given)}, smaller than the kernel even with "
                            f"padding ({n} + {pad} < {span})")
        spatial.append((n + pad - span) // s + 1)
    return (node.weight.shape[0], *(spatial if rank == 3 else spatial[1:]))


def _windows(node: Pooling, size: int, pad: int, window: int, stride: int) -> int:
    if size + 2 * pad < window:
        raise LoadError(f"{node.where}: the window {node.size} is larger than the padded input ({size} + {2 * pad})")
    return (size + 2 * pad - window) // stride + 1


def _flatten(node: Flattening, given: Shape) -> Shape:
    rank = len(given)
    start, end = (d + rank if d < 0 else d for d in (node.start, node.end))
    if not 0 <= start < rank or not start <= end < rank:
        raise LoadError(f"{node.where}: start_dim {node.start} and end_dim {node.end} do not lie in the {rank} "
                        f"dimensions of {list(given)} (NIR counts no batch axis)")
    return (*given[:start], math.prod(given[start : end + 1]), *given[end + 1 :])


def _from(source: str) -> str:
    return f"hears from {source}" if source else "takes"
