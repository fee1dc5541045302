"""Small runs that the report is tested on."""

import functools
import warnings

import nir
import numpy as np

import s2nir
from s2nir.report import report

HOSTILE = '<script>alert("x")'
QUOTES = '"><img src=x onerror=alert(1)> & \x1b[2J\''


def two_layers(first="hidden", second="out", sources=6, hidden=9, outs=3, seed=1):
    """Input -> dense -> IF -> dense -> IF as a nir.NIRGraph."""
    rng = np.random.default_rng(seed)

    def affine(n_out, n_in):
        return nir.Affine(weight=rng.normal(0.15, 0.3, (n_out, n_in)), bias=np.zeros(n_out))

    def neurons(n):
        return nir.IF(r=np.ones(n), v_threshold=np.ones(n), v_reset=np.zeros(n))

    nodes = {
        "input": nir.Input(np.array([sources])), "fc1": affine(hidden, sources), first: neurons(hidden),
        "fc2": affine(outs, hidden), second: neurons(outs), "output": nir.Output(np.array([outs])),
    }
    return nir.NIRGraph(nodes=nodes, edges=list(zip(list(nodes), list(nodes)[1:], strict=False)))


def spikes(batch=3, steps=20, sources=6, rate=0.4, seed=2):
    return np.random.default_rng(seed).poisson(rate, (batch, steps, sources)).astype(np.uint8)


@functools.cache
def small(**names):
    """(deployment, fidelity, report with it) of the two layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        d = s2nir.deploy(two_layers(**names), spikes(), reset="subtract")
        f = s2nir.compare(d.graph, d.image, spikes())
    return d, f, report(d.recording, f)


@functools.cache
def readout():
    """A network that ends in membranes."""
    nodes = {
        "input": nir.Input(np.array([4])), "fc": nir.Linear(weight=np.eye(3, 4)),
        "li": nir.LI(tau=np.full(3, 0.01), r=np.ones(3), v_leak=np.zeros(3)), "output": nir.Output(np.array([3])),
    }
    graph = nir.NIRGraph(nodes=nodes, edges=[("input", "fc"), ("fc", "li"), ("li", "output")])
    return s2nir.deploy(graph, spikes(sources=4), dt=1e-3)


@functools.cache
def several(n=40):
    """A graph of `n` populations in a chain: more than the colours and the pictures that a page has."""
    nodes = {"input": nir.Input(np.array([2]))}
    for i in range(n):
        nodes[f"w{i:02}"] = nir.Linear(weight=np.eye(2))
        nodes[f"p{i:02}"] = nir.IF(r=np.ones(2), v_threshold=np.full(2, 0.5), v_reset=np.zeros(2))
    nodes["output"] = nir.Output(np.array([2]))
    graph = nir.NIRGraph(nodes=nodes, edges=list(zip(list(nodes), list(nodes)[1:], strict=False)))
    return s2nir.deploy(graph, spikes(sources=2), reset="zero")
