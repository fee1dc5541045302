"""One graph and one data set under many options: a table of what each costs and is worth, in a file that can go on."""

from __future__ import annotations

import itertools
import json
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import listener, path_of, shown
from ..errors import InputError, S2NirError, S2NirWarning, needs
from ..files import json_object, write_whole
from ..graph import Graph
from ..mapping import MachineImage
from ..pipeline import BOARD, by_stage, made
from ..report import table
from ..values import digest
from .dataset import Dataset, dataset
from .evaluation import serially
from .workers import each, workers

SCHEMA = 1
OURS = ("threads", "progress", "record", "into")  # of `run` and `compile`; here they have no meaning, or another
_making = threading.Lock()  # warnings are silenced for all threads at once
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The rows of a sweep, in the order of its points; `str(sweep)` is a table.

    A row is {"options", "fits": True, "image", "accuracy", "spikes", "rates", "packets", "synaptic_events", "cores",
    "sram_bytes", "lag", "notes"}, accuracy by Output, spikes and rates by population; or, where a stage refuses the
    options, {"options", "fits": False, "error", "rule", "why"}: the error's class, rule and message.
    """

    rows: tuple[Row, ...]

    def to_json(self) -> str:
        """The rows, a line each."""
        return "".join(json.dumps(row) + "\n" for row in self.rows)

    def lines(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The table in words: its head, and its rows."""
        names = list(dict.fromkeys(n for row in self.rows for n in row["options"]))
        outputs = list(dict.fromkeys(o for row in self.rows for o in row.get("accuracy", {})))
        head = (*names, *(f"accuracy {o}" for o in outputs), "spikes", "cores", "SRAM bytes", "fits")
        return head, [_line(row, names, outputs) for row in self.rows]

    def __str__(self) -> str:
        return "\n".join([f"{len(self.rows)} points", *(f"  {line}" for line in table(*self.lines()))])


def _line(row: Row, names: list[str], outputs: list[str]) -> tuple[str, ...]:
    options = [str(row["options"].get(n, "-")) for n in names]
    if not row["fits"]:
        return (*options, *("-" for _ in outputs), "-", "-", "-", f"{row['error']}: {row['rule'] or row['why']}")
    shares = [f"{100 * row['accuracy'][o]:.2f} %" if o in row["accuracy"] else "-" for o in outputs]
    return (*options, *shares, f"{sum(row['spikes'].values()):,}", str(row["cores"]), f"{row['sram_bytes']:,}", "yes")


def sweep(
    graph: Graph,
    dataset: Any,
    points: Mapping[str, Sequence[Any]] | Iterable[Mapping[str, Any]],
    client: Any = None,
    *,
    threads: int | None = None,
    frames: Mapping[str, Any] | None = None,
    like: str | None = None,
    file: Any = None,
    progress: Callable[[int], Any] | None = None,
    **options: Any,
) -> Sweep:
    """Quantize, compile and evaluate a graph at many points, each a task of its own.

    points : {option: values}, of which every combination is a point, the last option changing fastest; or the points
        themselves, {option: value} each. Options of PTQ, quantize and compile, and `noise`
    dataset, client, frames : as for `s2nir.evaluate`; each worker is sent graph and data once
    threads : points at once in this process; by default one, since their stages take turns
    like : as for `s2nir.deploy`
    file : a path, where rows are kept as lines of JSON: the same sweep again goes on where it was stopped
    progress : called with the number of rows that are there
    options : the same for all points

    A point that a stage refuses, such as a network that does not fit, is a row that says why.

    Raises
    ------
    InputError
        where the data do not fit the graph, or the file holds another sweep.
    S2NirError
        where no stage has an option.
    """
    needs(graph, Graph, "sweep", "Load one with s2nir.load(path, reset=...).")
    if like not in (None, BOARD):
        raise S2NirError(f"like: found {like!r}, allowed {BOARD!r} or None")
    tell = listener(progress, "progress")
    by_key = {_key(point): point for point in _points(points)}
    for point in by_key.values():
        _known({**options, **point}, graph)
    data = _data(graph, dataset, frames)
    kept = _Kept(file, graph, data, like, options, list(by_key))
    todo = [key for key in by_key if key not in kept.rows]
    with workers(client, 1 if client is None and threads is None else threads) as by:
        if todo:
            shared = by.share((graph, data, like, options))
            for place, row in each(by, one_point, ((shared, by_key[key]) for key in todo)):
                kept.add(todo[place], row)
                tell(len(by_key.keys() & kept.rows.keys()))
    return Sweep(rows=tuple(kept.rows[key] for key in by_key))


def _points(points: Any) -> list[Mapping[str, Any]]:
    """The points, in order."""
    if isinstance(points, Mapping):
        for name, values in points.items():
            if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or not len(values):
                raise InputError(f"points[{name!r}]: found {shown(values)}, needed the values to try, as [8, 4]")
        return [dict(zip(points, values, strict=True)) for values in itertools.product(*points.values())]
    if not isinstance(points, Sequence) or not points or not all(isinstance(p, Mapping) for p in points):
        raise InputError(f"points: found {shown(points)}, needed {{option: values}} or a list of {{option: value}}")
    return list(points)


def _known(point: Mapping[str, Any], graph: Graph) -> None:
    for name in point:
        if name in OURS:
            raise InputError(f"sweep: {name!r} is no option of a point")
    by_stage(point, graph)


def _data(graph: Graph, given: Any, framing: Any) -> Dataset:
    outputs = {o: graph[n].size for o, n in graph.outputs.items() if graph[n].spikes}
    return dataset(given, graph.inputs, graph.dt, outputs, framing)


def one_point(shared: tuple[Graph, Dataset, str | None, Mapping[str, Any]], point: Mapping[str, Any]) -> Row:
    """A task: the row of a point, without its options. Pure, as `one_piece`."""
    graph, data, like, options = shared
    stages = by_stage({**options, **point}, graph)
    try:
        with _making, warnings.catch_warnings():
            warnings.simplefilter("ignore", S2NirWarning)  # the notes say the same
            _, network, image = made(graph, like, stages)
        found = serially(image, data, **stages.running).to_dict()
    except S2NirError as error:
        return {"fits": False, "error": type(error).__name__, "rule": error.rule, "why": str(error)}
    kept = ("image", "accuracy", "spikes", "rates", "packets", "synaptic_events")
    return {"fits": True, **{k: found[k] for k in kept}, **_fit(image), "notes": [*network.notes, *image.notes]}


def _fit(image: MachineImage) -> Row:
    return {"cores": image.neuron_cores, "sram_bytes": sum(c.used for c in image.cores), "lag": image.lag}


def _key(point: Mapping[str, Any]) -> str:
    """A point as JSON: plain values as they are, stages and machines as they print."""
    return json.dumps({name: _plain(value) for name, value in point.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    try:
        return repr(value) if len(repr(value)) <= 200 else f"{type(value).__name__} {digest(value)[:12]}"
    except TypeError:
        return repr(value)


class _Kept:
    """Rows by point, in memory and in a file that is written whole after each of them."""

    def __init__(
        self, file: Any, graph: Graph, data: Dataset, like: str | None, options: Mapping[str, Any], order: list[str]
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.path, self.order = None if file is None else path_of(file, "sweep.file"), order
        self.head = {"kind": "s2nir sweep", "schema": SCHEMA, "graph": graph.digest, "data": data.digest, "like": like,
                     "options": _plain(options)}
        if self.path is not None and self.path.exists():
            self._read(self.path)

    def _read(self, path: Path) -> None:
        remedy = "Remove it, or name another file."
        try:
            lines = path.read_text().splitlines() or [""]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error}). {remedy}") from None
        head, *rows = (json_object(line, f"{path}, line {i}", remedy) for i, line in enumerate(lines, 1))
        differs = sorted(k for k in self.head.keys() | head.keys() if self.head.get(k) != head.get(k))
        if differs:
            raise InputError(f"{path}: holds another sweep ({', '.join(differs)} differ). Name another file.")
        for i, row in enumerate(rows, 2):
            if "options" not in row or "fits" not in row:
                raise InputError(f"{path}, line {i}: is no row of a sweep. {remedy}")
            self.rows[json.dumps(row["options"])] = row

    def add(self, key: str, row: Row) -> None:
        self.rows[key] = json.loads(json.dumps({"options": json.loads(key), **row}))  # as it would be read again
        if self.path is not None:
            known = [k for k in self.order if k in self.rows]
            lines = [self.head, *(self.rows[k] for k in dict.fromkeys([*known, *self.rows]))]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            write_whole(self.path, lambda f: f.write(text.encode()))
