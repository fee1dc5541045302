"""Event recordings from files: AEDAT 3.1, NumPy and HDF5. Nothing is unpickled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, needs
from ..files import not_hdf5
from .aedat import packets, read_aedat
from .events import LIMITS, EventArray, in_order, make_events, whole_numbers

COLUMNS = ("x", "y", "t", "p")
KINDS = ".aedat (AEDAT 3.1), .npy, .npz, .h5 or .hdf5"
MOST_EVENTS = 1 << 28


def read_events(path: str | Path) -> EventArray:
    """Events of one recording, sorted by time; times are microseconds.

    path : by its ending
        .aedat : AEDAT 3.1
        .npy : fields x, y, t, p; or (events, 4) with columns x, y, t, p; or, as tonic's copy of DVS128 Gesture has it,
            with columns x, y, p and milliseconds, which is told by a third column of zeros and ones
        .npz : arrays x, y, t, p
        .h5, .hdf5 : datasets x, y, t, p, at the top or in a group "events"

    Returns
    -------
    EVENT (events); polarity is 0 or 1, or -1 and 1, of which -1 becomes 0

    Raises
    ------
    InputError
        naming the path, what was found and what is allowed.
    """
    needs(path, (str, PathLike), "read_events.path", "Pass the path of a file.")
    path = Path(path)
    if not path.is_file():
        what = "is no file" if path.exists() else "there is no such file"
        raise InputError(f"{path}: {what}; needed event recordings: {KINDS}")
    readers = {".aedat": read_aedat, ".npy": _npy, ".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: found the ending {path.suffix!r}, allowed {KINDS}")
    return readers[path.suffix.lower()](path)


def read_pieces(path: Path, size: int) -> Iterator[EventArray]:
    """Events of a recording in pieces, each sorted by time: packets of .aedat, `size` events of .npy and .h5, an .npz
    whole; errors as of `read_events`."""
    kind = path.suffix.lower() if path.is_file() else ""
    if kind == ".aedat":
        yield from map(in_order, packets(path))
    elif kind == ".npy":
        yield from _npy_pieces(path, size)
    elif kind in (".h5", ".hdf5"):
        yield from _hdf5_pieces(path, size)
    else:
        yield read_events(path)


def _npy(path: Path) -> EventArray:
    return next(_npy_pieces(path, MOST_EVENTS))


def _npy_pieces(path: Path, size: int) -> Iterator[EventArray]:
    try:
        array: Any = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # whatever a damaged file makes of numpy
        raise InputError(f"{path}: cannot be read as .npy without unpickling ({error})") from None
    for lo in range(0, max(1, len(array)) if array.ndim else 1, size):
        yield from_array(array[lo : lo + size] if array.ndim else array, str(path))


def from_array(array: Any, where: str) -> EventArray:
    """Events from an array with fields, or (events, 4)."""
    if array.dtype.names is not None:
        missing = [name for name in COLUMNS if name not in array.dtype.names]
        if missing or array.ndim != 1:
            raise InputError(f"{where}: found fields {array.dtype.names} {array.shape}, needed x, y, t, p (events)")
        return _events({name: array[name] for name in COLUMNS}, where)
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(f"{where}: found {array.dtype} {array.shape}, needed fields x, y, t, p or (events, 4)")
    x, y, third, last = array.T
    if array.shape[0] and np.isin(third, (0, 1)).all() and not np.isin(last, (-1, 0, 1)).all():
        return _events({"x": x, "y": y, "t": np.asarray(last, np.float64) * 1000, "p": third}, where)
    return _events({"x": x, "y": y, "t": third, "p": last}, where)


def _npz(path: Path) -> EventArray:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as found:
            names = list(found.files)
            size = sum(entry.file_size for entry in found.zip.infolist())
            if size > MOST_EVENTS * 32:
                raise InputError(f"{path}: unpacks to {size} bytes, over {MOST_EVENTS * 32}")
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise InputError(f"{path}: found arrays {', '.join(names)}; needed x, y, t, p")
            columns = {name: found[name] for name in COLUMNS}
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes of numpy and zipfile
        raise InputError(f"{path}: cannot be read as .npz without unpickling ({error})") from None
    return _events(columns, str(path))


def _hdf5(path: Path) -> EventArray:
    return next(_hdf5_pieces(path, MOST_EVENTS))


def _hdf5_pieces(path: Path, size: int) -> Iterator[EventArray]:
    import h5py

    fault = not_hdf5(path, "an HDF5 file with events")
    if fault:
        raise InputError(f"{path}: {fault}")
    try:
        with h5py.File(path, "r", locking=False) as file:
            at = file
            if isinstance(file.get("events", getlink=True), h5py.HardLink) and isinstance(file["events"], h5py.Group):
                at = file["events"]
            columns = {}
            for name in COLUMNS:
                own = isinstance(at.get(name, getlink=True), h5py.HardLink)
                data = at[name] if own else None
                if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
                    raise InputError(
                        f"{path}: found {', '.join(at) or 'nothing'} in {at.name!r}; needed datasets x, y, t, p in "
                        "this file, at the top or in a group 'events'"
                    )
                if data.ndim != 1 or data.size > MOST_EVENTS:
                    raise InputError(f"{path}: {data.name} is {data.shape}, needed (events), at most {MOST_EVENTS}")
                columns[name] = data
            for lo in range(0, max(1, *(c.size for c in columns.values())), size):
                yield _events({name: data[lo : lo + size] for name, data in columns.items()}, str(path))
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes of h5py
        raise InputError(f"{path}: cannot be read as HDF5 ({error})") from None


def _events(columns: Mapping[str, Any], where: str) -> EventArray:
    """Columns of whole numbers as events, sorted by time."""
    whole = {}
    for name, values in columns.items():
        array = np.asarray(values)
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise InputError(f"{where}, {name}: found {array.dtype} {array.shape}, needed numbers (events)")
        if name == "p" and array.size and array.dtype.kind != "b" and array.min() == -1:
            array = np.where(array == -1, 0, array)
        whole[name] = whole_numbers(f"{where}, {name}", array, 0, LIMITS[name]).astype(np.int64)
    sizes = {name: array.size for name, array in whole.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{where}: x, y, t and p differ in length: {sizes}")
    return in_order(make_events(whole["x"], whole["y"], whole["t"], whole["p"]))
