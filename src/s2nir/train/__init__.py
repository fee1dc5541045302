"""Training on the host, in PyTorch: networks whose weights and thresholds are integers while they learn."""

try:
    import snntorch  # noqa: F401  so that what is missing is said in one place
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError(f"s2nir.train needs PyTorch and snnTorch ({error}): pip install 's2nir[train]'") from error

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
