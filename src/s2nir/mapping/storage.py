"""A MachineImage as one HDF5 file; truncated or altered files, and other schemas, are refused."""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

import numpy as np

from ..errors import ImageError
from ..fixedpoint import Arithmetic
from ..machine import ROUTE_BYTES, SpiNNaker2
from .image import CoreImage, MachineImage, PopulationInfo
from .tables import Table

SCHEMA = 1
MAX_BYTES = 1 << 30  # one chip holds 20 MB; a header alone must not make us allocate more


def write(image: MachineImage, file: BinaryIO) -> None:
    """Write an image; see `MachineImage.save`."""
    import h5py

    head = {
        "machine": {"chips": image.machine.chips},
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
        sizes = [c.memory.size for c in image.cores]
        f.create_dataset("core_start", data=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype("<i8"))
        memory = np.concatenate([np.zeros(0, np.uint8), *(c.memory for c in image.cores)])
        f.create_dataset("memory", data=memory, compression="gzip", compression_opts=1, shuffle=False)
        for (x, y), t in image.tables.items():
            for name in ("key", "mask", "route"):
                f.create_dataset(f"tables/{x},{y}/{name}", data=getattr(t, name))
        for i, p in enumerate(image.populations):
            f.create_dataset(f"scale/{i}", data=p.scale)


def read(path: str | os.PathLike[str]) -> MachineImage:
    """Read an image; see `MachineImage.load`."""
    import h5py

    try:
        with h5py.File(path, "r") as f:
            found = int(f.attrs.get("schema", -1))
            if found != SCHEMA:
                raise ImageError(f"{path}: found image schema {found}, this release reads {SCHEMA}. Compile it anew.")
            stored = str(f.attrs["digest"])
            image = _read(f)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except Exception as error:  # h5py raises many kinds on damaged files; all mean the same here
        raise ImageError(f"{path}: not a machine image, or a damaged one ({type(error).__name__}: {error})") from None
    if image.digest != stored:
        raise ImageError(f"{path}: altered, its content has digest {image.digest[:12]}, the file says {stored[:12]}")
    return image


def _read(f: Any) -> MachineImage:
    declared = _declared(f)
    if declared > MAX_BYTES:
        raise ImageError(f"{f.filename}: declares {declared} bytes, one chip's image is at most {MAX_BYTES}")
    head = json.loads(f["head"][()].tobytes())
    start, memory = f["core_start"][()], f["memory"][()]
    if len(start) != len(head["cores"]) + 1 or start[0] != 0 or start[-1] != memory.size or (np.diff(start) < 0).any():
        raise ImageError(f"{f.filename}: its cores and its memory do not agree in size")
    cores = tuple(
        CoreImage(chip=(int(x), int(y)), pe=int(pe), application=str(app), window=int(window),
                  memory=memory[start[i] : start[i + 1]])
        for i, (x, y, pe, app, window) in enumerate(head["cores"])
    )
    tables = {}
    for name in sorted(f["tables"]):
        x, y = name.split(",")
        parts = {k: f[f"tables/{name}/{k}"][()] for k in ("key", "mask", "route")}
        parts["route"] = parts["route"].reshape(-1, ROUTE_BYTES)
        tables[int(x), int(y)] = Table(**parts)
    populations = tuple(
        PopulationInfo(
            name=p["name"], node=p["node"], kind=p["kind"], shape=tuple(p["shape"]), view=tuple(p["view"]),
            cores=tuple(p["cores"]), lag=p["lag"], spikes=p["spikes"], shift=p["shift"], scale=f[f"scale/{i}"][()],
        )
        for i, p in enumerate(head["populations"])
    )
    return MachineImage(
        machine=SpiNNaker2(**head["machine"]),
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
