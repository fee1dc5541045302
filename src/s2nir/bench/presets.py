"""What a benchmark runs: data sets, sizes, epochs, and the rows of its table."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

BITS = (8, 6, 4, 2)
PERCENTILES: tuple[float | str, ...] = (99.0, 99.5, 99.9, 99.99, 100.0, "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Sizes of one benchmark.

    tick_us, steps : the tick in microseconds, and ticks of a recording
    train, validation, test : recordings, fewer where a set has fewer; None takes all that a real one has
    activity : as in `train.Fit`
    epochs, fine : of the float training, and of each quantization-aware one that starts from it
    seeds : how often all of it is done
    grid : test recordings that the whole grid of percentiles is evaluated on; rows that are compared use them all
    reference : test recordings that also go through the plain-Python oracle
    """

    name: str
    dataset: str
    tick_us: int
    steps: int
    train: int | None
    validation: int | None
    test: int | None
    epochs: int
    fine: int
    seeds: int
    grid: int
    reference: int
    bits: tuple[int, ...] = BITS
    trained_bits: tuple[int, ...] = BITS
    percentiles: tuple[float | str, ...] = PERCENTILES
    size: int = 32
    batch: int = 16
    rate: float = 2.4e-3
    fine_rate: float = 8e-4
    clamp: float | None = 1.0
    anneal: bool = True
    activity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values; what a preset does not ask of the activity is left out."""
        found = {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}
        return {k: v for k, v in found.items() if k != "activity" or v is not None}


GESTURES = {
    p.name: p
    for p in (
        Preset(name="fast", dataset="dvs-gesture", tick_us=24_000, steps=75, train=770, validation=110, test=220,
               epochs=28, fine=5, seeds=1, grid=220, reference=2, trained_bits=(8, 4)),
        Preset(name="long", dataset="dvs-gesture", tick_us=1_000, steps=1_800, train=440, validation=110, test=110,
               epochs=8, fine=1, seeds=1, grid=110, reference=1, bits=(8,), trained_bits=(8,), percentiles=("auto",),
               activity=0.01),
        Preset(name="gaps", dataset="dvs-gesture", tick_us=24_000, steps=75, train=1760, validation=550, test=2200,
               epochs=20, fine=4, seeds=3, grid=220, reference=2),
        Preset(name="paper", dataset="dvs-gesture", tick_us=1_000, steps=6_000, train=1078, validation=121, test=264,
               epochs=100, fine=20, seeds=3, grid=264, reference=1, anneal=False),
    )
}
NMNIST = {
    p.name: p
    for p in (
        Preset(name="fast", dataset="nmnist", tick_us=5_000, steps=60, train=6000, validation=1000, test=2000,
               epochs=15, fine=5, seeds=1, grid=200, reference=2, trained_bits=(8, 4), size=34),
        Preset(name="gaps", dataset="nmnist", tick_us=5_000, steps=60, train=6000, validation=1000, test=2000,
               epochs=24, fine=6, seeds=3, grid=200, reference=2, size=34),
        Preset(name="paper", dataset="nmnist", tick_us=1_000, steps=300, train=None, validation=None, test=None,
               epochs=50, fine=15, seeds=3, grid=200, reference=2, anneal=False, size=34),
    )
}
PRESETS = {"dvs-gesture": GESTURES, "nmnist": NMNIST}


def preset(dataset: str, name: str, seeds: int | None = None) -> Preset:
    """A preset by its data set and name.

    >>> preset("dvs-gesture", "fast").steps
    75
    """
    for kind, given, known in (("dataset", dataset, PRESETS), ("preset", name, PRESETS.get(dataset, GESTURES))):
        if given not in known:
            raise InputError(f"{kind}: found {given!r}, allowed {', '.join(known)}")
    found = PRESETS[dataset][name]
    if seeds is None:
        return found
    if seeds < 1:
        raise InputError(f"seeds: found {seeds}, allowed from 1")
    return dataclasses.replace(found, seeds=seeds)
