"""Number formats against Python's own integers and fractions, and the kernels against the number formats."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s2nir import fixedpoint
from s2nir.emulate import step_kernels
from s2nir.fixedpoint import INT32_MAX, INT32_MIN, Rounding

HALF = 1 << 30
states = st.one_of(st.integers(-(2**31), 2**31), st.sampled_from([INT32_MIN, INT32_MAX, 2**31, 0, 1, -1, 3, -3]))
decays = st.one_of(st.integers(0, 2**31), st.sampled_from([0, 1, HALF, HALF + 1, HALF - 1, 2**31 - 1, 2**31]))
# any state with any decay, and pairs whose product lies exactly between two numbers: odd x 2**k
ties = st.tuples(st.integers(0, 30), st.integers(-(2**30), 2**30), st.integers(0, 2**31)).map(
    lambda d: ((2 * d[1] + 1) << d[0] if abs((2 * d[1] + 1) << d[0]) <= 2**31 else 2 * (d[1] % 2**20) + 1,
               1 << max(0, 30 - d[0]))
)
pairs = st.one_of(st.tuples(states, decays), ties)
EDGES = np.array([INT32_MIN, INT32_MIN + 1, INT32_MIN + 2, -(2**30), -65537, -32768, -3, -2, -1, 0, 1, 2, 3, 32767,
                  2**30 - 1, 2**30, 2**30 + 1, INT32_MAX - 1, INT32_MAX, 2**31], np.int64)
EDGE_DECAYS = np.array([0, 1, 2, 3, HALF - 1, HALF, HALF + 1, 3 << 29, 2**31 - 2, 2**31 - 1, 2**31], np.int64)


def nearest(value):
    """The nearest integer, ties to even, of an exact fraction."""
    return round(Fraction(value))  # Python's own rule


@settings(max_examples=1000)
@given(pairs)
@example((3, HALF))
@example((-3, HALF))
@example((INT32_MIN, 2**31))
@example((2**31, 2**31))
def test_multiply_decay_is_the_exact_product_rounded_half_to_even(pair):
    state, decay = pair
    assert int(fixedpoint.multiply_decay(state, decay)) == nearest(Fraction(state * decay, 2**31))


def test_ties_go_to_the_even_neighbour_on_both_sides_of_zero():
    odd = np.arange(-9, 10, 2)  # times a half: 0.5 off every integer
    assert fixedpoint.multiply_decay(odd, HALF).tolist() == [-4, -4, -2, -2, 0, 0, 2, 2, 4, 4]


def test_a_decay_of_one_is_exact_and_of_zero_is_nothing():
    assert fixedpoint.multiply_decay(EDGES, 2**31).tolist() == EDGES.tolist()
    assert fixedpoint.multiply_decay(EDGES, 0).tolist() == [0] * EDGES.size


@given(st.lists(st.integers(-(2**62), 2**62), max_size=8))
def test_saturate_holds_within_int32(values):
    got = fixedpoint.saturate(np.array(values, np.int64)).tolist()
    assert got == [max(INT32_MIN, min(INT32_MAX, v)) for v in values]


@given(st.integers(-(2**40), 2**40), st.integers(2, 32))
def test_wrap_is_a_twos_complement_word(value, bits):
    got = int(fixedpoint.wrap(value, bits))
    assert -(1 << bits - 1) <= got < 1 << bits - 1
    assert (got - value) % (1 << bits) == 0


def test_wrap_as_an_int8_register_has_it():
    values = np.arange(-1000, 1000)
    assert fixedpoint.wrap(values, 8).tolist() == values.astype(np.int8).tolist()
    assert int(fixedpoint.wrap(148, 8)) == -108


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**31))
def test_clip_never_wraps(value, limit):
    assert int(fixedpoint.clip(value, limit)) == max(-limit, min(limit, value))


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.floats(-(2.0**53), 2.0**53))
@example(0.5)
@example(-1.5)
@example(2.5)
def test_to_integers_rounds_exactly(value):
    assert int(fixedpoint.to_integers(value)) == nearest(Fraction(value))
    assert int(fixedpoint.to_integers(value, Rounding.TOWARD_ZERO)) == math.trunc(Fraction(value))


@given(finite)
@example(1e300)
@example(-1e300)
@example(2.0**63)
def test_to_integers_of_the_largest_numbers_keeps_the_sign(value):
    """What no int64 holds stays far over every limit on its own side; the sign never turns."""
    for rounding in Rounding:
        got = int(fixedpoint.to_integers(value, rounding))
        assert got == max(-(2**62), min(2**62, nearest(value) if rounding is Rounding.HALF_EVEN else int(value)))


@given(st.floats(-(2.0**38), 2.0**38), st.integers(0, 8))
def test_to_state_is_the_nearest_q16_15(value, shift):
    assert int(fixedpoint.to_state(value, shift)) == nearest(Fraction(value) * 2**15 / 2**shift)


@given(finite, st.integers(0, 8))
@example(1e300, 0)
@example(-1e300, 8)
def test_to_state_of_the_largest_numbers_stays_out_of_int32(value, shift):
    exact = nearest(Fraction(value) * 2**15 / 2**shift)
    assert int(fixedpoint.to_state(value, shift)) == max(-(2**62), min(2**62, exact))


@given(st.floats(0, 1))
@example(1.0)
@example(0.0)
@example(5e-324)
def test_to_decay_is_the_nearest_q0_31(value):
    got = int(fixedpoint.to_decay(value))
    assert got == nearest(Fraction(value) * 2**31)
    assert 0 <= got <= 2**31
    assert int(fixedpoint.to_decay(1.0)) == 2**31  # exact


singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
LARGEST, TINY = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)


def ordinal(x):
    """A float32's place among all float32, both zeros at 0."""
    bits = int(x.view(np.uint32)[0])
    return bits if bits < 1 << 31 else (1 << 31) - bits


@given(singles, singles)
@example(0.0, TINY)
@example(-0.0, 0.0)
@example(-TINY, 0.0)
@example(TINY, 2 * TINY)
@example(LARGEST, LARGEST)
@example(-1.0, -1.0)
def test_at_or_above_the_next_number_is_above(threshold, v):
    threshold, v = np.array([threshold], np.float32), np.float32(v)
    up = fixedpoint.next_up(threshold)
    assert up.dtype == np.float32
    assert bool(v >= up[0]) == bool(v > threshold[0])
    assert ordinal(up) == ordinal(threshold) + 1


def test_next_up_by_its_bits():
    given = np.array([0.0, -0.0, TINY, -TINY, 1.0, -1.0, LARGEST], np.float32)
    up = fixedpoint.next_up(given)
    assert up.view(np.uint32).tolist() == [1, 1, 2, 0x80000000, 0x3F800001, 0xBF7FFFFF, 0x7F800000]


@given(st.integers(INT32_MIN, INT32_MAX))
def test_next_up_of_integers(threshold):
    up = fixedpoint.next_up(np.array([threshold], np.int32))
    assert up.dtype == np.int32
    assert int(up[0]) == min(threshold + 1, INT32_MAX)


def drawn(n=100_000):
    rng = np.random.default_rng(11)
    state = rng.integers(INT32_MIN, INT32_MAX + 1, n)
    state[: n // 4] = rng.integers(-300, 300, n // 4)
    decay = rng.integers(0, 2**31 + 1, n)
    decay[::3] = 1 << rng.integers(0, 32, decay[::3].size)  # many exact ties
    edges = np.stack(np.meshgrid(EDGES, EDGE_DECAYS)).reshape(2, -1)
    return np.concatenate([state, edges[0]]), np.concatenate([decay, edges[1]])


def test_the_kernel_multiplies_as_the_definition_does():
    state, decay = drawn()
    want = fixedpoint.multiply_decay(state, decay)
    got = np.array([step_kernels.multiply_decay(s, d) for s, d in zip(state, decay, strict=True)])
    assert int((got != want).sum()) == 0
    product = state.astype(object) * decay.astype(object)
    assert sum(p % 2**31 == 2**30 for p in product) > 1000  # ties are among them


def test_the_kernel_holds_as_saturate_does_and_counts():
    rng = np.random.default_rng(12)
    values = np.concatenate([
        rng.integers(-(2**33), 2**33, 100_000), rng.integers(-(2**62), 2**62, 1000),
        [b + d for b in (INT32_MAX, INT32_MIN, 0) for d in (-2, -1, 0, 1, 2)],
    ])
    counts = np.zeros(2, np.int64)
    got = np.array([step_kernels.hold(v, counts, 1) for v in values])
    want = fixedpoint.saturate(values)
    assert int((got != want).sum()) == 0
    assert counts.tolist() == [0, int((want != values).sum())]


@pytest.mark.parametrize("name", ["INT32_MAX", "INT32_MIN"])
def test_the_kernels_know_the_same_limits(name):
    assert getattr(step_kernels, name) == getattr(fixedpoint, name)
