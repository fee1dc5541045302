"""The cortical microcircuit on NEST, from a list of synapses: `python microcircuit_nest.py FOLDER SEED`; JSON on the
last line.

FOLDER holds source.npy, target.npy, weight.npy, delay.npy and net.json; spikes go to nest.npz (step, neuron). The
capacitance is chosen so that a current of 1 moves the membrane by 1 in its step, as on the other sides.
"""

import json
import sys
import time
from pathlib import Path

import nest
import numpy as np

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
net = json.loads((folder / "net.json").read_text())
dt, tau, tau_syn = net["dt"], net["tau"], net["tau_syn"]
nest.set_verbosity("M_ERROR")
nest.ResetKernel()
nest.set(resolution=dt, local_num_threads=1, rng_seed=seed + 1, print_time=False)
moved = tau * tau_syn / (tau - tau_syn) * (np.exp(-dt / tau) - np.exp(-dt / tau_syn))
neuron = dict(C_m=float(moved), E_L=0.0, V_th=net["threshold"], V_reset=0.0, V_m=0.0, I_e=0.0, tau_m=tau,
              tau_syn_ex=tau_syn, tau_syn_in=tau_syn, t_ref=net["refractory"] * dt)
began = time.perf_counter()
cells = nest.Create("iaf_psc_exp", sum(net["sizes"]), params=neuron)
recorder = nest.Create("spike_recorder")
first = cells[0].global_id
source, target, weight, delay = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in (
    "source", "target", "weight", "delay"))
for lo in range(0, source.size, 1_000_000):
    some = slice(lo, lo + 1_000_000)
    nest.Connect(first + source[some].astype(np.int64), first + target[some].astype(np.int64), "one_to_one",
                 dict(weight=weight[some].astype(np.float64), delay=dt * delay[some]))
at = 0
for size, rate in zip(net["sizes"], net["drive"], strict=True):
    drive = nest.Create("poisson_generator", params=dict(rate=rate))
    nest.Connect(drive, cells[at : at + size], "all_to_all", dict(weight=net["weight"], delay=dt))
    at += size
nest.Connect(cells, recorder, "all_to_all", dict(delay=dt))
nest.Simulate(dt * net["warm"])
built = time.perf_counter() - began
began = time.perf_counter()
nest.Simulate(dt * net["steps"])
ran = time.perf_counter() - began
found = recorder.events
np.savez(folder / "nest.npz", step=np.rint(found["times"] / dt).astype(np.int64) - 1, neuron=found["senders"] - first)
print(json.dumps(dict(seconds=ran, built=built, version=nest.__version__)))
