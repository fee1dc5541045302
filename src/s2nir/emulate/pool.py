"""Jobs that several threads take one after the other, the thread that asks for them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeVar

T = TypeVar("T")


def in_order(job: Callable[[int], T], many: int, workers: int) -> Iterator[T]:
    """What `job` gives for 0 to `many`, in order, from so many threads; the first error of a job is raised.

    One of them is the caller's. If it slept until others are done, it would be woken after every job, and what wakes up
    takes the interpreter's lock from a thread that is at work.

    >>> list(in_order(lambda k: k * k, 5, workers=2))
    [0, 1, 4, 9, 16]
    """
    if workers == 1:
        yield from map(job, range(many))
        return
    turn, given = count(), 0
    found: dict[int, T] = {}
    stop: list[int] = []

    def one() -> bool:
        """Whether there was another job."""
        k = next(turn)
        if stop or k >= many:
            return False
        try:
            found[k] = job(k)
        except BaseException:
            stop.append(k)
            raise
        return True

    def all_() -> None:
        while one():
            pass

    with ThreadPoolExecutor(max_workers=workers - 1) as pool:
        others = [pool.submit(all_) for _ in range(workers - 1)]
        try:
            while one():
                while given in found:
                    yield found.pop(given)
                    given += 1
            for other in others:
                other.result()
            for k in range(given, many):
                yield found.pop(k)
        finally:
            stop.append(many)
