"""The figure of a benchmark, by matplotlib: accuracy against bits, against percentiles, and against elapsed time."""

from __future__ import annotations

import io
from typing import Any

SHOWN = (("float", 0), ("ptq", 8), ("qat", 8), ("ptq", 4), ("qat", 4))
COLOURS = {"float": "#444444", "ptq": "#c4572b", "qat": "#2b6cb0"}
WORDS = {"float": "float", "ptq": "PTQ (auto, channel)", "qat": "QAT (channel)"}


def figure(results: dict[str, Any]) -> bytes | None:
    """A PNG; None where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    drawn = Figure(figsize=(12.5, 4.1), layout="constrained")
    FigureCanvasAgg(drawn)
    left, middle, right = drawn.subplots(1, 3)
    _widths(left, results)
    _percentiles(middle, results)
    _time(right, results)
    drawn.suptitle(f"{results['data']}: {results['rows'][0]['recordings']} test recordings, "
                   f"{results['plan']['seeds']} seed(s)", fontsize=11)
    out = io.BytesIO()
    drawn.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _find(results: dict[str, Any], kind: str, bits: int) -> dict[str, Any] | None:
    for line in results["rows"]:
        if (line["kind"], line["bits"]) == (kind, bits) and line["recordings"] == results["rows"][0]["recordings"]:
            if kind == "ptq" and (line["percentile"], line["per"]) != ("auto", "channel"):
                continue
            found: dict[str, Any] = line
            return found
    return None


def _widths(ax: Any, results: dict[str, Any]) -> None:
    whole = _find(results, "float", 0)
    assert whole is not None
    ax.axhline(100 * whole["accuracy"], color=COLOURS["float"], lw=1.2, label=WORDS["float"])
    for kind in ("ptq", "qat"):
        lines = [line for b in results["plan"]["bits"] if (line := _find(results, kind, b)) is not None]
        ax.errorbar(
            [line["bits"] for line in lines], [100 * line["accuracy"] for line in lines],
            yerr=[100 * (line["accuracy_spread"] or 0.0) for line in lines], marker="o", ms=4, lw=1.4, capsize=3,
            color=COLOURS[kind], label=WORDS[kind],
        )
    ax.set(xlabel="bits per weight", ylabel="test accuracy, %", xticks=sorted(results["plan"]["bits"]),
           title="by width (bars: spread over seeds)")
    ax.legend(frameon=False, fontsize=8)
    ax.grid(alpha=0.3)


def _percentiles(ax: Any, results: dict[str, Any]) -> None:
    """The post-training grid, on the recordings that all of it was evaluated on; "auto, channel" on the whole split."""
    names = [str(p) for p in results["plan"]["percentiles"]]
    shades = {8: 1.0, 6: 0.75, 4: 0.5, 2: 0.3}
    for per, style in (("channel", "-"), ("population", ":")):
        for bits in results["plan"]["bits"]:
            grid = [r for r in results["rows"] if (r["kind"], r["bits"], r["per"]) == ("ptq", bits, per)]
            found = {str(r["percentile"]): r for r in grid}
            ax.plot(names, [100 * found[n]["accuracy"] for n in names], style, marker=".", lw=1.1, color=COLOURS["ptq"],
                    alpha=shades.get(bits, 0.6), label=f"{bits} bits, {per}")
    ax.set(xlabel="percentile of |w| at full scale", title="PTQ by percentile")
    ax.tick_params(axis="x", labelrotation=30)
    ax.legend(frameon=False, fontsize=6.5, ncols=2)
    ax.grid(alpha=0.3)


def _time(ax: Any, results: dict[str, Any]) -> None:
    tick = results["plan"]["tick_us"] * 1e-6
    for kind, bits in SHOWN:
        line = _find(results, kind, bits)
        if line is None:
            continue
        curve = line["accuracy_by_tick"]
        ax.plot([(t + 1) * tick for t in range(len(curve))], [100 * v for v in curve], color=COLOURS[kind], lw=1.4,
                ls="--" if bits == 4 else "-", label=f"{kind} {bits} bits" if bits else kind)
    ax.set(xlabel="seconds of the recording seen", title="answer so far")
    ax.legend(frameon=False, fontsize=8)
    ax.grid(alpha=0.3)
