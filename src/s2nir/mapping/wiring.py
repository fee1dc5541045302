"""Retiming: Network -> Wiring, the network as cores see it, every link with the ticks it takes.

Each projection takes hop = steps + lag(target) - lag(source) ticks. Its synapses wait hop - 1 ticks: in the synapse
word where that has a delay, else in relays, populations of ours that pass every packet on one tick later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import OneOf
from ..errors import MappingError
from ..graph import Connection, Conv, Dense, Loops, Ruled, Sparse, hops, lags, longest_delay, synapses
from ..machine import APPLICATIONS, Application, Word
from ..quantize import IntPopulation, Network, largest

View = tuple[int, int, int]
CHOSEN = (n for n, a in APPLICATIONS.items() if not (a.drive or a.places_in_dram))  # the others follow from the network
PROGRAM = OneOf(("auto", *CHOSEN), ", or an Application")
EXPANDED = 1 << 26  # synapses that a convolution may be written out to
WRITTEN = 1 << 21  # synapses of a rule that are written out at once; of more, one core at a time


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Link:
    """Spikes of `source` (a population or a relay) to `target`: synapses act `delay` ticks later than without.

    delay : int for a Dense or Conv; a Sparse or a Ruled adds its own per synapse
    """

    source: str
    target: str
    connection: Any
    delay: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Member:
    """A population of the machine: of the network, or a relay of one.

    view : (channels, height, width) in which cores count its neurons
    relay_of : the member whose packets it passes on; None unless a relay
    wait : ticks that a synapse into it waits at most, in its word
    """

    name: str
    population: IntPopulation
    application: Application
    view: View
    lag: int
    relay_of: str | None = None
    wait: int = 0

    @property
    def size(self) -> int:
        return self.population.size

    @property
    def slots(self) -> int:
        """Slots of its input ring."""
        return self.application.slots(self.wait)

    @property
    def ring_bytes(self) -> int:
        """Bytes of the ring, per neuron: 64 for the 8 slots of the delay word [P]."""
        return self.application.ring_bytes // 8 * self.slots if self.slots > 1 else 0

    def drive_bytes(self, neurons: int) -> int:
        """Bytes of the Poisson drive of so many of its neurons."""
        drive = self.population.drive
        return 0 if drive is None else self.application.drive_bytes + 4 * drive.law.size + -(-neurons // 4) * 4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Wiring:
    """members : by name, sources first; links : into members that are not relays."""

    members: Mapping[str, Member]
    links: tuple[Link, ...]


def wire(
    network: Network, application: Application | str, loops: Loops, max_relays: int, window: int | None = None,
    rows: str = "sram",
) -> Wiring:
    """Lags, delay words and relays; rows : as in `SpiNNaker2`.

    Raises
    ------
    MappingError
        where no lags exist, a chosen application cannot hold the weights, or relays run over `max_relays`.
    """
    timed = replace(network, loops=loops) if loops is not network.loops else network
    lag = lags(timed)
    hop = hops(timed, lag)
    views = {p.name: _view(p, timed) for p in timed.populations}
    members: dict[str, Member] = {}
    for p in timed.populations:
        chosen = _application(p, timed, hop, application, rows)
        chosen = chosen.far if _far(p, timed, chosen, window) else chosen
        chosen = chosen if p.drive is None else chosen.driven
        chosen = chosen if window is None else chosen.with_window(window)
        members[p.name] = Member(name=p.name, population=p, application=chosen, view=views[p.name], lag=lag[p.name])
    links: list[Link] = []
    depth: dict[str, int] = {}
    for q, h in zip(timed.projections, hop, strict=True):
        for part, relays, delay in _split(_fitting(q.connection, views[q.source], views[q.target]), h,
                                          members[q.target].application.delay_limit):
            depth[q.source] = max(depth.get(q.source, 0), relays)
            links.append(Link(source=_relay(q.source, relays), target=q.target, connection=part, delay=delay))
    if sum(depth.values()) > max_relays:
        worst = max(depth, key=lambda n: depth[n])
        raise MappingError(
            f"{worst}: its spikes must wait {depth[worst]} ticks in relays, {sum(depth.values())} relays in all, over "
            f"max_relays = {max_relays}. Raise max_relays, shorten the delay, use bits='s4' so that the delay word (up "
            "to 7 ticks) can hold it, or rows='dram' of the machine, whose words hold 255 ticks.",
            rule="too-many-relays",
        )
    for name, relays in depth.items():
        for k in range(1, relays + 1):
            if _relay(name, k) in members:
                raise MappingError(f"{_relay(name, k)}: a relay of {name} needs this name. Rename the population.")
            m = members[name]
            members[_relay(name, k)] = replace(
                m, name=_relay(name, k), application=APPLICATIONS["relay"], lag=m.lag + k, relay_of=_relay(name, k - 1)
            )
    for name, m in members.items():
        waits = [k.delay + longest_delay(k.connection) for k in links if k.target == name]
        members[name] = replace(m, wait=max(waits, default=0))
    return Wiring(members=dict(sorted(members.items(), key=lambda i: (i[1].lag, i[0]))), links=tuple(links))


def _relay(name: str, depth: int) -> str:
    return f"{name}+{depth}" if depth else name


def _view(p: IntPopulation, network: Network) -> View:
    """How a population's neurons are counted on cores: as convolutions see it, else by its own shape."""
    for q in network.projections:
        if isinstance(q.connection, Conv) and q.target == p.name:
            return q.connection.out_shape
    for q in network.projections:
        if isinstance(q.connection, Conv) and q.source == p.name:
            return q.connection.in_shape
    if len(p.shape) == 2 and any(
        isinstance(q.connection, Ruled) and p.name in (q.source, q.target) for q in network.projections
    ):
        return (1, p.shape[0], p.shape[1])  # a sheet is cut into tiles
    return (p.shape[0], p.shape[1], p.shape[2]) if len(p.shape) == 3 else (1, 1, p.size)


def _fitting(connection: Any, source: View, target: View) -> Any:
    """A convolution whose shapes are those of the views, or one written out as rows; a rule, written out if small."""
    if isinstance(connection, Ruled):
        return connection if connection.expected > WRITTEN else connection.written()
    if not isinstance(connection, Conv):
        return connection
    if connection.in_shape == source and connection.out_shape == target and _encodable(connection):
        return connection
    size = connection.weight.size * connection.out_shape[1] * connection.out_shape[2]
    if size > EXPANDED:
        raise MappingError(
            f"a convolution {connection.in_shape} -> {connection.out_shape} has no conv table here (its geometry or "
            f"the shape of its population does not fit one) and {size} synapses are too many to write out as rows",
            rule="too-many-synapses",
        )
    return as_sparse(connection)


def _encodable(conv: Conv) -> bool:
    """Whether the 16 bytes of geometry and the 12 of an entry can hold it (see layout.py)."""
    kh, kw = conv.weight.shape[2:]
    pool = conv.pool
    small = all(
        v <= limit
        for v, limit in (
            *((k, 63) for k in (kh, kw)),
            *((s, 15) for s in conv.stride),
            *((d, 31) for d in conv.dilation),
            *((p, 255) for p in conv.padding),
            *((v, 15) for v in ((*pool.size, *pool.stride) if pool else ())),
            *((v, 7) for v in (pool.padding if pool else ())),
            *((v, 255) for v in (*conv.in_shape[1:], *conv.out_shape[1:])),
            *((v, 2047) for v in (conv.in_shape[0], conv.out_shape[0])),
        )
    )
    return small and min(conv.padding) >= 0 and min(conv.pooled_shape) >= 1


def as_sparse(connection: Connection) -> Sparse:
    """Any connection as a list of synapses; weights int8, as a sum of several words where one does not hold them."""
    source, target, real, delay = synapses(connection)
    weight = np.asarray(real, np.int64)
    parts = [(source, target, np.clip(weight, -127, 127), delay)]
    rest = weight - parts[0][2]
    while rest.any():
        more = rest != 0
        held = np.clip(rest, -127, 127)
        parts.append((source[more], target[more], held[more], delay[more]))
        rest = rest - held
    source, target, whole, delay = (np.concatenate(c) for c in zip(*parts, strict=True))
    order = np.lexsort((delay, target, source))
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=connection.sources))])
    return Sparse(
        targets=connection.targets,
        start=start,
        target=target[order],
        weight=whole[order].astype(np.int8),
        delay=delay[order],
    )


def _application(
    p: IntPopulation, network: Network, hop: tuple[int, ...], given: Application | str, rows: str = "sram"
) -> Application:
    """The program of a population's cores: delay word if it is needed and all |w| <= 15; the machine's other rows where
    it has them and no convolution leads into the population."""
    if p.is_input:
        return APPLICATIONS["spike_list"]
    ways = [(q, h) for q, h in zip(network.projections, hop, strict=True) if q.target == p.name]
    conv = any(isinstance(q.connection, Conv) for q, _ in ways)
    peak = max((largest(q.connection) for q, _ in ways), default=0)
    waits = any(h > 1 or longest_delay(q.connection) > 0 for q, h in ways)
    stem = "lif_curr_exp" if p.current_based else "lif"
    if isinstance(given, Application):
        if given.name in ("relay", "spike_list"):
            raise MappingError(f"application: {given.name} runs no neurons. Use 'auto', or one of the lif programs.")
        if given.word is Word.DELAY and peak > given.weight_limit:
            raise MappingError(
                f"{p.name}: |w| up to {peak}, application {given.name} holds up to {given.weight_limit}. "
                'Quantize with bits="s4", or use application="auto".'
            )
        return given
    if given == "auto":
        plain = stem if waits and peak <= 15 else f"{stem}_no_delay"
        name = f"{stem}_conv2d" if conv else plain if rows == "sram" else f"{stem}_{rows}"
        return APPLICATIONS[name]
    return _application(p, network, hop, APPLICATIONS[PROGRAM(given, "application", MappingError)], rows)


def _far(p: IntPopulation, network: Network, app: Application, window: int | None) -> bool:
    """Whether places of the rows of all that a population hears would fill over three quarters of a core's window."""
    heard = {q.source for q in network.projections if q.target == p.name}
    places = 4 * sum(network[name].size for name in heard)
    return app.word is Word.DRAM and not app.places_in_dram and 4 * places > 3 * (window or app.window)


def _split(connection: Any, hop: int, limit: int) -> list[tuple[Any, int, int]]:
    """A connection in parts of one relay depth: (part, relays, delay of the part); a Sparse keeps its own delays."""
    if isinstance(connection, Ruled) and connection.longest_delay:
        if hop - 1 + connection.longest_delay > limit:
            raise MappingError(
                f"a rule with delays of up to {connection.longest_delay} steps and {connection.expected:.3g} synapses: "
                f"its synapse words hold {limit}, and so many are not split among relays. Use shorter delays, or one "
                "delay for all.", rule="too-many-relays",
            )
        return [(connection, 0, hop - 1)]
    if not isinstance(connection, Sparse) or not connection.delay.any():
        held = 0 if isinstance(connection, Conv) else min(hop - 1, limit)
        return [(connection, hop - 1 - held, held)]
    wait = hop - 1 + connection.delay
    relays = np.maximum(wait - limit, 0)
    source = np.repeat(np.arange(connection.sources), np.diff(connection.start))
    return [
        (_subset(connection, source, relays == k, (wait - k)[relays == k]), int(k), 0) for k in np.unique(relays)
    ]


def _subset(c: Sparse, source: NDArray[np.int64], keep: NDArray[np.bool_], delay: NDArray[np.int64]) -> Sparse:
    start = np.concatenate([[0], np.cumsum(np.bincount(source[keep], minlength=c.sources))])
    return Sparse(targets=c.targets, start=start, target=c.target[keep], weight=c.weight[keep], delay=delay)


def as_rows(link: Link) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Synapses of a Dense or Sparse link whose weight is not zero: source, target, weight, ticks of delay."""
    c = link.connection
    if isinstance(c, Dense):
        source, target = np.nonzero(c.weight.T)
        return source, target, c.weight[target, source].astype(np.int64), np.full(source.size, link.delay)
    assert isinstance(c, Sparse)
    source = np.repeat(np.arange(c.sources), np.diff(c.start))
    live = c.weight != 0
    return source[live], c.target[live], c.weight[live].astype(np.int64), c.delay[live] + link.delay
