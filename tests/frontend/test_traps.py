"""Traps at the border to nir, each once seen: the right answer, or one clear error."""

import h5py
import nir
import numpy as np
import pytest

from frontend import nir_networks as networks
from s2nir.errors import LoadError, S2NirWarning, UnsupportedError
from s2nir.events import Events, to_arrays
from s2nir.frontend import load
from s2nir.graph import Compare


def test_1_a_kernel_that_is_not_square():
    node = nir.Conv2d((6, 8), np.ones((1, 1, 3, 5)), (1, 1), (0, 0), (1, 1), 1, np.zeros(1))
    assert load(networks.line((1, 6, 8), node, networks.integrate(1, 4, 4), (1, 4, 4)), reset="zero")["n1"].shape == (
        1,
        4,
        4,
    )
    with pytest.raises(
        LoadError, match=r"n0.Conv2d sends \[1, 4, 4\], n1.IF takes \[1, 4, 6\]"
    ):  # what nir makes of it
        load(networks.line((1, 6, 8), node, networks.integrate(1, 4, 6), (1, 4, 6)), reset="zero")


def test_1_same_with_a_stride():
    node = nir.Conv2d((6, 6), np.ones((1, 1, 3, 3)), (2, 2), "same", (1, 1), 1, np.zeros(1))
    with pytest.raises(UnsupportedError, match="padding 'same' with stride") as error:
        load(networks.line((1, 6, 6), node, None))
    assert error.value.rule == "same-with-stride"


def test_1_a_size_below_zero():
    node = nir.Conv2d((2, 2), np.ones((1, 1, 5, 5)), (1, 1), (0, 0), (1, 1), 1, np.zeros(1))
    with pytest.raises(LoadError, match="smaller than the kernel"):
        load(networks.line((1, 2, 2), node, None))


def test_1_groups_count_in_the_input():
    node = nir.Conv2d((5, 5), np.ones((4, 1, 3, 3)), (1, 1), (0, 0), (1, 1), 4, np.zeros(4))
    assert load(networks.line((4, 5, 5), node, None)).projections[0].connection.groups == 4
    with pytest.raises(LoadError, match=r"in.Input sends \[1, 5, 5\], n0.Conv2d takes \[4, 5, 5\]"):
        load(networks.line((1, 5, 5), node, None))


def test_2_scalars_in_a_file(tmp_path):
    node = nir.IF(np.array(1.0), np.array(0.5))
    nir.write(tmp_path / "s.nir", networks.line((4,), node, (4,)), compression=None)
    assert load(tmp_path / "s.nir", reset="zero")["n0"].shape == (4,)


@pytest.mark.parametrize("in_file", [False, True])
def test_3_nan_tau_and_bias_are_looked_at(tmp_path, in_file):
    bad = {
        "n0.Linear.weight: found nan": nir.Linear(np.array([[np.nan, 1.0]])),
        "n0.Affine.bias: found shape": nir.Affine(np.ones((1, 2)), np.ones(3)),
        "n0.LIF.tau: value must be greater than 0": networks.lif(2, tau=np.array([1e-3, -1e-3])),
    }
    for message, node in bad.items():
        network = networks.line((2,), node, None)
        if in_file:
            network.nodes["out"] = nir.Output(np.array([1]))
            nir.write(tmp_path / "b.nir", network)
            network = tmp_path / "b.nir"
        with pytest.raises(LoadError, match=message):
            load(network, dt=1e-4, reset="zero")


def test_4_order_and_kind_of_numbers_do_not_matter(tmp_path):
    nodes = {"in": nir.Input(np.array([2])), "out": nir.Output(np.array([2]))}
    edges, last = [], "in"
    for i in (10, 2, 9):
        nodes[str(i)] = nir.Linear(np.eye(2) * i) if i != 2 else networks.integrate(2)
        edges.append((last, str(i)))
        last = str(i)
    first = networks.graph(nodes, [*edges, (last, "out")])
    turned = networks.graph(dict(reversed(nodes.items())), [(last, "out"), *edges[::-1]])
    nir.write(tmp_path / "o.nir", turned)
    digests = {load(g, reset="zero").digest for g in (first, turned, tmp_path / "o.nir")}
    assert len(digests) == 1
    conv = nir.Conv2d(
        (4, 4), np.ones((1, 1, 2, 2)), np.int64(1), np.array([0, 0]), np.int32(1), np.int64(1), np.zeros(1)
    )
    assert load(networks.line((1, 4, 4), conv, (1, 3, 3))).outputs


def test_5_files_of_the_wild_are_repaired():
    inner = networks.graph(
        {"input": nir.Input(np.array([2])), "x": networks.integrate(2), "output": nir.Output(np.array([2]))},
        [("input", "lif"), ("lif", "output")],
    )
    outer = networks.graph(
        {"in": nir.Input(np.array([2])), "sub": inner, "out": nir.Output(np.array([1, 2, 1]))},
        [("in", "sub"), ("sub", "out")],
    )
    with pytest.warns(S2NirWarning) as said:
        graph = load(outer, reset="zero")
    assert [p.name for p in graph.populations] == ["in", "sub.lif"]
    assert ["'x'" in str(w.message) for w in said] == [True, False]
    inner.nodes["y"] = networks.integrate(2)  # two to choose from: no repair
    with pytest.raises(LoadError, match="sub: an edge names 'lif', which does not exist"):
        load(outer, reset="zero")


def test_6_a_slash_in_a_name():
    nodes = {"in": nir.Input(np.array([2])), "a/b": networks.integrate(2), "out": nir.Output(np.array([2]))}
    with pytest.raises(LoadError, match="a node is named 'a/b'; needed text without a slash"):
        load(networks.graph(nodes, [("in", "a/b"), ("a/b", "out")]))


def test_6_equal_networks_are_equal_and_nothing_is_invented():
    def network():
        nodes = {
            "in": nir.Input(np.array([2])),
            "a": networks.lif(2),
            "idle": networks.lif(2, v_leak=np.full(2, 3.0)),
            "out": nir.Output(np.array([2])),
        }
        return networks.graph(nodes, [("in", "a"), ("a", "out")])

    with pytest.warns(S2NirWarning) as said:
        one, two = load(network(), dt=1e-4, reset="zero"), load(network(), dt=1e-4, reset="zero")
    assert "idle.LIF: nothing leads into it" in str(said[0].message)
    assert one == two
    assert [p.name for p in one.populations] == ["a", "idle", "in"]
    assert dict(one.outputs) == {"out": "a"}


def test_7_a_hostile_file_is_not_touched(tmp_path):
    nir.write(tmp_path / "v.nir", networks.line((2,), networks.integrate(2), (2,)))
    for change, message in (
        (lambda f: f["node/nodes"].__setitem__("x", h5py.SoftLink("/node")), "/node/nodes/x: is a soft link"),
        (
            lambda f: f["node/nodes/n0"].create_dataset("w", shape=(10**6, 10**5), dtype="f4"),
            "bytes expanded, allowed are",
        ),
        (lambda f: f["node/nodes/n0/type"].write_direct(np.array("Magic", dtype=object)), "'Magic'"),
        (lambda f: f["version"].write_direct(np.array("99.0", dtype=object)), "found '99.0', known are NIR 0.x"),
    ):
        path = tmp_path / "m.nir"
        path.write_bytes((tmp_path / "v.nir").read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(LoadError, match=message):
            load(path, reset="zero")


def test_8_an_event_at_the_very_end_and_a_step_that_floor_would_lose():
    data = nir.EventData(idx=np.array([[0, 1]]), time=np.array([[0.0, 0.3]]), n_neurons=2, t_max=0.3)
    counts = to_arrays(data, {"in": (2,)}, 0.1)["in"]
    assert counts.shape == (1, 3, 2)
    assert counts.sum() == 2
    assert Events.from_times([0.3], [0], dt=0.1, steps=3).step.tolist() == [2]


def test_9_equality_with_the_threshold_does_not_spike_in_nir():
    line = networks.line((1,), networks.integrate(1), (1,))
    graph = load(line, reset="zero")
    assert graph["n0"].compare is Compare.GREATER
    assert graph.simulate(np.ones((1, 1))).spikes["n0"].sum() == 0
    assert load(line, reset="zero", compare=">=").simulate(np.ones((1, 1))).spikes["n0"].sum() == 1
