"""s2nir: spiking networks from NIR to SpiNNaker2, in integers, right to the bit.

Importing this module loads none of torch, numba, nir or matplotlib; each is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import S2NirError, S2NirWarning

if TYPE_CHECKING:
    from .cluster import Evaluation, Sweep, evaluate, sweep
    from .cost import Limits, explain
    from .emulate import EventTiming, Recording, run
    from .events import Events
    from .frontend import Connect, Neurons, build, from_snntorch, load, to_nir, to_snntorch
    from .graph import Graph, Poisson
    from .machine import Faults, SpiNNaker2
    from .mapping import MachineImage, Partition, compile
    from .pipeline import Deployment, deploy
    from .quantize import PTQ, QAT, Network, quantize
    from .report import Fidelity, Report, compare

_HOME = {
    "Connect": "frontend",
    "Deployment": "pipeline",
    "Evaluation": "cluster",
    "EventTiming": "emulate",
    "Events": "events",
    "Faults": "machine",
    "Fidelity": "report",
    "Graph": "graph",
    "Limits": "cost",
    "MachineImage": "mapping",
    "Network": "quantize",
    "Neurons": "frontend",
    "PTQ": "quantize",
    "QAT": "quantize",
    "Partition": "mapping",
    "Poisson": "graph",
    "Recording": "emulate",
    "Report": "report",
    "SpiNNaker2": "machine",
    "Sweep": "cluster",
    "build": "frontend",
    "compare": "report",
    "compile": "mapping",
    "deploy": "pipeline",
    "evaluate": "cluster",
    "explain": "cost",
    "from_snntorch": "frontend",
    "load": "frontend",
    "quantize": "quantize",
    "run": "emulate",
    "sweep": "cluster",
    "to_nir": "frontend",
    "to_snntorch": "frontend",
}

__version__ = "0.1.0"
__all__ = [
    "PTQ",
    "QAT",
    "Connect",
    "Deployment",
    "Evaluation",
    "EventTiming",
    "Events",
    "Faults",
    "Fidelity",
    "Graph",
    "Limits",
    "MachineImage",
    "Network",
    "Neurons",
    "Partition",
    "Poisson",
    "Recording",
    "Report",
    "S2NirError",
    "S2NirWarning",
    "SpiNNaker2",
    "Sweep",
    "build",
    "compare",
    "compile",
    "deploy",
    "evaluate",
    "explain",
    "from_snntorch",
    "load",
    "quantize",
    "run",
    "sweep",
    "to_nir",
    "to_snntorch",
]


class _Package(ModuleType):
    """Keeps `s2nir.quantize` the function, though a folder of that name is imported as a module."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "quantize" and isinstance(value, ModuleType):
            value = value.quantize
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "rules":  # connection rules, a module of graph
        return importlib.import_module(".graph.rules", __name__)
    if name in ("bench", "cost", "data", "emulate", "export", "machine", "mapping", "train"):  # with names of their own
        return importlib.import_module(f".{name}", __name__)
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 's2nir' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
