"""The demo: what `make demo` ends with."""

import json
from pathlib import Path

import pytest

from s2nir import S2NirError
from s2nir.demo import demo


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    said = []
    out = tmp_path_factory.mktemp("demo") / "new"
    return demo(out, progress=said.append), said, out


def test_it_goes_the_whole_way(made):
    found, said, out = made
    assert found["recordings"] == found["recordings_int8"] == 200
    assert found["accuracy_float"] == 0.955
    assert found["accuracy_int8"] == found["accuracy_emulated"] == 0.95
    assert found["decisions_alike"] >= 0.985
    assert found["report"] == str(out / "report.html")
    assert found["seconds"] > 0
    assert said[0] == "making 200 synthetic recordings of moving shapes"
    json.dumps(found, allow_nan=False)


def test_emulator_and_reference_agree_in_every_spike(made):
    assert made[0]["differing_spikes"] == 0


def test_it_fits_and_says_what_it_takes(made):
    found = made[0]
    assert (found["cores"], found["cores_input"]) == (16, 2)
    assert found["sram_bytes"] > 300_000
    assert found["packets"] > 1_000_000


def test_float_and_int8_part_only_little(made):
    alike = made[0]["spikes_alike"]
    assert list(alike) == ["lif1", "lif2", "lif3", "lif4"]
    assert alike["lif1"] > 0.999
    assert min(alike.values()) > 0.85
    assert "lif1" in made[0]["first_divergence"]


def test_the_readme_says_what_it_prints(made):
    found, text = made[0], (Path(__file__).parents[1] / "README.md").read_text()
    for row in (
        f"| accuracy in floats | {found['accuracy_float']:.3f} |",
        f"| accuracy in int8, integer reference | {found['accuracy_int8']:.3f} |",
        f"| accuracy in int8, emulated chip | {found['accuracy_emulated']:.3f} |",
        f"| cores | {found['cores']} of 148, and {found['cores_input']} for input |",
        f"| SRAM | {found['sram_bytes']:,} bytes |",
        f"| packets | {found['packets']:,} |",
    ):
        assert row in text, row


def test_the_report_is_one_page(made):
    page = (made[2] / "report.html").read_text()
    assert "<html" in page
    assert "lif4" in page
    assert 'src="http' not in page


def test_few_recordings_do(tmp_path):
    found = demo(tmp_path, recordings=3)
    assert (found["recordings"], found["recordings_int8"], found["recordings_compared"]) == (3, 3, 3)


def test_no_recordings_are_refused(tmp_path):
    with pytest.raises(S2NirError, match="recordings=0, needed 1 or more"):
        demo(tmp_path, recordings=0)
