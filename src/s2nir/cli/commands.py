"""The commands: each takes the flags and a Console, and gives its answer as plain values and its exit code."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cost import explain
from ..emulate import EventTiming, Recording, queueing_text
from ..emulate import run as emulate
from ..errors import InputError, LoadError, QuantizeError, S2NirError
from ..export import export_py_spinnaker2
from ..files import write_whole
from ..frontend import contract_report, load
from ..graph import Graph
from ..machine import Faults, SpiNNaker2
from ..mapping import PLACERS, ROUTERS, MachineImage, Partition, compile
from ..quantize import PTQ, Network, board_faults
from ..quantize import quantize as to_integers
from ..report import Report, compare, decisions
from ..report import report as report_on
from .console import Console
from .labels import read_labels, right
from .parser import BOARD, FAILED, FITS, WrongUse
from .spikefiles import poisson, read_spikes, write_arrays
from .weights import PopulationWeights, weigh

Answer = tuple[dict[str, Any], int]
IMAGES = (".h5", ".hdf5", ".s2")
REPORTS = (".html", ".htm", ".json", ".txt")
WEIGHTS_HEAD = (
    "population", "weights", "largest", "over", "zero", "scale", "threshold", "weight error", "input error", "rate",
)


def check(args: argparse.Namespace, out: Console) -> Answer:
    """Contract, populations, projections, and a trial fit."""
    if is_image(args.file):
        return _check_image(args, out)
    found = contract_report(args.file, **loading(args))
    if args.like == BOARD and not args.compare:
        found = dataclasses.replace(found, entries=tuple(_by_board(e) for e in found.entries))
    out.say(str(found))
    answer: dict[str, Any] = {
        "file": args.file,
        "contract": [dataclasses.asdict(e) for e in found.entries],
        "populations": list(found.populations),
        "projections": list(found.projections),
        "notes": list(found.notes),
        "missing": [e.item for e in found.missing],
        "fits": None,
    }
    if found.missing:
        flags = {"--dt SECONDS" if e.item == "dt" else "--reset RESET" for e in found.missing}
        out.say(f"incomplete: {', '.join(answer['missing'])}; pass {' and '.join(sorted(flags))}")
        return answer, FAILED
    graph = load(args.file, **loading(args))
    answer["graph"] = _graph_values(graph)
    out.say(f"parameters\n  {answer['graph']['parameters']:,}, {answer['graph']['weights']:,} of them weights")
    try:
        network = _network(args, graph, _calibration(args, graph))
        answer["quantization"] = list(network.notes)
        image = _image(args, network)
    except (LoadError, InputError):
        raise
    except S2NirError as error:
        out.say(f"does not fit: {error}")
        return answer | {"fits": False, "why": {"kind": type(error).__name__, "message": str(error)}}, FAILED
    for note in image.notes:
        out.say(f"note: {note}")
    return answer | {"fits": True, "fit": _say_fit(image, out)}, FITS


def _by_board(entry: Any) -> Any:
    """An entry of the contract with board mode as its reason, where that is what passed it."""
    mine = entry.reason == "passed as compare="
    return dataclasses.replace(entry, reason=f"board mode, --like {BOARD}") if mine else entry


def quantize(args: argparse.Namespace, out: Console) -> Answer:
    """Scales, weights over the limit, dead populations and errors, by population."""
    no_image(args)
    graph = load(args.file, **loading(args))
    data = _calibration(args, graph)
    network = _network(args, graph, data)
    rows = weigh(graph, network, data)
    out.say(f"{network.scheme}, {network.arithmetic.value}, |w| <= {network.limit}")
    out.table(WEIGHTS_HEAD, [_weights_row(r) for r in rows], "integers")
    for note in network.notes:
        out.say(f"note: {note}")
    values = [dataclasses.asdict(r) for r in rows]
    answer = {
        "file": args.file, "network": network.digest, "graph": graph.digest, "scheme": network.scheme,
        "limit": network.limit, "arithmetic": network.arithmetic.value, "populations": values,
        "notes": list(network.notes),
    }
    return answer, FITS


def map(args: argparse.Namespace, out: Console) -> Answer:
    """Compile and save an image; or say what it takes of the machine."""
    no_image(args)
    if not args.output and not args.explain:
        raise WrongUse("give -o IMAGE to write, or --explain")
    if args.explain and args.copies is not None:
        raise WrongUse("--explain explains one copy; give --copies with -o alone")
    can_write(args.output, "an image", IMAGES)
    graph = load(args.file, **loading(args))
    network = _network(args, graph, _calibration(args, graph))
    answer: dict[str, Any] = {"file": args.file, "output": args.output}
    if args.explain:
        options = _mapping(args)
        for other in ("onset", "copies"):  # nothing hangs on the one; the other's first copy is explained
            del options[other]
        limits = explain(network, **options)
        out.say(str(limits))
        answer["limits"] = limits.to_dict()
        if not limits.fits or not args.output:
            return answer, FITS if limits.fits else FAILED
    image = _image(args, network)
    image.save(args.output)
    for note in image.notes:
        out.say(f"note: {note}")
    fit = _say_fit(image, out)
    out.say(f"written: {args.output}")
    return answer | {"image": image.digest, "fit": fit, "notes": list(image.notes)}, FITS


def run(args: argparse.Namespace, out: Console) -> Answer:
    """Run an image, or a network the whole way."""
    can_write(args.output)
    can_write(args.report, "a report", REPORTS)
    if is_image(args.file):
        _only_image_flags(args)
        image = MachineImage.load(args.file)
        spikes = _spikes(args, image.inputs, image.max_count)
    else:
        graph = load(args.file, **loading(args))
        spikes = _spikes(args, graph.inputs, args.max_count)
        image = _image(args, _network(args, graph, _calibration(args, graph)))
    labels = _labels(args, spikes, image)
    found = report_on(_recording(args, out, image, spikes))
    answer = _said_of_run(found, out)
    shares = {} if labels is None else right(answer["decisions"], labels)
    for output, share in shares.items():
        out.say(f"accuracy at {output}: {share:.2%} in integers")
    answer["accuracy"] = {output: {"integer": share} for output, share in shares.items()}
    if args.output:
        r = found.recording
        arrays = _Arrays(r)
        write_whole(Path(args.output), lambda f: write_arrays(f, arrays))
        out.say(f"written: {args.output}")
    if args.report:
        found.save(args.report)
        out.say(f"written: {args.report}")
    return {"file": args.file, "output": args.output, "report": args.report, **answer}, FITS


def report(args: argparse.Namespace, out: Console) -> Answer:
    """Run, compare with the float run, and write the page."""
    no_image(args)
    can_write(args.output, "a report", REPORTS)
    graph = load(args.file, **loading(args))
    spikes = _spikes(args, graph.inputs, args.max_count)
    image = _image(args, _network(args, graph, _calibration(args, graph)))
    labels = _labels(args, spikes, image)
    recording = _recording(args, out, image, spikes)
    with out.progress("compare", recording.batch) as done:
        fidelity = compare(graph, image, spikes, threads=args.threads, progress=done, labels=labels)
    found = report_on(recording, fidelity)
    out.say(str(found))
    if args.output:
        found.save(args.output)
        out.say(f"written: {args.output}")
    match = min((p.match for p in fidelity.populations if p.spikes), default=1.0)
    code = FITS
    if args.min_match is not None and match < args.min_match:
        code = FAILED
        out.message(f"s2nir report: {match:.4%} of a population's entries are alike, asked for {args.min_match:.4%}")
    accuracy = {output: {"float": a, "integer": b} for output, (a, b) in fidelity.accuracy.items()}
    answer = {"file": args.file, "output": args.output, "match": match, "accuracy": accuracy}
    return answer | {"report": found.to_dict()}, code


def export(args: argparse.Namespace, out: Console) -> Answer:
    """An image as a script for a board."""
    if not is_image(args.file) and Path(args.file).is_file():
        raise WrongUse(f"export: {args.file} is no image; make one with `s2nir map {args.file} -o model.s2.h5`")
    can_write(args.output, "a script", (".py",))
    image = MachineImage.load(args.file)
    spikes = named_spikes(args.spikes, image.inputs)
    made = export_py_spinnaker2(image, args.output, spikes, args.record, args.recording)
    out.say(str(made))
    data = str(Path(args.output).with_suffix(".npz"))
    out.say(f"written: {args.output}, {data}")
    populations = [
        {"population": p.name, "model": p.model, "neurons": p.size, "cap": p.cap, "cores": p.cores}
        for p in made.populations
    ]
    return {
        "file": args.file, "output": args.output, "data": data, "image": image.digest, "ticks": made.ticks,
        "cores": made.cores, "populations": populations, "spikes": {n: len(s) for n, s in made.spikes.items()},
    }, FITS


def bench(args: argparse.Namespace, out: Console) -> Answer:
    """A benchmark from nothing to its table; goes on where a killed one stopped."""
    from ..bench import HEAD, Source, Teller, benchmark, line, preset

    name = args.dataset or args.name
    source = Source(preset=preset(name, args.preset, args.seeds), root=args.data)
    folder = Path(args.output or f"s2nir-bench/{name}-{args.preset}")
    out.message(f"{source.said}, preset {args.preset}; kept in {folder}, where a killed run goes on")
    with out.steps() as (step, done):
        results = benchmark(source, folder, Teller(step=step, done=done), args.device, args.jobs)
    lines = [line(results, row) for row in results["rows"]]
    out.table(HEAD, lines, f"{results['data']}, preset {args.preset}, {results['plan']['seeds']} seed(s)")
    out.say(f"results: {folder / 'results.html'}")
    return {"folder": str(folder), **{k: results[k] for k in ("data", "synthetic", "rows", "gaps")}}, FITS


def demo(args: argparse.Namespace, out: Console) -> Answer:
    """The whole way on a network and events of our own."""
    made: dict[str, Any] = importlib.import_module("..demo", __package__).demo(Path(args.output), progress=out.message)
    answer = {k: str(v) if isinstance(v, Path) else v for k, v in made.items()}
    for key, value in answer.items():
        out.say(f"{key.replace('_', ' ')}: {value}")
    return answer, FITS


def is_image(path: str) -> bool:
    """Whether a file, or the index of a folder, says of itself that it is a machine image; it is not checked here."""
    import h5py

    folder = Path(path) / "index.h5"
    try:
        with h5py.File(folder if folder.is_file() else path, "r") as f:
            return "schema" in f.attrs and "digest" in f.attrs
    except Exception:  # h5py raises nearly every kind on a broken file; who reads it next says what is wrong
        return False


def _check_image(args: argparse.Namespace, out: Console) -> Answer:
    _only_image_flags(args)
    image = MachineImage.load(args.file)
    breaches = list(image.check())
    out.say("\n".join(["contract", *(f"  {line}" for line in image.contract)]))
    fit = _say_fit(image, out)
    for breach in breaches:
        out.say(f"breach: {breach}")
    answer = {
        "file": args.file, "image": image.digest, "contract": list(image.contract), "fits": not breaches, "fit": fit,
        "breaches": breaches,
    }
    return answer, FAILED if breaches else FITS


def no_image(args: argparse.Namespace) -> None:
    if is_image(args.file):
        raise WrongUse(f"{args.command}: {args.file} is an image; this command takes the NIR file that it came from")


def _only_image_flags(args: argparse.Namespace) -> None:
    """Refuse flags that an image has behind it."""
    flags = ("dt", "reset", "compare", "like", "bits", "percentile", "per", "calibration", "onset", "ticks", "copies")
    given = [f"--{n}" for n in flags if getattr(args, n) is not None] + (["--reset-late"] if args.reset_late else [])
    if given:
        raise WrongUse(f"{args.command}: {args.file} is an image, where {', '.join(given)} has been settled")


def loading(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `load`."""
    compares = _chosen(args.compare, "--compare")
    if compares is None and args.like == BOARD:
        compares = ">="
    return {
        "dt": args.dt, "reset": _chosen(args.reset, "--reset"), "compare": compares, "reset_late": args.reset_late,
        "integrator": args.integrator, "loops": args.loops, "max_bytes": args.max_bytes,
    }


def _chosen(pairs: Sequence[tuple[str | None, str]] | None, flag: str) -> Any:
    """One value for all, or a dict by population."""
    if not pairs:
        return None
    names = [name for name, _ in pairs]
    if names == [None]:
        return pairs[0][1]
    if None in names or len(set(names)) < len(names):
        raise WrongUse(f"{flag}: give one value for all, or NAME=VALUE once for each population")
    return dict(pairs)


def _calibration(args: argparse.Namespace, graph: Graph) -> Any:
    if args.calibration is not None:
        return named_spikes(args.calibration, graph.inputs)
    if args.percentile == "auto":
        raise QuantizeError("--percentile auto needs data to choose on: pass --calibration FILE")
    return None


def named_spikes(path: str, inputs: Sequence[Any]) -> Any:
    """Spikes from a file, whose names are those of the inputs."""
    found = read_spikes(path)
    names = sorted(p.name for p in inputs)
    plain = all(n.isidentifier() for n in names)
    given = ", ".join(f"{n}=..." if plain else f"{n!r}: ..." for n in names)
    call = f"numpy.savez({path!r}, {given})" if plain else f"numpy.savez({path!r}, **{{{given}}})"
    if isinstance(found, dict) and sorted(found) != names:
        alone = " A .npy needs no name." if len(names) == 1 else ""
        held = ", ".join(repr(n) for n in sorted(found))
        raise InputError(
            f"{path}: holds {held}, needed an array for each input of the network: "
            f"{', '.join(repr(n) for n in names)}. Write it with {call}.{alone}"
        )
    if not isinstance(found, dict) and len(names) > 1:
        raise InputError(f"{path}: holds one array, the network has {len(names)} inputs. Write a .npz with {call}.")
    return found


def _labels(args: argparse.Namespace, spikes: Any, image: MachineImage) -> Any:
    if args.labels is None:
        return None
    sizes = {output: image[name].size for output, name in image.outputs.items() if image[name].spikes}
    return read_labels(args.labels, _batch(spikes, image), sizes)


def can_write(path: str | None, what: str = "", endings: tuple[str, ...] = ()) -> None:
    """Say before a long run what would else be said after it."""
    if path is None:
        return
    if endings and Path(path).suffix.lower() not in endings and not Path(path).is_dir():
        raise WrongUse(f"{path}: {what}'s name ends in {', '.join(endings)}")
    if not Path(path).parent.is_dir():
        raise InputError(f"{path}: there is no folder {str(Path(path).parent)!r} to write into")


def _network(args: argparse.Namespace, graph: Graph, calibration: Any) -> Network:
    given = {n: getattr(args, n) for n in ("bits", "percentile", "per") if getattr(args, n) is not None}
    scheme = PTQ(**given)
    if args.like == BOARD:
        board_faults(graph)
        scheme = dataclasses.replace(PTQ.board(), **given)
    return to_integers(graph, scheme, calibration=calibration, arithmetic=args.arithmetic)


def _image(args: argparse.Namespace, network: Network) -> MachineImage:
    return compile(network, **_mapping(args))


def _mapping(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of compile."""
    cut = {n: getattr(args, n) for n in ("tick", "share") if getattr(args, n) is not None}
    return {
        "machine": _machine(args), "application": args.application, "loops": args.loops, "ticks": args.ticks,
        "onset": args.onset or ("board" if args.like == BOARD else "aligned"), "record": args.record,
        "max_count": args.max_count, "max_relays": args.max_relays, "window": args.window,
        "partition": Partition(**cut), "place": PLACERS[args.place]() if args.place else None,
        "route": ROUTERS[args.route](), "minimise": args.minimise,
        "copies": 1 if args.copies is None else args.copies,
    }


def _machine(args: argparse.Namespace) -> SpiNNaker2:
    faults = Faults() if args.faults is None else Faults.load(args.faults)
    return SpiNNaker2(boards=args.boards, faults=faults, rows=args.rows)


def _spikes(args: argparse.Namespace, inputs: Sequence[Any], max_count: int) -> Any:
    if args.input is not None:
        return named_spikes(args.input, inputs)
    return poisson(inputs, args.poisson, args.steps, args.seed, max_count)


def _recording(args: argparse.Namespace, out: Console, image: MachineImage, spikes: Any) -> Recording:
    with out.progress("run", _batch(spikes, image)) as done:
        return emulate(image, spikes, threads=args.threads, progress=done, timing=_timing(args))


def _timing(args: argparse.Namespace) -> EventTiming | None:
    """The `timing=` of a run."""
    given = {n: getattr(args, n) for n in ("tick", "fifo", "overflow") if getattr(args, n, None) is not None}
    if args.timing is None:
        if wrong := [f"--{n}" for n in given if n != "tick"]:
            raise WrongUse(f"{args.command}: {', '.join(wrong)} goes with --timing event")
        return None
    return EventTiming(**given)


def _batch(spikes: Any, image: MachineImage) -> int:
    """Recordings in the input; what is wrong with the input `run` says."""
    p = image.inputs[0]
    array = spikes[p.name] if isinstance(spikes, dict) else spikes
    for form in (p.shape, (p.size,)):
        if array.ndim == len(form) + 2 and array.shape[2:] == form:
            return int(array.shape[0])
    return 1


def _said_of_run(found: Report, out: Console) -> dict[str, Any]:
    facts = found.to_dict()
    run, traffic = facts["run"], facts["traffic"]
    rows = [
        (p["population"], f"{p['neurons']:,}", f"{p['spikes']:,}", f"{p['rate']:.5f}",
         "-" if p["rate_hz"] is None else f"{p['rate_hz']:,.1f}")
        for p in facts["populations"]
    ]
    words = f"{run['recordings']} x {run['steps']} steps, {traffic['packets_sent']:,} packets"
    out.table(("population", "neurons", "spikes", "per neuron and step", "Hz"), rows, words)
    for output, chosen in facts["decisions"].items():
        out.say(f"decisions at {output}: {decisions(chosen)}")
    for output, span in facts["readouts"].items():
        out.say(f"readout {output}: {span['min']:.6g}..{span['max']:.6g}")
    for line in queueing_text(facts["queueing"]) if facts["queueing"] else ():
        out.say(line)
    keys = ("ticks_over_fifo", "packets_sent", "synaptic_events")
    return {
        "image": facts["image"], **run, "populations": facts["populations"], "decisions": facts["decisions"],
        "readouts": facts["readouts"], **{k: traffic[k] for k in keys}, "saturations": facts["saturations"],
        "queueing": facts["queueing"],
    }


class _Arrays(dict[str, Any]):
    """Spikes by population and readouts as "readout:NAME"; each array is built when it is written."""

    def __init__(self, r: Recording) -> None:
        self.r = r
        super().__init__(dict.fromkeys(r.spikes) | {f"readout:{o}": None for o in r.readout})

    def __getitem__(self, name: str) -> Any:
        spiking = self.r.spikes
        return spiking[name] if name in spiking else self.r.readout[name.removeprefix("readout:")]


def _say_fit(image: MachineImage, out: Console) -> dict[str, Any]:
    fit = image.fit()
    rows = [
        (r["population"], r["application"], f"{r['neurons']:,}", str(r["cores"]), str(r["neurons_per_core"]),
         f"{r['bytes']:,} of {r['window']:,}", str(r["lag"]))
        for r in fit
    ]
    used = sum(c.used for c in image.cores)
    entries = sum(t.entries for t in image.tables.values())
    words = (f"fits on {image.neuron_cores} of {image.machine.cores} cores and {len(image.cores) - image.neuron_cores} "
             f"for input, {used:,} bytes of SRAM, {entries:,} routing entries")
    if image.copies > 1:
        words += f"; x {image.copies:,} copies of what follows"
    out.table(("population", "application", "neurons", "cores", "per core", "bytes", "lag"), rows, words)
    return {
        "populations": fit, "cores": len(image.cores), "cores_neurons": image.neuron_cores,
        "cores_usable": image.machine.cores, "sram_bytes": used, "routing_entries": entries, "lag": image.lag,
        "copies": image.copies,
    }


def _graph_values(graph: Graph) -> dict[str, Any]:
    """The network as plain values, with parameter counts."""
    populations: list[dict[str, Any]] = [
        {
            "name": p.name, "node": p.node, "shape": list(p.shape), "neurons": p.size,
            "parameters": sum(v.size for v in values if isinstance(v, np.ndarray)),
        }
        for p in graph.populations
        for values in [[getattr(p, f.name) for f in dataclasses.fields(p)]]
    ]
    projections = [
        {
            "source": q.source, "target": q.target, "kind": type(q.connection).__name__.lower(), "via": list(q.via),
            "weights": int(q.connection.weight.size), "delay": q.delay,
        }
        for q in graph.projections
    ]
    weights = sum(q.connection.weight.size for q in graph.projections)
    return {
        "digest": graph.digest, "dt": graph.dt, "outputs": dict(graph.outputs), "populations": populations,
        "projections": projections, "weights": weights,
        "parameters": weights + sum(p["parameters"] for p in populations),
    }


def _weights_row(r: PopulationWeights) -> tuple[str, ...]:
    def error(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    span = f"{r.scale[0]:.6g}" if r.scale[0] == r.scale[1] else f"{r.scale[0]:.6g}..{r.scale[1]:.6g}"
    threshold = "-" if r.threshold is None else f"{r.threshold[0]:.6g}"
    if r.threshold is not None and r.threshold[0] != r.threshold[1]:
        threshold += f"..{r.threshold[1]:.6g}"
    name = f"{r.population} (dead)" if r.dead else r.population
    return (
        name, f"{r.weights:,}", str(r.largest), f"{r.over:,}", f"{r.zero:,}", span, threshold, error(r.weight_error),
        error(r.input_error), "-" if r.rate is None else f"{r.rate:.5f}",
    )
