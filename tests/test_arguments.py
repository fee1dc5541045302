"""Arguments, checked one way: what each check takes, what it gives back, and what it says of the rest."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from s2nir.arguments import Number, Numbers, OneOf, Pair, SomeOf, Stage, Whole, flag, path_of, shape, shown
from s2nir.errors import InputError, MappingError


@pytest.mark.parametrize(("check", "value", "plain"), [
    (Whole(), 3, 3), (Whole(), np.int64(3), 3), (Whole(), 3.0, 3), (Whole(), np.float32(3), 3),
    (Whole(), 1 << 80, 1 << 80),
    (Whole(-2), -2, -2), (Whole(0, 3), 3, 3), (Whole(0, 3), 0, 0),
    (Number(), 3, 3.0), (Number(), np.float32(0.5), 0.5), (Number(), Fraction(1, 4), 0.25), (Number(0), 0, 0.0),
    (Number(0, 1), 1, 1.0), (Number(0, 1, above=True), 1, 1.0), (Number(0, above=True), 5e-324, 5e-324),
    (Pair(1), (3, 4), (3, 4)), (Pair(0), [0, 2.0], (0, 2)), (Pair(0), np.array([1, 2]), (1, 2)),
    (OneOf(("a", "b")), "b", "b"), (SomeOf(("aa", "b")), "aa", ("aa",)), (SomeOf(("a", "b")), ["b", "a"], ("b", "a")),
    (SomeOf(("a", "b")), (), ()), (flag, True, True), (flag, np.False_, False), (Stage("len"), len, len),
    (shape, 3, (3,)), (shape, np.int8(3), (3,)), (shape, (2, 3.0), (2, 3)), (shape, np.array([2, 3]), (2, 3)),
    (shape, np.array(3), (3,)),
])
def test_what_is_taken_comes_back_plain(check, value, plain):
    found = check(value, "here", MappingError)
    assert (found, type(found)) == (plain, type(plain))


@pytest.mark.parametrize(("check", "wrong", "said"), [
    (Whole(), ("3", None, True, np.True_, 1.5, np.nan, np.inf, -1, 1j, [3], np.array([3])),
     "allowed whole numbers from 0 up"),
    (Whole(1, 4, "steps", ", or None"), (0, 5, 1 << 80), "allowed whole steps from 1 to 4, or None"),
    (Number(), ("3", None, True, np.nan, np.inf, -np.inf, 10**400, 1j), "allowed finite numbers"),
    (Number(0), (-1, -5e-324, np.nan), "allowed numbers from 0 up"),
    (Number(0, above=True, what="seconds"), (0, -1, np.inf), "allowed seconds above 0"),
    (Number(0, 1, also=", or 'auto'"), (-0.1, 1.1), "allowed numbers from 0 to 1, or 'auto'"),
    (Number(0, 100, above=True), (0, 101), "allowed numbers above 0 up to 100"),
    (Pair(1), (3, (3,), (3, 3, 3), "33", None, np.ones((2, 2))), r"needed \(height, width\)"),
    (Pair(1), ((3, 0), (1.5, 3), (3, "a")), "allowed whole numbers from 1 up for height and width"),
    (OneOf(("a", "b")), ("c", None, ["a"], 3, np.array(["a", "b"])), "allowed 'a', 'b'"),
    (SomeOf(("a", "b")), (None, 3), "needed some of 'a', 'b', as a tuple"),
    (SomeOf(("a", "b")), ("c", ("a", "c"), [["a"]], [None]), "allowed 'a', 'b'"),
    (Numbers(", one or many"), ("a", None, [[1], [1, 2]], 1j, ["1"]), "needed numbers, one or many"),
    (flag, (1, 0, "yes", None), "allowed True and False"),
    (Stage("Curve()"), ("curve", None, 3, int), r"needed one of s2nir\.mapping, such as Curve\(\)"),
    (shape, (0, -1, 2.5, "a", None, True), "allowed whole numbers from 1 up, or a tuple of them"),
    (shape, ((8, 8.5), (8, -1), [8, "a"], np.zeros((2, 2))), "allowed whole numbers from 1 up for each size of .*"),
    (shape, ((), np.zeros(0)), "needed one size or more"),
])
def test_what_is_refused_is_said_with_what_is_allowed(check, wrong, said):
    for value in wrong:
        with pytest.raises(MappingError, match=rf"(?s)^here: found .*, {said}$"):
            check(value, "here", MappingError)


def test_numbers_are_float64_of_any_shape():
    for value in (1, [1, 2], np.ones((2, 2), np.int8), [True, False]):
        found = Numbers()(value, "here", MappingError)
        assert found.dtype == np.float64
        assert np.array_equal(found, value)


def test_paths_are_text_or_paths():
    assert path_of("a/b", "here") == path_of(Path("a/b"), "here") == Path("a/b")
    for value, kind in ((None, "a NoneType"), (3, "an int"), (b"a", "a bytes")):
        with pytest.raises(InputError, match=f"here: found {kind}, needed a str or PathLike"):
            path_of(value, "here")


def test_long_values_are_shown_in_part():
    assert shown("a" * 78) == repr("a" * 78)
    assert shown("a" * 79) == repr("a" * 79)[:77] + "..."
    assert shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"
