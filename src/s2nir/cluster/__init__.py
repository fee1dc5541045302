"""Many recordings and many options, on the threads of this process or on the workers of a Dask cluster."""

from .evaluation import Evaluation, data_of, evaluate
from .sweeps import Sweep, sweep
from .workers import connected

__all__ = ["Evaluation", "Sweep", "connected", "data_of", "evaluate", "sweep"]
