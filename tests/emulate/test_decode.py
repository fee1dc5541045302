"""Decoding an image: what a memory that is not as the layout has it is told, and what the kernels would else meet."""

from dataclasses import replace

import numpy as np
import pytest

import s2nir
from quantize.networks import conv, cuba, dense, graph, lif, source
from s2nir.emulate import decode
from s2nir.emulate import run as run_image
from s2nir.errors import ImageError
from s2nir.graph import Pool
from s2nir.mapping import regions

SILENT = ("spike_list", "relay")
WORDS = ("form", "neurons", "key", "key_bits", "onset", "table", "row_bytes", "conv_entries", "geometries",
         "kernel_bytes", "c0_c1", "y0_y1", "x0", "x1", "total", "ring")


def small(bits=8, arithmetic="float32"):
    rng = np.random.default_rng(1)
    g = graph(
        [source((2, 4, 4)), lif("a", (3, 4, 4)), lif("b", (2, 2, 2)), cuba("c", (6,))],
        [conv("in", "a", rng.normal(size=(3, 2, 3, 3)), (2, 4, 4), (3, 4, 4), padding=(1, 1)),
         conv("a", "b", rng.normal(size=(2, 3, 1, 1)), (3, 4, 4), (2, 2, 2), pool=Pool(size=(2, 2), stride=(2, 2))),
         dense("b", "c", rng.normal(size=(6, 8))), dense("a", "c", rng.normal(size=(6, 48)))],
    )
    return s2nir.compile(s2nir.quantize(g, s2nir.PTQ(bits=bits), arithmetic=arithmetic))


@pytest.fixture(scope="module")
def image():
    return small()


def with_memory(image, core, memory):
    cores = list(image.cores)
    cores[core] = replace(cores[core], memory=memory)
    return replace(image, cores=tuple(cores))


def with_word(image, core, word, value):
    memory = image.cores[core].memory.copy()
    memory[4 * word : 4 * word + 4].view("<u4")[0] = value
    return with_memory(image, core, memory)


def core_of(image, name):
    return image[name].cores[0]


def test_slots_follow_the_delay_word(image):
    assert decode(image).slots == 1
    assert decode(small("s4")).slots == 8


def test_neurons_are_numbered_through_all_cores(image):
    program = decode(image)
    every = np.concatenate([program.index[p.name] for p in image.populations])
    assert sorted(every) == list(range(program.size))
    assert program.size == sum(p.size for p in image.populations)


@pytest.mark.parametrize(("name", "word", "value", "what"), [
    ("c", "neurons", 7, "the descriptor counts"),
    ("c", "table", 2**31, "the descriptor counts"),
    ("c", "row_bytes", 5, "the descriptor counts"),
    ("c", "key_bits", 2, "6 neurons in a key block of 2 bits"),
    ("c", "key_bits", 33, "6 neurons in a key block of 33 bits"),
    ("in", "neurons", 2**30, "neurons in a key block"),
    ("in", "neurons", 0, "0 neurons in a key block"),
    ("in", "neurons", 31, "the box .* does not hold 31 neurons"),
    ("c", "x1", 7, r"the box .* does not hold 6 neurons"),
    ("c", "ring", 8, "8 ring slots, its word needs 1"),
    ("c", "ring", 0, "0 ring slots"),
    ("c", "form", 1 << 13 | 3, "1 ring slots, its word needs 8"),
    ("c", "form", 1 << 8 | 3, "its state is not float32, as the image's is"),
])
def test_a_descriptor_that_makes_no_sense_is_refused(image, name, word, value, what):
    changed = with_word(image, core_of(image, name), WORDS.index(word), value)
    with pytest.raises(ImageError, match=rf"core \(0, 0\) PE \d+: .*{what}"):
        decode(changed)
    with pytest.raises(ImageError, match=what):
        run_image(changed, np.zeros((2, 2, 4, 4)))


def test_a_box_outside_of_its_population_is_refused(image):
    i = core_of(image, "c")
    changed = with_word(with_word(image, i, WORDS.index("x0"), 6), i, WORDS.index("x1"), 12)
    with pytest.raises(ImageError, match=r"c: a core holds the box \(0, 1, 0, 1, 6, 12\), the view is \(1, 1, 6\)"):
        decode(changed)


def test_a_population_with_a_neuron_on_no_core_is_refused(image):
    p = image["c"]
    others = tuple(q if q.name != "c" else replace(p, shape=(7,), view=(1, 1, 7)) for q in image.populations)
    with pytest.raises(ImageError, match="c: 1 neurons are on no core"):
        decode(replace(image, populations=others))


def test_memories_cut_short_are_refused(image):
    for i, core in enumerate(image.cores):
        for keep in (0, 63, core.memory.size - 4, core.memory.size - 1):
            with pytest.raises(ImageError, match=r"bytes, (less than a descriptor|the descriptor counts)"):
                decode(with_memory(image, i, core.memory[:keep]))


def test_a_row_outside_of_the_rows_is_refused(image):
    i = core_of(image, "c")
    memory = image.cores[i].memory.copy()
    memory[64 + 4 : 64 + 8].view("<u4")[0] = 10**6
    with pytest.raises(ImageError, match="a row lies outside the core's rows"):
        decode(with_memory(image, i, memory)).synapses  # noqa: B018
    memory = image.cores[i].memory.copy()
    memory[64 + 8 : 64 + 12].view("<u4")[0] = 2**32 - 1
    with pytest.raises(ImageError, match="a row lies outside the core's rows"):
        decode(with_memory(image, i, memory)).synapses  # noqa: B018


def test_a_row_that_names_no_neuron_is_refused(image):
    i = core_of(image, "c")
    r = regions(image.cores[i].memory, True)
    memory = image.cores[i].memory.copy()
    memory[64 + 12 * r.table.size + 12] = 6
    with pytest.raises(ImageError, match="a row names a neuron that is not there"):
        decode(with_memory(image, i, memory)).synapses  # noqa: B018


def test_a_geometry_without_a_size_is_refused(image):
    i = core_of(image, "b")
    r = regions(image.cores[i].memory, True)
    at = 64 + 12 * r.table.size + r.rows.size + 12 * r.conv_entries.size
    memory = image.cores[i].memory.copy()
    memory[at : at + 16] = 0
    with pytest.raises(ImageError, match="geometry 0 holds a size of zero"):
        decode(with_memory(image, i, memory))


def test_a_kernel_larger_than_the_kernels_is_refused(image):
    i = core_of(image, "b")
    r = regions(image.cores[i].memory, True)
    at = 64 + 12 * r.table.size + r.rows.size + 12 * r.conv_entries.size
    memory = image.cores[i].memory.copy()
    memory[at] |= 63  # kernels 63 high
    with pytest.raises(ImageError, match="a kernel lies outside the core's kernels"):
        decode(with_memory(image, i, memory)).synapses  # noqa: B018


@pytest.mark.parametrize(("bits", "arithmetic"), [(8, "float32"), ("s4", "fixed")])
def test_every_turned_bit_is_refused_or_runs(bits, arithmetic):
    """Bits of descriptors, entries and geometries, and some of the rest: an ImageError or a run, nothing else."""
    image = small(bits, arithmetic)
    rng = np.random.default_rng(5)
    places = []
    for i, core in enumerate(image.cores):
        r = regions(core.memory, core.application not in SILENT)
        entries = 64 + 12 * r.table.size + r.rows.size
        places += [(i, b, k) for b in range(64) for k in rng.choice(8, 2, replace=False)]
        places += [(i, b, int(rng.integers(8))) for b in range(entries, entries + 12 * r.conv_entries.size
                                                               + 16 * r.descriptor.geometries)]
        places += [(i, int(rng.integers(64, core.memory.size)), int(rng.integers(8))) for _ in range(30)
                   if core.memory.size > 64]
    spikes = np.ones((3, 2, 4, 4), np.uint8)
    ended = {"refused": 0, "ran": 0}
    for i, byte, bit in places:
        memory = image.cores[i].memory.copy()
        memory[byte] ^= np.uint8(1 << bit)
        try:
            run_image(with_memory(image, i, memory), spikes)
        except ImageError:
            ended["refused"] += 1
        else:
            ended["ran"] += 1
    assert min(ended.values()) > 100
