"""What does not work on a machine: cores, chips, links and routers, given, drawn by seed, or read from JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import Number, Whole, path_of, shown
from ..errors import InputError, MappingError, needs
from ..files import write_whole
from .spinnaker2 import LINK_NAMES, LINKS, PES

if TYPE_CHECKING:
    from .spec import SpiNNaker2

Chip = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Parts that must not be used.

    cores : (chip, PE); chips, routers : (x, y); links : (chip, link), each taken as dead in both directions

    A chip without its router cannot send or receive; the mapper uses neither.

    >>> Faults(links=[((0, 0), "E")]).links
    (((0, 0), 0),)
    """

    cores: tuple[tuple[Chip, int], ...] = ()
    chips: tuple[Chip, ...] = ()
    links: tuple[tuple[Chip, int], ...] = ()
    routers: tuple[Chip, ...] = ()

    def __post_init__(self) -> None:
        for name in ("chips", "routers"):
            object.__setattr__(self, name, tuple(sorted({_chip(c, name) for c in _list(getattr(self, name), name)})))
        for name, number in (("cores", _pe), ("links", _link)):
            object.__setattr__(self, name, tuple(sorted({number(v) for v in _list(getattr(self, name), name)})))

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) for f in fields(self))

    def __str__(self) -> str:
        number = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        said = [f"{n} {name if n > 1 else name.removesuffix('s')}" for name, n in number.items() if n]
        return "dead: " + ", ".join(said) if said else "no faults"

    def to_dict(self) -> dict[str, list[list[Any]]]:
        """Plain lists, in order: cores [x, y, PE], chips and routers [x, y], links [x, y, name]."""
        return {
            "cores": [[*c, pe] for c, pe in self.cores],
            "chips": [list(c) for c in self.chips],
            "links": [[*c, LINK_NAMES[n]] for c, n in self.links],
            "routers": [list(c) for c in self.routers],
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Faults:
        """What `to_dict` gives.

        Raises
        ------
        MappingError
            where a part is named that no machine has.
        """
        known = {f.name for f in fields(cls)}
        if not isinstance(given, Mapping) or set(given) - known:
            raise MappingError(f"faults: found {shown(given)}, needed an object of lists {', '.join(sorted(known))}")
        held: dict[str, Any] = {name: _list(given.get(name, ()), name) for name in known}
        for name in ("cores", "links"):
            rows = [tuple(row) if isinstance(row, list | tuple) else (row,) for row in held[name]]
            for row in rows:
                if len(row) != 3:
                    raise MappingError(f"faults.{name}: found {shown(row)}, needed three values: x, y and which one")
            held[name] = [((x, y), which) for x, y, which in rows]
        return cls(**held)

    @classmethod
    def load(cls, path: str | Path) -> Faults:
        """Read a JSON file of `to_dict`.

        Raises
        ------
        InputError
            where it cannot be read, or names a part that no machine has.
        """
        path = path_of(path, "Faults.load")
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read as a JSON file of faults ({error})") from None
        try:
            return cls.from_dict(given)
        except MappingError as error:
            raise InputError(f"{path}: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the JSON file that `load` reads."""
        write_whole(path_of(path, "Faults.save"), lambda f: f.write((json.dumps(self.to_dict()) + "\n").encode()))

    @classmethod
    def drawn(
        cls, machine: SpiNNaker2, seed: int, *, cores: float = 0.0, chips: float = 0.0, links: float = 0.0,
        routers: float = 0.0,
    ) -> Faults:
        """Shares of a machine's parts, drawn by seed: the nearest whole number of each.

        >>> from s2nir import SpiNNaker2
        >>> board = SpiNNaker2(boards=1)
        >>> str(Faults.drawn(board, seed=1, cores=0.02, links=0.05))
        'dead: 142 cores, 6 links'
        """
        from .spec import SpiNNaker2

        needs(machine, SpiNNaker2, "Faults.drawn", "Make one with s2nir.SpiNNaker2(boards=1).")
        rng = np.random.default_rng(Whole()(seed, "Faults.drawn.seed", MappingError))
        every = machine.coordinates
        topology = machine.topology
        joined = sorted({
            min((i, n), (int(topology.neighbour[i, n]), (n + LINKS // 2) % LINKS))
            for i in range(len(every)) for n in range(LINKS) if topology.neighbour[i, n] >= 0
        })
        parts: dict[str, tuple[float, Any]] = {
            "cores": (cores, machine.usable), "chips": (chips, every),
            "links": (links, [(every[i], n) for i, n in joined]), "routers": (routers, every),
        }
        found: dict[str, Any] = {}
        for name, (share, of) in parts.items():
            share = Number(0, 1, what="shares")(share, f"Faults.drawn.{name}", MappingError)
            which = rng.permutation(len(of))[: round(share * len(of))]
            found[name] = [of[int(k)] for k in which]
        return cls(**found)


def _list(value: Any, name: str) -> Iterable[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise MappingError(f"faults.{name}: found {shown(value)}, needed a list")
    return value


def _chip(value: Any, name: str) -> Chip:
    try:
        x, y = value
        whole = x == int(x) and y == int(y)
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole or isinstance(x, bool) or isinstance(y, bool):
        raise MappingError(f"faults.{name}: found {shown(value)}, needed the (x, y) of a chip")
    return int(x), int(y)


def _pair(value: Any, name: str) -> tuple[Chip, Any]:
    try:
        chip, which = value
    except (TypeError, ValueError):
        raise MappingError(f"faults.{name}: found {shown(value)}, needed ((x, y), which)") from None
    return _chip(chip, name), which


def _pe(value: Any) -> tuple[Chip, int]:
    chip, pe = _pair(value, "cores")
    if isinstance(pe, bool) or not isinstance(pe, int | np.integer) or not 0 <= pe < PES:
        raise MappingError(f"faults.cores: found PE {shown(pe)} of chip {chip}, allowed 0 to {PES - 1}")
    return chip, int(pe)


def _link(value: Any) -> tuple[Chip, int]:
    chip, link = _pair(value, "links")
    if link in LINK_NAMES:
        return chip, LINK_NAMES.index(link)
    if isinstance(link, bool) or not isinstance(link, int | np.integer) or not 0 <= link < LINKS:
        raise MappingError(f"faults.links: found {shown(link)} of chip {chip}, allowed {', '.join(LINK_NAMES)}")
    return chip, int(link)
