"""Live snnTorch modules that tests of the bridge share, and how they are run."""

import numpy as np
import pytest

from s2nir.graph import synapses

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")
nn = torch.nn


def step(v):
    """A surrogate's forward in the dtype that comes: snnTorch's own return float32."""
    return (v > 0).to(v.dtype)


def neuron(kind="Leaky", beta=None, alpha=0.6, threshold=1.0, hidden=True, **options):
    options = dict(threshold=threshold, init_hidden=hidden, spike_grad=step) | options
    if kind.endswith("Synaptic"):
        options |= dict(alpha=alpha)
    if kind != "Lapicque" or beta is not None:
        options |= dict(beta=0.85 if beta is None else beta)
    return getattr(snn, kind)(**options)


def vector(*shape, low=0.5, high=0.95, seed=0):
    return torch.tensor(np.random.default_rng(seed).uniform(low, high, shape))


def drawn(module, seed=0, scale=1.0, bias=0.1):
    """The module in float64, its weights and statistics drawn anew."""
    rng = np.random.default_rng(seed)
    module = module.double()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
                fan = layer.weight[0].numel()
                layer.weight.copy_(torch.tensor(rng.normal(0.4 / fan**0.5, 1.5 * scale / fan**0.5, layer.weight.shape)))
                if layer.bias is not None:
                    layer.bias.copy_(torch.tensor(rng.normal(bias, 0.1, layer.bias.shape)))
            elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                for t, low, high in ((layer.running_mean, -0.3, 0.3), (layer.running_var, 0.4, 2.0)):
                    t.copy_(torch.tensor(rng.uniform(low, high, t.shape)))
                if layer.affine:
                    layer.weight.copy_(torch.tensor(rng.uniform(0.6, 1.4, layer.weight.shape)))
                    layer.bias.copy_(torch.tensor(rng.uniform(-0.1, 0.3, layer.bias.shape)))
    return module.eval()


def spikes_in(shape, steps=1000, seed=1, rate=0.4):
    return (np.random.default_rng(seed).random((steps, *shape)) < rate).astype(np.float64)


def is_neuron(module):
    return isinstance(module, snn.SpikingNeuron)


def run(module, x):
    """Spikes of every neuron of a one-step module, by path: uint8 (steps, *shape)."""
    neurons = {path or type(m).__name__: m for path, m in module.named_modules() if is_neuron(m)}
    heard = {name: [] for name in neurons}

    def recorder(rows):
        return lambda m, _, out: rows.append((out[0] if isinstance(out, tuple) else out)[0].numpy().astype(np.uint8))

    hooks = [m.register_forward_hook(recorder(heard[name])) for name, m in neurons.items()]
    with torch.no_grad():
        for row in torch.tensor(x)[:, None]:
            module(row)
    for hook in hooks:
        hook.remove()
    return {name: np.array(rows) for name, rows in heard.items()}


def equal(graph, module, x, low=0.01, high=0.99):
    """Not one spike differs in any population, and populations are neither silent nor busy all the time."""
    theirs = run(module, x)
    ours = graph.simulate(x).spikes
    assert set(theirs) == {p.name for p in graph.populations if p.spikes}
    for name, spikes in theirs.items():
        assert ours[name].shape[1:] == spikes.shape
        assert low < spikes.mean() < high, (name, spikes.mean())
        assert int((ours[name][0] != spikes).sum()) == 0, (name, int((ours[name][0] != spikes).sum()))


def differences(a, b, within=1e-12):
    """What differs between two Graphs, as sentences: but for Output names, "_" for a dot, gains that went into weights
    and biases, and whether a connection is sparse."""
    one, two = (_plain(g) for g in (a, b))
    found = [f"{key}: {one.get(key)} and {two.get(key)}" for key in sorted(set(one) ^ set(two), key=str)]
    for key in set(one) & set(two):
        close = one[key] == two[key] if isinstance(one[key], tuple) else np.allclose(one[key], two[key], 0, within)
        if not close:
            found.append(f"{key}: {one[key]} and {two[key]}")
    return found


def _plain(graph):
    """Everything that makes a Graph run, by name."""
    name = {p.name: p.name.replace(".", "_") for p in graph.populations}
    found = {"outputs": tuple(sorted(name[n] for n in graph.outputs.values()))}
    for p in graph.populations:
        found[name[p.name]] = (p.node, p.shape, p.reset, p.reset_late, p.compare, p.refractory)
        if p.is_input:
            continue
        gain = p.full("gain") * (p.full("syn_gain") if p.current_based else 1)
        found[name[p.name], "bias"] = gain * p.full("bias") + p.full("constant")
        for key in ("decay", "syn_decay", "threshold", "v_reset"):
            if getattr(p, key) is not None:
                found[name[p.name], key] = p.full(key)
        for q in graph.into(p.name):
            source, target, weight, _ = synapses(q.connection)
            full = np.zeros((q.connection.sources, q.connection.targets))
            full[source, target] = weight
            way = (name[q.source], name[p.name], q.delay)
            found[way] = found.get(way, 0) + full * gain
    return found
