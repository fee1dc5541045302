"""docs/cost.md holds every coefficient as the code has it, and the counts that they come from; as a script this prints
the tables."""

import json
from pathlib import Path

import pytest

from s2nir.machine import APPLICATIONS, CYCLE_COEFFICIENTS, EnergyCosts

ROOT = Path(__file__).parents[2]
COUNTS = json.loads((ROOT / "benchmarks" / "results" / "cortex-m4.json").read_text())["units"]
UNITS = {"cycles": (1, "cycles"), "W": (1e-3, "mW"), "J": (1e-12, "pJ")}


def row(c):
    """A line of the table."""
    size, unit = UNITS[c.unit]
    value, low, high = (f"{v / size:,.4g}" if v / size < 1000 else f"{v / size:,.0f}" for v in c.range)
    return f"| {c.name} | {value} {unit} | {low} to {high} | {c.tag.value} | {c.source} |"


@pytest.mark.parametrize("c", [*CYCLE_COEFFICIENTS, *EnergyCosts().all()], ids=lambda c: c.name)
def test_the_page_has_the_coefficient(c):
    assert row(c) in (ROOT / "docs" / "cost.md").read_text().splitlines()


def test_every_cost_of_an_application_is_in_the_table():
    known = {*CYCLE_COEFFICIENTS}
    for app in APPLICATIONS.values():
        for name in ("base", "packet", "synapse", "neuron", "record"):
            c = getattr(app.cycles, name)
            assert c in known or c.name == "none", (app.name, name)


def test_values_are_what_was_counted():
    likely = {name: each["likely"] for name, each in COUNTS.items()}
    begin = {name: each["begin"] for name, each in COUNTS.items()}
    by_name = {c.name: c for c in CYCLE_COEFFICIENTS}
    interrupt = likely["packet_interrupt, n=1"]
    wanted = {
        "packet, rows by source": interrupt + likely["packet_row, n=256"] + begin["row_no_delay, mixed"],
        "packet, rows by slice": interrupt + likely["packet_row, n=16"] + begin["row_compact, mixed"],
        "packet, rows in DRAM": interrupt + likely["packet_row, n=16"] + begin["row_dram, mixed"] + 100,
        "packet, convolution": interrupt + begin["conv_packet, pixel"],
        "packet, relay": interrupt + likely["relay, quiet"],
        "neuron, lif": likely["neuron_lif, quiet"],
        "neuron, lif_curr_exp": likely["neuron_curr_exp, quiet"],
        "recorded word": likely["record_spikes, quiet"],
    }
    assert {name: by_name[name].value for name in wanted} == wanted
    for name, counted in (("synapse word", "row_no_delay"), ("synapse word", "row_delay"),
                          ("synapse word, rows by slice", "row_compact"), ("synapse word, rows by slice", "row_dram")):
        assert by_name[name].low <= COUNTS[f"{counted}, mixed"]["least"]
        assert COUNTS[f"{counted}, mixed"]["most"] <= by_name[name].high
    assert by_name["synapse, tap of a kernel"].low <= COUNTS["conv_packet, pixel"]["least"]


if __name__ == "__main__":
    print(*map(row, CYCLE_COEFFICIENTS), "", *map(row, EnergyCosts().all()), sep="\n")
    print()
    for name, each in COUNTS.items():
        said = "" if each["mca"] is None else f"{each['mca']:.0f}"
        print(f"| {name} | {each['least']:g} | {each['likely']:g} | {each['most']:g} | {each['begin']:g} | {said} |")
