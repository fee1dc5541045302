"""What py-spinnaker2's importer cannot bring to a board: refused by name in board mode, never run as if it could."""

from __future__ import annotations

from ..errors import QuantizeError
from ..graph import Compare, Conv, Graph, Reset

LINEAR = ("Affine", "Linear")


def board_faults(graph: Graph) -> None:
    """Refuse what that importer drops, garbles or refuses itself.

    Raises
    ------
    QuantizeError
        with the fault's name and the place.
    """
    faults = [f"{where}: {what}" for where, what in _faults(graph)]
    if faults:
        raise QuantizeError(
            "board mode (like='py-spinnaker2') cannot run this network, because that importer does not bring it to a "
            "board: " + "; ".join(faults) + ". Leave `like` away to run it as s2nir maps it."
        )


def _faults(graph: Graph) -> list[tuple[str, str]]:
    found = [(name, "a sub-graph is refused") for name in graph.nested]
    for p in graph.populations:
        if p.node in ("LI", "CubaLI", "I", "Threshold"):
            found.append((p.name, f"{p.node} is refused"))
        if p.node == "Readout":
            found.append((p.name, "a final linear node is refused"))
        if p.spikes and (p.reset_late or p.reset in (Reset.NONE, Reset.SNNTORCH_RESTORED)):
            found.append((p.name, "its neurons reset in the spiking tick, by subtraction or to zero"))
        if p.spikes and p.compare is Compare.GREATER:
            found.append((p.name, "its neurons spike where V >= threshold; load it with compare='>='"))
        if p.refractory and not p.current_based:
            found.append((p.name, "its neurons have no refractory time"))
    for q in graph.projections:
        where = f"{q.source} -> {q.target}"
        nodes = [v.split("(")[0] for v in q.via]
        if not nodes:
            found.append((where, "a direct edge is refused"))
        for node in ("AvgPool2d", "Scale", "Delay", "Conv1d"):
            if node in nodes:
                found.append((where, f"{node} is refused"))
        if nodes[:1] == ["Flatten"] and nodes[-1:] and nodes[-1] in LINEAR:
            found.append((where, "neuron -> Flatten -> Linear drops the projection without a word"))
        if nodes[-1:] == ["SumPool2d"]:
            found.append((where, "a SumPool2d straight before neurons divides by zero"))
        if any("same" in v for v in q.via):
            found.append((where, "padding 'same' is garbled"))
        if isinstance(q.connection, Conv) and q.connection.dilation != (1, 1):
            found.append((where, "dilation is ignored"))
        if isinstance(q.connection, Conv) and q.connection.groups != 1 and "Conv2d" in nodes:
            found.append((where, "groups are ignored"))
        if sum(n in (*LINEAR, "Conv2d") for n in nodes) > 1:
            found.append((where, "two linear nodes in a row are refused"))
    return found
