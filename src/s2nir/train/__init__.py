"""Training on the host, in PyTorch: networks whose weights and thresholds are integers while they learn."""

from .convert import convert, float_graph
from .fit import Fit, History, decisions
from .loops import over_time
from .prepare import freeze_observers, prepare_qat
from .runner import TorchRun

__all__ = [
    "Fit",
    "History",
    "TorchRun",
    "convert",
    "decisions",
    "float_graph",
    "freeze_observers",
    "over_time",
    "prepare_qat",
]
