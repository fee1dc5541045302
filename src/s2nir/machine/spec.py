"""The machine: which chips there are, how they are joined, and which cores of them may be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..arguments import OneOf, Whole, flag, settle
from ..errors import MappingError, S2NirError
from .faults import Faults
from .spinnaker2 import LINK_NAMES, LINKS, PES, QUAD, QUADS, ROUTER_ENTRIES, USABLE_PES
from .topology import BOARD, Chip, Topology, boards, join

ROWS = ("sram", "dram", "compact")
MESH = 256  # chips along x and y, at most
MOST_BOARDS = MESH**2 // len(BOARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiNNaker2:
    """A machine of SpiNNaker2 chips.

    chips : 1, or the (x, y) of any set of chips on one hexagonal mesh
    boards : 1 (48 chips), or a multiple of 3 up to 1365: triads on a torus; instead of `chips`
    faults : cores, chips, links and routers that must not be used
    reserved : PEs that are kept back on each chip, the last ones; 4 leave the 148 that applications may use
    router_entries : entries of a router
    rows : where synapse rows are, and their form: "sram" as published; "compact" words in SRAM, found by source slice;
        "dram" words with 8 bits of delay in the chip's DRAM. The latter two are ours
    default_routes : whether a packet that no entry matches goes straight on over the opposite link; not known of the
        chip, so off

    >>> SpiNNaker2().cores, SpiNNaker2(boards=1).cores, SpiNNaker2(boards=24).cores
    (148, 7104, 170496)
    """

    chips: int | tuple[Chip, ...] = 1
    boards: int | None = None
    faults: Faults = field(default_factory=Faults)
    reserved: int = PES - USABLE_PES
    router_entries: int = ROUTER_ENTRIES
    default_routes: bool = False
    rows: str = "sram"

    def __post_init__(self) -> None:
        if self.boards is not None:
            settle(self, MappingError, boards=_boards)
        object.__setattr__(self, "chips", _chips(self.chips, self.boards))
        settle(
            self, MappingError, reserved=Whole(0, PES - 1), router_entries=Whole(1, ROUTER_ENTRIES), rows=OneOf(ROWS),
            default_routes=flag,
        )
        if not isinstance(self.faults, Faults):
            raise MappingError(f"SpiNNaker2.faults: found {type(self.faults).__name__}, needed s2nir.Faults")
        board_of, _ = self._layout()
        f = self.faults
        for what, chip in sorted(
            [("chip", c) for c in f.chips] + [("router of chip", c) for c in f.routers]
            + [("core of chip", c) for c, _ in f.cores] + [("link of chip", c) for c, _ in f.links]
        ):
            if chip not in board_of:
                raise MappingError(f"SpiNNaker2.faults: found {what} {chip}, but this machine has no such chip")
        if not self.topology.first[-1]:
            raise MappingError("SpiNNaker2: no core is left to use. Give fewer faults, or a larger machine.")

    def _layout(self) -> tuple[dict[Chip, int], tuple[int, int] | None]:
        if self.boards is not None:
            return boards(self.boards)
        return dict.fromkeys(((0, 0),) if isinstance(self.chips, int) else self.chips, 0), None

    @property
    def topology(self) -> Topology:
        """Chips, links and cores as arrays."""
        return _topology(self)

    @property
    def coordinates(self) -> tuple[Chip, ...]:
        """Chips that can be used, by their (x, y) on the hexagonal mesh."""
        return tuple((int(x), int(y)) for x, y in self.topology.chip)

    @property
    def cores(self) -> int:
        """Cores that applications may use."""
        return int(self.topology.first[-1])

    @property
    def usable(self) -> tuple[tuple[Chip, int], ...]:
        """Every usable core as (chip, PE), in order."""
        t = self.topology
        return tuple(
            (chip, int(pe)) for i, chip in enumerate(self.coordinates) for pe in t.pe[t.first[i] : t.first[i + 1]]
        )

    def describe(self) -> str:
        """What the machine is, for people."""
        t = self.topology
        joined = t.neighbour >= 0
        shape = "a mesh" if t.size is None else f"a torus of {t.size[0]} x {t.size[1]}"
        on, off = int((joined & ~t.between).sum()) // 2, int((joined & t.between).sum()) // 2
        board = "1 chip" if t.chips == 1 else f"{t.chips} chips on {len(set(t.board.tolist()))} board(s), {shape}"
        lines = [
            f"SpiNNaker2: {board}, {self.cores} usable cores",
            f"  links: {on} on boards (6 Gbit/s), {off} between boards (2 Gbit/s)",
            f"  router: {self.router_entries} entries; what none matches "
            f"{'goes straight on' if self.default_routes else 'is dropped'}",
            f"  {self.faults}",
        ]
        if self.rows != "sram":
            lines.append(f"  synapse rows: {self.rows}")
        if self.reserved != PES - USABLE_PES:
            lines.append(f"  {self.reserved} PEs of each chip are kept back")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for files."""
        return {
            "chips": self.chips if isinstance(self.chips, int) else [list(c) for c in self.chips],
            "boards": self.boards, "faults": self.faults.to_dict(), "reserved": self.reserved,
            "router_entries": self.router_entries, "default_routes": self.default_routes, "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> SpiNNaker2:
        """What `to_dict` gives."""
        rest = {k: v for k, v in given.items() if k not in ("chips", "faults")}
        chips = given.get("chips", 1)
        return cls(
            chips=chips if isinstance(chips, int) else tuple((int(x), int(y)) for x, y in chips),
            faults=Faults.from_dict(given.get("faults", {})), **rest,
        )


def _boards(given: Any, where: str, error: type[S2NirError]) -> int:
    found = Whole(1, MOST_BOARDS, "boards", ": 1, or a multiple of 3 (triads)")(given, where, error)
    if found > 1 and found % 3:
        raise error(f"{where}: found {given!r}, allowed 1, or a multiple of 3 (triads)")
    return found


def _chips(given: Any, on_boards: int | None) -> int | tuple[Chip, ...]:
    if on_boards is not None:
        if given != 1:
            raise MappingError("SpiNNaker2: found both chips and boards, allowed one of them")
        return 1
    if isinstance(given, int) and not isinstance(given, bool):
        if given != 1:
            raise MappingError(
                f"SpiNNaker2.chips: found {given}, allowed 1, or the (x, y) of each chip. For 48 chips use boards=1."
            )
        return 1
    coordinate = Whole(0, MESH - 1, "coordinates")
    try:
        pairs = [(x, y) for x, y in given]
    except (TypeError, ValueError):
        raise MappingError(f"SpiNNaker2.chips: found {given!r}, allowed 1, or the (x, y) of each chip") from None
    if not pairs:
        raise MappingError(f"SpiNNaker2.chips: found {given!r}, needed the (x, y) of one chip or more")
    x, y = ([coordinate(n, "SpiNNaker2.chips", MappingError) for n in column] for column in zip(*pairs, strict=True))
    return tuple(sorted(set(zip(x, y, strict=True))))


@lru_cache(maxsize=64)
def _topology(machine: SpiNNaker2) -> Topology:
    board_of, size = machine._layout()
    f = machine.faults
    lost = set(f.cores)
    cores = {chip: [pe for pe in range(PES - machine.reserved) if (chip, pe) not in lost] for chip in board_of}
    return join(board_of, size, {*f.chips, *f.routers}, set(f.links), cores)


def floor_position(pe: int) -> tuple[int, int, int]:
    """Where a PE stands on the chip: quad x, quad y, and its place in the quad.

    >>> floor_position(0), floor_position(151)
    ((1, 1, 0), (7, 6, 3))
    """
    x, y = QUADS[pe // QUAD]
    return x, y, pe % QUAD


__all__ = ["LINKS", "LINK_NAMES", "Chip", "SpiNNaker2", "floor_position"]
