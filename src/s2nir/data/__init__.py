"""Data that s2nir makes or brings itself: synthetic moving shapes, and a small network trained on them."""

from pathlib import Path

from .shapes import SHAPES, TEST_SEED, TRAIN_SEED, VALIDATION_SEED, moving_shapes

__all__ = ["SHAPES", "TEST_SEED", "TRAIN_SEED", "VALIDATION_SEED", "moving_shapes", "shapes_network"]


def shapes_network() -> Path:
    """The path of `shapes_cnn.nir`: a spiking CNN trained on synthetic moving shapes (examples/train_shapes.py).

    >>> shapes_network().name
    'shapes_cnn.nir'
    """
    return Path(__file__).with_name("shapes_cnn.nir")
