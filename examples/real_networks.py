"""Networks and recordings that others made, in floats and as integers on the emulated chip: the README's results.

    python examples/real_networks.py --shared FOLDER

--shared : a folder with models/*.nir (of neuromorphs/NIR: the paper's files) and data/ (Braille letters and a chip's
recording of the same paper, N-MNIST recordings). Without it there is nothing to run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import s2nir


def decided(spikes: np.ndarray) -> np.ndarray:
    """The neuron with most spikes: spikes (batch, steps, neurons) -> (batch)."""
    return spikes.sum(axis=1, dtype=np.int64).argmax(axis=1)


def chip(models: Path, data: Path) -> None:
    name = "braille_noDelay_noBias_subtract"
    given = np.load(data / "braille" / "test_0_input.npy")
    got = s2nir.deploy(models / f"{name}.nir", given, like="py-spinnaker2", reset="subtract").recording
    want = np.load(data / "braille" / "chip_lif1_noBias_subtract.npy")
    alike = int((got.raw_spikes("lif1.lif")[0, : want.shape[0]] == want).sum())
    print(f"recorded on a SpiNNaker2 chip: {alike:,} of {want.size:,} entries alike (board mode)")


def braille(models: Path, data: Path, name: str, reset: str) -> None:
    with np.load(data / "braille" / "letters.npz") as z:
        spikes, labels = np.unpackbits(z["x"], axis=-1)[..., :12], z["y"]
    graph = s2nir.load(models / f"{name}.nir", reset=reset)
    want = decided(graph.simulate(spikes).spikes["lif2"])
    got = s2nir.deploy(graph, spikes).recording.decisions("lif2")
    say(name, want, got, labels)


def nmnist(models: Path, data: Path, steps: int = 316) -> None:
    with np.load(data / "nmnist" / "train_1000.npz") as z:
        events = {k: z[k] for k in z.files}
    graph = s2nir.load(models / "cnn_sinabs.nir", reset="zero")
    image = s2nir.compile(s2nir.quantize(graph))
    want, got = [], []
    for first in range(0, 1000, 20):
        counts = np.zeros((20, steps, 2, 34, 34), np.uint8)
        for k in range(20):
            part = slice(*events["offsets"][first + k : first + k + 2])
            x, y, p = events["xyp"][part].T
            np.add.at(counts[k], (events["t_us"][part] // 1000, p, y, x), 1)
        want.append(decided(graph.simulate(counts).spikes["12"]))
        got.append(s2nir.run(image, counts).decisions("12"))
    say("cnn_sinabs", np.concatenate(want), np.concatenate(got), events["label"])


def say(name: str, want: np.ndarray, got: np.ndarray, labels: np.ndarray) -> None:
    n = labels.size
    print(
        f"{name}: same class as float {(got == want).sum():,} of {n:,}; "
        f"right {(want == labels).mean():.2%} in floats, {(got == labels).mean():.2%} in int8", flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="networks that others made, in floats and as integers")
    parser.add_argument("--shared", type=Path, default=Path("shared"), metavar="FOLDER", help="has models/ and data/")
    shared = parser.parse_args().shared
    missing = [name for name in ("models", "data") if not (shared / name).is_dir()]
    if missing:
        parser.exit(2, f"{shared}: has no folder {' and no '.join(missing)}; pass --shared FOLDER, which holds both\n")
    both = shared / "models", shared / "data"
    chip(*both)
    braille(*both, "braille_noDelay_noBias_subtract", "subtract")
    braille(*both, "braille_noDelay_bias_zero", "zero")
    nmnist(*both)
