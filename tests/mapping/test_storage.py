"""Images on disk: the same back, or refused."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

import s2nir
from quantize.networks import conv, cuba, dense, graph, lif, source
from s2nir.data import shapes_network
from s2nir.errors import ImageError, S2NirError
from s2nir.graph import Pool
from s2nir.mapping import MachineImage, Table, check, storage


def network(bits=8, arithmetic="float32"):
    rng = np.random.default_rng(1)
    g = graph(
        [source((2, 4, 4)), lif("a", (3, 4, 4)), lif("b", (2, 2, 2), threshold=rng.uniform(1, 2, (2, 2, 2))),
         cuba("c", (6,), bias=rng.normal(size=6))],
        [conv("in", "a", rng.normal(size=(3, 2, 3, 3)), (2, 4, 4), (3, 4, 4), padding=(1, 1)),
         conv("a", "b", rng.normal(size=(2, 3, 1, 1)), (3, 4, 4), (2, 2, 2), pool=Pool(size=(2, 2), stride=(2, 2))),
         dense("b", "c", rng.normal(size=(6, 8))), dense("a", "c", rng.normal(size=(6, 48))),
         dense("c", "c", rng.normal(size=(6, 6)))],
    )
    return s2nir.quantize(g, s2nir.PTQ(bits=bits), arithmetic=arithmetic)


@pytest.fixture(scope="module")
def image():
    return s2nir.compile(network())


@pytest.fixture(scope="module")
def stored(image, tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "model.s2.h5"
    image.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("bits", [8, "s4"])
def test_an_image_comes_back_as_it_was(tmp_path, bits, arithmetic):
    image = s2nir.compile(network(bits, arithmetic), partition=s2nir.Partition(slices=2), ticks=7)
    image.save(str(tmp_path / "m.h5"))
    back = MachineImage.load(str(tmp_path / "m.h5"))
    assert back == image
    assert back.digest == image.digest
    assert (str(back), back.fit()) == (str(image), image.fit())
    assert (dict(back.versions), back.notes, back.contract) == (dict(image.versions), image.notes, image.contract)
    assert list(back.check()) == []
    spikes = (np.random.default_rng(0).random((2, 6, 2, 4, 4)) < 0.5).astype(np.uint8)
    ours, theirs = s2nir.run(image, spikes), s2nir.run(back, spikes)
    for name in ours.spikes:
        assert np.array_equal(ours.raw_spikes(name), theirs.raw_spikes(name))
    back.save(tmp_path / "again.h5")
    assert MachineImage.load(tmp_path / "again.h5") == image


def test_a_truncated_file_is_refused(stored, tmp_path):
    path = tmp_path / "cut.h5"
    for k in range(20):
        path.write_bytes(stored[: len(stored) * k // 20])
        said = rf"is cut short: {len(stored) * k // 20} of {len(stored)} bytes are there" if k else "is empty; needed"
        with pytest.raises(ImageError, match=rf"cut\.h5: {said}"):
            MachineImage.load(path)
    path.write_bytes(stored[:-1])
    with pytest.raises(ImageError, match=r"cut\.h5"):
        MachineImage.load(path)


def test_a_turned_bit_is_refused_or_without_effect(stored, image, tmp_path):
    rng = np.random.default_rng(8)
    refused = 0
    for k in range(200):
        data = bytearray(stored)
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path = tmp_path / f"{k}.h5"
        path.write_bytes(data)
        try:
            back = MachineImage.load(path)
        except ImageError:
            refused += 1
        else:
            assert back.digest == image.digest
            assert back == image
    assert refused > 40


def altered(stored, tmp_path, change):
    path = tmp_path / "altered.h5"
    path.write_bytes(stored)
    with h5py.File(path, "r+") as f:
        change(f)
    return path


def other_schema(f):
    f.attrs["schema"] = 4


def no_schema(f):
    del f.attrs["schema"]


def no_digest(f):
    del f.attrs["digest"]


def turned_weight(f):
    memory = f["memory"][()]
    memory[200] ^= 1
    f["memory"][...] = memory


def no_tables(f):
    del f["tables"]


def cores_that_do_not_fit(f):
    start = f["core_start"][()]
    start[1] += 4
    start[-1] += 4
    f["core_start"][...] = start


def a_long_memory(f):
    del f["memory"]
    f.create_dataset("memory", shape=(2**35,), dtype="u1", chunks=(1 << 20,), compression="gzip")


def a_table_of_another_chip(f):
    f.move("tables/0,0", "tables/nowhere")


def another_head(f):
    del f["head"]
    f.create_dataset("head", data=np.frombuffer(b"{}", np.uint8))


def no_head(f):
    del f["head"]


@pytest.mark.parametrize(("change", "what"), [
    (other_schema, r"found image schema 4, this release reads 3\. Compile it anew"),
    (no_schema, "is damaged: its 'schema' cannot be read"),
    (no_digest, "is damaged: its 'digest' cannot be read"),
    (turned_weight, r"altered, its content has digest [0-9a-f]{12}, the file says [0-9a-f]{12}"),
    (no_tables, r"is damaged: its 'tables' cannot be read\. Compile the image anew"),
    (cores_that_do_not_fit, "its cores and its memory do not agree in size"),
    (a_long_memory, r"declares \d+ bytes, an image of its machine is at most 1088290816"),
    (a_table_of_another_chip, "is damaged: its 'tables' cannot be read"),
    (another_head, "is damaged: its 'head' cannot be read"),
    (no_head, r"altered\.h5: is damaged: its 'head' cannot be read\. Compile the image anew\.$"),
])
def test_an_altered_file_is_refused(stored, tmp_path, change, what):
    path = altered(stored, tmp_path, change)
    with pytest.raises(ImageError, match=what):
        MachineImage.load(path)


def test_files_that_are_no_image(tmp_path):
    with pytest.raises(ImageError, match=r"none\.h5: there is no such file"):
        MachineImage.load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ImageError, match=r"text\.h5: is a text file; needed a machine image \(HDF5\)"):
        MachineImage.load(tmp_path / "text.h5")
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(ImageError, match="is empty; needed a machine image"):
        MachineImage.load(tmp_path / "empty.h5")
    with pytest.raises(ImageError, match=r"is a folder without 'index\.h5', so no image folder; needed"):
        MachineImage.load(tmp_path)
    (tmp_path / "junk.h5").write_bytes(bytes(range(256)))
    with pytest.raises(ImageError, match="is not a readable HDF5 file: it is damaged, or of another format"):
        MachineImage.load(tmp_path / "junk.h5")
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = 1
    with pytest.raises(ImageError, match="is an HDF5 file, but no machine image: it has no schema"):
        MachineImage.load(tmp_path / "other.h5")
    with pytest.raises(ImageError, match=r"shapes_cnn\.nir: is a NIR network: use s2nir\.load"):
        MachineImage.load(shapes_network())


def test_digests_that_differ_late_are_shown_as_far_as_they_differ(stored, image, tmp_path):
    end = "0" if image.digest[39] != "0" else "1"
    for other, shown in ((image.digest[:39] + end + image.digest[40:], 40), (image.digest[:20], 21)):
        path = altered(stored, tmp_path, lambda f, other=other: f.attrs.modify("digest", other))
        said = f"its content has digest {image.digest[:shown]}, the file says {other[:shown]}$"
        with pytest.raises(ImageError, match=said):
            MachineImage.load(path)


def test_nothing_is_left_behind_when_writing_fails(image, tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    image.save(path)
    before = path.read_bytes()

    def half(image, file):
        file.write(b"half of it")
        raise OSError("the disk is full")

    monkeypatch.setattr(storage, "write", half)
    with pytest.raises(OSError, match="the disk is full"):
        image.save(path)
    with pytest.raises(OSError, match="the disk is full"):
        image.save(tmp_path / "new.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_or_no_file(image, tmp_path):
    with pytest.raises(S2NirError, match=r"there is no folder .*nowhere"):
        image.save(tmp_path / "nowhere" / "m.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(S2NirError, match="is there and is no file"):
        image.save(tmp_path / "folder.h5")
    (tmp_path / "target.h5").write_text("old")
    (tmp_path / "link.h5").symlink_to(tmp_path / "target.h5")
    image.save(tmp_path / "link.h5")
    assert (tmp_path / "link.h5").is_symlink()
    assert MachineImage.load(tmp_path / "target.h5") == image
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.h5", "link.h5", "target.h5"]


@pytest.mark.parametrize("name", ["x.txt", "x", "x.h5.gz", "model.s2.nir"])
def test_the_ending_of_a_name_says_what_is_written(image, tmp_path, name):
    said = rf"MachineImage\.save: found .*{name}', allowed are names that end in \.h5 or \.hdf5, .* or in \.s2, for a"
    with pytest.raises(ImageError, match=said):
        image.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    image.save(tmp_path / "x.HDF5")
    assert MachineImage.load(tmp_path / "x.HDF5") == image


@pytest.mark.parametrize("path", [None, 3, ["a.h5"]])
def test_a_path_that_is_none(image, path):
    for use, name in ((image.save, "MachineImage.save"), (MachineImage.load, "MachineImage.load"),
                      (lambda p: s2nir.compile(network(), into=p), "compile.into")):
        if path is not None or "into" not in name:
            with pytest.raises(S2NirError, match=rf"{name}: found an? \w+, needed a str or PathLike"):
                use(path)


# what an image prints, and what `check` makes of a changed one


def test_an_image_prints_the_same_every_time(image):
    again = s2nir.compile(network())
    assert again.digest == image.digest
    assert str(again) == str(image)
    lines = str(image).splitlines()
    used = sum(c.used for c in image.cores)
    assert lines[0] == (f"MachineImage {image.digest[:12]}: 4 of 148 cores and 1 for input, {used} bytes, 5 routing "
                        "entries, float32, lag 3")
    assert lines[1] == "  in: spike_list, 32 neurons on 1 cores, up to 32 and 64 of 67328 bytes each, lag 0"
    assert [r["population"] for r in image.fit()] == ["in", "a", "a+1", "b", "c"]
    for r, p in zip(image.fit(), image.populations, strict=True):
        held = [image.cores[i] for i in p.cores]
        assert r["bytes"] == max(c.used for c in held)
        assert (r["cores"], r["neurons"], r["lag"]) == (len(held), p.size, p.lag)


def test_versions_and_notes_are_no_part_of_the_digest(image):
    assert replace(image, versions={"s2nir": "9"}, notes=("x",)) == image
    assert replace(image, max_count=7) != image


def with_word(image, core, byte, value):
    memory = image.cores[core].memory.copy()
    memory[byte : byte + 4].view("<u4")[0] = value
    cores = list(image.cores)
    cores[core] = replace(cores[core], memory=memory)
    return replace(image, cores=tuple(cores))


@pytest.mark.parametrize(("byte", "value", "what"), [
    (56, 100, "counts 100 bytes, its tables and state alone take"),
    (56, 67_329, "67329 bytes, 1 over the window of 67328"),
    (12, 1, "do not fit the key block"),
    (48, 5, "the box .* does not hold"),
    (60, 3, "3 ring slots"),
    (20, 70_000, "the descriptor counts"),
])
def test_check_reads_the_descriptor(image, byte, value, what):
    import re

    core = image["c"].cores[0]
    said = list(check(with_word(image, core, byte, value)))
    assert any(re.search(what, s) for s in said), said


def test_check_looks_at_tables_and_directory(image):
    (chip, t), = image.tables.items()
    fewer = Table(key=t.key[1:], mask=t.mask[1:], route=t.route[1:])
    assert any("whose packets do not reach it" in s for s in check(replace(image, tables={chip: fewer})))
    route = t.route.copy()
    route[0, 15] |= 1
    assert any("where nothing is loaded" in s for s in check(replace(image, tables={chip: Table(
        key=t.key, mask=t.mask, route=route)})))
    assert list(check(replace(image, populations=image.populations[1:]))) == [
        "the directory does not name every core once"]
    assert list(check(replace(image, outputs={"out": "gone"}))) == [
        "output out: names 'gone', which is not in the directory"]
    twice = (*image.cores[:-1], replace(image.cores[-1], pe=image.cores[0].pe))
    assert "two core images are for the same core" in list(check(replace(image, cores=twice)))
    far = (*image.cores[:-1], replace(image.cores[-1], pe=150))
    assert any("not a usable core of this machine" in s for s in check(replace(image, cores=far)))
