"""The model of the camera: capsules against distances, pixels against exact numbers, and noise at its rates."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s2nir.data import camera

STEP = 4000
NEAR = Fraction(1, 10**9)  # of a threshold, and of a microsecond


def shoot(light, *, on=0.2, off=0.2, leak=0.0, level=0.0, lag=1.0, noise=0.0, refractory=500, side=8, room=1 << 18):
    """Film a grey wall under a light; events as t, pixel, p."""
    n, light = side * side, np.asarray(light, np.float64)
    ends, look, wall = np.zeros((light.size, 0, 6)), np.zeros((0, 5)), np.zeros((side, side))
    scene = camera.Scene(ends, look, 0, wall, np.zeros((8, 8)), light, wall + 1)
    values = [np.broadcast_to(np.asarray(v, np.float64), n).copy() for v in (on, off, leak, level)]
    out = camera.Out(np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.bool_))
    count = camera.film(scene, camera.Pixels(*values, lag, noise, refractory), STEP, 1, out)
    return count if count < 0 else (out.t[:count], out.pixel[:count], out.p[:count])


def one_pixel(levels, on, off, leak, level, refractory):
    """The same pixel in fractions: from reset to reset along straight lines; and whether all is far from a tie: no
    level only just reaches or misses the threshold, no event falls on a whole microsecond."""
    on, off, leak = Fraction(on), Fraction(off), Fraction(leak) * Fraction(on) / 10**6
    rise, ready, events = Fraction(level) * (on if level > 0 else off), Fraction(0), []
    far = True
    for k, (a, b) in enumerate(zip(levels, levels[1:], strict=False)):
        now, end = Fraction(k * STEP), Fraction((k + 1) * STEP)
        slope = (Fraction(b) - Fraction(a)) / STEP + leak
        if ready > now:
            now, rise = ready, Fraction(0)
        while now < end:
            aim = on if slope > 0 else -off
            when = now + (aim - rise) / slope if slope else None
            far = far and abs(rise + slope * (end - now) - aim) > NEAR
            if when is None or when > end:
                rise += slope * (end - now)
                break
            far = far and (now == when or abs(when - round(when)) > NEAR)
            at = min(when.numerator // when.denominator, int(end) - 1)
            events.append((at, slope > 0))
            ready = now = Fraction(at + refractory)
            rise = Fraction(0)
    return events, far


@settings(max_examples=150, deadline=None)  # the first example waits for the compiler
@given(
    levels=st.lists(st.floats(-2, 2), min_size=2, max_size=12),
    on=st.floats(0.05, 0.5),
    off=st.floats(0.05, 0.5),
    leak=st.sampled_from([0.0, 0.3, 40.0]),
    level=st.floats(-1, 1),
    refractory=st.sampled_from([1, 500, 3999, 9000]),
)
def test_a_pixel_is_the_same_in_exact_numbers(levels, on, off, leak, level, refractory):
    t, pixel, p = shoot(levels, on=on, off=off, leak=leak, level=level, refractory=refractory, side=1)
    expected, far = one_pixel(levels, on, off, leak, level, refractory)
    assume(far)  # floats may see a tie the other way, and every later event with it
    assert [(int(a), bool(c)) for a, c in zip(t, p, strict=True)] == expected
    assert not pixel.any()
    assert (np.diff(t) >= refractory).all()


def test_a_ramp_sends_an_event_per_threshold():
    t, pixel, p = shoot(np.arange(26) * 0.1, on=0.25, side=2, refractory=1)
    assert p.all()
    assert pixel.tolist() == [0, 1, 2, 3] * (t.size // 4)
    gaps = np.diff(t[::4])
    assert t[0] == pytest.approx(10_000, abs=1)
    assert ((gaps >= 9_999) & (gaps <= 10_001)).all()  # 0.25 at 0.1 in 4 ms, and a microsecond of reset
    t, _, p = shoot(-np.arange(26) * 0.1, on=0.25, off=0.5, side=2, refractory=1)
    assert not p.any()
    assert t[0] == pytest.approx(20_000, abs=1)


def test_a_pixel_is_held_in_reset():
    jump = np.repeat([0.0, 3.0], 5)
    assert shoot(jump, side=1, refractory=1000)[0].size == 3  # 267 us to the threshold, each time
    assert shoot(jump, side=1, refractory=10_000)[0].size == 1
    t = shoot(np.tile([0.0, 2.0], 100), side=3, noise=300.0, refractory=700)
    for k in range(9):
        assert (np.diff(t[0][t[1] == k]) >= 700).all()
    assert (np.diff(t[0]) >= 0).all()


def test_a_lag_spreads_a_jump():
    jump = np.repeat([0.0, 1.0], (1, 30))
    at_once, slow = shoot(jump, side=1, on=0.3)[0], shoot(jump, side=1, on=0.3, lag=0.2)[0]
    assert at_once[-1] < STEP
    assert slow[-1] > 3 * STEP


def test_without_motion_there_is_noise_at_the_stated_rates():
    seconds = 20
    still = np.zeros(seconds * 250 + 1)
    assert shoot(still, side=32)[0].size == 0
    t, pixel, p = shoot(still, side=32, leak=0.5, level=np.random.default_rng(0).uniform(-1, 1, 1024))
    assert p.all()  # leak raises
    late = t >= 4e6  # every pixel has come to its threshold once
    assert late.sum() == pytest.approx(0.5 * 1024 * 16, rel=0.01)
    assert np.bincount(pixel[late], minlength=1024).min() >= 7
    t, pixel, p = shoot(still, side=32, noise=2.0)
    assert t.size == pytest.approx(2.0 * 1024 * seconds, rel=0.01)
    assert p.mean() == pytest.approx(0.5, abs=0.02)
    counts = np.bincount(pixel, minlength=1024)
    assert counts.var() == pytest.approx(counts.mean(), rel=0.2)  # as independent pixels have it
    assert np.histogram(t, 20)[0].std() < 0.1 * t.size / 20


def test_a_full_buffer_is_said_and_a_longer_one_begins_alike():
    light = np.sin(np.arange(200) * 0.3)
    assert shoot(light, noise=5.0, room=1000) == -1
    assert shoot(np.zeros(2000), noise=50.0, room=1000) == -1
    whole, part = shoot(light, noise=5.0), shoot(light[:101], noise=5.0)
    n = part[0].size
    assert whole[0].size > n
    assert all(np.array_equal(a[:n], b) for a, b in zip(whole, part, strict=True))


@settings(max_examples=60, deadline=None)  # the first example waits for the compiler
@given(
    ends=st.tuples(*[st.floats(-8, 40)] * 2, st.floats(0.4, 9), *[st.floats(-8, 40)] * 2, st.floats(0.4, 9)),
    soft=st.sampled_from([1.0, 6.0]),
    opacity=st.floats(0.1, 1),
)
def test_a_capsule_covers_what_is_near_its_segment(ends, soft, opacity):
    ax, ay, ar, bx, by, br = ends
    frame = np.zeros((32, 24))
    camera.draw(frame, np.array([ends]), np.array([[1.0, 0.0, 0.0, soft, opacity]]), np.zeros((8, 8)), 0, 1)
    y, x = np.mgrid[:32, :24].astype(float)
    square = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-12)
    assume(square > 1e-4 or abs(br - ar) < 1e-3)  # two discs of one place and two sizes are no capsule
    along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / square, 0, 1)
    away = np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)) - (ar + along * (br - ar))
    expected = np.clip(0.5 - away / soft, 0, 1) * opacity
    # a segment of almost no length, or almost level, is drawn as its ends
    assert np.abs(frame - expected).max() < (1e-6 if abs(by - ay) > 1e-2 and square > 1e-2 else 0.05)


def test_later_capsules_hide_earlier_ones_and_have_folds_and_shade():
    cloth = np.random.default_rng(0).uniform(-1, 1, (8, 8))
    ends = np.array([[10.0, 10, 6, 20, 10, 6], [10.0, 10, 6, 20, 10, 6]])
    look = np.array([[3.0, 0.0, 0.0, 1.0, 1.0], [1.0, 0.5, 0.25, 1.0, 1.0]])
    frame = np.zeros((24, 32))
    camera.draw(frame, ends, look, cloth, 0, 2)
    inside = frame[6:15, 8:22]
    assert inside.max() <= 1 + 0.5 + 0.25 + 1e-9
    assert inside.std() > 0.2
    assert inside[0].mean() != pytest.approx(inside[-1].mean(), abs=0.1)
    assert frame[20, 5] == 0
