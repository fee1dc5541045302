"""The network of an exported script on Brian2; run by benchmarks/export_brian2.py with the Python that has Brian2.

    python export_brian2_run.py SCRIPT SPIKES.npz OUT.npz

SPIKES.npz holds, for the k-th population of the script, rows (tick, neuron) that it sends. Each population of neurons
is run on NumPy in float64 with all of that given: what arrives, and where its membranes are reset. OUT.npz holds, for
each, the rows (tick, neuron) in which Brian2 finds V >= threshold, and by tick and neuron V - threshold and a bound on
what float32 may be off by: half a unit in the last place for each operation, carried on as V is.
"""

import runpy
import sys
import types
from pathlib import Path

import brian2 as b
import numpy as np

DT = 1 * b.ms
UNIT = 1.01 * 2.0**-24

MODEL = """
V : 1
I : 1
slot : 1
err : 1
err_I : 1
held : 1
free : 1
margin : 1
threshold : 1 (constant)
alpha : 1 (constant)
offset : 1 (constant)
syn : 1 (constant)
v_reset : 1 (constant)
"""
CURRENT = """
err_I = syn * err_I + unit * (abs(syn * I) + abs(syn * I + slot))
I = syn * I + slot
"""
PLAIN = """
I = slot
"""
STEP = """
free = int(held <= 0)
err = free * (alpha * err + err_I + unit * (abs(alpha * V) + abs(alpha * V + I) + abs(alpha * V + I + offset))) \
    + (1 - free) * err
V = free * (alpha * V + I + offset) + (1 - free) * V
held = held - (1 - free)
slot = 0
margin = free * (V - threshold) + (free - 1)
"""
NAMES = {"threshold": "threshold", "alpha": "alpha_decay", "offset": "i_offset", "v_reset": "v_reset", "V": "v_init"}
RESETS = {
    "reset_by_subtraction": "V_post = V_post - threshold_post\nerr_post = err_post + unit * abs(margin_post)",
    "reset_to_v_reset": "V_post = v_reset_post\nerr_post = 0",
}


class Part:
    """A call of py-spinnaker2, kept as it was made."""

    def __init__(self, *given, **named):
        self.given, self.named = given, named

    def set_max_atoms_per_core(self, n):
        """Of no matter here."""


class Network:
    def __init__(self, name):
        self.parts = []

    def add(self, *parts):
        self.parts += parts


def kinds():
    """The module `snn`, whose calls are kept."""
    snn = types.SimpleNamespace(Network=Network)
    for name in ("Population", "Projection", "Conv2DProjection"):
        setattr(snn, name, type(name, (Part,), {}))
    return snn


def synapses(projection):
    """Source and target population, and int64 (synapses, 4): source, target, weight, delay."""
    if type(projection).__name__ == "Projection":
        held = projection.named
        return held["pre"], held["post"], np.array(held["connections"], np.int64)
    pre, post, kernel, g = projection.given
    c_in, c_out, kh, kw = kernel.shape
    height, width, pool, stride = g["in_height"], g["in_width"], g["pool_x"], g["stride_x"]
    out_h = (height // pool + g["pad_top"] + g["pad_bottom"] - kh) // stride + 1
    out_w = (width // pool + g["pad_left"] + g["pad_right"] - kw) // stride + 1
    found = []
    for y, x in np.ndindex(height, width):
        for oy, ox in np.ndindex(out_h, out_w):
            ky, kx = y // pool + g["pad_top"] - oy * stride, x // pool + g["pad_left"] - ox * stride
            if 0 <= ky < kh and 0 <= kx < kw:
                i, o = (a.ravel() for a in np.indices((c_in, c_out)))
                w = kernel[i, o, ky, kx].astype(np.int64)
                found.append(np.stack([(i * height + y) * width + x, (o * out_h + oy) * out_w + ox, w, 0 * w], axis=1))
    table = np.concatenate(found)
    return pre, post, table[table[:, 2] != 0]


def sources(rows, size):
    """Neurons that spike as they are told to."""
    return b.SpikeGeneratorGroup(size, rows[:, 1], rows[:, 0] * DT, dt=DT, sorted=False)


def run(p, into, own, ticks):
    """Crossings (tick, neuron), V - threshold and its bound (ticks, neurons) of one population.

    into : (sources' size, rows that they send, synapses) of each projection; own : rows in which it is reset
    """
    size, params = p.named["size"], p.named["params"]
    unit = {"unit": UNIT}
    cells = b.NeuronGroup(size, MODEL, threshold="margin >= 0", reset="", method="euler", dt=DT, namespace=unit)
    for ours, theirs in NAMES.items():
        setattr(cells, ours, np.asarray(params[theirs], np.float32).astype(float))
    current = "exc_decay" in params
    cells.syn = np.asarray(params.get("exc_decay", 0.0), np.float32).astype(float)
    cells.run_regularly((CURRENT if current else PLAIN) + STEP, dt=DT, when="groups")
    parts = [cells]
    for n, rows, table in into:
        before = sources(rows, n)
        way = b.Synapses(before, cells, "w : 1 (constant)", on_pre="slot_post += w", delay=None, dt=DT)
        way.connect(i=table[:, 0], j=table[:, 1])
        way.w, way.delay = table[:, 2], table[:, 3] * DT
        parts += [before, way]
    forced = sources(own, size)
    on_pre = RESETS[params["reset"]] + f"\nheld_post = {params.get('t_refrac', 0)}"
    resets = b.Synapses(forced, cells, on_pre=on_pre, dt=DT, namespace=unit)
    resets.connect(j="i")
    spikes = b.SpikeMonitor(cells)
    seen = b.StateMonitor(cells, ("margin", "err"), record=True, dt=DT, when="after_groups")
    b.Network(*parts, forced, resets, spikes, seen).run(ticks * DT)
    crossed = np.stack([np.rint(np.asarray(spikes.t / DT)).astype(np.int64), np.asarray(spikes.i)], axis=1)
    return crossed, np.asarray(seen.margin).T, np.asarray(seen.err).T


def main():
    b.prefs.codegen.target = "numpy"
    script, given, out = sys.argv[1:]
    space = runpy.run_path(script, run_name="script")
    with np.load(Path(script).with_suffix(".npz"), allow_pickle=False) as data:
        net, populations = space["network"](kinds(), data)
    with np.load(given) as held:
        sent = {name: held[f"sent{k}"] for k, name in enumerate(populations)}
    name_of = {id(p): name for name, p in populations.items()}
    ways = [synapses(q) for q in net.parts if not isinstance(q, type(next(iter(populations.values()))))]
    found = {}
    for k, (name, p) in enumerate(populations.items()):
        if p.named["neuron_model"] == "spike_list":
            continue
        into = [(q.named["size"], sent[name_of[id(q)]], table) for q, post, table in ways if post is p]
        crossed, margin, err = run(p, into, sent[name], space["TICKS"])
        found |= {f"crossed{k}": crossed, f"margin{k}": margin, f"bound{k}": err}
    np.savez(out, **found)


if __name__ == "__main__":
    main()
