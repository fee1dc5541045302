"""What the tracer finds in live modules, what it leaves alone, and what it refuses."""

import sys
import warnings

import pytest

from frontend import snn_networks as nets
from frontend.snn_networks import nn, snn, torch
from s2nir.errors import LoadError, UnsupportedError
from s2nir.frontend import from_snntorch, to_snntorch, trace_module

lif = nets.neuron


class Net(nn.Module):
    """Two layers and two neurons, and whatever a test does with them."""

    def __init__(self, forward, hidden=True):
        super().__init__()
        self.fc = nn.Linear(5, 5)
        self.lif = lif(hidden=hidden)
        self.fc2 = nn.Linear(5, 5)
        self.lif2 = lif(hidden=hidden)
        self.drop = nn.Dropout()
        self.does = forward

    def forward(self, x):
        return self.does(self, x)


def found(traced):
    return {n.name: (n.op, n.before, n.shape) for n in traced.nodes}


STRAIGHT = {"fc": ("module", ("input",), (5,)), "lif": ("module", ("fc",), (5,)), "fc2": ("module", ("lif",), (5,)),
            "lif2": ("module", ("fc2",), (5,))}


def test_a_nested_sequential():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sequential(lif(), nn.AvgPool2d(2)), nn.Flatten(), nn.Linear(27, 4),
                           lif(output=True))
    traced = trace_module(module, (2, 8, 8))
    assert found(traced) == {
        "0": ("module", ("input",), (3, 6, 6)),
        "1.0": ("module", ("0",), (3, 6, 6)),
        "1.1": ("module", ("1.0",), (3, 3, 3)),
        "2": ("module", ("1.1",), (27,)),
        "3": ("module", ("2",), (4,)),
        "4": ("module", ("3",), (4,)),
    }
    assert traced.outputs == ("4",)
    assert not traced.time_loop
    assert traced["1.0"].module is module[1][0]
    assert [n.name for n in traced.after("1.0")] == ["1.1"]
    assert traced.shape("input") == (2, 8, 8)
    with pytest.raises(KeyError):
        traced["5"]


def over(steps):
    """A forward with a loop over time of the tutorials' kind; steps(x) gives what each step hears."""

    def forward(net, x):
        mem1, mem2 = net.lif.init_leaky(), net.lif2.reset_mem()
        spikes, membranes = [], []
        for now in steps(x):
            spk1, mem1 = net.lif(net.fc(now), mem1)
            spk2, mem2 = net.lif2(net.fc2(net.drop(spk1)), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)

    return forward


LOOPS = {
    "a static input": lambda x: [x for _ in range(25)],
    "a static input, flattened": lambda x: [x.view(x.size(0), -1).float() for _ in range(3)],
    "steps first, by size": lambda x: [x[t] for t in range(x.size(0))],
    "steps first, as many as it likes": lambda x: (x[t] for t in range(25)),
    "steps first, negative": lambda x: [x[t - x.shape[0]] for t in range(x.shape[0])],
    "steps first, iterated": lambda x: list(x),
    "steps first, unbound": lambda x: x.unbind(0),
    "steps first, flattened": lambda x: [x[t, ...].reshape(x.size(1), -1) for t in range(x.size(0))],
    "batch first": lambda x: [x[:, t] for t in range(x.shape[1])],
    "batch first, unbound": lambda x: torch.unbind(x, dim=1),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_over_time(name):
    traced = trace_module(Net(over(LOOPS[name]), hidden=False), (5,))
    assert {k: v for k, v in found(traced).items() if k != "drop"} == STRAIGHT | {"fc2": ("module", ("drop",), (5,))}
    assert traced.outputs == ("lif2",)
    assert traced.time_loop


def test_functional_ops_between_layers():
    def forward(net, x):
        a = net.lif(net.fc(x))
        b = net.fc2(net.drop(nn.functional.dropout(a, training=net.training)))
        b = b + a * 0.5
        b += 2 * x.reshape(1, 1, 5).squeeze()
        return net.lif2((b - x / 4 + 0).unsqueeze(1).flatten(1))

    traced = trace_module(Net(forward), (5,))
    nodes = found(traced)
    assert nodes["scale_1"] == ("scale", ("lif",), (5,))
    assert traced["scale_1"].options == {"factor": 0.5}
    assert nodes["add_1"] == ("add", ("fc2", "scale_1"), (5,))
    assert nodes["reshape_1"] == ("reshape", ("input",), (1, 5))
    assert nodes["flatten_1"] == ("flatten", ("reshape_1",), (5,))
    assert traced["scale_2"].options == {"factor": 2.0}
    assert traced["scale_3"].options == {"factor": 0.25}
    assert traced["scale_4"].options == {"factor": -1.0}
    assert nodes["lif2"][1] == ("flatten_2",)
    assert len(nodes) == 4 + 1 + 4 + 3 + 4  # layers, dropout, scales, adds, reshapes


def test_a_pool_used_twice_and_dead_ends_are_left_out():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.conv, self.lif = nn.AvgPool2d(2), nn.Conv2d(1, 1, 3), lif()

        def forward(self, x):
            _ = (x * 3).flatten(1)
            return self.pool(self.lif(self.conv(self.pool(x))))

    traced = trace_module(Twice(), (1, 12, 12))
    assert [n.name for n in traced.nodes] == ["pool", "conv", "lif", "pool_1"]
    assert traced["pool_1"].module is traced["pool"].module
    assert traced["pool_1"].path == "pool"


def test_several_outputs_and_functional_pooling():
    def forward(net, x):
        a = net.lif(nn.functional.avg_pool2d(x, 2, padding=1))
        return {"one": a, "two": [net.lif2(a), a]}

    traced = trace_module(Net(forward), (1, 4, 4))
    assert traced.outputs == ("lif", "lif2")
    assert traced["avg_pool2d_1"].options == {"kernel_size": 2, "padding": 1}


def test_a_membrane_alone_is_an_output():
    traced = trace_module(Net(lambda net, x: net.lif2(net.fc2(net.lif(net.fc(x))[0]))[1], hidden=False), (5,))
    assert (traced.outputs, traced.membranes) == (("lif2",), ("lif2",))
    traced = trace_module(Net(lambda net, x: net.lif(net.fc(x)), hidden=False), (5,))
    assert (traced.outputs, traced.membranes) == (("lif",), ())


def test_one_layer_is_a_module_too():
    assert found(trace_module(lif(), (3, 4))) == {"Leaky": ("module", ("input",), (3, 4))}


def test_the_module_is_left_as_it_was(capsys):
    def forward(net, x):
        snn.utils.reset(net)
        _ = torch.rand(3)
        return torch.stack([net.lif2(net.fc2(net.lif(net.fc(net.drop(x))))) for _ in range(2)])

    import snntorch.surrogate
    import snntorch.utils

    module = Net(forward).train()
    module.lif.spike_grad = module.lif2.spike_grad = snntorch.surrogate.atan()
    module(torch.rand(4, 5)).sum().backward()  # hidden states hang on a graph of gradients
    states = [(m, m.mem, m.mem.clone()) for m in (module.lif, module.lif2)]
    instances, members = snn.SpikingNeuron.instances, list(snn.SpikingNeuron.instances)
    random = torch.random.get_rng_state()
    trace_module(module, (5,))
    assert snn.SpikingNeuron.instances is instances
    assert all(a is b for a, b in zip(instances, members, strict=True))
    assert module.training
    assert all(m.mem is mem and bool((mem == values).all()) and mem.grad_fn is not None for m, mem, values in states)
    assert bool((torch.random.get_rng_state() == random).all())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("forward", "rule", "message"),
    [
        (lambda n, x: n.lif(torch.cat([n.fc(x), x], 1)[:, :5]), "op", r"^cat in Net \(test_snntorch_trace.py:\d+\)"),
        (lambda n, x: n.lif(torch.relu(n.fc(x))), "op", r"^relu in Net .* is heard by lif \(Leaky\): cannot"),
        (lambda n, x: n.lif(n.fc(x) * x), "op", "^mul with a tensor"),
        (lambda n, x: n.lif(n.fc(x) * n.fc.bias), "op", "^mul with a tensor"),
        (lambda n, x: n.lif(n.fc(x) + n.fc.bias), "op", "^add with a number or a tensor of its own"),
        (lambda n, x: n.lif(n.fc(x) + 1), "op", "^add with a number"),
        (lambda n, x: n.lif(n.fc(x) + x[:, :1]), "op", "^indexing"),
        (lambda n, x: n.lif(n.fc(x)) if x.sum() > 0 else x, "op", "^__bool__ in Net.*forward may not look at values"),
        (lambda n, x: n.lif(n.fc(x) * x.mean().item()), "op", "^item in Net"),
        (lambda n, x: n.lif(n.fc(x)).sum(0), "op", "^sum in Net .* is returned.*add them up outside"),
        (lambda n, x: n.lif(n.fc(x).squeeze(0)), "op", r"^squeeze\(0\) in Net"),
        (lambda n, x: n.lif(n.fc(x).unsqueeze(0)), "op", r"^unsqueeze\(0\) in Net"),
        (lambda n, x: n.lif(n.fc(x).flatten()), "op", "^reshape in Net.*: gives shape .5,. for a batch of 1"),
        (lambda n, x: n.lif(n.fc(x).view(-1, 1)), "op", "gives shape .5, 1. for a batch of 1"),
        (lambda n, x: n.lif(nn.functional.dropout(n.fc(x))), "op", "^dropout in Net .*training=self.training"),
        (lambda n, x: n.lif(nn.functional.linear(x, n.fc.weight)), "op", "^linear in Net .*Use the layer nn.Linear"),
        (lambda n, x: n.lif(n.fc(x).t().t()), "op", "^t in Net"),
        (lambda n, x: n.lif(n.fc(x).relu_()), "op", "^relu_ in Net.*in place"),
        (lambda n, x: n.lif(n.fc(x)).add_(n.fc2(x)), "op", "^add_ in Net.*It changes what lif sends in place"),
        (lambda n, x: n.lif(n.fc(x[:, 0:3])), "op|LoadError", "indexing|forward fails"),
        (lambda n, x: n.lif(n.fc2(n.lif(n.fc(x)))), "loop", "used twice in one step, or hears spikes of another step"),
        (lambda n, x: (n.lif(n.fc(x)), n.lif(n.fc2(x))), "loop", "^lif .Leaky.: hears fc2 when it runs for the 2nd"),
        (lambda n, x: n.lif(n.fc(torch.zeros(1, 5))), "loop", r"^fc \(Linear\): hears a tensor that forward makes"),
        (lambda n, x: torch.ones(3), "output", "returns a tensor that does not come from its input"),
        (lambda n, x: None, "output", "returns no tensor"),
        (lambda n, x: n.lif(n.fc(x.clone().detach()).to(torch.int32)), "op", "^to in Net"),
    ],
)
def test_what_cannot_be_followed_is_named(forward, rule, message):
    with pytest.raises(LoadError, match=message) as error:
        trace_module(Net(forward), (5,))
    if "|" not in rule:
        assert error.value.rule == f"snntorch-{rule}"


def recurrent_by_hand(net, x):
    spk, mem, out = torch.zeros(1, 5), net.lif.init_leaky(), []
    for t in range(x.size(0)):
        spk, mem = net.lif(net.fc(x[t]) + net.fc2(spk), mem)
        out.append(spk)
    return torch.stack(out)


def a_step_late(net, x):
    before, out = None, []
    for _step in range(4):
        spk, _ = net.lif(net.fc(x))
        now, _ = net.lif2(net.fc2(spk if before is None else before))
        before = spk
        out.append(now)
    return torch.stack(out)


def once_outside(net, x):
    spk, _ = net.lif(net.fc(x))
    return torch.stack([net.lif2(net.fc2(spk))[0] for _ in range(3)])


def backwards(net, x):
    return torch.stack([net.lif(net.fc(x[1 - t]))[0] for t in range(2)])


def every_other(net, x):
    out = [net.lif(net.fc(x))[0] for _ in range(4)]
    net.lif2(net.fc2(out[0]))
    return out


def all_at_once(net, x):
    cur = net.fc(x)
    return torch.stack([net.lif(cur[t])[0] for t in range(x.shape[0])])


def all_at_once_of_a_loop(net, x):
    cur = net.fc(x)
    return torch.stack([net.lif(cur[t] + x[t])[0] for t in range(x.shape[0])])


def after_the_loop(net, x):
    return net.fc2(torch.stack([net.lif(net.fc(x))[0] for _ in range(3)]))


def into_an_array(net, x):
    out = torch.zeros(3, 1, 5)
    for t in range(3):
        out[t] = net.lif(net.fc(x))[0]
    return out


def changing(net, x):
    return torch.stack([net.lif((net.fc if t < 2 else net.fc2)(x))[0] for t in range(4)])


def kept_by_hand(net, x):
    """One step, which hears its own spikes of the step before."""
    before = getattr(net, "before", None)
    net.before = net.lif(net.fc(x) if before is None else net.fc(x) + net.fc2(before))[0]
    return net.before


def kept_zeros(net, x):
    before = getattr(net, "before", torch.zeros(1, 5))
    net.before = net.lif(net.fc(x) + before)[0]
    return net.before


def other_outputs(net, x):
    spikes = net.lif(net.fc(x))[0]
    net.count = getattr(net, "count", 0) + 1
    return spikes if net.count == 1 else net.fc2(spikes)


def reset_each_time(net, x):
    net.lif.reset_mem()
    return net.lif(net.fc(x))[0]


def halved(net, x):
    out = []
    for _ in range(3):
        out.append(net.lif(net.fc(x))[0])
        net.lif.mem = net.lif.mem * 0.5
    return torch.stack(out)


def one_step_of_zeros(net, x):
    return net.lif(net.fc(x), net.lif.init_leaky())[0]


@pytest.mark.parametrize(
    ("forward", "rule", "message"),
    [
        (kept_by_hand, "loop", r"^lif \(Leaky\): runs for the 2nd time on what add_1 sends in step 1"),
        (kept_zeros, "op", "^add with a number or a tensor of its own"),
        (other_outputs, "loop", "^Net: forward does something else when it runs again"),
        (reset_each_time, "state", r"^lif \(Leaky\): its mem is reset or changed between two steps"),
        (halved, "state", "its mem is reset or changed between two steps"),
        (one_step_of_zeros, "state", "its mem is set anew in every step.*or use init_hidden=True"),
        (recurrent_by_hand, "loop", r"^fc2 \(Linear\).*wired back by hand.*use RLeaky or RSynaptic"),
        (a_step_late, "loop", r"^lif2 \(Leaky\): runs for the 2nd time on what fc2 sends in step 1"),
        (once_outside, "loop", "on what fc2 sends in step 1"),
        (backwards, "loop", "runs for the 1st time on what fc sends in step 2"),
        (every_other, "loop", "its neurons do not run equally often .lif 4 times, lif2 1 times"),
        (all_at_once, "op", r"^indexing in Net .* is heard by lif \(Leaky\)"),
        (all_at_once_of_a_loop, "op", "^indexing"),
        (after_the_loop, "loop", r"^fc2 \(Linear\): hears all steps of lif at once"),
        (into_an_array, "op", "^index assignment.*Collect the spikes in a list"),
        (changing, "loop", r"^lif \(Leaky\): hears fc2 when it runs for the 3rd time, and fc before"),
        (lambda n, x: n.lif(n.fc(x), torch.ones(1, 5))[0], "state", r"its mem starts from values other than 0"),
        (lambda n, x: [n.lif(n.fc(x), torch.zeros(1, 5))[0] for _ in range(2)], "state", "is set anew in every step"),
        (lambda n, x: n.lif2(n.fc2(n.lif(n.fc(x))[1]))[0], "state", r"^fc2 \(Linear\): hears the mem of lif"),
        (lambda n, x: n.lif2(n.fc2(x), n.lif(n.fc(x))[1])[0], "state", r"^lif2 \(Leaky\): its mem comes from lif"),
        (lambda n, x: n.lif(n.fc(x), n.lif(n.fc(x))[0])[0], "state", "its mem is its spikes"),
        (lambda n, x: n.lif(n.fc(x), n.lif(n.fc(x))[1] * 0.5)[0], "op", r"^mul .*is the mem of lif \(Leaky\)"),
        (lambda n, x: n.lif2(n.fc2(n.lif(n.fc(x))[0]), None)[0] + 0 * n.lif(n.fc(x))[0], "loop", "values of different"),
    ],
)
def test_loops_and_states_that_are_not_steps_are_named(forward, rule, message):
    with pytest.raises(UnsupportedError, match=message) as error:
        trace_module(Net(forward, hidden=False), (5,))
    assert error.value.rule == f"snntorch-{rule}"


def test_states_as_arguments_are_refused():
    class States(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = lif(hidden=False)

        def forward(self, x, mem):
            return self.lif(x, mem)

    with pytest.raises(UnsupportedError, match=r"forward needs x, mem, allowed is one tensor\. Make the states in f"):
        trace_module(States(), (5,))


def test_wrong_inputs_are_named():
    with pytest.raises(LoadError, match=r"forward fails on an input of shape \(1, 4\): RuntimeError: mat1 and mat2"):
        trace_module(nn.Linear(5, 3), (4,))
    with pytest.raises(LoadError, match="input_shape: found 3, needed whole numbers"):
        trace_module(nn.Linear(5, 3), 3)
    with pytest.raises(LoadError, match=r"input_shape: found \(0,\), needed one or more whole numbers"):
        trace_module(nn.Linear(5, 3), (0,))
    with pytest.raises(LoadError, match=r"input_shape: found \(2\.5,\), needed one or more"):
        trace_module(nn.Linear(5, 3), (2.5,))
    with pytest.raises(LoadError, match=r"module: found a int, needed a torch\.nn\.Module"):
        trace_module(5, (5,))
    with pytest.raises(LoadError, match=r"0\.weight: has no values yet; run the module once"):
        trace_module(nn.Sequential(nn.LazyLinear(3)), (5,))
    scripted = nn.Sequential(nn.Linear(5, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted.append(torch.jit.script(nn.Linear(5, 5)))
    with pytest.raises(LoadError, match=r"^1: is scripted; pass the module that it was made from"):
        trace_module(scripted, (5,))
    with pytest.raises(LoadError, match="cannot be copied"):
        trace_module(Net(lambda n, x: x, hidden=(i for i in ())), (5,))


@pytest.mark.parametrize("library", ["torch", "snntorch"])
def test_without_a_library_the_error_says_what_to_install(monkeypatch, library):
    graph, module = from_snntorch(nn.Linear(5, 3), (5,)), nn.Sequential(lif())
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"^{library} is needed for live modules and is not installed: pip install s2nir\[train\]"
    with pytest.raises(LoadError, match=message):
        from_snntorch(module, (5,))
    with pytest.raises(LoadError, match=message):
        to_snntorch(graph)
