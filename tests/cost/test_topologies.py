"""The study of topologies: its networks are legal and wired as said, and its committed figures are what a run gives."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import s2nir
from s2nir.mapping import as_sparse
from s2nir.quantize.network import check

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("topologies", ROOT / "benchmarks" / "topologies.py")
    made = importlib.util.module_from_spec(spec)
    sys.modules["topologies"] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def results():
    return json.loads((ROOT / "benchmarks" / "results" / "topologies.json").read_text())


def test_every_network_is_legal_and_compiles_as_small_as_it_gets(study):
    for name, topology in study.TOPOLOGIES.items():
        net = topology.make(400)
        assert list(check(net)) == [], name
        image = s2nir.compile(net, machine=s2nir.SpiNNaker2(boards=1), partition=topology.partition)
        found = study.Study(topology).survey(400)["1 board"]
        assert found.fits
        assert next(r.used for r in found.resources if r.name == "cores") == len(image.cores)


def test_networks_are_wired_as_said(study):
    def fan(net):
        source, target, _, _ = study.as_rows(type("L", (), {"connection": net.projections[-1].connection, "delay": 0}))
        return source, target

    source, target = fan(study.all_to_all(60))
    assert source.size == np.unique(60 * source + target).size == 3600
    source, target = fan(study.random(400))
    assert abs(source.size / 400**2 - 0.3) < 0.01
    source, target = fan(study.locally(400))
    y, x = np.divmod(source, 20)
    assert max(np.abs(y - target // 20).max(), np.abs(x - target % 20).max()) == 2
    assert np.bincount(target).max() == 25
    source, target = fan(study.small_world(2000))
    far = np.minimum((source - target) % 2000, (target - source) % 2000) > 12
    assert 0.08 < far.mean() < 0.12
    assert np.bincount(target).max() <= 24
    assert as_sparse(study.convolutions(8_000).projections[3].connection).targets == 16 * 8 * 8


@pytest.mark.parametrize("name", ["locally connected, 5 x 5", "small world, 24 each", "convolutions, 8 x 16 channels"])
def test_committed_ends_are_where_one_chip_ends(study, results, name):
    held = results["topologies"][name]["1 chip"]
    grown = study.Study(study.TOPOLOGIES[name])
    assert grown.survey(held["fits"])["1 chip"].fits
    after = grown.survey(held["ends"])["1 chip"]
    assert not after.fits
    assert after.first.to_dict() == held["by"]
    assert held["fits"] < held["ends"] <= held["fits"] * 1.25


def test_the_page_says_the_committed_figures(results):
    text = (ROOT / "docs" / "topologies.md").read_text()
    for name, found in results["topologies"].items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        for r in found.values():
            assert f"{r['fits']:,} ({dict(cores='cores', sram='SRAM')[r['by']['name']]})" in row
            assert r["falls_behind"] is None
