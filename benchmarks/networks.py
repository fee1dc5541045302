"""Trained networks on the emulator and on the libraries that such networks are trained with, CPU, one thread each.

    python benchmarks/networks.py --shared SHARED --bench FOLDER --peer snntorch=PYTHON --peer norse=PYTHON ...

Networks: the NIR paper's CNN on its N-MNIST recordings and its recurrent Braille network on real letters
(SHARED/models, SHARED/data), and the gesture network that `s2nir bench dvs-gesture -o FOLDER` trained, on its own test
recordings (synthetic, where the benchmark's are). Each runs at its own activity and, the gesture network, at given
shares of input (--shares): recordings of the test split laid over each other, or thinned event by event, until so many
of the inputs send in a step. Peers run it in environments of their own (benchmarks/peers/networks_run.py): snntorch,
norse, sinabs, spikingjelly with torch's CPU build, and torch, the law alone written out in it; the best of several
batches counts, and batch 1. Medians of --runs. Layers' activity, and spikes per recording on each side, are printed:
peers compute in floats, ours in 8-bit weights. --threads runs our side on several too, with the same bits, and beside
it as many processes at once, which share nothing but the machine: more than these gain, threads cannot. There each
timing is of as many batches as take half a second, and the ratio is the median of those of the runs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import s2nir

HERE = Path(__file__).parent
BATCHES = (1, 4, 16, 64)
TURN_S = 0.5  # of a timing of threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="the folder with models and data")
    parser.add_argument("--bench", type=Path, help="the folder of an `s2nir bench dvs-gesture`")
    parser.add_argument("--peer", action="append", default=[], help="LIBRARY=PYTHON")
    parser.add_argument("--shares", type=float, nargs="*", default=[0.005, 0.01, 0.03, 0.1])
    parser.add_argument("--recordings", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="*", default=[], help="run the batch on so many threads too")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for name, graph, image, x in loads(args):
        rows.append(measured(name, graph, image, x, args))
        show(rows[-1])
    if args.json:
        args.json.write_text(json.dumps({
            "machine": f"{platform.machine()}, {os.cpu_count()} cores", "rows": rows}, indent=1) + "\n")


def loads(args):
    """(name, graph, image, recordings) of each load."""
    if args.shared:
        graph = s2nir.load(args.shared / "models" / "cnn_sinabs.nir", reset="subtract", dt=1e-3)
        with np.load(args.shared / "data" / "nmnist" / "train_1000.npz") as held:
            x = nmnist(held, args.recordings)
        yield "NIR CNN, N-MNIST", graph, s2nir.compile(s2nir.quantize(graph), max_count=int(x.max())), x
        graph = s2nir.load(args.shared / "models" / "braille_noDelay_noBias_subtract.nir", reset="subtract")
        with np.load(args.shared / "data" / "braille" / "letters.npz") as held:
            x = np.unpackbits(held["x"][: args.recordings], axis=-1)[..., :12]
        yield "Braille, letters", graph, s2nir.compile(s2nir.quantize(graph), max_count=1), x
    if args.bench:
        import torch
        from gestures import trained

        torch.set_num_threads(1)
        module, frames, plan = trained(args.bench, "float")
        graph = s2nir.from_snntorch(module, frames.shape[2:])
        network = s2nir.quantize(graph, s2nir.PTQ(percentile="auto"), calibration=frames[-11:])
        image = s2nir.compile(network, max_count=1)
        yield f"gesture network, {plan['data']}", graph, image, frames[: args.recordings]
        for share in args.shares:
            yield f"gesture network, {share:.1%} input", graph, image, at_share(frames, share, args.recordings)


def at_share(frames: np.ndarray, share: float, n: int) -> np.ndarray:
    """Recordings with so many inputs sending in a step, on the mean of each recording."""
    rng, found = np.random.default_rng(0), []
    for k in range(n):
        x, more = frames[k % len(frames)].copy(), 1
        while x.mean() < share:
            x |= frames[(k + 7 * more) % len(frames)]
            more += 1
        found.append(x & (rng.random(x.shape) < share / x.mean()))
    return np.array(found, np.uint8)


def nmnist(held, n: int) -> np.ndarray:
    """Recordings of N-MNIST, counts per millisecond, (n, steps, 2, 34, 34)."""
    out = np.zeros((n, 316, 2, 34, 34), np.uint8)
    for k in range(n):
        part = slice(*held["offsets"][k : k + 2])
        x, y, p = held["xyp"][part].T
        np.add.at(out[k], (held["t_us"][part] // 1000, p, y, x), 1)
    return out


def described(graph) -> tuple[list, dict]:
    """Layers of a chain of populations, each of which may hear itself one step later, and their weights."""
    layers, arrays, at = [], {}, graph.inputs[0].name
    while True:
        ways = [q for q in graph.projections if q.source == at != q.target]
        if not ways:
            return layers, arrays
        q, p = ways[0], graph[ways[0].target]
        loops = [r for r in graph.projections if r.source == r.target == p.name]
        plain(p, [*ways, *loops], loops)
        c, name = q.connection, f"w{len(layers)}"
        conv = isinstance(c, s2nir.graph.Conv)
        arrays[name] = c.weight.astype(np.float32)
        for r in loops:
            arrays[f"r{len(layers)}"] = r.connection.weight.astype(np.float32)
        layers.append({
            "kind": "conv" if conv else "dense", "weight": name, "decay": float(p.decay),
            "threshold": float(p.threshold), "stride": list(c.stride) if conv else None,
            "padding": list(c.padding) if conv else None,
            "pool": [*c.pool.size, *c.pool.stride] if conv and c.pool else None,
            "flatten": not conv and len(graph[q.source].shape) > 1, "population": p.name, "late": p.reset_late,
            "synapse": float(p.syn_decay) if p.current_based else None,
            "recurrent": f"r{len(layers)}" if loops else None,
        })
        at = p.name


def plain(p, ways: list, loops: list) -> None:
    """Refuse what a layer's description, or one of the libraries, has no word for."""
    gains = [p.gain, *([p.syn_gain] if p.current_based else [])]
    dense = all(isinstance(r.connection, s2nir.graph.Dense) for r in loops)
    special = p.reset_late + (p.current_based or bool(loops))
    if (len(ways) - len(loops) > 1 or len(loops) > 1 or not dense or any(q.delay for q in ways)
            or any(np.any(g != 1) for g in gains) or np.any(p.bias) or np.any(p.constant) or p.refractory
            or p.reset is not s2nir.graph.Reset.SUBTRACT or special > 1 or (special and not 0 < p.decay < 1)):
        raise SystemExit(f"{p.name}: only chains of populations are measured, which may hear themselves, with gains of "
                         "1, no bias, constant, delay or refractory time, and a reset by subtraction, late only in LIF")


def measured(name: str, graph, image, x: np.ndarray, args) -> dict:
    layers, arrays = described(graph)
    found, took = s2nir.run(image, x), []
    for _ in range(args.runs):
        began = time.perf_counter()
        s2nir.run(image, x)
        took.append((time.perf_counter() - began) / len(x))
    names = [layer["population"] for layer in layers]
    line = {
        "network": name, "recordings": len(x), "steps": x.shape[1], "input": float((x > 0).mean()),
        "activity": {n: float(found.spikes[n].mean()) for n in names},
        "spikes": [float(found.spikes[n][:8].sum() / min(8, len(x))) for n in names],
        "seconds": statistics.median(took), "peers": {},
    }
    line["threads"] = {many: threaded(name, image, x, many, args.runs, line["seconds"]) for many in args.threads}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "net.npz", layers=json.dumps(layers), **arrays)
        np.savez(Path(folder) / "input.npz", x=x)
        for peer in args.peer:
            library, python = peer.split("=", 1)
            batches = [str(b) for b in BATCHES if b <= len(x)]
            command = [python, str(HERE / "peers" / "networks_run.py"), library, folder, str(args.runs), *batches]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            if done.returncode:
                line["peers"][library] = {"error": done.stderr.strip().splitlines()[-1]}
                continue
            said = json.loads(done.stdout.strip().splitlines()[-1])
            seconds = {int(b): t for b, t in said["seconds"].items()}
            best = min(seconds, key=seconds.__getitem__)
            line["peers"][library] = {
                **said, "seconds": seconds, "best_batch": best, "ratio_batch_1": seconds[1] / line["seconds"],
                "ratio_best": seconds[best] / line["seconds"],
            }
    return line


def threaded(name: str, image, x: np.ndarray, many: int, runs: int, seconds: float) -> dict:
    """How many times as fast so many threads are, and so many processes, over some runs: medians and ranges."""
    found, again = s2nir.run(image, x), s2nir.run(image, x, threads=many)
    if not all(np.array_equal(a, b) for e, f in zip(again.events, found.events, strict=True)
               for a, b in zip(e, f, strict=True)):
        raise SystemExit(f"{name}, {many} threads: other bits")
    times, ratios = max(1, round(TURN_S / (seconds * len(x)))), {"threads": [], "processes": []}
    for _ in range(runs):
        one = timed(image, x, 1, times)
        ratios["threads"].append(one / timed(image, x, many, times))
        ratios["processes"].append(one * many / beside(image, x, many, times))
    return {what: {"ratio": statistics.median(r), "range": [min(r), max(r)]} for what, r in ratios.items()}


def timed(image, x: np.ndarray, threads: int, times: int) -> float:
    """Seconds that a batch takes, over and over."""
    began = time.perf_counter()
    for _ in range(times):
        s2nir.run(image, x, threads=threads)
    return time.perf_counter() - began


def beside(image, x: np.ndarray, many: int, times: int) -> float:
    """The same for the slowest of processes that run at once, on one thread each."""
    context = multiprocessing.get_context("fork")
    meet, took = context.Barrier(many), context.Queue()

    def work() -> None:
        s2nir.run(image, x)
        meet.wait()
        took.put(timed(image, x, 1, times))

    started = [context.Process(target=work) for _ in range(many)]
    for process in started:
        process.start()
    slowest = max(took.get() for _ in started)
    for process in started:
        process.join()
    return slowest


def show(line: dict) -> None:
    active = ", ".join(f"{n} {100 * a:.2f} %" for n, a in line["activity"].items())
    print(f"{line['network']}: {line['recordings']} recordings of {line['steps']} steps, input "
          f"{100 * line['input']:.2f} %, {active}")
    print(f"  {'s2nir':14} {1e3 * line['seconds']:9.3f} ms a recording, spikes {[round(s) for s in line['spikes']]}"
          + "".join(f", {many} {what} {r['ratio']:.2f}x ({r['range'][0]:.2f} to {r['range'][1]:.2f})"
                    for many, rows in line["threads"].items() for what, r in rows.items()))
    for library, p in line["peers"].items():
        if "error" in p:
            print(f"  {library:14} {p['error']}")
            continue
        print(f"  {library:14} batch 1 {1e3 * p['seconds'][1]:9.2f} ms ({p['ratio_batch_1']:.1f}x), best (batch "
              f"{p['best_batch']}) {1e3 * p['seconds'][p['best_batch']]:.2f} ms ({p['ratio_best']:.1f}x), spikes "
              f"{[round(s) for s in p['spikes']]}", flush=True)


if __name__ == "__main__":
    main()
