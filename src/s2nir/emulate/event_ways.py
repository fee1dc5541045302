"""What an event run needs of an image beside its Program: packets' ways as trees, synapses by pair of source and core.

A pair is a source and one core that its packets reach; the pairs of a source follow each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..machine import LINK_NAMES, LINKS, NODES, floor_position
from ..mapping import MachineImage
from .memory import Program
from .segments import Synapses

Place = tuple[int, int]


class Trees:
    """The way of each class of sources as hops, one router each; see `event_kernels.Net`.

    root : int64 (classes), first hop of each; chip, behind, cores, links : lists by hop; core, link, next : what
        cores and links point into
    at : int64 (cores), chip of each core
    """

    def __init__(self, image: MachineImage, ready: Program) -> None:
        self.number = {c: k for k, c in enumerate(image.machine.coordinates)}
        for core in image.cores:  # a chip that the machine does not have has no links
            self.number.setdefault(core.chip, len(self.number))
        self.at = np.array([self.number[c.chip] for c in image.cores], np.int64)
        self.neighbour = image.machine.topology.neighbour
        self.chip: list[int] = []
        self.behind: list[int] = []
        self.cores, self.links = [0], [0]
        self.core: list[int] = []
        self.link: list[int] = []
        self.next: list[int] = []
        reach = ready.reach
        owner = np.searchsorted(ready.first, np.arange(ready.size), side="right") - 1
        _, first = np.unique(reach.of, return_index=True)
        self.root = np.zeros(reach.classes, np.int64)
        for k, source in enumerate(first.tolist()):
            self.root[k] = len(self.chip)
            links = reach.link[reach.start[2, k] : reach.start[2, k + 1]]
            self._grow(int(self.at[owner[source]]), reach.cores(k), links)

    def _grow(self, root: int, cores: NDArray[np.int32], links: NDArray[np.int64]) -> None:
        """The hops of one class, each subtree behind its hop. A chip that packets come to again passes them on no
        further: what they reach from there they have reached."""
        here: dict[int, list[int]] = {}
        for core in cores.tolist():
            here.setdefault(int(self.at[core]), []).append(core)
        away: dict[int, list[int]] = {}
        for link in dict.fromkeys(links.tolist()):
            away.setdefault(link // LINKS, []).append(link)
        seen: set[int] = set()
        todo: list[tuple[int, int]] = [(root, -1)]  # chip, place in `next`; or a hop whose subtree is done
        while todo:
            chip, place = todo.pop()
            if place == -2:
                self.behind[chip] = len(self.chip)
                continue
            hop = len(self.chip)
            if place >= 0:
                self.next[place] = hop
            self.chip.append(chip)
            self.behind.append(hop + 1)
            again = chip in seen
            seen.add(chip)
            begin = len(self.link)
            self.core += [] if again else here.get(chip, [])
            self.link += [] if again else away.get(chip, [])
            self.next += [-1] * (len(self.link) - begin)
            self.cores.append(len(self.core))
            self.links.append(len(self.link))
            todo.append((hop, -2))
            for k in reversed(range(begin, len(self.link))):
                todo.append((int(self.neighbour[self.link[k] // LINKS, self.link[k] % LINKS]), k))


class Pairs:
    """Pairs of sources and the cores that their packets reach.

    base : int64 (sources), what a place in `Trees.core` is added to for the number of the pair
    source, core : int64 (pairs); size : how many
    """

    def __init__(self, trees: Trees, ready: Program) -> None:
        ends = np.append(trees.root[1:], len(trees.chip))
        cores = np.array(trees.cores, np.int64)
        begin, end = cores[trees.root], cores[ends]
        of = ready.reach.of
        count = (end - begin)[of]
        start = np.cumsum(count) - count
        self.size = int(count.sum())
        self.base = start - begin[of]
        self.source = np.repeat(np.arange(ready.size), count)
        place = np.arange(self.size) - np.repeat(self.base, count)
        self.core = np.array(trees.core, np.int64)[place]
        self.cores = int(ready.first.size - 1)
        self._key = self.source * self.cores + self.core
        self._order = np.argsort(self._key, kind="stable")
        self._key = self._key[self._order]

    def number(self, source: NDArray[Any], core: NDArray[Any]) -> NDArray[np.int64]:
        """The pairs of sources and cores that belong together; -1 where packets of the source do not reach the core."""
        key = source * self.cores + core
        at = np.searchsorted(self._key, key).clip(0, max(self.size - 1, 0))
        return np.where(self._key[at] == key, self._order[at], -1) if self.size else np.full(key.shape, -1)

    def words(self, matrix: Any) -> NDArray[np.float64]:
        """By pair, the entries of a sparse matrix (sources, cores)."""
        held = matrix.tocsr()
        held.sum_duplicates()
        held = held.tocoo()
        found = np.zeros(self.size)
        found[self.number(held.row.astype(np.int64), held.col.astype(np.int64))] = held.data
        return found

    def synapses(self, ready: Program) -> Synapses:
        """The same synapses by pair: runs are cut where a core ends."""
        from . import deliver_kernels

        s, first = ready.synapses, ready.first
        source = np.repeat(np.arange(ready.size), np.diff(s.start))
        columns = [np.zeros((5, 0), np.int64)]
        left = np.stack([source, s.target, s.weight, s.length, s.delay]).astype(np.int64)
        while left.shape[1]:
            source, target, weight, length, delay = left
            core = np.searchsorted(first, target, side="right") - 1
            here = np.minimum(length, first[core + 1] - target)
            columns.append(np.stack([self.number(source, core), target, weight, here, delay]))
            left = np.stack([source, target + here, weight + here, length - here, delay])[:, length > here]
        pair, target, weight, length, delay = found = np.concatenate(columns, axis=1)
        pair, target, weight, length, delay = found[:, pair >= 0]  # a hole of a run may be all that a core has of it
        order = np.argsort(pair, kind="stable")
        alone = np.repeat(np.arange(ready.size), np.diff(s.one))
        single = self.number(alone, np.searchsorted(first, s.one_target, side="right") - 1)
        by = np.argsort(single, kind="stable")
        return Synapses(
            start=_starts(pair, self.size), target=target[order].astype(np.int32), weight=weight[order],
            length=length[order].astype(np.int32), delay=delay[order].astype(np.uint8), weights=s.weights,
            one=_starts(single, self.size), one_target=s.one_target[by], one_weight=s.one_weight[by],
            one_delay=s.one_delay[by], fours=bool(length.max(initial=0) >= deliver_kernels.LONG),
        )


def _starts(group: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(group, minlength=size))]).astype(np.int64)


def hops_to_router(image: MachineImage) -> NDArray[np.int64]:
    """Hops over the network on chip from each core to the nearer router node, as XY routing takes them."""
    return np.array([_hops(floor_position(c.pe)[:2], NODES["router"]) for c in image.cores], np.int64)


def hops_to_links() -> NDArray[np.int64]:
    """Hops over the network on chip between the router and each link: int64 (6)."""
    routers = NODES["router"]
    return np.array([min(_hops(node, routers) for node in NODES[name]) for name in LINK_NAMES], np.int64)


def _hops(place: Place, to: tuple[Place, ...]) -> int:
    return min(abs(place[0] - x) + abs(place[1] - y) for x, y in to)


