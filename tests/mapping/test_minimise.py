"""Conformance: every minimiser, one suite. A new one joins by one line."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2nir.errors import MappingError
from s2nir.mapping.minimise import (
    Blocks,
    DecisionList,
    Entries,
    Expand,
    Fewest,
    OrderedCovering,
    Smallest,
    equal,
    neighbours,
    none,
    remove_default_routes,
    within,
)

ALL = 0xFFFFFFFF
ALONE = OrderedCovering(pairs_first=False)
MINIMISERS = [
    none,
    neighbours,
    OrderedCovering(),
    OrderedCovering(pairs_first=False),
    lambda table: OrderedCovering(avoid=blocks_of(table).others())(table),
    lambda table: OrderedCovering(target=table.size // 2)(table),
    Expand(),
    lambda table: Expand(avoid=blocks_of(table).others())(table),
    DecisionList(),
    DecisionList(seeds=1),
    lambda table: DecisionList(avoid=blocks_of(table).others())(table),
    Fewest(),
]
NAMES = ["none", "neighbours", "covering", "covering_alone", "covering_used", "covering_target", "expand",
         "expand_used", "decision", "decision_one_seed", "decision_used", "fewest"]
every = pytest.mark.parametrize("minimise", MINIMISERS, ids=NAMES)


def lookup(table, key):
    """The route of a key, -1 where nothing matches."""
    for k, m, r in zip(table.key.tolist(), table.mask.tolist(), table.route.tolist(), strict=True):
        if key & m == k:
            return r
    return -1


def keys_of(table):
    """Every key that an entry of small cubes matches."""
    for k, m in zip(table.key.tolist(), table.mask.tolist(), strict=True):
        free = [b for b in range(32) if not m >> b & 1]
        for n in range(1 << len(free)):
            yield k | sum(1 << b for i, b in enumerate(free) if n >> i & 1)


def of(*rows):
    """Entries written as '10X -> route', the upper bits 0."""
    cubes = [row.split(" -> ") for row in rows]
    bits = ["0" * (32 - len(c)) + c for c, _ in cubes]
    return Entries(
        key=[int(b.replace("X", "0"), 2) for b in bits],
        mask=[int(b.replace("0", "1").replace("X", "0"), 2) for b in bits],
        route=[int(r) for _, r in cubes],
    )


def rows(table):
    return [line.lstrip("0") for line in str(table).splitlines()]


def blocks_of(table):
    """The blocks of a table of aligned blocks."""
    return Blocks(base=[], size=[]).also(table)


def aligned(table):
    free = ~table.mask
    return not np.any(free & (free + np.uint32(1)))


def contiguous(rng, n, routes, bits=4):
    """Blocks of falling size without a gap, as keys are allotted."""
    size = 1 << np.sort(rng.integers(0, bits, n))[::-1]
    base = np.cumsum(size) - size
    return Entries(key=base, mask=-size & ALL, route=rng.integers(0, routes, n))


def with_gaps(rng, n, routes, bits=4):
    """Blocks of which some were left out, as a chip sees them."""
    table = contiguous(rng, 3 * n, routes, bits)
    return table.take(np.sort(rng.choice(3 * n, n, replace=False)))


def scattered(rng, n, routes, bits=32):
    """Single keys, anywhere."""
    keys = rng.choice(1 << min(bits, 16), n, replace=False) * (1 if bits < 32 else 65519) + rng.integers(0, 3)
    return Entries(key=np.unique(keys), mask=np.full(n, ALL), route=rng.integers(0, routes, n))


def ternary(rng, n, routes, bits=10):
    """Disjoint cubes whose free bits are anywhere: a random tree cuts the space by random bits."""
    cubes = [(0, ALL & ~((1 << bits) - 1))]
    while len(cubes) < n:
        key, mask = cubes.pop(rng.integers(len(cubes)))
        free = [b for b in range(bits) if not mask >> b & 1]
        if not free:
            cubes.append((key, mask))
            continue
        bit = 1 << int(rng.choice(free))
        cubes += [(key, mask | bit), (key | bit, mask | bit)]
    keep = rng.permutation(len(cubes))[: max(1, 4 * n // 5)]
    return Entries(key=[cubes[i][0] for i in keep], mask=[cubes[i][1] for i in keep],
                   route=rng.integers(0, routes, keep.size))


KINDS = [contiguous, with_gaps, scattered, ternary]


def check(table, small):
    """Written without the proof: each key that the table matches, one by one."""
    assert small.size <= table.size
    for key in keys_of(table):
        assert lookup(small, key) == lookup(table, key), f"{key:#x}"


# ------------------------------------------------------------------------------------------------ conformance


@every
@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from([contiguous, with_gaps, scattered]), seed=st.integers(0, 2**32), n=st.integers(1, 40),
       routes=st.sampled_from([1, 2, 3, 8, 60]))
def test_every_key_keeps_its_route(minimise, kind, seed, n, routes):
    table = kind(np.random.default_rng(seed), n, routes)
    check(table, minimise(table))


@pytest.mark.parametrize("minimise", [*MINIMISERS[:4], Expand(), DecisionList()])
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 40), routes=st.sampled_from([1, 2, 3, 8]))
def test_cubes_of_any_form(minimise, seed, n, routes):
    table = ternary(np.random.default_rng(seed), n, routes)
    check(table, minimise(table))


@every
@pytest.mark.parametrize("routes", [2, 6, 40, 4000])
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_large_tables_are_proven(minimise, kind, routes):
    table = kind(np.random.default_rng(routes), 700, routes, {ternary: 12, scattered: 32}.get(kind, 6))
    if kind is ternary and not aligned(table) and minimise in (MINIMISERS[4], MINIMISERS[7], MINIMISERS[10]):
        table = with_gaps(np.random.default_rng(routes), 900, routes)
    small = minimise(table)
    assert small.size <= table.size
    assert equal(table, small) is None


@every
@pytest.mark.parametrize("kind", KINDS[:3], ids=lambda k: k.__name__)
def test_same_input_same_output(minimise, kind):
    table = kind(np.random.default_rng(5), 60, 3)
    assert str(minimise(table)) == str(minimise(table))


@every
def test_no_entries_and_one(minimise):
    assert minimise(Entries(key=[], mask=[], route=[])).size == 0
    assert str(minimise(of("10X -> 3"))) == str(of("10X -> 3"))
    everything = Entries(key=[0], mask=[0], route=[9])
    assert str(minimise(everything)) == "X" * 32 + " -> 9"


@pytest.mark.parametrize("minimise", [neighbours, OrderedCovering(), Expand(), DecisionList(), Smallest()])
def test_entries_that_share_a_key_are_refused(minimise):
    with pytest.raises(MappingError, match=r"entries 0 and 2 both match key 0x3.*before anything else"):
        minimise(of("0X1 -> 1", "100 -> 1", "01X -> 2"))


# ------------------------------------------------------------------------------------------------ neighbours


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32), n=st.integers(1, 40), routes=st.sampled_from([1, 2, 5]))
def test_neighbours_match_exactly_the_same_keys_and_stay_disjoint(kind, seed, n, routes):
    table = kind(np.random.default_rng(seed), n, routes)
    small = neighbours(table)
    found = list(keys_of(small))
    assert sorted(found) == sorted(keys_of(table))
    for i in range(small.size):  # no pair is left
        for j in range(i):
            apart = int(small.key[i] ^ small.key[j])
            assert small.route[i] != small.route[j] or small.mask[i] != small.mask[j] or apart & (apart - 1)


def test_neighbours_of_a_full_space_are_one():
    table = Entries(key=np.random.default_rng(0).permutation(1024), mask=np.full(1024, ALL), route=np.full(1024, 3))
    assert rows(neighbours(table)) == ["X" * 10 + " -> 3"]


# ------------------------------------------------------------------------------------------------ ordered covering


def test_four_blocks_of_one_route_merge_to_one():
    assert rows(ALONE(of("00X -> 1", "01X -> 1", "10X -> 1", "11X -> 1"))) == ["XXX -> 1"]


def test_a_wider_entry_may_lie_under_a_narrow_one():
    table = of("000 -> 1", "001 -> 2", "010 -> 1", "011 -> 1", "1XX -> 1")
    assert rows(OrderedCovering()(table)) == ["1 -> 2", "XXX -> 1"]


def test_a_merge_of_two_routes():
    table = of("0000 -> 1", "0110 -> 1", "0101 -> 1", "0111 -> 2", "0011 -> 2", "1000 -> 3", "1001 -> 3")
    small = ALONE(table)
    check(table, small)
    assert small.size == Smallest()(table).size == 3


def test_the_down_check_stops_a_merge_over_a_wider_entry():
    """000XXX has 3 free bits and would stand above XXX01X, which has 4, and take 00001X from it."""
    table = of("000000 -> 1", "000111 -> 1", "XXX01X -> 2")
    assert str(ALONE(table)) == str(table)


def test_the_down_check_makes_a_merge_smaller():
    """As above; with bit 2 fixed to 1 two of the three still merge."""
    table = of("000000 -> 1", "000111 -> 1", "000100 -> 1", "XXX01X -> 2")
    assert str(ALONE(table)) == str(of("000000 -> 1", "0001XX -> 1", "XXX01X -> 2"))


def test_the_up_check_stops_an_entry_from_sinking_below_a_merge():
    """0X0X comes first, since it saves two; 0000 stands above it and would lie below it in XXXX."""
    table = of("0001 -> 2", "0100 -> 2", "0101 -> 2", "0000 -> 1", "1111 -> 1")
    assert str(ALONE(table)) == str(of("0000 -> 1", "1111 -> 1", "0X0X -> 2"))


def test_a_merge_may_cover_what_a_wider_one_does_not_stand_for():
    """00X0 stands above 0X0X and takes 0000 from it, which is none of its aliases."""
    table = of("0001 -> 2", "0100 -> 2", "0101 -> 2", "0000 -> 1", "0010 -> 1")
    assert str(ALONE(table)) == str(of("00X0 -> 1", "0X0X -> 2"))


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), routes=st.integers(2, 5))
def test_merges_of_merges_in_a_crowded_space(seed, routes):
    """Most of the 64 keys have an entry, so that most merges lie over others, and aliases decide."""
    table = scattered(np.random.default_rng(seed), 50, routes, bits=6)
    check(table, ALONE(table))


def test_target_stops_in_time():
    """25 routes, each over four keys of which three merge at once, saving two."""
    key = np.arange(100)
    table = Entries(key=key + key // 4 * 4, mask=np.full(100, ALL), route=np.where(key % 4 == 3, 99 + key, key // 4))
    assert ALONE(table).size == 50
    for target in (100, 99, 98, 97, 60, 51, 50):
        small = OrderedCovering(target=target, pairs_first=False)(table)
        assert small.size == target - target % 2
        check(table, small)


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from([contiguous, with_gaps, scattered]), seed=st.integers(0, 2**32), n=st.integers(2, 40),
       routes=st.sampled_from([1, 2, 3, 8]))
def test_used_covers_no_unused_key(kind, seed, n, routes):
    rng = np.random.default_rng(seed)
    machine = kind(rng, 2 * n, routes, 8 if kind is scattered else 5)
    used = blocks_of(machine)
    table = machine.take(np.sort(rng.choice(2 * n, n, replace=False)))
    legal = set(keys_of(machine))
    for minimise in (OrderedCovering(avoid=used.others()), Expand(avoid=used.others()),
                     DecisionList(avoid=used.others())):
        small = minimise(table)
        check(table, small)
        assert within(small, used) is None
        assert sum(1 << (32 - int(m).bit_count()) for m in small.mask) < 1 << 20
        assert all(key in legal for key in keys_of(small))


def test_used_is_worse_than_any_and_better_than_nothing():
    table = with_gaps(np.random.default_rng(7), 400, 5)
    sizes = [m(table).size for m in (OrderedCovering(), OrderedCovering(avoid=blocks_of(table).others()), none)]
    assert sizes == sorted(set(sizes))


def test_many_gaps_are_stepped_over():
    """A cube whose free bits are the low ones and some high ones, among blocks at a stride."""
    base = np.arange(4096) * 64
    used = Blocks(base=base, size=np.full(4096, 16))
    table = Entries(key=base, mask=np.full(4096, ALL & ~15), route=np.zeros(4096))
    assert rows(OrderedCovering(avoid=used.others(), pairs_first=False)(table)) == ["X" * 12 + "00XXXX -> 0"]
    less = Blocks(base=np.delete(base, 1234), size=np.full(4095, 16))
    small = OrderedCovering(avoid=less.others(), pairs_first=False)(table.take(np.delete(np.arange(4096), 1234)))
    assert within(small, less) is None
    assert small.size < 100


def test_any_may_cover_keys_that_are_not_in_use():
    """Three slices of one route use 48 of 64 keys: two entries, or one that also matches the 16 keys of nobody."""
    import s2nir
    from s2nir.mapping import RouteTrees, Slice, Trees, minimised, tables
    from s2nir.mapping.keys import LargestFirst

    machine = s2nir.SpiNNaker2(boards=1)
    slices = tuple(Slice(member="a", c0=0, c1=1, y0=0, y1=1, x0=16 * k, x1=16 * k + 16) for k in range(3))
    route = np.zeros((3, 20), np.uint8)
    route[:, 1] = 1
    trees = RouteTrees(placement="", slices=slices, chip=machine.topology.chip, trees=Trees(
        start=np.arange(4), chip=np.zeros(3, np.int32), route=route, arrives=np.full(3, -1, np.int8)))
    blocks = LargestFirst()(slices)
    made = tables(trees, blocks)
    strict, wide = (minimised(made, trees, blocks, machine, how)[0, 0] for how in ("fewest", "any"))
    assert (strict.entries, wide.entries, wide.minimised) == (2, 1, "any")
    assert strict.lookup(np.array([48], np.uint32)).tolist() == [-1]
    assert wide.lookup(np.array([48], np.uint32)).tolist() == [0]


def test_an_entry_outside_of_the_used_keys_is_refused():
    with pytest.raises(MappingError, match=r"entry 1 matches a key that is to be avoided"):
        OrderedCovering(avoid=Blocks(base=[0], size=[4]).others())(of("000 -> 1", "1X0 -> 1"))


# ------------------------------------------------------------------------------------------------ decision list


def test_a_route_in_a_cube_of_its_own_comes_first():
    """001 and 110 lie in the hull of route 1, and once they are decided its hull is free."""
    table = of("000 -> 1", "001 -> 2", "110 -> 3", "111 -> 1")
    assert rows(DecisionList()(table)) == ["1 -> 2", "110 -> 3", "XXX -> 1"]


def test_what_stands_in_the_way_of_most_goes_first():
    """Route 2 blocks routes 1 and 3 by 0110, and is blocked by both; apart from that entry each is free."""
    table = of("0000 -> 1", "0111 -> 1", "0110 -> 2", "1001 -> 2", "0010 -> 3", "1110 -> 3")
    small = DecisionList()(table)
    check(table, small)
    assert small.size == Smallest()(table).size == 4
    assert rows(small)[0].endswith("-> 2")


def test_decisions_leave_fewer_than_merging_and_expanding_where_keys_lie_scattered():
    table = scattered(np.random.default_rng(1), 300, 60, bits=10)
    assert DecisionList(seeds=1)(table).size < min(OrderedCovering()(table).size, Expand()(table).size)
    assert DecisionList()(table).size < DecisionList(seeds=1)(table).size
    assert Fewest()(table).size == DecisionList()(table).size


# ------------------------------------------------------------------------------------------------ smallest


@cache
def best_by_force(wanted, bits):
    """The fewest entries for a space of keys, over all ordered tables: wanted has a route or None per key."""
    cubes = [
        frozenset(k for k in range(1 << bits) if k & m == v)
        for m in range(1 << bits) for v in range(1 << bits) if v & ~m == 0
    ]
    layer, n = {frozenset(k for k, r in enumerate(wanted) if r is not None)}, 0
    while frozenset() not in layer:
        n += 1
        layer = {
            left - c for left in layer for c in cubes if len({wanted[k] for k in left & c}) == 1
        }
    return n


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([None, 0, 1, 2]), min_size=8, max_size=8))
def test_smallest_is_smallest(wanted):
    keys = [k for k, r in enumerate(wanted) if r is not None]
    table = Entries(key=keys, mask=[ALL] * len(keys), route=[wanted[k] for k in keys])
    small = Smallest()(table)
    check(table, small)
    assert small.size == best_by_force(tuple(wanted), 3)


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32), n=st.integers(1, 9), routes=st.integers(1, 4))
def test_nothing_is_smaller_than_smallest(kind, seed, n, routes):
    rng = np.random.default_rng(seed)
    table = kind(rng, n, routes, 5 if kind in (scattered, ternary) else 2)
    small = Smallest()(table)
    check(table, small)
    for minimise in (none, neighbours, OrderedCovering(), OrderedCovering(pairs_first=False), Expand(), DecisionList()):
        assert small.size <= minimise(table).size


def test_smallest_says_its_limits():
    with pytest.raises(MappingError, match=r"13 entries in 5 bits, the limits are 12 and 10"):
        Smallest()(scattered(np.random.default_rng(0), 13, 2, bits=4))
    with pytest.raises(MappingError, match=r"no answer within 1 states"):
        Smallest(states=1)(of("000 -> 1", "011 -> 1", "101 -> 1", "110 -> 1", "001 -> 2", "010 -> 2", "100 -> 2",
                              "111 -> 2"))


# ------------------------------------------------------------------------------------------------ default routes


def test_default_routes_are_dropped():
    table = of("00X -> 1", "01X -> 2", "10X -> 3", "11X -> 4")
    assert rows(remove_default_routes(table, [1, 1, 3, -1])) == ["1X -> 2", "11X -> 4"]
    assert remove_default_routes(table, [1, 2, 3, 4]).size == 0


def test_what_another_entry_matches_stays():
    table = of("000 -> 1", "010 -> 1", "0X1 -> 5", "0XX -> 2", "100 -> 7", "10X -> 7", "1XX -> 7")
    assert rows(remove_default_routes(table, [1, 1, 5, 9, 7, 7, 7])) == [" -> 1", "10 -> 1", "X1 -> 5", "XX -> 2"]
    kept = remove_default_routes(table, [1, 1, 5, 9, 7, 7, -1])
    assert kept.size == 7


def test_what_stays_for_another_keeps_others():
    """0X0 stays, since 00X does; so 01X, which shares a key with it, must stay too."""
    assert remove_default_routes(of("00X -> 1", "0X0 -> 2", "01X -> 3", "1XX -> 4"), [-1, 2, 3, 4]).size == 3


def test_the_step_to_the_next_key_of_a_cube():
    from s2nir.mapping.minimise.kernels import next_in, onward, window

    rng = np.random.default_rng(2)
    for _ in range(300):
        mask = ALL & ~63 | int(rng.integers(64))
        key, x = int(rng.integers(64)) & mask, int(rng.integers(80))
        assert next_in(key, mask, x) == min((k for k in range(x, 64) if k & mask == key), default=-1)
        top = np.sort(rng.choice(100, 20, replace=False))
        i = int(rng.integers(20))
        assert onward(top, i, int(top[i]) + x) == np.searchsorted(top, int(top[i]) + x)
    key, mask = np.array([0, 1, 8]), ALL & ~np.array([6, 0, 0])  # 0XX0 reaches over 1
    assert window(4, ALL, key, np.maximum.accumulate(key | ALL & ~mask)) == (0, 2)


def test_what_was_dropped_is_avoided_by_a_merge():
    table = of("000 -> 1", "001 -> 1", "010 -> 4", "011 -> 1")
    left = remove_default_routes(table, [-1, -1, 4, -1])
    dropped = of("010 -> 4")
    assert left.size == 3
    assert lookup(OrderedCovering()(left), 2) == 1  # caught by a merge
    small = OrderedCovering(avoid=Blocks(base=[], size=[]).also(dropped))(left)
    assert lookup(small, 2) == -1
    assert equal(left, small) is None
    with pytest.raises(MappingError, match=r"\(2,\) default routes for 4 entries"):
        remove_default_routes(table, [1, 1])


# ------------------------------------------------------------------------------------------------ the proof


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 12), data=st.data())
def test_proof_agrees_with_every_key(seed, n, data):
    """Tables of any cubes in 5 bits, ordered, with overlaps: a pair that differs, or does not."""
    rng = np.random.default_rng(seed)

    def any_table():
        mask = ALL & ~31 | rng.integers(0, 32, n)
        return Entries(key=rng.integers(0, 32, n) & mask, mask=mask, route=rng.integers(0, 2, n))

    before = any_table()
    after = any_table() if data.draw(st.booleans()) else before.take(rng.permutation(n))
    asked = Blocks(base=[0, 8, 24], size=[4, 8, 8])
    in_asked = {*range(4), *range(8, 16), *range(24, 32)}
    for keys, domain in ((None, range(32)), (asked, in_asked)):
        wrong = {k for k in domain if lookup(before, k) not in (-1, lookup(after, k))}
        found = equal(before, after, keys)
        assert (found is None) == (not wrong)
        if found:
            assert found.key in wrong
            assert (found.before, found.after) == (lookup(before, found.key), lookup(after, found.key))
    stray = {k for k in range(32) if lookup(before, k) >= 0} - in_asked
    found = within(before, asked)
    assert found in stray if stray else found is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_proof_finds_planted_faults(kind):
    table = kind(np.random.default_rng(11), 200, 8, {ternary: 10, scattered: 9}.get(kind, 3))
    small = OrderedCovering()(table)
    rng = np.random.default_rng(12)
    seen = {"route": 0, "key": 0, "mask": 0, "order": 0, "gone": 0}
    for fault in seen:
        for n in range(20):
            key, mask, route = small.key.copy(), small.mask.copy(), small.route.copy()
            i = rng.integers(small.size)
            bit = np.uint32(1 << int(rng.integers(6)))
            if fault == "route":
                route[i] += 1
            elif fault == "key":
                key[i] ^= bit & mask[i]
            elif fault == "mask":
                mask[i] ^= bit
                key[i] &= mask[i]
            keep = np.arange(small.size)
            if fault == "order":
                keep = np.roll(keep, 1)
            elif fault == "gone":
                keep = np.delete(keep, i)
            bad = Entries(key=key, mask=mask, route=route).take(keep)
            wrong = {k for k in keys_of(table) if lookup(bad, k) != lookup(table, k)} if n < 4 else None
            found = equal(table, bad)
            if wrong is not None:
                assert (found is None) == (not wrong), fault
            if found:
                seen[fault] += 1
                assert (found.before, found.after) == (lookup(table, found.key), lookup(bad, found.key))
                assert found.before not in (found.after, -1)
    assert all(seen[f] > 0 for f in ("route", "key", "mask", "gone")), seen


def test_proof_sees_a_changed_order():
    table = of("000 -> 1", "001 -> 2", "010 -> 1", "011 -> 1")
    small = OrderedCovering()(table)
    assert equal(table, small) is None
    assert equal(table, small.take([1, 0])) == (1, 2, 1)


# ------------------------------------------------------------------------------------------------ values


def test_entries_and_blocks_say_what_is_wrong():
    with pytest.raises(MappingError, match=r"entry 1 has key 0x00000001 and mask 0xfffffffe.*Clear those bits"):
        Entries(key=[0, 1], mask=[ALL, ALL - 1], route=[0, 0])
    with pytest.raises(MappingError, match=r"key, mask and route have shapes"):
        Entries(key=[0, 1], mask=[ALL], route=[0, 0])
    for base, size in (([0, 2], [4, 2]), ([2], [4]), ([0], [3]), ([0], [0]), ([4, 0], [4, 4]), ([0], [1 << 33])):
        with pytest.raises(MappingError, match=r"Blocks: block \d+ has base"):
            Blocks(base=base, size=size)
    with pytest.raises(MappingError, match=r"base and size have shapes \(1,\) and \(2,\)"):
        Blocks(base=[0], size=[1, 2])
    with pytest.raises(MappingError, match=r"Blocks: block 0"):
        Blocks(base=[], size=[]).also(of("0X1 -> 1"))


def test_blocks_take_entries_in_any_order():
    more = Blocks(base=[8], size=[4]).also(of("1 -> 1", "11XX -> 1", "01X -> 2"))
    assert list(zip(more.base.tolist(), more.size.tolist(), strict=True)) == [(1, 1), (2, 2), (8, 4), (12, 4)]


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 3)), max_size=8))
def test_others_are_the_rest(picks):
    owned, blocks = set(), []
    for at, bits in picks:
        block = range(at >> bits << bits, (at >> bits << bits) + (1 << bits))
        if not owned & set(block):
            owned |= set(block)
            blocks.append((block.start, len(block)))
    blocks.sort()
    rest = Blocks(base=[b for b, _ in blocks], size=[s for _, s in blocks]).others()
    assert int(rest.size.sum()) + len(owned) == 1 << 32
    assert {k for b, s in zip(rest.base.tolist(), rest.size.tolist(), strict=True)
            for k in range(b, min(b + s, 64))} == set(range(64)) - owned
