"""Event runs against the cycle model: 20 loads that cores bound, 5 that a link bounds, queues, and Brunel's network.

    python benchmarks/event_timing.py --json benchmarks/results/event-timing.json

Core-bound loads are random networks of three populations on one chip. For each, the shortest tick at which an event
run is in time (nothing overruns, is dropped, or taken in another tick) is found by bisection, and stands beside the
shortest safe tick of the cycle model on the same spikes. Link-bound loads are pairs of an input and a population, the
inputs on one chip and the populations on another: each core hears few packets, the link between the chips all of them.
They run at the shortest tick that their cores keep. Queues are those of a router or link, packets coming at random.
Brunel's network (benchmarks/brunel.py) runs for `--steps` ms, with FIFOs of 512 packets and without bounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import brunel
import numpy as np

import s2nir
from s2nir.cost import timing
from s2nir.emulate import event as events
from s2nir.emulate import program
from s2nir.machine import PES
from s2nir.mapping.place import Sequential

ENDLESS = 1 << 20  # packets of a FIFO that never fills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=10_000, help="of Brunel's network")
    parser.add_argument("--steps", type=int, default=300, help="milliseconds of Brunel's network")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "core_bound": [core_bound(k) for k in range(20)],
        "link_bound": [link_bound(n) for n in (85, 100, 115, 130, 140)], "queues": queues(),
        "brunel": brunel_net(args.neurons, args.steps),
    }
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=1) + "\n")


def event_run(image, spikes, **options):
    return s2nir.run(image, spikes, timing=s2nir.EventTiming(**{"fifo": ENDLESS} | options)).queueing


def core_bound(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    sizes = {name: int(rng.integers(20, 200)) for name in ("in", "a", "b")}
    cells = {n: s2nir.Neurons(shape=sizes[n], tau=0.01, r=20.0, tau_syn=[None, 0.005][int(rng.integers(2))])
             for n in ("a", "b")}
    ways = [s2nir.Connect(source=p, target=q, weight=rng.normal(0.3, 1, (sizes[q], sizes[p])))
            for p, q in (("in", "a"), ("a", "b"), ("a", "a"))]
    image = s2nir.compile(s2nir.quantize(s2nir.build({"in": sizes["in"], **cells}, ways, dt=1e-3)),
                          partition=s2nir.Partition(slices=int(rng.integers(1, 4))))
    spikes = (rng.random((1, 100, sizes["in"])) < rng.uniform(0.05, 0.5)).astype(np.uint8)
    model = timing(s2nir.run(image, spikes)).shortest_tick_s.value
    low, high = model / 2, 2 * model
    while high / low > 1.0005:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if event_run(image, spikes, tick=middle).in_time else (middle, high)
    print(f"core-bound load {seed}: cycle model {1e6 * model:.2f} us, event run {1e6 * high:.2f} us, "
          f"{high / model - 1:+.2%}", flush=True)
    return {"cores": len(image.cores), "model_s": model, "event_s": high, "ratio": high / model}


def link_bound(pairs: int) -> dict:
    rng = np.random.default_rng(pairs)
    each, way = 150, s2nir.rules.OneToOne()
    inputs = {f"in{k:03d}": each for k in range(pairs)}
    cells = {f"n{k:03d}": s2nir.Neurons(shape=each, tau=0.01, r=20.0) for k in range(pairs)}
    graph = s2nir.build(inputs | cells, [s2nir.Connect(source=p, target=q, rule=way, weight=0.5)
                                         for p, q in zip(inputs, cells, strict=True)], dt=1e-3)
    machine = s2nir.SpiNNaker2(chips=((0, 0), (1, 0)), reserved=PES - pairs)
    image = s2nir.compile(s2nir.quantize(graph), machine, place=Sequential())
    spikes = {name: (rng.random((1, 30, each)) < 0.8).astype(np.uint8) for name in inputs}
    model = timing(s2nir.run(image, spikes))
    cores = model.cycles.value / model.clock_hz
    found = event_run(image, spikes, tick=cores)
    print(f"link-bound load of {pairs} pairs: tick {1e6 * cores:.1f} us by the cores, {1e6 * model.links_s:.1f} us by "
          f"the links; {1e3 * found.length_s[0]:.3f} ms for {1e3 * found.ticks * cores:.3f} ms of ticks, by "
          f"{found.limit}", flush=True)
    return {"pairs": pairs, "cores_s": cores, "links_s": model.links_s, "event": found.to_dict()}


def queues() -> list[dict]:
    """Waiting times of a router and a link beside those of M/D/1: rho / (2 mu (1 - rho))."""
    way = s2nir.Connect(source="in", target="a", weight=np.ones((4, 3)))
    graph = s2nir.build({"in": 3, "a": s2nir.Neurons(shape=4, tau=0.01, r=20.0)}, [way], dt=1e-3)
    machine = s2nir.SpiNNaker2(chips=((0, 0), (1, 0)), reserved=PES - 1)
    image = s2nir.compile(s2nir.quantize(graph), machine)
    none, rows = np.zeros(0, np.int64), []
    for place, takes, options in (("router", 2.5e-9, {}), ("link", 16e-9, {"router_s": 0.0})):
        served = events.served(image, program(image), s2nir.EventTiming(**options), none)
        for load in (0.1, 0.3, 0.5, 0.7, 0.8, 0.9):
            times = np.cumsum(np.random.default_rng(1).exponential(takes / load, 2_000_000))
            _, counts = events.event_round(served, (np.zeros(1, np.int64), none, none), 0, ahead=(0, times))
            table = counts.router if place == "router" else counts.link
            packets, waited = table[np.flatnonzero(table[:, 0])[0], :2]
            mean, theory = waited / packets * 1e-12, load * takes / (2 * (1 - load))
            print(f"{place} at load {load}: mean wait {1e9 * mean:.3f} ns, M/D/1 {1e9 * theory:.3f} ns, "
                  f"{mean / theory - 1:+.2%}", flush=True)
            rows.append({"place": place, "load": load, "packets": int(packets), "mean_s": mean, "theory_s": theory})
    return rows


def brunel_net(neurons: int, steps: int) -> dict:
    args = argparse.Namespace(neurons=neurons, drive=11.0 * 10_000 / neurons if neurons < 10_000 else 11.0)
    with tempfile.TemporaryDirectory() as name:
        network, stages = brunel.quantized(args, *brunel.listed(neurons))
        image = brunel.built(network, Path(name), stages)
        plain = s2nir.run(image, steps)
        event_run(image, 2)
        rows = {}
        for what, options in {
            "FIFO of 512": {"fifo": 512}, "FIFO of 512, overwrite": {"fifo": 512, "overflow": "overwrite"},
            "FIFO of 512, stall": {"fifo": 512, "overflow": "stall"}, "no bound": {}, "no bound, tick of 6 ms":
            {"tick": 6e-3},
        }.items():
            began = time.perf_counter()
            found = s2nir.run(image, steps, timing=s2nir.EventTiming(**{"fifo": ENDLESS} | options))
            seconds = time.perf_counter() - began  # of a whole run; what the image needs for it was made before
            q = found.queueing
            same = all(np.array_equal(a, b) for a, b in zip(found.events[0], plain.events[0], strict=True))
            print(f"Brunel, {neurons:,} neurons, {steps} ms, {what}: {q.to_dict()['events'] / seconds / 1e6:.2f} M "
                  f"events/s\n{q}\n  the spikes of run: {same}", flush=True)
            rows[what] = {"seconds": seconds, "same": same, "spikes": int(found.events[0][0].size), **q.to_dict()}
        cores = sum(c.application != "spike_list" for c in image.cores)
    model = timing(plain)
    return {"neurons": neurons, "steps": steps, "cores": cores, "model_overrun": model.overrun,
            "model_over_fifo": model.lost, "model_tick_s": model.shortest_tick_s._asdict(), "runs": rows}


if __name__ == "__main__":
    main()
