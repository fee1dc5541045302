"""Population, Projection, Conv2DProjection and Network: every argument is checked where it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExportError
from .limits import GEOMETRY, MODELS, MOST_PER_CORE, PER_CORE, RECORDS, RESETS, SOURCES


class Population:
    """Neurons of one model, or a list of spikes.

    params : of a spike_list, {source: [ticks]}; of neurons, by name, one number or one for each neuron
    record : "spikes" and "v", of neurons
    """

    def __init__(
        self, size: int, neuron_model: str, params: dict[Any, Any], name: str, record: Any = (),
    ) -> None:
        self.where = f"Population {name!r}"
        if not isinstance(name, str) or not name:
            raise ExportError(f"Population: name {name!r}, needed text")
        if neuron_model not in (SOURCES, *MODELS):
            known = ", ".join(map(repr, (SOURCES, *MODELS)))
            raise ExportError(f"{self.where}: neuron_model {neuron_model!r} is not known; known are {known}")
        self.size = whole(size, f"{self.where}: size", 1)
        self.name, self.neuron_model, self.cap = name, neuron_model, PER_CORE
        if not isinstance(params, dict):
            raise ExportError(f"{self.where}: params are a {type(params).__name__}, needed a dict")
        if not isinstance(record, list | tuple) or not set(record) <= set(RECORDS):
            raise ExportError(f"{self.where}: record {record!r}, allowed are {RECORDS}")
        if neuron_model == SOURCES and record:
            raise ExportError(f"{self.where}: a spike_list records nothing, found {record!r}")
        self.record = tuple(record)
        self.params: dict[Any, Any] = self._sources(params) if neuron_model == SOURCES else self._neurons(params)
        self.spikes: dict[int, list[int]] | None = None
        self.voltages: dict[int, NDArray[np.float32]] | None = None

    def set_max_atoms_per_core(self, n: int) -> None:
        """How many neurons a core takes, from 1 to 256."""
        self.cap = whole(n, f"{self.where}: set_max_atoms_per_core", 1, MOST_PER_CORE)

    def get_spikes(self) -> dict[int, list[int]]:
        """Ticks of the spikes of every neuron."""
        return dict(self._kept(self.spikes, "spikes"))

    def get_voltages(self) -> dict[int, NDArray[np.float32]]:
        """Membranes of every neuron, after each tick."""
        return dict(self._kept(self.voltages, "v"))

    def _kept(self, held: Any, what: str) -> Any:
        if what not in self.record:
            raise ExportError(f"{self.where}: {what!r} is not in its record {self.record}")
        if held is None:
            raise ExportError(f"{self.where}: has not run")
        return held

    def _sources(self, params: dict[Any, Any]) -> dict[int, NDArray[np.int64]]:
        found = {}
        for source, ticks in params.items():
            i = whole(source, f"{self.where}: source", 0, self.size - 1)
            if not isinstance(ticks, list):
                raise ExportError(f"{self.where}: ticks of source {i} are a {type(ticks).__name__}, needed a list")
            at = [whole(t, f"{self.where}: a tick of source {i}", 0) for t in ticks]
            if any(b <= a for a, b in zip(at, at[1:], strict=False)):
                raise ExportError(f"{self.where}: ticks of source {i} do not rise; a source sends one packet in a tick")
            found[i] = np.array(at, np.int64)
        return found

    def _neurons(self, params: dict[Any, Any]) -> dict[str, Any]:
        model = MODELS[self.neuron_model]
        for name in params:
            if name not in model.allowed:
                raise ExportError(f"{self.where}: parameter {name!r} is none of {self.neuron_model}; it has "
                                  f"{', '.join(sorted(model.allowed))}")
        for name in sorted(model.needed - params.keys()):
            raise ExportError(f"{self.where}: parameter {name!r} is left to a default; give it")
        found: dict[str, Any] = {"v_init": np.zeros(self.size, np.float32)}
        for name, value in params.items():
            where = f"{self.where}: {name}"
            if name == "reset":
                if value not in RESETS:
                    raise ExportError(f"{where} {value!r}, allowed are {RESETS}")
                found[name] = value
            elif name == "t_refrac":
                found[name] = whole(value, where, 0)
            else:
                found[name] = self._numbers(value, where, 1.0 if name.endswith("decay") else None)
        if model.current_based and not np.array_equal(found["exc_decay"], found["inh_decay"]):
            raise ExportError(f"{self.where}: exc_decay and inh_decay differ; how a board adds the two is not known")
        return found

    def _numbers(self, value: Any, where: str, most: float | None) -> NDArray[np.float32]:
        """One float32 for each neuron."""
        array = np.asarray(value)
        if array.dtype.kind not in "iuf" or array.shape not in ((), (self.size,)):
            raise ExportError(f"{where}: found {array.dtype} of shape {array.shape}, needed a number or ({self.size},)")
        with np.errstate(over="ignore"):
            held = np.broadcast_to(array.astype(np.float32), (self.size,)).copy()
        if not np.isfinite(held).all():
            raise ExportError(f"{where}: not finite as float32")
        if most is not None and ((held < 0) | (held > most)).any():
            raise ExportError(f"{where}: found {held.min()}..{held.max()}, allowed 0..1")
        return held


class Projection:
    """Synapses from a list: [source, target, weight, delay] of each; a spike acts delay + 1 ticks later."""

    def __init__(self, pre: Population, post: Population, connections: list[Any]) -> None:
        self.where = ends("Projection", pre, post)
        self.pre, self.post = pre, post
        if post.neuron_model == "lif_conv2d":
            raise ExportError(f"{self.where}: lif_conv2d takes a Conv2DProjection alone")
        if not isinstance(connections, list) or not connections:
            raise ExportError(f"{self.where}: connections are a {type(connections).__name__}, needed a list with some")
        try:
            table = np.array(connections)
        except ValueError:
            table = np.zeros(0)
        if table.ndim != 2 or table.shape[1] != 4:
            raise ExportError(f"{self.where}: connections are no list of [source, target, weight, delay]")
        if table.dtype.kind not in "iu":
            raise ExportError(f"{self.where}: connections hold {table.dtype}, needed whole numbers; a board would cut "
                              "weights toward zero")
        model = MODELS[post.neuron_model]
        span = ((0, pre.size - 1), (0, post.size - 1), (-model.weight, model.weight), (0, model.delay))
        for name, column, (low, high) in zip(("source", "target", "weight", "delay"), table.T, span, strict=True):
            if column.min() < low or column.max() > high:
                bad = column[(column < low) | (column > high)][0]
                raise ExportError(f"{self.where}: {name} {bad}, {post.neuron_model} allows {low}..{high}")
        pair = table[:, 0].astype(np.int64) * post.size + table[:, 1]
        if np.unique(pair).size < pair.size:
            raise ExportError(f"{self.where}: a pair of neurons stands twice in its connections")
        self.table = table.astype(np.int64)


class Conv2DProjection:
    """A convolution with a sum pool ahead; weights int8 (channels in, channels out, height, width)."""

    def __init__(self, pre: Population, post: Population, weights: NDArray[np.int8], params: dict[str, int]) -> None:
        self.where = ends("Conv2DProjection", pre, post)
        self.pre, self.post = pre, post
        if post.neuron_model != "lif_conv2d":
            raise ExportError(f"{self.where}: leads into {post.neuron_model}, needed lif_conv2d")
        if not isinstance(weights, np.ndarray) or weights.dtype != np.int8 or weights.ndim != 4 or not weights.size:
            kind = f"{weights.dtype} of shape {weights.shape}" if isinstance(weights, np.ndarray) else type(weights)
            raise ExportError(f"{self.where}: weights are {kind}, needed int8 (channels in, channels out, height, "
                              "width)")
        if weights.min() < -127:
            raise ExportError(f"{self.where}: weight -128, allowed -127..127")
        if not isinstance(params, dict) or set(params) != set(GEOMETRY):
            odd = sorted(set(params) ^ set(GEOMETRY)) if isinstance(params, dict) else params
            raise ExportError(f"{self.where}: params have too much or too little: {odd}; needed are {GEOMETRY}")
        g = {k: whole(v, f"{self.where}: {k}", 0 if k.startswith("pad") else 1) for k, v in params.items()}
        if g["stride_x"] != g["stride_y"] or g["pool_x"] != g["pool_y"]:
            raise ExportError(f"{self.where}: strides or pools along x and y differ; which is which is not known")
        if g["in_height"] % g["pool_y"] or g["in_width"] % g["pool_x"]:
            raise ExportError(f"{self.where}: the pool does not divide the input")
        c_in, c_out, kh, kw = weights.shape
        if c_in * g["in_height"] * g["in_width"] != pre.size:
            raise ExportError(f"{self.where}: the input is {c_in} x {g['in_height']} x {g['in_width']}, "
                              f"{pre.name!r} has {pre.size} neurons")
        height = (g["in_height"] // g["pool_y"] + g["pad_top"] + g["pad_bottom"] - kh) // g["stride_y"] + 1
        width = (g["in_width"] // g["pool_x"] + g["pad_left"] + g["pad_right"] - kw) // g["stride_x"] + 1
        if height < 1 or width < 1 or c_out * height * width != post.size:
            raise ExportError(f"{self.where}: the output is {c_out} x {height} x {width}, {post.name!r} has "
                              f"{post.size} neurons")
        self.weights, self.geometry, self.out = weights.copy(), g, (height, width)


class Network:
    """Populations and projections that run together."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise ExportError(f"Network: name {name!r}, needed text")
        self.name = name
        self.populations: list[Population] = []
        self.projections: list[Projection | Conv2DProjection] = []

    def add(self, *parts: Any) -> None:
        """Add populations and projections, each once, no two populations of one name."""
        for part in parts:
            if not isinstance(part, Population | Projection | Conv2DProjection):
                raise ExportError(f"Network.add: found a {type(part).__name__}, needed populations and projections")
            held: list[Any] = self.populations if isinstance(part, Population) else self.projections
            if any(part is other for other in held):
                raise ExportError(f"Network.add: {part.where} is there already")
            if isinstance(part, Population) and any(p.name == part.name for p in self.populations):
                raise ExportError(f"Network.add: a population {part.name!r} is there already")
            held.append(part)


def ends(kind: str, pre: Any, post: Any) -> str:
    """What a projection is called, once it leads from a population to neurons."""
    for side, p in (("pre", pre), ("post", post)):
        if not isinstance(p, Population):
            raise ExportError(f"{kind}: {side} is a {type(p).__name__}, needed a Population")
    if post.neuron_model == SOURCES:
        raise ExportError(f"{kind}: leads into {post.name!r}, which is a spike_list")
    return f"{kind} {pre.name!r} -> {post.name!r}"


def whole(value: Any, where: str, least: int, most: int | None = None) -> int:
    """A whole number within its limits; no float, no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ExportError(f"{where}: found {value!r}, needed a whole number")
    if value < least or (most is not None and value > most):
        raise ExportError(f"{where}: found {value}, allowed {least}..{'' if most is None else most}")
    return int(value)
