"""The networks that others made: all eight load, and go to NIR and back without a bit of change."""

import sys
import warnings

import h5py
import nir
import numpy as np
import pytest

from frontend import nir_networks as networks
from s2nir.errors import ContractError, LoadError, S2NirWarning
from s2nir.frontend import contract_report, load, to_nir
from s2nir.graph import check

pytestmark = pytest.mark.skipif(not networks.MODELS.exists(), reason="the shared models are not beside this checkout")
NAMES = [
    "braille_noDelay_bias_zero",
    "braille_noDelay_bias_zero_subgraph",
    "braille_noDelay_noBias_subtract",
    "braille_noDelay_noBias_subtract_subgraph",
    "cnn_sinabs",
    "lif_norse",
    "lif_rockpool",
    "two_lif_neurons",
]
NEEDS_DT = NAMES[5:]


def arguments(name):
    reset = {"reset": "subtract" if "subtract" in name else "zero"}
    return {**reset, "dt": 1e-4} if name in NEEDS_DT else reset


def quiet(name, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        return load(networks.MODELS / f"{name}.nir", **{**arguments(name), **more})


@pytest.mark.parametrize("name", NAMES)
def test_it_loads(name):
    graph = quiet(name)
    assert list(check(graph)) == []
    assert graph.dt == (None if name == "cnn_sinabs" else 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_reset_is_asked_for(name):
    with pytest.raises(ContractError, match=r'reset: NIR does not say .*Pass reset="subtract", "zero"'):
        quiet(name, reset=None)


@pytest.mark.parametrize("name", NEEDS_DT)
def test_one_time_constant_does_not_prove_dt(name):
    with pytest.raises(ContractError, match=r"proves nothing.* Pass dt= in seconds"):
        quiet(name, dt=None)


@pytest.mark.parametrize("name", ["braille_noDelay_bias_zero", "braille_noDelay_noBias_subtract"])
def test_the_subgraph_twin_is_the_same_network(name):
    with pytest.warns(S2NirWarning, match="lif1: its edges name 'lif', which does not exist.* node 'lif1'"):
        twin = load(networks.MODELS / f"{name}_subgraph.nir", **arguments(name))
    assert twin.digest == quiet(name).digest
    assert "lif1.lif" in [p.name for p in twin.populations]


def test_rockpool_is_repaired_and_said():
    path = networks.MODELS / "lif_rockpool.nir"
    with pytest.warns(S2NirWarning, match=r"sends \[1\], output.Output takes \[1, 1, 1\]: they differ only"):
        graph = load(path, dt=1e-4, reset="zero")
    assert any("differ only" in note for note in graph.notes)


def test_cnn_is_folded_as_it_should_be():
    graph = quiet("cnn_sinabs")
    assert sum(p.size for p in graph.populations if not p.is_input) == 8970 - 2 * 34 * 34 + 2312
    assert [p.via for p in graph.into("6")] == [("SumPool2d", "Conv2d")]
    assert [p.via for p in graph.into("10")] == [("SumPool2d", "Flatten", "Affine")]


@pytest.mark.parametrize("integrator", ["euler", "exponential"])
@pytest.mark.parametrize("name", NAMES)
def test_to_nir_and_back_is_the_identity(name, integrator, tmp_path):
    graph = quiet(name, integrator=integrator)
    back = to_nir(graph)
    assert load(back).digest == graph.digest
    path = tmp_path / "back.nir"
    nir.write(path, back)
    assert load(path).digest == graph.digest
    assert load(nir.read(path)).digest == graph.digest


@pytest.mark.parametrize("name", NAMES)
def test_a_report_for_each(name):
    report = contract_report(networks.MODELS / f"{name}.nir")
    assert {e.item.split()[-1] for e in report.missing} <= {"dt", "reset"}
    assert report.missing
    assert "populations" in str(report)


def test_broken_reads_do_not_pass_for_the_networks(tmp_path):
    raw = bytearray((networks.MODELS / "lif_norse.nir").read_bytes())
    (tmp_path / "half.nir").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(LoadError, match=r"half\.nir: is cut short: \d+ of 17584 bytes are there"):
        load(tmp_path / "half.nir")


def test_loading_a_file_needs_no_nir():
    import subprocess

    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); from s2nir.frontend import load;"
        f"load({str(networks.MODELS / 'lif_norse.nir')!r}, dt=1e-4, reset='zero');"
        "assert not {'nir', 'torch', 'numba', 'matplotlib'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_weights_are_those_of_the_file():
    graph = quiet("braille_noDelay_bias_zero")
    with h5py.File(networks.MODELS / "braille_noDelay_bias_zero.nir") as file:
        fc1, rec = file["node/nodes/fc1"], file["node/nodes/lif1.w_rec"]
        by_source = {p.source: p.connection.weight for p in graph.into("lif1.lif")}
        assert np.array_equal(by_source["input"], fc1["weight"][()])
        assert np.array_equal(by_source["lif1.lif"], rec["weight"][()])
        total = fc1["bias"][()].astype(float) + rec["bias"][()]
        assert np.array_equal(graph["lif1.lif"].full("bias"), total)
