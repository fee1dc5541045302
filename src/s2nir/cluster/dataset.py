"""A data set that is taken piece by piece: arrays, Events or recordings of event cameras, with labels or without."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Recordings, frames
from ..errors import InputError, needs
from ..events import Arrays, Events, to_arrays
from ..values import digest

PIECE = 64  # recordings in a piece, at most
PIECE_BYTES = 1 << 23  # counts in a piece, at most, where it has more than one recording
OPTIONS = frozenset(inspect.signature(frames).parameters) - {"recordings", "progress", "threads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filmed:
    """Recordings of an event camera that become frames where they are run.

    options : (name, value) of `s2nir.data.frames`
    """

    recordings: Recordings
    options: tuple[tuple[str, Any], ...]

    def part(self, first: int, end: int) -> NDArray[np.uint8]:
        """Frames of some of the recordings."""
        return frames(self.recordings.subset(slice(first, end)), **dict(self.options))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Recordings that an image runs.

    held : by input, Events or (n, steps, size) counts; or Recordings, to be filmed
    labels : int64 (n), or None
    size : sources of all inputs
    """

    held: dict[str, Any] | Filmed
    n: int
    steps: int
    size: int
    labels: NDArray[np.int64] | None

    @property
    def film(self) -> Filmed | None:
        """What workers make recordings of by themselves."""
        return self.held if isinstance(self.held, Filmed) else None

    def part(self, first: int, end: int) -> Any:
        """Recordings from `first` to `end`, as `s2nir.run` takes them; of a film, these two."""
        if isinstance(self.held, Filmed):
            return first, end
        if not self.held:
            return self.steps
        if _any_events(self.held):
            return {n: _cut(v, first, end) for n, v in self.held.items()}
        return Arrays({n: v[first:end] for n, v in self.held.items()}, end - first, self.steps)

    def pieces(self, size: int | None, copies: int, workers: int) -> Iterator[tuple[int, int]]:
        """(first, end) of each piece: whole rounds of the copies, and some pieces for each worker.

        size : recordings in a piece; None for as many as are held at ease
        """
        if size is None:
            size = min(PIECE, PIECE_BYTES // max(1, self.steps * self.size), -(-self.n // (4 * workers)))
        size = max(1, -(-size // copies)) * copies
        return ((first, min(first + size, self.n)) for first in range(0, self.n, size))

    @property
    def digest(self) -> str:
        """SHA-256 of what is run; of recordings that are read or made later, of their name, places and labels."""
        if isinstance(self.held, Filmed):
            r = self.held.recordings
            return digest((r.name, r.labels, r.places, r.sensor, self.held.options))
        return digest((self.held, self.n, self.steps, self.labels))


def dataset(given: Any, inputs: Any, dt: float | None, outputs: Mapping[str, int], framing: Any) -> Dataset:
    """A Dataset of what the user has: (spikes, labels), spikes alone, or Recordings.

    inputs : the input populations; dt : seconds per step; outputs : neurons of each Output that spikes

    Raises
    ------
    InputError
        where spikes do not fit the inputs, or labels the recordings and outputs.
    """
    if isinstance(given, Dataset):
        return given
    shapes = {p.name: p.shape for p in inputs}
    if isinstance(given, Recordings):
        return _filmed(given, shapes, dt, outputs, framing)
    if framing is not None:
        raise InputError("frames: these are the options of s2nir.data.frames, for a data set of s2nir.data.Recordings")
    pair = isinstance(given, tuple) and len(given) == 2
    if _pair_in_a_list(given):
        raise InputError("dataset: found a list of two, needed (spikes, labels) as a tuple, or spikes alone")
    spikes, labels = given if pair else (given, None)
    held, n, steps = _held(spikes, shapes, dt)
    size = sum(int(np.prod(s, dtype=np.int64)) for s in shapes.values())
    return Dataset(held=held, n=n, steps=steps, size=size, labels=_labels(labels, n, outputs))


def _pair_in_a_list(given: Any) -> bool:
    try:
        return isinstance(given, list) and len(given) == 2 and bool(np.ndim(given[1]) == 1 < np.ndim(given[0]))
    except ValueError:  # lists of several lengths
        return False


def _held(spikes: Any, shapes: Mapping[str, Any], dt: float | None) -> tuple[dict[str, Any], int, int]:
    """By input, what can be cut by recording; how many recordings; their steps."""
    given = spikes
    if len(shapes) == 1 and not isinstance(spikes, Mapping):
        given = {next(iter(shapes)): spikes}
    if isinstance(given, Mapping):
        given = {n: _as_bytes(v) for n, v in given.items()}
    if not isinstance(given, dict) or given.keys() != shapes.keys() or not _any_events(given):
        arrays = to_arrays(given, shapes, dt)
        return dict(arrays), arrays.batch, arrays.steps
    held: dict[str, Any] = {}
    for name, value in given.items():  # one by one: what is dense stays so, events stay events
        held |= {name: _ordered(value)} if isinstance(value, Events) else to_arrays(
            {name: value}, {name: shapes[name]}, dt)
    forms = sorted({(v.samples, v.steps) if isinstance(v, Events) else v.shape[:2] for v in held.values()})
    if len(forms) > 1:
        raise InputError(f"inputs differ in (recordings, steps): found {', '.join(map(str, forms))}")
    to_arrays({n: _cut(v, 0, 1) for n, v in held.items()}, shapes, dt)  # says what is wrong before anything runs
    return held, *forms[0]


def _any_events(given: Mapping[str, Any]) -> bool:
    return any(isinstance(v, Events) for v in given.values())


def _as_bytes(value: Any) -> Any:
    """Truth values as counts, in the same memory."""
    return value.view(np.uint8) if isinstance(value, np.ndarray) and value.dtype == bool else value


def _ordered(events: Events) -> Events:
    """The same events, recording by recording."""
    order = np.argsort(events.sample, kind="stable")
    return replace(events, step=events.step[order], index=events.index[order], sample=events.sample[order])


def _cut(value: Any, first: int, end: int) -> Any:
    if not isinstance(value, Events):
        return value[first:end]
    a, b = np.searchsorted(value.sample, (first, end))
    return replace(value, step=value.step[a:b], index=value.index[a:b], sample=value.sample[a:b] - first,
                   samples=end - first)


def _filmed(
    recordings: Recordings, shapes: Mapping[str, Any], dt: float | None, outputs: Mapping[str, int], framing: Any
) -> Dataset:
    """Recordings with the options of their frames; those that the network says are taken from it."""
    found = dict(framing or {})
    needs(framing or {}, dict, "frames", "Pass the options of s2nir.data.frames, as frames={'steps': 75}.")
    if len(shapes) != 1:
        raise InputError(f"the network has {len(shapes)} inputs, recordings go to one: give a dict of arrays by input")
    if not len(recordings):
        raise InputError(f"{recordings.name}: holds no recordings")
    shape = next(iter(shapes.values()))
    if len(shape) != 3 or shape[0] != 2 or shape[1] != shape[2]:
        raise InputError(f"recordings: the network's input has the shape {shape}, frames have (2, size, size)")
    if dt is not None:
        found.setdefault("tick_us", round(dt * 1e6))
    found.setdefault("size", shape[1])
    unknown = sorted(set(found) - OPTIONS)
    missing = sorted({"tick_us", "steps", "size"} - set(found))
    if unknown or missing:
        what = f"no option {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
        raise InputError(f"frames: {what}; allowed are {', '.join(sorted(OPTIONS))}")
    frames(recordings.subset(slice(0, 0)), **found)  # refuses what it cannot take
    if found["size"] != shape[1]:
        raise InputError(f"frames.size: found {found['size']}, the network's input has {shape[1]}")
    return Dataset(
        held=Filmed(recordings=recordings, options=tuple(sorted(found.items()))), n=len(recordings),
        steps=int(found["steps"]), size=2 * shape[1] ** 2, labels=_labels(recordings.labels, len(recordings), outputs),
    )


def _labels(labels: Any, n: int, outputs: Mapping[str, int]) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    if not outputs:
        raise InputError("labels: no output of this network spikes, so there is nothing that a label could name")
    try:
        found = np.asarray(labels)
    except ValueError as error:
        raise InputError(f"labels: needed {n} whole numbers ({error})") from None
    if found.shape != (n,) or found.dtype.kind not in "iu":
        raise InputError(f"labels: found {found.dtype} {found.shape}, needed {n} whole numbers, one for each recording")
    most = max(outputs, key=lambda o: outputs[o])
    bad = np.flatnonzero((found < 0) | (found >= outputs[most]))
    if bad.size:
        raise InputError(f"labels: found {found[bad[0]]} at recording {bad[0]}, allowed 0..{outputs[most] - 1}, the "
                         f"neurons of output {most!r}")
    return found.astype(np.int64)
