"""The results that stand in the repository: whole, consistent, within their bars, and what the page says."""

import json
from pathlib import Path

import numpy as np
import pytest

from s2nir.bench import HEAD, line, preset
from s2nir.bench.page import compared
from s2nir.bench.summary import interval

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gesture-benchmark.md").read_text()
FILES = {"dvs-gesture": "gestures-synthetic.json", "nmnist": "nmnist.json"}
MORE = {"dvs-gesture": 1, "nmnist": 2}  # the bars of the 200 digits are twice as wide


@pytest.fixture(scope="module", params=sorted(FILES))
def results(request):
    return json.loads((ROOT / "benchmarks" / "results" / FILES[request.param]).read_text())


def right(results, seed, row):
    labels = np.frombuffer(bytes.fromhex(results["labels"]), np.uint8)
    decided = np.frombuffer(bytes.fromhex(results["seeds"][seed][row]["decisions"]), np.uint8)
    return decided == labels[: decided.size]


def test_made_by_the_preset_that_is_named(results):
    plan = results["plan"]
    assert plan["name"] == "gaps"
    now = json.loads(json.dumps(preset(plan["dataset"], "gaps").to_dict()))
    if plan["dataset"] == "nmnist":  # made from all of a file of a thousand, fewer than the preset takes
        for split, there in (("train", 700), ("validation", 100), ("test", 200)):
            assert plan.pop(split) is None
            assert now.pop(split) >= there
    assert plan == now
    assert results["synthetic"] == (plan["dataset"] == "dvs-gesture")
    assert len(results["seeds"]) == plan["seeds"] >= 3
    assert results["rows"][0]["recordings"] == (2200 if results["synthetic"] else 200)


def test_accuracies_and_gaps_follow_from_the_decisions(results):
    seeds = range(len(results["seeds"]))
    for row in results["rows"]:
        found = [right(results, s, row["row"]).mean() for s in seeds]
        assert row["accuracy"] == pytest.approx(np.mean(found))
        assert row["accuracy_spread"] == pytest.approx(np.std(found, ddof=1))
    for gap in results["gaps"]:
        apart = np.stack([right(results, s, "float") * 100.0 - right(results, s, gap["row"]) * 100.0 for s in seeds])
        assert gap["points"] == pytest.approx(apart.mean())
        assert (gap["low"], gap["high"]) == pytest.approx(interval(apart))


def test_every_integer_row_is_the_emulator_and_pytorch_and_the_oracle(results):
    for row in results["rows"]:
        if row["bits"]:
            assert row["differing"]["pytorch"] == row["differing"]["reference"] == 0
            assert row["differing"]["pytorch_recordings"] == len(results["seeds"]) * row["recordings"]


def test_the_bars(results):
    more = MORE[results["plan"]["dataset"]]
    gaps = {g["row"]: g["points"] for g in results["gaps"]}
    accuracy = {r["row"]: r["accuracy"] for r in results["rows"]}
    assert gaps["ptq-8-auto-channel"] <= 0.5 * more
    assert gaps["qat-8-channel"] <= 0.2 * more
    assert gaps["qat-4-channel"] <= 1.5 * more
    for bits in (4, 2):
        assert accuracy[f"qat-{bits}-channel"] > accuracy[f"ptq-{bits}-auto-channel"]
    if results["synthetic"]:
        assert 0.85 <= accuracy["float"] <= 0.97


def test_the_page_shows_these_figures(results):
    assert "| " + " | ".join(HEAD) + " |" in PAGE
    for row in compared(results):
        assert "| " + " | ".join(line(results, row)) + " |" in PAGE, row["row"]
