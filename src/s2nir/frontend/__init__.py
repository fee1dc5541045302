"""What the outside gives us, as a Graph: NIR files and live NIR graphs, checked before anything of them is believed."""

from .limits import Limits
from .nir_file import load, to_nir
from .report import ContractReport, contract_report

__all__ = ["ContractReport", "Limits", "contract_report", "load", "to_nir"]
