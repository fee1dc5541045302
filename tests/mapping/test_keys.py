"""Conformance: every allotter, one suite. A new one joins by one line."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2nir.errors import MappingError
from s2nir.mapping import ByChip, KeyBlock, LargestFirst, Slice
from s2nir.mapping.keys import check

ALLOTTERS = [LargestFirst(), LargestFirst(first=0x1000), LargestFirst(first=3), ByChip()]


def named(sizes):
    return tuple(Slice(member=n, c0=0, c1=1, y0=0, y1=1, x0=0, x1=size) for n, size in sizes.items())


slices = st.dictionaries(st.text("abcdef.", min_size=1, max_size=6), st.integers(1, 1024), max_size=40).map(named)


@pytest.mark.parametrize("allot", ALLOTTERS)
@given(slices)
def test_every_allotment_is_legal(allot, slices):
    blocks = allot(slices)
    assert list(check(slices, blocks)) == []
    owned = [key for b in blocks.values() for key in (b.base, b.base + b.size)]
    assert all(0 <= k <= 2**32 for k in owned)
    for s, b in blocks.items():
        assert b.size < 2 * s.size  # a power of two, and the least
        assert b.base & ~b.mask & 0xFFFFFFFF == 0
        assert bin(b.mask).count("1") == 32 - b.bits


@pytest.mark.parametrize("allot", ALLOTTERS)
@given(slices)
def test_order_of_the_input_does_not_matter(allot, slices):
    assert allot(slices) == allot(tuple(reversed(slices)))


@given(slices)
def test_largest_first_leaves_no_gap(slices):
    blocks = LargestFirst()(slices)
    assert max((b.base + b.size for b in blocks.values()), default=0) == sum(b.size for b in blocks.values())


@given(slices, st.integers(1, 5))
def test_the_keys_of_a_chip_follow_each_other(slices, chips):
    """Those of one size on one chip leave no gap, nor do the chips, and no other chip's lie between."""
    where = dict(zip(slices, (k % chips for k in range(len(slices))), strict=True))
    blocks = ByChip()(slices, list(where.values()))
    assert list(check(slices, blocks)) == []
    order = sorted(slices, key=lambda s: blocks[s].base)
    assert [(-blocks[s].bits, where[s]) for s in order] == sorted((-blocks[s].bits, where[s]) for s in order)
    assert all(blocks[a].base + blocks[a].size == blocks[b].base for a, b in itertools.pairwise(order))


def test_no_room_says_which_slice_and_what_to_do():
    two = named({"a": 900, "b": 256})
    with pytest.raises(MappingError, match=r"slice b\[0:1,0:1,0:256\] \(256 neurons\).*Use fewer or larger slices"):
        LargestFirst(first=(1 << 32) - 1024)(two)


def test_check_sees_what_is_wrong():
    a, b = two = named({"a": 8, "b": 4})
    fine = {a: KeyBlock(base=8, bits=3), b: KeyBlock(base=0, bits=2)}
    assert list(check(two, fine)) == []
    assert list(check(two, fine | {a: KeyBlock(base=0, bits=3), b: KeyBlock(base=4, bits=2)})) == [
        f"{a} and {b}: both own key 0x4"]
    assert list(check(two, fine | {b: KeyBlock(base=2, bits=2)})) == [
        f"{b}: base 0x2 is not aligned to its 4 keys within 32 bits"]
    assert list(check(two, fine | {b: KeyBlock(base=0, bits=1)})) == [f"{b}: 4 neurons but 2 keys"]
    assert list(check(two, {a: fine[a]})) == [f"{b}: is a slice without a block, or a block without a slice"]
    assert list(check((a,), fine)) == [f"{b}: is a slice without a block, or a block without a slice"]
