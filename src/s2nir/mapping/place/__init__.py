"""Slices to cores."""

from .sequential import Core, Place, Sequential

__all__ = ["Core", "Place", "Sequential"]
