"""Float against integer, population by population: how far apart they are, and where they first part."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import listener
from ..emulate import Recording, run
from ..errors import InputError, S2NirWarning, needs
from ..events import Arrays, to_arrays
from ..graph import Conv, Graph, Loops, Population, Reset, Ruled, Sparse, Trace, simulate, timing
from ..mapping import MachineImage

PIECE = 1 << 24  # values (steps x neurons) compared at once


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationFidelity:
    """One population, over all recordings.

    match : share of (step, neuron) entries that are alike, silent ones too; shared : share of the spikes of either run
        that both have, 1 where there are none; rate_float, rate_int : spikes per neuron and step
    rate_error : (int - float) / float, 0 where neither spikes
    membrane_error : root mean square difference of membranes over the threshold (over the largest |V| for a readout)
    first : (recording, step) of the first difference in spikes, None where there is none
    """

    name: str
    spikes: bool
    match: float
    shared: float
    rate_float: float
    rate_int: float
    rate_error: float
    membrane_error: float
    first: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where the two runs first part.

    recording, step, neuron : the place; v_float, v_int : membranes as they were compared, in units of the Graph
    cause : of this difference alone: "lag", "bias path", "equality at threshold", "reset contract", "clipping" or
        "rounding"; why : the sentence behind it
    """

    population: str
    recording: int
    step: int
    neuron: tuple[int, ...]
    fired_float: bool
    fired_int: bool
    v_float: float
    v_int: float
    threshold: float
    cause: str
    why: str

    def __str__(self) -> str:
        did = {True: "spikes", False: "does not"}
        return (
            f"population {self.population}, neuron {self.neuron}, recording {self.recording}, step {self.step}: float "
            f"{did[self.fired_float]} (V {self.v_float:.6g}), integer {did[self.fired_int]} (V {self.v_int:.6g}), "
            f"threshold {self.threshold:.6g}; likely cause of this one: {self.cause}, {self.why}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """populations in the order of the data; divergence : the first one, None where all spikes agree
    decisions : share of recordings with the same most active neuron, by spiking output
    accuracy : (float, integer) share of recordings decided as labelled, by spiking output; empty without labels
    """

    populations: tuple[PopulationFidelity, ...]
    divergence: Divergence | None
    decisions: dict[str, float]
    recordings: int
    steps: int
    accuracy: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        from dataclasses import asdict

        return asdict(self)

    def __str__(self) -> str:
        lines = [f"float against integer, recordings: {self.recordings}, steps: {self.steps}"]
        for p in self.populations:
            if p.spikes:
                lines.append(
                    f"  {p.name}: {p.match:.4%} of entries alike, {p.shared:.2%} of spikes in both, rate "
                    f"{p.rate_float:.5f} -> {p.rate_int:.5f} ({p.rate_error:+.2%}), membrane error "
                    f"{p.membrane_error:.4f}")
            else:
                lines.append(f"  {p.name}: readout, membrane error {p.membrane_error:.4f}")
        for output, share in self.decisions.items():
            lines.append(f"  decisions at {output}: {share:.2%} alike")
        for output, (a, b) in self.accuracy.items():
            lines.append(f"  accuracy at {output}: {a:.2%} in floats, {b:.2%} in integers")
        lines.append(f"  first: {self.divergence}" if self.divergence else "  all spikes are alike")
        return "\n".join(lines)


def compare(
    graph: Graph, image: MachineImage, spikes: Any, threads: int = 1, progress: Any = None, labels: Any = None
) -> Fidelity:
    """Run a Graph in floats and its image on the emulator, and say where they part.

    labels : int (recordings), the neuron that each one should excite most; gives `Fidelity.accuracy`

    Raises
    ------
    InputError
        where the image was not made from this graph's populations.
    """
    needs(graph, Graph, "compare", "Its arguments are graph, image, spikes.")
    needs(image, MachineImage, "compare", "Its arguments are graph, image, spikes.")
    tell = listener(progress, "progress")
    if image.provenance.get("graph") != graph.digest:
        warnings.warn("compare: the image was made from a Graph of another digest; its contract or weights may differ",
                      S2NirWarning, stacklevel=2)
    if image.provenance.get("loops") == "machine":
        graph = replace(graph, loops=Loops.MACHINE)
    order = [n for n in timing(graph).order if not graph[n].is_input]
    if {p.name for p in image.populations if p.kind == "neurons"} != set(order):
        raise InputError("compare: the image has other populations than the graph; give the graph it was made from")
    sums = {name: _Sum(graph[name]) for name in order}
    given = to_arrays(spikes, {p.name: p.shape for p in graph.inputs}, graph.dt)
    batch, steps = given.batch, given.steps
    decided = {o: _Decisions(batch, labels, o, graph[n].size) for o, n in graph.outputs.items() if graph[n].spikes}
    first: tuple[int, int, int] | None = None
    found: Divergence | None = None
    done = 0
    for lo, part in _parts(graph, given):
        trace = simulate(graph, part, ("spikes", "voltages", "potentials"))
        recording = run(image, part, ("spikes", "voltages", "potentials"), threads=threads)
        for place, name in enumerate(order):
            where = sums[name].add(trace, recording, lo)
            if where is not None and (first is None or (where[0], place) < first[:2]):
                first = (where[0], place, where[1])
                found = _divergence(graph, image, name, trace, recording, where, lo)
        for output, both in decided.items():
            name = graph.outputs[output]
            both.add(lo, trace.decisions(name), recording.decisions(name))
        done += recording.batch
        tell(done)
    return Fidelity(
        populations=tuple(s.result() for s in sums.values()),
        divergence=found,
        decisions={o: both.alike() for o, both in decided.items()},
        recordings=batch,
        steps=steps,
        accuracy={} if labels is None else {o: both.right() for o, both in decided.items()},
    )


class _Decisions:
    """Float and integer decisions at one Output."""

    def __init__(self, batch: int, labels: Any, output: str, neurons: int) -> None:
        self.both = np.zeros((2, batch), np.int64)
        self.labels: NDArray[Any] | None = None
        if labels is None:
            return
        try:
            found = self.labels = np.asarray(labels)
        except ValueError as error:
            raise InputError(f"labels: needed {batch} whole numbers ({error})") from None
        if found.shape != (batch,) or found.dtype.kind not in "iu":
            raise InputError(f"labels: found {found.dtype} {found.shape}, needed {batch} whole numbers")
        if batch and not 0 <= found.min() <= found.max() < neurons:
            raise InputError(
                f"labels: found {found.min()}..{found.max()}, {output} has neurons 0..{neurons - 1}; count from 0"
            )

    def add(self, lo: int, floats: NDArray[np.int64], integers: NDArray[np.int64]) -> None:
        self.both[:, lo : lo + floats.size] = floats, integers

    def alike(self) -> float:
        return float((self.both[0] == self.both[1]).mean())

    def right(self) -> tuple[float, float]:
        a, b = (self.both == self.labels).mean(axis=1)
        return float(a), float(b)


def _parts(graph: Graph, given: Arrays) -> Iterator[tuple[int, Arrays]]:
    """The input in pieces of recordings that keep memory bounded."""
    size = max(1, PIECE // (given.steps * sum(p.size for p in graph.populations)))
    for lo in range(0, given.batch, size):
        yield lo, given.part(lo, lo + size)


class _Sum:
    """Sums over recordings for one population."""

    def __init__(self, p: Population) -> None:
        self.p = p
        self.entries = self.alike = self.float_spikes = self.int_spikes = self.both = 0
        self.square = self.peak = 0.0
        self.first: tuple[int, int] | None = None

    def add(self, trace: Trace, recording: Recording, lo: int) -> tuple[int, int] | None:
        """Add a piece; returns (step, recording) of its first difference."""
        name = self.p.name
        v = trace.voltages[name]
        w = recording.voltages[name].astype(np.float64)
        unit = self.p.full("threshold").reshape(self.p.shape) if self.p.spikes else np.ones(())
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.where(unit == 0, v - w, (v - w) / unit)
        self.square += float(np.square(off).sum())
        self.peak = max(self.peak, float(np.abs(v).max(initial=0)))
        self.entries += v.size
        if not self.p.spikes:
            return None
        a, b = trace.spikes[name], recording.spikes[name]
        different = (a != b).reshape(*a.shape[:2], -1)
        self.alike += a.size - int(different.sum())
        self.float_spikes += int(a.sum())
        self.int_spikes += int(b.sum())
        self.both += int(np.minimum(a, b).sum())
        by_step = different.any(axis=2)
        if not by_step.any():
            return None
        step = int(np.flatnonzero(by_step.any(axis=0))[0])
        which = int(np.flatnonzero(by_step[:, step])[0])
        if self.first is None or step < self.first[1]:
            self.first = (lo + which, step)
        return step, which

    def result(self) -> PopulationFidelity:
        n, p = max(1, self.entries), self.p
        either = self.float_spikes + self.int_spikes - self.both
        error = np.sqrt(self.square / n)
        if self.float_spikes:
            rate_error = (self.int_spikes - self.float_spikes) / self.float_spikes
        else:
            rate_error = 0.0 if not self.int_spikes else float("inf")
        return PopulationFidelity(
            name=p.name,
            spikes=p.spikes,
            match=self.alike / n if p.spikes else 1.0,
            shared=self.both / either if either else 1.0,
            rate_float=self.float_spikes / n,
            rate_int=self.int_spikes / n,
            rate_error=float(rate_error),
            membrane_error=float(error if p.spikes or not self.peak else error / self.peak),
            first=self.first,
        )


def _divergence(
    graph: Graph, image: MachineImage, name: str, trace: Trace, recording: Recording, where: tuple[int, int], lo: int
) -> Divergence:
    """The first difference of a piece, with values and the likely cause."""
    p, (step, which) = graph[name], where
    a, b = trace.spikes[name][which, step].ravel(), recording.spikes[name][which, step].ravel()
    neuron = int(np.flatnonzero(a != b)[0])
    threshold = float(p.full("threshold")[neuron])
    v = float(trace.potentials[name][which, step].ravel()[neuron])
    w = float(recording.potentials[name][which, step].ravel()[neuron])
    cause, why = _cause(graph, image, p, neuron, trace, recording, (which, step), (v, w))
    return Divergence(
        population=name, recording=lo + which, step=step,
        neuron=tuple(int(i) for i in np.unravel_index(neuron, p.shape)),
        fired_float=bool(a[neuron]), fired_int=bool(b[neuron]), v_float=v, v_int=w, threshold=threshold,
        cause=cause, why=why,
    )


def _cause(
    graph: Graph, image: MachineImage, p: Population, neuron: int, trace: Trace, recording: Recording,
    where: tuple[int, int], values: tuple[float, float],
) -> tuple[str, str]:
    which, step = where
    rules = image.provenance
    if rules.get("bias") == "membrane" and p.current_based and p.full("bias").any():
        return "bias path", "its bias acts as a membrane offset, not through the synapse as NIR has it"
    threshold = float(p.full("threshold")[neuron])
    near = 1e-6 * max(abs(threshold), 1e-30)
    at_threshold = "equality at threshold", f"a membrane lies at the threshold, where '{p.compare.value}' decides"
    if all(abs(v - threshold) <= near for v in values):
        return at_threshold
    a = trace.spikes[p.name][which].reshape(recording.steps, -1)
    said, runs = _reset_of(p), _reset_run(image, p.name)
    if runs not in ("", said) and a[:step, neuron].any():  # a reset acts behind a spike
        return "reset contract", f"the graph has {said}, the image runs {runs}"
    raw = recording.raw_spikes(p.name)[which].reshape(recording.ticks, -1)
    lag = image[p.name].lag
    for shift in (-2, -1, 1, 2):
        start = lag + shift
        fits = start >= 0 and start + recording.steps <= raw.shape[0]
        if fits and a.any() and (raw[start : start + recording.steps] == a).all():
            return "lag", f"shifted by {shift} ticks the spikes are alike"
    if image.provenance.get("onset") == "board" and (p.full("bias").any() or p.full("constant").any()):
        return "lag", f"constants act from tick 0 on the board, {lag} ticks ahead of the input"
    if any(abs(v - threshold) <= near for v in values):
        return at_threshold
    over = _clipped(graph, image, p, neuron)
    if over:
        limit = image.provenance.get("limit")
        return "clipping", f"{over} of the weights into this neuron are over {limit} and held there"
    way = "truncated toward zero" if rules.get("rounding") == "toward_zero" else "rounded"
    share = "one scale per population" if rules.get("per") == "population" else "one scale per channel"
    return "rounding", f"weights are {way} with {share}"


def _reset_of(p: Population) -> str:
    return f"reset {p.reset.value}{' (late)' if p.reset_late else ''}, refractory {p.refractory}"


def _reset_run(image: MachineImage, name: str) -> str:
    """What a spike does on the image, in the words of `_reset_of`; "" where it does not say."""
    start = f"{name}: spikes at V "
    said = next((line for line in image.contract if line.startswith(start)), "")
    runs = said.removeprefix(start).partition(", ")[2]
    return runs.replace(Reset.SNNTORCH_RESTORED.value, Reset.SUBTRACT.value)  # as `compile` says in its notes


def _clipped(graph: Graph, image: MachineImage, p: Population, neuron: int) -> int:
    """Weights into a neuron that its scale puts over the integer limit."""
    gain = p.full("gain") * (p.full("syn_gain") if p.current_based else 1.0)
    scale = np.broadcast_to(image[p.name].scale, p.shape).reshape(-1) * gain
    limit = int(image.provenance.get("limit", "127"))
    count = 0
    for q in graph.into(p.name):
        c = q.connection
        if isinstance(c, Conv):
            weights = c.weight[neuron // (c.out_shape[1] * c.out_shape[2])]
        elif isinstance(c, Sparse):
            weights = c.weight[c.target == neuron]
        elif isinstance(c, Ruled):
            weights = c.into(np.array([neuron])).weight
        else:
            weights = c.weight[neuron]
        count += int((np.rint(np.abs(weights) * scale[neuron]) > limit).sum())
    return count
