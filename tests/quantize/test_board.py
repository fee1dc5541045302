"""Board mode refuses, by name, what py-spinnaker2's importer cannot bring to a board (CHIP.md, last part)."""

import warnings

import nir
import numpy as np
import pytest

import s2nir
from quantize.networks import dense, graph, lif, source
from s2nir.errors import QuantizeError, S2NirWarning
from s2nir.graph import Compare, Reset
from s2nir.quantize import board_faults

ONE = np.ones


def IF(*shape):
    return nir.IF(r=ONE(shape), v_threshold=ONE(shape), v_reset=np.zeros(shape))


def conv2d(**fields):
    given = dict(input_shape=(4, 4), weight=ONE((2, 2, 3, 3)), stride=1, padding=1, dilation=1, groups=1)
    return nir.Conv2d(**(given | {"bias": np.zeros(2)} | fields))


def loaded(shape, *nodes, reset="subtract", **options):
    """Input -> nodes in a row -> Output, as a Graph."""
    names = ["input", *(f"n{i}" for i in range(len(nodes))), "output"]
    last = nodes[-1]
    out = last.weight.shape[:1] if hasattr(last, "weight") else (last.r if hasattr(last, "r") else last.threshold).shape
    held = dict(zip(names, [nir.Input(np.array(shape)), *nodes, nir.Output(np.array(out))], strict=True))
    g = nir.NIRGraph(nodes=held, edges=list(zip(names, names[1:], strict=False)), type_check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        return s2nir.load(g, **({"dt": 1e-3, "reset": reset, "compare": ">="} | options))


SQUARE = (2, 4, 4)
FLAT = nir.Flatten({"input": np.array(SQUARE)}, 0, -1)


@pytest.mark.parametrize(("shape", "nodes", "what"), [
    (SQUARE, (conv2d(), IF(*SQUARE), FLAT, nir.Linear(ONE((3, 32))), IF(3)),
     "neuron -> Flatten -> Linear drops the projection without a word"),
    (SQUARE, (conv2d(), IF(*SQUARE), FLAT, nir.Affine(ONE((3, 32)), ONE(3)), IF(3)),
     "neuron -> Flatten -> Linear drops the projection"),
    (SQUARE, (conv2d(dilation=2, padding=2), IF(*SQUARE)), "dilation is ignored"),
    (SQUARE, (conv2d(weight=ONE((2, 1, 3, 3)), groups=2), IF(*SQUARE)), "groups are ignored"),
    (SQUARE, (conv2d(padding="same"), IF(*SQUARE)), "padding 'same' is garbled"),
    (SQUARE, (nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), IF(2, 2, 2)),
     "a SumPool2d straight before neurons divides by zero"),
    (SQUARE, (nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), conv2d(input_shape=(2, 2)),
              IF(2, 2, 2)), "AvgPool2d is refused"),
    ((4,), (nir.Scale(np.full(4, 2.0)), nir.Linear(ONE((3, 4))), IF(3)), "Scale is refused"),
    ((4,), (nir.Linear(ONE((3, 4))), nir.Delay(np.full(3, 2e-3)), IF(3)), "Delay is refused"),
    ((4,), (nir.Linear(ONE((3, 4))), nir.LI(tau=np.full(3, 0.1), r=ONE(3), v_leak=np.zeros(3))), "LI is refused"),
    ((4,), (nir.Linear(ONE((3, 4))), IF(3), nir.Linear(ONE((2, 3)))), "a final linear node is refused"),
    ((4,), (IF(4),), "a direct edge is refused"),
    ((4,), (nir.Linear(ONE((3, 4))), IF(3), IF(3)), "n1 -> n2: a direct edge is refused"),
    ((4,), (nir.Linear(ONE((3, 4))), nir.Linear(ONE((2, 3))), IF(2)), "two linear nodes in a row"),
    ((4,), (nir.Linear(ONE((3, 4))), nir.Threshold(ONE(3))), "Threshold is refused"),
    ((2, 8), (nir.Conv1d(8, ONE((2, 2, 3)), 1, 1, 1, 1, np.zeros(2)), IF(2, 8)), "Conv1d is refused"),
])
def test_each_fault_is_refused_by_its_name(shape, nodes, what):
    g = loaded(shape, *nodes)
    with pytest.raises(QuantizeError, match=rf"board mode .* cannot run this network.*{what}.*Leave `like` away"):
        board_faults(g)
    spikes = np.ones((3, *shape), np.uint8)
    with pytest.raises(QuantizeError, match=what):
        s2nir.deploy(g, spikes, like="py-spinnaker2")
    s2nir.deploy(g, spikes)  # and s2nir itself runs it


def test_several_faults_are_all_said_with_their_place():
    g = loaded((4,), nir.Scale(np.full(4, 2.0)), IF(4), nir.Linear(ONE((2, 4))))
    with pytest.raises(QuantizeError, match="input -> n1: Scale is refused") as error:
        board_faults(g)
    assert "n2: a final linear node is refused" in str(error.value)


@pytest.mark.parametrize(("fields", "what"), [
    (dict(reset=Reset.NONE), "its neurons reset in the spiking tick"),
    (dict(reset_late=True), "its neurons reset in the spiking tick"),
    (dict(reset=Reset.SNNTORCH_RESTORED), "its neurons reset in the spiking tick"),
    (dict(refractory=2), "its neurons have no refractory time"),
    (dict(compare=Compare.GREATER), "its neurons spike where V >= threshold; load it with compare='>='"),
])
def test_contracts_that_a_board_has_not(fields, what):
    g = graph([source(), lif("a", (3,), **({"compare": Compare.GREATER_EQUAL} | fields))],
              [dense("in", "a", ONE((3, 4)))])
    with pytest.raises(QuantizeError, match=f"a: {what}"):
        board_faults(g)


@pytest.mark.parametrize("nodes", [
    (nir.Linear(ONE((3, 4))), IF(3), nir.Affine(ONE((2, 3)), ONE(2)), IF(2)),
    (nir.Linear(ONE((3, 4))), nir.CubaLIF(tau_syn=np.full(3, 5e-3), tau_mem=np.full(3, 9e-3), r=ONE(3),
                                          v_leak=np.zeros(3), v_threshold=ONE(3), w_in=ONE(3))),
])
def test_what_a_board_runs_is_run(nodes):
    g = loaded((4,), *nodes)
    board_faults(g)
    got = s2nir.deploy(g, np.ones((3, 4), np.uint8), like="py-spinnaker2")
    assert got.image.provenance["onset"] == "board"


def test_a_live_module_is_run_with_the_boards_comparison():
    torch, snn = pytest.importorskip("torch"), pytest.importorskip("snntorch")
    cells = snn.Leaky(0.9, init_hidden=True, reset_mechanism="zero")
    net = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False), cells)
    g = s2nir.from_snntorch(net, (4,), dt=1e-3)
    assert g["1"].compare is Compare.GREATER
    got = s2nir.deploy(g, np.ones((3, 4), np.uint8), like="py-spinnaker2")
    assert got.graph["1"].compare is Compare.GREATER_EQUAL
    assert got.image.provenance["onset"] == "board"


def test_a_pool_ahead_of_a_convolution_is_no_fault():
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    board_faults(loaded(SQUARE, pool, conv2d(input_shape=(2, 2)), IF(2, 2, 2)))


def test_weights_are_truncated_toward_zero_with_one_scale_per_population():
    weight = np.array([[127.0, 1.9, -1.9], [50.6, -50.6, 0.99]])
    g = graph([source((3,)), lif("a", (2,))], [dense("in", "a", weight)])
    network = s2nir.quantize(g, s2nir.PTQ.board())
    assert network["a"].weight_scale == 1.0
    assert network.projections[0].connection.weight.tolist() == [[127, 1, -1], [50, -50, 0]]


def test_v_reset_is_dropped_and_the_bias_of_a_synapse_stands_in_the_membrane():
    scheme = s2nir.PTQ.board()
    assert not scheme.keep_v_reset
    assert scheme.bias.value == "membrane"
    g = graph([source((1,)), lif("a", (1,), v_reset=-0.5, reset=Reset.TO_VALUE)], [dense("in", "a", [[127.0]])])
    assert s2nir.quantize(g, scheme)["a"].v_reset == 0


def test_board_mode_is_the_scheme_the_onset_and_the_comparison():
    """What `like` sets in one call, set by hand."""
    nodes = (nir.Affine(ONE((3, 4)) * 0.7, np.full(3, 0.3)), IF(3), nir.Affine(ONE((2, 3)), np.full(2, 0.2)), IF(2))
    spikes = (np.random.default_rng(0).random((2, 9, 4)) < 0.4).astype(np.uint8)
    names = ["input", "a", "b", "c", "d", "output"]
    held = dict(zip(names, [nir.Input(np.array([4])), *nodes, nir.Output(np.array([2]))], strict=True))
    net = nir.NIRGraph(nodes=held, edges=list(zip(names, names[1:], strict=False)))
    got = s2nir.deploy(net, spikes, like="py-spinnaker2", reset="subtract")
    g = s2nir.load(net, reset="subtract", compare=">=")
    image = s2nir.compile(s2nir.quantize(g, s2nir.PTQ.board()), onset="board")
    assert got.image == image


def test_sub_graphs_are_refused_by_name():
    inner = nir.NIRGraph(
        nodes={"input": nir.Input(np.array([4])), "fc": nir.Linear(ONE((3, 4))), "n": IF(3),
               "output": nir.Output(np.array([3]))},
        edges=[("input", "fc"), ("fc", "n"), ("n", "output")],
    )
    net = nir.NIRGraph(
        nodes={"input": nir.Input(np.array([4])), "part": inner, "output": nir.Output(np.array([3]))},
        edges=[("input", "part"), ("part", "output")], type_check=False,
    )
    assert s2nir.load(net, reset="zero").nested == ("part",)
    with pytest.raises(QuantizeError, match="part: a sub-graph is refused"):
        s2nir.deploy(net, np.ones((3, 4), np.uint8), like="py-spinnaker2", reset="zero")
