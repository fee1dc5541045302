"""The picture of the machine: every chip and link where it is, as loaded as it is, and bounded in size."""

import functools
import math
import re
import warnings

import numpy as np

import s2nir
from report.nets import spikes, two_layers
from report.test_page import Page
from s2nir.report.mesh import LEVELS, mesh
from s2nir.report.page import page

FAULTS = s2nir.Faults(links=[((3, 3), "E")], chips=[(5, 5)])


@functools.cache
def made(boards=1, reserved=150, hidden=60, slices=30, faults=FAULTS):
    graph = s2nir.load(two_layers(sources=20, hidden=hidden, outs=12), reset="subtract")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2nir.S2NirWarning)
        image = s2nir.compile(
            s2nir.quantize(graph), machine=s2nir.SpiNNaker2(boards=boards, reserved=reserved, faults=faults),
            partition=s2nir.Partition(slices=slices))
        return s2nir.run(image, spikes(batch=2, steps=12, sources=20)).report()


def where(paths):
    """(x, y) of every chip or link of some paths' moves."""
    return [(float(x), float(y)) for p in paths for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", p.get("d") or "")]


def test_one_chip_has_no_mesh():
    from report.nets import small

    found = Page(page(small()[2]))
    assert not found.all("svg", "mesh")
    assert "Packets between chips" not in "".join(found.words)


def test_every_chip_and_every_live_link_is_drawn_once():
    t = made().traffic
    drawn = Page(str(mesh(t, FAULTS)))
    assert len(where(drawn.all("path", "chip"))) == t.chip.shape[0] == 47
    live = int(t.there.sum())
    assert len(where(drawn.all("path", "way")) + where(drawn.all("path", "idleway"))) == live
    assert len(set(where(drawn.all("path", "way")))) == int((t.links.worst > 0).sum())
    assert len(drawn.all("circle", "touch")) == 47
    words = "".join(drawn.words)
    assert "chip (3, 3), board 0" in words
    assert "E: no link" in words


def test_links_are_as_wide_as_their_load_and_lie_on_the_side_that_they_lead_to():
    t = made().traffic
    drawn = Page(str(mesh(t, FAULTS)))
    middle = np.array([(float(c["cx"]), float(c["cy"])) for c in drawn.all("circle", "touch")])
    width = {}
    for path in drawn.all("path", "way"):
        for x, y in where([path]):
            c = int(np.hypot(*(middle - (x, y)).T).argmin())
            turn = math.degrees(math.atan2(middle[c, 1] - y, x - middle[c, 0]))
            width[c, round(turn / 60) % 6] = float(path["stroke-width"])
    assert set(width) == {(int(c), int(n)) for c, n in zip(*np.nonzero(t.links.worst), strict=True)}
    chips = t.chip.tolist()
    for c, n in zip(*np.nonzero(t.there), strict=True):  # one board: a neighbour lies where the link leads to
        x, y = middle[[tuple(v) for v in chips].index(_next(chips[c], n))] - middle[c]
        assert round(math.degrees(math.atan2(-y, x)) / 60) % 6 == n
    level = {k: math.ceil(LEVELS * t.link_time[k] / t.link_time.max()) for k in width}
    widths = dict(sorted({(level[k], w) for k, w in width.items()}))
    assert len(widths) == len(set(level.values())) > 3
    assert list(widths.values()) == sorted(set(widths.values()))


def _next(chip, n):
    return chip[0] + (1, 1, 0, -1, -1, 0)[n], chip[1] + (0, 1, 1, 0, -1, -1)[n]


def test_boards_have_rims():
    one, three = (Page(str(mesh(made(boards, faults=s2nir.Faults()).traffic, s2nir.Faults()))) for boards in (1, 3))
    t = made(1, faults=s2nir.Faults()).traffic
    at = {tuple(c) for c in t.chip.tolist()}
    steps = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))
    outline = sum((x + dx, y + dy) not in at for x, y in at for dx, dy in steps)
    assert len(where(one.all("path", "rim"))) == outline
    assert len(where(three.all("path", "rim"))) > 2 * outline


def test_the_report_says_the_worst_link_and_router():
    found = made()
    facts, t = found.to_dict()["traffic"], found.traffic
    assert facts["packets_between_chips"] == t.links.total.sum() == sum(found.recording.packets_per_link().values())
    assert facts["worst_link"]["share_of_tick"] == t.link_share.max()
    assert facts["worst_router"]["packets_worst_tick"] == t.routers.worst.max()
    worst = facts["worst_link"]
    said = f"worst link: {worst['link']} of chip ({worst['chip'][0]}, {worst['chip'][1]})"
    assert said in str(found)
    assert f"(tick {worst['tick']}, recording {worst['recording']})" in str(found)
    words = "".join(Page(page(found)).words)
    assert said in words


def test_the_page_of_24_boards_is_bounded():
    found = made(24, 151, 600, 300, s2nir.Faults())
    text = page(found)
    assert found.traffic.chip.shape[0] == 1152
    assert len(text) < 900_000
    drawn = Page(text)
    assert len(where(drawn.all("path", "chip"))) == 1152
    assert not drawn.all("circle", "touch")
    assert len(drawn.all("svg", "floor")) == 8
    assert "4 are drawn to whose cores most packets come" in text


def test_the_chips_that_are_drawn_hear_most():
    found = made()
    text = page(found)
    heard = {}
    for c in found.to_dict()["traffic"]["cores"]:
        heard[tuple(c["chip"])] = heard.get(tuple(c["chip"]), 0) + c["packets"]
    drawn = {c: n for c, n in heard.items() if f"per recording, chip ({c[0]}, {c[1]})" in text}
    assert len(drawn) == 4
    assert min(drawn.values()) >= max(n for c, n in heard.items() if c not in drawn)


def test_what_is_dead_is_drawn_where_it_is():
    chip = next(c.chip for c in made().recording.image.cores)
    used = {c.pe for c in made().recording.image.cores if c.chip == chip}
    pe = next(p for p in range(148) if p not in used)
    faults = s2nir.Faults(links=[((3, 3), "E"), ((0, 0), "N")], chips=[(5, 5)], routers=[(7, 7)], cores=[(chip, pe)])
    report = made(reserved=140, faults=faults)
    drawn = Page(str(mesh(report.traffic, faults)))
    middle = {}
    for g, said in zip(drawn.all("circle", "touch"), (w for w in drawn.words if w.startswith("chip (")), strict=True):
        x, y = re.match(r"chip \((\d+), (\d+)\)", said).groups()
        middle[int(x), int(y)] = float(g["cx"]), float(g["cy"])
    assert len(middle) == 46
    crosses = re.findall(r"M(-?[\d.]+) (-?[\d.]+)L(-?[\d.]+) (-?[\d.]+)", drawn.all("path", "deadlink")[0]["d"])
    found = {tuple(np.round([(float(a) + float(c)) / 2, (float(b) + float(d)) / 2], 0)) for a, b, c, d in crosses}
    assert found == {tuple(np.round(np.mean([middle[a], middle[b]], axis=0), 0)) for a, b in (
        ((3, 3), (4, 3)), ((0, 0), (0, 1)))}
    path = drawn.all("path", "deadchip")[0]["d"]
    assert path.count("Z") == 2
    assert not Page(str(mesh(made(faults=s2nir.Faults()).traffic, s2nir.Faults()))).all("path", "deadchip")[0].get("d")
    text = page(report)
    assert "Crossed in red are dead chips (also those without a router) and dead links" in text
    assert "dead: 1 core, 1 chip, 2 links, 1 router" in text
    assert text.count('class="pe dead"') == 2
    assert text.count('class="pe kept"') == 140 * len(Page(text).all("svg", "floor"))
    assert "1 dead core" in "".join(drawn.words)
