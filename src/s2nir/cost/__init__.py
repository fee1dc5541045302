"""What an image costs: traffic of cores, routers and links, and what ends a network on a machine."""

from .limits import Limits, Trial, explain
from .survey import Resource
from .traffic import Load, Traffic, expected, traffic

__all__ = ["Limits", "Load", "Resource", "Traffic", "Trial", "expected", "explain", "traffic"]
