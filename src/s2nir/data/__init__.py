"""Data that s2nir makes, brings or reads: recordings of event cameras, synthetic ones, and a small network."""

from pathlib import Path

from .events import EVENT, augment, bin_frames, crop, denoise, downsample, in_order, make_events
from .gesture_files import dvs_gesture
from .gestures import synthetic_gestures
from .live import EventSteps
from .nmnist_files import nmnist
from .poses import GESTURES
from .read import read_events
from .recordings import Recordings, frames
from .shapes import SHAPES, TEST_SEED, TRAIN_SEED, VALIDATION_SEED, moving_shapes

__all__ = [
    "EVENT",
    "GESTURES",
    "SHAPES",
    "TEST_SEED",
    "TRAIN_SEED",
    "VALIDATION_SEED",
    "EventSteps",
    "Recordings",
    "augment",
    "bin_frames",
    "crop",
    "denoise",
    "downsample",
    "dvs_gesture",
    "frames",
    "in_order",
    "make_events",
    "moving_shapes",
    "nmnist",
    "read_events",
    "shapes_network",
    "synthetic_gestures",
]


def shapes_network() -> Path:
    """The path of `shapes_cnn.nir`: a spiking CNN trained on synthetic moving shapes (examples/train_shapes.py).

    >>> shapes_network().name
    'shapes_cnn.nir'
    """
    return Path(__file__).with_name("shapes_cnn.nir")
