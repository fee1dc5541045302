"""What programs take in cycles, each number with its range, certainty and source; energy.py has what the chip takes.

Tags are those of spinnaker2.py. docs/cost.md holds the same numbers as a table; a test compares them. Cycles that are
counted come from C that is equivalent to the loops of a neuron core (benchmarks/cortex_m4): the value is the likely
reading of the Cortex-M4's manual.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

from .spinnaker2 import CLOCK_HZ, CLOCK_LOW_HZ


class Tag(enum.Enum):
    """How certain a number is."""

    PRIMARY = "P"  # read in a primary artefact
    SECONDARY = "S"  # a digest citing one
    DERIVED = "D"  # arithmetic shown
    UNCERTAIN = "U"  # inferred


class Level(enum.Enum):
    """The voltage and clock of a PE [S]."""

    LOW = "low"  # 0.5 V, 150 MHz
    HIGH = "high"  # 0.8 V, 300 MHz

    @property
    def clock_hz(self) -> float:
        return CLOCK_LOW_HZ if self is Level.LOW else CLOCK_HZ


class Reading(enum.Enum):
    """Which end of every coefficient's range is taken."""

    VALUE = "value"
    LOW = "low"
    HIGH = "high"


class Range(NamedTuple):
    """An estimate and the ends of its range."""

    value: float
    low: float
    high: float

    def __add__(self, other: object) -> Range:
        """Both at once; ends add up.

        >>> Range(2, 1, 3) + Range(1, 1, 1)
        Range(value=3, low=2, high=4)
        """
        if not isinstance(other, Range):
            return NotImplemented
        return Range(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, other: Range) -> Range:
        """The product, with the ends' products as its ends.

        >>> Range(2, 1, 3).times(Range(10, 5, 20))
        Range(value=20, low=5, high=60)
        """
        return Range(*(a * b for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A number of the cost model.

    value, low, high : in `unit`; tag : how certain the value is; source : where it comes from, in words
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    tag: Tag
    source: str

    @property
    def range(self) -> Range:
        return Range(self.value, self.low, self.high)


def _cycles(name: str, value: float, low: float, high: float, tag: Tag, source: str) -> Coefficient:
    return Coefficient(name=name, value=value, low=low, high=high, unit="cycles", tag=tag, source=source)


_C = "counted in equivalent C, benchmarks/cortex_m4"
BASE = _cycles("base", 2_000, 500, 10_000, Tag.UNCERTAIN,
               "timer, swap of buffers and bookkeeping of a tick; not published, not counted")
PACKET_ROW = _cycles("packet, rows by source", 236, 100, 480, Tag.UNCERTAIN,
                     f"interrupt 47, bisection of 256 entries 177, begin of a row 12: {_C}; low 1 entry, high 16,384")
PACKET_SLICE = _cycles("packet, rows by slice", 170, 100, 290, Tag.UNCERTAIN,
                       f"interrupt 47, bisection of 16 entries 113, begin of a row 10: {_C}; low 1 entry, high 256")
PACKET_DRAM = _cycles("packet, rows in DRAM", 278, 150, 700, Tag.UNCERTAIN,
                      f"as by slice, begin 18, and 100 (50 to 400) to set up the DMA and take its interrupt: {_C}")
PACKET_FAR = _cycles("packet, rows and places in DRAM", 378, 200, 1_100, Tag.UNCERTAIN,
                     "as rows in DRAM, and 100 (50 to 400) for a second DMA, that of the row's place")
PACKET_CONV = _cycles("packet, convolution", 313, 150, 900, Tag.UNCERTAIN,
                      f"interrupt 47, and 266 for the geometry and 6 taps of a 3 x 3 kernel: {_C}; high 5 x 5")
PACKET_RELAY = _cycles("packet, relay", 62, 50, 150, Tag.UNCERTAIN,
                       f"interrupt 47, passed on 15: {_C}")
PACKET_INPUT = _cycles("packet sent, spike list", 100, 9, 200, Tag.UNCERTAIN,
                       f"ours; a set bit turned into a packet takes 9: {_C}")
_RATE = "300 MHz by 12 M synaptic events/s per core, if these were measured there"
SYNAPSE = _cycles("synapse word", 25, 12.5, 30, Tag.UNCERTAIN,
                  f"{_RATE}; low 150 MHz by 12 M/s; 16 (no delay) and 21 (delay) {_C}")
SYNAPSE_SLICE = _cycles("synapse word, rows by slice", 25, 12, 30, Tag.UNCERTAIN,
                        f"{_RATE}; 13 (compact) and 15 (DRAM) {_C}")
SYNAPSE_CONV = _cycles("synapse, tap of a kernel", 25, 8, 30, Tag.UNCERTAIN, f"{_RATE}; 9 {_C}")
NEURON_LIF = _cycles("neuron, lif", 34, 28, 112, Tag.UNCERTAIN,
                     f"{_C}; low llvm-mca, high twice the most of one that spikes")
NEURON_CURRENT = _cycles("neuron, lif_curr_exp", 47, 38, 162, Tag.UNCERTAIN,
                         f"{_C}; low llvm-mca, high twice the most of one that spikes")
DRAW = (85, 60, 200)  # beside the neuron: Philox4x32-10 for four neurons in 140, a search of the law in 50


def with_drive(neuron: Coefficient) -> Coefficient:
    """Cycles of a neuron with a Poisson drive."""
    value, low, high = (at + more for at, more in zip(neuron.range, DRAW, strict=True))
    source = f"as {neuron.name}, and 85 (60 to 200) for a draw: Philox4x32-10, a search of the law; not counted"
    return _cycles(f"{neuron.name}, with a drive", value, low, high, Tag.UNCERTAIN, source)


NONE = _cycles("none", 0, 0, 0, Tag.DERIVED, "relays and inputs have no neurons and no synapses")
RECORD = _cycles("recorded word", 9, 6, 26, Tag.UNCERTAIN,
                 f"{_C}; low a voltage, high twice the most of a word of spikes")


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleCosts:
    """Cycles of a program: each tick, each packet, each synapse word, each neuron and tick, each recorded word."""

    base: Coefficient = BASE
    packet: Coefficient = PACKET_ROW
    synapse: Coefficient = SYNAPSE
    neuron: Coefficient = NEURON_LIF
    record: Coefficient = RECORD

    def tick(self, neurons: Any, packets: Any, words: Any, recorded: Any = 0) -> Any:
        """Likely cycles of a tick: of so many neurons, packets, synapse words and recorded words; arrays too.

        >>> CycleCosts().tick(neurons=100, packets=2, words=50, recorded=6)
        7176
        """
        return (self.base.value + self.neuron.value * neurons + self.packet.value * packets
                + self.synapse.value * words + self.record.value * recorded)


CYCLE_COEFFICIENTS = (
    BASE, PACKET_ROW, PACKET_SLICE, PACKET_DRAM, PACKET_FAR, PACKET_CONV, PACKET_RELAY, PACKET_INPUT, SYNAPSE,
    SYNAPSE_SLICE, SYNAPSE_CONV, NEURON_LIF, NEURON_CURRENT, with_drive(NEURON_LIF), with_drive(NEURON_CURRENT), RECORD,
)
ROWS = CycleCosts()
