"""Rows to runs and single synapses: nothing is lost, joined twice or moved, whatever the targets are."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import s2nir
from s2nir.emulate import decode, deliver_kernels, program, reference, row_kernels
from s2nir.emulate.packed import FEW, pack
from s2nir.mapping import Partition


def split(target, weight, delay, size=10_000, edges=()):
    """Runs and singles of one source, as lists of (delay, target, weight), holes left out; their sizes, how many holes
    there are, and where runs begin."""
    target, weight = np.array(target, np.int32), np.array(weight, np.int8)
    delay = np.array(delay, np.uint8)
    start, end = np.array([0]), np.array([target.size])
    row_kernels.order(start, end, target, weight, delay)
    mark, runs, ones = np.zeros(target.size, np.int8), np.zeros(1, np.int64), np.zeros(1, np.int64)
    row_kernels.marks(start, end, target, delay, mark, runs, ones)
    r, o, zero = int(runs[0]), int(ones[0]), np.zeros(1, np.int64)
    out = [np.zeros(r, np.int32), np.zeros(r, np.int64), np.zeros(r, np.int32), np.zeros(r, np.uint8)]
    alone = [np.zeros(o, np.int32), np.zeros(o, np.int8), np.zeros(o, np.uint8)]
    first = np.array([0, *edges, size])
    used = row_kernels.shape(start, end, target, delay, mark, zero, 1, first, *out)
    assert used == 1 + out[2].sum()
    assert all(t >= 0 and t + n <= size for t, n in zip(out[0], out[2], strict=True))
    weights = np.zeros(used, np.int8)
    weights[0] = 7
    row_kernels.fill(start, end, target, weight, delay, mark, zero, zero, weights, *out[:2], *alone)
    assert weights[0] == 7
    found = [(int(d), int(t) + k, int(weights[w + k])) for t, w, n, d in zip(*out, strict=True)
             for k in range(n) if weights[w + k]]
    found += [(int(d), int(t), int(w)) for t, w, d in zip(*alone, strict=True)]
    rows = [weights[w : w + n] != 0 for w, n in zip(out[1], out[2], strict=True)]
    return found, [int(n) for n in out[2]], o, sum(int((row[1:] & ~row[:-1]).sum()) for row in rows), out[0].tolist()


SYNAPSES = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 127), st.integers(0, 2)), max_size=300)


@settings(max_examples=300, deadline=None)
@given(SYNAPSES)
@example([(5, 100, 0), (5, 100, 0), (6, -1, 0), (7, 2, 0), (8, 3, 0), (9, 3, 0)])
def test_every_synapse_is_in_one_run_or_alone(drawn):
    target, weight, delay = zip(*drawn, strict=True) if drawn else ((), (), ())
    found, lengths, alone, _, _ = split(target, weight, delay, size=901)
    assert sorted(found) == sorted(zip(delay, target, weight, strict=True))
    assert all(n >= 2 for n in lengths)
    assert alone + sum(lengths) >= len(drawn)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6, unique=True))
def test_no_other_cut_costs_less(target):
    """Against all ways to cut a row, by hand."""
    target = sorted(target)
    best, n = None, len(target)
    for choice in range(1 << 2 * n):  # a bit for run or single, and one for whether a run begins anew
        cost, last = 0, None
        for k, t in enumerate(target):
            if not choice >> k & 1:
                cost, last = cost + row_kernels.SINGLE, None
            else:
                anew = last is None or choice >> (n + k) & 1
                hole = row_kernels.HOLE if not anew and t > last + 1 else 0
                cost += row_kernels.BEGIN + 1 if anew else t - last + hole
                last = t
        best = cost if best is None else min(best, cost)
    found, lengths, alone, holes, _ = split(target, [1] * n, [0] * n)
    mine = sum(lengths) + row_kernels.BEGIN * len(lengths) + row_kernels.SINGLE * alone + row_kernels.HOLE * holes
    assert len(found) == n
    assert mine == best


def test_what_is_close_is_one_run_and_what_is_far_is_alone():
    close = np.arange(0, 500, 5)
    assert split(close, np.ones(100), np.zeros(100))[1:3] == ([496], 0)
    whole = np.flatnonzero(np.random.default_rng(0).random(8_000) < 0.1)
    assert split(whole, np.ones(whole.size), np.zeros(whole.size))[1:3] == ([whole[-1] - whole[0] + 1], 0)
    far = np.arange(0, 10_000, 100)
    assert split(far, np.ones(100), np.zeros(100))[1:3] == ([], 100)
    both = np.concatenate([np.arange(50), 200 + 40 * np.arange(5)])
    assert split(both, np.ones(55), np.zeros(55))[1:3] == ([50], 5)
    assert split(np.arange(3), np.ones(3), np.zeros(3))[1:3] == ([], 3)
    assert split(np.arange(100), np.ones(100), np.arange(100) % 2)[1] == [99, 99]


def test_two_synapses_of_one_pair_are_not_summed_in_a_weight():
    found, lengths, alone, _, _ = split([3] * 2 + list(range(4, 20)), [100] * 2 + [1] * 16, [0] * 18)
    assert (lengths, alone) == ([17], 1)
    assert sorted(found)[:2] == [(0, 3, 100), (0, 3, 100)]


@pytest.mark.parametrize("seed", range(20))
def test_windows_with_missing_corners_are_evenly_apart(seed):
    """As of a picture 100 wide, where one synapse in six weighs nothing: one block; at the edges none lies outside."""
    rng = np.random.default_rng(seed)
    for first, size in ((3_340, 10_000), (0, 10_000), (10_000 - 1_532, 10_000)):
        grid = first + np.add.outer(100 * np.arange(16), np.arange(32))
        there = np.sort(grid[rng.random(grid.shape) < 5 / 6])
        found, lengths, alone, _, begins = split(there, np.ones(there.size), np.zeros(there.size), size)
        assert len(found) == there.size
        if 0 < first < 5_000:
            assert (alone, len(lengths), len(set(lengths)), set(np.diff(begins))) == (0, 16, 1, {100})
            assert 30 <= lengths[0] <= 33


def test_a_run_gets_no_longer_over_the_edge_of_a_core():
    target = np.concatenate([np.arange(100 * k + (k == 3), 100 * k + 30 - 2 * (k == 5)) for k in range(8)])
    ones = np.ones(target.size)
    *_, begins = split(target, ones, 0 * ones)
    assert begins == [100 * k for k in range(8)]
    for edges, wanted in (((301,), 301), ((528,), 500)):  # ahead of the fourth run, behind the sixth
        _, lengths, _, _, begins = split(target, ones, 0 * ones, edges=edges)
        inside = [sum(b < e < b + n for e in edges) for b, n in zip(begins, lengths, strict=True)]
        assert not any(inside)
        assert len(begins) == 8
        assert wanted in begins
    assert split(target, ones, 0 * ones, edges=range(50, 10_000, 100))[1] == [30] * 8


def test_runs_of_other_delays_and_lengths_stay_apart():
    rows = [range(0, 40), range(100, 140), range(200, 300), range(300, 340), range(410, 450)]
    target = np.concatenate(rows)
    assert split(target, np.ones(260), np.zeros(260))[1] == [40, 40, 140, 40]
    delay = np.repeat([0, 1, 1], [40, 40, 180])
    assert split(target, np.ones(260), delay)[1] == [40, 40, 140, 40]


@pytest.mark.parametrize("rows", ["sram", "compact", "dram"])
def test_rows_of_every_form_bring_the_same_segments(rows):
    g = s2nir.build(
        {"in": 40, "a": s2nir.Neurons(shape=200, tau=0.01)},
        [s2nir.Connect(source="in", target="a", rule=s2nir.rules.FixedProbability(p=0.3),
                       weight=s2nir.rules.Uniform(low=-1.0, high=1.0))],
        dt=1e-3, seed=3)
    network = s2nir.quantize(g)
    whole, cut = (decode(s2nir.compile(network, s2nir.SpiNNaker2(rows=rows), partition=Partition(slices=n)))
                  for n in (1, 7))
    dense = np.zeros((2, 40, 200), np.int64)
    for k, ready in enumerate((whole, cut)):
        s, at = ready.synapses, np.argsort(ready.index["a"])
        number = {int(ready.index["a"][n]): n for n in at}
        for i, source in enumerate(ready.index["in"].tolist()):
            for j in range(s.start[source], s.start[source + 1]):
                for m in range(s.length[j]):
                    dense[k, i, number[int(s.target[j]) + m]] += s.weights[s.weight[j] + m]
            for j in range(s.one[source], s.one[source + 1]):
                dense[k, i, number[int(s.one_target[j])]] += s.one_weight[j]
    assert (dense[0] == dense[1]).all()
    assert np.count_nonzero(dense[0]) > 2_000


@pytest.mark.parametrize("p", [1.0, 0.3, 0.1])
def test_four_long_rows_at_once_are_four_rows(p):
    """Wide rows against the plain-Python oracle: fours, what is left of four, and packets that count twice."""
    rules, rng = s2nir.rules, np.random.default_rng(0)
    few = rules.FixedProbability(p=p)
    network = s2nir.quantize(s2nir.build(
        {"in": 23, "a": s2nir.Neurons(shape=1500, tau=0.01, r=10.0)},
        [s2nir.Connect(source="in", target="a", rule=few, weight=rules.Uniform(low=-0.4, high=0.6))], dt=1e-3, seed=1))
    image = s2nir.compile(network, s2nir.SpiNNaker2(rows="dram"))
    assert decode(image).synapses.fours
    spikes = rng.integers(0, 3, (12, 23)) * (rng.random((12, 23)) < 0.7)
    spikes[:6] = rng.random((6, 23)) < np.linspace(0.1, 1, 6)[:, np.newaxis]
    found, wanted = s2nir.run(image, spikes, record=("spikes", "voltages")), reference(network, spikes)
    assert found.raw_spikes("a").any()
    assert np.array_equal(found.raw_spikes("a"), wanted.spikes["a"])
    assert found.raw_voltages("a").tobytes() == wanted.voltages["a"].tobytes()


def test_more_packets_and_forms_than_are_put_down_at_once():
    """Runs of 50 lengths, of 700 sources that nearly all send in a tick, some more than one packet."""
    rng, sources, targets = np.random.default_rng(0), 700, 120
    weight = np.zeros((targets, sources))
    for k in range(sources):
        length = 11 + k % 50
        first = rng.integers(0, targets - length)
        weight[first : first + length, k] = rng.choice([-3, -1, 1, 2, 127], length)
    net = s2nir.build({"in": sources, "a": s2nir.Neurons(shape=targets, tau=0.01, threshold=2_000.0)},
                      [s2nir.Connect(source="in", target="a", weight=weight)], dt=1e-3)
    network = s2nir.quantize(net, s2nir.PTQ(per="population"))
    image = s2nir.compile(network, s2nir.SpiNNaker2(rows="dram"), max_count=3)
    ready = program(image).placed
    packed = pack(ready.synapses)
    form = packed.rows[ready.place[ready.index["in"]]] >> deliver_kernels.FORM_AT & deliver_kernels.FORMS - 1
    assert packed.forms.shape[0] == deliver_kernels.FORMS
    assert 0 < (form == 0).sum() < sources // 2
    spikes = (rng.random((5, sources)) < 0.95).astype(np.uint8) + (rng.random((5, sources)) < 0.05)
    assert ((spikes == 1).sum(axis=1) > deliver_kernels.ROOM).all()
    assert (spikes == 2).any()
    found, wanted = s2nir.run(image, spikes, ("spikes", "voltages")), reference(network, spikes, max_count=3)
    assert found.raw_spikes("a").any()
    assert np.array_equal(found.raw_spikes("a").reshape(-1), wanted.spikes["a"].reshape(-1))
    assert found.raw_voltages("a").tobytes() == wanted.voltages["a"].tobytes()


@pytest.mark.parametrize(("targets", "sources", "populations"), [
    (32, 600, 1), (100, 200, 1), (300, 700, 2), (811, 200, 1), (4_100, 45, 1), (40, 90, FEW), (40, 90, FEW + 1),
])
def test_rows_with_their_targets_in_common(targets, sources, populations):
    """More than are summed at once, 16 and 32 bits wide; lengths that no width divides; sums at the edges."""
    rng, names = np.random.default_rng(0), [f"a{k}" for k in range(populations)]
    nodes, ways = {}, []
    for name in names:
        weight = rng.choice([-127, -1, 1, 3, 127], (targets, sources))
        weight[0], weight[-1] = 127, -127
        nodes |= {f"{name}in": sources, name: s2nir.Neurons(shape=targets, tau=0.01, threshold=1_500.0)}
        ways.append(s2nir.Connect(source=f"{name}in", target=name, weight=weight))
    network = s2nir.quantize(s2nir.build(nodes, ways, dt=1e-3), s2nir.PTQ(per="population"))
    image = s2nir.compile(network, s2nir.SpiNNaker2(rows="dram"), max_count=2)
    forms = pack(program(image).placed.synapses).forms[1:, 5]
    assert (forms >= 0).any() if populations <= FEW else (forms == -1).all()
    some = (rng.random((6, sources)) < np.linspace(0.02, 1, 6)[:, np.newaxis]).astype(np.uint8)
    several = some + (rng.random(some.shape) < 0.1)
    for spikes in (some, several):
        each = {f"{name}in": spikes for name in names}
        found, wanted = s2nir.run(image, each, ("spikes", "voltages")), reference(network, each, max_count=2)
        for name in names:
            assert found.raw_spikes(name).any()
            assert np.array_equal(found.raw_spikes(name).reshape(-1), wanted.spikes[name].reshape(-1))
            assert found.raw_voltages(name).tobytes() == wanted.voltages[name].tobytes()
