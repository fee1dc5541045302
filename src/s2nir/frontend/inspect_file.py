"""The tree of an HDF5 file, walked before any of its data are read.

What is not a plain tree of small, plain arrays is refused here: soft and external links, cycles, hard links to one
object from two places, virtual and external storage, unknown filters, dtypes that are neither numbers nor text, and
sizes that are declared beyond the limits (12 KB can declare 800 GB, or really expand to 1.6 GB).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
from h5py import h5d, h5g, h5l, h5o, h5s, h5t

from ..errors import LoadError
from .heaps import Heaps
from .limits import Limits

FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
MAX_NAME = 1024


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Leaf:
    """A dataset that may be read. kind : "text" or "number"; shape : () for a scalar"""

    path: str
    kind: str
    shape: tuple[int, ...]


Tree = Mapping[str, Any]
"""Names to Leaf or Tree."""


def inspect(file: h5py.File, limits: Limits, heaps: Heaps) -> Tree:
    """The file's tree of groups and datasets.

    Raises
    ------
    LoadError
        where something is not a plain tree, or is too large; nothing has been read by then.
    """
    return _Walk(limits, heaps).group(file.id, "", 0)


class _Walk:
    """One walk: what was met so far, and the bytes that it declares."""

    def __init__(self, limits: Limits, heaps: Heaps) -> None:
        self.limits, self.heaps = limits, heaps
        self.met: dict[int, str] = {}
        self.declared = 0

    def group(self, group: Any, path: str, depth: int) -> Tree:
        if depth > 2 * self.limits.max_depth + 4:
            raise LoadError(f"{path}: groups are nested deeper than {2 * self.limits.max_depth + 4}")
        found: dict[str, Any] = {}
        for name in self._names(group, path):
            where = f"{path}/{name}"
            link = group.links.get_info(name.encode()).type
            if link != h5l.TYPE_HARD:
                kind = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "an external link"}.get(link, "a link")
                raise LoadError(f"{where}: is {kind}; links are not followed. Store the data itself.")
            self._meet(group, name, where)
            child = h5o.open(group, name.encode())
            if isinstance(child, h5g.GroupID):
                found[name] = self.group(child, where, depth + 1)
            elif isinstance(child, h5d.DatasetID):
                found[name] = self._leaf(child, where)
            else:
                raise LoadError(f"{where}: is neither a group nor a dataset")
        return found

    def _names(self, group: Any, path: str) -> Iterator[str]:
        if group.get_num_objs() + len(self.met) > self.limits.max_objects:
            raise LoadError(f"{path or '/'}: the file holds more than {self.limits.max_objects} objects")
        for raw in list(group):
            try:
                name = raw.decode("utf8")
            except UnicodeDecodeError:
                raise LoadError(f"{path or '/'}: a name is not UTF-8 ({raw!r})") from None
            if not name or len(name) > MAX_NAME:
                raise LoadError(f"{path or '/'}: a name has {len(name)} characters, allowed are 1 to {MAX_NAME}")
            yield name

    def _meet(self, group: Any, name: str, where: str) -> None:
        info = h5o.get_info(group, name.encode())
        if info.addr in self.met:
            raise LoadError(f"{where}: is the same object as {self.met[info.addr]} (a cycle, or two links to one)")
        self.met[info.addr] = where

    def _leaf(self, dataset: Any, where: str) -> Leaf:
        space = dataset.get_space()
        if space.get_simple_extent_type() not in (h5s.SCALAR, h5s.SIMPLE):
            raise LoadError(f"{where}: has no data")
        shape = tuple(int(n) for n in dataset.shape)
        kind, width = _kind(dataset.get_type(), where)
        self._storage(dataset.get_create_plist(), where, width)
        self._declare(math.prod(shape) * width, where, f"shape {shape}")
        if kind == "text" and dataset.get_type().is_variable_str():
            self.heaps.check(dataset, math.prod(shape), where)
        return Leaf(path=where, kind=kind, shape=shape)

    def _storage(self, plist: Any, where: str, width: int) -> None:
        if plist.get_external_count():
            raise LoadError(f"{where}: its data lie in another file; external storage is not followed")
        layout = plist.get_layout()
        if layout == h5d.VIRTUAL:
            raise LoadError(f"{where}: is a virtual dataset; store the data itself")
        if layout == h5d.CHUNKED:
            for i in range(plist.get_nfilters()):
                code = int(plist.get_filter(i)[0])
                if code not in FILTERS:
                    raise LoadError(f"{where}: filter {code} is unknown; allowed are {', '.join(FILTERS.values())}")
            chunk = tuple(int(n) for n in plist.get_chunk())
            self._check(math.prod(chunk) * width, where, f"a chunk of {chunk}")

    def _declare(self, size: int, where: str, what: str) -> None:
        self.declared += size
        self._check(self.declared, where, what)

    def _check(self, size: int, where: str, what: str) -> None:
        if size > self.limits.max_bytes:
            raise LoadError(
                f"{where}: {what} brings the file to {size} bytes expanded, allowed are {self.limits.max_bytes}. "
                "Pass a larger max_bytes if this is meant."
            )


def _kind(dtype: Any, where: str) -> tuple[str, int]:
    """("text" or "number", bytes per element; numbers count as float64)."""
    size = int(dtype.get_size())
    if isinstance(dtype, h5t.TypeStringID):
        return "text", 64 if dtype.is_variable_str() else max(size, 64)
    if isinstance(dtype, h5t.TypeIntegerID) and size <= 8:
        return "number", 8
    if isinstance(dtype, h5t.TypeFloatID) and size <= 8:
        return "number", 8
    if isinstance(dtype, h5t.TypeEnumID) and size == 1 and dtype.dtype.kind == "b":
        return "number", 8
    raise LoadError(f"{where}: dtype {_name(dtype)} is neither a number of up to 8 bytes nor text")


def _name(dtype: Any) -> str:
    return type(dtype).__name__.removeprefix("Type").removesuffix("ID").lower()
