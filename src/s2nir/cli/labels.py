"""Labels in files, and the share of recordings that are decided as labelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .spikefiles import read_spikes


def read_labels(path: str, recordings: int, outputs: Mapping[str, int]) -> NDArray[np.int64]:
    """int (recordings): the neuron that each recording should excite most, from a .npy of whole numbers.

    outputs : neurons of each Output that spikes

    Raises
    ------
    InputError
        where the file is no such array, has another length, or names a neuron that no output has.
    """
    if not outputs:
        raise InputError("labels: no output of this network spikes, so there is nothing that a label could name")
    found: Any = read_spikes(path)
    if isinstance(found, dict):
        raise InputError(f"{path}: holds several arrays ({', '.join(found)}), needed one. Write it with numpy.save.")
    if found.dtype.kind not in "iu":
        raise InputError(f"{path}: found dtype {found.dtype}, needed whole numbers, as labels.astype(int) gives them")
    if found.shape != (recordings,):
        raise InputError(f"{path}: found shape {found.shape}, needed ({recordings},), a label for each recording")
    most = max(outputs, key=lambda o: outputs[o])
    if int(found.min()) < 0 or int(found.max()) >= outputs[most]:
        raise InputError(
            f"{path}: found labels {found.min()}..{found.max()}, allowed are 0..{outputs[most] - 1}, the neurons of "
            f"output {most!r}"
        )
    return np.asarray(found, np.int64)


def right(chosen: Mapping[str, Any], labels: NDArray[np.int64]) -> dict[str, float]:
    """By Output, the share of recordings whose most active neuron is the labelled one.

    >>> right({"out": [1, 0, 2]}, np.array([1, 1, 2]))
    {'out': 0.6666666666666666}
    """
    return {output: float((np.asarray(c) == labels).mean()) for output, c in chosen.items()}
