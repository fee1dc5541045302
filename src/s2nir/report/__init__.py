"""What a run means: fidelity, fit, time and traffic, as text, JSON and a page."""

from .fidelity import Divergence, Fidelity, PopulationFidelity, compare
from .summary import Report, report
from .text import count, decisions, fit_table, printable, table

__all__ = [
    "Divergence",
    "Fidelity",
    "PopulationFidelity",
    "Report",
    "compare",
    "count",
    "decisions",
    "fit_table",
    "printable",
    "report",
    "table",
]
