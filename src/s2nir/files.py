"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .errors import InputError


def write_whole(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, then rename it: it is there whole or not at all."""
    target = Path(os.path.realpath(target))  # of a link, the file that it points at
    if target.exists() and not target.is_file():
        raise InputError(f"{target}: is there and is no file. Choose another name.")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {str(target.parent)!r} to write into. Make it first.")
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    try:
        with os.fdopen(handle, "w+b") as f:
            write(f)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # as a file that is opened for writing has it
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
