"""Rasters, rates and loads over time; the number of marks is bounded, and what is left out is said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from .svg import compact, element, hue, label, line, picture, short, steps_path, ticks, title

WIDTH, LEFT, RIGHT = 1080.0, 64.0, 14.0
PLOT = WIDTH - LEFT - RIGHT
DOTS = 3000  # of one population
COLUMNS = 540  # values of a line; longer runs are drawn by the maximum (loads) or mean (rates) of each stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture and what must be said with it."""

    svg: Markup
    said: str = ""


def over_time(values: NDArray[np.float64], limit: float, limit_name: str, unit: str) -> Chart:
    """A load by tick as an area, with its limit where that comes into the picture."""
    shown, wide = stretch(values, np.max)
    peak = float(values.max(initial=0.0))
    in_sight = 0 < limit <= 4 * peak
    top = max(peak, limit if in_sight else 0.0, 1.0) * 1.08
    height, base = 130.0, 144.0
    path = steps_path(shown.tolist(), LEFT, PLOT, base, height, top)
    parts = [*_y_axis(top, base, height), *_x_axis(values.size, base, "tick")]
    parts.append(element("path", d=f"{path}V{short(base)}H{short(LEFT)}Z", class_="area"))
    parts.append(element("path", d=path, class_="curve"))
    if in_sight:
        y = base - height * limit / top
        parts += [line(LEFT, y, LEFT + PLOT, y, "limit"), label(LEFT + PLOT, y - 5, limit_name, "ax", "end")]
    said = [f"Highest: {compact(peak)} {unit} in tick {int(values.argmax()) if values.size else 0}."]
    if not in_sight:
        said.append(f"The limit ({limit_name}) is above the picture.")
    if wide > 1:
        said.append(f"Each column is the highest of {wide} ticks.")
    return Chart(svg=picture(WIDTH, base + 34, parts, f"{unit} by tick"), said=" ".join(said))


def raster(
    place: int, steps: int, neurons: int, events: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
) -> Chart:
    """One population's spikes in one recording as dots, and under them its mean rate by step."""
    step, neuron, count = events
    height = float(min(130, max(36, 4 * neurons)))
    low = height + 10 + 44  # the base of the rates
    order = np.lexsort((neuron, step))
    step, neuron, count = step[order], neuron[order], count[order]
    keep = np.arange(step.size)
    if step.size > DOTS:
        keep = np.unique(np.linspace(0, step.size - 1, DOTS).round().astype(np.int64))
    dot = max(1.4, min(height / neurons, PLOT / steps, 5.0))
    x = LEFT + (step[keep] + 0.5) * PLOT / steps - dot / 2
    y = 4 + (neuron[keep] + 0.5) * height / neurons
    marks = "".join(f"M{a:.1f} {b:.1f}h{short(dot)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    rate = np.bincount(step, weights=count, minlength=steps)[:steps] / neurons
    shown, wide = stretch(rate, np.mean)
    top = max(float(shown.max(initial=0.0)) * 1.1, 1e-9)
    base = 4 + low
    path = steps_path(shown.tolist(), LEFT, PLOT, base, 40.0, top)
    frame = element("rect", x=LEFT, y=4, width=PLOT, height=height, class_="frame")
    parts = [
        frame,
        label(LEFT - 6, 13, "0", "ax", "end"),
        label(LEFT - 6, 4 + height, compact(neurons - 1) if neurons > 1 else "", "ax", "end"),
        label(LEFT - 6, 6 + height / 2 + 3, "neuron" if height > 50 else "", "ax", "end"),
        element("path", d=marks or None, class_=f"dots s{hue(place)}", stroke_width=dot),
        label(LEFT - 6, base - 32, compact(top / 1.1 if top > 1e-9 else 0.0), "ax", "end"),
        label(LEFT - 6, base, "0", "ax", "end"),
        *_x_axis(steps, base, "step"),
        element("path", d=f"{path}V{short(base)}H{short(LEFT)}Z", class_=f"k{hue(place)} soft"),
        element("path", d=path, class_=f"line s{hue(place)}"),
    ]
    said = []
    if keep.size < step.size:
        said.append(f"{keep.size:,} of {step.size:,} dots are drawn, evenly picked.")
    if wide > 1:
        said.append(f"Each column of the rate is the mean of {wide} steps.")
    return Chart(svg=picture(WIDTH, base + 34, parts, f"spikes and rate of {neurons} neurons"), said=" ".join(said))


def curves(values: NDArray[np.float64]) -> Chart:
    """Membranes (steps, neurons) of a population that does not spike: the first eight of them."""
    steps, neurons = values.shape
    height, base = 130.0, 144.0
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    span = (high - low) or 1.0
    parts = [element("rect", x=LEFT, y=base - height, width=PLOT, height=height, class_="frame"),
             label(LEFT - 6, base - height + 9, compact(high), "ax", "end"),
             label(LEFT - 6, base, compact(low), "ax", "end"), *_x_axis(steps, base, "step")]
    wide = 1
    for n in range(min(8, neurons)):
        shown, wide = stretch(values[:, n].astype(np.float64) - low, np.mean)
        path = steps_path(shown.tolist(), LEFT, PLOT, base, height, span)
        parts.append(element("path", d=path, class_=f"line s{hue(n)}"))
        parts.append(element("rect", x=LEFT + 92 * n, y=2, width=10, height=8, class_=f"k{hue(n)}"))
        parts.append(label(LEFT + 92 * n + 15, 10, f"neuron {n}"))
    said = [f"The first 8 of {neurons} neurons are drawn."] if neurons > 8 else []
    if wide > 1:
        said.append(f"Each column is the mean of {wide} steps.")
    return Chart(svg=picture(WIDTH, base + 34, parts, f"membranes of {neurons} neurons"), said=" ".join(said))


def shares(rows: dict[str, dict[str, float]], ends: dict[str, tuple[float, float]], unit: str) -> Chart:
    """A bar for each row, made of its parts, each part with one colour in all rows; a whisker from end to end."""
    names = list(dict.fromkeys(n for parts in rows.values() for n, v in parts.items() if v))
    left, room = 150.0, WIDTH - 150.0 - 100.0
    top = max([sum(parts.values()) for parts in rows.values()] + [high for _, high in ends.values()] + [1e-12]) * 1.02
    marks: list[Markup] = []
    y = 6.0
    for row, parts in rows.items():
        x = left
        for name, value in parts.items():
            if value:
                wide = room * value / top
                marks.append(element("rect", title(f"{name}: {value:,.3g} {unit}"), x=x, y=y, width=wide, height=22,
                                     class_=f"k{hue(names.index(name))}"))
                x += wide
        total = sum(parts.values())
        last = max(x, left + room * ends.get(row, (0.0, 0.0))[1] / top)
        marks += [label(left - 8, y + 15, row, "ax", "end"), label(last + 8, y + 15, f"{compact(total)} {unit}")]
        if row in ends:
            a, b = (left + room * v / top for v in ends[row])
            marks += [line(a, y + 11, b, y + 11, "axis"), line(a, y + 6, a, y + 16, "axis"),
                      line(b, y + 6, b, y + 16, "axis")]
        y += 30
    x = left
    for k, name in enumerate(names):
        marks += [element("rect", x=x, y=y + 4, width=10, height=10, class_=f"k{hue(k)}"), label(x + 15, y + 13, name)]
        x += 34 + 6.6 * len(name)
    return Chart(svg=picture(WIDTH, y + 22, marks, f"{unit} by part"))


def stretch(values: NDArray[np.float64], of: object) -> tuple[NDArray[np.float64], int]:
    """At most `COLUMNS` values, and how many each stands for.

    >>> stretch(np.arange(4.0), np.max)[1], stretch(np.zeros(1081), np.max)[0].size
    (1, 361)
    """
    wide = -(-values.size // COLUMNS) if values.size else 1
    if wide == 1:
        return values, 1
    edges = np.arange(0, values.size, wide)
    if of is np.max:
        return np.maximum.reduceat(values, edges), wide
    return np.add.reduceat(values, edges) / np.diff(np.append(edges, values.size)), wide


def _x_axis(n: int, base: float, unit: str) -> list[Markup]:
    parts = [line(LEFT, base, LEFT + PLOT, base, "axis")]
    marks = ticks(n, 6)
    for v in marks:
        x = LEFT + PLOT * v / max(1, n)
        parts += [line(x, base, x, base + 4, "axis"), label(x, base + 17, f"{v:g}", "ax", "middle")]
    return [*parts, label(LEFT + PLOT, base + 31, unit, "ax", "end")]


def _y_axis(top: float, base: float, height: float) -> list[Markup]:
    parts = []
    for v in ticks(top, 3):
        y = base - height * v / top
        parts += [line(LEFT, y, LEFT + PLOT, y, "grid"), label(LEFT - 6, y + 4, compact(v), "ax", "end")]
    return parts
