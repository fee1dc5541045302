"""The energy model: published states and anchors, and a run's sum by hand."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import s2nir
from s2nir.cost import AUTOMATIC, HIGH, LOW, Automatic, Cycles, EnergyModel, Unused, thresholds, timing
from s2nir.errors import InputError
from s2nir.machine import NODES, PES, EnergyCosts, Level, Reading, Tag, floor_position

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("energy_anchors", ROOT / "benchmarks" / "energy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_states_of_the_chip_are_reproduced(bench):
    found = {row["what"]: row["estimate"]["value"] for row in bench.states()}
    assert list(found.values()) == pytest.approx([0.0752, 0.2354, 0.4246, 0.5647, 1.2479], rel=1e-12)


def test_two_gesture_energies_follow_from_the_third(bench):
    found = bench.anchors()
    assert bench.gesture(found["pes_on"]["value"], 3e-3, bench.CYCLES.value, 0.0).value == pytest.approx(2.010)
    assert 20 < found["pes_on"]["high"] < found["pes_on"]["value"] < found["pes_on"]["low"] < 26
    for row in found["predicted"]:
        assert 0.5 < row["ratio"] < 2, row
        assert row["inside"], row
        e = row["estimate"]
        assert e["low"] < e["value"] < e["high"] < 3 * e["low"]
    assert [row["published"] for row in found["predicted"]] == [1.023, 0.741, 0.39]


def test_what_is_not_explained_is_said_with_its_sum(bench):
    said = bench.anchors()["not_explained"]["sum"]
    assert "0.459 J / 6.6 s = 69.5 mW, under the 75.2 mW" in said
    assert EnergyCosts().floor.value > 0.459 / 6.6


def test_the_committed_figures_are_what_the_command_makes(bench):
    kept = json.loads((ROOT / "benchmarks" / "results" / "energy.json").read_text())
    assert kept == json.loads(json.dumps(bench.anchors()))


def test_the_page_has_the_anchors_and_what_they_assume(bench):
    found, page = bench.anchors(), (ROOT / "docs" / "cost.md").read_text()
    for row in [*found["states"], *found["predicted"]]:
        assert bench.line(row) in page.splitlines()
    assert found["not_explained"]["sum"] in page.replace("\n", " ")
    for said in found["assumed"]:
        assert said in page.replace("\n  ", " ")


def test_coefficients_lie_in_their_ranges_and_unpublished_ones_are_wide():
    for c in EnergyCosts().all():
        assert 0 < c.low < c.value < c.high, c
        assert c.source
        if c.tag is Tag.UNCERTAIN:
            assert c.high >= 4 * c.value, c
    assert EnergyCosts().mac_low.value == pytest.approx(0.52e-12, rel=0.02)  # CHIP.md, from the same measurements
    assert EnergyCosts().mac_high.value == pytest.approx(0.73e-12, rel=0.02)


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(3)
    way = [s2nir.Connect(source="in", target="a", weight=rng.normal(size=(6, 30))),
           s2nir.Connect(source="a", target="b", weight=rng.normal(size=(4, 6)))]
    graph = s2nir.build(
        {"in": 30, "a": s2nir.Neurons(shape=6, tau=0.01, r=20.0), "b": s2nir.Neurons(shape=4, tau=0.01, r=20.0)}, way,
        dt=1e-3)
    spikes = (rng.random((3, 40, 30)) < 0.3).astype(np.uint8)
    return s2nir.run(s2nir.compile(s2nir.quantize(graph), partition=s2nir.Partition(slices=2)), spikes)


def by_tick(recording, reading=Reading.VALUE):
    """Packets and cycles of every core in every tick, packet by packet: (batch, ticks, cores)."""
    image, program = recording.image, recording.program
    cost, s = Cycles(image, reading), recording.program.synapses
    packets = np.zeros((recording.batch, recording.ticks, len(image.cores)))
    cycles = np.zeros_like(packets)
    for b in range(recording.batch):
        for i in range(len(image.cores)):
            cycles[b, :, i] = cost.of_update(i)
        for t, source, count in zip(*recording.sent(b), strict=True):
            for core in program.reach.cores(program.reach.of[source]):
                low, high = program.first[core], program.first[core + 1]
                words = sum(low <= n < high for n in s.one_target[s.one[source] : s.one[source + 1]])
                for j in range(s.start[source], s.start[source + 1]):
                    run = np.arange(s.target[j], s.target[j] + s.length[j])
                    held = s.weights[s.weight[j] : s.weight[j] + s.length[j]]
                    words += int(((run >= low) & (run < high) & (held != 0)).sum())
                packets[b, t, core] += count
                cycles[b, t, core] += count * cost.of_packet(core, words)
    return packets, cycles


@pytest.mark.parametrize("mode", [LOW, HIGH, Automatic(4), Automatic(0)], ids=str)
def test_a_runs_energy_by_hand(recording, mode):
    packets, cycles = by_tick(recording)
    image, costs, tick = recording.image, EnergyCosts(), 2e-3
    high = {LOW: packets < 0, HIGH: packets >= 0}.get(mode)
    high = packets >= mode.pl_threshold if high is None else high
    assert mode != Automatic(4) or 0 < high.mean() < 1
    busy = on = 0.0
    for level, here in ((Level.LOW, ~high), (Level.HIGH, high)):
        on += costs.at("asleep", level).value * here.sum() * tick
        busy += costs.at("busy", level).value * (cycles * here).sum()
    inputs = sum(int(count.sum()) for _, _, count in recording.inputs)
    busy += 100 * inputs * costs.at("busy", Level.HIGH if mode in (HIGH,) else Level.LOW).value
    found = EnergyModel(mode=mode, tick_s=tick, unused=Unused.ASLEEP)(recording)
    seconds = recording.batch * recording.ticks * tick
    assert found.seconds * recording.batch == pytest.approx(seconds)
    assert {n: p.value * recording.batch for n, p in found.parts.items() if p.value and "network" not in n
            and n != "routers"} == pytest.approx({
                "floor": 0.0752 * seconds, "PEs on": on, "busy": busy,
                "unused PEs": (PES - len(image.cores)) * seconds * costs.asleep_low.value})
    assert found.joules.low < found.joules.value < found.joules.high
    assert found.joules.value == pytest.approx(sum(p.value for p in found.parts.values()))


def test_packets_and_hops_by_hand(recording):
    found = EnergyModel(mode=LOW)(recording).parts
    image, first, costs = recording.image, recording.program.first, EnergyCosts()
    far = [min(abs(x - a) + abs(y - b) for a, b in NODES["router"])
           for x, y, _ in (floor_position(c.pe) for c in image.cores)]
    hops = sent = 0
    for b in range(recording.batch):
        for _, source, count in zip(*recording.sent(b), strict=True):
            owner = np.searchsorted(first, source, side="right") - 1
            hops += count * far[owner]
            hops += sum(count * far[c] for c in recording.program.reach.cores(recording.program.reach.of[source]))
            sent += count
    assert found["network on chip"].value * recording.batch == pytest.approx(costs.hop.value * hops)
    assert found["routers"].value * recording.batch == pytest.approx(costs.router.value * sent)


def test_the_range_of_busy_takes_both_ends(recording):
    found = EnergyModel(mode=LOW)(recording).parts["busy"]
    inputs = sum(int(count.sum()) for _, _, count in recording.inputs)
    for end, sending in (("low", 9), ("high", 200)):
        cycles = by_tick(recording, Reading(end))[1].sum() + sending * inputs
        assert getattr(found, end) * recording.batch == pytest.approx(cycles * getattr(EnergyCosts().busy_low, end))


def test_more_ticks_add_silent_ones(recording):
    short, long = (EnergyModel(mode=AUTOMATIC, ticks=n)(recording) for n in (None, recording.ticks + 100))
    image = recording.image
    still = Cycles(image).still.sum() * 100 * EnergyCosts().busy_low.value
    assert long.parts["busy"].value - short.parts["busy"].value == pytest.approx(still)
    watts = 0.0752 + len(image.cores) * EnergyCosts().asleep_low.value
    rest = long.joules.value - short.joules.value - still
    assert rest == pytest.approx(100 * image.tick * watts)
    assert any("100 of them without packets" in said for said in long.assumed)


def test_thresholds_are_the_published_ones():
    weight = np.ones((4, 2, 3, 3))
    graph = s2nir.build({"in": (2, 6, 6), "a": s2nir.Neurons(shape=(4, 4, 4), tau=0.01, r=20.0),
                         "b": s2nir.Neurons(shape=3, tau=0.01, r=20.0)},
                        [s2nir.Connect(source="in", target="a", weight=weight),
                         s2nir.Connect(source="a", target="b", weight=np.ones((3, 64)))], dt=1e-3)
    image = s2nir.compile(s2nir.quantize(graph))
    found = {image.cores[i].application: int(t) for i, t in enumerate(thresholds(image))}
    assert found["lif_conv2d"] == 30
    assert found["lif_no_delay"] == 200
    assert set(thresholds(image, 7).tolist()) == {7}


def test_wrong_use_is_refused(recording):
    for given, said in (({"ticks": 3}, "has 42|has 4"), ({"chips": 0}, "chips"), ({"tick_s": -1.0}, "tick_s")):
        with pytest.raises(InputError, match=said):
            EnergyModel(**given)(recording)
    with pytest.raises(InputError, match="pl_threshold"):
        Automatic(-1)


def test_modes_are_words_too_and_others_are_refused():
    assert [EnergyModel(mode=m).mode for m in ("low", "high", "automatic")] == [LOW, HIGH, AUTOMATIC]
    assert EnergyModel(unused="asleep").unused is Unused.ASLEEP
    for wrong in ({"mode": "turbo"}, {"mode": None}, {"mode": 30}, {"unused": "on"}):
        with pytest.raises(InputError, match=rf"EnergyModel.{next(iter(wrong))}: found .*, allowed '"):
            EnergyModel(**wrong)
    with pytest.raises(InputError, match=r"Fixed.level: found 'turbo'"):
        type(LOW)("turbo")


def test_a_tick_that_is_too_short_is_said(recording):
    late = [said for said in EnergyModel(tick_s=1e-7)(recording).assumed if "too short" in said]
    needed = timing(recording).cycles.value / timing(recording).clock_hz
    assert len(late) == 1
    assert late[0].startswith("a tick of 1e-07 s is too short: ")
    assert f" take up to {needed:.4g} s in their busiest one" in late[0]
    for tick in (None, needed, needed * 1.01):
        assert not any("too short" in said for said in EnergyModel(tick_s=tick)(recording).assumed)
    assert any("too short" in said for said in EnergyModel(tick_s=needed * 0.99)(recording).assumed)
