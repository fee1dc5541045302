"""A NIR file as raw nodes, read by ourselves from a tree that was inspected first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py

from ..errors import LoadError
from ..files import not_hdf5
from .fields import text
from .heaps import Heaps
from .inspect_file import MAX_NAME, Leaf, Tree, inspect
from .limits import Limits
from .raw import HINT, RawGraph, RawNode

VERSION = re.compile(r"[01]\.\d+(\.\d+)?([.+-]?\w+)*")
IMAGE = {"head", "core_start", "memory"}
"""What an image of ours holds (mapping/storage.py) and no NIR file does."""
IGNORED = {"metadata", "input_type", "output_type"}
"""Of a graph: what older writers leave beside nodes and edges; derived, so never read."""


def read_file(path: str | Path, limits: Limits) -> RawGraph:
    """The graph in a NIR file.

    Raises
    ------
    LoadError
        where the file is no NIR file, is broken, or asks for more than the limits allow.
    """
    path = Path(path)
    fault = not_hdf5(path, "a NIR file (HDF5)")
    if fault is not None:
        raise LoadError(f"{path}: {fault}")
    try:
        heaps = Heaps(path)
        with h5py.File(path, "r") as file:
            plist = file.id.get_create_plist()
            if plist.get_sizes() != (8, 8) or plist.get_userblock():
                raise LoadError("its addresses are not of 8 bytes, or it does not begin at byte 0")
            return _Reader(file).root(inspect(file, limits, heaps))
    except LoadError as error:
        raise LoadError(f"{path}: {error}") from error.__cause__
    except Exception as error:  # h5py raises nearly every kind on a broken file
        said = "is damaged, or of another format; needed a NIR file (HDF5)"
        raise LoadError(f"{path}: is not a readable HDF5 file: it {said}") from error


class _Reader:
    def __init__(self, file: h5py.File) -> None:
        self.file = file

    def root(self, tree: Tree) -> RawGraph:
        if not tree.keys() & {"version", "node"}:
            if tree.keys() >= IMAGE:
                raise LoadError("is a machine image: use s2nir.MachineImage.load")
            held = ", ".join(sorted(tree)[:5]) or "nothing"
            raise LoadError(f"is an HDF5 file but no NIR file: it has neither /version nor /node (it holds {held})")
        version = text("/version", self._scalar(tree, "version", "text", ""))
        if not VERSION.fullmatch(version):
            raise LoadError(f"/version: found {version[:40]!r}, known are NIR 0.x and 1.x")
        if not isinstance(tree.get("node"), dict):
            raise LoadError("/node: is missing; a NIR file has its graph there")
        node = self._node(tree["node"], "/node")
        if not isinstance(node, RawGraph):
            raise LoadError(f"/node/type: found {node.type!r}, needed 'NIRGraph'")
        return node

    def _node(self, tree: Tree, path: str) -> RawNode | RawGraph:
        kind = text(f"{path}/type", self._scalar(tree, "type", "text", path))
        metadata = self._metadata(tree.get("metadata"), f"{path}/metadata")
        if kind == "NIRGraph":
            return self._graph(tree, path, metadata)
        given = {}
        for key in sorted(tree.keys() - {"type", "metadata"}):
            leaf = tree[key]
            if not isinstance(leaf, Leaf):
                raise LoadError(f"{path}/{key}: is a group, needed a dataset")
            if leaf.kind == "text" and (key != "padding" or leaf.shape):
                raise LoadError(f"{path}/{key}: is text, needed numbers")
            given[key] = self._read(leaf)
        return RawNode(type=kind, fields=given, metadata=metadata)

    def _graph(self, tree: Tree, path: str, metadata: dict[str, Any]) -> RawGraph:
        extra = sorted(tree.keys() - {"type", "nodes", "edges"} - IGNORED)
        if extra:
            raise LoadError(f"{path}/{extra[0]}: is no field of NIRGraph; it has type, nodes, edges, metadata")
        nodes, edges = tree.get("nodes"), tree.get("edges")
        if not isinstance(nodes, dict):
            raise LoadError(f"{path}/nodes: is missing, or is not a group")
        if not isinstance(edges, Leaf):
            raise LoadError(f"{path}/edges: is missing, or is not a dataset")
        for name, child in nodes.items():
            if not isinstance(child, dict):
                raise LoadError(f"{path}/nodes/{name}: is a dataset, needed a group with a type")
        return RawGraph(
            nodes={name: self._node(child, f"{path}/nodes/{name}") for name, child in nodes.items()},
            edges=self._edges(edges),
            metadata=metadata,
        )

    def _edges(self, leaf: Leaf) -> list[tuple[str, str]]:
        if 0 in leaf.shape:
            return []
        if leaf.kind != "text" or len(leaf.shape) != 2 or leaf.shape[1] != 2:
            raise LoadError(f"{leaf.path}: found {leaf.kind} of shape {leaf.shape}, needed text (edges, 2)")
        return [(self._name(leaf.path, a), self._name(leaf.path, b)) for a, b in self._read(leaf)]

    def _name(self, path: str, value: Any) -> str:
        name = text(path, value)
        if len(name) > MAX_NAME:
            raise LoadError(f"{path}: a name has {len(name)} characters, allowed are {MAX_NAME}")
        return name

    def _metadata(self, tree: Any, path: str) -> dict[str, Any]:
        if tree is None:
            return {}
        if not isinstance(tree, dict):
            raise LoadError(f"{path}: is a dataset, needed a group")
        ours = {k: v for k, v in tree.items() if k.startswith(HINT)}
        for key, leaf in ours.items():
            if not isinstance(leaf, Leaf) or (leaf.kind == "text" and leaf.shape):
                raise LoadError(f"{path}/{key}: is neither text nor numbers")
        return {k: text(v.path, self._read(v)) if v.kind == "text" else self._read(v) for k, v in ours.items()}

    def _scalar(self, tree: Tree, key: str, kind: str, path: str) -> Any:
        leaf = tree.get(key)
        if not isinstance(leaf, Leaf):
            raise LoadError(f"{path}/{key}: is missing, or is a group")
        if leaf.kind != kind or leaf.shape:
            raise LoadError(f"{path}/{key}: found {leaf.kind} of shape {leaf.shape}, needed one {kind}")
        return self._read(leaf)

    def _read(self, leaf: Leaf) -> Any:
        return self.file[leaf.path][()]
