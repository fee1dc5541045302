"""Graph -> Network: weights and thresholds in integers, every scale kept."""

from .board import board_faults
from .calibrate import Calibration, calibrate
from .network import IntPopulation, Network, check, largest
from .ptq import int_population, quantize
from .scheme import PTQ, QAT, BiasPath, Overflow, Per, ScaleRule, Threshold

__all__ = [
    "PTQ",
    "QAT",
    "BiasPath",
    "Calibration",
    "IntPopulation",
    "Network",
    "Overflow",
    "Per",
    "ScaleRule",
    "Threshold",
    "board_faults",
    "calibrate",
    "check",
    "int_population",
    "largest",
    "quantize",
]
