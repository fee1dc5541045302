"""Random networks on many machines: each source reaches exactly its cores, once, and no spike changes."""

import dataclasses
import itertools
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s2nir
from conformance.test_random_graphs import WITH_RULES, schemes, whole_way
from oracles import hearing, way
from real import graph, needs_shared
from s2nir.emulate import program
from s2nir.mapping import (
    Annealing,
    Curve,
    DimensionOrder,
    Exchange,
    LoadAware,
    NearestNeighbour,
    OrderedCovering,
    Sequential,
)
from strategies import nir_graphs

TESTS = Path(__file__).parents[1]
FEW = 148  # PEs kept back: four are left, so that small networks need many chips
MACHINES = {
    "one chip": s2nir.SpiNNaker2(),
    "one board": s2nir.SpiNNaker2(boards=1, reserved=FEW),
    "24 boards": s2nir.SpiNNaker2(boards=24, reserved=FEW + 1),
    "faulty board": s2nir.SpiNNaker2(boards=1, reserved=FEW, faults=s2nir.Faults.drawn(
        s2nir.SpiNNaker2(boards=1, reserved=FEW), seed=1, cores=0.1, links=0.15, chips=0.05)),
    "default routes": s2nir.SpiNNaker2(boards=3, reserved=FEW + 2, default_routes=True),
}
PLACERS = {"sequential": Sequential(), "curve": Curve(), "annealing": Annealing(moves=20), "exchange": Exchange()}
ROUTERS = {"dimension order": DimensionOrder(), "nearest": NearestNeighbour(), "load": LoadAware(rounds=4, enough=1)}
MINIMISERS = {**{n: n for n in ("none", "neighbours", "ordered_covering", "expand")}, "any": OrderedCovering()}
ROWS = {n: n for n in ("sram", "compact", "dram")}
CHOICES = {"machine": MACHINES, "place": PLACERS, "route": ROUTERS, "minimise": MINIMISERS, "rows": ROWS}


def combinations(seed, n):
    """`n` draws of one of each, as names."""
    rng = np.random.default_rng(seed)
    return [{k: list(v)[rng.integers(len(v))] for k, v in CHOICES.items()} for _ in range(n)]


def options_of(names):
    """The arguments of `compile` that a combination names."""
    found = {k: CHOICES[k][v] for k, v in names.items() if k != "rows"}
    return found | {"machine": dataclasses.replace(found["machine"], rows=names["rows"])}


def reaches(image):
    """Every key that is in use comes to each core that has something for it, once, and to no other."""
    reach, ways = program(image).reach, {}
    for key, (chip, cores) in hearing(image).items():
        ways[key] = way(image, chip, key)
        assert ways[key][0] == dict.fromkeys(cores, 1), f"key {key:#x} from {chip}"
    at = image.machine.coordinates
    source = itertools.count()
    for c in image.cores:
        key, n = (int(c.memory[4 * k : 4 * k + 4].view("<u4")[0]) for k in (2, 1))
        for k in range(key, key + n):
            a, b, d = _of(reach, reach.of[next(source)])
            assert {(image.cores[i].chip, image.cores[i].pe) for i in a} == set(ways[k][0])
            assert Counter(at[i] for i in b) == ways[k][1]
            assert Counter((at[i // 6], i % 6) for i in d) == ways[k][2]


def _of(reach, k):
    """Cores, routers and links of one class."""
    return [getattr(reach, what)[reach.start[i, k] : reach.start[i, k + 1]].tolist()
            for i, what in enumerate(("core", "router", "link"))]


def random_networks(networks, seen=lambda image: None):
    """So many random networks, each under 4 combinations, every membrane compared with the oracle's.

    Returns how often each pair of choices occurred, the rules by which others ended, and how many images had more than
    two chips.

    seen : called with each image
    """
    done, ended, apart, number = Counter(), Counter(), Counter(), itertools.count()

    @settings(max_examples=networks, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(drawn=nir_graphs(faults=0, kinds=WITH_RULES), scheme=schemes,
           arithmetic=st.sampled_from(["float32", "fixed"]), seed=st.integers(0, 2**16))
    def go(drawn, scheme, arithmetic, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ours, and hypothesis's of large examples
            for names in combinations(next(number), 4):
                options = options_of(names)
                options["partition"] = s2nir.Partition(slices=int(np.random.default_rng(seed).integers(1, 9)))
                try:
                    image = whole_way(*drawn, scheme, arithmetic, seed, **options).image
                except s2nir.S2NirError as error:
                    assert error.rule, f"{type(error).__name__}: {error}"
                    ended[error.rule] += 1
                    continue
                reaches(image)
                seen(image)
                done.update(itertools.combinations(sorted(names.items()), 2))
                apart[len({c.chip for c in image.cores}) > 2] += 1

    go()
    return done, ended, apart


def fewest(done):
    """How often the rarest pair of choices occurred."""
    return min(done[p] for p in itertools.chain(*(itertools.product(
        *([(k, v) for v in CHOICES[k]] for k in two)) for two in itertools.combinations(sorted(CHOICES), 2))))


def test_random_networks_on_random_machines():
    done, ended, apart = random_networks(75)
    assert sum(done.values()) >= 0.8 * 10 * 4 * 75, ended
    assert apart[True] > 100, apart
    assert fewest(done) >= 5, done


def test_images_do_not_hang_on_the_seed_of_hashes():
    code = ("import sys; sys.path[:0] = ['tests']\n"
            "from conformance.test_machines import random_networks\n"
            "random_networks(4, lambda image: print(image.digest))")
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TESTS.parent,
                       env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in ("1", "random")
    ]
    assert len(said[0].split()) > 8
    assert said[0] == said[1]


@pytest.mark.parametrize("route", ROUTERS)
def test_a_chip_that_is_cut_off_is_refused(route):
    """All six links of a chip are dead, and what must go there cannot."""
    board = s2nir.SpiNNaker2(boards=1, reserved=151, faults=s2nir.Faults(links=[((0, 1), n) for n in range(6)]))
    graph = s2nir.load(_layer(4, 40), dt=1e-3, reset="subtract")
    network = s2nir.quantize(graph)
    s2nir.compile(network, machine=board, partition=s2nir.Partition(slices=20))  # on the other chips
    said = r"no way of live links joins 1 chip\(s\), \(0, 1\), to the others"
    with pytest.raises(s2nir.S2NirError, match=said) as caught:
        s2nir.compile(network, machine=board, route=ROUTERS[route], place=Curve(),
                      partition=s2nir.Partition(slices=20))
    assert caught.value.rule == "cut-off"


def _layer(sources, targets):
    import nir

    return nir.NIRGraph(
        nodes={
            "input": nir.Input(input_type=np.array([sources])),
            "w": nir.Linear(weight=np.random.default_rng(0).normal(0, 1, (targets, sources))),
            "a": nir.LIF(tau=np.full(targets, 0.02), r=np.ones(targets), v_leak=np.zeros(targets),
                         v_threshold=np.ones(targets)),
            "output": nir.Output(output_type=np.array([targets])),
        },
        edges=[("input", "w"), ("w", "a"), ("a", "output")],
    )


@needs_shared
def test_a_real_network_on_a_worn_board():
    """The N-MNIST CNN with 5 % of the links and 2 % of the cores dead: the same spikes as on one chip."""
    network = s2nir.quantize(graph("cnn_sinabs"))
    board = s2nir.SpiNNaker2(boards=1, reserved=144)
    worn = s2nir.SpiNNaker2(
        boards=1, reserved=144, faults=s2nir.Faults.drawn(board, seed=5, cores=0.02, links=0.05))
    spikes = (np.random.default_rng(1).random((2, 40, 2, 34, 34)) < 0.05).astype(np.uint8)
    want = s2nir.run(s2nir.compile(network), spikes).spikes
    image = s2nir.compile(network, machine=worn, minimise="fewest")
    assert len({c.chip for c in image.cores}) > 4
    assert not {(c.chip, c.pe) for c in image.cores} & set(worn.faults.cores)
    found = s2nir.run(image, spikes).spikes
    for name in want:
        assert np.array_equal(found[name], want[name]), name
