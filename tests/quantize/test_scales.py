"""Scales and integer weights against an independent slow computation."""

import itertools
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2nir
from quantize.networks import conv, dense, graph, lif, one_layer, source, sparse
from s2nir.errors import QuantizeError, S2NirWarning
from s2nir.graph import Conv, Dense, Pool

PERCENTILES = (100.0, 99.9, 99.0, 90.0, 50.0, 1.0)


def quantized(g, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        return s2nir.quantize(g, s2nir.PTQ(**options))


def stored(connection, neuron=None, channel=None):
    """The stored weights into a neuron, or into a channel of a convolution, or all."""
    if isinstance(connection, Conv):
        weight = connection.weight if channel is None else connection.weight[channel]
        return weight.ravel().tolist()
    if isinstance(connection, Dense):
        weight = connection.weight if neuron is None else connection.weight[neuron]
        return weight.ravel().tolist()
    mine = [w for t, w in zip(connection.target, connection.weight, strict=True) if neuron is None or t in neuron]
    return [float(w) for w in mine]


def slow_scales(g, name, per, percentile, limit):
    """g for every neuron, one at a time."""
    p = g[name]
    ways = [q.connection for q in g.into(name)]
    convs = [c for c in ways if isinstance(c, Conv)]
    found = []
    for n in range(p.size):
        if per == "population":
            members, channel = list(range(p.size)), None
        elif convs:
            per_channel = p.size // convs[0].out_shape[0]
            channel = n // per_channel
            members = list(range(channel * per_channel, (channel + 1) * per_channel))
        else:
            members, channel = [n], None
        pool = list(itertools.chain.from_iterable(stored(c, members, channel) for c in ways))
        pool = np.abs(np.array(pool, float))
        if not pool.size or pool.max() == 0:
            found.append(1.0)
            continue
        at = linear_percentile(pool, percentile)
        found.append(limit / (at if at > 0 else pool.max()))
    return np.array(found)


def linear_percentile(values, p):
    """By its definition: at place p / 100 x (n - 1) of the sorted values, linear in between."""
    values = sorted(values)
    place = p / 100 * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def slow_weights(g, network, q, whole, limit, toward_zero):
    """Every integer weight of a projection, one at a time, in exact fractions."""
    p = network[q.target]
    scale = p.full("weight_scale")
    c = q.connection
    for place, w in np.ndenumerate(c.weight):
        if isinstance(c, Conv):
            s = scale[place[0] * (p.size // c.out_shape[0])]
        elif isinstance(c, Dense):
            s = scale[place[0]]
        else:
            s = scale[c.target[place[0]]]
        real = Fraction(float(w * s))
        want = int(real) if toward_zero else round(real)
        assert whole.connection.weight[place] == max(-limit, min(limit, want))


def several(seed=0):
    """Dense, sparse and a recurrence into `a`; two convolutions, one pooled, and a matrix into `b`."""
    rng = np.random.default_rng(seed)
    loose = rng.random((5, 4)) < 0.5
    entries = [(int(s), int(t), float(rng.normal()), 0) for t, s in np.argwhere(loose)]
    matrix = rng.normal(size=(5, 4)) * (rng.random((5, 4)) < 0.6)
    matrix[3] = 0
    entries = [e for e in entries if e[1] != 3]
    recurrent = rng.normal(size=(5, 5)) * 3
    recurrent[3] = 0
    return graph(
        [source(), source((2, 4, 4), "picture"), lif("a", (5,)), lif("b", (3, 4, 4)), lif("c", (2, 2, 2))],
        [dense("in", "a", matrix), sparse("in", "a", entries, 4, 5, delay=1), dense("a", "a", recurrent),
         conv("picture", "b", rng.normal(size=(3, 2, 3, 3)), (2, 4, 4), (3, 4, 4), padding=(1, 1)),
         conv("picture", "b", 4 * rng.normal(size=(3, 2, 1, 1)), (2, 4, 4), (3, 4, 4)),
         dense("a", "b", rng.normal(size=(48, 5))),
         conv("b", "c", rng.normal(size=(2, 3, 1, 1)) / 4, (3, 4, 4), (2, 2, 2),
              pool=Pool(size=(2, 2), stride=(2, 2)))],
    )


@pytest.mark.parametrize("per", ["population", "channel"])
@pytest.mark.parametrize("percentile", PERCENTILES)
@pytest.mark.parametrize("bits", [8, 3, "s4"])
def test_scales_are_those_of_the_slow_way(per, percentile, bits):
    g = several()
    limit = {8: 127, 3: 3, "s4": 15}[bits]
    network = quantized(g, per=per, percentile=percentile, bits=bits)
    for name in ("a", "b", "c"):
        want = slow_scales(g, name, per, percentile, limit)
        assert np.allclose(network[name].full("weight_scale"), want, rtol=1e-12, atol=0)
    assert network["a"].full("weight_scale")[3] == 1.0 or per == "population"  # nothing but zeros into that neuron


@pytest.mark.parametrize("rounding", ["half_even", "toward_zero"])
@pytest.mark.parametrize(("per", "percentile"), [("population", 100.0), ("channel", 100.0), ("channel", 60.0)])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8, "s4"])
def test_integer_weights_are_those_of_the_slow_way(rounding, per, percentile, bits):
    g = several(1)
    limit = 15 if bits == "s4" else 2 ** (bits - 1) - 1
    network = quantized(g, per=per, percentile=percentile, bits=bits, rounding=rounding)
    assert network.limit == limit
    for q, whole in zip(g.projections, network.projections, strict=True):
        assert whole.connection.weight.dtype == np.int8
        slow_weights(g, network, q, whole, limit, rounding == "toward_zero")
    peak = max(int(np.abs(q.connection.weight.astype(int)).max()) for q in network.projections)
    assert peak == limit


def test_a_percentile_of_zero_falls_back_to_the_maximum():
    weight = np.zeros((1, 100))
    weight[0, 0] = 0.5
    network = quantized(one_layer(weight), percentile=90.0)
    assert network["a"].weight_scale == 127 / 0.5
    assert network.projections[0].connection.weight[0, 0] == 127


def test_zeros_of_a_matrix_count_and_absent_synapses_do_not():
    row = [4.0, 2.0, 0.0, 0.0]
    full = quantized(one_layer([row]), percentile=50.0)
    assert full["a"].weight_scale == 127 / 1.0  # the middle of 0, 0, 2, 4
    thin = graph([source(), lif("a", (1,))], [sparse("in", "a", [(0, 0, 4.0, 0), (1, 0, 2.0, 0)], 4, 1)])
    assert quantized(thin, percentile=50.0)["a"].weight_scale == 127 / 3.0


def test_a_kernel_counts_once_however_often_it_is_used():
    """One kernel of 4 on 16 places, one matrix row of 1s on each: the matrix has many more stored weights."""
    g = graph(
        [source((1, 4, 4)), source((2,), "x"), lif("a", (1, 4, 4))],
        [conv("in", "a", np.full((1, 1, 1, 1), 4.0), (1, 4, 4), (1, 4, 4)), dense("x", "a", np.ones((16, 2)))],
    )
    pool = [4.0] + [1.0] * 32
    for p in (100.0, 98.0, 96.0):
        assert quantized(g, percentile=p)["a"].weight_scale == 127 / np.percentile(pool, p)


def test_convolutions_that_count_channels_differently_share_whole_channels():
    """32 neurons as 8 channels of 4 and as 2 of 16: one scale per 16; as 3 of 4 and 2 of 6: one per 12."""
    rng = np.random.default_rng(5)

    def net(first, second, size):
        return graph([source((size,)), lif("a", (size,))], [
            conv("in", "a", rng.normal(size=(c, size, 1, 1)), (size, 1, 1), (c, size // c, 1), padding=(0, 0))
            for c in (first, second)] + [dense("in", "a", rng.normal(size=(size, size)) / 3)])

    for g, run in ((net(8, 2, 32), 16), (net(3, 2, 12), 12)):
        network = quantized(g)
        scale = network["a"].full("weight_scale").reshape(-1, run)
        assert (scale == scale[:, :1]).all()
        assert len(set(scale[:, 0])) == scale.shape[0]
        for k, one in enumerate(scale[:, 0]):
            pool = []
            for q in g.into("a"):
                w = q.connection.weight.reshape(q.connection.weight.shape[0], -1)
                per = w.shape[0] * run // g["a"].size
                pool.append(np.abs(w[k * per : (k + 1) * per]).max())
            assert one == 127 / max(pool)


def test_an_average_pool_is_a_sum_pool_with_its_share_in_the_scale():
    """Kernels of an AvgPool carry 1 / k**2, so the scale is k**2 larger and the integers are a SumPool's."""
    rng = np.random.default_rng(4)
    kernel = rng.normal(size=(2, 1, 1, 1))

    def pooled(k):
        return graph(
            [source((1, 4, 4)), lif("a", (2, 2, 2))],
            [conv("in", "a", kernel * k, (1, 4, 4), (2, 2, 2), pool=Pool(size=(2, 2), stride=(2, 2)))],
        )

    average, total = quantized(pooled(1 / 4)), quantized(pooled(1.0))
    assert np.array_equal(average["a"].full("weight_scale"), 4 * total["a"].full("weight_scale"))
    assert np.array_equal(average.projections[0].connection.weight, total.projections[0].connection.weight)
    assert np.array_equal(average["a"].full("threshold"), 4 * total["a"].full("threshold"))


REAL = st.floats(-1e6, 1e6).filter(lambda w: w == 0 or abs(w) > 1e-30)


@settings(max_examples=200, deadline=None)
@given(st.lists(REAL, min_size=1, max_size=9), st.sampled_from(PERCENTILES),
       st.sampled_from(["half_even", "toward_zero"]), st.sampled_from([2, 4, 8, "s4"]))
def test_a_clipped_weight_never_wraps_or_turns(weights, percentile, rounding, bits):
    network = quantized(one_layer([weights]), percentile=percentile, rounding=rounding, bits=bits)
    whole = network.projections[0].connection.weight[0].astype(int)
    assert np.abs(whole).max() <= network.limit
    assert all(int(w) * x >= 0 for w, x in zip(whole, weights, strict=True))
    order = np.argsort(weights)
    assert (np.diff(whole[order]) >= 0).all()


def test_a_weight_beyond_every_integer_is_held_on_its_side():
    """A stray 1e-20 sets the scale: 1 becomes 1e22, over int64."""
    network = quantized(one_layer([[1e-20, 1e-20, 1e-20, 1.0, -1.0]]), percentile=50.0)
    assert network.projections[0].connection.weight.tolist() == [[127, 127, 127, 127, -127]]
    assert "2 of 5 weights are over 127 and are held there" in " ".join(network.notes)


@pytest.mark.parametrize("weights", [[5e-324, 0.0], [1e-310, 1e-310]])
def test_weights_too_small_for_a_scale_are_refused(weights):
    with pytest.raises(QuantizeError, match=r"a: .*weights .* too small"):
        quantized(one_layer([weights]))


def test_the_trap_of_the_importer_is_clipped_here_and_wraps_only_on_request():
    """CHIP.md: with p < 100 a conv weight of 148 becomes -108 there."""
    weights = np.array([127.0, 127.0, 127.0, 148.0, 127.0, -128.0]).reshape(1, 6, 1, 1)
    g = graph([source((6, 1, 1)), lif("a", (1, 1, 1))], [conv("in", "a", weights, (6, 1, 1), (1, 1, 1))])
    mine = quantized(g, percentile=40.0, per="population")
    assert mine.projections[0].connection.weight.ravel().tolist() == [127, 127, 127, 127, 127, -127]
    with pytest.warns(S2NirWarning, match=r"a: 2 of 6 weights are over 127 and wrap around, as on a board today"):
        board = s2nir.quantize(g, s2nir.PTQ.board(percentile=40.0))
    assert board["a"].weight_scale == mine["a"].weight_scale == 1.0
    assert board.projections[0].connection.weight.ravel().tolist() == [127, 127, 127, -108, 127, -127]


@pytest.mark.parametrize("bits", [2, 3, 5, 8, "s4"])
def test_wrapped_weights_stay_within_the_limit(bits):
    rng = np.random.default_rng(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        network = s2nir.quantize(one_layer(rng.normal(size=(3, 60)) ** 3),
                                 s2nir.PTQ(percentile=60.0, bits=bits, overflow="wrap"))
    whole = network.projections[0].connection.weight.astype(int)
    assert np.abs(whole).max() <= network.limit


def test_wrapping_warns_with_its_count_and_clipping_only_notes():
    weight = np.concatenate([np.ones(95), np.full(5, 3.0)])[np.newaxis]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = s2nir.quantize(one_layer(weight), s2nir.PTQ(percentile=50.0))
    assert network.notes == ("a: 5 of 100 weights are over 127 and are held there",)
    with pytest.warns(S2NirWarning, match="a: 5 of 100 weights are over 127 and wrap around"):
        s2nir.quantize(one_layer(weight), s2nir.PTQ(percentile=50.0, overflow="wrap"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert s2nir.quantize(one_layer(weight), s2nir.PTQ(overflow="wrap")).notes == ()


@pytest.mark.parametrize(("options", "what"), [
    (dict(bits=1), r"PTQ\.bits: found 1, allowed whole numbers from 2 to 8"), (dict(bits=9), r"PTQ\.bits: found 9"),
    (dict(bits="u8"), r"PTQ\.bits: found 'u8'"), (dict(bits=2.5), r"PTQ\.bits: found 2\.5"),
    (dict(percentile=0), r"PTQ\.percentile: found 0"), (dict(percentile=100.5), r"PTQ\.percentile: found 100\.5"),
    (dict(percentile="best"), r"PTQ\.percentile: found 'best'"),
    (dict(percentile=float("nan")), r"PTQ\.percentile: found nan"),
    (dict(per="layer"), r"PTQ\.per: found 'layer', allowed 'population', 'channel'"),
    (dict(rounding="up"), r"PTQ\.rounding: found 'up'"), (dict(overflow="drop"), r"PTQ\.overflow: found 'drop'"),
    (dict(bias="nowhere"), r"PTQ\.bias: found 'nowhere'"),
    *((dict(bits=v), r"PTQ\.bits: found .*, allowed whole numbers from 2 to 8 or \"s4\"")
      for v in (None, True, [1], np.array([2, 4]))),
    *((dict(percentile=v), rf'PTQ\.percentile: found {v!r}, allowed numbers above 0 up to 100, or "auto"')
      for v in ("a", None, True)),
    (dict(keep_v_reset="no"), r"PTQ\.keep_v_reset: found 'no', allowed True and False"),
])
def test_options_that_are_none(options, what):
    with pytest.raises(QuantizeError, match=what):
        s2nir.PTQ(**options)
