"""One connection as a chain of NIR nodes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from ..graph import Connection, Conv, Dense, Sparse
from .raw import HINT, RawNode, Shape

Array = NDArray[np.float64]
LARGEST = 1 << 25
"""Values of a matrix that NIR would have to hold in full."""


def guard(where: str, values: int) -> None:
    if values > LARGEST:
        raise UnsupportedError(
            "to-nir-size", f"{where}: NIR would have to hold {values} values in full, allowed are {LARGEST}"
        )


def noted(node: RawNode, **hints: Any) -> RawNode:
    """The node with more of our metadata."""
    more = {HINT + k: v for k, v in hints.items()}
    return RawNode(type=node.type, fields=node.fields, metadata={**node.metadata, **more})


def ones(shape: Shape) -> RawNode:
    return RawNode(type="Scale", fields={"scale": np.ones(shape)})


def delay(shape: Shape, steps: int, dt: float | None) -> RawNode:
    """A delay in seconds; without a dt its steps stand in for them."""
    seconds = steps * (1.0 if dt is None else dt)
    return RawNode(type="Delay", fields={"delay": np.full(shape, seconds)}, metadata={HINT + "steps": steps})


def one_to_one(c: Connection) -> bool:
    """Whether every source reaches the target of the same index, or none."""
    if not isinstance(c, Sparse) or c.sources != c.targets or c.delay.any():
        return False
    source = np.repeat(np.arange(c.sources), np.diff(c.start))
    return bool((source == c.target).all() and np.unique(source).size == source.size)


def with_delay(c: Sparse, extra: int) -> Sparse:
    """The synapses of one delay, as a connection without any."""
    keep = c.delay == extra
    source = np.repeat(np.arange(c.sources), np.diff(c.start))[keep]
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=c.sources))])
    none = np.zeros(int(keep.sum()), np.int64)
    return Sparse(targets=c.targets, start=start, target=c.target[keep], weight=c.weight[keep], delay=none)


def factor(c: Sparse, given: Shape, goal: Shape, forced: bool) -> list[RawNode]:
    """A one-to-one connection as a Scale; `forced` where it would else come back as a convolution."""
    scale = np.zeros(c.targets)
    scale[c.target] = c.weight
    node = RawNode(type="Scale", fields={"scale": scale.reshape(goal)})
    return [*bridge(given, goal), noted(node, form="sparse") if forced else node]


def matrix(c: Connection, given: Shape, goal: Shape) -> list[RawNode]:
    """Any matrix: a Linear onto a row, or a convolution with a stride as large as its input onto channels."""
    assert isinstance(c, Dense | Sparse)
    guard("a projection", c.sources * c.targets)
    weight = c.weight if isinstance(c, Dense) else _full(c)
    form = "dense" if isinstance(c, Dense) else "sparse"
    if len(goal) == 1:
        node = RawNode(type="Linear", fields={"weight": weight})
        return [*bridge(given, (c.sources,)), node if form == "dense" else noted(node, form=form)]
    if len(goal) == 2 and len(given) == 3:
        first = bridge(given, (given[0], given[1] * given[2]))
        return [*first, *matrix(c, (given[0], given[1] * given[2]), goal)]
    if len(goal) != len(given) or len(goal) > 3:
        raise UnsupportedError(
            "to-nir-shape", f"a projection from {list(given)} to {list(goal)}: NIR cannot turn a row into channels"
        )
    return [noted(_as_strided(weight, given, goal), form=form)]


def _as_strided(weight: Array, given: Shape, goal: Shape) -> RawNode:
    """Every target sees the whole input through taps of its own."""
    (c1, h1, w1), (c2, h2, w2) = ((s[0], 1, s[1]) if len(s) == 2 else (s[0], s[1], s[2]) for s in (given, goal))
    six = weight.reshape(c2, h2, w2, c1, h1, w1)[:, ::-1, ::-1].transpose(0, 3, 1, 4, 2, 5)
    kernel = np.ascontiguousarray(six).reshape(c2, c1, h1 * h2, w1 * w2)
    if len(goal) == 2:
        return _conv_node("Conv1d", kernel[:, :, 0], w1, w1, (w2 - 1) * w1, 1, 1)
    padding = np.array([(h2 - 1) * h1, (w2 - 1) * w1])
    return _conv_node("Conv2d", kernel, np.array([h1, w1]), np.array([h1, w1]), padding, np.array([1, 1]), 1)


def _conv_node(kind: str, weight: Array, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> RawNode:
    fields = {"input_shape": shape, "weight": weight, "stride": stride, "padding": padding, "dilation": dilation,
              "groups": groups, "bias": np.zeros(weight.shape[0])}
    return RawNode(type=kind, fields=fields)


def convolution(c: Conv, given: Shape, goal: Shape, alone: bool) -> list[RawNode]:
    """A convolution; a 1x1 one of single channels as a Scale where it comes back as such (`alone`, or after a pool)."""
    chain: list[RawNode] = []
    seen: Shape = c.in_shape
    two = given == c.in_shape
    if c.pool is not None:
        if not two:
            raise _no_words(c, given)
        pool = {"kernel_size": c.pool.size, "stride": c.pool.stride, "padding": c.pool.padding}
        chain.append(RawNode(type="SumPool2d", fields={k: np.array(v) for k, v in pool.items()}))
        seen = c.pooled_shape
    single = c.groups == c.in_shape[0] and c.weight.shape == (c.groups, 1, 1, 1) and seen == c.out_shape
    plain = (c.padding, c.stride, c.dilation) == ((0, 0), (1, 1), (1, 1))
    if single and two and plain and (alone or c.pool is not None):
        scale = np.array(np.broadcast_to(c.weight[:, 0], seen))
        return [*chain, RawNode(type="Scale", fields={"scale": scale}), *bridge(seen, goal)]
    if two:
        padding = _padding(c, seen)
        node = _conv_node("Conv2d", c.weight, np.array(seen[1:]), np.array(c.stride), padding, np.array(c.dilation),
                          c.groups)
        return [*chain, node, *bridge(c.out_shape, goal)]
    flat = (c.in_shape[0], c.in_shape[2])
    if c.in_shape[1] != 1 or c.weight.shape[2] != 1 or (c.stride[0], c.dilation[0], c.padding[0]) != (1, 1, 0):
        raise _no_words(c, given)
    padding = _padding(c, seen)
    node = _conv_node("Conv1d", c.weight[:, :, 0], flat[1], c.stride[1],
                      padding if isinstance(padding, str) else int(padding[1]), c.dilation[1], c.groups)
    return [*bridge(given, flat), node, *bridge((c.out_shape[0], c.out_shape[2]), goal)]


def _padding(c: Conv, seen: Shape) -> Any:
    """The padding in NIR's words: numbers for both sides alike, else 'same'."""
    spans = [d * (k - 1) for d, k in zip(c.dilation, c.weight.shape[2:], strict=True)]
    even = all(
        (n + 2 * p - span - 1) // s + 1 == out
        for n, p, span, s, out in zip(seen[1:], c.padding, spans, c.stride, c.out_shape[1:], strict=True)
    )
    if even:
        return np.array(c.padding)
    if c.stride == (1, 1) and seen[1:] == c.out_shape[1:] and c.padding == (spans[0] // 2, spans[1] // 2):
        return "same"
    said = f"a convolution with padding {c.padding} from {seen} to {c.out_shape}: NIR pads both sides alike"
    raise UnsupportedError("to-nir-shape", said)


def _no_words(c: Conv, given: Shape) -> UnsupportedError:
    said = f"a convolution over {c.in_shape} of a population of shape {list(given)}"
    return UnsupportedError("to-nir-shape", f"{said}: NIR cannot turn a row into channels")


def bridge(given: Shape, goal: Shape) -> list[RawNode]:
    """The Flatten between two shapes, if there must be one."""
    if given == goal or [n for n in given if n != 1] == [n for n in goal if n != 1]:
        return [] if len(given) <= len(goal) else _flatten(given, goal)
    found = _flatten(given, goal)
    if not found:
        raise UnsupportedError("to-nir-shape", f"shape {list(given)} to {list(goal)}: NIR can only flatten")
    return found


def _flatten(given: Shape, goal: Shape) -> list[RawNode]:
    for start in range(len(given)):
        for end in range(start, len(given)):
            if (*given[:start], math.prod(given[start : end + 1]), *given[end + 1 :]) == goal:
                stop = -1 if end == len(given) - 1 else end
                fields = {"input_type": np.array(given), "start_dim": start, "end_dim": stop}
                return [RawNode(type="Flatten", fields=fields)]
    return []


def add_bias(chain: list[RawNode], bias: Array, goal: Shape) -> None:
    """Give a bias (flat) a home at the end of a chain, in place."""
    last = chain[-1]
    if last.type == "Linear":
        chain[-1] = RawNode(type="Affine", fields={**last.fields, "bias": bias}, metadata=last.metadata)
        return
    at = len(chain) - 2 if last.type == "Flatten" and len(chain) > 1 else len(chain) - 1
    if chain[at].type in ("Conv1d", "Conv2d"):
        channels = bias.reshape(chain[at].fields["weight"].shape[0], -1)
        if (channels == channels[:, :1]).all():
            fields = {**chain[at].fields, "bias": np.ascontiguousarray(channels[:, 0])}
            chain[at] = RawNode(type=chain[at].type, fields=fields, metadata=chain[at].metadata)
            return
    guard("a bias", bias.size * goal[-1])
    weight = np.array(np.broadcast_to(np.eye(goal[-1]), (*goal[:-1], goal[-1], goal[-1])))
    node = RawNode(type="Affine", fields={"weight": weight, "bias": bias.reshape(goal)})
    chain.append(noted(node, identity=1))


def _full(c: Sparse) -> Array:
    weight = np.zeros((c.targets, c.sources))
    np.add.at(weight, (c.target, np.repeat(np.arange(c.sources), np.diff(c.start))), c.weight)
    return weight
