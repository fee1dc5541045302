"""The MachineImage: all that a machine loads, in one HDF5 file, with provenance and a digest."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import path_of
from ..errors import ImageError, NameMissingError
from ..files import write_whole
from ..fixedpoint import Arithmetic
from ..machine import Chip, SpiNNaker2
from ..values import FrozenMap, Noun, digest, freeze
from .tables import Table

ENDINGS = (".h5", ".hdf5")  # of an image that is one file
SHARD = 1024  # cores whose memories make one node of the digest, and one file of a folder


def named(name: str, copy: int) -> str:
    """The name of a population in a copy.

    >>> named("hidden", 0), named("hidden", 2)
    ('hidden', 'hidden@2')
    """
    return f"{name}@{copy}" if copy else name


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CoreImage:
    """One core: where it is, its program, its data memory (see layout.py), and its rows in DRAM (see blocks.py)."""

    chip: Chip
    pe: int
    application: str
    memory: NDArray[np.uint8]
    window: int
    dram: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    _sha: bytes = field(default=b"", init=False, repr=False, metadata={"digest": False})

    def __post_init__(self) -> None:
        for name in ("memory", "dram"):
            held = getattr(self, name)
            if not isinstance(held, np.memmap) or held.flags.writeable:
                object.__setattr__(self, name, freeze(held, np.uint8))

    @property
    def sha(self) -> bytes:
        """SHA-256 of the memory, and of the DRAM behind it: the descriptor says where the memory ends."""
        if not self._sha:
            h = hashlib.sha256(self.memory.data)
            h.update(self.dram.data)
            object.__setattr__(self, "_sha", h.digest())
        return self._sha

    def held_by(self, memory: NDArray[np.uint8], dram: NDArray[np.uint8], sha: bytes) -> CoreImage:
        """The same core, its memories in a file, with a digest that is known; b"" for one that is not."""
        held = replace(self, memory=memory, dram=dram)
        object.__setattr__(held, "_sha", sha)
        return held

    @property
    def used(self) -> int:
        """Bytes in use, with state, ring and records."""
        return int(self.memory[56:60].view("<u4")[0])


def let_go(core: CoreImage) -> None:
    """Give back the pages of memory that the shard of a core takes; they are read again when they are asked for.

    Nothing where its memory is not mapped from a file, or the system has no such call.
    """
    held: Any = core.memory
    while held is not None and not isinstance(held, mmap.mmap):
        held = getattr(held, "base", None)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def shard_digests(cores: Sequence[CoreImage]) -> list[bytes]:
    """SHA-256 over those of the memories of `SHARD` cores each."""
    return [
        hashlib.sha256(b"".join(c.sha for c in cores[lo : lo + SHARD])).digest() for lo in range(0, len(cores), SHARD)
    ]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PopulationInfo:
    """What a host needs to know of a population: how to read its spikes back.

    kind : "input", "neurons" or "relay"
    view : (channels, height, width) of its boxes; cores : places in `MachineImage.cores`, in order
    lag : ticks behind the inputs; scale : integer membrane units per unit of the Graph, shape () or `shape`
    """

    name: str
    node: str
    kind: str
    shape: tuple[int, ...]
    view: tuple[int, int, int]
    cores: tuple[int, ...]
    lag: int
    spikes: bool
    scale: NDArray[np.float64]
    shift: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", freeze(self.scale, np.float64))

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MachineImage(Noun):
    """All that a machine loads.

    cores, tables : what is loaded; populations, outputs : the host's directory
    lag : the largest lag of the network, ticks; steps + lag ticks are run
    max_count : packets of one input source in a tick, for which headroom is proven
    copies : of the network, independent of each other; `populations` are those of copy 0, and `cores` are those of copy
        0, then of copy 1 and so on, each in the same order
    contract : the time-and-reset contract, a line each; provenance : digests and scheme it came from
    versions : of the libraries that made it; not part of the digest
    """

    machine: SpiNNaker2
    arithmetic: Arithmetic
    dt: float | None
    tick: float
    lag: int
    max_count: int
    cores: tuple[CoreImage, ...]
    tables: Mapping[Chip, Table]
    populations: tuple[PopulationInfo, ...]
    outputs: Mapping[str, str]
    contract: tuple[str, ...]
    provenance: Mapping[str, str]
    copies: int = 1
    versions: Mapping[str, str] = field(default_factory=dict, metadata={"digest": False})
    notes: tuple[str, ...] = field(default=(), metadata={"digest": False})

    def __post_init__(self) -> None:
        for name in ("tables", "outputs", "provenance", "versions"):
            object.__setattr__(self, name, FrozenMap(dict(getattr(self, name))))

    def __getitem__(self, name: str) -> PopulationInfo:
        for p in self.directory:
            if p.name == name:
                return p
        raise NameMissingError(f"no population {name!r}; there are {', '.join(p.name for p in self.populations)}")

    @cached_property  # hashed once: an image is large, and its Program is kept by it
    def digest(self) -> str:
        """SHA-256 over all that is loaded and the directory.

        A tree: of each memory, of those of `SHARD` cores each, and of these with all the rest.
        """
        heads = [(c.chip, c.pe, c.application, c.window) for c in self.cores]
        rest = {
            f.name: getattr(self, f.name) for f in fields(self)
            if f.name != "cores" and f.metadata.get("digest", True)
        }
        return digest((heads, shard_digests(self.cores), rest))

    @cached_property
    def directory(self) -> tuple[PopulationInfo, ...]:
        """The populations of all copies, copy by copy; those of copy k >= 1 are called NAME@k."""
        each = self.cores_per_copy
        return self.populations + tuple(
            replace(p, name=named(p.name, k), cores=tuple(k * each + i for i in p.cores))
            for k in range(1, self.copies) for p in self.populations
        )

    @property
    def cores_per_copy(self) -> int:
        return len(self.cores) // self.copies

    @property
    def inputs(self) -> tuple[PopulationInfo, ...]:
        return tuple(p for p in self.populations if p.kind == "input")

    @property
    def neuron_cores(self) -> int:
        """Cores that hold neurons or relays; input cores are counted apart."""
        return self.copies * sum(len(p.cores) for p in self.populations if p.kind != "input")

    def stream(self, record: Any = ("spikes",), noise: int = 0, threads: int = 1) -> Any:
        """The image at work, tick by tick in constant memory: a Stream with `step`, `feed`, `drain`, `save`, `resume`.

        record, noise : as for `s2nir.run`; threads : that run the network together

        >>> import s2nir
        >>> way = s2nir.Connect(source="in", target="a", rule=s2nir.rules.OneToOne(), weight=1.0)
        >>> graph = s2nir.build({"in": 2, "a": s2nir.Neurons(shape=2, tau=0.01, r=20.0)}, [way], dt=1e-3)
        >>> stream = s2nir.compile(s2nir.quantize(graph)).stream()
        >>> [stream.step(counts)["a"].tolist() for counts in ([0, 1], [1, 0], [0, 0])]
        [[0, 0], [0, 1], [1, 0]]
        """
        from ..emulate import Stream

        return Stream(self, record, noise, threads)

    def export_py_spinnaker2(
        self, path: str | os.PathLike[str], spikes: Any, record: Sequence[str] | str | None = None,
        recording: int | None = None,
    ) -> Any:
        """Write a script that runs this image's network on a board by py-spinnaker2, and what it needs beside it; see
        `s2nir.export.export_py_spinnaker2`."""
        from ..export import export_py_spinnaker2

        return export_py_spinnaker2(self, path, spikes, record, recording)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one HDF5 file, .h5 or .hdf5; of a name that ends in .s2, or over an image folder, a folder of shards.

        Either is written beside its place and then renamed.

        Raises
        ------
        ImageError
            where the ending is another one.
        """
        from . import shards
        from .storage import write

        target = path_of(path, "MachineImage.save")
        if target.suffix == shards.FOLDER or (target / shards.INDEX).is_file():
            shards.save(self, target)
        elif target.suffix.lower() in ENDINGS:
            write_whole(target, lambda f: write(self, f))
        else:
            raise ImageError(f"MachineImage.save: found {str(target)!r}, allowed are names that end in "
                             f"{' or '.join(ENDINGS)}, for one file, or in {shards.FOLDER}, for a folder")

    @classmethod
    def load(cls, path: str | os.PathLike[str], verify: bool = True) -> MachineImage:
        """Read an image back, from a file or a folder; of a folder, memories are read when they are asked for.

        verify : read all of a folder once to compare its digest; False takes the word of its index for the memories

        Raises
        ------
        ImageError
            where it is truncated, altered, or of another schema.
        """
        from .storage import read

        return read(path, verify)

    def check(self) -> Iterator[str]:
        """Every breach of a legal image, as sentences."""
        from .check import check

        return check(self)

    def fit(self) -> list[dict[str, Any]]:
        """Per population of one copy: cores, neurons per core, bytes of the fullest core and its window."""
        rows = []
        for p in self.populations:
            held = [self.cores[i] for i in p.cores]
            most = max(held, key=lambda c: c.used)
            neurons = [int(c.memory[4:8].view("<u4")[0]) for c in held]
            rows.append({
                "population": p.name, "kind": p.kind, "application": held[0].application, "neurons": p.size,
                "cores": len(held), "neurons_per_core": max(neurons), "bytes": most.used, "window": most.window,
                "lag": p.lag,
            })
        return rows

    def __str__(self) -> str:
        used = sum(c.used for c in self.cores)
        copies = f", x {self.copies} copies" if self.copies > 1 else ""
        lines = [
            f"MachineImage {self.digest[:12]}: {self.neuron_cores} of {self.machine.cores} cores and "
            f"{len(self.cores) - self.neuron_cores} for input, {used} bytes, "
            f"{sum(t.entries for t in self.tables.values())} routing entries, {self.arithmetic.value}, lag {self.lag}"
            f"{copies}"
        ]
        for r in self.fit()[:64]:
            lines.append(
                f"  {r['population']}: {r['application']}, {r['neurons']} neurons on {r['cores']} cores, up to "
                f"{r['neurons_per_core']} and {r['bytes']} of {r['window']} bytes each, lag {r['lag']}"
            )
        return "\n".join(lines)
