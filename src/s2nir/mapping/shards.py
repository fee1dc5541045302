"""An image as a folder: core memories in shards, written as they are made and read as they are asked for.

`index.h5` is the image without its memories (storage.py); `shard-00000.bin` and so on hold those of `SHARD` cores each,
one after the other, each with its DRAM behind it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .image import SHARD, CoreImage, MachineImage

INDEX = "index.h5"
FOLDER = ".s2"  # a name that ends so is a folder's
SHARD_NAME = re.compile(r"shard-\d{5,}\.bin")


def folder_name(target: Path) -> Path:
    """Where a folder may be written: the path, of a link that which it points at.

    Raises
    ------
    ImageError
        where something else than an image is there already, the name is that of a file, or no folder to write into is
        there.
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not (target / INDEX).is_file():
        raise ImageError(f"{target}: is there and is no image folder. Choose another name, or remove it.")
    for other in sorted(target.iterdir()) if target.exists() else ():
        if other.name != INDEX and not SHARD_NAME.fullmatch(other.name):
            raise ImageError(f"{target}: holds {other.name!r} beside an image, which would be lost. Move it elsewhere, "
                             "or choose another name.")
    if not target.exists() and target.suffix not in ("", FOLDER):
        raise ImageError(f"{target}: found a name that ends in {target.suffix}, as of a file; a folder's ends in "
                         f"{FOLDER}, or has no ending. One file is written by MachineImage.save.")
    if not target.parent.is_dir():
        raise ImageError(f"{target}: there is no folder {str(target.parent)!r} to write into. Make it first.")
    return target


@contextmanager
def folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, renamed to it at the end: it is there whole or not at all. An image folder that is
    there is replaced.

    Raises
    ------
    ImageError
        as `folder_name` has it.
    """
    target = folder_name(target)
    made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:40]}."))
    try:
        yield made
        mask = os.umask(0)
        os.umask(mask)
        made.chmod(0o777 & ~mask)
        old = made.with_name(made.name + ".old")
        if target.exists():
            target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


class Shards:
    """Core images whose memories go to shards of a folder as they come."""

    def __init__(self, into: Path) -> None:
        self.into = into
        self.done: list[CoreImage] = []
        self.waiting: list[CoreImage] = []

    def add(self, core: CoreImage) -> None:
        self.waiting.append(core)
        if len(self.waiting) == SHARD:
            self._write()

    def cores(self) -> tuple[CoreImage, ...]:
        """All of them, their memories read from the shards when they are asked for."""
        if self.waiting:
            self._write()
        return tuple(self.done)

    def _write(self) -> None:
        path = self.into / name(len(self.done) // SHARD)
        with path.open("wb") as file:
            for core in self.waiting:
                file.write(core.memory.data)
                file.write(core.dram.data)
        mapped, at = mapping(path), 0
        for core in self.waiting:
            middle = at + core.memory.size
            end = middle + core.dram.size
            self.done.append(core.held_by(mapped[at:middle], mapped[middle:end], core.sha))
            at = end
        self.waiting = []


def name(shard: int) -> str:
    return f"shard-{shard:05}.bin"


def mapping(path: Path) -> NDArray[np.uint8]:
    """The bytes of a shard, in memory only where they are read."""
    if not path.stat().st_size:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, "r")


def save(image: MachineImage, target: Path) -> None:
    """Write an image as a folder."""
    with folder(target) as made:
        shards = Shards(made)
        for core in image.cores:
            shards.add(core)
        if shards.waiting:
            shards._write()
        index(image, made)


def index(image: MachineImage, made: Path) -> None:
    """Write the index of a folder whose shards are written."""
    from .storage import write

    with (made / INDEX).open("w+b") as file:
        write(image, file, memories=False)


def memories(path: Path, sizes: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """What a folder holds of every core, mapped; sizes : int64 (cores), bytes

    Raises
    ------
    ImageError
        where a shard is missing, or is not as long as the index says.
    """
    found = []
    for k, lo in enumerate(range(0, sizes.size, SHARD)):
        file, here = path / name(k), sizes[lo : lo + SHARD]
        if not file.is_file():
            raise ImageError(f"{file}: is missing. Copy the folder again, or compile the image anew.")
        if file.stat().st_size != int(here.sum()):
            raise ImageError(f"{file}: found {file.stat().st_size} bytes, the index says {int(here.sum())}. Copy the "
                             "folder again, or compile the image anew.")
        mapped: Any = mapping(file)
        found.extend(np.split(mapped, np.cumsum(here)[:-1]))
    return found
