"""The N-MNIST network of the NIR paper from file to report, and the run alone against PyTorch on the same events.

    python benchmarks/spine.py --model cnn_sinabs.nir --data train_1000.npz

--model : the network (shared/models), --data : N-MNIST recordings as xyp, t_us, offsets (shared/data/nmnist). Bins of
1 ms, counts not clamped. Everything runs on one thread. Prints a table and, with --json FILE, writes the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import s2nir

LIMIT_WAY_S, LIMIT_RUN_MS = 5.0, 15.0


def recordings(path: Path, count: int, steps: int) -> np.ndarray:
    """uint8 (count, steps, 2, 34, 34)."""
    out = np.zeros((count, steps, 2, 34, 34), np.uint8)
    with np.load(path) as z:
        xyp, t, offsets = z["xyp"], z["t_us"], z["offsets"]
        for k in range(count):
            part = slice(offsets[k], offsets[k + 1])
            keep = t[part] // 1000 < steps
            x, y, p = xyp[part][keep].T
            np.add.at(out[k], (t[part][keep] // 1000, p, y, x), 1)
    return out


def median(call, runs: int) -> float:
    """Median seconds of several calls after one that is not counted."""
    call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def whole_way(model: Path, spikes: np.ndarray) -> float:
    """Seconds from load to a saved report."""
    begin = time.perf_counter()
    result = s2nir.deploy(model, spikes, reset="zero")
    fidelity = s2nir.compare(result.graph, result.image, spikes)
    with tempfile.TemporaryDirectory() as folder:
        from s2nir.report import report

        report(result.recording, fidelity).save(Path(folder) / "run.html")
    return time.perf_counter() - begin


def torch_peer(graph: s2nir.Graph, spikes: np.ndarray):
    """The same network in PyTorch, float32, a loop over steps; a callable that gives the output's spike counts."""
    import torch
    from torch.nn.functional import conv2d, linear

    torch.set_num_threads(1)
    x = torch.tensor(spikes.astype(np.float32)).transpose(0, 1)
    layers, name = [], "input"
    while True:
        ways = [q for q in graph.projections if q.source == name]
        if not ways:
            break
        c, name = ways[0].connection, ways[0].target
        layers.append((c, torch.tensor(c.weight.astype(np.float32)), float(graph[name].threshold)))

    def run():
        total = 0
        state = [0.0] * len(layers)
        with torch.no_grad():
            for frame in x:
                for i, (c, w, threshold) in enumerate(layers):
                    if w.ndim == 4:
                        if c.pool is not None:
                            frame = torch.nn.functional.avg_pool2d(frame, c.pool.size) * np.prod(c.pool.size)
                        now = conv2d(frame, w, stride=c.stride, padding=c.padding)
                    else:
                        now = linear(frame.flatten(1), w)
                    v = state[i] + now
                    frame = (v > threshold).float()
                    state[i] = v * (1 - frame)
                total = total + frame
        return total

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=306)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    spikes = recordings(args.data, 64, args.steps)
    whole_way(args.model, spikes[:1])  # caches warm
    way = statistics.median(whole_way(args.model, spikes[:1]) for _ in range(3))
    graph = s2nir.load(args.model, reset="zero")
    image = s2nir.compile(s2nir.quantize(graph))
    one = median(lambda: s2nir.run(image, spikes[:1]), args.runs)
    many = median(lambda: s2nir.run(image, spikes), args.runs) / 64
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_to_report_s": way, "limit_load_to_report_s": LIMIT_WAY_S,
        "run_ms_batch_1": 1e3 * one, "run_ms_batch_64": 1e3 * many, "limit_run_ms": LIMIT_RUN_MS,
    }
    try:
        peer_one = median(torch_peer(graph, spikes[:1]), 3)
        peer_many = median(torch_peer(graph, spikes), 1) / 64
        figures |= {"torch_ms_batch_1": 1e3 * peer_one, "torch_ms_batch_64": 1e3 * peer_many,
                    "ratio_batch_1": peer_one / one, "ratio_batch_64": peer_many / many}
    except ImportError as error:
        figures["peer"] = f"PyTorch is not installed ({error})"
    for name, value in figures.items():
        print(f"{name:26} {value if isinstance(value, str) else format(value, '.3f')}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
