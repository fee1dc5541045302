"""Pictures as inline SVG, by a few functions of ours; every text and attribute is escaped here.

Colours are classes of the page's style sheet (report.html.j2), so that pictures follow the light or dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

COLOURS = 8  # hues of the style sheet; more populations use them again, and letters tell them apart


def element(tag: str, *inside: object, **attributes: object) -> Markup:
    """One element; `class_` is class, `stroke_width` stroke-width, numbers are written short.

    >>> print(element("text", "<b>", x=1.50001, class_="ax"))
    <text x="1.5" class="ax">&lt;b&gt;</text>
    """
    words = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), short(value))
        for name, value in attributes.items()
        if value is not None
    )
    body = Markup("").join(escape(part) for part in inside)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), words, body)


def short(value: object) -> str:
    """A number with at most two decimals, anything else as text.

    >>> short(3.14159), short(2.0), short("a")
    ('3.14', '2', 'a')
    """
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)


def picture(width: float, height: float, parts: Iterable[Markup], label: str, class_: str = "") -> Markup:
    """An SVG that scales with the page; `label` is what a screen reader says."""
    return element(
        "svg", *parts, viewBox=f"0 0 {short(float(width))} {short(float(height))}", role="img", aria_label=label,
        class_=class_ or None,
    )


def title(words: str) -> Markup:
    """What shows when the pointer rests on the parent."""
    return element("title", words)


def label(x: float, y: float, words: str, class_: str = "ax", anchor: str = "start") -> Markup:
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def letters(n: int) -> str:
    """A name for the n-th population: A, B, ... Z, AA, ...

    >>> letters(0), letters(25), letters(26), letters(701)
    ('A', 'Z', 'AA', 'ZZ')
    """
    n += 1
    said = ""
    while n:
        n, rest = divmod(n - 1, 26)
        said = chr(65 + rest) + said
    return said


def hue(n: int) -> int:
    """The colour class of the n-th population."""
    return n % COLOURS


def ticks(high: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to at most `high`, for an axis.

    >>> ticks(306), ticks(0.9, 3), ticks(7)
    ([0, 100, 200, 300], [0, 0.5], [0, 2, 4, 6])
    """
    if high <= 0 or not math.isfinite(high):
        return [0]
    raw = high / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= raw * 0.999)
    found = [i * step for i in range(int(high / step * 1.000001) + 1)]
    return [int(v) if float(v).is_integer() else round(v, 12) for v in found]


def compact(value: float) -> str:
    """A number in few signs.

    >>> [compact(v) for v in (0, 7, 0.123, 830.4, 5830, 123456, 2.5e6)]
    ['0', '7', '0.12', '830', '5.8k', '123k', '2.5M']
    """
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return (f"{value / size:.0f}" if abs(value) >= 100 * size else f"{value / size:.2g}") + sign
    return f"{value:.0f}" if abs(value) >= 10 or float(value).is_integer() else f"{value:.2g}"


def steps_path(values: Sequence[float], x0: float, width: float, y0: float, height: float, top: float) -> str:
    """A staircase through `values`, from x0 on, 0 at y0 and `top` at y0 - height."""
    n = max(1, len(values))
    parts, last = [], None
    for i, v in enumerate(values):
        y = y0 - height * min(1.0, v / top) if top > 0 else y0
        if last is None or abs(y - last) > 0.005:
            x = x0 + width * i / n
            parts.append(f"M{short(x)} {short(y)}" if last is None else f"H{short(x)}V{short(y)}")
            last = y
    return "".join(parts) + f"H{short(x0 + width)}"
