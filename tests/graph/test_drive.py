"""Poisson drives: the generator, the law, and what a graph makes of them."""

import numpy as np
import pytest
from scipy import stats

import s2nir
from s2nir.errors import GraphError, InputError, UnsupportedError
from s2nir.graph import draws, law
from s2nir.graph.drive import MOST, philox

KNOWN = [  # kat_vectors of Random123: counter, key, words of philox4x32-10
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


def driven(rate=500.0, weight=0.3, seed=None, n=8, **neurons):
    drive = s2nir.Poisson(rate=rate, weight=weight, seed=seed)
    return s2nir.build({"a": s2nir.Neurons(shape=n, tau=0.01, r=10.0, drive=drive, **neurons)}, [], dt=1e-3, seed=4)


def test_words_are_those_of_random123():
    for counter, key, words in KNOWN:
        assert philox(counter, key[0] | key[1] << 32).tolist() == list(words)


@pytest.mark.parametrize("mean", [1e-9, 0.01, 0.5, 1.0, 8.0, 20.0, MOST])
def test_the_law_is_poissons(mean):
    table = law(mean).astype(np.float64) / 2**32
    exact = stats.poisson.cdf(np.arange(table.size), mean)
    assert np.abs(table - exact).max() < 2**-31
    assert stats.poisson.cdf(table.size, mean) * 2**32 >= 2**32 - 2  # it goes on to the last entry that matters
    assert (np.diff(table) >= 0).all()


def test_a_law_of_nothing_draws_nothing():
    assert not draws(law(0.0), 7, 100, range(50)).any()


def test_draws_have_the_mean_and_variance_of_the_law():
    found = draws(law(3.0), 11, 1_000, range(1_000))
    assert found.mean() == pytest.approx(3.0, abs=4 * (3 / found.size) ** 0.5)
    assert found.var() == pytest.approx(3.0, rel=0.01)
    counted = np.bincount(found.ravel(), minlength=9)[:9]
    expected = stats.poisson.pmf(np.arange(9), 3.0) * found.size
    assert stats.chisquare(counted, expected * counted.sum() / expected.sum()).pvalue > 1e-4


def test_neurons_steps_seeds_and_noises_draw_apart():
    base = draws(law(3.0), 11, 400, range(300)).astype(float)
    others = [draws(law(3.0), 12, 400, range(300)), draws(law(3.0), 11, 400, range(300), 1),
              draws(law(3.0), 11 + (1 << 32), 400, range(300)), np.roll(base, 1, 0), np.roll(base, 1, 1)]
    for other in others:
        assert abs(np.corrcoef(base.ravel(), other.ravel())[0, 1]) < 0.02


def test_a_part_of_the_steps_and_neurons_is_the_same():
    whole = draws(law(2.0), 5, 103, range(40))
    assert (draws(law(2.0), 5, 103, range(17, 23)) == whole[17:23]).all()
    assert (draws(law(2.0), 5, 50, range(40)) == whole[:, :50]).all()


def test_a_graph_without_inputs_takes_a_number_of_steps():
    graph = driven()
    spikes = graph.simulate(200).spikes["a"]
    assert spikes.shape == (1, 200, 8)
    assert spikes.any()
    assert not (graph.simulate(200, noise=1).spikes["a"] == spikes).all()
    with pytest.raises(InputError, match=r"spikes: found array.*allowed whole steps from 1 up; the network has no"):
        graph.simulate(np.zeros((200, 8)))


def test_events_are_inputs_of_their_weight():
    graph = driven(rate=2_000.0, weight=0.25)
    inputs = graph.simulate(50, ("inputs",), noise=9).inputs["a"][0]
    drive = graph["a"].drive
    assert (inputs == 0.25 * draws(law(2.0), drive.seed, 8, range(50), 9)).all()


def test_recordings_with_noises_of_their_own():
    way = s2nir.Connect(source="in", target="a", weight=np.ones((4, 2)))
    drive = s2nir.Poisson(rate=900.0, weight=0.3)
    graph = s2nir.build({"in": 2, "a": s2nir.Neurons(shape=4, tau=0.01, drive=drive)}, [way], dt=1e-3)
    spikes = np.zeros((3, 40, 2))
    inputs = graph.simulate(spikes, ("inputs",), noise=[5, 6, 5]).inputs["a"]
    assert (inputs[0] == inputs[2]).all()
    assert not (inputs[0] == inputs[1]).all()
    assert (graph.simulate(spikes[:1], ("inputs",), noise=6).inputs["a"][0] == inputs[1]).all()
    with pytest.raises(InputError, match="noise: found 2 numbers, needed one, or one for each of 3 recordings"):
        graph.simulate(spikes, noise=[1, 2])
    with pytest.raises(InputError, match=r"noise\[1\]: found -1, allowed whole numbers from 0 to 4294967295"):
        graph.simulate(spikes, noise=[1, -1, 2])


def test_seeds_follow_from_names_and_the_seed_of_build():
    assert driven().digest == driven().digest
    assert driven(seed=3)["a"].drive.seed == 3
    one = s2nir.Neurons(shape=2, tau=0.01, drive=s2nir.Poisson(rate=5.0, weight=1.0))
    seeds = {s2nir.build({"a": one, "b": one}, [], dt=1e-3, seed=s)[n].drive.seed for s in (0, 1) for n in "ab"}
    assert len(seeds) == 4


@pytest.mark.parametrize(("options", "said"), [
    (dict(rate=-1.0), r"Poisson.rate: found -1.0, allowed events per second from 0 up"),
    (dict(rate=1e6), r"a.drive: 1e\+06 events per second: Drive.mean: found 1000.0, allowed .* per step from 0 to 250"),
    (dict(weight=float("nan")), "Poisson.weight: found nan, allowed finite numbers"),
    (dict(seed=-1), "Poisson.seed: found -1, allowed whole numbers from 0 to 18446744073709551615"),
])
def test_a_drive_that_cannot_be_meant_is_refused(options, said):
    with pytest.raises(GraphError, match=said):
        driven(**options)


def test_a_rate_needs_a_time_step():
    neurons = s2nir.Neurons(shape=2, drive=s2nir.Poisson(rate=5.0, weight=1.0))
    with pytest.raises(GraphError, match=r"a.drive: a rate in events per second needs dt=, seconds per step"):
        s2nir.build({"a": neurons}, [])


def test_something_else_than_a_drive_is_refused():
    with pytest.raises(InputError, match=r"a.drive: found a float, needed a Poisson. Give s2nir.Poisson"):
        s2nir.build({"a": s2nir.Neurons(shape=2, drive=0.5)}, [], dt=1e-3)


def test_nir_has_no_word_for_it():
    with pytest.raises(UnsupportedError, match="a: NIR has no node that draws a Poisson process") as error:
        s2nir.to_nir(driven())
    assert error.value.rule == "to-nir-drive"


def test_a_page_names_it():
    assert "Poisson drive of 0.5 events a step, weight 0.3, seed 3" in str(driven(seed=3))
    assert "Poisson drive of weight 127" in str(s2nir.quantize(driven()))
