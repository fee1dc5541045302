"""`check` reads every synapse row of a core: each field that is wrong is said, with the key of its row."""

import re

import numpy as np
import pytest

import s2nir
from conformance.test_mutations import small_graph, with_memory
from s2nir.mapping import check, regions

IMAGE = s2nir.compile(s2nir.quantize(small_graph()), partition=s2nir.Partition(slices=2))
CORE = IMAGE["c"].cores[1]
R = regions(IMAGE.cores[CORE].memory, True)
ROW = int(np.flatnonzero(R.table["count"] % 2)[1])  # one with a word of padding
KEY, OFFSET, COUNT = (int(R.table[ROW][n]) for n in ("key", "offset", "count"))
ENTRY, AT = 64 + 12 * ROW, 64 + 12 * R.table.size + OFFSET


@pytest.mark.parametrize(("byte", "value", "said"), [
    (AT + 12, 200, f"row of key {KEY:#x} names neuron 200 of 3"),
    (AT + 13, 0, f"row of key {KEY:#x} holds a weight of zero"),
    (AT + 12 + 2 * COUNT, 1, f"row of key {KEY:#x} ends in a word that is not zero"),
    (AT + 8, 1, rf"row of key {KEY:#x} has header \[{KEY}, {COUNT}, 1\], the table says \[{KEY}, {COUNT}, 0\]"),
    (AT + 4, COUNT + 1, rf"row of key {KEY:#x} has header \[{KEY}, {COUNT + 1}, 0\], the table says \[{KEY}, {COUNT}"),
    (ENTRY + 4, OFFSET % 256 ^ 4, f"row of key {KEY:#x} starts at {OFFSET ^ 4}, expected {OFFSET}"),
    (ENTRY + 11, 255, f"row of key {KEY:#x} starts at {OFFSET}, expected {OFFSET}"),
])
def test_a_wrong_field_is_said(byte, value, said):
    assert list(check(IMAGE)) == []
    memory = IMAGE.cores[CORE].memory.copy()
    memory[byte] = value
    found = list(check(with_memory(IMAGE, CORE, memory)))
    assert any(re.search(rf"core .* PE {IMAGE.cores[CORE].pe} .*: {said}", s) for s in found), found
