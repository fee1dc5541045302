"""Brunel's network on NEST, from a connection list: `python brunel_nest.py FOLDER SEED`; JSON on the last line.

FOLDER holds list.npz (source, target, weight) and net.json; spikes go to nest.npz (step, neuron), from step 0 on.
"""

import json
import sys
import time
from pathlib import Path

import nest
import numpy as np

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
net = json.loads((folder / "net.json").read_text())
nest.set_verbosity("M_ERROR")
nest.ResetKernel()
nest.set(resolution=1.0, local_num_threads=1, rng_seed=seed + 1, print_time=False)
neuron = dict(C_m=1.0, E_L=0.0, V_th=net["threshold"], V_reset=0.0, V_m=0.0, I_e=0.0, tau_m=net["tau"],
              t_ref=net["refractory"])
cells = nest.Create("iaf_psc_delta", net["neurons"], params=neuron)
drive = nest.Create("poisson_generator", params=dict(rate=1e3 * net["drive"]))
recorder = nest.Create("spike_recorder")
began = time.perf_counter()
with np.load(folder / "list.npz") as held:
    source, target, weight = (held[n] for n in ("source", "target", "weight"))
first = cells[0].global_id
for lo in range(0, source.size, 1_000_000):
    some = slice(lo, lo + 1_000_000)
    n = source[some].size
    nest.Connect(first + source[some].astype(np.int64), first + target[some].astype(np.int64), "one_to_one",
                 dict(weight=weight[some].astype(np.float64), delay=np.ones(n)))
nest.Connect(drive, cells, "all_to_all", dict(weight=net["drive_weight"], delay=1.0))
nest.Connect(cells, recorder, "all_to_all", dict(delay=1.0))
nest.Simulate(float(net["warm"]))
built = time.perf_counter() - began
began = time.perf_counter()
nest.Simulate(float(net["steps"]))
ran = time.perf_counter() - began
found = recorder.events
np.savez(folder / "nest.npz", step=np.rint(found["times"]).astype(np.int64) - 1, neuron=found["senders"] - first)
print(json.dumps(dict(seconds=ran, built=built, version=nest.__version__)))
