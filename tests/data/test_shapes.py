"""Synthetic moving shapes: the same on every host, spread evenly over the classes, and events of a moving rim."""

import hashlib

import numpy as np
import pytest

from s2nir import S2NirError
from s2nir.data import SHAPES, moving_shapes


def test_the_same_arguments_give_the_same_events_and_another_seed_others():
    counts, labels = moving_shapes(20, seed=5)
    again, same = moving_shapes(20, seed=5)
    assert counts.shape == (20, 50, 2, 32, 32)
    assert counts.dtype == np.uint8
    assert labels.dtype == np.int64
    assert np.array_equal(counts, again)
    assert np.array_equal(labels, same)
    assert not np.array_equal(counts, moving_shapes(20, seed=6)[0])


def test_they_stay_what_the_network_was_trained_on():
    counts, labels = moving_shapes(70, seed=3)
    assert hashlib.sha256(counts.tobytes()).hexdigest()[:16] == "b4e51db0084849e1"
    assert labels[:8].tolist() == [6, 7, 2, 1, 4, 5, 3, 0]


def test_fewer_recordings_are_the_first_of_more():
    counts, labels = moving_shapes(70, seed=1, steps=4)
    few, which = moving_shapes(9, seed=1, steps=4)
    assert np.array_equal(counts[:9], few)
    assert np.array_equal(labels[:9], which)


def test_each_eight_recordings_show_all_shapes():
    _, labels = moving_shapes(72, seed=2, steps=1)
    assert (np.sort(labels.reshape(-1, len(SHAPES)), axis=1) == np.arange(len(SHAPES))).all()


def test_without_noise_events_lie_at_the_rim_and_on_goes_ahead_of_off():
    counts, _ = moving_shapes(64, seed=4, noise=0.0)
    busy = (counts.sum(axis=2) > 0).mean(axis=(2, 3))
    assert (busy[:, 1:].max(axis=1) > 0).all()  # everything moves
    assert busy.max() < 0.25
    total = counts.sum(axis=(1, 3, 4)).astype(int)
    assert np.abs(total[:, 0] - total[:, 1]).max() < 0.25 * total.sum(axis=1).max()  # what lights up goes dark again


def test_noise_is_as_much_as_asked_for():
    quiet, _ = moving_shapes(8, seed=4, noise=0.0)
    loud, _ = moving_shapes(8, seed=4, noise=0.05)
    assert (loud - quiet).mean() == pytest.approx(0.05, rel=0.05)
    assert (loud - quiet).max() == 1


def test_other_sizes():
    counts, _ = moving_shapes(3, seed=0, steps=7, size=20)
    assert counts.shape == (3, 7, 2, 20, 20)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"steps": 0}, {"size": 7}, {"noise": 1.0}, {"noise": -0.1}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(S2NirError, match="allowed are n and steps from 1, size from 8"):
        moving_shapes(**{"n": 2, "seed": 0} | wrong)
