"""The whole way on one screen: NIR file -> Graph -> Network -> MachineImage -> Recording -> Report."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .arguments import meant
from .emulate import Recording, run
from .errors import S2NirError
from .frontend import load
from .graph import Compare, Graph
from .mapping import MachineImage, compile
from .quantize import PTQ, Network, board_faults, quantize
from .report import Report, report

BOARD = "py-spinnaker2"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Deployment:
    """Every noun on the way."""

    graph: Graph
    network: Network
    image: MachineImage
    recording: Recording
    report: Report

    def __repr__(self) -> str:
        return f"<Deployment: {self.graph!r} {self.network!r} {self.image!r} {self.recording!r}>"


def deploy(src: Any, spikes: Any, like: str | None = None, **options: Any) -> Deployment:
    """The whole way in one call.

    src : path, nir.NIRGraph, or a Graph
    spikes : as `run` takes them
    like : "py-spinnaker2" runs it as that importer puts it on a board today (board mode); a Graph then spikes at
        V >= threshold, as `load` has it there, whatever its comparison was
    options : of all stages, by their names there: `reset`, `dt`, ... of load; `percentile`, `bits`, ... of PTQ;
        `calibration`, `arithmetic` of quantize; `onset`, `loops`, ... of compile; `record`, `threads` of run

    Raises
    ------
    S2NirError
        the first stage that cannot go on says why.
    """
    stages = by_stage(options, src)
    graph, network, image = made(src, like, stages)
    recording = run(image, spikes, **stages.running)
    return Deployment(graph=graph, network=network, image=image, recording=recording, report=report(recording))


def made(src: Any, like: str | None, stages: Stages) -> tuple[Graph, Network, MachineImage]:
    """From a source to its image, as `deploy` goes."""
    loading, compiling, scheme = dict(stages.loading), dict(stages.compiling), PTQ(**stages.scheming)
    if like == BOARD:
        loading.setdefault("compare", ">=")
        compiling.setdefault("onset", "board")
        scheme = dataclasses.replace(PTQ.board(), **stages.scheming)
    elif like is not None:
        raise S2NirError(f"like: found {like!r}, allowed {BOARD!r} or None")
    graph = src if isinstance(src, Graph) else load(src, **loading)
    if like == BOARD:
        if isinstance(src, Graph):
            graph = _compared(graph, Compare.GREATER_EQUAL)
        board_faults(graph)
    network = quantize(graph, scheme, **stages.quantizing)
    return graph, network, compile(network, **compiling)


def _compared(graph: Graph, compare: Compare) -> Graph:
    populations = (dataclasses.replace(p, compare=compare) if p.spikes else p for p in graph.populations)
    return dataclasses.replace(graph, populations=tuple(populations))


class Stages(NamedTuple):
    """Options by the stage that takes them: load, PTQ, quantize, compile, run."""

    loading: dict[str, Any]
    scheming: dict[str, Any]
    quantizing: dict[str, Any]
    compiling: dict[str, Any]
    running: dict[str, Any]


def by_stage(options: Mapping[str, Any], src: Any) -> Stages:
    """Options by stage; one that no stage has is refused."""
    names = [
        set() if isinstance(src, Graph) else set(inspect.signature(load).parameters) - {"src"},
        {f.name for f in dataclasses.fields(PTQ)},
        set(inspect.signature(quantize).parameters) - {"graph", "scheme"},
        set(inspect.signature(compile).parameters) - {"network"},
        set(inspect.signature(run).parameters) - {"image", "spikes", "record"},
    ]
    found: list[dict[str, Any]] = [{} for _ in names]
    for name, value in options.items():
        stages = [i for i, known in enumerate(names) if name in known]
        if name == "record":  # room on the cores is compile's, what the emulator keeps is run's
            stages = [4]
        if name == "loops":  # the float run must take the same hops
            stages = [0, 3] if not isinstance(src, Graph) else [3]
        if not stages:
            known = sorted(set().union(*names) | {"record"})
            near = meant(name, known)
            raise S2NirError(f"deploy: no stage has an option {name!r}{near or '; there are ' + ', '.join(known)}")
        for i in stages:
            found[i][name] = value
    return Stages(*found)
