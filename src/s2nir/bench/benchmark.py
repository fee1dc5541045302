"""A benchmark from nothing to its table: frames, trainings, rows, results; each piece is kept, so a killed one goes on.

In the folder: `plan.json` (what is run), `frames-*.npz`, `seed0/*.pt` (checkpoints), `seed0/rows/*.json`, and in the
end `results.json`, `results.html` and `results.png`.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..errors import InputError, S2NirError
from ..files import json_object, write_whole
from ..frontend import from_snntorch
from ..graph import Graph
from ..quantize import QAT
from .networks import NETWORKS
from .presets import Preset
from .rows import KEPT, KEPT_OF_INTEGERS, Row, immediate, in_floats, in_integers, network_of, rows
from .sets import Frames, Source
from .summary import summarize

CALIBRATION = 11  # training recordings that percentile="auto" is chosen on
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """What a benchmark says while it works.

    step : a line when a piece begins or ends; done : (finished, all) within a piece
    """

    step: Callable[[str], Any] = lambda words: None
    done: Callable[[int, int], Any] = lambda finished, total: None


def benchmark(
    source: Source, folder: Path, teller: Teller | None = None, device: str | None = None, jobs: int = 1
) -> dict[str, Any]:
    """Run what is not there yet, write the results, and return them.

    source : the preset and where its recordings come from
    folder : made where it is not there; one that holds another benchmark is refused
    device : "cpu" or "cuda" for training and PyTorch; None takes a GPU where there is one
    jobs : seeds at once, each in a process of its own; changes no figure, nor does the number of cores

    Raises
    ------
    InputError
        where the recordings or the device are not there, or the folder holds another benchmark or is a file.
    """
    teller = teller or Teller()
    device = _device(device)
    _plan(source, folder)
    p = source.preset
    sets: dict[str, Frames] = {}
    for split in ("train", "validation", "test"):
        teller.step(f"frames of {source.said}: {split}")
        sets[split] = source.frames(split, folder, teller.done)
    _all_seeds(source, folder, sets, teller, device, jobs)
    results = summarize(source, _facts(device), _read(folder, p))
    write_whole(folder / "results.json", lambda f: f.write((json.dumps(results, indent=1) + "\n").encode()))
    _pictures(results, folder, teller)
    return results


def _all_seeds(
    source: Source, folder: Path, sets: dict[str, Frames], teller: Teller, device: str, jobs: int
) -> None:
    seeds = range(source.preset.seeds)
    if jobs < 1:
        raise InputError(f"jobs: found {jobs}, allowed from 1")
    if min(jobs, len(seeds)) == 1:
        for seed in seeds:
            with _one_thread():
                _Seed(source, folder / f"seed{seed}", seed, sets, teller, device).run()
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_one_seed, source, folder, seed, device) for seed in seeds]):
            teller.step(f"seed {done.result()}: all rows are there")


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread: sums over several come out in another order, and a training goes another way."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _one_seed(source: Source, folder: Path, seed: int, device: str) -> int:
    """A seed in a process of its own; it reads the frames again, tells its steps on stderr, ends with its parent."""
    parent = os.getppid()

    def alive() -> None:
        if os.getppid() != parent:
            raise SystemExit("the benchmark was killed")

    def step(words: str) -> None:
        alive()
        print(words, file=sys.stderr, flush=True)

    teller = Teller(step=step, done=lambda finished, total: alive())
    sets = {split: source.frames(split, folder, teller.done) for split in ("train", "validation", "test")}
    with _one_thread():
        _Seed(source, folder / f"seed{seed}", seed, sets, teller, device).run()
    return seed


def _pictures(results: dict[str, Any], folder: Path, teller: Teller) -> None:
    from .figure import figure
    from .page import page

    picture = figure(results)
    if picture is None:
        teller.step("matplotlib is not installed: no figure (pip install s2nir[viz])")
    else:
        write_whole(folder / "results.png", lambda f: f.write(picture))
    write_whole(folder / "results.html", lambda f: f.write(page(results, picture).encode()))


def _plan(source: Source, folder: Path) -> None:
    """Remember what the folder holds; refuse another benchmark's."""
    plan = {"schema": SCHEMA, "data": source.said, **source.preset.to_dict(), **source.found()}
    _make(folder)
    kept = folder / "plan.json"
    if kept.exists():
        found = json_object(kept.read_text(), str(kept), "Remove the folder, or use another.")
        differs = sorted(k for k in plan.keys() | found.keys() if plan.get(k) != found.get(k) and k != "seeds")
        if differs:
            raise InputError(f"{folder}: holds another benchmark ({', '.join(differs)} differ). Use another folder.")
    elif any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty and holds no benchmark. Use another folder.")
    write_whole(kept, lambda f: f.write((json.dumps(plan, indent=1) + "\n").encode()))


def _make(folder: Path) -> None:
    """Make a folder, and those that it lies in.

    Raises
    ------
    InputError
        where one of them is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(path for path in (folder, *folder.parents) if path.exists())
        raise InputError(f"{file}: is a file, needed a folder. Name another one, or move the file away.") from None


class _Seed:
    """All trainings and rows of one seed."""

    def __init__(
        self, source: Source, folder: Path, seed: int, sets: dict[str, Frames], teller: Teller, device: str
    ) -> None:
        self.source, self.folder, self.seed, self.sets = source, folder, seed, sets
        self.teller, self.device, self.p = teller, device, source.preset
        self.shape = tuple(sets["test"][0].shape[2:])
        _make(folder / "rows")
        self._float: Any = None
        self._graph: Graph | None = None

    def run(self) -> None:
        for row in rows(self.p):
            kept = self.folder / "rows" / f"{row.name}.json"
            if kept.exists():
                continue
            began = time.perf_counter()
            answer = {"row": row.name, **self._row(row), "seconds": round(time.perf_counter() - began, 1)}
            write_whole(kept, lambda f, a=answer: f.write(json.dumps(a).encode()))  # type: ignore[misc]
            self.teller.step(f"seed {self.seed}, {row.name}: accuracy {answer['accuracy']:.4f} on "
                             f"{answer['recordings']} recordings")

    def _row(self, row: Row) -> dict[str, Any]:
        x, y = self.sets["test"]
        test = (x, y) if row.whole else (x[: self.p.grid], y[: self.p.grid])
        if row.kind == "longer":
            return self._longer(test)
        if row.kind == "qat":
            return self._qat(row, test)
        graph = self.graph()
        if row.integer:
            network = network_of(row, graph, self.sets["train"][0][:CALIBRATION])
            return in_integers(network, graph, test, self.p, self.teller.done)
        return in_floats(immediate(graph) if row.kind == "immediate" else graph, test, self.teller.done)

    def float_module(self) -> Any:
        if self._float is None:
            module = NETWORKS[self.p.dataset](self.seed)
            self._fit(module, "float", self.p.epochs, self.p.rate, self.p.anneal)
            self._float = module.cpu()
        return self._float

    def graph(self) -> Graph:
        if self._graph is None:
            self._graph = from_snntorch(self.float_module(), self.shape, dt=self.p.tick_us * 1e-6)
        return self._graph

    def _longer(self, test: Frames) -> dict[str, Any]:
        """The float network trained on with the same options as a quantized one."""
        module = NETWORKS[self.p.dataset](self.seed)
        module.load_state_dict(self.float_module().state_dict())
        history = self._fit(module, "longer", self.p.fine, self.p.fine_rate, True)
        graph = from_snntorch(module.cpu(), self.shape, dt=self.p.tick_us * 1e-6)
        return {**in_floats(graph, test, self.teller.done), "validation": history}

    def _qat(self, row: Row, test: Frames) -> dict[str, Any]:
        from ..train import convert, float_graph, prepare_qat

        module = prepare_qat(self.float_module(), QAT(bits=row.bits, per=row.per))
        history = self._fit(module, row.name, self.p.fine, self.p.fine_rate, True)
        module.cpu().eval()
        dt = self.p.tick_us * 1e-6
        network = convert(module, self.shape, dt=dt, max_count=1)
        graph = float_graph(module, self.shape, dt=dt)
        return {**in_integers(network, graph, test, self.p, self.teller.done, module), "validation": history}

    def _fit(self, module: Any, name: str, epochs: int, rate: float, anneal: bool) -> list[float]:
        from ..train import Fit

        checkpoint = self.folder / f"{name}.pt"
        if not checkpoint.exists():
            n = len(self.sets["train"][1])
            self.teller.step(f"seed {self.seed}, training {name}: {epochs} epochs on {n} recordings")

        def said(epoch: dict[str, float]) -> None:
            self.teller.step(f"seed {self.seed}, {name}, epoch {epoch['epoch'] + 1} of {epochs}: loss "
                             f"{epoch['loss']:.3f}, validation {epoch['validation']:.4f}")

        fit = Fit(epochs=epochs, batch=self.p.batch, rate=rate, anneal=anneal, clamp=self.p.clamp, seed=self.seed,
                  activity=self.p.activity)
        history = fit(module, self.sets["train"], self.sets["validation"], device=self.device,
                      checkpoint=checkpoint, progress=said)
        return [round(e["validation"], 4) for e in history.epochs]


def _read(folder: Path, preset: Preset) -> list[dict[str, dict[str, Any]]]:
    """By seed, what is kept of each row."""
    found = []
    for seed in range(preset.seeds):
        rows_of = folder / f"seed{seed}" / "rows"
        found.append({row.name: _row_of(rows_of / f"{row.name}.json", row) for row in rows(preset)})
    return found


def _row_of(path: Path, row: Row) -> dict[str, Any]:
    remedy = "Remove it, and the row is run again."
    kept = json_object(path.read_text(), str(path), remedy)
    missing = [name for name in (*KEPT, *(KEPT_OF_INTEGERS if row.integer else ())) if name not in kept]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}. {remedy}")
    return kept


def _device(asked: str | None) -> str:
    """The device that was asked for, once it is there; a GPU where there is one, where none was."""
    try:
        import torch
    except ImportError:
        raise S2NirError("bench: trains with PyTorch and snnTorch: pip install s2nir[train]") from None
    there = torch.cuda.is_available()
    if asked not in (None, "cpu", "cuda"):
        raise InputError(f"device: found {asked!r}, allowed 'cpu', 'cuda' or None")
    if asked == "cuda" and not there:
        raise InputError("device: found 'cuda', and PyTorch sees no GPU here. Pass cpu, or leave it out.")
    return asked or ("cuda" if there else "cpu")


def _facts(device: str) -> dict[str, Any]:
    """What the figures were made with."""
    versions = {"python": platform.python_version()}
    for name in ("s2nir", "numpy", "torch", "snntorch", "numba"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {"device": device, "machine": platform.machine(), "versions": versions}


__all__ = ["Teller", "benchmark"]
