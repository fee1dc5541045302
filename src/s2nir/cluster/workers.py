"""Who does the work: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol

from ..arguments import Whole
from ..errors import InputError, RunError, S2NirError

AHEAD = 2  # pieces for each thread that are handed out before one comes back
WAIT_S = 10.0  # for a scheduler to answer
LARGE_GRAPH = "distributed.admin.large-graph-warning-threshold"


class Workers(Protocol):
    """What pieces are handed to. count : pieces that are worked on at once"""

    count: int

    def share(self, value: Any) -> Any:
        """What to give to `submit` in the place of a value that every piece needs."""
        ...

    def submit(self, call: Callable[..., Any], *args: Any) -> Any:
        """The future of a call."""
        ...

    def finished(self, waiting: Collection[Any]) -> Iterable[Any]:
        """Those that are done, at least one."""
        ...

    def result(self, future: Any) -> Any:
        """What the call gave, or raised."""
        ...


class Threads:
    """Threads of this process: the emulator's kernels run beside each other."""

    def __init__(self, pool: futures.Executor, count: int) -> None:
        self.pool, self.count = pool, count

    def share(self, value: Any) -> Any:
        return value

    def submit(self, call: Callable[..., Any], *args: Any) -> Any:
        return self.pool.submit(call, *args)

    def finished(self, waiting: Collection[Any]) -> Iterable[Any]:
        return futures.wait(waiting, return_when=futures.FIRST_COMPLETED).done

    def result(self, future: Any) -> Any:
        return future.result()


class Dask:
    """The workers of a cluster.

    What is shared is the result of a task, sent to each worker once: the scheduler holds the task, and makes the result
    again should all workers that had it die. Scattered data would be lost.
    """

    def __init__(self, client: Any, distributed: Any) -> None:
        self.client, self.distributed = client, distributed
        self.count = sum(client.nthreads().values())
        if not self.count:
            raise RunError(f"client: the scheduler at {client.scheduler.address} has no workers. Start one with `dask "
                           f"worker {client.scheduler.address}`, and wait for it with client.wait_for_workers(1).")

    def share(self, value: Any) -> Any:
        return self.submit(itself, value)

    def submit(self, call: Callable[..., Any], *args: Any) -> Any:
        import dask

        with dask.config.set({LARGE_GRAPH: sys.maxsize}):  # the scheduler is to hold a piece until it is done
            return self.client.submit(call, *args, pure=False)

    def finished(self, waiting: Collection[Any]) -> Iterable[Any]:
        done: Iterable[Any] = self.distributed.wait(list(waiting), return_when="FIRST_COMPLETED").done
        return done

    def result(self, future: Any) -> Any:
        try:
            return future.result()
        except self.distributed.KilledWorker as error:
            raise RunError(f"client: workers died over a piece, one after the other ({error}). They may have too "
                           "little memory: pass a smaller piece, or start them with more.") from None


def itself(value: Any) -> Any:
    """The value; as a task, what the value is shared by."""
    return value


@contextmanager
def workers(client: Any, threads: int | None) -> Iterator[Workers]:
    """The client's workers; without one, threads, by default as many as this process has cores.

    Raises
    ------
    RunError
        where Dask is not installed, no worker is there, or threads are given beside a client.
    """
    if client is None:
        count = _cores() if threads is None else Whole(1)(threads, "threads", RunError)
        with futures.ThreadPoolExecutor(count) as pool:
            yield Threads(pool, count)
        return
    if threads is not None:
        raise RunError(f"threads: found {threads} and a client; its workers have threads of their own. Give one "
                       "of both.")
    distributed = dask_distributed("client")
    if not isinstance(client, distributed.Client) or client.asynchronous:
        kind = "an asynchronous Client" if isinstance(client, distributed.Client) else f"a {type(client).__name__}"
        raise InputError(f"client: found {kind}, needed distributed.Client(address), or None for threads here")
    if client.status != "running":
        raise RunError(f"client: found one that is {client.status}. Make a new one with distributed.Client(address).")
    yield Dask(client, distributed)


def dask_distributed(what: str) -> Any:
    """The library.

    Raises
    ------
    RunError
        where it is not installed.
    """
    try:
        import distributed
    except ImportError:
        raise RunError(f"{what}: Dask's distributed is not installed: pip install 's2nir[cluster]'") from None
    return distributed


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """A client of the scheduler at an address, closed at the end; None where there is no address.

    Raises
    ------
    RunError
        where Dask is not installed, or nothing answers within `WAIT_S` seconds.
    """
    if address is None:
        yield None
        return
    distributed = dask_distributed("scheduler")
    try:
        client = distributed.Client(address, timeout=WAIT_S)
    except (OSError, ValueError) as error:
        raise RunError(f"scheduler: nothing answers at {address!r} ({error}). Start one with `dask scheduler`, and "
                       "pass the address that it prints.") from None
    with client:
        yield client


def each(by: Workers, call: Callable[..., Any], parts: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
    """(place, result) of call(*part) of every part, as they finish; few are made ahead: memory stays bounded.

    Of parts that fail, the first is the one whose error is raised, whoever is faster.
    """
    waiting: dict[Any, int] = {}
    ahead = enumerate(parts)
    try:
        while True:
            for place, part in islice(ahead, AHEAD * by.count - len(waiting)):
                waiting[by.submit(call, *part)] = place
            if not waiting:
                return
            for future in by.finished(waiting):
                place = waiting.pop(future)
                try:
                    found = by.result(future)
                except S2NirError as error:
                    raise _earliest(by, waiting, place, error) from None
                yield place, found
    finally:
        for future in waiting:
            future.cancel()


def _earliest(by: Workers, waiting: Mapping[Any, int], place: int, error: S2NirError) -> S2NirError:
    """The error of the first part that fails, where the one at `place` failed with `error`: all before it were handed
    out before it."""
    for future in sorted((f for f in waiting if waiting[f] < place), key=waiting.__getitem__):
        try:
            by.result(future)
        except S2NirError as earlier:
            return earlier
    return error


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
