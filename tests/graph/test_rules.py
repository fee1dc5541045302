"""Connections by rule against a plain-Python oracle, and what they refuse."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2nir.errors import GraphError
from s2nir.graph import Sparse, rule_kernels, rules, synapses
from s2nir.graph.rules import (
    FixedIndegree,
    FixedProbability,
    Kernel,
    Normal,
    OneToOne,
    Ruled,
    Uniform,
    Window,
)

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def draw(seed, what, target, i):
    begin = mix(mix(seed + GOLDEN * what & MASK) + GOLDEN * target & MASK)
    return mix(begin + GOLDEN * (i + 1) & MASK)


def value(law, bits, whole):
    if isinstance(law, Uniform):
        if whole:
            low, high = math.floor(law.low), math.floor(law.high)
            return low + math.floor((bits >> 11) * 2.0**-53 * (high - low + 1))
        return law.low + (bits >> 11) * 2.0**-53 * (law.high - law.low)
    if isinstance(law, Normal):
        parts = [(b >> s) & 0xFFFF for b in (bits, mix(bits + GOLDEN & MASK)) for s in (0, 16, 32, 48)]
        x = law.mean + law.sd * ((sum(parts) - 262140) / math.sqrt(8 * (65536.0**2 - 1) / 12))
        return max(0, round(x)) if whole else x
    return law


def heard(c, target):
    """(source, number of its draws) of one target, in order."""
    r, n = c.rule, c.sources
    if isinstance(r, OneToOne):
        return [(target, target)]
    if isinstance(r, FixedProbability):
        return [(s, s) for s in range(n) if (r.p >= 1 or draw(c.seed, 1, target, s) < min(int(r.p * 2**64), MASK))
                and (r.autapses or s != target)]
    if isinstance(r, FixedIndegree):
        found, i = [], 0
        while len(found) < r.indegree:
            s = (draw(c.seed, 1, target, i) >> 32) * n >> 32
            if (r.autapses or s != target) and (r.multapses or s not in [f for f, _ in found]):
                found.append((s, i))
            i += 1
        return sorted(found, key=lambda f: f[0])
    (height, width), (kh, kw), found = c.source_shape[-2:], r.size, []
    for dy in range(kh):
        for dx in range(kw):
            y, x = target // width + dy - (kh - 1) // 2, target % width + dx - (kw - 1) // 2
            if r.wrap:
                y, x = y % height, x % width
            if not (0 <= y < height and 0 <= x < width):
                continue
            s = y * width + x
            if isinstance(r, Kernel):
                found.append((s, dy * kw + dx))
            elif (r.p >= 1 or draw(c.seed, 1, target, s) < int(r.p * 2**64)) and (r.autapses or s != target):
                found.append((s, s))
    return sorted(found)


def oracle(c, targets):
    """(source, place, weight, delay) of every synapse."""
    found = []
    for place, target in enumerate(targets):
        for s, i in heard(c, target):
            w = (c.rule.weights.flat[i] if isinstance(c.rule, Kernel)
                 else value(c.weights, draw(c.seed, 2, target, i), False))
            if c.scale is not None:
                w = max(-c.limit, min(c.limit, round(w * c.scale)))
            if w:
                found.append((s, place, w, value(c.delay, draw(c.seed, 3, target, i), True)))
    return found


SHEET = (5, 7)
kernels = st.integers(0, 99).map(lambda k: Kernel(
    weights=np.random.default_rng(k).integers(-2, 3, (1 + k % 5, 1 + k % 7)) / 2, wrap=k % 2 == 0))
drawn_rules = st.one_of(
    st.just(OneToOne()),
    st.builds(FixedProbability, p=st.sampled_from([0.0, 0.2, 0.5, 1.0]), autapses=st.booleans()),
    st.builds(FixedIndegree, indegree=st.integers(0, 20), autapses=st.booleans(), multapses=st.booleans()),
    st.builds(Window, size=st.tuples(st.integers(1, 5), st.integers(1, 7)), p=st.sampled_from([0.3, 1.0]),
              wrap=st.booleans(), autapses=st.booleans()),
    kernels,
)
laws = st.one_of(st.sampled_from([0.0, 0.5, -2.0]), st.builds(Uniform, low=st.just(-1.0), high=st.just(2.0)),
                 st.builds(Normal, mean=st.just(0.5), sd=st.sampled_from([0.0, 1.0])))
delays = st.one_of(st.just(0), st.just(3), st.just(Uniform(low=1, high=4)), st.just(Normal(mean=1.5, sd=1.0)))


@settings(max_examples=300, deadline=None)
@given(drawn_rules, laws, delays, st.integers(0, 2**63 - 1), st.sampled_from([None, 10.0, 100.0]), st.data())
def test_a_rule_is_what_the_oracle_says(rule, law, delay, seed, scale, data):
    c = Ruled(rule=rule, source_shape=SHEET, target_shape=SHEET, weights=None if isinstance(rule, Kernel) else law,
              delay=delay, seed=seed, scale=scale)
    targets = data.draw(st.lists(st.integers(0, 34), min_size=1, max_size=6))
    found = c.into(np.array(targets))
    expected = oracle(c, targets)
    assert list(zip(*(a.tolist() for a in found), strict=True)) == expected
    assert found.weight.dtype == (np.float64 if scale is None else np.int8)
    assert all(abs(w) <= c.largest and d <= c.longest_delay for _, _, w, d in expected)
    assert len(expected) <= c.most * len(targets)


def ruled(**wrong):
    return Ruled(**{"rule": OneToOne(), "source_shape": (3,), "target_shape": (3,), "weights": 1.0, **wrong})


def test_each_target_is_alike_in_every_company():
    c = Ruled(rule=FixedIndegree(indegree=9), source_shape=(50,), target_shape=(20,), weights=Normal(mean=1, sd=1))
    alone = [c.into(np.array([t])) for t in range(20)]
    together = c.into(np.arange(20)[::-1])
    for t in range(20):
        mine = together.place == 19 - t
        for a, b in ((alone[t].source, together.source), (alone[t].weight, together.weight)):
            np.testing.assert_array_equal(a, b[mine])


def test_written_out_it_has_the_same_synapses():
    c = Ruled(rule=Window(size=(3, 4), p=0.6), source_shape=(6, 8), target_shape=(1, 6, 8), weights=0.5, delay=2,
              seed=4)
    source, target, weight, delay = synapses(c.written())
    found = c.into(np.arange(48))
    pairs = sorted(zip(found.source.tolist(), found.place.tolist(), strict=True))
    assert sorted(zip(source.tolist(), target.tolist(), strict=True)) == pairs
    assert set(weight) == {0.5}
    assert set(delay) == {2}


def test_draws_have_the_moments_they_are_asked_for():
    law = Normal(mean=3.0, sd=0.5)
    c = Ruled(rule=FixedProbability(p=0.25), source_shape=(1000,), target_shape=(400,), weights=law)
    w = c.into(np.arange(400)).weight
    n = 400_000
    assert abs(w.size - n * 0.25) < 5 * math.sqrt(n * 0.25 * 0.75)
    assert abs(w.mean() - 3.0) < 5 * 0.5 / math.sqrt(w.size)
    assert abs(w.std() - 0.5) < 0.01
    c = dataclasses.replace(c, weights=Uniform(low=-1.0, high=1.0))
    assert abs(c.into(np.arange(400)).weight.mean()) < 5 * 0.58 / math.sqrt(w.size)


@pytest.mark.parametrize(("given", "said"), [
    (lambda: FixedProbability(p=1.5), r"FixedProbability\.p: found 1\.5, allowed numbers from 0 to 1"),
    (lambda: ruled(rule="OneToOne"), r"rule: found 'OneToOne', needed one of s2nir\.rules"),
    (lambda: ruled(rule=OneToOne), "rule: found <class"),
    (lambda: ruled(weights="a"), "weight: found 'a', allowed finite numbers, Uniform and Normal"),
    (lambda: ruled(weights=np.ones(3)), r"weight: found array\(\[1\., 1\., 1\.\]\), allowed finite numbers"),
    (lambda: ruled(delay=Uniform(low=0.2, high=0.8)), "allowed whole steps from 0 up at both ends"),
    (lambda: ruled(delay=Normal(mean=-5, sd=1)), "allowed a mean of 0 steps or more"),
    (lambda: ruled(delay=None), "delay: found None, allowed whole steps from 0 up, Uniform and Normal"),
    (lambda: FixedProbability(p=float("nan")), r"FixedProbability\.p: found nan"),
    (lambda: FixedIndegree(indegree=-1), r"indegree: found -1"),
    (lambda: Window(size=(0, 3)), r"Window\.size: found 0, allowed whole numbers from 1 up"),
    (lambda: Kernel(weights=np.ones(3)), r"Kernel\.weights: found shape \(3,\)"),
    (lambda: Kernel(weights=np.array([[np.inf]])), r"Kernel\.weights"),
    (lambda: Uniform(low=2, high=1), r"Uniform: found 2 to 1"),
    (lambda: Normal(mean=0, sd=-1), r"Normal\.sd: found -1, allowed numbers from 0 up"),
    *((lambda v=v: Uniform(low=v, high=1), f"Uniform.low: found {v!r}, allowed f") for v in ("a", None, True, np.nan)),
    *((lambda v=v: Normal(mean=v, sd=1), f"Normal.mean: found {v!r}, allowed f") for v in ("a", None, np.inf)),
    (lambda: Normal(mean=1, sd="a"), r"Normal\.sd: found 'a', allowed numbers from 0 up"),
    *((lambda v=v: FixedProbability(p=v), rf"FixedProbability\.p: found {v!r}, allowed") for v in ("a", None, True)),
    *((lambda v=v: FixedIndegree(indegree=v), rf"FixedIndegree\.indegree: found {v!r}, allowed whole numbers from 0 up")
      for v in ("a", None, 1.5, True, np.nan)),
    *((lambda v=v: Window(size=v), r"Window\.size: found .*, needed \(height, width\)")
      for v in (3, None, "33", (3, 3, 3))),
    (lambda: Window(size=(8, 8.5)), r"Window\.size: found 8\.5, allowed whole numbers from 1 up for height and width"),
    (lambda: Window(size=(3, 3), p="a"), r"Window\.p: found 'a', allowed numbers from 0 to 1"),
    *((lambda v=v: Kernel(weights=v), r"Kernel\.weights: found .*, needed number") for v in (None, "a", [[1], [1, 2]])),
    *((lambda rule=rule, name=name: rule(name), rf"\.{name}: found 'no', allowed True and False") for rule, name in (
        (lambda n: Window(size=(3, 3), **{n: "no"}), "wrap"), (lambda n: Window(size=(3, 3), **{n: "no"}), "autapses"),
        (lambda n: Kernel(weights=np.ones((3, 3)), **{n: "no"}), "wrap"),
        (lambda n: FixedProbability(p=0.5, **{n: "no"}), "autapses"),
        (lambda n: FixedIndegree(indegree=1, **{n: "no"}), "multapses"))),
    (lambda: ruled(source_shape=(3.5,)), r"Ruled\.source_shape: found 3\.5, allowed whole numbers from 1 up"),
    *((lambda v=v: ruled(delay=v), f"^delay: found {v!r}, allowed whole steps from 0 up, Uniform and Normal")
      for v in ("a", True, np.nan, np.inf)),
    *((lambda v=v: ruled(seed=v), f"^seed: found {v!r}, allowed whole numbers from 0 to") for v in ("a", None, 1.5)),
    (lambda: Ruled(rule=OneToOne(), source_shape=(3,), target_shape=(4,), weights=1.0), "3 sources and 4 targets"),
    (lambda: Ruled(rule=Window(size=(3, 3)), source_shape=(9,), target_shape=(9,), weights=1.0), "needed one sheet"),
    (lambda: Ruled(rule=Window(size=(3, 9)), source_shape=(9, 8), target_shape=(9, 8), weights=1.0), "do not fit on"),
    (lambda: Ruled(rule=OneToOne(), source_shape=(3,), target_shape=(3,), weights=None), "needs a number"),
    (lambda: Ruled(rule=OneToOne(), source_shape=(3,), target_shape=(3,), weights=1.0, delay=-1), "delay: found -1"),
    (lambda: Ruled(rule=OneToOne(), source_shape=(3,), target_shape=(3,), weights=1.0, delay=0.5), "delay: found 0.5"),
    (lambda: Ruled(rule=OneToOne(), source_shape=(3,), target_shape=(3,), weights=1.0, seed=-1), "seed: found -1"),
    (lambda: Ruled(rule=FixedIndegree(indegree=4, multapses=False), source_shape=(3,), target_shape=(3,), weights=1.0),
     "4 of 3 sources cannot be drawn"),
    (lambda: Ruled(rule=FixedProbability(p=1.0), source_shape=(100_000,), target_shape=(9_999,), weights=1.0).written(),
     "too many to write out"),
])
def test_what_cannot_be_meant_is_refused(given, said):
    with pytest.raises(GraphError, match=said):
        given()


def test_the_rules_are_public():
    import s2nir

    assert s2nir.rules is rules


@pytest.mark.parametrize("sources", [1, 200, 256, 257, 65_536, 70_000, 20_000_000])
def test_synapses_of_a_target_are_sorted_by_digits(sources):
    r = np.random.default_rng(sources)
    source = r.integers(0, sources, 3_000).astype(np.int32)
    source[::7] = source[0]  # equals stay in the order of their draws
    weight, delay = r.random(3_000), np.arange(3_000, dtype=np.int32)
    order = np.argsort(source, kind="stable")
    want = source[order], weight[order], delay[order]
    rule_kernels.by_source(source, weight, delay)
    assert all(np.array_equal(a, b) for a, b in zip((source, weight, delay), want, strict=True))


def test_synapses_are_sorted_whether_they_were_or_not():
    start, target = np.array([0, 3, 5]), np.array([2, 0, 0, 1, 0])
    for delay in ([0, 2, 1, 0, 0], [0, 0, 0, 0, 0]):
        made = Sparse(targets=3, start=start, target=target, weight=np.arange(1.0, 6.0), delay=np.array(delay))
        source, there, weight, later = synapses(made)
        rows = sorted(zip(np.repeat([0, 1], [3, 2]).tolist(), target.tolist(), delay, strict=True))
        assert list(zip(source.tolist(), there.tolist(), later.tolist(), strict=True)) == rows
        again = synapses(Sparse(targets=3, start=start, target=there, weight=weight, delay=later))
        assert all(np.array_equal(a, b) for a, b in zip(again, (source, there, weight, later), strict=True))
