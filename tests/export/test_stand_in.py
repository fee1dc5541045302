"""The stand-in: every wrong call is an error that says where; a network by hand does what the equations say."""

import itertools
import sys

import numpy as np
import pytest

from s2nir.errors import ExportError
from s2nir.export.stand_in import stand_in

LIF = {"threshold": 10.0, "alpha_decay": 0.5, "i_offset": 0.0, "v_init": 0.0, "v_reset": 0.0,
       "reset": "reset_by_subtraction"}
CURRENT = LIF | {"exc_decay": 0.5, "inh_decay": 0.5, "t_refrac": 0}
SHAPE = {"in_height": 4, "in_width": 4, "stride_x": 1, "stride_y": 1, "pool_x": 1, "pool_y": 1, "pad_top": 1,
         "pad_bottom": 1, "pad_left": 1, "pad_right": 1}
KERNEL = np.ones((1, 2, 3, 3), np.int8)


@pytest.fixture
def s2():
    with stand_in() as found:
        yield found


def neurons(s2, model="lif_no_delay", size=3, name="a", record=("spikes",), **params):
    base = CURRENT if "curr" in model else LIF
    return s2.snn.Population(size=size, neuron_model=model, params=base | params, name=name, record=list(record))


def sources(s2, params=None, size=3, name="in"):
    return s2.snn.Population(size=size, neuron_model="spike_list", params=params or {}, name=name)


def run(s2, net, ticks=10, **options):
    s2.hardware.SpiNNaker2Chip(eth_ip="here").run(net, ticks, **options)


def whole(s2, connections, params=None, model="lif_no_delay", record=("spikes", "v"), **fields):
    """in -> a, run; a."""
    pre, post = sources(s2, params or {0: [0, 3], 2: [3]}), neurons(s2, model, record=record, **fields)
    net = s2.snn.Network("n")
    net.add(pre, post, s2.snn.Projection(pre=pre, post=post, connections=connections))
    run(s2, net)
    return post


def test_membranes_by_hand(s2):
    a = whole(s2, [[0, 0, 12, 0], [2, 0, 9, 0], [2, 1, -8, 0]], i_offset=[0.0, 1.0, 0.0])
    assert a.get_spikes() == {0: [1, 4], 1: [], 2: []}
    v = a.get_voltages()
    assert v[0].dtype == np.float32
    # tick 1: 12 - 10; tick 4: 2 / 8 + 12 + 9 - 10; of neuron 1 the offset gathers, then -8
    assert v[0].tolist()[:6] == [0.0, 2.0, 1.0, 0.5, 11.25, 5.625]
    assert v[1].tolist()[:5] == [1.0, 1.5, 1.75, 1.875, -6.0625]


def test_ticks_that_are_run_are_one_more(s2):
    a = whole(s2, [[0, 0, 1, 0]])
    assert len(a.get_voltages()[0]) == 11


def test_delays_by_hand(s2):
    a = whole(s2, [[0, i, 11, d] for i, d in enumerate((0, 3, 7))], {0: [0]}, model="lif")
    assert a.get_spikes() == {0: [1], 1: [4], 2: [8]}


def test_currents_and_refractory_time_by_hand(s2):
    a = whole(s2, [[0, 0, 20, 0]], {0: [0]}, "lif_curr_exp_no_delay", alpha_decay=1.0, t_refrac=2)
    # currents 20, 10, 5, 2.5, ...: V 20 - 10, held in ticks 2 and 3, 10 + 2.5 spikes at 12.5
    assert a.get_voltages()[0].tolist()[1:6] == [10.0, 10.0, 10.0, 2.5, 2.5]
    assert a.get_spikes()[0] == [1, 4]


def test_a_reset_to_a_value_and_a_start(s2):
    a = whole(s2, [[0, 0, 20, 0]], {0: [0]}, reset="reset_to_v_reset", v_reset=[-3.0, 0, 0], v_init=[0, 8.0, 0])
    assert a.get_voltages()[0].tolist()[1:3] == [-3.0, -1.5]
    assert a.get_voltages()[1].tolist()[:2] == [4.0, 2.0]


def test_each_operation_rounds(s2):
    """0.1 V + 0.2 + 0.3 in float32, three roundings, is not the rounded sum."""
    a = whole(s2, [[0, 0, 7, 0]], {0: list(range(9))}, alpha_decay=0.1, i_offset=0.3, threshold=1e9)
    v = np.float32(0)
    for t, got in enumerate(a.get_voltages()[0][:9]):
        v = np.float32(np.float32(np.float32(0.1) * v) + np.float32(7 if t else 0)) + np.float32(0.3)
        assert v == got


def test_each_operation_on_a_current_rounds(s2):
    a = whole(s2, [[0, 0, 7, 0]], {0: list(range(9))}, "lif_curr_exp_no_delay", alpha_decay=0.0, threshold=1e9,
              exc_decay=0.3, inh_decay=0.3)
    current = np.float32(0)
    for t, got in enumerate(a.get_voltages()[0][:9]):
        current = np.float32(np.float32(0.3) * current) + np.float32(7 if t else 0)
        assert current == got


def test_a_convolution_by_hand(s2):
    """Against sums over windows in NumPy."""
    r = np.random.default_rng(0)
    kernel = r.integers(-9, 9, (2, 3, 3, 2)).astype(np.int8)
    for pool, stride, pads in itertools.product((1, 2), (1, 2), ((1, 1, 0, 1), (0, 2, 1, 1))):
        top, bottom, left, right = pads
        side = 8 // pool
        out = ((side + top + bottom - 3) // stride + 1, (side + left + right - 2) // stride + 1)
        form = dict(zip(SHAPE, (8, 8, stride, stride, pool, pool, *pads), strict=True))
        x = (r.random((2, 8, 8)) < 0.4).astype(np.int64)
        pre = sources(s2, {int(i): [0] for i in np.flatnonzero(x)}, 128)
        post = neurons(s2, "lif_conv2d", 3 * out[0] * out[1], record=["v"], threshold=1e9)
        net = s2.snn.Network("n")
        net.add(pre, post, s2.snn.Conv2DProjection(pre, post, kernel, form))
        run(s2, net, 2)
        pooled = x.reshape(2, side, pool, side, pool).sum(axis=(2, 4))
        padded = np.pad(pooled, ((0, 0), (top, bottom), (left, right)))
        want = np.zeros((3, *out))
        for y, z in np.ndindex(*out):
            window = padded[:, y * stride : y * stride + 3, z * stride : z * stride + 2]
            want[:, y, z] = np.tensordot(kernel.astype(int), window, ((0, 2, 3), (0, 1, 2)))
        got = np.array([v[1] for v in post.get_voltages().values()])
        assert np.array_equal(got, want.ravel())


POPULATION = [
    (dict(size=0), "size: found 0"), (dict(size=2.0), r"size: found 2\.0, needed a whole number"),
    (dict(name=""), "needed text"), (dict(neuron_model="alif"), "'alif' is not known; known are"),
    (dict(params=[]), "needed a dict"), (dict(record=["voltages"]), "record"), (dict(record="spikes"), "record"),
    (dict(params=LIF | {"t_refract": 0}), "'t_refract' is none of lif;"),
    (dict(params=LIF | {"exc_decay": 0.5}), "'exc_decay' is none of lif;"),
    (dict(params={k: v for k, v in LIF.items() if k != "v_reset"}), "'v_reset' is left to a default"),
    (dict(params=LIF | {"threshold": [1.0, 2.0]}), r"threshold: found float64 of shape \(2,\)"),
    (dict(params=LIF | {"threshold": "1"}), "threshold: found <U1"),
    (dict(params=LIF | {"threshold": 1e39}), "not finite"), (dict(params=LIF | {"i_offset": np.nan}), "not finite"),
    (dict(params=LIF | {"alpha_decay": 1.5}), r"alpha_decay: found 1\.5"),
    (dict(params=LIF | {"reset": "zero"}), "reset 'zero'"),
    (dict(neuron_model="lif_curr_exp", params=CURRENT | {"inh_decay": 0.4}), "exc_decay and inh_decay differ"),
    (dict(neuron_model="lif_curr_exp", params=CURRENT | {"t_refrac": 1.5}), "t_refrac: found"),
    (dict(neuron_model="spike_list", params={3: [0]}, record=[]), r"source: found 3, allowed 0\.\.2"),
    (dict(neuron_model="spike_list", params={0: [2, 2]}, record=[]), "do not rise"),
    (dict(neuron_model="spike_list", params={0: [1.5]}, record=[]), "a tick of source 0: found 1.5"),
    (dict(neuron_model="spike_list", params={0: (1,)}, record=[]), "needed a list"),
    (dict(neuron_model="spike_list", params={}, record=["spikes"]), "records nothing"),
]


@pytest.mark.parametrize(("fields", "words"), POPULATION)
def test_wrong_populations(s2, fields, words):
    good = dict(size=3, neuron_model="lif", params=LIF, name="a", record=["spikes"])
    s2.snn.Population(**good)
    with pytest.raises(ExportError, match=words):
        s2.snn.Population(**good | fields)


@pytest.mark.parametrize(("connections", "words"), [
    ([[0, 0, 1.5, 0]], "float64, needed whole numbers"), ([[0, 0, 1, 1]], r"delay 1, lif_no_delay allows 0\.\.0"),
    ([[0, 0, 128, 0]], r"weight 128, lif_no_delay allows -127\.\.127"), ([[0, 0, -128, 0]], "weight -128"),
    ([[3, 0, 1, 0]], r"source 3"), ([[0, -1, 1, 0]], "target -1"), ([[0, 0, True, "0"]], "needed whole"),
    ([[0, 0, 1]], "no list of"), ([[0, 0, 1, 0], [0]], "no list of"), ([], "needed a list with some"),
    (np.zeros((1, 4), int), "needed a list"), ([[0, 1, 1, 0], [0, 1, 2, 0]], "twice"),
])
def test_wrong_projections(s2, connections, words):
    with pytest.raises(ExportError, match=words):
        s2.snn.Projection(pre=sources(s2), post=neurons(s2), connections=connections)


def test_the_word_with_delays_is_narrow(s2):
    pre, post = sources(s2), neurons(s2, "lif")
    s2.snn.Projection(pre, post, [[0, 0, -15, 7]])
    for bad, words in (([0, 0, 16, 0], "weight 16"), ([0, 0, 1, 8], "delay 8")):
        with pytest.raises(ExportError, match=words):
            s2.snn.Projection(pre, post, [bad])


def test_projections_lead_from_populations_to_neurons(s2):
    pre, post = sources(s2), neurons(s2)
    for a, b, words in ((post, pre, "is a spike_list"), ("in", post, "pre is a str"), (pre, None, "post is a NoneType"),
                        (pre, neurons(s2, "lif_conv2d"), "takes a Conv2DProjection alone")):
        with pytest.raises(ExportError, match=words):
            s2.snn.Projection(a, b, [[0, 0, 1, 0]])


@pytest.mark.parametrize(("kernel", "form", "words"), [
    (KERNEL.astype(float), {}, "weights are float64"), (KERNEL[0], {}, "weights are int8 of shape"),
    (KERNEL.tolist(), {}, "weights are <class 'list'>"), (KERNEL * np.int8(-128), {}, "weight -128"),
    (KERNEL, {"groups": 2}, "too much or too little: .*groups"), (KERNEL, {"in_height": 5}, "the input is 1 x 5 x 4"),
    (KERNEL, {"pad_top": 0}, "the output is 2 x 3 x 4"), (KERNEL, {"stride_x": 2}, "along x and y differ"),
    (KERNEL, {"pool_x": 2}, "along x and y differ"), (KERNEL, {"pool_x": 3, "pool_y": 3}, "does not divide"),
    (KERNEL, {"pad_left": -1}, "pad_left: found -1"), (KERNEL, {"stride_x": 1.0}, "stride_x: found 1.0"),
    (np.ones((2, 2, 3, 3), np.int8), {}, "the input is 2 x 4 x 4"),
])
def test_wrong_convolutions(s2, kernel, form, words):
    pre, post = sources(s2, size=16), neurons(s2, "lif_conv2d", 32)
    s2.snn.Conv2DProjection(pre, post, KERNEL, SHAPE)
    with pytest.raises(ExportError, match=words):
        s2.snn.Conv2DProjection(pre, post, kernel, SHAPE | form)


def test_convolutions_lead_into_their_program(s2):
    pre = sources(s2, size=16)
    with pytest.raises(ExportError, match="leads into lif, needed lif_conv2d"):
        s2.snn.Conv2DProjection(pre, neurons(s2, "lif", 32), KERNEL, SHAPE)
    with pytest.raises(ExportError, match=r"too little: .*pad_right"):
        s2.snn.Conv2DProjection(pre, neurons(s2, "lif_conv2d", 32), KERNEL, dict.fromkeys(list(SHAPE)[:-1], 1))


def test_wrong_networks(s2):
    pre, post, net = sources(s2), neurons(s2), s2.snn.Network("n")
    net.add(pre, s2.snn.Projection(pre, post, [[0, 0, 1, 0]]))
    for part, words in ((pre, "there already"), (3, "found a int"), (neurons(s2, name="in"), "'in' is there already")):
        with pytest.raises(ExportError, match=words):
            net.add(part)
    with pytest.raises(ExportError, match="was not added"):
        run(s2, net)
    net.add(post)
    run(s2, net)
    with pytest.raises(ExportError, match="found a Population, needed a Network"):
        run(s2, pre)
    with pytest.raises(ExportError, match="needed text"):
        s2.snn.Network(3)
    lone = s2.snn.Network("n")
    lone.add(neurons(s2, "lif_conv2d", 32))
    with pytest.raises(ExportError, match="0 projections lead into it"):
        run(s2, lone)


@pytest.mark.parametrize(("ticks", "options", "words"), [
    (0, {}, "ticks: found 0"), (1.5, {}, "ticks: found 1.5"), (5, {"sys_tick_in_s": 0.0}, "seconds below 1"),
    (5, {"sys_tick_in_s": 1}, "seconds below 1"),
])
def test_wrong_runs(s2, ticks, options, words):
    net = s2.snn.Network("n")
    net.add(sources(s2))
    with pytest.raises(ExportError, match=words):
        run(s2, net, ticks, **options)


def test_machines_need_addresses(s2):
    for make in (lambda: s2.hardware.SpiNNaker2Chip(eth_ip=""), lambda: s2.hardware.SpiNNaker2Chip(eth_ip=7),
                 lambda: s2.hardware.SpiNNcloud48NodeBoard(stm_ip=None),
                 lambda: s2.hardware.SpiNNcloud48NodeBoard(stm_ip="here", eth_ip=7)):
        with pytest.raises(ExportError, match="needed an address"):
            make()


def test_caps(s2):
    p = neurons(s2, size=3)
    for n in (0, 257, 2.5, True):
        with pytest.raises(ExportError, match="set_max_atoms_per_core"):
            p.set_max_atoms_per_core(n)


def test_a_chip_has_148_cores(s2):
    net, p = s2.snn.Network("n"), neurons(s2, size=149)
    p.set_max_atoms_per_core(1)
    net.add(p)
    with pytest.raises(ExportError, match="takes 149 cores, there are 148"):
        run(s2, net)
    s2.hardware.SpiNNcloud48NodeBoard(stm_ip="here").run(net, 3)
    s2.brian2_sim.Brian2Backend().run(net, 3)
    p.set_max_atoms_per_core(2)
    run(s2, net)


def test_rows_records_and_spikes_take_memory(s2):
    """The published anchor: 512 sources to 256 targets take 28,672 B at 16 neurons per core, records apart."""
    pre, post = sources(s2, size=512), neurons(s2, "lif_no_delay", 256, record=())
    pre.set_max_atoms_per_core(256)
    net = s2.snn.Network("n")
    net.add(pre, post, s2.snn.Projection(pre, post, [[i, j, 1, 0] for i in range(512) for j in range(256)]))
    from s2nir.export.stand_in.hardware import taken

    for cap, rows in ((16, 28_672), (24, 36_864), (32, 45_056)):
        post.set_max_atoms_per_core(cap)
        assert taken(post, net, 10)[0] == 64 + rows + 48 * cap
    post.set_max_atoms_per_core(256)
    with pytest.raises(ExportError, match=r"'a' core 0 takes 286784 bytes, a core has 67328; its cap is 256"):
        run(s2, net)


def test_records_take_memory(s2):
    p = neurons(s2, size=32, record=["spikes", "v"])
    net = s2.snn.Network("n")
    net.add(p)
    from s2nir.export.stand_in.hardware import taken

    assert taken(p, net, 100) == [64 + 32 * 48 + 100 * (12 + 132)]
    with pytest.raises(ExportError, match="'a' core 0 takes"):
        run(s2, net, 1000)


def test_the_window_is_an_argument():
    with stand_in(window=2000) as s2:
        net = s2.snn.Network("n")
        net.add(neurons(s2, size=100))
        with pytest.raises(ExportError, match="a core has 2000"):
            run(s2, net)
    with pytest.raises(ExportError, match=r"stand_in\.window"), stand_in(window=3):
        pass


def test_what_was_not_recorded_is_not_given(s2):
    p = neurons(s2, record=["spikes"])
    with pytest.raises(ExportError, match="has not run"):
        p.get_spikes()
    with pytest.raises(ExportError, match="'v' is not in its record"):
        p.get_voltages()


def test_more_than_32_bits(s2):
    pre, post = sources(s2, {0: [0]}), neurons(s2)
    p = s2.snn.Projection(pre, post, [[0, 0, 1, 0]])
    p.table[0, 2] = 1 << 31
    net = s2.snn.Network("n")
    net.add(pre, post, p)
    with pytest.raises(ExportError, match="more than 32 bits arrive in tick 1"):
        run(s2, net)


def test_the_name_is_given_back(monkeypatch):
    before = type(sys)("spinnaker2")
    monkeypatch.setitem(sys.modules, "spinnaker2", before)
    with stand_in() as s2:
        import spinnaker2

        assert spinnaker2 is s2 is not before
    assert sys.modules["spinnaker2"] is before
    assert "spinnaker2.snn" not in sys.modules


def test_it_shares_no_code_with_the_exporter_or_the_emulator():
    import ast
    from pathlib import Path

    import s2nir.export.stand_in as package

    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                assert (node.level, node.module) == (3, "errors"), path.name
            assert not (isinstance(node, ast.Import) and any("s2nir" in a.name for a in node.names)), path.name
