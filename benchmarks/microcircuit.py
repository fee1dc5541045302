"""The cortical microcircuit [Potjans2014, doi 10.1093/cercor/bhs358]: s2nir against NEST and Brian2 in one run.

    python benchmarks/microcircuit.py --share 0.02                                 # s2nir and the float64 oracle alone
    python benchmarks/microcircuit.py --nest PYTHON --brian2 PYTHON --json benchmarks/results/microcircuit.json

Eight populations, 0.1 ms steps, the paper's neurons (10 ms membrane, 0.5 ms synaptic current, 2 ms refractory), weights
(0.15 mV +- 10 %, inhibition four times that, from L4E to L23E twice), delays (1.5 +- 0.75 ms, of inhibition 0.75 +-
0.375 ms) and Poisson input (1,600 sources and so on, of 8 Hz each), drawn inside the timed part. All sides get one list
of synapses, sorted by source and target, and record all spikes. What is not the paper's:

- `--share` is a share of the neurons alone: each of them hears as many synapses, and as much input, as at full scale.
- Each neuron of a population hears as many synapses of another, the paper's mean, rounded (from L5I to L4E, where it
  is 0.3, none). Sources are drawn evenly, and two neurons may have several synapses, as in the paper.
- Weights are whole numbers, which int8 holds: the mean of excitation is 20 of them, the threshold 9,474. Delays are
  whole steps and at least one; both laws end at 4.9 standard deviations.
- Membranes begin at rest, in 500 ms that are not timed.

s2nir runs the image (dram rows, one board) that it writes to a folder and loads back. NEST and Brian2 run in
environments of their own, one thread each (benchmarks/peers). Each run has a noise seed of its own; printed are medians
of seconds, and rates and CV of intervals by population (means over neurons and runs). The oracle is NumPy in float64,
given the same list and draws, on `--oracle-share` of the neurons; "rounded" rounds each operation to float32 as the
chip's own state is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import s2nir
from mapping import JOINED, POPULATIONS
from s2nir import rules
from s2nir.emulate import program
from s2nir.graph import draws, timing
from s2nir.machine import APPLICATIONS

HERE = Path(__file__).parent
NAMES, FULL = list(POPULATIONS), list(POPULATIONS.values())
EXTERNAL, RATE = (1_600, 1_500, 2_100, 1_900, 2_000, 1_900, 2_900, 2_100), 8.0  # Hz
PUBLISHED = (0.971, 2.868, 4.746, 5.396, 8.142, 9.078, 0.991, 7.523)  # Hz, at full scale, of NEST's own example
DT, TAU, TAU_SYN, REFRACTORY = 0.1, 10.0, 0.5, 20  # ms, ms, ms, steps
WEIGHT, THRESHOLD = 20.0, 9_474.0  # 15 mV by 87.8 pA / 20, of the current of one step into 250 pF
WARM = 5_000  # steps
QUIET = dataclasses.replace(APPLICATIONS["lif_curr_exp_dram"], activity=1e-3)  # at most 10 Hz, in steps of 0.1 ms


class Synapses(NamedTuple):
    """One list, by source and target, neurons counted through all populations; delay : steps of 0.1 ms"""

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    delay: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.25, help="of the neurons")
    parser.add_argument("--steps", type=int, default=10_000, help="timed steps of 0.1 ms")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--boards", type=int, default=1)
    parser.add_argument("--oracle-share", type=float, default=0.02)
    parser.add_argument("--oracle-steps", type=int, default=2_000)
    parser.add_argument("--nest", help="python of an environment with nest-simulator")
    parser.add_argument("--brian2", help="python of an environment with brian2")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        wrong = oracles(args, Path(name))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, stages = quantized(args.share)
        sides = ["s2nir", *(side for side in ("nest", "brian2") if getattr(args, side))]
        synapses = sum(q.connection.rule.indegree * q.connection.targets for q in network.projections)
        if len(sides) > 1:
            handed(network, args, folder)
        image = built(network, args, folder, stages)
        print(f"{sum(sizes(network)):,} neurons, {synapses:,} synapses; {stages}", flush=True)
        runs: dict = {side: [] for side in sides}
        for seed in range(args.runs):
            for side in sides:
                run = ours(image, args, seed) if side == "s2nir" else peer(side, folder, seed, args, sizes(network))
                runs[side].append(run)
                print(f"{side}, noise {seed}: {run['seconds']:.2f} s, {run['spikes']:,} spikes", flush=True)
    shown = table(runs)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({
            "share": args.share, "neurons": sum(sizes(network)), "synapses": synapses, "steps": args.steps,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores", "stages": stages, "sides": shown,
            "oracle": {"share": args.oracle_share, "steps": args.oracle_steps, **wrong}, "runs": runs,
        }, indent=1) + "\n")


def indegree(a: int, b: int) -> int:
    """Synapses that a neuron of b hears from a: the paper's number of all of them, by the neurons."""
    pairs = FULL[a] * FULL[b]
    return round(float(np.log1p(-JOINED[b][a]) / np.log1p(-1 / pairs) / FULL[b]))


def quantized(share: float) -> tuple[s2nir.Network, dict]:
    began = time.perf_counter()
    cells = {name: s2nir.Neurons(  # r and w_in make the input gains 1
        shape=max(1, round(share * full)), tau=TAU * 1e-3, tau_syn=TAU_SYN * 1e-3, r=1 / -np.expm1(-DT / TAU),
        w_in=1 / -np.expm1(-DT / TAU_SYN), threshold=THRESHOLD, compare=">=", refractory=REFRACTORY,
        drive=s2nir.Poisson(rate=RATE * external, weight=WEIGHT),
    ) for name, full, external in zip(NAMES, FULL, EXTERNAL, strict=True)}
    none = rules.FixedIndegree(indegree=0)
    ways = [s2nir.Connect(source=m, target=m, rule=none, weight=127.0) for m in NAMES]  # so that the scale is 1
    for b, to in enumerate(NAMES):
        for a, of in enumerate(NAMES):
            mean = (WEIGHT, -4 * WEIGHT)[a % 2] * (2 if (of, to) == ("L4E", "L23E") else 1)
            delay = (15.0, 7.5)[a % 2]  # steps, of which each synapse has at least one
            if indegree(a, b):
                ways.append(s2nir.Connect(
                    source=of, target=to, rule=rules.FixedIndegree(indegree=indegree(a, b)),
                    weight=rules.Normal(mean=mean, sd=abs(mean) / 10), delay=rules.Normal(mean=delay - 1, sd=delay / 2),
                ))
    graph = s2nir.build(cells, ways, dt=DT * 1e-3, integrator="exponential", outputs=NAMES, loops="machine")
    steps = (2 - again for again in timing(graph).recurrent)  # a recurrent projection takes one of itself
    graph = dataclasses.replace(graph, projections=tuple(
        dataclasses.replace(q, delay=s) for q, s in zip(graph.projections, steps, strict=True)))
    network = s2nir.quantize(graph, s2nir.PTQ(per="population"))
    for p in network.populations:
        if float(p.threshold) != THRESHOLD or (p.drive.weight != WEIGHT).any():
            raise SystemExit(f"{p.name}: the integers are not those of the list")
    return network, {"build and quantize": time.perf_counter() - began}


def sizes(network: s2nir.Network) -> list[int]:
    return [network[name].size for name in NAMES]


def written(network: s2nir.Network) -> Synapses:
    first = dict(zip(NAMES, np.cumsum([0, *sizes(network)]).tolist(), strict=False))
    parts = []
    for q in network.projections:
        found = q.connection.into(np.arange(q.connection.targets))
        delay = (found.delay + 1).astype(np.uint8)
        parts.append((found.source + np.int32(first[q.source]), found.place + np.int32(first[q.target]), found.weight,
                      delay))
    whole = [np.concatenate([p[k] for p in parts]) for k in range(4)]
    order = np.argsort(whole[0].astype(np.int64) * sum(sizes(network)) + whole[1], kind="stable")
    return Synapses(*(column[order] for column in whole))


def handed(network: s2nir.Network, args: argparse.Namespace, folder: Path) -> None:
    """The list and all else that the peers read."""
    for name, column in written(network)._asdict().items():
        np.save(folder / f"{name}.npy", column)
    (folder / "net.json").write_text(json.dumps({
        "sizes": sizes(network), "dt": DT, "tau": TAU, "tau_syn": TAU_SYN, "threshold": THRESHOLD, "weight": WEIGHT,
        "refractory": REFRACTORY, "drive": [RATE * n for n in EXTERNAL], "warm": WARM, "steps": args.steps,
    }))


def built(network: s2nir.Network, args: argparse.Namespace, folder: Path, stages: dict) -> s2nir.MachineImage:
    """The image as it is read back, decoded and warm."""
    began = time.perf_counter()
    s2nir.compile(network, s2nir.SpiNNaker2(boards=args.boards, rows="dram"), QUIET, into=folder / "image.s2")
    stages["compile"] = time.perf_counter() - began
    began = time.perf_counter()
    image = s2nir.MachineImage.load(folder / "image.s2")
    image.stream().feed(1)
    stages["load and decode"] = time.perf_counter() - began
    stages["image bytes"] = sum(f.stat().st_size for f in (folder / "image.s2").iterdir())
    stages["cores"] = len(image.cores)
    return image


def sent(image: s2nir.MachineImage, found: s2nir.emulate.stream.Ticks) -> tuple[np.ndarray, np.ndarray]:
    """Step and neuron, counted through all populations, of each spike."""
    index = np.concatenate([program(image).index[name] for name in NAMES])
    neuron = np.empty(index.size, np.int64)
    neuron[index] = np.arange(index.size)
    step, source, _ = found.events
    return step, neuron[source]


def ours(image: s2nir.MachineImage, args: argparse.Namespace, seed: int) -> dict:
    stream = image.stream(noise=seed)
    stream.feed(WARM)
    began = time.perf_counter()
    found = stream.feed(args.steps)
    seconds = time.perf_counter() - began
    step, neuron = sent(image, found)
    return {"seconds": seconds, **figures(step - WARM, neuron, args, [image[name].size for name in NAMES])}


def peer(side: str, folder: Path, seed: int, args: argparse.Namespace, size: list[int]) -> dict:
    command = [getattr(args, side), str(HERE / "peers" / f"microcircuit_{side}.py"), str(folder), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr[-2_000:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    with np.load(folder / f"{side}.npz") as held:
        step, neuron = held["step"] - WARM, held["neuron"]
    keep = (step >= 0) & (step < args.steps)
    return {**said, **figures(step[keep], neuron[keep], args, size)}


def figures(step: np.ndarray, neuron: np.ndarray, args: argparse.Namespace, size: list[int]) -> dict:
    """By population: rate in Hz, and the mean CV of the intervals of neurons with at least three of them."""
    order = np.lexsort((step, neuron))
    step, neuron = step[order].astype(np.float64), neuron[order].astype(np.int64)
    same = np.diff(neuron) == 0
    interval, who = np.diff(step)[same], neuron[1:][same]
    n = sum(size)
    many = np.bincount(who, minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(who, interval, n) / many
        cv = np.sqrt(np.maximum(np.bincount(who, interval**2, n) / many - mean**2, 0)) / mean
    first = np.cumsum([0, *size])
    spikes = np.bincount(neuron, minlength=n)
    found: dict = {"spikes": int(step.size), "rate": [], "cv": []}
    for lo, hi in zip(first, first[1:], strict=False):
        enough = many[lo:hi] >= 3
        found["rate"].append(float(spikes[lo:hi].mean() / (args.steps * DT * 1e-3)))
        found["cv"].append(float(cv[lo:hi][enough].mean()) if enough.any() else None)
    return found


def oracles(args: argparse.Namespace, folder: Path) -> dict:
    """Spikes that differ from runs in NumPy with the same draws."""
    network, _ = quantized(args.oracle_share)
    image, listed = built(network, args, folder, {}), written(network)
    step, neuron = sent(image, image.stream(noise=0).feed(args.oracle_steps))
    found = {}
    for kind, real in (("rounded", np.float32), ("float64", np.float64)):
        want = oracle(network, listed, args.oracle_steps, real)
        differ = np.setxor1d(want, step * sum(sizes(network)) + neuron)
        found[kind] = {"differ": int(differ.size), "spikes": int(want.size),
                       "first": int(differ[0] // sum(sizes(network))) if differ.size else None}
        print(f"oracle, {kind}: {differ.size} of {want.size} spikes differ in {args.oracle_steps} steps; first in step "
              f"{found[kind]['first']}", flush=True)
    return found


def oracle(network: s2nir.Network, listed: Synapses, steps: int, real: type) -> np.ndarray:
    """step x neurons + neuron of each spike, rising; real : the type that each operation is rounded to"""
    n = sum(sizes(network))
    start = np.searchsorted(listed.source, np.arange(n + 1))
    ring = np.zeros((int(listed.delay.max()) + 2, n), np.int64)  # what arrives, by step
    alpha, beta = (real(np.float32(np.exp(-DT / tau))) for tau in (TAU, TAU_SYN))
    v, i, held = np.zeros(n, real), np.zeros(n, real), np.zeros(n, np.int64)
    spikes = []
    for step in range(steps):
        if step % 500 == 0:
            drives = [(network[name].drive, network[name].size) for name in NAMES]
            events = np.concatenate([draws(d.law, d.seed, k, range(step, step + 500)) for d, k in drives], axis=1)
        now = ring[step % len(ring)]
        i = beta * i + (now + int(WEIGHT) * events[step % 500]).astype(real)
        now[:] = 0
        free = held == 0
        v = np.where(free, alpha * v + i, v)
        fired = np.flatnonzero(free & (v >= THRESHOLD))
        v[fired] = 0
        held = np.maximum(held - 1, 0)
        held[fired] = REFRACTORY
        for s in fired.tolist():
            mine = slice(start[s], start[s + 1])
            when = (step + 1 + listed.delay[mine].astype(np.int64)) % len(ring)
            np.add.at(ring, (when, listed.target[mine]), listed.weight[mine])
        spikes.append(fired + step * n)
    return np.concatenate(spikes)


def table(runs: dict) -> dict:
    """Medians and ranges by side, printed."""
    shown = {}
    base = statistics.median(r["seconds"] for r in runs["s2nir"])
    for side, mine in runs.items():
        seconds = sorted(r["seconds"] for r in mine)
        median = statistics.median(seconds)
        by = {key: [statistics.mean(v) if (v := [r[key][k] for r in mine if r[key][k] is not None]) else None
                    for k in range(len(NAMES))] for key in ("rate", "cv")}
        shown[side] = {"seconds": median, "range": [seconds[0], seconds[-1]], "ratio": median / base, **by,
                       "runs": len(mine), "version": mine[0].get("version", s2nir.__version__)}
        print(f"{side:8} {median:8.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f}), ratio {median / base:.1f}")
    print(f"\n{'rate, CV':10}" + "".join(f"{side:>18}" for side in runs) + f"{'full scale, Hz':>18}")
    for k, name in enumerate(NAMES):
        cells = (f"{s['rate'][k]:.3f}, " + ("-" if s["cv"][k] is None else f"{s['cv'][k]:.3f}") for s in shown.values())
        print(f"{name:10}" + "".join(f"{cell:>18}" for cell in cells) + f"{PUBLISHED[k]:18.3f}")
    return shown


if __name__ == "__main__":
    main()
