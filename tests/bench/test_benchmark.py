"""The benchmark from nothing to its table on a few recordings: killed, refused, and on files as IBM lays them out."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import s2nir
from s2nir.bench import HEAD, Source, Teller, benchmark, line, preset
from s2nir.bench.rows import rows
from s2nir.bench.summary import interval

pytest.importorskip("torch")
pytest.importorskip("snntorch")

TINY = dataclasses.replace(
    preset("dvs-gesture", "fast"), train=22, validation=11, test=11, epochs=4, fine=1, grid=5, steps=20, reference=1,
    batch=2, rate=2e-2, tick_us=100_000,
    bits=(8, 2), trained_bits=(2,), percentiles=(99.0, "auto"),
)


class Killed(Exception):
    pass


def killed_at(words):
    def step(said):
        if words in said:
            raise Killed(said)

    return Teller(step=step)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A benchmark that was killed twice on its way, and its folder."""
    folder = tmp_path_factory.mktemp("bench") / "run"
    for words in ("epoch 2 of 4", "ptq-2-auto-channel: accuracy"):
        with pytest.raises(Killed):
            benchmark(Source(preset=TINY), folder, killed_at(words), device="cpu")
    said = []
    return benchmark(Source(preset=TINY), folder, Teller(step=said.append), device="cpu"), folder, said


def test_a_killed_benchmark_goes_on_to_the_same_results(finished, tmp_path):
    results, folder, said = finished
    assert said
    assert not any("float, epoch" in words for words in said)  # it was trained before the second kill
    whole = benchmark(Source(preset=TINY), tmp_path / "other", device="cpu")
    assert whole == results == json.loads((folder / "results.json").read_text())
    assert not list(folder.rglob("*.part"))


def test_seeds_in_processes_of_their_own_change_no_figure(finished, tmp_path):
    results, _, _ = finished
    both = dataclasses.replace(TINY, seeds=2)
    found = benchmark(Source(preset=both), tmp_path / "two", device="cpu", jobs=2)
    assert found["seeds"][0] == results["seeds"][0] != found["seeds"][1]


def test_the_table_holds_what_was_asked_for(finished):
    results, folder, _ = finished
    assert [r["row"] for r in results["rows"]] == [r.name for r in rows(TINY)]
    by_name = {r["row"]: r for r in results["rows"]}
    assert {"float", "immediate", "longer", "ptq-8-auto-channel", "qat-2-channel"} <= set(by_name)
    for row in results["rows"]:
        assert row["recordings"] == (5 if row["percentile"] == 99.0 or row["per"] == "population" else 11)
        assert 0 <= row["accuracy"] <= 1
        assert len(row["accuracy_by_tick"]) == 20
        assert row["accuracy_by_tick"][-1] == pytest.approx(row["accuracy"], abs=1e-4)
        assert len(line(results, row)) == len(HEAD)
        if row["bits"]:
            assert row["differing"] == {"pytorch": 0, "pytorch_recordings": row["recordings"], "reference": 0,
                                        "reference_recordings": 1}
            assert row["cores"] > 10
            assert 0 < row["energy_j"][0] < row["energy_j"][1]
    said = {r["row"]: r for r in results["rows"]}["float"]["spikes_per_recording"]
    assert all(v > 0 for v in said.values()), said  # a silent network would be alike everywhere
    assert {g["row"] for g in results["gaps"]} == {"ptq-8-auto-channel", "ptq-2-auto-channel", "qat-2-channel"}
    assert results["synthetic"] is True
    assert results["data"] == "synthetic gestures"
    page = (folder / "results.html").read_text()
    assert "synthetic data" in page
    assert "an estimate" in page
    assert (folder / "results.png").read_bytes().startswith(b"\x89PNG")


def test_gaps_are_paired_by_recording(finished):
    results, _, _ = finished
    labels = np.frombuffer(bytes.fromhex(results["labels"]), np.uint8)
    kept = results["seeds"][0]
    for gap in results["gaps"]:
        right = [np.frombuffer(bytes.fromhex(kept[n]["decisions"]), np.uint8) == labels for n in ("float", gap["row"])]
        assert gap["points"] == pytest.approx(100 * (right[0].mean() - right[1].mean()))
        assert gap["low"] <= gap["points"] <= gap["high"]


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        drawn = rng.choice([-1.0, 0.0, 1.0], size=400, p=[0.05, 0.85, 0.1])
        low, high = interval(np.stack([drawn, drawn]))  # two seeds that say the same are no more data
        hits += low <= 0.05 <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_another_benchmark_is_refused_a_folder(finished, tmp_path):
    _, folder, _ = finished
    with pytest.raises(s2nir.S2NirError, match=r"holds another benchmark \(steps differ\)"):
        benchmark(Source(preset=dataclasses.replace(TINY, steps=21)), folder, device="cpu")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(s2nir.S2NirError, match="holds no benchmark"):
        benchmark(Source(preset=TINY), tmp_path, device="cpu")
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(("name", "match"), [
    ("plan.json", "is no JSON object. Remove the folder"),
    ("frames-test.npz", "holds no frames"),
    ("seed0/rows/float.json", "is no JSON object. Remove it, and the row is run again"),
    ("seed0/qat-2-channel.pt", "is no checkpoint of a training"),
])
def test_damaged_pieces_are_named(finished, tmp_path, name, match):
    _, folder, _ = finished
    copied = tmp_path / "run"
    shutil.copytree(folder, copied)
    (copied / name).write_bytes((copied / name).read_bytes()[:20])
    if name.endswith(".pt"):
        (copied / "seed0/rows/qat-2-channel.json").unlink()
    with pytest.raises(s2nir.S2NirError, match=match):
        benchmark(Source(preset=TINY), copied, device="cpu")


def frames_of(shape, labels=11):
    def write(path):
        np.savez(path, x=np.zeros(8, np.uint8), shape=np.array(shape), labels=np.zeros(labels, np.int64))

    return write


def a_file(path):
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("")


@pytest.mark.parametrize(("name", "write", "match"), [
    ("frames-test.npz", frames_of((11, 20, 2, 32, 32)), "holds no frames .8 bytes of bits for 450560 of them"),
    ("frames-test.npz", frames_of((1, 1, 2, 4, 8), 1), r"holds no frames .a shape of \(1, 1, 2, 4, 8\)"),
    ("seed0/rows/float.json", lambda path: path.write_text("{}"), "lacks recordings, .*the row is run again"),
    ("seed0", a_file, "seed0: is a file, needed a folder"),
    ("", a_file, "run: is a file, needed a folder"),
])
def test_pieces_that_are_something_else_are_named(finished, tmp_path, name, write, match):
    _, folder, _ = finished
    copied = tmp_path / "run"
    shutil.copytree(folder, copied)
    write(copied / name)
    with pytest.raises(s2nir.S2NirError, match=match):
        benchmark(Source(preset=TINY), copied, device="cpu")


def test_a_device_that_is_not_there_is_refused_ahead_of_any_work(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, match in (("cuda", "PyTorch sees no GPU here"), ("tpu", "found 'tpu', allowed 'cpu', 'cuda' or None")):
        with pytest.raises(s2nir.S2NirError, match=match):
            benchmark(Source(preset=TINY), tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("arguments", "match"), [
    (("dvs-gestures", "fast"), "dataset: found 'dvs-gestures', allowed dvs-gesture, nmnist"),
    (("dvs-gesture", "quick"), "preset: found 'quick', allowed fast, long, gaps, paper"),
])
def test_unknown_names(arguments, match):
    with pytest.raises(s2nir.S2NirError, match=match):
        preset(*arguments)


def test_there_are_no_synthetic_digits(tmp_path):
    with pytest.raises(s2nir.S2NirError, match="no synthetic digits"):
        benchmark(Source(preset=preset("nmnist", "fast")), tmp_path / "x", device="cpu")
    assert not (tmp_path / "x").exists()


def test_digits_of_a_folder_are_drawn_and_those_of_a_file_stay_in_their_order(tmp_path):
    from data.test_nmnist import one_file

    for digit in range(10):
        for part in ("Train", "Test"):
            (tmp_path / "N" / part / str(digit)).mkdir(parents=True)
            for k in range(40):
                (tmp_path / "N" / part / str(digit) / f"{k:05d}.bin").write_bytes(b"")
    some = dataclasses.replace(preset("nmnist", "fast"), test=100)
    folder = Source(preset=some, root=str(tmp_path / "N"))
    test = folder.recordings("test")
    assert len(test) == 100
    assert len(set(test.labels.tolist())) == len(set(folder.recordings("train").labels[:40].tolist())) == 10
    assert np.array_equal(test.labels, folder.recordings("test").labels)
    file = Source(preset=some, root=str(one_file(tmp_path / "a.npz")))
    assert file.recordings("test").places.tolist() == list(range(800, 900))
    assert file.found() != folder.found()


def test_real_gestures_in_ibms_layout(tmp_path, aedat_bytes):
    """AEDAT 3.1 recordings with their label files and trial lists, from `--data` to a table that is not called
    synthetic."""
    root = gesture_folder(tmp_path / "DvsGesture", aedat_bytes)
    small = dataclasses.replace(TINY, train=None, validation=None, test=None, bits=(8,), trained_bits=(), epochs=1)
    results = benchmark(Source(preset=small, root=str(root)), tmp_path / "run", device="cpu")
    assert results["synthetic"] is False
    assert results["data"] == "DVS128 Gesture, real recordings"
    assert results["rows"][0]["recordings"] == 6 * 11
    assert len(set(Source(preset=small, root=str(root)).recordings("test").labels[:11].tolist())) > 4  # not by trial
    moved = root.rename(tmp_path / "other")
    with pytest.raises(s2nir.S2NirError, match=r"holds another benchmark \(root differ\)"):
        benchmark(Source(preset=small, root=str(moved)), tmp_path / "run", device="cpu")
    (tmp_path / "home").mkdir()
    moved = moved.rename(tmp_path / "home" / "DvsGesture")
    assert benchmark(Source(preset=small, root=str(moved)), tmp_path / "run", device="cpu") == results
    assert "synthetic" not in (tmp_path / "run" / "results.html").read_text()


def gesture_folder(root, aedat_bytes):
    """29 users with one trial each: the last six are the test users."""
    from s2nir.data import synthetic_gestures

    root.mkdir()
    events = synthetic_gestures(1, seed=5).read(0, stop_us=300_000)[:400]
    lists = {"train": range(1, 24), "test": range(24, 30)}
    for split, users in lists.items():
        names = [f"user{u:02d}_fluorescent" for u in users]
        (root / f"trials_to_{split}.txt").write_text("".join(f"{n}.aedat\n" for n in names))
        for name in names:
            parts = []
            for k in range(11):
                part = events.copy()
                part["t"] += 1_000_000 * (k + 1)
                parts.append(part)
            (root / f"{name}.aedat").write_bytes(aedat_bytes(np.concatenate(parts), per_packet=200))
            table = "".join(f"{k + 1},{1_000_000 * (k + 1)},{1_000_000 * (k + 1) + 400_000}\n" for k in range(11))
            (root / f"{name}_labels.csv").write_text("class,startTime_usec,endTime_usec\n" + table)
    return root


def test_the_command_line(tmp_path, monkeypatch, capsys):
    from s2nir.bench import presets
    from s2nir.cli import main

    monkeypatch.setitem(presets.GESTURES, "fast", dataclasses.replace(TINY, bits=(8,), trained_bits=(), epochs=1))
    folder = tmp_path / "out"
    assert main(["bench", "dvs-gesture", "--synthetic", "-o", str(folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["data"] == "synthetic gestures"
    assert answer["folder"] == str(folder)
    assert main(["bench", "--synthetic", "-o", str(folder)]) == 0  # all of it is there already
    assert "ptq-8-auto-channel" in capsys.readouterr().out
    assert main(["bench", "nmnist", "--data", str(tmp_path / "none"), "-o", str(tmp_path / "n")]) == 3
    assert not (tmp_path / "n").exists()
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "dvs-gesture"])
    assert stopped.value.code == 2
