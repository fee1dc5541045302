"""The rows of the table, and one of them evaluated: in PyTorch, in the plain-Python oracle, and on the emulator."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emulate import reference, run
from ..errors import S2NirWarning
from ..graph import Graph, Reset, data_order
from ..mapping import MachineImage, compile
from ..quantize import PTQ, Network, quantize
from ..report import compare
from .energy import energy
from .presets import Preset
from .sets import Frames

PIECE = 64  # recordings that are evaluated at once
WATCHED = 2  # recordings in which the first divergence is looked for
Say = Callable[[int, int], Any]
KEPT = ("recordings", "accuracy", "labels", "decisions", "accuracy_by_tick", "settled_tick_median",
        "spikes_per_recording", "rate")
KEPT_OF_INTEGERS = ("differing", "energy_j", "divergence", "cores", "cores_input", "sram_bytes", "lag_ticks", "image")
"""What is kept of a row, and of a row in integers besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    kind : "float" (as trained), "immediate" (the same weights, each reset in its spike's step), "longer" (trained on
        as long as QAT is), "ptq" or "qat"
    whole : whether the whole test split is evaluated; else the first `Preset.grid` recordings
    """

    kind: str
    bits: int = 0
    percentile: float | str = ""
    per: str = ""
    whole: bool = True

    @property
    def name(self) -> str:
        parts = [self.kind, *(str(v) for v in (self.bits, self.percentile, self.per) if v)]
        return "-".join(parts)

    @property
    def integer(self) -> bool:
        return self.kind in ("ptq", "qat")


def rows(preset: Preset) -> Iterator[Row]:
    """Every line of the table, those that are compared first."""
    for kind in ("float", "immediate", "longer"):
        yield Row(kind=kind)
    for bits in preset.bits:
        yield Row(kind="ptq", bits=bits, percentile="auto", per="channel")
    for bits in preset.trained_bits:
        yield Row(kind="qat", bits=bits, per="channel")
    for bits in preset.bits:
        for per in ("channel", "population"):
            for p in preset.percentiles:
                if (p, per) != ("auto", "channel"):
                    yield Row(kind="ptq", bits=bits, percentile=p, per=per, whole=False)


def immediate(graph: Graph) -> Graph:
    """The same weights, each reset in the step of its spike."""
    return dataclasses.replace(graph, populations=tuple(
        dataclasses.replace(p, reset_late=False) if p.reset is not Reset.NONE else p for p in graph.populations
    ))


def network_of(row: Row, graph: Graph, calibration: NDArray[np.uint8]) -> Network:
    """The post-training quantized network of a row."""
    scheme = PTQ(bits=row.bits, percentile=row.percentile, per=row.per)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)  # dead populations of the low widths are what the table shows
        return quantize(graph, scheme, calibration=calibration if row.percentile == "auto" else None)


def in_floats(graph: Graph, test: Frames, say: Say) -> dict[str, Any]:
    """A float network in PyTorch (float32) on the whole test split."""
    from ..train import TorchRun

    sums = _Sums(graph, test)
    ready = TorchRun(graph)
    for at, x, _ in _pieces(test):
        sums.add(at, {n: s.transpose(0, 1).numpy() for n, s in ready(_steps_first(x)).items()})
        say(at + len(x), len(test[0]))
    return sums.answer()


def in_integers(
    network: Network, graph: Graph, test: Frames, preset: Preset, say: Say, module: Any = None
) -> dict[str, Any]:
    """An integer network on the emulator, compared with PyTorch and, on some recordings, with the oracle.

    module : the QAT module that the network was converted from; without one, PyTorch runs the network itself
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", S2NirWarning)
        image = compile(network, max_count=1)
    sums = _Sums(graph, test)
    other = _Pytorch(network, module)
    joules: list[tuple[float, float]] = []
    differing = 0
    for at, x, _ in _pieces(test):
        recording = run(image, x, threads=2)
        spikes = {p.name: recording.spikes[p.name] for p in graph.populations if p.spikes}
        sums.add(at, spikes)
        differing += sum(int((other_spikes.reshape(spikes[n].shape) != spikes[n]).sum())
                         for n, other_spikes in other(x).items())
        if not joules:
            joules.append(energy(recording, preset.tick_us * 1e-6))
        say(at + len(x), len(test[0]))
    some = test[0][: preset.reference]
    return {
        **sums.answer(),
        "differing": {
            "pytorch": differing, "pytorch_recordings": len(test[0]),
            "reference": _against_oracle(network, image, some), "reference_recordings": len(some),
        },
        "energy_j": list(joules[0]),
        "divergence": _divergence(graph, image, test[0][:WATCHED]),
        **_fit(image),
    }


class _Pytorch:
    """Spikes (batch, steps, *shape) by population, from the module itself where there is one."""

    def __init__(self, network: Network, module: Any) -> None:
        from ..train import TorchRun

        self.module = module
        self.ready = None if module is not None else TorchRun(network)

    def __call__(self, x: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        import torch

        from ..train import over_time

        found: dict[str, Any] = {}
        if self.ready is not None:
            found = self.ready(_steps_first(x))
        else:
            with torch.no_grad():
                over_time(self.module, _steps_first(x).float(), found.__setitem__)
        return {n: s.transpose(0, 1).to(torch.uint8).numpy() for n, s in found.items()}


class _Sums:
    """What is kept of a whole data set: decisions, spikes per population, and decisions over time."""

    def __init__(self, graph: Graph, test: Frames) -> None:
        self.labels = test[1]
        self.output = next(iter(graph.outputs.values()))
        self.decided = np.zeros(len(self.labels), np.int64)
        spiking = [graph[p.name] for p in data_order(graph)[0] if p.spikes]
        self.spikes = {p.name: 0 for p in spiking}
        self.sizes = {p.name: p.size for p in spiking}
        self.steps = test[0].shape[1]
        self.by_tick = np.zeros(self.steps, np.int64)
        self.settled = np.zeros(len(self.labels), np.int64)

    def add(self, at: int, spikes: dict[str, NDArray[np.uint8]]) -> None:
        out = spikes[self.output]
        counts = out.reshape(*out.shape[:2], -1).cumsum(axis=1, dtype=np.int32)
        winner = counts.argmax(axis=2)  # (batch, steps), ties to the lowest index
        here = slice(at, at + len(out))
        self.decided[here] = winner[:, -1]
        self.by_tick += (winner == self.labels[here, None]).sum(axis=0)
        other = winner != winner[:, -1:]
        self.settled[here] = np.where(other.any(axis=1), self.steps - other[:, ::-1].argmax(axis=1), 0)
        for name, s in spikes.items():
            self.spikes[name] += int(s.sum(dtype=np.int64))

    def answer(self) -> dict[str, Any]:
        n = len(self.labels)
        return {
            "recordings": n,
            "accuracy": float((self.decided == self.labels).mean()),
            "labels": bytes(self.labels.astype(np.uint8)).hex(),
            "decisions": bytes(self.decided.astype(np.uint8)).hex(),
            "accuracy_by_tick": [round(v / n, 4) for v in self.by_tick.tolist()],
            "settled_tick_median": float(np.median(self.settled)),
            "spikes_per_recording": {k: v / n for k, v in self.spikes.items()},
            "rate": {k: v / n / self.steps / self.sizes[k] for k, v in self.spikes.items()},
        }


def _pieces(test: Frames) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.int64]]]:
    for at in range(0, len(test[0]), PIECE):
        yield at, test[0][at : at + PIECE], test[1][at : at + PIECE]


def _steps_first(x: NDArray[np.uint8]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1)))


def _against_oracle(network: Network, image: MachineImage, x: NDArray[np.uint8]) -> int:
    """Spikes in which the emulator and the plain-Python oracle differ."""
    slow, fast = reference(network, x, max_count=1), run(image, x)
    differing = 0
    for p in network.populations:
        if p.spikes:
            lag = slow.lags[p.name]
            aligned = slow.spikes[p.name][:, lag : lag + x.shape[1]]
            differing += int((aligned != fast.spikes[p.name].reshape(aligned.shape)).sum())
    return differing


def _divergence(graph: Graph, image: MachineImage, x: NDArray[np.uint8]) -> dict[str, Any] | None:
    first = compare(graph, image, x).divergence
    if first is None:
        return None
    return {"population": first.population, "step": int(first.step), "cause": first.cause}


def _fit(image: MachineImage) -> dict[str, Any]:
    return {
        "cores": image.neuron_cores,
        "cores_input": len(image.cores) - image.neuron_cores,
        "sram_bytes": sum(c.used for c in image.cores),
        "lag_ticks": image.lag,
        "image": image.digest,
    }


