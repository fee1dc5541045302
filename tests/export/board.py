"""An image on the stand-in: what its script's populations show, and what the emulator gives."""

import io
import runpy
import sys
import tempfile
from pathlib import Path

import numpy as np

import s2nir
from s2nir.export.stand_in import stand_in


def shown(image, spikes, **options):
    """Populations of the script of an image, run on the stand-in's board; and the BoardNetwork."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.py"
        found = image.export_py_spinnaker2(path, spikes, **options)
        with stand_in(window=found.window) as s2, np.load(path.with_suffix(".npz"), allow_pickle=False) as data:
            space = runpy.run_path(str(path), run_name="script")
            net, populations = space["network"](s2.snn, data)
            s2.hardware.SpiNNcloud48NodeBoard(stm_ip="here").run(net, space["TICKS"], sys_tick_in_s=space["TICK"])
    return populations, found


def alike(image, spikes, **options):
    """Every spike and voltage of the script on the stand-in is that of the emulator; the BoardNetwork."""
    populations, found = shown(image, spikes, **options)
    recording = s2nir.run(image, spikes, record=("spikes", "voltages"))
    compared = [p for p in image.populations if p.kind == "neurons"]
    assert compared
    for p in compared:
        board = populations[p.name]
        assert board.size == p.size
        if p.spikes:
            raster = np.zeros((recording.ticks + 1, p.size), np.uint8)
            for i, ticks in board.get_spikes().items():
                raster[ticks, i] = 1
            want = recording.raw_spikes(p.name)[0].reshape(recording.ticks, -1)
            assert np.array_equal(raster[:-1], want), p.name
            assert np.array_equal(found.spikes[p.name], np.argwhere(want)), p.name
        else:
            held = np.array([v for _, v in sorted(board.get_voltages().items())]).T[:-1]
            want = recording.raw_voltages(p.name)[0].reshape(recording.ticks, -1)
            assert np.array_equal(held, want), p.name
    return found


def play(path, *arguments):
    """Exit code of a script on the stand-in, in this process."""
    before, sys.argv = sys.argv, [str(path), *(arguments or ("--eth", "here"))]
    try:
        with stand_in():
            return runpy.run_path(str(path), run_name="script")["main"]()
    finally:
        sys.argv = before


def edited(path, change):
    """Alter the arrays of a script, which then trusts them; change : a function of the dict of arrays."""
    import hashlib

    with np.load(path.with_suffix(".npz")) as data:
        arrays = {k: data[k].copy() for k in data.files}
    change(arrays)
    file = io.BytesIO()
    np.savez(file, **arrays)
    path.with_suffix(".npz").write_bytes(file.getvalue())
    text = path.read_text()
    old = text[text.index('SHA256 = ') :].split("'")[1]
    path.write_text(text.replace(old, hashlib.sha256(file.getvalue()).hexdigest()))
