"""Every spike of every trained QAT network in `eval()` against the emulator, over the whole test split of a benchmark.

    s2nir bench dvs-gesture --synthetic --preset gaps --jobs 2 -o bench
    python benchmarks/qat_exact.py --bench bench

float32 is what the benchmark's own table ran; fixed is all-integer state, in PyTorch an int64 path, on the emulator
int32 that saturates. Prints, for each seed, width and arithmetic, the spikes in which the two differ; ends with exit
code 1 where there is one.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

import s2nir
from s2nir.bench.networks import NETWORKS
from s2nir.train import convert, over_time, prepare_qat

PIECE = 50


def differing(module, frames: np.ndarray) -> tuple[int, int]:
    """(spikes that differ, spikes of the emulator) over all layers, ticks and recordings."""
    image = s2nir.compile(convert(module, frames.shape[2:], max_count=1), max_count=1)
    apart = total = 0
    for at in range(0, len(frames), PIECE):
        x = frames[at : at + PIECE]
        chip = s2nir.run(image, x).spikes
        ours: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            over_time(module, torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1))).float(), ours.__setitem__)
        for name, spikes in ours.items():
            found = spikes.transpose(0, 1).to(torch.uint8).numpy().reshape(chip[name].shape)
            apart += int((found != chip[name]).sum())
            total += int(chip[name].sum(dtype=np.int64))
    return apart, total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="the folder of an `s2nir bench`")
    parser.add_argument("--seeds", type=int, default=1, help="of those that the folder holds (default 1)")
    parser.add_argument("--recordings", type=int, help="the first of the test split; all where it is left out")
    args = parser.parse_args()
    plan = json.loads((args.bench / "plan.json").read_text())
    with np.load(args.bench / "frames-test.npz", allow_pickle=False) as kept:
        shape = tuple(kept["shape"])
        frames = np.unpackbits(kept["x"], count=int(np.prod(shape))).reshape(shape)[: args.recordings]
    wrong = 0
    for seed in range(args.seeds):
        for bits in plan["trained_bits"]:
            state = torch.load(args.bench / f"seed{seed}" / f"qat-{bits}-channel.pt", weights_only=True)["best"]
            for arithmetic in ("float32", "fixed"):
                module = prepare_qat(NETWORKS[plan["dataset"]](0), s2nir.QAT(bits=bits, arithmetic=arithmetic))
                module.load_state_dict(state)
                apart, total = differing(module.eval(), frames)
                wrong += apart
                said = f"seed {seed}, {bits} bits, {arithmetic}"
                print(f"{said}: {apart} of {total} spikes differ over {len(frames)} recordings", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
