"""Random inputs for whole-pipeline tests: `nir_graphs` draws a network and the arguments that load it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
from hypothesis import strategies as st

SPIKING = ("LIF", "IF", "CubaLIF", "LIF", "IF", "Threshold")
DT = 1e-3
FAULTS = ("nan", "same-stride", "graded", "loop", "no-reset", "twice")


@dataclass
class Plan:
    """A network as it grows. sources : spiking nodes with their shapes"""

    draw: Any
    rng: np.random.Generator
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    sources: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    loops: bool = False

    def add(self, name: str, node: nir.NIRNode, *before: str) -> str:
        self.nodes[name] = node
        self.edges += [(b, name) for b in before]
        return name

    def fresh(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def chance(self, percent: int) -> bool:
        return bool(self.draw(st.integers(0, 99)) < percent)

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.normal(0.1, 0.7, shape).astype(self.pick(np.float32, np.float64))


@st.composite
def nir_graphs(draw: Any, faults: int = 10, kinds: tuple[str, ...] = FAULTS) -> tuple[nir.NIRGraph, dict[str, Any]]:
    """(network, arguments of `load`): all node kinds, nesting, recurrence, skips, biases, delays; small.

    faults : percent of networks that carry something that must be refused; kinds : which of `FAULTS`
    """
    plan = Plan(draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    kind = plan.pick("row", "image", "image", "signal")
    shape = {
        "row": (plan.pick(3, 12, 20),),
        "image": (plan.pick(1, 2, 3), plan.pick(4, 5), plan.pick(3, 4)),
        "signal": (plan.pick(1, 2, 4), plan.pick(6, 9, 12)),
    }[kind]
    for i in range(plan.pick(1, 1, 1, 2)):
        plan.sources.append((plan.add(f"in{i}", nir.Input(np.array(shape))), shape))
    for _ in range(plan.pick(1, 2, 2, 3, 4)):
        _population(plan)
    _ends(plan)
    fault = plan.pick(*kinds) if plan.rng.random() < faults / 100 else ""
    reset = plan.pick("subtract", "zero", "to_value", "none")
    arguments: dict[str, Any] = {"dt": DT, "reset": reset, "integrator": plan.pick("euler", "exponential")}
    arguments["compare"] = plan.pick(None, ">", ">=")
    arguments["reset_late"] = plan.chance(15) and reset in ("subtract", "zero")
    arguments["loops"] = "machine" if plan.loops else "refuse"
    if reset == "to_value":
        for node in plan.nodes.values():
            if hasattr(node, "v_reset"):
                node.v_reset = np.full_like(node.v_threshold, -0.125)
    _break(plan, fault, arguments)
    graph = nir.NIRGraph(nodes=plan.nodes, edges=plan.edges, type_check=False)
    return (_nested(plan, graph) if plan.chance(25) else graph), arguments


def _population(plan: Plan) -> None:
    """One more spiking population, with what leads into it."""
    source, shape = plan.pick(*plan.sources[-2:])
    end, out = _run(plan, source, shape)
    name = plan.fresh("n")
    kind = plan.pick(*SPIKING) if plan.chance(90) else plan.pick("LI", "CubaLI", "I")
    if kind in ("LI", "CubaLI", "I"):
        inner = plan.add(name + "m", _neuron(plan, kind, out), end)
        plan.add(name, nir.Threshold(plan.rng.uniform(0.5, 1.5, out)), inner)
        entry = inner
    else:
        plan.add(name, _neuron(plan, kind, out), end)
        entry = name
    if plan.chance(35):
        _recurrence(plan, name, entry, out)
    if plan.chance(35):
        _skip(plan, entry, out)
    plan.sources.append((name, out))


def _neuron(plan: Plan, kind: str, shape: tuple[int, ...]) -> nir.NIRNode:
    size = () if plan.chance(25) else shape

    def some(lo: float, hi: float) -> np.ndarray:
        return plan.rng.uniform(lo, hi, size) if plan.chance(50) else np.full(size, round((lo + hi) / 2, 3))

    tau, r, leak, level = some(2 * DT, 40 * DT), some(0.5, 20), some(-0.05, 0.1), some(0.5, 1.5)
    if kind == "Threshold":
        return nir.Threshold(level)
    if kind in ("IF", "I"):
        return nir.IF(r, level) if kind == "IF" else nir.I(r)
    if kind in ("LIF", "LI"):
        return nir.LIF(tau, r, leak, level) if kind == "LIF" else nir.LI(tau, r, leak)
    tau_syn, w_in = some(1.5 * DT, 10 * DT), some(0.5, 5)
    if kind == "CubaLIF":
        return nir.CubaLIF(tau_syn=tau_syn, tau_mem=tau, r=r, v_leak=leak, v_threshold=level, w_in=w_in)
    return nir.CubaLI(tau_syn=tau_syn, tau_mem=tau, r=r, v_leak=leak, w_in=w_in)


def _run(plan: Plan, at: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Linear nodes behind `at`; what they end in."""
    if plan.chance(15):
        at = _delay(plan, at, shape)
    if len(shape) == 3 and plan.chance(70):
        at, shape = _image(plan, at, shape)
    elif len(shape) == 2 and plan.chance(60):
        at, shape = _conv1d(plan, at, shape)
    if len(shape) > 1 and plan.chance(45):
        at = plan.add(plan.fresh("f"), nir.Flatten({"input": None}, 0, -1), at)
        shape = (int(np.prod(shape)),)
    if len(shape) == 1 and plan.chance(85):
        at, shape = _linear(plan, at, shape)
    elif len(shape) == 2 and plan.chance(30):
        weight = plan.normal(shape[0], plan.pick(3, 5), shape[1])
        at = plan.add(plan.fresh("b"), nir.Affine(weight, plan.normal(*weight.shape[:2])), at)
        shape = weight.shape[:2]
    if plan.chance(20):
        scale = plan.pick(np.full(shape, 0.5), plan.rng.uniform(0.5, 2, shape))
        at = plan.add(plan.fresh("s"), nir.Scale(scale), at)
    return at, shape


def _linear(plan: Plan, at: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    for _ in range(plan.pick(1, 1, 1, 2)):
        size = plan.pick(1, 4, 10, 17)
        weight = plan.normal(size, shape[0])
        node = nir.Affine(weight, plan.normal(size)) if plan.chance(40) else nir.Linear(weight)
        at, shape = plan.add(plan.fresh("l"), node, at), (size,)
    return at, shape


def _image(plan: Plan, at: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    if plan.chance(35) and min(shape[1:]) >= 2:
        size = np.array([plan.pick(1, 2), 2])
        kind = plan.pick(nir.SumPool2d, nir.AvgPool2d)
        pad = np.array([0, plan.pick(0, 1)])
        at = plan.add(plan.fresh("p"), kind(size, np.array([plan.pick(1, 2), 2]), pad), at)
        stride = plan.nodes[at].stride
        shape = (shape[0], *((n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape[1:], pad, size, stride, strict=True)))
    for _ in range(plan.pick(0, 1, 1, 1, 2)):
        kernel = (min(plan.pick(1, 2, 3), shape[1]), min(plan.pick(1, 2, 3), shape[2]))
        groups = shape[0] if plan.chance(25) else 1
        out = groups * plan.pick(1, 2) if groups > 1 else plan.pick(1, 2, 3)
        dilation = np.array([1, 2 if (kernel[1] - 1) * 2 < shape[2] and plan.chance(20) else 1])
        same = plan.chance(20)
        stride = np.array([1, 1]) if same else np.array([plan.pick(1, 2), plan.pick(1, 1, 2)])
        pad = np.array([plan.pick(0, 1), plan.pick(0, 1)])
        weight = plan.normal(out, shape[0] // groups, *kernel)
        bias = plan.normal(out) if plan.chance(40) else np.zeros(out)
        node = nir.Conv2d(None, weight, stride, "same" if same else pad, dilation, groups, bias)
        at = plan.add(plan.fresh("c"), node, at)
        if same:
            shape = (out, *shape[1:])
        else:
            spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
            shape = (
                out,
                *(int((n + 2 * p - s) // t + 1) for n, p, s, t in zip(shape[1:], pad, spans, stride, strict=True)),
            )
    return at, tuple(int(n) for n in shape)


def _conv1d(plan: Plan, at: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    kernel, stride, pad, out = min(3, shape[1]), plan.pick(1, 2), plan.pick(0, 1), plan.pick(1, 3)
    node = nir.Conv1d(None, plan.normal(out, shape[0], kernel), stride, pad, 1, 1, plan.normal(out))
    return plan.add(plan.fresh("c"), node, at), (out, (shape[1] + 2 * pad - kernel) // stride + 1)


def _delay(plan: Plan, at: str, shape: tuple[int, ...]) -> str:
    steps = plan.rng.integers(0, 3, shape) if plan.chance(30) else np.full(shape, plan.pick(1, 2, 5))
    return plan.add(plan.fresh("d"), nir.Delay(steps * DT), at)


def _recurrence(plan: Plan, name: str, entry: str, shape: tuple[int, ...]) -> None:
    if len(shape) == 1:
        weight = plan.normal(shape[0], shape[0])
        node = nir.Affine(weight, plan.normal(shape[0])) if plan.chance(50) else nir.Linear(weight)
    else:
        node = nir.Scale(plan.rng.uniform(-1, 1, shape))
    plan.add(plan.fresh("r"), node, name)
    plan.edges.append((list(plan.nodes)[-1], entry))


def _skip(plan: Plan, entry: str, shape: tuple[int, ...]) -> None:
    """A second way into a population, from any earlier source."""
    source, given = plan.pick(*plan.sources)
    if given == shape and plan.chance(50) and (source, entry) not in plan.edges:
        plan.edges.append((source, entry))
    elif len(shape) == 1:
        at = source
        if len(given) > 1:
            at = plan.add(plan.fresh("f"), nir.Flatten({"input": np.array(given)}, 0, -1), at)
        at = plan.add(plan.fresh("l"), nir.Linear(plan.normal(shape[0], int(np.prod(given)))), at)
        plan.edges.append((at, entry))
    elif given == shape:
        plan.edges.append((plan.add(plan.fresh("s"), nir.Scale(plan.rng.uniform(0, 1, shape)), source), entry))


def _ends(plan: Plan) -> None:
    """Outputs: the last population, sometimes a readout, and every population that leads nowhere."""
    after = {a for a, _ in plan.edges}
    name, shape = plan.sources[-1]
    way = plan.pick("spikes", "spikes", "linear", "LI")
    if way == "spikes":
        plan.add("out", nir.Output(np.array(shape)), name)
    elif way == "linear":
        end, out = _linear(plan, _row(plan, name, shape), (int(np.prod(shape)),))
        plan.add("out", nir.Output(np.array(out)), end)
    else:
        kind = plan.pick("LI", "CubaLI", "I")
        end, out = _linear(plan, _row(plan, name, shape), (int(np.prod(shape)),))
        plan.add("out", nir.Output(np.array(out)), plan.add("readout", _neuron(plan, kind, out), end))
    for other, given in plan.sources[:-1]:
        if other not in after and isinstance(plan.nodes[other], nir.Input):
            row = plan.add(plan.fresh("l"), nir.Linear(plan.normal(2, int(np.prod(given)))), _row(plan, other, given))
            plan.add(
                plan.fresh("o"),
                nir.Output(np.array([2])),
                plan.add(plan.fresh("n"), nir.IF(np.ones(2), np.ones(2)), row),
            )
        elif other not in after:
            plan.add(plan.fresh("o"), nir.Output(np.array(given)), other)


def _row(plan: Plan, at: str, shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return at
    return plan.add(plan.fresh("f"), nir.Flatten({"input": np.array(shape)}, 0, -1), at)


def _break(plan: Plan, fault: str, arguments: dict[str, Any]) -> None:
    first = plan.sources[0][0]
    if fault == "nan":
        plan.add("bad", nir.Scale(np.full(plan.sources[0][1], np.nan)), first)
    elif fault == "same-stride":
        plan.add("bad", nir.Conv2d(None, np.ones((1, 1, 2, 2)), (2, 2), "same", 1, 1, np.zeros(1)), first)
    elif fault == "graded":
        plan.add("bad", nir.I(np.ones(plan.sources[0][1])), first)
        plan.add("worse", nir.Scale(np.ones(plan.sources[0][1])), "bad")
        plan.edges.append(("worse", "bad"))
    elif fault == "loop":
        shape = plan.sources[0][1]
        plan.add("bad", nir.Scale(np.ones(shape)), first)
        plan.add("worse", nir.Scale(np.ones(shape)), "bad")
        plan.edges.append(("worse", "bad"))
    elif fault == "no-reset":
        arguments["reset"] = None
    elif fault == "twice":
        plan.edges.append(plan.edges[0])


def _nested(plan: Plan, graph: nir.NIRGraph) -> nir.NIRGraph:
    """All of a network but its rim as a nested graph, where it has one input and one output."""
    ins = [n for n, node in graph.nodes.items() if isinstance(node, nir.Input)]
    outs = [n for n, node in graph.nodes.items() if isinstance(node, nir.Output)]
    if len(ins) != 1 or len(outs) != 1:
        return graph
    shapes = graph.nodes[ins[0]].input_type["input"], graph.nodes[outs[0]].output_type["output"]
    for depth in range(plan.pick(1, 1, 2)):
        nodes = {"in0": nir.Input(shapes[0]), f"sub{depth}": graph, "out": nir.Output(shapes[1])}
        edges = [("in0", f"sub{depth}"), (f"sub{depth}", "out")]
        graph = nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)
    return graph
