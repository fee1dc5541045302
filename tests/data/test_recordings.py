"""Recordings: lazy, frozen, and frames of all of them."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from s2nir import S2NirError
from s2nir.data import Recordings, bin_frames, denoise, downsample, frames, synthetic_gestures


class Fixed:
    """A source that counts how often it is asked."""

    def __init__(self, events):
        self.events, self.asked = events, []

    def __call__(self, place, stop_us=None):
        self.asked.append(place)
        return self.events[place]


@pytest.fixture
def recordings(some_events):
    source = Fixed([some_events(3000, seed=k, last=100_000) for k in range(5)])
    return Recordings(
        name="drawn", synthetic=True, classes=("a", "b"), sensor=(128, 128), labels=np.array([0, 1, 0, 1, 1]),
        source=source, places=np.arange(5),
    )


def test_they_are_read_when_asked_for(recordings):
    assert len(recordings) == 5
    assert recordings.source.asked == []
    events, label = recordings[3]
    assert label == 1
    assert recordings[-2][0] is events
    assert recordings.source.asked == [3, 3]
    assert sum(1 for _ in recordings) == 5
    with pytest.raises(IndexError, match=r"found recording 5, allowed 0\.\.4"):
        _ = recordings[5]
    assert (recordings.read(0, stop_us=50_000)["t"] < 50_000).all()


def test_they_say_that_they_are_synthetic(recordings):
    assert repr(recordings) == "<Recordings: drawn, 5 synthetic recordings, 2 classes, 128x128 pixels>"
    real = Recordings(**{k: getattr(recordings, k) for k in recordings.__slots__} | {"synthetic": False})
    assert "synthetic" not in repr(real)


def test_a_subset_keeps_to_the_order_given(recordings):
    few = recordings.subset([4, 0]).subset([1, 0])
    assert recordings.subset([4, 0]).labels.tolist() == [1, 0]
    assert few.labels.tolist() == [0, 1]
    assert np.array_equal(few[1][0], recordings[4][0])
    assert len(recordings.subset(slice(1, 4))) == 3
    assert recordings.subset(recordings.labels == 1).places.tolist() == [1, 3, 4]
    assert len(recordings.subset([])) == 0
    for wrong, words in (([5], r"found 5\.\.5, allowed 0\.\.4"), ([0.5], "found float64"), ([True], "found bool")):
        with pytest.raises(S2NirError, match=words):
            recordings.subset(wrong)


def test_they_are_frozen_and_checked(recordings):
    with pytest.raises(AttributeError):
        recordings.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        recordings.labels[0] = 1
    fields = {k: getattr(recordings, k) for k in recordings.__slots__}
    with pytest.raises(S2NirError, match=r"labels: found 0\.\.2, allowed 0\.\.1"):
        Recordings(**fields | {"labels": np.array([0, 1, 2, 0, 0])})
    with pytest.raises(S2NirError, match=r"found \(2,\) labels for \(5,\) recordings"):
        Recordings(**fields | {"labels": np.array([0, 1])})
    recordings.source.events[2] = recordings.source.events[2][::-1]
    with pytest.raises(S2NirError, match=r"drawn\[2\]\.t: event"):
        _ = recordings[2]


def test_synthetic_ones_can_be_sent_to_another_process():
    recordings = synthetic_gestures(12, seed=3).subset([11])
    for twin in (pickle.loads(pickle.dumps(recordings)), copy.deepcopy(recordings)):
        assert np.array_equal(twin[0][0], recordings[0][0])


def test_frames_are_the_steps_one_after_the_other(recordings):
    done = []
    options = dict(tick_us=7_000, steps=12, size=32, denoise_us=4_000, clamp=None)
    x, labels = frames(recordings, **options, progress=done.append)
    assert x.dtype == np.uint8
    assert x.shape == (5, 12, 2, 32, 32)
    assert done == [1, 2, 3, 4, 5]
    assert np.array_equal(labels, recordings.labels)
    labels[0] = 7  # ours to change
    for k in range(5):
        kept = downsample(denoise(recordings.source.events[k], 4_000), 0.25)
        assert np.array_equal(x[k], bin_frames(kept, tick_us=7_000, steps=12, size=32))
    assert np.array_equal(frames(recordings, **options, threads=3)[0], x)
    assert np.array_equal(frames(recordings, **options | {"clamp": 1})[0], x > 0)


def test_a_short_recording_is_followed_by_nothing(recordings):
    x, _ = frames(recordings.subset([0]), tick_us=50_000, steps=6, size=128)
    assert x[0, :2].any()
    assert not x[0, 2:].any()


@pytest.mark.parametrize("size", [5, 256])
def test_wrong_sizes_are_refused(recordings, size):
    with pytest.raises(S2NirError, match=f"size: found {size}, allowed are divisors of the sensor's 128x128"):
        frames(recordings, tick_us=1000, steps=1, size=size)


@pytest.mark.parametrize("wrong", [
    *({"steps": v} for v in (-1, 0, True, 2.0, None, "2")), {"tick_us": 0}, {"tick_us": -5}, {"tick_us": 1e3},
    {"clamp": 0}, {"clamp": -1}, {"clamp": 256}, {"threads": 0}, {"size": 0}, {"size": 32.0},
], ids=str)
def test_wrong_numbers_are_refused(recordings, wrong):
    (name, value), = wrong.items()
    with pytest.raises(S2NirError, match=f"frames.{name}: found {value!r}, allowed are whole numbers from 1"):
        frames(recordings, **{"tick_us": 1000, "steps": 1, "size": 32} | wrong)
    assert recordings.source.asked == []


def test_the_front_door_is_light():
    code = (
        "import sys; from s2nir import data; data.synthetic_gestures(11, 0); "
        "print([m for m in ('numba', 'tonic', 'torch', 'h5py', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
