"""The emulator's loops against C: rows of a dense, a convolutional and a sparse projection, and compaction of spikes.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --json benchmarks/results/kernels.json

C variants are in benchmarks/kernels: one, four and eight rows per pass, 32 and 16-bit accumulators, kernels as they
are and turned round, sizes known at run time and when compiled; each is built with gcc and clang (those that are
there), -O3 -march=native. Both sides get the same weights and the same spikes, and their sums are compared. Printed
are nanoseconds per synaptic event (medians of --runs, s2nir and each variant in turn), for the fastest C of each
kind, and the share of it that s2nir reaches. "bound" reads the same bytes and adds them up, as STREAM's sum does.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numba import njit

import s2nir
from s2nir.emulate import deliver_kernels, kernels, program, step_kernels
from s2nir.emulate.bounds import INT16_MAX, accumulator
from s2nir.emulate.packed import pack
from s2nir.emulate.segments import Synapses
from s2nir.emulate.vectors import FLAGS
from s2nir.values import aligned

HERE = Path(__file__).parent / "kernels"
COMPILERS = ("gcc", "clang")
DENSE = ((512, 256), (2_000, 2_000), (10_000, 10_000))
SPARSE = ((2_000, 2_000, 100), (10_000, 10_000, 100))
CONV = ((2, 32, 32, 16, 3), (16, 32, 32, 32, 3), (32, 16, 16, 64, 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--events", type=float, default=4e7, help="synaptic events of a run")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        build = Build(Path(name))
        rows = [dense(build, *size, args) for size in DENSE]
        rows += [conv(build, *size, args) for size in CONV]
        rows += [sparse(build, *size, args) for size in SPARSE]
        rows += [compaction(build, n, share, args) for n in (4_096, 99_968) for share in (0.002, 0.02, 0.1)]
    show(rows)
    if args.json:
        args.json.write_text(json.dumps({
            "machine": f"{platform.machine()}, {os.cpu_count()} cores", "compilers": build.versions, "rows": rows,
        }, indent=1) + "\n")


class Build:
    """C functions, built once for each compiler and each set of definitions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compilers = [c for c in COMPILERS if shutil.which(c)]
        self.versions = {
            c: subprocess.run([c, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
            for c in self.compilers
        }

    def __call__(self, source: str, *definitions: str):
        """(compiler, library) of each compiler."""
        for compiler in self.compilers:
            target = self.folder / f"{source}-{compiler}-{'-'.join(definitions)}.so".replace("=", "")
            if not target.exists():
                subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", *(f"-D{d}" for d in definitions),
                                "-o", str(target), str(HERE / f"{source}.c")], check=True)
            yield compiler, ctypes.CDLL(str(target))


def pointer(array: np.ndarray):
    return array.ctypes.data_as(ctypes.c_void_p)


def measured(sides: dict, events: float, args) -> dict:
    """Median nanoseconds per event by side: each in turn with s2nir, and of s2nir over all of these turns. Under
    "share" is the median, by side, of what it took as a share of what s2nir took in the same turn."""
    took: dict = {side: [] for side in sides}
    for other in [side for side in sides if side != "s2nir"]:
        for turn in range(args.runs + 1):
            for side in ("s2nir", other):
                began = time.perf_counter()
                sides[side]()
                if turn:  # the first warms up
                    took[side].append(time.perf_counter() - began)
    found: dict = {side: statistics.median(t) / events * 1e9 for side, t in took.items()}
    turns = {side: took["s2nir"][k * args.runs :] for k, side in enumerate(s for s in sides if s != "s2nir")}
    found["share"] = {side: statistics.median(a / b for a, b in zip(took[side], ours, strict=False))
                      for side, ours in turns.items()}
    return found


def row(what: str, ns: dict, kinds: dict) -> dict:
    """ours against the fastest of each kind; kinds : kind -> names of variants"""
    share = ns.pop("share", None) or {n: t / ns["s2nir"] for n, t in ns.items()}
    found = {"what": what, "s2nir": ns["s2nir"], "variants": ns, "shares": share}
    for kind, names in kinds.items():
        best = min(names, key=lambda n: share[n])
        found[kind] = {"fastest": best, "ns": ns[best], "share": share[best]}
    return found


def deliver(synapses: Synapses, slot: np.ndarray, source: np.ndarray):
    y = pack(synapses)
    base, count, held = np.zeros(1, np.int64), np.zeros(0, np.int32), deliver_kernels.room()
    return lambda: deliver_kernels.deliver(y, held, slot, base, source, count, 0, source.size, source, count, 0, 0)


def alike(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
    """Sums may pass the narrower of both: they are compared by its bits."""
    kind = min(ours.dtype, theirs.dtype, key=lambda k: k.itemsize)
    if not np.array_equal(ours.astype(kind), theirs.astype(kind)):
        raise SystemExit(f"{what}: the sums differ")


def dense(build: Build, n: int, targets: int, args) -> dict:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (n, targets), np.int8)
    source = rng.integers(0, n, int(args.events / targets)).astype(np.int32)
    y = Synapses(
        start=np.arange(n + 1), target=np.zeros(n, np.int32), weight=np.arange(n) * targets,
        length=np.full(n, targets, np.int32), delay=np.zeros(n, np.uint8), weights=weights.ravel(),
        one=np.zeros(n + 1, np.int64), one_target=np.zeros(0, np.int32), one_weight=np.zeros(0, np.int8),
        one_delay=np.zeros(0, np.uint8), fours=targets >= deliver_kernels.LONG,
    )
    most = max(np.maximum(weights.astype(np.int64), 0).sum(axis=0).max(), -np.minimum(weights, 0).sum(axis=0).min())
    slot = aligned(targets, np.int16 if most <= INT16_MAX else np.int32)
    sides = {"s2nir": deliver(y, slot, source)}
    kinds: dict = {"run time": [], "compiled": []}
    sides["s2nir"]()
    for known in (False, True):
        for compiler, library in build("rows", *([f"N={targets}L"] if known else [])):
            for name in ("dense_1", "dense_4", "dense_8", "dense_16bit"):
                theirs = aligned(targets, np.int32)
                call = called(getattr(library, name), theirs, weights, source, source.size, targets)
                call()
                alike(slot, theirs, name)
                side = f"{compiler} {name}{' compiled' if known else ''}"
                sides[side] = call
                kinds["compiled" if known else "run time"].append(side)
            if not known:
                sides[f"{compiler} bound"] = called(library.bound, weights, source, source.size, targets)
                kinds.setdefault("bound", []).append(f"{compiler} bound")
    ns = measured(sides, source.size * targets, args)
    return row(f"dense {n:,} x {targets:,}", ns, kinds)


def called(function, *values):
    """A C function with its arguments bound; whole numbers are long."""
    held = [pointer(v) if isinstance(v, np.ndarray) else ctypes.c_long(v) for v in values]
    keep = [v for v in values if isinstance(v, np.ndarray)]  # as long as the call
    return lambda: (function(*held), keep)


def conv(build: Build, c_in: int, h: int, w: int, c_out: int, k: int, args) -> dict:
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (c_out, c_in, k, k))
    weight[0, 0, 0, 0] = 127  # so that the scale is 1
    way = s2nir.Connect(source="in", target="out", weight=weight.astype(np.float64), padding=(k // 2, k // 2))
    graph = s2nir.build({"in": (c_in, h, w), "out": s2nir.Neurons(shape=(c_out, h, w), threshold=1e6)}, [way])
    image = s2nir.compile(s2nir.quantize(graph, s2nir.PTQ(per="population")), s2nir.SpiNNaker2(boards=1), max_count=1)
    ready = program(image).placed
    at = {name: ready.place[number] for name, number in ready.index.items()}
    per = c_out * k * k
    place = rng.integers(0, c_in * h * w, int(args.events / per))
    source = at["in"][place].astype(np.int32)
    c, y, x = (a.astype(np.int32) for a in np.unravel_index(place, (c_in, h, w)))
    slot = aligned(ready.size, accumulator(ready, [pack(ready.synapses)], 1))
    sides = {"s2nir": deliver(ready.synapses, slot, source)}
    sides["s2nir"]()
    ours = slot[at["out"]].reshape(c_out, h, w).transpose(1, 2, 0)
    plain = np.ascontiguousarray(weight.transpose(1, 2, 3, 0).astype(np.int8))
    turned = np.ascontiguousarray(plain[:, :, ::-1])
    kinds: dict = {"run time": [], "compiled": []}
    sizes = [f"KH={k}L", f"KW={k}L", f"C_OUT={c_out}L", f"OUT_H={h}L", f"OUT_W={w}L"]
    for known in (False, True):
        for compiler, library in build("conv", *(["SIZES", *sizes] if known else [])):
            for name, kernel in (("conv_32", plain), ("conv_16", plain), ("turned_32", turned), ("turned_16", turned)):
                theirs = aligned(h * w * c_out, np.int32 if name.endswith("32") else np.int16).reshape(h, w, c_out)
                call = called(getattr(library, name), theirs, kernel, c, y, x, c.size, k // 2, k, k, c_out, h, w)
                call()
                alike(ours, theirs, name)
                side = f"{compiler} {name}{' compiled' if known else ''}"
                sides[side] = call
                kinds["compiled" if known else "run time"].append(side)
    return row(f"conv {c_in}x{h}x{w} -> {c_out}, {k}x{k}", measured(sides, place.size * per, args), kinds)


def sparse(build: Build, n: int, targets: int, each: int, args) -> dict:
    """Rows of `each` targets, drawn evenly, as an image with dram rows is decoded."""
    from scipy.sparse import csr_array

    rng = np.random.default_rng(0)
    target = np.concatenate([np.sort(rng.choice(targets, each, replace=False)) for _ in range(n)])
    weight = rng.integers(1, 128, target.size)
    weight[0] = 127
    first = np.arange(n + 1) * each
    matrix = csr_array((weight.astype(np.float64), target, first), shape=(n, targets)).T.tocsc()
    way = s2nir.Connect(source="in", target="out", weight=matrix)
    graph = s2nir.build({"in": n, "out": s2nir.Neurons(shape=targets, threshold=1e6)}, [way])
    network = s2nir.quantize(graph, s2nir.PTQ(per="population"))
    image = s2nir.compile(network, s2nir.SpiNNaker2(rows="dram"), max_count=1)
    ready = program(image).placed
    at = {name: ready.place[number] for name, number in ready.index.items()}
    place = rng.integers(0, n, int(args.events / each))
    source = at["in"][place].astype(np.int32)
    slot = aligned(ready.size, accumulator(ready, [pack(ready.synapses)], 1))
    sides = {"s2nir": deliver(ready.synapses, slot, source)}
    sides["s2nir"]()
    kinds: dict = {"run time": []}
    spikes, small = place.astype(np.int32), weight.astype(np.int8)
    for compiler, library in build("rows"):
        for name, kind in (("sparse_1", np.uint16), ("sparse_32", np.int32)):
            theirs = aligned(targets, np.int32)
            call = called(getattr(library, name), theirs, first, target.astype(kind), small, spikes, spikes.size)
            call()
            alike(slot[at["out"]], theirs, name)
            sides[f"{compiler} {name}"] = call
            kinds["run time"].append(f"{compiler} {name}")
    return row(f"sparse {n:,} x {targets:,}, {each} each", measured(sides, place.size * each, args), kinds)


@njit
def compact(plan, none, flags, fired, out, turns: int, really: bool) -> None:
    for _ in range(turns):
        for s in range(flags.shape[0]):
            fired[: flags.shape[1]] = flags[s]
            if really:
                kernels.collect(plan, fired, none, out, 0, 1)


def compaction(build: Build, n: int, share: float, args) -> dict:
    """Nanoseconds per neuron; flags are set again by a copy on both sides, which is taken off."""
    rng, sets = np.random.default_rng(0), 16
    flags = (rng.random((sets, n)) < share).astype(np.uint8)
    turns = max(1, int(args.events / n / sets))
    fired, out = np.zeros(n + FLAGS, np.uint8), np.zeros(n + kernels.AT_ONCE, np.int32)
    plan, none = np.zeros((1, step_kernels.COLUMNS), np.int64), np.zeros(0, np.uint64)
    plan[0, [step_kernels.KIND, step_kernels.END]] = step_kernels.FAST, n  # neurons with a byte each
    want = np.flatnonzero(flags[-1]).astype(np.int32)
    sides = {"s2nir": lambda: compact(plan, none, flags, fired, out, turns, True),
             "s2nir copy": lambda: compact(plan, none, flags, fired, out, turns, False)}
    kinds: dict = {"run time": []}
    for compiler, library in build("rows"):
        for how, name in enumerate(("copy", "compact_branch", "compact_plain", "compact_words")):
            call = called(library.compact, how, flags, fired, out, n, sets, turns)
            if how:
                call()
                alike(want, out[: want.size], name)
                kinds["run time"].append(f"{compiler} {name}")
            sides[f"{compiler} {name}"] = call
    sides["s2nir"]()
    alike(want, out[: want.size], "collect")
    ns = measured(sides, n * sets * turns, args)
    del ns["share"]  # which a copy is not taken off
    alone = {side: t - ns[f"{side.split()[0]} copy"] for side, t in ns.items() if not side.endswith("copy")}
    return row(f"compaction {n:,} neurons, {share:.1%}", alone, kinds)


def show(rows: list) -> None:
    print(f"{'':36} {'s2nir':>7} {'C, run time':>28} {'share':>6} {'C, compiled':>32} {'share':>6} {'bound':>7}")
    for r in rows:
        line = f"{r['what']:36} {r['s2nir']:7.3f}"
        for kind in ("run time", "compiled"):
            if kind in r:
                best, name = r[kind], r[kind]["fastest"].removesuffix(" compiled")
                line += f" {name:>20} {best['ns']:7.3f} {best['share']:6.0%}"
                line += "    " * (kind == "run time")
        if "bound" in r:
            line += f" {r['bound']['ns']:7.3f}"
        print(line)


if __name__ == "__main__":
    main()
