"""Placers, allotters, routers and minimisers of a user's own: what they give is checked where it comes in.

What ours give goes the same way; a breach of theirs is a MappingError that names them, of ours a CheckError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import shown
from ..errors import CheckError, MappingError, S2NirError
from ..machine import SpiNNaker2
from .boxes import Slice
from .keys import Allot, KeyBlock
from .minimise import Entries
from .net import Net
from .place import Place
from .route import Flow, Route, Trees


def name(stage: Any) -> str:
    """What a stage is called in messages.

    >>> name(len)
    'len'
    """
    return str(getattr(stage, "__name__", type(stage).__name__))


def breach(stages: dict[str, Any], said: str) -> S2NirError:
    """The error for a breach of what is legal; stages : those that may have made it, by argument; None for ours."""
    for where, stage in stages.items():
        module = getattr(stage, "__module__", type(stage).__module__) or ""
        if stage is not None and not isinstance(stage, str) and not module.startswith("s2nir."):
            return MappingError(f"{where}: {name(stage)} gave what is not legal: {said}")
    return CheckError(f"{said}; this is a defect of s2nir")


def placed(place: Place, net: Net, machine: SpiNNaker2) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """Chip and PE of every slice.

    Raises
    ------
    MappingError
        where a placer gives something else, or a chip that is not there.
    """
    found: Any = place(net, machine)
    n, chips = len(net.slices), machine.topology.chips
    try:
        chip, pe = (np.asarray(part) for part in found)
    except (TypeError, ValueError):
        chip = pe = np.zeros(0)
    if any(part.shape != (n,) or part.dtype.kind not in "iu" for part in (chip, pe)):
        raise MappingError(
            f"place: {name(place)} gave {shown(found)}, needed (chip, pe): two arrays of whole numbers, one for each "
            f"of the {n} slices of `net.slices`, chips as `machine.topology` numbers them"
        )
    for k in np.flatnonzero((chip < 0) | (chip >= chips) | (pe < 0) | (pe > np.iinfo(np.int16).max))[:1]:
        raise MappingError(f"place: {name(place)} puts {net.slices[k]} on chip number {chip[k]} PE {pe[k]}, allowed "
                           f"chip numbers are 0 to {chips - 1}, as `machine.topology` has them")
    return chip.astype(np.int32), pe.astype(np.int16)


def allotted(allot: Allot, slices: tuple[Slice, ...], order: Sequence[int]) -> dict[Slice, KeyBlock]:
    """A block of keys for every slice.

    Raises
    ------
    MappingError
        where an allotter gives something else.
    """
    found: Any = allot(slices, order)
    if not isinstance(found, dict) or set(found) != set(slices) or any(
        not isinstance(b, KeyBlock) for b in found.values()
    ):
        raise MappingError(f"allot: {name(allot)} gave {shown(found)}, needed a dict of a KeyBlock for each slice")
    return found


def routed(route: Route, flow: Flow, machine: SpiNNaker2) -> Trees:
    """Trees.

    Raises
    ------
    MappingError
        where a router gives something else.
    """
    found: Any = route(flow, machine)
    if not isinstance(found, Trees):
        raise MappingError(f"route: {name(route)} gave {shown(found)}, needed s2nir.mapping.Trees")
    return found


def made_smaller(minimise: Any, before: Entries) -> Entries:
    """Entries.

    Raises
    ------
    MappingError
        where a minimiser gives something else.
    """
    found: Any = minimise(before)
    if not isinstance(found, Entries):
        raise MappingError(f"minimise: {name(minimise)} gave {shown(found)}, needed Entries(key=, mask=, route=)")
    return found
