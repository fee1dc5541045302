"""Neurons per core of a board's populations: those of the image's slices, or fewer where what a core holds asks for it.

py-spinnaker2 cuts a population into runs of `cap` neurons in their own order, an image into boxes, and a script records
what an image may not have room for. So bytes are counted again, as machine/applications.py has them, for the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError
from ..machine import APPLICATIONS, USABLE_PES, Application, record_bytes
from .network import BoardPopulation, BoardProjection

PER_CORE = 250  # [P] default of py-spinnaker2
PER_CORE_CONV = 256  # [P] cap used for the NIR paper's first layers
BOARD_CHIPS = 48
SPIKE_BYTES = 4  # of a packet, and of a tick, in a spike list; ours [U]
KINDS = {"spikes": "spikes", "v": "voltages"}


def capped(
    populations: Sequence[BoardPopulation], projections: Sequence[BoardProjection], ticks: int, window: int
) -> tuple[BoardPopulation, ...]:
    """The populations with the largest caps, up to the image's, that fit a core's window.

    Raises
    ------
    ExportError
        where one neuron alone does not fit, or there are more cores than a board has.
    """
    caps: dict[str, int] = {}
    found = []
    for p in sorted(populations, key=lambda p: p.kind == "neurons"):  # sources first: kernels are found by their slices
        into = [q for q in projections if q.post == p.name]
        caps[p.name] = _cap(p, into, caps | {p.name: p.cap}, {q.name: q.size for q in populations}, ticks, window)
        found.append(replace(p, cap=caps[p.name]))
    cores, most = sum(p.cores for p in found), BOARD_CHIPS * USABLE_PES
    if cores > most:
        raise ExportError(f"the script would take {cores} cores, a board of 48 chips has {most}. Export a smaller "
                          "network.", rule="does-not-fit-a-board")
    place = {p.name: p for p in found}
    return tuple(place[p.name] for p in populations)


def _cap(
    p: BoardPopulation, into: Sequence[BoardProjection], caps: Mapping[str, int], sizes: Mapping[str, int], ticks: int,
    window: int,
) -> int:
    """The largest cap up to the population's own that fits."""
    start = min(p.cap, PER_CORE_CONV if p.model == "lif_conv2d" else PER_CORE)
    sizes_to_try = sorted({-(-p.size // k) for k in range(-(-p.size // start), p.size + 1)} | {start}, reverse=True)
    low, high = 0, len(sizes_to_try)
    while low < high:
        middle = (low + high) // 2
        fits = held(p, sizes_to_try[middle], into, caps, sizes, ticks).max() <= window
        low, high = (low, middle) if fits else (middle + 1, high)
    if low < len(sizes_to_try):
        return sizes_to_try[low]
    alone = held(p, 1, into, caps, sizes, ticks)
    record = f", {ticks} ticks of records among them" if p.record else ""
    raise ExportError(
        f"{p.name}: neuron {int(alone.argmax())} alone takes {int(alone.max())} bytes of a core's {window}{record}. "
        "Give fewer steps of spikes, record fewer populations (record=), or export a smaller network.",
        rule="does-not-fit-a-core",
    )


def held(
    p: BoardPopulation, cap: int, into: Sequence[BoardProjection], caps: Mapping[str, int], sizes: Mapping[str, int],
    ticks: int,
) -> NDArray[np.int64]:
    """Bytes of data memory of each core of a population, int64 (cores)."""
    runs = np.minimum(cap, p.size - cap * np.arange(-(-p.size // cap)))
    if p.model == "spike_list":
        packets = np.bincount(p.sent[:, 1] // cap, minlength=runs.size)
        return np.asarray(SPIKE_BYTES * (packets + ticks) + Application.descriptor_bytes)
    each = Application.neuron_parameter_bytes + Application.neuron_state_bytes
    each += Application.ring_bytes if p.model in ("lif", "lif_curr_exp") else 0
    total = Application.descriptor_bytes + each * runs
    for what in p.record:
        total = total + np.array([record_bytes(KINDS[what], int(n), ticks) for n in runs])
    for q in into:
        if q.is_conv:
            total = total + _kernels(q, p.size, runs, -(-sizes[q.pre] // caps.get(q.pre, PER_CORE_CONV)))
            continue
        core, source = q.connections[:, 1] // cap, q.connections[:, 0]
        row, words = np.unique(core.astype(np.int64) * sizes[q.pre] + source, return_counts=True)
        each_row = Application.table_entry_bytes + Application.row_header_bytes + 4 * -(-words // 2)
        total = total + np.bincount(row // sizes[q.pre], each_row, minlength=runs.size).astype(np.int64)
    return np.asarray(total, np.int64)


def _kernels(q: BoardProjection, size: int, runs: NDArray[np.int64], slices: int) -> NDArray[np.int64]:
    """Bytes of the kernels of the channels that each run of targets meets, and of what finds them; ours [U]."""
    c_in, c_out, height, width = q.kernel.shape
    end = np.cumsum(runs)
    channel = size // c_out
    met = (end - 1) // channel - (end - runs) // channel + 1
    app = APPLICATIONS["lif_conv2d"]
    entries = app.conv_entry_bytes * slices + app.conv_geometry_bytes
    return np.asarray(-(-c_in * height * width * met // 4) * 4 + entries)
