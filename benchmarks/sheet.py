"""A torus of neurons, each hearing every neuron of a window, mapped onto boards: time and memory against its size.

    python benchmarks/sheet.py --neurons 10000 30000 100000 300000 1000000 --json benchmarks/results/sheet.json
    python benchmarks/sheet.py --neurons 1000000 --walk          # and a packet of every key, by walkers of its own
    python benchmarks/sheet.py --neurons 1000000 --window 45 --p 0.5

The network is made by rule (s2nir.build), with one input source for each neuron; 1,000,000 neurons with a window of 32
have 1,025,000,000 synapses. Each size is compiled in a process of its own onto 24 boards (1,152 chips): partitioned,
placed, routed, minimised, checked and written as a folder of shards. Prints seconds by stage, the peak of resident
memory, cores, entries and bytes, and the exponent of a power fitted to seconds against neurons.

--walk sends a packet of every key through the tables with a walker in NumPy, of 20,000 also in plain Python, and
compares the cores they reach with those whose neurons have a source of the block in their window; 1,000,000 keys of no
block, sent from random chips, must reach none. The walkers read the image alone, and share no code with s2nir.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))  # of the six links, as CHIP numbering has them


def compiled(side: int, boards: int, window: int, p: float, target: Path) -> dict[str, object]:
    """Figures of one size; the image stands in `target` afterwards."""
    import s2nir
    from s2nir import rules

    stages: dict[str, float] = {}
    parts = sys.modules
    begin = time.perf_counter()
    s2nir.compile  # noqa: B018 - loads the modules that are timed
    for module, name in (("compile", "lay"), ("placement", "net"), ("compile", "grow"), ("compile", "minimised")):
        _timed(parts[f"s2nir.mapping.{module}"], name, stages)
    graph = s2nir.build(
        {"in": (side, side), "sheet": s2nir.Neurons(shape=(side, side), tau=0.01)},
        [s2nir.Connect(source="in", target="sheet", rule=rules.OneToOne(), weight=20.0),
         s2nir.Connect(source="sheet", target="sheet", rule=rules.Window(size=(window, window), p=p), weight=0.1)],
        dt=1e-3,
    )
    network = s2nir.quantize(graph)
    image = s2nir.compile(network, s2nir.SpiNNaker2(boards=boards), minimise="fewest", into=target)
    whole = time.perf_counter() - begin
    return {
        "neurons": side * side, "synapses": int(side * side * (window * window * p + 1)), "seconds": whole,
        "stages": {k: round(v, 2) for k, v in stages.items()},
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "cores": len(image.cores), "cores_of_machine": image.machine.cores,
        "entries": sum(t.entries for t in image.tables.values()),
        "entries_worst": max(t.entries for t in image.tables.values()),
        "image_gib": sum(f.stat().st_size for f in target.iterdir()) / 2**30, "digest": image.digest,
    }


def _timed(module, name: str, stages: dict[str, float]) -> None:
    call = getattr(module, name)

    def timed(*args, **options):
        begin = time.perf_counter()
        found = call(*args, **options)
        stages[name] = stages.get(name, 0.0) + time.perf_counter() - begin
        return found

    setattr(module, name, timed)


class Walker:
    """Packets through the tables of an image, by its integers alone."""

    def __init__(self, image, side: int) -> None:
        self.tables = {
            chip: (t.key.astype(np.int64), t.mask.astype(np.int64), [int.from_bytes(r.tobytes(), "little")
                                                                   for r in t.route])
            for chip, t in image.tables.items()
        }
        self.chips = set(image.machine.coordinates)
        self.torus = image.machine.topology.size
        boxes = [np.frombuffer(c.memory[:64].tobytes(), "<u4") for c in image.cores]
        self.where = {(c.chip, c.pe): i for i, c in enumerate(image.cores)}
        self.chip_of = [c.chip for c in image.cores]
        self.neurons = np.array([b[1] for b in boxes], np.int64)
        self.size = np.array([1 << b[3] for b in boxes], np.int64)
        self.base = np.array([b[2] for b in boxes], np.int64)
        self.box = np.array([(b[11] & 0xFFFF, b[11] >> 16, b[12], b[13]) for b in boxes], np.int64)  # y0 y1 x0 x1
        self.input = np.array([c.application == "spike_list" for c in image.cores])
        self.owner = np.full((2, side, side), -1, np.int64)  # the core of each neuron, and of each source of input
        for i in range(self.base.size):
            y0, y1, x0, x1 = self.box[i].tolist()
            self.owner[int(self.input[i]), y0:y1, x0:x1] = i

    def onward(self, chip, link):
        x, y = chip[0] + STEPS[link][0], chip[1] + STEPS[link][1]
        return (x, y) if self.torus is None else (x % self.torus[0], y % self.torus[1])

    def together(self, keys: np.ndarray, chips: list) -> tuple[np.ndarray, np.ndarray]:
        """(key, core) of everything that is reached by keys that start on chips; NumPy, hop by hop."""
        found_key, found_core = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        at: dict = {}
        for i, chip in enumerate(chips):
            at.setdefault(chip, []).append(i)
        ways = {chip: keys[np.array(which)] for chip, which in at.items()}
        for _ in range(len(self.chips)):
            after: dict = {}
            for chip, mine in ways.items():
                if chip not in self.tables:
                    continue
                key, mask, routes = self.tables[chip]
                entry = np.full(mine.size, -1)
                for lo in range(0, mine.size, 4096):
                    match = (mine[lo : lo + 4096, None] & mask) == key
                    entry[lo : lo + 4096] = np.where(match.any(axis=1), match.argmax(axis=1), -1)
                for e in np.unique(entry[entry >= 0]).tolist():
                    these = mine[entry == e]
                    for bit in range(158):
                        if not routes[e] >> bit & 1:
                            continue
                        if bit < 6:
                            after.setdefault(self.onward(chip, bit), []).append(these)
                        else:
                            found_key.append(these)
                            found_core.append(np.full(these.size, self.where[chip, bit - 6]))
            ways = {chip: np.concatenate(parts) for chip, parts in after.items()}
            if not ways:
                return np.concatenate(found_key), np.concatenate(found_core)
        raise SystemExit("a packet goes round for ever")

    def alone(self, key: int, chip) -> list[int]:
        """The cores that one key reaches, in plain Python."""
        found, ways = [], [chip]
        while ways:
            here = ways.pop()
            if here not in self.tables:
                continue
            keys, masks, routes = self.tables[here]
            for k, m, route in zip(keys.tolist(), masks.tolist(), routes, strict=True):
                if key & m == k:
                    ways += [self.onward(here, link) for link in range(6) if route >> link & 1]
                    found += [self.where[here, bit - 6] for bit in range(6, 158) if route >> bit & 1]
                    break
        return sorted(found)


def walk(folder: Path, side: int, window: int) -> dict[str, object]:
    """Every key, some keys in plain Python, and keys that are not in use."""
    import s2nir

    begin = time.perf_counter()
    w = Walker(s2nir.MachineImage.load(folder), side)
    keys = np.concatenate([w.base[i] + np.arange(w.neurons[i]) for i in range(w.base.size)])
    core = np.repeat(np.arange(w.base.size), w.neurons)
    found_key, found_core = w.together(keys, [w.chip_of[i] for i in core])
    code = np.sort(found_key * w.base.size + found_core)
    if (np.diff(code) == 0).any():
        raise SystemExit("a packet reaches a core twice")
    expected = np.sort(np.concatenate([_hearing(w, i, side, window) for i in np.flatnonzero(~w.input)]))
    if not np.array_equal(code, expected):
        raise SystemExit(f"walked: {code.size} arrivals, the sheet has {expected.size}, or others")
    print(f"{keys.size:,} keys in NumPy: {code.size:,} arrivals, all as the sheet has them, none twice", flush=True)
    rng = np.random.default_rng(0)
    some = rng.choice(keys.size, min(20_000, keys.size), replace=False)
    reached = code % w.base.size
    start = np.searchsorted(code, keys * w.base.size)
    end = np.searchsorted(code, (keys + 1) * w.base.size)
    for i in some.tolist():
        if w.alone(int(keys[i]), w.chip_of[core[i]]) != reached[start[i] : end[i]].tolist():
            raise SystemExit(f"key {int(keys[i]):#x} goes another way in plain Python")
    print(f"{some.size:,} of them in plain Python: the same cores", flush=True)
    order = np.argsort(w.base)
    drawn = np.concatenate([rng.integers(0, 1 << 32, 800_000), rng.integers(0, 2 * int(keys.max()), 3_000_000)])
    at = np.searchsorted(w.base[order], drawn, side="right") - 1  # many of them next to those in use
    unused = drawn[(at < 0) | (drawn >= (w.base + w.size)[order[np.maximum(at, 0)]])][:1_000_000]
    chips = sorted(w.chips)
    arrived, _ = w.together(unused, [chips[k] for k in rng.integers(0, len(chips), unused.size)])
    if arrived.size:
        raise SystemExit(f"{arrived.size} arrivals of keys of no block, such as {int(arrived[0]):#x}")
    print(f"{unused.size:,} keys of no block: none reaches a core", flush=True)
    return {"keys": int(keys.size), "arrivals": int(code.size), "plain": int(some.size), "unused": int(unused.size),
            "seconds": time.perf_counter() - begin}


def _hearing(w: Walker, core: int, side: int, window: int) -> np.ndarray:
    """(key x cores + core) of every key whose block, the neurons of one core, has a target in a core: by the window."""
    y0, y1, x0, x1 = w.box[core].tolist()
    low, high = (window - 1) // 2, window // 2
    ys = np.unique(np.arange(y0 - low, y1 + high) % side)
    xs = np.unique(np.arange(x0 - low, x1 + high) % side)
    near = np.concatenate([np.unique(w.owner[0][np.ix_(ys, xs)]), np.unique(w.owner[1][y0:y1, x0:x1])])
    return np.concatenate([w.base[i] + np.arange(w.neurons[i]) for i in near]) * w.base.size + core


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--boards", type=int, default=24)
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--p", type=float, default=1.0)
    parser.add_argument("--walk", action="store_true", help="walk every key of the largest size")
    parser.add_argument("--folder", type=Path, help="where images go; a temporary folder by default")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(compiled(args.one, args.boards, args.window, args.p, args.folder)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as made:
        target = (args.folder or Path(made)) / "sheet.s2"
        for n in sorted(args.neurons):
            shutil.rmtree(target, ignore_errors=True)
            side = round(math.sqrt(n))
            command = [sys.executable, __file__, "--one", str(side), "--boards", str(args.boards), "--window",
                       str(args.window), "--p", str(args.p), "--folder", str(target)]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            if done.returncode:
                print(f"{side * side:,} neurons: {done.stderr.strip().splitlines()[-1]}")
                continue
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            r = rows[-1]
            print(f"{r['neurons']:>9,} neurons, {r['synapses']:>13,} synapses: {r['seconds']:6.1f} s, peak "
                  f"{r['peak_gib']:.2f} GiB, {r['cores']:,} cores, {r['entries']:,} entries (worst "
                  f"{r['entries_worst']}), image {r['image_gib']:.2f} GiB, {r['stages']}", flush=True)
        found: dict[str, object] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "boards": args.boards, "window": args.window, "p": args.p, "sizes": rows,
        }
        if len(rows) > 1:
            x, y = (np.log([r[k] for r in rows]) for k in ("neurons", "seconds"))
            found["exponent"] = float(np.polyfit(x, y, 1)[0])
            print(f"seconds grow with neurons to the power of {found['exponent']:.2f}")
        if args.walk and rows:
            found["walk"] = walk(target, round(math.sqrt(max(args.neurons))), args.window)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
