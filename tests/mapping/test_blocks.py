"""Rows by source slice, compact and in DRAM: they hold what was written, change no spike, and no byte is idle."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2nir
from s2nir import Connect, Faults, Neurons, SpiNNaker2, rules
from s2nir.cost import LOW, EnergyModel, work
from s2nir.emulate.reference import reference
from s2nir.errors import MappingError
from s2nir.machine import APPLICATIONS, EnergyCosts, Word
from s2nir.mapping import blocks

SPIKES = (np.random.default_rng(0).random((3, 20, 12, 12)) < 0.2).astype(np.uint8)


def network(bits=8, arithmetic="float32"):
    graph = s2nir.build(
        {"in": (12, 12), "a": Neurons(shape=(12, 12), tau=0.01), "b": Neurons(shape=(12, 12), tau=0.01, tau_syn=0.005)},
        [Connect(source="in", target="a", rule=rules.OneToOne(), weight=20.0),
         Connect(source="a", target="a", rule=rules.FixedProbability(p=0.3), weight=rules.Normal(mean=0.5, sd=0.5),
                 delay=rules.Uniform(low=0, high=5)),
         Connect(source="a", target="b", rule=rules.Window(size=(5, 5)), weight=rules.Normal(mean=3, sd=0.5), delay=1),
         Connect(source="b", target="b", rule=rules.Window(size=(5, 5)), weight=rules.Normal(mean=-3, sd=0.5)),
         Connect(source="in", target="b", weight=np.random.default_rng(2).normal(size=(144, 144)))],
        dt=1e-3,
    )
    return s2nir.quantize(graph, s2nir.PTQ(bits=bits), arithmetic=arithmetic)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([(Word.COMPACT, False), (Word.DRAM, False), (Word.DRAM, True)]), st.integers(0, 10**6))
def test_what_is_written_is_read(form, seed):
    word, far = form
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 9, rng.integers(1, 5))
    base = np.cumsum(size + rng.integers(0, 4, size.size)) * 8
    n = int(rng.integers(0, 60))
    block = rng.integers(0, size.size, n)
    key = base[block] + rng.integers(0, size[block])
    target = rng.integers(0, 256 if word is Word.COMPACT else 1024, n)
    weight = rng.choice([-127, -1, 1, 127], n)
    delay = np.zeros(n, int) if word is Word.COMPACT else rng.integers(0, 256, n)
    parts = blocks.write(word, key, target, weight, delay, base, size, far)
    new = rng.permutation(base)
    at = np.searchsorted(base, key, side="right") - 1
    there = np.isin(base, parts.table["key"])  # slices of which no neuron is heard have no entry
    again = blocks.moved(word, *parts, new[there])
    there_too = np.sort(new), size[np.argsort(new)], far
    wanted = blocks.write(word, key - base[at] + new[at], target, weight, delay, *there_too)
    assert all(np.array_equal(a, b) for a, b in zip(again, wanted, strict=True))
    assert far <= (parts.rows.size == 0)
    found = blocks.read(word, *parts)
    assert sorted(zip(key, target, weight, delay, strict=True)) == sorted(zip(*found, strict=True))
    assert list(blocks.check(word, *parts)) == []


@pytest.mark.parametrize("far", [False, True])
def test_a_synapse_without_weight_within_a_row_is_a_breach(far):
    """At the end of a burst as well, where a row that ended there would have zeros."""
    six = np.arange(6)
    table, rows, dram = blocks.write(Word.DRAM, six * 0 + 8, six, six + 1, six, np.array([8]), np.array([1]), far)
    for k in range(6):
        words = dram.view("<u4").copy()
        words[4 * far + k] &= 0x00FFFFFF
        what = "ends in words that are not zero" if k == 5 else "holds a weight of zero"
        assert list(blocks.check(Word.DRAM, table, rows, words.view(np.uint8))) == [f"a row of slice 0x8 {what}"]


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("bits", ["s4", 8])
def test_the_choice_of_rows_changes_no_spike(bits, arithmetic):
    net = network(bits, arithmetic)
    expected = reference(net, SPIKES)
    cores = {}
    for rows in ("sram", "compact", "dram"):
        image = s2nir.compile(net, SpiNNaker2(boards=1, rows=rows), window=9000)
        found = s2nir.run(image, SPIKES, record=("spikes", "voltages"))
        for p in "ab":
            np.testing.assert_array_equal(found.raw_spikes(p).reshape(3, -1, 144), expected.spikes[p])
            np.testing.assert_array_equal(found.raw_voltages(p).reshape(3, -1, 144), expected.voltages[p])
            assert found.counts[p].any()
        cores[rows] = image.neuron_cores
    assert cores["dram"] < cores["compact"] < cores["sram"]


def test_rows_on_a_worn_board(tmp_path):
    net = network()
    board = SpiNNaker2(boards=1, rows="dram")
    worn = dataclasses.replace(board, faults=Faults.drawn(board, seed=1, cores=0.02, links=0.05))
    images = [s2nir.compile(net, m, window=9000, minimise="fewest", into=tmp_path / "a.s2") for m in (board, worn)]
    spikes = [s2nir.run(i, SPIKES).raw_spikes("b") for i in images]
    np.testing.assert_array_equal(*spikes)
    loaded = s2nir.MachineImage.load(tmp_path / "a.s2")
    assert loaded.machine.rows == "dram"
    assert sum(c.dram.size for c in loaded.cores) > 0
    np.testing.assert_array_equal(s2nir.run(loaded, SPIKES).raw_spikes("b"), spikes[0])


@pytest.mark.parametrize("rows", ["compact", "dram", "dram_far"])
def test_every_byte_of_rows_shows(rows):
    """A byte of table, places or words that is altered is told by check, or changes what the rows hold."""
    net = s2nir.quantize(s2nir.build(
        {"in": 5, "a": Neurons(shape=7)},
        [Connect(source="in", target="a", weight=np.random.default_rng(4).normal(size=(7, 5)).round(1), delay=1),
         Connect(source="in", target="a", rule=rules.FixedProbability(p=0.5), weight=1.0)],
    ))
    far = rows == "dram_far"
    image = s2nir.compile(net, SpiNNaker2(rows=rows.split("_")[0]), APPLICATIONS["lif_dram"].far if far else "auto")
    place = next(i for i, c in enumerate(image.cores) if c.application == f"lif_{rows}")
    core = image.cores[place]
    table, size = (int(core.memory[4 * k : 4 * k + 4].view("<u4")[0]) for k in (5, 6))
    held = [("memory", 64 + k) for k in range(12 * table + size)] + [("dram", k) for k in range(core.dram.size)]
    assert len(held) > 60

    def rows_of(c):
        word = Word.COMPACT if rows == "compact" else Word.DRAM
        parts = c.memory[64 : 64 + 12 * table].view(blocks.TABLE_ENTRY), c.memory[64 + 12 * table :][:size], c.dram
        found = blocks.read(word, *parts)
        return found if isinstance(found, str) else sorted(zip(*(a.tolist() for a in found), strict=True))

    before = rows_of(core)
    rng = np.random.default_rng(5)
    for what, at in held:
        data = getattr(core, what).copy()
        data[at] ^= 1 << rng.integers(8)
        altered = dataclasses.replace(core, **{what: data})
        cores = (*image.cores[:place], altered, *image.cores[place + 1 :])
        faults = list(dataclasses.replace(image, cores=cores).check())
        assert faults or rows_of(altered) != before, (what, at)
        assert dataclasses.replace(image, cores=cores).digest != image.digest


def test_dram_holds_what_sram_cannot():
    graph = s2nir.build(
        {"in": 4096, "a": Neurons(shape=64)},
        [Connect(source="in", target="a", weight=np.random.default_rng(0).normal(size=(64, 4096)))],
    )
    net = s2nir.quantize(graph)
    with pytest.raises(MappingError, match=r"it hears 4065 sources at 28 bytes each; 2400 sources would fit.*"
                                           r"or other rows \(rows=\)"):
        s2nir.compile(net)
    image = s2nir.compile(net, SpiNNaker2(rows="dram"))
    x = (np.random.default_rng(1).random((5, 4096)) < 0.05).astype(np.uint8)
    np.testing.assert_array_equal(
        s2nir.run(image, x).raw_spikes("a").reshape(1, -1, 64), reference(net, x).spikes["a"])
    assert image.neuron_cores == 1


def test_places_that_would_fill_a_core_stand_in_dram():
    """4,160 sources are 16,640 bytes of places: over three quarters of a window of 21,000, not of one of 22,500."""
    graph = s2nir.build(
        {"in": 4096, "a": Neurons(shape=64, tau=0.01, r=10.0)},
        [Connect(source="in", target="a", rule=rules.FixedIndegree(indegree=400), delay=rules.Uniform(low=0, high=9),
                 weight=rules.Normal(mean=0.02, sd=0.05)),
         Connect(source="a", target="a", rule=rules.FixedProbability(p=0.5), weight=-0.02)],
        dt=1e-3,
    )
    net = s2nir.quantize(graph)
    x = (np.random.default_rng(1).random((60, 4096)) < 0.02).astype(np.uint8)
    expected, read = reference(net, x).spikes["a"], {}
    for window, name in ((8_000, "lif_dram_far"), (21_000, "lif_dram_far"), (22_500, "lif_dram")):
        image = s2nir.compile(net, SpiNNaker2(rows="dram"), window=window, partition=s2nir.Partition(slices=2))
        assert {c.application for c in image.cores} == {"spike_list", name}
        assert list(image.check()) == []
        found = s2nir.run(image, x)
        np.testing.assert_array_equal(found.raw_spikes("a").reshape(1, -1, 64), expected)
        read[window] = EnergyModel(mode=LOW)(found).parts["DRAM"].value / EnergyCosts().dram.value
    assert expected.any()
    arrived = work(found).packets.sum()
    assert read[8_000] == read[21_000] == pytest.approx(read[22_500] + 16 * arrived)  # the second DMA of each packet


def test_long_delays_stand_in_dram_words():
    graph = s2nir.build(
        {"in": 30, "a": Neurons(shape=30)},
        [Connect(source="in", target="a", rule=rules.FixedProbability(p=0.5), weight=1.0,
                 delay=rules.Normal(mean=60, sd=20))],
    )
    net = s2nir.quantize(graph)
    image = s2nir.compile(net, SpiNNaker2(rows="dram"))
    assert [p.kind for p in image.populations] == ["input", "neurons"]  # no relays
    x = (np.random.default_rng(1).random((200, 30)) < 0.05).astype(np.uint8)
    found, expected = s2nir.run(image, x).raw_spikes("a").reshape(1, -1, 30), reference(net, x).spikes["a"]
    np.testing.assert_array_equal(found, expected)
    assert found.any()


def test_more_dram_than_a_chip_has_is_a_breach(monkeypatch):
    import importlib

    image = s2nir.compile(network(), SpiNNaker2(rows="dram"))
    held = sum(c.dram.size for c in image.cores)
    monkeypatch.setattr(importlib.import_module("s2nir.mapping.check"), "DRAM", held - 1)
    assert list(image.check()) == [f"chip (0, 0): {held} bytes of DRAM, a chip has {held - 1}"]


def test_unknown_rows_are_refused():
    with pytest.raises(MappingError, match="rows: found 'flash', allowed 'sram', 'dram', 'compact'"):
        SpiNNaker2(rows="flash")


@pytest.mark.parametrize("rows", ["compact", "dram"])
def test_memories_read_byte_by_byte_hold_every_synapse_once(rows):
    from oracles import image_synapses, network_synapses
    from s2nir.graph import hops, lags, written_out

    net = network()
    image = s2nir.compile(net, SpiNNaker2(rows=rows), window=9000)
    written = written_out(net)
    sums, words = image_synapses(image)
    expected, asked = network_synapses(written, hops(written, lags(written)))
    assert sums == expected
    assert words == asked
