"""N-MNIST from one file and from tonic's folder."""

import re
import sys

import numpy as np
import pytest

from real import DATA, needs_shared
from s2nir import S2NirError
from s2nir.data import nmnist

PACKED = DATA / "nmnist" / "train_1000.npz"


def one_file(path, **change):
    offsets = np.arange(1001) * 3
    arrays = {
        "xyp": np.tile(np.array([[1, 2, 0], [3, 4, 1], [33, 33, 1]], np.uint8), (1000, 1)),
        "t_us": np.tile(np.array([5, 6, 300_000], np.int32), 1000),
        "offsets": offsets,
        "label": np.arange(1000) % 10,
    }
    np.savez(path, **{k: v for k, v in (arrays | change).items() if v is not None})
    return path


def words_of(events):
    """The 40-bit words of N-MNIST's own files."""
    x, y, t = (events[k].astype(np.int64) for k in "xyt")
    out = np.stack([x, y, events["p"].astype(np.int64) << 7 | t >> 16, t >> 8 & 255, t & 255], axis=1)
    return out.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path, some_events):
    for part in ("Train", "Test"):
        for digit in range(10):
            (tmp_path / "NMNIST" / part / str(digit)).mkdir(parents=True)
            for k in range(3):
                events = some_events(40, seed=digit * 3 + k + 100 * (part == "Test"), last=8000, size=34)
                (tmp_path / "NMNIST" / part / str(digit) / f"{k:05d}.bin").write_bytes(words_of(events))
    return tmp_path


def test_one_file_is_split_in_its_order(tmp_path):
    path = one_file(tmp_path / "a.npz")
    parts = [nmnist(path, split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [700, 100, 200]
    assert np.concatenate([part.places for part in parts]).tolist() == list(range(1000))
    events, label = parts[2][3]
    assert label == 3
    assert events.tolist() == [(1, 2, 5, False), (3, 4, 6, True), (33, 33, 300_000, True)]
    assert repr(parts[0]) == "<Recordings: N-MNIST train, 700 recordings, 10 classes, 34x34 pixels>"


@needs_shared
def test_the_real_recordings():
    train, test = nmnist(PACKED), nmnist(PACKED, "test")
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert sorted(set(test.labels.tolist())) == list(range(10))
    events, _ = train[0]
    assert events.size == 4681
    assert events["t"][:3].tolist() == [893, 1060, 2443]
    for events, _ in test:
        assert 290_000 < events["t"][-1] < 320_000


def test_tonics_folder(folder, some_events):
    pytest.importorskip("tonic")
    train, validation, test = (nmnist(folder, split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (27, 3, 30)
    assert validation.labels.tolist() == [3, 6, 9]
    assert not {train.source.paths[k] for k in train.places} & {validation.source.paths[k] for k in validation.places}
    for place, (events, label) in enumerate(test):
        assert label == place // 3
        assert np.array_equal(events, some_events(40, seed=place + 100, last=8000, size=34))
    assert len(nmnist(folder / "NMNIST", "test")) == 30


def test_what_is_not_there_or_broken_is_refused(folder, tmp_path):
    with pytest.raises(S2NirError, match="there is no such file or folder; needed N-MNIST"):
        nmnist(tmp_path / "none")
    with pytest.raises(S2NirError, match="split: found 'x', allowed train, validation, test"):
        nmnist(tmp_path, "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(S2NirError, match=r"found no folders 0 to 9 with \.bin files\. N-MNIST is at"):
        nmnist(tmp_path / "empty")
    first = nmnist(folder, "test").source.paths[0]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(S2NirError, match="has 199 bytes, and an event has 5"):
        _ = nmnist(folder, "test")[0]


def test_without_tonic_the_folder_says_how_to_get_it(folder, monkeypatch):
    recordings = nmnist(folder)
    monkeypatch.setitem(sys.modules, "tonic", None)
    monkeypatch.setitem(sys.modules, "tonic.io", None)
    with pytest.raises(S2NirError, match=re.escape("Install it: pip install 's2nir[data]'")):
        _ = recordings[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": None}, "found arrays xyp, t_us, offsets; needed xyp, t_us, offsets, label"),
        ({"label": np.arange(10)}, "label: found int64 (10,), needed whole numbers (1000,)"),
        ({"xyp": np.full((3000, 3), 65543, np.uint32)}, "xyp, x: found 65543..65543, allowed 0..33"),
        ({"xyp": np.full((3000, 3), 256 + 7, np.uint16)}, "xyp, x: found 263..263, allowed 0..33"),
        ({"xyp": np.full((3000, 3), 2, np.uint8)}, "xyp, polarity: found 2..2, allowed 0..1"),
        ({"t_us": np.zeros(3000)}, "t_us: found float64 (3000,), needed whole numbers (3000,)"),
        ({"offsets": np.arange(1001) * 2}, "offsets: found 0..2000, needed 0 rising to 3000"),
        ({"offsets": np.arange(1001)[::-1] * 3}, "offsets: found 3000..0, needed 0 rising to 3000"),
        ({"label": np.full(1000, 10)}, "labels: found 0..10, allowed 0..9"),
        ({"label": np.array([{}] * 1000, dtype=object)}, "cannot be read as .npz without unpickling"),
    ],
)
def test_broken_files_are_refused(tmp_path, change, words):
    with pytest.raises(S2NirError, match=re.escape(words)):
        nmnist(one_file(tmp_path / "a.npz", **change))
