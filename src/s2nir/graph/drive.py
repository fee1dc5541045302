"""Poisson drive: events that a population draws for itself, the same wherever its neurons stand.

The draw of neuron n in step t is word n % 4 of Philox4x32-10 [Salmon2011] with counter (n // 4, t, noise, 0), keyed by
the drive's seed; its count is the number of entries in a table of the Poisson law's cumulative probabilities that the
word is not below.

[Salmon2011] J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11, doi:10.1145/2063384.2063405
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Number, Whole, settle
from ..errors import GraphError, S2NirError
from ..values import freeze

MULTIPLY = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MOST = 250  # events per step and neuron that a drive may expect: its table stays below 2 KiB
SEED = Whole(0, 2**64 - 1)
NOISE = Whole(0, 2**32 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson:
    """A Poisson drive for `Neurons`: each neuron hears a Poisson process of its own.

    rate : events per second and neuron; weight : of each event, as of a synapse into the population
    seed : of its draws; None for one that follows from the seed of `build` and the population's name

    >>> Poisson(rate=8000.0, weight=0.1)
    Poisson(rate=8000.0, weight=0.1, seed=None)
    """

    rate: float
    weight: float
    seed: int | None = None

    def __post_init__(self) -> None:
        settle(self, GraphError, rate=Number(0, what="events per second"), weight=Number())
        if self.seed is not None:
            settle(self, GraphError, seed=SEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """The drive of a Graph's population: `mean` events per neuron and step, of `weight` each."""

    mean: float
    weight: float
    seed: int

    def __post_init__(self) -> None:
        settle(self, GraphError, mean=Number(0, MOST, what="events per step"), weight=Number(), seed=SEED)

    @property
    def law(self) -> NDArray[np.uint32]:
        return law(self.mean)


def law(mean: float) -> NDArray[np.uint32]:
    """floor(2**32 P(X <= k)) of a Poisson law, for k = 0, 1, ... as long as it is below 2**32 - 1.

    >>> (law(0.5)[:3] / 2**32).round(6).tolist()
    [0.606531, 0.909796, 0.985612]
    """
    with decimal.localcontext() as exact:  # rounded alike on every host, as the exponential of a C library is not
        exact.prec = 60
        at = decimal.Decimal(mean)
        term = (-at).exp()
        total, found = decimal.Decimal(0), []
        for k in range(1, 10 * MOST):
            total += term
            entry = int(total * 2**32)
            if entry >= 2**32 - 1:
                break
            found.append(entry)
            term = term * at / k
    return freeze(np.array(found, np.uint32))


def philox(counter: Sequence[Any], seed: int) -> NDArray[np.uint32]:
    """Philox4x32-10: four words for each counter of four; shape of what the parts of the counter broadcast to, and 4.

    >>> [hex(w) for w in philox((0, 0, 0, 0), 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    low = np.uint64(0xFFFFFFFF)
    a, b, c, d = np.broadcast_arrays(*(np.asarray(part, np.uint64) for part in counter))
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(ROUNDS):
        first, second = a * np.uint64(MULTIPLY[0]), c * np.uint64(MULTIPLY[1])
        a, b = second >> np.uint64(32) ^ b ^ np.uint64(key[0]), second & low
        c, d = first >> np.uint64(32) ^ d ^ np.uint64(key[1]), first & low
        key = [(k + w) & 0xFFFFFFFF for k, w in zip(key, WEYL, strict=True)]
    return np.stack([a, b, c, d], axis=-1).astype(np.uint32)


def noises(noise: Any, batch: int, error: type[S2NirError]) -> tuple[int, ...]:
    """The number of the noise of each recording, from one number for all or one for each."""
    if not isinstance(noise, Sequence | np.ndarray) or np.ndim(noise) == 0:
        return (NOISE(noise, "noise", error),) * batch
    if len(noise) != batch:
        raise error(f"noise: found {len(noise)} numbers, needed one, or one for each of {batch} recordings")
    return tuple(NOISE(n, f"noise[{b}]", error) for b, n in enumerate(noise))


def draws(law: NDArray[np.uint32], seed: int, neurons: int, steps: range, noise: int = 0) -> NDArray[np.int64]:
    """Events (steps, neurons) of a drive."""
    block = np.arange(-(-neurons // 4), dtype=np.uint64)
    words = philox((block, np.array(steps, np.uint64).reshape(-1, 1), noise, 0), seed)
    return np.searchsorted(law, words.reshape(len(steps), -1)[:, :neurons], side="right").astype(np.int64)
