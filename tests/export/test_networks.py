"""Networks of our own on the stand-in: delays, relays, packets, loops, readouts, resets, convolutions, caps."""

import runpy
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2nir
from export.board import alike
from quantize.networks import GREATER_EQUAL, conv, cuba, dense, graph, lif, one_layer, readout, source, sparse
from s2nir.export.caps import held
from s2nir.export.stand_in import stand_in
from s2nir.export.stand_in.hardware import taken
from s2nir.graph import Pool, Reset
from s2nir.mapping import regions

R = np.random.default_rng(5)


def at(name, shape, **fields):
    return lif(name, shape, **({"compare": GREATER_EQUAL} | fields))


def compiled(g, scheme=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        return s2nir.compile(s2nir.quantize(g, scheme or s2nir.PTQ()), **({"onset": "board"} | options))


def drawn(shape, steps=40, rate=0.4, seed=0):
    return np.random.default_rng(seed).poisson(rate, (steps, *shape)).astype(np.uint8)


def weights(*shape):
    return R.normal(0.2, 0.6, shape)


def chain(scheme=None, **options):
    """A skip connection over two populations with a delay of 3, and a loop."""
    g = graph(
        [source((6,)), at("a", (9,)), at("b", (5,), decay=0.9), at("c", (4,), reset=Reset.TO_VALUE, v_reset=-0.25)],
        [dense("in", "a", weights(9, 6)), dense("a", "b", weights(5, 9)), dense("b", "c", weights(4, 5)),
         dense("in", "c", weights(4, 6), delay=3), dense("a", "a", weights(9, 9) / 3)])
    return compiled(g, scheme, **options)


def test_relays_are_populations_that_pass_spikes():
    image = chain()
    found = alike(image, drawn((6,)))
    relays = [p for p in found.populations if p.kind == "relay"]
    assert len(relays) == sum(p.kind == "relay" for p in image.populations) == 5
    assert {p.model for p in relays} == {"lif_no_delay"}
    assert min(len(s) for s in found.spikes.values()) > 5


def test_delay_words_need_fewer():
    image = chain(s2nir.PTQ(bits="s4"))
    found = alike(image, drawn((6,)))
    assert {"lif"} < {p.model for p in found.populations}
    assert not [p for p in found.populations if p.kind == "relay"]
    assert max(q.connections[:, 3].max() for q in found.projections) == 5
    assert max(np.abs(q.connections[:, 2]).max() for q in found.projections) == 15


def test_delays_over_seven_ticks_take_relays_and_words():
    g = graph([source((3,)), at("a", (4,))],
              [sparse("in", "a", [(i, j, 0.5 + i, 4 * j) for i in range(3) for j in range(4)], 3, 4)])
    found = alike(compiled(g, s2nir.PTQ(bits="s4", per="population")), drawn((3,)))
    assert len([p for p in found.populations if p.kind == "relay"]) == 5
    assert {tuple(np.unique(q.connections[:, 3])) for q in found.projections if q.post == "a"} >= {(0, 4), (7,)}


def test_several_packets_of_a_source_are_several_sources():
    spikes = drawn((6,), rate=1.5)
    found = alike(chain(), spikes)
    assert spikes.max() >= 4
    sizes = {p.name: p.size for p in found.populations}
    assert sizes["in"] == sizes["in+1"] == 6 * spikes.max()
    assert sizes["a"] == 9


def test_weights_that_fill_two_words_are_two_projections():
    """Windows that overlap add up to more than a word."""
    pool = Pool(size=(2, 2), stride=(1, 1))
    g = graph([source((1, 4, 4)), at("a", (1, 2, 2), threshold=3.0)],
              [conv("in", "a", np.ones((1, 1, 2, 2)), (1, 4, 4), (1, 2, 2), pool=pool)])
    found = alike(compiled(g, application="auto"), drawn((1, 4, 4)))
    lists = [q for q in found.projections if q.post == "a"]
    assert len(lists) > 1
    assert max(np.abs(q.connections[:, 2]).max() for q in lists) == 127


def test_a_readout_is_compared_by_its_voltages():
    g = graph([source((6,)), at("a", (9,)), readout("b", (3,), decay=0.8)],
              [dense("in", "a", weights(9, 6)), dense("a", "b", weights(3, 9))])
    found = alike(compiled(g), drawn((6,)))
    assert np.abs(found.voltages["b"]).max() > 1
    assert {p.name: p.record for p in found.populations}["b"] == ("v",)


@pytest.mark.parametrize("fields", [
    dict(reset=Reset.ZERO), dict(reset=Reset.TO_VALUE, v_reset=0.3), dict(refractory=3), dict(constant=0.3),
    dict(reset=Reset.ZERO, compare=s2nir.graph.Compare.GREATER),
])
def test_current_based_neurons(fields):
    g = one_layer(weights(5, 6), cuba("a", (5,), **({"compare": GREATER_EQUAL} | fields)))
    found = alike(compiled(g), drawn((6,)))
    assert len(found.spikes["a"]) > 20


def test_greater_than_a_whole_threshold():
    """Membranes meet their threshold exactly, and a `>` does not spike there."""
    counts = Counter()
    for compare in (GREATER_EQUAL, s2nir.graph.Compare.GREATER):
        g = one_layer(np.full((2, 4), 1.0), decay=1.0, threshold=2.0, reset=Reset.ZERO, compare=compare)
        found = alike(compiled(g), drawn((4,)))
        counts[compare] = len(found.spikes["a"])
    assert counts[GREATER_EQUAL] > counts[s2nir.graph.Compare.GREATER] > 0


def test_membranes_that_do_not_outlive_their_tick_need_no_reset():
    g = one_layer(weights(5, 6), decay=0.0, reset=Reset.NONE, compare=s2nir.graph.Compare.GREATER)
    found = alike(compiled(g), drawn((6,)))
    assert {p.name: p.params for p in found.populations}["a"]["reset"] == "reset_to_v_reset"
    g = one_layer(weights(5, 6), decay=0.0, compare=s2nir.graph.Compare.GREATER)
    alike(compiled(g), drawn((6,)))
    held = cuba("a", (5,), decay=0.0, refractory=2, reset=Reset.NONE)
    assert len(alike(compiled(one_layer(weights(5, 6), held)), drawn((6,))).spikes["a"]) > 20


def test_a_loop_through_two_populations():
    g = graph([source((6,)), at("a", (5,)), at("b", (5,))],
              [dense("in", "a", weights(5, 6)), dense("a", "b", weights(5, 5)), dense("b", "a", weights(5, 5))])
    assert len(alike(compiled(g, loops="machine"), drawn((6,))).spikes["b"]) > 5


def test_caps_are_the_slices_of_the_image():
    g = one_layer(weights(120, 30), compare=GREATER_EQUAL)
    image = compiled(g, partition=s2nir.Partition(share=0.25))
    found = {p.name: p for p in alike(image, drawn((30,))).populations}
    assert found["a"].cap == max(r["neurons_per_core"] for r in image.fit() if r["population"] == "a") == 30
    assert found["a"].cores == len(image["a"].cores) == 4


def test_caps_stay_within_what_is_published():
    g = one_layer(weights(256, 600) / 9, compare=GREATER_EQUAL)
    app = s2nir.machine.Application(name="lif_no_delay", max_neurons=1024, window=98_304)
    found = {p.name: p for p in alike(compiled(g, application=app), drawn((600,), 5, rate=0.05)).populations}
    assert (found["in"].cap, found["in"].largest) == (250, 600)
    assert max(found["a"].cap, 250) == 250


COUNTED = {
    "rows": (lambda: chain(), (6,)), "delay words": (lambda: chain(s2nir.PTQ(bits="s4")), (6,)),
    "kernels": (lambda: compiled(convolved()), (2, 8, 8)),
    "kernels of tiles": (lambda: compiled(convolved(), partition=s2nir.Partition(share=0.2)), (2, 8, 8)),
}


def convolved():
    """A convolution, and one behind it that comes first by name."""
    out = (3, 8, 8)
    return graph([source((2, 8, 8)), at("b", out), at("a", (5, 8, 8))],
                 [conv("in", "b", weights(3, 2, 3, 3), (2, 8, 8), out, padding=(1, 1)),
                  conv("b", "a", weights(5, 3, 3, 3), out, (5, 8, 8), padding=(1, 1))])


@pytest.mark.parametrize("case", COUNTED)
def test_bytes_are_counted_as_the_stand_in_counts_them(case, tmp_path):
    make, shape = COUNTED[case]
    image = make()
    found = image.export_py_spinnaker2(tmp_path / "run.py", drawn(shape, 20, rate=0.1))
    with stand_in() as s2, np.load(tmp_path / "run.npz") as data:
        net, populations = runpy.run_path(str(tmp_path / "run.py"), run_name="script")["network"](s2.snn, data)
    sizes, caps = ({p.name: getattr(p, what) for p in found.populations} for what in ("size", "cap"))
    for p in found.populations:
        into = [q for q in found.projections if q.post == p.name]
        assert held(p, p.cap, into, caps, sizes, found.ticks + 1).tolist() == taken(
            populations[p.name], net, found.ticks + 1), p.name


def test_caps_shrink_where_records_ask_for_it():
    g = one_layer(weights(200, 10), compare=GREATER_EQUAL)
    image = compiled(g)
    short, long = (alike(image, drawn((10,), steps=n, rate=0.02)) for n in (20, 1600))
    cap = [next(p for p in f.populations if p.name == "a").cap for f in (short, long)]
    assert cap[0] == 200 > cap[1] > 99
    assert "slices of the image 200" in str(long)


@st.composite
def convolutions(draw):
    """A population behind a convolution of any geometry."""
    pick = lambda *choices: draw(st.sampled_from(choices))  # noqa: E731
    groups = pick(1, 1, 1, 2)
    c_in, c_out = groups * pick(1, 2), groups * pick(1, 3)
    pool = pick(None, None, Pool(size=(2, 2), stride=(2, 2)), Pool(size=(2, 1), stride=(2, 1)),
                Pool(size=(2, 2), stride=(1, 1)), Pool(size=(2, 2), stride=(2, 2), padding=(1, 0)))
    h, w = pick(4, 6, 7), pick(4, 6)
    kernel, padding = (pick(1, 2, 3), pick(1, 3)), (pick(0, 0, 1), pick(0, 1))
    stride, dilation = pick((1, 1), (1, 1), (2, 2), (1, 2)), pick((1, 1), (1, 1), (1, 1), (2, 1))
    (sh, sw), (kh, kw) = stride, kernel
    height, width = h, w
    if pool:
        height, width = ((n + 2 * p - k) // s + 1 for n, p, k, s in zip((h, w), pool.padding, pool.size, pool.stride,
                                                                         strict=True))
    out = ((height + 2 * padding[0] - (kh - 1) * dilation[0] - 1) // sh + 1,
           (width + 2 * padding[1] - (kw - 1) * dilation[1] - 1) // sw + 1)
    says = (groups == 1 and dilation == (1, 1) and sh == sw
            and (pool is None or (pool.size == pool.stride == (2, 2) and pool.padding == (0, 0)
                                  and h % 2 == w % 2 == 0)))
    fields = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, pool=pool)
    return (c_in, h, w), (c_out, *out), (c_out, c_in // groups, kh, kw), fields, says


def test_convolutions_of_every_geometry():
    ended = Counter()

    @settings(max_examples=250, deadline=None, derandomize=True, database=None)
    @given(drawn_conv=convolutions(), seed=st.integers(0, 99), current=st.sampled_from([False, False, True]))
    def go(drawn_conv, seed, current):
        before, after, kernel, fields, says = drawn_conv
        if min(after) < 1:
            return
        r = np.random.default_rng(seed)
        cells = cuba("a", after, compare=GREATER_EQUAL) if current else at("a", after)
        g = graph([source(before), cells], [conv("in", "a", r.normal(0.3, 0.6, kernel), before, after, **fields)])
        found = alike(compiled(g), drawn(before, 12, seed=seed))
        conv2d = [q for q in found.projections if q.is_conv]
        assert len(conv2d) == (says and not current), fields
        ended[bool(conv2d)] += 1
        ended["spikes"] += len(found.spikes["a"])

    go()
    assert min(ended[True], ended[False]) >= 30, ended
    assert ended["spikes"] > 1000


def test_a_convolution_with_company_is_a_list():
    """A loop around it, or a second source: what a board's program does with both is not known."""
    out = (2, 3, 3)
    g = graph([source((1, 3, 3)), at("a", out)],
              [conv("in", "a", weights(2, 1, 3, 3), (1, 3, 3), out, padding=(1, 1)),
               dense("a", "a", weights(18, 18) / 4)])
    found = alike(compiled(g), drawn((1, 3, 3)))
    assert [q.is_conv for q in found.projections] == [False, False]


def bands():
    """A convolution over cores of a row of pixels each: those at a rim leave out taps that meet padding alone."""
    g = graph([source((1, 6, 6)), at("a", (1, 6, 6))],
              [conv("in", "a", weights(1, 1, 5, 5), (1, 6, 6), (1, 6, 6), padding=(2, 2))])
    return compiled(g, partition=s2nir.Partition(share=1 / 6))


def test_a_convolution_over_several_cores_keeps_its_kernel():
    image = bands()
    taps = [np.count_nonzero(regions(image.cores[i].memory, True).kernels) for i in image["a"].cores]
    assert min(taps) < max(taps) == 25
    found = alike(image, drawn((1, 6, 6), 20, rate=0.2))
    assert [q.is_conv for q in found.projections] == [True]
    assert np.count_nonzero(found.projections[0].kernel[0]) == 25


def test_a_convolution_that_not_all_packets_come_to_is_a_list():
    """What is exported is what the emulator decodes, of a table with a fault too."""
    image = bands()
    lost = image.cores[image["a"].cores[2]]
    (chip, table), = image.tables.items()
    route = table.route.copy()
    route[:, (6 + lost.pe) // 8] &= ~np.uint8(1 << (6 + lost.pe) % 8)
    broken = replace(image, tables={chip: replace(table, route=route)})
    found = alike(broken, drawn((1, 6, 6), 20, rate=0.2))
    assert [q.is_conv for q in found.projections] == [False]
    assert not set(found.projections[0].connections[:, 1].tolist()) & set(range(12, 18))
