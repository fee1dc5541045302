"""Running an image: input to packets, ticks over a batch, a Recording of what was left behind."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arguments import SomeOf, Whole, listener
from ..errors import RunError, needs
from ..events import Arrays, to_arrays, to_counts
from ..fixedpoint import Arithmetic
from ..graph import noises
from ..mapping import MachineImage, named
from ..values import aligned
from .bounds import accumulator
from .event import Served, event_round, queueing, served, timing_of
from .memory import Program, decode
from .parts import Part, Share, parts, run_parts
from .pool import in_order
from .recording import Recording
from .room import Room, room
from .rounds import Packets, Result, all_ones, by_copy, end_to_end, largest, ones, together

LARGE = 4096  # neurons of a network that several threads run together
TURN = 1 << 18  # neurons times ticks of the rounds that a thread takes at a turn
RECORDABLE = ("spikes", "voltages", "potentials")
_programs: weakref.WeakKeyDictionary[MachineImage, Program] = weakref.WeakKeyDictionary()


def program(image: MachineImage) -> Program:
    """The image decoded; kept as long as the image lives."""
    found = _programs.get(image)
    if found is None:
        found = _programs[image] = decode(image)
    return found


def run(
    image: MachineImage,
    spikes: Any,
    record: tuple[str, ...] | str | Mapping[str, tuple[str, ...] | str] = ("spikes",),
    threads: int = 1,
    progress: Any = None,
    noise: Any = 0,
    timing: Any = None,
) -> Recording:
    """Run an image on the emulator.

    spikes : whole counts, as `graph.simulate` takes them: (steps, *shape) or (batch, steps, *shape), a dict by input,
        Events, or nir's data types; the number of steps, for a network without inputs
    record : "spikes", "voltages" for the membranes of every population, "potentials" for membranes as they are
        compared, ahead of an immediate reset; a dict by population narrows that down. What does not spike is always
        read out.
        An image of n copies runs n recordings at once: recording b on copy b % n, in round b // n.
    threads : over the rounds, and where there are fewer of them, over the cores of a large network; changes no bit
    progress : called with the number of finished recordings after each round
    noise : which draws Poisson drives make, a number for all recordings or one for each (of an image of copies: one)
    timing : None, where all cores keep time and no packet is dropped; "event" or an `s2nir.EventTiming` to simulate
        packets, FIFOs, routers, links, and cores that overrun their ticks: `Recording.queueing` has what it finds, and
        where nothing overruns, overflows or comes late all else is the same to the bit

    Raises
    ------
    InputError
        where the input does not fit, or a count is not whole or over the image's `max_count`.
    RunError
        where `record` asks for what there is not.
    """
    needs(image, MachineImage, "run", "Make one with s2nir.compile(network), or s2nir.MachineImage.load(path).")
    threads, tell = Whole(1)(threads, "threads", RunError), listener(progress, "progress")
    given = _counts(image, spikes)
    batch, steps = given.batch, given.steps
    drawn = _noises(noise, batch, image.copies)
    ready = program(image)
    watch, columns, before = watched(image, ready, record)
    ticks = steps + image.lag
    times = timing_of(timing)
    on = None if times is None else served(image, ready, times, watch)
    done: list[_Round] = []
    for found in _turns(image, ready, on, given, ticks, watch, before, drawn[:: image.copies], threads):
        for each in found:
            done.append(each)
            tell(min(len(done) * image.copies, batch))
    results = [r for found in done for r in by_copy(found.result, ready.first[:: image.cores_per_copy])][:batch]
    return Recording(
        image=image,
        program=ready,
        batch=batch, steps=steps, ticks=ticks,
        inputs=[packets for found in done for packets in found.inputs],
        events=[r[0] for r in results],
        membranes=[r[1] for r in results],
        compared=[r[2] for r in results] if before else [],
        columns=columns,
        saturated=np.array([r[3] for r in results]),
        queueing=None if on is None else queueing(
            on, ticks, [(found.result, found.counts) for found in done], [found.packets for found in done]),
    )


class _Round(NamedTuple):
    """A run of all copies: packets of each recording and of all, what was sent, and what an event run counts."""

    inputs: list[Packets]
    packets: Packets
    result: Result
    counts: Any


def _counts(image: MachineImage, spikes: Any) -> Arrays:
    """Counts of each input. Those in bytes are whole; whether they are within `max_count` is seen where a round reads
    them, on its own thread."""
    shapes = {p.name: p.shape for p in image.inputs}
    given = to_arrays(spikes, shapes, image.dt)
    bytes_alone = all(a.dtype == np.uint8 for a in given.values())
    return given if bytes_alone else to_counts(given, shapes, image.dt, image.max_count)


def _turns(
    image: MachineImage, ready: Program, on: Served | None, given: Arrays, ticks: int, watch: NDArray[np.int64],
    before: bool, drawn: tuple[int, ...], threads: int,
) -> Iterator[list[_Round]]:
    """Rounds in their order, some at a turn; with times where `on` is given."""
    copies, rounds = image.copies, len(drawn)
    workers = min(threads, rounds)
    inner = threads // workers if ready.size >= LARGE else 1
    step = 1
    if on is None:
        parts(ready.placed, inner)  # once, ahead of the threads
        if inner == 1:
            step = _at_a_turn(rounds, ticks * ready.size, workers)

    def job(k: int) -> list[_Round]:
        mine = range(k * step, min((k + 1) * step, rounds))
        with room() as held:
            recordings = range(mine.start * copies, min(mine.stop * copies, given.batch))
            listed = packets_of(given, ready, copies, ticks, recordings, held)
            inputs = [listed[i : i + copies] for i in range(0, len(listed), copies)]
            packets = [together(some) for some in inputs]
            if max(largest(count) for _, _, count in packets) > image.max_count:
                to_counts(given, {p.name: p.shape for p in image.inputs}, image.dt, image.max_count)  # says which one
            if on is not None:
                found: Any = [event_round(on, packets[0], ticks, before, drawn[k])]
            else:
                ran = in_turn(ready, packets, ticks, watch, before, drawn[mine.start : mine.stop], inner, held)
                found = [(result, None) for result in ran]
        return [_Round(*its) for its in zip(inputs, packets, *zip(*found, strict=True), strict=True)]

    yield from in_order(job, -(-rounds // step), workers)


def _at_a_turn(rounds: int, size: int, workers: int) -> int:
    """How many rounds a thread takes at a turn, so that all have as many turns; size : neurons times ticks of a round

    >>> _at_a_turn(64, 17_000, 2), _at_a_turn(64, 1_700_000, 2), _at_a_turn(3, 10, 2)
    (11, 1, 2)
    """
    turns = -(-rounds * size // (workers * TURN))
    return -(-rounds // (max(1, turns) * workers))


def _noises(noise: Any, batch: int, copies: int) -> tuple[int, ...]:
    """The noise of each recording."""
    found = noises(noise, batch, RunError)
    if copies > 1 and len(set(found)) > 1:
        raise RunError(f"noise: found {len(set(found))} numbers, needed one for an image of {copies} copies")
    return found


def _wanted(image: MachineImage, record: Any) -> dict[str, tuple[str, ...]]:
    """What is recorded, by population."""
    names = [p.name for p in image.populations if p.kind == "neurons"]
    for name in record if isinstance(record, Mapping) else ():
        if name not in names:
            raise RunError(f"record: {name!r} is no population of the image; there are {', '.join(sorted(names))}")
    some = SomeOf(RECORDABLE)
    if isinstance(record, Mapping):
        return {name: some(kinds, f"record of {name!r}", RunError) for name, kinds in record.items()}
    return dict.fromkeys(names, some(record, "record", RunError))


def watched(
    image: MachineImage, ready: Program, record: Any
) -> tuple[NDArray[np.int64], dict[str, slice], bool]:
    """Neurons whose membranes are kept, copy by copy; where each population stands among those of its copy; and whether
    potentials are kept too."""
    wanted = _wanted(image, record)
    kept = {name for name, kinds in wanted.items() if set(kinds) & {"voltages", "potentials"}}
    columns, at = {}, 0
    for p in image.populations:
        if p.kind == "neurons" and (not p.spikes or p.name in kept):
            columns[p.name] = slice(at, at + p.size)
            at += p.size
    parts = [ready.index[named(name, k)] for k in range(image.copies) for name in columns]
    watch = np.concatenate([np.zeros(0, np.int64), *parts])
    return watch, columns, any("potentials" in kinds for kinds in wanted.values())


def packets_of(
    given: Arrays, ready: Program, copies: int, ticks: int, recordings: range = range(1), held: Room | None = None
) -> list[Packets]:
    """Per recording, on its copy."""
    held = Room() if held is None else held
    at_once = [recordings] if copies == 1 else [range(b, b + 1) for b in recordings]
    by_input = []
    for name, counts in given.items():
        each: list[Packets] = []
        for some in at_once:
            each += _listed(counts[some.start : some.stop], ready.index[named(name, some.start % copies)], ticks, held)
        by_input.append(each)
    if not by_input:
        none = np.zeros(0, np.int32)
        return [(np.zeros(ticks + 1, np.int64), none, none) for _ in recordings]
    return [together(list(each)) for each in zip(*by_input, strict=True)]


def _listed(counts: NDArray[Any], index: NDArray[np.int64], ticks: int, held: Room) -> list[Packets]:
    """Per recording, the packets of an input; counts : (recordings, steps, sources), index : number of each source"""
    from . import kernels

    many, steps, wide = counts.shape
    flat = np.ascontiguousarray(counts).reshape(many * steps, wide)
    if flat.dtype == np.uint8:
        start, source, number, held.listed = kernels.packets(flat, index, held.listed)
    else:
        step, place = np.nonzero(flat)
        start = np.searchsorted(step, np.arange(flat.shape[0] + 1))
        source, number = index[place].astype(np.int32), flat[step, place].astype(np.int32)
    count = number if number.size else ones(source.size)
    starts = np.empty((many, ticks + 1), np.int64)
    starts[:, :steps] = start[:-1].reshape(many, steps)
    starts[:, steps:] = start[steps::steps, np.newaxis]
    edges = starts[:, [0, -1]].tolist()
    starts -= starts[:, :1].copy()
    return [(starts[k], source[a:b], count[a:b]) for k, (a, b) in enumerate(edges)]


def sent_to(packets: Packets, ready: Program) -> Any:
    """Packets of the inputs as the kernel takes them, by place."""
    from . import kernels

    start, source, count = packets
    number = np.zeros(0, np.int32) if all_ones(count) else np.ascontiguousarray(count, np.int32)
    return kernels.Input(start, kernels.numbered(ready.place, source), number)


def start_state(ready: Program, slot: Any = np.int32) -> Any:
    """The state ahead of the first tick; slot : type of its slots (bounds.py)"""
    from . import kernels
    from .vectors import FLAGS

    fixed = ready.arithmetic is Arithmetic.FIXED
    size, kind = ready.size, np.int32 if fixed else np.float32
    return kernels.State(
        v=aligned(size, kind),
        i=aligned(size, kind),
        slot=aligned(ready.slots * ready.stride, slot),
        fired=aligned(size + FLAGS, np.uint8),
        last=aligned(size, np.uint8),
        held=aligned(size, np.int32),
        saturated=np.zeros(size if fixed else 0, np.int64),
    )


def ticking(
    ready: Program, state: Any, given: Any, out: Any, span: tuple[int, int, int], drawn: tuple[int, int], part: Part,
    share: Share,
) -> Any:
    """The kernel on a part; span : tick, end, what is kept; drawn : ticks that have gone by, noise"""
    from . import kernels

    fixed, (tick, end, kept) = True if ready.arithmetic is Arithmetic.FIXED else None, span
    awake = int(ready.groups.onset.max(initial=0))  # the tick from which all constants act
    for groups, until in ((part.groups, min(awake, end)), (part.steady, end)):
        if tick < until:
            tick, kept = kernels.run_ticks(
                ready.neurons, groups, part.packed, part.draws, state, given, out, fixed, ready.stride, ready.slots,
                tick, until, kept, *drawn, share)
            if tick < until:
                break  # no room for more
    return tick, kept


def in_turn(
    ready: Program, rounds: list[Packets], ticks: int, watch: NDArray[np.int64], before: bool = False,
    noise: Sequence[int] = (0,), threads: int = 1, held: Room | None = None,
) -> list[Result]:
    """Rounds one after the other; several of them on one thread alone.

    Of each (tick, source, count) of what was sent, tick by tick, membranes (ticks, watched) after each tick and ahead
    of its resets (without rows unless `before`), saturations by neuron.
    """
    from . import kernels

    held, many = Room() if held is None else held, len(rounds)
    ready = ready.placed
    team, fixed = parts(ready, threads), ready.arithmetic is Arithmetic.FIXED
    packets, kind = end_to_end(rounds), np.int32 if fixed else np.float32
    state = held.state(ready, accumulator(ready, [part.packed for part in team], largest(packets[2])))
    membranes = np.zeros((many * ticks, watch.size), kind)
    compared = np.zeros((many * ticks if before else 0, watch.size), kind)
    given, watch = sent_to(packets, ready), ready.place[watch]
    ends, saturated = np.zeros(many + 1, np.int64), np.zeros((many, state.saturated.size), np.int64)
    sent = held.output(4 * ready.stride + 1024, 64 * ready.size + 1024)
    awake = int(ready.groups.onset.max(initial=0))  # the tick from which all constants act
    at: tuple[int, ...] = 0, 0, 0
    while True:
        out = kernels.Output(sent[0], sent[1], sent[2] if ready.relays else sent[2][:0], watch, membranes, compared)

        def call(part: Part, share: Share, out: Any = out, at: tuple[int, ...] = at) -> Any:
            return kernels.run_rounds(
                ready.neurons, part.groups, part.steady, part.packed, part.draws, state, given, out,
                True if fixed else None, ready.stride, ready.slots, awake, np.array(noise, np.int64), ends, saturated,
                share, *at)

        at = run_parts(team, watch, call)
        if at[0] == many:
            break
        sent = [np.concatenate([a, np.empty(a.size, np.int32)]) for a in sent]
    held.sent, kept = sent, at[2]
    number = sent[2][:kept].copy() if ready.relays else ones(kept)
    events = (*kernels.taken(sent[0][:kept], sent[1][:kept], ready.number), number)
    saturated = saturated[:, ready.place] if fixed else saturated
    return [
        (tuple(column[ends[k] : ends[k + 1]] for column in events), membranes[k * ticks : (k + 1) * ticks],
         compared[k * ticks : (k + 1) * ticks], saturated[k])
        for k in range(many)
    ]
