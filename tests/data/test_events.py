"""Functions on event arrays: equal to tonic's transforms, event by event, and sentences where an array is wrong."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2nir import S2NirError
from s2nir.data import EVENT, augment, bin_frames, crop, denoise, downsample, in_order, make_events

SIDE = 6


@st.composite
def event_arrays(draw, least=1):
    n = draw(st.integers(least, 60))
    pixel = st.integers(0, SIDE - 1)
    gaps = draw(st.lists(st.sampled_from([0, 0, 1, 3, 500, 4_000, 9_999, 10_000, 30_000]), min_size=n, max_size=n))
    columns = [draw(st.lists(kind, min_size=n, max_size=n)) for kind in (pixel, pixel, st.booleans())]
    return make_events(columns[0], columns[1], np.cumsum(gaps), columns[2])


@pytest.fixture(scope="module")
def transforms():
    return pytest.importorskip("tonic.transforms")


def test_the_dtype_is_tonics():
    io = pytest.importorskip("tonic.io")
    assert io.events_struct == EVENT


@settings(max_examples=200, deadline=None)  # the first example waits for the compiler
@given(events=event_arrays(), filter_time=st.sampled_from([1, 2, 1_000, 10_000, 25_000]))
def test_denoise_is_tonics(transforms, events, filter_time):
    kept = denoise(events, filter_time, sensor=(SIDE, SIDE))
    assert np.array_equal(kept, transforms.Denoise(filter_time=filter_time)(events))


@given(events=event_arrays(), factor=st.sampled_from([1, 0.5, 0.25, 1 / 3, 0.7]))
def test_downsample_is_tonics(transforms, events, factor):
    before = events.copy()
    assert np.array_equal(downsample(events, factor), transforms.Downsample(spatial_factor=factor)(events))
    assert np.array_equal(events, before)


@given(events=event_arrays(), tick=st.sampled_from([1, 500, 1_000, 7_919]), steps=st.integers(1, 40))
def test_bins_are_tonics(transforms, events, tick, steps):
    ours = bin_frames(events, tick_us=tick, steps=steps, size=(SIDE, SIDE))
    to_frame = transforms.ToFrame(
        sensor_size=(SIDE, SIDE, 2), time_window=tick, start_time=0, end_time=tick * steps
    )
    assert np.array_equal(ours, to_frame(events))
    assert np.array_equal(bin_frames(events, tick_us=tick, steps=steps, size=SIDE, clamp=1), ours > 0)


def test_all_of_it_on_a_longer_recording(transforms, some_events):
    events = some_events(20_000, last=400_000)
    kept = denoise(events)
    assert 0 < kept.size < events.size
    assert np.array_equal(kept, transforms.Denoise(filter_time=10_000)(events))
    small = downsample(kept, 0.25)
    assert np.array_equal(small, transforms.Downsample(spatial_factor=0.25)(kept))
    frames = bin_frames(small, tick_us=1000, steps=400, size=32)
    assert np.array_equal(
        frames, transforms.ToFrame(sensor_size=(32, 32, 2), time_window=1000, start_time=0, end_time=400_000)(small)
    )


def test_channel_1_is_on_and_the_last_tick_is_open():
    events = make_events([2, 2, 3, 0], [1, 1, 0, 0], [0, 999, 1000, 3000], [1, 1, 0, 1])
    counts = bin_frames(events, tick_us=1000, steps=3, size=(2, 4))
    assert counts.dtype == np.uint8
    assert counts.shape == (3, 2, 2, 4)
    assert counts[0, 1, 1, 2] == 2
    assert counts[1, 0, 0, 3] == 1
    assert counts.sum() == 3
    many = make_events(np.zeros(300), np.zeros(300), np.zeros(300), np.zeros(300))
    assert bin_frames(many, tick_us=1, steps=1, size=1)[0, 0, 0, 0] == 255
    assert bin_frames(many, tick_us=1, steps=1, size=1, clamp=9)[0, 0, 0, 0] == 9


def test_crop_counts_times_from_its_begin(some_events):
    events = some_events(500)
    part = crop(events, 200_000, 300_000)
    inside = (events["t"] >= 200_000) & (events["t"] < 300_000)
    assert np.array_equal(part["t"], events["t"][inside] - 200_000)
    assert np.array_equal(part["x"], events["x"][inside])
    with pytest.raises(S2NirError, match=r"found 5\.\.5 us, allowed 0 <= start < stop"):
        crop(events, 5, 5)


def test_no_events_are_a_recording_too():
    none = make_events([], [], [], [])
    assert denoise(none).size == downsample(none, 0.5).size == crop(none, 0, 1).size == 0
    assert augment(none, np.random.default_rng(0)).size == 0
    assert bin_frames(none, tick_us=1, steps=2, size=3).sum() == 0


def test_augment_changes_a_little_and_stays_a_recording(some_events):
    events = some_events(4000)
    changed = augment(events, np.random.default_rng(1), shift=8, jitter_us=2000, drop=0.1)
    assert np.array_equal(changed, augment(events, np.random.default_rng(1), shift=8, jitter_us=2000, drop=0.1))
    assert 0.75 * events.size < changed.size < events.size
    assert (np.diff(changed["t"]) >= 0).all()
    assert changed["t"].min() >= 0
    assert 0 <= changed["x"].min() <= changed["x"].max() < 128
    same = augment(events, np.random.default_rng(1), shift=0, jitter_us=0, drop=0)
    assert np.array_equal(same, events)
    shifts = {
        (int(s["x"][0]) - 64, int(s["y"][0]) - 64)
        for k in range(200)
        for s in [augment(make_events([64], [64], [0], [1]), np.random.default_rng(k), shift=1, drop=0)]
    }
    assert len(shifts) == 9
    with pytest.raises(S2NirError, match="allowed are shift and jitter_us from 0, drop from 0 to below 1"):
        augment(events, np.random.default_rng(1), drop=1.0)


def test_what_is_no_recording_is_refused(some_events):
    events = some_events(50)
    late = events.copy()
    late["t"][3] = late["t"][10]
    early = events.copy()
    early["t"] -= 1_000_000
    for wrong, words in (
        (late, "events.t: event 4 "),
        (early, "events.t: found -"),
        (make_events([128], [0], [0], [0]), "events.x: found 128..128, allowed 0..127"),
        (make_events([0], [-1], [0], [0]), "events.y: found -1..-1, allowed 0..127"),
        (np.zeros((5, 4)), "found float64 (5, 4), needed s2nir.data.EVENT (events). Use read_events or make_events."),
        ([1, 2], "events: found list, needed s2nir.data.EVENT"),
    ):
        with pytest.raises(S2NirError, match=re.escape(words)):
            denoise(wrong)
        with pytest.raises(S2NirError, match=re.escape(words)):
            bin_frames(wrong, tick_us=1, steps=1, size=128)
    assert np.array_equal(denoise(in_order(late)), denoise(late[np.argsort(late["t"], kind="stable")]))


@pytest.mark.parametrize(
    "wrong", [{"tick_us": 0}, {"steps": 0}, {"size": 0}, {"size": (4, 0)}, {"steps": 1 << 30}, {"size": 1 << 20}]
)
def test_wrong_bins_are_refused(wrong):
    with pytest.raises(S2NirError, match="allowed are tick_us from 1, steps from 1 to 1048576, size from 1 to 4096"):
        bin_frames(make_events([], [], [], []), **{"tick_us": 1, "steps": 1, "size": 4} | wrong)


@pytest.mark.parametrize(("column", "value", "words"), [
    ("t", np.array([2.0**63]), "found 9.223372036854776e+18"), ("t", np.array([2**63], np.uint64), "found 922"),
    ("x", np.array([65543]), "found 65543..65543, allowed -32768..32767"), ("y", [40000], "found 40000"),
    ("p", [2], "found 2..2, allowed 0..1"), ("t", [0.5], "found values that are not whole numbers"),
    ("t", [np.nan], "found values that are not whole numbers"), ("x", ["a"], "found <U1 (1,), needed numbers"),
    ("x", [1, 2], "found 2 values for 1 times"),
])
def test_columns_that_would_wrap_are_refused(column, value, words):
    with pytest.raises(S2NirError, match=re.escape(f"make_events.{column}: {words}")):
        make_events(**{"x": [1], "y": [1], "t": [1], "p": [1]} | {column: value})


def test_wrong_options_are_refused(some_events):
    events = some_events(5)
    with pytest.raises(S2NirError, match=r"clamp: found 0, allowed 1 to 255, or None"):
        bin_frames(events, tick_us=1, steps=1, size=128, clamp=0)
    with pytest.raises(S2NirError, match=r"filter_time: found 0, allowed from 1 us"):
        denoise(events, 0)
    with pytest.raises(S2NirError, match=r"factor: found 2, allowed above 0 to 1"):
        downsample(events, 2)
