"""The Report's numbers against the Recording's and against sums made another way."""

import json
import math

import numpy as np
import pytest

import s2nir
from report.nets import readout, several, small, two_layers
from report.nets import spikes as drive
from s2nir.cost import synapses_per_core, work
from s2nir.graph import synapses
from s2nir.report import report
from s2nir.report.activity import spikes_of


def test_the_text_is_the_same_every_time():
    d, f, found = small()
    again = report(s2nir.run(d.image, drive()), f)
    assert str(found) == str(again)
    parts = ("contract", "fit", "activity", "traffic", "time", "numbers", "fidelity", "estimate [U]", "FIFO holds 512")
    for part in parts:
        assert part in str(found)


def test_text_without_fidelity_does_not_speak_of_it():
    d, _, _ = small()
    assert "fidelity" not in str(report(d.recording))


def test_to_dict_is_json_and_has_a_schema():
    facts = small()[2].to_dict()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["kind"] == "s2nir report"
    assert facts["schema"] == 1
    assert facts["image"] == small()[0].image.digest


def test_spikes_and_rates_are_the_recordings():
    d, _, found = small()
    for row in found.to_dict()["populations"]:
        held = d.recording.spikes[row["population"]].astype(np.int64)
        assert row["spikes_per_recording"] == held.sum(axis=(1, 2)).tolist()
        assert row["rate"] == pytest.approx(held.mean())


def test_packets_are_the_recordings():
    d, _, found = small()
    by_tick = d.recording.packets_per_tick()
    a = found.activity
    assert (a.packets == by_tick.sum(axis=1)).all()
    assert (a.worst == by_tick.max(axis=(0, 1))).all()
    assert (a.busiest == by_tick.max(axis=(0, 2))).all()
    assert found.to_dict()["traffic"]["packets_sent"] == d.recording.packets


def test_synaptic_events_are_spikes_times_synapses():
    d, _, found = small()
    total = 0
    for q in d.network.projections:
        source, _, _, _ = synapses(q.connection)
        fanout = np.bincount(source, minlength=q.connection.sources)
        sent = d.recording.raw_spikes(q.source).reshape(-1, q.connection.sources).astype(np.int64)
        total += int(sent.sum(axis=0) @ fanout)
    assert found.activity.synaptic_events == total


@pytest.mark.parametrize("slices", [1, 4])
def test_fanout_of_every_source_is_its_synapses_on_that_core(slices):
    d, _, _ = small()
    image = s2nir.compile(d.network, partition=s2nir.Partition(slices=slices))
    recording = s2nir.run(image, drive())
    found = synapses_per_core(recording.image, recording.program).toarray()
    for q in d.network.projections:
        source, target, _, _ = synapses(q.connection)
        numbers = recording.program.index
        core = np.searchsorted(recording.program.first, numbers[q.target][target], side="right") - 1
        wanted = np.zeros((recording.program.size, len(image.cores)))
        np.add.at(wanted, (numbers[q.source][source], core), 1)
        mine = list(image[q.target].cores)
        assert (found[numbers[q.source]][:, mine] == wanted[numbers[q.source]][:, mine]).all()


def test_cycles_are_the_applications_fields_by_hand():
    d, _, found = small()
    image, a = d.image, found.activity
    for p in image.populations:
        for i in p.cores:
            app = s2nir.machine.APPLICATIONS[image.cores[i].application]
            if p.kind == "input":
                assert a.cycles[i] == 0
                continue
            sources = {q.source: q for q in d.network.projections if q.target == p.name}
            ticks = np.zeros((3, d.recording.ticks))
            for name, q in sources.items():
                sent = d.recording.raw_spikes(name).reshape(3, d.recording.ticks, -1).astype(np.int64)
                fanout = np.bincount(synapses(q.connection)[0], minlength=sent.shape[2])
                reach = d.recording.program.reach
                heard = np.array([i in reach.cores(reach.of[n]) for n in d.recording.program.index[name]])
                ticks += app.cycles.packet.value * (sent @ heard) + app.cycles.synapse.value * (sent @ fanout)
            assert len(p.cores) == 1
            recorded = -(-p.size // 32) + 2
            assert a.cycles[i] == app.cycles.tick(neurons=p.size, packets=0, words=0, recorded=recorded) + ticks.max()
            b, t = np.unravel_index(int(ticks.argmax()), ticks.shape)
            assert a.at[:, i].tolist() == [t, b]


def test_ticks_over_the_fifo_and_overruns_are_counted_and_said():
    d, _, _ = small()
    x = np.zeros((1, 4, 6), np.uint8)
    x[0, 1] = 200  # 1,200 packets in one tick
    found = report(s2nir.run(d.image, x))
    facts = found.to_dict()
    assert facts["traffic"]["ticks_over_fifo"] == 1
    assert facts["traffic"]["worst_tick"]["worst_tick"] == 1200
    assert "in 1 core tick the FIFO cannot hold the packets" in str(found)
    assert facts["time"]["ticks_overrun"] == 1
    assert "1 core tick overrun" in str(found)


def test_spikes_of_are_the_aligned_raster():
    d, _, _ = small()
    for name in ("input", "hidden", "out"):
        step, neuron, count = spikes_of(d.recording, name, 1)
        raster = np.zeros((20, d.image[name].size), np.int64)
        np.add.at(raster, (step, neuron), count)
        assert (raster == d.recording.spikes[name][1]).all()


def test_a_silent_run_has_a_report():
    d, _, _ = small()
    found = report(s2nir.run(d.image, np.zeros((5, 6), np.uint8)))
    assert found.to_dict()["traffic"]["packets_sent"] == 0
    assert "no tick gets more packets" in str(found)


def test_readouts_are_in_the_report():
    d = readout()
    facts = d.report.to_dict()
    assert facts["decisions"] == {}
    assert facts["readouts"]["output"]["max"] == pytest.approx(float(d.recording.readout["output"].max()))
    assert "readout output:" in str(d.report)


def test_input_cores_are_counted_apart():
    fit = small()[2].to_dict()["fit"]
    assert (fit["cores"], fit["cores_neurons"], fit["cores_input"]) == (3, 2, 1)


def test_infinite_errors_become_none():
    d, f, _ = small()
    import dataclasses

    worst = dataclasses.replace(f, populations=(dataclasses.replace(f.populations[0], rate_error=math.inf),))
    found = report(d.recording, worst)
    assert found.to_dict()["fidelity"]["populations"][0]["rate_error"] is None


@pytest.mark.parametrize("ending", ["html", "json", "txt"])
def test_save_writes_one_whole_file(tmp_path, ending):
    found = small()[2]
    path = tmp_path / f"run.{ending}"
    found.save(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending == "json":
        assert json.loads(path.read_text()) == found.to_dict()
    if ending == "txt":
        assert path.read_text() == f"{found}\n"


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        small()[2].save(tmp_path / "run.html")
    assert list(tmp_path.iterdir()) == []


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(s2nir.S2NirError, match=r"end in \.html, \.json or \.txt"):
        small()[2].save(tmp_path / "run.pdf")
    with pytest.raises(s2nir.S2NirError, match=r"Report\.save: found a NoneType"):
        small()[2].save(None)
    (tmp_path / "there.html").mkdir()
    with pytest.raises(s2nir.S2NirError, match="is no file"):
        small()[2].save(tmp_path / "there.html")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    small()[2].save(tmp_path / "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text().startswith("Report on image")


def test_many_populations_stay_a_page_of_text():
    found = several().report
    assert len(str(found).splitlines()) < 200
    assert work(found.recording).packets.shape == (3, 41)


def test_control_characters_do_not_reach_the_text():
    d = s2nir.deploy(two_layers(first="a\x1b[2J"), drive(), reset="zero")
    assert "\x1b" not in str(d.report)
    assert r"a\x1b[2J" in str(d.report)
