"""Two workers of one thread against one thread, on the same data set: what Dask costs and gains.

    python benchmarks/cluster.py --runs 5 --json benchmarks/results/cluster.json

A recurrent network of 2,000 neurons by rule, each recording 1,000 steps of 32 Poisson inputs; as many recordings as
take `--seconds` on one thread, which is measured first, at its fastest of three. Kernels are compiled and cached and
the cluster stands before anything is timed; sending and decoding the image, and sending every recording, is timed.
Beside each run stand the load average of the host before it and the seconds of processor time that it had: where these
are well below the seconds that passed, the host had other work, and the run says nothing. The two evaluations must be
equal in every number.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import s2nir

BAR = 1.7
NEURONS, INPUTS, STEPS, RATE = 2000, 32, 1000, 0.05
SPAWN = {"OMP_NUM_THREADS": 1}  # and no MALLOC_TRIM_THRESHOLD_: docs/many-machines.md


def network() -> s2nir.MachineImage:
    """The image of the recurrent network."""
    ways = [
        s2nir.Connect(source="in", target="net", rule=s2nir.rules.FixedProbability(p=0.3), weight=0.12),
        s2nir.Connect(source="net", target="net", rule=s2nir.rules.FixedProbability(p=0.1),
                      weight=s2nir.rules.Uniform(low=-0.08, high=0.06)),
    ]
    graph = s2nir.build({"in": INPUTS, "net": s2nir.Neurons(shape=NEURONS, tau=0.02, r=20.0)}, ways, dt=1e-3)
    return s2nir.compile(s2nir.quantize(graph))


def recordings(count: int) -> np.ndarray:
    """uint8 (count, STEPS, INPUTS)."""
    rng = np.random.default_rng(1)
    return (rng.random((count, STEPS, INPUTS), np.float32) < RATE).astype(np.uint8)


def timed(call, cpu=time.process_time) -> tuple[dict[str, float], s2nir.Evaluation]:
    """Seconds of a call, of processor time in it, the load average of the minute before it; and what it gives."""
    load, before, begin = os.getloadavg()[0], cpu(), time.perf_counter()
    found = call()
    return {"s": time.perf_counter() - begin, "cpu_s": cpu() - before, "load": load}, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=66.0, help="of serial work (default 66)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    import dask
    from distributed import Client, LocalCluster

    dask.config.set({"distributed.nanny.pre-spawn-environ": SPAWN})
    image = network()
    some = recordings(64)
    s2nir.evaluate(image, some[:4], threads=1)  # compiles, or reads what was compiled
    first, found = min((timed(lambda: s2nir.evaluate(image, some, threads=1)) for _ in range(3)),
                       key=lambda seen: seen[0]["cpu_s"])
    x = recordings(int(np.ceil(args.seconds / first["cpu_s"] * len(some))))
    print(f"{len(x):,} recordings of {STEPS:,} steps, {found.rates['net']:.4f} spikes per neuron and tick", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as room, LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=room
    ) as cluster, Client(cluster) as client:
        s2nir.evaluate(image, some, client, piece=4)
        for _ in range(args.runs):
            one, serial = timed(lambda: s2nir.evaluate(image, x, threads=1))
            two, spread = timed(lambda: s2nir.evaluate(image, x, client),
                                lambda: sum(client.run(time.process_time).values()))
            if spread != serial:
                raise SystemExit("the two evaluations differ")
            rows.append({"serial": one, "two_workers": two, "ratio": one["s"] / two["s"]})
            print("; ".join(f"{words} {t['s']:.1f} s, {t['cpu_s']:.1f} s of processor time, load {t['load']:.2f}"
                            for words, t in (("one thread", one), ("two workers", two))), end="", flush=True)
            print(f": {rows[-1]['ratio']:.2f}x", flush=True)
    ratio = statistics.median(r["ratio"] for r in rows)
    print(f"median of {len(rows)}: {ratio:.2f}x, bar {BAR}x; all numbers are equal")
    if args.json:
        args.json.write_text(json.dumps({
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "distributed": version("distributed"), "recordings": len(x), "steps": STEPS, "neurons": NEURONS,
            "rate": found.rates["net"], "runs": rows, "ratio": ratio, "bar": BAR,
        }, indent=1) + "\n")


if __name__ == "__main__":
    main()
