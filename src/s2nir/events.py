"""Events, and any accepted input as counts per population.

Accepted as `spikes`: an array (steps, *shape) or (batch, steps, *shape), a dict of them by input name, Events, or
nir's EventData / TimeGriddedData (known by their fields; nir is not imported). For a network without inputs, which runs
on Poisson drives alone, it is the number of steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import Number, Whole, settle, shown
from .errors import InputError
from .values import freeze_fields

MOST_COUNT = (1 << 16) - 1  # of a source in a step, on any machine
MOST_STEPS = 10_000_000  # of a recording whose length is not given
DT = Number(0, above=True, what="seconds")
MOST_ENTRIES = 1 << 32  # of a dense array of counts


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Events:
    """A list of events of one or several recordings.

    step : int64 (events), the step an event falls in
    index : int64 (events), the source, in C order over the input's shape
    sample : int64 (events), the recording, 0 for a single one
    steps : int, length of every recording
    samples : int
    dt : float, seconds per step they were binned with; None where that is not known
    """

    step: NDArray[np.int64]
    index: NDArray[np.int64]
    sample: NDArray[np.int64]
    steps: int
    samples: int = 1
    dt: float | None = None

    def __repr__(self) -> str:
        return f"<Events: {self.step.size} in {self.samples} recordings of {self.steps} steps>"

    def __post_init__(self) -> None:
        for name in ("step", "index", "sample"):
            object.__setattr__(self, name, _whole(getattr(self, name), f"Events.{name}"))
        freeze_fields(self, step=np.int64, index=np.int64, sample=np.int64)
        settle(self, InputError, steps=Whole(1), samples=Whole(1))
        if self.dt is not None:
            settle(self, InputError, dt=DT)
        if not self.step.shape == self.index.shape == self.sample.shape:
            raise InputError("Events: step, index and sample differ in length")
        for name, values, limit in (("step", self.step, self.steps), ("sample", self.sample, self.samples)):
            if values.size and (values.min() < 0 or values.max() >= limit):
                raise InputError(f"Events.{name}: found {values.min()}..{values.max()}, allowed 0..{limit - 1}")

    @classmethod
    def from_times(
        cls, times: Any, index: Any, *, dt: float, steps: int | None = None, sample: Any = 0, samples: int = 1
    ) -> Events:
        """Bin event times (seconds, from 0) into steps of `dt` seconds.

        An event at the very end of the last step falls into it. `steps` defaults to what the last event needs.
        """
        index = _whole(index, "Events.index")
        try:
            times = np.asarray(times, np.float64)
        except (ValueError, TypeError) as error:
            raise InputError(f"Events.times: needed numbers of seconds ({error})") from None
        dt = DT(dt, "Events.dt", InputError)
        if times.size and (not np.isfinite(times).all() or times.min() < 0):
            raise InputError(f"Events.times: found {times.min()}..{times.max()} s, allowed finite and from 0 up")
        if times.size and steps is None and times.max() / dt >= MOST_STEPS:
            raise InputError(
                f"Events.times: found {times.max():g} s, which is {times.max() / dt:g} steps of {dt:g} s, over "
                f"{MOST_STEPS}. Times are seconds: divide microseconds by 1e6. Pass steps= for a recording as long."
            )
        times = np.minimum(times, dt * 2.0**62)
        step = np.floor(times / dt + 1e-9).astype(np.int64)
        length = int(step.max(initial=0)) + 1 if steps is None else Whole(1)(steps, "Events.steps", InputError)
        step = np.where(times <= length * dt * (1 + 1e-12), np.minimum(step, length - 1), step)
        sample = _whole(sample, "Events.sample")
        if not sample.ndim:
            sample = np.broadcast_to(sample, step.shape)
        return cls(step=step, index=index, sample=sample, steps=length, samples=samples, dt=dt)

    def counts(self, size: int) -> NDArray[Any]:
        """Events per (sample, step, source), in uint8 where that holds them.

        Raises
        ------
        InputError
            where an index is outside, or the array would have more than 2**32 entries.
        """
        entries = self.samples * self.steps * size
        if entries > MOST_ENTRIES:
            raise InputError(
                f"Events: {self.samples} recordings of {self.steps} steps and {size} sources are {entries} entries, "
                f"over {MOST_ENTRIES}. Times are seconds; pass fewer recordings, or shorter ones, at once."
            )
        if self.index.size and (self.index.min() < 0 or self.index.max() >= size):
            raise InputError(f"Events.index: found {self.index.min()}..{self.index.max()}, allowed 0..{size - 1}")
        flat = (self.sample * self.steps + self.step) * size + self.index
        place, number = np.unique(flat, return_counts=True)
        found = np.zeros(entries, np.uint8 if number.max(initial=0) < 256 else np.uint32)
        found[place] = number
        return found.reshape(self.samples, self.steps, size)


class Arrays(dict[str, NDArray[Any]]):
    """Input values by input population: (batch, steps, size), all of one batch and length.

    first : the number of the first recording in the data set that these are a part of; errors count from there
    """

    def __init__(self, values: Mapping[str, NDArray[Any]], batch: int, steps: int, first: int = 0) -> None:
        super().__init__(values)
        self.batch, self.steps, self.first = batch, steps, first

    def part(self, first: int, end: int) -> Arrays:
        """Some of the recordings; they are `spikes` in their turn."""
        end = min(end, self.batch)
        return Arrays({n: a[first:end] for n, a in self.items()}, end - first, self.steps, self.first + first)

    def between(self, first: int, end: int) -> Arrays:
        """Some of the steps, of all recordings."""
        return Arrays({n: a[:, first:end] for n, a in self.items()}, self.batch, end - first, self.first)


def to_arrays(spikes: Any, shapes: Mapping[str, tuple[int, ...]], dt: float | None) -> Arrays:
    """Input values per input population.

    Raises
    ------
    InputError
        where an input is missing or unknown, or a shape, length or batch does not fit.
    """
    if not shapes and isinstance(spikes, Arrays):
        return spikes
    if not shapes:
        return Arrays({}, 1, Whole(1, what="steps", also="; the network has no inputs")(spikes, "spikes", InputError))
    if isinstance(spikes, Mapping):
        for name in sorted(spikes.keys() ^ shapes.keys()):
            found = "is given but is no input of the network" if name in spikes else "is not given"
            raise InputError(f"spikes[{name!r}] {found}; the inputs are {', '.join(sorted(shapes))}")
        given: Mapping[str, Any] = spikes
    elif len(shapes) == 1:
        given = {next(iter(shapes)): spikes}
    else:
        names = ", ".join(sorted(shapes))
        raise InputError(f"the network has {len(shapes)} inputs: give a dict by input name ({names})")
    first = given.first if isinstance(given, Arrays) else 0
    arrays = {name: _one(name, given[name], shapes[name], dt, first) for name in sorted(shapes)}
    forms = {name: a.shape[:2] for name, a in arrays.items()}
    if len(set(forms.values())) > 1:
        raise InputError(f"inputs differ in (batch, steps): {', '.join(f'{n} {f}' for n, f in forms.items())}")
    batch, steps = next(iter(forms.values()))
    return Arrays(arrays, batch, steps, first)


def to_counts(
    spikes: Any, shapes: Mapping[str, tuple[int, ...]], dt: float | None, max_count: int
) -> Arrays:
    """As `to_arrays`, but whole numbers from 0 to `max_count`, as a machine takes them."""
    arrays = to_arrays(spikes, shapes, dt)
    for name, a in arrays.items():
        if a.dtype.kind == "u" and a.max(initial=0) <= max_count:
            continue  # the common case, in one pass
        bad = (a < 0) | (a > max_count)
        if not np.issubdtype(a.dtype, np.integer):
            bad |= a != np.floor(a)
        if bad.any():
            found, where = _first(a, bad, arrays.first)
            more = "Raise max_count in compile." if max_count < found <= MOST_COUNT else (
                "Give counts of events per step" + (f", at most {MOST_COUNT}." if found > MOST_COUNT else "."))
            raise InputError(f"spikes[{name!r}] at {where}: found {found}, a machine takes whole counts from 0 to "
                             f"max_count = {max_count}. {more}")
    held = {n: a if np.issubdtype(a.dtype, np.unsignedinteger) else _narrow(a) for n, a in arrays.items()}
    return Arrays(held, arrays.batch, arrays.steps, arrays.first)


def _first(a: NDArray[Any], bad: NDArray[np.bool_], first: int) -> tuple[Any, str]:
    """The first bad value of a (batch, steps, size) array, and where it stands; `first` : number of its recording 0."""
    batch, step, source = (int(i) for i in np.argwhere(bad)[0])
    return a[batch, step, source], f"(batch, step, source) {(first + batch, step, source)}"


def _narrow(counts: NDArray[Any]) -> NDArray[Any]:
    """Counts that are known to be whole and not below 0, in as few bytes as hold them."""
    return counts.astype(np.uint8 if counts.max(initial=0) < 256 else np.int32)


def _whole(values: Any, where: str) -> NDArray[np.int64]:
    """Whole numbers as int64; others are refused, not cut."""
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and not (array == np.floor(array)).all()):
        first = shown(array.flat[:1].tolist()[0])
        raise InputError(f"{where}: found {array.dtype} values such as {first}, needed whole numbers")
    if not np.isfinite(array).all() or not -(1 << 63) <= int(array.min()) <= int(array.max()) < 1 << 63:
        raise InputError(f"{where}: found {array.min()}..{array.max()}, needed whole numbers of 64 bits")
    return array.astype(np.int64)


def _same_dt(name: str, found: float | None, dt: float | None) -> None:
    """Refuse events that were binned with another time step than the network's."""
    if found is not None and dt is not None and not abs(found / dt - 1) <= 1e-6:
        raise InputError(
            f"spikes[{name!r}]: found steps of {found:g} s, the network has {dt:g} s. Bin with the network's dt, or "
            "pass plain counts per step where the steps are meant to differ."
        )


def _one(name: str, value: Any, shape: tuple[int, ...], dt: float | None, first: int) -> NDArray[Any]:
    """One input as (batch, steps, size); `first` : number of its recording 0, for errors."""
    size = int(np.prod(shape, dtype=np.int64))
    if isinstance(value, Events):
        _same_dt(name, value.dt, dt)
        return value.counts(size)
    if hasattr(value, "n_neurons") and hasattr(value, "dt") and hasattr(value, "data"):
        _same_dt(name, value.dt, dt)
        value = np.asarray(value.data)  # nir's TimeGriddedData: (samples, steps, neurons)
        if value.ndim != 3 or value.shape[2] != size:
            raise InputError(f"spikes[{name!r}]: found {value.shape}, needed (samples, steps, {size})")
    elif hasattr(value, "idx") and hasattr(value, "time") and hasattr(value, "t_max"):
        return _event_data(name, value, size, dt)
    if isinstance(value, str | os.PathLike):
        raise InputError(f"spikes[{name!r}]: found {shown(value)}, needed numbers in an array. Of a path, pass "
                         "numpy.load(path).")
    try:
        array = np.asarray(value)
    except ValueError as error:  # a list of lists of several lengths
        kind = type(value).__name__
        raise InputError(f"spikes[{name!r}]: found a {kind}, needed numbers in an array ({error})") from None
    if array.dtype == bool:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        found = f"{shown(value)}, a {type(value).__name__}" if array.dtype == object else f"dtype {array.dtype}"
        raise InputError(f"spikes[{name!r}]: found {found}, needed numbers in an array")
    for form in (shape, (size,)):
        if array.ndim == len(form) + 1 and array.shape[1:] == form:
            array = array[np.newaxis]
        if array.ndim == len(form) + 2 and array.shape[2:] == form:
            if array.shape[0] < 1 or array.shape[1] < 1:
                raise InputError(f"spikes[{name!r}]: found shape {array.shape}, an empty batch or no steps")
            array = array.reshape(*array.shape[:2], size)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                found, where = _first(array, ~np.isfinite(array), first)
                raise InputError(f"spikes[{name!r}] at {where}: found {found}, needed finite numbers; where nothing "
                                 "arrives, give 0")
            return array
    dims = ", ".join(str(n) for n in shape)
    raise InputError(f"spikes[{name!r}]: found shape {array.shape}, needed (steps, {dims}) or (batch, steps, {dims})")


def _event_data(name: str, value: Any, size: int, dt: float | None) -> NDArray[np.int64]:
    """nir's EventData: idx and time (samples, events), index -1 and time inf where there is none."""
    if dt is None:
        raise InputError(f"spikes[{name!r}]: event times need a time step; the network has no dt. Load it with dt=...")
    if hasattr(value, "value"):
        raise InputError(f"spikes[{name!r}]: events with values (ValuedEventData) are no spikes. Give EventData.")
    if not 0 <= value.t_max / dt < 2**62:
        raise InputError(f"spikes[{name!r}].t_max: found {value.t_max}, allowed finite and from 0 up")
    idx, time = np.asarray(value.idx, np.int64), np.asarray(value.time, np.float64)
    if idx.ndim != 2 or int(value.n_neurons) != size:
        raise InputError(f"spikes[{name!r}]: found {value.n_neurons} neurons, idx {idx.shape}; needed {size} neurons")
    sample, _ = np.nonzero(idx >= 0)
    live = idx >= 0
    steps = max(1, int(np.ceil(float(value.t_max) / dt - 1e-9)))
    return Events.from_times(
        time[live], idx[live], dt=dt, steps=steps, sample=sample, samples=idx.shape[0]
    ).counts(size)


