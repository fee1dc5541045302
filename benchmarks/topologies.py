"""Which topology breaks which resource of the machine, and at what size: synthetic networks on up to three boards.

    python benchmarks/topologies.py           # writes benchmarks/results/topologies.json and docs/img/topologies.png
    python benchmarks/topologies.py --only all-to-all --json FILE --figure FILE
    python benchmarks/topologies.py --redraw  # the figure from the JSON file, without a run

Every network is made by a seed and has one recurrent population (of convolutions eight, in a chain) and an input. Its
size grows until it fits no more, and by halves the last size that fits is found to within `--within`. What is asked is
what `s2nir map --explain` asks: cores, SRAM, routing entries, and, with 2 % of the neurons active in a tick, packets
into FIFOs, estimated cycles and the time of links. Nothing is compiled.

random          each neuron hears every other with probability 0.3
all-to-all      each neuron hears all
locally         a sheet, each neuron hears the 5 x 5 around it, weights of its own; 4 x 4 neurons on a core
small world     a ring, each neuron hears the 12 next on both sides, 10 % of the synapses rewired [Watts1998]; 16
                neurons on a core
convolutions    8 layers of 16 channels in a chain, k3; 4 x 4 pixels of 16 channels on a core

Where neurons per core are given they are below what fits, so that the sizes at which boards end can be held in memory.
Elsewhere a core is filled.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import s2nir
from s2nir.cost.survey import WORDS, Choice, Survey, Surveyor
from s2nir.fixedpoint import Arithmetic
from s2nir.graph import Compare, Conv, Integrator, Projection, Reset, Sparse
from s2nir.mapping.partition import boxes
from s2nir.mapping.wiring import as_rows
from s2nir.quantize import IntPopulation, Network

ROOT = Path(__file__).parents[1]
MACHINES = {
    "1 chip": s2nir.SpiNNaker2(), "1 board": s2nir.SpiNNaker2(boards=1), "3 boards": s2nir.SpiNNaker2(boards=3),
}
INPUTS = 100
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles(s2nir.Partition):
    """Boxes of at most so many channels, rows and columns, whatever they take."""

    tile: tuple[int, int, int]

    def __call__(self, wiring, ticks, record):
        found = {}
        for m in wiring.members.values():
            tile = (2, 16, 16) if m.view[1] > 1 else m.view
            tile = tile if m.population.is_input else self.tile
            found[m.name] = boxes(m, tuple(-(-n // t) for n, t in zip(m.view, tile, strict=True)))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled(s2nir.Partition):
    """As many neurons on a core as fit there with `spare` bytes, judged by the first ones: all are wired alike."""

    spare: int = 0

    def __call__(self, wiring, ticks, record):
        found = {}
        for m in wiring.members.values():
            k = m.size if m.population.is_input else self._most(m, [q for q in wiring.links if q.target == m.name])
            found[m.name] = boxes(m, (1, 1, -(-m.size // k)))
        return found

    def _most(self, member, links) -> int:
        app, at = member.application, 0
        sources, targets = [], []
        for link in links:
            source, target, _, _ = as_rows(link)
            near = target < app.max_targets
            sources.append(at + source[near])
            targets.append(target[near])
            at += link.connection.sources
        source, target = np.concatenate(sources), np.concatenate(targets)
        for k in range(app.max_targets, 0, -1):
            words = np.bincount(source[target < k])
            words = words[words > 0]
            if 64 + 48 * k + int((24 + 4 * -(-words // 2)).sum()) + self.spare <= app.window:
                return k
        return 1


def network(populations, projections) -> Network:
    return Network(
        arithmetic=Arithmetic.FLOAT32, scheme="synthetic", limit=127, rules={}, graph_digest="", dt=1e-3,
        integrator=Integrator.EULER, populations=tuple(populations), projections=tuple(projections),
        outputs={"out": populations[-1].name},
    )


def neurons(name: str, shape: tuple[int, ...]) -> IntPopulation:
    f = np.float32
    return IntPopulation(
        name=name, node="LIF", shape=shape, decay=f(0.9), threshold=f(100), v_reset=f(0), offset=f(0), bias=f(0),
        scale=np.float64(1), compare=Compare.GREATER_EQUAL, reset=Reset.ZERO,
    )


def recurrent(shape: tuple[int, ...], source: np.ndarray, target: np.ndarray) -> Network:
    """An input of `INPUTS` sources, one to one, into a population with these synapses within."""
    n = int(np.prod(shape))
    k = min(INPUTS, n)
    ones = np.arange(k)
    return network(
        [IntPopulation(name="in", node="Input", shape=(k,)), neurons("a", shape)],
        [Projection(source="in", target="a", connection=_sparse(k, n, ones, ones)),
         Projection(source="a", target="a", connection=_sparse(n, n, source, target))],
    )


def _sparse(sources: int, targets: int, source: np.ndarray, target: np.ndarray) -> Sparse:
    joined = np.sort(source.astype(np.int64) * targets + target)
    joined = joined[np.diff(joined, prepend=-1) > 0]  # (np.unique hashes, and is slower here)
    source, target = joined // targets, joined % targets
    weight = np.random.default_rng(SEED).integers(1, 127, source.size, dtype=np.int8)
    start = np.searchsorted(source, np.arange(sources + 1))
    return Sparse(targets=targets, start=start, target=target, weight=weight, delay=np.zeros(source.size, np.int64))


def random(n: int) -> Network:
    rng = np.random.default_rng(SEED)
    fan = rng.binomial(n, 0.3, n)
    target = np.repeat(np.arange(n), fan)
    source = np.concatenate([rng.choice(n, k, replace=False) for k in fan])
    return recurrent((n,), source, target)


def all_to_all(n: int) -> Network:
    source, target = np.divmod(np.arange(n * n), n)
    return recurrent((n,), source, target)


def locally(n: int) -> Network:
    side = round(n**0.5)
    y, x = np.divmod(np.arange(side * side), side)
    near = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    parts = []
    for dy, dx in near:
        ok = (y + dy >= 0) & (y + dy < side) & (x + dx >= 0) & (x + dx < side)
        parts.append(np.stack([(y * side + x)[ok], ((y + dy) * side + x + dx)[ok]]))
    source, target = np.concatenate(parts, axis=1)
    return recurrent((1, side, side), source, target)


def small_world(n: int) -> Network:
    rng = np.random.default_rng(SEED)
    step = np.concatenate([np.arange(-12, 0), np.arange(1, 13)])
    target = np.repeat(np.arange(n), step.size)
    source = (target + np.tile(step, n)) % n
    new = rng.random(source.size) < 0.1
    source[new] = rng.integers(0, n, int(new.sum()))
    return recurrent((n,), source, target)


def convolutions(n: int) -> Network:
    side = max(4, round((n / 128) ** 0.5))
    rng = np.random.default_rng(SEED)
    populations, projections = [IntPopulation(name="in", node="Input", shape=(2, side, side))], []
    before, channels = "in", 2
    for k in range(8):
        name = f"layer {k}"
        populations.append(neurons(name, (16, side, side)))
        weight = rng.integers(1, 127, (16, channels, 3, 3), dtype=np.int8)
        projections.append(Projection(source=before, target=name, connection=Conv(
            weight=weight, in_shape=(channels, side, side), out_shape=(16, side, side), padding=(1, 1))))
        before, channels = name, 16
    return network(populations, projections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    make: Callable[[int], Network]
    first: int
    partition: s2nir.Partition
    most: int = 1 << 30  # neurons; more synapses are not held in memory


TOPOLOGIES = {
    "random, p = 0.3": Topology(make=random, first=250, partition=Filled(spare=2_500), most=8_400),
    "all-to-all": Topology(make=all_to_all, first=250, partition=Filled()),
    "locally connected, 5 x 5": Topology(make=locally, first=500, partition=Tiles(tile=(1, 4, 4))),
    "small world, 24 each": Topology(make=small_world, first=500, partition=Tiles(tile=(1, 1, 16))),
    "convolutions, 8 x 16 channels": Topology(make=convolutions, first=6_000, partition=Tiles(tile=(16, 4, 4))),
}


class Study:
    """One topology: surveys by size and machine."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.asked: dict[int, dict[str, Survey]] = {}
        self.found: dict[int, dict[str, Survey]] = {}  # by neurons: sizes are those that the topology has

    def survey(self, asked: int) -> dict[str, Survey]:
        """What a network of about so many neurons takes of each machine."""
        if asked not in self.asked:
            net = self.topology.make(asked)
            n = sum(p.size for p in net.populations if not p.is_input)
            surveyor = Surveyor(net, {})
            self.asked[asked] = self.found[n] = {
                name: surveyor(Choice(machine=machine, partition=self.topology.partition))
                for name, machine in MACHINES.items()
            }
        return self.asked[asked]

    def grow(self, growth: float, within: float) -> None:
        """Sizes up to the first that fits no machine; then the ends by halves."""
        sizes = [self.topology.first]
        while any(found.fits for found in self.survey(sizes[-1]).values()):
            assert sizes[-1] < self.topology.most, "some machine is not broken yet"
            sizes.append(min(round(growth * sizes[-1]), self.topology.most))
        for machine in MACHINES:
            high = min(n for n in sizes if not self.asked[n][machine].fits)
            low = max((n for n in sizes if n < high), default=high)
            while high > low * (1 + within):
                middle = round((low * high) ** 0.5)
                low, high = (middle, high) if self.survey(middle)[machine].fits else (low, middle)

    def to_dict(self) -> dict:
        found = {}
        for machine in MACHINES:
            by_size = {n: self.found[n][machine] for n in self.found}
            sizes = sorted(by_size)
            fits = [n for n in sizes if by_size[n].fits]
            end = min(n for n in sizes if not by_size[n].fits)
            busy = [n for n in fits if not by_size[n].keeps_up]
            found[machine] = {
                "fits": max(fits, default=0), "ends": end, "by": by_size[end].first.to_dict(),
                "falls_behind": min(busy, default=None),
                "sizes": [{"neurons": n, **{r.name: r.share for r in by_size[n].resources}} for n in fits],
            }
        return found


COLOURS = {"cores": "#2a78d6", "sram": "#eb6834", "entries": "#1baf7a", "fifo": "#8a5cc2", "cycles": "#b98a00",
           "link": "#d0457a"}
STYLES = {"1 chip": ":", "1 board": "--", "3 boards": "-"}
SHARED = ("sram", "fifo", "cycles")  # the same on every machine


def figure(results: dict, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    drawn = Figure(figsize=(15, 8.6), layout="constrained")
    FigureCanvasAgg(drawn)
    panels = drawn.subplots(2, 3, sharey=True).ravel()
    for ax, (name, found) in zip(panels, results["topologies"].items(), strict=False):
        _panel(ax, name, found)
    for ax in panels[len(results["topologies"]):]:
        ax.axis("off")
    lines = [Line2D([], [], color=c, lw=2) for c in COLOURS.values()]
    words = [WORDS[name][0] for name in COLOURS]
    lines += [Line2D([], [], color="#444", ls=s) for s in STYLES.values()]
    lines += [Line2D([], [], color="#b42318", marker="X", ls="", ms=8)]
    words += [*STYLES, "first size that does not fit"]
    panels[-1].legend(lines, words, loc="center", frameon=False, fontsize=11)
    drawn.suptitle("Synthetic networks: how full each resource is where it is fullest, up to the last size that fits "
                   "(2 % of the neurons active in a tick)", fontsize=12)
    drawn.savefig(path, dpi=100, metadata={"Software": None})


def _panel(ax, name: str, found: dict) -> None:
    from matplotlib.ticker import NullFormatter

    for machine, rows in found.items():
        for resource, colour in COLOURS.items():
            if resource in SHARED and machine != "3 boards":
                continue
            points = [(s["neurons"], 100 * s[resource]) for s in rows["sizes"] if s.get(resource)]
            if points:
                ax.plot(*zip(*points, strict=True), color=colour, ls=STYLES[machine], lw=1.6)
    ends: dict[tuple[int, str], list[str]] = {}
    for machine, rows in found.items():
        ends.setdefault((rows["ends"], rows["by"]["name"]), []).append(machine)
    for k, ((n, by), machines) in enumerate(sorted(ends.items())):
        ax.plot([n, n], [0.01, 100 * 6.5**k], color="#b42318", lw=0.8, alpha=0.5)
        ax.plot([n], [100], marker="X", color="#b42318", ms=8, zorder=5)
        said = f"{', '.join(machines)}: {by if by != 'sram' else 'SRAM'} at {n:,}"
        ax.annotate(said, (n, 200 * 6.5**k), xytext=(4, 0), textcoords="offset points", ha="right", va="center",
                    fontsize=9, color="#b42318")
    ax.axhline(100, color="#444", lw=0.8)
    ax.set(xscale="log", yscale="log", ylim=(0.01, 40_000), title=name, xlabel="neurons", ylabel="% of what is allowed")
    ax.set_yticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
    low, high = ax.get_xlim()
    low /= 2  # room for words
    ax.set_xlim(low, high)
    steps = [m * 10**e for e in range(2, 8) for m in ((1, 2, 5) if high < 100 * low else (1,))]
    steps = [v for v in steps if low < v < high]
    ax.set_xticks(steps, [f"{v:,}" for v in steps])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.25, which="major")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="topologies whose name holds this")
    parser.add_argument("--growth", type=float, default=1.6, help="of sizes, from one to the next")
    parser.add_argument("--within", type=float, default=0.05, help="how near the end of each machine is found")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "topologies.json")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "img" / "topologies.png")
    parser.add_argument("--redraw", action="store_true", help="draw what --json holds")
    args = parser.parse_args()
    if args.redraw:
        figure(json.loads(args.json.read_text()), args.figure)
        return
    results = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "synthetic": True, "seed": SEED, "activity": 0.02, "within": args.within, "topologies": {},
    }
    for name, topology in TOPOLOGIES.items():
        if args.only not in name:
            continue
        begin = time.perf_counter()
        study = Study(topology)
        study.grow(args.growth, args.within)
        results["topologies"][name] = study.to_dict()
        print(f"{name} ({time.perf_counter() - begin:.0f} s)")
        for machine, found in results["topologies"][name].items():
            by = found["by"]
            behind = "" if found["falls_behind"] is None else f"; a load is over from {found['falls_behind']:,} on"
            print(f"  {machine}: {found['fits']:,} neurons fit, {found['ends']:,} do not: {by['words']}, "
                  f"{by['used']:,.0f} of {by['allowed']:,.0f}, {by['where']}{behind}", flush=True)
    args.json.write_text(json.dumps(results, indent=1) + "\n")
    figure(results, args.figure)


if __name__ == "__main__":
    main()
