"""Every neuron of NIR: its recursion against the equations, written out here once more."""

import math

import nir
import numpy as np
import pytest

from frontend import nir_networks as networks
from s2nir.errors import ContractError, LoadError, S2NirWarning, UnsupportedError
from s2nir.frontend import load
from s2nir.graph import Reset

DT, N = 1e-3, 4
RNG = np.random.default_rng(11)
P = {
    k: RNG.uniform(*v, N)
    for k, v in {
        "tau": (3e-3, 2e-2),
        "tau_mem": (3e-3, 2e-2),
        "tau_syn": (2e-3, 9e-3),
        "r": (1, 4),
        "v_leak": (-0.1, 0.2),
        "w_in": (1, 3),
        "v_threshold": (0.4, 0.8),
    }.items()
}


def make(kind, **changes):
    names = {
        "LIF": "tau r v_leak v_threshold",
        "LI": "tau r v_leak",
        "IF": "r v_threshold",
        "I": "r",
        "CubaLIF": "tau_syn tau_mem r v_leak v_threshold w_in",
        "CubaLI": "tau_syn tau_mem r v_leak w_in",
    }
    return getattr(nir, kind)(**{**{k: P[k] for k in names[kind].split()}, **changes})


def by_hand(kind, x, reset, exact):
    """Voltages and spikes, by the table of the design."""
    share = (lambda tau: 1 - np.exp(-DT / tau)) if exact else (lambda tau: DT / tau)
    v, i, volts, spikes = np.zeros(N), np.zeros(N), [], []
    for row in x:
        if kind in ("CubaLIF", "CubaLI"):
            i = (1 - share(P["tau_syn"])) * i + share(P["tau_syn"]) * P["w_in"] * row
            a = share(P["tau_mem"])
            v = (1 - a) * v + a * P["r"] * i + a * P["v_leak"]
        elif kind in ("LIF", "LI"):
            a = share(P["tau"])
            v = (1 - a) * v + a * P["r"] * row + a * P["v_leak"]
        else:
            v = v + P["r"] * row
        s = v > P["v_threshold"] if kind in ("LIF", "IF", "CubaLIF") else np.zeros(N, bool)
        v = np.where(s, v - P["v_threshold"] if reset == "subtract" else 0.0, v)
        volts.append(v)
        spikes.append(s)
    return np.array(volts), np.array(spikes)


@pytest.mark.parametrize("kind", ["LIF", "IF", "CubaLIF", "LI", "I", "CubaLI"])
@pytest.mark.parametrize("integrator", ["euler", "exponential"])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_recursion(kind, integrator, reset):
    x = RNG.uniform(0, 1, (60, N))
    graph = load(networks.line((N,), make(kind), (N,)), dt=DT, reset=reset, integrator=integrator)
    trace = graph.simulate(x, record=("spikes", "voltages"))
    volts, spikes = by_hand(kind, x, reset, integrator == "exponential")
    np.testing.assert_allclose(trace.voltages["n0"][0], volts, atol=1e-12)
    if kind in ("LIF", "IF", "CubaLIF"):
        assert spikes.any()
        assert (trace.spikes["n0"][0] == spikes).all()
    assert graph["n0"].node == kind


def test_threshold_alone_forgets():
    graph = load(networks.line((3,), nir.Threshold(np.array([0.5, 1, 2.0])), (3,)))
    assert graph["n0"].reset is Reset.NONE
    spikes = graph.simulate(np.array([[1.0, 1, 1], [0, 1.5, 3]])).spikes["n0"][0]
    assert spikes.tolist() == [[1, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize("kind", ["LI", "CubaLI", "I"])
def test_integrator_and_threshold_are_one_population(kind):
    line = networks.line((N,), make(kind), nir.Threshold(P["v_threshold"]), nir.Linear(np.ones((2, N))), None)
    graph = load(line, dt=DT)
    assert (graph["n1"].node, graph["n1"].reset) == (kind, Reset.NONE)
    assert [p.name for p in graph.populations] == ["in", "n1", "n2"]
    x = RNG.uniform(0, 1, (30, N))
    volts, _ = by_hand(kind, x, "none", False)
    assert (graph.simulate(x).spikes["n1"][0] == (volts > P["v_threshold"])).all()


@pytest.mark.parametrize(
    "after",
    [[nir.Linear(np.ones((2, N)))], [networks.integrate(N)], [nir.Linear(np.ones((2, N))), networks.integrate(2)]],
)
def test_a_number_does_not_travel(after):
    with pytest.raises(UnsupportedError, match=r"n0.LI: sends a number that is not a spike to n1") as error:
        load(networks.line((N,), make("LI"), *after, None), dt=DT, reset="zero")
    assert error.value.rule == "graded-signal"


def test_scalars_are_spread_over_what_comes():
    node = nir.LIF(np.array(2e-3), np.array(1.0), np.array(0.0), np.array(0.5))
    graph = load(networks.line((2, 3, 3), node, (2, 3, 3)), dt=DT, reset="zero")
    assert graph["n0"].shape == (2, 3, 3)
    mixed = networks.lif(4)
    mixed.tau = 2e-3
    mixed.v_threshold = [1, 1, 1, 2]
    mixed.r = np.int64(1)
    assert load(networks.line((4,), mixed, (4,)), dt=DT, reset="zero")["n0"].threshold.tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tau", np.array([1e-3, 0, 1e-3]), r"n0.LIF.tau: value must be greater than 0 \(found 0\)"),
        ("tau", np.full(3, -1.0), r"n0.LIF.tau: value must be greater than 0 \(found -1\)"),
        ("r", np.array([1, np.nan, 1]), r"n0.LIF.r: found nan at index \(1,\)"),
        ("v_leak", np.full(2, 0.0), r"parameters differ in shape .*v_leak \(2,\)"),
        ("v_threshold", np.array([1j] * 3), "dtype complex128.*needed numbers"),
        ("v_threshold", None, "n0.LIF.v_threshold: is missing"),
        ("r", "much", "n0.LIF.r: found str 'much'"),
    ],
)
def test_bad_parameters_are_named(field, value, message):
    node = networks.lif(3)
    setattr(node, field, value)
    with pytest.raises(LoadError, match=message):
        load(networks.line((3,), node, (3,)), dt=1e-4, reset="zero")


def test_euler_refuses_a_dt_above_tau_and_takes_an_equal_one():
    line = networks.line((3,), networks.lif(3), (3,))
    assert load(line, dt=2e-3, reset="zero")["n0"].decay == 0
    with pytest.raises(ContractError, match=r"n0.LIF.tau: dt = 0.003 s is larger .*exponential"):
        load(line, dt=3e-3, reset="zero")
    assert math.isclose(float(load(line, dt=3e-3, reset="zero", integrator="exponential")["n0"].decay), math.exp(-1.5))


def test_v_reset_belongs_to_to_value():
    node = networks.lif(3, v_reset=np.array([0, 0.1, 0.2]))
    line = networks.line((3,), node, (3,))
    assert load(line, dt=1e-4, reset="to_value")["n0"].v_reset.tolist() == [0, 0.1, 0.2]
    with pytest.raises(ContractError, match=r'n0: reset "zero" was asked, .*Pass reset="to_value"'):
        load(line, dt=1e-4, reset="zero")
    with pytest.warns(S2NirWarning, match=r"n0.LIF.v_reset: 0..0.2 is not used"):
        assert load(line, dt=1e-4, reset="subtract")["n0"].v_reset == 0
