"""Every altered table entry, key, row header and weight fails `check`, or shows under a probe.

The probe: all neurons made non-spiking, every source of the image fires alone once, membranes and packets per core are
recorded. That a changed file is refused by its digest is tested in tests/mapping/test_storage.py.
"""

from dataclasses import replace

import numpy as np
import pytest

import s2nir
from real import graph, needs_shared
from s2nir.emulate import decode
from s2nir.errors import ImageError
from s2nir.graph import Conv, Dense, Graph, Pool, Population, Projection, Reset
from s2nir.mapping import Table, check, regions

SILENT = ("spike_list", "relay")


def small_graph():
    """Convolutions (one pooled), rows with and without delays, a recurrence, a skip."""
    rng = np.random.default_rng(3)
    lif = dict(gain=1.0, constant=0.0, bias=0.0, threshold=1.0, v_reset=0.0, reset=Reset.SUBTRACT)
    return Graph(
        dt=1e-3,
        populations=(
            Population(name="in", node="Input", shape=(2, 4, 4)),
            Population(name="a", node="LIF", shape=(3, 4, 4), decay=0.9, **lif),
            Population(name="b", node="IF", shape=(2, 2, 2), decay=1.0, **lif),
            Population(name="c", node="CubaLIF", shape=(6,), decay=0.8, syn_decay=0.5, syn_gain=1.0, **lif),
        ),
        projections=(
            Projection(source="in", target="a", connection=Conv(
                weight=rng.normal(size=(3, 2, 3, 3)), in_shape=(2, 4, 4), out_shape=(3, 4, 4), padding=(1, 1))),
            Projection(source="a", target="b", connection=Conv(
                weight=rng.normal(size=(2, 3, 1, 1)), in_shape=(3, 4, 4), out_shape=(2, 2, 2),
                pool=Pool(size=(2, 2), stride=(2, 2)))),
            Projection(source="b", target="c", connection=Dense(weight=rng.normal(size=(6, 8)))),
            Projection(source="a", target="c", connection=Dense(weight=rng.normal(size=(6, 48)))),
            Projection(source="c", target="c", connection=Dense(weight=rng.normal(size=(6, 6)))),
        ),
        outputs={"out": "c"},
    )


def small_image(bits):
    return s2nir.compile(s2nir.quantize(small_graph(), s2nir.PTQ(bits=bits)), partition=s2nir.Partition(slices=2))


def with_memory(image, core, memory):
    cores = list(image.cores)
    cores[core] = replace(cores[core], memory=memory)
    return replace(image, cores=tuple(cores))


def silenced(image):
    """The image with the spiking bit of every neuron cleared."""
    for i, core in enumerate(image.cores):
        if core.application not in SILENT:
            memory = core.memory.copy()
            n = int(memory[4:8].view("<u4")[0])
            flags = memory[memory.size - 32 * n :].view("<u4").reshape(n, 8)
            flags[:, 5] &= ~np.uint32(1)
            image = with_memory(image, i, memory)
    return image


def probe(image, watched=None):
    """Membranes (of one core, or all) while every source fires alone once, and the cores its packets reach."""
    import sys

    import s2nir.emulate  # noqa: F401

    in_turn = sys.modules["s2nir.emulate.run"].in_turn
    program = decode(silenced(image))
    sources = np.arange(program.size)
    ticks = program.size + 16
    start = np.minimum(np.arange(ticks + 1), program.size)
    watch = np.arange(program.size) if watched is None else np.arange(*program.first[watched : watched + 2])
    (_, membranes, _, _), = in_turn(program, [(start, sources, np.ones_like(sources))], ticks, watch)
    return membranes, program.reach.over("core", len(image.cores)).toarray()[program.reach.of]


def altered_tables(image):
    """Every entry's key, mask and route, each with one bit turned."""
    for chip, t in image.tables.items():
        for e in range(t.entries):
            for name in ("key", "mask", "route"):
                for bit in (0, 3, 7):
                    changed = getattr(t, name).copy()
                    if name == "route":
                        changed[e, bit] ^= 1 << bit
                    else:
                        changed[e] ^= np.uint32(1 << bit)
                    parts = {n: getattr(t, n) for n in ("key", "mask", "route")} | {name: changed}
                    yield f"table {chip} entry {e} {name} bit {bit}", None, replace(
                        image, tables={**image.tables, chip: Table(**parts)})


def places(image):
    """(what, core, byte) of every key, population table field, row header word and weight."""
    for i, core in enumerate(image.cores):
        r = regions(core.memory, core.application not in SILENT)
        d = r.descriptor
        yield "key of the core", i, 8
        rows = 64 + 12 * d.table
        for k in range(3 * d.table):
            yield "population table", i, 64 + 4 * k
        for entry in r.table:
            at = rows + int(entry["offset"])
            for k in range(3):
                yield "row header", i, at + 4 * k
            for k in range(int(entry["count"])):
                yield "synapse word, low", i, at + 12 + 2 * k
                yield "synapse word, high", i, at + 13 + 2 * k
        entries = rows + d.row_bytes
        for k in range(d.conv_entries):
            yield "convolution entry key", i, entries + 12 * k
        kernels = entries + 12 * d.conv_entries + 16 * d.geometries
        for k in range(d.kernel_bytes):
            yield "kernel weight", i, kernels + k


def altered(image, core, byte, bit):
    memory = image.cores[core].memory.copy()
    memory[byte] ^= np.uint8(1 << bit)
    return with_memory(image, core, memory)


def shows(image, changed, before, watched=None):
    """Whether an altered image is told from the one it was: by `check`, by the emulator, or under the probe."""
    assert changed.digest != image.digest
    if next(check(changed), None) is not None:
        return "check"
    try:
        after = probe(changed, watched)
    except ImageError:
        return "refused"
    if not np.array_equal(before[1], after[1]):
        return "packets"
    return None if np.array_equal(before[0], after[0]) else "membranes"


@pytest.mark.parametrize("bits", [8, "s4"])
def test_every_alteration_of_a_small_image_shows(bits):
    image = small_image(bits)
    assert {c.application for c in image.cores} >= {"lif_conv2d", "spike_list"}
    before = probe(image)
    seen = {}
    for what, _, changed in altered_tables(image):
        found = shows(image, changed, before)
        assert found, what
        seen[found] = seen.get(found, 0) + 1
    rng = np.random.default_rng(0)
    for what, core, byte in places(image):
        bit = int(rng.integers(8))
        found = shows(image, altered(image, core, byte, bit), before)
        assert found, (what, core, byte, bit)
        seen[found] = seen.get(found, 0) + 1
    assert seen["check"] > 100
    assert seen["membranes"] > 300


@needs_shared
@pytest.mark.slow
def test_a_thousand_alterations_of_the_cnn_show():
    image = s2nir.compile(s2nir.quantize(graph("cnn_sinabs", reset="zero")))
    before = {i: probe(image, i) for i, c in enumerate(image.cores) if c.application not in SILENT}
    rng = np.random.default_rng(1)
    tables = [(what, changed) for what, _, changed in altered_tables(image)]
    for k in rng.choice(len(tables), 100, replace=False):
        what, changed = tables[k]
        assert shows(image, changed, before[max(before)], max(before)), what
    everything = list(places(image))
    for k in rng.choice(len(everything), 900, replace=False):
        what, core, byte = everything[k]
        bit = int(rng.integers(8))
        watched = core if core in before else max(before)
        assert shows(image, altered(image, core, byte, bit), before[watched], watched), (what, core, byte, bit)


def test_the_probe_tells_a_weight_that_check_cannot():
    """One synapse word from one legal weight to another: `check` has nothing to say, membranes do."""
    image = small_image(8)
    core, byte = next((c, b) for what, c, b in places(image) if what == "synapse word, high")
    changed = altered(image, core, byte, 3)
    assert list(check(changed)) == []
    assert shows(image, changed, probe(image)) == "membranes"
