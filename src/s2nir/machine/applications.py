"""Neuron applications: what a core's program can hold, and the bytes and cycles that it takes.

Bytes are published [P] (population table, rows, neurons, records) or ours [U] (convolution tables, core descriptor,
relay). Cycles are estimates, each with its range and source in cycles.py.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import ClassVar

from ..arguments import Number, OneOf, Whole, settle
from ..errors import MappingError
from .cycles import (
    NEURON_CURRENT,
    NONE,
    PACKET_CONV,
    PACKET_DRAM,
    PACKET_FAR,
    PACKET_INPUT,
    PACKET_RELAY,
    PACKET_SLICE,
    ROWS,
    SYNAPSE_CONV,
    SYNAPSE_SLICE,
    CycleCosts,
    with_drive,
)
from .spinnaker2 import CLOCK_HZ, FIFO_PACKETS, SRAM_DATA, WINDOW_NEW

RECORDS = ("spikes", "voltages", "time")
WINDOW = Whole(1024, SRAM_DATA, "bytes")  # what a data window may be


class Word(enum.Enum):
    """The layout of a synapse word."""

    NO_DELAY = 0  # 16 bits: weight 7, type 1, target 8 [U]
    DELAY = 1  # 16 bits: weight 4, delay 3, type 1, target 8 [P]
    COMPACT = 2  # 16 bits: int8 weight, target 8; one table entry per source slice; ours [U]
    DRAM = 3  # 32 bits: int8 weight, delay 8, target 16; one table entry per source slice, rows in DRAM; ours [U]

    @property
    def by_slice(self) -> bool:
        """Whether rows are found by source slice."""
        return self in (Word.COMPACT, Word.DRAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A core's program.

    window : bytes of data memory for tables, rows, kernels, neurons and records
    max_neurons : neurons per core
    activity : expected share of sources that spike in a tick, for the cycle and packet limits
    cycles : what it takes, an estimate; clock_hz : cycles per second
    drive : whether its neurons have a Poisson drive
    places_in_dram : of rows in DRAM, whether the places that they begin at are there as well
    """

    name: str
    word: Word = Word.NO_DELAY
    window: int = WINDOW_NEW
    max_neurons: int = 250  # [P] default of py-spinnaker2
    drive: bool = False
    places_in_dram: bool = False
    descriptor_bytes: ClassVar[int] = 64  # ours [U]
    drive_bytes: ClassVar[int] = 32  # ours [U], with 4 per entry of the law and 1 per neuron
    table_entry_bytes: ClassVar[int] = 12  # [P] per presynaptic neuron that reaches the core
    row_header_bytes: ClassVar[int] = 12  # [P]
    neuron_parameter_bytes: ClassVar[int] = 32  # [P]
    neuron_state_bytes: ClassVar[int] = 16  # [P] 8 state and 8 input buffer
    ring_bytes: ClassVar[int] = 64  # [P] per neuron, with delays; of DRAM words, as many slots as delays need
    relay_bytes: ClassVar[int] = 8  # ours [U], per source of a relay
    conv_entry_bytes: int = 12  # ours [U], per source slice; more is reserved
    conv_geometry_bytes: int = 16  # ours [U], per projection; more is reserved
    fifo_packets: int = FIFO_PACKETS
    clock_hz: float = CLOCK_HZ
    activity: float = 0.02
    cycles: CycleCosts = ROWS

    def __post_init__(self) -> None:
        settle(
            self, MappingError, max_neurons=Whole(1, 1024), window=WINDOW, conv_entry_bytes=Whole(12, what="bytes"),
            conv_geometry_bytes=Whole(16, what="bytes"), fifo_packets=Whole(1), clock_hz=Number(0, above=True),
            activity=Number(0),
        )

    @property
    def weight_limit(self) -> int:
        return 15 if self.word is Word.DELAY else 127

    @property
    def delay_limit(self) -> int:
        """The largest synaptic delay, in ticks beyond the one that every packet takes."""
        return {Word.DELAY: 7, Word.DRAM: 255}.get(self.word, 0)

    @property
    def max_targets(self) -> int:
        """Neurons per core, for all but sources and relays no more than a row word can name [P]."""
        wide = self.name in ("relay", "spike_list") or self.word is Word.DRAM
        return self.max_neurons if wide else min(self.max_neurons, 256)

    def slots(self, wait: int) -> int:
        """Slots of the input ring for synapses that wait up to so many ticks.

        >>> LIF.slots(3), LIF_DRAM.slots(3), LIF_NO_DELAY.slots(0)
        (8, 4, 1)
        """
        return {Word.DELAY: 8, Word.DRAM: wait + 1}.get(self.word, 1)

    @property
    def driven(self) -> Application:
        """The same program with a Poisson drive, ours.

        >>> LIF_DRAM.driven.name, LIF_DRAM.driven.cycles.neuron.name
        ('lif_dram_poisson', 'neuron, lif, with a drive')
        """
        if self.drive:
            return self
        cycles = replace(self.cycles, neuron=with_drive(self.cycles.neuron))
        return replace(self, name=f"{self.name}_poisson", drive=True, cycles=cycles)

    @property
    def far(self) -> Application:
        """The same program, of rows in DRAM, with their places there too: a second DMA for each packet.

        >>> LIF_DRAM.far.name, LIF_DRAM.far.cycles.packet.name
        ('lif_dram_far', 'packet, rows and places in DRAM')
        """
        cycles = replace(self.cycles, packet=PACKET_FAR)
        return replace(self, name=f"{self.name}_far", places_in_dram=True, cycles=cycles)

    def with_window(self, window: int) -> Application:
        """The same program with another data window, bytes."""
        return replace(self, window=window)


_CURRENT = CycleCosts(neuron=NEURON_CURRENT)
_CONV = CycleCosts(packet=PACKET_CONV, synapse=SYNAPSE_CONV)
_COMPACT = CycleCosts(packet=PACKET_SLICE, synapse=SYNAPSE_SLICE)
_DRAM = CycleCosts(packet=PACKET_DRAM, synapse=SYNAPSE_SLICE)

LIF = Application(name="lif", word=Word.DELAY)
LIF_NO_DELAY = Application(name="lif_no_delay")
LIF_CURR_EXP = Application(name="lif_curr_exp", word=Word.DELAY, cycles=_CURRENT)
LIF_CURR_EXP_NO_DELAY = Application(name="lif_curr_exp_no_delay", cycles=_CURRENT)
LIF_CONV2D = Application(name="lif_conv2d", max_neurons=256, cycles=_CONV)  # [P] cap of the NIR paper's first layers
LIF_CURR_EXP_CONV2D = Application(
    name="lif_curr_exp_conv2d", max_neurons=256, cycles=replace(_CONV, neuron=NEURON_CURRENT))  # ours
LIF_COMPACT = Application(name="lif_compact", word=Word.COMPACT, cycles=_COMPACT)  # ours, as the next three
LIF_DRAM = Application(name="lif_dram", word=Word.DRAM, cycles=_DRAM)
LIF_CURR_EXP_COMPACT = Application(
    name="lif_curr_exp_compact", word=Word.COMPACT, cycles=replace(_COMPACT, neuron=NEURON_CURRENT))
LIF_CURR_EXP_DRAM = Application(
    name="lif_curr_exp_dram", word=Word.DRAM, cycles=replace(_DRAM, neuron=NEURON_CURRENT))
RELAY = Application(  # ours: passes packets on, one tick later
    name="relay", max_neurons=1024, cycles=CycleCosts(packet=PACKET_RELAY, synapse=NONE, neuron=NONE, record=NONE))
SPIKE_LIST = Application(  # ours: sends the input, 4 B per spike and per tick
    name="spike_list", max_neurons=1024,
    cycles=CycleCosts(packet=PACKET_INPUT, synapse=NONE, neuron=NONE, record=NONE))

_ALL = (LIF, LIF_NO_DELAY, LIF_CURR_EXP, LIF_CURR_EXP_NO_DELAY, LIF_CONV2D, LIF_CURR_EXP_CONV2D, RELAY, SPIKE_LIST,
        LIF_COMPACT, LIF_DRAM, LIF_CURR_EXP_COMPACT, LIF_CURR_EXP_DRAM)
_DRIVEN = tuple(a.driven for a in _ALL if a not in (RELAY, SPIKE_LIST))
_FAR = (LIF_DRAM.far, LIF_CURR_EXP_DRAM.far)
APPLICATIONS = {a.name: a for a in (*_ALL, *_DRIVEN, *_FAR, *(a.driven for a in _FAR))}
CODES = {name: code for code, name in enumerate(APPLICATIONS)}  # what the core descriptor holds


def record_bytes(what: str, neurons: int, ticks: int) -> int:
    """Bytes that a recording of `ticks` ticks takes on a core [P].

    >>> record_bytes("spikes", 40, 256), record_bytes("voltages", 40, 256), record_bytes("time", 40, 256)
    (4096, 41984, 1024)
    """
    if what == "spikes":
        return ticks * 4 * (-(-neurons // 32) + 2)
    if what == "voltages":
        return ticks * 4 * (1 + neurons)
    OneOf(RECORDS)(what, "record", MappingError)
    return ticks * 4
