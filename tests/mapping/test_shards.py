"""Images as folders of shards: the same image, written as it is made, whole or not at all, and refused when altered."""

import importlib

import numpy as np
import pytest

import s2nir
from s2nir import Connect, MachineImage, Neurons
from s2nir.errors import ImageError, MappingError

shards = importlib.import_module("s2nir.mapping.shards")
image_module = importlib.import_module("s2nir.mapping.image")


@pytest.fixture
def net(monkeypatch):
    """A network on many cores, and shards of 8 of them."""
    monkeypatch.setattr(shards, "SHARD", 8)
    monkeypatch.setattr(image_module, "SHARD", 8)
    w = np.random.default_rng(0).normal(size=(300, 40))
    graph = s2nir.build({"in": 40, "a": Neurons(shape=300)}, [Connect(source="in", target="a", weight=w)])
    return s2nir.quantize(graph)


WINDOW = 1024 * 3


def test_a_folder_holds_the_same_image(net, tmp_path):
    whole = s2nir.compile(net, window=WINDOW)
    streamed = s2nir.compile(net, window=WINDOW, into=tmp_path / "net.s2")
    assert streamed.digest == whole.digest
    assert len(whole.cores) > 16
    assert sorted(p.name for p in (tmp_path / "net.s2").iterdir()) == [
        "index.h5", *(f"shard-{k:05}.bin" for k in range(-(-len(whole.cores) // 8)))]
    for loaded in (MachineImage.load(tmp_path / "net.s2"), MachineImage.load(tmp_path / "net.s2", verify=False)):
        assert loaded.digest == whole.digest
        assert all(isinstance(c.memory, np.memmap) for c in loaded.cores)
    x = (np.random.default_rng(1).random((2, 10, 40)) < 0.3).astype(np.uint8)
    runs = [s2nir.run(i, x).raw_spikes("a") for i in (whole, streamed, loaded)]
    assert runs[0].any()
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_file_and_folder_go_into_each_other(net, tmp_path):
    image = s2nir.compile(net, window=WINDOW)
    image.save(tmp_path / "a.s2")
    MachineImage.load(tmp_path / "a.s2").save(tmp_path / "a.s2.h5")
    back = MachineImage.load(tmp_path / "a.s2.h5")
    assert back.digest == image.digest
    back.save(tmp_path / "a.s2")  # over the folder that is there
    assert MachineImage.load(tmp_path / "a.s2").digest == image.digest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.s2", "a.s2.h5"]


def test_a_byte_of_a_shard_is_missed_by_nobody(net, tmp_path):
    s2nir.compile(net, window=WINDOW, into=tmp_path / "net.s2")
    file = tmp_path / "net.s2" / "shard-00001.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ImageError, match=r"shard-00001\.bin: altered since it was written\. Copy the folder again"):
        MachineImage.load(tmp_path / "net.s2")


def test_shards_that_are_missing_or_short_are_refused(net, tmp_path):
    s2nir.compile(net, window=WINDOW, into=tmp_path / "net.s2")
    file = tmp_path / "net.s2" / "shard-00001.bin"
    data = file.read_bytes()
    file.write_bytes(data[:-4])
    with pytest.raises(ImageError, match=rf"shard-00001\.bin: found {len(data) - 4} bytes, the index says {len(data)}"):
        MachineImage.load(tmp_path / "net.s2")
    file.unlink()
    with pytest.raises(ImageError, match=r"shard-00001\.bin: is missing"):
        MachineImage.load(tmp_path / "net.s2")


def test_what_fails_leaves_nothing_behind(net, tmp_path, monkeypatch):
    compiling = importlib.import_module("s2nir.mapping.compile")

    def broken(*_):
        raise MappingError("no more")

    monkeypatch.setattr(compiling, "_image", broken)
    with pytest.raises(MappingError, match="no more"):
        s2nir.compile(net, window=WINDOW, into=tmp_path / "net.s2")
    assert list(tmp_path.iterdir()) == []


def test_only_images_are_written_over(net, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for target in (tmp_path / "mine", tmp_path / "mine" / "thesis.tex"):
        with pytest.raises(ImageError, match="is there and is no image folder"):
            s2nir.compile(net, window=WINDOW, into=target)
    for name in ("x.h5", "x.hdf5", "x.txt"):
        with pytest.raises(ImageError, match=rf"{name}: found a name that ends in \.\w+, as of a file; a folder's"):
            s2nir.compile(net, window=WINDOW, into=tmp_path / name)
    made = s2nir.compile(net, window=WINDOW, into=tmp_path / "plain")
    assert MachineImage.load(tmp_path / "plain").digest == made.digest
    with pytest.raises(ImageError, match="there is no folder"):
        s2nir.compile(net, window=WINDOW, into=tmp_path / "no" / "net.s2")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_a_folder_without_an_index_is_no_image(tmp_path):
    for name in ("none", "none.s2"):
        with pytest.raises(ImageError, match=f"{name}: there is no such file"):
            MachineImage.load(tmp_path / name)
    with pytest.raises(ImageError, match=r"is a folder without 'index\.h5', so no image folder"):
        MachineImage.load(tmp_path)


def test_pages_that_are_let_go_are_read_again(net, tmp_path):
    image = s2nir.compile(net, window=WINDOW, into=tmp_path / "net.s2")
    before = [c.memory.copy() for c in image.cores]
    for core in image.cores:
        image_module.let_go(core)
    assert all(np.array_equal(a, c.memory) for a, c in zip(before, image.cores, strict=True))
    image_module.let_go(s2nir.compile(net, window=WINDOW).cores[0])  # not mapped: nothing happens
    assert list(image.check()) == []


def test_what_stands_beside_an_image_is_not_lost(net, tmp_path):
    s2nir.compile(net, window=WINDOW, into=tmp_path / "net.s2")
    (tmp_path / "net.s2" / "notes.txt").write_text("mine")
    with pytest.raises(ImageError, match=r"holds 'notes\.txt' beside an image, which would be lost"):
        s2nir.compile(net, window=WINDOW, into=tmp_path / "net.s2")
    assert (tmp_path / "net.s2" / "notes.txt").read_text() == "mine"
