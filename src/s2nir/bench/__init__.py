"""Benchmarks that a reader can repeat: train, quantize, deploy, and a table of what that costs in accuracy."""

from .benchmark import Teller, benchmark
from .page import HEAD, line
from .presets import PRESETS, Preset, preset
from .sets import Source

__all__ = ["HEAD", "PRESETS", "Preset", "Source", "Teller", "benchmark", "line", "preset"]
