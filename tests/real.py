"""Networks and recordings that others made: read from the folder `shared` beside the project, when it is there."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).parents[2] / "shared"
MODELS, DATA = SHARED / "models", SHARED / "data"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared with others' networks is not here")

# file, reset: none of the files stores one
NETWORKS = {
    "braille_noDelay_bias_zero": "zero",
    "braille_noDelay_bias_zero_subgraph": "zero",
    "braille_noDelay_noBias_subtract": "subtract",
    "braille_noDelay_noBias_subtract_subgraph": "subtract",
    "cnn_sinabs": "subtract",
    "lif_norse": "zero",
    "lif_rockpool": "subtract",
    "two_lif_neurons": "zero",
}
NEEDS_DT = {"lif_norse": 1e-4, "lif_rockpool": 1e-4, "two_lif_neurons": 1e-4}


@lru_cache(maxsize=32)
def graph(name, **options):
    """A real network as a Graph; warnings of repairs are for other tests."""
    import warnings

    import s2nir

    options.setdefault("reset", NETWORKS[name])
    if name in NEEDS_DT:
        options.setdefault("dt", NEEDS_DT[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        return s2nir.load(MODELS / f"{name}.nir", **options)


@lru_cache(maxsize=1)
def nmnist_events():
    with np.load(DATA / "nmnist" / "train_1000.npz") as z:
        return {k: z[k] for k in z.files}


def nmnist(first, end, steps=316):
    """Recordings first..end as counts in bins of 1 ms, not clamped: uint8 (recordings, steps, 2, 34, 34)."""
    z = nmnist_events()
    out = np.zeros((end - first, steps, 2, 34, 34), np.uint8)
    for k in range(first, end):
        part = slice(*z["offsets"][k : k + 2])
        x, y, p = z["xyp"][part].T
        np.add.at(out[k - first], (z["t_us"][part] // 1000, p, y, x), 1)
    return out


def nmnist_labels():
    return nmnist_events()["label"]


@lru_cache(maxsize=1)
def letters():
    """578 Braille letters: (recordings, 256, 12) and labels."""
    with np.load(DATA / "braille" / "letters.npz") as z:
        return np.unpackbits(z["x"], axis=-1)[..., :12], z["y"]


def spikes_for(name, count=2):
    """A few real recordings (or a seeded drive, for the networks that come without any) for a network."""
    if name.startswith("braille"):
        return letters()[0][:count]
    if name == "cnn_sinabs":
        return nmnist(0, count)
    return (np.random.default_rng(7).random((count, 200, 1)) < 0.3).astype(np.uint8)
