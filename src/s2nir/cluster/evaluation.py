"""An image on a whole data set: decisions, spikes, packets and synaptic events of every recording."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Whole, listener
from ..cost import synapses_per_core
from ..emulate import Recording, program, run
from ..errors import ImageError, InputError, RunError, needs
from ..events import to_arrays
from ..graph import noises
from ..mapping import MachineImage
from ..values import FrozenMap, Noun, freeze_fields
from .dataset import Dataset, Filmed, dataset
from .workers import Workers, each, workers

_decoding = threading.Lock()  # threads of one worker decode an image once
_fanouts: weakref.WeakKeyDictionary[MachineImage, NDArray[np.int64]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Evaluation(Noun):
    """What an image does on a data set; equal to another where every number is.

    image : digest of the image; steps, ticks : of each recording, as in `Recording`
    labels : int64 (n), or None where there are none
    decisions : by Output that spikes, int64 (n), the neuron with most spikes, ties to the lowest index
    spikes : by population that spikes, inputs too, int64 (n), over the aligned steps
    packets : int64 (n), sent by all sources; synaptic_events : int64 (n), weights added
    neurons : by population, its size
    """

    image: str
    steps: int
    ticks: int
    labels: NDArray[np.int64] | None
    decisions: Mapping[str, NDArray[np.int64]]
    spikes: Mapping[str, NDArray[np.int64]]
    packets: NDArray[np.int64]
    synaptic_events: NDArray[np.int64]
    neurons: Mapping[str, int]

    def __post_init__(self) -> None:
        freeze_fields(self, labels=np.int64, packets=np.int64, synaptic_events=np.int64)
        for name in ("decisions", "spikes", "neurons"):
            object.__setattr__(self, name, FrozenMap(getattr(self, name)))

    @property
    def recordings(self) -> int:
        """How many recordings there are."""
        return self.packets.size

    @property
    def accuracy(self) -> dict[str, float]:
        """By Output that spikes, the share of recordings that are decided as labelled; empty without labels."""
        if self.labels is None:
            return {}
        return {output: float((chosen == self.labels).mean()) for output, chosen in self.decisions.items()}

    @property
    def rates(self) -> dict[str, float]:
        """By population, packets per neuron and tick, as `Recording.rates`: for `s2nir.compile(rates=)`; print() gives
        the rate per step."""
        size = self.recordings * self.ticks
        return {n: float(s.sum()) / (size * self.neurons[n]) for n, s in self.spikes.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "image": self.image, "recordings": self.recordings, "steps": self.steps, "ticks": self.ticks,
            "accuracy": self.accuracy, "spikes": {n: int(s.sum()) for n, s in self.spikes.items()},
            "rates": self.rates, "packets": int(self.packets.sum()),
            "synaptic_events": int(self.synaptic_events.sum()),
            "decisions": {o: chosen.tolist() for o, chosen in self.decisions.items()},
            "labels": None if self.labels is None else self.labels.tolist(),
        }

    def __str__(self) -> str:
        lines = [f"Evaluation of image {self.image[:12]}: {self.recordings} recordings of {self.steps} steps, "
                 f"{int(self.packets.sum()):,} packets, {int(self.synaptic_events.sum()):,} synaptic events"]
        for name, spikes in self.spikes.items():
            rate = float(spikes.sum()) / (self.recordings * self.steps * self.neurons[name])
            lines.append(f"  {name}: {int(spikes.sum()):,} spikes, {rate:.5f} per neuron and step")
        lines += [f"  accuracy at {output}: {share:.2%}" for output, share in self.accuracy.items()]
        return "\n".join(lines)


def evaluate(
    image: MachineImage | str | os.PathLike[str],
    dataset: Any,
    client: Any = None,
    *,
    threads: int | None = None,
    frames: Mapping[str, Any] | None = None,
    piece: int | None = None,
    noise: Any = 0,
    progress: Callable[[int], Any] | None = None,
) -> Evaluation:
    """Run an image on a data set, piece by piece, on threads of this process or on the workers of a Dask cluster.

    What comes out hangs on neither the pieces, nor the threads, nor the workers.

    image : a MachineImage, which each worker is sent once; or its path, which each worker opens
    dataset : (spikes, labels), or spikes alone; spikes as `s2nir.run` takes them, one label for each recording. Or
        s2nir.data.Recordings, which become frames where they are run
    client : a distributed.Client, of extra `cluster`; None for threads of this process
    threads : of this process, by default as many as it has cores
    frames : options of `s2nir.data.frames` for Recordings; the image says tick_us and size
    piece : recordings in a piece; by default up to 64, of at most 8 MiB of counts
    noise : as for `s2nir.run`
    progress : called with the number of finished recordings after each piece

    Raises
    ------
    InputError
        where the data do not fit the image, or the client is none.
    RunError
        where Dask is not installed or has no workers.

    >>> import s2nir
    >>> way = s2nir.Connect(source="in", target="a", rule=s2nir.rules.OneToOne(), weight=1.0)
    >>> graph = s2nir.build({"in": 2, "a": s2nir.Neurons(shape=2, tau=0.01, r=20.0)}, [way], dt=1e-3)
    >>> image = s2nir.compile(s2nir.quantize(graph))
    >>> found = evaluate(image, ([[[0, 1]], [[1, 0]], [[1, 1]]], [1, 0, 1]))
    >>> found.decisions["out"].tolist(), found.accuracy
    ([1, 0, 0], {'out': 0.6666666666666666})
    """
    path = None
    if isinstance(image, str | os.PathLike):
        path = str(Path(image).resolve())
        image = MachineImage.load(path)
    needs(image, MachineImage, "evaluate", "Make one with s2nir.compile(network), or pass the path of one.")
    data = data_of(image, dataset, frames)
    drawn = _noise_of(image, noise, data.n)
    tell = listener(progress, "progress")
    if piece is not None:
        piece = Whole(1, what="recordings")(piece, "piece", RunError)
    with workers(client, threads) as by:
        shared = by.share(image) if path is None else None
        return _evaluate(by, image, (shared, path), data, drawn, piece, tell)


def data_of(image: MachineImage, given: Any, framing: Any) -> Dataset:
    """What a user gives as a data set, for an image."""
    outputs = {o: image[n].size for o, n in image.outputs.items() if image[n].spikes}
    return dataset(given, image.inputs, image.dt, outputs, framing)


def serially(image: MachineImage, data: Dataset, noise: Any = 0) -> Evaluation:
    """An evaluation inside a task: on one thread."""
    with workers(None, 1) as by:
        return _evaluate(by, image, (image, None), data, _noise_of(image, noise, data.n), None, listener(None, ""))


def _noise_of(image: MachineImage, noise: Any, recordings: int) -> tuple[int, ...]:
    """The noise of each recording, refused whole where a piece might not see why."""
    found = noises(noise, recordings, RunError)
    if image.copies > 1 and len(set(found)) > 1:
        raise RunError(f"noise: found {len(set(found))} numbers, needed one for an image of {image.copies} copies")
    return found


def _evaluate(
    by: Workers, image: MachineImage, shared: tuple[Any, str | None], data: Dataset, noise: tuple[int, ...],
    piece: int | None, tell: Callable[[int], Any],
) -> Evaluation:
    names = {p.name: p.size for p in image.populations if p.spikes and p.kind != "relay"}
    outputs = {o: n for o, n in image.outputs.items() if n in names}
    held, path = shared
    film = None if data.film is None else by.share(data.film)
    columns = {c: np.zeros(data.n, np.int64) for c in _columns(names, outputs)}
    cuts = list(data.pieces(piece, image.copies, by.count))
    parts = ((held, path, image.digest, film, data.part(a, b), noise[a:b], a) for a, b in cuts)
    done = 0
    for place, found in each(by, one_piece, parts):
        a, b = cuts[place]
        for name, values in found.items():
            columns[name][a:b] = values
        done += b - a
        tell(done)
    return Evaluation(
        image=image.digest, steps=data.steps, ticks=data.steps + image.lag, labels=data.labels,
        decisions={o: columns["decisions", o] for o in outputs}, spikes={n: columns["spikes", n] for n in names},
        packets=columns["packets", ""], synaptic_events=columns["events", ""], neurons=names,
    )


def _columns(names: Mapping[str, int], outputs: Mapping[str, str]) -> list[tuple[str, str]]:
    return [*(("decisions", o) for o in outputs), *(("spikes", n) for n in names), ("packets", ""), ("events", "")]


def one_piece(
    image: MachineImage | None, path: str | None, digest: str, film: Filmed | None, part: Any, noise: tuple[int, ...],
    first: int,
) -> dict[tuple[str, str], NDArray[np.int64]]:
    """A task: what is kept of each recording of a piece. Pure: the same piece gives the same anywhere, again."""
    with _decoding:
        if image is None:
            image = _opened(str(path), digest)
        fanout = _fanouts.get(image)
        if fanout is None:
            fanout = _fanouts[image] = np.asarray(
                synapses_per_core(image, program(image)).sum(axis=1), np.int64).reshape(-1)
    spikes = to_arrays(
        part if film is None else film.part(*part), {p.name: p.shape for p in image.inputs}, image.dt)
    spikes.first = first
    return _kept(run(image, spikes, noise=noise[0] if len(set(noise)) == 1 else noise), fanout)


@lru_cache(maxsize=2)
def _opened(path: str, digest: str) -> MachineImage:
    """The image of a path, as a worker sees it."""
    try:
        image = MachineImage.load(path, verify=False)  # who asked has read it all once
    except (ImageError, InputError, OSError) as error:
        raise ImageError(f"{path}: a worker cannot open it ({error}). Pass the image itself, and it is sent.") from None
    if image.digest != digest:
        raise ImageError(f"{path}: a worker finds image {image.digest[:12]} there, needed {digest[:12]}. Pass the "
                         "image itself, and it is sent.")
    return image


def _kept(r: Recording, fanout: NDArray[np.int64]) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Columns of a piece, in one pass over the packets of each recording."""
    image, index, size = r.image, r.program.index, r.program.size // r.image.copies
    first, counts = np.zeros(size, np.int64), np.zeros((r.batch, size), np.int64)
    for p in image.populations:
        first[index[p.name]] = p.lag
    packets, events = np.zeros(r.batch, np.int64), np.zeros(r.batch, np.int64)
    for b in range(r.batch):
        for tick, source, count in _sent(r, b):
            sent = np.bincount(source, count, r.program.size)  # whole numbers below 2**53
            packets[b] += int(sent.sum())
            events[b] += int(sent @ fanout)
            counts[b] += sent[size * (b % image.copies) :][:size].astype(np.int64)
            inside = slice(*np.searchsorted(tick, (image.lag, r.steps)))  # of every population; ticks rise
            for some in (slice(inside.start), slice(max(inside.start, inside.stop), None)):
                place = source[some] - size * (b % image.copies)
                step = tick[some] - first[place]
                out = (step < 0) | (step >= r.steps)
                counts[b] -= np.bincount(place[out], count[some][out], size).astype(np.int64)
    spiking = [p.name for p in image.populations if p.spikes and p.kind != "relay"]
    found = {("decisions", o): counts[:, index[n]].argmax(axis=1) for o, n in image.outputs.items() if n in spiking}
    found |= {("spikes", n): counts[:, index[n]].sum(axis=1) for n in spiking}
    return found | {("packets", ""): packets, ("events", ""): events}


def _sent(r: Recording, b: int) -> tuple[tuple[NDArray[Any], NDArray[Any], NDArray[Any]], ...]:
    """(tick, source, count) of the packets of inputs, and of neurons and relays, each in the order of ticks.

    Apart, and as they are held: a worker's allocator gives every large array back at once, and `Recording.sent` makes
    many of them.
    """
    start, source, count = r.inputs[b]
    return (np.repeat(np.arange(r.ticks), np.diff(start)), source, count), r.events[b]
