"""Files made from valid ones by one change each: an S2NirError or a legal Graph, in 2 s and 1 GiB, nothing else."""

import resource
import time
import warnings
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import s2nir
from frontend import nir_networks as networks
from s2nir.errors import LoadError, S2NirError, S2NirWarning
from s2nir.frontend import load
from s2nir.graph import check

SECONDS, BYTES = 2.0, 2**30
FLIPS = 60


def _replace(file, path, value=None, **more):
    if path in file:
        del file[path]
    if value is not None or more:
        file.create_dataset(path, data=value, **more) if value is not None else file.create_dataset(path, **more)


def _huge(path, shape, dtype="f4", **more):
    def change(file):
        _replace(file, path, shape=shape, dtype=dtype, **more)

    return change


def _set(path, value, dtype=None):
    def change(file):
        if path in file:
            del file[path]
        file.create_dataset(path, data=value, dtype=dtype)

    return change


def _gone(path):
    def change(file):
        del file[path]

    return change


def _group(path):
    def change(file):
        del file[path]
        file.create_group(path)

    return change


def _link(path, link):
    def change(file):
        if path in file:
            del file[path]
        file[path] = link

    return change


def _alias(path, of):
    def change(file):
        if path in file:
            del file[path]
        file[path] = file[of]

    return change


def _edges(rows):
    return _set("node/edges", np.array(rows, dtype=object), h5py.string_dtype())


def _more_edges(*rows):
    def change(file):
        old = [[a.decode(), b.decode()] for a, b in file["node/edges"][()]]
        _edges(old + [list(r) for r in rows])(file)

    return change


def _deep(levels):
    def change(file):
        at = file["node/nodes"].create_group("deep")
        for _ in range(levels):
            at["type"] = "NIRGraph"
            at.create_dataset("edges", shape=(0, 2), dtype="f8")
            at = at.create_group("nodes/x")
        at["type"] = "Input"
        at["shape"] = [1]

    return change


def _poke(path, index, value):
    def change(file):
        file[path][index] = value

    return change


def _many(file):
    at = file["node"].create_group("metadata")
    for i in range(10_001):
        at.create_group(str(i))


def _virtual(file):
    layout = h5py.VirtualLayout(shape=(5, 64), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(5, 64))
    del file["node/nodes/a/weight"]
    file["node/nodes/a"].create_virtual_dataset("weight", layout)


def _outside(file):
    _replace(file, "node/nodes/a/weight", shape=(5, 64), dtype="f8", external=[("/dev/zero", 0, 2560)])


def _really_expands(file):
    _replace(
        file,
        "node/nodes/a/weight",
        shape=(20_000, 20_000),
        dtype="f4",
        chunks=(2000, 2000),
        compression="gzip",
        fillvalue=1.0,
    )


def _large_chunk(file):
    del file["node/nodes/s3/tau"]
    file.create_dataset("node/nodes/s3/tau", shape=(5,), maxshape=(None,), chunks=(10**9,), dtype="f4")


def _long_names(file):
    name = "x" * 2_000_000
    _edges([[name, name]] * 50)(file)


COMPOUND = np.zeros(5, [("a", "f4"), ("b", "i4")])
NODES = "node/nodes/"

STRUCTURE = {
    **{
        f"no {p}": _gone(p)
        for p in (
            "version",
            "node",
            "node/type",
            "node/nodes",
            "node/edges",
            *(NODES + n for n in ("in", "c1", "s1", "a", "out")),
            *(
                NODES + p
                for p in (
                    "in/shape",
                    "in/type",
                    "c1/weight",
                    "c1/stride",
                    "c1/padding",
                    "c1/dilation",
                    "c1/groups",
                    "c1/bias",
                    "p/kernel_size",
                    "p/stride",
                    "p/padding",
                    "f/start_dim",
                    "f/end_dim",
                    "a/weight",
                    "a/bias",
                    "s1/r",
                    "s1/v_threshold",
                    "s2/tau",
                    "s2/r",
                    "s2/v_leak",
                    "s3/v_threshold",
                    "rec/weight",
                    "out/shape",
                )
            ),
        )
    },
    **{
        f"group {p}": _group(NODES + p)
        for p in ("c1/weight", "c1/groups", "s2/tau", "a/type", "in/shape", "f/start_dim")
    },
    **{f"data {p}": _set(p, 1.0) for p in ("node", "node/nodes", NODES + "in", NODES + "s2", "node/edges", "version")},
    "metadata is data": _set("node/metadata", 1.0),
    "node is data too": _set(NODES + "extra", np.ones(3)),
    "unknown field": _set(NODES + "s2/leak", np.ones(3)),
    "a single node": _set("node/type", "LIF"),
    "deep 64": _deep(65),
    "deep 300": _deep(300),
    "many objects": _many,
    **{f"type {t}": _set(NODES + "s2/type", t) for t in ("Izhikevich", "", "lif", "NIRGraph", "Output", b"\xff\xfe")},
    **{f"version {v}": _set("version", v) for v in ("99.0", "", "2.0.0", "one", b"\xff")},
    "edge to nowhere": _more_edges(("in", "nowhere")),
    "edge from nowhere": _more_edges(("nowhere", "s3")),
    "edge twice": _more_edges(("in", "c1")),
    "edge into input": _more_edges(("s3", "in")),
    "edge out of output": _more_edges(("out", "s3")),
    "linear loop": _more_edges(("a", "f")),
    "edges of three": _edges([["in", "c1", "s1"]]),
    "no edges": _edges([["in", "out"]]),
    "edges are numbers": _set("node/edges", np.ones((3, 2))),
    "edges in a row": _set("node/edges", np.ones(4)),
    "long names": _long_names,
}
SIZES = {
    "800 GB": _huge(NODES + "a/weight", (10**6, 2 * 10**5)),
    "exa": _huge(NODES + "a/weight", (2**31, 2**31), chunks=(64, 64)),
    "expands": _really_expands,
    "large chunk": _large_chunk,
    "wide edges": _huge("node/edges", (10**9, 2), h5py.string_dtype()),
    "wide text": _huge(NODES + "s2/type", (), "S1000000000"),
    "wide metadata": _huge("node/metadata/s2nir_dt", (10**9,)),
    "wide tau": _set(NODES + "s2/tau", np.ones(10**6)),
    **{
        f"input {s}": _set(NODES + "in/shape", np.array(s))
        for s in ([10**9], [2, 10**9, 10**9], [2**62, 2**62, 2], [0, 8, 8], [-2, 8, 8], [2, 8], [], [2.5, 8, 8])
    },
    **{f"output {s}": _set(NODES + "out/shape", np.array(s)) for s in ([10**9], [6], [5, 2], [-5])},
    **{
        f"{p} {v}": _set(NODES + p, v)
        for p, v in (
            ("c1/stride", [0, 1]),
            ("c1/stride", [-1, 1]),
            ("c1/padding", [10**9, 10**9]),
            ("c1/padding", [-1, 0]),
            ("c1/dilation", [10**9, 1]),
            ("c1/dilation", [0, 1]),
            ("c1/groups", 0),
            ("c1/groups", 7),
            ("c1/groups", 10**12),
            ("c1/stride", [1, 1, 1]),
            ("c1/input_shape", [9, 9]),
            ("p/kernel_size", [10**9, 10**9]),
            ("p/stride", [0, 0]),
            ("p/padding", [2, 2]),
            ("f/start_dim", 9),
            ("f/end_dim", -9),
            ("f/input_type", [4, 4, 5]),
        )
    },
    "kernel of three": _set(NODES + "c1/weight", np.ones((3, 2, 3))),
    "bias too long": _set(NODES + "a/bias", np.ones(6)),
    "weight turned": _set(NODES + "a/weight", np.ones((64, 5))),
    "empty weight": _set(NODES + "a/weight", np.ones((0, 64))),
    "pool and padding": lambda f: [
        _set(NODES + "p/kernel_size", [10**9] * 2)(f),
        _set(NODES + "p/padding", [5 * 10**8] * 2)(f),
    ],
    "padding and stride": lambda f: [
        _set(NODES + "c1/padding", [10**9] * 2)(f),
        _set(NODES + "c1/stride", [10**9] * 2)(f),
    ],
}
LINKS = {
    **{
        f"soft {p}": _link(p, h5py.SoftLink(t))
        for p, t in (
            (NODES + "a/weight", "/node/nodes/rec/weight"),
            (NODES + "loop", "/node"),
            ("node/metadata", "/node"),
            (NODES + "s2", "/nowhere"),
            ("other", "/"),
        )
    },
    **{
        f"external {p}": _link(p, h5py.ExternalLink(t, "/node"))
        for p, t in ((NODES + "a/weight", "/etc/passwd"), ("node/metadata", "other.nir"), (NODES + "s2", "/dev/zero"))
    },
    "cycle": _alias(NODES + "s2/self", "node"),
    "cycle to root": _alias(NODES + "c1/up", "/"),
    "own child": _alias(NODES + "c1/own", NODES + "c1"),
    "shared group": _alias(NODES + "s4", NODES + "s2"),
    "shared data": _alias(NODES + "s2/r", NODES + "s2/tau"),
    "virtual": _virtual,
    "outside": _outside,
}
DTYPES = {
    **{
        f"{np.asarray(v).dtype} in {p}": _set(NODES + p, v)
        for p in ("a/weight", "s2/tau")
        for v in (COMPOUND, np.ones(5, complex), np.ones(5, np.longdouble), np.array([b"a"] * 5), np.zeros(5, "V4"))
    },
    "references": lambda f: _set(NODES + "s2/tau", f["node"].ref, h5py.ref_dtype)(f),
    "ragged": lambda f: _replace(f, NODES + "s2/tau", shape=(3,), dtype=h5py.vlen_dtype(np.float64)),
    "null": lambda f: _replace(f, NODES + "s2/tau", h5py.Empty("f4")),
    "text in type array": _set(NODES + "s2/type", np.array(["LIF"] * 3, dtype=object), h5py.string_dtype()),
    "number as type": _set(NODES + "s2/type", 3),
    "half a group count": _set(NODES + "c1/groups", 1.5),
    "word in padding": _set(NODES + "c1/padding", "sane"),
    "word in stride": _set(NODES + "c1/stride", "same"),
    "named type": lambda f: f.__setitem__(NODES + "s2/kind", np.dtype("f8")),
}
VALUES = {
    **{
        f"{p} {v}": _poke(NODES + p, ..., v)
        for p, v in (
            ("a/weight", np.nan),
            ("a/bias", np.inf),
            ("c1/weight", -np.inf),
            ("s2/tau", np.nan),
            ("s2/tau", 0.0),
            ("s2/tau", -1e-3),
            ("s3/v_threshold", np.nan),
            ("s3/r", np.inf),
            ("s2/tau", 1e-300),
            ("s2/tau", 1e-6),
            ("s3/v_reset", 0.5),
        )
    },
    "one nan": _poke(NODES + "a/weight", (3, 17), np.nan),
}
MUST_FAIL = {**STRUCTURE, **SIZES, **LINKS, **DTYPES, **VALUES}


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "valid.nir"
    nir.write(path, networks.convolutional(), compression=None)
    return path


def _attempt(path):
    """("error" or "graph", seconds); anything else that is raised goes through."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        try:
            graph = load(path, dt=networks.DT, reset="zero")
            assert list(check(graph)) == []
            found = "graph"
        except S2NirError as error:
            found = "error" if str(error) else "an error without a word"
    seconds = time.perf_counter() - start
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert seconds < SECONDS
    assert grown < BYTES
    return found


def test_the_file_itself_loads(valid):
    assert _attempt(valid) == "graph"


def test_there_are_enough_of_them():
    assert len(STRUCTURE) + len(SIZES) + len(LINKS) + len(DTYPES) + 20 >= 120
    assert len(MUST_FAIL) + 20 + FLIPS >= 200


@pytest.mark.parametrize("name", MUST_FAIL)
def test_a_broken_file_is_refused(valid, tmp_path, name):
    path = tmp_path / "mutated.nir"
    path.write_bytes(valid.read_bytes())
    with h5py.File(path, "r+") as file:
        MUST_FAIL[name](file)
    assert _attempt(path) == "error"


@pytest.mark.parametrize("part", range(20))
def test_a_truncated_file_is_refused(valid, tmp_path, part):
    path = tmp_path / "cut.nir"
    raw = valid.read_bytes()
    path.write_bytes(raw[: len(raw) * part // 20])
    assert _attempt(path) == "error"


@pytest.mark.parametrize("seed", range(FLIPS))
def test_flipped_bits_end_well(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "flipped.nir"
    nir.write(
        path, networks.nested() if seed % 2 else networks.convolutional(), compression=None if seed % 3 else "gzip"
    )
    raw = bytearray(path.read_bytes())
    for at in rng.integers(0, len(raw), 1 + 3 * (seed % 10)):
        raw[at] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(raw))
    assert _attempt(path) in ("error", "graph")


@pytest.mark.parametrize("place", ["heap", "text"])
def test_what_hdf5_would_never_come_back_from(valid, tmp_path, place):
    raw = bytearray(valid.read_bytes())
    heap = raw.find(b"GCOL")
    if place == "heap":  # the free space at the end of the heap takes no bytes
        at = heap + 16
        while (length := int.from_bytes(raw[at + 8 : at + 16], "little")) and raw[at : at + 2] != b"\0\0":
            at += 16 + (length + 7) // 8 * 8
        raw[at + 8 : at + 16] = bytes(8)
    else:  # a text points beyond the file
        with h5py.File(valid) as file:
            at = file[NODES + "out/type"].id.get_offset()
        raw[at : at + 12] = b"\xff" * 12
    path = tmp_path / "endless.nir"
    path.write_bytes(raw)
    with pytest.raises(LoadError, match="heap at byte .* is broken" if place == "heap" else "points to no heap"):
        load(path)


def test_a_larger_limit_is_taken(tmp_path):
    path = tmp_path / "wide.nir"
    nir.write(path, networks.line((300,), nir.Linear(np.ones((300, 300))), networks.integrate(300), (300,)))
    with pytest.raises(LoadError, match=r"expanded, allowed are 100000.*larger max_bytes"):
        load(path, reset="zero", max_bytes=100_000)
    assert load(path, reset="zero").populations


def test_no_such_file_and_no_hdf5(tmp_path):
    with pytest.raises(LoadError, match="there is no such file"):
        load(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("a,b,c")
    with pytest.raises(LoadError, match=r"text\.nir: is a text file; needed a NIR file \(HDF5\)"):
        load(tmp_path / "text.nir")


def test_what_a_file_is_instead_is_said(valid, tmp_path):
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    raw = valid.read_bytes()
    contents = {"empty": b"", "page": b"\n<!DOCTYPE html>", "lfs": b"version https://git-lfs.github.com/spec/v1\n",
                "pickle": b"\x80\x04\x95", "gzip": b"\x1f\x8b\x08", "junk": bytes(range(256)), "cut": raw[:900],
                "stub": raw[:20], "hdf5": b"\x89HDF\r\n\x1a\n" + b"\xff" * 200}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    for name, said in {
        "folder": r"is a folder; needed a NIR file \(HDF5\)", "array.npy": "is a NumPy file; needed a NIR file",
        "arrays.npz": r"is a zip archive, as NumPy's \.npz", "empty": "is empty; needed",
        "page": "is a web page; needed", "lfs": "is a Git LFS pointer", "pickle": "is a Python pickle",
        "gzip": "is a gzip archive",
        "junk": "is not a readable HDF5 file: it is damaged, or of another format; needed a NIR file",
        "cut": rf"is cut short: 900 of {len(raw)} bytes are there", "stub": "is cut short: only 20 bytes are there",
        "hdf5": "is not a readable HDF5 file: it is damaged",
        "other.h5": r"is an HDF5 file but no NIR file: it has neither /version nor /node \(it holds x\)",
    }.items():
        with pytest.raises(LoadError, match=f"{name}: {said}"):
            load(tmp_path / name)


def test_an_image_is_told_from_a_network(tmp_path):
    graph = load(networks.line((1,), networks.integrate(1), (1,)), reset="zero")
    s2nir.compile(s2nir.quantize(graph)).save(tmp_path / "m.s2.h5")
    with pytest.raises(LoadError, match=r"m\.s2\.h5: is a machine image: use s2nir\.MachineImage\.load"):
        load(tmp_path / "m.s2.h5")


def test_a_link_is_named_by_place_and_kind(valid, tmp_path):
    path = tmp_path / "linked.nir"
    path.write_bytes(valid.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["node/nodes/a/weight"]
        file["node/nodes/a/weight"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(LoadError, match="/node/nodes/a/weight: is an external link"):
        load(path)
