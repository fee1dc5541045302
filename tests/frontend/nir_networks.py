"""Small networks that tests of the frontend share."""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np

SHARED = Path(__file__).parents[2].parent / "shared"
MODELS = SHARED / "models"
DT = 1e-4


def lif(n, **changes):
    given = {"tau": np.full(n, 2e-3), "r": np.ones(n), "v_leak": np.zeros(n), "v_threshold": np.ones(n)}
    return nir.LIF(**{**given, **changes})


def cuba(n, **changes):
    given = {
        "tau_mem": np.full(n, 2e-3),
        "tau_syn": np.full(n, 1e-3),
        "r": np.full(n, 20.0),
        "v_leak": np.zeros(n),
        "v_threshold": np.ones(n),
        "w_in": np.full(n, 10.0),
    }
    return nir.CubaLIF(**{**given, **changes})


def integrate(*shape, cls=nir.IF):
    return nir.I(np.ones(shape)) if cls is nir.I else nir.IF(np.ones(shape), np.ones(shape))


def graph(nodes, edges, **more):
    """Not checked by nir, which would mend (or spoil) what a test is about."""
    return nir.NIRGraph(nodes=nodes, edges=edges, type_check=False, **more)


def line(*nodes):
    """Nodes in a row between an Input named "in" and an Output named "out" (both given as shapes)."""
    first, *inner, last = nodes
    named = {
        "in": nir.Input(np.array(first)),
        **{f"n{i}": n for i, n in enumerate(inner)},
        "out": nir.Output(None if last is None else np.array(last)),
    }
    names = list(named)
    return graph(named, list(pairwise(names)))


def convolutional(seed=0):
    """2x8x8 -> conv -> IF -> pool, conv -> LIF -> flatten, affine -> LIF with a recurrence."""
    rng = np.random.default_rng(seed)
    nodes = {
        "in": nir.Input(np.array([2, 8, 8])),
        "c1": nir.Conv2d((8, 8), rng.normal(size=(3, 2, 3, 3)), (1, 1), (1, 1), (1, 1), 1, rng.normal(size=3)),
        "s1": nir.IF(np.ones((3, 8, 8)), np.ones((3, 8, 8))),
        "p": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "c2": nir.Conv2d((4, 4), rng.normal(size=(4, 3, 3, 3)), (1, 1), (1, 1), (1, 1), 1, np.zeros(4)),
        "s2": lif((4, 4, 4)),
        "f": nir.Flatten({"input": np.array([4, 4, 4])}, 0, -1),
        "a": nir.Affine(rng.normal(size=(5, 64)), rng.normal(size=5)),
        "s3": lif(5),
        "rec": nir.Linear(rng.normal(size=(5, 5))),
        "out": nir.Output(np.array([5])),
    }
    names = ["in", "c1", "s1", "p", "c2", "s2", "f", "a", "s3", "out"]
    return graph(nodes, [*pairwise(names), ("s3", "rec"), ("rec", "s3")])


def nested(seed=0):
    """A current-based layer with its recurrence in a graph of its own, behind a delay."""
    rng = np.random.default_rng(seed)
    inner = graph(
        {
            "input": nir.Input(np.array([6])),
            "lif": cuba(6),
            "w": nir.Linear(rng.normal(size=(6, 6))),
            "output": nir.Output(np.array([6])),
        },
        [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")],
    )
    return graph(
        {
            "in": nir.Input(np.array([4])),
            "d": nir.Delay(np.full(4, 3 * DT)),
            "fc": nir.Affine(rng.normal(size=(6, 4)), rng.normal(size=6)),
            "sub": inner,
            "scale": nir.Scale(np.full(6, 0.5)),
            "last": nir.LI(np.full(6, 2e-3), np.ones(6), np.zeros(6)),
            "out": nir.Output(np.array([6])),
        },
        [("in", "d"), ("d", "fc"), ("fc", "sub"), ("sub", "scale"), ("scale", "last"), ("last", "out")],
    )
