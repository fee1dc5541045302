"""The loops of the minimisers, compiled; int64 arrays in and out, and nothing but arithmetic on cubes.

A cube is the set of keys that an entry matches: `mask` has the bits that are fixed and `key` their values; its
generality is the number of other bits. Cubes a and b share a key where (key_a ^ key_b) & mask_a & mask_b is 0. The
originals are the entries of the table that came in; a node is an entry of the table as it stands: numbers below n are
the originals, from n on the merged ones. Everything is int64, because int64 and uint64 together make a float in numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

ALL = 0xFFFFFFFF
WITNESSES = 4  # unused keys that one refinement looks at
NEVER = 33  # above every generality


def _intrinsic(code: Callable[..., Any]) -> Any:
    return intrinsic(code)


class Originals(NamedTuple):
    """Disjoint cubes in the order of their lowest key.

    top : the largest `key | ~mask` up to here, so that the cubes over a range of keys lie in a range of the array
    level : generality of the node that holds the original now (written)
    link : next original of the same node, -1 at the end (written)
    """

    key: NDArray[np.int64]
    mask: NDArray[np.int64]
    route: NDArray[np.int64]
    top: NDArray[np.int64]
    level: NDArray[np.int64]
    link: NDArray[np.int64]


class Nodes(NamedTuple):
    """Entries of the table as it stands, in order of (generality, number); all are written.

    first, last : ends of the list of originals that the node holds
    merged : the merged nodes that live, the first `sizes[0]` of them; sizes[1] is the number of nodes
    """

    key: NDArray[np.int64]
    mask: NDArray[np.int64]
    route: NDArray[np.int64]
    generality: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    alive: NDArray[np.bool_]
    merged: NDArray[np.int64]
    sizes: NDArray[np.int64]


class Groups(NamedTuple):
    """Nodes by route: those of group g are member[start[g] : start[g] + size[g]].

    active : how many of these, the first ones, a refinement looks at (written, as are size and member)
    """

    start: NDArray[np.int64]
    size: NDArray[np.int64]
    active: NDArray[np.int64]
    member: NDArray[np.int64]


class Gaps(NamedTuple):
    """Keys that no merge may cover, as disjoint aligned blocks from `key` to `top`, rising."""

    key: NDArray[np.int64]
    mask: NDArray[np.int64]
    top: NDArray[np.int64]


class Work(NamedTuple):
    """Room for one refinement: nodes of the merge, places in the group, originals of other routes that it may cover."""

    chosen: NDArray[np.int64]
    place: NDArray[np.int64]
    covered: NDArray[np.int64]


@_intrinsic
def ones(typing: Any, word: Any) -> Any:
    """Bits set in an int64."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), code


@_intrinsic
def highest(typing: Any, word: Any) -> Any:
    """The highest bit of an int64 above 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        top = ir.Constant(ir.IntType(64), 1 << 63)
        return builder.lshr(top, builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1)))

    return types.int64(types.int64), code


@njit(cache=True, nogil=True)
def onward(top: Any, i: int, x: int) -> int:
    """The first place from i on whose `top` is not below x, by steps that double and then by halves."""
    low, step = i, 1
    while low + step < top.size and top[low + step] < x:
        low += step
        step *= 2
    high = min(low + step, top.size)
    while low < high:
        middle = (low + high) // 2
        if top[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def window(key: int, mask: int, lowest: Any, top: Any) -> tuple[int, int]:
    """Range of sorted cubes outside of which none shares a key with this one."""
    return int(np.searchsorted(top, key)), int(np.searchsorted(lowest, key | (ALL & ~mask), side="right"))


@njit(cache=True, nogil=True)
def overlap(key: Any, mask: Any) -> tuple[int, int]:
    """Places of two cubes that share a key, (-1, -1) where all are disjoint; keys rise."""
    for i in range(key.size):
        top = key[i] | (ALL & ~mask[i])
        for j in range(i + 1, key.size):
            if key[j] > top:
                break
            if (key[i] ^ key[j]) & mask[i] & mask[j] == 0:
                return i, j
    return -1, -1


@njit(cache=True, nogil=True)
def next_in(key: Any, mask: Any, x: Any) -> Any:
    """The lowest key >= x of a cube, -1 where there is none."""
    wrong = (x ^ key) & mask
    if wrong == 0:
        return x
    high = highest(wrong)
    above = ALL & ~mask & ~(2 * high - 1)  # the free bits above the highest that is wrong
    if key & high:
        return (x & above) | key
    carried = ((x & above) | (ALL & ~above)) + 1
    return -1 if carried > ALL else (carried & above) | key


@njit(cache=True, nogil=True)
def hull(nodes: Any, chosen: Any, count: int) -> tuple[int, int]:
    """The smallest cube over the chosen nodes."""
    both, either, mask = ALL, 0, ALL
    for i in range(count):
        e = chosen[i]
        both &= nodes.key[e]
        either |= nodes.key[e]
        mask &= nodes.mask[e]
    mask &= ~(both ^ either)
    return both & mask, mask


@njit(cache=True, nogil=True)
def candidates(o: Any, route: int, key: int, mask: int, covered: Any) -> int:
    """Collect the originals of other routes that share a key with the cube; their number."""
    n = 0
    low, high = window(key, mask, o.key, o.top)
    for c in range(low, high):
        covered[n] = c
        n += ((o.key[c] ^ key) & mask & o.mask[c] == 0) & (o.route[c] != route)
    return n


@njit(cache=True, nogil=True)
def conflicts(o: Any, gaps: Any, key: int, mask: int, covered: Any, n: int) -> tuple[int, int, int]:
    """What the cube may not cover, and how it could avoid the tightest of it.

    Tightest is what leaves the fewest bits of the cube to be fixed, [Mundy2016]. Returns how many candidates share a
    key with the cube (the others are dropped, since a merge only shrinks), and the bits to fix to 0 and to 1.
    """
    generality = 32 - ones(mask)
    least, zero, one, kept = NEVER, 0, 0, 0
    for i in range(n):
        c = covered[i]
        if (o.key[c] ^ key) & mask & o.mask[c]:
            continue
        covered[kept] = c
        kept += 1
        if o.level[c] > generality:
            settable = o.mask[c] & ~mask
            bits = ones(settable)
            if bits < least:
                least, zero, one = bits, 0, 0
            if bits == least:
                zero |= settable & o.key[c]
                one |= settable & ~o.key[c]
    if least == NEVER and gaps.key.size:
        zero, one = unused(gaps, key, mask)
    return kept, zero, one


@njit(cache=True, nogil=True)
def unused(gaps: Any, key: int, mask: int) -> tuple[int, int]:
    """As `conflicts`, for the first gaps that the cube reaches into: it steps from key to key over whole gaps."""
    least, zero, one, found = NEVER, 0, 0, 0
    i = int(np.searchsorted(gaps.top, key))
    while i < gaps.key.size and found < WITNESSES:
        x = next_in(key, mask, max(gaps.key[i], key))
        if x < 0:
            break
        if x > gaps.top[i]:
            i = onward(gaps.top, i, x)
            continue
        settable = gaps.mask[i] & ~mask
        bits = ones(settable)
        if bits < least:
            least, zero, one = bits, 0, 0
        if bits == least:
            zero |= settable & gaps.key[i]
            one |= settable & ~gaps.key[i]
        found += 1
        i += 1
    return zero, one


@njit(cache=True, nogil=True)
def reaching(gaps: Any, key: Any, mask: Any) -> int:
    """The first cube that shares a key with a gap, -1 for none."""
    for e in range(key.size):
        i = int(np.searchsorted(gaps.top, key[e]))
        while i < gaps.key.size:
            x = next_in(key[e], mask[e], max(gaps.key[i], key[e]))
            if x < 0:
                break
            if x <= gaps.top[i]:
                return e
            i = onward(gaps.top, i, x)
    return -1


@njit(cache=True, nogil=True)
def fix_bit(nodes: Any, chosen: Any, place: Any, count: int, zero: int, one: int) -> int:
    """Fix the bit that costs the fewest nodes: those without its value leave the merge. How many stay.

    Of equals the highest, which keeps together what is near in keys.
    """
    best, best_bit, best_value = -1, 0, 0
    for b in range(32):
        bit = 1 << b
        for value in (0, bit):
            if not (one if value else zero) & bit:
                continue
            kept = 0
            for i in range(count):
                e = chosen[i]
                kept += (nodes.mask[e] & bit != 0) & (nodes.key[e] & bit == value)
            if kept >= best:
                best, best_bit, best_value = kept, bit, value
    kept = 0
    for i in range(count):
        e = chosen[i]
        chosen[kept], place[kept] = e, place[i]
        kept += (nodes.mask[e] & best_bit != 0) & (nodes.key[e] & best_bit == best_value)
    return kept


@njit(cache=True, nogil=True)
def down_check(o: Any, nodes: Any, gaps: Any, work: Any, count: int, n: int) -> tuple[int, int]:
    """Shrink the merge until it covers nothing below it, and no unused key; nodes left, candidates left."""
    while count > 1:
        key, mask = hull(nodes, work.chosen, count)
        n, zero, one = conflicts(o, gaps, key, mask, work.covered, n)
        if zero | one == 0:
            break
        count = fix_bit(nodes, work.chosen, work.place, count, zero, one)
    return count, n


@njit(cache=True, nogil=True)
def up_check(o: Any, nodes: Any, work: Any, count: int, route: int) -> int:
    """Take from the merge what could not move down past a merged node of another route; nodes left.

    Only a merged node can share a key with an original that it does not hold.
    """
    key, mask = hull(nodes, work.chosen, count)
    generality, live = 32 - ones(mask), 0
    for m in range(nodes.sizes[0]):
        f = nodes.merged[m]
        if not nodes.alive[f]:
            continue
        nodes.merged[live] = f
        live += 1
        if nodes.route[f] == route or nodes.generality[f] > generality:
            continue
        if (nodes.key[f] ^ key) & nodes.mask[f] & mask:
            continue
        kept = 0
        for i in range(count):
            e = work.chosen[i]
            work.chosen[kept], work.place[kept] = e, work.place[i]
            kept += not (before(nodes, e, f) and holds_key_of(o, nodes, e, f))
        count = kept
    nodes.sizes[0] = live
    return count


@njit(cache=True, nogil=True)
def before(nodes: Any, e: int, f: int) -> bool:
    """Whether e stands ahead of f."""
    return nodes.generality[e] < nodes.generality[f] or (nodes.generality[e] == nodes.generality[f] and e < f)


@njit(cache=True, nogil=True)
def holds_key_of(o: Any, nodes: Any, e: int, f: int) -> bool:
    """Whether an original that e holds shares a key with f."""
    c = nodes.first[e]
    while c >= 0:
        if (o.key[c] ^ nodes.key[f]) & o.mask[c] & nodes.mask[f] == 0:
            return True
        c = o.link[c]
    return False


@njit(cache=True, nogil=True)
def refine(o: Any, nodes: Any, groups: Any, gaps: Any, work: Any, g: int) -> int:
    """The merge of a group that may be made, in `work`; its nodes, below 2 for none: work.place[0] was left last."""
    count, start = groups.active[g], groups.start[g]
    for i in range(count):
        work.chosen[i], work.place[i] = groups.member[start + i], start + i
    key, mask = hull(nodes, work.chosen, count)
    n = candidates(o, g, key, mask, work.covered)
    count, n = down_check(o, nodes, gaps, work, count, n)
    if count > 1:
        left = up_check(o, nodes, work, count, g)
        if left < count:  # smaller, so further up: more lies below it; a second up-check could only find less
            count, n = down_check(o, nodes, gaps, work, left, n)
    return count


@njit(cache=True, nogil=True)
def merge(o: Any, nodes: Any, groups: Any, work: Any, g: int, count: int) -> None:
    """Put one new node for the chosen ones."""
    key, mask = hull(nodes, work.chosen, count)
    new = nodes.sizes[1]
    nodes.sizes[1] += 1
    nodes.key[new], nodes.mask[new], nodes.route[new] = key, mask, g
    nodes.generality[new] = 32 - ones(mask)
    nodes.alive[new] = True
    nodes.merged[nodes.sizes[0]] = new
    nodes.sizes[0] += 1
    last = -1
    for i in range(count):
        e = work.chosen[i]
        nodes.alive[e] = False
        groups.member[work.place[i]] = -1
        if last < 0:
            nodes.first[new] = nodes.first[e]
        else:
            o.link[last] = nodes.first[e]
        last = nodes.last[e]
    nodes.last[new] = last
    c = nodes.first[new]
    while c >= 0:
        o.level[c] = nodes.generality[new]
        c = o.link[c]
    start, kept = groups.start[g], 0
    groups.member[work.place[0]] = new
    for i in range(start, start + groups.size[g]):
        if groups.member[i] >= 0:
            groups.member[start + kept] = groups.member[i]
            kept += 1
    groups.size[g] -= count - 1
    groups.active[g] -= count - 1


@njit(cache=True, nogil=True)
def two_best(hope: Any) -> tuple[int, int]:
    """The group of the highest hope, and the highest of the others."""
    best, second = 0, 0
    for g in range(1, hope.size):
        if hope[g] > hope[best]:
            best, second = g, hope[best]
        elif hope[g] > second:
            second = hope[g]
    return best, second


@njit(cache=True, nogil=True)
def cover(o: Any, nodes: Any, groups: Any, gaps: Any, work: Any, target: int) -> None:
    """Merge, the best first, until nothing merges or `target` nodes are left.

    `hope` is what a group saved when it was last refined, or one less than it has active nodes where these changed
    since. Only the group of the highest hope is refined, and merged if it still saves as much as all others hope for.
    Where nothing is left to merge, the node that was left last is put aside, and the others are asked again; all come
    back when no group has a merge.
    """
    hope = groups.active - 1
    left, changed = o.key.size, False
    while left > target and hope.size:
        g, second = two_best(hope)
        if hope[g] <= 0:
            if not changed:
                break
            changed = False
            groups.active[:] = groups.size
            hope[:] = groups.active - 1
            continue
        count = refine(o, nodes, groups, gaps, work, g)
        hope[g] = count - 1
        if count < 2:
            groups.active[g] -= 1
            at, end = work.place[0], groups.start[g] + groups.active[g]
            groups.member[at], groups.member[end] = groups.member[end], groups.member[at]
            hope[g] = groups.active[g] - 1
        elif hope[g] >= second:
            merge(o, nodes, groups, work, g, count)
            left -= count - 1
            changed = True
            hope[g] = groups.active[g] - 1


@njit(cache=True, nogil=True)
def slot_of(key: Any, mask: Any, route: Any, table: Any, k: Any, m: Any, r: Any) -> Any:
    """Where a cube stands in a hash table, or the free slot where it would; open addressing."""
    size = table.size - 1
    h = (k * 0x9E3779B1 ^ m * 0x85EBCA6B ^ r * 0xC2B2AE35) & ALL
    h = (h ^ (h >> 15)) * 0x2C1B3C6D & ALL
    h = (h ^ (h >> 13)) & size
    while table[h] >= 0:
        e = table[h]
        if key[e] == k and mask[e] == m and route[e] == r:
            return h
        h = (h + 1) & size
    return h


@njit(cache=True, nogil=True)
def neighbours(key: Any, mask: Any, route: Any, alive: Any, table: Any, n: int) -> int:
    """Merge pairs of one route that differ in the value of one bit, until there are none; cubes made, dead ones too.

    Arrays have room for 2 n; a cube that died never comes back, since what it went into covers it.
    """
    for e in range(n):
        table[slot_of(key, mask, route, table, key[e], mask[e], route[e])] = e
    made, before_pass = n, -1
    while made != before_pass:
        before_pass = made
        for b in range(32):
            bit = 1 << b
            for e in range(made):
                if not alive[e] or not mask[e] & bit or key[e] & bit:
                    continue
                partner = table[slot_of(key, mask, route, table, key[e] | bit, mask[e], route[e])]
                if partner < 0 or not alive[partner]:
                    continue
                alive[e] = alive[partner] = False
                key[made], mask[made], route[made], alive[made] = key[e], mask[e] & ~bit, route[e], True
                table[slot_of(key, mask, route, table, key[e], mask[e] & ~bit, route[e])] = made
                made += 1
    return made


@njit(cache=True, nogil=True)
def spread(key: Any, mask: Any, top: Any, keep: Any, queue: Any) -> None:
    """Mark, from those marked on, every cube that shares a key with a marked one; keys rise."""
    n = 0
    for i in range(key.size):
        if keep[i]:
            queue[n] = i
            n += 1
    while n:
        n -= 1
        i = queue[n]
        low, high = window(key[i], mask[i], key, top)
        for j in range(low, high):
            if not keep[j] and (key[i] ^ key[j]) & mask[i] & mask[j] == 0:
                keep[j] = True
                queue[n] = j
                n += 1
