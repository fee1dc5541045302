"""Packets on cores, routers and links: measured in a Recording, or expected from tables and rates alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulate import Recording, program
from ..errors import needs
from ..machine import APPLICATIONS, LINK_NAMES, LINKS, Application
from ..mapping import MachineImage, link_ns, rates_of
from ..values import Noun, freeze_fields

DENSE = 1 << 22  # packets by tick and place that are held at once


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Load:
    """Packets at each of several places, arrays of one shape.

    total : float64, over all ticks of all recordings; mean : float64, per tick
    worst : float64, in the place's worst tick; tick, recording : int64, the first one that is as bad, -1 where nothing
        was run (then `worst` is the mean) or no packet came by
    """

    total: NDArray[np.float64]
    mean: NDArray[np.float64]
    worst: NDArray[np.float64]
    tick: NDArray[np.int64]
    recording: NDArray[np.int64]

    def __post_init__(self) -> None:
        kinds = dict.fromkeys(("total", "mean", "worst"), np.float64)
        freeze_fields(self, **kinds, **dict.fromkeys(("tick", "recording"), np.int64))

    def shaped(self, *shape: int) -> Load:
        """The same in another shape."""
        return Load(**{n: getattr(self, n).reshape(shape) for n in ("total", "mean", "worst", "tick", "recording")})


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Traffic(Noun):
    """Packets of an image's machine. A packet counts in the tick in which it is sent.

    image : its digest; tick : seconds
    chip : int32 (chips, 2), x and y, as `machine.topology` numbers them; board : int32 (chips)
    core : int64 (cores, 2), chip and PE of each core, in the order of the image
    link_ns : float64 (chips, 6), what one packet takes on each link; there : bool (chips, 6), whether there is one
    links : Load (chips, 6); routers : Load (chips), packets that come by; cores : Load (cores), packets that arrive
    sent : Load (cores), packets that each core sends; between : Load (), packets over all links
    """

    image: str
    tick: float
    chip: NDArray[np.int32]
    board: NDArray[np.int32]
    core: NDArray[np.int64]
    link_ns: NDArray[np.float64]
    there: NDArray[np.bool_]
    links: Load
    routers: Load
    cores: Load
    sent: Load
    between: Load

    def __post_init__(self) -> None:
        freeze_fields(self, chip=np.int32, board=np.int32, core=np.int64, link_ns=np.float64, there=np.bool_)

    @property
    def link_time(self) -> NDArray[np.float64]:
        """Seconds that each link is busy in its worst tick: float64 (chips, 6)."""
        return np.asarray(self.links.worst * self.link_ns * 1e-9)

    @property
    def link_share(self) -> NDArray[np.float64]:
        """The same as a share of the tick; above 1 the link cannot carry it."""
        return np.asarray(self.link_time / self.tick)

    @property
    def packets_per_link(self) -> dict[tuple[tuple[int, int], int], float]:
        """Packets over each link that has any, by ((x, y), link), links 0 to 5 as E, NE, N, W, SW, S: all ticks of
        all recordings."""
        return {
            ((int(self.chip[c, 0]), int(self.chip[c, 1])), int(n)): float(self.links.total[c, n])
            for c, n in zip(*np.nonzero(self.links.total), strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """The worst of each as plain values, of equals the first; None where there are none.

        Of links by the time of their worst tick; of routers, cores that packets come to (worst_core) and cores that
        they go out from (worst_sender) by the packets of theirs.
        """
        return {
            "packets_between_chips": self._at(self.between, ()) if self.between.total > 0 else None,
            "worst_link": self._link(), "worst_router": self._router(), "worst_core": self._core(self.cores),
            "worst_sender": self._core(self.sent),
        }

    def _at(self, load: Load, place: Any) -> dict[str, Any]:
        return {
            "packets_per_tick": float(load.mean[place]), "packets_worst_tick": float(load.worst[place]),
            "tick": int(load.tick[place]), "recording": int(load.recording[place]),
        }

    def _link(self) -> dict[str, Any] | None:
        if not self.links.worst.any():
            return None
        c, n = np.unravel_index(int(self.link_time.argmax()), self.link_time.shape)
        return {
            "chip": self.chip[c].tolist(), "link": LINK_NAMES[n], **self._at(self.links, (c, n)),
            "ns_per_packet": float(self.link_ns[c, n]), "ns_worst_tick": float(1e9 * self.link_time[c, n]),
            "share_of_tick": float(self.link_share[c, n]),
        }

    def _router(self) -> dict[str, Any] | None:
        if not self.routers.worst.any():
            return None
        c = int(self.routers.worst.argmax())
        return {"chip": self.chip[c].tolist(), **self._at(self.routers, c)}

    def _core(self, load: Load) -> dict[str, Any] | None:
        if not load.worst.any():
            return None
        i = int(load.worst.argmax())
        chip, pe = self.core[i].tolist()
        return {"chip": self.chip[chip].tolist(), "pe": pe, **self._at(load, i)}

    def __str__(self) -> str:
        lines = [f"Traffic of image {self.image[:12]}, tick {self.tick:g} s"]
        for name, found in self.to_dict().items():
            if found is None:
                continue
            where = f" at chip ({found['chip'][0]}, {found['chip'][1]})" if "chip" in found else ""
            where += f" link {found['link']}" if "link" in found else f" PE {found['pe']}" if "pe" in found else ""
            when = f" (tick {found['tick']}, recording {found['recording']})" if found["tick"] >= 0 else ""
            share = f", {found['share_of_tick']:.2%} of the tick" if "link" in found else ""
            lines.append(
                f"  {name.replace('_', ' ')}{where}: {found['packets_per_tick']:,.2f} packets per tick, "
                f"{found['packets_worst_tick']:,.6g} in the worst{when}{share}"
            )
        return "\n".join(lines)


def traffic(recording: Recording) -> Traffic:
    """The packets of a Recording; recordings that several copies run at once count together, as their first one."""
    needs(recording, Recording, "traffic", "Make one with s2nir.run(image, spikes).")
    image, reach = recording.image, recording.program.reach
    chips, cores = image.machine.topology.chips, len(image.cores)
    owner = _owner(recording.program.first)
    found: dict[str, _Sums] = {
        name: _Sums(size, recording.ticks)
        for name, size in (("links", LINKS * chips), ("routers", chips), ("cores", cores), ("sent", cores),
                           ("between", 1))
    }
    rounds = range(0, recording.batch, image.copies)
    for b in rounds:
        at_once = [recording.sent(k) for k in range(b, min(b + image.copies, recording.batch))]
        tick, source, count = (np.concatenate(column) for column in zip(*at_once, strict=True))
        by_class = reach.sent(recording.ticks, tick, source, count)
        links = reach.over("link", LINKS * chips)
        found["links"].add(b, by_class, links)
        found["routers"].add(b, by_class, reach.over("router", chips))
        found["cores"].add(b, by_class, reach.over("core", cores))
        found["between"].add(b, by_class, _column(links.sum(axis=1)))
        found["sent"].add(b, _matrix(recording.ticks, cores, tick, owner[source], count), None)
    runs = len(rounds) * recording.ticks
    return _traffic(image, {name: sums.load(runs) for name, sums in found.items()})


def expected(image: MachineImage, rates: Mapping[str, float] | None = None) -> Traffic:
    """The packets of a tick from the tables alone, every neuron sending at the rate of its population.

    rates : packets per neuron and tick, by population; by default, the activity that the application is planned with.
        Relays send at the rate of what they relay.

    Raises
    ------
    InputError
        where a rate is below 0, or of a population that the image does not have.
    """
    needs(image, MachineImage, "expected", "Make one with s2nir.compile(network).")
    ready = program(image)
    reach, first = ready.reach, ready.first
    rate = np.repeat(_rates(image, rates), np.diff(first))
    chips, cores = image.machine.topology.chips, len(image.cores)
    sent = np.bincount(reach.of, rate, minlength=reach.classes)
    links = sent @ reach.over("link", LINKS * chips)
    loads = {
        "links": links, "routers": sent @ reach.over("router", chips), "cores": sent @ reach.over("core", cores),
        "sent": np.bincount(_owner(first), rate, minlength=cores), "between": np.array([links.sum()]),
    }
    return _traffic(image, {
        name: Load(total=v, mean=v, worst=v, tick=np.full(v.shape, -1), recording=np.full(v.shape, -1))
        for name, v in loads.items()
    })


def _rates(image: MachineImage, given: Mapping[str, float] | None) -> NDArray[np.float64]:
    """Packets per neuron and tick, by core."""
    given = rates_of(given, (p.name for p in image.populations))
    found = np.zeros(len(image.cores))
    each = image.cores_per_copy
    for p in image.populations:
        base = p.name if p.kind != "relay" or p.name in given else p.name.rpartition("+")[0]
        for i in p.cores:
            app = image.cores[i].application
            found[i::each] = given.get(base, APPLICATIONS.get(app, Application(name=app)).activity)
    return found


class _Sums:
    """Packets at each of `size` places, recording by recording."""

    def __init__(self, size: int, ticks: int) -> None:
        self.total = np.zeros(size, np.int64)
        self.worst, self.tick, self.recording = np.zeros(size, np.int64), *(np.full(size, -1) for _ in range(2))
        self.step = max(1, DENSE // max(size, 1))
        self.ticks = ticks

    def add(self, b: int, by_tick: Any, onto: Any) -> None:
        """One recording: packets by tick (ticks, x), and what each brings to each place (x, size), or None."""
        for t in range(0, self.ticks, self.step):
            here = by_tick[t : t + self.step]
            held = (here if onto is None else here @ onto).toarray()
            self.total += held.sum(axis=0)
            most = held.argmax(axis=0)
            value = held[most, np.arange(most.size)]
            more = value > self.worst
            self.worst[more], self.tick[more], self.recording[more] = value[more], most[more] + t, b

    def load(self, runs: int) -> Load:
        total, worst = self.total.astype(np.float64), self.worst.astype(np.float64)
        return Load(total=total, mean=total / max(runs, 1), worst=worst, tick=self.tick, recording=self.recording)


def _traffic(image: MachineImage, loads: dict[str, Load]) -> Traffic:
    t = image.machine.topology
    number = {chip: k for k, chip in enumerate(image.machine.coordinates)}
    return Traffic(
        image=image.digest,
        tick=image.tick,
        chip=t.chip,
        board=t.board,
        core=np.array([(number[c.chip], c.pe) for c in image.cores], np.int64).reshape(-1, 2),
        link_ns=link_ns(t),
        there=t.neighbour >= 0,
        links=loads["links"].shaped(t.chips, LINKS),
        routers=loads["routers"],
        cores=loads["cores"],
        sent=loads["sent"],
        between=loads["between"].shaped(),
    )


def _owner(first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The core of every source."""
    return np.repeat(np.arange(first.size - 1), np.diff(first))


def _matrix(ticks: int, size: int, tick: NDArray[Any], place: NDArray[Any], count: NDArray[Any]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((count, (tick, place)), shape=(ticks, size))


def _column(values: NDArray[np.int64]) -> Any:
    from scipy.sparse import csr_array

    return csr_array(np.asarray(values, np.int64).reshape(-1, 1))

