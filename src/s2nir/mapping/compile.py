"""Network -> MachineImage: retime, partition, place, allot keys, route, write tables and memories, check."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np

from ..errors import CheckError, MappingError, S2NirWarning
from ..graph import Conv, Loops, Reset, apply
from ..machine import Application, SpiNNaker2
from ..quantize import Network
from .check import check
from .image import CoreImage, MachineImage, PopulationInfo
from .keys import Allot, KeyBlock, LargestFirst
from .memory import Rows, neuron_keys, rows_into, write
from .partition import Partition, Slice
from .place import Core, Place, Sequential
from .route import Route, RouteTree, local
from .tables import tables
from .wiring import Link, Wiring, wire

ONSETS = ("aligned", "board")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mapped:
    """The nouns between Network and image, for those who look inside: slices, keys, cores, trees."""

    wiring: Wiring
    slices: Mapping[str, tuple[Slice, ...]]
    blocks: Mapping[Slice, KeyBlock]
    placement: Mapping[Slice, Core]
    trees: Mapping[Slice, RouteTree]


def compile(
    network: Network,
    machine: SpiNNaker2 | None = None,
    application: Application | str = "auto",
    onset: str = "aligned",
    loops: Loops | str = Loops.REFUSE,
    ticks: int | None = None,
    record: tuple[str, ...] = ("spikes",),
    max_count: int = 255,
    max_relays: int = 32,
    partition: Partition | None = None,
    place: Place | None = None,
    allot: Allot | None = None,
    route: Route = local,
) -> MachineImage:
    """Lay a Network on a machine.

    application : "auto" (the delay word where a delay needs it and all |w| <= 15, a convolution's program where there
        is one, else the no-delay word), the name of one, or an Application
    onset : constants act from a population's lag on ("aligned"), or from tick 0 ("board")
    loops : "refuse", or "machine" to let each hop of a loop that no lags exist for take its tick
    ticks, record : room for what a board would record, over so many ticks
    max_count : packets of one input source in a tick, for which headroom is proven
    max_relays : relay populations allowed

    Raises
    ------
    MappingError
        where it does not fit, no lags exist, or an accumulator could overflow.
    """
    machine = machine or SpiNNaker2()
    loops = _loops(loops, network)
    if onset not in ONSETS:
        raise MappingError(f"onset: found {onset!r}, allowed {', '.join(map(repr, ONSETS))}")
    if not 1 <= max_count < 1 << 16:
        raise MappingError(f"max_count: found {max_count}, allowed 1 to {(1 << 16) - 1}")
    wiring = wire(network, application, loops, max_relays)
    headroom(network, max_count)
    slices = (partition or Partition())(wiring, ticks, record)
    flat = tuple(s for name in wiring.members for s in slices[name])
    placement = (place or Sequential())(flat, machine)
    blocks = (allot or LargestFirst())(flat)
    keys = {n: neuron_keys(slices[n], blocks, m) for n, m in wiring.members.items()}
    rows = {n: rows_into(n, wiring, keys) for n in wiring.members}
    heard = _heard(wiring, slices)
    targets = _targets(wiring, slices, blocks, rows, heard)
    trees = route(targets, placement)
    mapped = Mapped(wiring=wiring, slices=slices, blocks=blocks, placement=placement, trees=trees)
    cores = _cores(mapped, network, rows, heard, onset, (ticks or 0, record))
    image = _image(mapped, network, machine, cores, max_count, loops, onset, partition or Partition())
    for breach in check(image):
        raise CheckError(f"the compiled image is not legal: {breach}")
    return image


def _loops(loops: Loops | str, network: Network) -> Loops:
    try:
        loops = Loops(loops)
    except ValueError:
        raise MappingError(f"loops: found {loops!r}, allowed 'refuse' or 'machine'") from None
    return Loops.MACHINE if network.loops is Loops.MACHINE else loops


def headroom(network: Network, max_count: int) -> None:
    """Prove that no int32 input slot overflows: the sum of |w| times packets per tick stays below 2**31.

    Raises
    ------
    MappingError
        naming the population, its bound and the remedy.
    """
    for p in network.populations:
        bound = np.zeros(p.size)
        for q in network.into(p.name):
            c = q.connection
            whole = replace(c, weight=np.abs(c.weight.astype(np.float64)))
            packets = max_count if network[q.source].is_input else 1
            bound += packets * apply(whole, np.ones((1, c.sources)))[0]
        if bound.size and bound.max() >= 2**31:
            raise MappingError(
                f"{p.name}: up to {bound.max():.0f} could arrive at a neuron in one tick, over its int32 slot. Use a "
                f"lower max_count (now {max_count}) or fewer bits.",
                rule="accumulator-headroom",
            )


def _heard(wiring: Wiring, slices: Mapping[str, tuple[Slice, ...]]) -> dict[Slice, list[tuple[Link, list[Slice]]]]:
    """For every slice, the convolutions into it with the source slices that its receptive field touches."""
    found: dict[Slice, list[tuple[Link, list[Slice]]]] = {}
    for link in wiring.links:
        c = link.connection
        if not isinstance(c, Conv):
            continue
        for s in slices[link.target]:
            near = [other for other in slices[link.source] if _touches(c, other, s)]
            found.setdefault(s, []).append((link, near))
    return found


def _touches(conv: Conv, source: Slice, target: Slice) -> bool:
    """Whether a kernel weight that is not zero joins the two boxes."""
    per_in, per_out = conv.weight.shape[1], conv.out_shape[0] // conv.groups
    live = np.zeros((conv.out_shape[0], conv.in_shape[0]), bool)
    any_tap = np.asarray(conv.weight.any(axis=(2, 3)))
    for g in range(conv.groups):
        outs = slice(g * per_out, (g + 1) * per_out)
        live[outs, g * per_in : (g + 1) * per_in] = any_tap[outs]
    if not live[target.c0 : target.c1, source.c0 : source.c1].any():
        return False
    for axis, (t0, t1, s0, s1) in enumerate(
        ((target.y0, target.y1, source.y0, source.y1), (target.x0, target.x1, source.x0, source.x1))
    ):
        taps = np.flatnonzero(conv.weight.any(axis=(0, 1, 3 - axis)))
        pixels = np.unique(
            np.arange(t0, t1)[:, np.newaxis] * conv.stride[axis] + taps * conv.dilation[axis] - conv.padding[axis]
        )
        pixels = pixels[(pixels >= 0) & (pixels < conv.pooled_shape[1 + axis])]
        if conv.pool is not None:
            pixels = np.unique(
                pixels[:, np.newaxis] * conv.pool.stride[axis] + np.arange(conv.pool.size[axis])
                - conv.pool.padding[axis]
            )
        if not ((pixels >= s0) & (pixels < s1)).any():
            return False
    return True


def _targets(
    wiring: Wiring,
    slices: Mapping[str, tuple[Slice, ...]],
    blocks: Mapping[Slice, KeyBlock],
    rows: Mapping[str, Rows],
    heard: Mapping[Slice, list[tuple[Link, list[Slice]]]],
) -> dict[Slice, list[Slice]]:
    """Which slices each slice must reach: those that have a row for one of its neurons, or an entry for the slice."""
    order = sorted(blocks, key=lambda s: blocks[s].base)
    bases = np.array([blocks[s].base for s in order])
    found: dict[Slice, set[Slice]] = {}
    for name, member in wiring.members.items():
        for s in slices[name]:
            mine = np.isin(rows[name].target, s.neurons(member.view))
            for i in np.unique(np.searchsorted(bases, rows[name].key[mine], side="right") - 1):
                found.setdefault(order[i], set()).add(s)
            for _, near in heard.get(s, ()):
                for other in near:
                    found.setdefault(other, set()).add(s)
        if member.relay_of is not None:
            for a, b in zip(slices[member.relay_of], slices[name], strict=True):
                found.setdefault(a, set()).add(b)
    return {s: sorted(t) for s, t in sorted(found.items())}


def _cores(
    mapped: Mapped,
    network: Network,
    rows: Mapping[str, Rows],
    heard: Mapping[Slice, list[tuple[Link, list[Slice]]]],
    onset: str,
    kept: tuple[int, tuple[str, ...]],
) -> list[CoreImage]:
    cores = []
    for name, member in mapped.wiring.members.items():
        lag = member.lag if onset == "aligned" and member.relay_of is None else 0
        for i, s in enumerate(mapped.slices[name]):
            convs = [(link, [(o, mapped.blocks[o]) for o in near]) for link, near in heard.get(s, ())]
            relayed = None
            if member.relay_of is not None:
                source = mapped.slices[member.relay_of][i]
                relayed = (source, mapped.blocks[source])
            memory = write(s, member, mapped.blocks[s], network.arithmetic, lag, rows[name], convs, relayed, kept)
            chip, pe = mapped.placement[s]
            cores.append(CoreImage(chip=chip, pe=pe, application=member.application.name, memory=memory,
                                   window=member.application.window))
    return cores


def _image(
    mapped: Mapped,
    network: Network,
    machine: SpiNNaker2,
    cores: list[CoreImage],
    max_count: int,
    loops: Loops,
    onset: str,
    partition: Partition,
) -> MachineImage:
    infos, at = [], 0
    notes = list(network.notes)
    for name, member in mapped.wiring.members.items():
        n = len(mapped.slices[name])
        p = member.population
        relay = member.relay_of is not None
        infos.append(
            PopulationInfo(
                name=name,
                node="Relay" if relay else p.node,
                kind="relay" if relay else "input" if p.is_input else "neurons",
                shape=p.shape,
                view=member.view,
                cores=tuple(range(at, at + n)),
                lag=member.lag,
                spikes=p.spikes or p.is_input,
                scale=np.ones(()) if p.scale is None else p.scale,
                shift=p.shift,
            )
        )
        if relay:
            notes.append(f"{name}: a relay, passes the packets of {member.relay_of} on one tick later, {n} cores")
        at += n
        if p.reset is Reset.SNNTORCH_RESTORED and not relay:
            sentence = (f"{name}: reset 'snntorch_restored' runs as an immediate reset by subtraction, the same only "
                        "while a membrane stays below twice its threshold")
            notes.append(sentence)
            warnings.warn(sentence, S2NirWarning, stacklevel=4)
    return MachineImage(
        machine=machine,
        arithmetic=network.arithmetic,
        dt=network.dt,
        tick=partition.tick,
        lag=max(p.lag for p in infos if p.kind != "relay"),
        max_count=max_count,
        cores=tuple(cores),
        tables=tables(mapped.trees, mapped.blocks, machine),
        populations=tuple(infos),
        outputs=network.outputs,
        contract=_contract(network, loops, onset),
        provenance={
            "graph": network.graph_digest, "network": network.digest, "scheme": network.scheme,
            "limit": str(network.limit), "loops": loops.value, "onset": onset,
        },
        versions={"s2nir": version("s2nir"), "numpy": np.__version__, "python": platform.python_version()},
        notes=tuple(notes),
    )


def _contract(network: Network, loops: Loops, onset: str) -> tuple[str, ...]:
    dt = "none" if network.dt is None else f"{network.dt:g} s"
    lines = [f"dt {dt}, {network.integrator.value}, loops {loops.value}, onset {onset}"]
    for p in network.populations:
        if p.spikes:
            late = " (late)" if p.reset_late else ""
            lines.append(f"{p.name}: spikes at V {p.compare.value} threshold, reset {p.reset.value}{late}, "
                         f"refractory {p.refractory}")
    return tuple(lines)

