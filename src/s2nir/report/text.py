"""The page of text: what `Report.to_dict` holds, in words that stay the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..emulate import queueing_text
from .fidelity import Fidelity

SHOWN = 64  # rows of a table, so that the page of a large network stays a page


def text(facts: dict[str, Any], fidelity: Fidelity | None) -> str:
    """The page."""
    fit, run, origin = facts["fit"], facts["run"], facts["provenance"]
    dt = "none" if run["dt"] is None else f"{run['dt']:g} s"
    lines = [
        f"Report on image {facts['image'][:12]}",
        f"  {count(run['recordings'], 'recording')} of {run['steps']} steps, {run['ticks']} ticks of {run['tick']:g} s",
        *([f"  {run['copies']:,} copies of the network, {count(run['inferences_per_round'], 'inference')} per round, "
           f"{count(run['rounds'], 'round')}"] if run["copies"] > 1 else []),
        f"  dt {dt}, {run['arithmetic']}",
        f"  from network {origin.get('network', '')[:12]}, graph {origin.get('graph', '')[:12]}",
        f"  {origin.get('scheme', '')}",
        "contract",
        *(f"  {line}" for line in facts["contract"]),
        "fit",
        f"  {fit['cores_neurons']} of {fit['cores_usable']} cores, and {fit['cores_input']} more for input",
        f"  {fit['sram_bytes']:,} bytes of SRAM, {fit['sram_bytes_input']:,} of them for input",
        f"  {fit['routing_entries']:,} routing entries, at most {fit['routing_entries_worst']:,} of "
        f"{fit['routing_entries_allowed']:,} on a chip",
        f"  an input core's spike list takes up to {fit['spike_list_bytes']:,} of {fit['spike_list_window']:,} bytes"
        + (", a board must send it in parts" if fit["spike_list_bytes"] > fit["spike_list_window"] else ""),
        *(f"  {row}" for row in fit_table(fit["populations"])),
        "activity",
        *(f"  {row}" for row in activity_table(facts["populations"])),
        *_traffic(facts["traffic"]),
        *_time(facts["time"]),
        *([] if facts["queueing"] is None else queueing_text(facts["queueing"])),
        *_energy(facts["energy"]),
        *_neurobench(facts["neurobench"]),
        *_numbers(facts),
    ]
    if fidelity is not None:
        lines += ["fidelity", *(f"  {line}" for line in str(fidelity).splitlines())]
    if facts["notes"]:
        lines += ["notes", *(f"  {note}" for note in _some(facts["notes"]))]
    return "\n".join(printable(line) for line in lines)



def _core(place: dict[str, Any]) -> str:
    """A core by chip and PE."""
    return f"chip ({place['chip'][0]}, {place['chip'][1]}) PE {place['pe']}"


def _traffic(t: dict[str, Any]) -> list[str]:
    lines = [
        "traffic",
        f"  {t['packets_sent']:,} packets sent, {t['synaptic_events']:,} synaptic events",
        f"  a core hears {t['packets_per_core']:,.1f} packets per recording on average",
    ]
    if t["fullest_core"]:
        full, worst = t["fullest_core"], t["worst_tick"]
        lines += [
            f"  fullest core: {_core(full)} ({full['population']}), {full['packets']:,.1f} packets per recording",
            f"  worst tick: {worst['worst_tick']:,} packets at {_core(worst)} ({worst['population']}), "
            f"the FIFO holds {t['fifo']}",
        ]
    over = t["ticks_over_fifo"]
    if over:
        said = count(over, "core tick")
        lines.append(f"  in {said} the FIFO cannot hold the packets; this run drops none, a board would")
    else:
        lines.append("  no tick gets more packets than the FIFO holds")
    return lines + [f"  {line}" for line in between(t)]


def between(t: dict[str, Any]) -> list[str]:
    """What goes from chip to chip; nothing is said where nothing does."""
    every, link, router = t["between_chips"], t["worst_link"], t["worst_router"]
    if every is None:
        return []
    return [
        f"{t['packets_between_chips']:,} packets over links, {_ticks(every)}",
        f"worst link: {link['link']} of {_chip(link)}, {_ticks(link)}: {link['ns_worst_tick'] / 1e3:,.3g} us at "
        f"{link['ns_per_packet']:g} ns, {link['share_of_tick']:.2%} of the tick",
        f"worst router: {_chip(router)}, {_ticks(router)}",
    ]


def _chip(found: dict[str, Any]) -> str:
    return f"chip ({found['chip'][0]}, {found['chip'][1]})"


def _ticks(found: dict[str, Any]) -> str:
    """Packets on average and in the worst tick."""
    return (f"{found['packets_per_tick']:,.1f} per tick, {found['packets_worst_tick']:,.0f} in the worst "
            f"(tick {found['tick']}, recording {found['recording']})")


def _time(t: dict[str, Any]) -> list[str]:
    over, slower = t["ticks_overrun"], t["slower_than_model"]
    return [
        "time",
        f"  worst tick of the worst core: {t['cycles_worst_tick']:,.0f} of {t['cycles_per_tick']:,.0f} cycles (PE "
        f"{t['core']['pe']})",
        f"  {count(over, 'core tick')} overrun" if over else "  no tick overruns",
        *([] if slower in (None, 1.0) else [f"  a tick takes {slower:g} times as long as a step of the model lasts"]),
        *(f"  {line}" for line in shortest(t)),
        f"  cycles are {t['source']}",
    ]


def shortest(t: dict[str, Any]) -> list[str]:
    """The shortest safe tick, and how fast that is."""
    tick, fast = t["shortest_tick_s"], t["real_time"]
    by = "the worst core" if t["limit"] == "cycles" else "the worst link"
    lines = [f"shortest safe tick: {ranged(tick, 1e-6)} us, set by {by} (estimate)"]
    if t["lost"]:
        lines.append("packets that the FIFO cannot hold are lost at any tick")
    if fast is not None:
        lines.append(f"that is {ranged(fast)} times real time")
    return lines


def _energy(found: dict[str, Any]) -> list[str]:
    lines = ["energy, an estimate of one recording: value (lowest to highest)"]
    lines += [
        f"  levels {n}: {ranged(e['joules'], 1e-3)} mJ, {ranged(e['watts'], 1e-3)} mW" for n, e in found.items()
    ]
    held = found["automatic"]
    most = sorted((n for n, p in held["parts"].items() if p["value"]), key=lambda n: -held["parts"][n]["value"])
    lines.append("  automatic, by part: " + ", ".join(f"{n} {held['parts'][n]['value'] * 1e3:.3g} mJ" for n in most))
    return lines + [f"  assumed: {said}" for said in held["assumed"]]


def _neurobench(n: dict[str, Any]) -> list[str]:
    return [
        "NeuroBench metrics (arXiv 2304.04640)",
        f"  footprint {n['footprint_bytes']:,} bytes, connection sparsity {n['connection_sparsity']:.4f}, activation "
        f"sparsity {n['activation_sparsity']:.6f}",
        f"  synaptic operations per recording: {n['effective_acs']:,.1f} effective ACs, {n['effective_macs']:,.1f} "
        f"effective MACs, {n['dense']:,.0f} dense",
    ]


def ranged(found: dict[str, float], unit: float = 1.0) -> str:
    """A value with its range.

    >>> ranged({"value": 0.0021, "low": 0.001, "high": 0.0045}, 1e-3)
    '2.1 (1 to 4.5)'
    """
    value, low, high = (f"{found[name] / unit:,.3g}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _numbers(facts: dict[str, Any]) -> list[str]:
    lines = ["numbers", f"  headroom proven for up to {facts['headroom']['max_count']} packets of a source in a tick"]
    held = {n: k for n, k in facts["saturations"].items() if k}
    lines += [f"  {n}: {k:,} values saturated" for n, k in sorted(held.items())] or ["  no value saturated"]
    for output, chosen in facts["decisions"].items():
        lines.append(f"  decisions at {output}: {decisions(chosen)}")
    for output, span in facts["readouts"].items():
        lines.append(f"  readout {output}: {span['min']:.6g}..{span['max']:.6g}")
    return lines


def decisions(chosen: Sequence[int]) -> str:
    """Which neuron was most active, and how often.

    >>> decisions([3, 3, 1])
    'neuron 3 (2x), 1 (1x)'
    >>> decisions([7])
    'neuron 7'
    """
    if len(chosen) == 1:
        return f"neuron {chosen[0]}"
    most = sorted(Counter(chosen).items(), key=lambda item: (-item[1], item[0]))
    return "neuron " + ", ".join(f"{n} ({k}x)" for n, k in most[:12]) + (", ..." if len(most) > 12 else "")


def fit_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The fit, a line per population."""
    body = [
        (r["population"], r["application"], f"{r['neurons']:,}", str(r["cores"]), str(r["neurons_per_core"]),
         f"{r['bytes']:,}", f"{r['bytes'] / r['window']:.0%}", str(r["lag"]))
        for r in rows
    ]
    head = ("population", "application", "neurons", "cores", "per core", "bytes", "of window", "lag")
    return table(head, body)


def activity_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Spikes and rates, a line per population."""
    timed = any(r["rate_hz"] is not None for r in rows)
    head = ("population", "spikes", "per recording", "per neuron and step") + (("Hz",) if timed else ())
    body = [
        (r["population"], f"{r['spikes']:,}", f"{r['spikes'] / max(1, len(r['spikes_per_recording'])):,.1f}",
         f"{r['rate']:.5f}", *((f"{r['rate_hz']:,.1f}",) if timed else ()))
        for r in rows
    ]
    return table(head, body)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns under their heads; the first to the left, numbers to the right.

    >>> table(("a", "n"), [("x", "10")])
    ['a   n', 'x  10']
    """
    body = [[printable(cell) for cell in row] for row in rows]
    left = len(body) - SHOWN
    body = body[:SHOWN]
    width = [max(len(row[i]) for row in [list(head), *body]) for i in range(len(head))]
    numeric = [all(row[i][:1].isdigit() or row[i][:1] in "+-" for row in body) and i > 0 for i in range(len(head))]
    side = [str.rjust if n else str.ljust for n in numeric]
    said = [
        "  ".join(put(cell, w) for put, cell, w in zip(side, row, width, strict=True)).rstrip()
        for row in [list(head), *body]
    ]
    return said + ([f"... and {left} more"] if left > 0 else [])


def printable(line: str) -> str:
    """Text from a file, safe to print: what is no printable character is written as its code.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def count(n: int, word: str) -> str:
    """A number with its word.

    >>> count(1, "recording"), count(1000, "recording")
    ('1 recording', '1,000 recordings')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def _some(items: Sequence[str]) -> list[str]:
    left = len(items) - SHOWN
    return [*items[:SHOWN], *([f"... and {left} more"] if left > 0 else [])]
