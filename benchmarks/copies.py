"""Throughput of a board full of copies: inferences per second against copies, and what ends them.

    python benchmarks/copies.py                      # the table, benchmarks/results/copies.json and docs/img/copies.png

Three networks fill one board of 48 chips (7,104 cores), `compile(network, machine=SpiNNaker2(boards=1), copies=n)` for
n = 1, 2, 4, ... and "fill":

MLP          784-256-64-100, threshold gates (the Whetstone paper's, cleared per input), so inputs follow each other
             through the layers, one per tick; random weights by seed; 64 inputs, of which 19 % are active
CNN          the N-MNIST CNN of the NIR paper, trained, on real recordings of 300 steps of 1 ms, where the folder of
             others' networks is there (--shared); else the same layers with random weights and Poisson input
filter bank  two depthwise-separable blocks on 128 x 128 with 8 maps between them, random weights by seed; 20 frames in
             which 7 % of the pixels have an event; cut to slices of half the size, for less time at each core

Inferences per second are an estimate (s2nir.cost.throughput): cycles by the models of machine/applications.py, 16 ns
per packet and link, 512 packets in a core's FIFO per tick, and --host packets per second of input. Up to 8 copies, the
image is also run on the emulator, a recording on each copy, and every spike compared with that of one copy.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import nir
import numpy as np

import s2nir
from s2nir.cost import HOST_PACKETS_PER_S, throughput

ROOT = Path(__file__).resolve().parents[1]
RUN = 8  # copies up to which an image is also emulated
CUT = {"filter bank": s2nir.Partition(share=0.5)}


def chain(nodes: dict[str, Any]) -> nir.NIRGraph:
    """Nodes one behind the other."""
    return nir.NIRGraph(nodes=nodes, edges=list(zip(list(nodes), list(nodes)[1:], strict=False)), type_check=False)


def fire(*shape: int, threshold: float = 1.0) -> nir.IF:
    return nir.IF(r=np.ones(shape), v_threshold=np.full(shape, threshold), v_reset=np.zeros(shape))


def conv(weight: np.ndarray, side: int, stride: int = 1, padding: int = 1, groups: int = 1) -> nir.Conv2d:
    return nir.Conv2d(input_shape=(side, side), weight=weight, stride=stride, padding=padding, dilation=1,
                      groups=groups, bias=np.zeros(weight.shape[0]))


def mlp() -> tuple[Any, ...]:
    rng, sizes = np.random.default_rng(0), (784, 256, 64, 100)
    nodes: dict[str, Any] = {"input": nir.Input(np.array([sizes[0]]))}
    for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        nodes[f"w{i}"] = nir.Linear(weight=rng.normal(0, 1 / np.sqrt(a), (b, a)))
        nodes[f"layer{i}"] = nir.Threshold(threshold=np.full(b, 0.5))
    graph = s2nir.load(chain(nodes | {"output": nir.Output(np.array([sizes[-1]]))}))
    spikes = (np.random.default_rng(1).random((16, 64, 784)) < 0.19).astype(np.uint8)
    return graph, spikes, 64, "random weights, 16 x 64 random inputs, 19 % active"


def cnn(shared: Path) -> tuple[Any, ...]:
    model, data = shared / "models" / "cnn_sinabs.nir", shared / "data" / "nmnist" / "train_1000.npz"
    if model.exists() and data.exists():
        graph = s2nir.load(model, reset="subtract")
        return graph, _nmnist(data, 16), 1, "trained, 16 real N-MNIST recordings"
    rng = np.random.default_rng(0)
    nodes: dict[str, Any] = {
        "input": nir.Input(np.array([2, 34, 34])),
        "c1": conv(rng.normal(0.02, 0.2, (16, 2, 5, 5)), 34, stride=2), "1": fire(16, 16, 16),
        "c3": conv(rng.normal(0.01, 0.1, (16, 16, 3, 3)), 16), "3": fire(16, 16, 16),
        "p6": nir.SumPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0])),
        "c6": conv(rng.normal(0.01, 0.1, (8, 16, 3, 3)), 8), "6": fire(8, 8, 8),
        "flat": nir.Flatten(input_type=np.array([8, 8, 8]), start_dim=0, end_dim=-1),
        "w10": nir.Linear(weight=rng.normal(0.01, 0.1, (256, 512))), "10": fire(256),
        "w12": nir.Linear(weight=rng.normal(0.01, 0.1, (10, 256))), "12": fire(10),
        "output": nir.Output(np.array([10])),
    }
    spikes = np.random.default_rng(1).poisson(0.006, (16, 300, 2, 34, 34)).astype(np.uint8)
    return s2nir.load(chain(nodes), reset="subtract"), spikes, 1, "random weights, 16 Poisson recordings"


def _nmnist(path: Path, n: int) -> np.ndarray:
    """The first recordings as frames of 1 ms."""
    held = np.load(path)
    found = np.zeros((n, 300, 2, 34, 34), np.uint8)
    for i in range(n):
        here = slice(held["offsets"][i], held["offsets"][i + 1])
        (x, y, p), step = held["xyp"][here].T, held["t_us"][here] // 1000
        ok = step < 300
        np.add.at(found[i], (step[ok], p[ok], y[ok], x[ok]), 1)
    return found


def bank(side: int = 128) -> tuple[Any, ...]:
    rng, nodes = np.random.default_rng(0), {"input": nir.Input(np.array([1, side, side]))}
    for i, (a, b) in enumerate(((1, 8), (8, 1))):
        depth, point = rng.uniform(0, 1, (a, 1, 3, 3)), rng.uniform(0, 1, (b, a, 1, 1))
        nodes[f"d{i}"] = conv(2 * depth / depth.sum((1, 2, 3), keepdims=True), side, groups=a)
        nodes[f"depth{i}"] = fire(a, side, side)
        nodes[f"p{i}"] = conv(point / point.sum((1, 2, 3), keepdims=True), side, padding=0)
        nodes[f"point{i}"] = fire(b, side, side)
    graph = s2nir.load(chain(nodes | {"output": nir.Output(np.array([1, side, side]))}), reset="subtract")
    spikes = (np.random.default_rng(1).random((2, 20, 1, side, side)) < 0.07).astype(np.uint8)
    return graph, spikes, 1, "random weights, 2 random recordings, 7 % active"


def alike(image: s2nir.MachineImage, alone: Any, spikes: np.ndarray) -> bool:
    """Whether copies give the spikes of one copy, all of them."""
    found = s2nir.run(image, spikes)
    return all(np.array_equal(found.raw_spikes(name), alone.raw_spikes(name)) for name in alone.spikes)


def measure(name: str, made: tuple[Any, ...], host: float) -> list[dict[str, Any]]:
    graph, spikes, inferences, said = made
    board, network = s2nir.SpiNNaker2(boards=1), s2nir.quantize(graph)
    alone, rows, wanted = None, [], 1
    while True:
        start = time.perf_counter()
        fill = bool(rows) and wanted > rows[0]["room"]
        image = s2nir.compile(network, machine=board, copies="fill" if fill else wanted, partition=CUT.get(name))
        seconds = time.perf_counter() - start
        alone = s2nir.run(image, spikes) if alone is None else alone
        rate = throughput(image, alone, inferences=inferences, host=host)
        same = alike(image, alone, spikes) if 1 < image.copies <= RUN else None
        rows.append({"net": name, "said": said, "steps": alone.steps, "cores_per_copy": image.cores_per_copy,
                     "compile_s": seconds, "spikes_alike": same, **rate.to_dict()})
        print(f"{name:12} {image.copies:5} copies {len(image.cores):5} cores  tick {rate.tick_s * 1e6:7.1f} us  "
              f"{rate.inferences_per_s:10,.0f} inferences/s  ended by {rate.limit}"
              + ("" if same is None else f"  spikes {'alike' if same else 'DIFFER'}"), flush=True)
        if same is False:
            raise SystemExit(f"{name}: {image.copies} copies do not spike as one does")
        if fill or image.copies == rows[0]["room"]:
            print(rate, flush=True)
            return rows
        wanted *= 2


def figure(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.6, 4.4), layout="constrained")
    FigureCanvasAgg(drawn)
    ax = drawn.subplots()
    for (name, colour), mark in zip({"MLP": "#2b6cb0", "CNN": "#c4572b", "filter bank": "#3f7d4e"}.items(), "os^",
                                    strict=True):
        mine = [r for r in rows if r["net"] == name]
        x, y = [r["copies"] for r in mine], [r["inferences_per_s"] for r in mine]
        ax.plot(x, y, color=colour, marker=mark, ms=4.5, lw=1.5)
        ax.annotate(f"{name}: {y[-1]:,.0f}/s, {x[-1]} copies\nended by {mine[-1]['limit']}", (x[-1], y[-1]),
                    xytext=(8, -2), textcoords="offset points", color=colour, fontsize=8.5, va="center")
    ax.set(xscale="log", yscale="log", xlabel="copies on one board (48 chips, 7,104 cores)",
           ylabel="inferences per second (estimate)", xlim=(0.9, 16000))
    ticks = [1, 4, 16, 64, 256, 1024]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.grid(alpha=0.3)
    drawn.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of others' networks")
    parser.add_argument("--host", type=float, default=HOST_PACKETS_PER_S, help="packets/s of input that a host sends")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "copies.json")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "img" / "copies.png")
    args = parser.parse_args()
    nets = {"MLP": mlp(), "CNN": cnn(args.shared), "filter bank": bank()}
    rows = [row for name, made in nets.items() for row in measure(name, made, args.host)]
    args.json.write_text(json.dumps({"machine": "SpiNNaker2(boards=1)", "host_packets_per_s": args.host, "rows": rows},
                                    indent=1) + "\n")
    figure(rows, args.figure)


if __name__ == "__main__":
    main()
