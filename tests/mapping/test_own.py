"""Stages of a user's own: one that is right works, one that is not is named, and s2nir is not blamed."""

import numpy as np
import pytest

import s2nir
from quantize.networks import dense, graph, lif, source
from s2nir.errors import CheckError, InputError, MappingError
from s2nir.mapping import ByChip, Curve, Entries, KeyBlock, LoadAware, OrderedCovering, Trees

BOARD = s2nir.SpiNNaker2(boards=1, reserved=148)


@pytest.fixture(scope="module")
def network():
    r = np.random.default_rng(0)
    return s2nir.quantize(graph(
        [source((20,)), lif("a", (40,)), lif("b", (10,))],
        [dense("in", "a", r.normal(size=(40, 20))), dense("a", "b", r.normal(size=(10, 40)))]))


def made(network, **stages):
    return s2nir.compile(network, machine=BOARD, partition=s2nir.Partition(slices=8), **stages)


def backwards(net, machine):
    """From the last core on."""
    t = machine.topology
    n = len(net.slices)
    return np.repeat(np.arange(t.chips), np.diff(t.first))[::-1][:n], t.pe[::-1][:n]


def test_a_placer_of_ones_own(network):
    image = made(network, place=backwards)
    last = BOARD.coordinates[-1]
    assert {c.chip for c in image.cores} >= {last}
    spikes = (np.random.default_rng(1).random((10, 20)) < 0.3).astype(np.uint8)
    one, two = s2nir.run(image, spikes), s2nir.run(made(network), spikes)
    assert all(np.array_equal(one.spikes[n], two.spikes[n]) for n in "ab")


def wrong_pe(net, machine):
    chip, pe = backwards(net, machine)
    return chip, np.full_like(pe, 151)


def minus(net, machine):
    chip, pe = backwards(net, machine)
    return np.where(chip == chip[0], -1, chip), pe


@pytest.mark.parametrize(("place", "said"), [
    (lambda net, machine: None, r"place: <lambda> gave None, needed \(chip, pe\): two arrays of whole numbers"),
    (lambda net, machine: {}, r"place: <lambda> gave {}, needed"),
    (lambda net, machine: tuple(a[1:] for a in backwards(net, machine)), "one for each of the 28 slices"),
    (lambda net, machine: tuple(a + 0.0 for a in backwards(net, machine)), "two arrays of whole numbers"),
    (lambda net, machine: tuple(a * 0 for a in backwards(net, machine)), "<lambda> gave what is not legal: .*both"),
    (minus, r"place: minus puts in\[.*\] on chip number -1 PE \d+, allowed chip numbers are 0 to 47"),
    (wrong_pe, "place: wrong_pe gave what is not legal: .*is no usable core of the machine"),
])
def test_a_placer_that_is_wrong_is_named(network, place, said):
    with pytest.raises(MappingError, match=said):
        made(network, place=place)


def lists(net, machine):
    return [a.tolist() for a in backwards(net, machine)]


def test_lists_are_as_good_as_arrays(network):
    assert made(network, place=lists).digest == made(network, place=backwards).digest


def lost(flow, machine):
    """Trees that lose what the first one reaches."""
    t = LoadAware()(flow, machine)
    route = t.route.copy()
    route[t.start[0] : t.start[1]] &= 0x3F
    return Trees(start=t.start, chip=t.chip, route=route, arrives=t.arrives)


def alike(slices, cores=None):
    return dict.fromkeys(slices, KeyBlock(base=0, bits=8))


@pytest.mark.parametrize(("stages", "said"), [
    ({"route": lambda flow, machine: None}, "route: <lambda> gave None, needed s2nir.mapping.Trees"),
    ({"route": lost}, "route: lost gave what is not legal: RouteTrees: .*does not reach"),
    ({"allot": lambda slices, cores: []}, r"allot: <lambda> gave \[\], needed a dict of a KeyBlock for each slice"),
    ({"allot": alike}, "allot: alike gave what is not legal: Placement: .*both own key"),
    ({"minimise": lambda entries: None}, "minimise: <lambda> gave None, needed Entries"),
    ({"minimise": lambda e: Entries(key=e.key[1:], mask=e.mask[1:], route=e.route[1:])},
     "minimise: <lambda> gave what is not legal: chip .*: the smaller table changed the way of key 0x"),
])
def test_other_stages_that_are_wrong_are_named(network, stages, said):
    with pytest.raises(MappingError, match=said):
        made(network, **stages)


@pytest.mark.parametrize(("stages", "said"), [
    ({"place": LoadAware()}, "place: found LoadAware.*, which is for route=; needed one such as"),
    ({"route": Curve()}, "route: found Curve.*, which is for place="),
    ({"allot": OrderedCovering()}, "allot: found OrderedCovering.*, which is for minimise="),
    ({"place": ByChip()}, "place: found ByChip.*, which is for allot="),
])
def test_a_stage_in_the_place_of_another_is_refused(network, stages, said):
    with pytest.raises(InputError, match=said):
        made(network, **stages)


def test_ours_is_a_defect(network, monkeypatch):
    call = Curve.__call__
    monkeypatch.setattr(Curve, "__call__", lambda self, net, machine: tuple(a * 0 for a in call(self, net, machine)))
    with pytest.raises(CheckError, match="a defect of s2nir"):
        made(network, place=Curve())
