"""The Report on a run: what it says as plain values; text.py and page.py say the same in words and pictures."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import path_of
from ..cost import (
    AUTOMATIC,
    HIGH,
    LOW,
    Energy,
    EnergyModel,
    Mode,
    NeuroBench,
    Timing,
    Traffic,
    Work,
    neurobench,
    timing,
    work,
)
from ..cost import traffic as measure_traffic
from ..emulate import Recording
from ..errors import S2NirError, needs
from ..files import write_whole
from ..machine import FIFO_PACKETS
from .activity import spikes_by_population
from .fidelity import Fidelity

SCHEMA = 1
CYCLES_SOURCE = (
    "an estimate [U]: what programs take is not published; 25 per synaptic event is what 12 M events/s per core at "
    "300 MHz leaves, the others are counted in equivalent C for a Cortex-M4F; docs/cost.md has each with its range"
)
MODES: dict[str, Mode] = {"low": LOW, "high": HIGH, "automatic": AUTOMATIC}


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """A report on one Recording: fit, traffic, time, activity, and fidelity where one is given.

    `str(report)` is a page of text that stays the same, `to_dict` the same as plain values, `save` writes a file.
    Nothing is computed before it is asked for.
    """

    recording: Recording
    fidelity: Fidelity | None = None

    def __repr__(self) -> str:
        return f"<Report on {self.recording!r}>"

    @cached_property
    def activity(self) -> Work:
        """What each core did."""
        return work(self.recording)

    @cached_property
    def spikes(self) -> dict[str, NDArray[np.int64]]:
        """Spikes of each recording, by population."""
        return spikes_by_population(self.recording)

    @cached_property
    def traffic(self) -> Traffic:
        """Packets on cores, routers and links."""
        return measure_traffic(self.recording)

    @cached_property
    def timing(self) -> Timing:
        """The shortest safe tick, an estimate."""
        return timing(self.recording, self.activity, self.traffic)

    @cached_property
    def energy(self) -> dict[str, Energy]:
        """Joules of one recording with PEs always low, always high, and automatic: estimates. Other assumptions are
        parameters of `s2nir.cost.EnergyModel`."""
        return {n: EnergyModel(mode=m)(self.recording, self.activity) for n, m in MODES.items()}

    @cached_property
    def neurobench(self) -> NeuroBench:
        """NeuroBench's metrics."""
        return neurobench(self.recording)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with a schema version; no value is infinite or NaN."""
        r, image = self.recording, self.recording.image
        return {
            "kind": "s2nir report",
            "schema": SCHEMA,
            "image": image.digest,
            "provenance": dict(image.provenance),
            "versions": dict(image.versions),
            "contract": list(image.contract),
            "notes": list(image.notes),
            "run": {
                "recordings": r.batch, "steps": r.steps, "ticks": r.ticks, "dt": image.dt, "tick": image.tick,
                "arithmetic": image.arithmetic.value, "lag": image.lag, "copies": image.copies,
                "rounds": -(-r.batch // image.copies), "inferences_per_round": min(image.copies, r.batch),
            },
            "fit": _fit(r),
            "populations": _populations(r, self.spikes),
            "traffic": _traffic(r, self.activity, self.traffic),
            "time": _time(r, self.activity) | self.timing.to_dict(),
            "energy": {n: e.to_dict() for n, e in self.energy.items()},
            "neurobench": self.neurobench.to_dict(),
            "queueing": None if r.queueing is None else r.queueing.to_dict(),
            "saturations": r.saturations,
            "headroom": {"max_count": image.max_count, "proven": "at compile: no int32 input slot overflows"},
            "decisions": {o: r.decisions(n).tolist() for o, n in image.outputs.items() if image[n].spikes},
            "readouts": _readouts(r),
            "fidelity": None if self.fidelity is None else plain(self.fidelity.to_dict()),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one file: a page for .html, JSON for .json, text for .txt.

        It is written beside its place and then renamed, so that a file is there whole or not at all.

        Raises
        ------
        S2NirError
            where the ending is another one.
        """
        target = path_of(path, "Report.save")
        kind = target.suffix.lower()
        if kind in (".html", ".htm"):
            from .page import page

            content = page(self)
        elif kind == ".json":
            content = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        elif kind == ".txt":
            content = f"{self}\n"
        else:
            raise S2NirError(f"Report.save: found {str(target)!r}, allowed are names that end in .html, .json or .txt")
        write_whole(target, lambda f: f.write(content.encode("utf-8", "backslashreplace")))

    def __str__(self) -> str:
        from .text import text

        return text(self.to_dict(), self.fidelity)


def report(recording: Recording, fidelity: Fidelity | None = None) -> Report:
    """The Report on a Recording; `fidelity`, from `s2nir.compare`, is taken in where given."""
    needs(recording, Recording, "report", "Make one with s2nir.run(image, spikes).")
    if fidelity is not None:
        needs(fidelity, Fidelity, "report(fidelity=)", "Make one with s2nir.compare(graph, image, spikes).")
    return Report(recording=recording, fidelity=fidelity)


def plain(value: Any) -> Any:
    """As values that JSON has: tuples as lists, numbers that are not finite as None.

    >>> plain({"a": (1, float("inf"))})
    {'a': [1, None]}
    """
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _fit(r: Recording) -> dict[str, Any]:
    image = r.image
    rows = []
    for row, p in zip(image.fit(), image.populations, strict=True):
        rows.append(row | {"bytes_total": sum(image.cores[i].used for i in p.cores)})
    return {
        "populations": rows,
        "cores": len(image.cores),
        "cores_neurons": image.neuron_cores,
        "cores_input": len(image.cores) - image.neuron_cores,
        "cores_usable": image.machine.cores,
        "sram_bytes": sum(c.used for c in image.cores),
        "sram_bytes_input": image.copies * sum(image.cores[i].used for p in image.inputs for i in p.cores),
        "routing_entries": sum(t.entries for t in image.tables.values()),
        "routing_entries_worst": max((t.entries for t in image.tables.values()), default=0),
        "routing_entries_allowed": image.machine.router_entries,
        "spike_list_bytes": int(r.spike_list_bytes().max(initial=0)),
        "spike_list_window": min((image.cores[i].window for p in image.inputs for i in p.cores), default=0),
    }


def _populations(r: Recording, found: dict[str, NDArray[np.int64]]) -> list[dict[str, Any]]:
    rows = []
    for p in r.image.populations:
        if p.name not in found:
            continue
        spikes = found[p.name]
        rate = float(spikes.sum()) / (r.batch * r.steps * p.size)
        rows.append({
            "population": p.name, "kind": p.kind, "neurons": p.size, "spikes": int(spikes.sum()),
            "spikes_per_recording": spikes.tolist(), "rate": rate,
            "rate_hz": None if r.image.dt is None else rate / r.image.dt,
        })
    return rows


def _traffic(r: Recording, a: Work, t: Traffic) -> dict[str, Any]:
    image, worst = r.image, t.to_dict()
    each, n = image.cores_per_copy, image.copies
    owner = {i: p for p in image.populations for i in p.cores}
    packets = _mean_packets(a, each, n)
    cores = [
        {
            "chip": list(c.chip), "pe": c.pe, "population": owner[i % each].name, "copy": i // each,
            "application": c.application, "bytes": c.used, "packets": float(packets[i]), "worst_tick": int(a.worst[i]),
            "ticks_over_fifo": int(a.over_fifo[i]), "cycles_worst_tick": float(a.cycles[i]),
            "ticks_overrun": int(a.overruns[i]),
        }
        for i, c in enumerate(image.cores)
    ]
    live = [i for i in range(min(n, r.batch) * each) if owner[i % each].kind != "input"]
    return {
        "packets_sent": r.packets,
        "synaptic_events": a.synaptic_events,
        "packets_per_core": float(packets[live].mean()) if live else 0.0,
        "fullest_core": _worst(cores, "packets"),
        "worst_tick": _worst(cores, "worst_tick"),
        "fifo": FIFO_PACKETS,
        "ticks_over_fifo": int(a.over_fifo.sum()),
        "packets_between_chips": int(t.between.total),
        "between_chips": worst["packets_between_chips"],
        "worst_link": worst["worst_link"],
        "worst_router": worst["worst_router"],
        "cores": cores,
    }


def _mean_packets(a: Work, each: int, copies: int) -> NDArray[np.float64]:
    """float64 (cores), packets that arrive per recording that a core's copy ran; `each` cores a copy."""
    of = np.bincount(np.arange(a.packets.shape[0]) % copies, minlength=copies)
    return np.asarray(a.packets.sum(axis=0) / np.maximum(np.repeat(of, each), 1), np.float64)


def _time(r: Recording, a: Work) -> dict[str, Any]:
    image = r.image
    return {
        "source": CYCLES_SOURCE,
        "cycles_worst_tick": float(a.cycles.max(initial=0)),
        "cycles_per_tick": float(a.budget.min(initial=math.inf)) if a.budget.size else 0.0,
        "ticks_overrun": int(a.overruns.sum()),
        "slower_than_model": None if image.dt is None else image.tick / image.dt,
    }


def _worst(cores: list[dict[str, Any]], key: str) -> dict[str, Any] | None:
    if not cores:
        return None
    most = max(cores, key=lambda c: c[key])
    return {k: most[k] for k in ("chip", "pe", "population", key)}


def _readouts(r: Recording) -> dict[str, Any]:
    """Range of what non-spiking outputs show, in units of the Graph."""
    return {
        output: {"population": r.image.outputs[output], "min": float(v.min()), "max": float(v.max())}
        for output, v in r.readout.items()
    }
