"""Network -> MachineImage: slices, cores, keys, trees, tables, memories."""

from .arguments import asked, rates_of
from .blocks import places as row_places
from .blocks import spread
from .blocks import unpacked as unpack_block_words
from .boxes import Slice
from .check import check
from .compile import compile, headroom
from .demand import demand
from .image import CoreImage, MachineImage, PopulationInfo, named
from .keys import ByChip, KeyBlock, LargestFirst
from .layout import Descriptor, Geometry, Regions, regions, unpack_conv_entry, unpack_geometry, unpack_words
from .minimise import Entries, Expand, Fewest, OrderedCovering, neighbours
from .net import Net, net
from .partition import Partition
from .place import PLACERS, Annealing, Curve, Exchange, Places, Sequential
from .placement import Placement, lay, put
from .placement import cut as cut_slices
from .route import ROUTERS, DimensionOrder, Flow, LoadAware, NearestNeighbour, Trees, link_ns, link_packets
from .tables import METHODS, Table, minimised, tables
from .trees import RouteTrees, flow, grow
from .wiring import Wiring, as_sparse, wire

__all__ = [
    "METHODS",
    "PLACERS",
    "ROUTERS",
    "Annealing",
    "ByChip",
    "CoreImage",
    "Curve",
    "Descriptor",
    "DimensionOrder",
    "Entries",
    "Exchange",
    "Expand",
    "Fewest",
    "Flow",
    "Geometry",
    "KeyBlock",
    "LargestFirst",
    "LoadAware",
    "MachineImage",
    "NearestNeighbour",
    "Net",
    "OrderedCovering",
    "Partition",
    "Placement",
    "Places",
    "PopulationInfo",
    "Regions",
    "RouteTrees",
    "Sequential",
    "Slice",
    "Table",
    "Trees",
    "Wiring",
    "as_sparse",
    "asked",
    "check",
    "compile",
    "cut_slices",
    "demand",
    "flow",
    "grow",
    "headroom",
    "lay",
    "link_ns",
    "link_packets",
    "minimised",
    "named",
    "neighbours",
    "net",
    "put",
    "rates_of",
    "regions",
    "row_places",
    "spread",
    "tables",
    "unpack_block_words",
    "unpack_conv_entry",
    "unpack_geometry",
    "unpack_words",
    "wire",
]
