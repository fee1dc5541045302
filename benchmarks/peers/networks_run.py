"""A feed-forward spiking network on a library: `python networks_run.py LIBRARY FOLDER RUNS BATCH...`; JSON on the last
line.

LIBRARY : snntorch, norse, sinabs or spikingjelly. FOLDER holds net.npz (layers, see benchmarks/networks.py) and
input.npz (x, uint8 (recordings, steps, ...)). Each library runs it in its own neurons, without gradients, on one
thread, the way its documentation has it: convolutions over all steps at once where it can (norse, sinabs,
spikingjelly), a loop over steps where not (snntorch). Given are seconds per recording by batch, the fastest of
RUNS, and the spikes of each layer.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

library, folder, runs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
batches = [int(b) for b in sys.argv[4:]]
torch.set_num_threads(1)
with np.load(folder / "net.npz") as held:
    layers = json.loads(str(held["layers"]))
    arrays = {k: torch.from_numpy(held[k]).float() for k in held.files if k != "layers"}
x = torch.from_numpy(np.load(folder / "input.npz")["x"])


def synapses(layer: dict) -> list:
    """The linear part of a layer."""
    found = [nn.Flatten(1)] if layer["flatten"] else []
    weight = arrays[layer["weight"]]
    if layer["kind"] == "dense":
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    else:
        if layer["pool"]:
            found.append(nn.AvgPool2d(layer["pool"][:2], layer["pool"][2:], divisor_override=1))
        made = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], stride=layer["stride"],
                         padding=layer["padding"], bias=False)
    made.weight.data = weight
    return [*found, made]


class Steps(nn.Module):
    """Modules without time on (steps, batch, ...) at once."""

    def __init__(self, modules: list) -> None:
        super().__init__()
        self.inner = nn.Sequential(*modules)

    def forward(self, x):
        out = self.inner(x.flatten(0, 1))
        return out.unflatten(0, x.shape[:2])


def snntorch_() -> tuple:
    import snntorch as snn
    from snntorch import utils

    parts = []
    for layer in layers:
        parts += synapses(layer)
        parts.append(snn.Leaky(beta=layer["decay"], threshold=layer["threshold"], init_hidden=True,
                               reset_delay=layer["late"]))  # as it was trained: an immediate reset takes longer
    net = nn.Sequential(*parts)

    def run(x, seen=None):
        utils.reset(net)
        for now in x:
            for part in net:
                now = part(now)
                if seen is not None and isinstance(part, snn.Leaky):
                    seen.append(now)

    return run, snn.__version__


def spikingjelly_() -> tuple:
    import importlib.metadata

    from spikingjelly.activation_based import functional, neuron

    parts = []
    for layer in layers:
        parts.append(Steps(synapses(layer)))
        if layer["decay"] == 1.0:
            parts.append(neuron.IFNode(v_threshold=layer["threshold"], v_reset=None, step_mode="m"))
        else:
            parts.append(neuron.LIFNode(tau=1 / (1 - layer["decay"]), decay_input=False, v_threshold=layer["threshold"],
                                        v_reset=None, step_mode="m"))
    net = nn.Sequential(*parts)

    def run(x, seen=None):
        functional.reset_net(net)
        for part in net:
            x = part(x)
            if seen is not None and not isinstance(part, Steps):
                seen.append(x)

    return run, importlib.metadata.version("spikingjelly")


def sinabs_() -> tuple:
    import sinabs
    import sinabs.layers as sl

    parts = []
    for layer in layers:
        parts.append(Steps(synapses(layer)))
        if layer["decay"] == 1.0:
            parts.append(sl.IAF(spike_threshold=torch.tensor(layer["threshold"]),
                                spike_fn=sinabs.activation.SingleSpike))
        else:
            parts.append(sl.LIF(tau_mem=float(-1 / np.log(layer["decay"])), norm_input=False,
                                spike_threshold=torch.tensor(layer["threshold"]),
                                spike_fn=sinabs.activation.SingleSpike))
    net = nn.Sequential(*parts)

    def run(x, seen=None):
        sinabs.reset_states(net)
        for part in net:
            x = part(x) if isinstance(part, Steps) else part(x.transpose(0, 1)).transpose(0, 1)
            if seen is not None and not isinstance(part, Steps):
                seen.append(x)

    return run, sinabs.__version__


def norse_() -> tuple:
    import importlib.metadata

    from norse.torch import IAFCell, IAFParameters, LIFBoxCell, LIFBoxParameters

    parts = []
    for layer in layers:
        parts.append(Steps(synapses(layer)))
        if layer["decay"] == 1.0:
            parts.append(IAFCell(IAFParameters(v_th=torch.tensor(layer["threshold"]))))
        else:
            p = LIFBoxParameters(tau_mem_inv=torch.tensor(1e3 * (1 - layer["decay"])),
                                 v_th=torch.tensor(layer["threshold"]))
            parts.append(LIFBoxCell(p, dt=1e-3))

    def run(x, seen=None):
        for part in parts:
            if isinstance(part, Steps):
                x = part(x)
                continue
            state, out = None, []
            for now in x:
                now, state = part(now, state)
                out.append(now)
            x = torch.stack(out)
            if seen is not None:
                seen.append(x)

    return run, importlib.metadata.version("norse")


run, version = {"snntorch": snntorch_, "spikingjelly": spikingjelly_, "sinabs": sinabs_, "norse": norse_}[library]()
with torch.no_grad():
    seen: list = []
    some = x[: min(8, len(x))].float().transpose(0, 1).contiguous()
    run(some, seen)
    spikes = [0.0] * len(layers)
    for k, s in enumerate(seen):
        spikes[k % len(layers)] += float(s.sum()) / some.shape[1]
    took = {}
    for batch in batches:
        parts = [x[lo : lo + batch].float().transpose(0, 1).contiguous() for lo in range(0, len(x) - batch + 1, batch)]
        parts = parts[: max(1, 8 // batch)]
        run(parts[0])
        times = []
        for _ in range(runs):
            began = time.perf_counter()
            for part in parts:
                run(part)
            times.append((time.perf_counter() - began) / len(parts) / batch)
        took[batch] = statistics.median(times)
print(json.dumps(dict(seconds=took, spikes=spikes, version=version, torch=torch.__version__)))
