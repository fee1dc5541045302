"""Ways out: an image as a script for py-spinnaker2, and a stand-in for that library that runs it without a board."""

from .board import export_py_spinnaker2
from .network import BoardNetwork, BoardPopulation, BoardProjection

__all__ = [
    "BoardNetwork",
    "BoardPopulation",
    "BoardProjection",
    "export_py_spinnaker2",
]
