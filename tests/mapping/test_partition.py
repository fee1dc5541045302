"""Bytes, caps and records, by CHIP.md's formulas; refusals say who, by how much, and what helps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2nir
from conformance.test_mutations import small_graph
from quantize.networks import conv, cuba, dense, graph, lif, one_layer, source
from s2nir.errors import MappingError, S2NirWarning
from s2nir.machine import APPLICATIONS, WINDOW_NEW, WINDOW_OLD, Application, record_bytes
from s2nir.mapping import regions
from s2nir.mapping.partition import boxes
from s2nir.mapping.wiring import Member

SILENT = ("spike_list", "relay")


def layer(sources, targets, weight=1.0, **fields):
    """A full matrix, as a Network: every weight is the largest integer."""
    return s2nir.quantize(one_layer(np.full((targets, sources), weight), **fields))


def cores_of(image, name="a"):
    return [image.cores[i] for i in image[name].cores]


def neurons(core):
    return regions(core.memory, core.application not in SILENT).descriptor.neurons


def capped(n, **fields):
    return replace(APPLICATIONS["lif_no_delay"], max_neurons=n, **fields)


@pytest.mark.parametrize(("cap", "table_and_rows"), [(16, 28_672), (24, 36_864), (32, 45_056)])
def test_the_caps_that_users_of_the_older_window_chose_by_hand(cap, table_and_rows):
    """512 -> 256 dense: 12 per source, and rows of 12 + 4 ceil(n / 2)."""
    image = s2nir.compile(layer(512, 256), application=capped(cap))
    fullest = max(cores_of(image), key=lambda c: c.used)
    r = regions(fullest.memory, True)
    assert r.descriptor.neurons == cap
    assert 12 * r.table.size + r.rows.size == table_and_rows == 512 * (12 + 12 + 4 * cap // 2)
    assert fullest.used == 64 + table_and_rows + 48 * cap  # our descriptor, and 32 + 8 + 8 per neuron
    assert (table_and_rows > WINDOW_OLD) == (cap == 32)


@pytest.mark.parametrize(("window", "largest"), [(WINDOW_OLD, 30), (WINDOW_NEW, 50)])
def test_the_largest_slices_that_fit_a_window(window, largest):
    """64 + 48 n + 512 (24 + 4 ceil(n / 2)) against the window: 30 (44,512) and 50 (65,952) are the last that fit."""

    def takes(n):
        return 64 + 48 * n + 512 * (24 + 4 * -(-n // 2))

    assert takes(largest) <= window < takes(largest + 1)
    image = s2nir.compile(layer(512, 256), application=APPLICATIONS["lif_no_delay"].with_window(window))
    held = [neurons(c) for c in cores_of(image)]
    assert len(held) == -(-256 // largest)
    assert sum(held) == 256
    assert max(held) - min(held) <= 1
    for core in cores_of(image):
        assert core.used == takes(neurons(core)) <= core.window == window


@pytest.mark.parametrize(("n", "published"), [(1, 2402), (4, 2098), (16, 1188), (128, 218)])
def test_how_many_sources_a_core_hears(n, published):
    """CHIP.md: 67,328 = 48 n + N (24 + 4 ceil(n / 2)). Of this our descriptor takes 64 bytes."""
    each = 24 + 4 * -(-n // 2)
    assert (WINDOW_NEW - 48 * n) // each == published
    most = (WINDOW_NEW - 48 * n - 64) // each
    assert published - most == {1: 2, 4: 2, 16: 1, 128: 0}[n]
    fits = s2nir.compile(layer(most, n))
    assert len(cores_of(fits)) == 1
    assert cores_of(fits)[0].used == 64 + 48 * n + most * each
    if n > 1:
        assert len(cores_of(s2nir.compile(layer(most + 1, n)))) > 1


def test_one_neuron_that_hears_too_many_is_refused_with_the_sum():
    """2,401 sources: 64 + 48 + 28 x 2,401 = 67,340, 12 over."""
    with pytest.raises(MappingError, match=(
        r"a: one neuron alone takes 67340 bytes of a core's 67328, 12 too many: it hears 2401 sources at 28 bytes "
        r"each; 2400 sources would fit\. What would help: fewer inputs per neuron, a convolution.*larger data window"
    )):
        s2nir.compile(layer(2401, 1))
    wider = APPLICATIONS["lif_no_delay"].with_window(67_340)
    assert cores_of(s2nir.compile(layer(2401, 1), application=wider))[0].used == 67_340


def test_records_that_do_not_fit_are_named():
    with pytest.raises(MappingError, match=r"a: one neuron alone .* and records for 9000 ticks\. .*fewer ticks"):
        s2nir.compile(layer(4, 3), ticks=9000, record=("spikes", "voltages"))


@pytest.mark.parametrize("record", [("spikes",), ("voltages",), ("spikes", "voltages", "time"), ()])
@pytest.mark.parametrize("ticks", [None, 1, 100, 300])
def test_records_are_counted_to_the_byte(ticks, record):
    """Spikes 4 (ceil(n / 32) + 2) per tick, voltages 4 (1 + n), time 4."""
    image = s2nir.compile(layer(20, 70), ticks=ticks, record=record)
    for core in cores_of(image):
        n = neurons(core)
        per_tick = 4 * (-(-n // 32) + 2) * ("spikes" in record) + 4 * (1 + n) * ("voltages" in record)
        per_tick += 4 * ("time" in record)
        assert core.used == 64 + 20 * (24 + 4 * -(-n // 2)) + 48 * n + (ticks or 0) * per_tick
    assert list(image.check()) == []


def test_records_make_room_by_smaller_slices():
    assert len(cores_of(s2nir.compile(layer(20, 200)))) == 1
    image = s2nir.compile(layer(20, 200), ticks=200, record=("voltages",))
    assert len(cores_of(image)) > 1
    assert all(c.used <= c.window for c in image.cores)
    assert image["in"].cores
    for i in image["in"].cores:
        assert image.cores[i].used == 64  # inputs record nothing


@pytest.mark.parametrize(("ticks", "record", "what"), [
    (10, ("spike",), r"record: found 'spike', allowed 'spikes', 'voltages', 'time'"),
    (None, ("spike",), r"record: found 'spike'"),
    (-5, ("spikes",), r"ticks: found -5, allowed whole numbers from 0 up"),
    (2.5, ("spikes",), r"ticks: found 2\.5"),
])
def test_records_that_are_none(ticks, record, what):
    with pytest.raises(MappingError, match=what):
        s2nir.compile(layer(4, 3), ticks=ticks, record=record)


@pytest.mark.parametrize(("n", "ticks", "spikes", "voltages"), [(1, 1, 12, 8), (32, 1, 12, 132), (33, 2, 32, 272)])
def test_record_formulas(n, ticks, spikes, voltages):
    assert record_bytes("spikes", n, ticks) == spikes
    assert record_bytes("voltages", n, ticks) == voltages
    assert record_bytes("time", n, ticks) == 4 * ticks


def test_neuron_caps():
    """250 by default, 256 for convolutions, 1,024 sources; 256 targets are all that a row word names."""
    assert [neurons(c) for c in cores_of(s2nir.compile(layer(2, 251)))] == [125, 126]
    assert [neurons(c) for c in cores_of(s2nir.compile(layer(2, 250)))] == [250]
    assert [neurons(c) for c in cores_of(s2nir.compile(layer(1025, 1)), "in")] == [512, 513]
    wide = s2nir.compile(layer(2, 600), application=capped(1024))
    assert max(neurons(c) for c in cores_of(wide)) == 200
    picture = s2nir.quantize(graph([source((1, 16, 17)), lif("a", (1, 16, 17))], [
        conv("in", "a", np.ones((1, 1, 1, 1)), (1, 16, 17), (1, 16, 17))]))
    assert sum(neurons(c) for c in cores_of(s2nir.compile(picture))) == 272
    assert max(neurons(c) for c in cores_of(s2nir.compile(picture))) <= 256
    assert len(cores_of(s2nir.compile(picture))) == 2
    for n in (0, 1025):
        with pytest.raises(MappingError, match=rf"Application\.max_neurons: found {n}, allowed .* 1 to 1024"):
            Application(name="mine", max_neurons=n)


def test_the_state_and_ring_of_every_kind():
    """32 + 8 + 8 per neuron, and 64 of ring with the delay word."""
    for make, delay, name, ring in ((lif, 0, "lif_no_delay", 0), (lif, 2, "lif", 64), (cuba, 2, "lif_curr_exp", 64),
                                    (cuba, 0, "lif_curr_exp_no_delay", 0)):
        g = graph([source(), make("a", (3,))], [dense("in", "a", np.ones((3, 4)), delay=delay)])
        core = cores_of(s2nir.compile(s2nir.quantize(g, s2nir.PTQ(bits="s4"))))[0]
        assert core.application == name
        assert core.used == 64 + 4 * (24 + 8) + 3 * (48 + ring)


def test_bytes_of_a_convolution():
    """12 per source slice, 16 of geometry, C_in x C_out_tile x kH x kW in whole words, 48 per neuron."""
    g = graph([source((3, 5, 5)), lif("a", (3, 5, 5))], [
        conv("in", "a", np.ones((3, 3, 3, 3)), (3, 5, 5), (3, 5, 5), padding=(1, 1))])
    core = cores_of(s2nir.compile(s2nir.quantize(g)))[0]
    assert core.used == 64 + 12 + 16 + 84 + 48 * 75  # 81 kernel bytes are 84 in words


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 25), st.sampled_from([1.0, 0.5, 0.1]), st.integers(0, 99))
def test_every_cut_holds_every_neuron_once_and_counts_its_bytes(sources, targets, cap, share, seed):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(targets, sources)) * (rng.random((targets, sources)) < 0.5)
    weight[0, 0] = 1.0
    network = s2nir.quantize(one_layer(weight), s2nir.PTQ(per="population"))
    if -(-targets // max(1, int(min(cap, targets) * share))) > 140:
        return
    image = s2nir.compile(network, application=capped(cap), partition=s2nir.Partition(share=share))
    whole = network.projections[0].connection.weight
    seen = []
    for core in cores_of(image):
        d = regions(core.memory, True).descriptor
        mine = range(d.x0, d.x1)
        seen += mine
        assert len(mine) <= cap
        fan = [int((whole[d.x0 : d.x1, s] != 0).sum()) for s in range(sources)]
        assert core.used == 64 + 48 * len(mine) + sum(24 + 4 * -(-n // 2) for n in fan if n)
    assert sorted(seen) == list(range(targets))
    assert list(image.check()) == []


@given(st.tuples(*[st.integers(1, 7)] * 3), st.data())
def test_boxes_cover_a_view_once(view, data):
    cut = tuple(data.draw(st.integers(1, n)) for n in view)
    member = Member(name="a", population=source(view), application=APPLICATIONS["spike_list"], view=view, lag=0)
    found = boxes(member, cut)
    assert len(found) == np.prod(cut)
    every = np.concatenate([s.neurons(view) for s in found])
    assert sorted(every) == list(range(int(np.prod(view))))
    assert all(s.neurons(view).size == s.size for s in found)
    sizes = [[s.c1 - s.c0, s.y1 - s.y0, s.x1 - s.x0] for s in found]
    assert (np.ptp(sizes, axis=0) <= 1).all()


def test_local_order_is_row_column_channel():
    view = (2, 2, 2)
    member = Member(name="a", population=source(view), application=APPLICATIONS["lif"], view=view, lag=0)
    (s,) = boxes(member, (1, 1, 1))
    assert s.neurons(view).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@pytest.mark.parametrize(("fields", "what"), [
    (dict(share=0), r"share: found 0, allowed numbers above 0 up to 1"), (dict(share=1.5), r"share: found 1\.5"),
    (dict(share=float("nan")), r"share: found nan"), (dict(slices=0), r"slices: found 0, allowed whole"),
    (dict(tick=0.0), r"tick: found 0\.0, allowed seconds above 0"), (dict(tick=-1e-3), r"tick: found -0\.001, allowed"),
    *((dict(share=v), f"share: found {v!r}, allowed numbers above 0 up to 1") for v in ("a", None, True)),
    *((dict(slices=v), f"slices: found {v!r}, allowed whole numbers from 1 up") for v in ("a", None, 1.5, True)),
    *((dict(tick=v), f"tick: found {v!r}, allowed seconds above 0") for v in ("a", None, np.inf)),
])
def test_partitions_that_are_none(fields, what):
    with pytest.raises(MappingError, match=rf"Partition\.{what}"):
        s2nir.Partition(**fields)


def test_slices_at_least():
    image = s2nir.compile(layer(6, 5), partition=s2nir.Partition(slices=3))
    assert [len(p.cores) for p in image.populations] == [3, 3]
    image = s2nir.compile(layer(2, 5), partition=s2nir.Partition(slices=4))
    assert {p.name: len(p.cores) for p in image.populations} == {"in": 2, "a": 5}  # 4 boxes of 5 are no smaller than 3


def test_more_slices_than_cores():
    with pytest.raises(MappingError, match=(
        r"the network takes 151 cores, the machine has 148, 3 too few; most are taken by a 150, in 1\. What would help"
    )):
        s2nir.compile(layer(3, 150), application=capped(1))
    worn = s2nir.SpiNNaker2(faults=s2nir.Faults(cores=[((0, 0), pe) for pe in range(4, 152)]))
    with pytest.raises(MappingError, match=r"What would help: fewer neurons .* machine .* or fewer faults;"):
        s2nir.compile(layer(3, 150), worn, application=capped(1))


def test_another_machine_is_refused():
    with pytest.raises(MappingError, match=r"SpiNNaker2\.chips: found 2, allowed 1, or .* For 48 chips use boards=1"):
        s2nir.SpiNNaker2(chips=2)


def test_headroom_is_proven_for_max_count():
    """127 x 260 sources x 65,000 packets is 2,146,300,000, under 2**31; 261 are over it."""
    s2nir.compile(layer(260, 2), max_count=65_000)
    with pytest.raises(MappingError, match=(
        r"a: up to 2154555000 could arrive at a neuron in one tick, over its int32 slot\. Use a lower max_count "
        r"\(now 65000\) or fewer bits\. \[rule: accumulator-headroom\]"
    )):
        s2nir.compile(layer(261, 2), max_count=65_000)
    s2nir.compile(layer(261, 2), max_count=64_000)


@pytest.mark.parametrize("count", [0, -1, 65_536, 2.5])
def test_max_count_has_bounds(count):
    with pytest.raises(MappingError, match=rf"max_count: found {count}, allowed whole numbers from 1 to 65535"):
        s2nir.compile(layer(2, 2), max_count=count)


def test_neurons_spike_once_a_tick_so_their_bound_has_no_count():
    """Of the same matrix behind neurons, 65,000 packets a tick are impossible."""
    g = graph([source((1,)), lif("h", (261,)), lif("a", (2,))],
              [dense("in", "h", np.ones((261, 1))), dense("h", "a", np.ones((2, 261)))])
    s2nir.compile(s2nir.quantize(g), max_count=65_000)


def test_a_load_that_no_cut_can_carry_warns_and_bytes_decide():
    """Every neuron of a dense layer hears all sources, however it is cut."""
    wide = replace(APPLICATIONS["lif_no_delay"], activity=1.0, fifo_packets=16)
    with pytest.warns(S2NirWarning, match=r"a: with 100% of its sources active .* it is cut by bytes alone"):
        image = s2nir.compile(layer(64, 32), application=wide)
    assert len(image["a"].cores) == 1


def test_reserved_bytes_of_convolution_tables_are_counted():
    conv = replace(APPLICATIONS["lif_conv2d"], conv_entry_bytes=20, conv_geometry_bytes=64)
    network = s2nir.quantize(small_graph())
    plain, wide = (s2nir.compile(network, application=a) for a in (APPLICATIONS["lif_conv2d"], conv))
    for a, b in zip(plain.cores, wide.cores, strict=True):
        if a.application == "lif_conv2d":
            entries, geometries = (int(a.memory[k : k + 4].view("<u4")[0]) for k in (28, 32))
            assert b.used - a.used == 8 * entries + 48 * geometries
    with pytest.raises(s2nir.S2NirError, match="conv_entry_bytes: found 8, allowed whole bytes from 12 up"):
        replace(APPLICATIONS["lif_conv2d"], conv_entry_bytes=8)


def test_a_window_in_place_of_the_programs_own():
    network = layer(2401, 1)
    assert cores_of(s2nir.compile(network, window=70_000))[0].window == 70_000
    with pytest.raises(MappingError, match=r"^window: found 100000, allowed whole bytes from 1024 to 98304"):
        s2nir.compile(network, window=100_000)


def test_of_cuts_into_as_many_slices_the_one_that_fewest_packets_come_to(monkeypatch):
    import s2nir
    from s2nir import Connect, Neurons
    from s2nir.cost import expected
    from s2nir.mapping import partition

    rng = np.random.default_rng(0)
    names, ways = {"in": (3, 32, 32)}, []
    for last, name, channels in (("in", "a", 3), ("a", "b", 64), ("b", "c", 64)):
        names[name] = Neurons(shape=(64, 32, 32))
        ways.append(Connect(source=last, target=name, weight=rng.normal(size=(64, channels, 3, 3)), padding=(1, 1)))
    net = s2nir.quantize(s2nir.build(names, ways))
    images = [s2nir.compile(net, s2nir.SpiNNaker2(boards=3))]
    monkeypatch.setattr(partition.Cost, "quietest", lambda self, cuts, best, tick: best)
    images.append(s2nir.compile(net, s2nir.SpiNNaker2(boards=3)))
    cores, packets = ([len(i.cores) for i in images], [expected(i).cores.total.sum() for i in images])
    assert cores[0] == cores[1]
    assert packets[0] < 0.97 * packets[1]
