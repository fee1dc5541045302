"""The command line: `s2nir check, quantize, map, run, report, evaluate, sweep, export, bench, demo`."""

from .parser import main, parser

__all__ = ["main", "parser"]
