"""Digests and equality of values that hold arrays."""

import enum
from collections import OrderedDict
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from s2nir.values import digest, freeze, freeze_fields, same


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Tint(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@dataclass(frozen=True)
class Held:
    a: object
    b: object = None
    note: str = field(default="", metadata={"digest": False})


@dataclass(frozen=True)
class Other:
    a: object
    b: object = None


def hold(a):
    """A class of the same name as `Held` made elsewhere: what counts is name, fields and values."""
    return dataclass(frozen=True)(type("Held", (), {"__annotations__": {"a": object, "b": object}, "b": None}))(a)


dtypes = st.one_of(
    hnp.integer_dtypes(endianness="<"), hnp.unsigned_integer_dtypes(endianness="<"),
    hnp.floating_dtypes(endianness="<", sizes=(32, 64)), st.just(np.dtype(bool)),
)
arrays = dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4)))
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=4))
trees = st.recursive(
    leaves, lambda t: st.lists(t, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), t, max_size=3),
    max_leaves=8,
)


def plain(tree):
    """A tree in which equality means the same type and the same bits."""
    if isinstance(tree, float):
        return "float", np.float64(tree).tobytes()
    if isinstance(tree, tuple):
        return "tuple", tuple(plain(t) for t in tree)
    if isinstance(tree, dict):
        return "dict", frozenset((k, plain(v)) for k, v in tree.items())
    return type(tree).__name__, tree


@given(arrays)
def test_a_frozen_array_is_a_read_only_copy_of_the_same_digest(a):
    frozen = freeze(a)
    assert not np.shares_memory(frozen, a)
    assert not frozen.flags.writeable
    assert frozen.flags.c_contiguous
    assert (frozen.dtype, frozen.shape, frozen.tobytes()) == (a.dtype, a.shape, a.tobytes())
    assert digest(frozen) == digest(a)


@given(arrays)
def test_order_and_byte_order_of_memory_do_not_matter(a):
    big = a.astype(a.dtype.newbyteorder(">"))
    assert digest(a.copy(order="F")) == digest(a) == digest(big)
    assert freeze(big).dtype == a.dtype
    spread = np.repeat(a[..., np.newaxis], 2, axis=-1)[..., 0]
    assert digest(spread) == digest(a)


@given(arrays, arrays)
def test_two_arrays_share_a_digest_only_with_dtype_shape_and_bits(a, b):
    alike = (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    assert (digest(a) == digest(b)) == alike == same(a, b)


@given(trees, trees)
def test_two_trees_share_a_digest_only_with_types_and_bits(a, b):
    assert (digest(a) == digest(b)) == (plain(a) == plain(b))


@given(trees)
def test_a_digest_is_64_hex_digits_and_stays(tree):
    assert digest(tree) == digest(tree)
    assert len(digest(tree)) == 64
    assert set(digest(tree)) <= set("0123456789abcdef")


def test_digests_are_those_of_yesterday():
    """Written down once: another value here alters every image's digest."""
    assert digest(None)[:16] == "8ce86a6ae65d3692"
    assert digest(freeze([1, 2, 3], np.int8))[:16] == "67d8aa3b05cdf1ab"
    assert digest({"b": 1, "a": (1.5, "x", True, Colour.RED)})[:16] == "17a2d09caacc87d6"


def test_zeros_of_either_sign_and_nan_of_either_kind_are_told_apart_by_their_bits():
    assert digest(0.0) != digest(-0.0)
    assert not same(np.array([0.0]), np.array([-0.0]))
    assert same(float("nan"), float("nan"))
    quiet, other = np.array([0x7FF8000000000000, 0x7FF8000000000001], np.uint64).view(np.float64)
    assert digest(np.array([quiet])) != digest(np.array([other]))
    assert digest(np.float32(0.5)) == digest(0.5)


@pytest.mark.parametrize(("a", "b"), [
    (1, 1.0), (1, True), (0, None), ("1", 1), (b"a", "a"), ("", None), (Colour.RED, "red"), (Colour.RED, Colour.BLUE),
    (Colour.RED, Tint.RED), (Number.ONE, 1), (("ab", "c"), ("a", "bc")), (((1,), 2), (1, (2,))), ((), ((),)),
    ({"a": 1}, {"a": 2}), ({"a": 1}, {"b": 1}), ({"a": None}, {}), (np.zeros(3), np.zeros((1, 3))), (np.zeros(()), 0.0),
    (np.zeros(2, np.int32), np.zeros(2, np.uint32)), (np.zeros((0, 2)), np.zeros((2, 0))), (Held(1), Other(1)),
    (Held(1, 2), Held(2, 1)), (Held(np.zeros(2)), Held(np.zeros(2, np.float32))),
])
def test_values_that_are_told_apart(a, b):
    assert digest(a) != digest(b)
    assert not same(a, b)


@pytest.mark.parametrize(("a", "b"), [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (Held({"x": np.ones(2), "y": 1}), Held({"y": 1, "x": np.ones(2)})),
    (np.int64(5), 5), (np.bool_(True), True), (np.float64(0.1), 0.1), (Held(1, note="made by hand"), Held(1)),
])
def test_values_that_have_one_digest(a, b):
    assert digest(a) == digest(b)


def test_kinds_of_mapping_have_one_digest():
    assert digest(MappingProxyType({"a": 1})) == digest(OrderedDict(a=1)) == digest({"a": 1})


def test_same_wants_one_type():
    assert same(Held((1,)), Held((1,)))
    assert not same((1,), [1])
    assert not same(Held(1), hold(1))


@pytest.mark.parametrize(("value", "kind"), [
    ({1, 2}, "set"), (object(), "object"), (1j, "complex"), (Held, "type"), (np.array([None, 1]), "ndarray"),
])
def test_what_has_no_stable_digest_is_refused(value, kind):
    with pytest.raises(TypeError, match=f"digest of a {kind}.*: give it arrays"):
        digest(value)
    with pytest.raises(TypeError, match="give it arrays"):
        digest({"deep": (1, Held(value))})


def test_freeze_fields_copies_what_is_there():
    given = np.arange(3)
    held = Held(given, None)
    freeze_fields(held, a=np.int8, b=np.int8)
    assert held.b is None
    assert held.a.dtype == np.int8
    given[0] = 9
    assert held.a.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        held.a[0] = 1
