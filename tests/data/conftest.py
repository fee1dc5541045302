"""Writers of small recordings in the formats of real data sets."""

import struct

import numpy as np
import pytest

from s2nir.data import make_events

HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: none\r\n#!END-HEADER\r\n"


def packet(events, kind=1, number=None):
    """One packet; the overflow counter is that of its first event."""
    overflow = int(events["t"][0]) >> 31 if events.size else 0
    data = events["x"].astype("<u4") << 17 | events["y"].astype("<u4") << 2 | events["p"].astype("<u4") << 1 | 1
    body = np.stack([data, (events["t"] & 0x7FFFFFFF).astype("<u4")], axis=1).astype("<u4").tobytes()
    number = events.size if number is None else number
    return struct.pack("<HHIIIIII", kind, 1, 8, 4, overflow, events.size, number, number) + body


@pytest.fixture(scope="session")
def aedat_bytes():
    """A function: events to the bytes of an AEDAT 3.1 file with packets of a few events."""

    def write(events, per_packet=7, header=HEADER):
        cuts = range(0, events.size, per_packet)
        return header + b"".join(packet(events[k : k + per_packet]) for k in cuts)

    return write


@pytest.fixture(scope="session")
def aedat_packet():
    return packet


@pytest.fixture(scope="session")
def some_events():
    """A function: n random events on 128 x 128 pixels, sorted, from 0 to `last` microseconds."""

    def make(n, seed=0, last=1_000_000, size=128):
        rng = np.random.default_rng(seed)
        x, y = rng.integers(0, size, (2, n))
        return make_events(x, y, np.sort(rng.integers(0, last, n)), rng.integers(0, 2, n))

    return make
