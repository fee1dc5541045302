"""What `explain` says of each resource, against compiled images; and that what it proposes works, cheapest first."""

import json
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s2nir
from conformance.test_random_graphs import WITH_RULES, schemes
from quantize.networks import conv, dense, graph, lif, source
from s2nir import Faults, Partition, SpiNNaker2
from s2nir.cost import expected
from s2nir.graph import Loops
from s2nir.machine import Application
from s2nir.mapping import (
    Annealing,
    Curve,
    DimensionOrder,
    Exchange,
    Expand,
    LoadAware,
    OrderedCovering,
    Sequential,
    demand,
    lay,
    wire,
)
from strategies import nir_graphs

NAMES = {f.__name__: f for f in (
    Partition, SpiNNaker2, Faults, Annealing, Curve, DimensionOrder, Exchange, Expand, LoadAware, OrderedCovering,
    Sequential)}
MACHINES = [SpiNNaker2(), SpiNNaker2(boards=1, reserved=148), SpiNNaker2(boards=3, reserved=150)]


def network(sources, neurons, seed=0):
    w = np.random.default_rng(seed).normal(size=(neurons, sources))
    return s2nir.quantize(graph([source((sources,)), lif("a", (neurons,))], [dense("in", "a", w)]))


def options(trial, given):
    """The arguments of `compile` that a trial says."""
    words, found = trial.change, dict(given)
    if words.startswith("faults="):
        f = eval(words.split(", which")[0].removeprefix("faults="), NAMES)
        f = Faults(chips=f.chips, links=given["machine"].faults.links)
        return found | {"machine": SpiNNaker2(boards=1, reserved=given["machine"].reserved, faults=f)}
    said = eval(f"dict({words})", NAMES)
    if "machine" in said:
        m = given["machine"]
        said["machine"] = SpiNNaker2(
            boards=said["machine"].boards, reserved=m.reserved, router_entries=m.router_entries)
    return found | said


def compiles(net, given):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", s2nir.S2NirWarning)
            return s2nir.compile(net, **given)
    except s2nir.S2NirError as error:
        assert error.rule in ("does-not-fit", "cut-off", "too-many-relays"), error
        return None


def by_name(limits):
    return {r.name: r for r in limits.resources}


def same_as_the_image(limits, image):
    """Every resource of a network that fits, where the image has it."""
    found = by_name(limits)
    t = expected(image)
    assert found["cores"].used == len(image.cores)
    assert found["sram"].share == max(c.used / c.window for c in image.cores)
    chip, pe = found["sram"].chip, found["sram"].pe
    assert next(c for c in image.cores if (c.chip, c.pe) == (chip, pe)).used == found["sram"].used
    if image.tables:
        assert found["entries"].used == max(table.entries for table in image.tables.values())
        assert image.tables[found["entries"].chip].entries == found["entries"].used
    takes = np.array([c.application != "spike_list" for c in image.cores])
    assert found["fifo"].used == pytest.approx(t.cores.mean[takes].max())
    assert found["input"].used == pytest.approx(t.sent.mean[~takes].max())
    if t.between.mean:
        assert found["link"].used == pytest.approx(1e6 * t.link_time.max())
        assert t.link_time.max() * 1e6 == pytest.approx(
            1e6 * t.link_time[image.machine.coordinates.index(found["link"].chip)].max())
    else:
        assert "link" not in found


def test_random_networks_take_what_their_images_hold():
    ended = Counter()

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(drawn=nir_graphs(faults=0, kinds=WITH_RULES), scheme=schemes, machine=st.sampled_from(MACHINES),
           slices=st.sampled_from([1, 3, 9]), ticks=st.sampled_from([None, 50]))
    def go(drawn, scheme, machine, slices, ticks):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                net = s2nir.quantize(s2nir.load(drawn[0], **drawn[1]), s2nir.PTQ(**scheme))
                chosen = {"machine": machine, "partition": Partition(slices=slices), "ticks": ticks,
                          "loops": drawn[1]["loops"]}
                limits = s2nir.explain(net, **chosen)
            except s2nir.S2NirError as error:
                assert error.rule
                ended[error.rule] += 1
                return
            image = compiles(net, chosen)
            assert limits.fits == (image is not None)
            ended[limits.fits] += 1
            if image is not None:
                same_as_the_image(limits, image)
                wiring = wire(net, "auto", Loops(chosen["loops"]), 32)
                placed = lay(net, wiring, machine, ticks, ("spikes",), chosen["partition"])
                held, _ = demand(wiring, placed.slices, ticks, ("spikes",), dict.fromkeys(wiring.members, 0.0))
                assert held.tolist() == [c.used for c in image.cores]

    go()
    assert ended[True] > 35, ended


def test_cycles_and_fifo_by_hand():
    net = network(100, 50)
    synapses = np.count_nonzero(net.projections[0].connection.weight)
    limits = by_name(s2nir.explain(net, rates={"in": 0.25}))
    assert limits["fifo"].used == 25
    assert limits["cycles"].used == 2_000 + 34 * 50 + 236 * 25 + 25 * 0.25 * synapses
    assert limits["cycles"].allowed == 300_000
    assert limits["input"].used == 25
    assert limits["input"].allowed == (300_000 - 2_000) / 100
    assert limits["spike_list"].used == 64 + 4 * 26
    assert by_name(s2nir.explain(network(100, 50), ticks=10, rates={"in": 0.25}))["spike_list"].used == 64 + 40 * 26


FEW = SpiNNaker2(boards=1, reserved=140, router_entries=8)
CUT = SpiNNaker2(boards=1, reserved=151, faults=Faults(links=[((0, 1), n) for n in range(6)]))
REFUSED = {
    "too many cores": ("cores", lambda: network(20, 40), {"machine": SpiNNaker2(reserved=145),
                                                         "partition": Partition(slices=10)}),
    "too many cores for a board": ("cores", lambda: network(200, 300), {
        "machine": SpiNNaker2(boards=1, reserved=151), "window": 8_000}),
    "overfull routers": ("entries", lambda: network(200, 300), {"machine": FEW, "partition": Partition(slices=60)}),
    "a neuron that does not fit": ("sram", lambda: network(2600, 3), {"machine": SpiNNaker2()}),
    "cut off": ("ways", lambda: network(20, 40), {"machine": CUT, "partition": Partition(slices=20), "place": Curve()}),
    "cut off, no core to spare": ("ways", lambda: network(24, 24), {"machine": CUT, "partition": Partition(slices=24)}),
    "relays": ("relays", lambda: skips(), {"machine": SpiNNaker2(), "max_relays": 1}),
}


def skips():
    r = np.random.default_rng(0)
    return s2nir.quantize(graph(
        [source((6,)), *(lif(n, (5,)) for n in "abcd")],
        [dense("in", "a", r.normal(size=(5, 6))), *(dense(a, b, r.normal(size=(5, 5))) for a, b in ("ab", "bc", "cd")),
         dense("in", "d", r.normal(size=(5, 6)))]))


@pytest.mark.parametrize("name", REFUSED)
def test_what_compile_refuses_is_named_and_the_first_change_that_works_is_found(name):
    first, make, given = REFUSED[name]
    net = make()
    limits = s2nir.explain(net, **given)
    assert not limits.fits
    assert limits.first.name == first
    assert limits.first.over
    assert compiles(net, given) is None
    for trial in limits.tried:
        assert trial.fits == (compiles(net, options(trial, given)) is not None), trial
    assert limits.remedy is limits.tried[-1]
    assert not any(t.fits for t in limits.tried[:-1])
    image = compiles(net, options(limits.remedy, given))
    assert image.check is not None
    text = str(limits)
    assert text.splitlines()[0].endswith("does not fit")
    assert f"cheapest change that works: {limits.remedy.change}" in text
    assert "too many" in next(line for line in text.splitlines() if line.startswith("ends first"))


def test_where_it_is_too_much_is_said():
    net = network(2600, 3)
    fan = np.count_nonzero(net.projections[0].connection.weight, axis=1).max()
    first = s2nir.explain(net).first
    assert (first.population, first.used, first.allowed) == ("a", 64 + 48 + 28 * fan, 67_328)
    cut = s2nir.explain(network(24, 24), machine=CUT, partition=Partition(slices=24))
    assert cut.first.where == "(0, 1)"
    cores = s2nir.explain(network(20, 40), machine=SpiNNaker2(reserved=145), partition=Partition(slices=10))
    assert (cores.first.used, cores.first.allowed) == (20, 7)
    assert cores.laid.startswith("48 chips")
    assert "most for a 10, in 10" in cores.first.where


def test_where_no_change_works_it_is_said_with_the_numbers():
    remedy = s2nir.explain(network(4000, 3)).remedy
    assert remedy.change == 'machine=SpiNNaker2(rows="compact")'
    limits = s2nir.explain(network(4000, 3), application="lif_no_delay")
    assert not limits.fits
    assert limits.remedy is None
    assert [t.change for t in limits.tried] == ["window=94208"]
    assert limits.tried[0].first.used > 94_208
    assert str(limits).splitlines()[-1] == "no change that was tried works"
    assert f"{limits.tried[0].first.used:,} of 94,208 bytes" in str(limits)


def test_a_load_that_is_over_fits_and_does_not_keep_up():
    limits = s2nir.explain(network(400, 500), rates={"in": 1.2})
    assert limits.fits
    assert not limits.keeps_up
    assert limits.first.name == "cycles"
    assert limits.remedy.keeps_up
    again = s2nir.explain(network(400, 500), rates={"in": 1.2}, **options(limits.remedy, {}))
    assert again.keeps_up
    assert again.tried == ()


def test_finer_slices_are_tried_ahead_of_a_longer_tick_and_larger_machines_last():
    limits = s2nir.explain(network(500, 500), rates={"in": 0.9}, machine=SpiNNaker2(reserved=138))
    kinds = [t.change.split("(")[1].split("=")[0] for t in limits.tried]
    assert kinds == sorted(kinds, key=["share", "tick"].index)


def test_two_changes_at_once_where_one_does_not_do():
    """Too many cores for one chip, and on boards too many entries for a router: both are mended."""
    r = np.random.default_rng(0)
    inner, to_in = r.normal(size=(40, 40)) * (r.random((40, 40)) < 0.1), r.normal(size=(40, 4))
    net = s2nir.quantize(graph([source((4,)), lif("a", (40,))],
                               [dense("in", "a", to_in), dense("a", "a", inner, delay=1)]))
    given = {"machine": SpiNNaker2(reserved=140, router_entries=30),
             "application": Application(name="lif_no_delay", max_neurons=1)}
    limits = s2nir.explain(net, **given)
    assert limits.first.name == "cores"
    assert limits.remedy.change == "machine=SpiNNaker2(boards=1), place=Annealing()"
    assert limits.remedy.flag == "--boards 1 --place annealing"
    assert compiles(net, options(limits.remedy, given)) is not None
    alone = next(t for t in limits.tried if t.change == "machine=SpiNNaker2(boards=1)")
    assert alone.first.name == "entries"
    assert compiles(net, options(alone, given)) is None


def test_convolutions_and_a_chain_have_their_resources():
    r = np.random.default_rng(0)
    net = s2nir.quantize(graph(
        [source((2, 12, 12)), lif("a", (4, 12, 12)), lif("b", (3,))],
        [conv("in", "a", r.normal(size=(4, 2, 3, 3)), (2, 12, 12), (4, 12, 12), padding=(1, 1)),
         dense("a", "b", r.normal(size=(3, 576)))]))
    for machine in MACHINES:
        limits = s2nir.explain(net, machine=machine, partition=Partition(slices=6))
        same_as_the_image(limits, s2nir.compile(net, machine=machine, partition=Partition(slices=6)))


def test_rows_are_not_tried_where_convolutions_alone_lead_into_populations():
    r = np.random.default_rng(0)
    wide = r.normal(size=(4, 2, 3, 3))
    parts = [source((2, 12, 12)), lif("a", (4, 12, 12)), lif("b", (3,))]
    ways = [conv("in", "a", wide, (2, 12, 12), (4, 12, 12), padding=(1, 1)), dense("a", "b", r.normal(size=(3, 576)))]
    given = {"machine": SpiNNaker2(reserved=150), "window": 2_000}
    alone = s2nir.explain(s2nir.quantize(graph(parts[:2], ways[:1])), **given)
    both = s2nir.explain(s2nir.quantize(graph(parts, ways)), **given)
    assert ["rows" in " ".join(t.change for t in found.tried) for found in (alone, both)] == [False, True]


def test_a_link_to_another_board_is_slower():
    net, given = network(60, 60), {"machine": SpiNNaker2(boards=3, reserved=151), "partition": Partition(slices=60)}
    limits, image = s2nir.explain(net, **given), s2nir.compile(net, **given)
    same_as_the_image(limits, image)
    t = expected(image)
    assert t.link_time.max() != pytest.approx(16e-9 * t.links.mean.max())
    assert "to another board" in by_name(limits)["link"].where


def test_a_longer_tick_is_not_tried_for_a_fifo():
    limits = s2nir.explain(network(900, 30), rates={"in": 0.8})
    assert {r.name for r in limits.resources if r.over} >= {"fifo"}
    assert limits.tried
    assert not [t.change for t in limits.tried if "tick" in t.change]
    assert str(limits).splitlines()[-1] == "no change that was tried works"


def test_what_refuses_it_comes_ahead_of_a_load_that_is_fuller():
    given = {"machine": SpiNNaker2(reserved=149), "partition": Partition(slices=2), "rates": {"in": 0.9}}
    limits = s2nir.explain(network(900, 30), **given)
    assert limits.first.name == "cores"
    assert limits.first.share < by_name(limits)["fifo"].share < 3
    given["machine"] = SpiNNaker2(reserved=148)
    assert s2nir.explain(network(900, 30), **given).first.name == "cycles"


def test_limits_print_the_same_and_are_plain_values():
    a, b = (s2nir.explain(network(20, 40), machine=SpiNNaker2(reserved=145), partition=Partition(slices=10))
            for _ in range(2))
    assert str(a) == str(b)
    assert a == b
    assert a.digest == b.digest
    facts = json.loads(json.dumps(a.to_dict(), allow_nan=False))
    assert facts == a.to_dict()
    assert facts["first"]["name"] == "cores"
    assert facts["remedy"]["flag"] == a.remedy.flag
    cut = s2nir.explain(network(24, 24), machine=CUT, partition=Partition(slices=24)).to_dict()
    assert cut["first"]["share"] is None


WRONG = [
    ("machine", "board", "machine: found a str, needed a SpiNNaker2"),
    ("partition", 0, "partition: found an int, needed a"),
    *(("window", v, f"^window: found {v!r}, allowed whole bytes from 1024 to 98304") for v in ("a", -1, True, 2000.5)),
    *(("max_relays", v, f"max_relays: found {v!r}, allowed whole numbers from 0 up") for v in ("a", -1, 1.5, None)),
    *(("max_count", v, f"max_count: found {v!r}, allowed whole numbers from 1 to 65535") for v in ("a", 0, None, True)),
    *(("ticks", v, f"ticks: found {v!r}, allowed whole numbers from 0 up, or None") for v in ("a", -1, 1.5, True)),
    *(("record", v, f"record: found {v!r}, needed some of 'spikes', 'voltages', 'time', as") for v in (None, 5)),
    *(("record", v, "record: found .*, allowed 'spikes', 'voltages', 'time'") for v in ("spike", ("x",), [["spikes"]])),
    *(("loops", v, "loops: found .*, allowed 'refuse', 'machine'") for v in ("open", None, [1])),
    *(("application", v, "application: found .*, allowed 'auto', 'lif',") for v in ("x", 5, [1])),
    *(("minimise", v, "minimise: found '.*', allowed 'auto', 'none', 'neighbours'") for v in ("x", "")),
    ("rates", 0, "rates: found an int, needed a Mapping"), ("rates", [], "rates: found a list, needed a Mapping"),
    ("rates", {"x": 1.0, "a": -1}, "rates: no population 'x'; there are a, in"),
    ("rates", {"a": -1, "x": 1.0}, "rates: no population 'x'; there are a, in"),
    *(("rates", {"in": 0, "a": v}, f"rates of 'a': found {v!r}, allowed packets per neuron and tick from 0 up")
      for v in (-1, np.nan, np.inf, "b", None, True)),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_compile_and_explain_refuse_the_same_in_the_same_words(name, value, said):
    net, errors = network(4, 3), []
    for use in (s2nir.compile, s2nir.explain):
        with pytest.raises(s2nir.S2NirError, match=said) as error:
            use(net, **{name: value})
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


@pytest.mark.parametrize(("given", "plain"), [
    (dict(record="voltages", ticks=20), dict(record=("voltages",), ticks=20)),
    (dict(window=np.int64(3000)), dict(window=3000)),
    (dict(max_count=3.0, max_relays=np.int8(3)), dict(max_count=3, max_relays=3)),
])
def test_compile_and_explain_take_the_same(given, plain):
    net = network(4, 3)
    for use in (s2nir.compile, s2nir.explain):
        assert use(net, **given).digest == use(net, **plain).digest


def test_arguments_that_cannot_be_meant_are_refused():
    net = network(4, 3)
    with pytest.raises(s2nir.S2NirError, match="loops: found 'open', allowed 'refuse', 'machine'"):
        s2nir.explain(net, loops="open")
    with pytest.raises(s2nir.S2NirError, match="needed a Network"):
        s2nir.explain(3)
