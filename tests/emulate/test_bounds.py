"""Slots as narrow as what reaches a neuron allows, and membranes below the normal range of float32."""

import numpy as np
import pytest

import s2nir
from quantize.networks import dense, graph, lif, source
from s2nir.emulate import program, reference, step_kernels
from s2nir.emulate.bounds import accumulator
from s2nir.emulate.neuron_vectors import WIDTH
from s2nir.emulate.parts import parts


def summed(total, arithmetic="float32", **options):
    """One neuron that weights of a sum of `total` reach, 127 and a rest, each from an input of its own."""
    size = -(-abs(total) // 127)
    weight = np.full((1, size), 127.0)
    weight[0, -1] = abs(total) - 127 * (size - 1)
    way = s2nir.Connect(source="in", target="a", weight=np.sign(total) * weight)
    net = s2nir.build({"in": size, "a": s2nir.Neurons(shape=1, threshold=1e6, **options)}, [way])
    return s2nir.quantize(net, s2nir.PTQ(per="population"), arithmetic=arithmetic)


def kind(image, most):
    ready = program(image).placed
    return np.dtype(accumulator(ready, [p.packed for p in parts(ready, 1)], most)).name


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize(("total", "most", "wanted"), [
    (32_767, 1, "int16"), (32_768, 1, "int32"), (-32_767, 1, "int16"), (-32_768, 1, "int32"),
    (16_383, 2, "int16"), (16_384, 2, "int32"), (127, 258, "int16"), (127, 259, "int32"),
])
def test_slots_hold_what_can_reach_a_neuron(total, most, wanted, arithmetic):
    network = summed(total, arithmetic)
    image = s2nir.compile(network, max_count=most)
    assert kind(image, most) == wanted
    spikes = np.full((3, image["in"].size), most, np.uint16)
    got = s2nir.run(image, spikes, ("spikes", "voltages"))
    want = reference(network, spikes, max_count=most)
    assert got.raw_voltages("a").tobytes() == want.voltages["a"].astype(got.raw_voltages("a").dtype).tobytes()
    assert abs(got.voltages["a"][0, 0, 0]) == abs(total * most)


@pytest.mark.parametrize("most", [3, 255])
@pytest.mark.parametrize("targets", [*range(7, 18), 40, 61, 97])
def test_rows_of_every_length_count_their_packets(targets, most):
    """All parts of a row, and both types of slots, of sources that send one packet in a tick and of those with more."""
    r = np.random.default_rng(targets)
    way = s2nir.Connect(source="in", target="a", weight=np.where((w := r.integers(-127, 128, (targets, 9))) == 0, 1, w))
    net = s2nir.build({"in": 9, "a": s2nir.Neurons(shape=targets, threshold=1e6)}, [way])
    network = s2nir.quantize(net, s2nir.PTQ(per="population"))
    spikes = r.integers(0, most + 1, (6, 9)) * (r.random((6, 9)) < 0.7)
    spikes[0], spikes[1] = 1, most
    got = s2nir.run(s2nir.compile(network, max_count=most), spikes, ("spikes", "voltages"))
    assert got.raw_voltages("a").tobytes() == reference(network, spikes, max_count=most).voltages["a"].tobytes()


def test_what_is_given_decides_and_not_what_could_be():
    image = s2nir.compile(summed(16_383), max_count=255)
    assert (kind(image, 2), kind(image, 255)) == ("int16", "int32")


def test_all_delays_and_drives_count():
    """Delays within rows, as a core of rows in DRAM has them; what relays pass on is not bounded."""
    ways = [s2nir.Connect(source="in", target="a", weight=np.full((1, 1), w), delay=d) for w, d in ((127.0, 0), (3, 2))]
    for rate in (0.0, 2.4e5):
        drive = s2nir.Poisson(rate=rate, weight=127.0) if rate else None
        net = s2nir.build({"in": 1, "a": s2nir.Neurons(shape=1, threshold=1e6, drive=drive)}, ways, dt=1e-3)
        network = s2nir.quantize(net, s2nir.PTQ(per="population"))
        image = s2nir.compile(network, s2nir.SpiNNaker2(rows="dram"), max_count=252)
        if rate:
            assert kind(image, 1) == "int32"
        else:
            assert (kind(image, 252), kind(image, 253)) == ("int16", "int32")  # 130 * 252 is 32,760


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.5, 0.93, 0.999, 1.0])
@pytest.mark.parametrize("slot", [np.int16, np.int32])
@pytest.mark.parametrize("late", [0, step_kernels.SUBTRACT, step_kernels.TO_VALUE])
def test_steps_round_below_the_normal_range_too(decay, slot, late):
    """Every exponent, and all patterns of bits near the normal range's end, against NumPy's single operations; with
    thresholds that repeat after one vector, after three or not at all, and the late resets of neurons at random."""
    rng, n, decay = np.random.default_rng(0), 64 * 1024, np.float32(decay)
    bits = rng.integers(0, 1 << 32, n, dtype=np.uint32)
    bits[: n // 2] &= 0x81FFFFFF  # a small exponent or none
    v = bits.view(np.float32)
    v = np.where(np.isfinite(v), v, np.float32(0))
    v[rng.random(n // WIDTH).repeat(WIDTH) < 0.2] = 0
    arriving = (rng.integers(-300, 300, n) * (rng.random(n) < 0.1)).astype(slot)
    value, last = np.float32(-2.5), (rng.random(n) < 0.2) & (late > 0) & (v != 0)
    for offset, period, idle, above in ((0, WIDTH, 1, 0), (0, 3 * WIDTH, 1, 1), (1.5, n, 0, 0), (0, n, 0, 1)):
        level = np.abs(rng.normal(10, 5, period)).astype(np.float32)
        threshold = np.nextafter(level, np.float32(np.inf)) if above else level
        got, taken, fired = v.copy(), arriving.copy(), np.packbits(last, bitorder="little")
        step_kernels.step_vectors(
            got.ctypes.data, taken.ctypes.data, fired.ctypes.data, n, decay, np.float32(offset), threshold.ctypes.data,
            period, late, value, np.int32(above), idle, slot(0))
        with np.errstate(under="ignore"):
            want = (decay * v + arriving.astype(np.float32)) + np.float32(offset)
            reset = value if late == step_kernels.TO_VALUE else want - np.resize(level, n)
        want = np.where(last, reset, want).astype(np.float32)
        assert got.tobytes() == want.tobytes()
        assert not taken.any()
        assert np.array_equal(np.unpackbits(fired, bitorder="little"), want >= np.resize(threshold, n))


@pytest.mark.parametrize("slot", [np.int16, np.int32])
@pytest.mark.parametrize("late", [0, step_kernels.SUBTRACT, step_kernels.TO_VALUE])
def test_currents_are_rounded_as_float32(slot, late):
    rng, n = np.random.default_rng(4), 64 * WIDTH
    small = (rng.integers(0, 1 << 32, (2, n), dtype=np.uint32) & np.uint32(0x81FFFFFF)).view(np.float32)
    v, i = np.where(rng.random((2, n)) < 0.3, small, rng.normal(0, 20, (2, n)).astype(np.float32))
    arriving = (rng.integers(-300, 300, n) * (rng.random(n) < 0.3)).astype(slot)
    decay, syn_decay, offset, bias, value = (np.float32(x) for x in (0.93, 0.71, -0.4, 0.3, -2.5))
    last = (rng.random(n) < 0.2) & (late > 0)
    threshold = np.abs(rng.normal(10, 5, 3 * WIDTH)).astype(np.float32)
    got, current, taken, fired = v.copy(), i.copy(), arriving.copy(), np.packbits(last, bitorder="little")
    step_kernels.step_currents(
        got.ctypes.data, current.ctypes.data, taken.ctypes.data, fired.ctypes.data, n, decay, syn_decay, offset, bias,
        threshold.ctypes.data, threshold.size, late, value, np.int32(0), slot(0))
    with np.errstate(under="ignore"):
        now = (syn_decay * i + arriving.astype(np.float32)) + bias
        want = (decay * v + now) + offset
    want = np.where(last, value if late == step_kernels.TO_VALUE else want - np.resize(threshold, n), want)
    assert current.tobytes() == now.tobytes()
    assert got.tobytes() == want.astype(np.float32).tobytes()
    assert not taken.any()
    assert np.array_equal(np.unpackbits(fired, bitorder="little"), want >= np.resize(threshold, n))


@pytest.mark.parametrize(("decay", "steps"), [(0.5, 200), (0.93, 1_500)])
def test_a_membrane_decays_to_the_smallest_step(decay, steps):
    """As the chip's does: 0.93 of the smallest step is the smallest step again."""
    size = 2 * WIDTH + 3
    weight = np.arange(-17.0, size - 17).reshape(size, 1)
    cells = lif("a", (size,), decay=decay, threshold=1e6)
    network = s2nir.quantize(graph([source((1,)), cells], [dense("in", "a", weight)]), s2nir.PTQ(per="population"))
    spikes = np.zeros((steps, 1), np.uint8)
    spikes[0] = 1
    got = s2nir.run(s2nir.compile(network), spikes, ("spikes", "voltages")).raw_voltages("a")
    assert got.tobytes() == reference(network, spikes).voltages["a"].astype(np.float32).tobytes()
    last = np.delete(got[0, -1], 17)
    assert (last == 0).all() if decay == 0.5 else ((last != 0) & (np.abs(last) < np.finfo(np.float32).tiny)).all()
