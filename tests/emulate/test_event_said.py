"""What an event run says: over the FIFO, in reports, from a shell."""

import json

import numpy as np
import pytest

import s2nir
from emulate.test_event import chain
from s2nir.cli import main
from s2nir.cost import timing
from s2nir.emulate import queueing_text


def brunel(n=400):
    """Neurons that are joined at random, with Poisson drives, rows in DRAM (benchmarks/brunel.py in small)."""
    rng = np.random.default_rng(1)
    weight = np.where(np.arange(n) < n * 4 // 5, 20.0, -100.0) * (rng.random((n, n)) < 0.1)
    cells = s2nir.Neurons(shape=n, tau=0.02, r=1 / (1 - np.exp(-1 / 20)), threshold=800.0, refractory=2, compare=">=",
                          drive=s2nir.Poisson(rate=11e3, weight=20.0))
    graph = s2nir.build({"cells": cells}, [s2nir.Connect(source="cells", target="cells", weight=weight)], dt=1e-3,
                        integrator="exponential")
    network = s2nir.quantize(graph, s2nir.PTQ(per="population"))
    return s2nir.compile(network, s2nir.SpiNNaker2(rows="dram"), partition=s2nir.Partition(slices=3))


@pytest.mark.parametrize("overflow", ["drop", "overwrite"])
def test_ticks_over_the_fifo_are_those_with_more_packets(overflow):
    found = s2nir.run(brunel(), 200, timing=s2nir.EventTiming(fifo=60, overflow=overflow, tick=1e-2))
    q, arrive = found.queueing, found.packets_per_tick()[0]
    assert not any(a.any() for a in (q.late, q.early, q.overran))
    assert q.over_fifo[0].tolist() == (arrive > 60).sum(axis=0).tolist()
    assert q.dropped[0].tolist() == np.maximum(arrive - 60, 0).sum(axis=0).tolist()
    assert q.over_fifo.min() > 10
    assert (q.fill == 60).all()


def test_without_a_bound_it_agrees_with_the_cycle_model():
    image = brunel()
    plain = timing(s2nir.run(image, 200))
    q = s2nir.run(image, 200, timing=s2nir.EventTiming(fifo=1 << 20, tick=plain.shortest_tick_s.value * 1.01)).queueing
    assert q.in_time
    q = s2nir.run(image, 200, timing=s2nir.EventTiming(fifo=1 << 20, tick=plain.shortest_tick_s.value * 0.9)).queueing
    assert q.overran.any()
    assert not q.in_time


def test_reports_of_event_runs_say_so(tmp_path):
    image = s2nir.compile(chain(1))
    spikes = np.ones((1, 10, 5), np.uint8)
    plain = s2nir.run(image, spikes).report()
    assert plain.to_dict()["queueing"] is None
    assert "event run" not in str(plain)
    recording = s2nir.run(image, spikes, timing=s2nir.EventTiming(fifo=3))
    report = recording.report()
    said = queueing_text(recording.queueing.to_dict())
    assert "dropped at a FIFO" in said[1]
    assert all(line in str(report) for line in said)
    assert report.to_dict()["queueing"]["dropped"] == recording.queueing.dropped.sum() > 0
    for name, held in (("r.html", True), ("plain.html", False)):
        path = tmp_path / name
        (report if held else plain).save(path)
        assert ("dropped at a FIFO" in path.read_text()) is held


def test_from_a_shell(tmp_path, capsys):
    path = str(tmp_path / "net.s2.h5")
    s2nir.compile(chain(1)).save(path)
    flags = ["run", path, "--poisson", "2", "--steps", "20"]
    some = ["--timing", "event", "--fifo", "3", "--overflow", "overwrite", "--tick", "0.002"]
    assert main([*flags, *some, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["queueing"]
    assert found["tick_s"] == 0.002
    assert found["fullest_fifo"] == 3
    assert found["dropped"] > 0
    assert main([*flags, "--timing", "event"]) == 0
    assert "packets due" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([*flags, "--fifo", "3"])
    assert "--fifo goes with --timing event" in capsys.readouterr().err
