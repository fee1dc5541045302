"""Traps of numba and NumPy, each as a test; those of nir are in tests/frontend/test_traps.py."""

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import s2nir
from conformance.test_mutations import small_graph
from s2nir.emulate import deliver_kernels, kernels, step_kernels

SOURCE = Path(kernels.__file__).read_text()


def test_an_edit_beside_the_kernels_is_an_edit_of_them():
    """cache=True sees edits of a function's own file; kernels.py holds a digest of those whose helpers it calls."""
    here = Path(kernels.__file__)
    beside = [here.with_name(f"{name}.py") for name in ("deliver_kernels", "draw_kernels", "step_kernels", "vectors",
                                                       "neuron_vectors")]
    for file, others in ((here, beside), (here.with_name("event_kernels.py"), [here])):
        digest = hashlib.sha256(b"".join(p.read_bytes() for p in others)).hexdigest()[:16]
        assert f'BESIDE = "{digest}"' in file.read_text(), f"put the digest {digest} into {file.name}"
    alone = ("__future__", "collections", "typing", "numpy", "numba", "llvmlite", "sys", "vectors",
             "neuron_vectors")
    assert imported("\n".join(p.read_text() for p in beside)) <= set(alone)


def test_kernels_call_no_helper_of_another_file():
    """But of those that they hold a digest of."""
    assert imported(SOURCE) == {"__future__", "typing", "numpy", "numba", "deliver_kernels", "draw_kernels",
                                "step_kernels", "vectors"}


def imported(source):
    """The modules that a source imports."""
    return {
        (n.module if isinstance(n, ast.ImportFrom) else n.names[0].name).split(".")[0]
        for n in ast.walk(ast.parse(source.replace("from __future__ import annotations", "import __future__")))
        if isinstance(n, ast.Import | ast.ImportFrom)
    }


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_kernels_compile_once_per_format(arithmetic):
    """Once for slots of 16 bits and once for those of 32; read-only arrays are another type, and would compile
    everything a second time."""
    image = s2nir.compile(s2nir.quantize(small_graph(), arithmetic=arithmetic))
    spikes = (np.random.default_rng(0).random((3, 20, 2, 4, 4)) < 0.2).astype(np.uint8)
    again = s2nir.compile(s2nir.quantize(small_graph(), s2nir.PTQ(bits=4), arithmetic=arithmetic))
    s2nir.run(image, spikes)
    s2nir.run(again, spikes)
    before = len(kernels.run_rounds.signatures)
    s2nir.run(again, spikes.astype(np.int64), record=("spikes", "voltages"), threads=2)
    s2nir.run(again, spikes.astype(float))
    assert len(kernels.run_rounds.signatures) == before <= 4


def test_the_loops_that_matter_are_vector_code():
    """A loop over an index that may be below zero, or with a constant trip count, is not."""
    if "x86" not in __import__("platform").machine():
        pytest.skip("reads x86 assembler")
    n, f4 = 16, np.float32
    calls = (  # loop, arguments as the emulator passes them, instructions: packed sums, products, comparisons
        (deliver_kernels.add_block, (0, 0, 0, 0, 0, 0, np.int32(1)), ("paddd",)),
        (step_kernels.step_vectors, (0, 0, 0, 0, f4(1), f4(0), 0, n, 0, f4(0), np.int32(0), 0, np.int32(0)),
         ("mulps", "cmp")),
        (step_kernels.step_fast, (np.zeros(n, f4), np.zeros(n, f4), np.zeros(n, np.int32), np.zeros(n, f4),
                                  np.zeros(n, f4), np.zeros(n, np.uint8)), ("mulps", "cmp")),
    )
    for kernel, arguments, wanted in calls:
        fresh = njit(inline="never")(kernel.py_func)  # one that comes from the cache keeps no assembler
        fresh(*arguments)
        code = "\n".join(fresh.inspect_asm().values())
        for instruction in wanted:
            assert instruction in code, f"{kernel.__name__} has no {instruction}"
        assert "fmadd" not in code


def test_no_multiply_and_add_is_fused():
    """float32(a * b) + c, with the product rounded by itself, on numbers where the fused result differs."""
    a, b, c = np.float32(1 + 2**-12), np.float32(1 + 2**-12), np.float32(-1 - 2**-11)
    apart = np.float32(a * b) + c
    assert apart != np.float32(float(a) * float(b) + float(c))
    v, fired = np.array([b]), np.zeros(8, np.uint8)
    step_kernels.step_fast(v, np.array([a]), np.zeros(1, np.int32), np.array([c]), np.array([np.float32(9)]), fired[:1])
    assert v[0] == apart


def test_order_does_not_depend_on_hashing():
    """Iterating a set where order reaches the output gives another placement per run."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import s2nir; from conformance.test_mutations import small_graph; "
        "print(s2nir.compile(s2nir.quantize(small_graph()), partition=s2nir.Partition(slices=5)).digest)"
    )
    here = str(Path(__file__).parent)
    found = {
        subprocess.run([sys.executable, "-c", code, here], env={"PYTHONHASHSEED": seed, "PATH": ""}, text=True,
                       capture_output=True, check=True).stdout
        for seed in ("0", "1", "42")
    }
    assert len(found) == 1
