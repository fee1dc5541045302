"""The one place that imports tonic, a library of event data sets (https://tonic.readthedocs.io), when it is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from .events import EVENT, EventArray


def _needed_for(what: str, error: ImportError) -> InputError:
    return InputError(f"{what} needs tonic, which cannot be imported ({error}). Install it: pip install 's2nir[data]'")


def mnist_events(path: Path) -> EventArray:
    """Events of one .bin file of N-MNIST, in the order of the file."""
    try:
        from tonic.io import read_mnist_file
    except ImportError as error:
        raise _needed_for(f"{path}: reading N-MNIST's own files", error) from None
    events: EventArray = read_mnist_file(str(path), dtype=np.dtype(EVENT))
    return events


def gesture_archives() -> dict[str, str]:
    """MD5 of the archives of tonic's copy of DVS128 Gesture, by file name."""
    try:
        from tonic.datasets import DVSGesture
    except ImportError as error:
        raise _needed_for("Checking the archives of DVSGesture", error) from None
    return {
        str(DVSGesture.train_filename): str(DVSGesture.train_md5),
        str(DVSGesture.test_filename): str(DVSGesture.test_md5),
    }
