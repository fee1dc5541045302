"""The time-and-reset contract: what the file proves, what its metadata hint at, what was passed, and what is missing.

NIR says neither the time step nor the reset. Nothing is guessed: what is neither passed, nor hinted, nor proven is
refused, with the argument to pass (docs/contract.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from ..arguments import meant
from ..errors import ContractError
from ..graph import Compare, Integrator, Loops, Reset
from . import fields
from .limits import Log
from .nodes import Delaying, Neuron
from .raw import HINT

AGREE = 1e-6
USUAL_DT = 1e-4
RESETS = ("IF", "LIF", "CubaLIF")
"""Neurons whose reset NIR leaves open; all others have none."""

NAMED = 12
"""Populations that one sentence names."""
WORDS = " or ".join([", ".join(f'"{r.value}"' for r in list(Reset)[:-1]), f'"{list(Reset)[-1].value}"'])

Choice = TypeVar("Choice", Reset, Compare, Integrator, Loops)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Asked:
    """The arguments of `load`, as they came."""

    dt: float | None = None
    reset: Any = None
    integrator: Any = "euler"
    compare: Any = None
    reset_late: Any = False
    loops: Any = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the contract: value is None where it is missing, and then `remedy` says what to pass."""

    item: str
    value: str | None
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        """As a sentence.

        >>> print(Entry(item="dt", value="0.0001 s", reason="passed as dt="))
        dt: 0.0001 s (passed as dt=)
        """
        return f"{self.item}: {self.value} ({self.reason})" if self.value else f"{self.item}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rule:
    """What one spiking population does at a spike; reset is None where it is missing."""

    reset: Reset | None
    late: bool
    compare: Compare


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Contract:
    """dt is None where no node needs it, or where it is missing; rules : per spiking node; warnings : sentences"""

    dt: float | None
    integrator: Integrator
    loops: Loops
    rules: Mapping[str, Rule]
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.value is None)

    def demand(self, log: Log) -> None:
        """Refuse a contract with a gap; note every entry of a full one."""
        if self.missing:
            raise ContractError(" ".join(_once(self.missing)))
        for entry in self.entries:
            log.note(str(entry))


def grouped(entries: Iterable[Entry]) -> dict[tuple[str, str], list[str]]:
    """(what, the sentence about it) -> populations of which it is said, "" where it is said of the network."""
    found: dict[tuple[str, str], list[str]] = {}
    for e in entries:
        name, _, what = e.item.rpartition(" ")
        said = str(e).removeprefix(e.item) + (f". {e.remedy}" if e.remedy else "")
        found.setdefault((what, said), []).append(name)
    return found


def _once(entries: Iterable[Entry]) -> list[str]:
    """Each sentence once, with the populations that it is about ahead of it."""
    lines = []
    for (what, said), names in grouped(entries).items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append(f"{', '.join(names[:NAMED])}{more} {what}{said}".strip())
    return lines


def settle(
    neurons: Mapping[str, Neuron],
    thresholds: Mapping[str, Neuron],
    delays: tuple[Delaying, ...],
    hints: Mapping[str, Any],
    asked: Asked,
) -> Contract:
    """The contract of a network; gaps stand in `entries`.

    neurons : by population name, in the order in which entries name them
    thresholds : the Threshold of those that have one behind them

    Raises
    ------
    ContractError
        where an argument or a hint is not legal, or contradicts the file.
    """
    entries: list[Entry] = []
    warnings: list[str] = []
    dt = _dt(neurons, delays, hints, asked, entries, warnings)
    integrator = _whole(Integrator, "integrator", asked.integrator, hints, Integrator.EULER, entries)
    loops = _whole(Loops, "loops", asked.loops, hints, Loops.REFUSE, entries)
    spiking = {n: thresholds.get(n, p) for n, p in neurons.items() if n in thresholds or _spikes(p)}
    for argument, value in (("reset", asked.reset), ("reset_late", asked.reset_late), ("compare", asked.compare)):
        for name in sorted(value.keys() - spiking.keys(), key=str) if isinstance(value, Mapping) else ():
            raise ContractError(f"{argument}: {name!r} is no population that spikes; there are {', '.join(spiking)}")
    rules = {n: _rule(n, p, asked, entries, warnings) for n, p in spiking.items()}
    return Contract(
        dt=dt, integrator=integrator, loops=loops, rules=rules, entries=tuple(entries), warnings=tuple(warnings)
    )


def _spikes(node: Neuron) -> bool:
    return node.type in RESETS or node.type == "Threshold"


def _dt(
    neurons: Mapping[str, Neuron],
    delays: tuple[Delaying, ...],
    hints: Mapping[str, Any],
    asked: Asked,
    entries: list[Entry],
    warnings: list[str],
) -> float | None:
    timed = [n for n, p in neurons.items() if any(k.startswith("tau") for k in p.params)]
    timed += sorted(d.name for d in delays if HINT + "steps" not in d.metadata)
    found: float | None = None
    if asked.dt is not None:
        found = seconds("dt", asked.dt)
        proven, why = prove_dt(neurons)
        reason = "passed as dt="
        if proven is not None and abs(found / proven - 1) > AGREE:
            reason = f"passed as dt=, against the file, which proves {proven:g} s: {why}"
            warnings.append(
                f"the file proves dt = {proven:g} s ({why}); {found:g} s is taken because dt= says so: decays and "
                "gains change"
            )
        entries.append(Entry(item="dt", value=f"{found:g} s", reason=reason))
    elif HINT + "dt" in hints:
        found = seconds(f"metadata {HINT}dt", hints[HINT + "dt"])
        entries.append(Entry(item="dt", value=f"{found:g} s", reason=f"the file's metadata say {HINT}dt"))
    elif not timed:
        entries.append(Entry(item="dt", value="none", reason="no node has a time constant or a delay in seconds"))
    else:
        found, reason = prove_dt(neurons)
        value = None if found is None else f"{found:g} s"
        remedy = "" if found else f"Pass dt= in seconds ({', '.join(timed[:5])} need it; --dt on the command line)."
        entries.append(Entry(item="dt", value=value, reason=reason, remedy=remedy))
    return found


def prove_dt(neurons: Mapping[str, Neuron]) -> tuple[float | None, str]:
    """The time step where the file proves it, in seconds to six digits; and the reason.

    Exporters that fix dt write r = tau / dt, so that tau / r is dt in every neuron. One time constant proves nothing:
    its r may mean anything, unless tau / r is the 1e-4 s that the exporters use.
    """
    ratios, constants = [], []
    for node in neurons.values():
        for tau, gain in (("tau", "r"), ("tau_mem", "r"), ("tau_syn", "w_in")):
            if tau in node.params:
                with np.errstate(all="ignore"):
                    ratio = node.params[tau] / node.params[gain]
                ratios.append(np.atleast_1d(ratio).ravel())
                constants.append(np.atleast_1d(node.params[tau]).ravel())
    if not ratios:
        return None, "no neuron has a time constant to tell it"
    ratio, constant = np.concatenate(ratios), np.concatenate(constants)
    if not np.isfinite(ratio).all() or (ratio <= 0).any():
        return None, "tau / r is not above 0 everywhere, so the file does not prove it"
    if (np.abs(ratio / USUAL_DT - 1) <= AGREE).all():
        return USUAL_DT, "tau / r is 0.0001 s in every neuron, the step that exporters write"
    spread = float(ratio.max() / ratio.min() - 1)
    if spread > AGREE:
        return None, f"tau / r differs between neurons ({ratio.min():g}..{ratio.max():g} s) and so proves nothing"
    if constant.max() / constant.min() - 1 <= AGREE:
        return None, f"tau / r is {ratio[0]:g} s, but one time constant proves nothing"
    dt = float(f"{ratio.mean():.6g}")
    return dt, f"tau / r is {dt:g} s within 1e-6 over several time constants"


def _whole(
    kind: type[Choice], name: str, asked: Any, hints: Mapping[str, Any], default: Choice, entries: list[Entry]
) -> Choice:
    value = _choice(kind, f"{name}=", asked)
    hint = hints.get(HINT + name)
    if hint is not None and value is default:
        value = _choice(kind, f"metadata {HINT}{name}", hint)
        entries.append(Entry(item=name, value=value.value, reason=f"the file's metadata say {HINT}{name}"))
    else:
        reason = "the default" if value is default else f"passed as {name}="
        entries.append(Entry(item=name, value=value.value, reason=reason))
    return value


def _rule(name: str, node: Neuron, asked: Asked, entries: list[Entry], warnings: list[str]) -> Rule:
    compare, why = _compare(name, node, asked)
    entries.append(Entry(item=f"{name} compare", value=f"V {compare.value} threshold", reason=why))
    late = asked.reset_late.get(name, False) if isinstance(asked.reset_late, Mapping) else asked.reset_late
    if not isinstance(late, bool | np.bool_):
        raise ContractError(f"reset_late: found {late!r} for {name}, needed True or False")
    given = asked.reset.get(name) if isinstance(asked.reset, Mapping) else asked.reset
    resets, hinted = node.type in RESETS, HINT + "reset" in node.metadata
    if given is not None and resets:
        reset, late, why = _choice(Reset, "reset=", given), bool(late), "passed as reset="
        own = node.metadata.get(HINT + "reset", reset.value)
        if own != reset.value:
            why = f"passed as reset=, against the node's metadata, which say {own}"
            warnings.append(f"{name}: its metadata say reset {own!r}; {reset.value!r} is taken because reset= says so")
    elif hinted:
        reset = _choice(Reset, f"{name}: metadata {HINT}reset", node.metadata[HINT + "reset"])
        hint = fields.whole(f"{name}.{HINT}reset_late", node.metadata.get(HINT + "reset_late", 0), 0)
        late, why = bool(late) or bool(hint), f"the node's metadata say {HINT}reset"
    elif not resets:
        reset, late, why = Reset.NONE, False, f"a {node.type} has no reset in NIR"
    else:
        remedy = f"Pass reset={WORDS}, or a dict of them by population (--reset on the command line)."
        why = "NIR does not say what a spike does to the membrane"
        entries.append(Entry(item=f"{name} reset", value=None, reason=why, remedy=remedy))
        return Rule(reset=None, late=bool(late), compare=compare)
    if not resets and isinstance(asked.reset, Mapping) and given is not None:
        raise ContractError(f"reset: {name!r} is a {node.type}, which has no reset in NIR; leave it out")
    _against(name, node, reset)
    said = f"{reset.value}{', late' if late else ''}"
    entries.append(Entry(item=f"{name} reset", value=said, reason=why))
    return Rule(reset=reset, late=late, compare=compare)


def _against(name: str, node: Neuron, reset: Reset) -> None:
    value = node.params.get("v_reset", np.zeros(()))
    if reset is Reset.ZERO and value.any():
        raise ContractError(
            f"{name}: reset \"zero\" was asked, but the file's v_reset is {value.min():g}..{value.max():g}. "
            'Pass reset="to_value" to use it.'
        )


def _compare(name: str, node: Neuron, asked: Asked) -> tuple[Compare, str]:
    given = asked.compare.get(name) if isinstance(asked.compare, Mapping) else asked.compare
    if given is not None:
        return _choice(Compare, "compare=", given), "passed as compare="
    if HINT + "compare" in node.metadata:
        hint = node.metadata[HINT + "compare"]
        return _choice(Compare, f"{name}: metadata {HINT}compare", hint), f"the node's metadata say {HINT}compare"
    return Compare.GREATER, "NIR's own equations"


def _choice(kind: type[Choice], where: str, value: Any) -> Choice:
    if isinstance(value, kind):
        return value
    for member in kind:
        if isinstance(value, str) and member.value == value:
            return member
    words = [m.value for m in kind]
    raise ContractError(
        f"{where} found {value!r}, allowed are {', '.join(repr(w) for w in words)}{meant(value, words)}")


def seconds(where: str, value: Any) -> float:
    """A time as a number; text and truth values are none, though Python would make them numbers."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "iuf":
        value = value.item()
    found = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(found) and found > 0):
        raise ContractError(f"{where}: found {value!r}, needed seconds above 0 as a number, such as 0.001")
    return found
