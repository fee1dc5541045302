"""A MachineImage as one HDF5 file; truncated or altered files, and other schemas, are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..arguments import path_of
from ..errors import ImageError
from ..files import not_hdf5
from ..fixedpoint import Arithmetic
from ..machine import DRAM, ROUTE_BYTES, SRAM_DATA, SpiNNaker2
from .image import CoreImage, MachineImage, PopulationInfo, shard_digests
from .shards import INDEX, memories
from .shards import name as shard_name
from .tables import Table

SCHEMA = 3
MAX_BYTES = 1 << 30  # beside core memories; a header alone must not make us allocate more


def write(image: MachineImage, file: BinaryIO, memories: bool = True) -> None:
    """Write an image; see `MachineImage.save`. Without its memories it is the index of a folder."""
    import h5py

    head = {
        "machine": image.machine.to_dict(),
        "arithmetic": image.arithmetic.value,
        "dt": image.dt,
        "tick": image.tick,
        "lag": image.lag,
        "max_count": image.max_count,
        "outputs": dict(image.outputs),
        "contract": list(image.contract),
        "provenance": dict(image.provenance),
        "versions": dict(image.versions),
        "notes": list(image.notes),
        "copies": image.copies,
        "cores": [[*c.chip, c.pe, c.application, c.window] for c in image.cores],
        "populations": [
            {
                "name": p.name, "node": p.node, "kind": p.kind, "shape": p.shape, "view": p.view, "cores": p.cores,
                "lag": p.lag, "spikes": p.spikes, "shift": p.shift,
            }
            for p in image.populations
        ],
    }
    with h5py.File(file, "w") as f:
        f.attrs["schema"] = SCHEMA
        f.attrs["digest"] = image.digest
        f.create_dataset("head", data=np.frombuffer(json.dumps(head, sort_keys=True).encode(), np.uint8))
        sizes = [c.memory.size + c.dram.size for c in image.cores]
        f.create_dataset("core_dram", data=np.array([c.dram.size for c in image.cores], "<i8"))
        f.create_dataset("core_start", data=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype("<i8"))
        if memories:
            memory = np.concatenate([np.zeros(0, np.uint8), *(m for c in image.cores for m in (c.memory, c.dram))])
            f.create_dataset("memory", data=memory, compression="gzip", compression_opts=1, shuffle=False)
        else:
            sha = np.frombuffer(b"".join(c.sha for c in image.cores), np.uint8).reshape(-1, 32)
            f.create_dataset("core_sha", data=sha)
            shards = np.frombuffer(b"".join(shard_digests(image.cores)), np.uint8).reshape(-1, 32)
            f.create_dataset("shard_sha", data=shards)
        for (x, y), t in image.tables.items():
            for name in ("key", "mask", "route"):
                f.create_dataset(f"tables/{x},{y}/{name}", data=getattr(t, name))
            f[f"tables/{x},{y}"].attrs["minimised"] = t.minimised
        for i, p in enumerate(image.populations):
            f.create_dataset(f"scale/{i}", data=p.scale)


def read(path: str | os.PathLike[str], verify: bool = True) -> MachineImage:
    """Read an image; see `MachineImage.load`."""
    import h5py

    path = path_of(path, "MachineImage.load")
    if path.is_dir() and not (path / INDEX).is_file():
        raise ImageError(f"{path}: is a folder without {INDEX!r}, so no image folder; needed a machine image (HDF5)")
    folder = path if path.is_dir() else None
    path = path if folder is None else folder / INDEX
    fault = not_hdf5(path, "a machine image (HDF5)")
    if fault is not None:
        raise ImageError(f"{path}: {fault}")
    try:
        f = h5py.File(path, "r")
    except Exception:  # h5py raises many kinds on damaged files; all mean the same here
        said = "is damaged, or of another format; needed a machine image (HDF5)"
        raise ImageError(f"{path}: is not a readable HDF5 file: it {said}") from None
    with f:
        stored = _stored(f, path)
        image = _read(f, path, folder, verify)
        shards = f["shard_sha"][()] if folder is not None and "shard_sha" in f else np.zeros((0, 32), np.uint8)
    with _part(path, "head"):
        found = image.digest
    if found != stored:
        for k, (is_, said_) in enumerate(zip(shard_digests(image.cores), shards, strict=False)):
            if folder is not None and is_ != said_.tobytes():
                raise ImageError(f"{folder / shard_name(k)}: altered since it was written. Copy the folder again, or "
                                 "compile the image anew.")
        alike = next((i for i, (a, b) in enumerate(zip(found, stored, strict=False)) if a != b), len(stored))
        n = max(12, alike + 1)  # as many characters as show the difference
        said = f"its content has digest {found[:n]}, the file says {stored[:n] or 'nothing'}"
        raise ImageError(f"{path}: altered, {said}")
    return image


@contextmanager
def _part(path: str | os.PathLike[str], name: str) -> Iterator[None]:
    """Any failure within it means that this part of the file is damaged."""
    try:
        yield
    except ImageError:
        raise
    except Exception:  # h5py, JSON and our own types raise many kinds on damaged files
        raise ImageError(f"{path}: is damaged: its {name!r} cannot be read. Compile the image anew.") from None


def _stored(f: Any, path: str | os.PathLike[str]) -> str:
    """The digest that the file says it has; a file that is no image of this release is refused."""
    with _part(path, "schema"):
        if "schema" not in f.attrs:
            if "node" in f and "version" in f:
                raise ImageError(f"{path}: is a NIR network: use s2nir.load")
            if "head" not in f:
                raise ImageError(f"{path}: is an HDF5 file, but no machine image: it has no schema")
        found = int(f.attrs["schema"])
    if found != SCHEMA:
        raise ImageError(f"{path}: found image schema {found}, this release reads {SCHEMA}. Compile it anew.")
    with _part(path, "digest"):
        return str(f.attrs["digest"])


def _read(f: Any, path: str | os.PathLike[str], folder: Path | None, verify: bool) -> MachineImage:
    with _part(path, "contents"):
        declared = _declared(f)
    with _part(path, "head"):
        if f["head"].nbytes > MAX_BYTES:
            raise ImageError(f"{path}: declares a head of {f['head'].nbytes} bytes, at most {MAX_BYTES} are read")
        head = json.loads(f["head"][()].tobytes())
        machine = SpiNNaker2.from_dict(head["machine"])
        most = MAX_BYTES + machine.cores * SRAM_DATA + (machine.topology.chips * DRAM if machine.rows == "dram" else 0)
    if declared > most:
        raise ImageError(f"{path}: declares {declared} bytes, an image of its machine is at most {most}")
    with _part(path, "head"):
        cores_of = [(int(x), int(y), int(pe), str(app), int(window)) for x, y, pe, app, window in head["cores"]]
    with _part(path, "core_start"):
        start = f["core_start"][()]
        steps = np.diff(start)
        dram = f["core_dram"][()]
        fits = len(start) == len(cores_of) + 1 and start[0] == 0 and bool((steps >= 0).all())
        fits = fits and dram.shape == steps.shape and bool((dram >= 0).all() and (dram <= steps).all())
    if fits and folder is None:
        with _part(path, "memory"):
            memory = f["memory"][()]
            fits = bool(start[-1] == memory.size)
    if not fits:
        raise ImageError(f"{path}: is damaged: its cores and its memory do not agree in size")
    held, sha = np.split(memory, start[1:-1]) if folder is None and len(cores_of) else [], [b""] * len(cores_of)
    if folder is not None:
        held, sha = memories(folder, steps), _said(f, path, len(cores_of), verify)
    with _part(path, "memory"):
        cores = tuple(
            CoreImage(chip=(x, y), pe=pe, application=app, window=window, memory=m[: m.size - d]).held_by(
                m[: m.size - d], m[m.size - d :], known)
            for (x, y, pe, app, window), m, d, known in zip(cores_of, held, dram.tolist(), sha, strict=True)
        )
    with _part(path, "tables"):
        tables = _tables(f)
    with _part(path, "scale"):
        scales = [f[f"scale/{i}"][()] for i in range(len(head["populations"]))]
    with _part(path, "head"):
        return _image(head, cores, tables, scales)


def _said(f: Any, path: str | os.PathLike[str], cores: int, verify: bool) -> list[bytes]:
    """What the index says of each memory's digest; nothing where they are to be computed."""
    with _part(path, "core_sha"):
        sha = f["core_sha"][()]
        if sha.shape != (cores, 32):
            raise ImageError(f"{path}: is damaged: it names {sha.shape[0]} digests of {cores} cores")
        return [b""] * cores if verify else [row.tobytes() for row in sha]


def _tables(f: Any) -> dict[tuple[int, int], Table]:
    tables = {}
    for name in sorted(f["tables"]):
        x, y = name.split(",")
        parts = {k: f[f"tables/{name}/{k}"][()] for k in ("key", "mask", "route")}
        parts["route"] = parts["route"].reshape(-1, ROUTE_BYTES)
        tables[int(x), int(y)] = Table(**parts, minimised=str(f[f"tables/{name}"].attrs["minimised"]))
    return tables


def _image(head: Any, cores: tuple[CoreImage, ...], tables: Any, scales: list[Any]) -> MachineImage:
    populations = tuple(
        PopulationInfo(
            name=p["name"], node=p["node"], kind=p["kind"], shape=tuple(p["shape"]), view=tuple(p["view"]),
            cores=tuple(p["cores"]), lag=p["lag"], spikes=p["spikes"], shift=p["shift"], scale=scale,
        )
        for p, scale in zip(head["populations"], scales, strict=True)
    )
    return MachineImage(
        machine=SpiNNaker2.from_dict(head["machine"]),
        arithmetic=Arithmetic(head["arithmetic"]),
        dt=head["dt"],
        tick=head["tick"],
        lag=head["lag"],
        max_count=head["max_count"],
        cores=cores,
        tables=tables,
        populations=populations,
        outputs=head["outputs"],
        contract=tuple(head["contract"]),
        provenance=head["provenance"],
        copies=int(head.get("copies", 1)),
        versions=head["versions"],
        notes=tuple(head["notes"]),
    )


def _declared(item: Any) -> int:
    """Bytes that a dataset, or all below a group, declares; links that lead elsewhere are refused."""
    if hasattr(item, "nbytes"):
        return int(item.nbytes)
    for name in item:
        if type(item.get(name, getlink=True)).__name__ != "HardLink":
            raise ImageError(f"{item.file.filename}: {item.name}/{name} leads elsewhere, as no image has it")
    return sum(_declared(item[name]) for name in item)
