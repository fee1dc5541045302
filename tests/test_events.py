"""Every form of input that is accepted, and what each of the others is told."""

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nir.data_ir import EventData, TimeGriddedData
from nir.data_ir.graph import ValuedEventData

from s2nir.errors import InputError
from s2nir.events import Events, to_arrays, to_counts

ONE = {"in": (2, 3)}
TWO = {"a": (2,), "b": (3,)}


def one(spikes, shape=(2, 3), dt=1e-3):
    return to_arrays(spikes, {"in": shape}, dt)["in"]


def counted(spikes, shape=(2, 3), max_count=255):
    return to_counts(spikes, {"in": shape}, 1e-3, max_count)["in"]


@pytest.mark.parametrize("form", [
    np.arange(24).reshape(4, 2, 3), np.arange(24).reshape(4, 6), np.arange(24).reshape(1, 4, 2, 3),
    np.arange(24).reshape(1, 4, 6), np.arange(24).reshape(4, 2, 3).tolist(), {"in": np.arange(24).reshape(4, 2, 3)},
    np.asfortranarray(np.arange(24).reshape(4, 2, 3)), np.arange(24.0).reshape(4, 2, 3),
    Events(step=np.repeat(np.arange(24) // 6, np.arange(24)), index=np.repeat(np.arange(24) % 6, np.arange(24)),
           sample=np.zeros(276), steps=4),
])
def test_every_form_of_one_recording(form):
    got = one(form)
    assert got.shape == (1, 4, 6)
    assert got.ravel().tolist() == list(range(24))
    assert counted(form).ravel().tolist() == list(range(24))


def test_a_batch_keeps_its_order():
    given = np.arange(48).reshape(2, 4, 2, 3)
    assert one(given).tolist() == given.reshape(2, 4, 6).tolist()
    assert one(given.reshape(2, 4, 6)).tolist() == given.reshape(2, 4, 6).tolist()


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.uint64, np.float32, np.float64])
def test_every_number_is_a_count(dtype):
    given = np.array([[1, 0, 1], [0, 1, 0]]).astype(dtype)
    got = counted(given, (3,))
    assert got.tolist() == [[[1, 0, 1], [0, 1, 0]]]
    assert np.issubdtype(got.dtype, np.integer)


def test_real_values_stay_real_for_the_float_run():
    given = np.array([[0.25, -1.5]])
    assert one(given, (2,)).tolist() == [[[0.25, -1.5]]]


@pytest.mark.parametrize(("given", "what"), [
    (np.zeros((4, 2, 2)), r"spikes\['in'\]: found shape \(4, 2, 2\), needed \(steps, 2, 3\) or \(batch, steps, 2, 3\)"),
    (np.zeros(6), r"found shape \(6,\)"),
    (np.zeros((1, 1, 4, 2, 3)), r"found shape \(1, 1, 4, 2, 3\)"),
    (np.zeros((4, 3, 2)), r"found shape \(4, 3, 2\)"),
    (np.float64(1.0), r"found shape \(\)"),
    (np.zeros((0, 2, 3)), "an empty batch or no steps"),
    (np.zeros((0, 4, 2, 3)), "an empty batch or no steps"),
    (np.zeros((2, 0, 6)), "an empty batch or no steps"),
    ([], r"found shape \(0,\)"),
    (np.full((1, 2, 3), np.nan), r"spikes\['in'\] at \(batch, step, source\) \(0, 0, 0\): found nan, needed finite"),
    (np.where(np.arange(12).reshape(2, 6) == 8, -np.inf, 0),
     r"spikes\['in'\] at \(batch, step, source\) \(0, 1, 2\): found -inf, needed finite numbers; where nothing"),
    (np.full((1, 2, 3), "a"), r"spikes\['in'\]: found dtype <U1, needed numbers"),
    (np.ones((1, 2, 3), complex), r"spikes\['in'\]: found dtype complex128"),
    (None, r"spikes\['in'\]: found None, a NoneType, needed numbers in an array"),
    ([[1, 2], [3]], r"spikes\['in'\]: .*needed numbers"),
])
def test_what_is_no_recording_is_told_where_and_why(given, what):
    for take in (one, counted):
        with pytest.raises(InputError, match=what):
            take(given)


@pytest.mark.parametrize(("value", "found"), [
    (-1, "-1"), (256, "256"), (0.5, "0.5"), (-0.25, "-0.25"), (1e30, "1e\\+30"),
])
def test_what_is_no_count_is_told_where(value, found):
    given = np.zeros((2, 4, 2, 3), np.float64 if isinstance(value, float) else np.int64)
    given[1, 2, 0, 2] = value
    given[1, 3, 0, 0] = value
    where = r"spikes\['in'\] at \(batch, step, source\) \(1, 2, 2\)"
    with pytest.raises(InputError, match=rf"{where}: found {found}, .*max_count = 255"):
        counted(given)
    assert one(given)[1, 2, 2] == value  # the float run takes it


@pytest.mark.parametrize(("value", "advice"), [
    (256, r"Raise max_count in compile\."), (65_535, r"Raise max_count in compile\."),
    (65_536, r"Give counts of events per step, at most 65535\."), (-1, r"Give counts of events per step\."),
    (0.5, r"Give counts of events per step\."),
])
def test_what_to_do_about_a_count_is_what_helps(value, advice):
    with pytest.raises(InputError, match=advice + "$"):
        counted(np.full((1, 6), value))


def test_part_of_a_data_set_counts_from_its_first_recording():
    x = np.zeros((9, 4, 6), int)
    x[7, 2, 5] = 300
    part = to_arrays(x, {"in": (6,)}, 1e-3).part(3, 9).part(2, 6).between(2, 4)
    with pytest.raises(InputError, match=r"at \(batch, step, source\) \(7, 0, 5\): found 300"):
        to_counts(part, {"in": (6,)}, 1e-3, 255)


@given(st.integers(1, 65535), st.integers(-5, 70000), st.sampled_from([np.int32, np.int64, np.uint32, np.float64]))
def test_counts_are_whole_from_zero_to_max_count(max_count, value, dtype):
    given = np.zeros((3, 1), dtype)
    given[1] = np.array(value).astype(dtype)
    fine = 0 <= int(given[1, 0]) <= max_count
    try:
        got = counted(given, (1,), max_count)
    except InputError as error:
        assert not fine, error
    else:
        assert fine
        assert got.ravel().tolist() == [0, value, 0]


def test_the_largest_unsigned_number_is_over_max_count():
    with pytest.raises(InputError, match="found 18446744073709551615"):
        counted(np.array([[2**64 - 1]], np.uint64), (1,))


def test_several_inputs():
    given = {"b": np.ones((4, 3)), "a": np.zeros((1, 4, 2))}
    got = to_arrays(given, TWO, None)
    assert {n: a.shape for n, a in got.items()} == {"a": (1, 4, 2), "b": (1, 4, 3)}
    with pytest.raises(InputError, match=r"the network has 2 inputs: give a dict by input name \(a, b\)"):
        to_arrays(np.zeros((4, 2)), TWO, None)
    with pytest.raises(InputError, match=r"spikes\['b'\] is not given; the inputs are a, b"):
        to_arrays({"a": np.zeros((4, 2))}, TWO, None)
    with pytest.raises(InputError, match=r"spikes\['c'\] is given but is no input of the network"):
        to_arrays({"a": np.zeros((4, 2)), "b": np.zeros((4, 3)), "c": np.zeros((4, 1))}, TWO, None)
    with pytest.raises(InputError, match=r"inputs differ in \(batch, steps\): a \(1, 4\), b \(1, 5\)"):
        to_arrays({"a": np.zeros((4, 2)), "b": np.zeros((5, 3))}, TWO, None)
    with pytest.raises(InputError, match=r"inputs differ in \(batch, steps\): a \(1, 4\), b \(2, 4\)"):
        to_arrays({"a": np.zeros((4, 2)), "b": np.zeros((2, 4, 3))}, TWO, None)


# events


@given(st.data(), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4))
def test_events_count_one_by_one(data, samples, steps, size):
    drawn = data.draw(st.lists(st.tuples(st.integers(0, samples - 1), st.integers(0, steps - 1),
                                         st.integers(0, size - 1)), max_size=12))
    sample, step, index = np.array(drawn, np.int64).reshape(-1, 3).T
    want = np.zeros((samples, steps, size), int)
    for place in drawn:
        want[place] += 1
    events = Events(step=step, index=index, sample=sample, steps=steps, samples=samples)
    assert counted(events, (size,)).tolist() == want.tolist()


@pytest.mark.parametrize(("fields", "what"), [
    (dict(step=[4], index=[0], sample=[0]), r"Events\.step: found 4\.\.4, allowed 0\.\.3"),
    (dict(step=[-1], index=[0], sample=[0]), r"Events\.step: found -1\.\.-1"),
    (dict(step=[0], index=[0], sample=[1]), r"Events\.sample: found 1\.\.1, allowed 0\.\.0"),
    (dict(step=[0, 1], index=[0], sample=[0]), "step, index and sample differ in length"),
    (dict(step=[0], index=[2.0**63], sample=[0]), r"Events\.index: found 9\.2.*e\+18, needed whole numbers of 64 bits"),
    (dict(step=[np.inf], index=[0], sample=[0]), r"Events\.step: found inf\.\.inf, needed whole numbers of 64 bits"),
    (dict(step=np.array([2**63], np.uint64), index=[0], sample=[0]), r"Events\.step: found 9223372036854775808"),
    (dict(step=[], index=[], sample=[], steps=0), r"Events\.steps: found 0, allowed whole numbers from 1 up"),
    (dict(step=[], index=[], sample=[], samples=0), r"Events\.samples: found 0, allowed whole numbers from 1 up"),
])
def test_events_that_are_none(fields, what):
    with pytest.raises(InputError, match=what):
        Events(**({"steps": 4} | fields))


def test_an_event_of_a_source_that_is_not_there():
    for index in (6, -1):
        with pytest.raises(InputError, match=rf"Events\.index: found {index}\.\.{index}, allowed 0\.\.5"):
            one(Events(step=[0], index=[index], sample=[0], steps=1))


def test_no_event_at_all_is_silence():
    assert one(Events(step=[], index=[], sample=[], steps=3)).tolist() == np.zeros((1, 3, 6)).tolist()
    assert Events.from_times([], [], dt=1e-3).steps == 1
    assert Events.from_times([], [], dt=1e-3, steps=7).counts(2).shape == (1, 7, 2)


def test_times_fall_into_steps():
    got = Events.from_times([0.0, 0.0009, 0.001, 0.0029999], [0, 0, 1, 1], dt=1e-3)
    assert got.step.tolist() == [0, 0, 1, 2]
    assert got.steps == 3


@given(st.integers(1, 500), st.sampled_from([1e-3, 1e-4, 0.1, 0.3, 1 / 3, 2.5e-3, 0.7e-3]))
def test_whole_multiples_of_dt_fall_into_their_own_step(n, dt):
    """0.3 / 0.1 is 2.9999999999999996: it is step 3 all the same."""
    times = np.arange(n + 1) * dt
    assert Events.from_times(times, np.zeros(n + 1), dt=dt).step.tolist() == list(range(n + 1))
    last = Events.from_times(times, np.zeros(n + 1), dt=dt, steps=n)  # the very end belongs to the last step
    assert last.step.tolist() == [*range(n), n - 1]


@pytest.mark.parametrize(("times", "what"), [
    ([-1e-9], "allowed finite and from 0 up"), ([np.nan], "allowed finite"), ([np.inf], "allowed finite"),
    ([0.0041], r"Events\.step: found 4\.\.4, allowed 0\.\.3"),
])
def test_times_that_are_none(times, what):
    with pytest.raises(InputError, match=what):
        Events.from_times(times, [0], dt=1e-3, steps=4)


@pytest.mark.parametrize("dt", [0.0, -1e-3, np.nan, np.inf])
def test_a_step_of_no_length(dt):
    with pytest.raises(InputError, match=r"Events\.dt: found .*, allowed seconds above 0"):
        Events.from_times([0.0], [0], dt=dt)


def test_times_far_beyond_any_recording():
    with pytest.raises(InputError, match=r"Events\.times"):
        Events.from_times([1e300], [0], dt=1e-3)


def test_times_and_index_of_two_lengths():
    with pytest.raises(InputError, match="differ in length"):
        Events.from_times([0.0, 0.1], [0], dt=1e-3)
    with pytest.raises(InputError, match="differ in length"):
        Events.from_times([0.0, 0.1], [0, 0], dt=1e-3, sample=[0, 1, 1], samples=2)
    assert Events.from_times([0.0, 0.1], [0, 0], dt=0.1, sample=1, samples=2).counts(1).ravel().tolist() == [0, 0, 1, 1]


# nir's own data types


def test_event_data():
    data = EventData(idx=np.array([[0, 5, 5, -1], [2, -1, -1, -1]]),
                     time=np.array([[0.0, 1e-3, 1.5e-3, np.inf], [2e-3, np.inf, np.inf, np.inf]]),
                     n_neurons=6, t_max=4e-3)
    want = np.zeros((2, 4, 6), int)
    want[0, 0, 0], want[0, 1, 5], want[1, 2, 2] = 1, 2, 1
    assert counted(data).tolist() == want.tolist()


@pytest.mark.parametrize(("t_max", "dt", "steps"), [
    (0.3, 0.1, 3), (0.6, 0.2, 3), (0.7, 0.1, 7), (1.1, 0.1, 11), (0.31, 0.1, 4), (0.05, 0.1, 1), (2.3, 0.1, 23),
])
def test_a_recording_keeps_its_last_step(t_max, dt, steps):
    """nir floors t_max / dt: it loses a step of 0.3 / 0.1, and an event at t_max is an IndexError there."""
    data = EventData(idx=np.array([[0, 1]]), time=np.array([[0.0, t_max]]), n_neurons=2, t_max=t_max)
    got = one(data, (2,), dt)
    assert got.shape == (1, steps, 2)
    assert got[0, -1, 1] == 1
    assert got.sum() == 2


def test_time_gridded_data():
    grid = np.random.default_rng(0).random((3, 5, 6)) < 0.5
    assert counted(TimeGriddedData(grid, 1e-3)).tolist() == grid.astype(int).tolist()
    assert one(TimeGriddedData(grid * 0.5, 1e-3)).tolist() == (grid * 0.5).tolist()
    # there and back through nir's own conversion
    assert counted(TimeGriddedData(grid, 1e-3).to_event(40, 0.5e-3)).tolist() == grid.astype(int).tolist()


@pytest.mark.parametrize(("data", "what"), [
    (TimeGriddedData(np.zeros((1, 4, 5), bool), 1e-3), r"'in'\]: found \(1, 4, 5\), needed \(samples, steps, 6\)"),
    (TimeGriddedData(np.zeros((0, 4, 6), bool), 1e-3), "an empty batch"),
    (TimeGriddedData(np.full((1, 4, 6), np.nan), 1e-3), "found nan, needed finite numbers"),
    (TimeGriddedData(np.zeros((1, 4, 6), bool), 1e-4), r"'in'\]: found steps of 0\.0001 s, the network has 0\.001 s"),
    (EventData(np.array([[0]]), np.array([[0.0]]), 5, 1e-3), r"spikes\['in'\]: found 5 neurons.*needed 6 neurons"),
    (EventData(np.array([0]), np.array([0.0]), 6, 1e-3), r"found 6 neurons, idx \(1,\)"),
    (EventData(np.array([[7]]), np.array([[0.0]]), 6, 1e-3), r"Events\.index: found 7"),
    (EventData(np.array([[1]]), np.array([[np.nan]]), 6, 1e-3), r"Events\.times: found nan"),
    (EventData(np.array([[1]]), np.array([[-1.0]]), 6, 1e-3), r"Events\.times: found -1"),
    (EventData(np.array([[1]]), np.array([[2e-3]]), 6, 1e-3), r"Events\.step"),
    (EventData(np.array([[1]]), np.array([[0.0]]), 6, np.inf), r"spikes\['in'\]\.t_max: found inf"),
    (EventData(np.array([[1]]), np.array([[0.0]]), 6, np.nan), r"spikes\['in'\]\.t_max: found nan"),
    (EventData(np.zeros((0, 3), int), np.zeros((0, 3)), 6, 1e-3), r"Events\.samples: found 0"),
    (ValuedEventData(np.array([[1]]), np.array([[0.0]]), 6, 1e-3, np.array([[0.5]])), "events with values"),
])
def test_nir_data_that_do_not_fit(data, what):
    with pytest.raises(InputError, match=what):
        one(data)


def test_event_times_need_a_time_step():
    data = EventData(np.array([[1]]), np.array([[0.0]]), 6, 1e-3)
    with pytest.raises(InputError, match=r"spikes\['in'\]: event times need a time step.*Load it with dt="):
        one(data, dt=None)
    assert one(TimeGriddedData(np.ones((1, 2, 6), bool), 0.5), dt=None).sum() == 12  # a grid needs none


def test_inputs_of_a_dict_may_be_of_any_kind():
    got = to_arrays({
        "a": Events(step=[1], index=[1], sample=[0], steps=2),
        "b": EventData(np.array([[2]]), np.array([[1e-3]]), 3, 2e-3),
    }, TWO, 1e-3)
    assert {n: a.tolist() for n, a in got.items()} == {"a": [[[0, 0], [0, 1]]], "b": [[[0, 0, 0], [0, 0, 1]]]}


def test_nir_is_the_one_the_traps_are_of():
    """nir 1.0.8 still floors and fails as said above; if this changes, the notes do."""
    assert nir.version.startswith("1.0") if hasattr(nir, "version") else True
    data = EventData(np.array([[0]]), np.array([[0.3]]), 1, 0.3)
    with pytest.raises(IndexError, match="out of bounds"):
        data.to_time_gridded(0.1)
