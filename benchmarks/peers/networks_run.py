"""A trained spiking network on a library: `python networks_run.py LIBRARY FOLDER RUNS BATCH...`; JSON on the last line.

LIBRARY : snntorch, norse, sinabs, spikingjelly, or torch: the law alone, written out. FOLDER holds net.npz (layers, see
benchmarks/networks.py) and input.npz (x, uint8 (recordings, steps, ...)). Each library runs it in its own neurons,
without gradients, on one thread, the way its documentation has it: weights over all steps at once where it can (all
but snntorch, which loops over steps). Given are seconds per recording by batch, the median of RUNS after one run that
is not counted, and the spikes of each layer.

The law, one step: I = synapse I + input + recurrent spikes (where there is a synapse or recurrence); V = decay V + I;
a spike where V passes the threshold, which is then subtracted: at once, or late, with the next step's decay, which is
an immediate subtraction of threshold / decay. Libraries that weigh their input differently have scaled thresholds.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

CHUNK = 20  # steps that are compiled together
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


def subtracted(layer: dict) -> float:
    """What a spike takes from the membrane at once, for a late reset too."""
    return layer["threshold"] / layer["decay"] if layer["late"] else layer["threshold"]


def torch_() -> tuple:
    parts = [Steps(synapses(layer)) for layer in layers]

    def run(x, seen=None):
        for part, layer in zip(parts, layers, strict=True):
            x, out = part(x), []
            v = i = z = torch.zeros_like(x[0])
            for now in x:
                if layer["recurrent"]:
                    now = now + nn.functional.linear(z, arrays[layer["recurrent"]])
                i = now if layer["synapse"] is None else layer["synapse"] * i + now
                v = layer["decay"] * v + i
                z = (v > layer["threshold"]).float()
                v = v - z * subtracted(layer)
                out.append(z)
            x = torch.stack(out)
            if seen is not None:
                seen.append(x)

    return run, torch.__version__


def snntorch_() -> tuple:
    """A late reset is snnTorch's own; an immediate one is made here: RSynaptic has none, and others take longer for it.
    Membranes are cleared one by one, since `utils.reset` leaves RSynaptic its last spikes."""
    import snntorch as snn

    parts = []
    for layer in layers:
        options = dict(beta=layer["decay"], threshold=layer["threshold"], init_hidden=True,
                       reset_mechanism="subtract" if layer["late"] else "none")
        if layer["recurrent"]:
            weight = arrays[layer["recurrent"]]
            neuron = snn.RSynaptic(alpha=layer["synapse"] or 0.0, linear_features=len(weight), **options)
            neuron.recurrent.weight.data = weight
            neuron.recurrent.bias.data.zero_()
        elif layer["synapse"] is not None:
            neuron = snn.Synaptic(alpha=layer["synapse"], **options)
        else:
            neuron = snn.Leaky(**options)
        parts.append((nn.Sequential(*synapses(layer)), neuron, layer["late"], layer["threshold"]))

    def run(x, seen=None):
        for _, neuron, *_ in parts:
            neuron.reset_mem()
        for now in x:
            for inputs, neuron, late, threshold in parts:
                now = neuron(inputs(now))
                if not late:
                    neuron.mem = neuron.mem - now * threshold
                if seen is not None:
                    seen.append(now)

    return run, snn.__version__


def spikingjelly_() -> tuple:
    import importlib.metadata

    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.layer import LinearRecurrentContainer

    class Late(neuron.SimpleLIFNode):
        def neuronal_reset(self, spike):
            self.v = self.v - spike * self.subtracted

    def node(layer: dict):
        threshold = dict(v_threshold=layer["threshold"], v_reset=None)
        if layer["late"]:
            made = Late(1 / (1 - layer["decay"]), False, layer["threshold"], 0.0)
            made.subtracted = subtracted(layer)
            return made
        if layer["synapse"] is not None or layer["recurrent"]:
            return neuron.CUBALIFNode(layer["synapse"] or 0.0, layer["decay"], **threshold)
        if layer["decay"] == 1.0:
            return neuron.IFNode(**threshold)
        return neuron.LIFNode(tau=1 / (1 - layer["decay"]), decay_input=False, **threshold)

    parts = []
    for layer in layers:
        made = node(layer)
        if layer["recurrent"]:
            weight = arrays[layer["recurrent"]]
            made = LinearRecurrentContainer(made, len(weight), len(weight), bias=False)
            made.rc.weight.data = torch.cat([torch.eye(len(weight)), weight], dim=1)
        made.step_mode = "m"
        parts += [Steps(synapses(layer)), made]
    net = nn.Sequential(*parts).eval()

    def run(x, seen=None):
        functional.reset_net(net)
        for part in net:
            x = part(x)
            if seen is not None and not isinstance(part, Steps):
                seen.append(x)

    return run, importlib.metadata.version("spikingjelly")


def sinabs_() -> tuple:
    """Its synapse decays what arrives too, so that its membranes and thresholds are smaller by that decay. Layers are
    reset one by one, since `sinabs.reset_states` passes by those with recurrence."""
    import sinabs
    import sinabs.layers as sl

    parts = []
    for layer in layers:
        scale = 1.0 if layer["synapse"] is None else layer["synapse"]
        options = dict(spike_threshold=torch.tensor(scale * layer["threshold"]), spike_fn=sinabs.activation.SingleSpike,
                       reset_fn=sinabs.activation.MembraneSubtract(scale * subtracted(layer)))
        if layer["decay"] == 1.0:
            neuron = sl.IAF(**options)
        else:
            options.update(tau_mem=float(-1 / np.log(layer["decay"])), norm_input=False)
            if layer["synapse"] is not None:
                options.update(tau_syn=float(-1 / np.log(layer["synapse"])))
            if layer["recurrent"]:
                weight = arrays[layer["recurrent"]]
                connect = nn.Linear(len(weight), len(weight), bias=False)
                connect.weight.data = weight
                neuron = sl.LIFRecurrent(rec_connect=connect, **options)
            else:
                neuron = sl.LIF(**options)
        parts += [Steps(synapses(layer)), neuron]
    net = nn.Sequential(*parts)

    def run(x, seen=None):
        for part in net:
            if isinstance(part, Steps):
                x = part(x)
                continue
            part.reset_states()
            x = part(x.transpose(0, 1)).transpose(0, 1)
            if seen is not None:
                seen.append(x)

    return run, sinabs.__version__


def norse_() -> tuple:
    """Its boxes integrate V += a (input - V), so V and threshold are smaller by a = 1 - decay; where nothing decays,
    a is 2**-30, which float32 loses. IAF and LIF reset to a value, LIFBox as it is told. Compiled, as the notes of
    release 1.1 propose, CHUNK steps at once."""
    import importlib.metadata

    import torch._dynamo
    from norse.torch import LIBoxCell, LIBoxParameters, LIFBoxCell, LIFBoxParameters, SequentialState
    from norse.torch.functional.leaky_integrator_box import LIBoxState
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState

    torch._dynamo.config.recompile_limit = 1000

    class Boxes(nn.Module):
        def __init__(self, layer: dict) -> None:
            super().__init__()
            scale, cells = 1.0, []
            if layer["synapse"] is not None:
                scale = 1 - layer["synapse"]
                cells.append(LIBoxCell(LIBoxParameters(tau_mem_inv=torch.tensor(scale)), dt=1.0))
            a = max(1 - layer["decay"], 2.0**-30)
            cells.append(LIFBoxCell(LIFBoxParameters(
                tau_mem_inv=torch.tensor(a), v_th=torch.tensor(a * scale * layer["threshold"]), method="heaviside",
                v_reset=torch.tensor(a * scale * subtracted(layer)),
                reset_method=lambda z, v, reset, th: v - z * reset), dt=1.0))
            self.cells = SequentialState(*cells)
            self.recurrent = arrays[layer["recurrent"]] if layer["recurrent"] else None

        def forward(self, x, z, state):
            out = []
            for now in x:
                if self.recurrent is not None:
                    now = now + nn.functional.linear(z, self.recurrent)
                z, state = self.cells(now, state)
                out.append(z)
            return torch.stack(out), z, state

    parts = [(Steps(synapses(layer)), torch.compile(Boxes(layer)), layer["synapse"] is not None) for layer in layers]

    def run(x, seen=None):
        for inputs, boxes, synapse in parts:
            x, out = inputs(x), []
            z = torch.zeros_like(x[0])
            state = [*([LIBoxState(v=z)] if synapse else []), LIFBoxFeedForwardState(v=z)]
            for lo in range(0, len(x), CHUNK):
                now, z, state = boxes(x[lo : lo + CHUNK], z, state)
                out.append(now)
            x = torch.cat(out)
            if seen is not None:
                seen.append(x)

    return run, importlib.metadata.version("norse")


run, version = {"snntorch": snntorch_, "spikingjelly": spikingjelly_, "sinabs": sinabs_, "norse": norse_,
                "torch": torch_}[library]()
with torch.no_grad():
    first, spikes = x[:8], [0.0] * len(layers)
    for some in first.split(4):
        seen: list = []
        run(some.float().transpose(0, 1).contiguous(), seen)
        for k, s in enumerate(seen):
            spikes[k % len(layers)] += float(s.sum()) / len(first)
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
