"""Placing, routing and minimising: s2nir against PACMAN on the same nets of slices, in one run.

    python benchmarks/mapping.py                                   # s2nir alone
    python benchmarks/mapping.py --pacman /path/to/venv/bin/python  # and PACMAN, from an environment of its own
    python benchmarks/mapping.py --placers curve,annealing,exchange,metis,kahip --nets "small world of 5,000"

PACMAN (PyPI SpiNNaker_PACMAN 1!7.4.1, by `pip install "SpiNNaker_PACMAN==1!7.4.1"`) gets one application vertex per
slice. (1!7.0.0, with its NER and Dijkstra routers, takes no cores beyond the 18 of SpiNNaker1: "Processor 109 > 18".)
Both sides lay the net on the same number of boards of 48 chips, with 148 application cores each chip. Prints, per net
and side: seconds to place and route, hops (links from a source to each chip that it must reach, along its tree),
entries ahead of and after minimising with the seconds it took, the worst chip's entries, the load of the busiest link
(nanoseconds of packets per tick: 16 ns a packet on a board, 48 ns between boards), and the bound that no router can go
below with s2nir's placement. Times are medians of --runs, compiled code warm; what takes over five seconds is run once.
PACMAN is ended after --limit seconds a net, and what it has by then counts. --placers compares placements with
NearestNeighbour() (metis and kahip need pymetis and kahip of PyPI). --json FILE writes the figures; nets that FILE
holds and this run does not measure stay in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import s2nir
from s2nir.machine import LINK_NS, LINK_NS_BETWEEN, STEPS
from s2nir.mapping import (
    Annealing,
    ByChip,
    Curve,
    Exchange,
    Flow,
    LoadAware,
    NearestNeighbour,
    Net,
    RouteTrees,
    Slice,
    link_ns,
    link_packets,
    minimised,
    tables,
)
from s2nir.mapping.placement import standing
from s2nir.mapping.route import bound

NEURONS = 16
LONG = 5.0  # seconds
COMPRESSORS = ("range", "pair", "ordered covering")


def sheet(side: int, reach: int) -> Net:
    """A torus of side x side slices, each heard in the square of 2 reach + 1 around it."""
    y, x = np.divmod(np.arange(side * side), side)
    near = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    pairs = np.concatenate([
        np.stack([y * side + x, (y + dy) % side * side + (x + dx) % side]) for dy, dx in near
    ], axis=1)
    return _net([_slice("sheet", y=k // side, x=k % side) for k in range(side * side)], pairs)


def small_world(n: int, degree: int, rewired: float, seed: int) -> Net:
    """A ring of n slices, each to the `degree` next ones on both sides, a share of them rewired [Watts1998]."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(n), 2 * degree)
    step = np.tile(np.concatenate([np.arange(-degree, 0), np.arange(1, degree + 1)]), n)
    target = (source + step) % n
    new = rng.random(target.size) < rewired
    target[new] = rng.integers(0, n, int(new.sum()))
    return _net([_slice("ring", x=k) for k in range(n)], np.stack([source, target]))


def layers(n: int, height: int, parts: int) -> Net:
    """A chain of n convolutions k3 whose maps are cut into `height` bands of rows by `parts` groups of channels."""
    pairs = []
    for layer in range(n - 1):
        for band in range(height):
            for near in range(max(0, band - 1), min(height, band + 2)):
                a, b = np.divmod(np.arange(parts * parts), parts)
                pairs.append(np.stack([
                    (layer * height + band) * parts + a, ((layer + 1) * height + near) * parts + b
                ]))
    where = [(f"layer {k // (height * parts):03}", k // parts % height, k % parts) for k in range(n * height * parts)]
    return _net([_slice(m, y=y, c=c) for m, y, c in where], np.concatenate(pairs, axis=1))


def dense(n: int) -> Net:
    """n slices, each of which reaches n others."""
    a, b = np.divmod(np.arange(n * n), n)
    return _net([_slice(m, x=k) for m in "ab" for k in range(n)], np.stack([a, n + b]))


POPULATIONS = {
    "L23E": 20683, "L23I": 5834, "L4E": 21915, "L4I": 5479, "L5E": 4850, "L5I": 1065, "L6E": 14395, "L6I": 2948
}
JOINED = (  # [Potjans2014], table 5: probability that a pair of neurons is joined; rows are targets, columns sources
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443),
)


def microcircuit(seed: int) -> Net:
    """The cortical microcircuit [Potjans2014, doi 10.1093/cercor/bhs358]; two slices are joined if any of their neurons
    are, each pair of which is drawn alone."""
    rng = np.random.default_rng(seed)
    size = [-(-n // NEURONS) for n in POPULATIONS.values()]
    first = np.cumsum([0, *size])
    pairs = []
    for b, row in enumerate(JOINED):
        for a, p in enumerate(row):
            s, t = np.nonzero(rng.random((size[a], size[b])) < 1.0 - (1.0 - p) ** NEURONS**2)
            pairs.append(np.stack([first[a] + s, first[b] + t]))
    return _net([_slice(m, x=k) for m, n in zip(POPULATIONS, size, strict=True) for k in range(n)],
                np.concatenate(pairs, axis=1))


def shuffled(net: Net) -> Net:
    """The same net of one population whose slices stand in an order drawn by seed."""
    to = np.random.default_rng(0).permutation(len(net.slices))
    return _net([_slice("all", x=k) for k in range(to.size)], np.stack([to[net.source], to[net.target]]))


def _slice(member: str, y: int = 0, x: int = 0, c: int = 0) -> Slice:
    return Slice(member=member, c0=NEURONS * c, c1=NEURONS * (c + 1), y0=y, y1=y + 1, x0=x, x1=x + 1)


def _net(slices: list[Slice], pairs: np.ndarray) -> Net:
    n = len(slices)
    joined = np.unique(pairs[0] * n + pairs[1])
    return Net(
        slices=tuple(slices), start=np.searchsorted(joined // n, np.arange(n + 1)), target=joined % n,
        packets=np.ones(n),
    )


NETS = {  # name: (net, boards)
    "sheet of 10,000 slices, 7 x 7": (lambda: sheet(100, 3), 3),
    "200 convolutions k3, 64 slices each": (lambda: layers(200, 16, 4), 3),
    "dense 256 -> 256 slices": (lambda: dense(256), 3),
    "small world of 5,000 slices": (lambda: small_world(5_000, 8, 0.1, seed=0), 3),
    "cortical microcircuit, 4,827 slices": (lambda: microcircuit(seed=0), 3),
    "sheet of 62,500 slices, 7 x 7": (lambda: sheet(250, 3), 24),
    "small world of 40,000 slices": (lambda: small_world(40_000, 8, 0.1, seed=0), 24),
}


ROWS = {  # s2nir's: (placer, router)
    "Curve, NearestNeighbour": (Curve(), NearestNeighbour()),
    "Exchange, NearestNeighbour": (Exchange(), NearestNeighbour()),
    "Exchange, LoadAware": (Exchange(), LoadAware()),
}


def timed(runs: int, call):
    """(median seconds, what it gives), once ahead to compile; where that alone takes over five seconds, it counts."""
    seconds = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        found = call()
        seconds.append(time.perf_counter() - begin)
        if seconds[0] > LONG:
            return seconds[0], found
    return statistics.median(seconds[1:]), found


def hops(trees, topology) -> tuple[float, int]:
    """Links from a source to each chip that it must reach, along its tree: mean, worst."""
    n = topology.chips
    at = trees.source * n + trees.chip
    order = np.argsort(at)
    from_ = np.where(trees.arrives >= 0, topology.neighbour[trees.chip, trees.arrives], trees.chip)
    up = order[np.searchsorted(at, trees.source * n + from_, sorter=order)]
    depth, here = np.zeros(at.size, np.int64), np.arange(at.size)
    while (trees.arrives[here] >= 0).any():
        depth += trees.arrives[here] >= 0
        here = up[here]
    held = (trees.route[:, 0] >> 6 > 0) | trees.route[:, 1:].any(axis=1)
    return float(depth[held].mean()), int(depth[held].max())


def ours(net: Net, boards: int, place, route, runs: int) -> dict[str, float]:
    """Figures of one net with one placer and one router."""
    machine = s2nir.SpiNNaker2(boards=boards)
    t = machine.topology
    place_s, (chip, pe) = timed(runs, lambda: place(net, machine))
    flow = Flow(chip=chip, start=net.start, to_chip=chip[net.target], to_pe=pe[net.target], packets=net.packets)
    route_s, trees = timed(runs, lambda: route(flow, machine))
    grown = RouteTrees(placement="", slices=net.slices, chip=t.chip, trees=trees)
    blocks = ByChip()(net.slices, standing(net, chip, pe, machine))
    made = tables(grown, blocks)
    load = link_packets(trees, net.packets, t.chips)
    mean, worst = hops(trees, t)
    found = {
        "place_s": place_s, "route_s": route_s, "hops_mean": mean, "hops_worst": worst, "packets_on_links": load.sum(),
        "worst_link_ns": float((load * link_ns(t)).max()), "bound_ns": bound(flow, t),
        "entries": trees.chip.size, "entries_worst": max(v.entries for v in made.values()),
    }
    for how in ("fewest", "any"):
        seconds, small = timed(runs, lambda how=how: minimised(made, grown, blocks, machine, how))
        found[f"entries {how}"] = sum(v.entries for v in small.values())
        found[f"entries_worst {how}"] = max(v.entries for v in small.values())
        found[f"minimise_s {how}"] = seconds  # with its proof
    return found


def placers(names: str) -> dict:
    """Placers by name; partitioners stand in a file of their own."""
    known = {"curve": Curve(), "annealing": Annealing(), "exchange": Exchange()}
    if {"metis", "kahip"} & set(names.split(",")):
        from peers.partitioners import Partitioned

        known |= {how: Partitioned(how) for how in ("metis", "kahip")}
    return {name: (known[name], NearestNeighbour()) for name in names.split(",")}


def theirs(python: str, net: Net, boards: int, compressors: str, limit: float) -> dict[str, float]:
    """PACMAN's figures of one net."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.npz"
        np.savez(path, start=net.start, target=net.target, atoms=np.full(len(net.slices), NEURONS), packets=net.packets)
        script = Path(__file__).with_name("peers") / "pacman_run.py"
        with open(Path(folder) / "figures", "w+") as out:
            try:
                code = subprocess.run(
                    [python, script, path, str(boards), compressors], stdout=out, stderr=subprocess.DEVNULL,
                    timeout=limit,
                ).returncode
                ended = f"with {code}" if code else ""
            except subprocess.TimeoutExpired:
                ended = f"after {limit:g} s"
            out.seek(0)
            lines = [line[line.index('{"chips"') :] for line in out if '{"chips"' in line]
    if not lines:
        return {"ended": ended or "said nothing"}
    found = json.loads(lines[-1]) | ({"ended": ended} if ended else {})
    board = {(x, y): (a, b) for x, y, a, b in found.pop("board")}
    wide, high = found.pop("size")
    worst = total = 0.0
    for x, y, link, packets in found.pop("links"):
        dx, dy = STEPS[link]
        there = ((x + dx) % wide, (y + dy) % high)
        worst = max(worst, packets * (LINK_NS if board[x, y] == board[there] else LINK_NS_BETWEEN))
        total += packets
    return {**found, "worst_link_ns": worst, "packets_on_links": total}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pacman", metavar="PYTHON", help="of an environment that PACMAN is installed in")
    parser.add_argument("--compressors", default="range,pair", help=f"of PACMAN: {', '.join(COMPRESSORS)}")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nets", default="", help="only those whose name holds this")
    parser.add_argument("--placers", help="compare these: curve, annealing, exchange, metis, kahip")
    parser.add_argument("--shuffled", action="store_true", help="slices in an order drawn by seed, of one population")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for PACMAN, per net")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    figures = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    figures |= {"machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"}
    for name, (make, boards) in NETS.items():
        if args.nets not in name:
            continue
        net = shuffled(make()) if args.shuffled else make()
        sides = placers(args.placers) if args.placers else ROWS
        rows = {side: ours(net, boards, place, route, args.runs) for side, (place, route) in sides.items()}
        if args.pacman:
            rows["PACMAN"] = theirs(args.pacman, net, boards, args.compressors, args.limit)
        figures[name] = rows
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\n{name}: {len(net.slices)} slices, {net.target.size} pairs, {boards} boards")
        for side, row in rows.items():
            said = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
            print(f"  {side}: {', '.join(said)}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
