"""The HTML page: well formed, of one file, escaped, with pictures that hold what they should, bounded in size."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import s2nir
from report.nets import HOSTILE, QUOTES, readout, several, small
from report.nets import spikes as drive
from s2nir.machine import NODES, PES, floor_position
from s2nir.report import report
from s2nir.report.charts import DOTS, raster
from s2nir.report.floorplan import box
from s2nir.report.page import page

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Elements in order, with a stack that must close as it opened."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        names = [n for n, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        self.elements.append((tag, dict(attrs), len(self.stack)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack, tag
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, class_=""):
        wanted = set(class_.split())
        return [a for t, a, _ in self.elements if t == tag and wanted <= set((a.get("class") or "").split())]


@pytest.fixture(scope="module")
def made():
    return Page(page(small()[2]))


def test_the_page_is_well_formed_and_says_the_main_things(made):
    words = "".join(made.words)
    parts = ("Placement and traffic", "Fit", "Float against integer", "Activity", "Provenance", "estimate", "hidden")
    for part in parts:
        assert part in words


def test_nothing_comes_from_elsewhere(made):
    text = page(small()[2])
    for tag, attrs, _ in made.elements:
        assert tag not in ("script", "link", "iframe", "img", "object", "base", "form")
        for name, value in attrs.items():
            assert not name.startswith("on")
            assert name not in ("src", "href", "srcset", "xlink:href", "action")
            assert "://" not in (value or "")
    assert not re.search(r"url\(|@import|javascript:|https?://", text)


def test_light_and_dark_and_narrow(made):
    style = page(small()[2]).split("<style>")[1].split("</style>")[0]
    assert "prefers-color-scheme: dark" in style
    assert "max-width: 640px" in style
    used = set(re.findall(r"var\((--[a-z0-9]+)\)", style))
    dark = style.split("prefers-color-scheme: dark")[1].split("* {")[0]
    for name in used:
        assert f"{name}:" in style.split("@media")[0]
        assert f"{name}:" in dark, f"{name} has no dark value"


@pytest.mark.parametrize("name", [HOSTILE, QUOTES, "{{ 7 * 7 }}", "a' onload='x"])
def test_hostile_names_are_only_text(name):
    _, _, found = small(first=name)
    text = page(found)
    made = Page(text)
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert {t for t, _, _ in made.elements} == {t for t, _, _ in Page(page(small()[2])).elements}
    shown = name.replace("\x1b", "\\x1b")
    assert any(shown in words for words in made.words)


def test_each_floorplan_has_every_core_once(made):
    floors = made.all("svg", "floor")
    assert len(floors) == 2
    cores = [int(a["data-pe"]) for a in made.all("rect", "pe")]
    assert cores == [*range(PES), *range(PES)]


def test_every_used_core_is_coloured_by_its_population(made):
    image = small()[0].image
    drawn = made.all("rect", "pe")[:PES]
    used = {c.pe for c in image.cores}
    for a in drawn:
        kind = a["class"].split()[1]
        assert (int(a["data-pe"]) in used) == bool(re.fullmatch(r"k\d", kind))
    assert sum(a["class"].split()[1] == "kept" for a in drawn) == 4
    for i, p in enumerate(image.populations):
        for c in p.cores:
            assert drawn[image.cores[c].pe]["class"].split()[1] == f"k{i}"


def test_cores_stand_in_their_quads_and_do_not_overlap(made):
    spans = []
    for a in made.all("rect", "pe")[:PES]:
        x, y, _ = floor_position(int(a["data-pe"]))
        left, top, width, height = box(x, y)
        at = (float(a["x"]), float(a["y"]), float(a["width"]))
        assert left <= at[0]
        assert at[0] + at[2] <= left + width
        assert top <= at[1]
        assert at[1] + at[2] <= top + height
        spans.append(at)
    for i, (x, y, w) in enumerate(spans):
        for u, v, _ in spans[i + 1 :]:
            assert abs(x - u) >= w or abs(y - v) >= w


def test_links_lie_as_their_names_say():
    middle = {n: np.mean([np.add(box(*p)[:2], np.divide(box(*p)[2:], 2)) for p in places], axis=0)
              for n, places in NODES.items()}
    assert middle["N"][1] < middle["router"][1] < middle["S"][1]
    assert middle["W"][0] < middle["router"][0] < middle["E"][0]
    assert middle["SW"][0] < middle["S"][0]
    assert middle["NE"][0] > middle["N"][0]


def test_core_titles_say_what_is_on_them(made):
    text = "".join(made.words)
    assert "PE 1: hidden" in text
    assert "kept back" in text
    assert "router at (4, 3), (4, 4)" in text


def test_heat_is_brightest_where_most_packets_arrive(made):
    found = small()[2]
    cores = found.to_dict()["traffic"]["cores"]
    most = max(cores, key=lambda c: c["packets"])["pe"]
    heat = {int(a["data-pe"]): float(a["fill-opacity"]) for a in made.all("rect", "heat")}
    assert set(heat) == {c["pe"] for c in cores}
    assert max(heat, key=heat.get) == most
    assert heat[most] == pytest.approx(1)


def test_raster_has_a_dot_per_spike(made):
    d = small()[0]
    dots = [a["d"] or "" for a in made.all("path", "dots")]
    wanted = [np.count_nonzero(d.recording.spikes[p.name][0]) for p in d.image.populations]
    assert [path.count("M") for path in dots] == wanted


def test_raster_draws_a_bounded_number_and_says_so():
    n = 10 * DOTS
    rng = np.random.default_rng(0)
    events = (np.sort(rng.integers(0, 500, n)), rng.integers(0, 400, n), np.ones(n, np.int64))
    chart = raster(0, 500, 400, events)
    assert str(chart.svg).count("h") < 2 * DOTS
    assert "3,000 of 30,000 dots are drawn, evenly picked." in chart.said
    assert len(chart.svg) < 100_000


def test_no_number_in_a_picture_is_broken(made):
    for tag, attrs, _ in made.elements:
        for name, value in attrs.items():
            assert "nan" not in (value or "").lower().split(), (tag, name)
            assert "inf" not in (value or "").lower().split(), (tag, name)


def test_many_populations_and_ticks_stay_bounded():
    d = several()
    text = page(report(s2nir.run(d.image, drive(batch=1, steps=5000, sources=2, rate=0.9))))
    made = Page(text)
    assert len(text) < 2_000_000
    assert len(made.all("path", "dots")) == 12
    words = "".join(made.words)
    assert "29 more populations are not drawn" in words
    assert "Each column is the highest of 10 ticks." in words


def test_a_silent_run_and_one_step_have_a_page():
    d = small()[0]
    for steps in (1, 7):
        made = Page(page(report(s2nir.run(d.image, np.zeros((steps, 6), np.uint8)))))
        assert len(made.all("rect", "pe")) == 2 * PES


def test_a_readout_is_drawn():
    made = Page(page(readout().report))
    assert any("membranes in units of the graph" in w for w in made.words)


def test_without_fidelity_there_is_no_such_section():
    assert "Float against integer" not in page(report(small()[0].recording))


def test_first_divergence_is_on_the_page():
    d, f, _ = small()
    import dataclasses

    from s2nir.report import Divergence

    first = Divergence(
        population="hidden", recording=1, step=2, neuron=(3,), fired_float=True, fired_int=False, v_float=1.0,
        v_int=0.5, threshold=0.75, cause="rounding", why="a < b",
    )
    text = page(report(d.recording, dataclasses.replace(f, divergence=first)))
    assert "First divergence" in text
    assert "a &lt; b" in text
