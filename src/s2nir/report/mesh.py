"""The machine from above: chips as hexagons, their six links drawn by load, boards outlined.

Links of one load level are one path, so that the page of 1,152 chips stays bounded; only small machines have words on
each chip.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..machine import LINK_NAMES, LINKS, STEPS, Faults
from .svg import compact, element, label, picture, short, title

if TYPE_CHECKING:
    from ..cost import Traffic

CHIPS = 1152  # drawn at most
WORDED = 144  # up to so many chips each has words on it
LEVELS = 8  # of load
WIDTH = 1080.0
HIGH = math.sqrt(3) / 2  # of a step along y, where one along x is 1: all six neighbours are equally far


def mesh(traffic: Traffic, faults: Faults) -> Markup:
    """Chips by the packets that their routers pass, links by the time that they are busy, both in their worst tick; and
    what is dead."""
    dead = np.array(sorted({*faults.chips, *faults.routers}), np.float64).reshape(-1, 2)
    x, y = np.concatenate([traffic.chip, dead]).T
    across, up = x - y / 2, y * HIGH
    scale = min(WIDTH / (float(np.ptp(across)) + 1.6), 96.0)
    middle = np.stack([(across - across.min() + 0.8) * scale, (float(up.max()) - up + 0.75) * scale], axis=1)
    middle, gone = middle[: len(traffic.chip)], middle[len(traffic.chip) :]
    routers, links = _levels(traffic.routers.worst), _levels(traffic.link_time)
    parts = [_chips(middle, routers == level, scale, level) for level in range(LEVELS + 1)]
    parts.append(_rims(traffic, middle, scale))
    parts += [_links(middle, links, traffic.there, scale, level) for level in range(LEVELS + 1)]
    parts += [_dead_chips(gone, scale), _dead_links(traffic, faults, middle, scale)]
    if len(middle) <= WORDED:
        idle = Counter(chip for chip, _ in faults.cores)
        parts += [_words(traffic, c, middle[c], scale, idle) for c in range(len(middle))]
    wide = (float(np.ptp(across)) + 1.6) * scale
    return picture(wide, (float(np.ptp(up)) + 1.5) * scale, parts, f"packets over the links of {len(middle)} chips",
                   "mesh")


def _levels(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """0 for nothing, 1 to `LEVELS` for shares of the highest value."""
    top = float(values.max(initial=0.0))
    return np.asarray(np.ceil(LEVELS * values / top) if top else np.zeros(values.shape), np.int64)


def _corner(middle: NDArray[np.float64], k: int, radius: float) -> str:
    """A corner of the hexagon: k = 0 is between S and E, and so on against the clock."""
    turn = math.radians(60 * k - 30)
    return f"{short(float(middle[0] + radius * math.cos(turn)))} {short(float(middle[1] - radius * math.sin(turn)))}"


def _chips(middle: NDArray[np.float64], mine: NDArray[np.bool_], scale: float, level: int) -> Markup:
    path = "".join(
        "M" + "L".join(_corner(m, k, 0.955 * scale / math.sqrt(3)) for k in range(6)) + "Z" for m in middle[mine]
    )
    return element("path", d=path or None, class_="chip", fill_opacity=0.75 * level / LEVELS if level else 0.0)


def _rims(traffic: Traffic, middle: NDArray[np.float64], scale: float) -> Markup:
    """The sides of chips at which their board ends; a torus has its ends drawn where the picture has them."""
    at = {(int(a), int(b)): i for i, (a, b) in enumerate(traffic.chip)}
    path = []
    for (a, b), i in at.items():
        for n, (dx, dy) in enumerate(STEPS):
            other = at.get((a + dx, b + dy))
            if other is None or (traffic.board[other] != traffic.board[i] and n < LINKS // 2):
                radius = scale / math.sqrt(3)
                path.append(f"M{_corner(middle[i], n, radius)}L{_corner(middle[i], n + 1, radius)}")
    return element("path", d="".join(path), class_="rim")


def _links(
    middle: NDArray[np.float64], levels: NDArray[np.int64], there: NDArray[np.bool_], scale: float, level: int
) -> Markup:
    """Each link of a level from its chip half of the way, on the right, so that both directions are seen."""
    path = []
    for c, n in zip(*np.nonzero((levels == level) & there), strict=True):
        turn = math.radians(60 * n)
        ahead, right = (math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))
        x, y = (float(middle[c, k] + scale * (0.24 * ahead[k] + 0.055 * right[k])) for k in range(2))
        path.append(f"M{short(x)} {short(y)}l{short(0.26 * scale * ahead[0])} {short(0.26 * scale * ahead[1])}")
    return element(
        "path", d="".join(path) or None, class_="way" if level else "idleway",
        stroke_width=max(scale * (0.012 + 0.085 * level / LEVELS), (0.6 + 1.8 * level / LEVELS) * bool(level)),
        stroke_opacity=0.35 + 0.65 * level / LEVELS,
    )


def _dead_chips(middle: NDArray[np.float64], scale: float) -> Markup:
    """Hexagons that are crossed."""
    radius = 0.955 * scale / math.sqrt(3)
    path = "".join(
        "M" + "L".join(_corner(m, k, radius) for k in range(6)) + "Z"
        + "".join(f"M{_corner(m, k, radius)}L{_corner(m, k + 3, radius)}" for k in range(3)) for m in middle
    )
    return element("path", d=path or None, class_="deadchip")


def _dead_links(traffic: Traffic, faults: Faults, middle: NDArray[np.float64], scale: float) -> Markup:
    """A cross where two live chips meet."""
    at = {(int(a), int(b)): i for i, (a, b) in enumerate(traffic.chip)}
    path = []
    for chip, n in faults.links:
        if chip in at:
            turn, (x, y) = math.radians(60 * n), middle[at[chip]].tolist()
            x, y, arm = x + 0.5 * scale * math.cos(turn), y - 0.5 * scale * math.sin(turn), 0.09 * scale
            path += [f"M{short(x - arm)} {short(y - s * arm)}L{short(x + arm)} {short(y + s * arm)}" for s in (1, -1)]
    return element("path", d="".join(path) or None, class_="deadlink")


def _words(
    traffic: Traffic, c: int, middle: NDArray[np.float64], scale: float, idle: Counter[tuple[int, int]]
) -> Markup:
    x, y = traffic.chip[c].tolist()
    lines = [f"chip ({x}, {y}), board {int(traffic.board[c])}",
             f"router: {traffic.routers.mean[c]:,.2f} packets per tick, {traffic.routers.worst[c]:,.0f} in the worst"]
    for n in range(LINKS):
        if traffic.links.total[c, n]:
            lines.append(f"{LINK_NAMES[n]}: {traffic.links.mean[c, n]:,.2f} packets per tick, "
                         f"{traffic.links.worst[c, n]:,.0f} in the worst, {traffic.link_share[c, n]:.3%} of the tick")
        elif not traffic.there[c, n]:
            lines.append(f"{LINK_NAMES[n]}: no link")
    if idle[x, y]:
        lines.append(f"{idle[x, y]} dead cores" if idle[x, y] > 1 else "1 dead core")
    said = compact(float(traffic.routers.worst[c]))
    parts = [element("circle", cx=float(middle[0]), cy=float(middle[1]), r=0.45 * scale, class_="touch"),
             title("\n".join(lines))]
    if scale >= 40:
        parts.append(label(float(middle[0]), float(middle[1]) + 1, said, "chipword", "middle"))
        parts.append(label(float(middle[0]), float(middle[1]) + 14, f"{x}, {y}", "chipname", "middle"))
    return element("g", *parts)
