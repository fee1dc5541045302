"""What the outside gives us, as a Graph: NIR files and live NIR graphs, checked before anything of them is believed."""

from .by_hand import Connect, Neurons, build
from .limits import Limits
from .nir_file import load, to_nir
from .report import ContractReport, contract_report
from .snntorch import from_snntorch
from .snntorch_trace import Traced, TracedNode, copy_module, trace_module
from .snntorch_unfold import to_snntorch

__all__ = [
    "Connect",
    "ContractReport",
    "Limits",
    "Neurons",
    "Traced",
    "TracedNode",
    "build",
    "contract_report",
    "copy_module",
    "from_snntorch",
    "load",
    "to_nir",
    "to_snntorch",
    "trace_module",
]
