"""Streams that are kept in a folder: closed segments, sources of every kind, kills, and memory that does not grow."""

import json
import resource
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import s2nir
from emulate import kills
from emulate.test_decode import small
from s2nir.data import EVENT, EventSteps, bin_frames, make_events
from s2nir.emulate import Kept
from s2nir.errors import InputError, S2NirError


@pytest.fixture(scope="module")
def image():
    return kills.image()


@pytest.fixture(scope="module")
def steps():
    return np.stack(list(kills.source(0)))


def files(folder):
    return {p.name: {k: v.tobytes() for k, v in np.load(p).items()} for p in sorted(folder.iterdir())}


def test_what_is_kept_is_the_run(image, steps, tmp_path):
    whole = s2nir.run(image, steps, record=("spikes", "voltages"), noise=9)
    seen = []
    kept = image.stream(("spikes", "voltages"), noise=9).keep(kills.source, tmp_path / "k", 20, seen.append)
    assert kept.done
    assert kept.ticks == whole.ticks == 1_500 + image.lag
    assert seen == list(range(20, 1_501, 20))
    for name in ("a", "b"):
        assert np.array_equal(np.concatenate([t.spikes(name) for t in kept]), whole.raw_spikes(name)[0])
        assert np.array_equal(np.concatenate([t.voltages(name) for t in kept]), whole.raw_voltages(name)[0])
    assert whole.raw_spikes("b").any()
    again = Kept(image, tmp_path / "k")
    assert all(np.array_equal(x, y) for x, y in zip(
        (np.concatenate(c) for c in zip(*(t.events for t in again), strict=True)), whole.events[0], strict=True))
    assert "1503 ticks in 76 segments, whole" in repr(again)


def test_what_would_mix_recordings_is_refused(image, steps, tmp_path):
    short = list(steps[:60])
    with pytest.raises(InputError, match=r"keep, from step 60 of the source on: spikes\['in'\]: found shape"):
        image.stream().keep(iter([*short, np.zeros(7)]), tmp_path / "k", 20)
    with pytest.raises(InputError, match=r"from step 33 of the source on: .*\(0, 0, 0\): found 300"):
        image.stream().keep(iter([*short[:33], np.full_like(short[0], 300, np.int64)]), tmp_path / "other", 20)
    was = files(tmp_path / "k")
    assert len(was) == 4
    with pytest.raises(InputError, match=r"holds voltages of nothing, the stream records those of a, b, c\. Give"):
        image.stream(("spikes", "voltages")).keep(iter(short), tmp_path / "k", 20)
    with pytest.raises(InputError, match=r"source: ends after 40 steps, the folder holds 60\. Give the source from"):
        image.stream().keep(iter(short[:40]), tmp_path / "k", 20)
    assert files(tmp_path / "k") == was
    assert image.stream().keep(iter(short), tmp_path / "k", 20).done
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"full holds 'notes\.txt' and no recording"):
        image.stream().keep(iter(short), tmp_path / "full", 20)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("form", ["steps", "several", "uneven", "dicts", "function"])
def test_every_kind_of_source_gives_the_same(image, steps, tmp_path, form):
    cuts = np.split(steps, [1, 8, 33, 34, 400])
    sources = {
        "steps": iter(steps), "several": iter(np.split(steps, 30)), "uneven": cuts,
        "dicts": ({"in": s} for s in steps), "function": lambda first: iter(steps[first:]),
    }
    image.stream(noise=9).keep(kills.source, tmp_path / "want", 50)
    image.stream(noise=9).keep(sources[form], tmp_path / "got", 50)
    assert files(tmp_path / "got") == files(tmp_path / "want")


@pytest.mark.parametrize("stop", [0, 3, 29, 30])
@pytest.mark.parametrize("again", ["function", "iterator"])
def test_a_source_that_fails_is_gone_on_with(image, steps, tmp_path, stop, again):
    def failing():
        yield from steps[: 50 * stop + 7]
        raise OSError("the line is dead")

    with pytest.raises(OSError, match="the line is dead"):
        image.stream(noise=9).keep(failing(), tmp_path / "got", 50)
    half = Kept(image, tmp_path / "got")
    assert (half.ticks, half.done) == (50 * stop, False)
    source = (lambda first: iter(steps[first:])) if again == "function" else steps
    image.stream(noise=9).keep(source, tmp_path / "got", 50)
    image.stream(noise=9).keep(kills.source, tmp_path / "want", 50)
    assert files(tmp_path / "got") == files(tmp_path / "want")


@pytest.mark.parametrize("every", [1, 2, 1_500, 1_501, 1_502])
def test_killed_within_the_drain_it_goes_on_there(image, steps, tmp_path, every):
    assert image.lag == 3
    stream = image.stream(noise=9)
    stream.keep(steps, tmp_path / "want", every)
    want = Kept(image, tmp_path / "want")
    shutil.copytree(tmp_path / "want", tmp_path / "got")
    for name in sorted(p.name for p in (tmp_path / "got").iterdir())[-1:]:
        (tmp_path / "got" / name).unlink()
    with pytest.raises(InputError, match="the stream stands at 1503"):  # its checkpoint is of a segment that is gone
        image.stream(noise=9).keep(steps, tmp_path / "got", every)
    fresh = image.stream(noise=9)  # as it was at the end of the last segment but one
    fresh.feed(steps)
    fresh.ended = 1_500
    fresh.silent(want.ticks - want.last - 1_500)
    fresh.save(tmp_path / "got" / "checkpoint.npz")
    assert not Kept(image, tmp_path / "got").done
    assert image.stream(noise=9).keep(steps, tmp_path / "got", every).done
    assert files(tmp_path / "got") == files(tmp_path / "want")


def test_a_network_without_inputs_runs_for_some_steps(tmp_path):
    neurons = s2nir.Neurons(shape=9, tau=0.01, r=8.0, drive=s2nir.Poisson(rate=300.0, weight=0.4))
    image = s2nir.compile(s2nir.quantize(s2nir.build({"a": neurons}, [], dt=1e-3)))
    kept = image.stream(noise=2).keep(2_500, tmp_path / "k", 999)
    whole = s2nir.run(image, 2_500, noise=2).raw_spikes("a")[0]
    assert np.array_equal(np.concatenate([t.spikes("a") for t in kept]), whole)
    with pytest.raises(InputError, match=r"stream.keep.source: found .*allowed whole steps from 1 up; the network has"):
        image.stream().keep([1], tmp_path / "other")


@pytest.mark.slow
def test_killed_at_random_instants_it_comes_to_the_same_bits(image, tmp_path):
    kills.kept(image, tmp_path / "want")
    counted = {"write": 0, "between": 0, "time": 0}
    for seed in range(8):  # a run that comes to its end is begun anew
        if sum(counted.values()) < 20:
            done = subprocess.run([sys.executable, kills.__file__, tmp_path / "got", str(seed), "20"], check=True,
                                  capture_output=True, text=True, cwd=Path(__file__).parents[1])
            for kind, n in json.loads(done.stdout).items():
                counted[kind] += n
            kills.kept(image, tmp_path / "got")
            assert files(tmp_path / "got") == files(tmp_path / "want")
            shutil.rmtree(tmp_path / "got")
    assert min(counted.values()) >= 2
    assert sum(counted.values()) >= 20


@pytest.mark.slow
def test_a_million_ticks_take_no_more_memory():
    image = small()
    stream = image.stream()
    spikes = (np.random.default_rng(0).random((1_000, *image.inputs[0].shape)) < 0.05).astype(np.uint8)
    for k in range(1_000):
        if k == 20:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stream.feed(spikes)
    assert stream.tick == 1_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB


def test_a_folder_of_something_else_is_refused_and_stays(image, steps, tmp_path):
    image.stream().keep(steps[:50], tmp_path / "k", 20)
    before = files(tmp_path / "k")
    with pytest.raises(InputError, match="is of image"):
        small().stream().keep([], tmp_path / "k")
    (tmp_path / "k" / "ticks-000000000020.npz").rename(tmp_path / "away.npz")
    with pytest.raises(InputError, match=r"found ticks-000000000040.npz where ticks-000000000020.npz was to follow"):
        Kept(image, tmp_path / "k")
    (tmp_path / "away.npz").rename(tmp_path / "k" / "ticks-000000000020.npz")
    assert files(tmp_path / "k") == before
    stream = image.stream()
    stream.feed(steps[:3])
    with pytest.raises(InputError, match=r"holds 0 ticks, the stream stands at 3. Begin with a fresh stream"):
        stream.keep(steps, tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is there and is no folder"):
        image.stream().keep(steps, tmp_path / "file")
    with pytest.raises(InputError, match=r"Kept: there is no folder"):
        Kept(image, tmp_path / "nowhere")


@pytest.mark.parametrize(("source", "said"), [
    (5, "found a int, needed steps one after the other, or a function of the first step"),
    ([np.zeros((2, 3, 6))], "found 2 recordings, needed the steps of one"),
    ([np.zeros(5)], "found shape"),
    ([{"on": np.zeros(6)}], "is not given; the inputs are in"),
])
def test_a_source_that_does_not_fit_is_refused(image, tmp_path, source, said):
    with pytest.raises(S2NirError, match=said):
        image.stream().keep(source, tmp_path / "k")


def events(n=5_000, seed=0, span=400_000):
    r = np.random.default_rng(seed)
    t = np.sort(r.integers(0, span, n))
    return make_events(r.integers(0, 32, n), r.integers(0, 32, n), t, r.integers(0, 2, n))


def saved(found, path):
    if path.suffix == ".npy":
        np.save(path, found)
    elif path.suffix == ".npz":
        np.savez(path, **{k: found[k] for k in "xytp"})
    else:
        import h5py
        with h5py.File(path, "w") as f:
            for k in "xytp":
                f[k] = found[k]
    return path


@pytest.mark.parametrize("kind", [".npy", ".npz", ".h5"])
@pytest.mark.parametrize("first", [0, 1, 150, 399, 1_000])
def test_a_file_is_read_from_any_step_on(tmp_path, kind, first, monkeypatch):
    monkeypatch.setattr("s2nir.data.live.PIECE", 700)
    found = events()
    steps = EventSteps(source=saved(found, tmp_path / f"e{kind}"), dt=1e-3, sensor=(32, 32), factor=0.5)
    pieces = list(steps(first))
    want = bin_frames(s2nir.data.downsample(found, 0.5), tick_us=1000, steps=int(found["t"][-1] // 1000) + 1, size=16)
    got = np.concatenate([np.zeros((0, 2, 16, 16), np.uint8), *pieces])
    assert np.array_equal(got, want[first:])
    assert max((len(p) for p in pieces), default=0) <= 64


def test_a_connection_is_read_as_it_comes(tmp_path):
    found = events(seed=3)
    ours, theirs = socket.socketpair()

    def send():
        raw = found.tobytes()
        for lo in range(0, len(raw), 997):
            theirs.sendall(raw[lo : lo + 997])
        theirs.close()

    thread = threading.Thread(target=send)
    thread.start()
    got = np.concatenate(list(EventSteps(source=ours, dt=1e-3, sensor=(32, 32))(5)))
    thread.join()
    ours.close()
    assert np.array_equal(got, bin_frames(found, tick_us=1000, steps=int(found["t"][-1] // 1000) + 1, size=32)[5:])
    (tmp_path / "raw").write_bytes(found.tobytes()[:-1])
    with (tmp_path / "raw").open("rb") as pipe, pytest.raises(InputError, match="closed within an event, after 12"):
        list(EventSteps(source=pipe, dt=1e-3, sensor=(32, 32))(0))


def test_a_camera_goes_through_a_network_into_a_folder(tmp_path):
    from s2nir.data import shapes_network

    image = s2nir.compile(s2nir.quantize(s2nir.load(shapes_network())))
    found = events(20_000)
    source = EventSteps(source=saved(found, tmp_path / "e.npy"), dt=1e-3, sensor=(32, 32))
    kept = image.stream().keep(source, tmp_path / "k", 64)
    counts = bin_frames(found, tick_us=1000, steps=int(found["t"][-1] // 1000) + 1, size=32)
    whole = s2nir.run(image, counts)
    for p in image.populations:
        if p.kind == "neurons" and p.spikes:
            assert np.array_equal(np.concatenate([t.spikes(p.name) for t in kept]), whole.raw_spikes(p.name)[0])


def test_events_that_do_not_fit_are_refused(tmp_path):
    found = events()
    path = saved(found, tmp_path / "e.npy")
    with pytest.raises(InputError, match=r"EventSteps of .*e.npy: events.x: found 0..31, allowed 0..15"):
        list(EventSteps(source=path, dt=1e-3, sensor=(16, 16))(0))
    back = found[np.r_[2_500:5_000, 0:2_500]]
    twice = EventSteps(source=saved(back, tmp_path / "b.npy"), dt=1e-3, sensor=(32, 32))
    assert sum(int(p.sum()) for p in twice(0)) == 5_000  # sorted, where it is one piece
    with pytest.raises(InputError, match=r"there is no such file"):
        list(EventSteps(source=tmp_path / "no.npy", dt=1e-3)(0))
    with pytest.raises(InputError, match=r"EventSteps.dt: found 0, allowed seconds from 1e-06"):
        EventSteps(source=path, dt=0)
    with pytest.raises(InputError, match=r"EventSteps.dt: found 0.0003333 s, allowed whole microseconds"):
        EventSteps(source=path, dt=0.0003333)
    assert next(EventSteps(source=path, dt=1e-6 * 333, sensor=(32, 32))(0)).shape[1:] == (2, 32, 32)


def test_times_that_run_backwards_between_pieces_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("s2nir.data.live.PIECE", 2_500)
    found = events()
    path = saved(found[np.r_[2_500:5_000, 0:2_500]], tmp_path / "b.npy")
    with pytest.raises(InputError, match=r"EventSteps of .*b.npy: .*(comes ahead of|found step)"):
        list(EventSteps(source=path, dt=1e-3, sensor=(32, 32))(0))


def test_events_are_as_wide_as_the_page_says():
    assert EVENT.itemsize == 13
