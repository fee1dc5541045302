"""Brunel's network on Brian2, from a connection list: `python brunel_brian2.py FOLDER SEED TARGET [float32]`.

TARGET is cpp_standalone or cython; figures as JSON on the last line. FOLDER holds list.npz (source, target, weight) and
net.json; spikes go to brian2.npz (step, neuron). The membrane is stepped in discrete time, as on the other sides: what
arrives is added after the decay, and a neuron in its refractory time hears nothing.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import brian2 as b
import numpy as np

folder, seed, target = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
net = json.loads((folder / "net.json").read_text())
began = time.perf_counter()
if sys.argv[4:] == ["float32"]:
    b.prefs.core.default_float_dtype = np.float32
work = tempfile.TemporaryDirectory()
if target == "cpp_standalone":
    b.set_device("cpp_standalone", build_on_run=False, directory=work.name)
else:
    b.prefs.codegen.target = target
b.defaultclock.dt = 1 * b.ms
b.seed(seed + 1)
names = dict(alpha=float(np.exp(-1 / net["tau"])), theta=net["threshold"], lam=net["drive"], j=net["drive_weight"])
cells = b.NeuronGroup(net["neurons"], "v : 1\nx : 1", threshold="v >= theta", reset="v = 0",
                      refractory=(net["refractory"] + 1) * b.ms, namespace=names)
cells.run_regularly("v = (alpha * v + x + j * poisson(lam)) * int(not_refractory)\nx = 0", dt=1 * b.ms, when="groups",
                    order=1)
with np.load(folder / "list.npz") as held:
    source, to, weight = (held[n] for n in ("source", "target", "weight"))
synapses = b.Synapses(cells, cells, "w : 1", on_pre="x_post += w")
synapses.connect(i=source, j=to)
synapses.w = weight.astype(np.float64)
monitor = b.SpikeMonitor(cells)
all_ = b.Network(cells, synapses, monitor)
all_.run(net["warm"] * b.ms)
built = time.perf_counter() - began
began = time.perf_counter()
all_.run(net["steps"] * b.ms)
ran = time.perf_counter() - began
if target == "cpp_standalone":
    b.device.build(directory=work.name, compile=True, run=True, with_output=False)
    ran = b.device._last_run_time  # of the last call of run, as the program itself takes it
    built = time.perf_counter() - began - ran
np.savez(folder / "brian2.npz", step=np.rint(monitor.t / b.ms).astype(np.int64), neuron=np.array(monitor.i))
print(json.dumps(dict(seconds=ran, built=built, version=b.__version__)))
