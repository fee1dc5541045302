"""An estimate of what a run costs in energy, with PEs always low and always high."""

from __future__ import annotations

from ..cost import HIGH, LOW, EnergyModel, work
from ..emulate import Recording

ASSUMED = (
    "PEs that are not used are off, used ones sleep while nothing arrives; cycles per packet, synaptic event and "
    "neuron, and what packets and links take, are estimates [U]; the way of the input onto the chip costs nothing; the "
    "ends of the range are 0.5 V and 0.8 V throughout"
)


def energy(recording: Recording, tick_s: float) -> tuple[float, float]:
    """Joules of a recording at `tick_s` seconds per tick, the mean over the batch: (lowest, highest), an estimate."""
    done = work(recording)
    low, high = (EnergyModel(mode=mode, tick_s=tick_s)(recording, done).joules.value for mode in (LOW, HIGH))
    return low, high
