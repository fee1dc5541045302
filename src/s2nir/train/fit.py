"""Training of an nn.Sequential on frames, as the DVS gesture paper does it, and its decisions on a data set.

Backpropagation through all steps, Adam, gradients clipped by norm, weights clamped, a loss on spike counts; the state
with the best validation accuracy is kept, the later of equals. A checkpoint after each epoch lets a killed training go
on where it was.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from snntorch.functional import mse_count_loss
from torch import Tensor, nn

from ..arguments import listener
from ..errors import InputError, QuantizeError
from .loops import over_time

Data = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How to train; the defaults are those of arXiv 2504.06748.

    clamp : weights are held within -clamp..clamp after each step, None leaves them; right, wrong : spike rates that the
        loss wants of the right output and of all others; anneal : whether the learning rate falls to 0 as half a cosine
    activity : the share of neurons that may spike in a step, on the mean over a hidden layer and a recording, before it
        costs `press` x steps x (share - activity)^2 in the loss; None asks nothing. Fewer spikes are less work for a
        chip that computes by events
    """

    epochs: int = 100
    batch: int = 16
    rate: float = 2.4e-3
    clip: float = 1.0
    clamp: float | None = 1.0
    right: float = 0.8
    wrong: float = 0.2
    anneal: bool = False
    activity: float | None = None
    press: float = 10.0
    seed: int = 0

    def __call__(
        self,
        module: nn.Module,
        train: Data,
        validation: Data,
        *,
        device: str = "cpu",
        checkpoint: Path | None = None,
        progress: Callable[[dict[str, float]], object] | None = None,
    ) -> History:
        """Train in place; the module ends in `eval()` with the weights of its best epoch, on `device`.

        train, validation : (uint8 (n, steps, *shape), int64 (n)); the best epoch is chosen on `validation` alone
        checkpoint : a file, written whole after each epoch; one that is there already is gone on from
        progress : called with the figures of each epoch
        """
        if not len(train[0]) or not len(validation[0]):
            raise InputError("Fit: found no recordings to train on, or none to choose an epoch on")
        tell = listener(progress, "Fit.progress")
        module.to(device)
        adam = torch.optim.Adam(module.parameters(), lr=self.rate)
        run = _Run(self, module, adam, checkpoint)
        run.resume()
        for epoch in range(len(run.history.epochs), self.epochs):
            loss = run.epoch(epoch, train, device)
            right = float((decisions(module, validation[0], device=device) == validation[1]).mean())
            run.keep(epoch, loss, right)
            tell(run.history.epochs[-1])
        module.load_state_dict(run.best)
        module.eval()
        return run.history


@dataclass(slots=True, kw_only=True)
class History:
    """epochs : loss and validation accuracy of each; best : the epoch whose weights are kept"""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best: int = -1


class _Run:
    """One training under way."""

    def __init__(self, options: Fit, module: nn.Module, adam: Any, checkpoint: Path | None) -> None:
        self.options, self.module, self.adam, self.checkpoint = options, module, adam, checkpoint
        self.history = History()
        self.best: dict[str, Any] = {}
        self.loss = mse_count_loss(correct_rate=options.right, incorrect_rate=options.wrong)

    def epoch(self, epoch: int, train: Data, device: str) -> float:
        """One pass over the training data, in an order that the seed and the epoch give; returns the mean loss."""
        o, (x, y) = self.options, train
        self.module.train()
        order = np.random.default_rng([o.seed, epoch]).permutation(len(x))
        torch.manual_seed(o.seed * 1_000_003 + epoch)  # of dropout
        total = 0.0
        for at in range(0, len(order), o.batch):
            chosen = np.sort(order[at : at + o.batch])
            if o.anneal:
                done = (epoch + at / len(order)) / o.epochs
                for group in self.adam.param_groups:
                    group["lr"] = o.rate * 0.5 * (1 + float(np.cos(np.pi * done)))
            shares: dict[str, Tensor] = {}
            seen = None if o.activity is None else partial(_keep_share, shares)
            spikes = over_time(self.module, _time_major(x[chosen], device), seen)
            loss = self.loss(spikes, torch.from_numpy(y[chosen]).to(device))
            if o.activity is not None:
                hidden = list(shares.values())[:-1]  # the last are the outputs, which the loss asks for
                over = torch.stack(hidden) - o.activity
                loss = loss + o.press * len(spikes) * over.clamp(min=0).square().sum(0).mean()
            self.adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), o.clip)
            self.adam.step()
            if o.clamp is not None:
                self._clamp(o.clamp)
            total += float(loss.detach()) * len(chosen)
        return total / len(order)

    @torch.no_grad()
    def _clamp(self, most: float) -> None:
        for layer in self.module.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
                layer.weight.clamp_(-most, most)

    def keep(self, epoch: int, loss: float, right: float) -> None:
        best = max((e["validation"] for e in self.history.epochs), default=-1.0)
        self.history.epochs.append({"epoch": epoch, "loss": loss, "validation": right})
        if right >= best:
            self.history.best = epoch
            self.best = copy.deepcopy(self.module.state_dict())
        if self.checkpoint is not None:
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            part = self.checkpoint.with_name(self.checkpoint.name + ".part")
            torch.save({"options": asdict(self.options), "module": self.module.state_dict(), "best": self.best,
                        "adam": self.adam.state_dict(), "epochs": self.history.epochs, "at": self.history.best}, part)
            os.replace(part, self.checkpoint)

    def resume(self) -> None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        try:
            kept = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            found = kept["options"]
        except Exception as error:  # whatever a damaged archive makes of torch.load
            raise InputError(f"{self.checkpoint}: is no checkpoint of a training ({type(error).__name__}). Remove it, "
                             "to train anew.") from error
        if found != asdict(self.options):
            raise InputError(f"{self.checkpoint}: was made with other options ({found}). Remove it, or use "
                             "another folder.")
        try:
            self.module.load_state_dict(kept["best"])
            self.module.load_state_dict(kept["module"])
            self.adam.load_state_dict(kept["adam"])
        except (RuntimeError, ValueError, KeyError, QuantizeError) as error:
            raise InputError(f"{self.checkpoint}: was made of another module ({error}). Remove it, or use another "
                             "folder.") from error
        self.best, self.history = kept["best"], History(epochs=kept["epochs"], best=kept["at"])


def _keep_share(shares: dict[str, Tensor], name: str, spikes: Tensor) -> None:
    """Keep the mean over steps and neurons for each recording: (batch), of (steps, batch, *shape)."""
    shares[name] = spikes.flatten(2).mean((0, 2))


def _time_major(x: NDArray[np.uint8], device: str) -> Tensor:
    """(n, steps, *shape) as float32 (steps, n, *shape)."""
    return torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1))).to(device).float()


@torch.no_grad()
def decisions(
    module: nn.Module, x: NDArray[np.uint8], *, device: str = "cpu", batch: int = 64,
    seen: Callable[[str, Tensor], None] | None = None,
) -> NDArray[np.int64]:
    """The output with most spikes for each recording, ties to the lowest index: int64 (n). Runs in `eval()`.

    x : uint8 (n, steps, *shape); seen : as `over_time` calls it, batch after batch
    """
    was = module.training
    module.eval()
    try:
        found = []
        for at in range(0, len(x), batch):
            counts = over_time(module, _time_major(x[at : at + batch], device), seen).sum(0)
            found.append(counts.reshape(len(counts), -1).cpu().numpy().argmax(axis=1))
        return np.concatenate(found).astype(np.int64)
    finally:
        module.train(was)
