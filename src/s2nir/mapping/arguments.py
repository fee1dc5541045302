"""Arguments of `compile`, checked before anything is laid out; other stages take the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..arguments import Number, OneOf, SomeOf, Stage, Whole, shown
from ..errors import InputError, MappingError, needs
from ..events import MOST_COUNT
from ..graph import Loops
from ..machine import RECORDS, WINDOW, Application, SpiNNaker2
from ..quantize import Network
from .keys import ByChip, LargestFirst
from .minimise import DecisionList, Expand, Fewest, OrderedCovering
from .partition import Partition
from .place import PLACERS
from .route import ROUTERS
from .tables import METHODS
from .wiring import PROGRAM

FILL = "fill"
STAGES: dict[str, tuple[Any, ...]] = {
    "place": tuple(PLACERS.values()), "allot": (LargestFirst, ByChip), "route": tuple(ROUTERS.values()),
    "minimise": (OrderedCovering, Expand, Fewest, DecisionList),
}
ONSETS = ("aligned", "board")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Asked:
    """Arguments as `compile` goes on with them: plain numbers, since an image is written with them."""

    machine: SpiNNaker2
    partition: Partition
    loops: Loops
    ticks: int | None
    record: tuple[str, ...]
    max_count: int
    max_relays: int
    window: int | None
    rates: Mapping[str, float]


def asked(
    network: Network, *, machine: Any, application: Any, partition: Any, place: Any, allot: Any, route: Any,
    minimise: Any, loops: Any, ticks: Any, record: Any, max_count: Any, max_relays: Any, window: Any, rates: Any,
) -> Asked:
    """The arguments, once they can be meant.

    Raises
    ------
    InputError, MappingError
        naming the first one that cannot, and what is allowed.
    """
    machine = SpiNNaker2() if machine is None else machine
    partition = Partition() if partition is None else partition
    needs(machine, SpiNNaker2, "machine", "Make one with s2nir.SpiNNaker2(boards=1).")
    needs(partition, Partition, "partition", "Make one with s2nir.Partition(share=0.5).")
    for name, value, such in (("place", place, "Exchange()"), ("allot", allot, "ByChip()"),
                              ("route", route, "LoadAware()")):
        if value is not None:
            Stage(such)(value, name, InputError)
            for other, ours in STAGES.items():
                if isinstance(value, ours) and other != name:
                    raise InputError(f"{name}: found {shown(value)}, which is for {other}=; needed one such as {such}")
    if not isinstance(application, Application):
        PROGRAM(application, "application", MappingError)
    if isinstance(minimise, str):
        OneOf(("auto", *METHODS))(minimise, "minimise", MappingError)
    else:
        Stage("OrderedCovering()")(minimise, "minimise", InputError)
    return Asked(
        machine=machine, partition=partition, loops=_loops(loops, network),
        ticks=None if ticks is None else Whole(also=", or None")(ticks, "ticks", MappingError),
        record=SomeOf(RECORDS)(record, "record", MappingError),
        max_count=Whole(1, MOST_COUNT)(max_count, "max_count", MappingError),
        max_relays=Whole()(max_relays, "max_relays", MappingError),
        window=None if window is None else WINDOW(window, "window", MappingError),
        rates=rates_of(rates, (p.name for p in network.populations)),
    )


def _loops(loops: Any, network: Network) -> Loops:
    if loops not in tuple(Loops):
        loops = Loops(OneOf(tuple(known.value for known in Loops))(loops, "loops", MappingError))
    return Loops.MACHINE if network.loops is Loops.MACHINE else loops


def copies_of(given: Any) -> int | str:
    """A number of copies, or "fill"."""
    if isinstance(given, str) and given == FILL:
        return FILL
    return Whole(1, also=f", or {FILL!r}")(given, "copies", MappingError)


def rates_of(given: Any, names: Iterable[str]) -> Mapping[str, float]:
    """Packets per neuron and tick, by population; names : of those that there are

    Raises
    ------
    InputError
        the first that is not there, or that no rate is.
    """
    if given is None:
        return {}
    needs(given, Mapping, "rates", "Give packets per neuron and tick by population, such as recording.rates.")
    known = tuple(names)
    for name in given:
        if name not in known:
            raise InputError(f"rates: no population {name!r}; there are {', '.join(known)}")
    rate = Number(0, what="packets per neuron and tick")
    return {name: rate(value, f"rates of {name!r}", InputError) for name, value in given.items()}
