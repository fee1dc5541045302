"""Random networks: exported, they spike on the stand-in as on the emulator, to the bit, or are refused by a rule."""

import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s2nir
from export.board import alike
from s2nir.errors import ExportError
from strategies import nir_graphs

PAGE = (Path(__file__).parents[2] / "docs" / "boards.md").read_text()
RULES = set(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE))
schemes = st.sampled_from([
    dict(), dict(bits="s4"), dict(bits=3, per="population"), dict(per="population", rounding="toward_zero"),
])


def go_with(examples, ended):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(drawn=nir_graphs(faults=0), scheme=schemes, onset=st.sampled_from(["board", "aligned"]),
           friendly=st.booleans(), seed=st.integers(0, 2**16))
    def go(drawn, scheme, onset, friendly, seed):
        network, arguments = drawn
        if friendly:  # what a board does
            reset = "subtract" if arguments["reset"] == "none" else arguments["reset"]
            arguments = arguments | {"compare": ">=", "reset_late": False, "reset": reset}
            scheme, onset = scheme | {"bias": "membrane"}, "board"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", s2nir.S2NirWarning)
            try:
                graph = s2nir.load(network, **arguments)
                image = s2nir.compile(s2nir.quantize(graph, s2nir.PTQ(**scheme)), onset=onset)
            except s2nir.S2NirError:
                ended["no image"] += 1
                return
        rng = np.random.default_rng(seed)
        spikes = {p.name: rng.poisson(0.3, (12, *p.shape)).astype(np.uint8) for p in graph.inputs}
        try:
            found = alike(image, spikes)
        except ExportError as error:
            assert error.rule in RULES, f"{error}"
            ended[error.rule] += 1
            return
        ended["alike"] += 1
        ended["spikes"] += sum(len(s) for s in found.spikes.values())
        ended["convolutions"] += any(q.is_conv for q in found.projections)
        ended["relays"] += any(p.kind == "relay" for p in found.populations)
        ended["packets"] += any(p.kind == "input" and p.size > image[p.name].size for p in found.populations)

    go()


@pytest.mark.slow
def test_random_networks_spike_on_the_stand_in_as_on_the_emulator():
    ended = Counter()
    go_with(300, ended)
    assert ended["no image"] <= 30, ended
    assert ended["alike"] >= 80, ended
    assert ended["spikes"] > 1_000, ended
    assert min(ended[k] for k in ("relays", "packets")) >= 20, ended
    assert ended["convolutions"] > 0, ended  # test_networks.py has them of every geometry
