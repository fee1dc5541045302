"""Retiming against brute force; delay words, relays, onsets and loops."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import s2nir
from quantize.networks import conv, dense, graph, lif, readout, source, sparse
from s2nir.errors import MappingError, S2NirWarning
from s2nir.graph import hops, lags
from s2nir.mapping import regions


def back_edges(names, inputs, edges):
    """By DESIGN 5: back edges of a depth-first search from the inputs, nodes in sorted name order; recursive."""
    done, path, found = set(), [], set()

    def visit(n):
        path.append(n)
        for m in sorted({b for a, b in edges if a == n}):
            if m in path:
                found.add((n, m))
            elif m not in done:
                visit(m)
        path.pop()
        done.add(n)

    for n in [*sorted(inputs), *sorted(names)]:
        if n not in done:
            visit(n)
    return found


def brute_force(names, inputs, ways):
    """The least lags from 0 up with every hop at least 1, tried one by one; None where none exist."""
    back = back_edges(names, inputs, {(a, b) for a, b, _ in ways})
    steps = [d + ((a, b) in back) for a, b, d in ways]
    inner = [n for n in names if n not in inputs]
    good = []
    for tried in itertools.product(range(len(names) + 1), repeat=len(inner)):
        lag = dict.fromkeys(inputs, 0) | dict(zip(inner, tried, strict=True))
        if all(s + lag[b] - lag[a] >= 1 for (a, b, _), s in zip(ways, steps, strict=True)):
            good.append(lag)
    if not good:
        return None, steps
    least = {n: min(lag[n] for lag in good) for n in names}
    assert least in good  # the least of all at once is one of them
    return least, steps


@st.composite
def wirings(draw):
    inputs = draw(st.sampled_from([["x"], ["x", "m"]]))
    inner = draw(st.lists(st.sampled_from("abcyz"), min_size=1, max_size=4, unique=True))
    edge = st.tuples(st.sampled_from([*inputs, *inner]), st.sampled_from(inner), st.sampled_from([0, 0, 0, 1, 2, 4]))
    return [*inputs, *inner], inputs, draw(st.lists(edge, min_size=1, max_size=7))


def built(names, inputs, ways, **fields):
    populations = [source((1,), n) if n in inputs else lif(n, (1,)) for n in names]
    return graph(populations, [dense(a, b, [[1.0]], delay=d) for a, b, d in ways], outputs={"out": names[-1]}, **fields)


@settings(max_examples=300, deadline=None)
@given(wirings())
def test_lags_are_the_least_that_brute_force_finds(drawn):
    names, inputs, ways = drawn
    g = built(*drawn)
    want, _ = brute_force(*drawn)
    if want is None:
        with pytest.raises(MappingError, match=r'loop through .*Pass loops="machine"'):
            lags(g)
        return
    lag = lags(g)
    assert dict(lag) == want
    back = back_edges(names, inputs, {(a, b) for a, b, _ in ways})
    for q, hop in zip(g.projections, hops(g, lag), strict=True):
        assert hop == q.delay + ((q.source, q.target) in back) + want[q.target] - want[q.source]
        assert hop >= 1


@settings(max_examples=60, deadline=None)
@given(wirings())
def test_an_image_has_these_lags_and_waits_so_long(drawn):
    """Every synapse acts after the ticks of its hop: relays on the way, 1, and the delay of its word."""
    from collections import Counter

    from oracles import image_synapses

    want, steps = brute_force(*drawn)
    assume(want is not None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        network = s2nir.quantize(built(*drawn), s2nir.PTQ(bits=2))
        words = s2nir.compile(network)
        relays = s2nir.compile(network, application="lif_no_delay")
    asked = Counter()
    for (a, b, _), s in zip(drawn[2], steps, strict=True):
        asked[a, 0, b, 0, s + want[b] - want[a]] += 1
    for image in (words, relays):
        assert {p.name: p.lag for p in image.populations if p.kind != "relay"} == want
        found, _ = image_synapses(image)
        assert found == asked


def two_loop(delay=0, **fields):
    return built(["x", "a", "b"], ["x"], [("x", "a", 0), ("a", "b", 0), ("b", "a", delay)], **fields)


def test_a_loop_through_two_is_refused_or_takes_its_ticks():
    network = s2nir.quantize(two_loop())
    with pytest.raises(MappingError, match=(
        r"loop through a, b: it has fewer steps than projections.*Pass loops=\"machine\".*\[rule: loop-without-lags\]"
    )):
        s2nir.compile(network)
    image = s2nir.compile(network, loops="machine")
    assert image.provenance["loops"] == "machine"
    assert "loops machine" in image.contract[0]
    assert {p.name: p.lag for p in image.populations} == {"x": 0, "a": 1, "b": 1}
    fine = s2nir.compile(s2nir.quantize(two_loop(delay=1)))
    assert fine.provenance["loops"] == "refuse"
    with pytest.raises(MappingError, match="loops: found 'maybe', allowed 'refuse', 'machine'"):
        s2nir.compile(network, loops="maybe")


def ladder(weight=1.0, delay=0):
    """x -> a -> b -> c and x -> c."""
    return built(["x", "a", "b", "c"], ["x"], [("x", "a", 0), ("a", "b", 0), ("b", "c", 0), ("x", "c", delay)])


def applications(image):
    return {p.name: image.cores[p.cores[0]].application for p in image.populations}


def test_the_delay_word_is_chosen_where_it_is_needed_and_the_weights_fit():
    small = s2nir.compile(s2nir.quantize(ladder(), s2nir.PTQ(bits="s4")))
    assert applications(small) == {"x": "spike_list", "a": "lif_no_delay", "b": "lif_no_delay", "c": "lif"}
    large = s2nir.compile(s2nir.quantize(ladder(), s2nir.PTQ(bits=8)))
    assert applications(large) == {"x": "spike_list", "a": "lif_no_delay", "b": "lif_no_delay", "c": "lif_no_delay",
                                   "x+1": "relay", "x+2": "relay"}
    assert [n for n in large.notes if "relay" in n] == [
        "x+1: a relay, passes the packets of x on one tick later, 1 cores",
        "x+2: a relay, passes the packets of x+1 on one tick later, 1 cores",
    ]
    assert not [n for n in small.notes if "relay" in n]


@pytest.mark.parametrize(("weight", "word"), [(15, True), (16, False)])
def test_the_limit_of_the_delay_word_is_fifteen(weight, word):
    g = graph([source((1,)), lif("a", (1,))], [dense("in", "a", [[1.0]], delay=3)])
    from dataclasses import replace

    network = s2nir.quantize(g, s2nir.PTQ(bits="s4"))
    q = network.projections[0]
    network = replace(network, projections=(replace(q, connection=replace(
        q.connection, weight=np.array([[weight]], np.int8))),))
    image = s2nir.compile(network)
    assert (applications(image)["a"] == "lif") == word
    assert len([p for p in image.populations if p.kind == "relay"]) == (0 if word else 2)
    if not word:
        with pytest.raises(MappingError, match=r"a: \|w\| up to 16, application lif holds up to 15\. Quantize with"):
            s2nir.compile(network, application="lif")


@pytest.mark.parametrize(("delay", "relays", "word"), [(1, 0, 0), (2, 0, 1), (8, 0, 7), (9, 1, 7), (12, 4, 7)])
def test_a_word_holds_seven_ticks_and_relays_the_rest(delay, relays, word):
    g = graph([source((1,)), lif("a", (1,))], [dense("in", "a", [[1.0]], delay=delay)])
    image = s2nir.compile(s2nir.quantize(g, s2nir.PTQ(bits="s4")))
    assert image["a"].lag == 0  # the delay makes up for the hop
    assert len([p for p in image.populations if p.kind == "relay"]) == relays
    core = image.cores[image["a"].cores[0]]
    r = regions(core.memory, True)
    assert (int(r.rows[12:14].view("<u2")[0]) >> 9 & 7 if r.descriptor.delay_word else 0) == word


def test_delays_of_single_synapses_share_their_relays():
    entries = [(0, 0, 1.0, 0), (0, 1, 1.0, 3), (0, 2, 1.0, 9), (0, 0, 1.0, 10)]
    g = graph([source((1,)), lif("a", (3,))], [sparse("in", "a", entries, 1, 3)])
    image = s2nir.compile(s2nir.quantize(g, s2nir.PTQ(bits="s4")))
    assert sorted(p.name for p in image.populations if p.kind == "relay") == ["in+1", "in+2", "in+3"]
    assert image["a"].lag == 1


def test_relays_are_limited():
    g = graph([source((1,)), lif("a", (1,))], [dense("in", "a", [[1.0]], delay=12)])
    network = s2nir.quantize(g)
    assert len([p for p in s2nir.compile(network, max_relays=11).populations if p.kind == "relay"]) == 11
    with pytest.raises(MappingError, match=(
        r"in: its spikes must wait 11 ticks in relays, 11 relays in all, over max_relays = 10\. Raise max_relays, "
        r"shorten the delay, use bits='s4'.*rows='dram'.*\[rule: too-many-relays\]"
    )):
        s2nir.compile(network, max_relays=10)


def test_a_population_with_the_name_of_a_relay_is_told_so():
    g = graph([source((1,)), lif("in+1", (1,)), lif("a", (1,))],
              [dense("in", "in+1", [[1.0]]), dense("in", "a", [[1.0]], delay=2)])
    with pytest.raises(MappingError, match=r"in\+1: a relay of in needs this name.*Rename the population"):
        s2nir.compile(s2nir.quantize(g))


def test_convolutions_wait_in_relays_even_with_small_weights():
    g = graph([source((1, 2, 2)), lif("a", (1, 2, 2)), lif("b", (1, 2, 2))], [
        conv("in", "a", np.ones((1, 1, 1, 1)), (1, 2, 2), (1, 2, 2)),
        conv("a", "b", np.ones((1, 1, 1, 1)), (1, 2, 2), (1, 2, 2)),
        conv("in", "b", np.ones((1, 1, 1, 1)), (1, 2, 2), (1, 2, 2))])
    image = s2nir.compile(s2nir.quantize(g, s2nir.PTQ(bits=2)))
    assert applications(image) == {"in": "spike_list", "a": "lif_conv2d", "b": "lif_conv2d", "in+1": "relay"}


@pytest.mark.parametrize("onset", ["aligned", "board"])
def test_constants_act_from_the_lag_or_from_tick_zero(onset):
    image = s2nir.compile(s2nir.quantize(ladder()), onset=onset)
    for name, lag in (("a", 1), ("b", 2), ("c", 3), ("x+1", 0), ("x+2", 0), ("x", 0)):
        core = image.cores[image[name].cores[0]]
        d = regions(core.memory, core.application not in ("spike_list", "relay")).descriptor
        assert d.onset == (lag if onset == "aligned" else 0)
    with pytest.raises(MappingError, match="onset: found 'late', allowed 'aligned', 'board'"):
        s2nir.compile(s2nir.quantize(ladder()), onset="late")


def test_applications_by_name():
    network = s2nir.quantize(ladder(), s2nir.PTQ(bits="s4"))
    assert set(applications(s2nir.compile(network, application="lif")).values()) == {"spike_list", "lif"}
    with pytest.raises(MappingError, match=r"application: found 'lfi', allowed 'auto', 'lif', .*or an Application"):
        s2nir.compile(network, application="lfi")
    for name in ("relay", "spike_list"):
        with pytest.raises(MappingError, match=rf"application: {name} runs no neurons"):
            s2nir.compile(network, application=name)


def test_the_reset_that_runs_as_another_is_warned_of():
    from s2nir.graph import Reset

    g = graph([source((1,)), lif("a", (1,), reset=Reset.SNNTORCH_RESTORED)], [dense("in", "a", [[1.0]])])
    with pytest.warns(S2NirWarning, match=r"a: reset 'snntorch_restored' runs as an immediate reset by subtraction"):
        image = s2nir.compile(s2nir.quantize(g))
    assert any("snntorch_restored" in n for n in image.notes)


def test_a_readout_and_an_input_alone():
    g = graph([source((2,)), readout("a", (2,))], [dense("in", "a", np.eye(2))])
    image = s2nir.compile(s2nir.quantize(g))
    assert [(p.name, p.kind, p.spikes, p.lag) for p in image.populations] == [
        ("in", "input", True, 0), ("a", "neurons", False, 1)]
