"""What a board cannot do is refused by rule, with where and what to do; and each rule stands in docs/boards.md."""

import re
from pathlib import Path

import numpy as np
import pytest

import s2nir
from export.board import alike
from quantize.networks import GREATER_EQUAL, cuba, dense, graph, lif, one_layer, readout, source
from s2nir.errors import ExportError, InputError
from s2nir.export import board, wires
from s2nir.graph import Reset

SRC = Path(s2nir.__file__).parent / "export"
PAGE = (Path(__file__).parents[2] / "docs" / "boards.md").read_text()
X = np.eye(4, dtype=np.uint8)


def made(g, arithmetic="float32", scheme=None, **options):
    network = s2nir.quantize(g, scheme or s2nir.PTQ(), arithmetic=arithmetic)
    return s2nir.compile(network, **({"onset": "board"} | options))


def layer(**fields):
    """in -> a, on a board's terms unless said otherwise."""
    return one_layer(np.ones((3, 4)), **({"compare": GREATER_EQUAL} | fields))


def current(**fields):
    return one_layer(np.ones((3, 4)), cuba("a", (3,), **({"compare": GREATER_EQUAL} | fields)))


FAULTS = s2nir.Faults(cores=[((0, 0), 5)])
REFUSED = {
    "above-threshold": (lambda: made(layer(compare=s2nir.graph.Compare.GREATER)), "a: .*compare=\">=\""),
    "aligned-onset": (lambda: made(layer(constant=0.2), onset="aligned"), "a: .* from tick 1 on.*onset=\"board\""),
    "bias-through-synapse": (lambda: made(current(bias=0.2)), "a: .*PTQ\\(bias=\"membrane\"\\)"),
    "late-reset": (lambda: made(layer(reset_late=True)), "a: .*reset_late=False"),
    "no-reset": (lambda: made(layer(reset=Reset.NONE)), "a: .*reset=\"subtract\""),
    "refractory-time": (lambda: made(layer(refractory=2)), "a: .* of 2 ticks"),
    "fixed-arithmetic": (lambda: made(layer(), "fixed"), "arithmetic=\"float32\""),
    "poisson-drive": (lambda: made(s2nir.build(
        {"in": 4, "a": s2nir.Neurons(shape=3, compare=">=", drive=s2nir.Poisson(rate=9.0, weight=1.0))},
        [s2nir.Connect(source="in", target="a", weight=np.ones((3, 4)))], dt=1e-3)), "a: .*events as an input"),
    "rows-by-slice": (lambda: made(layer(), machine=s2nir.SpiNNaker2(rows="dram")), "a: .*rows=\"sram\""),
    "several-copies": (lambda: made(layer(), copies=2), "2 copies.*copies=1"),
    "machine-faults": (lambda: made(layer(), machine=s2nir.SpiNNaker2(faults=FAULTS)), "without faults="),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_a_refusal_says_where_what_and_what_to_do(rule, tmp_path):
    make, words = REFUSED[rule]
    path = tmp_path / "run.py"
    with pytest.raises(ExportError, match=words) as found:
        make().export_py_spinnaker2(path, X)
    assert found.value.rule == rule
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("remedy", [
    lambda: made(layer()), lambda: made(layer(constant=0.2)),
    lambda: made(current(bias=0.2), scheme=s2nir.PTQ(bias="membrane")), lambda: made(current(refractory=2)),
    lambda: made(layer(), onset="aligned"), lambda: made(layer(), machine=s2nir.SpiNNaker2(boards=1)),
])
def test_the_remedies_are_ones(remedy):
    assert len(alike(remedy(), np.tile(X, (8, 1))).spikes["a"]) > 0


def test_a_threshold_that_is_met_without_input_waits_for_its_lag():
    g = layer(threshold=-0.5, reset=Reset.ZERO)
    with pytest.raises(ExportError, match="aligned-onset"):
        made(g, onset="aligned").export_py_spinnaker2("never.py", X)
    alike(made(g), X)


def test_rows_in_sram_by_slice_are_refused_too():
    image = made(layer(), machine=s2nir.SpiNNaker2(rows="compact"))
    with pytest.raises(ExportError, match="rows-by-slice"):
        image.export_py_spinnaker2("never.py", X)


def test_records_that_do_not_fit_a_core():
    image = made(layer())
    words = r"a: neuron \d+ alone takes 72\d{3} bytes .* 6002 ticks of records.*record="
    with pytest.raises(ExportError, match=words) as found:
        image.export_py_spinnaker2("never.py", np.zeros((6000, 4), np.uint8))
    assert found.value.rule == "does-not-fit-a-core"


def test_fewer_records_leave_room_for_longer_runs(tmp_path):
    g = graph([source(), lif("a", (3,), compare=GREATER_EQUAL), readout("b", (2,))],
              [dense("in", "a", np.ones((3, 4))), dense("a", "b", np.ones((2, 3)))])
    spikes = np.zeros((10_000, 4), np.uint8)
    with pytest.raises(ExportError, match="b: neuron 0 alone"):
        made(g).export_py_spinnaker2(tmp_path / "run.py", spikes, record="b")
    with pytest.raises(ExportError, match="a: neuron 0 alone"):
        made(g).export_py_spinnaker2(tmp_path / "run.py", spikes)
    found = made(g).export_py_spinnaker2(tmp_path / "run.py", np.zeros((4_000, 4), np.uint8), record=("a",))
    assert set(found.spikes) == {"a"}
    assert not found.voltages


def test_a_spike_list_that_does_not_fit_a_core():
    image = made(layer())
    with pytest.raises(ExportError, match="in: neuron 0 alone takes"):
        image.export_py_spinnaker2("never.py", np.ones((9_000, 4), np.uint8), record="a")


def test_more_cores_than_a_board_has(monkeypatch):
    monkeypatch.setattr("s2nir.export.caps.BOARD_CHIPS", 0)
    with pytest.raises(ExportError, match="2 cores, a board of 48 chips has 0") as found:
        made(layer()).export_py_spinnaker2("never.py", X)
    assert found.value.rule == "does-not-fit-a-board"


def test_too_many_synapses(monkeypatch):
    monkeypatch.setattr(wires, "MOST", 11)
    with pytest.raises(ExportError, match="12 synapses, a script holds up to 11") as found:
        made(layer()).export_py_spinnaker2("never.py", X)
    assert found.value.rule == "too-many-synapses"


def test_a_core_that_cannot_be_read():
    from dataclasses import replace

    image = made(layer())
    core = replace(image.cores[1], memory=image.cores[1].memory[:-4])
    with pytest.raises(s2nir.S2NirError, match="the descriptor counts"):
        replace(image, cores=(image.cores[0], core)).export_py_spinnaker2("never.py", X)


def test_every_rule_is_on_the_page_and_is_raised():
    raised = set(re.findall(r'rule="([a-z-]+)"', "".join(p.read_text() for p in SRC.glob("*.py"))))
    raised |= set(re.findall(r'yield "([a-z-]+)"', (SRC / "neurons.py").read_text()))
    assert raised == set(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE))
    assert set(REFUSED) < raised


@pytest.mark.parametrize(("arguments", "words"), [
    ((np.zeros((3, 5, 4), np.uint8),), "found 3 recordings, a script runs one. Choose it with recording=0 to 2"),
    ((np.zeros((3, 5, 4), np.uint8), None, 3), "recording: found 3, allowed whole numbers from 0 to 2"),
    ((np.zeros((5, 3), np.uint8),), "found shape"),
    ((np.full((5, 4), 0.5),), "whole counts"),
])
def test_spikes_that_do_not_fit(arguments, words):
    with pytest.raises(InputError, match=words):
        made(layer()).export_py_spinnaker2("never.py", *arguments)


@pytest.mark.parametrize("record", ["b", ("a", "in"), (), 3])
def test_populations_that_cannot_be_compared(record):
    with pytest.raises(ExportError, match=r"export_py_spinnaker2\.record: found .*'a'"):
        made(layer()).export_py_spinnaker2("never.py", X, record)


def test_one_of_several_recordings():
    image = made(layer())
    many = (np.random.default_rng(0).random((3, 9, 4)) < 0.4).astype(np.uint8)
    assert board.board_network(image, many, recording=2) == board.board_network(image, many[2])
    assert board.board_network(image, many, recording=1) != board.board_network(image, many[2])


def test_an_image_is_needed():
    with pytest.raises(InputError, match="needed a MachineImage"):
        board.export_py_spinnaker2("image.h5", "never.py", X)
    with pytest.raises(InputError, match=r"needed a name that ends in \.py"):
        made(layer()).export_py_spinnaker2("never.txt", X)
