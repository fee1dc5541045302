"""Graph -> Network: weights and thresholds in integers, every scale kept."""

from .board import board_faults
from .calibrate import Calibration, calibrate
from .network import IntPopulation, Network, check
from .ptq import quantize
from .scheme import PTQ, BiasPath, Overflow, Per

__all__ = [
    "PTQ",
    "BiasPath",
    "Calibration",
    "IntPopulation",
    "Network",
    "Overflow",
    "Per",
    "board_faults",
    "calibrate",
    "check",
    "quantize",
]
