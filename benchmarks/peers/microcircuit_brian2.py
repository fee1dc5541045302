"""The cortical microcircuit on Brian2 (cpp_standalone), from a list of synapses: `python microcircuit_brian2.py FOLDER
SEED`; JSON on the last line.

FOLDER holds source.npy, target.npy, weight.npy, delay.npy and net.json; spikes go to brian2.npz (step, neuron). The
neurons are stepped in discrete time, as on the other sides: what arrives is added to the current after its decay.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import brian2 as b
import numpy as np

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
net = json.loads((folder / "net.json").read_text())
dt = net["dt"] * b.ms
began = time.perf_counter()
work = tempfile.TemporaryDirectory(dir=folder)
b.set_device("cpp_standalone", build_on_run=False, directory=work.name)
b.defaultclock.dt = dt
b.seed(seed + 1)
names = dict(alpha=float(np.exp(-net["dt"] / net["tau"])), beta=float(np.exp(-net["dt"] / net["tau_syn"])),
             theta=net["threshold"], j=net["weight"])
cells = b.NeuronGroup(sum(net["sizes"]), "v : 1\ni_syn : 1\nx : 1\nlam : 1 (constant)", threshold="v >= theta",
                      reset="v = 0", refractory=(net["refractory"] + 1) * dt, namespace=names)
cells.lam = np.repeat(np.array(net["drive"]) * net["dt"] * 1e-3, net["sizes"])
cells.run_regularly("i_syn = beta * i_syn + x + j * poisson(lam)\nv = (alpha * v + i_syn) * int(not_refractory)\nx = 0",
                    dt=dt, when="groups", order=1)
source, target, weight, delay = (np.load(folder / f"{n}.npy") for n in ("source", "target", "weight", "delay"))
synapses = b.Synapses(cells, cells, "w : 1", on_pre="x_post += w")
synapses.connect(i=source, j=target)
del source, target
synapses.w = weight.astype(np.float64)
synapses.delay = delay * dt
del weight, delay
monitor = b.SpikeMonitor(cells)
all_ = b.Network(cells, synapses, monitor)
all_.run(net["warm"] * dt)
all_.run(net["steps"] * dt)
b.device.build(directory=work.name, compile=True, run=True, with_output=False)
ran = b.device._last_run_time  # of the last call of run, as the program itself takes it
built = time.perf_counter() - began - ran
np.savez(folder / "brian2.npz", step=np.rint(monitor.t / dt).astype(np.int64), neuron=np.array(monitor.i))
print(json.dumps(dict(seconds=ran, built=built, version=b.__version__)))
