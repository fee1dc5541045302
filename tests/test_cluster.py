"""Evaluations and sweeps: the same numbers on any pieces, threads and workers; files that go on; what is refused."""

import importlib
import itertools
import json
import os
import pickle
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import nir
import numpy as np
import pytest

import s2nir
from s2nir.cli import main
from s2nir.cluster.dataset import dataset
from s2nir.cluster.workers import each, workers
from s2nir.cost import work
from s2nir.data import moving_shapes, synthetic_gestures
from s2nir.errors import InputError

N, STEPS = 11, 25


def chain(hidden=6, bias=0.0):
    """Input of 5 -> hidden -> 3, dense."""
    rng = np.random.default_rng(2)
    ways = [s2nir.Connect(source="in", target="hidden", weight=rng.normal(0.4, 0.5, (hidden, 5))),
            s2nir.Connect(source="hidden", target="out", weight=rng.normal(0.4, 0.5, (3, hidden)))]
    neurons = {n: s2nir.Neurons(shape=k, tau=0.005, r=5.0, bias=bias) for n, k in (("hidden", hidden), ("out", 3))}
    return s2nir.build({"in": 5, **neurons}, ways, dt=1e-3)


@pytest.fixture(scope="module")
def graph():
    return chain()


@pytest.fixture(scope="module")
def image(graph):
    return s2nir.compile(s2nir.quantize(graph))


@pytest.fixture(scope="module")
def spikes():
    return np.random.default_rng(3).poisson(0.5, (N, STEPS, 5)).astype(np.uint8)


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(4).integers(0, 3, N)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, protocol="tcp", n_workers=2, threads_per_worker=2,
                            dashboard_address=":0") as made:
        yield made


@pytest.fixture(scope="module")
def whole(image, spikes, labels):
    """The evaluation in one piece on one thread."""
    return s2nir.evaluate(image, (spikes, labels), threads=1, piece=N)


def test_an_evaluation_is_what_the_recording_says(whole, image, spikes, labels):
    recording = s2nir.run(image, spikes)
    assert whole.recordings == N
    assert (whole.steps, whole.ticks, whole.image) == (STEPS, recording.ticks, image.digest)
    chosen = recording.decisions("out")
    assert len(set(chosen.tolist())) > 1
    assert np.array_equal(whole.decisions["out"], chosen)
    assert whole.accuracy == {"out": float((chosen == labels).mean())}
    assert set(whole.spikes) == {"in", "hidden", "out"}
    for name, counts in recording.counts.items():
        assert counts.sum() > 0
        assert np.array_equal(whole.spikes[name], counts.reshape(N, -1).sum(axis=1))
    assert whole.rates == recording.rates
    assert int(whole.packets.sum()) == recording.packets
    assert int(whole.synaptic_events.sum()) == work(recording).synaptic_events > 0
    alone = [work(s2nir.run(image, spikes[b])).synaptic_events for b in range(N)]
    assert whole.synaptic_events.tolist() == alone


@pytest.mark.parametrize("onset", ["aligned", "board"])
@pytest.mark.parametrize("steps", [1, 2, 25])
def test_only_the_aligned_steps_count(onset, steps, spikes):
    """Of neurons that spike on their own, ahead of their first step and behind their last one."""
    image = s2nir.compile(s2nir.quantize(chain(bias=1.5)), onset=onset, copies=2)
    recording = s2nir.run(image, spikes[:5, :steps])
    ticks = recording.raw_spikes("hidden").reshape(5, recording.ticks, -1).sum(axis=(0, 2))
    assert ticks.sum() > recording.counts["hidden"].sum()
    found = s2nir.evaluate(image, spikes[:5, :steps], threads=1)
    for name, counts in recording.counts.items():
        assert np.array_equal(found.spikes[name], counts.reshape(5, -1).sum(axis=1))
    assert np.array_equal(found.decisions["out"], recording.decisions("out"))
    assert int(found.packets.sum()) == recording.packets


@pytest.mark.parametrize(("threads", "piece"), [(1, 1), (1, 4), (2, 1), (2, 3), (3, None), (None, None)])
def test_pieces_and_threads_change_nothing(whole, image, spikes, labels, threads, piece):
    found = s2nir.evaluate(image, (spikes, labels), threads=threads, piece=piece)
    assert found == whole
    assert found.to_dict() == whole.to_dict()


@pytest.mark.parametrize("piece", [None, 1, 4])
def test_a_cluster_changes_nothing(whole, image, spikes, labels, client, piece):
    assert s2nir.evaluate(image, (spikes, labels), client, piece=piece) == whole


def test_an_image_that_workers_open_changes_nothing(whole, image, spikes, labels, client, tmp_path):
    for name in ("net.s2.h5", "net.s2"):
        image.save(tmp_path / name)
        assert s2nir.evaluate(tmp_path / name, (spikes, labels), client, piece=2) == whole
        assert s2nir.evaluate(str(tmp_path / name), (spikes, labels), threads=2) == whole


def test_what_spikes_stand_in_changes_nothing(whole, image, spikes, labels, tmp_path):
    step = np.argwhere(spikes > 0)
    times = np.repeat(step, spikes[tuple(step.T)], axis=0)
    order = np.random.default_rng(0).permutation(len(times))
    sample, at, index = times[order].T
    events = s2nir.Events(step=at, index=index, sample=sample, steps=STEPS, samples=N)
    np.save(tmp_path / "x.npy", spikes)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for given in (events, {"in": spikes}, {"in": events}, spikes.astype(float), mapped, spikes.tolist()):
        assert s2nir.evaluate(image, (given, labels), threads=1, piece=3) == whole
    seen = spikes > 0
    assert s2nir.evaluate(image, seen, piece=2) == s2nir.evaluate(image, seen.astype(int), piece=5)


def test_two_inputs_in_two_forms(client):
    ways = [s2nir.Connect(source=n, target="a", rule=s2nir.rules.OneToOne(), weight=0.7) for n in ("in", "other")]
    graph = s2nir.build({"in": 3, "other": 3, "a": s2nir.Neurons(shape=3, tau=0.005, r=5.0)}, ways, dt=1e-3)
    image = s2nir.compile(s2nir.quantize(graph))
    x = np.random.default_rng(1).integers(0, 2, (2, 6, 20, 3)).astype(np.uint8)
    sample, step, index = np.nonzero(x[1])
    events = s2nir.Events(step=step, index=index, sample=sample, steps=20, samples=6)
    whole = s2nir.evaluate(image, {"in": x[0], "other": x[1]}, piece=6)
    assert s2nir.evaluate(image, {"in": x[0], "other": events}, client, piece=2) == whole
    short = s2nir.Events(step=step, index=index, sample=sample, steps=21, samples=6)
    with pytest.raises(s2nir.S2NirError, match=r"inputs differ in .*\(6, 20\), \(6, 21\)"):
        s2nir.evaluate(image, {"in": x[0], "other": short})
    with pytest.raises(s2nir.S2NirError, match=r"'third'. is given but is no input"):
        s2nir.evaluate(image, {"in": x[0], "other": events, "third": events})


def test_recordings_become_frames_on_the_workers(client):
    ways = [s2nir.Connect(source="in", target="a", rule=s2nir.rules.FixedIndegree(indegree=40), weight=0.5)]
    graph = s2nir.build({"in": (2, 16, 16), "a": s2nir.Neurons(shape=11, tau=0.05, r=5.0)}, ways, dt=0.02)
    image = s2nir.compile(s2nir.quantize(graph))
    recordings = synthetic_gestures(2, seed=5)
    x, y = s2nir.data.frames(recordings, tick_us=20_000, steps=20, size=16)
    whole = s2nir.evaluate(image, (x, y), threads=1)
    assert whole.spikes["a"].sum() > 0
    assert s2nir.evaluate(image, recordings, frames={"steps": 20}, threads=2, piece=1) == whole
    assert s2nir.evaluate(image, recordings, client, frames={"steps": 20, "tick_us": 20_000}) == whole
    for options, words in ((None, "'steps' is missing"), ({"step": 20}, "no option 'step'; allowed are clamp"),
                           ({"steps": 20, "size": 32}, "size: found 32, the network's input has 16"),
                           ({"steps": 0}, "frames.steps: found 0")):
        with pytest.raises(s2nir.S2NirError, match=words):
            s2nir.evaluate(image, recordings, frames=options)
    with pytest.raises(s2nir.S2NirError, match="holds no recordings"):
        s2nir.evaluate(image, recordings.subset([]), frames={"steps": 20})
    with pytest.raises(s2nir.S2NirError, match="frames: these are the options of"):
        s2nir.evaluate(image, x, frames={"steps": 20})


def test_copies_and_noise(spikes):
    drive = s2nir.Poisson(rate=200.0, weight=0.5, seed=9)
    ways = [s2nir.Connect(source="in", target="a", rule=s2nir.rules.OneToOne(), weight=0.7)]
    graph = s2nir.build({"in": 5, "a": s2nir.Neurons(shape=5, tau=0.005, r=5.0, drive=drive)}, ways, dt=1e-3)
    network = s2nir.quantize(graph)
    one, three = s2nir.compile(network), s2nir.compile(network, copies=3)
    noise = list(range(N))
    recording = s2nir.run(one, spikes, noise=noise)
    found = s2nir.evaluate(one, spikes, piece=2, threads=2, noise=noise)
    assert np.array_equal(found.spikes["a"], recording.counts["a"].sum(axis=1))
    assert found != s2nir.evaluate(one, spikes, noise=1)
    whole = s2nir.evaluate(three, spikes, piece=N, threads=1)
    assert s2nir.evaluate(three, spikes, piece=2, threads=2) == whole
    assert np.array_equal(whole.spikes["a"], s2nir.evaluate(one, spikes).spikes["a"])
    with pytest.raises(s2nir.S2NirError, match="found 11 numbers, needed one for an image of 3 copies"):
        s2nir.evaluate(three, spikes, noise=noise)
    alone = s2nir.build({"a": s2nir.Neurons(shape=5, tau=0.005, r=5.0, drive=drive)}, [], dt=1e-3)
    by_itself = s2nir.evaluate(s2nir.compile(s2nir.quantize(alone)), 40)
    assert by_itself.recordings == 1
    assert by_itself.spikes["a"].sum() > 0


def test_progress_counts_recordings(image, spikes, client):
    for options in ({"threads": 2}, {"client": client}):
        said = []
        s2nir.evaluate(image, spikes, piece=2, progress=said.append, **options)
        assert said[-1] == N
        assert len(said) == 6
        assert said == sorted(said)


def test_pieces_are_made_as_they_are_taken(image, monkeypatch):
    """Of a hundred pieces, few are ahead of those that came back."""
    from s2nir.cluster.dataset import Dataset

    ahead, taken, lock = [0], [0], threading.Lock()
    part = Dataset.part

    def counted(self, first, end):
        with lock:
            taken[0] += 1
        return part(self, first, end)

    def done(finished):
        ahead[0] = max(ahead[0], taken[0] - finished)

    monkeypatch.setattr(Dataset, "part", counted)
    s2nir.evaluate(image, np.zeros((100, 4, 5), np.uint8), piece=1, threads=2, progress=done)
    assert taken[0] == 100
    assert 0 < ahead[0] <= 5


def test_threads_decode_an_image_once(spikes, monkeypatch):
    run = importlib.import_module("s2nir.emulate.run")
    decode, calls = run.decode, []

    def slowly(image):
        calls.append(image)
        time.sleep(0.05)
        return decode(image)

    monkeypatch.setattr(run, "decode", slowly)
    s2nir.evaluate(s2nir.compile(s2nir.quantize(chain(hidden=9))), spikes, threads=4, piece=1)
    assert len(calls) == 1


def test_each_worker_is_sent_the_image_once(image, spikes, client, monkeypatch):
    came = []

    def arrives(self, state):
        came.append(self)
        self.__dict__.update(state)

    monkeypatch.setattr(s2nir.MachineImage, "__setstate__", arrives, raising=False)
    s2nir.evaluate(image, spikes, client, piece=1)
    assert len(came) <= 1 + 2  # the scheduler, which holds it, and each worker


def test_pieces_are_bounded_and_whole_rounds():
    class P:
        name, shape = "in", (1000,)

    data = dataset(np.zeros((500, 100, 1000), np.uint8), [P], None, {}, None)
    assert {b - a for a, b in itertools.islice(data.pieces(None, 1, 1), 3)} == {64}
    assert next(data.pieces(None, 7, 1)) == (0, 70)
    assert next(data.pieces(None, 1, 8)) == (0, 16)
    assert list(data.pieces(400, 1, 1)) == [(0, 400), (400, 500)]
    large = dataset(np.zeros((3, 9000, 1000), np.uint8), [P], None, {}, None)
    assert list(large.pieces(None, 1, 1)) == [(0, 1), (1, 2), (2, 3)]


def test_what_is_refused(image, spikes, labels, tmp_path):
    for data, words in (
        ((spikes, labels[1:]), r"labels: found int64 \(10,\), needed 11 whole numbers"),
        ((spikes, labels + 2), r"labels: found [34] at recording \d+, allowed 0\.\.2, the neurons of output 'out'"),
        ((spikes, labels * 0.5), "labels: found float64"),
        ((spikes, [[0], [1, 2]]), "labels: needed 11 whole numbers"),
        (spikes[..., 1:], r"found shape \(11, 25, 4\)"),
        ({"input": spikes}, "is not given; the inputs are in"),
    ):
        with pytest.raises(s2nir.S2NirError, match=words):
            s2nir.evaluate(image, data)
    late = spikes.astype(np.int64)
    late[7, 2, 1] = 300
    with pytest.raises(s2nir.S2NirError, match=r"spikes\['in'\] at .* \(7, 2, 1\): found 300"):
        s2nir.evaluate(image, late, piece=3, threads=1)
    for options, words in (({"threads": 0}, "threads: found 0"), ({"piece": 0}, "piece: found 0"),
                           ({"noise": [1]}, "noise: found 1 numbers")):
        with pytest.raises(s2nir.S2NirError, match=words):
            s2nir.evaluate(image, spikes, **options)
    with pytest.raises(s2nir.S2NirError, match="evaluate: found an int, needed a MachineImage"):
        s2nir.evaluate(3, spikes)
    with pytest.raises(s2nir.S2NirError, match="there is no such file"):
        s2nir.evaluate(tmp_path / "none.s2.h5", spikes)


def test_clients_that_are_none(image, spikes, client):
    with pytest.raises(s2nir.S2NirError, match=r"client: found a str, needed distributed\.Client"):
        s2nir.evaluate(image, spikes, "tcp://127.0.0.1:8786")
    with pytest.raises(s2nir.S2NirError, match="threads: found 2 and a client"):
        s2nir.evaluate(image, spikes, client, threads=2)
    import distributed

    with (
        distributed.LocalCluster(processes=False, n_workers=0, dashboard_address=":0") as empty,
        distributed.Client(empty) as nobody,
        pytest.raises(s2nir.S2NirError, match=r"has no workers\. Start one with `dask worker"),
    ):
        s2nir.evaluate(image, spikes, nobody)


def test_an_error_comes_back_from_a_worker(image, spikes, client, tmp_path):
    late = spikes.astype(np.int64)
    late[7, 2, 1] = 300
    with pytest.raises(s2nir.S2NirError, match=r"\(7, 2, 1\): found 300"):
        s2nir.evaluate(image, late, client, piece=1)


@pytest.mark.parametrize("piece", [1, 3, N])
def test_an_error_counts_recordings_of_the_data_set(image, spikes, client, piece):
    """Whichever piece fails first."""
    bad = spikes.astype(int)
    bad[5, 3, 1], bad[9, 0, 0] = 300, 301
    times = np.repeat(np.argwhere(bad), bad[bad > 0], axis=0)
    events = s2nir.Events(sample=times[:, 0], step=times[:, 1], index=times[:, 2], steps=STEPS, samples=N)
    for given, by in itertools.product((bad, events), (None, client)):
        with pytest.raises(InputError, match=r"at \(batch, step, source\) \(5, 3, 1\): found 300"):
            s2nir.evaluate(image, given, by, piece=piece)


def test_of_parts_that_fail_the_first_one_is_told():
    third = threading.Event()

    def call(k):
        if k == 1:
            third.wait(60)  # fails after the third has failed
        if k == 2:
            third.set()
        if k:
            raise InputError(f"part {k}")

    with workers(None, 3) as by, pytest.raises(InputError, match="part 1"):
        list(each(by, call, ((k,) for k in range(4))))


def test_a_client_that_is_closed_and_a_pair_that_is_a_list(image, spikes, labels):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as closed:
        pass
    with pytest.raises(s2nir.S2NirError, match=r"client: found one that is closed\. Make a new one"):
        s2nir.evaluate(image, spikes, closed)
    with pytest.raises(InputError, match=r"found a list of two, needed \(spikes, labels\) as a tuple"):
        s2nir.evaluate(image, [spikes, labels])
    with pytest.raises(InputError, match=r"found a list, needed numbers in an array"):
        s2nir.evaluate(image, [[[0] * 5, [1]], [1, 0]])
    with pytest.raises(InputError, match=r"found 'x\.npy', needed numbers in an array\. Of a path, pass numpy\.load"):
        s2nir.evaluate(image, "x.npy")


def test_progress_is_a_function(graph, image, spikes):
    for call in (lambda p: s2nir.evaluate(image, spikes, progress=p), lambda p: s2nir.run(image, spikes, progress=p),
                 lambda p: s2nir.compare(graph, image, spikes, progress=p),
                 lambda p: s2nir.sweep(graph, spikes, {"bits": [8]}, progress=p)):
        with pytest.raises(InputError, match="progress: found 5, needed a function that is told how far it is"):
            call(5)
        told = []
        call(told.append)
        assert told


def test_errors_survive_the_way_between_processes():
    from s2nir import errors

    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, s2nir.S2NirError):
            made = kind("rule", "words") if kind is errors.UnsupportedError else kind("words", "rule", ("a", 1.0, 2.0))
            back = pickle.loads(pickle.dumps(made))
            assert type(back) is kind
            assert (str(back), back.rule, back.lack) == (str(made), made.rule, made.lack)


def test_without_dask_the_extra_is_named(image, spikes, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(s2nir.S2NirError, match=r"pip install 's2nir\[cluster\]'"):
        s2nir.evaluate(image, spikes, object())
    assert s2nir.evaluate(image, spikes, threads=1).recordings == N


def test_it_prints(whole):
    lines = str(whole).splitlines()
    assert lines[0].startswith(f"Evaluation of image {whole.image[:12]}: 11 recordings of 25 steps, ")
    rate = whole.spikes["hidden"].sum() / (N * STEPS * 6)
    assert lines[2] == f"  hidden: {whole.spikes['hidden'].sum():,} spikes, {rate:.5f} per neuron and step"
    assert lines[-1].startswith("  accuracy at out: ")
    assert json.loads(json.dumps(whole.to_dict()))["recordings"] == N
    with pytest.raises(ValueError, match="read-only"):
        whole.packets[0] = 1


GRID = {"bits": [8, 2, 9], "per": ["channel", "population"]}


@pytest.fixture(scope="module")
def table(graph, spikes, labels):
    return s2nir.sweep(graph, (spikes, labels), GRID)


def test_a_sweep_is_its_points_one_by_one(table, graph, spikes, labels):
    assert [tuple(r["options"].values()) for r in table.rows] == list(itertools.product(*GRID.values()))
    for row in table.rows[:4]:
        image = s2nir.compile(s2nir.quantize(graph, s2nir.PTQ(**row["options"])))
        found = s2nir.evaluate(image, (spikes, labels)).to_dict()
        assert row["fits"]
        assert all(row[k] == found[k] for k in ("image", "accuracy", "spikes", "rates", "packets", "synaptic_events"))
        assert (row["cores"], row["lag"]) == (image.neuron_cores, image.lag)
    assert table.rows[0]["image"] != table.rows[2]["image"]
    for row in table.rows[4:]:
        assert row == row | {"fits": False, "error": "QuantizeError", "rule": ""}
        assert set(row) == {"options", "fits", "error", "rule", "why"}
        assert "bits" in row["why"]


def test_a_sweep_is_the_same_on_any_workers(table, graph, spikes, labels, client):
    assert s2nir.sweep(graph, (spikes, labels), GRID, threads=2) == table
    assert s2nir.sweep(graph, (spikes, labels), GRID, client) == table
    points = [dict(zip(GRID, v, strict=True)) for v in itertools.product(*GRID.values())]
    assert s2nir.sweep(graph, (spikes, labels), points).rows == table.rows
    assert s2nir.sweep(graph, (spikes, labels), points[::-1]).rows == table.rows[::-1]


def test_what_does_not_fit_is_a_row_with_its_rule(spikes):
    graph = chain(hidden=3000)
    narrow = s2nir.SpiNNaker2(reserved=150)
    found = s2nir.sweep(graph, spikes, {"machine": [s2nir.SpiNNaker2(), narrow], "window": [8192, None]}).rows
    assert [r["fits"] for r in found].count(False) >= 1
    for row in found:
        if not row["fits"]:
            with pytest.raises(s2nir.S2NirError) as error:
                s2nir.compile(s2nir.quantize(graph), machine=narrow)
            assert row["error"] == type(error.value).__name__
    assert "reserved=150" in found[-1]["options"]["machine"]


def test_a_sweep_prints(table):
    lines = str(table).splitlines()
    assert lines[0] == "6 points"
    assert lines[1].split() == ["bits", "per", "accuracy", "out", "spikes", "cores", "SRAM", "bytes", "fits"]
    assert lines[2].split()[:2] == ["8", "channel"]
    assert "QuantizeError" in lines[6]
    assert [json.loads(line) for line in table.to_json().splitlines()] == list(table.rows)


def test_a_stopped_sweep_goes_on(table, graph, spikes, labels, tmp_path, monkeypatch):
    file = tmp_path / "rows.jsonl"

    def stop(done):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        s2nir.sweep(graph, (spikes, labels), GRID, file=file, progress=stop)
    assert len(file.read_text().splitlines()) == 3
    from s2nir.cluster import sweeps

    made, one_point = [], sweeps.one_point
    monkeypatch.setattr(sweeps, "one_point", lambda *a: made.append(a) or one_point(*a))
    assert s2nir.sweep(graph, (spikes, labels), GRID, file=file) == table
    assert len(made) == 4
    kept = file.read_bytes()
    assert s2nir.sweep(graph, (spikes, labels), GRID, file=file) == table
    assert len(made) == 4
    assert file.read_bytes() == kept
    more = s2nir.sweep(graph, (spikes, labels), {"bits": [4, 8], "per": ["channel"]}, file=file)
    assert len(made) == 5
    assert more.rows[1] == table.rows[0]
    kept = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert kept[:2] == list(more.rows)  # those of this grid first, in its order
    assert kept[2:] == list(table.rows[1:])


def test_a_file_of_another_sweep_is_refused(graph, spikes, labels, tmp_path):
    file = tmp_path / "rows.jsonl"
    s2nir.sweep(graph, (spikes, labels), {"bits": [8]}, file=file)
    for data, options, words in (
        ((spikes, labels[::-1]), {}, r"\(data differ\)"), ((spikes, labels), {"per": "channel"}, r"\(options differ\)"),
        ((spikes, labels), {"like": "py-spinnaker2"}, r"\(like differ\)"),
    ):
        with pytest.raises(s2nir.S2NirError, match=f"holds another sweep {words}"):
            s2nir.sweep(graph, data, {"bits": [8]}, file=file, **options)
    good = file.read_text()
    for text, words in (("", "line 1: is no JSON object"), (good + "{\n", "line 3: is no JSON object"),
                        (good + "{}\n", "line 3: is no row of a sweep")):
        file.write_text(text)
        with pytest.raises(s2nir.S2NirError, match=words):
            s2nir.sweep(graph, (spikes, labels), {"bits": [8]}, file=file)


def test_what_a_sweep_refuses(graph, spikes):
    for points, options, words in (
        ({"bit": [8]}, {}, "no stage has an option 'bit'; did you mean 'bits'"),
        ({"bits": 8}, {}, r"points\['bits'\]: found 8, needed the values to try"),
        ({"bits": []}, {}, r"points\['bits'\]: found \[\]"),
        ([], {}, r"points: found \[\], needed"),
        ({"record": ["spikes"]}, {}, "'record' is no option of a point"),
        ({"bits": [8]}, {"into": "x.s2"}, "'into' is no option of a point"),
        ({"bits": [8]}, {"like": "board"}, "like: found 'board'"),
    ):
        with pytest.raises(s2nir.S2NirError, match=words):
            s2nir.sweep(graph, spikes, points, **options)


@pytest.fixture
def files(graph, image, spikes, labels, tmp_path, monkeypatch):
    """An image, a NIR file, spikes and labels in a folder."""
    monkeypatch.chdir(tmp_path)
    image.save("net.s2.h5")
    nir.write("net.nir", s2nir.to_nir(graph))
    np.save("x.npy", spikes)
    np.save("y.npy", labels)


def said(capsys, *words):
    """Exit code and the JSON object."""
    capsys.readouterr()
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_command_evaluate(files, whole, client, capsys):
    for where in ((), ("--threads", "2"), ("--threads", "1", "--piece", "3"),
                  ("--scheduler", client.scheduler.address)):
        code, found = said(capsys, "evaluate", "net.s2.h5", "x.npy", "--labels", "y.npy", *where)
        assert code == 0
        assert found == {"command": "evaluate", "file": "net.s2.h5", "data": "x.npy", **whole.to_dict()}
    assert main(["evaluate", "net.s2.h5", "x.npy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == str(whole).splitlines()[:-1]
    np.save("y.npy", np.zeros(3, int))
    code, found = said(capsys, "evaluate", "net.s2.h5", "x.npy", "--labels", "y.npy")
    assert code == 3
    assert "labels: found int64 (3,), needed 11" in found["error"]["message"]
    assert said(capsys, "evaluate", "none.s2.h5", "x.npy")[0] == 3
    for words, message in ((("net.nir", "x.npy"), "net.nir is no image; make one with `s2nir map"),
                           (("net.s2.h5", "x.npy", "--threads", "1", "--scheduler", "a"), "not allowed with")):
        with pytest.raises(SystemExit, match="2"):
            main(["evaluate", *words])
        assert message in capsys.readouterr().err


def test_the_command_finds_no_scheduler(files, capsys, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("s2nir.cluster.workers.WAIT_S", 0.5)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # a port that nobody answers at
        address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        code, found = said(capsys, "evaluate", "net.s2.h5", "x.npy", "--scheduler", address)
    assert code == 1
    assert "scheduler: nothing answers at 'tcp://127.0.0.1:" in found["error"]["message"]


def test_the_command_sweep(files, spikes, labels, client, capsys):
    table = s2nir.sweep(s2nir.load("net.nir"), (spikes, labels), GRID)
    over = ("--over", "bits=8,2,9", "--over", "per=channel,population")
    for where in ((), ("--threads", "2"), ("--scheduler", client.scheduler.address), ("-o", "rows.jsonl")):
        code, found = said(capsys, "sweep", "net.nir", "x.npy", "--labels", "y.npy", *over, *where)
        assert code == 0
        assert found["rows"] == list(table.rows)
    assert len(Path("rows.jsonl").read_text().splitlines()) == 7
    assert main(["sweep", "net.nir", "x.npy", "--labels", "y.npy", *over, "-o", "rows.jsonl"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "net.nir, 6 points"
    assert lines[1:7] == str(table).splitlines()[1:7]
    assert lines[-1] == "written: rows.jsonl"
    assert said(capsys, "sweep", "net.nir", "x.npy", "--over", "percentile=auto", "--calibration", "x.npy")[0] == 0
    code, found = said(capsys, "sweep", "net.nir", "x.npy", "--over", "bit=8")
    assert code == 1
    assert "no stage has an option 'bit'" in found["error"]["message"]
    for words, message in ((("net.nir", "x.npy", "--over", "bits"), "needed NAME=VALUE,VALUE as in bits=8,6,4"),
                           (("net.nir", "x.npy", "--over", "bits=8,,4"), "needed NAME=VALUE,VALUE"),
                           (("net.nir", "x.npy", "--over", "bits=8", "--over", "bits=4"), "give each option once"),
                           (("net.s2.h5", "x.npy", "--over", "bits=8"), "net.s2.h5 is an image")):
        with pytest.raises(SystemExit, match="2"):
            main(["sweep", *words])
        assert message in capsys.readouterr().err


@pytest.fixture
def shapes():
    """An image that takes a few milliseconds for a recording, and data."""
    return s2nir.compile(s2nir.quantize(s2nir.load(s2nir.data.shapes_network()))), moving_shapes(60, seed=7)


@contextmanager
def processes(folder, failures=3):
    """A client of two processes; failures : workers that may die over a task"""
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": failures,
                         "distributed.comm.timeouts.connect": "5s"}),  # who asks a dead worker waits so long
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0",
                                 local_directory=str(folder)) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("killed", [1, 2])
def test_workers_that_are_killed_change_nothing(killed, shapes, tmp_path):
    """Of two; with both, what they shared is gone too."""
    image, (x, y) = shapes
    whole = s2nir.evaluate(image, (x, y), threads=1)
    with processes(tmp_path) as client:
        before = set(client.run(os.getpid).values())
        victims = list(before)[:killed]

        def kill(done):
            while victims and done >= 0.3 * len(x):
                os.kill(victims.pop(), signal.SIGKILL)

        assert s2nir.evaluate(image, (x, y), client, piece=2, progress=kill) == whole
        assert not victims
        client.wait_for_workers(2, timeout=60)
        after = set(client.run(os.getpid).values())
        assert len(before & after) == 2 - killed


@pytest.mark.slow
def test_a_piece_that_kills_its_worker_ends_it(tmp_path):
    with processes(tmp_path, failures=0) as client:
        with workers(client, None) as by, pytest.raises(s2nir.S2NirError, match="client: workers died over a piece"):
            list(each(by, os._exit, [(1,)]))
        client.wait_for_workers(2, timeout=60)  # a cluster that is closed while a worker starts waits for it
