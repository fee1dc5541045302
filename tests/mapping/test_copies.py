"""Copies of a network: cut once, told apart by their keys alone, as many as fit."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import s2nir
from conformance.test_mutations import small_graph
from report.nets import two_layers
from s2nir.errors import ImageError, MappingError
from s2nir.graph import Dense, Graph, Loops, Population, Projection, Reset
from s2nir.mapping import LargestFirst, MachineImage, check, lay, named, regions, wire
from s2nir.mapping.copies import copied, first_copy, tiled

BOARD = s2nir.SpiNNaker2(boards=1, reserved=140)


def network(bits=8, arithmetic="float32"):
    return s2nir.quantize(small_graph(), s2nir.PTQ(bits=bits), arithmetic=arithmetic)


def chain(n=4, names=("a", "b")):
    """Input -> population -> population, n neurons each."""
    lif = dict(node="IF", shape=(n,), decay=1.0, gain=1.0, constant=0.0, bias=0.0, threshold=1.0, v_reset=0.0,
               reset=Reset.SUBTRACT)
    rng = np.random.default_rng(0)
    order = ["in", *names]
    return s2nir.quantize(Graph(
        dt=1e-3,
        populations=(Population(name="in", node="Input", shape=(n,)), *(Population(name=m, **lif) for m in names)),
        projections=tuple(
            Projection(source=a, target=b, connection=Dense(weight=rng.normal(0.5, 1, (n, n))))
            for a, b in zip(order, order[1:], strict=False)),
        outputs={"out": order[-1]},
    ))


@pytest.mark.parametrize("allot", [None, LargestFirst()])
@pytest.mark.parametrize(("bits", "rows"), [(8, "sram"), ("s4", "sram"), (8, "compact"), (8, "dram")])
def test_other_keys_give_the_memory_that_would_be_written(bits, rows, allot):
    """Rows, delays, convolutions and relays of every copy, against memories written one by one."""
    memories = sys.modules["s2nir.mapping.compile"]._cores
    net = network(bits)
    wiring = wire(net, "auto", Loops.REFUSE, 8, rows=rows)
    one = lay(net, wiring, BOARD, partition=s2nir.Partition(slices=3), allot=allot)
    both = tiled(one, 4, None, allot)
    kept = (0, ())
    written = list(memories(both, net.arithmetic, "aligned", kept))
    found = copied(memories(first_copy(both, 4), net.arithmetic, "aligned", kept), both, 4)
    relays = {"relay"} if bits == 8 and rows != "dram" else set()
    assert {c.application for c in found} >= {"spike_list", "lif_conv2d", *relays}
    assert len({c.memory.tobytes() for c in found}) == len(found) == len(written)
    for a, b in zip(found, written, strict=True):
        assert (a.chip, a.pe, a.application, a.window) == (b.chip, b.pe, b.application, b.window)
        assert np.array_equal(a.memory, b.memory), (a.chip, a.pe, a.application)
        assert np.array_equal(a.dram, b.dram)


def test_rows_stay_in_the_order_of_keys_where_copies_have_another():
    """Blocks that come in another order than those of copy 0."""
    from s2nir.mapping.copies import rekeyed

    image = s2nir.compile(network("s4"), partition=s2nir.Partition(slices=3))
    old = np.array([int(c.memory[8:12].view("<u4")[0]) for c in image.cores])
    new = (1 << 20) - 1024 * np.argsort(np.argsort(old))
    turned = 0
    for core in image.cores:
        a, b = (regions(m, core.application not in ("spike_list", "relay")) for m in (
            core.memory, rekeyed(core, old, new)[0]))
        key = dict(zip(old.tolist(), new.tolist(), strict=True))
        move = {int(k): key[base] + int(k) - base for k in a.table["key"] for base in [max(o for o in old if o <= k)]}
        assert (np.diff(b.table["key"].astype(np.int64)) > 0).all()
        assert b.descriptor == a.descriptor._replace(key=key[a.descriptor.key])
        rows = {int(e["key"]): a.rows[e["offset"] + 4 :][: 8 + 4 * -(-int(e["count"]) // 2)] for e in a.table}
        for e in b.table:
            here = b.rows[e["offset"] :]
            back = next(k for k, v in move.items() if v == e["key"])
            assert int(here[:4].view("<u4")[0]) == e["key"]
            assert np.array_equal(here[4 : 4 + rows[back].size], rows[back])
        turned += [move[int(k)] for k in a.table["key"]] != sorted(move.values())
    assert turned


def test_the_image_says_its_copies(tmp_path):
    net = network()
    one, three = s2nir.compile(net, machine=BOARD), s2nir.compile(net, machine=BOARD, copies=3)
    assert s2nir.compile(net, machine=BOARD, copies=1).digest == one.digest
    assert (one.copies, three.copies, three.cores_per_copy) == (1, 3, len(one.cores))
    assert [p.name for p in three.populations] == [p.name for p in one.populations]
    assert [p.name for p in three.directory] == [named(p.name, k) for k in range(3) for p in one.populations]
    assert sorted(i for p in three.directory for i in p.cores) == list(range(3 * len(one.cores)))
    assert three["c@2"].cores == tuple(i + 2 * len(one.cores) for i in one["c"].cores)
    assert three.neuron_cores == 3 * one.neuron_cores
    assert str(three).splitlines()[0].endswith(", x 3 copies")
    assert len(str(three).splitlines()) == len(str(one).splitlines())
    assert replace(three, copies=1).digest != three.digest
    assert list(check(three)) == []
    three.save(tmp_path / "m.h5")
    back = MachineImage.load(tmp_path / "m.h5")
    assert back == three
    assert (back.copies, str(back)) == (3, str(three))
    with pytest.raises(KeyError, match="no population 'c@3'; there are in, a"):
        _ = three["c@3"]


def test_check_and_the_emulator_see_copies_that_are_none():
    image = s2nir.compile(network(), machine=BOARD, copies=3)
    said = list(check(replace(image, copies=2)))
    assert said == ["the directory does not name every core once"]
    with pytest.raises(ImageError, match="do not hold 2 copies of one network"):
        s2nir.run(replace(image, copies=2), np.zeros((1, 2, 2, 4, 4), np.uint8))
    uneven = s2nir.compile(s2nir.quantize(s2nir.load(two_layers(), reset="zero")), partition=s2nir.Partition(slices=2))
    assert len(uneven.cores) == 6
    with pytest.raises(ImageError, match="6 cores do not hold 2 copies of one network"):
        s2nir.run(replace(uneven, copies=2), np.zeros((1, 2, 6), np.uint8))


def test_the_cut_is_found_once():
    class Counting(s2nir.Partition):
        def __call__(self, *args):
            calls.append(args)
            return super().__call__(*args)

    calls = []
    image = s2nir.compile(network(), machine=BOARD, copies="fill", partition=Counting())
    assert image.copies == BOARD.cores // image.cores_per_copy > 50
    assert len(calls) == 1


def test_a_copy_stays_together():
    """Copies of three cores on chips of twelve: no copy is on more chips than it must be, but where it crosses over."""
    image = s2nir.compile(chain(), machine=BOARD, copies="fill")
    assert image.copies == 192
    for k in range(image.copies):
        assert len({c.chip for c in image.cores[3 * k : 3 * k + 3]}) == 1


def test_the_placer_and_the_allotment_given_are_those_used():
    seen = []

    def last(net, machine):
        seen.append(len(net.slices))
        t = machine.topology
        return np.full(len(net.slices), t.chips - 1, np.int32), t.pe[t.first[-2] :][::-1][: len(net.slices)].copy()

    image = s2nir.compile(chain(), machine=BOARD, copies=3, place=last, allot=LargestFirst(first=1 << 12))
    assert seen[-1] == 9
    assert [(c.chip, c.pe) for c in image.cores] == [(BOARD.coordinates[-1], 11 - i) for i in range(9)]
    assert min(int(c.memory[8:12].view("<u4")[0]) for c in image.cores) == 1 << 12


def test_fill_is_lowered_until_the_tables_fit():
    """A copy takes a chip's twelve cores and a router's twelve entries; with a dead core, copies cross over to the next
    chip, and take entries on both."""
    options = dict(partition=s2nir.Partition(slices=4), minimise="none")
    board = replace(BOARD, router_entries=12)
    full = s2nir.compile(chain(), machine=board, copies="fill", **options)
    assert (full.copies, full.cores_per_copy) == (48, 12)
    assert "copies_end" not in full.provenance
    worn = replace(board, faults=s2nir.Faults(cores=[((0, 0), 1)]))
    found = s2nir.compile(chain(), machine=worn, copies="fill", **options)
    assert 1 < found.copies < worn.cores // 12 == 47
    assert found.provenance["copies_end"] == "routing entries"
    with pytest.raises(MappingError, match=rf"copies: found {found.copies + 1}, {found.copies} fit: with more, chip "):
        s2nir.compile(chain(), machine=worn, copies=found.copies + 1, **options)


def overfull():
    """A net whose copies fit one by one, and a machine whose routers do not hold them side by side."""
    return chain(), dict(machine=s2nir.SpiNNaker2(router_entries=9), minimise="none")


def test_tables_end_a_fill():
    net, options = overfull()
    image = s2nir.compile(net, copies="fill", **options)
    per_copy = sum(t.entries for t in s2nir.compile(net, **options).tables.values())
    assert image.copies == 9 // per_copy < 148 // 3
    assert image.provenance["copies_end"] == "routing entries"
    assert sum(t.entries for t in image.tables.values()) == image.copies * per_copy
    assert list(check(image)) == []


def test_what_does_not_fit_says_how_many_would():
    net, options = overfull()
    with pytest.raises(MappingError, match=r"found 40, 4 fit: with more, chip \(0, 0\): 10 routing entries, a") as e:
        s2nir.compile(net, copies=40, **options)
    assert e.value.rule == "does-not-fit"
    with pytest.raises(MappingError, match=r"copies: found 60, 49 fit: 3 cores each, the machine has 148\. What") as e:
        s2nir.compile(net, copies=60)
    assert e.value.rule == "does-not-fit"
    tiny = s2nir.SpiNNaker2(reserved=150)
    with pytest.raises(MappingError, match=r"the network takes 3 cores, the machine has 2, 1 too few; most are taken "
                       r"by .*\. What would help: a larger machine \(boards=\); each population needs a core"):
        s2nir.compile(net, copies="fill", machine=tiny)
    with pytest.raises(MappingError, match="2 routing entries, a router holds 1"):
        s2nir.compile(net, copies="fill", machine=s2nir.SpiNNaker2(router_entries=1), minimise="none")


@pytest.mark.parametrize("copies", [0, -1, 1.5, "all", True, None])
def test_copies_that_cannot_be_meant(copies):
    with pytest.raises(MappingError, match=r"copies: found .*, allowed whole numbers from 1 up, or 'fill'"):
        s2nir.compile(chain(), copies=copies)


def test_a_name_that_a_copy_needs_is_refused():
    assert s2nir.compile(chain(names=("a", "a@1"))).copies == 1
    with pytest.raises(MappingError, match=r"a@1: copy 1 of a needs this name\. Rename the population\."):
        s2nir.compile(chain(names=("a", "a@1")), copies=2)
