"""A stream that is kept, killed at random instants and begun again: `python kills.py FOLDER SEED KILLS`.

Prints the instants as JSON: how many were in the midst of writing a file, or between a segment and its checkpoint.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import s2nir
from s2nir import files
from s2nir.emulate import keep

STEPS, EVERY = 1_500, 20


def image():
    """A recurrent net with delays and a Poisson drive."""
    drive = s2nir.Poisson(rate=300.0, weight=0.4)
    r = np.random.default_rng(0)
    graph = s2nir.build(
        {"in": 6, "a": s2nir.Neurons(shape=30, tau=0.01, r=8.0, drive=drive, refractory=2),
         "b": s2nir.Neurons(shape=10, tau=0.01, tau_syn=0.005, r=20.0), "c": s2nir.Neurons(shape=4, tau=0.02, r=9.0)},
        [s2nir.Connect(source="in", target="a", weight=r.normal(size=(30, 6))),
         s2nir.Connect(source="a", target="a", weight=r.normal(size=(30, 30)) / 5, delay=2),
         s2nir.Connect(source="a", target="b", weight=r.normal(size=(10, 30)), delay=0),
         s2nir.Connect(source="b", target="c", weight=r.normal(size=(4, 10)))], dt=1e-3)
    return s2nir.compile(s2nir.quantize(graph), s2nir.SpiNNaker2(rows="dram"))


def source(first):
    for step in range(first, STEPS):
        yield (np.random.default_rng(step).random(6) < 0.3).astype(np.uint8)


def kept(made, folder):
    return made.stream(("spikes", "voltages"), noise=9).keep(source, folder, every=EVERY)


def child(made, folder, rng):
    """Run on, and be killed at a random instant of a random kind."""
    kind = rng.choice(["write", "between", "time"])
    left = rng.randrange(1, 6)
    write = files.write_whole

    def torn(target, content):
        nonlocal left
        left -= 1
        if left == 0 and kind == "write":  # half of the bytes are in the file when it happens
            def half(f):
                content(f)
                f.flush()
                f.truncate(f.tell() // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            write(target, half)
        write(target, content)
        if left <= 0 and kind == "between" and target.name.startswith("ticks"):
            os.kill(os.getpid(), signal.SIGKILL)

    keep.write_whole = torn
    kept(made, folder)
    os._exit(0)


def main():
    folder, rng, wanted = Path(sys.argv[1]), random.Random(int(sys.argv[2])), int(sys.argv[3])
    made, kinds = image(), {"write": 0, "between": 0, "time": 0}
    made.stream(noise=9).feed(np.zeros((1, 6), np.uint8))  # compiled and decoded ahead of the first child
    while sum(kinds.values()) < wanted:
        at = rng.getstate()
        kind = rng.choice(["write", "between", "time"])
        rng.setstate(at)
        pid = os.fork()
        if not pid:
            child(made, folder, rng)
        if kind == "time":
            time.sleep(rng.uniform(0.0, 0.06))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        rng.random()  # the child has drawn from a copy
        if os.WIFSIGNALED(status):
            kinds[kind] += 1
        else:
            break
    print(json.dumps(kinds))


if __name__ == "__main__":
    main()
