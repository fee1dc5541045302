"""Machines: their chips, links and cores, and what does not work on them."""

import json

import numpy as np
import pytest

import s2nir
from s2nir.errors import InputError, MappingError
from s2nir.machine import LINKS, STEPS

BOARD = s2nir.SpiNNaker2(boards=1)


@pytest.mark.parametrize(("boards", "chips", "size", "joined", "between"), [
    (1, 48, None, 120, 0), (3, 144, (12, 12), 432, 72), (6, 288, (24, 12), 864, 144), (24, 1152, (48, 24), 3456, 576),
])
def test_boards(boards, chips, size, joined, between):
    """48 chips a board; on a torus every chip has six links, eight on each side of a board's hexagon leave it."""
    t = s2nir.SpiNNaker2(boards=boards).topology
    assert (t.chips, t.size) == (chips, size)
    assert (t.neighbour >= 0).sum() == 2 * joined
    assert t.between.sum() == 2 * between
    assert np.bincount(t.board).tolist() == [48] * boards
    assert t.first[-1] == 148 * chips


def test_a_board_is_the_hexagon():
    rows = [sorted(x for x, y in BOARD.coordinates if y == k) for k in range(8)]
    assert rows == [[*range(5)], [*range(6)], [*range(7)], [*range(8)], [*range(1, 8)], [*range(2, 8)], [*range(3, 8)],
                    [*range(4, 8)]]


@pytest.mark.parametrize("machine", [BOARD, s2nir.SpiNNaker2(boards=3), s2nir.SpiNNaker2(chips=((0, 0), (1, 1)))])
def test_links_lead_back(machine):
    t = machine.topology
    for chip in range(t.chips):
        for link in range(LINKS):
            there = t.neighbour[chip, link]
            if there >= 0:
                assert t.neighbour[there, (link + 3) % 6] == chip
                step = t.chip[there] - t.chip[chip] - STEPS[link]
                assert (step % (t.size or (1 << 30, 1 << 30)) == 0).all()


def test_faults_take_parts_away():
    faults = s2nir.Faults(cores=[((0, 0), 5)], chips=[(7, 7)], links=[((1, 1), "E")], routers=[(3, 3)])
    machine = s2nir.SpiNNaker2(boards=1, faults=faults)
    assert machine.topology.chips == 46
    assert machine.cores == 46 * 148 - 1
    assert ((0, 0), 5) not in machine.usable
    assert ((0, 0), 6) in machine.usable
    t = machine.topology
    number = {c: i for i, c in enumerate(machine.coordinates)}
    assert t.neighbour[number[1, 1], 0] == -1 == t.neighbour[number[2, 1], 3]
    assert t.neighbour[number[2, 2], 1] == -1, "its neighbour has no router"
    assert "dead: 1 cores, 1 chips, 1 links, 1 routers" in machine.describe()


def test_faults_are_the_same_from_json(tmp_path):
    faults = s2nir.Faults.drawn(BOARD, 3, cores=0.02, chips=0.05, links=0.05, routers=0.02)
    assert [len(v) for v in faults.to_dict().values()] == [142, 2, 6, 1]
    faults.save(tmp_path / "faults.json")
    assert s2nir.Faults.load(tmp_path / "faults.json") == faults
    machine = s2nir.SpiNNaker2(boards=1, faults=faults)
    assert s2nir.SpiNNaker2.from_dict(json.loads(json.dumps(machine.to_dict()))) == machine
    assert s2nir.Faults.drawn(BOARD, 4, cores=0.02) != s2nir.Faults.drawn(BOARD, 5, cores=0.02)


@pytest.mark.parametrize(("given", "said"), [
    (dict(cores=[((0, 0), 152)]), r"faults\.cores: found PE 152 of chip \(0, 0\), allowed 0 to 151"),
    (dict(cores=[3]), r"faults\.cores: found 3, needed \(\(x, y\), which\)"),
    (dict(links=[((0, 0), "X")]), r"faults\.links: found 'X' of chip \(0, 0\), allowed E, NE, N, W, SW, S"),
    (dict(chips=[(0.5, 0)]), r"faults\.chips: found \(0\.5, 0\), needed the \(x, y\) of a chip"),
    (dict(routers="all"), r"faults\.routers: found 'all', needed a list"),
])
def test_a_fault_that_no_machine_has_is_refused(given, said):
    with pytest.raises(MappingError, match=said):
        s2nir.Faults(**given)


@pytest.mark.parametrize(("given", "said"), [
    (dict(boards=2), r"SpiNNaker2\.boards: found 2, allowed 1, or a multiple of 3 \(triads\)"),
    (dict(boards=True), r"SpiNNaker2\.boards: found True"),
    (dict(boards=3, chips=((0, 0),)), "found both chips and boards"),
    (dict(chips=()), r"SpiNNaker2\.chips: found \(\)"),
    (dict(chips=((0, -1),)), "allowed coordinates from 0 to 255"),
    (dict(chips="all"), r"SpiNNaker2\.chips: found 'all'"),
    (dict(reserved=152), r"SpiNNaker2\.reserved: found 152, allowed 0 to 151"),
    (dict(router_entries=0), r"SpiNNaker2\.router_entries: found 0, allowed 1 to 16384"),
    (dict(faults=s2nir.Faults(chips=[(9, 9)])), r"a chip of chip \(9, 9\), which this machine does not have"),
    (dict(faults=s2nir.Faults(chips=[(0, 0)])), "no core is left to use"),
    (dict(faults={"chips": []}), "found dict, needed s2nir.Faults"),
])
def test_a_machine_that_is_not_there_is_refused(given, said):
    with pytest.raises(MappingError, match=said):
        s2nir.SpiNNaker2(**given)


@pytest.mark.parametrize("text", ["", "[1]", '{"core": []}', '{"cores": [[0, 0]]}', '{"links": [[0, 0, {}]]}'])
def test_a_file_of_no_faults_is_refused(tmp_path, text):
    (tmp_path / "faults.json").write_text(text)
    with pytest.raises(InputError, match="faults"):
        s2nir.Faults.load(tmp_path / "faults.json")
