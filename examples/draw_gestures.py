"""Draw one synthetic recording of each gesture: docs/img/gestures.png, and films of them where asked for.

    pip install -e '.[viz]'
    python examples/draw_gestures.py
    python examples/draw_gestures.py --film out/films    # one animated GIF per gesture
    python examples/draw_gestures.py --seed 4 --out out/other.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter

from s2nir.data import GESTURES, bin_frames, synthetic_gestures

PLACE = Path(__file__).parents[1] / "docs" / "img" / "gestures.png"
INK, FAINT = "#22262b", "#d7dbe0"
WHITE, ON, OFF = (np.array(matplotlib.colors.to_rgb(c)) for c in ("white", "#e4572e", "#2e72c9"))
COLUMNS, FIRST_MS, APART_MS, WINDOW_MS = 8, 600, 90, 40


def picture(counts: np.ndarray) -> np.ndarray:
    """Events of both signs, (2, height, width) with OFF first, as colours."""
    off, on = (np.minimum(c[..., np.newaxis] / 2, 1) for c in counts)
    return np.clip(WHITE - on * (WHITE - ON) - off * (WHITE - OFF), 0, 1)


def strips(films: list[np.ndarray], out: Path) -> None:
    """A row per gesture: event images of 40 ms, 90 ms apart."""
    side = 0.82
    size = (COLUMNS * side + 1.5, len(films) * side + 0.45)
    fig, axes = plt.subplots(len(films), COLUMNS, figsize=size)
    for row, (name, counts) in enumerate(zip(GESTURES, films, strict=True)):
        for column, ax in enumerate(axes[row]):
            begin = (FIRST_MS + column * APART_MS) // 10
            ax.imshow(picture(counts[begin : begin + WINDOW_MS // 10].sum(axis=0)), interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_color(FAINT)
            if row == len(films) - 1:
                ax.set_xlabel(f"{FIRST_MS + column * APART_MS} ms", fontsize=7, color=INK)
        words = name.replace("_counter_", " counter-\n").replace("_", " ")
        axes[row, 0].set_ylabel(words, fontsize=7.5, color=INK, rotation=0, ha="right", va="center")
    title = f"Synthetic gestures: ON (red) and OFF (blue) events of {WINDOW_MS} ms, no camera involved"
    fig.suptitle(title, fontsize=9, color=INK, y=0.995)
    fig.subplots_adjust(1.45 / size[0], 0.25 / size[1], 0.995, 1 - 0.24 / size[1], 0.03, 0.03)
    fig.savefig(out, dpi=110, pil_kwargs={"optimize": True})
    plt.close(fig)


def film(name: str, counts: np.ndarray, out: Path) -> None:
    """An animated GIF, 25 images of 40 ms a second."""
    frames = counts[: counts.shape[0] // 4 * 4].reshape(-1, 4, *counts.shape[1:]).sum(axis=1)
    fig, ax = plt.subplots(figsize=(2.56, 2.76))
    fig.subplots_adjust(0, 0, 1, 2.56 / 2.76)
    ax.axis("off")
    ax.set_title(f"{name} (synthetic)", fontsize=8, color=INK, pad=4)
    image = ax.imshow(picture(frames[0]), interpolation="nearest")

    def show(k: int) -> list:
        image.set_data(picture(frames[k]))
        return [image]

    FuncAnimation(fig, show, len(frames), blit=True).save(out / f"{name}.gif", PillowWriter(fps=25))
    plt.close(fig)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=9)
    options.add_argument("--out", type=Path, default=PLACE)
    options.add_argument("--film", type=Path, metavar="DIR")
    args = options.parse_args()
    made = {}
    for events, label in synthetic_gestures(len(GESTURES), args.seed):
        made[label] = bin_frames(events, tick_us=10_000, steps=-(-int(events["t"][-1] + 1) // 10_000), size=128)
    films = [made[label] for label in range(len(GESTURES))]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    strips(films, args.out)
    print(args.out)
    if args.film:
        args.film.mkdir(parents=True, exist_ok=True)
        for name, counts in zip(GESTURES, films, strict=True):
            film(name, counts, args.film)
            print(args.film / f"{name}.gif")


if __name__ == "__main__":
    main()
