"""The heaps that an HDF5 file keeps its texts in, walked byte by byte before HDF5 does.

HDF5 2.0 never comes back from a heap whose objects do not add up (a free object of size 0 is enough), nor from a text
that points outside the file, and nothing can stop it from outside. The layout is that of the HDF5 file format
specification, III.E "Global Heap"; a text is (length, address of its heap, index in it).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from ..errors import LoadError

SIGNATURE = b"GCOL"
HEADER = struct.Struct("<4sB3xQ")
OBJECT = struct.Struct("<HHIQ")
TEXT = struct.Struct("<IQI")
MAX_OBJECTS = 200_000
MAX_TEXT = 1 << 24
"""Bytes of all texts together."""


class Heaps:
    """All heaps of a file that has addresses of 8 bytes and begins at byte 0.

    Raises
    ------
    LoadError
        naming the place of a heap that does not add up.
    """

    def __init__(self, path: Path) -> None:
        self.found: dict[int, dict[int, int]] = {}  # address of a heap -> index -> length
        self.objects = self.told = 0
        self.path, self.size = path, path.stat().st_size
        if self.size == 0:
            return
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            at = raw.find(SIGNATURE)
            while at >= 0:
                self._heap(raw, at)
                at = raw.find(SIGNATURE, at + 4)

    def check(self, dataset: Any, count: int, where: str) -> None:
        """Refuse texts of variable length that do not lie in a heap as long as they say."""
        offset = dataset.get_offset()
        if count == 0 or (offset is None and dataset.get_storage_size() == 0):
            return
        if offset is None or dataset.get_storage_size() != count * TEXT.size or offset + count * TEXT.size > self.size:
            raise LoadError(f"{where}: its texts are not stored in a row; chunks of variable-length text are not read")
        with self.path.open("rb") as file:
            file.seek(offset)
            raw = file.read(count * TEXT.size)
        for length, address, index in TEXT.iter_unpack(raw):
            self.told += length
            if length and length > self.found.get(address, {}).get(index, -1):
                raise LoadError(f"{where}: a text of {length} bytes points to no heap of the file ({address}, {index})")
            if self.told > MAX_TEXT:
                raise LoadError(f"{where}: the texts of the file take more than {MAX_TEXT} bytes")

    def _heap(self, raw: mmap.mmap, start: int) -> None:
        if start + HEADER.size > len(raw):
            return
        _, version, size = HEADER.unpack_from(raw, start)
        if version != 1:
            return  # nothing may point to it
        end = start + size
        if size < HEADER.size or end > len(raw):
            raise LoadError(f"the heap at byte {start} is {size} bytes long, which the file does not hold")
        inside = self.found.setdefault(start, {})
        at = start + HEADER.size
        while at + OBJECT.size <= end:
            index, _, _, length = OBJECT.unpack_from(raw, at)
            need = length if index == 0 else OBJECT.size + (length + 7) // 8 * 8
            if need < OBJECT.size or at + need > end or index in inside:
                raise LoadError(f"the heap at byte {start} is broken: object {index} at {at} claims {length} bytes")
            if index:
                inside[index] = length
            self.objects += 1
            if self.objects > MAX_OBJECTS:
                raise LoadError(f"the file holds more than {MAX_OBJECTS} texts")
            at += need
