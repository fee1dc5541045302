"""Random networks as several copies on random machines: no spike and no membrane changes."""

import itertools
import warnings
from collections import Counter

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s2nir
from conformance.test_machines import CHOICES, combinations, options_of, reaches
from conformance.test_random_graphs import WITH_RULES, schemes
from strategies import nir_graphs


def test_copies_of_random_networks_on_random_machines():
    done, ended, number = Counter(), Counter(), itertools.count()

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(drawn=nir_graphs(faults=0, kinds=WITH_RULES), scheme=schemes,
           arithmetic=st.sampled_from(["float32", "fixed"]), seed=st.integers(0, 2**16))
    def go(drawn, scheme, arithmetic, seed):
        rng = np.random.default_rng(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                graph = s2nir.load(drawn[0], **drawn[1])
                net = s2nir.quantize(graph, s2nir.PTQ(**scheme), arithmetic=arithmetic)
                cut = s2nir.Partition(slices=int(rng.integers(1, 5)))
                one = s2nir.compile(net, partition=cut)
            except s2nir.S2NirError as error:
                ended[error.rule] += 1
                return
            spikes = {p.name: rng.poisson(0.4, (5, 10, *p.shape)).astype(np.uint8) for p in graph.inputs}
            want = s2nir.run(one, spikes, ("spikes", "voltages"))
            for names in combinations(next(number), 3):
                options = options_of(names)
                copies = int(rng.integers(2, 6))
                try:
                    image = s2nir.compile(net, partition=cut, copies=copies, **options)
                except s2nir.S2NirError as error:
                    assert error.rule, f"{type(error).__name__}: {error}"
                    ended[error.rule] += 1
                    continue
                reaches(image)
                found = s2nir.run(image, spikes, ("spikes", "voltages"))
                for name in want.columns:
                    a, b = want.raw_voltages(name), found.raw_voltages(name)
                    assert np.array_equal(a.view(np.int32), b.view(np.int32)), (name, names, copies)
                for name in want.spikes:
                    assert np.array_equal(want.raw_spikes(name), found.raw_spikes(name)), (name, names, copies)
                assert found.saturations == want.saturations
                done.update(names.items())

    go()
    assert sum(done.values()) >= 0.6 * 5 * 3 * 60, (done, ended)
    assert not {(k, v) for k in CHOICES for v in CHOICES[k] if done[k, v] < 10}, (done, ended)
