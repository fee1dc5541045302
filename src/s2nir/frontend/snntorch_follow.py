"""Tensors followed through one run of a module, from leaf module to leaf module.

Every tensor that comes from the input has a mark: the node that sent it and the step that it belongs to. A node is
known by what it does and by what it hears, so the passes of a loop over time fall onto the nodes of the first pass;
where they do not, the loop is refused. What cannot be followed is refused when it is used, not when it is made.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UnsupportedError
from .snntorch_marks import ONE_STEP, EveryStep, Mark, is_neuron, tensors, unknown

Shape = tuple[int, ...]


@dataclass(slots=True, eq=False, kw_only=True)
class Found:
    """A node so far; see TracedNode."""

    name: str
    op: str
    path: str
    before: tuple[str, ...]
    shape: Shape
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(slots=True, eq=False)
class Follower:
    """One run. axis : of time in the input, None where it is one step"""

    torch: Any
    root: Any
    axis: int | None
    nodes: dict[str, Found] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    membranes: list[str] = field(default_factory=list)
    marks: dict[int, Mark] = field(default_factory=dict)
    keys: dict[tuple[Any, ...], str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    inside: int = 0  # depth within leaf modules, where nothing is followed
    stack: list[str] = field(default_factory=list)  # paths of the modules that run
    hidden: dict[str, dict[str, Any]] = field(default_factory=dict)  # states that neurons keep
    looped: bool = False
    ran: bool = False
    nodes_before: list[str] = field(default_factory=list)
    indices: set[int] = field(default_factory=set)
    taken: set[str] = field(default_factory=lambda: {"input", "output"})

    # ---- the run

    def starts(self, x: Any) -> None:
        self.taken |= {path for path, _ in self.root.named_modules()}
        self.mark(x, "value" if self.axis is None else "whole", "input")

    def ends(self, returned: Any) -> None:
        """forward has returned; where it is one step, it runs a second time and must do the same."""
        nodes, outputs = list(self.nodes), self.outputs
        self.outputs = []
        self._returned(returned)
        if self.ran and (nodes != self.nodes_before or outputs != self.outputs):
            raise self._loop(f"{type(self.root).__name__}: forward does something else when it runs again; every step "
                             "must repeat the first")
        self.ran, self.nodes_before = True, nodes

    def _returned(self, returned: Any) -> None:
        membranes: list[str] = []
        for tensor in tensors(returned):
            mark = self.known(tensor)
            if mark is None:
                raise self._output("returns a tensor that does not come from its input")
            if mark.kind == "lost":
                raise self.lost(mark, "is returned")
            if mark.kind == "state":
                membranes += [mark.node] if mark.part == "mem" and mark.node not in membranes else []
            elif mark.node not in self.outputs:
                self.outputs.append(mark.node)
        if not self.outputs:
            if not membranes:
                raise self._output("returns no tensor, or only states of synapses")
            self.outputs, self.membranes = membranes, membranes
        if len(set(self.calls.values())) > 1:
            said = ", ".join(f"{n} {c} times" for n, c in self.calls.items())
            raise self._loop(f"its neurons do not run equally often ({said})")
        if self.axis is not None and self.indices != set(range(1, 1 + max(2, max(self.indices, default=0)))):
            raise unknown("indexing", self.where(), ONE_STEP)
        self.looped |= self.axis is not None or (not self.ran and max(self.calls.values(), default=1) > 1)

    def alive(self) -> list[Found]:
        """The nodes, without functional ops that lead nowhere."""
        kept: list[Found] = []
        used = set(self.outputs)
        for node in reversed(self.nodes.values()):
            if node.op == "module" or node.name in used:
                kept.append(node)
                used.update(node.before)
        return kept[::-1]

    # ---- marks

    def known(self, tensor: Any) -> Mark | None:
        return self.marks.get(id(tensor))

    def mark(self, tensor: Any, kind: str, node: str, part: str = "", step: int = 0) -> Any:
        """The tensor, marked; a fresh alias of it where it already has another mark."""
        before = self.known(tensor)
        if before is not None and (before.kind, before.node, before.part, before.step) != (kind, node, part, step):
            tensor = tensor.view(tensor.shape) if kind != "lost" else tensor
        self.marks[id(tensor)] = Mark(tensor=tensor, kind=kind, node=node, part=part, step=step)
        return tensor

    def cast(self, module: Any, value: Any) -> Any:
        """A followed tensor in the type of a layer's parameters: `x.float()` ahead of a layer changes no value."""
        mark = self.known(value)
        kind = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
        if mark is None or kind is None or kind == value.dtype:
            return value
        return self.mark(value.to(kind), mark.kind, mark.node, mark.part, mark.step)

    def node(self, op: str, path: str, heard: tuple[Mark, ...], shape: Shape, **options: Any) -> str:
        """The node that does this with these, found again or made."""
        before = tuple(m.node for m in heard)
        key = (op, path, before, tuple(sorted(options.items())))
        if key not in self.keys:
            name = path or (f"{op}_1" if op != "module" else type(self.root).__name__)
            if name in self.nodes or (op != "module" and name in self.taken) or name in ("input", "output"):
                base, count = (path or op), 1
                while f"{base}_{count}" in self.taken | set(self.nodes):
                    count += 1
                name = f"{base}_{count}"
            self.keys[key] = name
            self.nodes[name] = Found(name=name, op=op, path=path, before=before, shape=shape, options=key[3])
        return self.keys[key]

    def step(self, heard: tuple[Mark, ...]) -> int:
        """The step that tensors belong to together."""
        steps = {m.step for m in heard} - {0}
        if len(steps) > 1:
            raise self._loop(f"{self.where()}: values of different steps meet "
                             f"({', '.join(m.node for m in heard)}). Return torch.stack of the steps' spikes, not sums")
        return next(iter(steps), 0)

    def sends(self, op: str, path: str, heard: tuple[Mark, ...], result: Any, **options: Any) -> Any:
        """The result of a node, marked."""
        if result.ndim < 1 or result.shape[0] != 1:
            raise UnsupportedError(
                "snntorch-op",
                f"{path or op} {self.where()}: gives shape {tuple(result.shape)} for a batch of 1, so the batch is not "
                "the first axis any more. Keep it, as nn.Flatten() and x.view(x.size(0), -1) do.",
            )
        name = self.node(op, path, heard, tuple(result.shape[1:]), **options)
        return self.mark(result, "value", name, step=self.step(heard))

    # ---- leaf modules

    def enters(self, path: str, module: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
        """A neuron is about to run: what it kept since its last run must be what it left."""
        given = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
        for part, left in self.hidden.get(path, {}).items():
            now = getattr(module, part)
            if given.get(part) is None and (now.shape != left.shape or bool(((now != left) & ~now.isnan()).any())):
                raise UnsupportedError(
                    "snntorch-state",
                    f"{path or 'the module'} ({type(module).__name__}): its {part} is reset or changed between two "
                    "steps. Reset the states ahead of the first step, outside forward where that is one step.",
                )

    def layer(self, path: str, module: Any, args: Any, kwargs: Mapping[str, Any], result: Any) -> Any:
        """A leaf module has run; what it returns, marked."""
        said = f"{path or 'the module'} ({type(module).__name__})"
        if is_neuron(module):
            return self._neuron(path, module, said, args, kwargs, result)
        heard = tuple(self._value(t, said) for t in tensors((args, kwargs)))
        if not isinstance(result, self.torch.Tensor):
            raise unknown(f"a {type(module).__name__}", said, "It returns more than one tensor")
        return self.sends("module", path, heard, result)

    def _value(self, tensor: Any, said: str) -> Mark:
        mark = self.known(tensor)
        if mark is None:
            raise self._loop(
                f"{said}: hears a tensor that forward makes or keeps itself. Spikes wired back by hand are not "
                "followed: use RLeaky or RSynaptic"
            )
        if mark.kind == "whole":
            raise EveryStep(said)
        if mark.kind == "lost":
            raise self.lost(mark, f"is heard by {said}")
        if mark.kind == "recorded":
            raise self._loop(f"{said}: hears all steps of {mark.node} at once; let it run within the loop over time")
        if mark.kind == "state":
            raise UnsupportedError(
                "snntorch-state",
                f"{said}: hears the {mark.part} of {mark.node}, and only spikes travel from neuron to neuron. Pass on "
                "its first output.",
            )
        return mark

    def _neuron(self, path: str, module: Any, said: str, args: Any, kwargs: Mapping[str, Any], result: Any) -> Any:
        given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        names = list(inspect.signature(module.forward).parameters)
        before = self.calls.get(path, 0)
        now = before + 1
        heard = self._value(given.get(names[0]), said)
        if heard.step not in (0, now):
            raise self._loop(
                f"{said}: runs for the {ordinal(now)} time on what {heard.node} sends in step {heard.step}; it is used "
                "twice in one step, or hears spikes of another step. One neuron module per place, and RLeaky or "
                "RSynaptic for recurrence"
            )
        for part in names[1:]:
            self._state(path, said, part, given.get(part), before)
        first = next((n for n in self.nodes.values() if n.path == path and n.op == "module"), None)
        if first is not None and first.before != (heard.node,):
            raise self._loop(
                f"{said}: hears {heard.node} when it runs for the {ordinal(now)} time, and {first.before[0]} before; "
                "every step must repeat the first, and a neuron can be used once in a step"
            )
        self.calls[path] = now
        kept = {part: getattr(module, part, None) for part in names[1:]}
        self.hidden[path] = {p: t.clone() for p, t in kept.items() if isinstance(t, self.torch.Tensor)}
        name = self.node("module", path, (heard,), tuple(tensors(result)[0].shape[1:]))
        parts = ["", *(n for n in names[1:] if n != "spk")]
        found = [
            self.mark(t, "state" if part else "value", name, part, now)
            for part, t in zip(parts, tensors(result), strict=False)
        ]
        return tuple(found) if isinstance(result, tuple) else found[0]

    def _state(self, path: str, said: str, part: str, tensor: Any, before: int) -> None:
        """A state given to a neuron: zeros ahead of its first run, then its own."""
        if tensor is None:
            return
        mark = self.known(tensor)
        if mark is None:
            if before == 0 and not bool(self.torch.as_tensor(tensor).any()):
                return
            what = "starts from values other than 0" if before == 0 else "is set anew in every step"
            remedy = "Start from zeros and pass on what the neuron returned, or use init_hidden=True"
        elif mark.kind == "lost":
            raise self.lost(mark, f"is the {part} of {said}")
        else:
            own = self.nodes.get(mark.node)
            same = own is not None and own.op == "module" and own.path == path and mark.step == before
            if same and (mark.part == part or (part == "spk" and mark.kind == "value")):
                return
            what = f"comes from {mark.node}" if not same else f"is its {mark.part or 'spikes'}"
            remedy = "Pass on the state that the same neuron returned in the step before"
        raise UnsupportedError("snntorch-state", f"{said}: its {part} {what}. {remedy}.")

    # ---- sentences

    def where(self) -> str:
        """The module and the line of the user's code that runs."""
        frame = sys._getframe()
        while frame.f_back is not None:
            name = frame.f_globals.get("__name__", "")
            if not name.startswith(("torch.", "s2nir.", "snntorch.")) and name != "torch":
                line = f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}"
                break
            frame = frame.f_back
        else:
            line = "?"
        return f"in {next((p for p in reversed(self.stack) if p), type(self.root).__name__)} ({line})"

    def lost(self, mark: Mark, how: str) -> UnsupportedError:
        return unknown(mark.part, how)

    def _loop(self, said: str) -> UnsupportedError:
        return UnsupportedError("snntorch-loop", f"{said}.")

    def _output(self, said: str) -> UnsupportedError:
        return UnsupportedError(
            "snntorch-output",
            f"{type(self.root).__name__}: {said}. Return the spikes of neurons, or what the last layer sends, of every "
            "step (torch.stack of them is fine).",
        )


def ordinal(n: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(n, f"{n}th")
