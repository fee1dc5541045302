"""Functional ops between the layers of a module: which can be followed, and what becomes of the others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from .snntorch_marks import ONE_STEP, Mark, TimeLoop, tensors, unknown

if TYPE_CHECKING:
    from .snntorch_follow import Follower

SAME = frozenset(
    {
        "detach",
        "clone",
        "contiguous",
        "data",
        "to",
        "float",
        "double",
        "half",
        "bfloat16",
        "type",
        "type_as",
        "cpu",
        "cuda",
        "requires_grad_",
        "detach_",
        "alias",
        "positive",
        "__pos__",
    }
)
"""Ops that leave the values as they are."""
RESHAPES = frozenset(
    {"view", "reshape", "flatten", "ravel", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"}
)
ADDS = frozenset({"add", "__add__", "__radd__", "add_", "__iadd__", "sub", "subtract", "__sub__", "__rsub__", "rsub"})
SCALES = frozenset(
    {
        "mul",
        "multiply",
        "__mul__",
        "__rmul__",
        "div",
        "divide",
        "true_divide",
        "__truediv__",
        "neg",
        "negative",
        "__neg__",
    }
)
DROPOUTS = frozenset(
    {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout"}
)
SWAPS = frozenset({"transpose", "permute", "movedim", "moveaxis", "swapaxes", "swapdims"})
READS = frozenset(
    {"item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__array__", "equal", "is_nonzero"}
)
"""Ops that bring values back to Python, where they could decide what forward does."""
POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")

def functional(run: Follower, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """One functional op outside of leaf modules: run, and its result marked."""
    name = _name(func)
    given = tensors((args, kwargs))
    heard = tuple(m for m in map(run.known, given) if m is not None)
    if not heard:
        return func(*args, **kwargs)
    if name in READS:
        raise unknown(name, run.where(), "forward may not look at values, which differ from sample to sample")
    handler = _handler(name, heard)
    if handler is not None and isinstance(args[0] if args else None, run.torch.Tensor | list | tuple | Real):
        return handler(run, name, func, args, kwargs)
    result = func(*args, **kwargs)
    if name.endswith("_like") or name.startswith(("new_", "set_")) or name == "requires_grad":
        return result
    return _lose(run, name, result, args, next((m.part for m in heard if m.kind == "lost"), ""))


def _handler(name: str, heard: tuple[Mark, ...]) -> Callable[..., Any] | None:
    kinds = {m.kind for m in heard}
    if "lost" in kinds:
        return None
    if name in SAME:
        return _same
    if name == "stack":
        return _stack
    if kinds == {"recorded"} and name in SWAPS:
        return _same
    if kinds == {"whole"} or (kinds == {"value"} and heard[0].node == "input"):
        if name == "__getitem__":
            return _index
        if name == "unbind":
            return _unbind
    if kinds != {"value"}:
        return None
    if name in RESHAPES:
        return _reshape
    if name in ADDS:
        return _add
    if name in SCALES:
        return _scale
    if name in DROPOUTS:
        return _dropout
    return _pool if name == "avg_pool2d" else None


def _name(func: Any) -> str:
    name = str(getattr(func, "__name__", func))
    return str(func.__self__.__name__) if name == "__get__" else name


def _lose(run: Follower, name: str, result: Any, args: Any, said: str = "") -> Any:
    """What no handler takes: its tensors are marked as lost, and refused once something uses them."""
    where = run.where()
    changed = args[0] if name == "__setitem__" else result
    name = {"__setitem__": "index assignment", "__getitem__": "indexing"}.get(name, name)
    first = args[0] if args else None
    in_place = (name.endswith("_") and not name.endswith("__")) or name == "index assignment" or name.startswith("__i")
    before = run.known(first)
    if in_place and before is not None and before.kind != "lost":
        raise unknown(name, where, "It changes a tensor in place; write y = x + ... instead")
    for tensor in tensors(changed):
        run.mark(tensor, "lost", "", said or f"{name} {where}")
    return result


def _same(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    mark = run.known(args[0])
    result = func(*args, **kwargs)
    if mark is None or not isinstance(result, run.torch.Tensor):
        return result if mark is None else _lose(run, name, result, args)
    if not result.is_floating_point():
        return _lose(run, name, result, args)
    return run.mark(result, mark.kind, mark.node, mark.part, mark.step)


def _reshape(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    x = args[0]
    mark = run.known(x)
    assert mark is not None
    dims = args[1:] or tuple(kwargs.values())
    if name == "squeeze" and not dims:
        result = x.reshape(1, *(n for n in x.shape[1:] if n != 1))
    else:
        lead = dims[0] if dims else None
        zero = lead in (0, -x.ndim) or (isinstance(lead, tuple) and 0 in lead)
        zero = zero or (name == "unsqueeze" and lead == -x.ndim - 1)
        if name in ("squeeze", "unsqueeze") and zero:
            return _lose(run, f"{name}(0)", func(*args, **kwargs), args)
        result = func(*args, **kwargs)
    if result.dtype != x.dtype:
        return _lose(run, name, result, args)
    if result.shape == x.shape:
        return run.mark(result, mark.kind, mark.node, mark.part, mark.step)
    return run.sends("flatten" if result.ndim == 2 else "reshape", "", (mark,), result)


def _add(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    result = func(*args, **kwargs)
    if len(args) != 2 or kwargs:
        return _lose(run, name, result, args)
    a, b = args if name not in ("__rsub__", "rsub") else args[::-1]
    minus = "sub" in name
    marks = tuple(m for m in (run.known(a), run.known(b)) if m is not None)
    if len(marks) == 1 and isinstance(b if run.known(a) else a, Real) and (b if run.known(a) else a) == 0:
        if minus and run.known(b):
            return run.sends("scale", "", marks, result, factor=-1.0)
        return run.mark(result, "value", marks[0].node, step=marks[0].step)
    if len(marks) != 2 or a.shape != b.shape:
        what = "a number or a tensor of its own" if len(marks) != 2 else "shapes that differ"
        return _lose(run, f"{name} with {what}", result, args)
    if name in ("add_", "__iadd__"):
        _alone(run, a, name)
    if minus:
        negated = run.sends("scale", "", marks[1:], run.torch.zeros_like(b), factor=-1.0)
        turned = run.known(negated)
        assert turned is not None
        marks = (marks[0], turned)
    if result is a:
        del run.marks[id(a)]
    return run.sends("add", "", marks, result)


def _alone(run: Follower, x: Any, name: str) -> None:
    """Refuse to change in place what others look at."""
    place = x.untyped_storage().data_ptr()
    shared = [m for m in run.marks.values() if m.tensor is not x and m.tensor.untyped_storage().data_ptr() == place]
    mark = run.known(x)
    assert mark is not None
    sender = run.nodes.get(mark.node)
    if shared or sender is None or sender.path in run.calls:
        raise unknown(name, run.where(), f"It changes what {mark.node} sends in place; write y = x + ... instead")


def _scale(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    result = func(*args, **kwargs)
    if "neg" in name:
        factor = -1.0
    else:
        number = next((a for a in args if isinstance(a, Real)), None)
        dividing = "div" in name
        if number is None or kwargs or (dividing and (number == 0 or args[0] is number)):
            return _lose(run, f"{name} with a tensor", result, args)
        factor = 1.0 / float(number) if dividing else float(number)
    mark = next(m for m in map(run.known, args) if m is not None)
    return run.sends("scale", "", (mark,), result, factor=factor)


def _dropout(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    try:
        active = inspect.signature(func).bind(*args, **kwargs).arguments.get("training", True)
    except (TypeError, ValueError):
        active = args[2] if len(args) > 2 else kwargs.get("train", True)
    result = func(*args, **kwargs)
    mark = run.known(args[0])
    if active or mark is None:
        return _lose(run, "dropout", result, args)
    return run.mark(result, mark.kind, mark.node, mark.part, mark.step)


def _pool(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    mark = run.known(args[0])
    assert mark is not None
    options = {**dict(zip(POOL, args[1:], strict=False)), **{k: v for k, v in kwargs.items() if k in POOL}}
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return run.sends("avg_pool2d", "", (mark,), func(*args, **kwargs), **options)


def _index(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """The input indexed by a step: any number of steps, whatever the probe has."""
    x, key = args
    mark = run.known(x)
    assert mark is not None
    keys = list(key) if isinstance(key, tuple) else [key]
    while len(keys) > 1 and (keys[-1] is Ellipsis or _everything(keys[-1])):
        keys.pop()
    axis = len(keys) - 1
    step = keys[-1]
    if axis > 1 or not all(map(_everything, keys[:-1])) or isinstance(step, bool) or not isinstance(step, int):
        return _lose(run, "indexing", func(*args, **kwargs), args)
    return _steps(run, x, axis, [step])[0]


def _everything(key: Any) -> bool:
    return isinstance(key, slice) and key == slice(None)


def _unbind(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    return tuple(_steps(run, args[0], axis, list(range(args[0].shape[axis]))))


def _steps(run: Follower, x: Any, axis: int, indices: list[int]) -> list[Any]:
    mark = run.known(x)
    assert mark is not None
    if mark.kind == "value" and axis in (0, 1):
        if run.axis is None:
            raise TimeLoop(axis)
        raise unknown("indexing", run.where(), ONE_STEP)
    if axis != run.axis:
        if run.indices or axis not in (0, 1):
            raise unknown("indexing", run.where(), ONE_STEP)
        raise TimeLoop(axis)
    found = []
    for i in indices:
        step = i + 1 if i >= 0 else x.shape[axis] + i + 1
        run.indices.add(step)
        found.append(run.mark(x.select(axis, 0).clone(), "value", "input", step=step))
    return found


def _stack(run: Follower, name: str, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Values of one node, of one step after the other."""
    result = func(*args, **kwargs)
    marks = [run.known(t) for t in args[0]] if isinstance(args[0], list | tuple) else [None]
    first = marks[0]
    if first is None or any(
        m is None or (m.node, m.kind, m.part) != (first.node, first.kind, first.part) or m.step not in (0, i + 1)
        for i, m in enumerate(marks)
    ):
        return _lose(run, name, result, args)
    kind = "recorded" if first.kind == "value" else first.kind
    return run.mark(result, kind, first.node, first.part)
