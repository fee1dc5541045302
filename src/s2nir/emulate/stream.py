"""Running an image tick by tick: the state stays, what was sent is handed out, and nothing grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from ..arguments import Whole, path_of, shown
from ..errors import InputError, RunError, needs
from ..events import to_counts
from ..files import write_whole
from ..fixedpoint import Arithmetic
from ..graph import noises
from ..mapping import MachineImage
from .bounds import accumulator
from .keep import Kept
from .parts import parts, run_parts
from .recording import Recording
from .rounds import Packets, ones
from .run import packets_of, program, sent_to, start_state, ticking, watched

KEPT = ("v", "i", "slot", "last", "held", "saturated")  # of the state; nothing fires between two ticks


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Ticks:
    """What an image sent in some ticks of the machine, one behind the other.

    first : the first of them, counted from the start of the stream; ticks : how many
    """

    first: int
    ticks: int
    _held: Recording

    def __repr__(self) -> str:
        return f"<Ticks {self.first} to {self.first + self.ticks}: {int(self._held.events[0][2].sum())} packets>"

    def spikes(self, name: str) -> NDArray[np.uint8]:
        """uint8 (ticks, *shape), nothing shifted: step s of the float run is tick s + lag of the population."""
        return np.asarray(self._held.raw_spikes(name)[0])

    def voltages(self, name: str) -> NDArray[Any]:
        """(ticks, *shape), membranes after each tick, float32 or int32 as the core holds them."""
        return np.asarray(self._held.raw_voltages(name)[0])

    @property
    def recorded(self) -> tuple[str, ...]:
        """Populations whose membranes are kept."""
        return tuple(self._held.columns)

    @property
    def events(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """Tick, number of the source in the image, and packets, of all that neurons and relays sent, by tick."""
        tick, source, number = self._held.events[0]
        return tick.astype(np.int64) + self.first, source, number


class Stream:
    """An image at work; see `MachineImage.stream`.

    tick : ticks that are done; ended : the tick in which the source of `keep` came to its end, or None
    """

    def __init__(
        self, image: MachineImage, record: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ("spikes",),
        noise: int = 0, threads: int = 1,
    ) -> None:
        needs(image, MachineImage, "stream", "Make one with s2nir.compile(network), or s2nir.MachineImage.load(path).")
        if image.copies > 1:
            raise RunError(f"stream: the image holds {image.copies} copies of its network, needed one. Compile it "
                           "without copies=, or use s2nir.run.")
        self.image, self.tick = image, 0
        self.ended: int | None = None
        (self._noise,) = noises(noise, 1, RunError)
        self._program = program(image)
        self._placed = self._program.placed
        self._team = parts(self._placed, Whole(1)(threads, "stream.threads", RunError))
        self._watch, self._columns, before = watched(image, self._program, record)
        if before:
            raise RunError('stream: record "potentials" is of s2nir.run alone; allowed here "spikes" and "voltages"')
        packed = [part.packed for part in self._team]
        self._state = start_state(self._placed, accumulator(self._placed, packed, image.max_count))
        self._sent = np.zeros(0, np.int32)  # from which places, in the tick before
        slots = self._program.slots
        self._steady = -(-(int(self._program.groups.onset.max(initial=0)) + 1) // slots) * slots

    def __repr__(self) -> str:
        return f"<Stream of image {self.image.digest[:12]}, at tick {self.tick}>"

    @property
    def recorded(self) -> tuple[str, ...]:
        """Populations whose membranes are kept."""
        return tuple(sorted(self._columns))

    def feed(self, spikes: Any) -> Ticks:
        """The ticks of some further steps of the input, as `s2nir.run` takes them, of one recording.

        Errors count steps from the first of these.

        Raises
        ------
        InputError
            where the input does not fit; nothing is run then.
        """
        shapes = {p.name: p.shape for p in self.image.inputs}
        given = to_counts(spikes, shapes, self.image.dt, self.image.max_count)
        if given.batch != 1:
            raise InputError(f"stream: found {given.batch} recordings, needed one. A stream each, or s2nir.run.")
        return self._run(packets_of(given, self._program, 1, given.steps)[0], given.steps)

    def step(self, spikes: Any) -> dict[str, NDArray[np.uint8]]:
        """One tick: counts of one step, (*shape) or a dict by input; gives the spikes of that tick by population.

        Raises
        ------
        InputError
            where the input does not fit, or is of several steps; nothing is run then.
        """
        shapes = {p.name: p.shape for p in self.image.inputs}
        if isinstance(spikes, Mapping):
            found = self.feed({name: _step_of(name, shapes.get(name), value) for name, value in spikes.items()})
        else:
            name = next(iter(shapes), "spikes")
            found = self.feed(_step_of(name, shapes.get(name), spikes))
        return {p.name: found.spikes(p.name)[0] for p in self.image.populations if p.kind == "neurons" and p.spikes}

    def drain(self) -> Ticks:
        """The ticks without input in which the last step reaches every population."""
        return self.silent(self.image.lag)

    def silent(self, ticks: int) -> Ticks:
        """Ticks without input."""
        ticks, none = Whole(what="ticks")(ticks, "stream.silent", RunError), np.zeros(0, np.int32)
        return self._run((np.zeros(ticks + 1, np.int64), none, none), ticks)

    def keep(
        self, source: Any, folder: str | Path, every: int = 10_000, progress: Callable[[int], object] | None = None
    ) -> Kept:
        """Run a source to its end and keep what is sent in a folder, as segments of `every` ticks and a checkpoint.

        Where the folder holds the beginning, the stream goes on from its checkpoint: what was killed at any instant
        comes to the same bits. Each file is there whole or not at all; memory holds one segment.

        source : steps one after the other, (*shape) or (steps, *shape) each, or dicts of them by input, of which those
            that are done are skipped; or a function of the first step that gives them, such as `s2nir.data.EventSteps`;
            the number of steps, for a network without inputs
        every : ticks of a segment; progress : called with the tick at the end of each

        A folder that holds the whole recording is given back as it is: nothing is run.

        Raises
        ------
        InputError
            where a step does not fit, or the folder holds something else; what was kept before stays.
        """
        from .keep import keep

        return keep(self, source, folder, every, progress)

    def _run(self, packets: Packets, ticks: int) -> Ticks:
        from . import kernels

        ready, slots = self._placed, self._placed.slots
        # kernels count ticks from a small number on, whatever has gone by: at the same slot, and after every onset
        begin = self.tick if self.tick < self._steady else self._steady + self.tick % slots
        end, fixed = begin + ticks, ready.arithmetic is Arithmetic.FIXED
        start, source, count = packets
        given = sent_to((np.concatenate([np.zeros(begin, np.int64), start]), source, count), ready)
        watch = ready.place[self._watch]
        kind = np.int32 if fixed else np.float32
        membranes = np.zeros((end, watch.size), kind)
        size = 4 * ready.stride + 1024
        room = [np.empty(n, np.int32) for n in (size, size, size if ready.relays else 0)]
        out = kernels.Output(room[0], room[1], room[2], watch, membranes, np.zeros((0, watch.size), kind))
        events, tick = [], begin
        while tick < end:
            carried = self._sent.size
            out.tick[:carried], out.source[:carried], out.number[:carried] = tick - 1, self._sent, 1
            tick, kept = run_parts(self._team, watch, partial(
                ticking, ready, self._state, given, out, (tick, end, carried), (self.tick - begin, self._noise)))
            number = room[2][carried:kept].copy() if ready.relays else ones(kept - carried)
            events.append((room[0][carried:kept].copy(), room[1][carried:kept].copy(), number))
            self._sent = out.source[:kept][out.tick[:kept] == tick - 1].copy()
        whole = [np.concatenate([np.zeros(0, np.int32), *(e[k] for e in events)]) for k in range(3)]
        whole[0] -= begin
        whole[1] = ready.number[whole[1]].astype(np.int32)
        first, self.tick = self.tick, self.tick + ticks
        return Ticks(first=first, ticks=ticks, _held=Recording(
            image=self.image, program=self._program, batch=1, steps=ticks, ticks=ticks, inputs=[packets],
            events=[tuple(whole)], membranes=[membranes[begin:]], compared=[], columns=self._columns,
            saturated=self._state.saturated[np.newaxis, ready.place if fixed else slice(None)].copy(),
        ))

    def save(self, path: str | Path) -> None:
        """Write where the stream is; the file is there whole or not at all."""
        held = {name: getattr(self._state, name) for name in KEPT}
        digest = np.frombuffer(bytes.fromhex(self.image.digest), np.uint8)
        write_whole(path_of(path, "stream.save"), lambda f: np.savez(
            f, tick=np.int64(self.tick), ended=np.int64(-1 if self.ended is None else self.ended),
            noise=np.int64(self._noise), sent=self._sent, image=digest, **held))

    def resume(self, path: str | Path) -> None:
        """Go on from a file of `save`, of a stream of the same image.

        Raises
        ------
        InputError
            where the file cannot be read, or is of another image; the stream stays where it is then.
        """
        try:
            with open(path_of(path, "stream.resume"), "rb") as f, NpzFile(f, allow_pickle=False) as held:
                found = {name: held[name] for name in (*KEPT, "tick", "ended", "noise", "sent", "image")}
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file") from None
        except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
            raise InputError(f"{path}: cannot be read as a checkpoint of a stream ({error})") from None
        if bytes(found["image"]).hex() != self.image.digest:
            raise InputError(f"{path}: is of image {bytes(found['image']).hex()[:12]}, this one is "
                             f"{self.image.digest[:12]}")
        for name in KEPT:
            now = getattr(self._state, name)
            if found[name].shape != now.shape or found[name].dtype != now.dtype:
                raise InputError(f"{path}: {name} has shape {found[name].shape}, needed {now.shape}")
        if found["sent"].size and not 0 <= found["sent"].min() <= found["sent"].max() < self._program.size:
            raise InputError(f"{path}: names neurons that are not there")
        for name in KEPT:
            getattr(self._state, name)[:] = found[name]
        self._sent, self.tick = found["sent"].astype(np.int32), int(found["tick"])
        self._noise, self.ended = int(found["noise"]), int(found["ended"]) if found["ended"] >= 0 else None


def _step_of(name: str, shape: tuple[int, ...] | None, value: Any) -> NDArray[Any]:
    """The value of an input in one step, as one of several steps; `shape` : of the input, None where there is none."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        array = np.zeros(0, object)
    if shape is not None and (array.dtype == object or array.shape not in (shape, (int(np.prod(shape)),))):
        found = shown(value) if array.dtype == object else f"shape {array.shape}"
        raise InputError(f"stream.step: found {found} for {name!r}, needed one step, {shape}. Give several to feed.")
    return array[np.newaxis]
