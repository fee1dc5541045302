"""Rounds that a thread runs at a turn: the bits of each by itself, however many, and wherever the output is full."""

import importlib

import numpy as np
import pytest

import s2nir
from emulate import test_copies, test_parts
from s2nir.emulate import room
from s2nir.errors import InputError

run = importlib.import_module("s2nir.emulate.run")
SEEN = ("spikes", "voltages", "potentials")
IMAGES = test_parts.IMAGES | {
    "two inputs": lambda: test_copies.images(test_copies.two_inputs(), 2)[0],
    "copies": lambda: test_copies.images(test_copies.two_inputs(), 2)[1],
    "copies, fixed": lambda: test_copies.images(test_copies.small_graph(), 3, arithmetic="fixed")[1],
}


@pytest.mark.parametrize("name", IMAGES)
def test_rounds_at_a_turn_are_rounds_alone(name, monkeypatch):
    image = IMAGES[name]()
    batch = 5 * image.copies + 1  # the last round is not full, where there are copies
    spikes = {n: x * ((np.arange(batch) % 3 > 0) + 1).reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype)
              for n, x in test_parts.drawn(image, batch, 30).items()}  # some of single packets, some of pairs
    noise = 3 if image.copies > 1 else [7, 3, 3, 9, 0, 1]
    monkeypatch.setattr(run, "TURN", 1)
    alone = s2nir.run(image, spikes, SEEN, noise=noise)
    assert any(e[0].size for e in alone.events)
    full, turns, real = [], [], run.in_turn
    monkeypatch.setattr(run, "in_turn", lambda ready, rounds, *a: turns.append(len(rounds)) or real(ready, rounds, *a))
    monkeypatch.setattr(run, "TURN", 1 << 40)
    test_parts.same(s2nir.run(image, spikes, SEEN, noise=noise), alone)
    monkeypatch.setattr(
        room.Room, "output", lambda *_: full.append(1) or [np.empty(16, np.int32) for _ in range(3)])
    test_parts.same(s2nir.run(image, spikes, SEEN, noise=noise), alone)
    test_parts.same(s2nir.run(image, spikes, SEEN, noise=noise, threads=2), alone)
    assert turns == [6, 6, 3, 3] or (image.copies == 1 and turns[:2] == [6, 6])
    assert full


def test_a_count_too_many_is_the_first_one_whoever_reads_it():
    way = s2nir.Connect(source="in", target="a", rule=s2nir.rules.OneToOne(), weight=1.0)
    graph = s2nir.build({"in": 2, "a": s2nir.Neurons(shape=2, tau=0.01, r=20.0)}, [way], dt=1e-3)
    image = s2nir.compile(s2nir.quantize(graph), max_count=3)
    spikes = np.full((40, 5, 2), 3, np.uint8)
    assert s2nir.run(image, spikes, threads=2).batch == 40
    spikes[11, 2, 1], spikes[12, 0, 0], spikes[31, 4, 0] = 4, 5, 6
    for timing in (None, "event"):
        with pytest.raises(InputError, match=r"\(batch, step, source\) \(11, 2, 1\): found 4, .* max_count = 3"):
            s2nir.run(image, spikes, threads=2, timing=timing)
