"""A stream's recording on disk: closed segments and a checkpoint, so that what is killed goes on to the same bits.

A segment is written beside its place, then renamed; then the checkpoint of its end is, in the same way. Killed between
the two, the segment is made once more, and comes out the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from ..arguments import Whole, listener, path_of
from ..errors import InputError
from ..events import Arrays, to_arrays
from ..files import write_whole
from ..mapping import MachineImage
from .recording import Recording
from .run import program

if TYPE_CHECKING:
    from .stream import Stream, Ticks

SEGMENT, CHECKPOINT, NAME = "ticks-{:012d}.npz", "checkpoint.npz", re.compile(r"ticks-(\d{12})\.npz")
LEFT = re.compile(r"\.(ticks-\d{12}|checkpoint)\.npz\..+")  # what a killed process was writing
MADE = 1000  # ticks that are run at once where nothing is fed

Source = Callable[[int], Iterable[Any]] | Iterable[Any] | int


def keep(
    stream: Stream, source: Source, folder: str | Path, every: int, progress: Callable[[int], object] | None
) -> Kept:
    """Run a source to its end into a folder; see `Stream.keep`."""
    every, target = Whole(1, what="ticks")(every, "stream.keep.every", InputError), path_of(folder, "stream.keep")
    tell = listener(progress, "stream.keep.progress")
    if target.exists() and not target.is_dir():
        raise InputError(f"stream.keep: {target} is there and is no folder. Choose another name.")
    target.mkdir(exist_ok=True)
    for left in target.iterdir():
        if LEFT.fullmatch(left.name):
            left.unlink()
    kept = Kept(stream.image, target)
    _refuse_another(stream, kept)
    if (target / CHECKPOINT).exists():
        stream.resume(target / CHECKPOINT)
    if stream.tick not in (kept.ticks, kept.ticks - kept.last):  # killed between a segment and its checkpoint
        raise InputError(f"stream.keep: {target} holds {kept.ticks} ticks, the stream stands at {stream.tick}. Begin "
                         "with a fresh stream, and an empty folder or the one that it wrote.")
    held: list[Ticks] = []
    ticks = _ticks(stream, source, every)
    while (some := _next(ticks, stream)) is not None:
        held.append(some)
        if stream.tick % every == 0:
            _close(stream, held, target)
            held = []
            tell(stream.tick)
    _close(stream, held, target)
    return Kept(stream.image, target)


def _refuse_another(stream: Stream, kept: Kept) -> None:
    """Refuse a folder that holds something else than what this stream would go on with."""
    if not kept.ticks:
        other = sorted(p.name for p in kept.folder.iterdir() if p.name[0] != "." and p.name != CHECKPOINT)
        if other:
            raise InputError(f"stream.keep: {kept.folder} holds {other[0]!r} and no recording. Give an empty folder, a "
                             "new one, or one that keep wrote.")
        return
    there, wanted = kept.recorded, stream.recorded
    if there != wanted:
        raise InputError(f"stream.keep: {kept.folder} holds voltages of {', '.join(there) or 'nothing'}, the stream "
                         f"records those of {', '.join(wanted) or 'nothing'}. Give the stream the same record=, or "
                         "another folder.")


def _next(ticks: Iterator[Ticks], stream: Stream) -> Ticks | None:
    """The next ticks; an error says where in the source it is."""
    try:
        return next(ticks, None)
    except InputError as error:
        raise InputError(f"stream.keep, from step {stream.tick} of the source on: {error}") from None


def _ticks(stream: Stream, source: Source, every: int) -> Iterator[Ticks]:
    """Steps of the source from where the stream stands, then the drain; never over the end of a segment."""
    shapes = {p.name: p.shape for p in stream.image.inputs}
    if stream.ended is None:
        for given in _steps(source, stream.tick, shapes):
            at = 0
            while at < given.steps:
                n = min(given.steps - at, every - stream.tick % every)
                yield stream.feed(given.between(at, at + n))
                at += n
        stream.ended = stream.tick
    while stream.tick < stream.ended + stream.image.lag:
        left = stream.ended + stream.image.lag - stream.tick
        yield stream.silent(min(left, MADE, every - stream.tick % every))


def _steps(source: Source, first: int, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Arrays]:
    """What a source gives from step `first` on, as arrays of steps."""
    if not shapes:
        end = Whole(1, what="steps", also="; the network has no inputs")(source, "stream.keep.source", InputError)
        if end < first:
            raise InputError(_short(end, first))
        for at in range(first, end, MADE):
            yield Arrays({}, 1, min(MADE, end - at))
        return
    if not callable(source) and not isinstance(source, Iterable):
        raise InputError(f"stream.keep.source: found a {type(source).__name__}, needed steps one after the other, or a "
                         "function of the first step that gives them, such as s2nir.data.EventSteps")
    skip = 0 if callable(source) else first
    for given in source(first) if callable(source) else source:
        some = to_arrays(_several(given, shapes), shapes, None)
        if some.batch != 1:
            raise InputError(f"stream.keep.source: found {some.batch} recordings, needed the steps of one")
        if skip < some.steps:
            yield some.between(skip, some.steps)
        skip = max(0, skip - some.steps)
    if skip:
        raise InputError(_short(first - skip, first))


def _short(steps: int, held: int) -> str:
    return (f"stream.keep.source: ends after {steps} steps, the folder holds {held}. Give the source from its first "
            "step on, or another folder.")


def _several(given: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """One step as several; what is of several steps stays."""
    if isinstance(given, Mapping):
        return {n: _several(v, {n: shapes[n]}) if n in shapes else v for n, v in given.items()}
    array = np.asarray(given)
    return array[np.newaxis] if array.ndim == len(next(iter(shapes.values()))) else array


def _close(stream: Stream, held: list[Ticks], folder: Path) -> None:
    """Write a segment, then the checkpoint of its end."""
    if held:
        tick, source, number = (np.concatenate(c) for c in zip(*(t.events for t in held), strict=True))
        ticks = sum(t.ticks for t in held)
        voltages: dict[str, Any] = {f"v {n}": np.concatenate([t.voltages(n) for t in held]) for n in held[0].recorded}
        image = np.frombuffer(bytes.fromhex(stream.image.digest), np.uint8)
        write_whole(folder / SEGMENT.format(held[0].first), lambda f: np.savez(
            f, image=image, ticks=np.int64(ticks), tick=tick, source=source, number=number, **voltages))
    stream.save(folder / CHECKPOINT)


class Kept:
    """What `Stream.keep` left in a folder: iterating gives the `Ticks` of its segments, one in memory at a time.

    ticks : that are there; last : of the last segment; done : whether the source came to its end

    Raises
    ------
    InputError
        where a file is missing, damaged, or of another image.
    """

    def __init__(self, image: MachineImage, folder: str | Path) -> None:
        self.image, self.folder = image, path_of(folder, "Kept")
        if not self.folder.is_dir():
            raise InputError(f"Kept: there is no folder {str(self.folder)!r}")
        found = sorted(p.name for p in self.folder.iterdir() if NAME.fullmatch(p.name))
        self._segments, self.ticks, self.last = found, 0, 0
        for name in found:
            if name != SEGMENT.format(self.ticks):
                raise InputError(f"{self.folder}: found {name} where {SEGMENT.format(self.ticks)} was to follow")
            self.last = self._read(name, ("ticks",))["ticks"]
            self.ticks += self.last
        self.done = False
        if (self.folder / CHECKPOINT).exists():
            at = self._read(CHECKPOINT, ("tick", "ended"))
            self.done = 0 <= at["ended"] == at["tick"] - image.lag

    def _read(self, name: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        path = self.folder / name
        try:
            with path.open("rb") as f, np.load(f, allow_pickle=False) as held:
                digest = bytes(held["image"]).hex()
                found = {k: held[k] for k in (*wanted, *(n for n in held.files if n.startswith("v ")))}
        except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        if digest != self.image.digest:
            raise InputError(f"{path}: is of image {digest[:12]}, this one is {self.image.digest[:12]}")
        return {k: int(v) if v.ndim == 0 else v for k, v in found.items()}

    def __iter__(self) -> Iterator[Ticks]:
        from .stream import Ticks

        ready, first = program(self.image), 0
        for name in self._segments:
            found = self._read(name, ("ticks", "tick", "source", "number"))
            ticks, columns, at, parts = found["ticks"], {}, 0, []
            for key in (k for k in found if k.startswith("v ")):
                flat = found[key].reshape(ticks, -1)
                columns[key[2:]] = slice(at, at + flat.shape[1])
                at += flat.shape[1]
                parts.append(flat)
            events = ((found["tick"] - first).astype(np.int32), found["source"], found["number"])
            yield Ticks(first=first, ticks=ticks, _held=Recording(
                image=self.image, program=ready, batch=1, steps=ticks, ticks=ticks, inputs=[], events=[events],
                membranes=[np.concatenate(parts, axis=1) if parts else np.zeros((ticks, 0), np.float32)], compared=[],
                columns=columns, saturated=np.zeros((1, 0), np.int64),
            ))
            first += ticks

    @property
    def recorded(self) -> tuple[str, ...]:
        """Populations whose membranes are there."""
        if not self._segments:
            return ()
        return tuple(sorted(key[2:] for key in self._read(self._segments[0], ("ticks",)) if key.startswith("v ")))

    def __repr__(self) -> str:
        return f"<Kept: {self.ticks} ticks in {len(self._segments)} segments, {'whole' if self.done else 'not done'}>"
