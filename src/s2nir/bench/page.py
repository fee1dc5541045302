"""The results of a benchmark as one self-contained HTML page, and as lines of a table."""

from __future__ import annotations

import base64
from typing import Any

import jinja2

HEAD = ("row", "test accuracy", "gap to float, points", "spikes", "cores", "SRAM", "settles", "energy (estimate)",
        "differs from PyTorch")


def page(results: dict[str, Any], picture: bytes | None) -> str:
    """The page as text; the picture, a PNG, stands in it."""
    sheet = jinja2.Environment(
        loader=jinja2.PackageLoader("s2nir.bench"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    drawn = None if picture is None else base64.b64encode(picture).decode()
    return sheet.get_template("results.html.j2").render(
        r=results, picture=drawn, head=HEAD, compared=[line(results, row) for row in compared(results)],
        others=[line(results, row) for row in results["rows"] if row not in compared(results)],
        layers=list(results["rows"][0]["rate"]), whole=compared(results),
        percent=lambda v: f"{100 * v:.3g}",
    )


def compared(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows on the whole test split that are compared with each other."""
    paired = {g["row"] for g in results["gaps"]}
    return [r for r in results["rows"] if not r["row"].startswith("ptq") or r["row"] in paired]


def line(results: dict[str, Any], row: dict[str, Any]) -> tuple[str, ...]:
    """One row in words, under `HEAD`."""
    spread = "" if row["accuracy_spread"] is None else f" ± {100 * row['accuracy_spread']:.2f}"
    gap = next((g for g in results["gaps"] if g["row"] == row["row"]), None)
    tick = results["plan"]["tick_us"] * 1e-3
    words = [
        row["row"],
        f"{100 * row['accuracy']:.2f} %{spread} of {row['recordings']}",
        "-" if gap is None else f"{gap['points']:+.2f} [{gap['low']:+.2f}, {gap['high']:+.2f}]",
        f"{sum(row['spikes_per_recording'].values()):,.0f}",
    ]
    settled = f"{row['settled_tick_median'] * tick:,.0f} ms"
    if "cores" not in row:
        return (*words, "-", "-", settled, "-", "-")
    low, high = row["energy_j"]
    return (
        *words, f"{row['cores']:.0f} + {row['cores_input']:.0f}", f"{row['sram_bytes'] / 1024:,.0f} KiB", settled,
        f"{1e3 * low:.0f}..{1e3 * high:.0f} mJ", f"{row['differing']['pytorch']} spikes",
    )
