"""snnTorch's neurons as recursions with a rule of reset, read from the module that runs.

What snnTorch 1.0.0 does, found by running it (tests/frontend/test_snntorch_neurons.py): the reset acts one step after
its spike and undecayed, unless reset_delay=False; Leaky with "zero" clears the membrane ahead of the input, so its
spikes are those of an immediate reset; the others clear it after. With reset_delay=False a membrane that is still above
the threshold is lowered once more ahead of the next comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadError, UnsupportedError
from ..graph import Compare, Reset
from . import fields
from .contract import Rule
from .nodes import Neuron
from .snntorch_trace import Shape, TracedNode, need_snntorch, need_torch

Array = NDArray[np.float64]
SUPPORTED = ("Leaky", "Synaptic", "Lapicque", "RLeaky", "RSynaptic")
REMEDIES = {
    "Alpha": "Use Synaptic, which has one filter",
    "LinearLeaky": "Use nn.Linear and Leaky",
    "LeakyParallel": "Use nn.Linear and Leaky",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReadNeuron:
    """recurrent : the module that its own spikes take back to it, or None; why : of the reset, for people"""

    node: Neuron
    rule: Rule
    recurrent: Any
    why: str


def read_neuron(traced: TracedNode, heard: Shape, membrane: bool) -> ReadNeuron:
    """A neuron of snnTorch.

    heard : the shape of its input
    membrane : whether it sends its membrane, and no spikes

    Raises
    ------
    LoadError
        naming module and parameter; its child UnsupportedError where snnTorch has more than a Graph.
    """
    module, kind = traced.module, type(traced.module).__name__
    where = f"{traced.name}.{kind}"
    snn = need_snntorch()
    if type(module) not in {getattr(snn, n) for n in SUPPORTED}:
        base = next((c.__name__ for c in type(module).__mro__[1:] if c.__name__ in SUPPORTED), "")
        said = f"is made from {base}, and may do otherwise" if base else "is no neuron that s2nir takes"
        raise UnsupportedError(
            "snntorch-neuron",
            f"{where}: a {kind} {said}; taken are {', '.join(SUPPORTED)}. {REMEDIES.get(kind, 'Use one of them')}.",
        )
    if traced.shape != heard:
        raise LoadError(
            f"{where}: its parameters spread an input of shape {list(heard)} to {list(traced.shape)}; give them one "
            "value, or one per neuron"
        )
    reset, late, why = check_neuron(where, module)
    if membrane and reset is not Reset.NONE:
        raise UnsupportedError(
            "snntorch-output",
            f"{where}: forward returns its membrane alone, and its spikes reset it. Return its spikes (torch.stack of "
            "them is fine), or give it reset_mechanism='none'.",
        )
    threshold = spread(f"{where}.threshold", module.threshold, heard)
    if (threshold < 0).any() and reset is not Reset.NONE:
        raise LoadError(
            f"{where}.threshold: found {threshold.min():g}, needed 0 or more; snnTorch resets a membrane that is "
            "above it, and that is so at rest"
        )
    recursion = {k: spread(f"{where}.{k}", v, heard) for k, v in _recursion(where, kind, module).items()}
    recursion["constant"] = np.zeros(())
    found = _type(recursion, reset)
    level = {"threshold" if found == "Threshold" else "v_threshold": threshold}
    node = Neuron(
        name=traced.name,
        type={"LIF": "LI", "Threshold": "LI", "IF": "I", "CubaLIF": "CubaLI"}[found] if membrane else found,
        params={} if membrane else level,
        shape=heard,
        recursion=recursion,
    )
    rule = Rule(reset=reset, late=late, compare=Compare.GREATER)
    return ReadNeuron(node=node, rule=rule, recurrent=getattr(module, "recurrent", None), why=f"{kind}, {why}")


def check_neuron(where: str, module: Any) -> tuple[Reset, bool, str]:
    """(reset, late, why) of a neuron, once nothing goes beyond the recursion.

    Raises
    ------
    UnsupportedError
        naming the option.
    """
    _options(where, module)
    _surrogate(where, module)
    return _reset(where, type(module).__name__, module)


def number(where: str, value: Any) -> Array:
    """A tensor, of any float type and on any device, as finite float64.

    Raises
    ------
    LoadError
        naming the place where a value is not finite.
    """
    torch = need_torch()
    tensor = torch.as_tensor(value).detach()
    if tensor.is_complex():
        raise LoadError(f"{where}: is complex, needed real numbers")
    return fields.numbers(where, tensor.to("cpu", torch.float64).numpy())


def spread(where: str, value: Any, shape: Shape) -> Array:
    """A parameter over all neurons as torch spreads it, or () where it is one number."""
    array = value if isinstance(value, np.ndarray) else number(where, value)
    if array.size == 1:
        return array.reshape(())
    try:
        return np.array(np.broadcast_to(array, (1, *shape))[0])
    except ValueError:
        raise LoadError(f"{where}: found shape {list(array.shape)}, which does not spread over {list(shape)}") from None


def _recursion(where: str, kind: str, module: Any) -> Mapping[str, Array]:
    if kind == "Lapicque":  # in the order, and in the precision, in which the module works it out
        decay = number(f"{where}.R", 1 - module.time_step / (module.R * module.C))
        gain = number(f"{where}.C", module.R * (1 / (module.R * module.C)) * module.time_step)
        if (decay < 0).any() or (decay > 1).any():
            raise LoadError(
                f"{where}: 1 - time_step / (R C) is {decay.min():g}..{decay.max():g}, needed 0 to 1; choose R C of at "
                "least one time_step"
            )
        return {"decay": decay, "gain": gain}
    one = np.ones(())
    found = {"decay": np.clip(number(f"{where}.beta", module.beta), 0, 1), "gain": one}
    if kind.endswith("Synaptic"):
        found |= {"syn_decay": np.clip(number(f"{where}.alpha", module.alpha), 0, 1), "syn_gain": one}
    return found


def _type(recursion: Mapping[str, Array], reset: Reset) -> str:
    """The NIR type that a recursion is."""
    if "syn_decay" in recursion:
        return "CubaLIF"
    if (recursion["decay"] == 1).all():
        return "IF"
    step = reset is Reset.NONE and not recursion["decay"].any() and (recursion["gain"] == 1).all()
    return "Threshold" if step else "LIF"


def _options(where: str, module: Any) -> None:
    """Refuse what goes beyond the recursion."""
    factor = module.graded_spikes_factor
    learned = need_torch().nn.Parameter
    faults = {
        "inhibition": (module.inhibition, "Remove it, or wire the inhibition as weights"),
        "state_quant": (module.state_quant, "Remove it; quantize() sets the precision of the chip's states"),
        "graded_spikes_factor": (
            isinstance(factor, learned) or (number(f"{where}.graded_spikes_factor", factor) != 1).any(),
            "Spikes carry no value: put the factor into the weights behind the neuron",
        ),
        "forward": ("forward" in vars(module), "Its forward was replaced; take the module's own"),
    }
    for name, (found, remedy) in faults.items():
        if found:
            raise UnsupportedError("snntorch-option", f"{where}.{name}: is set, which a Graph cannot say. {remedy}.")


def _surrogate(where: str, module: Any) -> None:
    """Refuse a spike_grad whose forward is not a step at 0, by asking it for some values."""
    torch = need_torch()
    like = torch.as_tensor(module.threshold)
    dtype = like.dtype if like.is_floating_point() else torch.float32
    tiny = torch.finfo(dtype).tiny
    some = torch.linspace(-4, 4, 65, dtype=dtype)
    some = torch.cat([some, torch.tensor([tiny, -tiny, 1e-3, -1e-3, 1e3, -1e3], dtype=dtype)]).to(like.device)
    said = "is not a step at 0"
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            same = [bool((module.spike_grad(some) == (some > 0)).all()) for _ in range(2)]
    except Exception as error:  # whatever a function of the user raises
        same, said = [False], f"fails ({type(error).__name__}: {error})"
    if not all(same):
        raise UnsupportedError(
            "snntorch-surrogate",
            f"{where}.spike_grad: its forward {said}; needed is 1 above 0 and 0 elsewhere, as in surrogate.atan(). "
            "Replace it for the export.",
        )


def _reset(where: str, kind: str, module: Any) -> tuple[Reset, bool, str]:
    """(reset, late, why)."""
    delay = bool(getattr(module, "reset_delay", True))
    runs = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}.get(
        getattr(module.state_function, "__name__", "")
    )
    states = [*type(module).reset_dict]
    said = states[int(module.reset_mechanism_val)]
    if runs is None or runs != said:
        raise UnsupportedError(
            "snntorch-reset",
            f"{where}.reset_mechanism: says {said!r}, but its forward still does {runs!r}, which was chosen when the "
            "module was made. Make the module anew with the one that is meant.",
        )
    if kind == "RSynaptic" and not delay:
        raise UnsupportedError(
            "snntorch-reset",
            f"{where}.reset_delay: is False, which snnTorch 1.0.0 does not carry out: forward resets the states that "
            "it was passed, not those that it keeps, so with init_hidden=True it fails and else the reset stays late. "
            "Pass reset_delay=True.",
        )
    if runs == "none":
        return Reset.NONE, False, "reset_mechanism='none'"
    if not delay:
        if runs == "zero":
            return Reset.ZERO, False, "reset_mechanism='zero' and reset_delay=False"
        return Reset.SNNTORCH_RESTORED, False, "reset_delay=False lowers a membrane that stays above once more"
    if runs == "zero" and kind == "Leaky":
        return Reset.ZERO, False, "it is zeroed ahead of the next input, which gives the spikes of an immediate reset"
    return Reset(runs), True, "reset_delay=True, the default: one step after the spike"
