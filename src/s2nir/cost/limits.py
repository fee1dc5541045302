"""Which resource ends a network on a machine, where, by how much, and the cheapest change that lets it fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import needs
from ..graph import Loops
from ..machine import Application, SpiNNaker2
from ..mapping import Partition, asked, headroom
from ..quantize import Network
from ..values import Noun
from .changes import Change, Ladder, changes
from .survey import CORES, HARD, RELAYS, Choice, Resource, Survey, Surveyor, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change that was tried.

    change : the argument of `compile`; flag : of the command line, "" where there is none
    fits : whether `compile` then takes it; keeps_up : whether no expected load is over either
    first : the resource that is fullest then, or that refuses it
    """

    change: str
    flag: str
    fits: bool
    keeps_up: bool
    first: Resource

    def __str__(self) -> str:
        flag = f" ({self.flag})" if self.flag else ""
        if not self.fits:
            return f"{self.change}{flag}: does not fit, {self.first}, {self.first.where}"
        said = "fits" if self.keeps_up else "fits, and does not keep up"
        return f"{self.change}{flag}: {said}; fullest is {self.first}, {_percent(self.first)}"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Limits(Noun):
    """What a network takes of a machine.

    network : digest; machine : in words
    resources : each where it is fullest, those that `compile` refuses over ahead of expected loads
    laid : the machine on which they were measured, where that is a larger one; "" where it is the same
    first : the resource that ends it first
    fits : whether `compile` takes it; keeps_up : whether no expected load is over either
    tried : changes, the cheapest first, up to one that works; empty where all is well
    """

    network: str
    machine: str
    resources: tuple[Resource, ...]
    laid: str
    first: Resource
    fits: bool
    keeps_up: bool
    tried: tuple[Trial, ...]

    @property
    def remedy(self) -> Trial | None:
        """The cheapest change that works; None where none does, or none is needed."""
        if not self.tried:
            return None
        last = self.tried[-1]
        return last if last.keeps_up or (last.fits and not self.fits) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        def trial(t: Trial) -> dict[str, Any]:
            return {"change": t.change, "flag": t.flag, "fits": t.fits, "keeps_up": t.keeps_up,
                    "first": t.first.to_dict()}

        return {
            "kind": "s2nir limits", "schema": 1, "network": self.network, "machine": self.machine, "laid": self.laid,
            "fits": self.fits, "keeps_up": self.keeps_up, "first": self.first.to_dict(),
            "resources": [r.to_dict() for r in self.resources], "tried": [trial(t) for t in self.tried],
            "remedy": None if self.remedy is None else trial(self.remedy),
        }

    def __str__(self) -> str:
        verdict = "fits" if self.keeps_up else "fits, and does not keep up" if self.fits else "does not fit"
        lines = [f"Limits of network {self.network[:12]} on {self.machine}: {verdict}"]
        if self.laid:
            lines.append(f"  all but the cores as on {self.laid}")
        width = max(len(r.words) for r in self.resources)
        values = [f"{number(r.used)} of {number(r.allowed)} {r.unit}" for r in self.resources]
        wide = max(len(v) for v in values)
        lines += [f"  {r.words.ljust(width)}  {_percent(r):>8}  {v.ljust(wide)}  {r.where}"
                  for r, v in zip(self.resources, values, strict=True)]
        lines.append(f"ends first: {self.first}, {self.first.where}" if self.first.over else
                     f"fullest: {self.first}, {_percent(self.first)}")
        if self.tried:
            lines += ["tried, the cheapest first", *(f"  {t}" for t in self.tried)]
            lines.append("no change that was tried works" if self.remedy is None else
                         f"cheapest change that works: {self.remedy.change}"
                         + (f" ({self.remedy.flag})" if self.remedy.flag else ""))
        elif not self.keeps_up:
            lines.append("no change that s2nir knows of bears on it")
        return "\n".join(lines)


def explain(
    network: Network,
    machine: SpiNNaker2 | None = None,
    rates: Mapping[str, float] | None = None,
    application: Application | str = "auto",
    loops: Loops | str = Loops.REFUSE,
    ticks: int | None = None,
    record: tuple[str, ...] = ("spikes",),
    max_count: int = 255,
    max_relays: int = 32,
    window: int | None = None,
    partition: Partition | None = None,
    place: Any = None,
    allot: Any = None,
    route: Any = None,
    minimise: Any = "auto",
) -> Limits:
    """Say what a network takes of each resource of a machine, which one ends it first, and what would help.

    Where `compile` would refuse it, or an expected load is over what a core or link can take, changes are tried one by
    one, the cheapest first, until one works. Nothing is compiled: the stages up to the routing tables are run.

    rates : packets per neuron and tick by population; by default, the activity of the applications
    others : as `compile` takes them

    Raises
    ------
    S2NirError
        where `compile` refuses it for another reason than a resource: a loop without lags, say.
    """
    needs(network, Network, "explain", "Make one with s2nir.quantize(graph).")
    given = asked(
        network, machine=machine, application=application, partition=partition, place=place, allot=allot, route=route,
        minimise=minimise, loops=loops, ticks=ticks, record=record, max_count=max_count, max_relays=max_relays,
        window=window, rates=rates,
    )
    headroom(network, given.max_count)
    first = Choice(
        machine=given.machine, application=application, loops=given.loops, ticks=given.ticks, record=given.record,
        max_relays=given.max_relays, window=given.window, partition=given.partition, place=place, allot=allot,
        route=route, minimise=minimise,
    )
    survey = Surveyor(network, given.rates)
    found = survey(first)
    tried = tuple(_tried(survey, first, found))
    laid = "" if found.laid in (None, first.machine) else _machine(found.laid)
    ordered = sorted(found.resources, key=lambda r: (not r.hard, -r.share))
    return Limits(
        network=network.digest, machine=_machine(first.machine), resources=tuple(ordered), laid=laid,
        first=found.first, fits=found.fits, keeps_up=found.keeps_up, tried=tried,
    )


def _tried(survey: Surveyor, choice: Choice, found: Survey) -> Iterator[Trial]:
    """Changes one by one, up to the first that works; then two at once, on the smallest machine with the cores."""
    if found.keeps_up:
        return
    grown: tuple[Change, Survey] | None = None
    for change in _climbed(survey, found, changes(choice, found, _over(found))):
        after = survey(change.choice)
        yield _trial(change, after)
        if _works(found, after):
            return
        if change.choice.machine.boards != choice.machine.boards and grown is None:
            grown = change, after
    if grown is None:
        return
    one, after = grown
    for two in _climbed(survey, found, changes(one.choice, after, _over(after))):
        if two.choice.machine is one.choice.machine:
            change = replace(two, words=f"{one.words}, {two.words}", flag=f"{one.flag} {two.flag}" if two.flag else "")
            last = survey(change.choice)
            yield _trial(change, last)
            if _works(found, last):
                return


def _climbed(survey: Surveyor, found: Survey, given: Iterator[Change | Ladder]) -> Iterator[Change]:
    """The changes; of a ladder the last step alone where that does not work, else all up to it."""
    for step in given:
        if isinstance(step, Change):
            yield step
        elif step.steps:
            last = step.steps[-1]
            yield from step.steps if _works(found, survey(last.choice)) else (last,)


def _over(found: Survey) -> set[str]:
    """What a change must mend: cores, as the rest is of another machine then; or what is refused; or loads."""
    over = {r.name for r in found.resources if r.over}
    return over & {CORES, RELAYS} if CORES in over else over & set(HARD) or over


def _works(before: Survey, after: Survey) -> bool:
    return after.fits if not before.fits else after.keeps_up


def _trial(change: Change, after: Survey) -> Trial:
    return Trial(change=change.words, flag=change.flag, fits=after.fits, keeps_up=after.keeps_up, first=after.first)


def _machine(machine: SpiNNaker2 | None) -> str:
    if machine is None:
        return ""
    return machine.describe().splitlines()[0].removeprefix("SpiNNaker2: ")


def _percent(r: Resource) -> str:
    """The share in few signs."""
    if r.share == float("inf"):
        return "over"
    if r.share >= 100:
        return f"{r.share:,.0f} x"
    return f"{100 * r.share:.3g} %" if r.share >= 1e-4 or not r.used else "< 0.01 %"
