"""Layer by layer over whole recordings: the same spikes and gradients as step by step, and the same as the chip."""

import numpy as np
import pytest

import s2nir
from s2nir import QAT

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

from snntorch import surrogate as snntorch_surrogate  # noqa: E402  after importorskip
from snntorch import utils  # noqa: E402
from snntorch.functional import mse_count_loss  # noqa: E402
from torch import nn  # noqa: E402

from s2nir.train import Fit, TorchRun, decisions, fused, over_time, prepare_qat  # noqa: E402
from train.nets import Skip, conv_net, lif, louder  # noqa: E402

SHAPE = (2, 12, 12)


class Step(torch.autograd.Function):
    """Fast sigmoid that keeps float64, which snnTorch's own does not."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):
        return grad / (1 + 9.7 * ctx.saved_tensors[0].abs()) ** 2


def drive(steps=25, batch=3, seed=0, rate=0.4):
    return (torch.rand(steps, batch, *SHAPE, generator=torch.Generator().manual_seed(seed)) < rate).double()


def gradients(module, spikes):
    module.zero_grad()
    weight = torch.linspace(-1, 1, spikes.numel(), dtype=torch.float64).reshape(spikes.shape)
    (spikes * weight).sum().backward()
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


CASES = {
    "subtract": lambda: conv_net(spike_grad=Step.apply),
    "zero": lambda: conv_net(spike_grad=Step.apply, reset_mechanism="zero"),
    "none": lambda: conv_net(spike_grad=Step.apply, reset_mechanism="none"),
    "learned threshold": lambda: conv_net(spike_grad=Step.apply, learn_threshold=True),
    "zero, learned threshold": lambda: conv_net(spike_grad=Step.apply, reset_mechanism="zero", learn_threshold=True),
    "learned decay": lambda: conv_net(spike_grad=Step.apply, learn_beta=True),
    "restored": lambda: conv_net(spike_grad=Step.apply, reset_delay=False),
    "synaptic": lambda: conv_net(spike_grad=Step.apply, kind="Synaptic", alpha=0.7),
}


@pytest.mark.parametrize("prepared", [None, QAT(bits=4), QAT(bits=8, scale="lsq", threshold="learned")])
@pytest.mark.parametrize("name", CASES)
def test_over_time_is_a_loop_over_steps(name, prepared):
    torch.manual_seed(2)
    module = louder(CASES[name](), 1.5 if name == "none" else 4)
    if prepared is not None:
        module = prepare_qat(module, prepared)
    module = module.double()
    x = drive()
    utils.reset(module)
    slow = torch.stack([module(now) for now in x])
    expected = gradients(module, slow)
    fast = over_time(module, x)
    assert 0 < slow.mean() < 1
    assert int((slow != fast).sum()) == 0
    found = gradients(module, fast)
    assert found.keys() == expected.keys()
    for key, gradient in expected.items():
        # QAT quantizes in float32 (g is kept so), hence no exact zero there
        assert torch.allclose(found[key], gradient, rtol=1e-5, atol=1e-6 * float(gradient.abs().max())), key


@pytest.mark.parametrize("surrogate", [snntorch_surrogate.fast_sigmoid(9.7), snntorch_surrogate.atan(3.0)])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("layout", ["rows", "channels first", "channels last"])
@pytest.mark.parametrize("threads", [1, 2])
def test_compiled_loops_are_the_tensor_operations(surrogate, reset, late, layout, threads, monkeypatch):
    monkeypatch.setattr(fused, "MANY", 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 3, 40 if layout == "rows" else 4, *([] if layout == "rows" else [5, 6]), generator=generator)
    if layout == "channels last":
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (9, 3))
    alpha, theta = torch.rand(x.shape[2:], generator=generator), 0.5 + torch.rand(x.shape[2], generator=generator)
    theta = theta.reshape(-1, *[1] * (x.dim() - 3))
    assert fused.known(surrogate) is not None
    assert fused.known(lambda v: surrogate(v)) is None
    found = []
    for spike_grad in (surrogate, lambda v: surrogate(v)):  # the second one it does not know
        current = x.clone(memory_format=torch.preserve_format).requires_grad_()
        spikes = fused.leaky(current, alpha, theta, spike_grad, reset, late)
        (spikes * torch.linspace(-1, 1, spikes.numel()).reshape(spikes.shape)).sum().backward()
        found.append((spikes, current.grad))
    assert 0.05 < found[0][0].mean() < 0.95
    assert torch.equal(found[0][0], found[1][0])
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


def test_over_time_leaves_hidden_states_and_refuses_what_it_cannot_see():
    module = louder(conv_net())
    utils.reset(module)
    x = drive().float()
    module(x[0])
    before = module[1].mem.clone()
    over_time(module, x)
    assert torch.equal(module[1].mem, before)
    with pytest.raises(s2nir.S2NirError, match=r"found a Skip, needed an nn\.Sequential"):
        over_time(Skip(), x)


@pytest.mark.parametrize("prepared", [None, QAT(bits=8)])
@pytest.mark.parametrize("training", [True, False])
def test_autocast_changes_no_spike(prepared, training):
    torch.manual_seed(0)
    module = louder(conv_net()) if prepared is None else prepare_qat(louder(conv_net()), prepared)
    module.train(training)
    x = drive().float()
    spikes = over_time(module, x)
    with torch.autocast("cpu", torch.bfloat16):
        for kind in (torch.float32, torch.bfloat16, torch.uint8):
            assert torch.equal(over_time(module, x.to(kind)), spikes)
        if prepared is not None and not training:
            utils.reset(module)
            with torch.no_grad():
                assert torch.equal(torch.stack([module(now) for now in x]), spikes)


@pytest.mark.parametrize(("given", "match"), [
    (np.zeros((3, 1, *SHAPE), np.float32), r"found a ndarray, needed a Tensor\. Call torch\.from_numpy"),
    (torch.zeros(0, 1, *SHAPE), r"found shape \(0, 1, 2, 12, 12\), needed .* with 1 step or more"),
    (torch.zeros(3), r"found shape \(3,\), needed \(steps, batch, \*shape\)"),
])
def test_over_time_takes_recordings_only(given, match):
    with pytest.raises(s2nir.S2NirError, match=match):
        over_time(conv_net(), given)


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize(
    ("mechanism", "late"), [("subtract", True), ("subtract", False), ("zero", False), ("none", False)]
)
def test_torch_run_is_the_emulator(mechanism, late, arithmetic):
    torch.manual_seed(1)
    net = louder(conv_net(reset_mechanism=mechanism, bias=mechanism != "none"), 2 if mechanism == "none" else 4)
    graph = s2nir.from_snntorch(net, SHAPE)
    if not late:
        graph = with_reset(graph, mechanism)
    network = s2nir.quantize(graph, s2nir.PTQ(bits=5), arithmetic=arithmetic)
    x = drive()
    chip = s2nir.run(s2nir.compile(network), x.transpose(0, 1).numpy().astype(np.uint8)).spikes
    ours = TorchRun(network)(x)
    for name, spikes in ours.items():
        assert np.array_equal(spikes.transpose(0, 1).numpy().reshape(chip[name].shape), chip[name])
    assert sum(0 < s.float().mean() < 1 for s in ours.values()) >= 3
    real = TorchRun(graph)(x)  # float32 against float64
    exact = graph.simulate(x.transpose(0, 1).numpy()).spikes
    for name, spikes in real.items():
        assert (spikes.transpose(0, 1).numpy().reshape(exact[name].shape) != exact[name]).mean() < 1e-3


def with_reset(graph, mechanism):
    import dataclasses

    immediate = dict(reset=mechanism, reset_late=False)
    changed = [p if p.is_input else dataclasses.replace(p, **immediate) for p in graph.populations]
    return dataclasses.replace(graph, populations=tuple(changed))


def test_torch_run_says_what_it_does_not_run():
    torch.manual_seed(0)
    loop = nn.Sequential(nn.Linear(4, 3), lif("RLeaky", linear_features=3))
    with pytest.raises(s2nir.S2NirError, match="loops or delays"):
        TorchRun(s2nir.from_snntorch(loop, (4,)))


def data(n, seed):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 5
    x = (rng.random((n, 8, *SHAPE)) < 0.1 + 0.1 * y[:, None, None, None, None]).astype(np.uint8)
    return x, y


@pytest.mark.parametrize(("other", "why"), [
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(288, 5), lif()), "Missing key"),
    (lambda: prepare_qat(conv_net(), QAT(bits=8)), "weights up to 7, this module was prepared for 127"),
])
def test_a_checkpoint_of_another_module_is_refused(tmp_path, other, why):
    fit, train = Fit(epochs=1, batch=8), data(8, 0)
    fit(prepare_qat(louder(conv_net()), QAT(bits=4)), train, train, checkpoint=tmp_path / "run.pt")
    with pytest.raises(s2nir.S2NirError, match=rf"(?s)run\.pt: was made of another module .*{why}.*Remove it, or use"):
        fit(other(), train, train, checkpoint=tmp_path / "run.pt")


@pytest.mark.parametrize("prepared", [None, QAT(bits=3, momentum=0.5), QAT(bits=4, scale="lsq")])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, prepared):
    def fresh(factor=3):
        torch.manual_seed(0)
        net = louder(conv_net(), factor)
        return net if prepared is None else prepare_qat(net, prepared)

    options, train, validation = Fit(epochs=4, batch=8, anneal=True, seed=4), data(20, 0), data(10, 1)
    whole = fresh()
    history = options(whole, train, validation)
    killed, file = fresh(), tmp_path / "run.pt"

    def stop(epoch):
        if epoch["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        options(killed, train, validation, checkpoint=file, progress=stop)
    again = fresh(1)
    resumed = options(again, train, validation, checkpoint=file)
    assert resumed.epochs == history.epochs
    assert resumed.best == history.best
    for key, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(s2nir.S2NirError, match="other options"):
        Fit(epochs=5, seed=4)(fresh(), train, validation, checkpoint=file)
    with pytest.raises(s2nir.S2NirError, match="no recordings"):
        options(fresh(), (train[0][:0], train[1][:0]), validation)


def test_the_best_epoch_is_chosen_on_validation_alone():
    torch.manual_seed(0)
    module = louder(conv_net(), 3)
    validation = data(10, 1)
    history = Fit(epochs=4, batch=8)(module, data(20, 0), validation)
    best = max(e["validation"] for e in history.epochs)
    assert history.epochs[history.best]["validation"] == best
    assert float((decisions(module, validation[0]) == validation[1]).mean()) == best
    weights = max(float(p.detach().abs().max()) for p in module.parameters())
    assert weights <= 1.0
    assert not module.training


def test_decisions_tie_to_the_lowest_index():
    module = nn.Sequential(nn.Flatten(), nn.Linear(288, 5, bias=False), lif())
    with torch.no_grad():
        module[1].weight.zero_()
        module[1].weight[2:4] = 1.0
    assert decisions(module, data(3, 0)[0]).tolist() == [2, 2, 2]


def test_without_torch_one_sentence_says_what_to_install(tmp_path):
    import subprocess
    import sys

    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    done = subprocess.run([sys.executable, "-c", "import s2nir; s2nir.train"], capture_output=True, text=True,
                          env={"PYTHONPATH": str(tmp_path), "PATH": ""}, check=False)
    assert done.returncode == 1
    assert "pip install 's2nir[train]'" in done.stderr.splitlines()[-1]


def test_a_limit_on_activity_is_kept_where_it_can_be():
    train, found = data(20, 0), {}
    for activity in (None, 0.02):
        torch.manual_seed(0)
        module = louder(conv_net(), 3)
        Fit(epochs=12, batch=8, rate=5e-3, activity=activity, press=200.0)(module, train, train)
        shares = {}
        x = torch.from_numpy(train[0].swapaxes(0, 1).copy()).float()
        over_time(module, x, lambda name, s, shares=shares: shares.update({name: float(s.detach().mean())}))
        found[activity] = list(shares.values())[:-1]
    assert max(found[0.02]) < 0.5 * max(found[None])
    torch.manual_seed(0)
    module = louder(conv_net(), 3)
    history = Fit(epochs=1, batch=20, activity=0.0, press=7.0)(module, train, train)
    torch.manual_seed(0)
    module = louder(conv_net(), 3).train()
    shares = {}
    spikes = over_time(module, x, lambda name, s: shares.update({name: s.flatten(2).mean((0, 2))}))
    own = mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(spikes, torch.from_numpy(train[1]))
    cost = 7.0 * len(x) * sum(s.square().mean() for s in list(shares.values())[:-1])
    assert history.epochs[0]["loss"] == pytest.approx(float((own + cost).detach()), rel=1e-5)
