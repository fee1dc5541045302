"""Spikes in files (.npy, .npz) and from a seed; what is read is never unpickled and its size is known beforehand."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

MAX_BYTES = 1 << 32  # of arrays in one file
MAX_VALUES = 1 << 30  # of random input


def read_spikes(path: str, max_bytes: int = MAX_BYTES) -> Any:
    """An array of a .npy file, or arrays by input name of a .npz file.

    Raises
    ------
    InputError
        where the file is not there, broken, larger than `max_bytes`, or holds anything but plain arrays.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as held:
                return _members(path, held, max_bytes)
        with file.open("rb") as stream:
            return _array(path, stream, file.stat().st_size, max_bytes)
    except InputError:
        raise
    except Exception as error:  # a broken file raises nearly every kind; all mean the same here
        raise InputError(
            f"{path}: not a .npy or .npz file of plain arrays, or a broken one ({type(error).__name__}: {error}). "
            "Write it with numpy.save or numpy.savez."
        ) from None


def _members(path: str, held: zipfile.ZipFile, max_bytes: int) -> dict[str, NDArray[Any]]:
    infos = held.infolist()
    declared = sum(i.file_size for i in infos)
    if declared > max_bytes:
        raise InputError(f"{path}: holds {declared} bytes expanded, allowed are {max_bytes}. Run it in parts.")
    found = {}
    for info in infos:
        with held.open(info) as stream:
            name = info.filename.removesuffix(".npy")
            found[name] = _array(f"{path}: {info.filename}", stream, info.file_size, max_bytes)
    if not found:
        raise InputError(f"{path}: holds no arrays. Store one by input name.")
    return found


def _array(where: str, stream: Any, size: int, max_bytes: int) -> NDArray[Any]:
    """One array, whose header is believed only as far as the file is long."""
    version = np.lib.format.read_magic(stream)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if reader is None:
        raise InputError(f"{where}: array format {version}, known are 1.0 and 2.0. Write it with numpy.save.")
    shape, fortran, dtype = reader(stream)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise InputError(f"{where}: found dtype {dtype}, needed numbers; objects are not read")
    needed = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    if needed > max_bytes or needed > size or min(shape, default=0) < 0:
        raise InputError(f"{where}: declares shape {shape}, {needed} bytes; it holds {size}, allowed are {max_bytes}")
    raw = stream.read(needed)
    if len(raw) != needed:
        raise InputError(f"{where}: cut off, {len(raw)} of {needed} bytes are there")
    flat = np.frombuffer(raw, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def poisson(inputs: Iterable[Any], rate: float, steps: int, seed: int, max_count: int) -> dict[str, NDArray[Any]]:
    """Random packets: `rate` per source and step on average, at most `max_count`, the same for the same seed.

    inputs : populations with a name and a shape

    >>> class P: name, shape = "in", (2,)
    >>> poisson([P], 0.5, 4, 1, 255)["in"].tolist()
    [[0, 0], [0, 0], [0, 1], [1, 1]]
    """
    if rate > max_count:
        raise InputError(f"poisson: found a rate of {rate:g} packets per source and step, allowed up to {max_count}")
    found = {}
    for p in sorted(inputs, key=lambda p: str(p.name)):
        size = steps * int(np.prod(p.shape, dtype=np.int64))
        if size > MAX_VALUES:
            raise InputError(f"poisson: {steps} steps of {p.name} are {size} values, allowed {MAX_VALUES}. Take fewer.")
        rng = np.random.default_rng([seed, *p.name.encode()])
        found[p.name] = np.minimum(rng.poisson(rate, (steps, *p.shape)), max_count).astype(np.uint16)
    return found


def write_arrays(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """Arrays by name as a compressed .npz, one in memory at a time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as held:
        for name in arrays:
            info = zipfile.ZipInfo(f"{name}.npy")  # no time of writing: the same spikes give the same file
            info.compress_type = zipfile.ZIP_DEFLATED
            with held.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(arrays[name]), allow_pickle=False)
