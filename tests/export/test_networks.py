"""Networks of our own on the stand-in: delays, relays, packets, loops, readouts, resets, convolutions, caps."""

import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2nir
from export.board import alike
from quantize.networks import GREATER_EQUAL, conv, cuba, dense, graph, lif, one_layer, readout, source, sparse
from s2nir.graph import Pool, Reset

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


def test_a_convolution_over_several_cores_keeps_its_kernel():
    """Tiles that lie at a rim leave out taps; together they have them all."""
    out = (3, 8, 8)
    g = graph([source((2, 8, 8)), at("a", out)],
              [conv("in", "a", weights(3, 2, 3, 3), (2, 8, 8), out, padding=(1, 1))])
    image = compiled(g, partition=s2nir.Partition(share=0.2))
    assert len(image["a"].cores) > 4
    found = alike(image, drawn((2, 8, 8), 20, rate=0.2))
    assert [q.is_conv for q in found.projections] == [True]
