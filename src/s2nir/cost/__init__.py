"""What an image costs: traffic of cores, routers and links."""

from .traffic import Load, Traffic, expected, traffic

__all__ = ["Load", "Traffic", "expected", "traffic"]
