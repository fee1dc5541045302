"""What is inferred, given or refused, and that each entry says why."""

import nir
import numpy as np
import pytest

from frontend import nir_networks as networks
from s2nir.errors import ContractError, S2NirWarning
from s2nir.frontend import contract_report, load, to_nir
from s2nir.graph import Compare, Integrator, Loops, Reset


def two(tau1, r1, tau2, r2):
    a, b = (
        networks.lif(1, tau=np.array([tau1]), r=np.array([r1])),
        networks.lif(1, tau=np.array([tau2]), r=np.array([r2])),
    )
    return networks.line((1,), a, b, (1,))


@pytest.mark.parametrize(
    ("network", "dt"),
    [
        (two(2e-3, 2.0, 5e-3, 5.0), 1e-3),
        (two(2e-3, 20.0, 2e-3, 20.0), 1e-4),
        (two(2e-3, 2.0 * (1 + 4e-7), 5e-3, 5.0), 1e-3),
        (networks.line((1,), networks.cuba(1), (1,)), 1e-4),
    ],
)
def test_dt_that_the_file_proves(network, dt):
    graph = load(network, reset="zero")
    assert graph.dt == dt
    assert any(n.startswith("dt: ") and "tau / r is" in n for n in graph.notes)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (two(2e-3, 2.0, 2e-3, 2.0), "tau / r is 0.001 s, but one time constant proves nothing"),
        (two(2e-3, 2.0, 5e-3, 5.1), "tau / r differs between neurons"),
        (two(2e-3, -2.0, 5e-3, -5.0), "not above 0 everywhere"),
        (two(2e-3, 0.0, 5e-3, 5.0), "not above 0 everywhere"),
        (networks.line((1,), nir.Delay(np.ones(1)), networks.integrate(1), (1,)), "no neuron has a time constant"),
    ],
)
def test_dt_that_is_not_proven_is_asked_for(network, reason):
    with pytest.raises(ContractError, match=rf"dt: .*{reason}.* Pass dt= in seconds \(n0"):
        load(network, reset="zero")


def test_integrate_and_fire_needs_no_dt_and_takes_one():
    network = networks.line((1,), networks.integrate(1), (1,))
    assert load(network, reset="zero").dt is None
    assert load(network, reset="zero", dt=1e-3).dt == 1e-3


@pytest.mark.parametrize("dt", [0, -1, float("nan"), float("inf"), "fast", "1e-3", b"1", True, np.True_, [1e-3]])
def test_dt_is_a_time(dt):
    with pytest.raises(ContractError, match=r"dt: found .*, needed seconds above 0 as a number, such as 0\.001"):
        load(networks.line((1,), networks.integrate(1), (1,)), reset="zero", dt=dt)


@pytest.mark.parametrize("dt", [np.float32(0.5), np.float64(0.5), np.array(0.5), np.int64(1), 1])
def test_dt_of_any_type_of_number(dt):
    assert load(networks.line((1,), networks.integrate(1), (1,)), reset="zero", dt=dt).dt == float(dt)


def test_a_dt_against_what_the_file_proves_is_warned_of():
    for network, proven in ((two(2e-3, 2.0, 5e-3, 5.0), "0.001"), (two(2e-3, 20.0, 2e-3, 20.0), "0.0001")):
        said = rf"the file proves dt = {proven} s \(tau / r is .*\); 0\.0002 s is taken because dt= says so"
        with pytest.warns(S2NirWarning, match=said):
            graph = load(network, reset="zero", dt=2e-4)
        assert graph.dt == 2e-4
        report = contract_report(network, reset="zero", dt=2e-4)
        entry = next(e for e in report.entries if e.item == "dt")
        assert (entry.value, entry.reason[:67]) == (
            "0.0002 s", f"passed as dt=, against the file, which proves {proven} s: tau / r is {proven}"[:67])
        assert any("decays and gains change" in n for n in report.notes)


def test_a_dt_that_agrees_or_that_nothing_speaks_against_is_not_warned_of():
    load(two(2e-3, 2.0, 5e-3, 5.0), reset="zero", dt=1e-3 * (1 + 5e-7))
    load(two(2e-3, 2.0, 2e-3, 2.0), reset="zero", dt=2e-4)  # one time constant proves nothing
    load(networks.line((1,), networks.integrate(1), (1,)), reset="zero", dt=2e-4)


def test_what_several_populations_lack_is_said_once_in_the_order_of_the_data():
    names = ["1", "3", "5", "8", "10", "12"]
    nodes = {"in": nir.Input(np.array([1])), **{n: networks.integrate(1) for n in names}}
    chain = [*nodes, "out"]
    network = networks.graph({**nodes, "out": nir.Output(np.array([1]))}, list(zip(chain, chain[1:], strict=False)))
    with pytest.raises(ContractError) as found:
        load(network)
    said = str(found.value)
    assert said.startswith("1, 3, 5, 8, 10, 12 reset: NIR does not say what a spike does to the membrane. Pass reset=")
    assert said.count("NIR does not say") == 1
    assert all(f'"{r.value}"' in said for r in Reset)
    assert "(--reset on the command line)" in said
    assert [e.item for e in contract_report(network).missing] == [f"{n} reset" for n in names]
    with pytest.raises(ContractError, match="1, 5, 8, 10, 12 reset: NIR"):
        load(network, reset={"3": "zero"})


def test_many_populations_are_counted():
    network = networks.line((1,), *[networks.integrate(1) for _ in range(15)], (1,))
    with pytest.raises(ContractError, match=r"^n0, n1, n2, .*n9, n10, n11 and 3 more reset: NIR"):
        load(network)


def test_the_word_that_was_meant_is_named():
    with pytest.raises(ContractError, match=r"found 'substract', allowed are .*; did you mean 'subtract'\?"):
        load(networks.line((1,), networks.integrate(1), (1,)), reset="substract")


def test_resets_by_population_and_by_enum():
    network = networks.line((1,), networks.integrate(1), networks.integrate(1), (1,))
    graph = load(network, reset={"n0": "subtract", "n1": Reset.ZERO}, reset_late={"n0": True}, compare={"n1": ">="})
    assert (graph["n0"].reset, graph["n0"].reset_late, graph["n0"].compare) == (Reset.SUBTRACT, True, Compare.GREATER)
    assert (graph["n1"].reset, graph["n1"].reset_late, graph["n1"].compare) == (
        Reset.ZERO,
        False,
        Compare.GREATER_EQUAL,
    )
    with pytest.raises(ContractError, match="n1 reset: NIR does not say"):
        load(network, reset={"n0": "zero"})
    with pytest.raises(ContractError, match="reset: 'n7' is no population that spikes; there are n0, n1"):
        load(network, reset={"n7": "zero"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("reset", "hard"), ("integrator", "rk4"), ("compare", ">>"), ("loops", "yes"), ("reset_late", "no")],
)
def test_unknown_words_are_answered_with_the_known(name, value):
    with pytest.raises(ContractError, match=f"{name}.*found '{value}'.*(allowed are|needed)"):
        load(networks.line((1,), networks.integrate(1), (1,)), **{"reset": "zero", name: value})


def test_metadata_are_followed_unless_something_is_passed():
    network = networks.line((1,), networks.lif(1), (1,))
    made = to_nir(
        load(
            network, dt=1e-4, reset="subtract", integrator="exponential", compare=">=", reset_late=True, loops="machine"
        )
    )
    graph = load(made)
    p = graph["n0"]
    assert (graph.dt, graph.integrator, graph.loops) == (1e-4, Integrator.EXPONENTIAL, Loops.MACHINE)
    assert (p.reset, p.reset_late, p.compare) == (Reset.SUBTRACT, True, Compare.GREATER_EQUAL)
    with pytest.warns(S2NirWarning, match="its metadata say reset 'subtract'"):
        other = load(made, dt=2e-4, reset="zero", compare=">")
    assert (other.dt, other["n0"].reset, other["n0"].reset_late) == (2e-4, Reset.ZERO, False)
    assert other["n0"].compare is Compare.GREATER


def test_metadata_that_make_no_sense_are_refused():
    network = networks.line((1,), networks.lif(1), (1,))
    network.metadata = {"s2nir_dt": "soon"}
    with pytest.raises(ContractError, match="metadata s2nir_dt: found 'soon'"):
        load(network, reset="zero")


def test_report_says_what_is_missing_and_shows_the_network():
    report = contract_report(two(2e-3, 2.0, 2e-3, 2.0))
    assert [e.item for e in report.missing] == ["dt", "n0 reset", "n1 reset"]
    assert report.populations == ("in: Input 1, 1 sources", "n0: LIF 1, 1 neurons", "n1: LIF 1, 1 neurons")
    assert report.projections == (
        "in -> n0: an edge as one sparse, 1 weights",
        "n0 -> n1: an edge as one sparse, 1 weights",
    )
    assert "Pass dt= in seconds (n0, n1 need it; --dt on the command line)" in str(report)


def test_report_of_a_full_network_and_of_a_graph():
    network = networks.convolutional()
    full = contract_report(network, dt=1e-4, reset="zero")
    assert not full.missing
    assert "s1 -> s2: SumPool2d + Conv2d as one conv, 108 weights" in full.projections
    again = contract_report(load(network, dt=1e-4, reset="zero"))
    assert again.populations == full.populations
    assert [e.value for e in again.entries] == [e.value for e in full.entries]
    with pytest.raises(ContractError, match="larger than the time constant"):
        contract_report(network, dt=1.0, reset="zero")


def test_loops_with_a_choice_are_warned_of():
    nodes = {
        "in": nir.Input(np.array([1])),
        "a": networks.integrate(1),
        "b": networks.integrate(1),
        "out": nir.Output(np.array([1])),
    }
    network = networks.graph(nodes, [("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")])
    with pytest.warns(S2NirWarning, match="loop through a, b: the step is taken by"):
        load(network, reset="zero")
    assert load(network, reset="zero", loops="machine").notes  # each hop takes its tick: there is no choice, no warning


def test_a_reset_against_the_file_is_warned_of():
    graph = load(networks.line((1,), networks.integrate(1), (1,)), reset="subtract")
    file = to_nir(graph)
    assert load(file) == graph
    with pytest.warns(S2NirWarning, match=r"its metadata say reset 'subtract'; 'zero' is taken because reset= says so"):
        other = load(file, reset="zero")
    assert other != graph
