"""An estimate of what a run costs in energy, with its range: the chip's published anchors, and what must be assumed."""

from __future__ import annotations

from ..emulate import Recording
from ..report import report

FLOOR_W = 0.0752  # chip with all PEs off [S]
ASLEEP_W = (0.001054, 0.003220)  # per PE that is on and waits, at 0.5 and 0.8 V [D]
PER_CYCLE_J = (8.3e-12, 15.0e-12)  # per busy cycle, at 0.5 and 0.8 V [D]
ASSUMED = (
    "PEs that are not used are off, used ones sleep while nothing arrives; cycles per packet, synaptic event and "
    "neuron are estimates [U]; packets, links and the way of the input onto the chip cost nothing of their own; the "
    "ends of the range are 0.5 V and 0.8 V throughout"
)


def energy(recording: Recording, tick_s: float) -> tuple[float, float]:
    """Joules of a recording at `tick_s` seconds per tick, the mean over the batch: (lowest, highest), an estimate."""
    cycles = report(recording).activity.all_cycles / recording.batch
    seconds, cores = recording.ticks * tick_s, len(recording.image.cores)
    low, high = (
        seconds * (FLOOR_W + cores * asleep) + cycles * busy for asleep, busy in zip(ASLEEP_W, PER_CYCLE_J, strict=True)
    )
    return low, high
