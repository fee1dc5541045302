"""SpiNNaker2 in numbers; each with its certainty and its source.

[P] read in a primary artefact, [S] a digest citing one, [D] derived, arithmetic shown, [U] inferred, uncertain,
NF looked for and not found: a default of ours, and a parameter somewhere. Sources: *chip paper* Scholze et al., IEEE
OJCAS 2026; *NESTML* the SpiNNaker2 resources of nest/nestml; *SpiNNMachine* version_spin2.py and version_248.py.
"""

from __future__ import annotations

PES = 152  # [S] chip paper; 38 quads of 4
USABLE_PES = 148  # [P] SpiNNMachine: 7,104 of 7,296 on a board of 48. Which four are kept back: NF; here the last ones
QUAD = 4  # [S]
ROUTER_ENTRIES = 16_384  # [P] SpiNNMachine
LINKS = 6  # [S] hexagonal
LINK_NAMES = ("E", "NE", "N", "W", "SW", "S")  # route word bits 0 to 5 [P] SpiNNMachine
STEPS = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))  # x and y over each link
LINK_NS = 16.0  # [D] 96-bit packet at 6 Gbit/s on a board
LINK_NS_BETWEEN = 48.0  # [D] at 2 Gbit/s between boards
NOC_HOP_NS = 5 / 300e6 * 1e9  # [D] 5 cycles a hop [S] at 300 MHz [S]
ROUTER_NS = 2.5  # [U] one packet a cycle at 400 MHz [S]; it can send 6 a cycle to links and 24 to PEs [D], lookups NF
ROUTE_BITS = LINKS + PES  # [P] bits 0-5 the links, 6-157 the PEs
ROUTE_BYTES = 20  # [D] 158 bits in whole bytes
KEY_BITS = 32  # [S]
CLOCK_HZ = 300e6  # [S] at 0.8 V
CLOCK_LOW_HZ = 150e6  # [S] at 0.5 V
TICK_S = 1e-3  # [P] default of py-spinnaker2
SRAM_DATA = 98_304  # [S] 96 kB of the 128 kB of a PE; 32 kB are code
STACK = 4096  # [P] bytes of stack and heap at the end of the data memory
WINDOW_NEW = 67_328  # [U] data window of the newer memory map, bytes
DRAM = 2 << 30  # [S] 2 GB per chip, bytes
WINDOW_OLD = 44_992  # [P] NESTML, the older map
FIFO_PACKETS = 512  # [P] per PE and tick in the older application; newer size NF

# quads on the 8x8 network on chip, (x, y) [P] SpiNNMachine
QUADS = tuple(
    (x, y)
    for x in range(1, 8)
    for y in range(1, 7)
    if not (x in (4, 7) and y in (3, 4))  # event router (4,3),(4,4) and west link (7,3),(7,4)
)
NODES = {  # what else stands on the network on chip [P], vendor branch
    "router": ((4, 3), (4, 4)),
    "S": ((3, 0), (4, 0)),
    "SW": ((5, 0), (6, 0)),
    "W": ((7, 3), (7, 4)),
    "N": ((4, 7), (3, 7)),
    "NE": ((2, 7), (1, 7)),
    "E": ((0, 4), (0, 3)),
    "memory": ((0, 6), (0, 5), (0, 2), (0, 1)),
    "host": ((5, 7), (6, 7)),
}
