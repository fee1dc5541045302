"""What the chip takes in energy, each number with its range, certainty and source: an estimate.

docs/cost.md holds the same numbers as a table; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .cycles import Coefficient, Level, Range, Tag
from .spinnaker2 import PES

CHIP_OFF_W = 0.0752  # [S] chip paper: PEs off
CHIP_ASLEEP_W = {Level.LOW: 0.2354, Level.HIGH: 0.5647}  # [S] all PEs asleep
CHIP_BUSY_W = {Level.LOW: 0.4246, Level.HIGH: 1.2479}  # [S] CoreMark on all PEs
MATMUL = {Level.LOW: (2.281e12, 2.77e12), Level.HIGH: (4.563e12, 2.06e12)}  # [S] int8 operations/s, and per joule


def _watts(name: str, value: float, source: str, tag: Tag = Tag.SECONDARY, width: float = 0.1) -> Coefficient:
    return Coefficient(name=name, value=value, low=value * (1 - width), high=value * (1 + width), unit="W", tag=tag,
                       source=source)


def _joules(name: str, value: float, low: float, high: float, tag: Tag, source: str) -> Coefficient:
    return Coefficient(name=name, value=value, low=low, high=high, unit="J", tag=tag, source=source)


def _asleep(level: Level) -> Coefficient:
    value = (CHIP_ASLEEP_W[level] - CHIP_OFF_W) / PES
    return _watts(f"PE asleep, {level.value}", value, f"({1e3 * CHIP_ASLEEP_W[level]:g} - 75.2) mW over {PES} PEs",
                  Tag.DERIVED)


def _busy(level: Level) -> Coefficient:
    value = (CHIP_BUSY_W[level] - CHIP_ASLEEP_W[level]) / PES / level.clock_hz
    return _joules(f"busy cycle, {level.value}", value, value * 0.5, value * 1.5, Tag.DERIVED,
                   f"({1e3 * CHIP_BUSY_W[level]:g} - {1e3 * CHIP_ASLEEP_W[level]:g}) mW over {PES} PEs of "
                   f"{level.clock_hz / 1e6:g} MHz, CoreMark; ends for other mixes of instructions [U]")


def _mac(level: Level) -> Coefficient:
    rate, each = MATMUL[level]
    value = (rate / each - CHIP_ASLEEP_W[level]) / (rate / 2)
    return _joules(f"MAC, {level.value}", value, value * 0.8, value * 2.0, Tag.DERIVED,
                   f"{rate / 1e12:g} TOPS at {each / 1e12:g} TOPS/W less PEs asleep; high for less use of the array")


FLOOR = _watts("chip, PEs off", CHIP_OFF_W, "chip paper; ends for other chips and heat [U]")
ASLEEP = {level: _asleep(level) for level in Level}
BUSY = {level: _busy(level) for level in Level}
MAC = {level: _mac(level) for level in Level}
HOP = _joules(
    "packet and hop", 20e-12, 2e-12, 200e-12, Tag.UNCERTAIN,
    "not published; 192 bits over about 1 mm at 0.1 pJ per bit and mm, a decade to each side")
ROUTER = _joules(
    "packet at a router", 500e-12, 50e-12, 5e-9, Tag.UNCERTAIN,
    "not published; a ternary search of 16,384 entries of 32 bits at about 1 fJ per bit, a decade to each side")
LINK = _joules(
    "packet over a link", 480e-12, 48e-12, 4.8e-9, Tag.UNCERTAIN,
    "not published; 96 bits at 5 pJ per bit, a decade to each side")
DRAM_BYTE = _joules(
    "DRAM byte", 40e-12, 16e-12, 160e-12, Tag.UNCERTAIN,
    "not published; LPDDR4 at 5 pJ per bit, 2 to 20, without refresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyCosts:
    """What the chip takes: watts of states, joules of events."""

    floor: Coefficient = FLOOR
    asleep_low: Coefficient = ASLEEP[Level.LOW]
    asleep_high: Coefficient = ASLEEP[Level.HIGH]
    busy_low: Coefficient = BUSY[Level.LOW]
    busy_high: Coefficient = BUSY[Level.HIGH]
    mac_low: Coefficient = MAC[Level.LOW]
    mac_high: Coefficient = MAC[Level.HIGH]
    hop: Coefficient = HOP
    router: Coefficient = ROUTER
    link: Coefficient = LINK
    dram: Coefficient = DRAM_BYTE

    def at(self, what: str, level: Level) -> Range:
        """One of those that hang on the level, "asleep", "busy" or "mac"."""
        found: Coefficient = getattr(self, f"{what}_{level.value}")
        return found.range

    def all(self) -> tuple[Coefficient, ...]:
        """Every one, in order."""
        return tuple(getattr(self, f.name) for f in fields(self))
