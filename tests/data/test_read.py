"""Files of events: AEDAT 3.1 as tonic reads it, NumPy and HDF5, and one sentence where a file is something else."""

import pickle
import re
import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2nir import S2NirError
from s2nir.data import dvs_gesture, make_events, nmnist, read_events
from s2nir.data.aedat import read_aedat
from s2nir.errors import InputError


@pytest.fixture
def events(some_events):
    return some_events(100)


def columns(events):
    return {name: events[name] for name in "xytp"}


def plain(events):
    return np.stack([events[name].astype(np.int64) for name in "xytp"], axis=1)


@pytest.mark.parametrize("form", ["aedat", "fields", "other fields", "columns", "float", "npz", "h5", "group"])
def test_every_form_gives_the_same_events(form, events, tmp_path, aedat_bytes):
    path = tmp_path / {"aedat": "a.aedat", "npz": "a.npz", "h5": "a.h5", "group": "a.HDF5"}.get(form, "a.npy")
    if form == "aedat":
        path.write_bytes(aedat_bytes(events))
    elif form == "fields":
        np.save(path, events)
    elif form == "other fields":
        out = np.zeros(events.size, [("t", "<u8"), ("x", "<u2"), ("p", "i1"), ("y", "<u2"), ("z", "<f8")])
        for name in "xytp":
            out[name] = events[name]
        out["p"][out["p"] == 0] = -1
        np.save(path, out)
    elif form == "columns":
        np.save(path, plain(events))
    elif form == "float":
        np.save(path, plain(events).astype(np.float64))
    elif form == "npz":
        np.savez(path, **columns(events))
    else:
        with h5py.File(path, "w") as file:
            for name, values in columns(events).items():
                file[f"events/{name}" if form == "group" else name] = values
    read = read_events(path)
    assert np.array_equal(read, events)
    assert read.dtype == events.dtype
    assert np.array_equal(read_events(str(path)), events)


def test_tonics_preprocessed_milliseconds(tmp_path, events):
    ms = np.stack([events["x"], events["y"], events["p"], events["t"] // 1000], axis=1)
    np.save(tmp_path / "0.npy", ms)
    read = read_events(tmp_path / "0.npy")
    assert np.array_equal(read["t"], events["t"] // 1000 * 1000)
    assert np.array_equal(read["p"], events["p"])


def test_events_out_of_order_are_sorted(tmp_path, events):
    np.save(tmp_path / "a.npy", events[::-1])
    read = read_events(tmp_path / "a.npy")
    assert (np.diff(read["t"]) >= 0).all()
    assert np.array_equal(np.sort(read, order=["t", "x", "y", "p"]), np.sort(events, order=["t", "x", "y", "p"]))


@pytest.fixture(scope="module")
def io():
    return pytest.importorskip("tonic.io")


@given(count=st.integers(1, 40), per_packet=st.integers(1, 9), seed=st.integers(0, 999))
def test_aedat_is_read_as_tonic_reads_it(io, count, per_packet, seed, some_events, aedat_bytes, tmp_path_factory):
    path = tmp_path_factory.mktemp("aedat") / "a.aedat"
    path.write_bytes(aedat_bytes(some_events(count, seed), per_packet))
    version, start, _ = io.read_aedat_header_from_file(str(path))
    words = io.get_aer_events_from_file(str(path), version, start)
    data = words["address"]
    theirs = make_events(data >> 17 & 0x1FFF, data >> 2 & 0x1FFF, words["timeStamp"], data >> 1 & 1)
    assert np.array_equal(read_events(path), theirs)


def test_tonics_reader_of_the_gesture_set_still_cannot_be_used(io, tmp_path, events, aedat_bytes):
    """Why s2nir has a reader of its own: tonic.io.read_dvs_ibm unpacks two of three values (tonic issue 302)."""
    (tmp_path / "a.aedat").write_bytes(aedat_bytes(events))
    with pytest.raises(ValueError, match="too many values to unpack"):
        io.read_dvs_ibm(str(tmp_path / "a.aedat"))


def test_aedat_between_two_times_passes_other_packets_over(tmp_path, some_events, aedat_bytes, aedat_packet):
    events = some_events(60, last=1000)
    events["t"] = np.sort(np.append(events["t"][:57], [299, 300, 500]))
    late = events.copy()
    late["t"] += 1 << 32  # the time stamp has run over twice
    special = aedat_packet(events[:3], kind=0)
    (tmp_path / "a.aedat").write_bytes(aedat_bytes(events) + special + aedat_packet(events[:0]) + aedat_packet(late))
    read = read_aedat(tmp_path / "a.aedat", 300, (1 << 32) + 500)
    expected = np.concatenate([events[events["t"] >= 300], late[late["t"] < (1 << 32) + 500]])
    assert np.array_equal(read, expected)
    assert read_aedat(tmp_path / "a.aedat").size == 120
    assert read_aedat(tmp_path / "a.aedat", 2000, 3000).size == 0


def test_broken_aedat_is_refused(tmp_path, events, aedat_bytes, aedat_packet):
    whole = aedat_bytes(events)
    head = whole[: whole.index(b"END-HEADER") + 12]
    cases = {
        "begins with b'', needed an AEDAT 3.1 file": b"",
        "begins with b'<html>', needed an AEDAT 3.1 file": b"<html>\n",
        "is AEDAT 2.0, allowed is AEDAT 3.1": b"#!AER-DAT2.0\r\n" + whole,
        "its header does not end within": b"#!AER-DAT3.1\r\n#no end",
        "is cut short within the head of a packet at byte": whole + whole[len(head) : len(head) + 20],
        "is cut short: the packet at byte": whole[:-5],
        "has 5 of 7 events of 8 bytes; polarity events have 8 bytes": head + aedat_packet(events[:7], number=5),
    }
    for words, raw in cases.items():
        (tmp_path / "a.aedat").write_bytes(raw)
        with pytest.raises(S2NirError, match=re.escape(words)):
            read_events(tmp_path / "a.aedat")


def test_other_files_are_refused(tmp_path, events):
    def refused(name, words):
        with pytest.raises(S2NirError, match=re.escape(f"{tmp_path / name}") + ".*" + re.escape(words)):
            read_events(tmp_path / name)

    refused("none.npy", "there is no such file; needed event recordings: .aedat (AEDAT 3.1), .npy, .npz, .h5 or .hdf5")
    (tmp_path / "folder.npy").mkdir()
    refused("folder.npy", "is no file; needed event recordings")
    (tmp_path / "a.txt").write_text("1 2 3 4")
    refused("a.txt", "found the ending '.txt', allowed .aedat")
    for name in ("a.npy", "a.npz"):
        (tmp_path / name).write_bytes(pickle.dumps([1]))
        refused(name, "without unpickling")
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused("o.npy", "without unpickling")
    np.savez(tmp_path / "o.npz", **{name: np.array([{}], dtype=object) for name in "xytp"}, allow_pickle=True)
    refused("o.npz", "without unpickling")
    np.save(tmp_path / "s.npy", np.zeros((3, 5)))
    refused("s.npy", "found float64 (3, 5), needed fields x, y, t, p or (events, 4)")
    np.save(tmp_path / "f.npy", events[["x", "y", "t"]])
    refused("f.npy", "found fields ('x', 'y', 't') (100,), needed x, y, t, p (events)")
    whole = (tmp_path / "f.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-50])
    refused("cut.npy", "cannot be read as .npy")
    np.savez(tmp_path / "m.npz", x=[1], y=[1])
    refused("m.npz", "found arrays x, y; needed x, y, t, p")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t": [0.5, 1, 2]}, "t: found values that are not whole numbers; times are microseconds"),
        ({"t": [0, 1, 2.0**63]}, "t: found 0.0..9.223372036854776e+18, allowed 0..9223372036854775807"),
        ({"t": [-1, 1, 2]}, "t: found -1..2, allowed 0..9223372036854775807"),
        ({"p": [0, 1, 2]}, "p: found 0..2, allowed 0..1"),
        ({"x": [0, 1, 40000]}, "x: found 0..40000, allowed 0..32767"),
        ({"y": [0, 1]}, "x, y, t and p differ in length"),
        ({"y": ["a", "b", "c"]}, "y: found <U1 (3,), needed numbers (events)"),
        ({"y": [[0], [1], [2]]}, "y: found int64 (3, 1), needed numbers (events)"),
    ],
)
def test_wrong_columns_are_refused(tmp_path, change, words):
    np.savez(tmp_path / "a.npz", **{name: np.array([0, 0, 1]) for name in "xytp"} | change)
    with pytest.raises(S2NirError, match=re.escape(words)):
        read_events(tmp_path / "a.npz")


@pytest.mark.parametrize("form", ["fields.npy", "columns.npy", "plain.npz", "packed.npz", "a.h5", "a.aedat"])
def test_flipped_bits_are_events_or_one_sentence(tmp_path, events, form, aedat_bytes):
    path = tmp_path / form
    if form == "a.h5":
        with h5py.File(path, "w") as file:
            for name, values in columns(events).items():
                file.create_dataset(name, data=values, chunks=(64,), compression="gzip")
    elif form == "a.aedat":
        path.write_bytes(aedat_bytes(events))
    elif path.suffix == ".npy":
        np.save(path, events if form == "fields.npy" else plain(events))
    else:
        (np.savez if form == "plain.npz" else np.savez_compressed)(path, **columns(events))
    raw, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for k in range(200):
        changed = bytearray(raw)
        for at in rng.integers(0, len(raw) if k % 2 else 256, 1 + k % 3):  # the second half is of headers
            changed[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy's, of headers that it has to guess at
                read_events(path)
        except InputError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("wrong", [None, 3, b"a.npy"])
def test_what_is_no_path_is_refused(wrong):
    for read in (read_events, nmnist, dvs_gesture):
        with pytest.raises(InputError, match=r"needed a str or PathLike\. Pass the path"):
            read(wrong)


def test_hdf5_is_looked_at_before_it_is_read(tmp_path):
    path = tmp_path / "a.h5"

    def refused(words):
        with pytest.raises(S2NirError, match=re.escape(words)):
            read_events(path)

    path.write_bytes(b"<html>")
    refused("is a web page; needed an HDF5 file with events")
    with h5py.File(path, "w") as file:
        file["x"] = [1]
    refused("found x in '/'; needed datasets x, y, t, p in this file")
    with h5py.File(path, "w") as file:
        for name in "xyt":
            file[name] = [1]
        file["p"] = h5py.ExternalLink("/etc/passwd", "p")
    refused("needed datasets x, y, t, p in this file")
    with h5py.File(path, "w") as file:
        for name in "xytp":
            file.create_dataset(name, (1 << 40,), "i8", chunks=(1 << 10,))
    refused("/x is (1099511627776,), needed (events), at most 268435456")
