"""What a network is and what its contract is, also where something is still missing; `s2nir check` prints it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..graph import Graph, Projection, Reset, data_order
from .contract import Asked, Contract, Entry, Rule, grouped
from .limits import MAX_BYTES, Limits, Log
from .neurons import factor
from .nir_file import Parts
from .nodes import Neuron


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ContractReport:
    """entries : the contract with the reason for each entry; those without a value are missing
    populations, projections : what the network is, a sentence each, with parameter counts and what was folded
    notes : what was repaired or warned of
    """

    entries: tuple[Entry, ...]
    populations: tuple[str, ...]
    projections: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def missing(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.value is None)

    def __str__(self) -> str:
        lines = ["contract", *(f"  {line}" for line in _grouped(self.entries))]
        lines += ["populations", *(f"  {p}" for p in self.populations)]
        lines += ["projections", *(f"  {p}" for p in self.projections)]
        return "\n".join(lines + (["notes", *(f"  {n}" for n in self.notes)] if self.notes else []))


def _grouped(entries: tuple[Entry, ...]) -> list[str]:
    """A line per entry; populations of which the same is said share one."""
    found = grouped(entries).items()
    return [f"{what}{said}{' [' + ', '.join(n) + ']' if any(n) else ''}" for (what, said), n in found]


def contract_report(
    src: str | Path | Any | Graph,
    dt: float | None = None,
    reset: Any = None,
    integrator: Any = "euler",
    compare: Any = None,
    reset_late: Any = False,
    loops: Any = "refuse",
    max_bytes: int = MAX_BYTES,
) -> ContractReport:
    """The contract of a network that may not be complete; arguments as for `load`.

    Raises
    ------
    LoadError, ContractError
        as `load`, except for what is merely missing.
    """
    if isinstance(src, Graph):
        return _page(src, _entries(src), src.notes)
    asked = Asked(dt=dt, reset=reset, integrator=integrator, compare=compare, reset_late=reset_late, loops=loops)
    log = Log()
    with np.errstate(all="ignore"):
        parts = Parts(src, Limits(max_bytes=max_bytes), log)
        contract = parts.contract(asked)
        graph = parts.build(_provisional(contract, parts) if contract.missing else contract)
    if not contract.missing:
        _steps_fit(parts, contract)
    return _page(graph, contract.entries, tuple(log.warnings))


def _provisional(contract: Contract, parts: Parts) -> Contract:
    """Stand-ins for what is missing, so that the network can be shown; none of them is reported."""
    neurons = [p for p in parts.wiring.populations.values() if isinstance(p, Neuron)]
    taus = [float(v.min()) for p in neurons for k, v in p.params.items() if k.startswith("tau")]
    rules = {
        n: Rule(reset=Reset.NONE if r.reset is None else r.reset, late=r.late, compare=r.compare)
        for n, r in contract.rules.items()
    }
    dt = contract.dt if contract.dt is not None or not contract.missing else min(taus, default=None)
    return Contract(dt=dt, integrator=contract.integrator, loops=contract.loops, rules=rules, entries=contract.entries)


def _steps_fit(parts: Parts, contract: Contract) -> None:
    """Refuse a dt that a time constant does not bear, as `load` does."""
    for node in parts.wiring.populations.values():
        if isinstance(node, Neuron):
            for key in (k for k in node.params if k.startswith("tau")):
                factor(node.params[key], contract, f"{node.where}.{key}")


def _entries(graph: Graph) -> tuple[Entry, ...]:
    reason = "kept in the graph"
    dt = "none" if graph.dt is None else f"{graph.dt:g} s"
    found = [
        Entry(item="dt", value=dt, reason=reason),
        Entry(item="integrator", value=graph.integrator.value, reason=reason),
        Entry(item="loops", value=graph.loops.value, reason=reason),
    ]
    for p in graph.populations:
        if p.spikes:
            late = ", late" if p.reset_late else ""
            found.append(Entry(item=f"{p.name} compare", value=f"V {p.compare.value} threshold", reason=reason))
            found.append(Entry(item=f"{p.name} reset", value=p.reset.value + late, reason=reason))
    return tuple(found)


def _page(graph: Graph, entries: tuple[Entry, ...], notes: tuple[str, ...]) -> ContractReport:
    populations = []
    ordered, ways = data_order(graph)
    place = {p.name: i for i, p in enumerate(ordered)}
    entries = tuple(sorted(entries, key=lambda e: place.get(e.item.rpartition(" ")[0], -1)))
    for p in ordered:
        shape = "x".join(str(n) for n in p.shape)
        what = "sources" if p.is_input else "neurons" if p.spikes else "neurons that do not spike"
        populations.append(f"{p.name}: {p.node} {shape}, {p.size} {what}")
    said = tuple(_sentence(graph.projections[i]) for i in ways)
    return ContractReport(entries=entries, populations=tuple(populations), projections=said, notes=notes)


def _sentence(q: Projection) -> str:
    kind = type(q.connection).__name__.lower()
    delay = f", delay {q.delay} steps" if q.delay else ""
    via = " + ".join(q.via) if q.via else "an edge"
    return f"{q.source} -> {q.target}: {via} as one {kind}, {q.connection.weight.size} weights{delay}"
