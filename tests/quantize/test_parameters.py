"""Thresholds, leaks, biases and v_reset in weight units, in both formats, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2nir
from quantize.networks import cuba, dense, graph, lif, one_layer, readout, source
from s2nir.errors import QuantizeError, S2NirWarning
from s2nir.graph import Reset
from s2nir.quantize import check

Q31 = 2**31


def made(p, weight=((2.0, -1.0),), arithmetic="float32", **options):
    return s2nir.quantize(one_layer(weight, p), s2nir.PTQ(**options), arithmetic=arithmetic)["a"]


def test_every_parameter_of_a_lif_by_hand():
    """g = 127 / 2, gain 0.25: membranes are 254 to 1."""
    p = lif("a", (1,), gain=0.25, threshold=1.5, constant=0.125, bias=0.5, v_reset=-0.25, decay=0.75,
            reset=Reset.TO_VALUE, refractory=3)
    got = made(p)
    assert got.weight_scale == 63.5
    assert got.scale == 254.0
    assert got.threshold == 1.5 * 254
    assert got.v_reset == -0.25 * 254
    assert got.offset == 0.125 * 254 + 0.5 * 63.5
    assert got.bias is None
    assert got.decay == 0.75
    assert (got.reset, got.refractory, got.shift) == (Reset.TO_VALUE, 3, 0)


@pytest.mark.parametrize("where", ["synapse", "membrane"])
def test_every_parameter_of_a_cuba_lif_by_hand(where):
    """g = 63.5, gain 0.25, syn_gain 0.5: 508 to 1. A bias acts as g bias in the synapse, which sums it to
    g bias / (1 - syn_decay) in the long run: so much stands in the membrane's offset if it is asked for there."""
    p = cuba("a", (1,), gain=0.25, syn_gain=0.5, syn_decay=0.75, threshold=1.5, constant=0.125, bias=0.5)
    got = made(p, bias=where)
    assert got.scale == 508.0
    assert got.threshold == 1.5 * 508
    assert got.syn_decay == 0.75
    assert got.bias == (0.5 * 63.5 if where == "synapse" else 0.0)
    assert got.offset == 0.125 * 508 + (0.0 if where == "synapse" else 0.5 * 63.5 / 0.25)


def test_a_bias_of_a_synapse_that_never_decays_has_no_offset():
    p = cuba("a", (1,), syn_decay=1.0, bias=0.5)
    assert made(p).bias == 0.5 * 63.5
    with pytest.raises(QuantizeError, match=r"a: a bias through a synapse that never decays has no membrane offset"):
        made(p, bias="membrane")
    assert made(cuba("a", (1,), syn_decay=1.0), bias="membrane").offset == 0


@pytest.mark.parametrize(("reset", "keep", "want"), [
    (Reset.TO_VALUE, True, -0.25 * 63.5), (Reset.TO_VALUE, False, 0.0), (Reset.ZERO, True, 0.0),
    (Reset.SUBTRACT, True, 0.0), (Reset.NONE, True, 0.0),
])
def test_v_reset_is_kept_where_the_contract_uses_it(reset, keep, want):
    assert made(lif("a", (1,), v_reset=-0.25, reset=reset), keep_v_reset=keep).v_reset == want


def test_what_differs_by_neuron_is_scaled_by_neuron():
    p = lif("a", (2,), gain=[0.5, 0.25], threshold=[1.0, 2.0], bias=[1.0, -1.0], constant=[0.5, 0.0])
    got = made(p, weight=[[2.0, 1.0], [0.5, 4.0]])
    assert got.full("weight_scale").tolist() == [63.5, 31.75]
    assert got.full("scale").tolist() == [127.0, 127.0]
    assert got.full("threshold").tolist() == [127.0, 254.0]
    assert got.full("offset").tolist() == [0.5 * 127 + 63.5, -31.75]


def test_a_readout_has_a_scale_and_no_threshold():
    got = made(readout("a", (1,), gain=0.5, bias=1.0))
    assert got.threshold is None
    assert got.v_reset is None
    assert not got.spikes
    assert (got.scale, got.offset) == (127.0, 63.5)


@pytest.mark.parametrize("gain", [0.0, -0.5, [1.0, 0.0]])
@pytest.mark.parametrize("make", [lif, cuba, readout])
def test_a_gain_of_zero_or_below_is_refused(make, gain):
    p = make("a", (2,), gain=gain)
    said = r"a\.\w+: an input gain \(r, or r w_in\) of -?0.*\[rule: gain-above-zero\]"
    with pytest.raises(QuantizeError, match=said):
        made(p, weight=np.ones((2, 2)))


def test_a_synaptic_gain_below_zero_is_refused_where_the_product_is():
    with pytest.raises(QuantizeError, match=r"a\.CubaLIF: an input gain .* of -1"):
        made(cuba("a", (1,), syn_gain=-1.0))
    assert made(cuba("a", (1,), syn_gain=-1.0, gain=-2.0)).scale == 63.5 / 2


# fixed


def fixed(**fields):
    """A population of scale 1: its one weight is 127."""
    return made(lif("a", (1,), **fields), weight=[[127.0]], arithmetic="fixed", keep_v_reset=True)


@pytest.mark.parametrize("shift", range(9))
def test_the_right_shift_is_the_least_that_fits(shift):
    """A threshold of 2**16 is 2**31 in Q16.15: one more than fits; just below it fits."""
    below = math.ldexp(1.0, 16 + shift) - math.ldexp(1.0, shift - 14)
    got = fixed(threshold=below)
    assert got.shift == shift
    assert got.threshold == Q31 - 2
    if shift < 8:
        over = fixed(threshold=math.ldexp(1.0, 16 + shift))
        assert over.shift == shift + 1
        assert over.threshold == 2**30


def test_a_threshold_at_the_very_top_is_shifted_too():
    """2**31 - 1 has no next larger number to stand for `>`."""
    assert fixed(threshold=2.0**16 - 2.0**-15).shift == 1


@pytest.mark.parametrize(("field", "value"), [
    ("threshold", 2.0**24), ("bias", 2.0**24), ("constant", -(2.0**24)), ("threshold", 1e30), ("bias", -1e300),
])
def test_what_no_shift_makes_fit_is_refused(field, value):
    what = {"threshold": "threshold", "bias": "offset", "constant": "offset"}[field]
    said = rf"a\.{what}: .* over Q16\.15 even after a right shift of 8 bits \(16777216\)"
    with pytest.raises(QuantizeError, match=said):
        fixed(**{field: value})


def test_v_reset_and_bias_take_part_in_the_shift():
    assert fixed(v_reset=-(2.0**20), reset=Reset.TO_VALUE).shift == 5
    got = made(cuba("a", (1,), bias=2.0**17, threshold=1.0), weight=[[127.0]], arithmetic="fixed")
    assert got.shift == 2
    assert got.bias == 2**30
    assert got.threshold == 2**13


@pytest.mark.parametrize(("value", "over"), [(1e38, False), (1e39, True)])
def test_float32_has_an_end_too(value, over):
    if over:
        with pytest.raises(QuantizeError, match=r"a\.threshold: 1e\+39 in weight units is over float32"):
            made(lif("a", (1,), threshold=value), weight=[[127.0]])
    else:
        assert made(lif("a", (1,), threshold=value), weight=[[127.0]]).threshold == np.float32(value)


def test_a_decay_of_one_is_exact_in_both_formats():
    assert fixed(decay=1.0).decay == Q31
    assert made(lif("a", (1,), decay=1.0)).decay == np.float32(1)
    got = made(cuba("a", (1,), decay=0.25, syn_decay=1.0), arithmetic="fixed")
    assert (got.decay, got.syn_decay) == (2**29, Q31)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(-1000, 1000), st.floats(-50, 50), st.floats(0.01, 60))
def test_parameters_are_computed_in_float64_and_rounded_once(decay, threshold, bias, gain):
    p = lif("a", (1,), decay=decay, threshold=threshold, bias=bias, gain=gain)
    g = 127 / 2.0
    single, whole = made(p), made(p, arithmetic="fixed")
    assert single.threshold == np.float32(g / gain * threshold)
    assert single.offset == np.float32(g / gain * 0.0 + g * bias)
    assert single.decay == np.float32(decay)
    assert whole.threshold == round(math.ldexp(g / gain * threshold, 15 - whole.shift))
    assert whole.offset == round(math.ldexp(g * bias, 15 - whole.shift))
    assert whole.decay == round(math.ldexp(decay, 31))


def test_arithmetic_that_is_none():
    with pytest.raises(QuantizeError, match="arithmetic: found 'float16', allowed 'float32' or 'fixed'"):
        made(lif("a", (1,)), arithmetic="float16")


# the Network


def test_a_network_prints_and_digests_the_same_every_time():
    g = one_layer([[2.0, -1.0]])
    a, b = s2nir.quantize(g), s2nir.quantize(g)
    assert a == b
    assert a.digest == b.digest
    assert str(a) == str(b)
    assert str(a).splitlines()[1:] == [
        "  in: Input 2", "  a: LIF 1, |w| <= 127, scale 63.5, threshold 63.5, decay 0.5, shift 0"]
    assert a != s2nir.quantize(g, arithmetic="fixed")
    assert a != s2nir.quantize(g, s2nir.PTQ(bits=7))
    assert a.graph_digest == g.digest


def test_check_finds_what_is_wrong_with_a_network():
    from dataclasses import replace

    network = s2nir.quantize(one_layer([[2.0, -1.0]]))
    assert list(check(network)) == []
    a, given = network["a"], network["in"]
    q = network.projections[0]

    def said(**fields):
        return list(check(replace(network, **fields)))

    assert said(populations=(replace(a, threshold=np.array(1.0)), given)) == [
        "a.threshold: found float64, needed float32"]
    assert said(populations=(replace(a, offset=np.float32(np.nan)), given)) == ["a.offset: not finite"]
    assert said(populations=(replace(a, scale=np.array(0.0)), given)) == ["a.scale: must be above 0"]
    assert said(populations=(replace(a, shift=9), given)) == ["a.shift: found 9, allowed 0..8"]
    assert said(populations=(a,)) == ["in -> a: names a population that does not exist"]
    low = replace(q.connection, weight=np.array([[-128, 1]], np.int8))
    assert said(projections=(replace(q, connection=low),)) == ["in -> a: weight -128 has no word"]
    wide = replace(q.connection, weight=np.array([[1, 1]], np.int16))
    assert said(projections=(replace(q, connection=wide),)) == ["in -> a: weights are not int8"]
    long = replace(q.connection, weight=np.array([[1, 1, 1]], np.int8))
    assert said(projections=(replace(q, connection=long),)) == ["in -> a: sizes do not fit the populations"]


# warnings


def test_a_population_whose_weights_all_vanish_is_dead():
    g = graph([source((2,)), lif("a", (2,))], [dense("in", "a", [[1e-3, 1e-3], [1.0, 1.0]])])
    assert s2nir.quantize(g).notes == ()
    zero = graph([source((2,)), lif("a", (2,))], [dense("in", "a", np.zeros((2, 2)))])
    with pytest.warns(S2NirWarning, match="a: dead, all 4 weights become 0; use more bits or one scale per channel"):
        network = s2nir.quantize(zero)
    assert len(network.notes) == 1


def test_dead_and_saturated_on_the_calibration_data():
    def quiet(threshold):
        return one_layer([[1.0]], threshold=threshold, decay=0.0, reset=Reset.ZERO)

    spikes = np.array([[1], [1], [0], [0], [1], [1], [1], [0]], np.uint8)
    with pytest.warns(S2NirWarning, match="a: dead, no neuron spikes in the float run on the calibration data"):
        s2nir.quantize(quiet(2.0), calibration=spikes)
    with pytest.warns(S2NirWarning, match="a: saturated, 62% of neuron steps spike on the calibration data"):
        s2nir.quantize(quiet(0.5), calibration=spikes)
    assert s2nir.quantize(quiet(0.5), calibration=spikes[:5, :] * 0 + np.array([[1], [1], [0], [0], [0]])).notes == ()
