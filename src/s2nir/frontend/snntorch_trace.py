"""What a live torch module does with its input: its layers and neurons in order of execution, found by running a copy.

The copy runs in eval mode and without gradients, on one sample; tensors are followed from layer to layer
(snntorch_follow.py). Where forward is one step it runs twice, as only a second step shows what it keeps from the first.
The module itself is left as it was: its mode, its hidden states and snnTorch's list of instances. Hooks that hang on it
run with the copy.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import LoadError, UnsupportedError
from .snntorch_follow import Follower
from .snntorch_marks import ONE_STEP, EveryStep, TimeLoop, is_leaf, is_neuron, unknown
from .snntorch_ops import functional

Shape = tuple[int, ...]
PROBE = 0.5
STEPS = 2
"""Steps that a forward with a loop over time sees."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TracedNode:
    """One layer, neuron or functional op.

    name : the module's path; made up for functional ops ("add_1") and where a module is used again ("pool_1")
    op : "module", "add", "scale" (options: factor), "flatten" and "reshape" (C order), "avg_pool2d" (options: its
        arguments)
    before : names of the nodes that it hears, "input" for the input
    shape : what it sends, without the batch axis; of a neuron its spikes
    module : the caller's module (not a copy), or None
    path : the module's path, "" for functional ops and for a module that is a single layer
    """

    name: str
    op: str
    before: tuple[str, ...]
    shape: Shape
    module: Any = None
    path: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Traced:
    """A module taken apart.

    nodes : in order of execution, each after those that it hears
    outputs : names of the nodes whose values the module returns, in the order of return
    membranes : those outputs that are neurons of which only the membrane is returned (it is left out beside values)
    input_shape : without the batch axis
    time_loop : whether forward itself runs over time
    """

    nodes: tuple[TracedNode, ...]
    outputs: tuple[str, ...]
    membranes: tuple[str, ...]
    input_shape: Shape
    time_loop: bool

    def __getitem__(self, name: str) -> TracedNode:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def after(self, name: str) -> tuple[TracedNode, ...]:
        """The nodes that hear a node."""
        return tuple(n for n in self.nodes if name in n.before)

    def shape(self, name: str) -> Shape:
        """What a node, or "input", sends."""
        return self.input_shape if name == "input" else self[name].shape


def trace_module(module: Any, input_shape: Any) -> Traced:
    """The layers, neurons and functional ops of a torch module, in order of execution.

    module : torch.nn.Module whose forward takes one tensor: (batch, *input_shape) for one step (neurons with
        init_hidden=True, or a loop over a static input), or (steps, batch, *input_shape) or (batch, steps,
        *input_shape) for a loop over time
    input_shape : whole numbers, without batch and steps

    Raises
    ------
    LoadError
        where torch is missing, or forward fails on such an input; its child UnsupportedError names the op or layer
        that cannot be followed (rules `snntorch-...` of docs/supported-nodes.md).
    """
    torch = need_torch()
    if not isinstance(module, torch.nn.Module):
        raise LoadError(f"module: found a {type(module).__name__}, needed a torch.nn.Module")
    shape = _shape(input_shape)
    _can_run(torch, module)
    errors: list[str] = []
    axes: list[int | None] = [None, 0]
    tried: list[int | None] = []
    while axes:
        axis = axes.pop(0)
        tried.append(axis)
        lead = (1,) if axis is None else (STEPS, 1) if axis == 0 else (1, STEPS)
        try:
            return _run(torch, module, shape, (*lead, *shape), axis)
        except TimeLoop as found:
            if found.axis in tried:
                raise unknown("indexing", f"of the input by {type(module).__name__}", ONE_STEP) from None
            axes, errors = [found.axis], []
        except EveryStep as found:
            if not errors:
                raise unknown("indexing", f"of the input, and {found} on all its steps", ONE_STEP) from None
        except LoadError:
            raise
        except Exception as error:  # whatever forward raises
            errors.append(f"on an input of shape {(*lead, *shape)}: {type(error).__name__}: {error}")
    raise LoadError(
        f"{type(module).__name__}: forward fails {'; and '.join(errors)}. input_shape is the shape of one step without "
        "the batch axis"
    )


def need_torch() -> Any:
    """torch.

    Raises
    ------
    LoadError
        saying how to install it.
    """
    try:
        import torch
    except ImportError as error:
        raise _missing("torch") from error
    return torch


def need_snntorch() -> Any:
    """snntorch; raises as `need_torch` does."""
    need_torch()
    try:
        import snntorch
    except ImportError as error:
        raise _missing("snntorch") from error
    return snntorch


def _missing(name: str) -> LoadError:
    return LoadError(f"{name} is needed for live modules and is not installed: pip install s2nir[train]")


def _shape(given: Any) -> Shape:
    try:
        shape = tuple(int(n) for n in given)
        whole = all(n == g for n, g in zip(shape, given, strict=True))
    except (TypeError, ValueError):
        raise LoadError(f"input_shape: found {given!r}, needed whole numbers such as (2, 32, 32)") from None
    if not shape or min(shape) < 1 or not whole:
        raise LoadError(f"input_shape: found {given!r}, needed one or more whole numbers from 1 up")
    return shape


def _can_run(torch: Any, module: Any) -> None:
    """Refuse what has no forward of one tensor in Python."""
    if hasattr(module, "_orig_mod"):
        raise LoadError("module: is compiled; pass the module that was compiled (module._orig_mod)")
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise LoadError(f"{path or 'module'}: is scripted; pass the module that it was made from")
    for name, parameter in module.named_parameters():
        if torch.nn.parameter.is_lazy(parameter):
            raise LoadError(f"{name}: has no values yet; run the module once, on a batch")
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return
    fixed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind in (*fixed, inspect.Parameter.KEYWORD_ONLY)]
    if len(needed) > 1:
        raise UnsupportedError(
            "snntorch-state",
            f"{type(module).__name__}: forward needs {', '.join(needed)}, allowed is one tensor. Make the states in "
            "forward, or give the neurons init_hidden=True.",
        )


def _run(torch: Any, module: Any, shape: Shape, probe: Shape, axis: int | None) -> Traced:
    twin = copy_module(module).eval()
    names = dict(module.named_modules())
    follower = Follower(torch, twin, axis)
    example = next((t for t in (*twin.parameters(), *twin.buffers()) if t.is_floating_point()), torch.zeros(()))
    x = torch.full(probe, PROBE, dtype=example.dtype, device=example.device)
    with _left_alone(torch, twin), listening(torch, twin, follower):
        follower.starts(x)
        follower.ends(twin(x))
        if not follower.looped:  # one step: a second one shows what it keeps from the first
            follower.ends(twin(x))
    nodes = tuple(
        TracedNode(
            name=n.name,
            op=n.op,
            before=n.before,
            shape=n.shape,
            module=names[n.path] if n.op == "module" else None,
            path=n.path,
            options=dict(n.options),
        )
        for n in follower.alive()
    )
    return Traced(
        nodes=nodes,
        outputs=tuple(follower.outputs),
        membranes=tuple(follower.membranes),
        input_shape=shape,
        time_loop=follower.looped,
    )


@contextmanager
def _left_alone(torch: Any, twin: Any) -> Iterator[None]:
    """Keep what forward may touch besides the copy: snnTorch's list of instances, random numbers, warnings."""
    parent: Any = next((c for m in twin.modules() for c in type(m).__mro__ if c.__name__ == "SpikingNeuron"), None)
    saved = None if parent is None else parent.instances
    if parent is not None:
        parent.instances = [m for m in twin.modules() if isinstance(m, parent)]
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if parent is not None:
            parent.instances = saved


def copy_module(module: Any) -> Any:
    """A deep copy; tensors that hang on a graph of gradients (hidden states after training) are copied as values.

    Raises
    ------
    LoadError
        where a part of the module cannot be copied.
    """
    torch = need_torch()
    memo: dict[int, Any] = {}
    seen: set[int] = set()
    stack: list[Any] = [vars(m) for m in module.modules()]
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            if not value.is_leaf:
                memo[id(value)] = value.detach().clone()
        elif isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise LoadError(f"{type(module).__name__}: cannot be copied, {type(error).__name__}: {error}") from error


@contextmanager
def listening(torch: Any, root: Any, follower: Follower) -> Iterator[None]:
    """Hooks on every module of the copy, and a mode that sees every functional op."""
    for path, module in root.named_modules():
        leaf = is_leaf(module)

        def entered(module: Any, args: Any, kwargs: Any, path: str = path, leaf: bool = leaf) -> Any:
            follower.stack.append(path)
            follower.inside += leaf
            if not leaf or follower.inside != 1:
                return None
            if is_neuron(module):
                follower.enters(path, module, args, kwargs)
                return None
            return tuple(follower.cast(module, t) for t in args), kwargs

        def left(module: Any, args: Any, kwargs: Any, out: Any, path: str = path, leaf: bool = leaf) -> Any:
            follower.stack.pop()
            if leaf and follower.inside == 1:
                out = follower.layer(path, module, args, kwargs, out)
            follower.inside -= leaf
            return out

        module.register_forward_pre_hook(entered, with_kwargs=True)
        module.register_forward_hook(left, with_kwargs=True, prepend=True)

    class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if follower.inside:
                return func(*args, **(kwargs or {}))
            return functional(follower, func, args, kwargs or {})

    with Mode():
        yield
