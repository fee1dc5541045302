"""The float run against snnTorch, against the differential equations, and against closed forms."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from s2nir.graph import Compare, Dense, Graph, Population, Projection, Reset, Sparse, apply, check, scatter
from s2nir.graph.connection import Conv, Pool

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

STEPS, N = 1000, 7


def one_population(population, projections=(), shape=(N,)):
    """A population driven one-to-one by real values."""
    g = Graph(
        dt=1e-3,
        populations=(Population(name="in", node="Input", shape=shape), population),
        projections=(Projection(source="in", target=population.name, connection=Dense(weight=np.eye(N))), *projections),
        outputs={"out": population.name},
    )
    assert list(check(g)) == []
    return g


def drive(seed, scale=0.5):
    rng = np.random.default_rng(seed)
    return rng.normal(0.15, scale, (STEPS, N)) * (rng.random((STEPS, N)) < 0.6)


def close(ours, theirs, threshold):
    bound = 1e-6 * np.maximum(np.abs(theirs), threshold)
    assert (np.abs(ours - theirs) <= bound).all()


RESETS = {  # module kind, mechanism, delay -> reset, late
    ("Leaky", "subtract", True): (Reset.SUBTRACT, True),
    ("Leaky", "subtract", False): (Reset.SNNTORCH_RESTORED, False),
    ("Leaky", "zero", True): (Reset.ZERO, False),  # spikes alike; the module shows the membrane before it is zeroed
    ("Leaky", "zero", False): (Reset.ZERO, False),
    ("Leaky", "none", True): (Reset.NONE, False),
    ("Synaptic", "subtract", True): (Reset.SUBTRACT, True),
    ("Synaptic", "subtract", False): (Reset.SNNTORCH_RESTORED, False),
    ("Synaptic", "zero", True): (Reset.ZERO, True),
    ("Synaptic", "none", True): (Reset.NONE, False),
    ("RLeaky", "subtract", True): (Reset.SUBTRACT, True),
    ("RLeaky", "zero", True): (Reset.ZERO, True),
    ("RLeaky", "none", True): (Reset.NONE, False),
    ("RSynaptic", "subtract", True): (Reset.SUBTRACT, True),
    ("RSynaptic", "zero", True): (Reset.ZERO, True),
}


@pytest.mark.parametrize(("kind", "mechanism", "delay"), RESETS)
def test_equal_to_snntorch(kind, mechanism, delay):
    reset, late = RESETS[kind, mechanism, delay]
    rng = np.random.default_rng(len(kind) + 10 * len(mechanism) + delay)
    beta, alpha, threshold = 0.9, 0.7, 0.8
    weight, bias = rng.normal(0, 0.3, (N, N)), rng.normal(0, 0.05, N)
    options = dict(threshold=threshold, reset_mechanism=mechanism, reset_delay=delay,
                   spike_grad=lambda v: (v > 0).to(v.dtype))
    recurrent = kind.startswith("R")
    if recurrent:
        options |= dict(all_to_all=True, linear_features=N)
    if kind.endswith("Synaptic"):
        options |= dict(alpha=alpha)
    module = getattr(snn, kind)(beta=beta, **options).double()
    for name in ("beta", "alpha", "threshold"):
        if hasattr(module, name):
            setattr(module, name, torch.tensor(float({"beta": beta, "alpha": alpha, "threshold": threshold}[name]),
                                               dtype=torch.float64))
    if recurrent:
        with torch.no_grad():
            module.recurrent.weight.copy_(torch.tensor(weight))
            module.recurrent.bias.copy_(torch.tensor(bias))
    x = drive(5)
    spikes, membranes = run_module(module, kind, x)
    population = Population(
        name="n", node="CubaLIF" if kind.endswith("Synaptic") else "LIF", shape=(N,), decay=beta, gain=1.0,
        constant=0.0, bias=bias if recurrent else 0.0, threshold=threshold, v_reset=0.0, reset=reset, reset_late=late,
        compare=Compare.GREATER, **(dict(syn_decay=alpha, syn_gain=1.0) if kind.endswith("Synaptic") else {}),
    )
    loops = (Projection(source="n", target="n", connection=Dense(weight=weight)),) if recurrent else ()
    trace = one_population(population, loops).simulate(x, record=("spikes", "voltages"))
    assert 100 < spikes.sum() < spikes.size
    assert int((trace.spikes["n"][0] != spikes).sum()) == 0
    if (kind, mechanism, delay) != ("Leaky", "zero", True):
        close(trace.voltages["n"][0], membranes, threshold)


def run_module(module, kind, x):
    state = [torch.zeros(N, dtype=torch.float64) for _ in range({"Leaky": 1, "Synaptic": 2, "RLeaky": 2,
                                                                 "RSynaptic": 3}[kind])]
    spikes, membranes = [], []
    with torch.no_grad():
        for row in torch.tensor(x):
            out = module(row, *state)
            state = list(out) if kind.startswith("R") else list(out[1:])
            spikes.append(out[0].numpy().copy())
            membranes.append(out[-1].numpy().copy())
    return np.array(spikes), np.array(membranes)


@pytest.mark.parametrize("node", ["LIF", "LI", "IF", "I"])
def test_equal_to_the_differential_equation(node):
    """Input held per step, reset at the end of a step; a solver of ODEs in between."""
    dt, tau, r, leak, threshold = 1e-3, 12e-3, 1.4, 0.2, 0.6
    leaky, spiking = node in ("LIF", "LI"), node in ("LIF", "IF")
    a = np.exp(-dt / tau) if leaky else 1.0
    parameters = dict(decay=a, gain=(1 - a) * r if leaky else r, constant=(1 - a) * leak if leaky else 0.0, bias=0.0)
    if spiking:
        parameters |= dict(threshold=threshold, v_reset=0.0, reset=Reset.SUBTRACT, compare=Compare.GREATER)
    x = drive(3, 1.5 if leaky else 0.3)[:, :N]
    trace = one_population(Population(name="n", node=node, shape=(N,), **parameters)).simulate(
        x, record=("spikes", "voltages"))

    def slope(_, v, row):
        return ((leak - v) + r * row) / tau if leaky else r * row / dt

    v, fired_ever = np.zeros(N), 0
    for t, row in enumerate(x):
        v = solve_ivp(slope, (0, dt), v, args=(row,), rtol=1e-11, atol=1e-13).y[:, -1]
        fired = (v > threshold) & spiking
        v = np.where(fired, v - threshold, v)
        fired_ever += fired.sum()
        if spiking:
            assert (trace.spikes["n"][0, t] == fired).all()
        close(trace.voltages["n"][0, t], v, threshold)
    assert fired_ever > 50 or not spiking


@pytest.mark.parametrize("node", ["CubaLIF", "CubaLI"])
@pytest.mark.parametrize("integrator", ["euler", "exponential"])
def test_equal_to_the_closed_form_of_the_recursion(node, integrator):
    """V as sums over all earlier inputs and spikes, without any recursion."""
    dt, tau_syn, tau_mem, r, w_in, leak, threshold = 1e-3, 5e-3, 20e-3, 1.3, 2.0, 0.1, 0.4
    if integrator == "euler":
        b, a, gs, gm = 1 - dt / tau_syn, 1 - dt / tau_mem, dt / tau_syn, dt / tau_mem
    else:
        b, a = np.exp(-dt / tau_syn), np.exp(-dt / tau_mem)
        gs, gm = 1 - b, 1 - a
    bias = np.linspace(-0.1, 0.2, N)
    parameters = dict(decay=a, gain=gm * r, constant=gm * leak, bias=bias, syn_decay=b, syn_gain=gs * w_in)
    if node == "CubaLIF":
        parameters |= dict(threshold=threshold, v_reset=0.0, reset=Reset.SUBTRACT, compare=Compare.GREATER)
    x = drive(9, 3.0)
    trace = one_population(Population(name="n", node=node, shape=(N,), **parameters)).simulate(
        x, record=("spikes", "voltages"))
    back = np.arange(STEPS)[:, np.newaxis] - np.arange(STEPS)
    lower = back >= 0
    power_b, power_a = np.where(lower, b ** np.maximum(back, 0), 0), np.where(lower, a ** np.maximum(back, 0), 0)
    current = power_b @ (gs * w_in * (x + bias))
    v = power_a @ (gm * r * current + gm * leak)
    if node == "CubaLIF":
        assert trace.spikes["n"].sum() > 50
        v = v - threshold * (power_a @ trace.spikes["n"][0].astype(float))
        ahead = v + threshold * trace.spikes["n"][0]
        assert ((ahead > threshold) == trace.spikes["n"][0]).all()
    close(trace.voltages["n"][0], v, threshold)


def test_refractory_holds_the_membrane_and_the_current_goes_on():
    p = Population(name="n", node="CubaLIF", shape=(N,), decay=1.0, gain=1.0, constant=0.0, bias=0.0, syn_decay=0.5,
                   syn_gain=1.0, threshold=1.0, v_reset=0.0, reset=Reset.ZERO, refractory=2)
    x = np.zeros((8, N))
    x[0] = 1.5
    trace = one_population(p).simulate(x, record=("spikes", "voltages"))
    assert trace.spikes["n"][0, :, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    # I is 1.5, .75, .375, .1875, ...: the second and third are lost on a held membrane
    assert trace.voltages["n"][0, :5, 0].tolist() == [0.0, 0.0, 0.0, 0.1875, 0.28125]


def test_events_and_matrices_give_the_same_sums():
    rng = np.random.default_rng(0)
    conv = Conv(weight=rng.normal(size=(4, 1, 3, 2)), in_shape=(2, 7, 6), out_shape=(4, 2, 3), stride=(1, 1),
                padding=(1, 1), groups=2, dilation=(2, 1), pool=Pool(size=(3, 2), stride=(2, 2), padding=(1, 0)))
    x = rng.poisson(0.3, (50, conv.sources)).astype(float)
    assert np.allclose(scatter(conv, x), apply(conv, x), rtol=0, atol=1e-12)
    sparse = Sparse(targets=3, start=[0, 2, 2, 3], target=[0, 2, 1], weight=[1.0, 2.0, 3.0], delay=[0, 0, 0])
    assert apply(sparse, np.array([[1.0, 5.0, 2.0]])).tolist() == [[1.0, 6.0, 2.0]]


def test_a_large_batch_in_pieces_is_the_same(monkeypatch):
    from s2nir.graph import simulate as front

    module = __import__("sys").modules[front.__module__]
    p = Population(name="n", node="LIF", shape=(N,), decay=0.9, gain=1.0, constant=0.0, bias=0.0, threshold=1.0,
                   v_reset=0.0, reset=Reset.SUBTRACT)
    x = np.stack([drive(i)[:50] for i in range(5)])
    g = one_population(p)
    whole = g.simulate(x, record=("spikes", "voltages"))
    monkeypatch.setattr(module, "HELD", 50 * N * 2)
    parts = g.simulate(x, record=("spikes", "voltages"))
    assert np.array_equal(whole.spikes["n"], parts.spikes["n"])
    assert np.array_equal(whole.voltages["n"], parts.voltages["n"])
