"""A stream gives the bits of a run, however its ticks are dealt out, and after being stopped and resumed."""

import resource
import warnings

import numpy as np
import pytest

import s2nir
from emulate.test_decode import small
from quantize.networks import cuba, dense, graph, lif, source
from s2nir.errors import InputError, RunError, S2NirError


def recurrent(arithmetic="float32"):
    """Delays, relays, a loop, late resets, refractory times and a current-based population."""
    r = np.random.default_rng(2)
    g = graph(
        [source((9,)), lif("a", (14,), reset_late=True), lif("b", (8,), refractory=2), cuba("c", (6,))],
        [dense("in", "a", r.normal(size=(14, 9))), dense("a", "a", r.normal(size=(14, 14)) / 4),
         dense("a", "b", r.normal(size=(8, 14)), delay=3), dense("b", "c", r.normal(size=(6, 8))),
         dense("in", "c", r.normal(size=(6, 9)))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        return s2nir.compile(s2nir.quantize(g, arithmetic=arithmetic))


IMAGES = {
    "conv": lambda: small(), "delay words": lambda: small("s4"), "fixed": lambda: small(arithmetic="fixed"),
    "recurrent": lambda: recurrent(), "recurrent fixed": lambda: recurrent("fixed"),
}


@pytest.fixture(scope="module", params=IMAGES)
def image(request):
    return IMAGES[request.param]()


def drawn(image, steps, seed=0):
    r = np.random.default_rng(seed)
    return (r.random((steps, *image.inputs[0].shape)) < 0.3).astype(np.uint8)


def names(image):
    return [p.name for p in image.populations if p.kind == "neurons"]


@pytest.mark.parametrize("cuts", [[40], [1] * 40, [1, 2, 3, 5, 8, 13, 8], [39, 1]])
def test_a_stream_is_a_run(image, cuts):
    spikes = drawn(image, sum(cuts))
    whole = s2nir.run(image, spikes, record=("spikes", "voltages"))
    stream, at, found = image.stream(record=("spikes", "voltages")), 0, []
    for n in cuts:
        found.append(stream.feed(spikes[at : at + n]))
        at += n
    found.append(stream.drain())
    assert stream.tick == whole.ticks == 40 + image.lag
    assert [t.first for t in found] == np.cumsum([0, *cuts]).tolist()
    for name in names(image):
        if image[name].spikes:
            said = np.concatenate([t.spikes(name) for t in found])
            assert np.array_equal(said, whole.raw_spikes(name)[0])
        held = np.concatenate([t.voltages(name) for t in found])
        assert held.tobytes() == whole.raw_voltages(name)[0].tobytes()
    assert any(whole.raw_spikes(n).any() for n in names(image) if image[n].spikes)
    tick, source_, number = (np.concatenate(c) for c in zip(*(t.events for t in found), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip((tick, source_, number), whole.events[0], strict=True))


def test_a_step_is_a_tick(image):
    spikes = drawn(image, 12)
    whole, stream = s2nir.run(image, spikes), image.stream()
    for t in range(12):
        one = spikes[t] if t % 2 else {image.inputs[0].name: spikes[t]}
        found = stream.step(one)
        assert set(found) == {n for n in names(image) if image[n].spikes}
        assert all(np.array_equal(v, whole.raw_spikes(n)[0, t]) for n, v in found.items())


@pytest.mark.parametrize("stop", [0, 1, 7, 19])
def test_what_is_resumed_gives_the_same_bits(image, stop, tmp_path):
    spikes = drawn(image, 20, seed=1)
    whole = s2nir.run(image, spikes)
    stream = image.stream()
    if stop:
        stream.feed(spikes[:stop])
    stream.save(tmp_path / "at.npz")
    stream.feed(spikes[:5])  # what is done after the checkpoint does not count
    again = image.stream()
    again.resume(tmp_path / "at.npz")
    assert again.tick == stop
    last = [again.feed(spikes[stop:]), again.drain()]
    for name in names(image):
        if image[name].spikes:
            assert np.array_equal(np.concatenate([t.spikes(name) for t in last]), whole.raw_spikes(name)[0, stop:])


def test_memory_does_not_grow():
    image = small()
    stream, spikes = image.stream(), drawn(image, 50)
    for _ in range(40):
        stream.feed(spikes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(400):
        stream.feed(spikes)
    assert stream.tick == 22_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB


def test_bad_input_leaves_the_stream_where_it_is(tmp_path):
    image = small()
    stream, spikes = image.stream(), drawn(image, 6)
    stream.feed(spikes[:3])
    for wrong, said in ((spikes[:, :1], "shape"), (np.stack([spikes, spikes]), "2 recordings, needed one"),
                        (spikes * 1000.5, "whole")):
        with pytest.raises(S2NirError, match=said):
            stream.feed(wrong)
    assert stream.tick == 3
    whole = s2nir.run(image, spikes)
    assert np.array_equal(stream.feed(spikes[3:]).spikes("a"), whole.raw_spikes("a")[0, 3:6])
    stream.save(tmp_path / "a.npz")
    other = recurrent().stream()
    with pytest.raises(InputError, match="is of image"):
        other.resume(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:300])
    np.save(tmp_path / "c.npy", np.zeros(3))
    for name, said in (("b.npz", "cannot be read as a checkpoint"), ("c.npy", "cannot be read as a checkpoint"),
                       ("missing.npz", "there is no such file")):
        with pytest.raises(InputError, match=said):
            stream.resume(tmp_path / name)
    assert stream.tick == 6


def test_what_a_stream_does_not_do_is_refused():
    image = small()
    with pytest.raises(RunError, match="potentials"):
        image.stream(record=("potentials",))
    network = s2nir.quantize(s2nir.build(
        {"in": 2, "a": s2nir.Neurons(shape=2, tau=0.01)},
        [s2nir.Connect(source="in", target="a", rule=s2nir.rules.OneToOne(), weight=1.0)], dt=1e-3))
    with pytest.raises(RunError, match="holds 2 copies"):
        s2nir.compile(network, copies=2).stream()


def test_a_step_is_one_step(image):
    stream, x = image.stream(), drawn(image, 3)
    names = [p.name for p in image.inputs]
    several = x if isinstance(x, dict) else {names[0]: x}
    for spikes in (several, {n: v[:1] for n, v in several.items()}):
        with pytest.raises(InputError, match=r"stream.step: found shape .*, needed one step"):
            stream.step(spikes)
    for wrong in (None, [[1], [1, 2]]):
        with pytest.raises(InputError, match=r"stream.step: found (None|\[\[1\], \[1, 2\]\]) for .*, needed one step"):
            stream.step(dict.fromkeys(several, wrong))
    assert stream.tick == 0
    one, whole = image.stream().step({n: v[0] for n, v in several.items()}), image.stream().feed(several)
    assert all(np.array_equal(one[n], whole.spikes(n)[0]) for n in one)
