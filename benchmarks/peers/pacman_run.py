"""PACMAN on one net of slices; run by benchmarks/mapping.py with the Python that PACMAN is installed for.

    python pacman_run.py NET.npz BOARDS COMPRESSOR[,COMPRESSOR] > figures.json

NET.npz holds start, target (who sends to whom, by slice), atoms and packets. One application vertex per slice. A
line of figures is written once all is routed, and one after each compressor, with all so far.
"""

import json
import sys
import time

import numpy as np
from pacman.config_setup import unittest_setup
from pacman.data import PacmanDataView
from pacman.data.pacman_data_writer import PacmanDataWriter
from pacman.model.graphs.application import ApplicationEdge
from pacman.model.partitioner_splitters import SplitterFixedLegacy
from pacman.model.placements import Placements
from pacman.operations.partition_algorithms import splitter_partitioner
from pacman.operations.placer_algorithms import place_application_graph
from pacman.operations.router_algorithms import route_application_graph
from pacman.operations.router_compressors import pair_compressor, range_compressor
from pacman.operations.router_compressors.ordered_covering_router_compressor import ordered_covering_compressor
from pacman.operations.routing_info_allocator_algorithms.zoned_routing_info_allocator import ZonedRoutingInfoAllocator
from pacman.operations.routing_table_generators import merged_routing_table_generator
from pacman_test_objects import SimpleTestVertex
from spinn_machine.virtual_machine import virtual_machine_by_boards
from spinn_utilities.config_holder import set_config

COMPRESSORS = {"range": range_compressor, "pair": pair_compressor, "ordered covering": ordered_covering_compressor}
PART = "spikes"


def hops(machine, entries, vertex):
    """Links from a vertex to each chip whose cores its tree reaches."""
    (piece,) = vertex.machine_vertices
    place = PacmanDataView.get_placement_of_vertex(piece)
    found, ways = [], [(place.x, place.y, 0)]
    for x, y, n in ways:
        entry = entries[x, y]
        if entry.processor_ids:
            found.append(n)
        for link in entry.link_ids:
            to = machine.get_chip_at(x, y).router.get_link(link)
            ways.append((to.destination_x, to.destination_y, n + 1))
    return found


def main():
    net = np.load(sys.argv[1])
    boards, wanted = int(sys.argv[2]), [w for w in sys.argv[3].split(",") if w]
    unittest_setup()
    set_config("Machine", "version", "248")
    writer = PacmanDataWriter.mock()
    machine = virtual_machine_by_boards(boards)
    writer.set_machine(machine)
    start, target, atoms = net["start"], net["target"], net["atoms"]
    vertices = []
    for k, n in enumerate(atoms.tolist()):
        v = SimpleTestVertex(n, f"v{k}", max_atoms_per_core=n, fixed_sdram_value=1)
        v.splitter = SplitterFixedLegacy()
        vertices.append(v)
        PacmanDataView.add_vertex(v)
    for s in range(len(vertices)):
        for t in target[start[s] : start[s + 1]].tolist():
            PacmanDataView.add_edge(ApplicationEdge(vertices[s], vertices[t]), PART)
    found = {"chips": machine.n_chips, "cores": machine.total_available_user_cores}
    begin = time.perf_counter()
    splitter_partitioner()
    found["partition_s"] = time.perf_counter() - begin

    begin = time.perf_counter()
    writer.set_placements(place_application_graph(Placements()))
    found["place_s"] = time.perf_counter() - begin
    begin = time.perf_counter()
    writer.set_routing_table_by_partition(route_application_graph())
    found["route_s"] = time.perf_counter() - begin
    begin = time.perf_counter()
    writer.set_routing_infos(ZonedRoutingInfoAllocator().allocate([]))
    found["keys_s"] = time.perf_counter() - begin
    begin = time.perf_counter()
    tables = merged_routing_table_generator()
    found["tables_s"] = time.perf_counter() - begin
    writer.set_uncompressed(tables)
    writer.set_precompressed(tables)
    found["entries_merged"] = tables.get_total_number_of_entries()
    found["entries_worst_merged"] = max(t.number_of_entries for t in tables.routing_tables)
    packets = dict(zip([v.label for v in vertices], net["packets"].tolist(), strict=True))
    load, entries, ways = {}, 0, {}
    by_partition = PacmanDataView.get_routing_table_by_partition()
    for x, y in by_partition.get_routers():
        for (source, _), entry in by_partition.get_entries_for_router(x, y).items():
            entries += 1
            app = source if hasattr(source, "machine_vertices") else source.app_vertex
            ways.setdefault(app.label, {})[x, y] = entry
            for link in entry.link_ids:
                load[x, y, link] = load.get((x, y, link), 0.0) + packets[app.label]
    found["entries"] = entries
    far = [n for v in vertices if v.label in ways for n in hops(machine, ways[v.label], v)]
    found["hops_mean"], found["hops_worst"] = sum(far) / len(far), max(far)
    found["links"] = [[x, y, link, n] for (x, y, link), n in load.items()]
    boards_of = {}
    for chip in machine.chips:
        boards_of[chip.x, chip.y] = [chip.nearest_ethernet_x, chip.nearest_ethernet_y]
    found["board"] = [[x, y, *b] for (x, y), b in boards_of.items()]
    found["size"] = [machine.width, machine.height]
    print(json.dumps(found), flush=True)
    for name in wanted:
        set_config("Mapping", "router_table_compress_as_far_as_possible", "True")
        begin = time.perf_counter()
        small = COMPRESSORS[name]()
        found[f"compress_s {name}"] = time.perf_counter() - begin
        found[f"entries {name}"] = small.get_total_number_of_entries()
        found[f"entries_worst {name}"] = max(t.number_of_entries for t in small.routing_tables)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
