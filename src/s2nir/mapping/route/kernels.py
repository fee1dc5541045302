"""Growing multicast trees, compiled.

A tree grows target by target, the nearest first. From a router that it already has, a way leads to the target's chip
along the hexagonal axes; what the way shares with the tree is cut off. Where a link on the way is missing, a search
from the target finds the shortest way back to the tree instead. Either way only chips are added that the tree did not
have, each with one link to come in by, so that a tree stays one.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numba import njit

ROUTE_BYTES = 20
FAR = 1 << 30
X_FIRST, LONGEST_FIRST, SEARCH = 0, 1, 2


@njit(cache=True, nogil=True)
def shortest(dx: int, dy: int, wide: int, high: int, turn: int) -> tuple[int, int, int]:
    """The shortest of the vectors that lead there around the torus (wide 0: a mesh), and its length.

    Of equals the one that `turn` picks, so that sources share the links.
    """
    best, bx, by = FAR, dx, dy
    if wide == 0:
        return dx, dy, length(dx, dy)
    for k in range(9):
        at = (k + turn) % 9
        x, y = dx + (at % 3 - 1) * wide, dy + (at // 3 - 1) * high
        if length(x, y) < best:
            best, bx, by = length(x, y), x, y
    return bx, by, best


@njit(cache=True, nogil=True)
def length(dx: int, dy: int) -> int:
    """Hops of a vector on the hexagonal mesh."""
    if (dx >= 0) == (dy >= 0):
        return max(abs(dx), abs(dy))
    return abs(dx) + abs(dy)


@njit(cache=True, nogil=True)
def legs(dx: int, dy: int, longest: bool, link: Any, count: Any) -> None:
    """A vector as three straight legs (links and hops): the longest first, or always x, diagonal, y."""
    both = 0
    if (dx >= 0) == (dy >= 0):
        both = dx if abs(dx) < abs(dy) else dy
    x, y = dx - both, dy - both
    for k, (n, to) in enumerate(((x, 0), (both, 1), (y, 2))):
        link[k] = to if n >= 0 else to + 3
        count[k] = abs(n)
    if longest:
        for _ in range(2):
            for k in range(2):
                if count[k + 1] > count[k]:
                    count[k], count[k + 1] = count[k + 1], count[k]
                    link[k], link[k + 1] = link[k + 1], link[k]


@njit(cache=True, nogil=True)
def walk(neighbour: Any, begin: int, link: Any, count: Any, way: Any, by: Any) -> int:
    """Chips along the legs from `begin`: how many, -1 where a link is missing; `way` the chips, `by` the links."""
    here, n = begin, 0
    for k in range(3):
        for _ in range(count[k]):
            here = neighbour[here, link[k]]
            if here < 0:
                return -1
            way[n] = here
            by[n] = link[k]
            n += 1
    return n


@njit(cache=True, nogil=True)
def search(neighbour: Any, cost: Any, target: int, mine: Any, dist: Any, out: Any, way: Any, by: Any) -> int:
    """The cheapest way from the tree (chips with `mine` >= 0) to `target` over links that are there; -1 for none.

    Dijkstra from the target backwards; `cost` (chips, 6) is of a packet over each link. Fills `way` and `by` as `walk`
    does; `out` is the link that leads on from each chip.
    """
    dist[:] = np.inf
    dist[target] = 0.0
    out[target] = -1
    heap = [(0.0, target)]
    while len(heap):
        far, here = heapq.heappop(heap)
        if far > dist[here]:
            continue
        if mine[here] >= 0:
            found = 0
            while out[here] >= 0:
                by[found] = out[here]
                here = neighbour[here, out[here]]
                way[found] = here
                found += 1
            return found
        for link in range(6):
            there = neighbour[here, link]
            if there < 0:
                continue
            back = (link + 3) % 6  # a packet goes from there to here
            more = far + cost[there, back]
            if more < dist[there]:
                dist[there] = more
                out[there] = back
                heapq.heappush(heap, (more, there))
    return -1


@njit(cache=True, nogil=True)
def nearest(chip: Any, target: int, nodes: Any, first: int, end: int, torus: Any) -> Any:
    """The router of a tree that is the fewest hops from a chip; of equals the first."""
    best, found = FAR, nodes[first]
    for k in range(first, end):
        here = nodes[k]
        _, _, far = shortest(chip[target, 0] - chip[here, 0], chip[target, 1] - chip[here, 1], torus[0], torus[1], 0)
        if far < best:
            best, found = far, here
    return found


@njit(cache=True, nogil=True)
def join(
    t: int, first: int, used: int, net: Any, cost: Any, way_of: int, tree: Any, mine: Any, work: Any
) -> int:
    """Bring chip `t` into a tree whose routers are first..used; how many there are then, -1 where no way leads there.

    tree : chip, route, arrives of the routers; work : room for one way. Of equal ways around a torus the sources of one
    chip take the same, so that their entries merge.
    """
    chip, neighbour, torus = net
    nodes, route, arrives = tree
    dist, out, way, by, link, count = work
    n, begin = -1, nodes[first]
    if way_of != SEARCH:
        if way_of == LONGEST_FIRST:
            begin = nearest(chip, t, nodes, first, used, torus)
        dx, dy = chip[t, 0] - chip[begin, 0], chip[t, 1] - chip[begin, 1]
        dx, dy, _ = shortest(dx, dy, torus[0], torus[1], nodes[first] % 9)
        legs(dx, dy, way_of == LONGEST_FIRST, link, count)
        n = walk(neighbour, begin, link, count, way, by)
    if n < 0:
        n = search(neighbour, cost, t, mine, dist, out, way, by)
        if n < 0:
            return -1
        begin = neighbour[way[0], (by[0] + 3) % 6]
    skip = 0
    for j in range(n):
        if mine[way[j]] >= 0:
            skip, begin = j + 1, way[j]
    at = mine[begin]
    for j in range(skip, n):
        route[at, 0] |= 1 << by[j]
        nodes[used], arrives[used], mine[way[j]] = way[j], (by[j] + 3) % 6, used
        at = used
        used += 1
    return used


@njit(cache=True, nogil=True)
def grow(
    net: Any, flow: Any, which: Any, cost: Any, way_of: int, room: int
) -> tuple[Any, Any, Any, Any, int]:
    """Trees of the sources `which`: start, chip, route, arrives; and the target chip that no way leads to, or -1.

    net : chip (chips, 2), neighbour (chips, 6), torus (2); flow : chip, start, to_chip, to_pe
    cost : of a packet over each link, for searches; way_of : X_FIRST, LONGEST_FIRST, or SEARCH for every target
    """
    chip, torus = net[0], net[2]
    source_chip, first_target, to_chip, to_pe = flow
    chips = chip.shape[0]
    start = np.zeros(which.size + 1, np.int64)
    nodes, arrives = np.empty(room, np.int32), np.empty(room, np.int8)
    route = np.zeros((room, ROUTE_BYTES), np.uint8)
    mine = np.full(chips, -1, np.int64)  # the router of this tree on each chip
    work = (np.empty(chips), np.empty(chips, np.int64), np.empty(3 * chips + 64, np.int64),
            np.empty(3 * chips + 64, np.int64), np.empty(3, np.int64), np.empty(3, np.int64))
    used = 0
    for k in range(which.size):
        s = which[k]
        here, first = source_chip[s], used
        a, b = first_target[s], first_target[s + 1]
        if a == b:
            start[k + 1] = used
            continue
        if used + chips > nodes.size:
            grown = nodes.size * 2 + chips
            nodes, arrives, route = longer(nodes, grown), longer(arrives, grown), longer_rows(route, grown)
        nodes[used], arrives[used], mine[here] = here, -1, used
        used += 1
        targets = np.unique(to_chip[a:b])
        far = np.empty(targets.size, np.int64)
        for i in range(targets.size):
            t = targets[i]
            _, _, far[i] = shortest(chip[t, 0] - chip[here, 0], chip[t, 1] - chip[here, 1], torus[0], torus[1], 0)
        for i in np.argsort(far, kind="mergesort"):
            t = targets[i]
            if mine[t] < 0:
                used = join(t, first, used, net, cost, way_of, (nodes, route, arrives), mine, work)
                if used < 0:
                    return start, nodes, route, arrives, t
        for j in range(a, b):
            bit = 6 + to_pe[j]
            route[mine[to_chip[j]], bit >> 3] |= 1 << (bit & 7)
        for j in range(first, used):
            mine[nodes[j]] = -1
        start[k + 1] = used
    return start, nodes[:used], route[:used], arrives[:used], -1


@njit(cache=True, nogil=True)
def longer(array: Any, size: int) -> Any:
    found = np.empty(size, array.dtype)
    found[: array.size] = array
    return found


@njit(cache=True, nogil=True)
def longer_rows(array: Any, size: int) -> Any:
    found = np.zeros((size, array.shape[1]), array.dtype)
    found[: array.shape[0]] = array
    return found


@njit(cache=True, nogil=True)
def loads(start: Any, nodes: Any, route: Any, packets: Any, load: Any, which: Any, sign: float) -> None:
    """Add (or take off) the packets of some trees to each link: load (chips, 6)."""
    for k in range(which.size):
        s = which[k]
        for j in range(start[s], start[s + 1]):
            for link in range(6):
                if route[j, 0] >> link & 1:
                    load[nodes[j], link] += sign * packets[s]
