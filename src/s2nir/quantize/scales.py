"""Scales of weights: percentiles over the stored weights into a population, or into each of its channels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import QuantizeError
from ..fixedpoint import Rounding, clip, to_integers, wrap
from ..graph import Connection, Conv, Dense, Kernel, Population, Projection, Ruled
from .scheme import PTQ, Overflow, Per


def units(population: Population, ways: Sequence[Projection], per: Per) -> NDArray[np.int64]:
    """Which scale each neuron uses: int64 (size), 0 for all with one scale per population.

    With one scale per channel, a population that a convolution reaches has one per output channel (where convolutions
    count channels differently, one per the fewest neurons that hold whole channels of each), any other one per neuron.
    A population that a rule leads into has one, as all its neurons draw from one law.
    """
    if per is Per.POPULATION or any(isinstance(q.connection, Ruled) for q in ways):
        return np.zeros(population.size, np.int64)
    channel = [q.connection.targets // q.connection.out_shape[0] for q in ways if isinstance(q.connection, Conv)]
    return np.arange(population.size) // math.lcm(1, *channel)


def with_drive(population: Population, ways: Sequence[Projection]) -> list[Projection]:
    """Projections into a population, and its Poisson drive as a last one: a synapse of its weight into each neuron."""
    if population.drive is None:
        return list(ways)
    weight = np.full((population.size, 1), population.drive.weight)
    return [*ways, Projection(source="drive", target=population.name, connection=Dense(weight=weight))]


def percentile_scales(
    ways: Sequence[Projection], unit: NDArray[np.int64], percentile: float, limit: int
) -> NDArray[np.float64]:
    """g per unit: limit / percentile(|w|), with the maximum where the percentile is 0 and 1 where all are 0."""
    count = int(unit.max()) + 1
    parts = [_by_unit(q.connection, unit, count) for q in ways]
    scales = np.ones(count)
    if parts and all(isinstance(p, np.ndarray) for p in parts):
        table = np.abs(np.concatenate(parts, axis=1))  # (units, weights): every unit has as many
        if not table.size:
            return scales
        at, top = np.percentile(table, percentile, axis=1), table.max(axis=1)
        at = np.where(at > 0, at, top)
        with np.errstate(over="ignore"):
            return _finite(ways, np.asarray(np.divide(limit, at, out=scales, where=at > 0)))
    for u in range(count):
        pool = np.abs(np.concatenate([p[u] for p in parts])) if parts else np.zeros(0)
        if pool.size and pool.max() > 0:
            at = np.percentile(pool, percentile)
            with np.errstate(over="ignore"):
                scales[u] = limit / (at if at > 0 else pool.max())
    return _finite(ways, scales)


def _finite(ways: Sequence[Projection], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(scales).all():
        raise QuantizeError(
            f"{ways[0].target}: the weights that set its scale are too small, the scale is over float64. "
            "Use a higher percentile, or larger weights.",
            rule="fixed-range",
        )
    return scales


def _by_unit(connection: Connection, unit: NDArray[np.int64], count: int) -> Any:
    """Stored weights by unit: an array (units, weights) where all have as many, else a list of arrays."""
    if isinstance(connection, Ruled):
        return np.array(_of_law(connection)).reshape(1, -1)
    if count == 1:
        return connection.weight.reshape(1, -1)
    if isinstance(connection, Conv):
        return connection.weight.reshape(count, -1)
    if isinstance(connection, Dense) and count == connection.targets:
        return connection.weight
    if isinstance(connection, Dense):
        return connection.weight.reshape(count, -1)  # channels are runs of neurons
    owner = unit[connection.target]
    order = np.argsort(owner, kind="stable")
    return np.split(connection.weight[order], np.searchsorted(owner[order], np.arange(1, count)))


def _of_law(connection: Ruled) -> NDArray[np.float64]:
    """Weights that stand for those of a rule: what none is over, and those into its first targets, up to 2**20."""
    if isinstance(connection.rule, Kernel):
        return np.asarray(connection.rule.weights.ravel())
    if isinstance(connection.weights, int | float):
        return np.array([float(connection.weights)])
    some = connection.into(np.arange(min(connection.targets, -(-(1 << 20) // max(1, connection.most)))))
    return np.append(some.weight, connection.largest)


def per_weight(connection: Connection, unit: NDArray[np.int64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scale of every stored weight, in a shape that broadcasts against `connection.weight`."""
    if isinstance(connection, Conv):
        first = np.arange(connection.out_shape[0]) * (connection.targets // connection.out_shape[0])
        return scales[unit[first]].reshape(-1, 1, 1, 1)
    if isinstance(connection, Dense):
        return scales[unit].reshape(-1, 1)
    return scales[unit[connection.target]]


def integer_rule(connection: Ruled, scale: float, scheme: PTQ) -> Ruled:
    """A rule whose weights are integers.

    Raises
    ------
    QuantizeError
        where the scheme truncates or wraps, as only weights that are written out can.
    """
    if scheme.rounding is not Rounding.HALF_EVEN or scheme.overflow is Overflow.WRAP:
        raise QuantizeError("a connection by rule is rounded to the nearest integer and held at the limit; found "
                            f"rounding {scheme.rounding}, overflow {scheme.overflow}. Use PTQ's own, or an array.")
    return dataclasses.replace(connection, scale=scale, limit=scheme.limit)


def integer_weights(
    connection: Connection, unit: NDArray[np.int64], scales: NDArray[np.float64], scheme: PTQ
) -> tuple[NDArray[np.int8], int]:
    """Weights in int8, and how many were over the limit."""
    with np.errstate(over="ignore"):  # what is over float64 is over the limit, and held there
        scaled = connection.weight * per_weight(connection, unit, scales)
    whole = to_integers(scaled, scheme.rounding)  # type: ignore[arg-type]
    over = int((np.abs(whole) > scheme.limit).sum())
    if scheme.overflow is Overflow.WRAP:
        bits = 5 if scheme.bits == "s4" else int(scheme.bits)
        held = np.where(np.abs(whole) > scheme.limit, wrap(whole, bits), whole)
        return np.maximum(held, -scheme.limit).astype(np.int8), over
    return clip(whole, scheme.limit).astype(np.int8), over
