"""The chip's floorplan: 38 quads of 4 PEs on the network on chip, the router, links, memories and host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from ..machine import NODES, PES, QUADS, USABLE_PES, floor_position
from .svg import element, label, picture, title

QUAD, GAP, RIM = 84.0, 8.0, 46.0  # side of a quad, space between quads, side of a place at the rim
PE = 39.0  # side of a PE
EDGE = 20.0  # room for the axes
SPAN = 8  # places of the network on chip, each way


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How one PE is drawn: classes of its box and text, opacity of the box, text in it, words on it."""

    box: str = "idle"
    ink: str = "dim"
    opacity: float | None = None
    words: str = ""
    title: str = ""


def _spread(rim: set[int]) -> tuple[list[float], list[float], float]:
    """Start and size of every place along one axis, and their sum; `rim` are the places without quads."""
    start, size, at = [], [], 0.0
    for i in range(SPAN):
        side = RIM if i in rim else QUAD
        start.append(at)
        size.append(side)
        at += side + GAP
    return start, size, at - GAP


_X, _WX, WIDTH = _spread({0})
_Y, _WY, HEIGHT = _spread({0, 7})


def box(x: int, y: int) -> tuple[float, float, float, float]:
    """left, top, width, height of a place: x rises to the left, y to the top, so that links lie as their names say."""
    return EDGE + WIDTH - _X[x] - _WX[x], HEIGHT - _Y[y] - _WY[y], _WX[x], _WY[y]


def floorplan(
    cells: Mapping[int, Cell], words: str, idle: Callable[[int], str] | None = None, usable: int = USABLE_PES
) -> Markup:
    """One chip; `cells` by PE, all other PEs are drawn as idle.

    words : what a screen reader says; idle : the words on a PE that is not in `cells`
    usable : PEs, from 0 up, that are not kept back
    """
    parts = [_frame(*box(x, y), "quad") for x, y in QUADS]
    for name, places in NODES.items():
        parts += [_node(name, pair) for pair in zip(places[::2], places[1::2], strict=True)]
    for pe in range(PES):
        cell = cells.get(pe)
        if cell is None:
            kept = pe >= usable
            said = idle(pe) if idle else f"PE {pe}: {'kept back, not for applications' if kept else 'not used'}"
            cell = Cell(box="kept" if kept else "idle", title=said)
        parts.append(_pe(pe, cell))
    for i in range(SPAN):
        left, _, width, _ = box(i, 0)
        _, top, _, height = box(0, i)
        parts.append(label(left + width / 2, HEIGHT + 15, f"x{i}", "ax", "middle"))
        parts.append(label(EDGE - 5, top + height / 2 + 4, f"y{i}", "ax", "end"))
    return picture(EDGE + WIDTH + 1, HEIGHT + EDGE, parts, words, "floor")


def _frame(left: float, top: float, width: float, height: float, class_: str) -> Markup:
    return element("rect", x=left, y=top, width=width, height=height, rx=5, class_=class_)


def _node(name: str, pair: tuple[tuple[int, int], tuple[int, int]]) -> Markup:
    """A node over its two places: a router, a link, a memory, the host."""
    (l0, t0, w0, h0), (l1, t1, w1, h1) = (box(x, y) for x, y in pair)
    left, top = min(l0, l1), min(t0, t1)
    width, height = max(l0 + w0, l1 + w1) - left, max(t0 + h0, t1 + h1) - top
    kind = "router" if name == "router" else "node"
    said = f"{name if name in ('router', 'memory', 'host') else 'link ' + name} at " + ", ".join(
        f"({x}, {y})" for x, y in pair
    )
    middle = (left + width / 2, top + height / 2)
    turn = f"rotate(-90 {middle[0]:.0f} {middle[1]:.0f})" if height > width and len(name) > 2 else None
    text = element("text", name, x=middle[0], y=middle[1] + 4, text_anchor="middle", class_="nodename", transform=turn)
    return element("g", title(said), _frame(left, top, width, height, kind), text)


def _pe(pe: int, cell: Cell) -> Markup:
    x, y, place = floor_position(pe)
    left, top, _, height = box(x, y)
    row, column = divmod(place, 2)
    at = (left + 2 + column * (PE + 2), top + height - 2 - PE - row * (PE + 2))
    parts = [element("rect", x=at[0], y=at[1], width=PE, height=PE, rx=3, class_=f"pe {cell.box}", data_pe=pe,
                     fill_opacity=cell.opacity)]
    if cell.words:
        parts.append(element("text", cell.words, x=at[0] + PE / 2, y=at[1] + PE / 2 + 4.5, text_anchor="middle",
                             class_=f"peword {cell.ink}"))
    return element("g", title(cell.title), *parts)
