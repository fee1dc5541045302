"""Polarity events of AEDAT 3.1 files, as IBM's DVS128 Gesture set has them.

A header of lines that begin with '#', then packets: 28 bytes that say what and how many, and the events. Every packet
is checked against the file's length before it is read. tonic's own reader is the oracle of the tests; docs/decisions
says why it is not used here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .events import EventArray, in_order, make_events

VERSION = re.compile(rb"#!AER-DAT(\d+\.\d+)\s*$")
END = b"#!END-HEADER"
PACKET = np.dtype(
    [("type", "<u2"), ("source", "<u2")]
    + [(name, "<u4") for name in ("size", "offset", "overflow", "capacity", "number", "valid")]
)
WORDS = np.dtype([("data", "<u4"), ("time", "<u4")])
POLARITY = 1
MOST_HEADER = 1 << 16  # bytes


def read_aedat(path: Path, start_us: int = 0, stop_us: int | None = None) -> EventArray:
    """Polarity events from `start_us` to before `stop_us` microseconds of an AEDAT 3.1 file, sorted by time.

    x = data >> 17, y = data >> 2 (13 bits each), polarity = data >> 1, as the data set's page has it; packets of other
    kinds are passed over, and the mark of validity is not looked at, as other readers of the set do it.

    Raises
    ------
    InputError
        where the file is none of AEDAT 3.1, is cut short, or a packet contradicts itself.
    """
    parts = list(packets(path, start_us, stop_us))
    return in_order(np.concatenate(parts)) if parts else make_events([], [], [], [])


def packets(path: Path, start_us: int = 0, stop_us: int | None = None) -> Iterator[EventArray]:
    """As `read_aedat`, packet by packet as they stand in the file."""
    raw = np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    at = _header(path, raw)
    while at < raw.size:
        head = _packet(path, raw, at)
        begin = at + PACKET.itemsize
        at = begin + int(head["size"]) * int(head["capacity"])
        if head["type"] != POLARITY or not head["number"]:
            continue
        words = raw[begin:at].view(WORDS)
        t = (words["time"] & np.uint32(0x7FFFFFFF)).astype(np.int64) + (int(head["overflow"]) << 31)
        inside = (t >= start_us) & (t < stop_us) if stop_us is not None else t >= start_us
        if inside.any():
            data = words["data"][inside].astype(np.int64)
            yield make_events(data >> 17 & 0x1FFF, data >> 2 & 0x1FFF, t[inside], data >> 1 & 1)


def _header(path: Path, raw: NDArray[np.uint8]) -> int:
    """Where the packets begin."""
    text = raw[:MOST_HEADER].tobytes()
    first = text.split(b"\n", 1)[0][:40]
    version = VERSION.match(first)
    if not version:
        raise InputError(f"{path}: begins with {first!r}, needed an AEDAT 3.1 file, which begins with '#!AER-DAT3.1'")
    if version[1] != b"3.1":
        raise InputError(f"{path}: is AEDAT {version[1].decode()}, allowed is AEDAT 3.1. Convert it to .npy or .h5.")
    at = 0
    while text[at : at + 1] == b"#":
        end = text.find(b"\n", at)
        if end < 0:
            raise InputError(f"{path}: its header does not end within {len(text)} bytes. Copy or download it again.")
        line, at = text[at:end].rstrip(), end + 1
        if line == END:
            break
    return at


def _packet(path: Path, raw: NDArray[np.uint8], at: int) -> np.void:
    """The head of the packet at a byte, checked."""
    begin = at + PACKET.itemsize
    if begin > raw.size:
        raise InputError(f"{path}: is cut short within the head of a packet at byte {at}. Copy or download it again.")
    head: np.void = raw[at:begin].view(PACKET)[0]
    end = begin + int(head["size"]) * int(head["capacity"])
    if end > raw.size:
        raise InputError(
            f"{path}: is cut short: the packet at byte {at} ends at byte {end}, the file at {raw.size}. "
            "Copy or download it again."
        )
    if head["type"] == POLARITY and (head["size"] != WORDS.itemsize or head["number"] != head["capacity"]):
        raise InputError(
            f"{path}: the packet at byte {at} has {head['number']} of {head['capacity']} events of {head['size']} "
            f"bytes; polarity events have {WORDS.itemsize} bytes, and a packet in a file is full"
        )
    return head
