"""The trained gesture network on its own test recordings: the emulator against snnTorch, one thread each, one run.

    s2nir bench dvs-gesture --synthetic --preset fast -o bench      # trains it, and keeps it with its recordings
    python benchmarks/gestures.py --bench bench

snnTorch runs the float module as a user does, a loop over steps without gradients, at batch 1 and at the fastest of
several batches; the emulator runs the image of the 8-bit network (PTQ auto, channel), or with --row qat that of
the QAT module. Medians over `--runs` rounds, both sides in each round. Prints the activity of each layer, which the
ratio hangs on, and with --json FILE writes the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from snntorch import utils

import s2nir
from s2nir.bench.networks import NETWORKS
from s2nir.train import convert, prepare_qat

BATCHES = (4, 16, 64)


def trained(folder: Path, name: str):
    """(module, frames, plan) that a benchmark kept."""
    plan = json.loads((folder / "plan.json").read_text())
    with np.load(folder / "frames-test.npz", allow_pickle=False) as kept:
        shape = tuple(kept["shape"])
        frames = np.unpackbits(kept["x"], count=int(np.prod(shape))).reshape(shape)
    module = NETWORKS[plan["dataset"]](0)
    if name != "float":
        module = prepare_qat(module, s2nir.QAT(bits=8))
    state = torch.load(folder / "seed0" / f"{name}.pt", weights_only=True)["best"]
    module.load_state_dict(state)
    return module.eval(), frames, plan


def snntorch(module, x: np.ndarray):
    """A callable that runs recordings (n, steps, ...) at once."""
    steps = torch.from_numpy(x).float().transpose(0, 1).contiguous()

    def run():
        utils.reset(module)
        with torch.no_grad():
            return sum(module(now) for now in steps)

    return run


def seconds(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="the folder of an `s2nir bench`")
    parser.add_argument("--row", choices=("ptq", "qat"), default="ptq")
    parser.add_argument("--recordings", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    torch.set_num_threads(1)
    module, frames, plan = trained(args.bench, "float")
    x = frames[: args.recordings]
    shape = x.shape[2:]
    if args.row == "qat":
        network = convert(trained(args.bench, "qat-8-channel")[0], shape, max_count=1)
    else:
        graph = s2nir.from_snntorch(module, shape)
        network = s2nir.quantize(graph, s2nir.PTQ(percentile="auto"), calibration=frames[-11:])
    image = s2nir.compile(network, max_count=1)
    found = s2nir.run(image, x)
    for name, spikes in found.spikes.items():
        print(f"activity {name:6} {100 * spikes.mean():7.3f} % of neuron ticks")
    ones = [snntorch(module, x[k : k + 1]) for k in range(min(4, len(x)))]
    many = {b: snntorch(module, x[:b]) for b in BATCHES if b <= len(x)}
    ours, one, best = [], [], []
    for _ in range(args.runs):
        ours.append(seconds(lambda: s2nir.run(image, x)) / len(x))
        one.append(statistics.median(seconds(call) for call in ones))
        best.append(min(seconds(call) / b for b, call in many.items()))
    ms = {n: 1e3 * statistics.median(v) for n, v in (("emulator", ours), ("batch 1", one), ("best batch", best))}
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "data": plan["data"], "recordings": len(x), "ticks": plan["steps"], "tick_us": plan["tick_us"],
        "activity": {n: float(s.mean()) for n, s in found.spikes.items()},
        "emulator_ms": ms["emulator"], "snntorch_ms_batch_1": ms["batch 1"], "snntorch_ms_best_batch": ms["best batch"],
        "ratio_batch_1": ms["batch 1"] / ms["emulator"], "ratio_best_batch": ms["best batch"] / ms["emulator"],
    }
    for name, value in figures.items():
        if name != "activity":
            print(f"{name:24} {format(value, '.3f') if isinstance(value, float) else value}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
