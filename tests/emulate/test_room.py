"""Arrays that are taken again: nothing of the run before shows, and long ones are given back."""

import numpy as np
import pytest

import s2nir
from conformance.test_mutations import small_graph
from s2nir.emulate import room


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_nothing_of_a_run_shows_in_the_next(arithmetic):
    rng = np.random.default_rng(0)
    images = [s2nir.compile(s2nir.quantize(small_graph(), s2nir.PTQ(bits=bits), arithmetic=arithmetic))
              for bits in (8, 4)]
    spikes = [(rng.random((1, steps, 2, 4, 4)) < share).astype(np.uint8) for steps, share in ((9, 0.6), (40, 0.2))]
    record, found = ("spikes", "voltages"), {}
    for turn in (0, 1, 1, 0, 0, 1):
        for image in (turn, 1 - turn):
            room._free.clear() if (turn, image) not in found else None
            now = s2nir.run(images[image], spikes[turn], record)
            bits = [now.raw_voltages(n).tobytes() for n in now.columns] + [e.tobytes() for e in now.events[0]]
            assert found.setdefault((turn, image), bits) == bits
    assert len(found) == 4


def test_long_arrays_are_given_back(monkeypatch):
    image = s2nir.compile(s2nir.quantize(small_graph()))
    spikes = np.ones((1, 9, 2, 4, 4), np.uint8)
    room._free.clear()
    s2nir.run(image, spikes)
    (held,) = room._free
    assert held.sent[0].size > 0 < held.listed.size
    assert held._state is not None
    monkeypatch.setattr(room, "KEPT", 10)
    s2nir.run(image, spikes)
    assert held.sent[0].size == 0
    assert held._state is None
