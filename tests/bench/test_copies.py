"""The figures of copies that stand in the repository are consistent, and those that the page shows."""

import json
from pathlib import Path

import pytest

from s2nir.cost import HOST_PACKETS_PER_S

ROOT = Path(__file__).parents[2]
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "copies.json").read_text())
PAGE = (ROOT / "docs" / "machines.md").read_text()


@pytest.mark.parametrize("row", RESULTS["rows"], ids=lambda r: f"{r['net']} {r['copies']}")
def test_a_row_adds_up(row):
    assert row["host"] == RESULTS["host_packets_per_s"] == pytest.approx(HOST_PACKETS_PER_S)
    tick = max(row["cycles_s"], row["links_s"])
    inject = row["copies"] * row["input_packets"] / row["host"]
    assert row["tick_s"] == tick
    rate = row["copies"] * row["inferences"] / max(row["ticks"] * tick, inject)
    assert row["inferences_per_s"] == pytest.approx(rate)
    assert row["copies"] <= row["room"] == 7104 // row["cores_per_copy"]
    assert row["spikes_alike"] is (True if 1 < row["copies"] <= 8 else None)


def test_nets_end_in_these_ways_and_the_page_says_so():
    last = {r["net"]: r for r in RESULTS["rows"]}
    assert {n: r["limit"] for n, r in last.items()} == {
        "MLP": "input injection", "CNN": "cores", "filter bank": "cores"}
    assert all(r["copies"] == r["room"] for r in last.values())
    shown = [*last.values(), next(r for r in RESULTS["rows"] if (r["net"], r["copies"]) == ("MLP", 64))]
    for r in shown:
        cells = f"| {r['copies']} | {r['tick_s'] * 1e6:,.0f} us | {r['inferences_per_s']:,.0f} | {r['limit']} |"
        assert cells in PAGE, cells
