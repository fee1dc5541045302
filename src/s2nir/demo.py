"""The whole way on what the package brings itself: a small spiking CNN and synthetic events of moving shapes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import TEST_SEED, moving_shapes, shapes_network
from .emulate import Recording, reference, run
from .errors import InputError
from .frontend import load
from .graph import Graph
from .mapping import compile
from .quantize import Network, quantize
from .report import compare, report

BY_REFERENCE = 200  # recordings that the integer reference runs too: it is plain NumPy, and slow
PART = 40  # recordings that are held in memory at once
COMPARED = 40  # recordings whose membranes are compared with the float run
THREADS = min(2, os.cpu_count() or 1)
FIT = {"cores": "cores_neurons", "cores_input": "cores_input", "sram_bytes": "sram_bytes"}


def demo(out: Path, progress: Callable[[str], object] | None = None, recordings: int = 200) -> dict[str, Any]:
    """Load, quantize to 8 bits, compile, run and compare the packaged network; write a page about it.

    The events are synthetic (`s2nir.data.moving_shapes`), of a split that the network was neither trained nor chosen
    on.

    out : folder of `report.html`; made where it is missing
    progress : called with a sentence ahead of each stage
    recordings : int, synthetic test recordings

    Returns
    -------
    Plain values. accuracy_float : Graph.simulate; accuracy_int8 : the integer reference on the Network, on the first
    `recordings_int8`; accuracy_emulated : the emulator on the image; differing_spikes : between the two on those
    recordings, over all populations and ticks; spikes_alike : share of entries equal to the float run, by population,
    on the first `recordings_compared`; first_divergence : where they part; cores (for neurons), cores_input;
    sram_bytes : of all cores; packets : sent in all recordings; report : path; seconds : float.
    """
    if recordings < 1:
        raise InputError(f"demo: found recordings={recordings}, needed 1 or more")
    began = time.perf_counter()
    say = progress or (lambda words: None)
    say(f"making {recordings} synthetic recordings of moving shapes")
    spikes, labels = moving_shapes(recordings, TEST_SEED)
    say(f"loading, quantizing and compiling {shapes_network().name}")
    graph = load(shapes_network())
    network = quantize(graph)
    image = compile(network)
    say("running in floats")
    decided = _decisions(graph, spikes)
    say("running on the emulator")
    recording = run(image, spikes, threads=THREADS)
    say("writing the report")
    fidelity = compare(graph, image, spikes[:COMPARED], threads=THREADS)
    out.mkdir(parents=True, exist_ok=True)
    page = out / "report.html"
    found = report(recording, fidelity)
    found.save(page)
    say(f"running {min(recordings, BY_REFERENCE)} recordings on the integer reference")
    against = _against_reference(network, recording, spikes, labels)
    return {
        "network": shapes_network().name,
        "data": "synthetic moving shapes",
        "recordings": recordings,
        "recordings_int8": against["recordings"],
        "recordings_compared": fidelity.recordings,
        "differing_spikes": against["differing"],
        "spikes_alike": {p.name: p.match for p in fidelity.populations if p.spikes},
        "decisions_alike": _share(_decided(recording) == decided),
        "first_divergence": None if fidelity.divergence is None else str(fidelity.divergence),
        "seconds": round(time.perf_counter() - began, 1),
        "accuracy_float": _share(decided == labels),
        "accuracy_int8": against["right"] / against["recordings"],
        "accuracy_emulated": _share(_decided(recording) == labels),
        **{key: found.to_dict()["fit"][fit] for key, fit in FIT.items()},
        "packets": recording.packets,
        "report": str(page),
    }


def _decisions(graph: Graph, spikes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The most active output neuron of each recording in the float run; a part of them in memory at a time."""
    name = next(iter(graph.outputs.values()))
    parts = []
    for lo in range(0, len(spikes), PART):
        made = graph.simulate(spikes[lo : lo + PART]).spikes[name]
        parts.append(made.sum(axis=1, dtype=np.int64).argmax(axis=1))
    return np.concatenate(parts)


def _decided(recording: Recording) -> NDArray[np.int64]:
    return recording.decisions(next(iter(recording.image.outputs.values())))


def _against_reference(
    network: Network, recording: Recording, spikes: NDArray[np.uint8], labels: NDArray[np.int64]
) -> dict[str, int]:
    """recordings of the integer reference, how many are right, and the spikes in which the emulator differs."""
    output = next(iter(network.outputs.values()))
    emulated = {p.name: recording.raw_spikes(p.name) for p in recording.image.populations if p.kind == "neurons"}
    right = differing = 0
    many = min(len(spikes), BY_REFERENCE)
    for lo in range(0, many, PART):
        part = slice(lo, min(many, lo + PART))
        whole = reference(network, spikes[part])
        lag = whole.lags[output]
        counts = whole.spikes[output][:, lag : lag + recording.steps].sum(axis=1, dtype=np.int64)
        right += int((counts.argmax(axis=1) == labels[part]).sum())
        for name, got in emulated.items():
            want = whole.spikes[name]
            differing += int((got[part].reshape(want.shape) != want).sum())
    return {"recordings": many, "right": right, "differing": differing}


def _share(agree: NDArray[np.bool_]) -> float:
    return float(agree.mean())
