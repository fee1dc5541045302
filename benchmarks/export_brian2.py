"""Exported scripts on Brian2: where its float64 spikes part from the stand-in's float32, and whether each is a tie.

    python benchmarks/export_brian2.py --python PYTHON [--shared FOLDER] [--json FILE]

PYTHON has Brian2 2.9 (PyPI). The packaged network on a synthetic recording; with --shared, the networks of the NIR
paper on real recordings (others on a seeded drive). Every population is run on Brian2's NumPy target with the
stand-in's spikes given, so that each tick of each neuron is a question of its own: is V at its threshold? An answer
that differs is a tie where V - threshold is within the bound that float32 rounding leaves. The first network is made
to have some. Exit code 1 where one is none.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import runpy
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

import s2nir
from s2nir.data import moving_shapes, shapes_network
from s2nir.export.stand_in import stand_in

CHILD = Path(__file__).parent / "peers" / "export_brian2_run.py"
RESETS = {
    "braille_noDelay_bias_zero": "zero", "braille_noDelay_noBias_subtract": "subtract", "cnn_sinabs": "subtract",
    "lif_norse": "zero", "lif_rockpool": "subtract", "two_lif_neurons": "zero",
}


def ties():
    """A network of 500 neurons whose thresholds are float32 membranes that they come to, and its recording."""
    rng = np.random.default_rng(4)
    cells = s2nir.Neurons(shape=500, tau=0.01, r=10.0, threshold=1e3, compare=">=")
    way = s2nir.Connect(source="in", target="a", weight=rng.normal(0.5, 1, (500, 40)))
    graph = s2nir.build({"in": 40, "a": cells}, [way], dt=1e-3)
    spikes = (rng.random((100, 40)) < 0.2).astype(np.uint8)
    network = s2nir.quantize(graph)
    done = s2nir.run(s2nir.compile(network, onset="board"), spikes, record=("voltages",))
    high = done.raw_voltages("a")[0].max(axis=0)
    populations = [p if p.is_input else dataclasses.replace(p, threshold=high) for p in network.populations]
    return dataclasses.replace(network, populations=tuple(populations)), spikes


def networks(shared: Path | None):
    """Name, network and one recording."""
    yield "thresholds that are met", *ties()
    for name, graph, spikes in graphs(shared):
        yield name, s2nir.quantize(graph, s2nir.PTQ(bias="membrane")), spikes


def graphs(shared: Path | None):
    """Name, graph and one recording."""
    yield "packaged CNN", s2nir.load(shapes_network(), compare=">="), moving_shapes(1, seed=7)[0][0]
    if shared is None:
        return
    for name, reset in RESETS.items():
        dt = None if "lif" not in name else 1e-4
        graph = s2nir.load(shared / "models" / f"{name}.nir", reset=reset, compare=">=", dt=dt)
        if name.startswith("braille"):
            spikes = np.load(shared / "data" / "braille" / "test_0_input.npy")
        elif name == "cnn_sinabs":
            spikes = digit(shared / "data" / "nmnist" / "train_1000.npz")
        else:
            spikes = (np.random.default_rng(7).random((200, 1)) < 0.3).astype(np.uint8)
        yield name, graph, spikes


def digit(path: Path) -> np.ndarray:
    """The first recording of N-MNIST in bins of 1 ms."""
    with np.load(path) as z:
        part = slice(*z["offsets"][:2])
        x, y, p = z["xyp"][part].T
        found = np.zeros((316, 2, 34, 34), np.uint8)
        np.add.at(found, (z["t_us"][part] // 1000, p, y, x), 1)
    return found


def sent(script: Path) -> dict[str, np.ndarray]:
    """Rows (tick, neuron) of every population of a script on the stand-in, as long as it is to be run."""
    with stand_in() as s2, np.load(script.with_suffix(".npz"), allow_pickle=False) as data:
        space = runpy.run_path(str(script), run_name="script")
        net, populations = space["network"](s2.snn, data)
        for p in populations.values():
            p.record = () if p.neuron_model == "spike_list" else ("spikes",)
        s2.brian2_sim.Brian2Backend().run(net, space["TICKS"])
        found = {}
        for name, p in populations.items():
            lists = p.params if p.neuron_model == "spike_list" else p.get_spikes()
            rows = [(t, i) for i, ticks in lists.items() for t in ticks if t < space["TICKS"]]
            found[name] = np.array(sorted(rows), np.int64).reshape(-1, 2)
    return found


def one(name: str, network, spikes: np.ndarray, python: str) -> dict:
    """Spikes, differences and those that are no ties, of one network."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        image = s2nir.compile(network, onset="board")
        script = Path(folder) / "run.py"
        image.export_py_spinnaker2(script, spikes)
        rows = sent(script)
        np.savez(Path(folder) / "sent.npz", **{f"sent{k}": r for k, r in enumerate(rows.values())})
        files = [str(Path(folder) / n) for n in ("run.py", "sent.npz", "out.npz")]
        subprocess.run([python, str(CHILD), *files], check=True)
        found = {"network": name, "spikes": 0, "differ": 0, "no_ties": 0, "widest": 0.0}
        with np.load(files[2]) as out:
            for k, held in enumerate(rows.values()):
                if f"margin{k}" not in out.files:
                    continue
                margin, bound = out[f"margin{k}"], out[f"bound{k}"]
                differ = sorted(set(map(tuple, held.tolist())) ^ set(map(tuple, out[f"crossed{k}"].tolist())))
                off = np.array([abs(margin[at]) for at in differ])
                found["spikes"] += len(held)
                found["differ"] += len(differ)
                found["no_ties"] += int(sum(o > bound[at] for o, at in zip(off, differ, strict=True)))
                found["widest"] = max(found["widest"], float(off.max(initial=0)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="a Python with Brian2")
    parser.add_argument("--shared", type=Path, help="folder with models/ and data/")
    parser.add_argument("--json", type=Path, help="write the figures")
    args = parser.parse_args()
    rows = []
    for name, network, spikes in networks(args.shared):
        rows.append(one(name, network, spikes, args.python))
        r = rows[-1]
        print(f"{name}: {r['spikes']} spikes, {r['differ']} differ, {r['no_ties']} of them no ties; "
              f"farthest from the threshold {r['widest']:g}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any(r["no_ties"] for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
