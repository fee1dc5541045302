"""An image to a BoardNetwork, and that to a script; each step refuses what a board would do otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import OneOf, SomeOf, Whole, path_of
from ..emulate import Recording, program, run
from ..errors import ExportError, InputError, needs
from ..events import to_counts
from ..mapping import MachineImage, PopulationInfo
from .caps import capped
from .network import BoardNetwork, BoardPopulation, BoardProjection
from .neurons import RELAY, Cells, cells, current_based, descriptors, model, parameters, refuse_image, refuse_neurons
from .script import write
from .wires import convolution, lists, synapses


def export_py_spinnaker2(
    image: MachineImage,
    path: str | os.PathLike[str],
    spikes: Any,
    record: Sequence[str] | str | None = None,
    recording: int | None = None,
) -> BoardNetwork:
    """Write a script that builds an image's network with py-spinnaker2, runs it and compares its spikes.

    The script needs numpy, py-spinnaker2 and the .npz of the same name that is written beside it. All it holds is read
    from the memories of the image's cores; what it compares with is what `s2nir.run` gives. See docs/boards.md.

    path : of the script; ends in .py
    spikes : one recording, as `s2nir.run` takes it; recording : which one of several
    record : names of populations whose spikes (of those that do not spike, voltages) are compared; all by default

    Raises
    ------
    ExportError
        where a board would not do what the image does; its rule is a heading of docs/boards.md.
    InputError
        where the spikes do not fit, or the script cannot be written.
    """
    needs(image, MachineImage, "export_py_spinnaker2", "Make one with s2nir.compile(network).")
    target = path_of(path, "export_py_spinnaker2.path")
    if target.suffix != ".py":
        raise InputError(f"export_py_spinnaker2.path: found {str(target)!r}, needed a name that ends in .py")
    found = board_network(image, spikes, record, recording)
    write(found, target)
    return found


def board_network(
    image: MachineImage, spikes: Any, record: Sequence[str] | str | None = None, recording: int | None = None
) -> BoardNetwork:
    """The network that a script builds, without writing it; arguments as `export_py_spinnaker2` has them."""
    refuse_image(image)
    ready = program(image)
    neurons = {p.name: cells(ready, p) for p in image.populations if p.kind == "neurons"}
    for name, found in neurons.items():
        refuse_neurons(image[name], found, descriptors(image, image[name]))
    counts = _one(image, spikes, recording)
    watched = _recorded(image, record)
    readouts = {n: ("voltages",) for n in watched if not image[n].spikes}
    done = run(image, {n: c[np.newaxis] for n, c in counts.items()}, record=readouts)
    times = {n: max(1, int(c.max(initial=0))) for n, c in counts.items()}
    projections, times = _projections(image, times)
    convolves = {q.post for q in projections if q.is_conv}
    populations = [
        _population(image, p, times[p.name], neurons.get(p.name), p.name in convolves, counts.get(p.name),
                    p.name in watched)
        for p in image.populations
    ]
    window = min(c.window for c in image.cores)
    return BoardNetwork(
        image=image.digest,
        ticks=done.ticks,
        tick=image.tick,
        window=window,
        populations=capped(populations, projections, done.ticks + 1, window),
        projections=tuple(projections),
        spikes={n: _events(done, n) for n in watched if image[n].spikes},
        voltages={n: done.raw_voltages(n)[0].reshape(done.ticks, -1) for n in readouts},
    )


def _one(image: MachineImage, spikes: Any, recording: int | None) -> dict[str, NDArray[Any]]:
    """Counts of one recording, (steps, size) by input."""
    given = to_counts(spikes, {p.name: p.shape for p in image.inputs}, image.dt, image.max_count)
    batch = len(next(iter(given.values())))
    if recording is None and batch > 1:
        raise InputError(f"export_py_spinnaker2.spikes: found {batch} recordings, a script runs one. Choose it with "
                         f"recording=0 to {batch - 1}.")
    which = 0 if recording is None else Whole(0, batch - 1)(recording, "export_py_spinnaker2.recording", InputError)
    return {name: c[which] for name, c in given.items()}


def _recorded(image: MachineImage, record: Sequence[str] | str | None) -> tuple[str, ...]:
    """Names of the populations to compare, in the order of the image."""
    names = tuple(p.name for p in image.populations if p.kind == "neurons")
    if record is None:
        return names
    chosen = SomeOf(names)(record, "export_py_spinnaker2.record", ExportError)
    if not chosen:
        OneOf(names)(None, "export_py_spinnaker2.record", ExportError)
    return tuple(n for n in names if n in chosen)


def _projections(
    image: MachineImage, times: Mapping[str, int]
) -> tuple[list[BoardProjection], dict[str, int]]:
    """All projections, and how often the sources of each population stand in the board's.

    A source that sends n packets in a tick is n sources: what a board does with two packets of one key in a tick is
    not known.
    """
    ready, often = program(image), dict(times)
    found = synapses(image, ready)
    for p in image.populations:  # relays stand behind what they pass on
        before = [pre for pre, post in found if post == p.name]
        often.setdefault(p.name, often[before[0]] if p.kind == "relay" and before else 1)
    projections = []
    for p in image.populations:
        into = {pair: columns for pair, columns in found.items() if pair[1] == p.name}
        plain = p.kind == "neurons" and not current_based(ready, p)  # as lif_conv2d's neurons are
        conv = convolution(image, p, into, often) if plain else None
        if conv is not None:
            projections.append(conv)
            continue
        for pair, columns in into.items():
            onto = p.size if p.kind == "relay" else 0
            projections += lists(pair, columns, image[pair[0]].size, often[pair[0]], onto)
    return projections, often


def _population(
    image: MachineImage, p: PopulationInfo, times: int, c: Cells | None, convolves: bool, counts: NDArray[Any] | None,
    watched: bool,
) -> BoardPopulation:
    form = descriptors(image, p)
    largest = max(d.neurons for d in form)
    size = p.size * times
    if counts is not None:
        return BoardPopulation(name=p.name, size=size, model="spike_list", kind=p.kind, cap=largest, largest=largest,
                               sent=_sent(counts, times))
    if c is None:
        return BoardPopulation(name=p.name, size=size, model="lif_no_delay", kind=p.kind, cap=largest, largest=largest,
                               params=RELAY)
    seen = ("spikes" if c.spikes else "v",) if watched else ()
    return BoardPopulation(name=p.name, size=size, model=model(c, form, convolves), kind=p.kind, cap=largest,
                           largest=largest, params=parameters(c), record=seen)


def _sent(counts: NDArray[Any], times: int) -> NDArray[np.int32]:
    """Tick and source of every packet: the r-th of a source in a tick comes from its r-th place."""
    size = counts.shape[1]
    found = [np.argwhere(counts > r) + np.array([0, r * size]) for r in range(times)]
    packets = np.concatenate(found)
    return packets[np.lexsort(packets.T[::-1])].astype(np.int32)


def _events(done: Recording, name: str) -> NDArray[np.int32]:
    """Tick and neuron of every spike."""
    raw = done.raw_spikes(name)[0]
    return np.argwhere(raw.reshape(done.ticks, -1)).astype(np.int32)
