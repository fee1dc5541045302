"""The Report as one self-contained HTML page: no scripts, nothing from elsewhere, every name escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from ..emulate import queueing_text
from ..machine import PES
from .activity import spikes_of
from .charts import Chart, curves, over_time, raster, shares
from .floorplan import Cell, floorplan
from .mesh import CHIPS as DRAWN
from .mesh import mesh
from .svg import compact, hue, letters
from .text import SHOWN, between, count, decisions, printable, ranged, shortest

if TYPE_CHECKING:
    from .summary import Report

CHIPS = 4  # floorplans drawn
RASTERS = 12  # populations drawn
LISTED = 24  # populations in the legend


def page(report: Report) -> str:
    """The page as text."""
    loader = jinja2.PackageLoader("s2nir.report")
    sheet = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sheet.filters |= {
        "compact": compact, "bytes": _bytes, "thousands": lambda v: f"{v:,}", "safe_name": printable,
        "core_ticks": lambda n: count(n, "core tick"), "ranged": ranged,
    }
    return sheet.get_template("report.html.j2").render(_context(report))


def _context(report: Report) -> dict[str, Any]:
    facts = report.to_dict()
    faults = report.recording.image.machine.faults
    usable = PES - report.recording.image.machine.reserved
    names = [p.name for p in report.recording.image.populations]
    place = {name: i for i, name in enumerate(names)}
    return {
        "facts": facts,
        "fit": facts["fit"],
        "run": facts["run"],
        "traffic": facts["traffic"],
        "time": facts["time"],
        "tag": {n: letters(i) for n, i in place.items()},
        "hue": {n: hue(i) for n, i in place.items()},
        "legend": names[:LISTED],
        "unlisted": max(0, len(names) - LISTED),
        "placements": [(chip, _placement(facts, place, chip, _dead(report, chip), usable)) for chip in _chips(report)],
        "heat": [(chip, _heat(facts, chip, _dead(report, chip), usable)) for chip in _chips(report)],
        "used_chips": len({c.chip for c in report.recording.image.cores}),
        "mesh": mesh(report.traffic, faults) if report.traffic.chip.shape[0] <= DRAWN else None,
        "faults": faults,
        "machine_chips": report.traffic.chip.shape[0],
        "between": between(facts["traffic"]),
        "heat_top": _hottest(facts),
        "packets": over_time(
            report.activity.busiest.astype(np.float64), facts["traffic"]["fifo"],
            f"FIFO of {facts['traffic']['fifo']} packets", "packets",
        ),
        "cycles": over_time(
            report.activity.busiest_cycles, facts["time"]["cycles_per_tick"],
            f"tick of {facts['time']['cycles_per_tick']:,.0f} cycles", "cycles",
        ),
        "shortest": shortest(facts["time"]),
        "queueing": [] if facts["queueing"] is None else queueing_text(facts["queueing"])[1:],
        "tick_parts": _tick_parts(facts["time"]),
        "energy_parts": _energy_parts(facts["energy"]),
        "rasters": _rasters(report, place),
        "unrastered": max(0, len(facts["populations"]) - RASTERS),
        "readouts": _readouts(report),
        "decided": [(o, decisions(chosen)) for o, chosen in facts["decisions"].items()],
        "fidelity": facts["fidelity"],
        "divergence": None if report.fidelity is None else report.fidelity.divergence,
        "recordings": count(facts["run"]["recordings"], "recording"),
        "shown": SHOWN,
    }


def _chips(report: Report) -> list[tuple[int, int]]:
    """Chips that are drawn: those to whose cores most packets come, in the order of the machine."""
    heard: dict[tuple[int, int], float] = {}
    for c in report.to_dict()["traffic"]["cores"]:
        chip = (c["chip"][0], c["chip"][1])
        heard[chip] = heard.get(chip, 0.0) + c["packets"]
    most = sorted(heard, key=lambda chip: (-heard[chip], chip))[:CHIPS]
    return sorted(most)


def _of(facts: dict[str, Any], chip: tuple[int, int]) -> list[dict[str, Any]]:
    return [c for c in facts["traffic"]["cores"] if tuple(c["chip"]) == chip]


def _dead(report: Report, chip: tuple[int, int]) -> dict[int, Cell]:
    faults = report.recording.image.machine.faults
    return {pe: Cell(box="dead", title=f"PE {pe}: dead") for at, pe in faults.cores if at == chip}


def _placement(
    facts: dict[str, Any], place: dict[str, int], chip: tuple[int, int], dead: dict[int, Cell], usable: int
) -> Markup:
    cells = dict(dead)
    for c in _of(facts, chip):
        n = place[c["population"]]
        cells[c["pe"]] = Cell(
            box=f"k{hue(n)}", ink=f"t{hue(n)}", words=letters(n),
            title=f"PE {c['pe']}: {printable(c['population'])}\n{c['application']}, {c['bytes']:,} bytes",
        )
    return floorplan(cells, f"cores of chip {chip} by population", usable=usable)


def _hottest(facts: dict[str, Any]) -> float:
    return max((c["packets"] for c in facts["traffic"]["cores"]), default=0.0)


def _heat(facts: dict[str, Any], chip: tuple[int, int], dead: dict[int, Cell], usable: int) -> Markup:
    cells, most = dict(dead), _hottest(facts)
    for c in _of(facts, chip):
        share = c["packets"] / most if most else 0.0
        cells[c["pe"]] = Cell(
            box="heat", ink="onheat" if share > 0.6 else "ink", opacity=0.06 + 0.94 * share,
            words=compact(round(c["packets"])),
            title=f"PE {c['pe']}: {printable(c['population'])}\n{c['packets']:,.1f} packets per recording\n"
            f"worst tick {c['worst_tick']:,} packets, {c['ticks_over_fifo']:,} ticks over the FIFO\n"
            f"worst tick {c['cycles_worst_tick']:,.0f} cycles (estimate)",
        )
    return floorplan(cells, f"packets per core of chip {chip}", usable=usable)


def _rasters(report: Report, place: dict[str, int]) -> list[tuple[str, Chart]]:
    r = report.recording
    names = [p.name for p in r.image.populations if p.name in report.spikes][:RASTERS]
    return [(n, raster(place[n], r.steps, r.image[n].size, spikes_of(r, n, 0))) for n in names]


def _tick_parts(time: dict[str, Any]) -> Chart:
    """Where the busiest tick of the busiest core goes."""
    return shares({f"busiest tick, PE {time['core']['pe']}": time["parts"]}, {}, "cycles")


def _energy_parts(found: dict[str, Any]) -> Chart:
    """Millijoules of one recording, by mode and by what they are for."""
    rows = {mode: {n: 1e3 * p["value"] for n, p in e["parts"].items() if p["value"]} for mode, e in found.items()}
    ends = {mode: (1e3 * e["joules"]["low"], 1e3 * e["joules"]["high"]) for mode, e in found.items()}
    return shares(rows, ends, "mJ")


def _readouts(report: Report) -> list[tuple[str, Chart]]:
    r = report.recording
    return [(o, curves(v[0].reshape(r.steps, -1).astype(np.float64))) for o, v in list(r.readout.items())[:RASTERS]]


def _bytes(n: int) -> str:
    """A number of bytes in few signs.

    >>> _bytes(192), _bytes(834340)
    ('192 B', '834 kB')
    """
    said = compact(n)
    number = said.rstrip("kMG")
    return f"{number} {said[len(number):]}B"
