"""Arguments, checked one way: whole numbers, numbers, arrays, words, truth values, paths.

A check is called with a value, where it stands, and the error to raise; what it gives back is plain: an int, a float,
a str, a tuple. Its message says where, what was found and what is allowed.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, S2NirError, needs

LARGEST = sys.float_info.max
Check = Callable[[Any, str, type[S2NirError]], Any]


def settle(options: Any, error: type[S2NirError], **checks: Check) -> None:
    """Check fields of a frozen dataclass and put plain values in their place; call from `__post_init__`."""
    for name, check in checks.items():
        object.__setattr__(options, name, check(getattr(options, name), f"{type(options).__name__}.{name}", error))


def shown(value: Any) -> str:
    """A value for a message, at most 80 characters of it."""
    said = " ".join(repr(value).split())
    return said if len(said) <= 80 else f"{said[:77]}..."


def meant(value: Any, words: Iterable[str]) -> str:
    """The nearest of some words, for the end of a message; "" where none is near.

    >>> meant("bit", ["bits", "arithmetic"])
    "; did you mean 'bits'?"
    """
    near = get_close_matches(value, list(words), 1) if isinstance(value, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, a float or NumPy's too; what : it counts; also : what else is allowed, in words

    >>> Whole(1, 9)(3.0, "n", S2NirError)
    3
    """

    least: int = 0
    most: int | None = None
    what: str = "numbers"
    also: str = ""

    def __call__(self, value: Any, where: str, error: type[S2NirError]) -> int:
        whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
        if whole and not isinstance(value, bool):
            found = int(value)
            if self.least <= found and (self.most is None or found <= self.most):
                return found
        upto = "up" if self.most is None else f"to {self.most}"
        raise error(f"{where}: found {shown(value)}, allowed whole {self.what} from {self.least} {upto}{self.also}")


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number; above : whether `least` itself is refused; what, also : as in `Whole`

    >>> Number(0, 1)(1, "share", S2NirError)
    1.0
    """

    least: float = -LARGEST
    most: float = LARGEST
    above: bool = False
    what: str = "numbers"
    also: str = ""

    def __call__(self, value: Any, where: str, error: type[S2NirError]) -> float:
        try:
            found = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
        except OverflowError:  # a whole number that no float holds
            found = math.nan
        if self.least <= found <= self.most and not (self.above and found == self.least):
            return found
        upto = f" up to {self.most:g}" if self.above else f" to {self.most:g}"
        upto = upto if self.most < LARGEST else "" if self.above else " up"
        span = f"{'above' if self.above else 'from'} {self.least:g}{upto}"
        said = f"{self.what} {span}" if self.least > -LARGEST else f"finite {self.what}"
        raise error(f"{where}: found {shown(value)}, allowed {said}{self.also}")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers in an array: float64, of any shape. also : as in `Whole`"""

    also: str = ""

    def __call__(self, value: Any, where: str, error: type[S2NirError]) -> NDArray[np.float64]:
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):  # rows of several lengths
            array = np.zeros(0, object)
        if array.dtype.kind not in "biuf":
            raise error(f"{where}: found {shown(value)}, needed numbers{self.also}")
        return array.astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """Whole numbers along height and width."""

    least: int

    def __call__(self, value: Any, where: str, error: type[S2NirError]) -> tuple[int, int]:
        if not isinstance(value, tuple | list | np.ndarray) or np.shape(value) != (2,):
            raise error(f"{where}: found {shown(value)}, needed (height, width)")
        whole = Whole(self.least, also=" for height and width")
        return whole(value[0], where, error), whole(value[1], where, error)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words; also : as in `Whole`"""

    words: tuple[str, ...]
    also: str = ""

    def __call__(self, value: Any, where: str, error: type[S2NirError]) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise error(f"{where}: found {shown(value)}, allowed {', '.join(map(repr, self.words))}{self.also}"
                        f"{meant(value, self.words)}")
        return value


@dataclass(frozen=True, slots=True)
class SomeOf:
    """Some of some words; one alone may be given as text.

    >>> SomeOf(("spikes", "voltages"))("spikes", "record", S2NirError)
    ('spikes',)
    """

    words: tuple[str, ...]

    def __call__(self, value: Any, where: str, error: type[S2NirError]) -> tuple[str, ...]:
        if not isinstance(value, Iterable):
            raise error(f"{where}: found {shown(value)}, needed some of {', '.join(map(repr, self.words))}, as a tuple")
        return tuple(OneOf(self.words)(v, where, error) for v in ((value,) if isinstance(value, str) else value))


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the mapper, or a function in its place; such : one, for the message"""

    such: str

    def __call__(self, value: Any, where: str, error: type[S2NirError]) -> Any:
        if isinstance(value, type) or not callable(value):
            raise error(f"{where}: found {shown(value)}, needed one of s2nir.mapping, such as {self.such}")
        return value


def flag(value: Any, where: str, error: type[S2NirError]) -> bool:
    """A truth value."""
    if not isinstance(value, bool | np.bool_):
        raise error(f"{where}: found {shown(value)}, allowed True and False")
    return bool(value)


def shape(value: Any, where: str, error: type[S2NirError]) -> tuple[int, ...]:
    """Sizes from 1 up, one or several; one number alone is a shape too."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    sizes = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not sizes:
        raise error(f"{where}: found {value!r}, needed one size or more")
    also = f" for each size of {shown(value)}" if isinstance(value, tuple | list) else ", or a tuple of them"
    return tuple(Whole(1, also=also)(n, where, error) for n in sizes)


def listener(value: Any, where: str) -> Callable[[Any], object]:
    """A function that is told how far work is; of None, one that does nothing."""
    if value is None:
        return lambda _: None
    if not callable(value):
        raise InputError(f"{where}: found {shown(value)}, needed a function that is told how far it is, such as print, "
                         "or None")
    return value  # type: ignore[no-any-return]


def path_of(value: Any, where: str) -> Path:
    """A path, of text or as one."""
    needs(value, (str, os.PathLike), where, "Pass the path of a file or folder.")
    return Path(value)
