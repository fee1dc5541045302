"""A BoardNetwork as a script, and its arrays as an .npz beside it; both are there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import write_whole
from ..machine import USABLE_PES
from .network import BoardNetwork, BoardPopulation, BoardProjection

TEMPLATE = Path(__file__).parent / "templates" / "run_on_board.py.txt"


def write(network: BoardNetwork, target: Path) -> None:
    """Write the script, and its data ahead of it: where either cannot be written, neither is left.

    Raises
    ------
    InputError
        where there is no folder, or no file may stand there.
    """
    beside = target.with_suffix(".npz")
    text, data = script(network, target.name, beside.name)

    def both(f: Any) -> None:
        f.write(text.encode())
        write_whole(beside, lambda g: g.write(data))

    before = beside.exists()
    try:
        write_whole(target, both)
    except BaseException:
        if not before:  # data that were there are now those of another script, which the old one says
            beside.unlink(missing_ok=True)
        raise


def script(network: BoardNetwork, name: str, beside: str) -> tuple[str, bytes]:
    """Text of the script of a name, and content of the .npz that it reads, named `beside`."""
    arrays: dict[str, NDArray[Any]] = {}
    populations: list[str] = []
    projections: list[str] = []
    for k, p in enumerate(network.populations):
        populations += _population(p, f"population{k}", arrays)
    for k, q in enumerate(network.projections):
        projections += _projection(q, f"projection{k}", arrays)
    compared = []
    for k, (what, held) in enumerate([*network.spikes.items(), *network.voltages.items()]):
        arrays[f"expected{k}"] = held
        compared.append(f"({what!r}, {'spikes' if what in network.spikes else 'voltages'}, \"expected{k}\"),")
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # names are ours, none is allow_pickle
    data = file.getvalue()
    caps = [f"{p.name}: {p.cap} neurons per core, slices of the image {p.largest}" for p in network.populations
            if p.cap < p.largest]
    parts = {
        "IMAGE": network.image, "SUMMARY": str(network).splitlines()[0], "DATA": repr(beside),
        "SHA256": repr(hashlib.sha256(data).hexdigest()), "TICKS": str(network.ticks), "TICK": repr(network.tick),
        "CORES": str(network.cores), "CHIP": str(USABLE_PES), "POPULATIONS": _indented(populations, 4),
        "PROJECTIONS": _indented(projections, 4), "COMPARED": _indented(compared, 8),
        "SCRIPT": name.encode("unicode_escape").decode().replace('"', "'"), "NAME": repr(f"image {network.image[:12]}"),
        "CAPS": "".join(f"# {line.encode('unicode_escape').decode()}\n" for line in caps),
    }
    return re.sub("@([A-Z0-9]+)@", lambda m: parts[m[1]], TEMPLATE.read_text()), data


def _indented(lines: list[str], by: int) -> str:
    return "\n".join(" " * by + line for line in lines)


def _wrapped(items: list[str]) -> str:
    """A dict of such items, in lines of a width to read."""
    whole = ", ".join(items)
    if len(whole) < 90:
        return "{" + whole + "}"
    lines = textwrap.wrap(", ".join(i.replace(" ", "\0") for i in items) + ",", 100, break_long_words=False,
                          break_on_hyphens=False)
    return "\n".join(["{", *("        " + line.replace("\0", " ") for line in lines), "    }"])


def _population(p: BoardPopulation, key: str, arrays: dict[str, NDArray[Any]]) -> list[str]:
    if p.model == "spike_list":
        arrays[f"{key}_sent"] = p.sent
        params = f'spike_list(data["{key}_sent"])'
    else:
        values = []
        for name, value in p.params.items():
            if isinstance(value, np.ndarray):
                arrays[f"{key}_{name}"] = value
                value = f'data["{key}_{name}"].astype(float)'
            else:
                value = repr(value)
            values.append(f'"{name}": {value}')
        params = _wrapped(values)
    record = f", record={list(p.record)!r}" if p.record else ""
    return [
        f"p[{p.name!r}] = snn.Population(",
        f"    size={p.size}, neuron_model={p.model!r}, name={p.name!r}{record},",
        *f"    params={params},".splitlines(),
        ")",
        f"p[{p.name!r}].set_max_atoms_per_core({p.cap})",
    ]


def _projection(q: BoardProjection, key: str, arrays: dict[str, NDArray[Any]]) -> list[str]:
    arrays[key] = q.kernel if q.is_conv else q.connections
    if q.is_conv:
        return [
            "net.add(snn.Conv2DProjection(",
            f"    p[{q.pre!r}], p[{q.post!r}], data[\"{key}\"],",
            *f"    {_wrapped([f'{k!r}: {v}' for k, v in q.geometry.items()])},".splitlines(),
            "))",
        ]
    return [f"net.add(snn.Projection(pre=p[{q.pre!r}], post=p[{q.post!r}], connections=data[\"{key}\"].tolist()))"]
