"""A Graph as a torch module of snnTorch's neurons, which can be trained further."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import S2NirWarning, UnsupportedError, needs
from ..graph import Compare, Conv, Graph, Loops, Population, Projection, Reset, Sparse, legal, timing, written_out
from .snntorch_trace import Shape, need_snntorch, need_torch
from .snntorch_words import Layers, recurrence

Array = NDArray[np.float64]


def to_snntorch(graph: Graph, dtype: Any = None, spike_grad: Any = None) -> Any:
    """A torch.nn.Module of layers and snnTorch neurons with the spikes of `graph.simulate`, to be trained further.

    forward takes one step, (batch, *shape of the input), and returns what the outputs send, in the order of
    `graph.outputs`. Neurons keep their states; `snntorch.utils.reset(net)` clears them. Children are named as the
    populations, with "_" for a dot. Gains and v_leak go into weights and biases. `from_snntorch` gives the Graph back,
    but for: Output names; Sparse connections that are not one-to-one, which become Dense; an LI or I that feeds a
    Threshold, which becomes an LIF without reset.

    dtype : of weights and states; None for torch.float32
    spike_grad : the surrogate of all neurons; None for snnTorch's default (atan), in the dtype of the membrane

    Warns
    -----
    S2NirWarning
        where an immediate reset by subtraction becomes reset_delay=False, which equals it only while V < 2 threshold.

    Raises
    ------
    UnsupportedError
        where snnTorch has no words for a neuron or a projection (rules `to-snntorch-...` of docs/supported-nodes.md).
    """
    torch = need_torch()
    need_snntorch()
    needs(graph, Graph, "to_snntorch", "Load one with s2nir.load(path, reset=...).")
    graph = written_out(legal(graph))
    net = _Writer(graph, spike_grad).net()
    return net.to(torch.float32 if dtype is None else dtype)


def _neuron_fault(name: str, found: str, remedy: str) -> UnsupportedError:
    return UnsupportedError("to-snntorch-neuron", f"{name}: {found}, for which snnTorch has no words. {remedy}.")


def _wiring_fault(where: str, found: str, remedy: str) -> UnsupportedError:
    return UnsupportedError("to-snntorch-wiring", f"{where}: {found}, for which snnTorch has no words. {remedy}.")


@dataclass(slots=True, eq=False)
class _Writer:
    graph: Graph
    spike_grad: Any
    children: dict[str, str] = field(default_factory=dict)  # population -> child
    taken: set[str] = field(default_factory=set)

    def net(self) -> Any:
        from .snntorch_module import SnnTorchNet

        g = self.graph
        self._check()
        order = [g[n] for n in timing(g).order if not g[n].is_input]
        outputs = tuple(dict.fromkeys(g.outputs.values()))
        net = SnnTorchNet(g.inputs[0].name, (), outputs)
        for p in order:
            self.children[p.name] = self._child(net, p.name)
        net.places = tuple(self._place(net, p) for p in order)
        return net

    def _check(self) -> None:
        g = self.graph
        if len(g.inputs) != 1:
            raise _wiring_fault(", ".join(p.name for p in g.inputs), f"there are {len(g.inputs)} inputs",
                                "Make them one, and let layers of their own choose from it")
        when = timing(g)
        for q, recurrent in zip(g.projections, when.recurrent, strict=True):
            where = f"{q.source} -> {q.target}"
            if q.delay or (isinstance(q.connection, Sparse) and q.connection.delay.any()):
                raise _wiring_fault(where, "it has a delay", "Remove it")
            if (recurrent and q.source != q.target) or g.loops is Loops.MACHINE:
                raise _wiring_fault(where, "it lies on a loop through several populations",
                                    "RLeaky and RSynaptic hear only themselves")

    def _child(self, net: Any, name: str) -> str:
        """A name for a child; dots and what a module already has are not allowed."""
        child = name.replace(".", "_")
        while child in self.taken or hasattr(net, child):
            child += "_"
        self.taken.add(child)
        return child

    def _place(self, net: Any, p: Population) -> Any:
        from .snntorch_module import Place

        into = [q for q in self.graph.into(p.name) if q.source != p.name]
        own = [q for q in self.graph.into(p.name) if q.source == p.name]
        if not into:
            raise _wiring_fault(p.name, "nothing leads into it but itself", "Project the input onto it")
        factor, level = self._scale(p, [*into, *own])
        ways, child = [], self.children[p.name]
        bias = (p.full("bias") * _gain(p) * level + p.full("constant") * level).reshape(p.shape)
        layers = Layers(net, lambda name: self._child(net, name))
        alone = p.node == "Readout" and len(into) == 1
        for i, q in enumerate(into):
            wanted = child if alone else f"{q.source}_to_{p.name}"
            if alone:
                self.taken.discard(child)
            ways.append(layers.way(q, self.graph[q.source].shape, p.shape, factor, bias if i == 0 else None, wanted))
        neuron = None
        if p.node != "Readout":
            net.add_module(child, self._neuron(p, own, factor, level))
            neuron = child
        elif own:
            raise _wiring_fault(p.name, "it is a readout that hears itself", "Remove the loop")
        return Place(name=p.name, ways=tuple(ways), neuron=neuron, membrane=neuron is not None and not p.spikes)

    def _scale(self, p: Population, into: list[Projection]) -> tuple[Array, Array]:
        """(what all weights into it are multiplied with, what its membrane is): both (size)."""
        gain = _gain(p)
        one = np.ones(p.size)
        channels = gain.reshape(p.shape[0], -1)
        alike = (gain == gain[0]).all() or (len(p.shape) == 3 and (channels == channels[:, :1]).all())
        if alike or not any(isinstance(q.connection, Conv) for q in into):
            return gain, one
        if (gain > 0).all():
            return one, 1 / gain
        raise _neuron_fault(p.name, "its gains differ within a channel and reach 0", "Put signs into the weights")

    def _neuron(self, p: Population, own: list[Projection], factor: Array, level: Array) -> Any:
        from . import snntorch_module as made

        snn = need_snntorch()
        kind, options = self._reset(p, bool(own))
        beta = made.tensor(_full_or_one(p.full("decay"), p.shape))
        if p.current_based:
            if p.full("constant").any():
                raise _neuron_fault(p.name, "it has a v_leak behind its synapse", "Set v_leak to 0")
            options["alpha"] = made.tensor(_full_or_one(p.full("syn_decay"), p.shape))
        if kind == "Lapicque":
            options |= {"C": 1.0, "R": 1.0}  # it takes no vectors; the true R is set below
            if (beta == 1).any():
                raise _neuron_fault(p.name, "it has a decay of 1 and a late reset to zero", "Reset it in the same step")
        else:
            options["beta"] = beta
        if p.spikes:
            options["threshold"] = made.tensor(_full_or_one(p.full("threshold") * level, p.shape))
        way = recurrence(own, p, factor) if own else None
        if way is not None:
            options |= way.options
        grad = made.atan if self.spike_grad is None else self.spike_grad
        neuron = getattr(snn, kind)(**options, spike_grad=grad, init_hidden=True, output=not p.spikes)
        if kind == "Lapicque":
            neuron.C, neuron.R = made.tensor(1.0), 1 / (1 - beta)
        if way is not None:
            way.fill(neuron.recurrent)
        return neuron

    def _reset(self, p: Population, recurrent: bool) -> tuple[str, dict[str, Any]]:
        """(snnTorch's neuron, its options of reset)."""
        if p.refractory:
            raise _neuron_fault(p.name, f"it is refractory for {p.refractory} steps", "Set refractory to 0")
        kind = ("R" if recurrent else "") + ("Synaptic" if p.current_based else "Leaky")
        if not p.spikes or p.reset is Reset.NONE:
            self._compare(p)
            return kind, {"reset_mechanism": "none"}
        if p.reset is Reset.TO_VALUE:
            raise _neuron_fault(p.name, "it resets to a value", "Reset it to zero or by subtraction")
        self._compare(p)
        if (p.full("threshold") < 0).any():
            raise _neuron_fault(p.name, "its threshold is below 0", "Move it to 0 or above")
        mechanism = "zero" if p.reset is Reset.ZERO else "subtract"
        if p.reset_late:
            if p.reset is Reset.SNNTORCH_RESTORED:
                raise _neuron_fault(p.name, "its reset is snnTorch's and late", "Choose one")
            if kind == "Leaky" and p.reset is Reset.ZERO:
                return "Lapicque", {"reset_mechanism": "zero"}
            return kind, {"reset_mechanism": mechanism}
        if kind == "RSynaptic":
            raise _neuron_fault(p.name, "its reset is immediate, which RSynaptic does not carry out",
                                "Load it with reset_late=True")
        if p.reset is Reset.SUBTRACT:
            warnings.warn(
                f"{p.name}: its immediate reset becomes reset_delay=False, which equals it only while V < 2 threshold "
                "(else snnTorch subtracts once more ahead of the next comparison)", S2NirWarning, stacklevel=6)
        return kind, {"reset_mechanism": mechanism, "reset_delay": False}

    def _compare(self, p: Population) -> None:
        if p.spikes and p.compare is not Compare.GREATER:
            raise _neuron_fault(p.name, "it spikes at the threshold as well", "Load it with compare='>'")


def _gain(p: Population) -> Array:
    """What one spike of weight 1 adds to the membrane: (size)."""
    gain = p.full("gain")
    return gain * p.full("syn_gain") if p.current_based else np.array(gain)


def _full_or_one(values: Array, shape: Shape) -> Array:
    return values[0] if (values == values[0]).all() else values.reshape(shape)


