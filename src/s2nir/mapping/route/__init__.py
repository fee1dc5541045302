"""Targets to multicast trees."""

from collections.abc import Callable

from .flow import Flow, Route, Trees
from .routers import DimensionOrder, LoadAware, NearestNeighbour, bound, link_ns, link_packets

ROUTERS: dict[str, Callable[[], Route]] = {
    "dimension": DimensionOrder, "nearest": NearestNeighbour, "load": LoadAware
}

__all__ = [
    "ROUTERS",
    "DimensionOrder",
    "Flow",
    "LoadAware",
    "NearestNeighbour",
    "Route",
    "Trees",
    "bound",
    "link_ns",
    "link_packets",
]
