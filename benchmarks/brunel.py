"""Brunel's network: 10,000 neurons, 10 million synapses, Poisson drive; s2nir against NEST and Brian2 in one run.

    python benchmarks/brunel.py                                                # s2nir and the float64 oracle alone
    python benchmarks/brunel.py --nest PYTHON --brian2 PYTHON --json benchmarks/results/brunel.json

Each neuron hears 800 excitatory and 200 inhibitory neurons, drawn without repetition; every synapse has a weight of its
own, whole numbers drawn evenly from 13..27 and -127..-73 (means 20 and -100), which int8 holds exactly. Threshold
2,000, reset to 0, 20 ms membrane, 2 ms refractory, 1 ms steps, 1 ms delay, and a Poisson process of weight 20 for each
neuron, drawn inside the timed part. All sides get the same list, sorted by source and target, and record all spikes.

s2nir runs the image (dram rows, one chip) that it writes to a folder and loads back. NEST (nest-simulator of PyPI) and
Brian2 (with numpy<2.3, setuptools<80 and cython) run in environments of their own, one thread each (benchmarks/peers).
Timed are 10 s of model time after 500 ms; each run has a noise seed of its own. Printed are medians, rates and the CV
of interspike intervals (means over neurons and runs, range over runs). The oracle is NumPy in float64, given the same
draws: its sums are exact; "rounded" rounds each operation on the membrane to float32 as the chip's own state is. Of the
other, whose membranes differ in their last bits, it is told by how much those that differ first are over the threshold.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import sparse

import s2nir
from s2nir.graph import draws

HERE = Path(__file__).parent
NEAR = 0.05  # of the threshold
THRESHOLD, TAU, REFRACTORY, WEIGHT, WARM = 2_000.0, 20.0, 2, 20.0, 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--drive", type=float, default=11.0, help="events per millisecond and neuron")
    parser.add_argument("--steps", type=int, default=10_000, help="timed steps of 1 ms")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--oracle-steps", type=int, default=10_500)
    parser.add_argument("--nest", help="python of an environment with nest-simulator")
    parser.add_argument("--brian2", help="python of an environment with brian2")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target, weight = listed(args.neurons)
        np.savez(folder / "list.npz", source=source, target=target, weight=weight)
        (folder / "net.json").write_text(json.dumps({
            "neurons": args.neurons, "tau": TAU, "threshold": THRESHOLD, "refractory": REFRACTORY, "drive": args.drive,
            "drive_weight": WEIGHT, "warm": WARM, "steps": args.steps,
        }))
        network, stages = quantized(args, source, target, weight)
        image = built(network, folder, stages)
        sides = ["s2nir", *(["nest"] if args.nest else [])]
        sides += ["brian2 cpp_standalone", "brian2 cpp_standalone float32", "brian2 cython"] if args.brian2 else []
        runs: dict = {side: [] for side in sides}
        for seed in range(args.runs):
            for side in sides:
                if side == "brian2 cython" and seed:
                    continue
                run = ours(image, args, seed) if side == "s2nir" else peer(side, folder, seed, args)
                runs[side].append(run)
                print(f"{side}, noise {seed}: {run['seconds']:.2f} s, {run['rate']:.2f} Hz, CV {run['cv']:.4f}",
                      flush=True)
        wrong = {kind: oracle(image, network, args, source, target, weight, kind) for kind in ("rounded", "float64")}
    shown = table(runs)
    for kind, w in wrong.items():
        print(f"oracle, {kind}: {w['differ']} of {w['spikes']} spikes differ in {args.oracle_steps} steps; "
              f"first in step {w['first']}" + (f", over the threshold by {w['over']}" if "over" in w else ""))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({
            "neurons": args.neurons, "synapses": int(source.size), "steps": args.steps, "drive": args.drive,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores", "stages": stages, "sides": shown,
            "oracle": {"steps": args.oracle_steps, **wrong}, "runs": runs,
        }, indent=1) + "\n")


def listed(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The connection list: source, target, weight, sorted by source and target."""
    rng = np.random.default_rng(1)
    excitatory, from_e, from_i = n * 4 // 5, n * 8 // 100, n * 2 // 100
    source = np.concatenate([
        part for _ in range(n) for part in (
            rng.choice(excitatory, from_e, replace=False),
            excitatory + rng.choice(n - excitatory, from_i, replace=False),
        )
    ])
    target = np.repeat(np.arange(n), from_e + from_i)
    weight = np.where(source < excitatory, rng.integers(13, 28, source.size), -rng.integers(73, 128, source.size))
    order = np.lexsort((target, source))
    return source[order].astype(np.int32), target[order].astype(np.int32), weight[order].astype(np.int8)


def quantized(args, source, target, weight):
    began = time.perf_counter()
    matrix = sparse.csc_array((weight.astype(np.float64), (target, source)), shape=(args.neurons, args.neurons))
    cells = s2nir.Neurons(  # r makes the input gain 1
        shape=args.neurons, tau=TAU * 1e-3, r=1 / (1 - np.exp(-1 / TAU)), threshold=THRESHOLD, compare=">=",
        refractory=REFRACTORY, drive=s2nir.Poisson(rate=args.drive * 1e3, weight=WEIGHT),
    )
    way = s2nir.Connect(source="cells", target="cells", weight=matrix)
    graph = s2nir.build({"cells": cells}, [way], dt=1e-3, integrator="exponential")
    network = s2nir.quantize(graph, s2nir.PTQ(per="population"))
    held = network.projections[0].connection
    if not (np.array_equal(held.weight, weight) and float(network["cells"].threshold) == THRESHOLD):
        raise SystemExit("the integers are not those of the list")
    return network, {"build and quantize": time.perf_counter() - began}


def built(network, folder: Path, stages: dict) -> s2nir.MachineImage:
    """The image as it is read back, decoded and warm."""
    began = time.perf_counter()
    s2nir.compile(network, s2nir.SpiNNaker2(chips=1, rows="dram"), into=folder / "image.s2")
    stages["compile"] = time.perf_counter() - began
    began = time.perf_counter()
    image = s2nir.MachineImage.load(folder / "image.s2")
    image.stream().feed(1)
    stages["load and decode"] = time.perf_counter() - began
    return image


def ours(image, args, seed: int) -> dict:
    stream = image.stream(noise=seed)
    stream.feed(WARM)
    began = time.perf_counter()
    found = stream.feed(args.steps)
    seconds = time.perf_counter() - began
    step, neuron, _ = found.events
    return {"seconds": seconds, **figures(step - WARM, neuron, args)}


def peer(side: str, folder: Path, seed: int, args) -> dict:
    name, *options = side.split()
    command = [getattr(args, name), str(HERE / "peers" / f"brunel_{name}.py"), str(folder), str(seed), *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr[-2_000:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    with np.load(folder / f"{name}.npz") as held:
        step, neuron = held["step"] - WARM, held["neuron"]
    keep = (step >= 0) & (step < args.steps)
    return {**said, **figures(step[keep], neuron[keep], args)}


def figures(step: np.ndarray, neuron: np.ndarray, args) -> dict:
    """Rate in Hz, and the mean CV of the intervals of neurons with at least five of them."""
    order = np.lexsort((step, neuron))
    step, neuron = step[order].astype(np.float64), neuron[order].astype(np.int64)
    same = np.diff(neuron) == 0
    interval, who = np.diff(step)[same], neuron[1:][same]
    many = np.bincount(who, minlength=args.neurons)
    enough = many >= 5
    mean = np.bincount(who, interval, args.neurons)[enough] / many[enough]
    square = np.bincount(who, interval**2, args.neurons)[enough] / many[enough]
    return {
        "spikes": int(step.size), "rate": step.size / args.neurons / (args.steps * 1e-3),
        "cv": float(np.mean(np.sqrt(np.maximum(square - mean**2, 0)) / mean)) if enough.any() else float("nan"),
    }


def oracle(image, network, args, source, target, weight, kind: str) -> dict:
    """Spikes that differ from a run in NumPy's float64 with the same draws; "rounded": the state rounded to float32."""
    n, ticks = args.neurons, args.oracle_steps
    drive = network["cells"].drive
    rows = np.zeros((n, n), np.int8)
    rows[source, target] = weight
    real = np.float32 if kind == "rounded" else np.float64
    alpha = real(np.float32(np.exp(-1 / TAU)))
    v, held = np.zeros(n, real), np.zeros(n, np.int64)
    fired, spikes, close = np.zeros(0, np.int64), [], []
    for tick in range(ticks):
        if tick % 500 == 0:
            events = draws(drive.law, drive.seed, n, range(tick, tick + 500))
        slot = rows[fired].astype(np.int16).sum(axis=0, dtype=np.int32) if fired.size else np.zeros(n, np.int32)
        slot = slot + int(WEIGHT) * events[tick % 500]
        free = held == 0
        v = np.where(free, alpha * v + slot.astype(real), v)
        near = np.flatnonzero(free & (np.abs(v - THRESHOLD) < NEAR))
        close.append((near, v[near] - THRESHOLD))
        fired = np.flatnonzero(free & (v >= THRESHOLD))
        v[fired] = 0
        held = np.maximum(held - 1, 0)
        held[fired] = REFRACTORY
        spikes.append(fired + tick * n)
    want = np.concatenate(spikes)
    step, neuron, _ = image.stream(noise=0).feed(ticks).events
    differ = np.setxor1d(want, step * n + neuron)
    found = {"differ": int(differ.size), "spikes": int(want.size),
             "first": int(differ[0] // n) if differ.size else None}
    if differ.size:  # by how much the membranes of those that differ first are over the threshold
        near, over = close[found["first"]]
        who = differ[differ // n == found["first"]] % n
        found["over"] = {str(i): float(over[near == i][0]) if (near == i).any() else None for i in who.tolist()}
    return found


def table(runs: dict) -> dict:
    """Medians and ranges by side, printed."""
    shown = {}
    base = statistics.median(r["seconds"] for r in runs["s2nir"])
    print(f"\n{'side':30} {'seconds':>8} {'range':>15} {'ratio':>7} {'rate Hz':>8} {'CV':>7}")
    for side, mine in runs.items():
        seconds = sorted(r["seconds"] for r in mine)
        rate, cv = (statistics.mean(r[k] for r in mine) for k in ("rate", "cv"))
        median = statistics.median(seconds)
        shown[side] = {"seconds": median, "range": [seconds[0], seconds[-1]], "ratio": median / base, "rate": rate,
                       "cv": cv, "runs": len(mine), "version": mine[0].get("version", s2nir.__version__)}
        print(f"{side:30} {median:8.2f} {seconds[0]:7.2f}-{seconds[-1]:.2f} {median / base:7.1f} {rate:8.3f} {cv:7.4f}")
    return shown


if __name__ == "__main__":
    main()
