"""Convolutions of every geometry, cut in every way: the image's kernels against the oracle, bit for bit."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import s2nir
from quantize.networks import conv, dense, graph, lif, source
from s2nir.emulate import reference
from s2nir.graph import Pool

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def geometries(draw):
    """Projection into `a`, with its shape; groups, strides, dilation, padding, and overlapping or gappy pools."""
    groups = draw(st.sampled_from([1, 1, 2]))
    shape = (groups * draw(st.integers(1, 2)), draw(st.integers(3, 7)), draw(st.integers(3, 7)))
    stride, dilation, kernel = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    pool, seen = None, shape[1:]
    if draw(st.booleans()):
        size = draw(pairs)
        pool = Pool(size=size, stride=draw(pairs), padding=tuple(draw(st.integers(0, s // 2)) for s in size))
        seen = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip(seen, pool.padding, size, pool.stride, strict=True))
    out = tuple((n + 2 * p - (k - 1) * d - 1) // s + 1
                for n, p, k, d, s in zip(seen, padding, kernel, dilation, stride, strict=True))
    assume(min(*seen, *out) >= 1)
    target = (groups * draw(st.integers(1, 3)), *out)
    weight = np.random.default_rng(draw(st.integers(0, 999))).normal(size=(target[0], shape[0] // groups, *kernel))
    return conv("in", "a", weight, shape, target, stride=stride, padding=padding, dilation=dilation, groups=groups,
                pool=pool), shape, target


@settings(max_examples=80, deadline=None)
@given(geometries(), st.integers(1, 6), st.sampled_from(["float32", "fixed"]), st.integers(0, 99))
def test_every_geometry_in_every_cut(drawn, slices, arithmetic, seed):
    q, shape, target = drawn
    rng = np.random.default_rng(seed)
    back = rng.normal(size=(4, int(np.prod(target))))
    g = graph([source(shape), lif("a", target, threshold=1.5), lif("b", (4,))], [q, dense("a", "b", back)])
    network = s2nir.quantize(g, arithmetic=arithmetic)
    image = s2nir.compile(network, partition=s2nir.Partition(slices=slices))
    spikes = rng.poisson(0.5, (2, 5, *shape)).astype(np.uint8)
    got, oracle = s2nir.run(image, spikes, record=("spikes", "voltages")), reference(network, spikes)
    for name, want in oracle.voltages.items():
        raw = got.raw_voltages(name).reshape(want.shape)
        assert np.array_equal(raw.view(np.int32), want.view(np.int32)), name
        assert np.array_equal(got.raw_spikes(name).reshape(want.shape), oracle.spikes[name]), name
