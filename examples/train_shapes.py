"""Train the demo's network on synthetic moving shapes and write it as NIR.

    pip install -e '.[train]'
    python examples/train_shapes.py                    # writes src/s2nir/data/shapes_cnn.nir
    python examples/train_shapes.py --out my.nir --epochs 3

Conv - LIF - sum pool - conv - LIF - sum pool - dense - LIF - dense - LIF, without biases. A spike subtracts the
threshold in the step in which it happens, as the chip does it (snnTorch's default subtracts one step later), so the
loop below is plain PyTorch. A recording's class is the output neuron with most spikes. The checkpoint is chosen on the
validation split; the test split is looked at once, at the end.
"""

from __future__ import annotations

import argparse
import copy
import itertools
from pathlib import Path

import nir
import numpy as np
import torch
from torch import Tensor, nn

from s2nir.data import SHAPES, TEST_SEED, TRAIN_SEED, VALIDATION_SEED, moving_shapes

SEED = 0
DT = 1e-3  # seconds per step
TAU = {"lif1": 5e-3, "lif2": 10e-3, "lif3": 10e-3, "lif4": 20e-3}  # two time constants or more prove dt to a reader
THRESHOLD = 1.0
SLOPE = 5.0  # of the fast sigmoid that stands in for the spike's gradient


class Spike(torch.autograd.Function):
    """1 where the membrane is above the threshold; its gradient is that of a fast sigmoid."""

    @staticmethod
    def forward(ctx, above: Tensor) -> Tensor:
        ctx.save_for_backward(above)
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (above,) = ctx.saved_tensors
        return gradient / (1 + SLOPE * above.abs()) ** 2


def lif(current: Tensor, tau: float) -> Tensor:
    """Spikes of neurons that decay by 1 - dt/tau and subtract the threshold at once; current is (steps, batch, ...)."""
    decay, v, spikes = 1 - DT / tau, torch.zeros_like(current[0]), []
    for arriving in current:
        v = decay * v + arriving
        spike = Spike.apply(v - THRESHOLD)
        v = v - spike.detach() * THRESHOLD
        spikes.append(spike)
    return torch.stack(spikes)


class Shapes(nn.Module):
    """(steps, batch, 2, 32, 32) counts -> (batch, classes) spikes of the output, and the mean rate of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 8, 5, stride=2, padding=2, bias=False)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.fc1 = nn.Linear(16 * 4 * 4, 48, bias=False)
        self.fc2 = nn.Linear(48, len(SHAPES), bias=False)
        with torch.no_grad():  # events are sparse: louder weights let the first spikes through
            for layer, gain in ((self.conv1, 2.5), (self.conv2, 2.0), (self.fc1, 1.5), (self.fc2, 2.0)):
                layer.weight *= gain

    def forward(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        def all_steps(layer, x: Tensor) -> Tensor:  # no layer but the neurons has a memory
            return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])

        def sum_pool(x: Tensor) -> Tensor:
            return 4 * nn.functional.avg_pool2d(x, 2)

        a = lif(all_steps(self.conv1, counts), TAU["lif1"])
        b = lif(all_steps(self.conv2, all_steps(sum_pool, a)), TAU["lif2"])
        c = lif(self.fc1(all_steps(sum_pool, b).flatten(2)), TAU["lif3"])
        d = lif(self.fc2(c), TAU["lif4"])
        return d.sum(0), a.mean() + b.mean() + c.mean()


def batches(counts: np.ndarray, labels: np.ndarray, order: np.ndarray, size: int):
    for lo in range(0, order.size, size):
        part = order[lo : lo + size]
        yield torch.from_numpy(counts[part]).float().transpose(0, 1).contiguous(), torch.from_numpy(labels[part])


@torch.no_grad()
def accuracy(net: Shapes, counts: np.ndarray, labels: np.ndarray) -> float:
    order = np.arange(labels.size)
    return sum((net(x)[0].argmax(1) == y).sum().item() for x, y in batches(counts, labels, order, 100)) / labels.size


def train(epochs: int, recordings: int) -> Shapes:
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    counts, labels = moving_shapes(recordings, TRAIN_SEED)
    validation = moving_shapes(400, VALIDATION_SEED)
    net = Shapes()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, kept = -1.0, copy.deepcopy(net.state_dict())
    for epoch in range(epochs):
        total = 0.0
        for x, y in batches(counts, labels, rng.permutation(labels.size), 32):
            optimizer.zero_grad()
            spikes, rate = net(x)
            loss = nn.functional.cross_entropy(spikes / 2, y) + 1.0 * rate
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * y.numel()
        schedule.step()
        found = accuracy(net, *validation)
        print(f"epoch {epoch + 1}: loss {total / labels.size:.3f}, validation {found:.4f}", flush=True)
        if found >= best:
            best, kept = found, copy.deepcopy(net.state_dict())
    net.load_state_dict(kept)
    return net


def to_nir(net: Shapes) -> nir.NIRGraph:
    """The network as NIR; r = tau / dt makes the input gain 1, and the metadata say what NIR has no words for."""

    def conv(layer: nn.Conv2d, side: int) -> nir.Conv2d:
        weight = layer.weight.detach().numpy()
        zeros = np.zeros(weight.shape[0], np.float32)
        return nir.Conv2d((side, side), weight, layer.stride[0], layer.padding[0], 1, 1, zeros)

    def neurons(name: str, *shape: int) -> nir.LIF:
        def full(value: float) -> np.ndarray:
            return np.full(shape, value, np.float32)

        return nir.LIF(
            tau=full(TAU[name]), r=full(TAU[name] / DT), v_leak=full(0), v_threshold=full(THRESHOLD), v_reset=full(0),
            metadata={"s2nir_reset": "subtract"},
        )

    def pool() -> nir.SumPool2d:
        return nir.SumPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0]))

    nodes = {
        "input": nir.Input(np.array([2, 32, 32])),
        "conv1": conv(net.conv1, 32),
        "lif1": neurons("lif1", 8, 16, 16),
        "pool1": pool(),
        "conv2": conv(net.conv2, 8),
        "lif2": neurons("lif2", 16, 8, 8),
        "pool2": pool(),
        "flatten": nir.Flatten({"input": np.array([16, 4, 4])}, start_dim=0),
        "fc1": nir.Linear(net.fc1.weight.detach().numpy()),
        "lif3": neurons("lif3", 48),
        "fc2": nir.Linear(net.fc2.weight.detach().numpy()),
        "lif4": neurons("lif4", len(SHAPES)),
        "output": nir.Output(np.array([len(SHAPES)])),
    }
    names = list(nodes)
    about = "trained on synthetic moving shapes by examples/train_shapes.py of s2nir"
    return nir.NIRGraph(nodes=nodes, edges=list(itertools.pairwise(names)), metadata={"about": about})


def main() -> None:
    parser = argparse.ArgumentParser(description="train the demo's network on synthetic moving shapes")
    place = Path(__file__).parents[1] / "src" / "s2nir" / "data" / "shapes_cnn.nir"
    parser.add_argument("--out", type=Path, default=place)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--recordings", type=int, default=2000)
    args = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    net = train(args.epochs, args.recordings)
    nir.write(args.out, to_nir(net))
    print(f"test accuracy {accuracy(net, *moving_shapes(1000, TEST_SEED)):.4f}, in PyTorch, on synthetic recordings")
    print(f"written: {args.out} ({args.out.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
