"""Machines: their chips, links and cores, and what does not work on them."""

import json

import numpy as np
import pytest

import s2nir
from s2nir.errors import InputError, MappingError
from s2nir.machine import LINK_NS, LINK_NS_BETWEEN, LINKS, STEPS
from s2nir.mapping import (
    Annealing,
    Curve,
    Exchange,
    Expand,
    Fewest,
    Flow,
    LargestFirst,
    LoadAware,
    NearestNeighbour,
    Net,
    OrderedCovering,
    Sequential,
    Slice,
    link_ns,
    link_packets,
)
from s2nir.mapping.place.exchange import times
from s2nir.mapping.route import bound

BOARD = s2nir.SpiNNaker2(boards=1)


@pytest.mark.parametrize(("boards", "chips", "size", "joined", "between"), [
    (1, 48, None, 120, 0), (3, 144, (12, 12), 432, 72), (6, 288, (24, 12), 864, 144), (24, 1152, (48, 24), 3456, 576),
])
def test_boards(boards, chips, size, joined, between):
    """48 chips a board; on a torus every chip has six links, eight on each side of a board's hexagon leave it."""
    t = s2nir.SpiNNaker2(boards=boards).topology
    assert (t.chips, t.size) == (chips, size)
    assert (t.neighbour >= 0).sum() == 2 * joined
    assert t.between.sum() == 2 * between
    assert np.bincount(t.board).tolist() == [48] * boards
    assert t.first[-1] == 148 * chips


def test_a_board_is_the_hexagon():
    rows = [sorted(x for x, y in BOARD.coordinates if y == k) for k in range(8)]
    assert rows == [[*range(5)], [*range(6)], [*range(7)], [*range(8)], [*range(1, 8)], [*range(2, 8)], [*range(3, 8)],
                    [*range(4, 8)]]


@pytest.mark.parametrize("machine", [BOARD, s2nir.SpiNNaker2(boards=3), s2nir.SpiNNaker2(chips=((0, 0), (1, 1)))])
def test_links_lead_back(machine):
    t = machine.topology
    for chip in range(t.chips):
        for link in range(LINKS):
            there = t.neighbour[chip, link]
            if there >= 0:
                assert t.neighbour[there, (link + 3) % 6] == chip
                step = t.chip[there] - t.chip[chip] - STEPS[link]
                assert (step % (t.size or (1 << 30, 1 << 30)) == 0).all()


def test_faults_take_parts_away():
    faults = s2nir.Faults(cores=[((0, 0), 5)], chips=[(7, 7)], links=[((1, 1), "E")], routers=[(3, 3)])
    machine = s2nir.SpiNNaker2(boards=1, faults=faults)
    assert machine.topology.chips == 46
    assert machine.cores == 46 * 148 - 1
    assert ((0, 0), 5) not in machine.usable
    assert ((0, 0), 6) in machine.usable
    t = machine.topology
    number = {c: i for i, c in enumerate(machine.coordinates)}
    assert t.neighbour[number[1, 1], 0] == -1 == t.neighbour[number[2, 1], 3]
    assert t.neighbour[number[2, 2], 1] == -1, "its neighbour has no router"
    assert "dead: 1 core, 1 chip, 1 link, 1 router" in machine.describe()


def test_faults_are_the_same_from_json(tmp_path):
    faults = s2nir.Faults.drawn(BOARD, 3, cores=0.02, chips=0.05, links=0.05, routers=0.02)
    assert [len(v) for v in faults.to_dict().values()] == [142, 2, 6, 1]
    faults.save(tmp_path / "faults.json")
    assert s2nir.Faults.load(tmp_path / "faults.json") == faults
    machine = s2nir.SpiNNaker2(boards=1, faults=faults)
    assert s2nir.SpiNNaker2.from_dict(json.loads(json.dumps(machine.to_dict()))) == machine
    assert s2nir.Faults.drawn(BOARD, 4, cores=0.02) != s2nir.Faults.drawn(BOARD, 5, cores=0.02)


@pytest.mark.parametrize(("given", "said"), [
    (dict(cores=[((0, 0), 152)]), r"faults\.cores: found PE 152 of chip \(0, 0\), allowed 0 to 151"),
    (dict(cores=[3]), r"faults\.cores: found 3, needed \(\(x, y\), which\)"),
    (dict(links=[((0, 0), "X")]), r"faults\.links: found 'X' of chip \(0, 0\), allowed E, NE, N, W, SW, S"),
    (dict(chips=[(0.5, 0)]), r"faults\.chips: found \(0\.5, 0\), needed the \(x, y\) of a chip"),
    (dict(routers="all"), r"faults\.routers: found 'all', needed a list"),
])
def test_a_fault_that_no_machine_has_is_refused(given, said):
    with pytest.raises(MappingError, match=said):
        s2nir.Faults(**given)


@pytest.mark.parametrize(("given", "said"), [
    (dict(boards=2), r"SpiNNaker2\.boards: found 2, allowed 1, or a multiple of 3 \(triads\)"),
    (dict(boards=True), r"SpiNNaker2\.boards: found True"),
    (dict(boards=3, chips=((0, 0),)), "found both chips and boards"),
    (dict(chips=()), r"SpiNNaker2\.chips: found \(\)"),
    (dict(chips=((0, -1),)), r"SpiNNaker2\.chips: found -1, allowed whole coordinates from 0 to 255"),
    (dict(chips="all"), r"SpiNNaker2\.chips: found 'all'"),
    (dict(reserved=152), r"SpiNNaker2\.reserved: found 152, allowed whole numbers from 0 to 151"),
    (dict(router_entries=0), r"SpiNNaker2\.router_entries: found 0, allowed whole numbers from 1 to 16384"),
    (dict(faults=s2nir.Faults(chips=[(9, 9)])), r"found chip \(9, 9\), but this machine has no such chip"),
    (dict(faults=s2nir.Faults(chips=[(0, 0)])), "no core is left to use"),
    (dict(faults={"chips": []}), "found dict, needed s2nir.Faults"),
    *((dict(boards=b), rf"SpiNNaker2\.boards: found {b!r}, allowed whole boards from 1 to 1365: 1, or a multiple of 3")
      for b in ("a", 1.5, 0, -3, 1368, 3 * 10**9)),
    (dict(chips=None), r"SpiNNaker2\.chips: found None, allowed 1, or the \(x, y\) of each chip"),
    (dict(chips=1.5), r"SpiNNaker2\.chips: found 1\.5, allowed 1"),
    *((dict(chips=((0, v),)), rf"SpiNNaker2\.chips: found {v!r}, allowed whole") for v in (1.5, "a", True, 256)),
    *((dict(reserved=v), rf"SpiNNaker2\.reserved: found {v!r}, allowed whole numbers from 0 to 151")
      for v in ("a", 200, -1, 1.5, None, True)),
    *((dict(router_entries=v), rf"SpiNNaker2\.router_entries: found {v!r}, allowed whole") for v in ("a", -1, 1 << 20)),
    *((dict(rows=v), "SpiNNaker2\\.rows: found .*, allowed 'sram', 'dram', 'compact'") for v in ("x", None, ["sram"])),
    (dict(default_routes="yes"), r"SpiNNaker2\.default_routes: found 'yes', allowed True and False"),
])
def test_a_machine_that_is_not_there_is_refused(given, said):
    with pytest.raises(MappingError, match=said):
        s2nir.SpiNNaker2(**given)


def test_numbers_of_numpy_make_the_same_machine():
    assert s2nir.SpiNNaker2(boards=np.int64(3), reserved=np.int8(4)) == s2nir.SpiNNaker2(boards=3)
    assert s2nir.SpiNNaker2(chips=np.array([[0, 1], [0, 0]])) == s2nir.SpiNNaker2(chips=((0, 0), (0, 1)))
    json.dumps(s2nir.SpiNNaker2(boards=np.int64(3), reserved=np.int8(4)).to_dict())


@pytest.mark.parametrize(("wrong", "said"), [
    *((dict(seed=v), rf"Faults\.drawn\.seed: found {v!r}, allowed whole numbers from 0") for v in ("a", 1.5, -1, None)),
    *(({name: v}, rf"Faults\.drawn\.{name}: found {v!r}, allowed shares from 0 to 1")
      for name in ("cores", "chips", "links", "routers") for v in ("a", None, -0.1, 1.1, True)),
    (dict(machine=None), r"Faults\.drawn: found a NoneType, needed a SpiNNaker2"),
])
def test_faults_that_cannot_be_drawn(wrong, said):
    with pytest.raises(s2nir.S2NirError, match=said):
        s2nir.Faults.drawn(**{"machine": BOARD, "seed": 1} | wrong)


@pytest.mark.parametrize(("stage", "wrong", "said"), [
    *((Annealing, {name: v}, rf"{name}: found {v!r}, allowed whole numbers from {least} up")
      for name, least in (("seed", 0), ("moves", 0), ("reach", 1)) for v in ("a", 1.5, -1, None)),
    (Annealing, dict(reach=0), "reach: found 0, allowed whole"),
    (Annealing, dict(hot=-1), "hot: found -1, allowed numbers"),
    *((LoadAware, dict(rounds=v), f"rounds: found {v!r}, allowed whole numbers from 0") for v in ("a", 1.5, -1, None)),
    *((LoadAware, dict(near=v), f"near: found {v!r}, allowed shares from 0 to 1") for v in ("a", 2, None)),
    *((LoadAware, dict(enough=v), f"enough: found {v!r}, allowed numbers from 0 up") for v in ("a", -1, None)),
    *((Exchange, dict(sweeps=v), f"sweeps: found {v!r}, allowed whole numbers from 0 up") for v in ("a", -1, 1.5)),
    *((Exchange, dict(place=v), r"place: found .*, needed one of s2nir\.mapping, such as Curve\(\)")
      for v in ("curve", None, Curve)),
    (Curve, dict(whole="yes"), "whole: found 'yes', allowed True and False"),
    *((LargestFirst, dict(first=v), f"first: found {v!r}, allowed whole numbers from 0") for v in ("a", -1, 1 << 32)),
    (OrderedCovering, dict(target="a"), "target: found 'a', allowed whole numbers from 0 up"),
    (OrderedCovering, dict(pairs_first=2), "pairs_first: found 2, allowed True and False"),
    *((stage, dict(avoid="a"), r"avoid: found 'a', needed Blocks\(.*\), or None")
      for stage in (OrderedCovering, Expand, Fewest)),
])
def test_options_of_stages_that_cannot_be_meant(stage, wrong, said):
    with pytest.raises(MappingError, match=rf"{stage.__name__}\.{said}"):
        stage(**wrong)


@pytest.mark.parametrize("text", ["", "[1]", '{"core": []}', '{"cores": [[0, 0]]}', '{"links": [[0, 0, {}]]}'])
def test_a_file_of_no_faults_is_refused(tmp_path, text):
    (tmp_path / "faults.json").write_text(text)
    with pytest.raises(InputError, match="faults"):
        s2nir.Faults.load(tmp_path / "faults.json")


# ------------------------------------------------------------------------------------------------ chips change places


def net_of(sizes, pairs, packets=None):
    """Populations of so many slices; pairs of slices by number."""
    slices = tuple(Slice(member=f"p{k}", c0=0, c1=1, y0=0, y1=1, x0=x, x1=x + 1)
                   for k, n in enumerate(sizes) for x in range(n))
    pairs = np.array(sorted(set(pairs)), np.int64).reshape(-1, 2)
    n = len(slices)
    return Net(slices=slices, start=np.searchsorted(pairs[:, 0], np.arange(n + 1)), target=pairs[:, 1],
               packets=np.ones(n) if packets is None else packets)


def drawn_net(rng, n, joined):
    pairs = zip(rng.integers(0, n, joined).tolist(), rng.integers(0, n, joined).tolist(), strict=True)
    return net_of([n], pairs, rng.integers(1, 5, n).astype(float))


def laid(net, machine, place):
    """Chip and PE of every slice, each a core of its own."""
    chip, pe = place(net, machine)
    where = machine.coordinates
    cores = [(where[c], p) for c, p in zip(chip.tolist(), pe.tolist(), strict=True)]
    assert len(set(cores)) == len(cores)
    assert set(cores) <= set(machine.usable)
    return chip


def way_ns(machine):
    """Fastest way between every two chips, by relaxing each link until nothing changes."""
    t = machine.topology
    far = np.where(np.eye(t.chips, dtype=bool), 0.0, np.inf)
    before = None
    while not np.array_equal(far, before):
        before = far.copy()
        for chip, link in np.argwhere(t.neighbour >= 0):
            there = t.neighbour[chip, link]
            each = LINK_NS_BETWEEN if t.between[chip, link] else LINK_NS
            far[:, there] = np.minimum(far[:, there], far[:, chip] + each)
    return far


def test_a_link_between_boards_takes_its_own_time():
    machine = s2nir.SpiNNaker2(boards=3)
    assert (times(machine.topology) == way_ns(machine)).all()


def packet_ns(net, chip, far):
    return sum(net.packets[s] * far[chip[s], c] for s in range(len(net.slices))
               for c in set(chip[net.target[net.start[s] : net.start[s + 1]]].tolist()))


@pytest.mark.parametrize("seed", range(3))
def test_no_exchange_of_two_chips_is_left_that_saves_time(seed):
    rng = np.random.default_rng(seed)
    worn = s2nir.Faults.drawn(BOARD, seed, cores=0.2, links=0.1)
    machine = s2nir.SpiNNaker2(boards=1, reserved=147, faults=worn)
    far = way_ns(machine)
    net = drawn_net(rng, machine.cores, 150)
    room = np.diff(machine.topology.first)
    chip = laid(net, machine, Exchange(place=Sequential()))
    held = np.bincount(chip, minlength=room.size)
    best = packet_ns(net, chip, far)
    assert best < 0.8 * packet_ns(net, Sequential()(net, machine)[0], far)
    for a in range(room.size):
        for b in range(a):
            if held[a] <= room[b] and held[b] <= room[a]:
                other = np.where(chip == a, b, np.where(chip == b, a, chip))
                assert packet_ns(net, other, far) >= best


def test_what_is_together_stays_together():
    machine = s2nir.SpiNNaker2(boards=3)
    net = drawn_net(np.random.default_rng(0), 3000, 9000)
    before, after = laid(net, machine, Curve()), laid(net, machine, Exchange(place=Curve()))
    pairs = set(zip(before.tolist(), after.tolist(), strict=True))
    assert len(pairs) == len(set(before.tolist())) == len(set(after.tolist()))
    assert any(a != b for a, b in pairs)


def test_slices_of_a_chip_that_reach_the_same_chips_are_neighbours():
    """144 slices of one chip reach one of four chips each, in turn: four runs of PEs, not 144."""
    machine = s2nir.SpiNNaker2(boards=1)
    net = net_of([144, 4], [(s, 144 + s % 4) for s in range(144)])

    def place(net, machine):
        t = machine.topology
        chip = np.concatenate([np.zeros(144, np.int32), np.arange(1, 5, dtype=np.int32)])
        return chip, np.concatenate([t.pe[t.first[0] :][:144], t.pe[t.first[1:5]]])

    chip, pe = Exchange(place=place)(net, machine)
    assert len(set(chip[:144].tolist())) == 1
    to = np.arange(144)[np.argsort(pe[:144])] % 4
    assert np.count_nonzero(np.diff(to)) == 3


def test_a_population_begins_on_a_chip_of_its_own_where_cores_last():
    def chips(sizes, machine):
        chip = laid(net_of(sizes, []), machine, Curve(whole=True))
        return [len(set(part.tolist())) for part in np.split(chip, np.cumsum(sizes)[:-1])]

    assert chips([100, 100, 100, 148, 30], BOARD) == [1] * 5
    assert chips([100, 48, 200, 96], BOARD) == [1, 1, 2, 1]
    four = s2nir.SpiNNaker2(chips=((0, 0), (1, 0), (0, 1), (1, 1)))  # 52 cores to spare: once, not twice
    assert chips([100, 100, 100, 240], four) == [1, 1, 2, 2]
    net = net_of([100, 100, 100, 292], [])
    assert all((a == b).all() for a, b in zip(Curve(whole=True)(net, four), Curve()(net, four), strict=True))


def test_a_dense_net_on_whole_chips_takes_one_entry_a_chip():
    """Sources on two chips, targets on two others that each is next to: a chip has one route."""
    machine = s2nir.SpiNNaker2(boards=3)
    net = net_of([256, 256], [(a, 256 + b) for a in range(256) for b in range(256)])
    chip, pe = Exchange()(net, machine)
    flow = Flow(chip=chip, start=net.start, to_chip=chip[net.target], to_pe=pe[net.target], packets=net.packets)
    trees = NearestNeighbour()(flow, machine)
    assert sorted(len(np.unique(trees.route[trees.chip == c], axis=0)) for c in np.unique(trees.chip)) == [1] * 4


# ------------------------------------------------------------------------------------------------ the load of links


def crossing(n):
    """n slices on chip (0, 0) that all reach chip (2, 1)."""
    machine = s2nir.SpiNNaker2(boards=1)
    t = machine.topology
    number = {c: i for i, c in enumerate(machine.coordinates)}
    pe = np.full(n, t.pe[0])
    return machine, Flow(chip=np.full(n, number[0, 0]), start=np.arange(n + 1), to_chip=np.full(n, number[2, 1]),
                         to_pe=pe, packets=np.ones(n))


def test_the_bound_is_a_chips_packets_over_all_of_its_links():
    machine, flow = crossing(12)
    assert bound(flow, machine.topology) == 12 * LINK_NS / 3  # the corner chip has three links, the target six
    t = machine.topology
    nothing = Flow(chip=flow.chip, start=flow.start, to_chip=flow.chip, to_pe=flow.to_pe, packets=flow.packets)
    assert bound(nothing, t) == 0.0


def test_enough_leaves_the_trees_as_they_are():
    machine, flow = crossing(12)
    load = {}
    for enough in (1.0, 1.5, 3.0):
        trees = LoadAware(enough=enough)(flow, machine)
        load[enough] = float((link_packets(trees, flow.packets, machine.topology.chips)
                              * link_ns(machine.topology)).max())
    assert load[3.0] == 12 * LINK_NS
    assert load[1.5] <= 1.5 * bound(flow, machine.topology) < load[3.0]
    assert load[1.0] <= load[1.5]


def test_sources_that_reach_the_same_chips_move_together():
    """24 sources of one chip and one target chip: an eighth of the load moves at once, three sources."""
    machine, flow = crossing(24)
    trees = LoadAware(rounds=1, enough=1)(flow, machine)
    way = [tuple(trees.chip[trees.start[s] : trees.start[s + 1]].tolist()) for s in range(24)]
    assert all(len(set(way[s : s + 3])) == 1 for s in range(0, 24, 3))
    assert len(set(way)) > 1


def test_every_chip_that_is_cut_off_is_named():
    """A chip alone, and two that are joined by the one link between them."""
    links = [(chip, n) for chip in ((0, 1), (7, 6), (7, 7)) for n in range(6)
             if (chip, n) not in (((7, 6), 2), ((7, 7), 5))]
    machine = s2nir.SpiNNaker2(boards=1, reserved=151, faults=s2nir.Faults(links=links))
    t = machine.topology
    assert t.chip[t.cut_off].tolist() == [[0, 1], [7, 6], [7, 7]]
    assert s2nir.SpiNNaker2(boards=1).topology.cut_off.size == 0
    assert s2nir.SpiNNaker2().topology.cut_off.size == 0
    number = {c: i for i, c in enumerate(machine.coordinates)}
    flow = Flow(chip=np.array([number[7, 6]]), start=np.array([0, 1]), to_chip=np.array([number[0, 0]]),
                to_pe=t.pe[:1], packets=np.ones(1))
    with pytest.raises(s2nir.S2NirError, match=r"joins 3 chip\(s\), \(0, 1\), \(7, 6\), \(7, 7\), to the others"):
        NearestNeighbour()(flow, machine)


def islands():
    """A board in two parts, 18 and 30 chips, two cores each."""
    t = s2nir.SpiNNaker2(boards=1).topology
    chips = [tuple(c) for c in t.chip.tolist()]
    left = {i for i, c in enumerate(chips) if c[0] <= 2}
    links = [(chips[i], n) for i in left for n in range(6) if t.neighbour[i, n] >= 0 and t.neighbour[i, n] not in left]
    return s2nir.SpiNNaker2(boards=1, reserved=150, faults=s2nir.Faults(links=links)), len(left)


def test_exchange_leaves_alone_what_is_cut_off_while_the_rest_will_do():
    machine, lost = islands()
    t = machine.topology
    assert t.cut_off.size == lost < 24
    rest = 2 * (48 - lost)
    ring = [(a, (a + 1) % rest) for a in range(rest)]
    assert not np.isin(laid(net_of([rest], ring), machine, Exchange()), t.cut_off).any()
    assert np.isin(laid(net_of([rest + 1], ring), machine, Exchange()), t.cut_off).any()


def test_copies_fill_the_part_that_is_joined():
    machine, lost = islands()
    network = s2nir.quantize(s2nir.build(
        {"in": 4, "a": s2nir.Neurons(shape=30, tau=0.01)},
        [s2nir.Connect(source="in", target="a", rule=s2nir.rules.FixedProbability(p=0.9), weight=1.0)], dt=1e-3))
    filled = s2nir.compile(network, machine=machine, copies="fill", partition=s2nir.Partition(slices=3))
    t = machine.topology
    cut = {tuple(c) for c in t.chip[t.cut_off].tolist()}
    assert filled.copies == 2 * (48 - lost) // filled.cores_per_copy
    assert not cut & {c.chip for c in filled.cores}
    assert filled.provenance["copies_end"] == "cut-off"


def test_relays_are_counted_where_cores_run_out():
    network = s2nir.quantize(s2nir.build(
        {"in": 4, "a": s2nir.Neurons(shape=30, tau=0.01)},
        [s2nir.Connect(source="in", target="a", rule=s2nir.rules.FixedProbability(p=0.9), weight=1.0,
                       delay=s2nir.rules.Uniform(low=0, high=5))], dt=1e-3))
    with pytest.raises(s2nir.S2NirError, match=r"; 5 of them hold relays \(\+1, \+2, \.\.\.\), which lengthen delays"):
        s2nir.compile(network, machine=s2nir.SpiNNaker2(reserved=150))
