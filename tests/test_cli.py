"""Every command on small networks and on real ones: what it prints, what it writes, how it ends."""

import importlib
import io
import json
import re
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import nir
import numpy as np
import pytest

import s2nir
from s2nir.cli import main, parser
from s2nir.cli.spikefiles import poisson, read_spikes

SHARED = Path(__file__).parents[1].parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared with others' networks is not here")
CNN = SHARED / "models" / "cnn_sinabs.nir"
BRAILLE = SHARED / "models" / "braille_noDelay_noBias_subtract.nir"
LETTER = SHARED / "data" / "braille" / "test_0_input.npy"


def network(path, outs=3, hidden="hidden", metadata=None):
    """Input -> dense -> LIF -> dense -> IF in a file; two time constants, so that dt is proven."""
    rng = np.random.default_rng(5)
    tau = np.linspace(0.01, 0.02, 4)
    nodes = {
        "input": nir.Input(np.array([5])),
        "fc1": nir.Linear(weight=rng.normal(0.4, 0.3, (4, 5))),
        hidden: nir.LIF(tau=tau, r=tau / 1e-3, v_leak=np.zeros(4), v_threshold=np.ones(4), v_reset=np.zeros(4)),
        "fc2": nir.Linear(weight=rng.normal(0.4, 0.3, (outs, 4))),
        "out": nir.IF(r=np.ones(outs), v_threshold=np.ones(outs), v_reset=np.zeros(outs)),
        "output": nir.Output(np.array([outs])),
    }
    nir.write(str(path), nir.NIRGraph(nodes=nodes, edges=list(zip(list(nodes), list(nodes)[1:], strict=False))))
    return str(path)


@pytest.fixture
def file(tmp_path):
    return network(tmp_path / "net.nir")


@pytest.fixture
def spikes(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(3).poisson(0.4, (4, 30, 5)).astype(np.uint8))
    return str(path)


@pytest.fixture
def image(file, tmp_path):
    path = str(tmp_path / "net.s2.h5")
    assert main(["map", file, "--reset", "subtract", "-o", path]) == 0
    return path


def answer(capsys, *argv):
    """Exit code and the one JSON object on stdout."""
    capsys.readouterr()
    code = main([*argv, "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.endswith("\n")
    found = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    assert found["command"] == argv[0]
    return code, found


def wrong(capsys, *argv):
    """The words of a wrong use."""
    with pytest.raises(SystemExit, match="2"):
        main(list(argv))
    return capsys.readouterr().err


def test_check_prints_contract_network_and_fit(capsys, file):
    assert main(["check", file, "--reset", "zero"]) == 0
    out = capsys.readouterr().out
    for part in ("dt: 0.001 s (tau / r", "reset: zero (passed as reset=) [hidden, out]", "out: IF 3, 3 neurons",
                 "Linear as one dense", "parameters", "fits on 2 of 148 cores and 1 for input"):
        assert part in out


def test_check_without_a_reset_still_prints_what_is_known(capsys, file):
    assert main(["check", file]) == 1
    out = capsys.readouterr().out
    assert "out: IF 3, 3 neurons" in out
    assert 'Pass reset="subtract"' in out
    assert "incomplete: hidden reset, out reset; pass --reset RESET" in out
    code, found = answer(capsys, "check", file)
    assert (code, found["missing"], found["fits"]) == (1, ["hidden reset", "out reset"], None)


def test_check_as_json(capsys, file):
    code, found = answer(capsys, "check", file, "--reset", "hidden=zero", "--reset", "out=subtract")
    assert code == 0
    assert found["fits"] is True
    assert {e["item"]: e["value"] for e in found["contract"]}["out reset"] == "subtract"
    assert found["graph"]["weights"] == 4 * 5 + 3 * 4
    assert found["fit"]["cores_neurons"] == 2


def test_check_says_what_does_not_fit_and_why(capsys, tmp_path):
    n = 3000
    nodes = {
        "input": nir.Input(np.array([n])), "fc": nir.Linear(weight=np.ones((1, n), np.float32)),
        "if": nir.IF(r=np.ones(1), v_threshold=np.ones(1), v_reset=np.zeros(1)), "output": nir.Output(np.array([1])),
    }
    graph = nir.NIRGraph(nodes=nodes, edges=[("input", "fc"), ("fc", "if"), ("if", "output")])
    path = str(tmp_path / "wide.nir")
    nir.write(path, graph)
    assert main(["check", path, "--reset", "zero"]) == 1
    assert re.search(r"does not fit: if: one neuron alone takes \d+ bytes", capsys.readouterr().out)
    code, found = answer(capsys, "check", path, "--reset", "zero")
    assert (code, found["fits"], found["why"]["kind"]) == (1, False, "MappingError")
    code, found = answer(capsys, "map", path, "--reset", "zero", "-o", str(tmp_path / "no.s2.h5"))
    assert (code, found["error"]["kind"]) == (1, "MappingError")
    assert not (tmp_path / "no.s2.h5").exists()


def test_check_of_an_image(capsys, image):
    code, found = answer(capsys, "check", image)
    assert (code, found["fits"], found["breaches"]) == (0, True, [])
    assert "has been settled" in wrong(capsys, "check", image, "--reset", "zero")


def test_quantize_prints_a_table(capsys, file, spikes):
    assert main(["quantize", file, "--reset", "zero", "--bits", "3", "--calibration", spikes]) == 0
    out = capsys.readouterr().out
    assert "|w| <= 3" in out
    assert "input error" in out


def test_quantize_says_what_it_does_to_each_population(capsys, file, spikes):
    errors = []
    for bits in ("3", "8"):
        code, found = answer(capsys, "quantize", file, "--reset", "zero", "--bits", bits, "--calibration", spikes)
        assert code == 0
        row = next(r for r in found["populations"] if r["population"] == "hidden")
        assert row["weights"] == 20
        assert row["largest"] == found["limit"]
        errors.append((row["weight_error"], row["input_error"]))
    assert errors[0][0] > 4 * errors[1][0] > 0
    assert errors[0][1] > 4 * errors[1][1] > 0


def test_quantize_counts_clipped_and_dead(capsys, file):
    _, found = answer(capsys, "quantize", file, "--reset", "zero", "--percentile", "50", "--per", "population")
    assert sum(r["over"] for r in found["populations"]) > 0
    code, found = answer(capsys, "quantize", file, "--reset", "zero", "--percentile", "auto")
    assert (code, found["error"]["kind"]) == (1, "QuantizeError")
    assert found["error"]["message"].endswith("needs data to choose on: pass --calibration FILE")


def test_errors_of_integers_are_as_by_hand(file):
    from s2nir.cli.weights import weigh

    graph = s2nir.load(file, reset="zero")
    network_ = s2nir.quantize(graph, s2nir.PTQ(bits=4))
    x = np.random.default_rng(3).poisson(0.4, (2, 30, 5))
    row = next(r for r in weigh(graph, network_, x) if r.population == "hidden")
    a, b = graph.into("hidden")[0].connection.weight, network_.into("hidden")[0].connection.weight
    off = b / network_["hidden"].full("weight_scale")[:, None] - a
    assert row.weight_error == pytest.approx(np.sqrt((off**2).sum() / (a**2).sum()))
    assert row.input_error == pytest.approx(np.sqrt(((x @ off.T) ** 2).sum() / ((x @ a.T) ** 2).sum()))


def test_map_writes_an_image_that_runs(capsys, image, spikes):
    code, found = answer(capsys, "run", image, "--input", spikes)
    assert (code, found["recordings"], found["steps"]) == (0, 4, 30)
    assert found["image"] == s2nir.MachineImage.load(image).digest


def test_run_is_the_library(capsys, file, spikes, tmp_path):
    out, page = tmp_path / "spikes.npz", tmp_path / "run.html"
    code, found = answer(capsys, "run", file, "--reset", "subtract", "--input", spikes, "-o", str(out),
                         "--report", str(page), "--threads", "2")
    assert code == 0
    d = s2nir.deploy(file, np.load(spikes), reset="subtract")
    with np.load(out) as held:
        assert set(held.files) == set(d.recording.spikes)
        for name in held.files:
            assert (held[name] == d.recording.spikes[name]).all()
    assert {p["population"]: p["spikes"] for p in found["populations"]} == {
        n: int(s.sum()) for n, s in d.recording.spikes.items()
    }
    assert page.read_text().startswith("<!doctype html>")
    assert main(["run", file, "--reset", "subtract", "--input", spikes]) == 0
    assert "decisions at output: neuron" in capsys.readouterr().out


def test_run_writes_the_same_file_twice(file, spikes, tmp_path):
    for name in ("a.npz", "b.npz"):
        assert main(["run", file, "--reset", "zero", "--input", spikes, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_poisson_is_the_same_for_a_seed(capsys, file):
    runs = [answer(capsys, "run", file, "--reset", "zero", "--poisson", "0.3", "--steps", "40", "--seed", s)[1]
            for s in ("1", "1", "2")]
    assert runs[0] == runs[1] != runs[2]
    assert runs[0]["steps"] == 40


def test_poisson_has_its_rate():
    p = types.SimpleNamespace(name="in", shape=(20,))
    found = poisson([p], 0.3, 2000, 1, 255)["in"]
    assert found.mean() == pytest.approx(0.3, rel=0.03)
    with pytest.raises(s2nir.S2NirError, match="a rate of 300"):
        poisson([p], 300, 10, 1, 255)


def test_inputs_by_name(capsys, file, tmp_path):
    x = np.ones((6, 5), np.uint8)
    np.savez(tmp_path / "x.npz", input=x)
    code, found = answer(capsys, "run", file, "--reset", "zero", "--input", str(tmp_path / "x.npz"))
    assert (code, found["steps"]) == (0, 6)
    np.savez(tmp_path / "y.npz", other=x)
    code, found = answer(capsys, "run", file, "--reset", "zero", "--input", str(tmp_path / "y.npz"))
    assert (code, found["error"]["kind"]) == (3, "InputError")
    said = "y.npz: holds 'other', needed an array for each input of the network: 'input'. Write it with numpy.savez("
    assert said in found["error"]["message"]
    assert "A .npy needs no name" in found["error"]["message"]
    code, found = answer(capsys, "quantize", file, "--reset", "zero", "--calibration", str(tmp_path / "y.npz"))
    assert (code, said in found["error"]["message"]) == (3, True)


def test_one_array_is_not_enough_for_two_inputs(capsys, tmp_path, spikes):
    nodes = {
        **{n: nir.Input(np.array([5])) for n in ("left", "1")}, "out": nir.Output(np.array([5])),
        "if": nir.IF(r=np.ones(5), v_threshold=np.ones(5), v_reset=np.zeros(5)),
    }
    path = str(tmp_path / "two.nir")
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=[("left", "if"), ("1", "if"), ("if", "out")]))
    code, found = answer(capsys, "run", path, "--reset", "zero", "--input", spikes)
    said = "holds one array, the network has 2 inputs. Write a .npz with numpy.savez"
    assert (code, said in found["error"]["message"], "**{'1': ..., 'left': ...}" in found["error"]["message"]) == (
        3, True, True)


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "y.npy"
    np.save(path, np.array([0, 1, 2, 1]))
    return str(path)


def test_labels_give_the_accuracy(capsys, file, image, spikes, labels):
    graph = s2nir.load(file, reset="subtract")
    floats = graph.simulate(np.load(spikes)).spikes["out"].sum(axis=1, dtype=int).argmax(axis=1)
    integers = s2nir.deploy(graph, np.load(spikes)).recording.decisions("out")
    want = {"float": (floats == np.load(labels)).mean(), "integer": (integers == np.load(labels)).mean()}
    argv = [file, "--reset", "subtract", "--input", spikes, "--labels", labels]
    code, found = answer(capsys, "report", *argv)
    assert (code, found["accuracy"]) == (0, {"output": want})
    for more in (argv, [image, *argv[3:]]):
        code, found = answer(capsys, "run", *more)
        assert (code, found["accuracy"]) == (0, {"output": {"integer": want["integer"]}})
    assert main(["run", *argv]) == 0
    assert f"accuracy at output: {want['integer']:.2%} in integers" in capsys.readouterr().out
    assert main(["report", *argv]) == 0
    said = f"accuracy at output: {want['float']:.2%} in floats, {want['integer']:.2%} in integers"
    assert said in capsys.readouterr().out
    _, found = answer(capsys, "run", image, "--input", spikes)
    assert found["accuracy"] == {}


@pytest.mark.parametrize(("given", "said"), [
    (np.array([0, 1, 2]), "found shape (3,), needed (4,), a label for each recording"),
    (np.array([[0, 1, 2, 1]]), "found shape (1, 4), needed (4,)"),
    (np.array([0.0, 1, 2, 1]), "found dtype float64, needed whole numbers"),
    (np.array([True, False, True, True]), "found dtype bool, needed whole numbers"),
    (np.array([0, 1, 3, 1]), "found labels 0..3, allowed are 0..2, the neurons of output 'output'"),
    (np.array([0, -1, 2, 1]), "found labels -1..2, allowed are 0..2"),
    (None, "there is no such file"),
])
def test_labels_that_do_not_fit_are_bad_input(capsys, file, tmp_path, spikes, given, said):
    if given is not None:
        np.save(tmp_path / "y.npy", given)
    for command in ("run", "report"):
        code, found = answer(capsys, command, file, "--reset", "zero", "--input", spikes, "--labels",
                             str(tmp_path / "y.npy"))
        assert (code, found["error"]["kind"]) == (3, "InputError")
        assert said in found["error"]["message"]


def test_labels_of_a_flat_input_and_in_an_archive(capsys, tmp_path, file, spikes, labels):
    from s2nir.data import shapes_network

    flat = np.zeros((4, 3, 2 * 32 * 32), np.uint8)
    np.save(tmp_path / "flat.npy", flat)
    given = str(tmp_path / "flat.npy")
    code, found = answer(capsys, "run", str(shapes_network()), "--input", given, "--labels", labels)
    assert (code, found["accuracy"]) == (0, {"output": {"integer": 0.25}})
    np.savez(tmp_path / "y.npz", a=np.load(labels), b=np.load(labels))
    code, found = answer(capsys, "run", file, "--reset", "zero", "--input", spikes, "--labels", str(tmp_path / "y.npz"))
    assert (code, "holds several arrays (a, b), needed one" in found["error"]["message"]) == (3, True)


def test_labels_need_an_output_that_spikes(capsys, tmp_path, labels):
    nodes = {
        "input": nir.Input(np.array([5])), "fc": nir.Linear(weight=np.ones((3, 5))),
        "li": nir.LI(tau=np.full(3, 0.01), r=np.ones(3), v_leak=np.zeros(3)), "output": nir.Output(np.array([3])),
    }
    path = str(tmp_path / "li.nir")
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=[("input", "fc"), ("fc", "li"), ("li", "output")]))
    code, found = answer(capsys, "run", path, "--dt", "1e-3", "--poisson", "0.1", "--labels", labels)
    assert (code, "no output of this network spikes" in found["error"]["message"]) == (3, True)


def test_report_compares_and_writes_the_page(capsys, file, spikes, tmp_path):
    page = tmp_path / "run.html"
    code, found = answer(capsys, "report", file, "--reset", "subtract", "--input", spikes, "-o", str(page),
                         "--min-match", "0")
    assert code == 0
    assert "Float against integer" in page.read_text()
    assert found["match"] == min(p["match"] for p in found["report"]["fidelity"]["populations"])
    assert main(["report", file, "--reset", "subtract", "--input", spikes]) == 0
    assert "float against integer, recordings: 4" in capsys.readouterr().out


def test_report_fails_below_the_match_that_is_asked_for(capsys, file, spikes):
    argv = ["report", file, "--reset", "subtract", "--input", spikes, "--bits", "2", "--min-match", "1"]
    assert main(argv) == 1
    assert "asked for 100.0000%" in capsys.readouterr().err


def test_board_mode_takes_the_boards_comparison_and_onset(capsys, file):
    code, found = answer(capsys, "check", file, "--reset", "zero", "--like", "py-spinnaker2")
    assert code == 0
    entry = next(e for e in found["contract"] if e["item"] == "out compare")
    assert (entry["value"], entry["reason"]) == ("V >= threshold", "board mode, --like py-spinnaker2")
    _, found = answer(capsys, "check", file, "--reset", "zero", "--like", "py-spinnaker2", "--compare", ">")
    entry = next(e for e in found["contract"] if e["item"] == "out compare")
    assert (entry["value"], entry["reason"]) == ("V > threshold", "passed as compare=")


def test_a_dt_against_the_file_is_said(capsys, file):
    code, found = answer(capsys, "check", file, "--reset", "zero", "--dt", "2e-4")
    entry = next(e for e in found["contract"] if e["item"] == "dt")
    assert (code, entry["value"]) == (0, "0.0002 s")
    assert "which proves 0.001 s" in entry["reason"]
    assert any("the file proves dt = 0.001 s" in w for w in found["warnings"])


def test_demo_passes_on_what_it_makes(capsys, monkeypatch, tmp_path):
    made = types.ModuleType("s2nir.demo")

    def demo(out, progress):
        progress("training nothing")
        return {"accuracy_float": 0.5, "cores": 2, "report": out / "run.html"}

    made.demo = demo
    monkeypatch.setitem(sys.modules, "s2nir.demo", made)
    code, found = answer(capsys, "demo", "-o", str(tmp_path))
    assert (code, found["cores"], found["report"]) == (0, 2, str(tmp_path / "run.html"))
    assert main(["demo", "-o", str(tmp_path)]) == 0
    assert "accuracy float: 0.5" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(200), b"\x93NUMPY\x01\x00"])
@pytest.mark.parametrize("command", ["check", "quantize", "map", "run", "report"])
def test_bad_networks_are_bad_input(capsys, tmp_path, spikes, command, content):
    path = tmp_path / "bad.nir"
    path.write_bytes(content)
    more = {"map": ["-o", str(tmp_path / "m.h5")], "run": ["--input", spikes], "report": ["--input", spikes]}
    code, found = answer(capsys, command, str(path), "--reset", "zero", *more.get(command, []))
    assert (code, found["error"]["kind"]) == (3, "LoadError")


def test_a_damaged_image_is_bad_input(capsys, image, spikes):
    held = bytearray(Path(image).read_bytes())
    third = len(held) // 3
    held[third : 2 * third] = bytes(third)
    Path(image).write_bytes(bytes(held))
    code, found = answer(capsys, "run", image, "--input", spikes)
    assert (code, found["error"]["kind"]) in ((3, "ImageError"), (3, "LoadError"))


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def declared(shape):
    """A header that promises more than there is."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as held:
        for name, data in members.items():
            held.writestr(f"{name}.npy", data)
    return stream.getvalue()


BAD_SPIKES = {
    "empty": b"",
    "text": b"1 2 3",
    "header-only": declared((1 << 40, 5)),
    "negative": declared((-1, 5)),
    "cut": npy(np.ones((30, 5), np.uint8))[:-7],
    "objects": npy(np.array([{"a": 1}], object), allow_pickle=True),
    "words": npy(np.array(["a", "b"])),
    "wrong-shape": npy(np.ones((30, 6), np.uint8)),
    "scalar": npy(np.array(3)),
    "too-many": npy(np.full((30, 5), 300)),
    "half": npy(np.full((30, 5), 0.5)),
    "nan": npy(np.full((30, 5), np.nan)),
    "zip-empty": zipped(),
    "zip-junk": zipped(input=b"junk"),
    "zip-object": zipped(input=npy(np.array([{"a": 1}], object), allow_pickle=True)),
    "zip-cut": zipped(input=npy(np.ones((30, 5), np.uint8)))[:-30],
}


@pytest.mark.parametrize("kind", BAD_SPIKES)
def test_bad_spikes_are_bad_input(capsys, file, tmp_path, kind):
    path = tmp_path / "bad.npy"
    path.write_bytes(BAD_SPIKES[kind])
    code, found = answer(capsys, "run", file, "--reset", "zero", "--input", str(path))
    assert (code, found["error"]["kind"]) == (3, "InputError")


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    path = tmp_path / "x.npy"
    path.write_bytes(npy(np.array([Bomb()], object), allow_pickle=True))
    with pytest.raises(s2nir.S2NirError, match="objects are not read"):
        read_spikes(str(path))


def test_large_archives_are_refused_before_they_expand(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(zipped(input=npy(np.zeros((4000, 50), np.uint8))))
    with pytest.raises(s2nir.S2NirError, match="200128 bytes expanded, allowed are 100000"):
        read_spikes(str(path), max_bytes=100_000)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">i4", "f8", "?"])
def test_spike_files_are_read_as_numpy_reads_them(tmp_path, order, dtype):
    x = np.asarray(np.random.default_rng(1).integers(0, 2, (3, 4, 5)).astype(dtype), order=order)
    np.save(tmp_path / "x.npy", x)
    found = read_spikes(str(tmp_path / "x.npy"))
    assert found.dtype == x.dtype
    assert (found == x).all()


def test_missing_files_are_bad_input(capsys, file, tmp_path):
    code, found = answer(capsys, "run", file, "--reset", "zero", "--input", str(tmp_path / "no.npy"))
    assert (code, "there is no such file" in found["error"]["message"]) == (3, True)
    code, found = answer(capsys, "map", file, "--reset", "zero", "-o", str(tmp_path / "no" / "m.h5"))
    assert (code, "there is no folder" in found["error"]["message"]) == (3, True)
    assert answer(capsys, "map", file, "--reset", "zero", "-o", str(tmp_path))[0] == 3


@pytest.mark.parametrize("argv", [
    [], ["nothing"], ["check"], ["run", "x"], ["run", "x", "--poisson", "1", "--input", "y"], ["map", "x"],
    ["check", "x", "--reset", "soft"], ["check", "x", "--reset", "=zero"], ["check", "x", "--compare", "a=="],
    ["check", "x", "--dt", "0"], ["check", "x", "--dt", "nan"], ["check", "x", "--bits", "9"],
    ["check", "x", "--percentile", "101"], ["check", "x", "--like", "me"], ["run", "x", "--poisson", "-1"],
    ["run", "x", "--poisson", "1", "--steps", "0"], ["report", "x", "--input", "y", "--min-match", "2"],
    ["check", "x", "--reset", "zero", "--reset", "a=none"], ["check", "x", "--reset", "a=zero", "--reset", "a=none"],
    *(["map", "x", "-o", "y.h5", *two] for two in (
        ("--boards", "2"), ("--boards", "a"), ("--boards", "1368"), ("--share", "0"), ("--share", "a"), ("--tick", "0"),
        ("--window", "1023"), ("--window", "98305"), ("--max-count", "65536"), ("--record", "spike"), ("--ticks", "-1"),
        ("--max-relays", "-1"), ("--copies", "0"), ("--place", "x"), ("--rows", "x"))),
    ["map", "x", "-o", "y.txt"], ["map", "x", "-o", "y"],
    ["run", "x", "--poisson", "1", "--report", "run.pdf"], ["report", "x", "--poisson", "1", "-o", "run"],
])
def test_wrong_use_ends_with_2(capsys, argv):
    assert "usage: s2nir" in wrong(capsys, *argv)


def test_flags_have_the_bounds_of_their_arguments():
    """parser.py says them again, so that it loads nothing."""
    from s2nir.cli import commands
    from s2nir.frontend.limits import MAX_BYTES
    from s2nir.machine import RECORDS, WINDOW
    from s2nir.machine.spec import MOST_BOARDS
    from s2nir.mapping.arguments import MOST_COUNT
    from s2nir.mapping.image import ENDINGS
    from s2nir.mapping.shards import FOLDER

    module = importlib.import_module("s2nir.cli.parser")
    assert (WINDOW.least, WINDOW.most) == module.WINDOW
    assert (module.RECORDS, module.MOST_COUNT, module.MOST_BOARDS) == (RECORDS, MOST_COUNT, MOST_BOARDS)
    assert (*ENDINGS, FOLDER) == commands.IMAGES
    assert module.MAX_BYTES == MAX_BYTES


def test_a_file_may_be_larger_where_that_is_said(capsys, tmp_path):
    path = tmp_path / "x.nir"
    nodes = {"input": nir.Input(np.array([4])), "w": nir.Linear(weight=np.ones((4, 4))),
             "a": nir.LIF(tau=np.full(4, 0.02), r=np.ones(4), v_leak=np.zeros(4), v_threshold=np.ones(4),
                          v_reset=np.zeros(4)), "output": nir.Output(np.array([4]))}
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=list(zip(list(nodes), list(nodes)[1:], strict=False))))
    args = ("map", str(path), "--dt", "0.001", "--reset", "zero", "--explain")
    assert main([*args, "--max-bytes", "100"]) == 3
    assert "allowed are 100" in capsys.readouterr().err
    assert main([*args, "--max-bytes", "100000"]) == 0


@pytest.mark.parametrize(("argv", "first"), [
    (["check", "x", "--bit", "4"], "s2nir check: there is no flag --bit; did you mean --bits?"),
    (["run", "x", "--inpt=y"], "s2nir run: there is no flag --inpt; did you mean --input?"),
    (["check", "x", "--frobnicate"], "s2nir check: there is no flag --frobnicate"),
    (["chek", "x"], "s2nir: argument COMMAND: found 'chek', allowed check, quantize, map, run, report, evaluate, "
                    "sweep, export, bench, demo; did you mean check?"),
    (["check", "x", "--reset", "substract"], "s2nir check: argument --reset: found 'substract', allowed (also as "
     "NAME=...) subtract, zero, to_value, none, snntorch_restored; did you mean subtract?"),
    (["check", "x", "--like", "pyspinnaker2"], "s2nir check: argument --like: found 'pyspinnaker2', allowed "
     "py-spinnaker2; did you mean py-spinnaker2?"),
    (["check", "x", "y"], "s2nir check: found y, which is no flag and has no place"),
    (["check"], "s2nir check: the following arguments are required: FILE"),
    ([], "s2nir: the following arguments are required: COMMAND"),
    (["map", "x", "-o", "a.txt"], "s2nir map: a.txt: an image's name ends in .h5, .hdf5, .s2"),
    (["map", "x", "-o", "a.h5", "--record", "spikes,volts"], "s2nir map: argument --record: found 'volts', allowed "
     "spikes, voltages, time; did you mean voltages?"),
    (["run", "x", "--poisson", "1", "--report", "a.pdf"], "s2nir run: a.pdf: a report's name ends in .html, .htm, "
     ".json, .txt"),
])
def test_wrong_use_is_said_in_one_line_with_what_was_meant(capsys, argv, first):
    lines = wrong(capsys, *argv).splitlines()
    assert lines[0] == first
    assert len(lines) == 2
    assert lines[1].startswith("usage: s2nir ")


def test_commands_of_networks_do_not_take_images(capsys, image, spikes):
    assert "is an image" in wrong(capsys, "quantize", image)
    assert "is an image" in wrong(capsys, "report", image, "--input", spikes)


@pytest.mark.parametrize(("text", "found"), [
    (">=", (None, ">=")), (">", (None, ">")), ("a=>", ("a", ">")), ("a=>=", ("a", ">=")), ("a=b=>=", ("a=b", ">=")),
])
def test_names_and_comparisons_are_told_apart(text, found):
    assert parser().parse_args(["check", "x", f"--compare={text}"]).compare == [found]


@pytest.mark.parametrize("command", ["check", "quantize", "map", "run", "report", "demo"])
def test_help_has_an_example_that_parses(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    example = text.split("example: s2nir ")[1].split()
    assert parser().parse_args(example).command == command


def test_an_interrupt_ends_with_130_and_no_traceback(capsys, monkeypatch, file):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("s2nir.cli.commands.load", stop)
    assert main(["quantize", file, "--reset", "zero"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_warnings_go_to_stderr_and_into_the_json(capsys, file, spikes):
    code, found = answer(capsys, "quantize", file, "--reset", "zero", "--bits", "2", "--percentile", "5",
                         "--calibration", spikes, "--like", "py-spinnaker2")
    assert code == 0
    assert any("wrap around" in w for w in found["warnings"])
    argv = ["quantize", file, "--reset", "zero", "--bits", "2", "--percentile", "5", "--like", "py-spinnaker2"]
    assert main(argv) == 0
    assert "warning: " in capsys.readouterr().err


def test_control_characters_in_names_do_not_reach_the_terminal(capsys, tmp_path):
    path = network(tmp_path / "net.nir", hidden="a\x1b[31m")
    assert main(["check", path, "--reset", "zero"]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "a\\x1b[31m" in said.out


def test_tables_and_bars_on_a_terminal(capsys, monkeypatch, file, spikes):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["run", file, "--reset", "zero", "--input", spikes]) == 0
    assert "hidden" in capsys.readouterr().out
    code, found = answer(capsys, "run", file, "--reset", "zero", "--input", spikes)
    assert (code, found["recordings"]) == (0, 4)


def test_python_m_s2nir(file):
    argv = [sys.executable, "-m", "s2nir", "check", file, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["command"] == "check"


def test_a_reader_that_leaves_ends_the_command_quietly(file):
    with subprocess.Popen([sys.executable, "-m", "s2nir", "check", file, "--reset", "zero"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        p.stdout.close()
        assert p.wait(60) == 141
        assert p.stderr.read() == b""


@needs_shared
def test_the_cnn_fits(capsys):
    code, found = answer(capsys, "check", str(CNN), "--reset", "subtract")
    assert (code, found["fits"]) == (0, True)
    assert found["fit"]["cores"] <= 148
    assert sum(p["neurons"] for p in found["graph"]["populations"] if p["node"] == "IF") == 8970


@needs_shared
def test_the_real_chip_to_the_bit(capsys, tmp_path):
    out = tmp_path / "spikes.npz"
    code, _ = answer(capsys, "run", str(BRAILLE), "--reset", "subtract", "--like", "py-spinnaker2",
                     "--input", str(LETTER), "-o", str(out))
    assert code == 0
    chip = np.load(SHARED / "data" / "braille" / "chip_lif1_noBias_subtract.npy")
    with np.load(out) as held:
        assert (held["lif1.lif"][0, :255] == chip[1:256]).all()  # the board's ticks are one behind


@needs_shared
def test_every_real_network_is_checked_without_a_reset(capsys):
    for path in sorted((SHARED / "models").glob("*.nir")):
        code, found = answer(capsys, "check", str(path))
        assert (code, found["fits"]) == (1, None)
        assert found["populations"]


@needs_shared
def test_report_on_a_real_network(capsys, tmp_path):
    page = tmp_path / "run.html"
    code, found = answer(capsys, "report", str(BRAILLE), "--reset", "subtract", "--input", str(LETTER), "-o", str(page),
                         "--min-match", "0.9")
    assert code == 0
    assert found["report"]["fidelity"]["decisions"] == {"output": 1.0}
    assert page.stat().st_size < 1_000_000


def test_bad_calibration_data_are_bad_input(capsys, file, tmp_path):
    code, found = answer(capsys, "check", file, "--reset", "zero", "--calibration", str(tmp_path / "no.npy"))
    assert (code, found["error"]["kind"]) == (3, "InputError")


def test_weights_that_are_zero_are_not_lost(tmp_path):
    from s2nir.cli.weights import weigh

    graph = s2nir.load(network(tmp_path / "net.nir"), reset="zero")
    into = graph.into("hidden")[0]
    weight = np.array(into.connection.weight)
    weight[:, 0], weight[0, 1] = 0, 1e-6
    import dataclasses

    projections = [q for q in graph.projections if q is not into]
    projections.append(dataclasses.replace(into, connection=dataclasses.replace(into.connection, weight=weight)))
    graph = dataclasses.replace(graph, projections=tuple(projections))
    row = next(r for r in weigh(graph, s2nir.quantize(graph)) if r.population == "hidden")
    assert row.zero == 1


DOCS = Path(__file__).parents[1] / "docs"


def test_commands_in_the_docs_parse():
    lines = [line for line in (DOCS / "commands.md").read_text().splitlines() if line.startswith("s2nir ")]
    assert len(lines) >= 8
    for line in lines:
        parser().parse_args(line.split()[1:])


def test_the_example_on_others_networks_says_what_it_needs(tmp_path):
    script = Path(__file__).parents[1] / "examples" / "real_networks.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "shared: has no folder models and no data; pass --shared FOLDER, which holds both\n"


def test_the_report_in_the_docs_runs(tmp_path, monkeypatch):
    import doctest

    monkeypatch.chdir(tmp_path)
    assert doctest.testfile(str(DOCS / "report.md"), module_relative=False).failed == 0
    assert (tmp_path / "run.html").exists()


def test_copies_from_the_command_line(file, spikes, tmp_path, capsys):
    made, flags = str(tmp_path / "m.s2.h5"), ["--reset", "subtract"]
    assert main(["map", file, *flags, "-o", made, "--copies", "3"]) == 0
    assert "; x 3 copies of what follows" in capsys.readouterr().out
    assert s2nir.MachineImage.load(made).copies == 3
    assert main(["map", file, *flags, "-o", made, "--copies", "fill", "--json"]) == 0
    image, fit = s2nir.MachineImage.load(made), json.loads(capsys.readouterr().out)["fit"]
    assert fit["copies"] == image.copies == 148 // image.cores_per_copy > 3
    assert main(["run", made, "--input", spikes, "--json"]) == 0
    many = json.loads(capsys.readouterr().out)
    assert main(["run", file, *flags, "--input", spikes, "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert many["copies"] == image.copies
    for key in ("populations", "decisions", "packets_sent", "synaptic_events"):
        assert many[key] == one[key]
    assert main(["map", file, *flags, "-o", made, "--copies", "999"]) == 1
    assert "copies: found 999, " in capsys.readouterr().err
    for wrong in (["map", file, "-o", made, "--copies", "0"], ["run", made, "--input", spikes, "--copies", "2"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
    said = capsys.readouterr().err
    assert 'found 0, needed a whole number from 1 up, or "fill"' in said
    assert "is an image, where --copies has been settled" in said


def test_a_network_on_boards_with_faults(file, tmp_path, capsys):
    """The flags of the machine reach compile; a file of faults is read, and a wrong one is bad input."""
    faults = s2nir.Faults.drawn(s2nir.SpiNNaker2(boards=1), seed=1, cores=0.02, links=0.05)
    faults.save(tmp_path / "faults.json")
    made = str(tmp_path / "m.s2.h5")
    flags = ["map", file, "--reset", "subtract", "-o", made, "--faults", str(tmp_path / "faults.json"), "--place",
             "annealing", "--route", "load", "--minimise", "ordered_covering", "--boards"]
    assert main([*flags, "1"]) == 0
    machine = s2nir.MachineImage.load(made).machine
    assert (machine.boards, machine.faults) == (1, faults)
    assert "argument --boards: found 2, allowed 1, or a multiple of 3 up to 1365" in wrong(capsys, *flags, "2")
    (tmp_path / "faults.json").write_text('{"cores": [[0, 0, 999]]}')
    assert main([*flags, "1"]) == 3
    assert "faults.json: faults.cores: found PE 999 of chip (0, 0)" in capsys.readouterr().err


def test_map_explains_what_fits_and_what_does_not(file, tmp_path, capsys):
    made = str(tmp_path / "m.s2.h5")
    code, found = answer(capsys, "map", file, "--reset", "subtract", "--explain")
    assert code == 0
    assert found["limits"]["fits"]
    assert found["limits"]["tried"] == []
    assert "image" not in found
    code, found = answer(capsys, "map", file, "--reset", "subtract", "--explain", "-o", made)
    assert (code, found["image"]) == (0, s2nir.MachineImage.load(made).digest)
    faults = s2nir.Faults(cores=[((0, 0), pe) for pe in range(146)])
    faults.save(tmp_path / "two.json")
    few = ["map", file, "--reset", "subtract", "--faults", str(tmp_path / "two.json")]
    assert main([*few, "--explain"]) == 1
    said = capsys.readouterr().out
    assert "ends first: cores of the machine: 3 of 2 cores, 1 too many, most for hidden 1, input 1, out 1" in said
    assert said.splitlines()[-1] == "cheapest change that works: machine=SpiNNaker2(boards=1) (--boards 1)"
    code, found = answer(capsys, *few, "--explain", "-o", str(tmp_path / "no.s2.h5"))
    assert (code, found["limits"]["remedy"]["flag"]) == (1, "--boards 1")
    assert not (tmp_path / "no.s2.h5").exists()
    assert main([*few, "-o", made]) == 1
    assert main([*few[:4], "--boards", "1", "-o", made]) == 0


def test_map_needs_an_output_or_explain(file, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["map", file, "--reset", "subtract"])
    assert ended.value.code == 2
    assert "give -o IMAGE to write, or --explain" in capsys.readouterr().err


def test_tick_and_share_reach_the_partition(file, tmp_path):
    made = [str(tmp_path / n) for n in ("whole.h5", "half.h5")]
    assert main(["map", file, "--reset", "subtract", "-o", made[0]]) == 0
    assert main(["map", file, "--reset", "subtract", "-o", made[1], "--tick", "0.002", "--share", "0.5"]) == 0
    whole, half = (s2nir.MachineImage.load(m) for m in made)
    assert (whole.tick, half.tick) == (0.001, 0.002)
    assert len(half.cores) > len(whole.cores)


def test_a_folder_of_shards_is_an_image(capsys, file, image, spikes, tmp_path):
    folder = str(tmp_path / "net.s2")
    assert main(["map", file, "--reset", "subtract", "-o", folder]) == 0
    assert s2nir.MachineImage.load(folder).digest == s2nir.MachineImage.load(image).digest
    capsys.readouterr()
    assert main(["check", folder]) == 0
    assert "breach" not in capsys.readouterr().out
    said = []
    for source in (image, folder):
        assert main(["run", source, "--input", spikes, "--json"]) == 0
        said.append({k: v for k, v in json.loads(capsys.readouterr().out).items() if k != "file"})
    assert said[0] == said[1]


def test_explain_is_of_one_copy(capsys, file):
    with pytest.raises(SystemExit, match="2"):
        main(["map", file, "--reset", "subtract", "--boards", "1", "--explain", "--copies", "3"])
    assert "--explain explains one copy" in capsys.readouterr().err
