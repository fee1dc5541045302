"""Nesting, edges, outputs and loose ends; and that every rule that is raised stands on the page of supported nodes."""

import re
from pathlib import Path

import nir
import numpy as np
import pytest

import s2nir.frontend
from frontend import nir_networks as networks
from s2nir.errors import LoadError, S2NirWarning, UnsupportedError
from s2nir.frontend import load
from s2nir.graph import Conv, Sparse

TWO = np.array([2])


def inp():
    return nir.Input(TWO)


def out():
    return nir.Output(TWO)


def layer():
    return networks.graph(
        {"input": inp(), "n": networks.integrate(2), "output": out()}, [("input", "n"), ("n", "output")]
    )


def test_nesting_to_any_depth_is_flat_in_the_end():
    flat = networks.graph(
        {"in": inp(), "a.b.n": networks.integrate(2), "out": out()}, [("in", "a.b.n"), ("a.b.n", "out")]
    )
    middle = networks.graph({"i": inp(), "b": layer(), "o": out()}, [("i", "b"), ("b", "o")])
    nested = networks.graph({"in": inp(), "a": middle, "out": out()}, [("in", "a"), ("a", "out")])
    assert load(nested, reset="zero").digest == load(flat, reset="zero").digest


def test_sixty_levels_are_fine_and_seventy_are_not(tmp_path):
    def deep(levels):
        at = layer()
        for _ in range(levels):
            at = networks.graph({"i": inp(), "x": at, "o": out()}, [("i", "x"), ("x", "o")])
        return at

    assert load(deep(60), reset="zero").inputs
    nir.write(tmp_path / "deep.nir", deep(60))
    assert load(tmp_path / "deep.nir", reset="zero").digest == load(deep(60), reset="zero").digest
    with pytest.raises(LoadError, match="nested deeper than 64"):
        load(deep(70), reset="zero")


def many_ports():
    inner = networks.graph(
        {"x": inp(), "y": inp(), "n": networks.integrate(2), "m": networks.integrate(2), "p": out(), "q": out()},
        [("x", "n"), ("y", "m"), ("n", "p"), ("m", "q")],
    )
    nodes = {"in": inp(), "sub": inner, "o1": out(), "o2": out()}
    return nodes, [("in", "sub.x"), ("in", "sub.y"), ("sub.p", "o1"), ("sub.q", "o2")]


def test_several_ports_are_named():
    nodes, edges = many_ports()
    graph = load(networks.graph(nodes, edges), reset="zero")
    assert dict(graph.outputs) == {"o1": "sub.n", "o2": "sub.m"}


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (("in", "sub"), "has 2 Input nodes.*as in 'sub.x'"),
        (("in", "sub.n"), "names 'sub.n' from outside, which is no Input"),
    ],
)
def test_ports_that_are_not_named_are_refused(edge, message):
    nodes, edges = many_ports()
    with pytest.raises(UnsupportedError, match=message) as error:
        load(networks.graph(nodes, [*edges, edge]), reset="zero")
    assert error.value.rule == "nested-ports"


@pytest.mark.parametrize(
    ("extra", "edges", "message"),
    [
        ({}, [("in", "x")], "an edge names 'x', which does not exist"),
        ({}, [("in", "n")], "the edge in -> n is there twice"),
        ({}, [("n", "in")], "the edge n -> in ends at an Input"),
        ({}, [("out", "n")], "the edge out -> n starts at an Output"),
        ({"s": nir.Scale(np.ones(2))}, [("in", "s")], "s.Scale: leads nowhere. Connect it or remove it"),
        ({"s": nir.Scale(np.ones(2))}, [("s", "n")], "s.Scale: nothing leads into it. Connect it or remove it"),
        ({"o": nir.Output(TWO)}, [], "o.Output: nothing leads into it"),
        ({"o": nir.Output(TWO)}, [("in", "o")], "o.Output: is wired to the Input 'in'.*rule: input-to-output"),
        (
            {"s": nir.Scale(np.ones(2)), "t": nir.Scale(np.ones(2))},
            [("in", "s"), ("s", "t"), ("t", "s"), ("t", "n")],
            "a loop of linear nodes without a neuron.*rule: linear-loop",
        ),
        ({"": nir.Scale(np.ones(2))}, [], "a node is named ''"),
        ({"s": nir.Scale(np.ones(3))}, [("in", "s"), ("s", "n")], r"in.Input sends \[2\], s.Scale takes \[3\]"),
        ({"l": networks.integrate(3)}, [("in", "l")], r"in.Input sends \[2\], l.IF takes \[3\]"),
    ],
)
def test_loose_ends_and_bad_edges_are_refused(extra, edges, message):
    nodes = {"in": inp(), "n": networks.integrate(2), "out": out(), **extra}
    with pytest.raises(LoadError, match=message):
        load(networks.graph(nodes, [("in", "n"), ("n", "out"), *edges]), reset="zero")


def test_no_input_no_output_and_other_things():
    n = networks.integrate(2)
    with pytest.raises(LoadError, match="the graph has no Output"):
        load(networks.graph({"in": inp(), "n": n}, [("in", "n")]), reset="zero")
    with pytest.raises(LoadError, match="the graph has no Input"):
        load(networks.graph({"out": out(), "n": n}, [("n", "out")]), reset="zero")
    with pytest.raises(LoadError, match=r"found a dict, needed the path of a NIR file or a nir\.NIRGraph"):
        load({})


def test_an_idle_input_and_an_idle_neuron_stay_with_a_warning():
    nodes = {"in": inp(), "spare": inp(), "n": networks.integrate(2), "m": networks.integrate(2), "out": out()}
    with pytest.warns(S2NirWarning) as said:
        graph = load(networks.graph(nodes, [("in", "n"), ("n", "out"), ("n", "m")]), reset="zero")
    assert sorted(str(w.message) for w in said) == [
        "m.IF: leads nowhere and is no output",
        "spare.Input: leads nowhere and is no output",
    ]
    assert len(graph.populations) == 4


def test_outputs_and_readouts():
    nodes = {
        "in": inp(),
        "a": networks.integrate(2),
        "b": networks.integrate(2),
        "fc": nir.Linear(np.ones((3, 2))),
        "both": out(),
        "one": out(),
        "read": nir.Output(np.array([3])),
    }
    edges = [("in", "a"), ("in", "b"), ("a", "both"), ("b", "both"), ("a", "one"), ("b", "fc"), ("fc", "read")]
    graph = load(networks.graph(nodes, edges), reset="zero")
    assert dict(graph.outputs) == {"both": "both", "one": "a", "read": "fc"}
    assert (graph["both"].node, graph["fc"].node, graph["fc"].spikes) == ("Readout", "Readout", False)
    assert [p.source for p in graph.into("both")] == ["a", "b"]


def test_a_direct_edge_is_one_to_one():
    row = load(networks.line((3,), networks.integrate(3), (3,)), reset="zero").projections[0].connection
    assert isinstance(row, Sparse)
    assert (row.target.tolist(), row.weight.tolist()) == ([0, 1, 2], [1, 1, 1])
    image = (
        load(networks.line((2, 3, 3), networks.integrate(2, 3, 3), (2, 3, 3)), reset="zero").projections[0].connection
    )
    assert isinstance(image, Conv)
    assert (image.groups, image.weight.ravel().tolist()) == (2, [1, 1])


def test_a_flatten_ahead_of_an_output_makes_no_readout():
    graph = load(
        networks.line((2, 3, 3), networks.integrate(2, 3, 3), nir.Flatten({"input": None}, 0, -1), (18,)), reset="zero"
    )
    assert dict(graph.outputs) == {"out": "n0"}


def test_recurrence_within_a_nested_graph():
    graph = load(networks.nested(), dt=networks.DT, reset="zero")
    assert {(p.source, p.target, p.delay) for p in graph.projections} == {
        ("in", "sub.lif", 3),
        ("sub.lif", "sub.lif", 0),
        ("sub.lif", "last", 0),
    }


def test_every_rule_stands_on_the_page():
    src = Path(s2nir.__file__).parent
    code = "".join(p.read_text() for p in src.rglob("*.py") if "export" not in p.relative_to(src).parts)
    raised = set(re.findall(r'UnsupportedError\(\s*"([a-z-]+)"', code)) | set(
        re.findall(r'_synapses\("[a-z]+"|"(too-many-synapses)"', code)
    ) - {""}
    raised |= set(re.findall(r'rule="([a-z0-9-]+)"', code))
    page = (Path(__file__).parents[2] / "docs" / "supported-nodes.md").read_text()
    described = set(re.findall(r"^### ([a-z-]+)$", page, re.MULTILINE))
    assert raised == described
    for kind in (
        "Input",
        "Output",
        "NIRGraph",
        "Affine",
        "Linear",
        "Scale",
        "Conv1d",
        "Conv2d",
        "SumPool2d",
        "AvgPool2d",
        "Flatten",
        "Delay",
        "Threshold",
        "I",
        "IF",
        "LI",
        "LIF",
        "CubaLI",
        "CubaLIF",
    ):
        assert re.search(rf"^\|[^|]*\b{kind}\b", page, re.MULTILINE), kind
