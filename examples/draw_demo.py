"""Draw one synthetic recording on its way through the demo's network: docs/img/demo.png.

    pip install -e '.[viz]'
    python examples/draw_demo.py [recording]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

import s2nir
from s2nir.data import SHAPES, TEST_SEED, moving_shapes, shapes_network
from s2nir.machine import NODES, PES, QUADS, USABLE_PES, floor_position

PLACE = Path(__file__).parents[1] / "docs" / "img" / "demo.png"
COLOURS = {"input": "#8a8f98", "lif1": "#3b6fb6", "lif2": "#2a9d8f", "lif3": "#d98e2b", "lif4": "#b5446e"}
INK, FAINT, ON, OFF, ALIKE = "#22262b", "#d7dbe0", "#e4572e", "#2e72c9", "#5b6169"


def events(ax: Axes, counts: np.ndarray, words: str) -> None:
    """ON and OFF events of a few steps on the pixels where they happened."""
    on, off = (np.minimum(c / 2, 1)[..., np.newaxis] for c in counts.sum(axis=0))
    white, red, blue = (np.array(matplotlib.colors.to_rgb(c)) for c in ("white", ON, OFF))
    ax.imshow(np.clip(white - on * (white - red) - off * (white - blue), 0, 1), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(FAINT)
    ax.set_xlabel(words, fontsize=8, color=INK, labelpad=3)


def raster(ax: Axes, name: str, floats: np.ndarray, whole: np.ndarray, last: bool) -> None:
    """(steps, neurons) spikes of both runs: where they agree, and where only one spikes."""
    size = 2.2 if floats.shape[1] > 500 else 9
    for mine, colour, mark in (
        ((floats == 1) & (whole == 1), ALIKE, 1.0),
        ((floats == 1) & (whole == 0), OFF, 2.0),
        ((floats == 0) & (whole == 1), ON, 2.0),
    ):
        step, neuron = np.nonzero(mine)
        ax.scatter(step, neuron, s=size * mark, c=colour, marker="s", linewidths=0)
    steps, neurons = floats.shape
    ax.set_xlim(-1, steps)
    ax.set_ylim(neurons * 1.02, -neurons * 0.02 - 0.5)
    ax.set_yticks([0, neurons - 1])
    ax.tick_params(labelsize=7, colors=INK, length=2)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.set_ylabel(name, fontsize=9, color=COLOURS[name], fontweight="bold")
    if last:
        ax.set_xlabel("step (1 ms)", fontsize=8, color=INK)
    else:
        ax.set_xticklabels([])


def floorplan(ax: Axes, image: s2nir.MachineImage, packets: np.ndarray) -> None:
    """The chip with the network on it: a colour per population, darker where more packets arrive."""
    owner = {image.cores[i].pe: (p.name, i) for p in image.populations for i in p.cores}
    for x, y in QUADS:
        ax.add_patch(FancyBboxPatch((x + 0.04, y + 0.04), 0.92, 0.92, boxstyle="round,pad=0,rounding_size=.08",
                                    facecolor="#f6f7f9", edgecolor=FAINT, linewidth=0.8))
    for pe in range(PES):
        x, y, place = floor_position(pe)
        row, column = divmod(place, 2)
        at = (x + 0.52 - 0.44 * column, y + 0.08 + 0.44 * row)  # x rises to the left
        if pe in owner:
            name, core = owner[pe]
            face, alpha = COLOURS[name], 0.45 + 0.55 * packets[core] / packets.max()
        else:
            face, alpha = ("#e7eaee", 1.0) if pe < USABLE_PES else ("#ffffff", 1.0)
        ax.add_patch(Rectangle(at, 0.4, 0.4, facecolor=face, alpha=alpha, linewidth=0))
    for name, places in NODES.items():
        for a, b in zip(places[::2], places[1::2], strict=True):
            left, low = min(a[0], b[0]), min(a[1], b[1])
            wide, high = abs(a[0] - b[0]) + 1, abs(a[1] - b[1]) + 1
            ax.add_patch(FancyBboxPatch((left + 0.08, low + 0.08), wide - 0.16, high - 0.16,
                                        boxstyle="round,pad=0,rounding_size=.1", facecolor="white",
                                        edgecolor="#9aa1aa" if name == "router" else FAINT, linewidth=0.8))
            ax.text(left + wide / 2, low + high / 2, name, ha="center", va="center", fontsize=6.5, color="#7c838c",
                    rotation=90 if high > wide and len(name) > 2 else 0)
    ax.set_xlim(8.05, -0.05)
    ax.set_ylim(-0.05, 8.05)
    ax.set_aspect("equal")
    ax.axis("off")


def draw(which: int) -> None:
    spikes, labels = moving_shapes(which + 1, TEST_SEED)
    spikes = spikes[which:]
    graph = s2nir.load(shapes_network())
    image = s2nir.compile(s2nir.quantize(graph))
    trace, recording = graph.simulate(spikes), s2nir.run(image, spikes)
    figure = plt.figure(figsize=(12.4, 5.6), dpi=160)
    grid = figure.add_gridspec(1, 3, width_ratios=[0.55, 1.35, 1.5], wspace=0.16, left=0.01, right=0.995, top=0.86,
                               bottom=0.09)
    left = grid[0].subgridspec(3, 1, hspace=0.22)
    for i, lo in enumerate((0, 20, 40)):
        events(figure.add_subplot(left[i]), spikes[0, lo : lo + 5], f"steps {lo} to {lo + 4}")
    names = ["lif1", "lif2", "lif3", "lif4"]
    middle = grid[1].subgridspec(4, 1, hspace=0.16, height_ratios=[1.5, 1.2, 0.8, 0.6])
    for i, name in enumerate(names):
        both = [s[name][0].reshape(spikes.shape[1], -1) for s in (trace.spikes, recording.spikes)]
        raster(figure.add_subplot(middle[i]), name, *both, last=i == 3)
    floorplan(figure.add_subplot(grid[2]), image, recording.packets_per_core()[0])
    title = dict(fontsize=10.5, color=INK, fontweight="bold", va="bottom")
    said = dict(fontsize=8.5, color="#5b6169", va="bottom")
    shape = list(SHAPES)[labels[which]]
    figure.text(0.012, 0.935, "Events in", **title)
    figure.text(0.012, 0.893, f"a synthetic {shape}", **said)
    figure.text(0.1, 0.893, "ON", **said | {"color": ON})
    figure.text(0.122, 0.893, "OFF", **said | {"color": OFF})
    figure.text(0.2, 0.935, "Spikes, in floats and on the emulated chip", **title)
    figure.text(0.2, 0.893, "grey: both", **said)
    figure.text(0.262, 0.893, "blue: floats only", **said | {"color": OFF})
    figure.text(0.358, 0.893, "red: int8 only", **said | {"color": ON})
    figure.text(0.58, 0.935, f"The chip: {image.neuron_cores} of {image.machine.cores} cores", **title)
    at = 0.58
    for p in image.populations:
        figure.text(at, 0.893, f"■ {p.name}", **said | {"color": COLOURS[p.name]})
        at += 0.05
    figure.text(at + 0.01, 0.893, "darker: more packets arrive", **said)
    PLACE.parent.mkdir(exist_ok=True)
    figure.savefig(PLACE)
    print(f"recording {which}, a {shape}: the output says {list(SHAPES)[recording.decisions('lif4')[0]]}; {PLACE}")


if __name__ == "__main__":
    draw(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
