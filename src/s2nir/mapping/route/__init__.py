"""Targets to multicast trees."""

from .flow import Flow, Route, Trees
from .routers import DimensionOrder, LoadAware, NearestNeighbour, link_ns, link_packets

__all__ = ["DimensionOrder", "Flow", "LoadAware", "NearestNeighbour", "Route", "Trees", "link_ns", "link_packets"]
