"""Files: written so that they are there whole or not at all; and what a file is, told by its first bytes."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"
BEGINNINGS = (
    (re.compile(rb"\x93NUMPY"), "is a NumPy file"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), "is a zip archive, as NumPy's .npz and PyTorch's files are"),
    (re.compile(rb"\x1f\x8b"), "is a gzip archive"),
    (re.compile(rb"\x80[\x02-\x05]"), "is a Python pickle"),
    (re.compile(rb"version https://git-lfs"), "is a Git LFS pointer; the file itself was not downloaded"),
    (re.compile(rb"\s*<(!doctype\s+html|html)", re.IGNORECASE), "is a web page"),
)
HEAD = 64
EOF_AT = {0: (13, 40), 1: (13, 44), 2: (9, 28), 3: (9, 28)}
"""By version of the superblock: where the bytes of an address, and the end of the file, stand (HDF5 format, II.A)."""


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


def json_object(text: str, where: str, remedy: str) -> dict[str, Any]:
    """An object that was kept as JSON.

    Raises
    ------
    InputError
        where it is damaged.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{where}: is no JSON object. {remedy}")
    return found


def not_hdf5(path: Path, needed: str) -> str | None:
    """Why a path is no HDF5 file, as a predicate, and what is needed; None where nothing speaks against it.

    >>> not_hdf5(Path("/"), "a NIR file (HDF5)")
    'is a folder; needed a NIR file (HDF5)'
    """
    try:
        if path.is_dir():
            return f"is a folder; needed {needed}"
        if not path.is_file():
            return f"is no plain file; needed {needed}" if path.exists() else "there is no such file"
        with path.open("rb") as file:
            head = file.read(HEAD)
        if head.startswith(HDF5):
            return _cut(head, path.stat().st_size)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    if not head:
        return f"is empty; needed {needed}"
    for beginning, said in BEGINNINGS:
        if beginning.match(head):
            return f"{said}; needed {needed}"
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head) and b"\x7f" not in head:
        return f"is a text file; needed {needed}"
    return None  # HDF5 may begin later in a file


def _cut(head: bytes, size: int) -> str | None:
    """Whether the file is shorter than its superblock says."""
    if len(head) < HEAD:
        return f"is cut short: only {size} bytes are there. Copy or download it again."
    width, at = EOF_AT.get(head[8], (0, 0))
    whole = int.from_bytes(head[at : at + 8], "little")
    if at and head[width] == 8 and size < whole < 1 << 63:
        return f"is cut short: {size} of {whole} bytes are there. Copy or download it again."
    return None
