"""Key blocks to multicast trees."""

from .local import Route, RouteTree, local

__all__ = ["Route", "RouteTree", "local"]
