"""Whether two tables route alike, decided by cutting cubes of keys; it shares no code with the minimisers.

A cube of keys walks down a table. Where an entry matches some of its keys, these are decided, and the others go on as
smaller cubes, one for each bit in which they can differ from the entry. No key is enumerated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .entries import Blocks, Entries, as_entries


class Counterexample(NamedTuple):
    """A key that two tables route differently; a route is -1 where no entry matches."""

    key: int
    before: int
    after: int


def equal(before: Entries, after: Entries, keys: Blocks | None = None) -> Counterexample | None:
    """A key that `before` matches and `after` routes differently; None where there is none.

    keys : compare for these keys only

    >>> a = Entries(key=[0, 1], mask=[0xFFFFFFFF] * 2, route=[3, 3])
    >>> equal(a, Entries(key=[0], mask=[0xFFFFFFFE], route=[3]))
    >>> equal(a, Entries(key=[0], mask=[0xFFFFFFFF], route=[3]))
    Counterexample(key=1, before=3, after=-1)
    """
    from .walk import differ

    found, key, was, now = differ(_cubes(before), _cubes(after), _cubes(before if keys is None else _entries(keys)))
    return Counterexample(key, was, now) if found else None


def within(table: Entries, keys: Blocks) -> int | None:
    """A key that the table matches and that is in no block; None where there is none."""
    from .walk import outside

    found, key = outside(_cubes(table), _cubes(_entries(keys)))
    return key if found else None


def _entries(keys: Blocks) -> Entries:
    return as_entries(keys.base, keys.mask, np.zeros(keys.base.size))


def _cubes(table: Entries) -> tuple[Any, Any, Any]:
    return table.key.astype(np.int64), table.mask.astype(np.int64), table.route.astype(np.int64)
