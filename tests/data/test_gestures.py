"""Synthetic gestures: the same for the same seed in any order, balanced, and events such as a camera sends."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from real import DATA, needs_shared
from s2nir import S2NirError
from s2nir.data import EVENT, GESTURES, synthetic_gestures
from s2nir.data.poses import FORE, UPPER, cosine, joints, reach, sine
from s2nir.data.scenes import REFRACTORY

CLIPS = DATA / "dvs128_gesture_clips" / "clips.npz"
GOLDEN = "5a2990d113843314"  # of eleven recordings, one of each class
EIGHTH = "d3518292a2ba0fd4"


def digest(*films):
    return hashlib.sha256(b"".join(events.tobytes() for events in films)).hexdigest()[:16]


@pytest.fixture(scope="module")
def recordings():
    return synthetic_gestures(44, seed=5)


@pytest.fixture(scope="module")
def films(recordings):
    return [events for events, _ in recordings]


def test_they_stay_what_they_were(films):
    assert digest(films[7]) == EIGHTH
    assert digest(*films[:11]) == GOLDEN


def test_another_processor_makes_the_same_ones():
    code = (
        "import hashlib; from s2nir.data import synthetic_gestures; "
        "print(hashlib.sha256(synthetic_gestures(8, seed=5)[7][0].tobytes()).hexdigest()[:16])"
    )
    plain = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain)
    assert done.stdout.strip() == EIGHTH


def test_order_and_number_do_not_matter(recordings, films):
    again = synthetic_gestures(30, seed=5)
    assert np.array_equal(again.labels, recordings.labels[:30])
    for k in (21, 7, 0):
        assert np.array_equal(again[k][0], films[k])
    few = recordings.subset([33, 2])
    assert np.array_equal(few[0][0], films[33])
    assert not np.array_equal(synthetic_gestures(3, seed=6)[2][0], films[2])


def test_an_early_end_is_the_begin_of_the_whole(recordings, films):
    for stop in (1, 3_999, 4_000, 500_123):
        part = recordings.read(4, stop_us=stop)
        assert np.array_equal(part, films[4][films[4]["t"] < stop])


def test_each_eleven_show_all_classes(recordings):
    assert recordings.classes == GESTURES
    assert (np.sort(recordings.labels.reshape(-1, 11), axis=1) == np.arange(11)).all()
    assert len({tuple(run) for run in recordings.labels.reshape(-1, 11).tolist()}) == 4


def test_they_are_recordings_of_two_to_four_seconds(films):
    for events in films:
        assert events.dtype == EVENT
        assert 0 <= events["x"].min() <= events["x"].max() < 128
        assert 0 <= events["y"].min() <= events["y"].max() < 128
        assert (np.diff(events["t"]) >= 0).all()
        assert events["t"][0] >= 0
        assert 1.9e6 < events["t"][-1] < 4e6


def test_the_refractory_time_holds_at_every_pixel(films):
    for events in films[:6]:
        order = np.lexsort((events["t"], events["x"], events["y"]))
        pixel = events["y"][order].astype(int) * 128 + events["x"][order]
        gaps = np.diff(events["t"][order])[np.diff(pixel) == 0]
        assert gaps.min() >= REFRACTORY


def test_sides_and_directions_are_those_of_the_classes(recordings, films):
    """The moving hand is on the performer's side, and goes round as the class says."""
    mirrored = {1: -1, 2: 1, 3: -1, 4: -1, 5: 1, 6: 1}
    right = total = 0
    for events, label in zip(films, recordings.labels, strict=True):
        if label in mirrored:
            counts = np.bincount(events["y"].astype(int) * 128 + events["x"], minlength=1 << 14).reshape(128, 128)
            busy = np.argwhere(counts >= np.sort(counts.ravel())[-400])
            trunk = np.median(np.argwhere(counts[100:] > np.percentile(counts[100:], 90))[:, 1])
            right += np.sign(busy[:, 1].mean() - trunk) == mirrored[int(label)]
            total += 1
    assert right >= 0.9 * total


def test_circles_turn_as_they_are_called():
    time = np.linspace(0, 1, 101)
    for label, way in ((3, 1), (4, -1), (5, 1), (6, -1)):
        rng = np.random.default_rng(label)
        arms = joints(label, lambda a, b, rng=rng: a + (b - a) * rng.random(), time, time, 1.0, np.ones(101))
        x, y, _ = arms[-1 if label < 5 else 1][2].T
        area = np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2  # y points down, so clockwise is positive
        assert np.sign(area) == way


def test_arms_keep_their_bones():
    rng = np.random.default_rng(3)
    shoulder, wrist, hint = rng.uniform(-1, 1, (200, 3)), rng.uniform(-4, 4, (200, 3)), rng.uniform(-1, 1, (200, 3))
    elbow, hand = reach(shoulder, wrist, hint)
    assert np.linalg.norm(elbow - shoulder, axis=1) == pytest.approx(UPPER)
    assert np.linalg.norm(hand - elbow, axis=1) == pytest.approx(FORE)


def test_sines():
    turns = np.linspace(-3, 3, 10_001)
    assert np.abs(sine(turns) - np.sin(2 * np.pi * turns)).max() < 1e-10
    assert np.abs(cosine(turns) - np.cos(2 * np.pi * turns)).max() < 1e-10


@needs_shared
def test_statistics_are_near_those_of_two_real_clips(films):
    """Real ones come in frames of 24,179 events; so many synthetic ones are taken at a time."""
    with np.load(CLIPS) as clips:
        real = [frame for frame in clips["dvsgc_counts_T60"].astype(int) if frame.sum() < 25_000]
    size = int(real[0].sum())
    made = []
    for events in films:
        for k in range(0, events.size - size, size):
            part = events[k : k + size]
            frame = np.zeros((2, 128, 128), int)
            np.add.at(frame, (part["p"].astype(int), part["y"], part["x"]), 1)
            made.append(frame)

    def middle(frames, of):
        return np.median([of(frame) for frame in frames])

    def holding(share):
        def of(frame):
            counts = np.sort(frame.sum(axis=0).ravel())[::-1]
            return (np.cumsum(counts) < share * counts.sum()).mean()

        return of

    assert middle(made, lambda f: f[1].sum() / f[0].sum()) == pytest.approx(
        middle(real, lambda f: f[1].sum() / f[0].sum()), rel=0.2
    )
    for of in (holding(0.5), holding(0.9), lambda f: (f.sum(axis=0) > 0).mean()):
        assert 0.5 < middle(made, of) / middle(real, of) < 2


@pytest.mark.parametrize("wrong", [{"n": 0}, {"seed": -1}, {"n": "a"}, {"n": 2.5}, {"seed": True}, {"seed": None}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(S2NirError, match=r"synthetic_gestures\.(n|seed): found .*, allowed are whole numbers"):
        synthetic_gestures(**{"n": 1, "seed": 0} | wrong)
