"""The script: it runs as it is, says what differs, and is there whole or not at all; and the command that writes it."""

import ast
import json
import os
import subprocess
import sys
import types

import nir
import numpy as np
import pytest

import s2nir
from export.board import edited, play, shown
from quantize.networks import GREATER_EQUAL, dense, graph, lif, one_layer, readout, source
from s2nir.cli import main
from s2nir.errors import InputError
from s2nir.export import script as writer
from s2nir.mapping import MachineImage

R = np.random.default_rng(8)
X = (np.random.default_rng(1).random((25, 6)) < 0.4).astype(np.uint8)


def image(names=("a", "b")):
    a, b = names
    g = graph([source((6,)), lif(a, (9,), compare=GREATER_EQUAL), readout(b, (3,), decay=0.8)],
              [dense("in", a, R.normal(0.3, 0.5, (9, 6))), dense(a, b, R.normal(0.3, 0.5, (3, 9)))])
    return s2nir.compile(s2nir.quantize(g), onset="board")


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "run.py"
    image().export_py_spinnaker2(found, X)
    return found


@pytest.mark.parametrize("arguments", [("--eth", "a"), ("--stm", "a", "--eth", "b"), ("--stm", "a"), ("--brian2",)])
def test_all_are_alike(path, capsys, arguments):
    assert play(path, *arguments) == 0
    out = capsys.readouterr().out
    said = int(out.split(" spikes expected, ")[1].split(" seen")[0])
    assert said > 20
    assert f"a: {said} spikes expected, {said} seen: alike" in out
    assert "b: 78 voltages expected: alike" not in out
    assert f"b: {27 * 3} voltages expected: alike" in out
    assert "2 of 2 populations are alike over 27 ticks" in out


def test_a_spike_that_differs_is_named(path, capsys):
    """Another weight on the board than in the image."""
    def more(arrays):
        arrays["projection0"][:, 2] = np.minimum(127, arrays["projection0"][:, 2] + 30)

    edited(path, more)
    assert play(path) == 1
    out = capsys.readouterr().out
    with np.load(path.with_suffix(".npz")) as data:
        wanted = set(map(tuple, data["expected0"].tolist()))
    tick, neuron = (int(w) for w in out.split("the first in tick ")[1].split(",")[0].split(" at neuron "))
    kind = out.split(f"at neuron {neuron}, which ")[1].splitlines()[0]
    assert kind == ("is expected and not seen" if (tick, neuron) in wanted else "is seen and not expected")
    assert 0 < tick <= min(t for t, _ in wanted)
    assert "voltages expected: " in out
    assert "differ by up to" in out
    assert "0 of 2 populations are alike" in out


def test_a_spike_that_is_not_expected(path, capsys):
    def fewer(arrays):
        arrays["expected0"] = arrays["expected0"][1:]

    edited(path, fewer)
    with np.load(path.with_suffix(".npz")) as data:
        rest = data["expected0"]
    assert play(path) == 1
    out = capsys.readouterr().out
    assert f"a: {len(rest)} spikes expected, {len(rest) + 1} seen: 1 differ, the first in tick 1 at neuron" in out
    assert "seen and not expected" in out


def test_voltages_of_a_back_end_in_float64_are_only_said(path, capsys):
    def other(arrays):
        arrays["expected1"][3, 1] += 1

    edited(path, other)
    assert play(path) == 1
    assert play(path, "--brian2") == 0
    assert capsys.readouterr().out.count("1 differ by up to 1, the first in tick 3 at neuron 1") == 2


@pytest.mark.parametrize(("arguments", "words"), [
    (("--brian2", "--eth", "a"), "give --eth IP, --stm IP --eth IP, or --brian2"), (("--chip", "a"), "unrecognized"),
])
def test_wrong_use_ends_with_2(path, capsys, arguments, words):
    with pytest.raises(SystemExit, match="2"):
        play(path, *arguments)
    assert words in capsys.readouterr().err


def test_no_machine_is_wrong_use(path, capsys):
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert (done.returncode, "give --eth IP" in done.stderr) == (2, True)


def test_more_cores_than_a_chip_need_a_board(path, capsys):
    path.write_text(path.read_text().replace("CORES, CORES_OF_A_CHIP = 3, 148", "CORES, CORES_OF_A_CHIP = 149, 148"))
    with pytest.raises(SystemExit, match="2"):
        play(path)
    assert "takes 149 cores, a chip has 148: give --stm and --eth" in capsys.readouterr().err
    assert play(path, "--stm", "a", "--eth", "b") == 0


def test_data_of_another_script_are_refused(path, capsys):
    with path.with_suffix(".npz").open("ab") as f:
        f.write(b"x")
    with pytest.raises(SystemExit, match="2"):
        play(path)
    assert "run.npz is not the data of this script" in capsys.readouterr().err


def test_it_needs_numpy_and_py_spinnaker2_alone(path):
    tree = ast.parse(path.read_text())
    found = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    found |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert found - set(sys.stdlib_module_names) == {"numpy", "spinnaker2"}
    assert "allow_pickle=False" in path.read_text()
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as data:
        assert {data[k].dtype.kind for k in data.files} <= set("if")


def test_weights_are_no_text(tmp_path):
    g = one_layer(R.normal(0, 1, (60, 100)), compare=GREATER_EQUAL)
    made = s2nir.compile(s2nir.quantize(g), onset="board")
    made.export_py_spinnaker2(tmp_path / "run.py", np.ones((20, 100), np.uint8))
    assert (tmp_path / "run.py").stat().st_size < 8_000
    assert max(map(len, (tmp_path / "run.py").read_text().splitlines())) <= 120


def test_the_same_image_and_spikes_give_the_same_files(tmp_path):
    held = image()
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        held.export_py_spinnaker2(folder / "run.py", X)
        written.append([f.read_bytes() for f in sorted(folder.iterdir())])
        assert [f.name for f in sorted(folder.iterdir())] == ["run.npz", "run.py"]
    assert written[0] == written[1]


@pytest.mark.parametrize("step", ["savez_compressed", "replace", "second replace"])
def test_nothing_half_written_stays(tmp_path, monkeypatch, step):
    real, calls = os.replace, []

    def stop(*arguments, **_):
        calls.append(arguments)
        if step == "second replace" and len(calls) == 1:
            return real(*arguments)
        raise OSError("no room")

    if step == "savez_compressed":
        monkeypatch.setattr(writer.np, step, stop)
    else:
        monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(OSError, match="no room"):
        image().export_py_spinnaker2(tmp_path / "run.py", X)
    assert calls
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["run.py", "run.npz"])
def test_a_folder_in_the_way(tmp_path, place):
    (tmp_path / place).mkdir()
    with pytest.raises(InputError, match="is there and is no file"):
        image().export_py_spinnaker2(tmp_path / "run.py", X)
    assert [p.name for p in tmp_path.iterdir()] == [place]


def test_no_folder_to_write_into(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        image().export_py_spinnaker2(tmp_path / "none" / "run.py", X)


def test_ticks_beyond_the_run_are_not_compared(tmp_path):
    """The stand-in runs one tick more, in which these neurons spike as in all others."""
    g = one_layer(np.ones((3, 6)), constant=9.0, compare=GREATER_EQUAL)
    made = s2nir.compile(s2nir.quantize(g), onset="board")
    populations, found = shown(made, X)
    assert max(t for ticks in populations["a"].get_spikes().values() for t in ticks) == found.ticks
    made.export_py_spinnaker2(tmp_path / "run.py", X)
    assert play(tmp_path / "run.py") == 0


def test_smaller_caps_are_said_in_the_script(tmp_path):
    """Neither a name nor that of the file can end the text that it stands in."""
    name, path = "a\nraise ValueError", tmp_path / 'odd""" name.py'
    g = graph([source((10,)), lif(name, (200,), compare=GREATER_EQUAL)],
              [dense("in", name, R.normal(0.3, 0.5, (200, 10)))])
    made = s2nir.compile(s2nir.quantize(g), onset="board")
    spikes = (np.random.default_rng(2).random((1600, 10)) < 0.02).astype(np.uint8)
    made.export_py_spinnaker2(path, spikes)
    assert "\n# a\\nraise ValueError: 100 neurons per core, slices of the image 200\n" in path.read_text()
    assert play(path) == 0


@pytest.mark.parametrize("names", [('a"b', "it's"), ("@DATA@", "@IMAGE@"), ("a\n#b", '"""'), ("\\", "{x}%s")])
def test_names_are_only_names(tmp_path, names):
    path = tmp_path / "run.py"
    image(names).export_py_spinnaker2(path, X)
    assert play(path) == 0


def test_the_stand_in_runs_a_script_as_a_command(path):
    def call(*arguments):
        command = [sys.executable, "-m", "s2nir.export.stand_in", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    done = call(str(path))
    assert (done.returncode, "2 of 2 populations are alike" in done.stdout) == (0, True), done.stderr
    assert call(str(path), "--stm", "a").returncode == 0
    done = call("--window", "1024", str(path))
    assert (done.returncode, done.stderr.startswith("stand-in: SpiNNaker2Chip.run: 'a' core 0 takes")) == (1, True)
    assert call(str(path), "--brian2", "--eth", "a").returncode == 2
    assert call("none.py").returncode == 3
    edited(path, lambda arrays: arrays["expected0"].sort(axis=0))
    assert call(str(path)).returncode == 1


def saved(tmp_path):
    image().save(tmp_path / "net.s2.h5")
    np.save(tmp_path / "x.npy", X)
    return [str(tmp_path / n) for n in ("net.s2.h5", "x.npy", "run.py")]


def test_the_command(tmp_path, capsys):
    file, spikes, out = saved(tmp_path)
    assert main(["export", file, spikes, "-o", out]) == 0
    said = capsys.readouterr().out
    assert "py-spinnaker2 network of image" in said
    assert f"written: {out}, {out[:-3]}.npz" in said
    assert play(tmp_path / "run.py") == 0
    capsys.readouterr()
    assert main(["export", file, spikes, "-o", out, "--record", "a", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["output"], list(found["spikes"]), found["cores"], found["ticks"]) == (out, ["a"], 3, 27)
    assert found["image"] == MachineImage.load(file).digest


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    file, spikes, out = saved(tmp_path)
    np.save(tmp_path / "many.npy", np.stack([X, X]))
    many = str(tmp_path / "many.npy")
    assert main(["export", file, many, "-o", out]) == 3
    assert "found 2 recordings" in capsys.readouterr().err
    assert main(["export", file, many, "-o", out, "--recording", "1"]) == 0
    g = one_layer(np.ones((3, 6)), refractory=2, compare=GREATER_EQUAL)
    s2nir.compile(s2nir.quantize(g), onset="board").save(tmp_path / "slow.s2.h5")
    assert main(["export", str(tmp_path / "slow.s2.h5"), spikes, "-o", out]) == 1
    assert "[rule: refractory-time]" in capsys.readouterr().err
    assert main(["export", "none.s2.h5", spikes, "-o", out]) == 3
    for argv, words in ((["export", file, spikes, "-o", "run.txt"], "a script's name ends in .py"),
                        (["export", spikes, spikes, "-o", out], "is no image; make one with `s2nir map")):
        with pytest.raises(SystemExit, match="2"):
            main(argv)
        assert words in capsys.readouterr().err


def test_a_method_of_the_image():
    assert isinstance(MachineImage.export_py_spinnaker2, types.FunctionType)
    network = nir.NIRGraph(
        nodes={"in": nir.Input(np.array([3])), "l": nir.Linear(np.ones((2, 3))), "n": nir.IF(np.ones(2), np.ones(2)),
               "out": nir.Output(np.array([2]))},
        edges=[("in", "l"), ("l", "n"), ("n", "out")])
    made = s2nir.compile(s2nir.quantize(s2nir.load(network, reset="zero")))
    from s2nir.export import board

    assert str(board.board_network(made, np.ones((4, 3), np.uint8))) == (
        f"py-spinnaker2 network of image {made.digest[:12]}: 2 populations on 2 cores of one chip, 6 synapses, 5 ticks "
        "of 0.001 s\n"
        "  in: spike_list, 3 on 1 cores of up to 3\n"
        "  n: lif_no_delay, 2 on 1 cores of up to 2; 8 spikes expected\n"
        "  in -> n: 6 synapses")


def test_what_is_missing_beside_it_is_wrong_use(path):
    def run():
        done = subprocess.run([sys.executable, str(path), "--eth", "a"], capture_output=True, text=True)
        return done.returncode, done.stderr.splitlines()[-1]

    code, said = run()
    assert code == 2
    assert "py-spinnaker2 is needed here" in said
    path.with_suffix(".npz").unlink()
    code, said = run()
    assert code == 2
    assert "cannot be read" in said
