"""Network -> MachineImage: slices, cores, keys, trees, tables, memories."""

from .check import check
from .compile import compile, headroom
from .image import CoreImage, MachineImage, PopulationInfo
from .keys import KeyBlock, LargestFirst
from .layout import Descriptor, Geometry, Regions, regions, unpack_conv_entry, unpack_geometry, unpack_words
from .partition import Partition, Slice
from .place import Sequential
from .placement import Placement, lay
from .route import RouteTree, local
from .tables import Table, tables
from .trees import RouteTrees, grow
from .wiring import Wiring, as_sparse, wire

__all__ = [
    "CoreImage",
    "Descriptor",
    "Geometry",
    "KeyBlock",
    "LargestFirst",
    "MachineImage",
    "Partition",
    "Placement",
    "PopulationInfo",
    "Regions",
    "RouteTree",
    "RouteTrees",
    "Sequential",
    "Slice",
    "Table",
    "Wiring",
    "as_sparse",
    "check",
    "compile",
    "grow",
    "headroom",
    "lay",
    "local",
    "regions",
    "tables",
    "unpack_conv_entry",
    "unpack_geometry",
    "unpack_words",
    "wire",
]
