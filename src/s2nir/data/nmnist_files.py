"""N-MNIST ([Orchard2015], doi 10.3389/fnins.2015.00437): a thousand recordings in one file, or the whole set."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, needs
from .events import EventArray, in_order, make_events, whole_numbers
from .recordings import Recordings, Source
from .tonic_library import mnist_events

SENSOR = (34, 34)
DIGITS = tuple(str(k) for k in range(10))
THOUSAND = {"train": slice(0, 700), "validation": slice(700, 800), "test": slice(800, 1000)}
TENTH = 10  # of the whole set's training files, sorted by digit and name, every tenth validates
KEYS = ("xyp", "t_us", "offsets", "label")


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Recordings that stand one after the other in arrays."""

    xyp: NDArray[np.uint8]
    t: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __call__(self, place: int, stop_us: int | None = None) -> EventArray:
        part = slice(*self.offsets[place : place + 2].tolist())
        x, y, p = self.xyp[part].T
        return in_order(make_events(x, y, self.t[part], p))


@dataclass(frozen=True, slots=True)
class Files:
    """Recordings in one file each."""

    paths: tuple[Path, ...]

    def __call__(self, place: int, stop_us: int | None = None) -> EventArray:
        path = self.paths[place]
        if path.stat().st_size % 5:
            raise InputError(f"{path}: has {path.stat().st_size} bytes, and an event has 5. Unpack it again.")
        return in_order(mnist_events(path))


def nmnist(path: str | Path, split: str = "train") -> Recordings:
    """Recordings of handwritten digits by an event camera that was moved before them.

    path : an .npz file of 1,000 recordings (xyp uint8 (events, 3), t_us, offsets (1001), label), of which the first 700
        train, the next 100 validate and the last 200 test; or the folder that tonic unpacks (Train and Test, themselves
        or in a folder NMNIST), of whose training files every tenth validates
    split : "train", "validation" or "test"

    Raises
    ------
    InputError
        where there is neither, or what is there is broken.
    """
    needs(path, (str, PathLike), "nmnist.path", "Pass the path of the file or folder.")
    path = Path(path)
    if split not in THOUSAND:
        raise InputError(f"nmnist.split: found {split!r}, allowed {', '.join(THOUSAND)}")
    source: Source
    if path.is_file():
        labels, source = _thousand(path)
        places = np.arange(labels.size)[THOUSAND[split]]
    elif path.is_dir():
        labels, source = _folder(path, "Test" if split == "test" else "Train")
        places = np.arange(labels.size)
        if split != "test":
            places = places[(places % TENTH == TENTH - 1) == (split == "validation")]
    else:
        raise InputError(f"{path}: there is no such file or folder; needed N-MNIST as .npz or as tonic unpacks it")
    return Recordings(
        name=f"N-MNIST {split}",
        synthetic=False,
        classes=DIGITS,
        sensor=SENSOR,
        labels=labels[places],
        source=source,
        places=places,
    )


def _thousand(path: Path) -> tuple[NDArray[np.int64], Columns]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            missing = [key for key in KEYS if key not in file.files]
            if missing:
                raise InputError(f"{path}: found arrays {', '.join(file.files)}; needed {', '.join(KEYS)}")
            found: dict[str, Any] = {key: file[key] for key in KEYS}
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes of numpy and zipfile
        raise InputError(f"{path}: cannot be read as .npz without unpickling ({error})") from None
    n, events = THOUSAND["test"].stop, found["t_us"].size
    shapes = {"xyp": (events, 3), "t_us": (events,), "offsets": (n + 1,), "label": (n,)}
    for key, shape in shapes.items():
        array = found[key]
        if array.shape != shape or array.dtype.kind not in "iu":
            raise InputError(f"{path}, {key}: found {array.dtype} {array.shape}, needed whole numbers {shape}")
    for k, (name, limit) in enumerate((("x", SENSOR[1]), ("y", SENSOR[0]), ("polarity", 2))):
        whole_numbers(f"{path}, xyp, {name}", found["xyp"][:, k], 0, limit)
    offsets = found["offsets"].astype(np.int64)
    if offsets[0] != 0 or offsets[-1] != events or (np.diff(offsets) < 0).any():
        raise InputError(f"{path}, offsets: found {offsets[0]}..{offsets[-1]}, needed 0 rising to {events}")
    return found["label"].astype(np.int64), Columns(found["xyp"], found["t_us"].astype(np.int64), offsets)


def _folder(root: Path, part: str) -> tuple[NDArray[np.int64], Files]:
    home = root / "NMNIST" / part if (root / "NMNIST").is_dir() else root / part
    paths = [path for path in home.glob("*/*.bin") if path.parent.name in DIGITS]
    paths.sort(key=lambda path: (path.parent.name, path.name))
    if not paths:
        raise InputError(
            f"{home}: found no folders 0 to 9 with .bin files. N-MNIST is at "
            "https://www.garrickorchard.com/datasets/n-mnist under CC BY-SA 4.0; unpack it there."
        )
    return np.array([int(path.parent.name) for path in paths], np.int64), Files(tuple(paths))
