"""The shortest safe tick: at it nothing overruns, just below it something does."""

from dataclasses import replace

import numpy as np
import pytest

import s2nir
from s2nir.cost import Cycles, timing, traffic, work
from s2nir.machine import CYCLE_COEFFICIENTS, Level, Range, Reading, Tag


def loaded(seed, tick=1e-3):
    """A random network of three populations under a random drive."""
    rng = np.random.default_rng(seed)
    sizes = {n: int(rng.integers(5, 200)) for n in ("in", "a", "b")}
    graph = s2nir.build(
        {"in": sizes["in"], **{n: s2nir.Neurons(shape=sizes[n], tau=0.01, r=20.0) for n in ("a", "b")}},
        [s2nir.Connect(source=p, target=q, weight=rng.normal(size=(sizes[q], sizes[p])))
         for p, q in (("in", "a"), ("a", "b"))], dt=1e-3)
    image = s2nir.compile(s2nir.quantize(graph), partition=s2nir.Partition(tick=tick))
    return s2nir.run(image, (rng.random((2, 30, sizes["in"])) < rng.uniform(0.02, 0.5)).astype(np.uint8))


@pytest.mark.parametrize("seed", range(6))
def test_the_shortest_safe_tick_is_where_overruns_begin(seed):
    recording = loaded(seed)
    found = timing(recording)
    assert found.limit == "cycles"
    for factor, over in ((1.0001, False), (0.9999, True)):
        image = replace(recording.image, tick=found.shortest_tick_s.value * factor)
        assert bool(work(replace(recording, image=image)).overruns.any()) is over
    assert sum(found.parts.values()) == pytest.approx(found.cycles.value)
    value, low, high = found.shortest_tick_s
    assert low < value < high
    assert found.real_time == pytest.approx((1e-3 / value, 1e-3 / high, 1e-3 / low))


def test_the_ends_take_every_coefficient_at_its_end():
    recording = loaded(0)
    done, found = work(recording), timing(recording)
    for reading in (Reading.LOW, Reading.HIGH):
        taken = Cycles(recording.image, reading)(*done.then).max()
        assert getattr(found.cycles, reading.value) == pytest.approx(taken)


def test_a_link_may_set_it():
    found = timing(loaded(1))
    slow = replace(found, links_s=1.0)
    assert slow.limit == "link"
    assert slow.shortest_tick_s == (1.0, 1.0, 1.0)
    assert "set by a link" in str(slow)
    assert "PE" in str(found)


def test_half_the_clock_is_twice_the_tick():
    image = loaded(2).image
    low, high = (Cycles(image, level=level) for level in Level)
    assert (high.budget == 2 * low.budget).all()
    assert (high.still == low.still).all()


def test_records_are_counted():
    image = loaded(2).image
    both = Cycles(image, record=("spikes", "voltages"))
    none = Cycles(image, record=())
    for i, core in enumerate(image.cores):
        neurons = int(core.memory[4:8].view("<u4")[0])
        words = 0 if core.application == "spike_list" else -(-neurons // 32) + 2 + 1 + neurons
        assert both.still[i] - none.still[i] == 9 * words


def test_every_coefficient_lies_in_its_range():
    for c in CYCLE_COEFFICIENTS:
        assert 0 < c.low < c.value < c.high, c
        assert c.tag in Tag
        assert c.unit == "cycles"
        assert isinstance(c.range, Range)


def test_packets_one_by_one_make_the_tick():
    recording = loaded(3)
    cost, done = Cycles(recording.image), work(recording)
    live = cost.packet > 0
    packets, events = done.then[:, live]
    core = np.flatnonzero(live)
    each = cost.of_packet(core, events / np.maximum(packets, 1)) * packets
    assert cost.of_update(core) + each == pytest.approx(done.cycles[live])


def test_a_fifo_that_overflows_is_said():
    graph = s2nir.build({"in": 3, "a": s2nir.Neurons(shape=2, tau=0.01, r=20.0)},
                        [s2nir.Connect(source="in", target="a", weight=np.ones((2, 3)))], dt=1e-3)
    image = s2nir.compile(s2nir.quantize(graph))
    recording = s2nir.run(image, np.full((4, 3), 200, np.uint8))
    assert timing(recording).lost == 4
    assert timing(recording, work(recording), traffic(recording)).lost == 4
