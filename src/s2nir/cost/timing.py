"""How fast an image could run a Recording, an estimate: ticks that overrun, and the shortest tick that is safe.

The shortest safe tick holds what the busiest core computes in its busiest tick (cost/cycles.py) and what the busiest
link carries in its busiest tick (16 ns a packet on a board, 48 ns between boards [D]). Left out: packets that wait for
each other within a tick, the network on chip, and the way of the input onto the chip.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..emulate import Recording
from ..errors import needs
from ..machine import Chip, Range, Reading
from .cycles import Cycles
from .traffic import Traffic, traffic
from .work import Work, work


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The time of a Recording's ticks, an estimate.

    core : chip and PE of the busiest core; cycles : of its busiest tick; tick, recording : when that was
    parts : those cycles by what they are for; clock_hz : of that core
    links_s : seconds that the busiest link needs in its busiest tick
    tick_s : of the image; dt : seconds of a step of the model, None where there is none
    overrun : core ticks that take longer than the tick; lost : core ticks with more packets than the FIFO holds
    """

    core: tuple[Chip, int]
    cycles: Range
    tick: int
    recording: int
    parts: dict[str, float]
    clock_hz: float
    links_s: float
    tick_s: float
    dt: float | None
    overrun: int
    lost: int

    @property
    def shortest_tick_s(self) -> Range:
        """The shortest tick that all cores and links keep, seconds; packets may be `lost` at any."""
        return Range(*(max(c / self.clock_hz, self.links_s) for c in self.cycles))

    @property
    def limit(self) -> str:
        """What sets it: "cycles" or "link"."""
        return "cycles" if self.cycles.value / self.clock_hz >= self.links_s else "link"

    @property
    def real_time(self) -> Range | None:
        """Seconds of the model in a second, at the shortest safe tick; None without a dt."""
        value, low, high = self.shortest_tick_s
        if self.dt is None or not low:
            return None
        return Range(self.dt / value, self.dt / high, self.dt / low)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        found = asdict(self) | {"core": {"chip": list(self.core[0]), "pe": self.core[1]}}
        return found | {
            "cycles": self.cycles._asdict(), "shortest_tick_s": self.shortest_tick_s._asdict(), "limit": self.limit,
            "real_time": None if self.real_time is None else self.real_time._asdict(),
        }

    def __str__(self) -> str:
        (chip, pe), (tick, low, high) = self.core, self.shortest_tick_s
        core = f"chip ({chip[0]}, {chip[1]}) PE {pe}, {self.cycles.value:,.0f} cycles"
        said = (f"shortest safe tick (an estimate): {tick * 1e6:,.4g} us, {low * 1e6:,.3g} to {high * 1e6:,.3g}, "
                f"set by {core if self.limit == 'cycles' else 'a link'}")
        if self.real_time is not None:
            fast, least, most = self.real_time
            said += f"; {fast:,.3g} times real time, {least:,.3g} to {most:,.3g}"
        return said


def timing(recording: Recording, done: Work | None = None, sent: Traffic | None = None) -> Timing:
    """The Timing of a Recording; done, sent : its Work and Traffic where they are known."""
    needs(recording, Recording, "timing", "Make one with s2nir.run(image, spikes).")
    done = work(recording) if done is None else done
    sent = traffic(recording) if sent is None else sent
    image = recording.image
    ends = {reading: Cycles(image, reading) for reading in Reading}
    clock = ends[Reading.VALUE].clock_hz
    i = int((done.cycles / clock).argmax())
    packets, events = done.then[:, i]
    here = ends[Reading.VALUE]
    parts = {name: float(each[i]) for name, each in here.parts.items()}
    parts |= {"packets": float(here.packet[i] * packets), "synapses": float(here.synapse[i] * events)}
    low, high = (float(_highest(ends[r], done, i)) for r in (Reading.LOW, Reading.HIGH))
    return Timing(
        core=(image.cores[i].chip, image.cores[i].pe), cycles=Range(float(done.cycles[i]), low, high),
        tick=int(done.at[0, i]), recording=int(done.at[1, i]), parts=parts, clock_hz=float(clock[i]),
        links_s=float(sent.link_time.max(initial=0.0)), tick_s=image.tick, dt=image.dt,
        overrun=int(done.overruns.sum()), lost=int(done.over_fifo.sum()),
    )


def _highest(cost: Cycles, done: Work, i: int) -> np.float64:
    """Cycles of the busiest tick under another reading, at the clock of core i: of all cores, each in the tick that was
    busiest for it."""
    taken = cost(*done.then)
    return np.float64((taken / cost.clock_hz).max() * cost.clock_hz[i])
