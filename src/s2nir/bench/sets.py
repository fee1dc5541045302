"""The splits of a benchmark as frames, made once and kept in its folder."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data
from ..errors import InputError
from ..files import write_whole
from .presets import Preset

ORDER_SEED = 0  # of the order in which real recordings are cut to a preset's size
DENOISE_US = 10_000  # [arXiv 2504.06748]
SYNTHETIC_SEEDS = {"train": 1, "validation": 2, "test": 3}
Frames = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where recordings come from. root : folder or file of a real data set, None for synthetic gestures"""

    preset: Preset
    root: str | None = None

    @property
    def synthetic(self) -> bool:
        return self.root is None

    @property
    def said(self) -> str:
        """What the figures stand on, for people."""
        if self.preset.dataset == "nmnist":
            return "N-MNIST, real recordings"
        return "synthetic gestures" if self.synthetic else "DVS128 Gesture, real recordings"

    def recordings(self, split: str) -> data.Recordings:
        """One split, cut to the preset's size.

        Folders are sorted by digit or user, so that real recordings are put in a drawn order ahead of the cut; the
        file of a thousand digits is in a drawn order already and stays in it.
        """
        p = self.preset
        wanted = {"train": p.train, "validation": p.validation, "test": p.test}[split]
        if p.dataset == "nmnist":
            if self.root is None:
                raise InputError("nmnist: there are no synthetic digits. Pass --data, the file or folder of N-MNIST.")
            found = data.nmnist(self.root, split)
        elif self.root is None:
            assert wanted is not None
            return data.synthetic_gestures(wanted, SYNTHETIC_SEEDS[split])
        else:
            found = data.dvs_gesture(self.root, split)
        order = np.arange(len(found))
        if not Path(self.root).is_file():
            order = np.random.default_rng(ORDER_SEED).permutation(len(found))
        return found.subset(order[:wanted])

    def found(self) -> dict[str, Any]:
        """What tells one set of real recordings from another, wherever it lies; empty for synthetic ones.

        Raises
        ------
        InputError
            where recordings of a split are not there.
        """
        splits = {split: self.recordings(split) for split in SYNTHETIC_SEEDS}
        if self.root is None:
            return {}
        said = {k: f"{len(r)}, labels {zlib.crc32(r.labels.tobytes()):08x}" for k, r in splits.items()}
        return {"root": Path(self.root).resolve().name, "recordings": said}

    def frames(self, split: str, folder: Path, progress: Callable[[int, int], Any]) -> Frames:
        """uint8 (n, steps, 2, size, size) in {0, 1}, and labels; read from the folder where they are kept there."""
        kept = folder / f"frames-{split}.npz"
        p = self.preset
        if kept.exists():
            try:
                with kept.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                    shape, bits, labels = tuple(file["shape"].tolist()), file["x"], file["labels"]
                    entries = math.prod(shape)
                    if shape[1:] != (p.steps, 2, p.size, p.size) or labels.shape != shape[:1]:
                        raise ValueError(f"a shape of {shape} with {labels.shape} labels")
                    if bits.shape != (-(-entries // 8),):
                        raise ValueError(f"{bits.size} bytes of bits for {entries} of them")
                    return np.unpackbits(bits, count=entries).reshape(shape), labels
            except Exception as error:  # whatever a damaged archive makes of numpy
                raise InputError(f"{kept}: holds no frames ({error}). Remove it to make them anew.") from error
        recordings = self.recordings(split)
        x, labels = data.frames(
            recordings, tick_us=p.tick_us, steps=p.steps, size=p.size, clamp=1, threads=2,
            denoise_us=None if p.dataset == "nmnist" else DENOISE_US,
            progress=lambda done: progress(done, len(recordings)),
        )
        write_whole(kept, lambda f: np.savez_compressed(f, x=np.packbits(x), shape=np.array(x.shape), labels=labels))
        return x, labels
