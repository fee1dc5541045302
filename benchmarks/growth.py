"""Throughput as a network grows: synaptic events per second from a million synapses to a billion, against C.

    python benchmarks/growth.py --neurons 1600 10000 100000 1000000 --json benchmarks/results/growth.json

A sheet of neurons, each joined to the 32 x 32 around it by weights of its own, driven by a Poisson process each
(about 4 % send in a tick), on as many chips as it needs, rows in SRAM. Each size is compiled, written, loaded and
decoded in a process of its own. "run" is the whole emulator, drives and neurons with it; "rows" its delivery of the
recorded spikes alone; "C" a plain loop over the same arrays (benchmarks/kernels/rows.c, `segments`, the fastest of
gcc and clang with -O3 -march=native), whose sums are compared. Medians of --runs, one thread. The caches of the
machine are printed beside.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numba import njit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, nargs="+", default=[1_600, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(size(args.one, args)))
        return
    rows = []
    for n in args.neurons:
        command = [sys.executable, __file__, "--one", str(n), "--runs", str(args.runs)]
        command += ["--threads", *map(str, args.threads)] if args.threads else []
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-2_000:])
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
        r = rows[-1]
        print(f"{r['neurons']:>9,} neurons, {r['synapses']:>13,} synapses: run {r['run'] / 1e6:7.0f} M events/s, rows "
              f"{r['rows'] / 1e6:7.0f}, C {r['c'] / 1e6:7.0f} ({r['rows'] / r['c']:.0%} of it, run "
              f"{r['run'] / rows[0]['run']:.0%} of the first size); {r['rate']:.2%} send; peak {r['peak_gib']:.2f} GiB"
              + "".join(f"; {t} threads {v['ratio']:.2f}x" for t, v in r["threads"].items()), flush=True)
    if args.json:
        args.json.write_text(json.dumps({
            "machine": f"{platform.machine()}, {os.cpu_count()} cores", "caches": caches(), "rows": rows,
        }, indent=1) + "\n")


def caches() -> dict[str, str]:
    found = {}
    for path in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, held = ((path / f).read_text().strip() for f in ("level", "type", "size"))
        found[f"L{level} {kind}"] = held
    return found


@njit
def real(start, weight, length, weights, each) -> None:
    """Add the weights that are not 0 in the runs of every source: holes are no synapses."""
    for s in range(each.size):
        for j in range(start[s], start[s + 1]):
            row = weights[weight[j] : weight[j] + length[j]]
            n = 0
            for k in range(row.size):
                n += row[k] != 0
            each[s] += n


def size(n: int, args) -> dict:
    from kernels import Build, called

    import s2nir
    from s2nir import rules
    from s2nir.emulate import deliver_kernels, program
    from s2nir.emulate.bounds import accumulator
    from s2nir.emulate.packed import pack
    from s2nir.values import aligned

    side = round(n**0.5)
    drive = s2nir.Poisson(rate=100.0, weight=0.6)
    sheet = s2nir.Neurons(shape=(side, side), tau=0.02, r=20.5, threshold=1.0, drive=drive)
    reach = min(32, side)
    way = s2nir.Connect(source="sheet", target="sheet", rule=rules.Window(size=(reach, reach)),
                        weight=rules.Uniform(low=-0.015, high=0.015))
    graph = s2nir.build({"sheet": sheet}, [way], dt=1e-3)
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        machine = s2nir.SpiNNaker2(chips=1) if n <= 2_000 else s2nir.SpiNNaker2(boards=1 if n <= 200_000 else 24)
        s2nir.compile(s2nir.quantize(graph), machine, into=Path(name) / "m.s2", minimise="fewest")
        compiled = time.perf_counter() - began
        began = time.perf_counter()
        image = s2nir.MachineImage.load(Path(name) / "m.s2", verify=False)
        ready = program(image).placed
        decoded = time.perf_counter() - began
        ticks = max(20, int(1e8 / (n * reach * reach * 0.02)))
        stream = image.stream()
        stream.feed(20)
        took, events = [], None
        for _ in range(args.runs):
            began = time.perf_counter()
            events = stream.feed(ticks).events
            took.append(time.perf_counter() - began)
        y, packed = ready.synapses, pack(ready.synapses)
        slot = aligned(ready.slots * ready.stride, accumulator(ready, [packed], 1))
        each = np.diff(y.one)
        real(y.start, y.weight, y.length, y.weights, each)
        _, source, count = events
        source = ready.place[source[: int(2e8 / reach / reach)]].astype(np.int32)
        base = np.zeros(ready.slots, np.int64)
        work = int(each[source].sum())

        held = deliver_kernels.room()

        def rows():
            deliver_kernels.deliver(packed, held, slot, base, source, count, 0, source.size, source, count, 0, 0)

        sides, theirs = {"rows": rows}, aligned(ready.size, np.int32)
        with tempfile.TemporaryDirectory() as built:
            for compiler, library in Build(Path(built))("rows"):
                sides[compiler] = called(
                    library.segments, theirs, y.start, y.target, y.weight, y.length, y.weights, y.one, y.one_target,
                    y.one_weight, source, source.size)
                theirs[:], slot[:] = 0, 0
                sides[compiler]()
                rows()
                if not np.array_equal(slot[: ready.size], theirs.astype(slot.dtype)):
                    raise SystemExit("the sums differ")
            times: dict = {name_: [] for name_ in sides}
            for _ in range(args.runs):
                for name_, call in sides.items():
                    began = time.perf_counter()
                    call()
                    times[name_].append(time.perf_counter() - began)
        rate = {name_: work / statistics.median(t) for name_, t in times.items()}
        base_time, threads = statistics.median(took), {}
        for many in args.threads:
            team = image.stream(threads=many)
            team.feed(20)
            theirs_took = []
            for _ in range(args.runs):
                began = time.perf_counter()
                found = team.feed(ticks).events
                theirs_took.append(time.perf_counter() - began)
            if not all(np.array_equal(a, b) for a, b in zip(found, events, strict=True)):
                raise SystemExit(f"{many} threads: other bits")
            seconds = statistics.median(theirs_took)
            threads[many] = {"seconds": seconds, "ratio": base_time / seconds}
    spikes = int(count.sum())
    return {
        "neurons": side * side, "synapses": int(each.sum()), "ticks": ticks, "rate": spikes / ticks / side / side,
        "run": int(each[ready.place[events[1]]].sum()) / base_time, "rows": rate.pop("rows"), "c": max(rate.values()),
        "compilers": rate, "compile_s": compiled, "decode_s": decoded, "threads": threads,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


if __name__ == "__main__":
    main()
