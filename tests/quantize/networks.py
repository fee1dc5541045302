"""Small Graphs by hand, for the tests of quantization, mapping and the emulator."""

import numpy as np

from s2nir.graph import Compare, Conv, Dense, Graph, Population, Projection, Reset, Sparse


def source(shape=(4,), name="in"):
    return Population(name=name, node="Input", shape=shape)


def lif(name, shape, **fields):
    """A population that spikes: by default decay 0.5, gain 1, threshold 1, reset by subtraction."""
    given = dict(node="LIF", decay=0.5, gain=1.0, constant=0.0, bias=0.0, threshold=1.0, v_reset=0.0,
                 reset=Reset.SUBTRACT)
    return Population(name=name, shape=shape, **(given | fields))


def cuba(name, shape, **fields):
    return lif(name, shape, **(dict(node="CubaLIF", syn_decay=0.5, syn_gain=1.0) | fields))


def readout(name, shape, **fields):
    given = dict(node="LI", decay=0.5, gain=1.0, constant=0.0, bias=0.0)
    return Population(name=name, shape=shape, **(given | fields))


def dense(source, target, weight, delay=0, via=("Linear",)):
    return Projection(source=source, target=target, connection=Dense(weight=np.asarray(weight, float)), delay=delay,
                      via=via)


def conv(source, target, weight, in_shape, out_shape, **fields):
    weight = np.asarray(weight, float)
    return Projection(source=source, target=target, via=("Conv2d",),
                      connection=Conv(weight=weight, in_shape=in_shape, out_shape=out_shape, **fields))


def sparse(source, target, entries, sources, targets, delay=0):
    """entries : (source, target, weight, delay) of each synapse."""
    entries = sorted(entries)
    s, t, w, d = (np.array(c) for c in zip(*entries, strict=True)) if entries else (np.zeros(0, int),) * 4
    start = np.concatenate([[0], np.cumsum(np.bincount(s, minlength=sources))])
    c = Sparse(targets=targets, start=start, target=t, weight=w.astype(float), delay=d)
    return Projection(source=source, target=target, connection=c, delay=delay, via=("Linear",))


def graph(populations, projections, outputs=None, **fields):
    outputs = {"out": populations[-1].name} if outputs is None else outputs
    return Graph(**({"dt": 1e-3} | fields), populations=tuple(populations), projections=tuple(projections),
                 outputs=outputs)


def one_layer(weight, target=None, **fields):
    """in -> a, dense."""
    weight = np.asarray(weight, float)
    target = target or lif("a", (weight.shape[0],), **fields)
    return graph([source((weight.shape[1],)), target], [dense("in", "a", weight)])


GREATER_EQUAL = Compare.GREATER_EQUAL
